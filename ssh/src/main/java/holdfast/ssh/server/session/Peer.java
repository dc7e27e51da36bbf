package holdfast.ssh.server.session;

import holdfast.ssh.log.Log;
import holdfast.ssh.server.Login;
import java.net.InetSocketAddress;
import org.apache.sshd.common.channel.Channel;
import org.jspecify.annotations.Nullable;

/** Who is at the other end of a connection, as far as its sessions need to know. */
public interface Peer {

    /** Whom they logged in as; only asked after that. */
    Login login();

    /** Their address; null where there is no TCP connection ({@code sshd -i}). */
    @Nullable InetSocketAddress remote();

    /** Our address towards them; null likewise. */
    @Nullable InetSocketAddress local();

    /** {@code 192.0.2.1 port 5678}, for the log. */
    String peerText();

    Log log();

    /** A channel is now of this kind, in ChannelTimeout's words: {@code session:shell}. */
    default void became(Channel channel, String kind) {}
}
