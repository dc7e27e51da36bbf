package holdfast.ssh.system;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.channels.FileChannel;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Timeout(60)
final class SpawnTest {

    @TempDir Path directory;

    @Test
    void a_child_has_its_input_its_output_its_errors_and_its_status() throws Exception {
        for (Spawn.Stdio stdio : List.of(Spawn.Stdio.PIPES, Spawn.Stdio.SOCKETS)) {
            Run run = Run.of(Run.shell("cat; echo err >&2; exit 7").stdio(stdio), "in\n");

            assertThat(run).isEqualTo(new Run("in\n", "err\n", new Exit(7, 0, false)));
        }
    }

    @Test
    void a_signal_that_ends_it_is_told_apart_from_a_status() throws Exception {
        Run run = Run.of(Run.shell("kill -TERM $$"));

        assertThat(run.exit().signal()).isEqualTo(15);
        assertThat(run.exit().status()).isEqualTo(-1);
        assertThat(run.exit().named()).isEqualTo(Signal.TERM);
    }

    @Test
    void a_signal_sent_reaches_its_group_and_after_its_end_nobody() throws Exception {
        Child child = Run.shell("sleep 60 & wait").start();
        child.signal(Signal.HUP);

        assertThat(Run.exit(child).signal()).isEqualTo(1);
        // The grandchild holds the output too: its end says that it is gone.
        assertThat(Run.drink(child.output()).get(10, TimeUnit.SECONDS)).isEmpty();
        child.signal(Signal.KILL);
        assertThat(child.exit()).isEqualTo(new Exit(-1, 1, false));
    }

    @Test
    void nothing_of_ours_is_open_in_a_child() throws Exception {
        Path file = Files.createFile(directory.resolve("open"));
        List<AutoCloseable> open = new ArrayList<>();
        try {
            ServerSocket listener = new ServerSocket(0, 1, InetAddress.getLoopbackAddress());
            open.add(listener);
            open.add(new Socket(listener.getInetAddress(), listener.getLocalPort()));
            ServerSocketChannel channel = ServerSocketChannel.open().bind(null);
            open.add(channel);
            open.add(SocketChannel.open());
            open.add(FileChannel.open(file, StandardOpenOption.READ));
            Child other = Run.shell("sleep 60").start();
            open.add(() -> {
                other.signal(Signal.KILL);
                other.output().close();
            });
            Pty pty = Pty.open(Accounts.own());
            open.add(pty);

            for (Spawn.Stdio stdio : List.of(Spawn.Stdio.PIPES, Spawn.Stdio.SOCKETS)) {
                Run run = Run.of(Run.shell("ls /proc/$$/fd; ls -l /proc/$$/fd >&2").stdio(stdio));
                assertThat(run.output().split("\\s+")).containsExactly("0", "1", "2");
                assertThat(run.errors()).doesNotContain("open").doesNotContain("ptmx");
            }
        } finally {
            for (AutoCloseable one : open) {
                one.close();
            }
        }
    }

    @Test
    void it_leads_a_session_of_its_own_with_no_signal_held_off_or_ignored() throws Exception {
        Run run =
                Run.of(
                        Run.shell(
                                "read -r pid comm state ppid pgrp session rest < /proc/$$/stat;"
                                        + " echo $((pid-pgrp)) $((pid-session));"
                                        + " sleep 0.1; ulimit -Sn;"
                                        + " exec grep -E '^Sig(Blk|Ign)' /proc/self/status"));

        assertThat(run.output())
                .isEqualTo(
                        """
                        0 0
                        1024
                        SigBlk:\t0000000000000000
                        SigIgn:\t0000000000000000
                        """);
    }

