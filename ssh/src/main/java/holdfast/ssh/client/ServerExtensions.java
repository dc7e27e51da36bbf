package holdfast.ssh.client;

import java.io.IOException;
import java.util.Collection;
import java.util.Set;
import org.apache.sshd.common.AttributeRepository.AttributeKey;
import org.apache.sshd.common.kex.extension.DefaultClientKexExtensionHandler;
import org.apache.sshd.common.session.Session;

/**
 * Takes what the server says of itself in SSH_MSG_EXT_INFO (RFC 8308): server-sig-algs and
 * publickey-hostbound.
 *
 * <p>MINA would put host key algorithms that the server takes from users first, so that the next
 * key exchange could show another host key than the first, or a bare key in place of a certificate.
 */
final class ServerExtensions extends DefaultClientKexExtensionHandler {

    static final ServerExtensions INSTANCE = new ServerExtensions();

    private ServerExtensions() {}

    /** Whether the server answers an empty message (OpenSSH's PROTOCOL, section 1.8). */
    static final AttributeKey<Boolean> PING = new AttributeKey<>();

    @Override
    public boolean handleKexExtensionRequest(
            Session session, int index, int count, String name, byte[] data) throws IOException {
        if (session instanceof Transport transport) {
            transport.extension(name, data);
        }
        if (name.equals("ping@openssh.com") && data.length == 1 && data[0] == '0') {
            session.setAttribute(PING, true);
        }
        return super.handleKexExtensionRequest(session, index, count, name, data);
    }

    @Override
    protected void handleServerSignatureAlgorithms(Session session, Collection<String> algorithms) {
        if (algorithms != null && !algorithms.isEmpty()) {
            session.setAttribute(SERVER_ALGORITHMS, Set.copyOf(algorithms));
        }
    }
}
