package holdfast.ssh.client;

import static org.assertj.core.api.Assertions.assertThat;

import holdfast.ssh.config.Endpoint;
import holdfast.ssh.config.ForwardSpec;
import org.junit.jupiter.api.Test;

class LineCommandTest {

    @Test
    void nothing_blanks_and_a_dash_alone_are_nothing() {
        for (String typed : new String[] {null, "", "   ", "-", "  -"}) {
            assertThat(LineCommand.read(typed, true)).isEqualTo(new LineCommand.Nothing());
        }
    }

    @Test
    void help_has_three_letters_and_tells_of_local_commands_where_they_are_permitted() {
        for (String typed : new String[] {"h", "-H", " -?", "help"}) {
            assertThat(LineCommand.read(typed, false)).isEqualTo(new LineCommand.Help());
        }
        assertThat(LineCommand.help(true)).hasSize(8);
        assertThat(LineCommand.help(false)).hasSize(7).noneMatch(line -> line.contains("!args"));
    }

    @Test
    void a_local_command_is_one_only_where_it_is_permitted() {
        assertThat(LineCommand.read("!ls -l", true)).isEqualTo(new LineCommand.Run("ls -l"));
        assertThat(LineCommand.read("!ls -l", false))
                .isEqualTo(new LineCommand.Bad("Invalid command."));
    }

    @Test
    void forwards_are_read_with_and_without_a_blank_and_a_dash() {
        for (String typed : new String[] {"-L 80:host:90", "L80:host:90", "  -L   80:host:90"}) {
            assertThat(LineCommand.read(typed, false))
                    .isEqualTo(
                            new LineCommand.Open(
                                    ForwardSpec.Kind.LOCAL,
                                    new ForwardSpec(
                                            new Endpoint.Tcp(null, 80),
                                            new Endpoint.Tcp("host", 90))));
        }
        assertThat(LineCommand.read("-D 1080", false)).isInstanceOf(LineCommand.Open.class);
        assertThat(LineCommand.read("-R 0", false)).isInstanceOf(LineCommand.Open.class);
        assertThat(LineCommand.read("-R 0:a:1", false)).isInstanceOf(LineCommand.Open.class);
    }

    @Test
    void a_forward_is_cancelled_by_where_it_listens() {
        assertThat(LineCommand.read("-KR a:80", false))
                .isEqualTo(
                        new LineCommand.Cancel(
                                ForwardSpec.Kind.REMOTE,
                                new ForwardSpec(new Endpoint.Tcp("a", 80), new Endpoint.Socks())));
        assertThat(LineCommand.read("KL 80:host:90", false))
                .isEqualTo(new LineCommand.Bad("Bad forwarding close specification."));
        assertThat(LineCommand.read("KR 0", false))
                .isEqualTo(new LineCommand.Bad("Bad forwarding close specification."));
    }

    @Test
    void what_is_not_understood_is_said_in_openssh_s_words() {
        assertThat(LineCommand.read("X", true)).isEqualTo(new LineCommand.Bad("Invalid command."));
        assertThat(LineCommand.read("K", true)).isEqualTo(new LineCommand.Bad("Invalid command."));
        assertThat(LineCommand.read("L 0:a:1", true))
                .isEqualTo(new LineCommand.Bad("Bad local forwarding specification."));
        assertThat(LineCommand.read("R", true))
                .isEqualTo(new LineCommand.Bad("Bad remote forwarding specification."));
    }
}
