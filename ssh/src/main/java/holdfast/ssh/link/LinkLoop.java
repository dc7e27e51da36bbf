package holdfast.ssh.link;

import holdfast.core.liveness.Link;
import holdfast.core.liveness.LinkCommand;
import holdfast.core.liveness.LinkEvent;
import holdfast.core.liveness.LinkState;
import holdfast.core.liveness.LivenessPolicy;
import holdfast.core.liveness.Step;
import holdfast.core.time.Moment;
import java.time.Duration;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/**
 * The one loop of a link: takes events from a mailbox, asks {@link Link#on}, and has the answers
 * carried out.
 *
 * <p>Everything that decides runs on the loop's own thread; every other thread only posts, or
 * writes a volatile that the loop reads when it wakes. What bulk traffic costs is one such write
 * for each read of the socket.
 */
public final class LinkLoop implements Runnable {

    /** Carries out what was decided. Called on the loop's thread only; must not block. */
    public interface Hands {
        void perform(LinkCommand command);
    }

    /** Sees every decision as it is made: a recorder, a dashboard, the demo. */
    public interface Watcher {
        Watcher NOBODY = (at, event, before, after) -> {};

        void saw(Moment at, LinkEvent event, LinkState before, LinkState after);
    }

    /**
     * The longest wait between two looks at the clock: nothing wakes a process when the machine
     * wakes, so this bounds how late a sleep is noticed.
     */
    private static final Duration LOOK_ROUND = Duration.ofSeconds(5);

    private volatile LivenessPolicy policy;
    private final LinkClock clock;
    private final Hands hands;
    private final Watcher watcher;
    // Bounded by what posts: a handful of events for each phase, probe, question and second of
    // typing.
    private final LinkedBlockingQueue<LinkEvent> mailbox = new LinkedBlockingQueue<>();

    private volatile Moment lastByte;
    private volatile Moment lastPacket;
    private volatile boolean listeningForSpeech = true;
    private volatile LinkState state;
    private Moment toldByte;
    private Moment toldPacket;

    /**
     * @param started when the attempt to reach the peer began
     */
    public LinkLoop(
            LivenessPolicy policy, LinkClock clock, Moment started, Hands hands, Watcher watcher) {
        this.policy = policy;
        this.clock = clock;
        this.hands = hands;
        this.watcher = watcher;
        Moment now = clock.now();
        state = Link.opening(started, now);
        lastByte = now;
        lastPacket = now;
        toldByte = now;
        toldPacket = now;
    }

    /** Starts the loop on a thread of its own, which ends when the link is dead. */
    public void start(String name) {
        Thread.ofPlatform().daemon().name(name).start(this);
    }

    /** Has the link judged by {@code other} from now on. */
    public void judgeBy(LivenessPolicy other) {
        policy = other;
        post(new LinkEvent.TimePassed());
    }

    public void post(LinkEvent event) {
        mailbox.add(event);
    }

    /** Bytes came, of whatever kind. */
    public void heardBytes() {
        lastByte = clock.now();
    }

    /** When bytes last came; at first, when the loop was made. */
    public Moment lastHeard() {
        return lastByte;
    }

    /** A whole packet came. */
    public void heardPacket() {
        lastPacket = clock.now();
    }

    /** Data of the person's was sent. Posts at most one event until the loop has dealt with it. */
    public void spoke() {
        if (listeningForSpeech) {
            listeningForSpeech = false;
            post(new LinkEvent.Spoke(clock.now()));
        }
    }

    /** What is known of the link now. */
    public LinkState state() {
        return state;
    }

    public LinkClock clock() {
        return clock;
    }

    @Override
    public void run() {
        Moment wakeAt = Link.wakeAt(state, policy);
        while (!(state instanceof LinkState.Dead)) {
            LinkEvent event;
            try {
                event = nextEvent(wakeAt);
            } catch (InterruptedException e) {
                return; // nobody interrupts the loop but the end of the process
            }
            Duration slept = clock.look();
            if (!slept.isZero()) {
                wakeAt = step(new LinkEvent.Slept(slept));
            }
            Moment heardByte = lastByte;
            Moment heardPacket = lastPacket;
            if (!heardByte.equals(toldByte) || !heardPacket.equals(toldPacket)) {
                toldByte = heardByte;
                toldPacket = heardPacket;
                wakeAt = step(new LinkEvent.Heard(heardByte, heardPacket));
            }
            if (event != null) {
                wakeAt = step(event);
            } else if (!clock.now().isBefore(wakeAt)) {
                wakeAt = step(new LinkEvent.TimePassed());
            }
            listeningForSpeech = true;
        }
    }

    private @Nullable LinkEvent nextEvent(Moment wakeAt) throws InterruptedException {
        Duration left = clock.now().until(wakeAt);
        Duration wait = left.compareTo(LOOK_ROUND) > 0 ? LOOK_ROUND : left;
        return mailbox.poll(Math.max(0, wait.toNanos()), TimeUnit.NANOSECONDS);
    }

    private Moment step(LinkEvent event) {
        LinkState before = state;
        Moment now = clock.now();
        Step step = Link.on(before, event, now, policy);
        state = step.next();
        for (LinkCommand command : step.commands()) {
            guarded(() -> hands.perform(command));
        }
        guarded(() -> watcher.saw(now, event, before, step.next()));
        return step.wakeAt();
    }

    /** Whatever goes wrong with what was decided, the link is judged on. */
    private static void guarded(Runnable told) {
        try {
            told.run();
        } catch (Throwable t) {
            Thread now = Thread.currentThread();
            now.getUncaughtExceptionHandler().uncaughtException(now, t);
        }
    }
}
