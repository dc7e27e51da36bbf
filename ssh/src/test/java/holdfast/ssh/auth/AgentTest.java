package holdfast.ssh.auth;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class AgentTest {

    private static final byte[] DATA = "to be signed".getBytes(StandardCharsets.UTF_8);
    private static final Duration PATIENCE = Duration.ofSeconds(10);

    @TempDir Path directory;

    @Test
    void a_real_agent_lists_its_keys_and_signs() throws Exception {
        Path socket = directory.resolve("agent");
        Process process =
                new ProcessBuilder("ssh-agent", "-D", "-a", socket.toString())
                        .redirectErrorStream(true)
                        .start();
        try {
            await(socket);
            for (String type : List.of("ed25519", "ecdsa", "rsa")) {
                add(socket, Tools.keygen(directory, type, "", "-t", type));
            }
            try (Agent agent = Agent.connect(socket.toString(), PATIENCE)) {
                List<Agent.Held> held = agent.identities();
                assertThat(held).extracting(Agent.Held::comment).containsOnly("a comment");
                assertThat(held)
                        .extracting(h -> h.key().algorithm())
                        .containsExactly("ssh-ed25519", "ecdsa-sha2-nistp256", "ssh-rsa");
                for (Agent.Held key : held) {
                    List<String> algorithms =
                            key.key().isRsa()
                                    ? List.of("rsa-sha2-256", "rsa-sha2-512", "ssh-rsa")
                                    : List.of(key.key().algorithm());
                    for (String algorithm : algorithms) {
                        Wire.Reader signature =
                                new Wire.Reader(agent.sign(key.key(), algorithm, DATA));
                        assertThat(signature.text()).isEqualTo(algorithm);
                    }
                }
                PublicIdentity stranger =
                        PublicIdentity.of(
                                new Wire.Writer().text("ssh-ed25519").string(DATA).bytes());
                assertThatThrownBy(() -> agent.sign(stranger, "ssh-ed25519", DATA))
                        .isInstanceOf(Agent.Refused.class)
                        .hasMessage("agent refused operation");
                // The connection still serves after a refusal.
                assertThat(agent.identities()).hasSize(3);
            }
        } finally {
            process.destroy();
            process.waitFor();
        }
    }

    @Test
    void an_agent_that_says_nothing_does_not_hang_the_login() throws Exception {
        try (ServerSocketChannel mute = listen("mute");
                Agent agent =
                        Agent.connect(
                                directory.resolve("mute").toString(), Duration.ofMillis(200))) {
            assertThat(mute.isOpen()).isTrue();
            assertThatThrownBy(agent::identities)
                    .isInstanceOf(IOException.class)
                    .hasMessage("Connection timed out");
        }
    }

    @Test
    void an_agent_that_trickles_its_answer_does_not_hang_the_login() throws Exception {
        try (ServerSocketChannel slow = listen("slow");
                Agent agent =
                        Agent.connect(
                                directory.resolve("slow").toString(), Duration.ofMillis(300));
                SocketChannel end = slow.accept()) {
            Thread trickle =
                    Thread.ofVirtual()
                            .start(() -> {
                                try {
                                    while (true) {
                                        end.write(ByteBuffer.wrap(new byte[] {0, 0, 1}));
                                        Thread.sleep(50);
                                    }
                                } catch (IOException | InterruptedException over) {
                                    return;
                                }
                            });
            assertThatThrownBy(agent::identities)
                    .isInstanceOf(IOException.class)
                    .hasMessage("Connection timed out");
            trickle.interrupt();
            trickle.join();
        }
    }

    @Test
    void an_answer_that_claims_too_much_is_refused_before_memory_is_taken() throws Exception {
        try (ServerSocketChannel liar = listen("liar");
                Agent agent = Agent.connect(directory.resolve("liar").toString(), PATIENCE);
                SocketChannel end = liar.accept()) {
            end.write(ByteBuffer.wrap(new byte[] {0x7f, 0, 0, 0, 12}));
            assertThatThrownBy(agent::identities)
                    .isInstanceOf(IOException.class)
                    .hasMessage("invalid format");
        }
    }

    @Test
    void no_agent_is_an_error_with_the_systems_reason() {
        assertThatThrownBy(() -> Agent.connect(directory.resolve("none").toString(), PATIENCE))
                .isInstanceOf(IOException.class)
                .hasMessageContaining("No such file or directory");
    }

    private ServerSocketChannel listen(String name) throws IOException {
        ServerSocketChannel server = ServerSocketChannel.open(StandardProtocolFamily.UNIX);
        server.bind(UnixDomainSocketAddress.of(directory.resolve(name)));
        return server;
    }

    private static void await(Path socket) throws Exception {
        for (int i = 0; i < 500 && !java.nio.file.Files.exists(socket); i++) {
            Thread.sleep(10);
        }
    }

    private static void add(Path socket, Path key) throws Exception {
        ProcessBuilder builder =
                new ProcessBuilder("ssh-add", "-q", key.toString()).redirectErrorStream(true);
        Map<String, String> environment = builder.environment();
        environment.put("SSH_AUTH_SOCK", socket.toString());
        Process process = builder.start();
        process.getInputStream().readAllBytes();
        assertThat(process.waitFor()).isZero();
    }
}
