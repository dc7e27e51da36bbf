package holdfast.core.tether;

import java.nio.ByteBuffer;
import org.jspecify.annotations.Nullable;

/**
 * What the other end has sent and the program here has not yet taken: once, in order, and never
 * more than the window that was announced.
 */
public final class Inbox {

    private final int window;
    private final Ring ring;

    public Inbox(int window) {
        this.window = window;
        this.ring = new Ring(window);
    }

    /** How many bytes of the stream have come. */
    public long received() {
        return ring.end();
    }

    /** How many of them the program has taken: what is acknowledged. */
    public long taken() {
        return ring.first();
    }

    /** How many bytes wait to be taken. */
    public int waiting() {
        return ring.held();
    }

    /** What may be unacknowledged at most. */
    public int window() {
        return window;
    }

    /** What it occupies, in bytes. */
    public int memory() {
        return ring.capacity();
    }

    /**
     * Bytes that a carrier brought, the first of them at {@code position} of the stream. What is
     * here already is dropped.
     */
    public @Nullable Fault receive(long position, ByteBuffer bytes) {
        long known = ring.end() - position;
        if (known < 0) {
            return Fault.GAP;
        }
        int length = bytes.remaining();
        if (known >= length) {
            return null;
        }
        int fresh = length - (int) known;
        if (fresh > ring.room()) {
            return Fault.WINDOW_EXCEEDED;
        }
        bytes.position(bytes.position() + (int) known);
        ring.put(bytes, fresh);
        return null;
    }

    /** Whether bytes at {@code position} are the very next that the program is to have. */
    boolean nextAt(long position) {
        return ring.held() == 0 && ring.end() == position;
    }

    /** So many bytes went straight to the program. */
    void pass(int length) {
        ring.pass(length);
    }

    /** Gives the program up to {@code length} bytes; how many. */
    public int take(byte[] into, int offset, int length) {
        int some = Math.min(length, ring.held());
        ring.copy(ring.first(), into, offset, some);
        ring.dropBefore(ring.first() + some);
        return some;
    }

    /** Gives memory back, if nothing waits. */
    public void trim() {
        ring.trim();
    }
}
