package holdfast.ssh.server.session;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import holdfast.ssh.crypto.Algorithms;
import holdfast.ssh.crypto.JdkCrypto;
import java.io.ByteArrayOutputStream;
import java.io.InputStream;
import java.io.OutputStream;
import java.lang.management.ManagementFactory;
import java.lang.management.ThreadInfo;
import java.lang.management.ThreadMXBean;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyPair;
import java.security.KeyPairGenerator;
import java.security.spec.ECGenParameterSpec;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.Random;
import java.util.function.BooleanSupplier;
import org.apache.sshd.client.SshClient;
import org.apache.sshd.client.channel.ChannelExec;
import org.apache.sshd.client.channel.ChannelSubsystem;
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

    private static ClientSession login(SshClient client, int port) throws Exception {
        ClientSession session =
                client.connect(System.getProperty("user.name"), "127.0.0.1", port)
                        .verify(PATIENCE)
                        .getSession();
        session.auth().verify(PATIENCE);
        return session;
    }

    /** So many that wait for input which never comes. */
    private static void commands(ClientSession session, int count) throws Exception {
        for (int i = 0; i < count; i++) {
            ChannelExec channel = session.createExecChannel("exec cat");
            channel.setStreaming(StreamingChannel.Streaming.Async);
            channel.open().verify(PATIENCE);
        }
    }

    private static long children() {
        return ProcessHandle.current().children().filter(ProcessHandle::isAlive).count();
    }

    private static void await(String what, BooleanSupplier there) throws InterruptedException {
        long until = System.nanoTime() + PATIENCE.toNanos();
        while (!there.getAsBoolean()) {
            assertThat(System.nanoTime()).as(what).isLessThan(until);
            Thread.sleep(20);
        }
    }

    /** One file transfer, greeted. */
    private static ChannelSubsystem files(ClientSession session) throws Exception {
        ChannelSubsystem channel = session.createSubsystemChannel("sftp");
        channel.open().verify(PATIENCE);
        say(channel, request(1, 3, new byte[0]));
        assertThat(answer(channel)[0]).as("VERSION").isEqualTo((byte) 2);
        return channel;
    }

    private static byte[] request(int type, int number, byte[] body) {
        return ByteBuffer.allocate(9 + body.length)
                .putInt(5 + body.length)
                .put((byte) type)
                .putInt(number)
                .put(body)
                .array();
    }

    private static byte[] string(byte[] text, int more) {
        return ByteBuffer.allocate(4 + text.length + more).putInt(text.length).put(text).array();
    }

    private static void say(ChannelSubsystem channel, byte[] bytes) throws Exception {
        OutputStream out = channel.getInvertedIn();
        out.write(bytes);
        out.flush();
    }

    /** The next reply without its length. */
    private static byte[] answer(ChannelSubsystem channel) throws Exception {
        InputStream in = channel.getInvertedOut();
        int length = ByteBuffer.wrap(in.readNBytes(4)).getInt();
        return in.readNBytes(length);
    }

    /**
     * All but those that carry virtual threads, whose number is the processors', and the client's.
     */
    private static List<String> threads() {
        ThreadMXBean bean = ManagementFactory.getThreadMXBean();
        List<String> names = new ArrayList<>();
        for (ThreadInfo info : bean.getThreadInfo(bean.getAllThreadIds())) {
            if (info != null
                    && !info.getThreadName().startsWith("ForkJoinPool")
                    && !info.getThreadName().startsWith("sshd-SshClient")) {
                names.add(info.getThreadId() + " " + info.getThreadName());
            }
        }
        return names;
    }

    /** Until there are no more of them: a thread may stay a while for what comes next. */
    private static void noMoreThan(List<String> few, String in) throws Exception {
        long until = System.nanoTime() + PATIENCE.toNanos();
        List<String> now = threads();
        while (now.size() > few.size() && System.nanoTime() < until) {
            Thread.sleep(50);
            now = threads();
        }
        assertThat(now).as(in).hasSizeLessThanOrEqualTo(few.size());
    }

    private static void nobodyActsAsUser() throws Exception {
        long until = System.nanoTime() + PATIENCE.toNanos();
        String name = " as-" + System.getProperty("user.name");
        while (threads().stream().anyMatch(each -> each.endsWith(name))) {
            assertThat(System.nanoTime()).as("threads: " + threads()).isLessThan(until);
            Thread.sleep(50);
        }
    }

    @Test
    void two_hundred_idle_commands_have_no_thread_more_than_twenty_and_end_with_their_clients()
            throws Exception {
        try (SessionServer server =
                        new SessionServer(directory, "ClientAliveInterval 1", "MaxSessions 20");
                SshClient client = Objects.requireNonNull(client())) {
            List<String> few = List.of();
            List<ClientSession> sessions = new ArrayList<>();
            for (int i = 0; i < 10; i++) {
                ClientSession session = login(client, server.port);
                sessions.add(session);
                commands(session, 20);
                if (i == 0) {
                    few = threads();
                }
            }
            await("200 commands", () -> children() >= 200);
            // A keepalive for each connection, which is nobody's thread either.
            Thread.sleep(1500);
            noMoreThan(few, "200 commands");
            for (ClientSession session : sessions) {
                session.close(true);
            }
            await("the end of the commands", () -> children() < 20);
        }
    }

    @Test
    void two_hundred_idle_file_transfers_have_no_thread_more_than_twenty() throws Exception {
        try (SessionServer server =
                        new SessionServer(
                                directory, "Subsystem sftp internal-sftp", "MaxSessions 20");
                SshClient client = Objects.requireNonNull(client())) {
            List<ChannelSubsystem> all = new ArrayList<>();
            List<String> few = List.of();
            for (int i = 0; i < 10; i++) {
                ClientSession session = login(client, server.port);
                for (int j = 0; j < 20; j++) {
                    all.add(files(session));
                }
                if (i == 0) {
                    nobodyActsAsUser();
                    few = threads();
                }
            }
            nobodyActsAsUser();
            noMoreThan(few, "200 transfers");
            byte[] path = string(directory.toString().getBytes(UTF_8), 0);
            for (ChannelSubsystem each : all) {
                say(each, request(16, 7, path));
                assertThat(answer(each)[0]).as("NAME").isEqualTo((byte) 104);
            }
        }
    }

    @Test
    void a_transfer_whose_client_does_not_read_keeps_no_thread_and_loses_nothing()
            throws Exception {
        byte[] data = new byte[16 << 20];
        new Random(5).nextBytes(data);
        Path file = Files.write(directory.resolve("file"), data);
        try (SessionServer server = new SessionServer(directory, "Subsystem sftp internal-sftp");
                SshClient client = Objects.requireNonNull(client())) {
            ChannelSubsystem channel = files(login(client, server.port));
            byte[] open = request(3, 1, string(file.toString().getBytes(UTF_8), 8));
            open[open.length - 5] = 1; // to read
            for (byte each : open) {
                say(channel, new byte[] {each});
            }
            byte[] opened = answer(channel);
            assertThat(opened[0]).as("HANDLE").isEqualTo((byte) 102);
            byte[] handle = Arrays.copyOfRange(opened, 9, opened.length);
            int piece = 128 << 10;
            ByteArrayOutputStream reads = new ByteArrayOutputStream();
            for (int at = 0; at < data.length; at += piece) {
                byte[] body = string(handle, 12);
                ByteBuffer.wrap(body).putLong(body.length - 12, at).putInt(body.length - 4, piece);
                reads.write(request(5, 2, body));
            }
            // The last request lacks a byte: it waits as long as the others.
            say(channel, Arrays.copyOf(reads.toByteArray(), reads.size() - 1));
            nobodyActsAsUser();
            byte[] last = reads.toByteArray();
            say(channel, Arrays.copyOfRange(last, last.length - 1, last.length));
            for (int at = 0; at < data.length; at += piece) {
                byte[] reply = answer(channel);
                assertThat(reply[0]).as("DATA at %d", at).isEqualTo((byte) 103);
                assertThat(Arrays.equals(reply, 9, reply.length, data, at, at + piece))
                        .as("at %d", at)
                        .isTrue();
            }
            channel.close(false).await(PATIENCE);
        }
    }
}
