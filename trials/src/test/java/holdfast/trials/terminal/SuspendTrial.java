package holdfast.trials.terminal;

import static org.assertj.core.api.Assertions.assertThat;

import holdfast.trials.harness.Eventually;
import holdfast.trials.harness.Signals;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Stopping and going on under a shell with job control. */
final class SuspendTrial {

    private static final Duration SOON = Duration.ofSeconds(10);

    @TempDir Path dir;

    @Test
    void a_stop_of_our_own_gives_the_terminal_back_until_we_go_on() throws Exception {
        try (Doubt doubt = new Doubt(dir, "")) {
            doubt.order("write 78");
            assertThat(raw(doubt)).isTrue();
            doubt.give("suspend");
            stoppedAndBack(doubt);
            doubt.done();
        }
    }

    @Test
    void a_stop_from_outside_does_the_same() throws Exception {
        try (Doubt doubt = new Doubt(dir, "")) {
            doubt.order("write 78");
            Signals.send("TSTP", List.of(doubt.pid()));
            stoppedAndBack(doubt);
            Signals.send("TSTP", List.of(doubt.pid()));
            stoppedAndBack(doubt);

            // Nobody is told of this one. Most shells, not this one, repair the terminal.
            Signals.send("STOP", List.of(doubt.pid()));
            doubt.terminal.await("Stopped", SOON);
            stty(doubt, "sane");
            stoppedAndBack(doubt);
        }
    }

    @Test
    void ended_while_it_is_stopped_it_goes_and_leaves_the_terminal_alone() throws Exception {
        try (Doubt doubt = new Doubt(dir, "")) {
            doubt.order("write 78");
            doubt.give("suspend");
            doubt.terminal.await("Stopped", SOON);
            String modes = modes(doubt);
            Signals.send("TERM", List.of(doubt.pid()));
            Signals.send("CONT", List.of(doubt.pid()));
            long deadline = System.nanoTime() + SOON.toNanos();
            while (ProcessHandle.of(doubt.pid()).isPresent() && System.nanoTime() < deadline) {
                // The shell buries its dead before a prompt.
                doubt.terminal.key("Enter");
                Thread.sleep(100);
            }
            assertThat(ProcessHandle.of(doubt.pid())).isEmpty();
            assertThat(modes(doubt)).isEqualTo(modes);
        }
    }

    private static void stoppedAndBack(Doubt doubt) throws Exception {
        doubt.terminal.await("Stopped", SOON);
        doubt.terminal.await("@@", SOON);
        doubt.settled();
        assertThat(raw(doubt)).isFalse();
        doubt.terminal.line("clear; fg");
        Eventually.holds(SOON, () -> raw(doubt), () -> "raw again");
    }

    private static boolean raw(Doubt doubt) throws Exception {
        return modes(doubt).contains("-icanon");
    }

    private static String modes(Doubt doubt) throws Exception {
        return stty(doubt, "-a");
    }

    private static String stty(Doubt doubt, String what) throws Exception {
        String tty = Files.readString(doubt.directory().resolve("outer")).strip();
        Process stty = new ProcessBuilder("stty", "-F", tty, what).start();
        return new String(stty.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    }
}
