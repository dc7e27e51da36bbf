package holdfast.ssh.server;

import holdfast.core.liveness.Link;
import holdfast.core.liveness.LinkCommand;
import holdfast.core.liveness.LinkEvent;
import holdfast.core.liveness.LinkState;
import holdfast.core.liveness.LivenessPolicy;
import holdfast.core.liveness.Step;
import holdfast.core.time.Moment;
import holdfast.core.time.TimingWheel.Timer;
import holdfast.ssh.link.Deadlines;
import java.util.function.Consumer;

/**
 * One connection under {@link Link#on}: the server's counterpart of {@link
 * holdfast.ssh.link.LinkLoop}, driven from the server's one thread of deadlines.
 *
 * <p>All state is the deadlines' thread's, but for two volatiles that whoever reads the network
 * writes: bulk traffic costs one write for each read of the socket and wakes nobody.
 */
final class ServerLink {

    private final Deadlines deadlines;
    private final Consumer<LinkCommand> hands;
    private final Timer<Runnable> timer = new Timer<>(this::look);
    private LivenessPolicy policy;
    private volatile LinkState state;
    private volatile long lastByte;
    private volatile long lastPacket;
    private long toldByte;
    private long toldPacket;

    /**
     * @param hands carries out what was decided, on the deadlines' thread; must not block
     */
    ServerLink(Deadlines deadlines, LivenessPolicy policy, Consumer<LinkCommand> hands) {
        this.deadlines = deadlines;
        this.policy = policy;
        this.hands = hands;
        Moment now = deadlines.clock().now();
        state = Link.opening(now, now);
        lastByte = now.nanos();
        lastPacket = lastByte;
        toldByte = lastByte;
        toldPacket = lastByte;
    }

    void start() {
        deadlines.post(this::look);
    }

    /** Bytes came, of whatever kind. From any thread. */
    void heardBytes() {
        lastByte = deadlines.clock().now().nanos();
    }

    /** A whole packet came. From any thread. */
    void heardPacket() {
        lastPacket = deadlines.clock().now().nanos();
    }

    /** From any thread. */
    void post(LinkEvent event) {
        deadlines.post(() -> on(event));
    }

    /** The user is in, and from here the connection is judged by {@code now}. From any thread. */
    void authenticated(LivenessPolicy now) {
        deadlines.post(() -> {
            policy = now;
            on(new LinkEvent.Authenticated());
        });
    }

    /** What is known of the link now. */
    LinkState state() {
        return state;
    }

    /** When something was last received. */
    Moment lastByte() {
        return new Moment(lastByte);
    }

    /** On the deadlines' thread. */
    void on(LinkEvent event) {
        long heardByte = lastByte;
        long heardPacket = lastPacket;
        if (heardByte != toldByte || heardPacket != toldPacket) {
            toldByte = heardByte;
            toldPacket = heardPacket;
            step(new LinkEvent.Heard(new Moment(heardByte), new Moment(heardPacket)));
        }
        step(event);
        Moment wakeAt = Link.wakeAt(state, policy);
        if (wakeAt.equals(Moment.NEVER)) {
            deadlines.cancel(timer);
        } else {
            deadlines.set(timer, wakeAt);
        }
    }

    private void look() {
        on(new LinkEvent.TimePassed());
    }

    private void step(LinkEvent event) {
        Step step = Link.on(state, event, deadlines.clock().now(), policy);
        state = step.next();
        step.commands().forEach(hands);
    }
}
