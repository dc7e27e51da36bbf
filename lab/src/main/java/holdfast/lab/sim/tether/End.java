package holdfast.lab.sim.tether;

import holdfast.core.tether.CarrierCommand;
import holdfast.core.tether.CarrierEvent;
import holdfast.core.tether.CarrierPolicy;
import holdfast.core.tether.CarrierState;
import holdfast.core.tether.CarrierStep;
import holdfast.core.tether.Carriers;
import holdfast.core.tether.Tether;
import holdfast.core.tether.Traffic;
import holdfast.core.time.Moment;
import java.time.Duration;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/** One end: a program that writes and takes, a tether, and the hands of its decision. */
final class End {

    /** How one carrier is read and written; the world makes the connections. */
    interface Hands {
        void dial(long generation);

        void abandon(long generation);
    }

    private static final int PIECE = 4096;

    final boolean client;
    private final World world;
    private final CarrierPolicy policy;
    final Tether tether;
    private final long toWrite;
    private final Duration stall;
    private @Nullable Hands hands;
    private CarrierState state;
    private Moment wakeAt = Moment.NEVER;
    private Moment alarm = Moment.NEVER;
    private Tether.@Nullable Carrier carrier;
    private @Nullable Pipe pipe;
    private long written;
    private long taken;
    private long mayTakeFrom;
    private long lastSent;
    private final byte[] scratch = new byte[PIECE];
    private final byte[] outgoing = new byte[PIECE];
    private final Traffic traffic = new Traffic();
    private boolean pumping;
    private boolean leaving;
    private int shown;

    End(
            World world,
            boolean client,
            Tether tether,
            CarrierPolicy policy,
            long toWrite,
            Duration stall) {
        this.world = world;
        this.client = client;
        this.tether = tether;
        this.policy = policy;
        this.toWrite = toWrite;
        this.stall = stall;
        this.state = Carriers.begin(world.moment());
    }

    void hands(Hands found) {
        hands = found;
    }

    CarrierState state() {
        return state;
    }

    long taken() {
        return taken;
    }

    long written() {
        return written;
    }

    boolean over() {
        return state instanceof CarrierState.Over;
    }

    CarrierState.@Nullable Ending ending() {
        return state instanceof CarrierState.Over over ? over.why() : null;
    }

    int shown() {
        return shown;
    }

    /** A carrier that is the tether's current one now. */
    void carry(Tether.Carrier next, Pipe through) {
        Pipe old = pipe;
        carrier = next;
        pipe = through;
        if (next.generation() > 0) {
            if (!client) {
                event(new CarrierEvent.Held(tether.hold())); // a proved request says so, too
            }
            event(new CarrierEvent.Resumed(next.generation()));
        }
        if (old != null) {
            old.close(client);
        }
        pump();
    }

    /** Whether the program above leaves as soon as all is done. */
    void leave() {
        leaving = true;
        pump();
    }

    void lost(Tether.Carrier which, boolean fault) {
        if (which != carrier) {
            return;
        }
        carrier = null;
        Pipe old = pipe;
        pipe = null;
        if (old != null) {
            old.close(client);
        }
        tether.park();
        event(new CarrierEvent.Lost(which.generation(), fault));
    }

    /** Bytes that came on a carrier. */
    void received(Tether.Carrier which, byte[] bytes) {
        if (over() || which != carrier) {
            return;
        }
        int given = client ? bytes.length : world.twist().given(bytes.length);
        Tether.News news = which.received(bytes, 0, given, world.moment());
        world.checkMemory(this);
        traffic.heard(world.moment(), news.bytes() > 0);
        if (news.pong() != null) {
            event(new CarrierEvent.PingAnswered(news.pong(), world.moment()));
        }
        if (news.held()) {
            event(new CarrierEvent.Held(tether.hold()));
        }
        if (news.fault() != null) {
            world.faulted(this, news.fault());
            lost(which, true);
        }
        pump();
    }

    void event(CarrierEvent event) {
        tell();
        decide(event);
    }

    private void tell() {
        traffic.take().forEach(this::decide);
    }

    private void decide(CarrierEvent event) {
        if (over()) {
            return;
        }
        CarrierStep step = world.twist().decide(state, event, world.moment(), policy);
        state = step.next();
        wakeAt = step.wakeAt();
        if (!world.moment().isBefore(wakeAt)) {
            world.noProgress(this, event);
            return;
        }
        arm(wakeAt);
        for (CarrierCommand command : step.commands()) {
            perform(command);
        }
    }

