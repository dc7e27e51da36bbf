package holdfast.ssh.server.session;

import holdfast.ssh.stream.CarryingThread;
import java.util.ArrayDeque;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * What one channel has to have done that may take milliseconds, one after another, on a few threads
 * that all channels share: opening a terminal, starting a program, an answer that must come after
 * those.
 *
 * <p>The threads are there from the start and for ever, so that whoever wakes one never makes one:
 * a thread made by a thread that acts as a user would have that user's rights.
 */
final class Errands {

    private static final int THREADS = 4;

    /** More than any client has reason to ask before it is answered. */
    private static final int MOST_WAITING = 256;

    private static final AtomicInteger COUNT = new AtomicInteger();

    private static final ThreadPoolExecutor POOL = pool();

    private final ArrayDeque<Runnable> waiting = new ArrayDeque<>();
    private boolean running;

    private static ThreadPoolExecutor pool() {
        ThreadPoolExecutor pool =
                new ThreadPoolExecutor(
                        THREADS,
                        THREADS,
                        0,
                        TimeUnit.SECONDS,
                        // Bounded by one entry for each channel and MOST_WAITING behind it.
                        new LinkedBlockingQueue<>(),
                        work -> new CarryingThread("session-" + COUNT.incrementAndGet(), work));
        pool.prestartAllCoreThreads();
        return pool;
    }

    /** Makes the threads now. */
    static void begin() {
        POOL.getPoolSize();
    }

    /** Runs {@code errand} some time on one of the threads, in no order with others. */
    static void once(Runnable errand) {
        POOL.execute(errand);
    }

    /**
     * Queues an errand.
     *
     * @return false: too many wait already
     */
    boolean add(Runnable errand) {
        synchronized (waiting) {
            if (waiting.size() >= MOST_WAITING) {
                return false;
            }
            waiting.add(errand);
            if (running) {
                return true;
            }
            running = true;
        }
        POOL.execute(this::run);
        return true;
    }

    private void run() {
        Runnable next;
        synchronized (waiting) {
            next = waiting.poll();
        }
        try {
            if (next != null) {
                next.run();
            }
        } finally {
            boolean more;
            synchronized (waiting) {
                more = !waiting.isEmpty();
                running = more;
            }
            if (more) {
                POOL.execute(this::run);
            }
        }
    }
}
