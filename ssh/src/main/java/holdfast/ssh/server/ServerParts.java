package holdfast.ssh.server;

import holdfast.ssh.server.auth.Machine;
import holdfast.ssh.server.auth.ServerAuth;
import holdfast.ssh.server.forward.Forwards;
import holdfast.ssh.server.session.SessionChannels;
import java.util.ArrayList;
import java.util.List;
import org.apache.sshd.common.channel.ChannelFactory;
import org.apache.sshd.common.channel.RequestHandler;
import org.apache.sshd.common.session.ConnectionService;

/** What {@code holdfast sshd} does for its clients: all of its {@link Server.Part parts}. */
public final class ServerParts {

    private ServerParts() {}

    /** Fresh ones, for one server: logins, sessions, forwarding. */
    public static List<Server.Part> all() {
        ChannelFactory sessions = SessionChannels.factory();
        return List.of(
                new ServerAuth(Machine.REAL),
                (mina, server) -> {
                    List<ChannelFactory> factories = new ArrayList<>();
                    factories.add(sessions);
                    mina.setChannelFactories(factories);
                    List<RequestHandler<ConnectionService>> requests = new ArrayList<>();
                    requests.add(SessionChannels.noMoreSessions());
                    requests.addAll(mina.getGlobalRequestHandlers());
                    mina.setGlobalRequestHandlers(requests);
                },
                new Forwards());
    }
}
