package holdfast.lab.sim.tether;

import holdfast.core.tether.Bytes;
import holdfast.core.tether.CarrierEvent;
import holdfast.core.tether.CarrierPolicy;
import holdfast.core.tether.CarrierState;
import holdfast.core.tether.Fault;
import holdfast.core.tether.Frame;
import holdfast.core.tether.Greeting;
import holdfast.core.tether.Prover;
import holdfast.core.tether.Resuming;
import holdfast.core.tether.Resumption;
import holdfast.core.tether.Tether;
import holdfast.core.tether.TetherLine;
import holdfast.core.time.Moment;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.PriorityQueue;
import java.util.SplittableRandom;
import org.jspecify.annotations.Nullable;

/**
 * One seed: two ends, the weather between them, somebody who listens and forges, and the referee.
 */
final class World {

    private static final long SECOND = 1_000_000_000L;
    private static final int WINDOW = 65_536;
    private static final List<Pipe.Death> DEATHS = List.of(Pipe.Death.values());
    private static final int KEY_WORDS = 4;
    private static final String SOFTWARE = "Simulated_1";

    /** How long after the last fault everything must have arrived. */
    private static final Duration GRACE = Duration.ofSeconds(150);

    private static final int MOST_STEPS = 400_000;

    private record Happening(long at, long order, Runnable what) implements Comparable<Happening> {
        @Override
        public int compareTo(Happening other) {
            return at != other.at ? Long.compare(at, other.at) : Long.compare(order, other.order);
        }
    }

    private record Down(long from, long to) {}

    private final long seed;
    private final Twist twist;
    private final SplittableRandom dice;
    private final PriorityQueue<Happening> agenda = new PriorityQueue<>();
    private final List<Down> downs = new ArrayList<>();
    private final List<Violation> violations = new ArrayList<>();
    private final long active;
    private final long faultsEnd;
    private final boolean shortHold;
    private final boolean impostor;
    private final boolean lying;
    private final long hold;
    private final Prover real;
    private final Bytes id;
    private final long[] toWrite = new long[2];
    private final End client;
    private final End server;
    private final Map<Long, Pipe> attempts = new HashMap<>();
    private final List<String> overheard = new ArrayList<>();
    private @Nullable Pipe newest;
    private long now;
    private long order;
    private long carriers;
    private boolean foreignMet;

    private World(long seed, Twist twist) {
        this.seed = seed;
        this.twist = twist;
        this.dice = new SplittableRandom(seed);
        faultsEnd = (5 + dice.nextLong(120)) * SECOND;
        active = 1 + dice.nextLong(faultsEnd);
        shortHold = dice.nextInt(10) == 0;
        impostor = dice.nextInt(10) == 0;
        lying = dice.nextInt(10) == 0;
        hold = shortHold ? 8 : 3600;
        toWrite[0] = size();
        toWrite[1] = size();
        for (int i = dice.nextInt(4); i > 0; i--) {
            long from = dice.nextLong(faultsEnd);
            downs.add(new Down(from, Math.min(faultsEnd, from + dice.nextLong(40 * SECOND))));
        }
        Duration stall =
                dice.nextInt(4) == 0 ? Duration.ofMillis(dice.nextInt(1500)) : Duration.ZERO;
        id = Bytes.of(bytes(Resumption.ID));
        real = new Mixer(seed);
        client =
                new End(
                        this,
                        true,
                        new Tether(Tether.Role.CLIENT, WINDOW, WINDOW, WINDOW),
                        CarrierPolicy.client(Duration.ofSeconds(15), seed),
                        toWrite[0],
                        stall);
        server =
                new End(
                        this,
                        false,
                        new Tether(Tether.Role.SERVER, WINDOW, WINDOW, WINDOW),
                        CarrierPolicy.server(Duration.ofSeconds(60), Duration.ofSeconds(20)),
                        toWrite[1],
                        stall);
    }

    private long size() {
        return switch (dice.nextInt(4)) {
            case 0 -> dice.nextInt(200);
            case 1 -> dice.nextInt(20_000);
            default -> dice.nextInt(200_000);
        };
    }

    /** Runs one seed. */
    static Run run(long seed, Twist twist) {
        return new World(seed, twist).run();
    }

