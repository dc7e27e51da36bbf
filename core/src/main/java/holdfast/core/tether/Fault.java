package holdfast.core.tether;

/**
 * What a peer did that the protocol forbids. It costs the carrier it came on; the tether is held.
 */
public enum Fault {
    /** A frame type that does not exist, or not in this direction or at this time. */
    UNKNOWN_FRAME,
    /** A number longer than it need be, or beyond 63 bits. */
    BAD_NUMBER,
    /** A DATA frame that is empty or too long, or a fixed part of the wrong length. */
    BAD_LENGTH,
    /** More unacknowledged bytes than the window allows. */
    WINDOW_EXCEEDED,
    /** An acknowledgement of nothing, or of bytes that were never sent here. */
    BAD_ACKNOWLEDGEMENT,
    /** An answer to a PING that was never sent. */
    BAD_PONG,
    /** A frame after CLOSE. */
    AFTER_CLOSE,
    /** Bytes are missing between what was received and what the carrier brings. */
    GAP,
    /** The peer could not prove that it holds the tether's key. */
    BAD_PROOF
}
