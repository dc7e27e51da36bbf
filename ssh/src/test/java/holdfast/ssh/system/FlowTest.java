package holdfast.ssh.system;

import static org.assertj.core.api.Assertions.assertThat;

import holdfast.ssh.stream.Inflow;
import holdfast.ssh.stream.Outflow;
import holdfast.ssh.stream.Tap;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Objects;
import java.util.Random;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.sshd.client.SshClient;
import org.apache.sshd.client.channel.ChannelExec;
import org.apache.sshd.client.channel.ClientChannelEvent;
import org.apache.sshd.client.session.ClientSession;
import org.apache.sshd.common.SshConstants;
import org.apache.sshd.common.channel.Channel;
import org.apache.sshd.common.channel.ChannelAsyncOutputStream;
import org.apache.sshd.common.channel.ChannelFactory;
import org.apache.sshd.common.channel.RequestHandler;
import org.apache.sshd.common.config.keys.KeyUtils;
import org.apache.sshd.common.keyprovider.KeyPairProvider;
import org.apache.sshd.common.session.Session;
import org.apache.sshd.common.util.buffer.Buffer;
import org.apache.sshd.core.CoreModuleProperties;
import org.apache.sshd.server.SshServer;
import org.apache.sshd.server.channel.AbstractServerChannel;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Children behind the channels of a real connection. */
@Timeout(90)
final class FlowTest {

    private final List<Exec> channels = new CopyOnWriteArrayList<>();
    private final SshServer server = SshServer.setUpDefaultServer();
    private final SshClient client = SshClient.setUpDefaultClient();

    @BeforeEach
    void start() throws Exception {
        server.setHost("127.0.0.1");
        server.setPort(0);
        server.setKeyPairProvider(
                KeyPairProvider.wrap(KeyUtils.generateKeyPair("ecdsa-sha2-nistp256", 256)));
        server.setPasswordAuthenticator((user, password, session) -> true);
        server.setChannelFactories(List.of(new Execs()));
        client.setServerKeyVerifier((session, address, key) -> true);
        client.start();
    }

    @AfterEach
    void stop() throws Exception {
        client.stop();
        server.stop(true);
    }

    /** A child behind a channel. */
    private record Running(
            Child child,
            Tap errors,
            ChannelAsyncOutputStream out,
            ChannelAsyncOutputStream err,
            Inflow inflow,
            Outflow outflow,
            Outflow errflow) {}

    /** What a session channel is, as far as bytes go. */
    private final class Exec extends AbstractServerChannel {
        private final AtomicInteger left = new AtomicInteger(3);
        private volatile @Nullable Running running;
        private volatile @Nullable IOException inputBroke;

        Exec() {
            super("", List.of(), null);
            channels.add(this);
        }

        Running running() {
            return Objects.requireNonNull(running);
        }

        @Override
        protected RequestHandler.Result handleInternalRequest(
                String request, boolean wantReply, Buffer buffer) throws IOException {
            Child child = Run.shell(buffer.getString()).stdio(Spawn.Stdio.SOCKETS).start();
            Tap errors = Objects.requireNonNull(child.errors());
            // Not before the channel knows its session.
            var out = new ChannelAsyncOutputStream(this, SshConstants.SSH_MSG_CHANNEL_DATA);
            var err =
                    new ChannelAsyncOutputStream(this, SshConstants.SSH_MSG_CHANNEL_EXTENDED_DATA);
            Running now =
                    new Running(
                            child,
                            errors,
                            out,
                            err,
                            new Inflow(child.input(), getLocalWindow(), why -> inputBroke = why),
                            new Outflow(child.output(), out, why -> oneLess()),
                            new Outflow(errors, err, why -> oneLess()));
            running = now;
            now.outflow.start();
            now.errflow.start();
            child.onExit(exit -> oneLess());
            return RequestHandler.Result.ReplySuccess;
        }

        private void oneLess() {
            if (left.decrementAndGet() == 0) {
                try {
                    sendEof();
                    sendExitStatus(Objects.requireNonNull(running().child.exit()).status());
                } catch (IOException e) {
                    // the connection is gone
                }
                close(false);
            }
        }

        @Override
        protected void doWriteData(byte[] data, int off, long len) {
            running().inflow.data(data, off, (int) len);
        }

        @Override
        protected void doWriteExtendedData(byte[] data, int off, long len) {}

        @Override
        public void handleEof() throws IOException {
            super.handleEof();
            running().inflow.finish();
        }

        @Override
        public void handleWindowAdjust(Buffer buffer) throws IOException {
            super.handleWindowAdjust(buffer);
            running().out.onWindowExpanded();
            running().err.onWindowExpanded();
        }

        @Override
        protected void preClose() {
            Running now = running;
            if (now != null) {
                now.inflow.stop();
                now.outflow.stop();
                now.errflow.stop();
                now.child.output().close();
                now.errors.close();
            }
            super.preClose();
        }
    }

    private final class Execs implements ChannelFactory {
        @Override
        public String getName() {
            return "session";
        }

        @Override
        public Channel createChannel(Session session) {
            return new Exec();
        }
    }

    private ClientSession login() throws Exception {
        if (!server.isStarted()) {
            server.start();
        }
        ClientSession session =
                client.connect("u", "127.0.0.1", server.getPort())
                        .verify(Duration.ofSeconds(20))
                        .getSession();
        session.addPasswordIdentity("p");
        session.auth().verify(Duration.ofSeconds(20));
        return session;
    }

    private record Ran(byte[] output, String errors, @Nullable Integer status) {}

