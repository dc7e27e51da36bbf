package holdfast.ssh.server.forward;

import holdfast.ssh.forward.ForwardChannel;
import holdfast.ssh.forward.Rules;
import holdfast.ssh.forward.ServerSide;
import holdfast.ssh.log.Log;
import holdfast.ssh.server.Login;
import holdfast.ssh.server.Permissions;
import holdfast.ssh.server.Server;
import holdfast.ssh.server.ServerTransport;
import holdfast.ssh.system.AsUser;
import java.util.List;
import java.util.concurrent.Callable;
import org.apache.sshd.common.channel.Channel;
import org.apache.sshd.common.channel.ChannelFactory;
import org.apache.sshd.common.channel.RequestHandler;
import org.apache.sshd.common.session.ConnectionService;
import org.apache.sshd.common.session.Session;
import org.apache.sshd.server.SshServer;
import org.jspecify.annotations.Nullable;

/** The server's part that forwards: {@code ssh -L}, {@code -R}, {@code -D} and {@code -W}. */
public final class Forwards implements Server.Part {

    private final ServerSide side = new ServerSide(Forwards::user);
    private final List<ChannelFactory> channels = side.channels();
    private final RequestHandler<ConnectionService> requests = side.requests();

    @Override
    public void fit(SshServer mina, Server server) {
        install(mina);
    }

    /** Puts itself beside what {@code mina} has already; once, however often it is called. */
    public void install(SshServer mina) {
        mina.setChannelFactories(Server.Part.joined(channels, mina.getChannelFactories()));
        mina.setGlobalRequestHandlers(
                Server.Part.joined(List.of(requests), mina.getGlobalRequestHandlers()));
    }

    private static ServerSide.User user(Session session) {
        return new User(ServerTransport.of(session));
    }

    private record User(ServerTransport transport) implements ServerSide.User {

        private static final String NOBODY = "forwarding before login";

        private Login login() {
            Login login = transport.login();
            if (login == null) {
                throw new IllegalStateException(NOBODY);
            }
            return login;
        }

        @Override
        public Rules rules() {
            Login login = login();
            Permissions permissions = login.permissions();
            return Rules.of(
                    login.settings(),
                    permissions.portForwarding(),
                    permissions.permitOpen(),
                    permissions.permitListen(),
                    login.account().uid() == 0);
        }

        @Override
        public Log log() {
            return transport.log();
        }

        @Override
        public String peer() {
            return transport.peerText();
        }

        @Override
        public <T> T own(@Nullable Integer mask, Callable<T> task) throws Exception {
            try (AsUser own = AsUser.of(login().account(), login().root(), mask)) {
                return own.call(task);
            }
        }

        @Override
        public void made(Channel channel) {
            if (channel instanceof ForwardChannel typed) {
                channel.setAttribute(ServerTransport.KIND, typed.getChannelType());
            }
        }
    }
}