    private Run run() {
        begin();
        int steps = 0;
        long deadline = faultsEnd + GRACE.toNanos();
        boolean asked = false;
        while (violations.isEmpty()) {
            if (client.over() && server.over()) {
                break;
            }
            if (!asked && allTaken()) {
                asked = true;
                client.leave();
            }
            if (client.over() && now > deadline) {
                break; // the server holds what nobody will fetch
            }
            Happening next = agenda.poll();
            if (next == null || next.at > deadline) {
                now = deadline;
                if (!(client.over() || lying || allTaken() || aboveJudges())) {
                    violate(
                            Run.Rule.LIVENESS,
                            "client got "
                                    + client.taken()
                                    + " of "
                                    + toWrite[1]
                                    + " in "
                                    + client.state()
                                    + ", server "
                                    + server.taken()
                                    + " of "
                                    + toWrite[0]
                                    + " in "
                                    + server.state());
                }
                break;
            }
            now = next.at;
            next.what.run();
            if (++steps > MOST_STEPS) {
                violate(Run.Rule.PROGRESS, "more than " + MOST_STEPS + " steps");
            }
        }
        judge();
        return new Run(
                seed,
                new Moment(now),
                client.ending(),
                server.ending(),
                client.taken() + server.taken(),
                carriers,
                lying,
                violations);
    }

    /**
     * A carrier that falls silent before the tether can be resumed is for SSH above to give up,
     * which is not in this world.
     */
    private boolean aboveJudges() {
        return !client.tether.resumable();
    }

    private void judge() {
        CarrierState.Ending how = client.ending();
        if (how != null && !lying) {
            boolean good =
                    switch (how) {
                        case FINISHED -> allTaken() || server.tether.peerClosed() < 0;
                        case NOT_RESUMABLE -> !client.tether.resumable();
                        case GONE ->
                                shortHold
                                        || foreignMet
                                        || server.over()
                                        || !server.tether.resumable();
                        case FOREIGN -> foreignMet;
                        case HOLD_OVER -> shortHold;
                        case PROTOCOL -> false;
                    };
            if (!good) {
                violate(
                        Run.Rule.STATED_REASON,
                        "the client ended without reason: "
                                + how
                                + ", the server is "
                                + server.state());
            }
        }
        how = server.ending();
        if (how != null && !lying) {
            boolean good =
                    switch (how) {
                        case FINISHED -> allTaken();
                        case NOT_RESUMABLE -> !server.tether.resumable();
                        case HOLD_OVER -> shortHold || client.over();
                        case GONE, FOREIGN, PROTOCOL -> false;
                    };
            if (!good) {
                violate(Run.Rule.STATED_REASON, "the server ended without reason: " + how);
            }
        }
        if (client.over() && client.shown() != 0) {
            violate(Run.Rule.STATED_REASON, "the notice outlived the tether");
        }
    }

    // --- setting up

    private void begin() {
        Pipe first = pipe();
        client.hands(
                new End.Hands() {
                    @Override
                    public void dial(long generation) {
                        World.this.dial(generation);
                    }

                    @Override
                    public void abandon(long generation) {
                        Pipe attempt = attempts.remove(generation);
                        if (attempt != null) {
                            attempt.close(true);
                        }
                    }
                });
        Tether.Carrier ours = client.tether.begin();
        Tether.Carrier theirs = server.tether.begin();
        attach(client, ours, first);
        attach(server, theirs, first);
        client.carry(ours, first);
        server.carry(theirs, first);
        // Authentication takes a while; only then may it be resumed.
        at(
                dice.nextLong(SECOND / 4),
                () -> {
                    server.tether.hold(id, hold);
                    server.pump();
                });
        for (int i = 0; i < 30; i++) {
            at(
                    dice.nextLong(active),
                    () -> {
                        client.pump();
                        server.pump();
                    });
        }
        at(
                active,
                () -> {
                    client.pump();
                    server.pump();
                });
        for (int i = dice.nextInt(9); i > 0; i--) {
            at(dice.nextLong(faultsEnd), this::kill);
        }
        for (int i = dice.nextInt(3); i > 0; i--) {
            at(
                    dice.nextLong(faultsEnd),
                    () -> {
                        client.event(new CarrierEvent.NetworkChanged());
                        client.pump();
                    });
        }
        for (int i = dice.nextInt(3); i > 0; i--) {
            at(dice.nextLong(faultsEnd), this::forge);
        }
        if (lying) {
            for (int i = 1 + dice.nextInt(5); i > 0; i--) {
                at(dice.nextLong(faultsEnd), this::lie);
            }
        }
    }

