package holdfast.ssh.system;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import holdfast.ssh.stream.Tap;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(60)
final class PtyTest {

    private static Spawn shell(Pty pty, String script) {
        return Run.shell(script).terminal(pty);
    }

    private static String ran(Pty pty, String script) throws Exception {
        Child child = shell(pty, script).start();
        try {
            String output = Run.drink(child.output()).get(10, TimeUnit.SECONDS);
            Run.exit(child);
            return output.replace("\r\n", "\n");
        } finally {
            child.output().close();
        }
    }

    @Test
    void the_terminal_controls_the_child_and_has_the_size_it_is_given() throws Exception {
        try (Pty pty = Pty.open(Accounts.own())) {
            pty.resize(101, 33, 0, 0);
            String output = ran(pty, "tty; stty size; ps -o tty= -p $$; [ -t 2 ] && echo yes");

            assertThat(output)
                    .isEqualTo(
                            pty.name()
                                    + "\n33 101\n"
                                    + pty.name().substring("/dev/".length())
                                    + "\nyes\n");
        }
    }

    @Test
    void all_output_comes_before_the_end_however_soon_the_child_ends() throws Exception {
        for (int i = 0; i < 20; i++) {
            try (Pty pty = Pty.open(Accounts.own())) {
                assertThat(ran(pty, "seq 1 2000")).hasSize(8893).endsWith("\n2000\n");
            }
        }
    }

    @Test
    void a_new_size_is_told_to_the_foreground() throws Exception {
        try (Pty pty = Pty.open(Accounts.own())) {
            Child child =
                    shell(
                                    pty,
                                    "trap 'stty size; exit 0' WINCH; echo ready; while :; do sleep"
                                            + " 0.05; done")
                            .start();
            Tap tap = child.output();
            until(tap, "ready");
            pty.resize(77, 7, 0, 0);
            assertThat(until(tap, "7 77")).contains("7 77");
            Run.exit(child);
            tap.close();
        }
    }

    @Test
    void the_client_s_modes_are_set() throws Exception {
        // VINTR ^A, no echo, no canonical input, CS8, an unknown opcode in between, 9600 baud.
        ByteBuffer modes = ByteBuffer.allocate(64);
        modes.put((byte) 1).putInt(1);
        modes.put((byte) 53).putInt(0);
        modes.put((byte) 99).putInt(5);
        modes.put((byte) 42).putInt(1);
        modes.put((byte) 91).putInt(1);
        modes.put((byte) 11).putInt(1);
        modes.put((byte) 17).putInt(1);
        modes.put((byte) 3).putInt(255);
        modes.put((byte) 128).putInt(9600);
        modes.put((byte) 129).putInt(9600);
        modes.put((byte) 0);
        try (Pty pty = Pty.open(Accounts.own())) {
            byte[] all = new byte[modes.position()];
            modes.flip().get(all);
            pty.modes(all);
            String said = ran(pty, "stty -a");

            assertThat(said)
                    .contains("intr = ^A", "erase = <undef>", " -echo ", " iutf8", " cs8")
                    .contains("speed 9600 baud");
        }
    }

    @Test
    void malformed_modes_are_survived() throws Exception {
        for (byte[] bad :
                new byte[][] {{}, {53}, {53, 0, 0, 0}, {(byte) 160, 1}, {(byte) 255}, {0, 1, 2}}) {
            try (Pty pty = Pty.open(Accounts.own())) {
                pty.modes(bad);
                assertThat(ran(pty, "stty -a")).contains(" echo ");
            }
        }
    }

    @Test
    void control_c_and_signals_reach_the_foreground_job() throws Exception {
        try (Pty pty = Pty.open(Accounts.own())) {
            Child child = shell(pty, "echo ready; exec sleep 60").start();
            until(child.output(), "ready");
            // Not to a shell that is just starting something: dash keeps that one to itself.
            child.input().write(ByteBuffer.wrap(new byte[] {3}));
            assertThat(Run.exit(child).signal()).isEqualTo(2);
            child.output().close();
        }
        try (Pty pty = Pty.open(Accounts.own())) {
            Child child = shell(pty, "echo ready; exec sleep 60").start();
            until(child.output(), "ready");
            assertThat(pty.signalForeground(Signal.TERM)).isTrue();
            assertThat(Run.exit(child).signal()).isEqualTo(15);
            child.output().close();
        }
    }

    @Test
    void closing_it_hangs_up_what_runs_there() throws Exception {
        Pty pty = Pty.open(Accounts.own());
        Child child = shell(pty, "echo ready; sleep 60").start();
        until(child.output(), "ready");
        child.output().close();
        pty.close();

        assertThat(Run.exit(child).signal()).isEqualTo(1);
        assertThat(pty.signalForeground(Signal.TERM)).isFalse();
        pty.resize(1, 1, 1, 1);
        pty.modes(new byte[] {53, 0, 0, 0, 0});
    }

    @Test
    void a_terminal_never_given_to_a_child_is_given_back() throws Exception {
        Pty pty = Pty.open(Accounts.own());
        assertThat(Path.of(pty.name())).exists();
        pty.close();
        assertThat(Path.of(pty.name())).doesNotExist();
        assertThatThrownBy(() -> shell(pty, "exit 0").start())
                .isInstanceOf(IllegalStateException.class);
    }

    @Test
    void a_child_that_does_not_start_leaves_the_terminal_for_another() throws Exception {
        try (Pty pty = Pty.open(Accounts.own())) {
            assertThatThrownBy(() ->
                            Spawn.of(Path.of("/nonexistent"))
                                    .environment(Map.of())
                                    .terminal(pty)
                                    .start())
                    .isInstanceOf(SystemException.class);
            assertThat(ran(pty, "echo again")).isEqualTo("again\n");
        }
    }

    @Test
    void as_root_it_belongs_to_the_user_and_afterwards_to_root_again() throws Exception {
        assumeTrue(Accounts.privileged(), "needs root");
        Account nobody = Accounts.named("nobody").orElseThrow();
        Pty pty = Pty.open(nobody);
        Path name = Path.of(pty.name());
        assertThat(Files.getAttribute(name, "unix:uid")).isEqualTo(nobody.uid());
        assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(name)))
                .isEqualTo("rw--w----");
        Child child = shell(pty, "sleep 60").start();
        pty.close();
        assertThat(Files.getAttribute(name, "unix:uid")).isEqualTo(0);
        child.output().close();
        Run.exit(child);
    }

    private static String until(Tap tap, String word) throws Exception {
        StringBuilder all = new StringBuilder();
        long end = System.nanoTime() + 10_000_000_000L;
        ByteBuffer room = ByteBuffer.allocate(4096);
        while (System.nanoTime() < end) {
            room.clear();
            int count = tap.read(room);
            if (count < 0) {
                break;
            }
            all.append(new String(room.array(), 0, count, StandardCharsets.UTF_8));
            if (all.indexOf(word) >= 0) {
                return all.toString();
            }
            Thread.sleep(5);
        }
        throw new AssertionError("never came: " + word + " in " + all);
    }
}
