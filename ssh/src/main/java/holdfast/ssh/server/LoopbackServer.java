package holdfast.ssh.server;

import holdfast.ssh.crypto.Algorithms;
import holdfast.ssh.crypto.JdkCrypto;
import java.io.IOException;
import java.io.OutputStream;
import java.net.InetAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.security.GeneralSecurityException;
import java.security.KeyPair;
import java.security.KeyPairGenerator;
import java.time.Duration;
import java.util.List;
import java.util.function.Consumer;
import org.apache.sshd.common.channel.RequestHandler.Result;
import org.apache.sshd.common.compression.BuiltinCompressions;
import org.apache.sshd.common.config.keys.KeyUtils;
import org.apache.sshd.common.config.keys.PublicKeyEntry;
import org.apache.sshd.common.config.keys.writer.openssh.OpenSSHKeyPairResourceWriter;
import org.apache.sshd.common.file.nonefs.NoneFileSystemFactory;
import org.apache.sshd.common.forward.DefaultForwarderFactory;
import org.apache.sshd.common.global.KeepAliveHandler;
import org.apache.sshd.common.io.IoSession;
import org.apache.sshd.common.io.nio2.Nio2ServiceFactoryFactory;
import org.apache.sshd.common.keyprovider.KeyPairProvider;
import org.apache.sshd.common.random.JceRandomFactory;
import org.apache.sshd.common.random.SingletonRandomFactory;
import org.apache.sshd.common.session.ConnectionService;
import org.apache.sshd.common.session.Session;
import org.apache.sshd.common.session.SessionListener;
import org.apache.sshd.common.util.buffer.Buffer;
import org.apache.sshd.core.CoreModuleProperties;
import org.apache.sshd.server.SshServer;
import org.apache.sshd.server.auth.pubkey.UserAuthPublicKeyFactory;
import org.apache.sshd.server.channel.ChannelSessionFactory;
import org.apache.sshd.server.global.NoMoreSessionsHandler;
import org.apache.sshd.server.session.ServerSessionImpl;
import org.apache.sshd.server.session.SessionFactory;

/**
 * An SSH server for one process's own use: on 127.0.0.1, on a free port, with a host key and a user
 * key made for the occasion.
 *
 * <p>Any user name will do, so that several clients can be told apart; the key is what lets in.
 * Commands really run, as the user this process runs as. No shell, no terminal, no forwarding. It
 * never ends a connection by itself, however long nothing is heard: what the demo shows is what the
 * clients do.
 *
 * <p>The watcher is called on the server's threads and must not block.
 */
public final class LoopbackServer implements AutoCloseable {

    private static final String ADDRESS = "127.0.0.1";

    /** Not the 1 GiB at which OpenSSH's client renews its keys: both at once is a race. */
    private static final long REKEY_BYTES = 512L << 20;

    private final SshServer server;
    private final KeyPair hostKey;
    private final Path identity;

    private LoopbackServer(SshServer server, KeyPair hostKey, Path identity) {
        this.server = server;
        this.hostKey = hostKey;
        this.identity = identity;
    }

    /**
     * Starts a server.
     *
     * @param directory where the user's key is put; it should be the user's alone
     */
    public static LoopbackServer start(Path directory, Consumer<ServerEvent> watcher)
            throws IOException {
        JdkCrypto.install();
        try {
            KeyPairGenerator generator = KeyPairGenerator.getInstance("Ed25519");
            KeyPair hostKey = generator.generateKeyPair();
            KeyPair userKey = generator.generateKeyPair();
            Path identity = directory.resolve("id_ed25519");
            writeKey(userKey, identity);
            SshServer server = fitted(hostKey, userKey, watcher);
            server.start();
            return new LoopbackServer(server, hostKey, identity);
        } catch (GeneralSecurityException e) {
            throw new IOException("cannot make a key: " + e.getMessage(), e);
        }
    }

    public int port() {
        return server.getPort();
    }

    public InetAddress address() {
        return InetAddress.getLoopbackAddress();
    }

    /** The file with the private key that lets in. */
    public Path identity() {
        return identity;
    }

    /** The line of known_hosts for this server as it is reached at {@code port} of 127.0.0.1. */
    public String knownHostsLine(int port) {
        return "[" + ADDRESS + "]:" + port + " " + PublicKeyEntry.toString(hostKey.getPublic());
    }

