package holdfast.lab.sim.tether;

import java.util.Arrays;
import java.util.function.Consumer;

/** One simulated TCP connection: in order or not at all, and it dies as connections do. */
final class Pipe {

    /** What the kernel of either end takes unsent. */
    private static final int SEND_BUFFER = 16_384;

    /** How a connection dies. */
    enum Death {
        /** Both ends are told. */
        RESET,
        /** The client alone is told. */
        CLIENT_TOLD,
        /** The server alone is told. */
        SERVER_TOLD,
        /** Nobody is: what is sent vanishes. */
        SILENT
    }

    private static final int CLIENT = 0;
    private static final int SERVER = 1;

    private final World world;
    private final long latency;
    private final Consumer<byte[]>[] bytes = newPair();
    private final Runnable[] ends = {() -> {}, () -> {}};
    private final Runnable[] rooms = {() -> {}, () -> {}};
    private final boolean[] closed = new boolean[2];
    private final boolean[] told = new boolean[2];
    private final int[] inFlight = new int[2];
    private final long[] lastArrival = new long[2];
    private final long[] carried = new long[2];
    private long cutAfter = Long.MAX_VALUE;
    private Death cut = Death.SILENT;
    private boolean dead;

    Pipe(World world, long latency) {
        this.world = world;
        this.latency = latency;
        bytes[CLIENT] = some -> {};
        bytes[SERVER] = some -> {};
    }

    @SuppressWarnings({"unchecked", "rawtypes"}) // an array of a generic type cannot be made
    private static Consumer<byte[]>[] newPair() {
        return new Consumer[2];
    }

    /** Who listens at an end: what comes, that no more comes, and that more may be sent. */
    void attach(boolean client, Consumer<byte[]> onBytes, Runnable onEnd, Runnable onRoom) {
        int side = client ? CLIENT : SERVER;
        bytes[side] = onBytes;
        ends[side] = onEnd;
        rooms[side] = onRoom;
    }

    /** It is to die after so many bytes in all. */
    void cutAfter(long count, Death how) {
        cutAfter = count;
        cut = how;
    }

    long latency() {
        return latency;
    }

    int room(boolean client) {
        int side = client ? CLIENT : SERVER;
        return closed[side] || told[side] ? 0 : SEND_BUFFER - inFlight[side];
    }

    void send(boolean client, byte[] some) {
        int side = client ? CLIENT : SERVER;
        if (closed[side] || told[side] || some.length == 0) {
            return;
        }
        inFlight[side] += some.length;
        if (!dead) {
            world.at(arrival(side), () -> deliver(side, some));
        }
    }

    private long arrival(int side) {
        long at = world.through(world.now() + latency + world.below(latency / 4 + 1));
        lastArrival[side] = Math.max(lastArrival[side], at);
        return lastArrival[side];
    }

    private void deliver(int side, byte[] some) {
        if (dead) {
            return;
        }
        int other = 1 - side;
        byte[] arrived = some;
        long left = cutAfter - carried[CLIENT] - carried[SERVER];
        boolean dies = some.length > left;
        if (dies) {
            arrived = Arrays.copyOf(some, (int) left);
        }
        carried[side] += arrived.length;
        inFlight[side] -= some.length;
        if (!closed[other] && !told[other]) {
            int at = 0;
            while (at < arrived.length) {
                int piece = Math.min(arrived.length - at, world.piece(arrived.length));
                bytes[other].accept(Arrays.copyOfRange(arrived, at, at + piece));
                at += piece;
            }
        }
        if (dies) {
            die(cut);
        } else {
            rooms[side].run();
        }
    }

    /** One end closes; the other reads its end after what is on the way. */
    void close(boolean client) {
        int side = client ? CLIENT : SERVER;
        if (closed[side]) {
            return;
        }
        closed[side] = true;
        if (!dead) {
            world.at(arrival(side), () -> tell(1 - side));
        }
    }

    void die(Death how) {
        if (dead) {
            return;
        }
        dead = true;
        if (how == Death.RESET || how == Death.CLIENT_TOLD) {
            world.at(world.now() + world.below(latency + 1), () -> end(CLIENT));
        }
        if (how == Death.RESET || how == Death.SERVER_TOLD) {
            world.at(world.now() + world.below(latency + 1), () -> end(SERVER));
        }
    }

    private void tell(int side) {
        if (!dead) {
            end(side);
        }
    }

    private void end(int side) {
        if (!told[side] && !closed[side]) {
            told[side] = true;
            ends[side].run();
        }
    }
}
