package holdfast.ssh.forward;

import static org.assertj.core.api.Assertions.assertThat;

import holdfast.ssh.config.ConfigException;
import holdfast.ssh.config.ServerConfig;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;

/** Who may forward what, by configuration and key. */
class RulesTest {

    private static Rules rules(
            @Nullable List<String> open, @Nullable List<String> listen, String... lines)
            throws ConfigException {
        return Rules.of(ServerConfig.of(List.of(lines)).global(), true, open, listen, false);
    }

    @Test
    void the_configuration_and_the_key_must_both_permit() throws Exception {
        Rules rules = rules(List.of("a:1", "[::1]:2", "*:3"), null, "PermitOpen a:1 b:3");
        assertThat(rules.mayConnect("a", 1)).isTrue();
        assertThat(rules.mayConnect("b", 3)).isTrue();
        assertThat(rules.mayConnect("a", 3)).isFalse();
        assertThat(rules.mayConnect("::1", 2)).isFalse();
        assertThat(rules.mayConnect("A", 1)).isFalse();
    }

    @Test
    void a_listener_is_matched_by_pattern_and_port() throws Exception {
        Rules rules = rules(null, List.of("8080", "*.lan:*"));
        assertThat(rules.mayListen("localhost", 8080)).isTrue();
        assertThat(rules.mayListen("X.lan", 1)).isTrue();
        assertThat(rules.mayListen("localhost", 8081)).isFalse();
        assertThat(rules.mayBind(80)).isFalse();
        assertThat(rules.mayBind(0)).isTrue();
    }

    @Test
    void gateway_ports_say_where_a_listener_is() throws Exception {
        Rules closed = rules(null, null);
        assertThat(closed.where("")).isEqualTo(new Rules.Where.Loopback());
        assertThat(closed.where("10.0.0.1")).isEqualTo(new Rules.Where.Loopback());
        assertThat(closed.where("::1")).isEqualTo(new Rules.Where.Host("::1"));
        Rules open = rules(null, null, "GatewayPorts yes");
        assertThat(open.where("localhost")).isEqualTo(new Rules.Where.Everywhere());
        assertThat(open.overrides("10.0.0.1")).isTrue();
        Rules asked = rules(null, null, "GatewayPorts clientspecified");
        assertThat(asked.where("")).isEqualTo(new Rules.Where.Everywhere());
        assertThat(asked.where("localhost")).isEqualTo(new Rules.Where.Loopback());
        assertThat(asked.where("10.0.0.1")).isEqualTo(new Rules.Where.Host("10.0.0.1"));
    }
}
