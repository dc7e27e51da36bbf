package holdfast.ssh.server.session;

import static org.assertj.core.api.Assertions.assertThat;

import holdfast.ssh.crypto.Algorithms;
import holdfast.ssh.crypto.JdkCrypto;
import java.lang.management.ManagementFactory;
import java.lang.management.ThreadInfo;
import java.lang.management.ThreadMXBean;
import java.nio.file.Path;
import java.security.KeyPair;
import java.security.KeyPairGenerator;
import java.security.spec.ECGenParameterSpec;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import org.apache.sshd.client.SshClient;
import org.apache.sshd.client.channel.ChannelExec;
import org.apache.sshd.client.keyverifier.AcceptAllServerKeyVerifier;
import org.apache.sshd.client.session.ClientSession;
import org.apache.sshd.common.channel.StreamingChannel;
import org.apache.sshd.common.keyprovider.KeyIdentityProvider;
import org.apache.sshd.core.CoreModuleProperties;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Sessions in which nothing happens. */
@Timeout(120)
class IdleTest {

    private static final Duration PATIENCE = Duration.ofSeconds(30);

    @TempDir Path directory;

    private static SshClient client() throws Exception {
        JdkCrypto.install();
        SshClient client = SshClient.setUpDefaultClient();
        Algorithms.install(
                client,
                Algorithms.Side.CLIENT,
                List.of("curve25519-sha256"),
                List.of("aes256-gcm@openssh.com"),
                List.of("hmac-sha2-256"),
                List.of("ssh-ed25519", "ecdsa-sha2-nistp256"));
        client.setServerKeyVerifier(AcceptAllServerKeyVerifier.INSTANCE);
        KeyPairGenerator generator = KeyPairGenerator.getInstance("EC");
        generator.initialize(new ECGenParameterSpec("secp256r1"));
        KeyPair key = generator.generateKeyPair();
        client.setKeyIdentityProvider(KeyIdentityProvider.wrapKeyPairs(key));
        CoreModuleProperties.NIO_WORKERS.set(client, 2);
        client.start();
        return client;
    }

    private static void join(SshClient client, int port, int sessions) throws Exception {
        for (int i = 0; i < sessions; i++) {
            ClientSession session =
                    client.connect(System.getProperty("user.name"), "127.0.0.1", port)
                            .verify(PATIENCE)
                            .getSession();
            session.auth().verify(PATIENCE);
            ChannelExec channel = session.createExecChannel("exec sleep 600");
            channel.setStreaming(StreamingChannel.Streaming.Async);
            channel.open().verify(PATIENCE);
        }
    }

    /** All but those that carry virtual threads, whose number is the processors'. */
    private static List<String> threads() {
        ThreadMXBean bean = ManagementFactory.getThreadMXBean();
        List<String> names = new ArrayList<>();
        for (ThreadInfo info : bean.getThreadInfo(bean.getAllThreadIds())) {
            if (info != null && !info.getThreadName().startsWith("ForkJoinPool")) {
                names.add(info.getThreadId() + " " + info.getThreadName());
            }
        }
        return names;
    }

    @Test
    void two_hundred_idle_sessions_have_no_thread_more_than_forty() throws Exception {
        try (SessionServer server = new SessionServer(directory, "ClientAliveInterval 1");
                SshClient client = Objects.requireNonNull(client())) {
            join(client, server.port, 40);
            List<String> few = threads();
            join(client, server.port, 160);
            // A keepalive or two for each, which are nobody's thread either.
            Thread.sleep(2500);
            assertThat(few).containsAll(threads());
        }
    }
}