    private Pipe pipe() {
        boolean faulty = now < faultsEnd;
        long worst = faulty && dice.nextInt(8) == 0 ? 1500 : 200;
        Pipe made = new Pipe(this, (1 + dice.nextLong(worst)) * SECOND / 1000);
        if (faulty && dice.nextInt(carriers == 0 ? 12 : 3) == 0) {
            made.cutAfter(dice.nextInt(2) == 0 ? dice.nextInt(600) : dice.nextInt(80_000), death());
        }
        newest = made;
        carriers++;
        return made;
    }

    private Pipe.Death death() {
        return DEATHS.get(dice.nextInt(DEATHS.size()));
    }

    private void kill() {
        if (newest != null) {
            newest.die(death());
        }
    }

    private void attach(End end, Tether.Carrier carrier, Pipe pipe) {
        pipe.attach(
                end.client,
                some -> end.received(carrier, some),
                () -> end.lost(carrier, false),
                end::pump);
    }

    // --- attempts

    private void dial(long generation) {
        // The kernel's SYNs, as long as somebody waits for them.
        for (long syn : new long[] {0, SECOND, 3 * SECOND}) {
            if (through(now + syn) == now + syn) {
                Pipe made = pipe();
                attempts.put(generation, made);
                at(now + syn + 2 * made.latency(), () -> connected(generation, made));
                return;
            }
        }
    }

    private void connected(long generation, Pipe made) {
        if (attempts.get(generation) != made || client.over()) {
            return;
        }
        if (now < faultsEnd && dice.nextInt(20) == 0) {
            attempts.remove(generation);
            client.event(new CarrierEvent.Failed(generation, CarrierEvent.Failure.TURNED_AWAY));
            return;
        }
        client.event(new CarrierEvent.Connected(generation));
        Resuming resuming =
                new Resuming(client.tether, real, generation, SOFTWARE, Bytes.of(bytes(16)));
        made.attach(
                true,
                some -> resume(generation, resuming, made, some),
                () -> {
                    if (attempts.remove(generation, made)) {
                        client.event(
                                new CarrierEvent.Failed(
                                        generation, CarrierEvent.Failure.UNANSWERED));
                    }
                },
                () -> {});
        if (impostor && now < faultsEnd && dice.nextInt(3) == 0) {
            pretend(made);
        } else {
            accept(made, false);
        }
    }

    private void resume(long generation, Resuming resuming, Pipe made, byte[] some) {
        if (attempts.get(generation) != made) {
            return;
        }
        int used = resuming.read(some, 0, some.length);
        byte[] say = resuming.toSend();
        if (say.length > 0) {
            overheard.add(text(say));
            made.send(true, say);
        }
        switch (resuming.outcome()) {
            case null -> {}
            case Resuming.Outcome.Failed failed -> {
                attempts.remove(generation);
                made.close(true);
                client.event(new CarrierEvent.Failed(generation, failed.why()));
            }
            case Resuming.Outcome.Resumed resumed -> {
                attempts.remove(generation);
                attach(client, resumed.carrier(), made);
                client.carry(resumed.carrier(), made);
                if (used < some.length) {
                    client.received(resumed.carrier(), Arrays.copyOfRange(some, used, some.length));
                }
            }
        }
    }

    /** The server's listener. */
    private void accept(Pipe made, boolean forged) {
        String line = offer();
        Greeting greeting = Greeting.ofClient();
        made.attach(
                false,
                some -> {
                    int used = greeting.read(some, 0, some.length);
                    switch (greeting.outcome()) {
                        case null -> {}
                        case Greeting.Outcome.Plain _ -> made.close(false);
                        case Greeting.Outcome.Said said -> {
                            if (said.what() instanceof TetherLine.Resume request) {
                                serve(made, request, line, forged);
                            } else {
                                made.close(false);
                            }
                            if (used < some.length) {
                                violate(Run.Rule.PROOF, "more than a line before the answer");
                            }
                        }
                    }
                },
                () -> made.close(false),
                () -> {});
        made.send(false, ascii(line + "\r\n"));
    }

