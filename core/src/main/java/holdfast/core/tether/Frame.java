package holdfast.core.tether;

/**
 * What crosses a carrier beside the stream's bytes. Every frame is a type byte, a number, and for
 * some a fixed part: PROTOCOL.md section 4.
 */
public sealed interface Frame {

    int DATA = 1;
    int ACK = 2;
    int PING = 3;
    int PONG = 4;
    int HELD = 5;
    int CLOSE = 6;
    int RESUMED = 7;
    int REFUSED = 8;

    /** The longest DATA frame: short enough that an answer queues behind no more than this. */
    int MOST_DATA = 65_536;

    /** The longest number: 63 bits in groups of seven. */
    int LONGEST_NUMBER = 9;

    /** The longest frame that is not DATA: its type, its number and the fixed part of RESUMED. */
    int LONGEST_CONTROL = 1 + LONGEST_NUMBER + Resumed.LENGTH;

    /** {@code delta} more bytes were taken by the program above. */
    record Ack(long delta) implements Frame {}

    /** Answer at once with the same token. */
    record Ping(long token) implements Frame {}

    /** The answer to the newest PING that has come. */
    record Pong(long token) implements Frame {}

    /**
     * From now on the tether may be resumed: its name, and for how many seconds the server holds it
     * without a carrier.
     */
    record Held(long seconds, Bytes id) implements Frame {}

    /** The sender is done and forgets the tether. */
    record Close(long reason) implements Frame {}

    /**
     * The answer to a proved resume.
     *
     * @param received how many of the client's bytes the server has
     * @param taken how many of them its program has taken
     * @param from the offset of the first byte that the server sends on this carrier
     */
    record Resumed(long received, long taken, long from, Bytes proof) implements Frame {
        static final int LENGTH = 3 * 8 + Resumption.PROOF;
    }

    /** The answer to any other resume. */
    record Refused(long reason) implements Frame {
        /** Unknown, unproved or not allowed: nothing says which. */
        public static final long GONE = 0;

        /** The server is busy, and would say so whatever was asked for. */
        public static final long BUSY = 1;
    }

    /** Writes this frame at {@code at}, where {@link #LONGEST_CONTROL} bytes fit; its end. */
    default int write(byte[] into, int at) {
        return switch (this) {
            case Ack ack -> head(ACK, ack.delta, into, at);
            case Ping ping -> head(PING, ping.token, into, at);
            case Pong pong -> head(PONG, pong.token, into, at);
            case Held held -> put(held.id.toArray(), into, head(HELD, held.seconds, into, at));
            case Close close -> head(CLOSE, close.reason, into, at);
            case Resumed resumed -> {
                int next = head(RESUMED, Resumed.LENGTH, into, at);
                next = Numbers.putLong(resumed.received, into, next);
                next = Numbers.putLong(resumed.taken, into, next);
                next = Numbers.putLong(resumed.from, into, next);
                yield put(resumed.proof.toArray(), into, next);
            }
            case Refused refused -> head(REFUSED, refused.reason, into, at);
        };
    }

    /** Writes a type and its number; where they end. */
    static int head(int type, long number, byte[] into, int at) {
        into[at] = (byte) type;
        return Numbers.put(number, into, at + 1);
    }

    private static int put(byte[] bytes, byte[] into, int at) {
        System.arraycopy(bytes, 0, into, at, bytes.length);
        return at + bytes.length;
    }
}
