package holdfast.ssh.server.session;

import holdfast.ssh.server.Server;
import holdfast.ssh.server.ServerTransport;
import holdfast.ssh.server.sftp.SftpServer;
import java.io.IOException;
import java.util.List;
import org.apache.sshd.common.channel.Channel;
import org.apache.sshd.common.channel.ChannelFactory;
import org.apache.sshd.common.channel.RequestHandler;
import org.apache.sshd.common.session.ConnectionService;
import org.apache.sshd.common.session.Session;
import org.apache.sshd.common.util.buffer.Buffer;
import org.apache.sshd.server.SshServer;

/** The server's part that runs sessions: shells, commands, subsystems. */
public final class SessionChannels implements Server.Part {

    private final ChannelFactory channels;
    private final RequestHandler<ConnectionService> requests = SessionChannels::request;

    public SessionChannels() {
        Errands.begin();
        SftpServer.prepare();
        channels =
                new ChannelFactory() {
                    @Override
                    public String getName() {
                        return "session";
                    }

                    @Override
                    public Channel createChannel(Session session) throws IOException {
                        return new SessionChannel(
                                ServerTransport.of(session), Sessions.of(session));
                    }
                };
    }

    @Override
    public void fit(SshServer mina, Server server) {
        mina.setChannelFactories(Server.Part.joined(List.of(channels), mina.getChannelFactories()));
        mina.setGlobalRequestHandlers(
                Server.Part.joined(List.of(requests), mina.getGlobalRequestHandlers()));
    }

    /**
     * Takes no-more-sessions@openssh.com, which concerns sessions alone (OpenSSH PROTOCOL section
     * 2.2): MINA's own handler would refuse forwarded connections too.
     */
    private static RequestHandler.Result request(
            ConnectionService service, String request, boolean wantReply, Buffer buffer) {
        if (!request.equals("no-more-sessions@openssh.com")) {
            return RequestHandler.Result.Unsupported;
        }
        Sessions.of(service.getSession()).noMore();
        return RequestHandler.Result.ReplySuccess;
    }
}