    private void serve(Pipe made, TetherLine.Resume request, String line, boolean forged) {
        boolean known = request.id().equals(id) && !server.over();
        Prover checker = known ? real : new Mixer(~seed);
        Tether.Carrier carrier;
        byte[] answer;
        if (twist.equals(Twist.NONE)) {
            Resumption.Served served =
                    Resumption.serve(known ? server.tether : null, checker, request, line, true);
            carrier = served.carrier();
            answer = served.answer();
        } else {
            // The same by hand, so that a mistake can be put into it.
            boolean proved = twist.proved(Resumption.proved(checker, request, line));
            Tether.Offsets offsets = known ? server.tether.accept(request, proved) : null;
            byte[] bytes = new byte[Frame.LONGEST_CONTROL];
            int length;
            if (offsets == null) {
                carrier = null;
                length = new Frame.Refused(Frame.Refused.GONE).write(bytes, 0);
            } else {
                carrier = server.tether.resume(request, offsets);
                length =
                        Resumption.answer(
                                        checker,
                                        request,
                                        line,
                                        twist.stated(offsets.received()),
                                        offsets.taken(),
                                        offsets.from())
                                .write(bytes, 0);
            }
            answer = Arrays.copyOf(bytes, length);
        }
        made.send(false, answer);
        if (carrier == null) {
            made.close(false);
            return;
        }
        if (forged) {
            violate(Run.Rule.PROOF, "a forged or replayed request was accepted");
        }
        attach(server, carrier, made);
        server.carry(carrier, made);
    }

    private String offer() {
        return "SSH-2.0-"
                + SOFTWARE
                + " "
                + new TetherLine.Offer(64, Bytes.of(bytes(32)), Bytes.of(bytes(16))).word();
    }

    /** Another machine that has the address now: it offers tethers, and knows nothing of ours. */
    private void pretend(Pipe made) {
        int kind = dice.nextInt(4);
        made.attach(
                false,
                some -> {
                    byte[] answer = new byte[100];
                    int length;
                    if (kind == 0) {
                        foreignMet = true;
                        length = new Frame.Refused(0).write(answer, 0);
                    } else {
                        length =
                                new Frame.Resumed(
                                                dice.nextInt(1000),
                                                0,
                                                dice.nextInt(1000),
                                                Bytes.of(bytes(32)))
                                        .write(answer, 0);
                    }
                    made.send(false, Arrays.copyOf(answer, length));
                },
                () -> {},
                () -> {});
        if (kind == 1) {
            foreignMet = true;
            made.send(false, ascii("SSH-2.0-Other_1\r\n"));
        } else {
            made.send(false, ascii(offer() + "\r\n"));
        }
    }

    /** Somebody who has listened asks for the tether. */
    private void forge() {
        Pipe made = new Pipe(this, SECOND / 100);
        accept(made, true);
        String line;
        if (!overheard.isEmpty() && dice.nextInt(2) == 0) {
            line = overheard.get(dice.nextInt(overheard.size()));
            if (dice.nextInt(4) == 0) {
                line = line.substring(0, dice.nextInt(line.length())) + "\r\n";
            }
        } else {
            line =
                    "SSH-2.0-Eve "
                            + new TetherLine.Resume(
                                            dice.nextInt(3) == 0 ? Bytes.of(bytes(16)) : id,
                                            1 + dice.nextLong(1L << 40),
                                            dice.nextInt(100_000),
                                            0,
                                            Bytes.of(bytes(16)),
                                            Bytes.of(bytes(32)))
                                    .word()
                            + "\r\n";
        }
        made.send(true, ascii(line));
    }

    /** A peer that breaks the protocol: bytes that it never should have sent. */
    private void lie() {
        if (newest != null) {
            byte[] garbage = bytes(1 + dice.nextInt(40));
            if (dice.nextInt(2) == 0) {
                garbage[0] = (byte) (1 + dice.nextInt(8));
            }
            newest.send(dice.nextBoolean(), garbage);
        }
    }

