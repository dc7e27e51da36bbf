package holdfast.ssh.server;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import holdfast.ssh.client.Client;
import holdfast.ssh.config.ClientConfig;
import holdfast.ssh.config.CommandLine;
import holdfast.ssh.config.Surroundings;
import holdfast.ssh.link.LinkLoop;
import holdfast.ssh.log.Log;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.nio.channels.Channels;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CopyOnWriteArrayList;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** The loopback server with Holdfast's own client. */
@Timeout(60)
class LoopbackServerTest {

    @TempDir Path directory;

    private final List<ServerEvent> seen = new CopyOnWriteArrayList<>();
    private final List<String> said = new CopyOnWriteArrayList<>();
    private final ByteArrayOutputStream out = new ByteArrayOutputStream();
    private final ByteArrayOutputStream err = new ByteArrayOutputStream();
    private LoopbackServer server;
    private Path knownHosts;

    @BeforeEach
    void start() throws Exception {
        server = LoopbackServer.start(directory, seen::add);
        knownHosts = directory.resolve("known_hosts");
        Files.writeString(knownHosts, server.knownHostsLine(server.port()) + "\n");
    }

    @AfterEach
    void stop() throws Exception {
        server.close();
    }

    private int run(byte[] input, String command, String... options) throws Exception {
        return run(server.identity(), input, command, options);
    }

    private int run(Path identity, byte[] input, String command, String... options)
            throws Exception {
        List<String> arguments = new ArrayList<>(List.of("-F", "none", "-T", "-i"));
        arguments.add(identity.toString());
        arguments.addAll(List.of("-o", "IdentityAgent=none", "-o", "IdentitiesOnly=yes"));
        arguments.addAll(List.of("-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes"));
        arguments.addAll(List.of("-o", "UserKnownHostsFile=" + knownHosts));
        arguments.addAll(List.of("-o", "GlobalKnownHostsFile=none"));
        arguments.addAll(List.of(options));
        arguments.addAll(List.of("-p", String.valueOf(server.port()), "guest@127.0.0.1", command));
        Surroundings surroundings = Surroundings.ofProcess();
        Log log = new Log(Log.Level.INFO, said::add);
        ClientConfig config =
                ClientConfig.resolve(CommandLine.parse(arguments, surroundings), surroundings, log);
        Client.Streams streams =
                new Client.Streams(
                        Channels.newChannel(new ByteArrayInputStream(input)),
                        Channels.newChannel(out),
                        Channels.newChannel(err));
        return new Client(
                        config.settings(),
                        surroundings.environment(),
                        streams,
                        null,
                        (prompt, echo) -> null,
                        log,
                        LinkLoop.Watcher.NOBODY)
                .run();
    }

    @Test
    void a_command_runs_and_its_streams_and_status_come_back_apart() throws Exception {
        int status = run(new byte[0], "echo out; echo err >&2; exit 7");
        assertThat(said).isEmpty();
        assertThat(status).isEqualTo(7);
        assertThat(out.toString(UTF_8)).isEqualTo("out\n");
        assertThat(err.toString(UTF_8)).isEqualTo("err\n");
        assertThat(seen)
                .startsWith(
                        new ServerEvent.LoggedIn("guest"),
                        new ServerEvent.Started("guest", "echo out; echo err >&2; exit 7"))
                .contains(new ServerEvent.Finished("guest", 7));
    }

    @Test
    void megabytes_go_in_and_come_out_byte_for_byte() throws Exception {
        byte[] bytes = new byte[5_000_000];
        new Random(1).nextBytes(bytes);
        assertThat(run(bytes, "cat")).isZero();
        assertThat(Arrays.equals(out.toByteArray(), bytes)).isTrue();
    }

    @Test
    void keepalives_are_answered_and_told_of() throws Exception {
        int status =
                run(
                        new byte[0],
                        "sleep 2.5",
                        "-o",
                        "ServerAliveInterval=1",
                        "-o",
                        "ServerAliveCountMax=1");
        assertThat(status).isZero();
        assertThat(seen.stream().filter(ServerEvent.KeepAlive.class::isInstance).count())
                .isEqualTo(2);
    }

    @Test
    void another_key_does_not_let_in() throws Exception {
        Path other = Files.createDirectory(directory.resolve("other"));
        try (LoopbackServer stranger = LoopbackServer.start(other, event -> {})) {
            assertThat(run(stranger.identity(), new byte[0], "true")).isEqualTo(Client.FAILED);
        }
        assertThat(said).containsExactly("guest@127.0.0.1: Permission denied (publickey).\r\n");
        assertThat(seen).isEmpty();
    }

    @Test
    void two_servers_of_one_process_have_different_host_keys() throws Exception {
        Path other = Files.createDirectory(directory.resolve("other"));
        try (LoopbackServer stranger = LoopbackServer.start(other, event -> {})) {
            Files.writeString(knownHosts, stranger.knownHostsLine(server.port()) + "\n");
            assertThat(run(new byte[0], "true")).isEqualTo(Client.FAILED);
        }
        assertThat(String.join("", said)).contains("Host key verification failed.");
    }

    @Test
    void the_private_key_is_its_owners_alone() throws Exception {
        assertThat(Files.getPosixFilePermissions(server.identity())).hasSize(2);
    }

    @Test
    void closing_ends_a_running_command_and_its_children() throws Exception {
        Thread client =
                Thread.ofVirtual()
                        .start(() -> {
                            try {
                                run(new byte[0], "echo $$; sleep 60; echo never");
                            } catch (Exception e) {
                                said.add(e.toString());
                            }
                        });
        while (out.size() == 0) {
            Thread.sleep(10);
        }
        long shell = Long.parseLong(out.toString(UTF_8).strip());
        ProcessHandle handle = ProcessHandle.of(shell).orElseThrow();
        List<ProcessHandle> children = handle.children().toList();
        server.close();
        client.join();
        handle.onExit().get();
        for (ProcessHandle child : children) {
            child.onExit().get();
        }
        assertThat(out.toString(UTF_8)).doesNotContain("never");
        assertThat(children).hasSize(1);
    }
}
