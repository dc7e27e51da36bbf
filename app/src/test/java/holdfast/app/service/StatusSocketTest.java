package holdfast.app.service;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import holdfast.ssh.config.ServerConfig;
import holdfast.ssh.log.Log;
import holdfast.ssh.server.Server;
import java.io.IOException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.ServerSocketChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

final class StatusSocketTest {

    @TempDir Path directory;

    private Server server;

    @BeforeEach
    void one() throws Exception {
        Files.setPosixFilePermissions(directory, PosixFilePermissions.fromString("rwx------"));
        server =
                new Server(
                        ServerConfig.of(List.of("ListenAddress 127.0.0.1:2222")),
                        List.of(),
                        "Holdfast_test",
                        new Log(Log.Level.QUIET, line -> {}));
    }

    /** What a killed server leaves; its number may be another process's by now. */
    private Path left(long pid) throws IOException {
        Path socket = directory.resolve("sshd-" + pid + ".sock");
        try (ServerSocketChannel dead = ServerSocketChannel.open(StandardProtocolFamily.UNIX)) {
            dead.bind(UnixDomainSocketAddress.of(socket));
        }
        assertThat(socket).exists();
        return socket;
    }

    @Test
    void a_killed_servers_socket_is_no_server_even_when_its_number_is_taken() throws Exception {
        left(1);
        assertThat(StatusSocket.all(directory)).isEmpty();
    }

    @Test
    void a_server_that_starts_sweeps_what_the_dead_left_and_nothing_else() throws Exception {
        Path one = left(1);
        Path gone = left(4_194_305);
        Path plain = Files.writeString(directory.resolve("note"), "kept");
        Path alive = directory.resolve("sshd-2.sock");
        try (ServerSocketChannel other = ServerSocketChannel.open(StandardProtocolFamily.UNIX)) {
            other.bind(UnixDomainSocketAddress.of(alive));
            Path own = directory.resolve("sshd-" + ProcessHandle.current().pid() + ".sock");
            try (StatusSocket _ = StatusSocket.open(directory, server)) {
                assertThat(one).doesNotExist();
                assertThat(gone).doesNotExist();
                assertThat(StatusSocket.all(directory)).containsExactlyInAnyOrder(alive, own);
                assertThat(StatusSocket.ask(own, "drop 7")).isEqualTo("no connection 7\n");
            }
            assertThat(own).doesNotExist();
        }
        assertThat(plain).hasContent("kept");
    }

    @Test
    @Timeout(30)
    void who_hangs_is_not_waited_for_without_end() throws Exception {
        Path mute = directory.resolve("sshd-2.sock");
        try (ServerSocketChannel other = ServerSocketChannel.open(StandardProtocolFamily.UNIX)) {
            other.bind(UnixDomainSocketAddress.of(mute));
            assertThatThrownBy(() -> StatusSocket.ask(mute, "status"))
                    .isInstanceOf(IOException.class)
                    .hasMessageContaining("does not answer");
        }
    }

    @Test
    void servers_that_start_together_do_not_sweep_each_other() throws Exception {
        List<Callable<Boolean>> starts = new ArrayList<>();
        for (int i = 1; i <= 4; i++) {
            long pid = i;
            starts.add(() -> again(pid));
        }
        try (ExecutorService threads = Executors.newFixedThreadPool(starts.size())) {
            for (Future<Boolean> each : threads.invokeAll(starts)) {
                assertThat(each.get()).isTrue();
            }
        }
    }

    private boolean again(long pid) throws IOException {
        for (int i = 0; i < 50; i++) {
            try (StatusSocket _ = StatusSocket.open(directory, pid, server)) {
                Path own = directory.resolve("sshd-" + pid + ".sock");
                assertThat(StatusSocket.ask(own, "drop 7")).isEqualTo("no connection 7\n");
            }
        }
        return true;
    }
}
