package holdfast.ssh.link;

import java.nio.ByteBuffer;
import org.jspecify.annotations.Nullable;

/**
 * Bytes on their way from one thread to another, first in, first out, in memory outside the heap,
 * from where the kernel takes them without another copy.
 *
 * <p>It grows to hold what is put; whoever puts bounds it. Not safe for threads: its owner's lock
 * guards it. A slice that {@link #oldest} gave stays valid while more is put, even if that makes
 * the ring grow, until the slice's bytes are dropped.
 */
public final class Ring {

    private final int firstCapacity;
    private @Nullable ByteBuffer bytes;
    // It holds [head, head + held) modulo its capacity.
    private int head;
    private int held;

    public Ring(int firstCapacity) {
        this.firstCapacity = firstCapacity;
    }

    /** How many bytes are in it. */
    public int held() {
        return held;
    }

    /** Takes a copy of {@code length} bytes. */
    public void put(byte[] from, int offset, int length) {
        ByteBuffer room = roomFor(length);
        int tail = head + held;
        if (tail >= room.capacity()) {
            tail -= room.capacity();
        }
        int first = Math.min(length, room.capacity() - tail);
        room.put(tail, from, offset, first);
        if (first < length) {
            room.put(0, from, offset + first, length - first);
        }
        held += length;
    }

    /** The oldest bytes, as many as lie together, at most {@code most}. */
    public ByteBuffer oldest(int most) {
        ByteBuffer room = roomFor(0);
        return room.slice(head, Math.min(most, Math.min(held, room.capacity() - head)));
    }

    /** Forgets the {@code count} oldest bytes. */
    public void drop(int count) {
        held -= count;
        // An emptied ring begins anew, where its memory is still in the processor's cache.
        head = held == 0 ? 0 : (head + count) % roomFor(0).capacity();
    }

    /** Forgets everything, its memory too. */
    public void clear() {
        bytes = null;
        head = 0;
        held = 0;
    }

    private ByteBuffer roomFor(int more) {
        ByteBuffer now = bytes;
        int capacity = now == null ? firstCapacity : now.capacity();
        while (capacity < held + more) {
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
        bytes = larger;
        return larger;
    }
}
