package holdfast.ssh.link;

import java.lang.ref.ReferenceQueue;
import java.lang.ref.WeakReference;
import java.util.concurrent.atomic.AtomicBoolean;

/**
 * Keeps the heap near the size of what lives in it, while there is much to do; {@link Reclaim} does
 * so when it is over.
 *
 * <p>The VM's serial collector goes through what has grown old only once the heap is as large as it
 * may ever be, which is a quarter of the machine's memory: until then it takes more of it (JDK 25).
 * A forwarded connection lives for longer than the young generation lasts, so that each left
 * something behind: a thousand at a time made a client grow by 80 MiB a minute, of which none was
 * in use.
 *
 * <p>Its thread is woken by the collections of the young generation, each of which clears a weak
 * reference. A process that has nothing to do is never woken.
 */
public final class Growth {

    /** What it may grow by, however little lives in it: 16 MiB. */
    private static final long ROOM = 16L << 20;

    /** A collection stops everything: of all time, it may take one part of so many. */
    private static final int SHARE = 25;

    private static final AtomicBoolean WATCHED = new AtomicBoolean();

    private long least = Long.MAX_VALUE;
    private long alive;
    private long over = Long.MIN_VALUE;

    Growth() {}

    /** From now on the heap of this process is watched. */
    public static void watch() {
        if (WATCHED.compareAndSet(false, true)) {
            Thread.ofPlatform().daemon().name("memory").start(() -> new Growth().run());
        }
    }

    /**
     * Whether all of the heap is to be collected now: it has grown by as much as lives in it.
     *
     * @param size what the VM has taken for it, in bytes
     * @param now in nanoseconds
     */
    boolean tooMuch(long size, long now) {
        least = Math.min(least, size);
        return size - least > Math.max(ROOM, alive) && now >= over;
    }

    /**
     * It has been collected, from and until these times in nanoseconds, and is so large now.
     *
     * @param used how much of it is alive, in bytes
     */
    void collected(long size, long used, long from, long until) {
        least = size;
        alive = used;
        over = until + SHARE * (until - from);
    }

    private void run() {
        Runtime vm = Runtime.getRuntime();
        ReferenceQueue<Object> cleared = new ReferenceQueue<>();
        try {
            while (true) {
                // Kept until the end of the turn: a reference that nobody has is never cleared.
                WeakReference<Object> young = new WeakReference<>(new Object(), cleared);
                cleared.remove();
                young.clear();
                long from = System.nanoTime();
                if (tooMuch(vm.totalMemory(), from)) {
                    System.gc();
                    long size = vm.totalMemory();
                    collected(size, size - vm.freeMemory(), from, System.nanoTime());
                }
            }
        } catch (InterruptedException e) {
            // nobody does; the heap is as the VM keeps it then
        }
    }
}
