package holdfast.ssh.auth;

import static org.assertj.core.api.Assertions.assertThat;

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
}
