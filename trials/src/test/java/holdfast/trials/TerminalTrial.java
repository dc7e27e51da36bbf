package holdfast.trials;

import static org.assertj.core.api.Assertions.assertThat;

import holdfast.trials.harness.Eventually;
import holdfast.trials.harness.NatLab;
import holdfast.trials.harness.Signals;
import holdfast.trials.harness.Sshd;
import holdfast.trials.harness.Terminal;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;

/**
 * A session in a real terminal: raw while it lasts, restored on every way out, its size and modes
 * known over there, the escapes ours.
 */
@ExtendWith(Staged.class)
final class TerminalTrial {

    private static final Duration SOON = Duration.ofSeconds(20);

    /** A remote command that says ready (the screen shows no such word before) and waits. */
    private static final String WAIT = "'printf \"re%s\\n\" ady; exec cat'";

    @Test
    void the_size_is_known_at_the_start_and_after_each_change(Stage stage) {
        Sshd sshd = stage.sshd();
        Terminal terminal = stage.terminal(91, 31);
        Terminal.Foreground running =
                terminal.begin(
                        stage.words(sshd)
                                + " -t trial 'trap \"stty size\" WINCH; stty size;"
                                + " while :; do sleep 0.2; done'");
        terminal.await("31 91", SOON);
        terminal.resize(123, 27);
        terminal.await("27 123", SOON);
        terminal.resize(60, 20);
        terminal.await("20 60", SOON);
        terminal.key("C-c");
        running.end(SOON);
    }

    @Test
    void the_kind_of_terminal_and_its_modes_arrive(Stage stage) {
        Sshd sshd = stage.sshd();
        Terminal terminal = stage.terminal();
        // Settings that no system has by itself.
        terminal.run("stty erase '^H' intr '^K' ixoff -echoctl", SOON);
        Terminal.Foreground running =
                terminal.begin(
                        "TERM=vt220 "
                                + stage.words(sshd)
                                + " -t trial 'echo \"T=$TERM\"; stty -a; echo over'");
        assertThat(running.end(SOON)).isZero();
        terminal.await("over", SOON);
        assertThat(terminal.screen())
                .contains("T=vt220", "erase = ^H", "intr = ^K", " ixoff", "-echoctl");
    }

    @Test
    void the_terminal_is_raw_meanwhile_and_as_it_was_after_a_normal_end(Stage stage) {
        Sshd sshd = stage.sshd();
        Terminal terminal = stage.terminal();
        String before = terminal.modes();
        Path during = stage.directory().resolve("during");
        Terminal.Foreground running =
                terminal.begin(
                        "tty >"
                                + stage.directory().resolve("tty")
                                + "; "
                                + stage.words(sshd)
                                + " -t trial 'printf \"re%s\\n\" ady; read line; exit 5'");
        terminal.await("ready", SOON);
        assertThat(modesFromOutside(stage, during))
                .contains("-icanon", "-echo", "-isig", "-opost", "min = 1");
        terminal.line("go on");
        assertThat(running.end(SOON)).isEqualTo(5);
        assertThat(terminal.modes()).isEqualTo(before);
        assertThat(terminal.screen()).contains("Connection to 127.0.0.1 closed.");
    }

    @Test
    void an_interactive_shell_comes_up_and_ends(Stage stage) {
        Sshd sshd = stage.sshd();
        Terminal terminal = stage.terminal(120, 30);
        String before = terminal.modes();
        Terminal.Foreground running = terminal.begin(stage.words(sshd) + " trial");
        terminal.line("printf 'shell-%s\\n' here");
        terminal.await("shell-here", SOON);
        terminal.line("exit 3");
        assertThat(running.end(SOON)).isEqualTo(3);
        assertThat(terminal.modes()).isEqualTo(before);
    }

    @Test
    void a_full_screen_of_output_is_not_mangled(Stage stage) {
        Sshd sshd = stage.sshd();
        Terminal terminal = stage.terminal(80, 40);
        assertThat(terminal.run(stage.words(sshd) + " -t trial 'seq 1 200; echo over'", SOON))
                .isZero();
        terminal.await("over", SOON);
        assertThat(terminal.screen().lines()).containsSubsequence("1", "2", "100", "199", "200");
    }

    @Test
    void control_C_goes_to_the_other_side(Stage stage) {
        Sshd sshd = stage.sshd();
        Terminal terminal = stage.terminal();
        Terminal.Foreground running =
                terminal.begin(
                        stage.words(sshd)
                                + " -t trial 'trap \"echo got-it; exit 9\" INT;"
                                + " printf \"re%s\\n\" ady; while :; do sleep 0.1; done'");
        terminal.await("ready", SOON);
        terminal.key("C-c");
        assertThat(running.end(SOON)).isEqualTo(9);
        terminal.await("got-it", SOON);
    }

