package holdfast.trials.bench;

import holdfast.ssh.crypto.Algorithms;
import holdfast.ssh.crypto.JdkCrypto;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.security.KeyPair;
import java.security.KeyPairGenerator;
import java.security.spec.ECGenParameterSpec;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Semaphore;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import org.apache.sshd.client.SshClient;
import org.apache.sshd.client.channel.ChannelSession;
import org.apache.sshd.client.keyverifier.AcceptAllServerKeyVerifier;
import org.apache.sshd.client.session.ClientSession;
import org.apache.sshd.common.channel.StreamingChannel;
import org.apache.sshd.common.config.keys.PublicKeyEntry;
import org.apache.sshd.common.keyprovider.KeyIdentityProvider;
import org.apache.sshd.common.session.ConnectionService;
import org.apache.sshd.core.CoreModuleProperties;
import org.jspecify.annotations.Nullable;

/**
 * Thousands of idle clients in one process: each logged in, with one session open, answering
 * keepalives. The program of its own that {@link Scale} starts; MINA's client, tuned to be small.
 *
 * <p>Words: address, port, user, cipher, the command or {@code sftp} or {@code bare}. Prints the
 * line for authorized_keys, then obeys {@code fill SOURCE COUNT PARALLEL} with {@code filled MADE
 * OF WANTED: TROUBLE}, {@code alive} with a number, and ends with its input.
 */
final class Crowd {

    /** In place of a command: the subsystem. */
    static final String SFTP = "sftp";

    /** In place of a command: nothing, the channel is open and that is all. */
    static final String BARE = "bare";

    private static final Duration PATIENCE = Duration.ofSeconds(100);

    private final SshClient client = SshClient.setUpDefaultClient();
    private final KeyPair key;
    private final InetSocketAddress server;
    private final String user;
    private final String command;
    private final List<ClientSession> sessions = new ArrayList<>();

    private Crowd(List<String> words) throws Exception {
        server = new InetSocketAddress(words.get(0), Integer.parseInt(words.get(1)));
        user = words.get(2);
        command = words.get(4);
        KeyPairGenerator generator = KeyPairGenerator.getInstance("EC");
        generator.initialize(new ECGenParameterSpec("secp256r1"));
        key = generator.generateKeyPair();
        Algorithms.install(
                client,
                Algorithms.Side.CLIENT,
                List.of("curve25519-sha256"),
                List.of(words.get(3)),
                List.of("hmac-sha2-256-etm@openssh.com"),
                List.of("ssh-ed25519", "ecdsa-sha2-nistp256"));
        client.setServerKeyVerifier(AcceptAllServerKeyVerifier.INSTANCE);
        client.setKeyIdentityProvider(KeyIdentityProvider.wrapKeyPairs(key));
        CoreModuleProperties.IDLE_TIMEOUT.set(client, Duration.ZERO);
        CoreModuleProperties.NIO2_MIN_WRITE_TIMEOUT.set(client, Duration.ZERO);
        CoreModuleProperties.NIO2_READ_TIMEOUT.set(client, Duration.ZERO);
        CoreModuleProperties.AUTH_TIMEOUT.set(client, Duration.ZERO);
        CoreModuleProperties.NIO2_READ_BUFFER_SIZE.set(client, 2048);
        CoreModuleProperties.NIO_WORKERS.set(client, 3);
        client.start();
    }

    public static void main(String[] words) throws Exception {
        JdkCrypto.install();
        Crowd crowd = new Crowd(List.of(words));
        System.out.println(PublicKeyEntry.toString(crowd.key.getPublic()));
        try (BufferedReader orders =
                new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8))) {
            String line;
            while ((line = orders.readLine()) != null) {
                String[] order = line.split(" ", -1);
                if (order[0].equals("fill")) {
                    System.out.println(
                            crowd.fill(
                                    order[1],
                                    Integer.parseInt(order[2]),
                                    Integer.parseInt(order[3])));
                } else {
                    System.out.println(
                            crowd.sessions.stream().filter(ClientSession::isOpen).count());
                }
            }
        }
        // The sessions of a cut half would each wait for a farewell that nobody takes.
        Runtime.getRuntime().halt(0);
    }

    private String fill(String source, int count, int parallel) throws InterruptedException {
        Semaphore under = new Semaphore(parallel);
        CountDownLatch done = new CountDownLatch(count);
        AtomicInteger made = new AtomicInteger();
        AtomicReference<@Nullable Exception> trouble = new AtomicReference<>();
        for (int i = 0; i < count; i++) {
            under.acquire();
            Thread.ofVirtual()
                    .start(() -> {
                        try {
                            join(source);
                            made.incrementAndGet();
                        } catch (Exception e) {
                            trouble.compareAndSet(null, e);
                        } finally {
                            under.release();
                            done.countDown();
                        }
                    });
        }
        done.await();
        return "filled " + made + " of " + count + ": " + trouble.get();
    }

    private void join(String source) throws Exception {
        ClientSession session =
                client.connect(user, server, null, new InetSocketAddress(source, 0))
                        .verify(PATIENCE)
                        .getSession();
        session.auth().verify(PATIENCE);
        ChannelSession channel =
                switch (command) {
                    case SFTP -> session.createSubsystemChannel(SFTP);
                    case BARE -> bare(session);
                    default -> session.createExecChannel(command);
                };
        // No pipes and no pump: nothing is said on it.
        channel.setStreaming(StreamingChannel.Streaming.Async);
        channel.open().verify(PATIENCE);
        synchronized (sessions) {
            sessions.add(session);
        }
    }

    private static ChannelSession bare(ClientSession session) throws IOException {
        ChannelSession channel =
                new ChannelSession() {
                    @Override
                    protected void doOpen() {
                        // No request follows.
                    }
                };
        session.getService(ConnectionService.class).registerChannel(channel);
        return channel;
    }
}