    // --- what the ends ask

    long now() {
        return now;
    }

    Moment moment() {
        return new Moment(now);
    }

    Twist twist() {
        return twist;
    }

    void at(long when, Runnable what) {
        agenda.add(new Happening(Math.max(when, now), order++, what));
    }

    long below(long bound) {
        return dice.nextLong(bound);
    }

    /** When what would arrive at {@code at} really does. */
    long through(long at) {
        for (Down down : downs) {
            if (at >= down.from && at < down.to) {
                return through(down.to + dice.nextLong(2 * SECOND));
            }
        }
        return at;
    }

    int piece(int length) {
        return dice.nextInt(3) == 0 ? 1 + dice.nextInt(Math.min(length, 7)) : length;
    }

    int fillSize() {
        return dice.nextInt(4) == 0 ? 128 + dice.nextInt(300) : 4096;
    }

    int takeSize() {
        return dice.nextInt(6) == 0 ? 1 + dice.nextInt(100) : 4096;
    }

    /** How much the program of an end has to say by now. */
    long allowed(boolean ofClient) {
        long all = toWrite[ofClient ? 0 : 1];
        return now >= active ? all : (long) ((double) all * now / active);
    }

    byte byteAt(boolean ofClient, long offset) {
        long z = seed * 31 + offset * 2 + (ofClient ? 1 : 0);
        z *= 0x9E3779B97F4A7C15L;
        return (byte) (z >>> 56);
    }

    boolean allTaken() {
        return client.taken() == toWrite[1] && server.taken() == toWrite[0];
    }

    // --- the referee

    void wrongByte(End end, long offset) {
        if (!lying) {
            violate(
                    Run.Rule.BYTES,
                    "byte " + offset + " is wrong at the " + (end.client ? "client" : "server"));
        }
    }

    void checkMemory(End end) {
        if (end.tether.memory() > 2 * WINDOW) {
            violate(Run.Rule.MEMORY, end.tether.memory() + " bytes are kept");
        }
        if (end.taken() > toWrite[end.client ? 1 : 0] && !lying) {
            violate(Run.Rule.BYTES, "more was taken than written");
        }
    }

    void faulted(End end, Fault fault) {
        if (!lying) {
            violate(
                    Run.Rule.PROTOCOL,
                    "the " + (end.client ? "client" : "server") + " saw " + fault);
        }
    }

    void wokenForNothing(End end, Moment due) {
        violate(
                Run.Rule.PROGRESS,
                "the "
                        + (end.client ? "client" : "server")
                        + " has nothing to say and is told to say it since "
                        + due);
    }

    void noProgress(End end, CarrierEvent event) {
        violate(Run.Rule.PROGRESS, "woken for nothing after " + event + " in " + end.state());
    }

    private void violate(Run.Rule rule, String what) {
        violations.add(new Violation(rule, new Moment(now), what));
    }

    private byte[] bytes(int length) {
        byte[] some = new byte[length];
        dice.nextBytes(some);
        return some;
    }

    private static String text(byte[] ascii) {
        StringBuilder text = new StringBuilder(ascii.length);
        for (byte one : ascii) {
            text.append((char) one);
        }
        return text.toString();
    }

    private static byte[] ascii(String text) {
        byte[] some = new byte[text.length()];
        for (int i = 0; i < some.length; i++) {
            some[i] = (byte) text.charAt(i);
        }
        return some;
    }

    /** Something that should never happen. */
    public record Violation(Run.Rule rule, Moment at, String what) {}

    /** Stands for HMAC: who does not have the key cannot make it in this world. */
    private record Mixer(long key) implements Prover {
        @Override
        public byte[] mac(byte[] message) {
            byte[] proof = new byte[8 * KEY_WORDS];
            long h = key;
            for (byte one : message) {
                h = (h ^ one) * 0x100000001B3L;
                h ^= h >>> 29;
            }
            for (int i = 0; i < proof.length; i++) {
                h = (h ^ (h >>> 30)) * 0xBF58476D1CE4E5B9L + i;
                proof[i] = (byte) (h >>> 48);
            }
            return proof;
        }
    }
}