    @Test
    void it_is_called_what_it_is_told_and_has_the_environment_it_is_given() throws Exception {
        Map<String, String> environment = new LinkedHashMap<>();
        environment.put("B", "two words");
        environment.put("A", "ü=1");
        Run run =
                Run.of(
                        Spawn.of(Path.of("/bin/bash"))
                                .name("-odd name")
                                .argument("--noprofile") // its name makes it a login shell
                                .argument("-c")
                                .argument("echo \"$0\"; tr '\\0' '\\n' < /proc/$$/environ")
                                .environment(environment)
                                .stdio(Spawn.Stdio.PIPES));

        assertThat(run.output()).isEqualTo("-odd name\nB=two words\nA=ü=1\n");
    }

    @Test
    void an_argument_may_be_bytes_that_are_no_text() throws Exception {
        byte[] latin = {
            'p', 'r', 'i', 'n', 't', 'f', ' ', (byte) 0xE9, '|', 'o', 'd', ' ', '-', 't', 'x', '1'
        };
        Run run =
                Run.of(
                        Spawn.of(Run.SHELL)
                                .argument("-c")
                                .argument(latin)
                                .environment(Map.of("PATH", "/usr/bin:/bin"))
                                .stdio(Spawn.Stdio.PIPES));

        assertThat(run.output()).startsWith("0000000 e9");
    }

    @Test
    void it_starts_where_it_is_told_or_else_in_the_other_place() throws Exception {
        Path there = directory.toRealPath();
        assertThat(Run.of(Run.shell("pwd -P").directory(there, Path.of("/"))).output())
                .isEqualTo(there + "\n");

        Child child = Run.shell("pwd").directory(there.resolve("missing"), Path.of("/")).start();
        assertThat(Run.drink(child.output()).get(10, TimeUnit.SECONDS)).isEqualTo("/\n");
        assertThat(Objects.requireNonNull(child.directoryRefused()).words())
                .isEqualTo("No such file or directory");
    }

    @Test
    void what_cannot_be_run_is_told_in_the_system_s_words_and_leaves_nothing() throws Exception {
        Path script = Files.writeString(directory.resolve("script"), "echo hello\n");
        long before = descriptors();

        assertThatThrownBy(() -> Spawn.of(directory.resolve("none")).start())
                .isInstanceOf(SystemException.class)
                .hasMessageEndingWith("none: No such file or directory");
        assertThatThrownBy(() -> Spawn.of(script).stdio(Spawn.Stdio.SOCKETS).start())
                .hasMessageEndingWith("script: Permission denied");
        assertThatThrownBy(
                        () -> Spawn.of(Run.SHELL).argument("a\0b").stdio(Spawn.Stdio.PIPES).start())
                .isInstanceOf(IllegalArgumentException.class);
        assertThatThrownBy(() -> Spawn.of(Run.SHELL).environment(Map.of("A=B", "")).start())
                .isInstanceOf(IllegalArgumentException.class);

        assertThat(descriptors()).isLessThanOrEqualTo(before + 2); // the poller's own, if first
    }

    @Test
    void a_child_of_the_jdk_is_never_reaped_by_us_nor_ours_by_it() throws Exception {
        Process theirs = new ProcessBuilder("/bin/sh", "-c", "exit 3").start();
        Run ours = Run.of(Run.shell("exit 4"));

        assertThat(theirs.waitFor()).isEqualTo(3);
        assertThat(ours.exit().status()).isEqualTo(4);
    }

    @Test
    void a_hundred_children_at_once_leave_no_descriptor_and_no_zombie() throws Exception {
        Run.of(Run.shell("exit 0"));
        long before = descriptors();
        List<Child> children = new ArrayList<>();
        for (int i = 0; i < 100; i++) {
            children.add(Run.shell("exit " + i).start());
        }
        for (int i = 0; i < 100; i++) {
            Child child = children.get(i);
            assertThat(Run.exit(child).status()).isEqualTo(i);
            child.input().close();
            child.output().close();
            Objects.requireNonNull(child.errors()).close();
            assertThat(Files.exists(Path.of("/proc/" + child.pid()))).isFalse();
        }
        assertThat(descriptors()).isEqualTo(before);
    }

    private static long descriptors() throws IOException {
        try (var all = Files.list(Path.of("/proc/self/fd"))) {
            return all.count();
        }
    }
}