    private Ran run(String script, byte[] input) throws Exception {
        try (ClientSession session = login();
                ChannelExec exec = session.createExecChannel(script)) {
            ByteArrayOutputStream output = new ByteArrayOutputStream();
            ByteArrayOutputStream errors = new ByteArrayOutputStream();
            exec.setIn(new ByteArrayInputStream(input));
            exec.setOut(output);
            exec.setErr(errors);
            exec.open().verify(Duration.ofSeconds(20));
            var events = exec.waitFor(EnumSet.of(ClientChannelEvent.CLOSED), 60_000);
            assertThat(events).contains(ClientChannelEvent.CLOSED);
            return new Ran(
                    output.toByteArray(),
                    errors.toString(StandardCharsets.UTF_8),
                    exec.getExitStatus());
        }
    }

    private static byte[] noise(int length) {
        byte[] bytes = new byte[length];
        new Random(length).nextBytes(bytes);
        return bytes;
    }

    @Test
    void the_status_comes_after_the_last_byte_and_errors_are_apart() throws Exception {
        Ran ran = run("echo problem >&2; seq 1 300000; exit 3", new byte[0]);

        assertThat(ran.output)
                .hasSize(1988895)
                .endsWith("\n300000\n".getBytes(StandardCharsets.UTF_8));
        assertThat(ran.errors).isEqualTo("problem\n");
        assertThat(ran.status).isEqualTo(3);
    }

    @Test
    void megabytes_go_there_and_back_byte_for_byte() throws Exception {
        byte[] noise = noise(20_000_000);
        Ran ran = run("cat; exit 5", noise);

        assertThat(ran.output).isEqualTo(noise);
        assertThat(ran.status).isEqualTo(5);
    }

    @Test
    void a_re_key_in_the_middle_loses_nothing_and_blocks_nobody() throws Exception {
        CoreModuleProperties.REKEY_BYTES_LIMIT.set(server, 1_000_000L);
        byte[] noise = noise(8_000_000);

        assertThat(run("cat", noise).output).isEqualTo(noise);
    }

    @Test
    void a_small_window_and_small_packets_are_kept_to() throws Exception {
        CoreModuleProperties.WINDOW_SIZE.set(server, 10_000L);
        CoreModuleProperties.MAX_PACKET_SIZE.set(server, 3_000L);
        CoreModuleProperties.WINDOW_SIZE.set(client, 7_001L);
        CoreModuleProperties.MAX_PACKET_SIZE.set(client, 1_024L);
        byte[] noise = noise(500_000);

        assertThat(run("cat", noise).output).isEqualTo(noise);
    }

    @Test
    void a_child_that_stops_reading_does_not_stop_its_output_nor_the_client() throws Exception {
        Ran ran = run("exec 0</dev/null; sleep 0.3; echo done; exit 4", noise(10_000_000));

        assertThat(new String(ran.output, StandardCharsets.UTF_8)).isEqualTo("done\n");
        assertThat(ran.status).isEqualTo(4);
        assertThat(channels.getFirst().inputBroke).hasMessage("write: Broken pipe");
    }

    @Test
    void who_does_not_read_stops_the_source_and_costs_no_more_than_the_windows() throws Exception {
        CoreModuleProperties.WINDOW_SIZE.set(server, 100_000L);
        try (ClientSession session = login();
                ChannelExec exec = session.createExecChannel("cat /dev/zero & sleep 60; :")) {
            // MINA's piped streams take what their window allows and then no more.
            exec.open().verify(Duration.ofSeconds(20));
            InputStream unread = exec.getInvertedOut();
            OutputStream input = exec.getInvertedIn();
            Thread writer =
                    Thread.ofPlatform()
                            .daemon()
                            .start(() -> {
                                try {
                                    input.write(new byte[5_000_000]);
                                } catch (IOException e) {
                                    // closed at the end
                                }
                            });
            long before = -1;
            Exec channel = channels.getFirst();
            while (channel.running == null) {
                TimeUnit.MILLISECONDS.sleep(10);
            }
            for (int i = 0; i < 100 && before != channel.running().outflow.carried(); i++) {
                before = channel.running().outflow.carried();
                TimeUnit.MILLISECONDS.sleep(100);
            }
            assertThat(channel.running().outflow.carried()).isBetween(2_000_000L, 2_200_000L);
            assertThat(channel.running().inflow.waiting()).isBetween(1L, 100_000L);
            assertThat(writer.isAlive()).isTrue();
            assertThat(unread.read()).isZero();
            channel.running().child.signal(Signal.KILL);
        }
    }

    @Test
    void many_at_once_are_served_by_the_same_two_threads() throws Exception {
        run("true", new byte[0]);
        try (ClientSession session = login()) {
            List<ChannelExec> all = new ArrayList<>();
            for (int i = 0; i < 50; i++) {
                ChannelExec exec = session.createExecChannel("echo " + i + "; read x; exit " + i);
                exec.setIn(null);
                exec.open().verify(Duration.ofSeconds(20));
                all.add(exec);
            }
            assertThat(threads("descriptors")).isEqualTo(1);
            assertThat(channels).hasSize(51);
            for (int i = 0; i < 50; i++) {
                all.get(i).getInvertedIn().write('\n');
                all.get(i).getInvertedIn().flush();
            }
            for (int i = 0; i < 50; i++) {
                all.get(i).waitFor(EnumSet.of(ClientChannelEvent.CLOSED), 20_000);
                assertThat(all.get(i).getExitStatus()).isEqualTo(i);
            }
        }
    }

    private static long threads(String name) {
        return Thread.getAllStackTraces().keySet().stream()
                .filter(thread -> thread.getName().equals(name))
                .count();
    }
}
