package holdfast.ssh.forward;

import java.util.ArrayDeque;
import java.util.Arrays;
import org.apache.sshd.common.SshConstants;
import org.apache.sshd.common.session.ConnectionService;
import org.apache.sshd.common.util.buffer.Buffer;
import org.apache.sshd.common.util.buffer.ByteArrayBuffer;

/**
 * Keeps replies to global requests in the order of the requests (RFC 4254 section 4), where one
 * cannot be answered at once: those that come meanwhile wait.
 */
final class InOrder {

    /** More than any client has under way; a peer that sends more does not wait for replies. */
    private static final int MOST = 256;

    private final ArrayDeque<byte[]> waiting = new ArrayDeque<>(0);
    private boolean pending;

    /** Whether a request has to wait; it has been noted then. */
    synchronized boolean waits(String request, boolean wantReply, Buffer rest) {
        if (!pending) {
            return false;
        }
        if (waiting.size() >= MOST) {
            throw new IllegalStateException("too many requests at once");
        }
        Buffer copy = new ByteArrayBuffer();
        copy.putString(request);
        copy.putBoolean(wantReply);
        copy.putRawBytes(
                Arrays.copyOfRange(rest.array(), rest.rpos(), rest.rpos() + rest.available()));
        waiting.add(copy.getCompactData());
        return true;
    }

    /** The request that is being handled is answered later. */
    synchronized void later() {
        pending = true;
    }

    /** It has been answered now: those that waited follow. */
    void answered(ConnectionService service) throws Exception {
        while (true) {
            byte[] next;
            synchronized (this) {
                pending = false;
                next = waiting.poll();
                if (next == null) {
                    return;
                }
            }
            service.process(SshConstants.SSH_MSG_GLOBAL_REQUEST, new ByteArrayBuffer(next));
            synchronized (this) {
                if (pending) {
                    return;
                }
            }
        }
    }
}
