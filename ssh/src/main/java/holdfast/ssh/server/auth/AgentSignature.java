package holdfast.ssh.server.auth;

import holdfast.ssh.auth.AgentKey;
import holdfast.ssh.auth.Wire;
import holdfast.ssh.server.ServerTransport;
import holdfast.ssh.server.SlowKey;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.security.PrivateKey;
import java.security.PublicKey;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import org.apache.sshd.common.NamedFactory;
import org.apache.sshd.common.SshConstants;
import org.apache.sshd.common.SshException;
import org.apache.sshd.common.session.SessionContext;
import org.apache.sshd.common.signature.Signature;
import org.jspecify.annotations.Nullable;

/** A signature algorithm of MINA's that also signs with host keys an agent has (HostKeyAgent). */
final class AgentSignature implements Signature {

    /** What MINA holds for the private half of such a key. */
    static final class Elsewhere implements SlowKey {
        private static final long serialVersionUID = 1;

        /** Signatures that may be waited for at once; an agent that is stuck holds each 15 s. */
        private static final int SIGNERS = 16;

        private static final ThreadPoolExecutor THREADS = threads();

        private final transient AgentKey key;

        Elsewhere(AgentKey key) {
            this.key = key;
        }

        private static ThreadPoolExecutor threads() {
            // What waits its turn is a key exchange each, which connections are counted for.
            ThreadPoolExecutor threads =
                    new ThreadPoolExecutor(
                            SIGNERS,
                            SIGNERS,
                            10,
                            TimeUnit.SECONDS,
                            new LinkedBlockingQueue<>(),
                            task ->
                                    Thread.ofPlatform()
                                            .daemon()
                                            .name("holdfast-host-key-agent")
                                            .unstarted(task));
            threads.allowCoreThreadTimeOut(true);
            return threads;
        }

        @Override
        public void elsewhere(Runnable work) {
            THREADS.execute(work);
        }

        @Override
        public String getAlgorithm() {
            return key.key().algorithm();
        }

        @Override
        public @Nullable String getFormat() {
            return null;
        }

        @Override
        public byte @Nullable [] getEncoded() {
            return null;
        }
    }

    private final Signature own;
    private final String name;
    private @Nullable AgentKey asked;
    private final ByteArrayOutputStream data = new ByteArrayOutputStream();

    private AgentSignature(String name, Signature own) {
        this.name = name;
        this.own = own;
    }

    /** The same algorithms, which sign with an agent's keys as well. */
    static List<NamedFactory<Signature>> all(List<? extends NamedFactory<Signature>> factories) {
        List<NamedFactory<Signature>> all = new ArrayList<>(factories.size());
        for (NamedFactory<Signature> factory : factories) {
            all.add(factory instanceof Factory ? factory : new Factory(factory.getName(), factory));
        }
        return all;
    }

    private record Factory(String getName, NamedFactory<Signature> own)
            implements NamedFactory<Signature> {
        @Override
        public Signature create() {
            return new AgentSignature(getName, Objects.requireNonNull(own.create()));
        }
    }

    @Override
    public String getAlgorithm() {
        return own.getAlgorithm();
    }

    /** That of a certificate signs by the name of its key's. */
    @Override
    public String getSshAlgorithmName(String algorithm) {
        return own.getSshAlgorithmName(algorithm);
    }

    @Override
    public void initVerifier(SessionContext session, PublicKey key) throws Exception {
        own.initVerifier(session, key);
    }

    @Override
    public void initSigner(SessionContext session, PrivateKey key) throws Exception {
        if (key instanceof Elsewhere elsewhere) {
            asked = elsewhere.key;
            data.reset();
        } else {
            asked = null;
            own.initSigner(session, key);
        }
    }

    @Override
    public void update(SessionContext session, byte[] bytes, int offset, int length)
            throws Exception {
        if (asked == null) {
            own.update(session, bytes, offset, length);
        } else {
            data.write(bytes, offset, length);
        }
    }

    @Override
    public boolean verify(SessionContext session, byte[] signature) throws Exception {
        return own.verify(session, signature);
    }

    /** Of an agent's the part behind the algorithm's name, which MINA puts before it. */
    @Override
    public byte[] sign(SessionContext session) throws Exception {
        AgentKey key = asked;
        if (key == null) {
            return own.sign(session);
        }
        try {
            Wire.Reader whole =
                    new Wire.Reader(key.sign(getSshAlgorithmName(name), data.toByteArray()));
            whole.string();
            byte[] signature = whole.string();
            if (session instanceof ServerTransport transport) {
                transport.signed();
            }
            return signature;
        } catch (IOException | Wire.Malformed e) {
            // No fault of the client's, nor one of the program.
            throw new SshException(
                    SshConstants.SSH2_DISCONNECT_KEY_EXCHANGE_FAILED,
                    "ssh_agent_sign: " + e.getMessage(),
                    e);
        }
    }
}
