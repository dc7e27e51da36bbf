package holdfast.ssh.terminal;

import static org.assertj.core.api.Assertions.assertThat;

import holdfast.core.time.Moment;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import org.junit.jupiter.api.Test;

/** What is written, byte for byte; the trial of the same name looks at it on a real terminal. */
class StatusLineTest {

    private static final String TEXT = "nothing heard for 3 s";

    private final ByteArrayOutputStream terminal = new ByteArrayOutputStream();
    private int redraws;

    @Test
    void at_a_prompt_it_stands_right_of_the_cursor_and_goes_by_blanking_its_own_cells()
            throws IOException {
        StatusLine line = line("xterm");
        assertThat(shown(line, "$ ls")).isEqualTo("\0337\033[1C\033[0;7m" + TEXT + "\033[m\0338");
        line.clear();
        assertThat(written()).isEqualTo("\0337\033[1C\033[m\033[21X\0338");
        assertThat(redraws).isZero();
    }

    @Test
    void it_goes_before_the_next_output_comes() throws IOException {
        StatusLine line = line("xterm");
        shown(line, "$ ");
        write(line, "x");
        assertThat(written()).isEqualTo("\0337\033[1C\033[m\033[21X\0338x");
        line.clear();
        assertThat(written()).isEmpty();
    }

    @Test
    void it_is_cut_to_the_room_there_is_and_spares_the_last_column() throws IOException {
        assertThat(shown(line("xterm"), "$ " + "x".repeat(20)))
                .isEqualTo("\0337\033[1C\033[0;7mnothing heard fo\033[m\0338");
    }

    @Test
    void where_too_little_room_is_left_nothing_is_shown() throws IOException {
        assertThat(shown(line("xterm"), "x".repeat(28))).isEmpty();
        assertThat(shown(line("xterm"), "x".repeat(40))).isEmpty();
    }

    @Test
    void a_row_that_went_over_the_edge_counts_from_the_next() throws IOException {
        assertThat(shown(line("xterm"), "x".repeat(45)))
                .isEqualTo("\0337\033[1C\033[0;7m" + TEXT + "\033[m\0338");
    }

    @Test
    void what_stands_right_of_the_cursor_is_spared() throws IOException {
        // typed six, gone back four
        assertThat(shown(line("xterm"), "$ abcdef\b\b\b\b")).startsWith("\0337\033[5C");
        // a prompt on the right margin
        assertThat(shown(line("xterm"), "$ \033[30CRIGHT\r\033[2C"))
                .isEqualTo("\0337\033[1C\033[0;7m" + TEXT + "\033[m\0338");
        // a bar that returned to its start
        assertThat(shown(line("xterm"), "[=====     ] 50 %\r")).startsWith("\0337\033[18C");
    }

    @Test
    void deleting_and_clearing_make_room_again() throws IOException {
        assertThat(shown(line("xterm"), "x".repeat(30) + "\r\033[K")).startsWith("\0337\033[1C");
        assertThat(shown(line("xterm"), "x".repeat(35) + "\033[2K\r")).startsWith("\0337\033[1C");
        assertThat(shown(line("xterm"), "abc\r\033[2P")).startsWith("\0337\033[2C");
    }

    @Test
    void a_coloured_background_counts_as_text() throws IOException {
        assertThat(shown(line("xterm"), "$ \033[44m\033[K\033[m")).isEmpty();
        assertThat(shown(line("xterm"), "$ \033[48;5;4m\033[K")).isEmpty();
        assertThat(shown(line("xterm"), "$ \033[38;5;44m\033[7;27m\033[K")).isNotEmpty();
        assertThat(shown(line("xterm"), "\033[44m$ \033[49m\033[K")).isNotEmpty();
    }

    @Test
    void on_a_row_nobody_knows_nothing_is_shown_until_it_is_known() throws IOException {
        StatusLine line = line("xterm");
        assertThat(shown(line, "\033[5;3H")).isEmpty();
        assertThat(shown(line, "text")).isEmpty();
        assertThat(shown(line, "\r\n")).as("the row under it is no better known").isEmpty();
        assertThat(shown(line, "\033[J")).isNotEmpty();
    }

    @Test
    void a_cleared_screen_is_known() throws IOException {
        assertThat(shown(line("xterm"), "junk\033[H\033[2J$ ")).startsWith("\0337\033[1C");
    }

    @Test
    void in_the_middle_of_a_sequence_or_a_character_it_keeps_still() throws IOException {
        for (String half :
                new String[] {
                    "\033",
                    "\033[",
                    "\033[1;3",
                    "\033]0;titl",
                    "\033P1$r",
                    "\033(",
                    "\u00c3",
                    "\u00e2\u0082",
                    "\033]0;x\033"
                }) {
            assertThat(shown(line("xterm"), "$ " + half)).as(half).isEmpty();
        }
        assertThat(shown(line("xterm"), "\033]0;title\007$ \033[1;32m\u00c3\u00a9\033[m"))
                .isNotEmpty();
    }

    @Test
    void how_output_is_cut_changes_nothing() throws IOException {
        byte[] all =
                "\033[2J\033[Ha\u00e2\u0082\u00acb\033]0;t\033\\\033[1mc\r\033[2C"
                        .getBytes(StandardCharsets.ISO_8859_1);
        Screen whole = new Screen(40, 10);
        whole.take(all, 0, all.length);
        Screen cut = new Screen(40, 10);
        for (int i = 0; i < all.length; i++) {
            cut.take(all, i, 1);
        }
        assertThat(cut.gap()).isEqualTo(whole.gap()).isEqualTo(new Screen.Gap(3, 34));
        assertThat(cut.quiet()).isTrue();
    }

