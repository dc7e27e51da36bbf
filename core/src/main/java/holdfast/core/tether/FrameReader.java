package holdfast.core.tether;

import java.nio.ByteBuffer;
import org.jspecify.annotations.Nullable;

/**
 * Takes frames apart, from pieces of any size. It keeps nothing of DATA and at most {@link
 * Frame#LONGEST_CONTROL} bytes of anything else; after a fault it reads no more.
 */
public final class FrameReader {

    /** Told of what is in the stream, in order. */
    public interface Sink {

        /** Some bytes of DATA; what is not taken of them is passed over. */
        @Nullable Fault data(ByteBuffer bytes);

        /** A whole frame of another kind. */
        @Nullable Fault frame(Frame frame);

        /** Whether to read on after the frame just told. */
        default boolean more() {
            return true;
        }
    }

    private enum Part {
        TYPE,
        NUMBER,
        FIXED,
        DATA
    }

    private Part part = Part.TYPE;
    private int type;
    private long number;
    private int groups;
    private final byte[] fixed = new byte[Frame.Resumed.LENGTH];
    private int have;
    private long left;
    private @Nullable Fault fault;

    /** What the peer did wrong; null: nothing so far. */
    public @Nullable Fault fault() {
        return fault;
    }

    /** Whether the stream may end here: no frame has begun. */
    public boolean between() {
        return part == Part.TYPE && fault == null;
    }

    /** The same of an array. */
    public int read(byte[] bytes, int offset, int length, Sink sink) {
        return read(ByteBuffer.wrap(bytes, offset, length), sink);
    }

    /**
     * Reads on. All is consumed unless there is a fault or the sink wants no more.
     *
     * @return how many bytes were consumed
     */
    public int read(ByteBuffer bytes, Sink sink) {
        int from = bytes.position();
        while (bytes.hasRemaining() && fault == null) {
            switch (part) {
                case TYPE -> {
                    type = bytes.get() & 0xff;
                    number = 0;
                    groups = 0;
                    part = Part.NUMBER;
                    if (type < Frame.DATA || type > Frame.REFUSED) {
                        fault = Fault.UNKNOWN_FRAME;
                    }
                }
                case NUMBER -> {
                    byte group = bytes.get();
                    number |= (long) (group & 0x7f) << (7 * groups);
                    groups++;
                    if (group < 0) {
                        if (groups == Frame.LONGEST_NUMBER) {
                            fault = Fault.BAD_NUMBER;
                        }
                    } else if (group == 0 && groups > 1) {
                        fault = Fault.BAD_NUMBER;
                    } else if (!begin(sink)) {
                        return bytes.position() - from;
                    }
                }
                case FIXED -> {
                    int some = (int) Math.min(left, bytes.remaining());
                    bytes.get(fixed, have, some);
                    have += some;
                    left -= some;
                    if (left == 0 && !tell(withFixed(), sink)) {
                        return bytes.position() - from;
                    }
                }
                case DATA -> {
                    int some = (int) Math.min(left, bytes.remaining());
                    int end = bytes.limit();
                    int next = bytes.position() + some;
                    fault = sink.data(bytes.limit(next));
                    bytes.limit(end).position(next);
                    left -= some;
                    if (left == 0) {
                        part = Part.TYPE;
                    }
                }
            }
        }
        return bytes.position() - from;
    }

    /** The number is known: false to read no more. */
    private boolean begin(Sink sink) {
        have = 0;
        switch (type) {
            case Frame.DATA -> {
                left = number;
                part = Part.DATA;
                if (number < 1 || number > Frame.MOST_DATA) {
                    fault = Fault.BAD_LENGTH;
                }
            }
            case Frame.HELD -> {
                left = Resumption.ID;
                part = Part.FIXED;
            }
            case Frame.RESUMED -> {
                left = number;
                part = Part.FIXED;
                if (number != Frame.Resumed.LENGTH) {
                    fault = Fault.BAD_LENGTH;
                }
            }
            case Frame.ACK -> {
                return tell(new Frame.Ack(number), sink);
            }
            case Frame.PING -> {
                return tell(new Frame.Ping(number), sink);
            }
            case Frame.PONG -> {
                return tell(new Frame.Pong(number), sink);
            }
            case Frame.CLOSE -> {
                return tell(new Frame.Close(number), sink);
            }
            default -> { // REFUSED: no other type comes this far
                return tell(new Frame.Refused(number), sink);
            }
        }
        return true;
    }

    private Frame withFixed() {
        if (type == Frame.HELD) {
            return new Frame.Held(number, Bytes.of(fixed, 0, Resumption.ID));
        }
        return new Frame.Resumed(
                Numbers.getLong(fixed, 0),
                Numbers.getLong(fixed, 8),
                Numbers.getLong(fixed, 16),
                Bytes.of(fixed, 24, Resumption.PROOF));
    }

    private boolean tell(Frame frame, Sink sink) {
        part = Part.TYPE;
        fault = sink.frame(frame);
        return sink.more();
    }
}
