package holdfast.core.tether;

import java.nio.ByteBuffer;

/**
 * What this end has written and the other has not yet taken: kept so that it can be sent again, and
 * never more than its bound. Whoever writes more than fits waits; nothing is thrown away.
 */
public final class Outbox {

    private final Ring ring;
    private long sent;

    public Outbox(int bound) {
        this.ring = new Ring(bound);
    }

    /** Takes as many of these bytes as fit; how many. */
    public int write(ByteBuffer from) {
        int some = Math.min(from.remaining(), ring.room());
        ring.put(from, some);
        return some;
    }

    /** Everything before {@code offset} has been put on a carrier from where it came. */
    void sentTo(long offset) {
        sent = Math.max(sent, offset);
    }

    /** How many bytes may still be written now. */
    public int room() {
        return ring.room();
    }

    /** Everything before this offset has been acknowledged and is gone. */
    public long acknowledged() {
        return ring.first();
    }

    /** How many bytes were ever put on any carrier: no peer can have more. */
    public long sent() {
        return sent;
    }

    /** How many bytes were ever written. */
    public long written() {
        return ring.end();
    }

    /** What it occupies, in bytes. */
    public int memory() {
        return ring.capacity();
    }

    /**
     * Copies what comes from {@code offset} on for sending.
     *
     * @param offset between {@link #acknowledged} and {@link #written}
     * @return how many bytes: at most {@code length}, 0 when all was sent
     */
    public int send(long offset, byte[] into, int at, int length) {
        if (offset < ring.first() || offset > ring.end()) {
            throw new IllegalArgumentException("offset " + offset + " is not kept");
        }
        int some = (int) Math.min(length, ring.end() - offset);
        ring.copy(offset, into, at, some);
        sent = Math.max(sent, offset + some);
        return some;
    }

    /** The other end has taken everything before {@code offset}; old news changes nothing. */
    public void acknowledge(long offset) {
        if (offset > sent) {
            throw new IllegalArgumentException("offset " + offset + " was never sent");
        }
        if (offset > ring.first()) {
            ring.dropBefore(offset);
        }
    }

    /** Gives memory back, if all was acknowledged. */
    public void trim() {
        ring.trim();
    }
}
