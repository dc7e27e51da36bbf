package holdfast.core.tether;

import java.nio.ByteBuffer;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;

/**
 * What this end has written and the other has not yet taken: kept so that it can be sent again, and
 * never more than its bound. Whoever writes more than fits waits; nothing is thrown away.
 *
 * <p>It is sent from where it lies: in chunks outside the heap, from where the kernel takes it
 * without another copy. The chunk that was freed last is the next to be filled, while the
 * processor's cache still has it; little lies in less, on the heap.
 */
public final class Outbox {

    /** A chunk is this share of the bound, so that what is lost by rounding is little, */
    private static final int SHARE = 16;

    /** and no larger than this, in bytes. */
    private static final int LARGEST = 64 * 1024;

    /** The first chunk to begin with. */
    private static final int LEAST = 4096;

    private final int bound;
    private final int size;
    // The first chunk begins at offset `base`; only the last is not full. Where there is but one,
    // its memory may be less than `size`.
    private final List<ByteBuffer> chunks = new ArrayList<>(2);
    private final ArrayDeque<ByteBuffer> spare = new ArrayDeque<>(2);
    private long base;
    private long acknowledged;
    private long sent;
    private long written;

    /**
     * @param bound in bytes; a power of two
     */
    public Outbox(int bound) {
        this.bound = bound;
        this.size = Math.clamp(bound / SHARE, 1, LARGEST);
    }

    /** Takes as many of these bytes as fit; how many. */
    public int write(ByteBuffer from) {
        int taken = Math.min(from.remaining(), room());
        for (int left = taken; left > 0; ) {
            int at = within(written);
            int some = Math.min(left, size - at);
            chunk(written, at + some).put(at, from, from.position(), some);
            from.position(from.position() + some);
            written += some;
            left -= some;
        }
        return taken;
    }

    /** The chunk that is being filled, with room up to {@code end} of it. */
    private ByteBuffer chunk(long offset, int end) {
        int index = index(offset);
        if (index < chunks.size()) {
            ByteBuffer there = chunks.get(index);
            if (there.capacity() >= end) {
                return there;
            }
            // Whoever is sending from the smaller goes on with that.
            ByteBuffer larger = allocate(Math.max(end, 2 * there.capacity()));
            chunks.set(index, larger.put(0, there, 0, there.capacity()));
            return larger;
        }
        ByteBuffer next = spare.poll();
        if (next == null) {
            next = allocate(chunks.isEmpty() ? Math.max(end, LEAST) : size);
        }
        chunks.add(next);
        return next;
    }

    private ByteBuffer allocate(int wanted) {
        return wanted >= LARGEST
                ? ByteBuffer.allocateDirect(size)
                : ByteBuffer.allocate(Math.min(wanted, size));
    }

    private int index(long offset) {
        return (int) ((offset - base) / size);
    }

    private int within(long offset) {
        return (int) ((offset - base) % size);
    }

    /** Everything before {@code offset} is on a carrier, or on its way to it. */
    void sentTo(long offset) {
        sent = Math.max(sent, offset);
    }

    /** How many bytes may still be written now. */
    public int room() {
        return (int) (bound - (written - base));
    }

    /** Everything before this offset has been acknowledged and is gone. */
    public long acknowledged() {
        return acknowledged;
    }

    /** How many bytes were ever put on any carrier: no peer can have more. */
    public long sent() {
        return sent;
    }

    /** How many bytes were ever written. */
    public long written() {
        return written;
    }

    /** What it occupies, in bytes. */
    public int memory() {
        int all = 0;
        for (ByteBuffer chunk : chunks) {
            all += chunk.capacity();
        }
        for (ByteBuffer chunk : spare) {
            all += chunk.capacity();
        }
        return all;
    }

    /**
     * What comes from {@code offset} on, as much of it as lies together, where it lies. It stays
     * there until it is acknowledged.
     *
     * @param offset between {@link #acknowledged} and {@link #written}
     * @return at most {@code most} bytes; none when all was given
     */
    public ByteBuffer kept(long offset, int most) {
        if (offset < acknowledged || offset > written) {
            throw new IllegalArgumentException("offset " + offset + " is not kept");
        }
        if (offset == written) {
            return ByteBuffer.allocate(0);
        }
        int at = within(offset);
        int some = (int) Math.min(Math.min(most, size - at), written - offset);
        return chunks.get(index(offset)).slice(at, some);
    }

    /** The other end has taken everything before {@code offset}; old news changes nothing. */
    public void acknowledge(long offset) {
        if (offset > sent) {
            throw new IllegalArgumentException("offset " + offset + " was never sent");
        }
        acknowledged = Math.max(acknowledged, offset);
        while (acknowledged - base >= size) {
            ByteBuffer free = chunks.removeFirst();
            if (free.capacity() == size) {
                spare.push(free);
            }
            base += size;
        }
        if (acknowledged == written) {
            base = written; // what comes next begins where the chunk does
        }
    }

    /** Gives memory back, if all was acknowledged. */
    public void trim() {
        if (acknowledged == written) {
            chunks.clear();
            spare.clear();
        }
    }
}