    @Test
    void the_escape_with_a_dot_ends_the_connection(Stage stage) {
        Sshd sshd = stage.sshd();
        Terminal terminal = stage.terminal();
        String before = terminal.modes();
        Terminal.Foreground running = terminal.begin(stage.words(sshd) + " -t trial " + WAIT);
        terminal.await("ready", SOON);
        terminal.type("~.");
        assertThat(running.end(SOON)).isEqualTo(255);
        assertThat(terminal.modes()).isEqualTo(before);
        assertThat(terminal.screen()).contains("Connection to 127.0.0.1 closed.");
    }

    @Test
    void the_escape_with_a_dot_works_while_the_server_hangs(Stage stage) {
        Sshd sshd = stage.sshd();
        Terminal terminal = stage.terminal();
        String before = terminal.modes();
        Terminal.Foreground running = terminal.begin(stage.words(sshd) + " -t trial " + WAIT);
        terminal.await("ready", SOON);
        sshd.freeze();
        terminal.type("~.");
        assertThat(running.end(Duration.ofSeconds(5))).isEqualTo(255);
        assertThat(terminal.modes()).isEqualTo(before);
    }

    @Test
    void escapes_are_known_only_after_a_line_s_start_and_two_tildes_send_one(Stage stage) {
        Sshd sshd = stage.sshd();
        Terminal terminal = stage.terminal();
        Terminal.Foreground running = terminal.begin(stage.words(sshd) + " -t trial " + WAIT);
        terminal.await("ready", SOON);
        terminal.line("a~.b");
        terminal.await("a~.b", SOON);
        terminal.key("Enter");
        terminal.line("~~one");
        terminal.await("~one", SOON);
        assertThat(terminal.screen()).doesNotContain("~~one");
        terminal.key("Enter");
        terminal.line("~xother");
        terminal.await("~xother", SOON);
        assertThat(running.ended()).isFalse();
        terminal.key("C-d");
        assertThat(running.end(SOON)).isZero();
    }

    @Test
    void the_escape_with_a_question_mark_lists_the_escapes(Stage stage) {
        Sshd sshd = stage.sshd();
        Terminal terminal = stage.terminal();
        Terminal.Foreground running = terminal.begin(stage.words(sshd) + " -t trial " + WAIT);
        terminal.await("ready", SOON);
        terminal.type("~?");
        terminal.await("Supported escape sequences:", SOON);
        terminal.await(" ~.   - terminate connection", SOON);
        terminal.await(" ~?   - this message", SOON);
        terminal.type("~R");
        terminal.key("Enter");
        terminal.line("still-here");
        terminal.await("still-here", SOON);
        terminal.key("C-d");
        assertThat(running.end(SOON)).isZero();
    }

    @Test
    void EscapeChar_none_has_no_escapes(Stage stage) {
        Sshd sshd = stage.sshd();
        Terminal terminal = stage.terminal();
        Terminal.Foreground running =
                terminal.begin(stage.words(sshd) + " -e none -t trial " + WAIT);
        terminal.await("ready", SOON);
        terminal.line("~.");
        terminal.line("still-here");
        terminal.await("still-here", SOON);
        terminal.key("C-d");
        assertThat(running.end(SOON)).isZero();
    }

    @Test
    void suspended_and_taken_up_again_it_goes_on(Stage stage) {
        Sshd sshd = stage.sshd();
        Terminal terminal = stage.terminal(120, 30);
        String before = terminal.modes();
        // Typed, not sourced: only a job of its own line comes back to the shell when it stops.
        terminal.line(stage.words(sshd) + " -t trial " + WAIT);
        terminal.await("ready", SOON);
        terminal.key("Enter");
        terminal.type("~");
        terminal.key("C-z");
        terminal.await("[suspend ssh]", SOON);
        terminal.await("topped", SOON);
        terminal.awaitPrompt(SOON);
        assertThat(terminal.modes()).isEqualTo(before);
        terminal.line("fg");
        terminal.line("once-more");
        terminal.await("once-more\nonce-more", SOON);
        terminal.key("C-d");
        terminal.await("Connection to 127.0.0.1 closed.", SOON);
        terminal.awaitPrompt(SOON);
        assertThat(terminal.modes()).isEqualTo(before);
    }

    @Test
    void a_signal_restores_the_terminal(Stage stage) throws Exception {
        Sshd sshd = stage.sshd();
        Terminal terminal = stage.terminal();
        String before = terminal.modes();
        for (String signal : List.of("TERM", "HUP", "INT")) {
            Path pid = stage.directory().resolve("pid-" + signal);
            terminal.run("clear", SOON);
            Terminal.Foreground running =
                    terminal.begin(
                            "sh -c 'echo $$ >"
                                    + pid
                                    + "; exec \"$@\"' sh "
                                    + stage.words(sshd)
                                    + " -t trial "
                                    + WAIT);
            terminal.await("ready", SOON);
            Signals.send(signal, List.of(pidIn(pid)));
            assertThat(running.end(Duration.ofSeconds(10))).as(signal).isEqualTo(255);
            assertThat(terminal.modes()).as(signal).isEqualTo(before);
        }
    }

