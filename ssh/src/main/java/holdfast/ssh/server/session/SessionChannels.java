package holdfast.ssh.server.session;

import holdfast.ssh.server.ServerTransport;
import holdfast.ssh.server.sftp.SftpServer;
import java.io.IOException;
import org.apache.sshd.common.channel.Channel;
import org.apache.sshd.common.channel.ChannelFactory;
import org.apache.sshd.common.channel.RequestHandler;
import org.apache.sshd.common.session.ConnectionService;
import org.apache.sshd.common.session.Session;

/** What a server plugs in to have sessions. */
public final class SessionChannels {

    private SessionChannels() {}

    /**
     * Makes the channels of type {@code session}, for users that {@link ServerTransport#admit} has
     * let in.
     */
    public static ChannelFactory factory() {
        Errands.begin();
        SftpServer.prepare();
        return new ChannelFactory() {
            @Override
            public String getName() {
                return "session";
            }

            @Override
            public Channel createChannel(Session session) throws IOException {
                return new SessionChannel(ServerTransport.of(session), Sessions.of(session));
            }
        };
    }

    /**
     * Takes no-more-sessions@openssh.com. In place of MINA's own handler, which would refuse
     * forwards too.
     */
    public static RequestHandler<ConnectionService> noMoreSessions() {
        return (service, request, wantReply, buffer) -> {
            if (!request.equals("no-more-sessions@openssh.com")) {
                return RequestHandler.Result.Unsupported;
            }
            Sessions.of(service.getSession()).noMore();
            return RequestHandler.Result.ReplySuccess;
        };
    }
}
