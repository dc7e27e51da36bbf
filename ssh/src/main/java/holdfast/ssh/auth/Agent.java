package holdfast.ssh.auth;

import holdfast.ssh.auth.Wire.Malformed;
import holdfast.ssh.octets.Octets;
import java.io.EOFException;
import java.io.IOException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.SelectionKey;
import java.nio.channels.Selector;
import java.nio.channels.SocketChannel;
import java.security.GeneralSecurityException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * A connection to the person's ssh-agent (draft-ietf-sshm-ssh-agent) over its Unix socket.
 *
 * <p>All has a deadline, because an agent that hangs must not hang the login. That of signing is
 * long: the agent may be waiting for the person to touch a key.
 *
 * <p>Belongs to one thread at a time.
 */
final class Agent implements AutoCloseable {

    /** A key the agent holds. */
    record Held(PublicIdentity key, String comment) {}

    /** The agent answered, and said no. */
    static final class Refused extends IOException {
        private static final long serialVersionUID = 1;

        Refused() {
            super("agent refused operation");
        }
    }

    /** The agent is there and says nothing. */
    static final class Silent extends IOException {
        private static final long serialVersionUID = 1;

        Silent() {
            super("Connection timed out");
        }
    }

    /** OpenSSH's MAX_AGENT_REPLY_LEN and the most identities it reads. */
    private static final int LONGEST_REPLY = 256 * 1024;

    private static final int MOST_IDENTITIES = 2048;

    private static final int FAILURE = 5;
    private static final int SUCCESS = 6;
    private static final int REQUEST_IDENTITIES = 11;
    private static final int IDENTITIES_ANSWER = 12;
    private static final int SIGN_REQUEST = 13;
    private static final int SIGN_RESPONSE = 14;
    private static final int ADD_IDENTITY = 17;
    private static final int ADD_ID_CONSTRAINED = 25;
    private static final int CONSTRAIN_LIFETIME = 1;
    private static final int CONSTRAIN_CONFIRM = 2;
    private static final int CONSTRAIN_EXTENSION = 255;
    private static final int EXTENSION_FAILURE = 28;
    private static final int COM_AGENT2_FAILURE = 102;
    private static final int EXTENDED_FAILURE = 30;

    private static final int RSA_SHA2_256 = 2;
    private static final int RSA_SHA2_512 = 4;

    /** A person may have to be asked first, or to touch something; sshd waits two minutes. */
    static final Duration SIGNING = Duration.ofSeconds(60);

    private final SocketChannel channel;
    private final Selector selector;
    private final SelectionKey ready;
    private final Duration patience;

    private Agent(SocketChannel channel, Selector selector, SelectionKey ready, Duration patience) {
        this.channel = channel;
        this.selector = selector;
        this.ready = ready;
        this.patience = patience;
    }

    /**
     * Connects to the agent that listens at {@code socket}.
     *
     * @param patience how long a listing may take
     */
    static Agent connect(String socket, Duration patience) throws IOException {
        SocketChannel channel = SocketChannel.open(StandardProtocolFamily.UNIX);
        try {
            channel.configureBlocking(false);
            // A Unix socket connects at once or not at all.
            if (!channel.connect(UnixDomainSocketAddress.of(Octets.path(socket)))) {
                throw new IOException("Connection timed out");
            }
            Selector selector = Selector.open();
            SelectionKey ready = channel.register(selector, SelectionKey.OP_READ);
            return new Agent(channel, selector, ready, patience);
        } catch (IOException | RuntimeException e) {
            channel.close();
            throw e instanceof IOException io
                    ? io
                    : new IOException("invalid agent socket path", e);
        }
    }

    /**
     * Tells the agent which server we log in to, so that it can withhold keys that are not for it.
     *
     * @throws Refused where the agent does not know of this, or does not believe it
     */
    void bind(HostProof proof, byte[] sessionId) throws IOException {
        try {
            ask(new Wire.Writer().raw(proof.binding(sessionId, false)), SUCCESS, patience);
        } catch (Malformed e) {
            throw new IOException("invalid format", e);
        }
    }

    /** The keys the agent holds, in its order; those it names unreadably are left out. */
    List<Held> identities() throws IOException {
        try {
            Wire.Reader reply =
                    ask(new Wire.Writer().u8(REQUEST_IDENTITIES), IDENTITIES_ANSWER, patience);
            int count = reply.u32();
            if (count > MOST_IDENTITIES) {
                throw new IOException("Invalid key length");
            }
            List<Held> held = new ArrayList<>(count);
            for (int i = 0; i < count; i++) {
                byte[] blob = reply.string();
                String comment = reply.text();
                try {
                    held.add(new Held(PublicIdentity.of(blob), comment));
                } catch (Malformed unknown) {
                    // As OpenSSH: an agent may hold kinds of key that we do not know.
                }
            }
            return held;
        } catch (Malformed e) {
            throw new IOException("invalid format", e);
        }
    }