    @Test
    void a_session_killed_over_there_restores_the_terminal(Stage stage) {
        Sshd sshd = stage.sshd();
        Terminal terminal = stage.terminal();
        String before = terminal.modes();
        Terminal.Foreground running = terminal.begin(stage.words(sshd) + " -t trial " + WAIT);
        terminal.await("ready", SOON);
        sshd.killSessions();
        assertThat(running.end(SOON)).isEqualTo(255);
        assertThat(terminal.modes()).isEqualTo(before);
        assertThat(terminal.screen())
                .containsAnyOf("closed by remote host.", "Connection reset by peer");
    }

    @Test
    void death_by_keepalive_says_so_and_restores_the_terminal(Stage stage) {
        Sshd sshd = stage.sshd();
        Terminal terminal = stage.terminal();
        String before = terminal.modes();
        Terminal.Foreground running =
                terminal.begin(
                        stage.words(sshd)
                                + " -o ServerAliveInterval=1 -o ServerAliveCountMax=1 -t trial "
                                + WAIT);
        terminal.await("ready", SOON);
        sshd.freeze();
        assertThat(running.end(Duration.ofSeconds(6))).isEqualTo(255);
        assertThat(terminal.modes()).isEqualTo(before);
        assertThat(terminal.screen()).contains("Timeout, server 127.0.0.1 not responding.");
    }

    @Test
    void a_suspect_link_is_shown_and_the_line_goes_when_it_recovers(Stage stage)
            throws InterruptedException {
        stage.onlyHoldfast("it has no such line");
        Sshd sshd = stage.sshd();
        Terminal terminal = stage.terminal(100, 24);
        Terminal.Foreground running =
                terminal.begin(
                        stage.words(sshd)
                                + " -o ServerAliveInterval=1 -o ServerAliveCountMax=20 -t trial "
                                + WAIT);
        terminal.await("ready", SOON);
        String before = terminal.screen();
        sshd.freeze();
        terminal.await("~.", Duration.ofSeconds(12));
        sshd.thaw();
        Eventually.holds(SOON, () -> !terminal.screen().contains("~."), terminal::screen);
        assertThat(terminal.screen()).isEqualTo(before);
        terminal.line("still-here");
        terminal.await("still-here", SOON);
        terminal.key("C-d");
        assertThat(running.end(SOON)).isZero();
    }

    @Test
    void a_connection_that_is_reset_restores_the_terminal(Stage stage) {
        NatLab lab = stage.natLab(NatLab.Mode.BLACKHOLE, Duration.ofMinutes(5));
        Sshd sshd = stage.sshd(lab);
        Terminal terminal = stage.terminal();
        String before = terminal.modes();
        Terminal.Foreground running =
                terminal.begin(
                        String.join(" ", lab.client())
                                + " "
                                + stage.words(sshd)
                                + " -t trial "
                                + WAIT);
        terminal.await("ready", SOON);
        lab.kill();
        terminal.line("x");
        assertThat(running.end(SOON)).isEqualTo(255);
        assertThat(terminal.modes()).isEqualTo(before);
        assertThat(terminal.screen()).containsAnyOf("Connection reset by peer", "Broken pipe");
    }

    @Test
    void without_t_the_terminal_stays_as_it_is(Stage stage) {
        Sshd sshd = stage.sshd();
        Terminal terminal = stage.terminal();
        String before = terminal.modes();
        Path during = stage.directory().resolve("during");
        Terminal.Foreground running =
                terminal.begin(
                        "tty >"
                                + stage.directory().resolve("tty")
                                + "; "
                                + stage.words(sshd)
                                + " -T trial 'printf \"re%s\\n\" ady; cat'");
        terminal.await("ready", SOON);
        assertThat(modesFromOutside(stage, during))
                .doesNotContain("-icanon")
                .doesNotContain("-isig");
        terminal.line("a line");
        terminal.await("a line\na line", SOON);
        terminal.key("C-d");
        assertThat(running.end(SOON)).isZero();
        assertThat(terminal.modes()).isEqualTo(before);
    }

    /** What {@code stty -a} says of the terminal while somebody else is in front. */
    private static String modesFromOutside(Stage stage, Path into) {
        try {
            String tty = Files.readString(stage.directory().resolve("tty")).strip();
            stage.shell("stty -a <" + tty + " >" + into).end(SOON);
            return Files.readString(into);
        } catch (IOException e) {
            throw new java.io.UncheckedIOException(e);
        } catch (InterruptedException e) {
            throw new AssertionError("interrupted", e);
        }
    }

    private static long pidIn(Path file) throws IOException {
        return Long.parseLong(Files.readString(file).strip());
    }
}
