package holdfast.ssh.link;

import java.time.Duration;
import java.util.concurrent.Future;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.function.LongSupplier;
import org.apache.sshd.common.AttributeRepository.AttributeKey;
import org.apache.sshd.common.FactoryManager;
import org.jspecify.annotations.Nullable;

/**
 * Gives memory back to the system when many connections, or many that were forwarded over one, have
 * gone.
 *
 * <p>The VM collects when it needs room. After half of a crowd has died it needs none, and would
 * keep what they had for as long as there is little to do.
 */
public final class Reclaim {

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

    private static final AttributeKey<Reclaim> OF = new AttributeKey<>();

    private final ScheduledExecutorService timer;
    private final Runnable collect;
    private final LongSupplier nanoTime;

    // Guarded by this. Times are nanoTime's.
    private int gone;
    private @Nullable Future<?> next;
    private long wave;
    private long last;
    private long collected;

    /**
     * @param collect called on the timer's thread; what stops the VM stops that thread anyway
     * @param nanoTime System.nanoTime, or a test's
     */
    Reclaim(ScheduledExecutorService timer, Runnable collect, LongSupplier nanoTime) {
        this.timer = timer;
        this.collect = collect;
        this.nanoTime = nanoTime;
        collected = nanoTime.getAsLong() - SELDOM.toNanos();
    }

    /** The one of a whole client or server. */
    public static Reclaim of(FactoryManager mina) {
        return mina.computeAttributeIfAbsent(
                OF,
                key ->
                        new Reclaim(
                                mina.getScheduledExecutorService(), System::gc, System::nanoTime));
    }

    /** One has gone, and so many of its kind remain. From any thread. */
    public synchronized void gone(int remaining) {
        gone++;
        last = nanoTime.getAsLong();
        if (next == null && gone >= Math.max(FEW, remaining / SHARE)) {
            wave = last;
            look();
        }
    }

    /** When it is to be: when all is calm, not too late, and not too soon after the last time. */
    private long due() {
        long calm = Math.min(last + CALM.toNanos() - wave, SELDOM.toNanos());
        return Math.max(wave + calm, collected + SELDOM.toNanos());
    }

    private void look() {
        try {
            next = timer.schedule(this::now, due() - nanoTime.getAsLong(), TimeUnit.NANOSECONDS);
        } catch (RejectedExecutionException e) {
            // all of it is ending: the system gets everything back
        }
    }

    private void now() {
        synchronized (this) {
            if (nanoTime.getAsLong() - due() < 0) {
                look(); // more have gone meanwhile
                return;
            }
            gone = 0;
            next = null;
            collected = nanoTime.getAsLong();
        }
        collect.run();
    }
}
