package holdfast.ssh.system;

import java.nio.channels.NetworkChannel;
import java.nio.channels.SocketChannel;
import java.time.Duration;
import java.util.Optional;

/** What Java does not tell or set of a socket. */
public final class Sockets {

    private Sockets() {}

    /**
     * Who is at the other end of a Unix socket.
     *
     * @param pid 0 if it is in another process namespace
     */
    public record Peer(int pid, int uid, int gid) {}

    /** SO_PEERCRED. */
    public static Optional<Peer> peer(SocketChannel unix) {
        throw new UnsupportedOperationException();
    }

    /**
     * TCP_USER_TIMEOUT: how long the kernel lets sent data go unacknowledged.
     *
     * @return false if it could not be set
     */
    public static boolean userTimeout(NetworkChannel tcp, Duration limit) {
        throw new UnsupportedOperationException();
    }

    /** Some of TCP_INFO. */
    public record Tcp(
            Duration roundTrip,
            Duration minimumRoundTrip,
            Duration sinceDataReceived,
            Duration sinceAckReceived,
            int unacknowledged,
            int retransmitted,
            long notSent) {}

    public static Optional<Tcp> info(NetworkChannel tcp) {
        throw new UnsupportedOperationException();
    }
}
