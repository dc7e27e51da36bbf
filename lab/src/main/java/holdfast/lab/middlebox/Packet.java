package holdfast.lab.middlebox;

/**
 * What travels: one TCP segment, as far as a middlebox looks at it.
 *
 * @param sequence the place of this segment in its stream (for an ACK: the next one expected);
 *     boxes carry it and never look
 * @param bytes payload; 0 for everything but DATA
 * @param mapping which public address and port the client's end has on this stretch of the way: 0
 *     is the one the connection was opened with, another number is another address or port, which
 *     an end that knows only the first takes for a stranger's
 */
public record Packet(
        Flow flow, Direction direction, Kind kind, long sequence, int bytes, int mapping)
        implements Event {

    /** The TCP flags that make a difference on the way. */
    public enum Kind {
        /** SYN, and SYN-ACK as its answer. */
        OPEN,
        DATA,
        /** No payload: an acknowledgement, or a keepalive of TCP itself. */
        ACK,
        FIN,
        RST
    }

    public Packet {
        if (bytes < 0 || (kind == Kind.DATA) != (bytes > 0)) {
            throw new IllegalArgumentException(
                    "DATA and nothing else has a payload: " + kind + " of " + bytes);
        }
    }

    public static Packet open(Flow flow, Direction direction) {
        return new Packet(flow, direction, Kind.OPEN, 0, 0, 0);
    }

    public static Packet data(Flow flow, Direction direction, int bytes) {
        return new Packet(flow, direction, Kind.DATA, 0, bytes, 0);
    }

    public static Packet ack(Flow flow, Direction direction) {
        return new Packet(flow, direction, Kind.ACK, 0, 0, 0);
    }

    public static Packet fin(Flow flow, Direction direction) {
        return new Packet(flow, direction, Kind.FIN, 0, 0, 0);
    }

    public static Packet rst(Flow flow, Direction direction) {
        return new Packet(flow, direction, Kind.RST, 0, 0, 0);
    }

    /** The same packet, as it looks under another public address or port. */
    public Packet mappedTo(int other) {
        return other == mapping ? this : new Packet(flow, direction, kind, sequence, bytes, other);
    }
}
