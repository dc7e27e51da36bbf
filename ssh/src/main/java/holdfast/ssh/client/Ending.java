package holdfast.ssh.client;

import holdfast.core.liveness.Cause;
import java.io.IOException;

/** How a connection came to its end; the first one to be noticed is the one that counts. */
sealed interface Ending {

    /** The liveness of the link gave it up. */
    record Condemned(Cause cause) implements Ending {}

    /** The peer said SSH_MSG_DISCONNECT (RFC 4253 section 11.1). */
    record Disconnected(int code, String text) implements Ending {}

    /** The peer closed its side of the stream. */
    record Closed() implements Ending {}

    /** Reading or writing the stream failed. */
    record Broken(IOException error, boolean writing) implements Ending {}

    /** One side broke the protocol, or nothing could be agreed on; {@code text} says what. */
    record Refused(String text) implements Ending {}

    /** We ended it ourselves, in order. */
    record Left() implements Ending {}
}