    /** Ends every connection and every command. */
    @Override
    public void close() throws IOException {
        server.stop(true);
    }

    private static void writeKey(KeyPair key, Path file)
            throws IOException, GeneralSecurityException {
        Files.deleteIfExists(file);
        Files.createFile(
                file,
                PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-------")));
        try (OutputStream out = Files.newOutputStream(file, StandardOpenOption.WRITE)) {
            OpenSSHKeyPairResourceWriter.INSTANCE.writePrivateKey(key, "throw-away", null, out);
        }
    }

    private static SshServer fitted(
            KeyPair hostKey, KeyPair userKey, Consumer<ServerEvent> watcher) {
        SshServer server = new SshServer();
        Algorithms.install(
                server,
                Algorithms.Side.SERVER,
                List.of("mlkem768x25519-sha256", "curve25519-sha256", "ecdh-sha2-nistp256"),
                List.of(
                        "aes256-gcm@openssh.com",
                        "aes128-gcm@openssh.com",
                        "chacha20-poly1305@openssh.com",
                        "aes256-ctr",
                        "aes128-ctr"),
                List.of("hmac-sha2-256-etm@openssh.com", "hmac-sha2-256"),
                List.of("ssh-ed25519"));
        server.setHost(ADDRESS);
        server.setPort(0);
        server.setKeyPairProvider(KeyPairProvider.wrap(hostKey));
        server.setRandomFactory(new SingletonRandomFactory(JceRandomFactory.INSTANCE));
        server.setCompressionFactories(List.of(BuiltinCompressions.none));
        server.setIoServiceFactoryFactory(new Nio2ServiceFactoryFactory());
        server.setFileSystemFactory(NoneFileSystemFactory.INSTANCE);
        server.setForwarderFactory(DefaultForwarderFactory.INSTANCE);
        server.setFileSystemFactory(
                org.apache.sshd.common.file.nativefs.NativeFileSystemFactory.INSTANCE);
        server.setChannelFactories(List.of(ChannelSessionFactory.INSTANCE));
        server.setGlobalRequestHandlers(
                List.of(new Answering(watcher), NoMoreSessionsHandler.INSTANCE));
        server.setUserAuthFactories(List.of(UserAuthPublicKeyFactory.INSTANCE));
        server.setPublickeyAuthenticator(
                (user, key, session) -> KeyUtils.compareKeys(key, userKey.getPublic()));
        server.setCommandFactory((channel, command) ->
                new Execution(channel.getSession().getUsername(), command, watcher));
        server.setSessionFactory(new Sessions(server));
        server.addSessionListener(new Watching(watcher));
        OneKeyExchange.patient(server);
        CoreModuleProperties.AUTH_TIMEOUT.set(server, Duration.ofMinutes(2));
        CoreModuleProperties.REKEY_BYTES_LIMIT.set(server, REKEY_BYTES);
        CoreModuleProperties.NIO_WORKERS.set(server, 2);
        return server;
    }

    /** Answers keepalives, and tells of them. */
    private static final class Answering extends KeepAliveHandler {

        private final Consumer<ServerEvent> watcher;

        Answering(Consumer<ServerEvent> watcher) {
            this.watcher = watcher;
        }

        @Override
        public Result process(
                ConnectionService service, String request, boolean wantReply, Buffer buffer)
                throws Exception {
            Result result = super.process(service, request, wantReply, buffer);
            if (result == Result.Replied) {
                watcher.accept(new ServerEvent.KeepAlive(service.getSession().getUsername()));
            }
            return result;
        }
    }

    private static final class Watching implements SessionListener {

        private final Consumer<ServerEvent> watcher;

        Watching(Consumer<ServerEvent> watcher) {
            this.watcher = watcher;
        }

        @Override
        public void sessionEvent(Session session, Event event) {
            if (event == Event.Authenticated) {
                watcher.accept(new ServerEvent.LoggedIn(session.getUsername()));
            }
        }

        @Override
        public void sessionClosed(Session session) {
            String user = session.getUsername();
            if (user != null && session.isAuthenticated()) {
                watcher.accept(new ServerEvent.Left(user));
            }
        }
    }

    private static final class Sessions extends SessionFactory {

        Sessions(SshServer server) {
            super(server);
        }

        @Override
        protected ServerSessionImpl doCreateSession(IoSession io) throws Exception {
            return new OneKeyExchange(getServer(), io);
        }
    }
}
