package holdfast.ssh.server;

import holdfast.core.time.Moment;
import holdfast.core.time.TimingWheel.Timer;
import holdfast.ssh.link.Deadlines;
import java.time.Duration;

/**
 * Gives memory back to the system when many connections have gone.
 *
 * <p>The VM collects when it needs room. After half of a crowd has died it needs none, and would
 * keep what they had for as long as the server has little to do.
 *
 * <p>Not thread-safe: on the deadlines' thread.
 */
final class Reclaim {

    /** A wave of departures is over when nobody has gone for so long. */
    private static final Duration CALM = Duration.ofSeconds(3);

    /**
     * Between two collections, and the longest that one is put off: it stops everything for a third
     * of a second with 10,000 connections.
     */
    private static final Duration SELDOM = Duration.ofMinutes(1);

    /** Fewer are not worth it, however few remain. */
    private static final int FEW = 64;

    /** One departure to this many that remain makes a wave. */
    private static final int SHARE = 50;

    private final Deadlines deadlines;
    private final Runnable collect;
    private final Timer<Runnable> timer = new Timer<>(this::due);
    private int gone;
    private Moment earliest;
    private Moment latest = Moment.NEVER;

    /**
     * @param collect called on the deadlines' thread; what stops the VM stops that thread anyway
     */
    Reclaim(Deadlines deadlines, Runnable collect) {
        this.deadlines = deadlines;
        this.collect = collect;
        earliest = deadlines.clock().now();
    }

    /** One has gone, and so many remain. */
    void gone(int remaining) {
        gone++;
        if (gone < Math.max(FEW, remaining / SHARE)) {
            return;
        }
        Moment now = deadlines.clock().now();
        if (latest.equals(Moment.NEVER)) {
            latest = now.plus(SELDOM);
        }
        deadlines.set(timer, Moment.later(earliest, Moment.earlier(latest, now.plus(CALM))));
    }

    private void due() {
        gone = 0;
        earliest = deadlines.clock().now().plus(SELDOM);
        latest = Moment.NEVER;
        collect.run();
    }
}
