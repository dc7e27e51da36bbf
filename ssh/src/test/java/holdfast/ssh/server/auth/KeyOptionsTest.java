package holdfast.ssh.server.auth;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import holdfast.ssh.config.ConfigException;
import holdfast.ssh.config.ServerTokens;
import holdfast.ssh.server.Permissions;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class KeyOptionsTest {

    @Test
    void no_options_allow_everything() throws Exception {
        assertThat(KeyOptions.parse("")).isEqualTo(KeyOptions.NONE);
        assertThat(KeyOptions.NONE.permissions(null)).isEqualTo(Permissions.ALL);
    }

    @Test
    void later_options_override_earlier_ones_and_case_does_not_matter() throws Exception {
        KeyOptions options = KeyOptions.parse("RESTRICT,Agent-Forwarding,pty,no-PTY,user-rc");
        assertThat(options.agentForwarding()).isTrue();
        assertThat(options.userRc()).isTrue();
        assertThat(options.pty()).isFalse();
        assertThat(options.portForwarding()).isFalse();
        assertThat(options.x11Forwarding()).isFalse();
    }

    @Test
    void quotes_may_be_quoted_and_spaces_stand_inside_them() throws Exception {
        assertThat(KeyOptions.parse("command=\"sh -c \\\"a, b\\\"\"").command())
                .isEqualTo("sh -c \"a, b\"");
        assertThat(KeyOptions.end("command=\"a \\\" b\",pty ssh-rsa")).isEqualTo(20);
        assertThat(KeyOptions.end("command=\"a")).isEqualTo(-1);
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            quoteCharacter = '`',
            value = {
                "pty,|unexpected end-of-options",
                "bogus|unknown key option",
                "no-restrict|unknown key option",
                "command=x|missing start quote",
                "command=\"x|missing end quote",
                "command=\"a\",command=\"b\"|multiple \"command\" clauses",
                "from=\"a\",from=\"b\"|multiple \"from\" clauses",
                "environment=\"A\"|invalid environment string",
                "environment=\"=x\"|invalid environment string",
                "environment=\"A B=x\"|invalid environment string",
                "permitopen=\"host\"|invalid permission port",
                "permitopen=\":22\"|invalid permission hostname",
                "permitopen=\"host:0\"|invalid permission port",
                "permitopen=\"host:65536\"|invalid permission port",
                "permitlisten=\"x\"|invalid permission port",
                "expiry-time=\"2020\"|invalid expires time",
                "expiry-time=\"20201332\"|invalid expires time",
                "expiry-time=\"\"|invalid expires time",
                "tunnel=\"x\"|invalid tun device",
            })
    void what_cannot_be_understood_is_named_in_openssh_s_words(String options, String reason) {
        assertThatThrownBy(() -> KeyOptions.parse(options))
                .isInstanceOf(KeyOptions.Bad.class)
                .hasMessage(reason);
    }

    @Test
    void the_first_of_equal_variables_and_the_earliest_end_count() throws Exception {
        KeyOptions options =
                KeyOptions.parse(
                        "environment=\"A=1\",environment=\"A=2\",environment=\"B=\","
                                + "expiry-time=\"20300101Z\",expiry-time=\"203001010000Z\","
                                + "expiry-time=\"20310101Z\"");
        assertThat(options.environment()).isEqualTo(Map.of("A", "1", "B", ""));
        assertThat(options.expires()).isEqualTo(1893456000L);
    }

    @Test
    void an_address_in_brackets_may_be_opened_and_a_bare_port_listened_on() throws Exception {
        KeyOptions options =
                KeyOptions.parse(
                        "permitopen=\"[::1]:80\",permitopen=\"h:*\",permitlisten=\"22\","
                                + "permitlisten=\"localhost:8080\"");
        assertThat(options.permitOpen()).containsExactly("[::1]:80", "h:*");
        assertThat(options.permitListen()).containsExactly("*:22", "localhost:8080");
    }

    @Test
    void two_sets_of_options_allow_what_both_allow() throws Exception {
        KeyOptions both =
                KeyOptions.parse("no-pty,command=\"a\",no-touch-required")
                        .and(KeyOptions.parse("no-user-rc,command=\"a\",verify-required"));
        assertThat(both.pty()).isFalse();
        assertThat(both.userRc()).isFalse();
        assertThat(both.agentForwarding()).isTrue();
        assertThat(both.touchOptional()).isFalse();
        assertThat(both.verifyRequired()).isTrue();
        assertThatThrownBy(() ->
                        KeyOptions.parse("command=\"a\"").and(KeyOptions.parse("command=\"b\"")))
                .hasMessage("forced command options do not match");
    }

    @Test
    void variables_need_the_servers_leave() throws Exception {
        KeyOptions options = KeyOptions.parse("environment=\"LANG=C\",environment=\"PATH=/x\"");
        assertThat(options.permissions(null).environment()).isEmpty();
        assertThat(options.permissions("LANG,LC_*").environment()).isEqualTo(Map.of("LANG", "C"));
        assertThat(options.permissions("*").environment()).hasSize(2);
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "192.0.2.7   | 192.0.2.7              | YES",
                "192.0.2.7   | 192.0.2.0/24           | YES",
                "192.0.2.7   | 192.0.3.0/24           | NO",
                "192.0.2.7   | 192.0.2.*              | YES",
                "192.0.2.7   | !192.0.2.7,192.0.2.0/24| NO",
                "192.0.2.7   | 192.0.2.0/24,!192.0.2.7| NO",
                "192.0.2.7   | 192.0.2.1/24           | INVALID",
                "192.0.2.7   | 192.0.2.0/33           | INVALID",
                "192.0.2.7   | *.example.com          | YES",
                "192.0.2.7   | !*.example.com,192.*   | NO",
                "192.0.2.7   | HOST.Example.*         | YES",
                "2001:db8::7 | 2001:db8::/32          | YES",
                "2001:db8::7 | 2001:DB8:0:0::7        | YES",
                "2001:db8::7 | 192.0.2.0/24           | NO",
                "192.0.2.7   | ::/0                   | NO",
            })
    void from_knows_addresses_ranges_and_names(
            String address, String patterns, Addresses.Answer answer) {
        assertThat(Addresses.hostAndAddress("host.example.com", address, patterns))
                .isEqualTo(answer);
    }

    @Test
    void users_may_be_tied_to_hosts() {
        assertThat(Admission.fits("ann", "h", "10.0.0.1", "a*")).isTrue();
        assertThat(Admission.fits("ann", "h", "10.0.0.1", "ann@10.0.0.0/8")).isTrue();
        assertThat(Admission.fits("ann", "h", "10.0.0.1", "ann@!10.0.0.1,*")).isFalse();
        assertThat(Admission.fits("ann", "h", "10.0.0.1", "bob@*")).isFalse();
    }

    @Test
    void a_list_of_methods_is_passed_in_order() {
        List<String> on = List.of("none", "publickey", "password");
        Methods methods =
                new Methods(
                        on,
                        List.of(
                                List.of("publickey", "password"),
                                List.of("publickey", "keyboard-interactive")));
        assertThat(methods.offered()).isEqualTo("publickey");
        assertThat(methods.allows("password")).isFalse();
        assertThat(methods.passed("publickey", null)).isFalse();
        assertThat(methods.offered()).isEqualTo("password");
        assertThat(methods.passed("password", null)).isTrue();
        assertThat(new Methods(on, List.of(List.of("hostbased"))).hopeless()).isTrue();
        assertThat(new Methods(on, List.of()).offered()).isEqualTo("publickey,password");
        Methods device =
                new Methods(
                        List.of("keyboard-interactive"),
                        List.of(List.of("keyboard-interactive:bsdauth")));
        assertThat(device.allows("keyboard-interactive")).isTrue();
        assertThat(device.passed("keyboard-interactive", "pam")).isFalse();
    }

    @Test
    void a_command_is_taken_apart_as_a_shell_would_without_running_anything() throws Exception {
        assertThat(ServerTokens.command("/bin/x 'a b' \"c \\\" d\" e\\\\f ''", Map.of()))
                .containsExactly("/bin/x", "a b", "c \" d", "e\\f", "");
        assertThat(ServerTokens.command("/bin/x 'a", Map.of())).isEmpty();
        assertThatThrownBy(() -> ServerTokens.command("/bin/x %q", Map.of()))
                .isInstanceOf(ConfigException.class);
    }
}
