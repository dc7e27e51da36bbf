package holdfast.ssh.server;

import java.security.KeyPair;
import java.time.Duration;
import org.apache.sshd.common.SshConstants;
import org.apache.sshd.common.SshException;
import org.apache.sshd.common.io.IoSession;
import org.apache.sshd.common.util.buffer.Buffer;
import org.apache.sshd.common.util.buffer.ByteArrayBuffer;
import org.apache.sshd.core.CoreModuleProperties;
import org.apache.sshd.server.ServerFactoryManager;
import org.apache.sshd.server.SshServer;
import org.apache.sshd.server.kex.DHGEXServer;
import org.apache.sshd.server.session.ServerSessionImpl;
import org.jspecify.annotations.Nullable;

/**
 * MINA's server session without what makes it kill live connections: two key exchanges at once, and
 * timers.
 */
class OneKeyExchange extends ServerSessionImpl {

    /** Longer than any session; zero is refused for some of MINA's settings. */
    static final Duration FOREVER = Duration.ofDays(365);

    /** A signature is waited for; under decodeLock but for its end. */
    private volatile boolean signing;

    /** Who waits for it. */
    private volatile @Nullable Thread signer;

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
        KeyPair proof = signs(command) ? getHostKey() : null;
        if (proof == null || !(proof.getPrivate() instanceof SlowKey slow)) {
            super.handleKexMessage(command, buffer);
            return;
        }
        if (signing) {
            throw new SshException(
                    SshConstants.SSH2_DISCONNECT_PROTOCOL_ERROR, "key exchange message too early");
        }
        signing = true;
        byte[] message = new byte[buffer.available()];
        buffer.getRawBytes(message);
        slow.elsewhere(() -> exchange(command, new ByteArrayBuffer(message)));
    }

    /** Whether our answer to this message of the client's has a signature in it. */
    private boolean signs(int command) {
        return command
                == (kex instanceof DHGEXServer
                        ? SshConstants.SSH_MSG_KEX_DH_GEX_INIT
                        : SshConstants.SSH_MSG_KEXDH_INIT);
    }

    /** On a thread that may wait; meanwhile the client's packets are taken apart as ever. */
    private void exchange(int command, Buffer message) {
        Exception problem = null;
        signer = Thread.currentThread();
        try {
            super.handleKexMessage(command, message);
        } catch (Exception e) {
            problem = e;
        } finally {
            signer = null;
            signing = false;
            if (decodeLock.isHeldByCurrentThread()) {
                decodeLock.unlock();
            }
        }
        if (problem != null) {
            exceptionCaught(problem);
        }
    }

    /**
     * The wait for a signature is over, on the thread that waited: until the new keys are in place
     * no packet of the client's is taken apart, for it may answer what we are about to send.
     */
    public void signed() {
        if (Thread.currentThread() == signer) {
            decodeLock.lock();
        }
    }
}
