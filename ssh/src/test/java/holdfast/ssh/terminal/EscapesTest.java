package holdfast.ssh.terminal;

import static org.assertj.core.api.Assertions.assertThat;

import holdfast.ssh.log.Log;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;

class EscapesTest {

    @Test
    void plain_typing_goes_through() {
        assertThat(typed("ls -l\r")).isEqualTo("ls -l\r");
    }

    @Test
    void the_session_starts_at_the_start_of_a_line() {
        assertThat(typed("~R")).isEqualTo("<R>");
    }

    @Test
    void tilde_dot_closes_and_nothing_after_it_counts() {
        assertThat(typed("ls\r~.rm\r~R")).isEqualTo("ls\r<.>");
    }

    @Test
    void nothing_is_taken_once_closed() {
        Escapes escapes = new Escapes('~', true);
        assertThat(show(escapes.typed(bytes("~."), 0, 2))).isEqualTo("<.>");
        assertThat(escapes.typed(bytes("ls\r"), 0, 3)).isEmpty();
    }

    @Test
    void an_escape_counts_after_CR_and_after_LF_only() {
        assertThat(typed("a~.")).isEqualTo("a~.");
        assertThat(typed("a\r~?")).isEqualTo("a\r<?>");
        assertThat(typed("a\n~?")).isEqualTo("a\n<?>");
        assertThat(typed("a\r ~?")).isEqualTo("a\r ~?");
    }

    @Test
    void tilde_tilde_sends_one_and_ends_the_line_start() {
        assertThat(typed("~~")).isEqualTo("~");
        assertThat(typed("~~.")).isEqualTo("~.");
        assertThat(typed("~~~.")).isEqualTo("~~.");
    }

    @Test
    void tilde_control_Z_suspends() {
        assertThat(typed("\r~\032x")).isEqualTo("\r<^Z>x");
    }

    @Test
    void after_a_command_another_may_follow() {
        assertThat(typed("~R~?~R~.")).isEqualTo("<R><?><R><.>");
    }

    @Test
    void any_other_character_is_sent_with_the_escape() {
        assertThat(typed("~x~.")).isEqualTo("~x~.");
        assertThat(typed("~ ")).isEqualTo("~ ");
        assertThat(typed("~/bin\r")).isEqualTo("~/bin\r");
    }

    @Test
    void a_return_after_the_escape_is_sent_and_starts_a_line() {
        assertThat(typed("~\r~.")).isEqualTo("~\r<.>");
    }

    @Test
    void one_escape_may_follow_another_at_once() {
        assertThat(typed("~#~B~C~V~v~&~I")).isEqualTo("<#><B><C><V><v><&><I>");
        assertThat(says(new Escapes('~', true), new Escapes.Command.Information()))
                .isEqualTo("~I\r\n");
    }

    @Test
    void bytes_above_127_pass_unchanged() {
        assertThat(typed("\r~\u00fc\u00ff")).isEqualTo("\r~\u00fc\u00ff");
    }

    @Test
    void another_escape_character_takes_the_place_of_the_tilde() {
        assertThat(typed(new Escapes(29, true), "\r~.\r\035.")).isEqualTo("\r~.\r<.>");
        assertThat(typed(new Escapes('%', true), "%%\r%R")).isEqualTo("%\r<R>");
    }

    @Test
    void without_an_escape_character_everything_is_sent() {
        assertThat(typed(new Escapes(Escapes.NONE, true), "~.\r~?")).isEqualTo("~.\r~?");
    }

    @Test
    void the_help_reads_as_openssh_prints_it() {
        assertThat(says(new Escapes('~', true), new Escapes.Command.Help()))
                .isEqualTo(
                        """
                        ~?
                        Supported escape sequences:
                         ~.   - terminate connection (and any multiplexed sessions)
                         ~B   - send a BREAK to the remote system
                         ~C   - open a command line
                         ~I   - show connection information
                         ~R   - request rekey
                         ~V/v - decrease/increase verbosity (LogLevel)
                         ~^Z  - suspend ssh
                         ~#   - list forwarded connections
                         ~&   - background ssh (when waiting for connections to terminate)
                         ~?   - this message
                         ~~   - send the escape character by typing it twice
                        (Note that escapes are only recognized immediately after newline.)
                        """
                                .replace("\n", "\r\n"));
    }