    /**
     * Has the agent sign {@code data}.
     *
     * @param algorithm the signature algorithm; decides the flags for an RSA key
     * @return the signature as it travels
     */
    byte[] sign(PublicIdentity key, String algorithm, byte[] data) throws IOException {
        return sign(key, algorithm, data, SIGNING);
    }

    /**
     * The same.
     *
     * @param patience how long it may take
     */
    byte[] sign(PublicIdentity key, String algorithm, byte[] data, Duration patience)
            throws IOException {
        int flags =
                switch (algorithm) {
                    case "rsa-sha2-256" -> RSA_SHA2_256;
                    case "rsa-sha2-512" -> RSA_SHA2_512;
                    default -> 0;
                };
        Wire.Writer request =
                new Wire.Writer().u8(SIGN_REQUEST).string(key.blob()).string(data).u32(flags);
        try {
            byte[] signature = ask(request, SIGN_RESPONSE, patience).string();
            // An old agent ignores the flags and answers with SHA-1.
            if (!new Wire.Reader(signature).text().equals(algorithm)) {
                throw new IOException("signature algorithm not supported");
            }
            return signature;
        } catch (Malformed e) {
            throw new IOException("invalid format", e);
        }
    }

    /**
     * Gives the agent a key.
     *
     * @param keptFor how long it is to keep it; zero: for ever
     * @param confirmed whether it is to ask the person before each use
     */
    void add(
            PrivateIdentity identity,
            String comment,
            Duration keptFor,
            boolean confirmed,
            @Nullable String provider)
            throws IOException, GeneralSecurityException {
        String through = identity.isElsewhere() ? provider : null;
        boolean constrained = confirmed || !keptFor.isZero() || through != null;
        Wire.Writer request =
                new Wire.Writer()
                        .u8(constrained ? ADD_ID_CONSTRAINED : ADD_IDENTITY)
                        .raw(identity.forAgent().bytes())
                        .text(comment);
        if (!keptFor.isZero()) {
            request.u8(CONSTRAIN_LIFETIME).u32((int) keptFor.toSeconds());
        }
        if (confirmed) {
            request.u8(CONSTRAIN_CONFIRM);
        }
        if (through != null) {
            request.u8(CONSTRAIN_EXTENSION).text("sk-provider@openssh.com").text(through);
        }
        try {
            ask(request, SUCCESS, patience);
        } catch (Malformed e) {
            throw new IOException("invalid format", e);
        }
    }

    private Wire.Reader ask(Wire.Writer request, int expected, Duration patience)
            throws IOException, Malformed {
        long end = System.nanoTime() + patience.toNanos();
        ByteBuffer out = ByteBuffer.wrap(new Wire.Writer().string(request.bytes()).bytes());
        while (out.hasRemaining()) {
            if (channel.write(out) == 0) {
                await(SelectionKey.OP_WRITE, end);
            }
        }
        ByteBuffer head = ByteBuffer.allocate(4);
        fill(head, end);
        int length = head.getInt(0);
        if (length < 1 || length > LONGEST_REPLY) {
            throw new IOException("invalid format");
        }
        ByteBuffer body = ByteBuffer.allocate(length);
        fill(body, end);
        Wire.Reader reply = new Wire.Reader(body.array());
        int type = reply.u8();
        if (type == FAILURE
                || type == EXTENSION_FAILURE
                || type == COM_AGENT2_FAILURE
                || type == EXTENDED_FAILURE) {
            throw new Refused();
        }
        if (type != expected) {
            throw new IOException("invalid format");
        }
        return reply;
    }

    private void fill(ByteBuffer buffer, long end) throws IOException {
        while (buffer.hasRemaining()) {
            int read = channel.read(buffer);
            if (read < 0) {
                throw new EOFException("communication with agent failed");
            }
            if (read == 0) {
                await(SelectionKey.OP_READ, end);
            }
        }
    }

    private void await(int interest, long end) throws IOException {
        ready.interestOps(interest);
        long left = Duration.ofNanos(end - System.nanoTime()).toMillis();
        if (left <= 0) {
            throw new Silent();
        }
        selector.select(left);
        selector.selectedKeys().clear();
        if (Thread.currentThread().isInterrupted()) {
            throw new IOException("interrupted");
        }
    }

    @Override
    public void close() {
        try {
            selector.close();
            channel.close();
        } catch (IOException nothingToSave) {
            return; // the agent is on this machine and keeps no state for us
        }
    }
}
