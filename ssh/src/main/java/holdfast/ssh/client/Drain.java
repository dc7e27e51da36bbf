package holdfast.ssh.client;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.WritableByteChannel;
import org.jspecify.annotations.Nullable;

/**
 * One stream of a session on its way out: bytes from the peer, kept in a ring until the person's
 * side takes them.
 *
 * <p>The thread that reads the network puts, and never blocks: the channel's window is the ring's
 * bound, and is given back only for what has been written. A thread of the drain's own writes, and
 * may block for as long as the reader of our output pleases.
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

    private final WritableByteChannel out;
    private final Owner owner;
    private final Object lock = new Object();

    // Guarded by the lock. The ring holds [head, head + held) modulo its capacity.
    private @Nullable ByteBuffer ring;
    private int head;
    private int held;
    private boolean finished;
    private boolean dry;
    private boolean broken;
    private boolean started;

    Drain(WritableByteChannel out, Owner owner) {
        this.out = out;
        this.owner = owner;
    }

    /** Takes a copy of {@code length} bytes. */
    void put(byte[] bytes, int offset, int length) {
        synchronized (lock) {
            if (broken) {
                owner.drained(length);
                return;
            }
            ByteBuffer room = roomFor(length);
            int tail = (head + held) % room.capacity();
            int first = Math.min(length, room.capacity() - tail);
            room.put(tail, bytes, offset, first);
            if (first < length) {
                room.put(0, bytes, offset + first, length - first);
            }
            held += length;
            if (!started) {
                started = true;
                Thread.ofPlatform().daemon().name("drain").start(this);
            }
            lock.notifyAll();
        }
    }

    /** No more will be put. */
    void finish() {
        synchronized (lock) {
            finished = true;
            dry = dry || !started;
            lock.notifyAll();
        }
    }

    /** Waits until everything has been written, or cannot be. */
    void awaitDry() throws InterruptedException {
        synchronized (lock) {
            while (!dry) {
                lock.wait();
            }
        }
    }

    /** Doubles until it fits; the window bounds how far. */
    private ByteBuffer roomFor(int length) {
        ByteBuffer now = ring;
        int capacity = now == null ? FIRST_CAPACITY : now.capacity();
        while (capacity < held + length) {
            capacity *= 2;
        }
        if (now != null && now.capacity() == capacity) {
            return now;
        }
        ByteBuffer larger = ByteBuffer.allocateDirect(capacity);
        if (now != null) {
            int first = Math.min(held, now.capacity() - head);
            larger.put(0, now, head, first);
            larger.put(first, now, 0, held - first);
        }
        head = 0;
        ring = larger;
        return larger;
    }

    @Override
    public void run() {
        try {
            while (true) {
                ByteBuffer some;
                synchronized (lock) {
                    while (held == 0 && !finished) {
                        lock.wait();
                    }
                    if (held == 0 || ring == null) {
                        dry = true;
                        lock.notifyAll();
                        return;
                    }
                    some = ring.slice(head, Math.min(held, ring.capacity() - head));
                }
                int written = Patient.write(out, some);
                synchronized (lock) {
                    // A larger ring may have taken over meanwhile; it begins with the same bytes.
                    head = ring == null ? 0 : (head + written) % ring.capacity();
                    held -= written;
                }
                owner.drained(written);
            }
        } catch (IOException e) {
            int lost;
            synchronized (lock) {
                broken = true;
                dry = true;
                lost = held;
                held = 0;
                ring = null;
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