    /** One alarm at a time; one that comes too early arms the next. */
    private void arm(Moment when) {
        if (!when.isBefore(alarm)) {
            return;
        }
        alarm = when;
        world.at(
                when.nanos(),
                () -> {
                    if (!when.equals(alarm)) {
                        return;
                    }
                    alarm = Moment.NEVER;
                    if (over()) {
                        return;
                    }
                    tell();
                    if (over()) {
                        return;
                    }
                    if (!world.moment().isBefore(wakeAt)) {
                        decide(new CarrierEvent.TimePassed());
                    } else {
                        arm(wakeAt);
                    }
                    pump();
                });
    }

    private void perform(CarrierCommand command) {
        switch (command) {
            case CarrierCommand.Ping ping -> {
                if (carrier != null) {
                    carrier.ping(ping.sent());
                    world.at(world.now(), this::pump);
                }
            }
            case CarrierCommand.Dial dial -> {
                if (hands != null) {
                    hands.dial(dial.generation());
                }
            }
            case CarrierCommand.Abandon abandon -> {
                if (hands != null) {
                    hands.abandon(abandon.generation());
                }
            }
            case CarrierCommand.Drop drop -> {
                if (carrier != null && carrier.generation() == drop.generation()) {
                    carrier = null;
                    tether.park();
                    if (pipe != null) {
                        pipe.close(client);
                        pipe = null;
                    }
                }
            }
            case CarrierCommand.Show _ -> shown++;
            case CarrierCommand.Hide _ -> shown--;
            case CarrierCommand.End _ -> {
                carrier = null;
                if (pipe != null) {
                    pipe.close(client);
                    pipe = null;
                }
            }
        }
    }

    /** Moves what can be moved. */
    void pump() {
        if (over() || pumping) {
            return;
        }
        pumping = true;
        boolean spoke = false;
        write();
        take();
        byte[] buffer = outgoing;
        while (carrier != null && pipe != null && carrier.wants(world.moment())) {
            int room = Math.min(pipe.room(client), world.fillSize());
            if (room < 128) {
                break;
            }
            int count = carrier.fill(buffer, 0, Math.min(room, PIECE), world.moment());
            if (count == 0) {
                world.wokenForNothing(this, world.moment());
                break;
            }
            spoke = true;
            pipe.send(client, Arrays.copyOf(buffer, count));
            write();
        }
        world.checkMemory(this);
        pumping = false;
        long sent = tether.sent();
        if (spoke && sent > lastSent) {
            lastSent = sent;
            traffic.spoke(world.moment());
            if (traffic.presses(alarm)) {
                tell();
            }
        }
        Moment wake = tether.wakeAt();
        if (world.moment().isBefore(wake)) {
            arm(wake);
        } else if (carrier != null && !carrier.wants(world.moment())) {
            world.wokenForNothing(this, wake);
        }
        finish();
    }

    private void write() {
        long allowed = Math.min(toWrite, world.allowed(client));
        byte[] some = scratch;
        while (written < allowed) {
            int count = (int) Math.min(some.length, allowed - written);
            for (int i = 0; i < count; i++) {
                some[i] = world.byteAt(client, written + i);
            }
            int took = tether.write(some, 0, count);
            written += took;
            if (took == 0) {
                return;
            }
        }
    }

    private void take() {
        byte[] some = scratch;
        while (world.now() >= mayTakeFrom) {
            int count = tether.take(some, 0, world.takeSize(), world.moment());
            if (count <= 0) {
                return;
            }
            for (int i = 0; i < count; i++) {
                if (some[i] != world.byteAt(!client, taken + i)) {
                    world.wrongByte(this, taken + i);
                    return;
                }
            }
            taken += count;
            if (!stall.isZero() && world.below(50) == 0) {
                mayTakeFrom = world.now() + stall.toNanos();
                world.at(mayTakeFrom, this::pump);
            }
        }
    }

    private void finish() {
        if (over()) {
            return;
        }
        if (client && leaving && tether.acknowledged() && written == toWrite && world.allTaken()) {
            tether.finish(0);
            leaving = false;
            world.at(world.now(), this::pump);
        }
        if (tether.finished() && carrier != null) {
            event(new CarrierEvent.Finished());
        } else if (tether.peerClosed() >= 0 && tether.waiting() == 0) {
            event(new CarrierEvent.Finished());
        }
    }
}
