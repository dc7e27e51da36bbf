package holdfast.ssh.client;

import java.util.Collection;
import java.util.Set;
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

    @Override
    protected void handleServerSignatureAlgorithms(Session session, Collection<String> algorithms) {
        if (algorithms != null && !algorithms.isEmpty()) {
            session.setAttribute(SERVER_ALGORITHMS, Set.copyOf(algorithms));
        }
    }
}
