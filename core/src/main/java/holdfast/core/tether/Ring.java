package holdfast.core.tether;

import java.nio.ByteBuffer;

/**
 * The newest bytes of a stream, by offset, in an array that grows as needed up to a bound and is
 * given back when it is empty and asked to.
 */
final class Ring {

    private static final int FIRST = 4096;

    private final int bound;
    private byte[] bytes = new byte[0];
    // It holds the stream's bytes [first, end); offset o lies at o modulo the capacity, a power of
    // two.
    private long first;
    private long end;

    Ring(int bound) {
        this.bound = bound;
    }

    long first() {
        return first;
    }

    long end() {
        return end;
    }

    int held() {
        return (int) (end - first);
    }

    int room() {
        return bound - held();
    }

    /** What it occupies. */
    int capacity() {
        return bytes.length;
    }

    /** Takes the next {@code length} bytes, for which there must be room. */
    void put(ByteBuffer from, int length) {
        int needed = held() + length;
        if (needed > bytes.length) {
            grow(needed);
        }
        int at = at(end);
        int some = Math.min(length, bytes.length - at);
        from.get(bytes, at, some);
        from.get(bytes, 0, length - some);
        end += length;
    }

    /** So many bytes have come and gone; nothing may be in it. */
    void pass(int length) {
        first += length;
        end += length;
    }

    /** Copies {@code length} bytes from {@code from} on, all of which it must hold. */
    void copy(long from, byte[] into, int offset, int length) {
        int at = at(from);
        int some = Math.min(length, bytes.length - at);
        System.arraycopy(bytes, at, into, offset, some);
        System.arraycopy(bytes, 0, into, offset + some, length - some);
    }

    void dropBefore(long offset) {
        first = offset;
    }

    /** Gives the memory back, if nothing is in it. */
    void trim() {
        if (first == end) {
            bytes = new byte[0];
        }
    }

    private int at(long offset) {
        return bytes.length == 0 ? 0 : (int) (offset & (bytes.length - 1));
    }

    private void grow(int needed) {
        int capacity = Math.max(FIRST, Integer.highestOneBit(needed - 1) << 1);
        byte[] larger = new byte[capacity];
        for (long offset = first; offset < end; ) {
            int from = at(offset);
            int to = (int) (offset & (capacity - 1));
            int some = (int) Math.min(end - offset, Math.min(bytes.length - from, capacity - to));
            System.arraycopy(bytes, from, larger, to, some);
            offset += some;
        }
        bytes = larger;
    }
}
