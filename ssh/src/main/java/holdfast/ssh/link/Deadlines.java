package holdfast.ssh.link;

import holdfast.core.time.Moment;
import holdfast.core.time.TimingWheel;
import holdfast.core.time.TimingWheel.Timer;
import java.time.Duration;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.locks.LockSupport;
import java.util.function.Consumer;

/**
 * All deadlines of a server on one thread: the links' and every other limit on time.
 *
 * <p>What {@link #post posted} work and timers run must not block. Nothing runs at the same time as
 * anything else here, so that what is touched from here alone needs no lock.
 */
public final class Deadlines implements AutoCloseable {

    /** How late a deadline may be noticed. */
    private static final Duration TICK = Duration.ofMillis(50);

    /** One turn of the wheel is a little over three minutes; keepalives mostly fit in. */
    private static final int TICKS = 4096;

    /**
     * The longest wait between two looks at the clock, which bounds how late a sleep is noticed.
     */
    private static final Duration LOOK_ROUND = Duration.ofSeconds(5);

    private final LinkClock clock = new LinkClock();
    private final TimingWheel<Runnable> wheel = new TimingWheel<>(clock.now(), TICK, TICKS);
    // Bounded by what posts: a few for each connection that opens, answers or ends.
    private final ConcurrentLinkedQueue<Runnable> posted = new ConcurrentLinkedQueue<>();
    private final Consumer<Duration> slept;
    private final Consumer<Throwable> failed;
    private final Thread thread;
    private volatile boolean waiting;
    private volatile boolean over;

    /**
     * @param slept told on the deadlines' thread how long the machine has been asleep
     * @param failed told of a mistake in what was run; the thread goes on
     */
    public Deadlines(String name, Consumer<Duration> slept, Consumer<Throwable> failed) {
        this.slept = slept;
        this.failed = failed;
        thread = Thread.ofPlatform().daemon().name(name).unstarted(this::run);
        thread.start();
    }

    public LinkClock clock() {
        return clock;
    }

    /** Has {@code work} run on the thread, soon. From any thread. */
    public void post(Runnable work) {
        posted.add(work);
        if (waiting) {
            LockSupport.unpark(thread);
        }
    }

    /** Sets a timer; only on the deadlines' own thread. */
    public void set(Timer<Runnable> timer, Moment at) {
        wheel.set(timer, at);
    }

    /** Stops a timer; only on the deadlines' own thread. */
    public void cancel(Timer<Runnable> timer) {
        wheel.cancel(timer);
    }

    /** Ends the thread; what has not come due will not. */
    @Override
    public void close() {
        over = true;
        LockSupport.unpark(thread);
    }

    private void run() {
        while (!over) {
            Duration gap = clock.look();
            if (!gap.isZero()) {
                perform(() -> slept.accept(gap));
            }
            Runnable work;
            while ((work = posted.poll()) != null) {
                perform(work);
            }
            wheel.advance(clock.now(), this::perform);
            waiting = true;
            if (posted.isEmpty() && !over) {
                Duration quiet = clock.now().until(wheel.quietUntil());
                Duration wait = quiet.compareTo(LOOK_ROUND) > 0 ? LOOK_ROUND : quiet;
                LockSupport.parkNanos(this, Math.max(0, wait.toNanos()));
            }
            waiting = false;
        }
    }

    /** One connection's mistake must not stop all the others. */
    private void perform(Runnable work) {
        try {
            work.run();
        } catch (Throwable t) {
            failed.accept(t);
        }
    }
}
