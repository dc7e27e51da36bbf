package holdfast.ssh.server;

import java.time.Duration;
import org.apache.sshd.common.io.IoSession;
import org.apache.sshd.common.util.buffer.Buffer;
import org.apache.sshd.core.CoreModuleProperties;
import org.apache.sshd.server.ServerFactoryManager;
import org.apache.sshd.server.SshServer;
import org.apache.sshd.server.session.ServerSessionImpl;

/**
 * MINA's server session without what makes it kill live connections: two key exchanges at once, and
 * timers.
 */
class OneKeyExchange extends ServerSessionImpl {

    /** Longer than any session; zero is refused for some of MINA's settings. */
    static final Duration FOREVER = Duration.ofDays(365);

    OneKeyExchange(ServerFactoryManager server, IoSession io) throws Exception {
        super(server, io);
    }

    /** Off with every timer of MINA's: they end live connections and miss dead ones. */
    static void patient(SshServer mina) {
        CoreModuleProperties.IDLE_TIMEOUT.set(mina, Duration.ZERO);
        CoreModuleProperties.NIO2_MIN_WRITE_TIMEOUT.set(mina, Duration.ZERO);
        CoreModuleProperties.NIO2_READ_TIMEOUT.set(mina, Duration.ZERO);
        CoreModuleProperties.WAIT_FOR_SPACE_TIMEOUT.set(mina, FOREVER);
        CoreModuleProperties.BUFFERED_IO_OUTPUT_MAX_PENDING_WRITE_WAIT.set(mina, FOREVER);
        CoreModuleProperties.TCP_NODELAY.set(mina, true);
        CoreModuleProperties.DISCONNECT_TIMEOUT.set(mina, Duration.ofSeconds(2));
        CoreModuleProperties.CHANNEL_CLOSE_TIMEOUT.set(mina, Duration.ofSeconds(2));
        CoreModuleProperties.COMMAND_EXIT_TIMEOUT.set(mina, Duration.ofSeconds(1));
        CoreModuleProperties.NIO2_READ_BUFFER_SIZE.set(mina, NetworkSession.LITTLE);
    }

    /**
     * Holds back the client's key exchange messages until our own KEXINIT has been dealt with. The
     * thread that sends it negotiates afterwards, holding the monitor of {@code kexState}; MINA
     * does not wait for it, and a connection whose two ends renew their keys at once is killed.
     */
    @Override
    protected void handleKexMessage(int command, Buffer buffer) throws Exception {
        synchronized (kexState) {
            // Only waits; the negotiation needs its monitor no longer.
        }
        super.handleKexMessage(command, buffer);
    }
}
