package holdfast.ssh.client;

import holdfast.ssh.link.Ring;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.WritableByteChannel;
import java.util.concurrent.locks.LockSupport;
import org.jspecify.annotations.Nullable;

/**
 * One stream of a session on its way out: bytes from the peer, kept in a ring until the person's
 * side takes them.
 *
 * <p>The thread that reads the network puts, and never blocks: the channel's window is the ring's
 * bound, and is given back only for what has been written. A thread of the drain's own writes, and
 * may block for as long as the reader of our output pleases.
 *
 * <p>To wake a thread costs as much as to decrypt a packet. Bytes that come now and then are
 * written at once; while they pour the drain looks by itself, at intervals too short to be felt.
 */
final class Drain implements Runnable {

    /** What the drain's owner is told; called on the drain's thread. */
    interface Owner {
        /** {@code count} more bytes have left; the peer may send as many. */
        void drained(int count);

        /** Nobody takes our output any more. */
        void broken(IOException error);
    }

    private static final int FIRST_CAPACITY = 64 * 1024;

    /** One write at most, so that the window is given back while a slow reader takes its time. */
    private static final int WRITE_SIZE = 256 * 1024;

    /** Between two looks while bytes pour: 0.5 ms. */
    private static final long INTERVAL_NANOS = 500_000;

    /** Bytes pour when so many came since the last look: 64 KiB in 0.5 ms are 130 MB/s. */
    private static final int POURING = 64 * 1024;

    /**
     * So many are written without waiting for the next look; a processor's cache still holds them.
     */
    private static final int ENOUGH = 512 * 1024;

    private final WritableByteChannel out;
    private final Owner owner;
    private final Object lock = new Object();

    // Guarded by the lock.
    private final Ring ring = new Ring(FIRST_CAPACITY);
    private boolean idle;
    private boolean pausing;
    private boolean finished;
    private boolean dry;
    private boolean broken;
    private @Nullable Thread thread;

    Drain(WritableByteChannel out, Owner owner) {
        this.out = out;
        this.owner = owner;
    }

    /** Takes a copy of {@code length} bytes. */
    void put(byte[] bytes, int offset, int length) {
        synchronized (lock) {
            if (!broken) {
                ring.put(bytes, offset, length);
                if (thread == null) {
                    thread = Thread.ofPlatform().daemon().name("drain").start(this);
                } else if (idle || (pausing && ring.held() >= ENOUGH)) {
                    wake();
                }
                return;
            }
        }
        owner.drained(length);
    }

    /** No more will be put. */
    void finish() {
        synchronized (lock) {
            finished = true;
            dry = dry || thread == null;
            wake();
        }
    }

    /** Whether everything has been written that was put, or cannot be. */
    boolean dry() {
        synchronized (lock) {
            return dry;
        }
    }

    private void wake() {
        idle = false;
        if (pausing) {
            pausing = false;
            LockSupport.unpark(thread);
        }
        lock.notifyAll();
    }

    /** Waits until everything has been written, or cannot be. */
    void awaitDry() throws InterruptedException {
        synchronized (lock) {
            while (!dry) {
                lock.wait();
            }
        }
    }

    @Override
    public void run() {
        try {
            int sincePause = 0;
            while (true) {
                boolean pause;
                ByteBuffer some = null;
                synchronized (lock) {
                    pause = ring.held() == 0 && !finished && sincePause >= POURING;
                    if (pause) {
                        pausing = true;
                    } else {
                        while (ring.held() == 0 && !finished) {
                            idle = true;
                            sincePause = 0;
                            lock.wait();
                        }
                        if (ring.held() == 0) {
                            dry = true;
                            lock.notifyAll();
                            return;
                        }
                        idle = false;
                        some = ring.oldest(WRITE_SIZE);
                    }
                }
                if (some == null) {
                    LockSupport.parkNanos(this, INTERVAL_NANOS);
                    sincePause = 0;
                    synchronized (lock) {
                        pausing = false;
                    }
                    continue;
                }
                int written = Patient.write(out, some);
                sincePause += written;
                synchronized (lock) {
                    ring.drop(written);
                }
                owner.drained(written);
            }
        } catch (IOException e) {
            int lost;
            synchronized (lock) {
                broken = true;
                dry = true;
                lost = ring.held();
                ring.clear();
                lock.notifyAll();
            }
            owner.drained(lost);
            owner.broken(e);
        } catch (InterruptedException e) {
            synchronized (lock) {
                broken = true;
                dry = true;
                lock.notifyAll();
            }
        }
    }
}
