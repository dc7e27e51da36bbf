package holdfast.ssh.link;

import java.util.HashSet;
import java.util.Set;
import org.apache.sshd.common.SshConstants;
import org.apache.sshd.common.io.AbstractIoWriteFuture;
import org.apache.sshd.common.io.IoWriteFuture;
import org.apache.sshd.common.util.buffer.Buffer;

/**
 * Holds back what would follow a channel's SSH_MSG_CHANNEL_CLOSE (RFC 4254 section 5.3: nothing
 * may).
 *
 * <p>MINA looks whether a channel is open and then writes; another thread may close it in between,
 * and OpenSSH ends the whole connection for a packet to a channel that it has forgotten. So the
 * last look is here, under the lock that orders packets. Thread-safe.
 */
public final class ClosedChannels {

    // The other side's numbers, which it gives out again: as many as it ever had open at once.
    private final Set<Long> closed = new HashSet<>();

    /**
     * Whether {@code packet} may be written; a close is noted. To be called in the order of
     * writing.
     */
    public synchronized boolean permits(Buffer packet) {
        int at = packet.rpos();
        byte[] bytes = packet.array();
        return switch (bytes[at] & 0xff) {
            case SshConstants.SSH_MSG_CHANNEL_CLOSE -> closed.add(number(bytes, at + 1));
            case SshConstants.SSH_MSG_CHANNEL_DATA,
                    SshConstants.SSH_MSG_CHANNEL_EXTENDED_DATA,
                    SshConstants.SSH_MSG_CHANNEL_EOF,
                    SshConstants.SSH_MSG_CHANNEL_WINDOW_ADJUST,
                    SshConstants.SSH_MSG_CHANNEL_REQUEST,
                    SshConstants.SSH_MSG_CHANNEL_SUCCESS,
                    SshConstants.SSH_MSG_CHANNEL_FAILURE ->
                    closed.isEmpty() || !closed.contains(number(bytes, at + 1));
            default -> true;
        };
    }

    /** Looks at a packet that came: a number that is given to a new channel is closed no more. */
    public synchronized void came(Buffer packet) {
        if (closed.isEmpty() || packet.available() < 9) {
            return;
        }
        int at = packet.rpos();
        byte[] bytes = packet.array();
        int command = bytes[at] & 0xff;
        if (command == SshConstants.SSH_MSG_CHANNEL_OPEN_CONFIRMATION) {
            closed.remove(number(bytes, at + 5));
        } else if (command == SshConstants.SSH_MSG_CHANNEL_OPEN) {
            long type = number(bytes, at + 1);
            if (packet.available() >= 9 + type) {
                closed.remove(number(bytes, at + 5 + (int) type));
            }
        }
    }

    /** What a write that is held back comes to: done, as far as its writer is concerned. */
    public static IoWriteFuture dropped() {
        return AbstractIoWriteFuture.fulfilled("closed channel", true);
    }

    private static long number(byte[] bytes, int at) {
        return (bytes[at] & 0xffL) << 24
                | (bytes[at + 1] & 0xffL) << 16
                | (bytes[at + 2] & 0xffL) << 8
                | (bytes[at + 3] & 0xffL);
    }
}