    @Test
    void suspending_says_so_and_closing_and_rekeying_are_silent() {
        Escapes escapes = new Escapes('~', true);
        assertThat(says(escapes, new Escapes.Command.Suspend())).isEqualTo("~^Z [suspend ssh]\r\n");
        assertThat(says(escapes, new Escapes.Command.Close())).isEmpty();
        assertThat(says(escapes, new Escapes.Command.Rekey())).isEmpty();
    }

    @Test
    void the_other_escapes_say_what_openssh_says() {
        Escapes escapes = new Escapes('%', false);
        assertThat(says(escapes, new Escapes.Command.Break())).isEqualTo("%B\r\n");
        assertThat(says(escapes, new Escapes.Command.Connections())).isEqualTo("%#\r\n");
        assertThat(says(escapes, new Escapes.Command.Louder()))
                .isEqualTo("%v [LogLevel DEBUG]\r\n");
        assertThat(
                        new String(
                                escapes.says(new Escapes.Command.Quieter(), null),
                                StandardCharsets.ISO_8859_1))
                .isEqualTo("%V [Logging to syslog]\r\n");
    }

    @Test
    void a_command_line_that_may_not_be_opened_is_said_to_be_disabled_and_not_in_the_help() {
        Escapes without = new Escapes('~', false);
        assertThat(says(without, new Escapes.Command.CommandLine()))
                .isEqualTo("commandline disabled\r\n");
        assertThat(says(without, new Escapes.Command.Help())).doesNotContain("~C");
        assertThat(says(new Escapes('~', true), new Escapes.Command.CommandLine())).isEmpty();
    }

    @Test
    void what_is_typed_does_not_show_in_a_log_by_accident() {
        List<Escapes.Piece> pieces = new Escapes('~', true).typed(bytes("hunter2"), 0, 7);
        assertThat(pieces.toString()).doesNotContain("hunter2");
    }

    @Test
    void how_typing_is_cut_into_reads_changes_nothing() {
        long seed = Long.getLong("holdfast.seed", System.nanoTime());
        Random random = new Random(seed);
        String alphabet = "~~~\r\n.?R\032xC#~ ";
        for (int round = 0; round < 5_000; round++) {
            StringBuilder text = new StringBuilder();
            for (int i = random.nextInt(24); i >= 0; i--) {
                text.append(alphabet.charAt(random.nextInt(alphabet.length())));
            }
            Escapes cut = new Escapes('~', true);
            StringBuilder result = new StringBuilder();
            byte[] all = bytes(text.toString());
            for (int at = 0; at < all.length; ) {
                int length = random.nextInt(all.length - at + 1);
                result.append(show(cut.typed(all, at, length)));
                at += length;
            }
            assertThat(result.toString())
                    .as("-Dholdfast.seed=%d round %d", seed, round)
                    .isEqualTo(typed(text.toString()));
        }
    }

    private static String typed(String text) {
        return typed(new Escapes('~', true), text);
    }

    private static String typed(Escapes escapes, String text) {
        return show(escapes.typed(bytes(text), 0, text.length()));
    }

    private static String says(Escapes escapes, Escapes.Command command) {
        return new String(escapes.says(command, Log.Level.DEBUG1), StandardCharsets.ISO_8859_1);
    }

    private static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.ISO_8859_1);
    }

    private static String show(List<Escapes.Piece> pieces) {
        StringBuilder shown = new StringBuilder();
        for (Escapes.Piece piece : pieces) {
            shown.append(
                    switch (piece) {
                        case Escapes.Typed typed ->
                                new String(typed.bytes(), StandardCharsets.ISO_8859_1);
                        case Escapes.Command.Close() -> "<.>";
                        case Escapes.Command.Help() -> "<?>";
                        case Escapes.Command.Suspend() -> "<^Z>";
                        case Escapes.Command.Rekey() -> "<R>";
                        case Escapes.Command.Break() -> "<B>";
                        case Escapes.Command.Connections() -> "<#>";
                        case Escapes.Command.CommandLine() -> "<C>";
                        case Escapes.Command.Louder() -> "<v>";
                        case Escapes.Command.Quieter() -> "<V>";
                        case Escapes.Command.Background() -> "<&>";
                        case Escapes.Command.Information() -> "<I>";
                    });
        }
        return shown.toString();
    }
}
