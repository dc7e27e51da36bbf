package holdfast.ssh.link;

import java.io.IOException;
import java.nio.ByteBuffer;
import org.apache.sshd.common.SshConstants;
import org.apache.sshd.common.channel.Channel;
import org.apache.sshd.common.io.IoWriteFuture;
import org.apache.sshd.common.session.Session;
import org.apache.sshd.common.session.helpers.PendingWriteFuture;
import org.apache.sshd.common.util.buffer.Buffer;
import org.jspecify.annotations.Nullable;

/**
 * One thread's packets of channel data (RFC 4254 section 5.2), made in the same memory one after
 * the other where they can be: new memory for each has to be cleared before and collected after,
 * which costs a tenth of a bulk transfer's time.
 */
public final class DataPacket {

    /** What a packet has besides its data: header, fields, padding and MAC. */
    private static final int ROOM = 256;

    /** Hands a packet to the connection. */
    public interface Writing {
        IoWriteFuture write(Buffer packet) throws IOException;
    }

    private @Nullable Buffer spare;

    /**
     * Sends the next {@code count} of {@code bytes}; the window must have been asked.
     *
     * @throws IOException what {@code writing} throws; the bytes are taken all the same
     */
    public IoWriteFuture send(Channel channel, ByteBuffer bytes, int count, Writing writing)
            throws IOException {
        Session session = channel.getSession();
        Buffer packet = spare;
        spare = null;
        if (packet == null || packet.array().length < count + ROOM) {
            packet = session.createBuffer(SshConstants.SSH_MSG_CHANNEL_DATA, count + ROOM);
        } else {
            session.prepareBuffer(SshConstants.SSH_MSG_CHANNEL_DATA, packet);
        }
        packet.putUInt(channel.getRecipient());
        packet.putUInt(count);
        bytes.get(packet.array(), packet.wpos(), count);
        packet.wpos(packet.wpos() + count);
        IoWriteFuture future = writing.write(packet);
        // A wire has a copy; only a packet that waits for the end of a key exchange has not.
        if (session.getIoSession() instanceof Wire && !(future instanceof PendingWriteFuture)) {
            spare = packet;
        }
        return future;
    }
}