    @Test
    void a_cursor_the_remote_side_has_saved_is_not_lost() throws IOException {
        StatusLine line = line("xterm");
        assertThat(shown(line, "$ \0337")).isEmpty();
        assertThat(shown(line, "\0338\033[J")).isNotEmpty();
    }

    @Test
    void line_drawing_characters_would_garble_it() throws IOException {
        assertThat(shown(line("xterm"), "\033(0")).isEmpty();
        assertThat(shown(line("xterm"), "\016")).isEmpty();
        assertThat(shown(line("xterm"), "\033(0lqk\033(B")).isNotEmpty();
    }

    @Test
    void over_a_full_screen_program_it_takes_the_bottom_row_and_asks_for_a_new_painting()
            throws IOException {
        StatusLine line = line("xterm");
        assertThat(shown(line, "\033[?1049h\033[H~"))
                .isEqualTo("\0337\033[10;1H\033[0;7m " + TEXT + " ".repeat(17) + "\033[m\0338");
        line.clear();
        assertThat(written()).isEqualTo("\0337\033[10;1H\033[m\033[2K\033[m\0338");
        assertThat(redraws).isOne();
    }

    @Test
    void back_from_a_full_screen_program_the_row_of_before_is_known_again() throws IOException {
        StatusLine line = line("xterm");
        write(line, "$ \033[?1049h\033[Hfull\033[20;1H\033[?1049l");
        assertThat(shown(line, "")).startsWith("\0337\033[1C");
    }

    @Test
    void the_text_changes_at_most_once_a_second() throws IOException {
        StatusLine line = line("xterm");
        line.show("heard 3 s ago", at(0));
        written();
        line.show("heard 4 s ago", at(999));
        assertThat(written()).isEmpty();
        line.show("heard 4 s ago", at(1000));
        assertThat(written()).contains("heard 4 s ago");
        line.show("heard 4 s ago", at(5000));
        assertThat(written()).isEmpty();
    }

    @Test
    void a_shorter_text_leaves_nothing_of_a_longer_one() throws IOException {
        StatusLine line = line("xterm");
        line.show("heard 10 s ago", at(0));
        written();
        line.show("heard 9 s ago", at(1000));
        assertThat(written()).isEqualTo("\0337\033[1C\033[0;7mheard 9 s ago\033[m\033[1X\0338");
        line.clear();
        assertThat(written()).isEqualTo("\0337\033[1C\033[m\033[14X\0338");
    }

    @Test
    void a_terminal_that_can_do_nothing_gets_one_plain_line_for_each_time_of_doubt()
            throws IOException {
        for (String term : new String[] {null, "", "dumb", "unknown"}) {
            StatusLine line = line(term);
            assertThat(shown(line, "$ ")).isEqualTo("\r\n" + TEXT + "\r\n");
            line.show(TEXT + "!", at(3000));
            assertThat(written()).isEmpty();
            line.clear();
            assertThat(written()).isEmpty();
            line.show(TEXT, at(9000));
            assertThat(written()).isEqualTo("\r\n" + TEXT + "\r\n");
        }
    }

    @Test
    void a_dead_session_leaves_none_of_its_modes_behind() throws IOException {
        StatusLine line = line("xterm");
        write(
                line,
                "\033[?1049h\033[?1000;1006h\033[?2004h\033[?25l\033[?1h\033=\033[>1u\033[>4;2m"
                        + "\033[5;7r\033[31mtext\033[12");
        written();
        line.abandon();
        assertThat(written())
                .isEqualTo(
                        "\030\033[?1000l\033[?1006l\033[?2004l\033[<1u\033[>4m\033[?1l\033>"
                                + "\0337\033[r\0338\033[?1049l\033[?25h\033[m");
        line.abandon();
        assertThat(written()).isEmpty();
    }

    @Test
    void a_session_that_left_no_modes_ends_without_a_byte() throws IOException {
        StatusLine line = line("xterm");
        write(line, "\033[?2004h$ \033[?2004l\033[1mx\033[m\r\n");
        written();
        line.abandon();
        assertThat(written()).isEmpty();
    }

    @Test
    void a_window_that_changes_takes_the_line_away_first() throws IOException {
        StatusLine line = line("xterm");
        shown(line, "$ ");
        line.resized(new Terminal.Size(60, 10, 0, 0));
        assertThat(written()).isEqualTo("\0337\033[m\033[J\0338");
        assertThat(shown(line, "")).isNotEmpty();
        line.clear();
        line.resized(new Terminal.Size(2, 10, 0, 0));
        written();
        assertThat(shown(line, "")).as("the row was broken").isEmpty();
    }

    private StatusLine line(String term) {
        terminal.reset();
        return new StatusLine(terminal, term, new Terminal.Size(40, 10, 0, 0), () -> redraws++);
    }

    /** Remote output, then doubt: what the doubt alone wrote. */
    private String shown(StatusLine line, String output) throws IOException {
        write(line, output);
        written();
        line.show(TEXT, at(0));
        return written();
    }

    private static void write(StatusLine line, String output) throws IOException {
        byte[] bytes = output.getBytes(StandardCharsets.ISO_8859_1);
        line.write(bytes, 0, bytes.length);
    }

    private String written() {
        String text = terminal.toString(StandardCharsets.ISO_8859_1);
        terminal.reset();
        return text;
    }

    private static Moment at(long millis) {
        return Moment.ZERO.plus(Duration.ofMillis(millis));
    }
}
