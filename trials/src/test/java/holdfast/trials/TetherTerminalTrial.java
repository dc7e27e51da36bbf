package holdfast.trials;

import static org.assertj.core.api.Assertions.assertThat;

import holdfast.trials.harness.Eventually;
import holdfast.trials.harness.NatLab;
import holdfast.trials.harness.Sshd;
import holdfast.trials.harness.Terminal;
import java.time.Duration;
import java.util.List;
import java.util.regex.MatchResult;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;

/** What a person sees and does at a terminal while a tether has no connection. */
@ExtendWith(Staged.class)
final class TetherTerminalTrial {

    private static final Duration SOON = Duration.ofSeconds(60);
    private static final Pattern TYPED =
            Pattern.compile("typed (before the line|while it) was there");

    /** Since when, what is being tried, for how long it is held, and how to leave. */
    private static final Pattern LINE =
            Pattern.compile(
                    "\\[holdfast: cut off for \\d+ s; reconnecting, what you type is kept; session"
                            + " held for 2[34] h; ~\\. leaves now\\]");

    @Test
    void a_line_tells_of_the_cut_and_goes_without_a_trace(Stage stage) throws InterruptedException {
        Scene scene = new Scene(stage);
        NatLab lab = scene.lab;
        Terminal terminal = scene.terminal;
        Terminal.Foreground running =
                terminal.begin(scene.command + "'printf \"re%s\\n\" ady; exec cat'");
        terminal.await("ready", SOON);
        String before = picture(terminal);

        long cut = System.nanoTime();
        lab.cut();
        // A connection where nothing moves is not missed: a key is, and so it is sent.
        terminal.key("Enter");
        String shown = scene.awaitLine();
        // What takes less than a second is nobody's trouble.
        assertThat(Duration.ofNanos(System.nanoTime() - cut)).isGreaterThan(Duration.ofSeconds(1));
        assertThat(shown).containsPattern(LINE);
        assertThat(shown).containsOnlyOnce("holdfast:");
        lab.heal();
        scene.awaitNoLine();
        // The key's echo and cat's answer to it have come, and nothing else is different.
        String after =
                before.replaceFirst("cursor 0,(\\d+)", "cursor 0,%d".formatted(row(before) + 2));
        scene.awaitPicture(after);

        lab.cut();
        terminal.line("typed before the line was there");
        scene.awaitLine();
        terminal.line("typed while it was there");
        lab.heal();
        scene.awaitNoLine();
        // Each as the terminal's echo and as cat's answer; which comes first, and whether on a line
        // of its own, is the far end's affair.
        List<String> wanted =
                List.of(
                        "typed before the line was there",
                        "typed before the line was there",
                        "typed while it was there",
                        "typed while it was there");
        Eventually.holds(SOON, () -> typed(terminal).equals(wanted), terminal::screen);
        terminal.key("C-d");
        assertThat(running.end(SOON)).isZero();
    }

    @Test
    void the_escape_leaves_at_once_while_it_is_cut(Stage stage) {
        Scene scene = new Scene(stage);
        NatLab lab = scene.lab;
        Terminal terminal = scene.terminal;
        String before = terminal.modes();
        Terminal.Foreground running =
                terminal.begin(scene.command + "'printf \"re%s\\n\" ady; exec cat'");
        terminal.await("ready", SOON);
        lab.cut();
        terminal.key("Enter");
        scene.awaitLine();
        terminal.type("~.");
        assertThat(running.end(SOON)).isEqualTo(255);
        assertThat(terminal.modes()).isEqualTo(before);
        assertThat(terminal.screen()).doesNotContain("[holdfast:");
        lab.heal();
    }

    /** What is to be seen, and where the cursor is: a blank that was written is a blank. */
    private static String picture(Terminal terminal) {
        return terminal.picture()
                .lines()
                .map(String::stripTrailing)
                .collect(Collectors.joining("\n"));
    }

    private static List<String> typed(Terminal terminal) {
        return TYPED.matcher(terminal.screen()).results().map(MatchResult::group).sorted().toList();
    }

    private static int row(String picture) {
        Matcher cursor = Pattern.compile("cursor \\d+,(\\d+)").matcher(picture);
        assertThat(cursor.find()).isTrue();
        return Integer.parseInt(cursor.group(1));
    }

    /** A terminal in front of a NAT, with our server behind it. */
    private static final class Scene {
        final NatLab lab;
        final Terminal terminal;
        final String command;

        Scene(Stage stage) {
            stage.onlyHoldfast("it has no tether");
            lab = stage.natLab(NatLab.Mode.BLACKHOLE, Duration.ofMinutes(10));
            Sshd sshd = stage.holdfastSshd(lab);
            terminal = stage.terminal(120, 24);
            command = String.join(" ", lab.client()) + " " + stage.words(sshd) + " -t trial ";
        }

        private String awaitLine() {
            terminal.await("~. leaves now]", SOON);
            return terminal.screen();
        }

        private void awaitNoLine() throws InterruptedException {
            Eventually.holds(
                    SOON, () -> !terminal.screen().contains("[holdfast:"), terminal::screen);
        }

        private void awaitPicture(String wanted) throws InterruptedException {
            long deadline = System.nanoTime() + SOON.toNanos();
            String picture = picture(terminal);
            while (!picture.equals(wanted) && System.nanoTime() < deadline) {
                Thread.sleep(50);
                picture = picture(terminal);
            }
            assertThat(picture).isEqualTo(wanted);
        }
    }
}
