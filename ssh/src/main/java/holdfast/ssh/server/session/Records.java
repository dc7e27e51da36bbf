package holdfast.ssh.server.session;

import holdfast.ssh.system.Logins;
import java.net.InetSocketAddress;
import org.jspecify.annotations.Nullable;

/** The system's records of logins, where the system keeps any. */
final class Records {

    private Records() {}

    static void in(int pid, String terminal, String user, @Nullable InetSocketAddress from) {
        try {
            Logins.in(
                    pid,
                    terminal,
                    user,
                    from == null ? "" : from.getAddress().getHostAddress(),
                    from == null ? null : from.getAddress());
        } catch (UnsupportedOperationException e) {
            // No records on this system.
        }
    }

    static void out(int pid, String terminal) {
        try {
            Logins.out(pid, terminal);
        } catch (UnsupportedOperationException e) {
            // No records on this system.
        }
    }

    static Logins.@Nullable Last last(int uid) {
        try {
            return Logins.last(uid);
        } catch (UnsupportedOperationException e) {
            // No records on this system.
            return null;
        }
    }
}
