package holdfast.ssh.server;

import holdfast.ssh.server.auth.Machine;
import holdfast.ssh.server.auth.ServerAuth;
import holdfast.ssh.server.forward.Forwards;
import holdfast.ssh.server.session.SessionChannels;
import java.util.List;

/** What {@code holdfast sshd} does for its clients: all of its {@link Server.Part parts}. */
public final class ServerParts {

    private ServerParts() {}

    /** Fresh ones, for one server: logins, sessions, forwarding. */
    public static List<Server.Part> all() {
        return List.of(new ServerAuth(Machine.REAL), new SessionChannels(), new Forwards());
    }
}
