package holdfast.trials.terminal;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.HexFormat;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The line of doubt on a real terminal (tmux): seen while there is doubt, and never after. */
final class StatusLineTrial {

    private static final Duration SOON = Duration.ofSeconds(10);
    private static final String TEXT = "nothing heard for 3 s";

    @TempDir Path dir;
    private boolean saved;

    @Test
    void at_a_shell_prompt_nothing_is_left_of_it() throws Exception {
        try (Doubt doubt = new Doubt(dir, "PS1='%% ' exec bash --norc")) {
            doubt.terminal.await("%%", SOON);
            doubt.terminal.type("echo half a com");
            doubt.terminal.await("half a com", SOON);
            String before = doubt.settled();
            doubt.order("show " + TEXT);
            assertThat(doubt.picture()).contains(TEXT);
            doubt.order("show heard 4 s ago");
            assertThat(doubt.picture()).contains("heard 4 s ago").doesNotContain(TEXT);
            doubt.order("clear");
            assertThat(doubt.picture()).isEqualTo(before);

            // in the middle of the command, with its end to the right of the cursor
            doubt.terminal.key("C-a");
            doubt.terminal.key("Right");
            String middle = doubt.settled();
            doubt.order("show " + TEXT);
            assertThat(doubt.picture()).contains("half a com").contains(TEXT);
            // typing that is answered takes it away by itself
            doubt.terminal.key("Left");
            doubt.terminal.key("Right");
            assertThat(doubt.settled()).isEqualTo(middle);
        }
    }

    @Test
    void a_full_screen_program_paints_over_it() throws Exception {
        Path file = dir.resolve("text");
        StringBuilder text = new StringBuilder();
        for (int i = 1; i <= 200; i++) {
            text.append("line ").append(i).append('\n');
        }
        Files.writeString(file, text);
        for (String program : new String[] {"less -Psread ", "vim -u NONE -N -c redraw! "}) {
            Path own = Files.createTempDirectory(dir, "full");
            try (Doubt doubt = new Doubt(own, "TERM=screen-256color " + program + file)) {
                doubt.terminal.await("line 20", SOON);
                String before = doubt.settled();
                assertThat(before).contains("alternate 1");
                doubt.order("show " + TEXT);
                assertThat(doubt.picture()).contains(TEXT);
                doubt.order("clear");
                doubt.await(before);
            }
        }
    }

    @Test
    void whatever_was_written_it_changes_nothing_for_good() throws Exception {
        long seed = Long.getLong("holdfast.seed", System.nanoTime());
        Random random = new Random(seed);
        int seen = 0;
        try (Doubt doubting = new Doubt(Files.createDirectory(dir.resolve("a")), "");
                Doubt trusting = new Doubt(Files.createDirectory(dir.resolve("b")), "")) {
            for (int round = 0; round < 80; round++) {
                String output = output(random);
                String as =
                        "-Dholdfast.seed="
                                + seed
                                + " round "
                                + round
                                + ": "
                                + output.replace("\033", "ESC");
                String write = "write " + HexFormat.of().formatHex(utf8(output));
                trusting.order(write);
                doubting.order(write);
                String wanted = trusting.settled();
                assertThat(doubting.settled()).as(as).isEqualTo(wanted);
                doubting.order("show " + TEXT + ", so far");
                if (!doubting.picture().equals(wanted)) {
                    seen++;
                }
                doubting.order("clear");
                assertThat(doubting.picture()).as(as).isEqualTo(wanted);
            }
        }
        assertThat(seen).as("times it was seen at all").isGreaterThan(20);
    }

    // No backgrounds: tmux colours a cell it never stored otherwise than a blank one.
    private String output(Random random) {
        String[] parts = {
            "$ ",
            "word ",
            "\r\n",
            "\r\n",
            "\r\n",
            "\r",
            "\b",
            "\t",
            "\033[K",
            "\033[J",
            "\033[3C",
            "\033[2D",
            "\033[1;31m",
            "\033[m",
            "h\u00e9",
            "\u4e2d\u6587",
            "\033[7m",
            "\033[2P",
            "\033[3@",
            "\033[4X",
            "\033[A",
            "\033[5;9H",
            "\033[H\033[2J",
            "\033[2J\033[H",
            "\0337",
            "\0338",
            "\033]0;title\007",
            "\033[20G",
            "\033[1;",
            "32m",
            "a long piece of text ",
            "[====    ]\r",
            "\033[4h",
            "\033[4l",
            "\033(0qq",
            "\033(B",
            "\033[?7l",
            "\033[?7h"
        };
        StringBuilder output = new StringBuilder();
        if (random.nextInt(3) > 0) {
            // Most programs leave things in order before they are silent.
            output.append(saved ? "\0338" : "").append("\033[m\033[4l\033(B\033[?7h\r\n\033[J");
            saved = false;
        }
        for (int i = random.nextInt(8); i >= 0; i--) {
            String part = parts[random.nextInt(parts.length)];
            // Nobody gets a cursor back twice or one never saved: that slot is then ours.
            if (!part.equals("\0338") || saved) {
                output.append(part);
            }
            saved = part.equals("\0337") || (saved && !part.equals("\0338"));
        }
        return output.toString();
    }

    private static byte[] utf8(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }
}
