package holdfast.ssh.auth;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.charset.StandardCharsets;
import org.junit.jupiter.api.Test;

class VisibleTest {

    @Test
    void letters_of_any_script_and_line_ends_stay() {
        String text = "Grüße, 世界\r\n\tπ\n";
        assertThat(Visible.of(text)).isEqualTo(text);
    }

    @Test
    void what_commands_a_terminal_is_written_in_octal_as_openssh_does() {
        assertThat(Visible.of("Hello \033[1m you\007")).isEqualTo("Hello \\033[1m you\\007");
        assertThat(Visible.of("\u009b2J")).isEqualTo("\\302\\2332J");
    }

    @Test
    void what_reorders_a_line_is_written_in_octal() {
        assertThat(Visible.of("a\u202eb")).isEqualTo("a\\342\\200\\256b");
    }

    @Test
    void bytes_that_are_no_utf_8_are_shown_one_by_one() {
        assertThat(Visible.of(bytes("a\377b\303\244c\303"), 7, true))
                .isEqualTo("a\\377b\u00e4c\\303");
    }

    @Test
    void a_terminal_without_utf_8_is_sent_ascii_alone() {
        assertThat(Visible.of(bytes("a\303\244\tb\033\r\n"), 8, false))
                .isEqualTo("a\\303\\244\tb\\033\r\n");
    }

    private static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.ISO_8859_1);
    }
}
