package holdfast.ssh.config;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** CanonicalizeHostname and all that belongs to it, with a resolver that knows what a test says. */
class CanonicalNameTest {

    @TempDir private Path root;
    private ConfigFixture machine = new ConfigFixture(Path.of(""));

    @BeforeEach
    void aMachine() {
        machine = new ConfigFixture(root);
    }

    @Test
    void a_short_name_is_found_in_the_first_domain_that_has_it_and_the_files_are_read_again()
            throws Exception {
        machine.names.put("web.b.example.", "web.b.example");
        machine.names.put("web.c.example.", "web.c.example");
        machine.userFile(
                "CanonicalizeHostname yes",
                "CanonicalDomains a.example B.example. c.example",
                "Host web.b.example",
                "  Port 2",
                "Match canonical host *.example",
                "  User ann",
                "Match !canonical",
                "  BatchMode yes");
        ClientSettings web = machine.settings("WEB");
        assertThat(web.host()).isEqualTo("web.b.example");
        assertThat(web.originalHost()).isEqualTo("WEB");
        assertThat(web.port()).isEqualTo(2);
        assertThat(web.user()).isEqualTo("ann");
        assertThat(web.batchMode()).isTrue();
        assertThat(machine.config("WEB").print())
                .contains("\ncanonicaldomains a.example b.example c.example\n");
    }

    @Test
    void what_is_found_nowhere_is_left_to_the_system_or_ends_the_run() throws Exception {
        machine.userFile("CanonicalizeHostname yes", "CanonicalDomains a.example");
        assertThat(machine.settings("web").host()).isEqualTo("web");
        machine.userFile(
                "CanonicalizeHostname yes",
                "CanonicalDomains a.example",
                "CanonicalizeFallbackLocal no");
        assertThat(machine.error("web")).isEqualTo("ssh: Could not resolve host \"web\"");
        assertThat(machine.settings("10.0.0.1").host()).isEqualTo("10.0.0.1");
    }

    @Test
    void names_with_dots_enough_or_at_the_end_are_whole() throws Exception {
        machine.names.put("a.b.c.x.example.", "wrong");
        machine.names.put("a.b.x.example.", "a.b.x.example");
        machine.names.put("anchored.example.", "anchored.example");
        machine.userFile("CanonicalizeHostname yes", "CanonicalDomains x.example");
        assertThat(machine.settings("a.b.c").host()).isEqualTo("a.b.c");
        assertThat(machine.settings("-oCanonicalizeMaxDots=0", "a.b").host()).isEqualTo("a.b");
        assertThat(machine.settings("a.b").host()).isEqualTo("a.b.x.example");
        assertThat(machine.settings("anchored.example.").host()).isEqualTo("anchored.example");
    }

    @Test
    void behind_a_proxy_names_are_the_proxys_business_unless_always_is_said() throws Exception {
        machine.names.put("web.x.example.", "web.x.example");
        machine.userFile("ProxyJump gate", "CanonicalDomains x.example");
        assertThat(machine.settings("-G", "-oCanonicalizeHostname=yes", "web").host())
                .isEqualTo("web");
        assertThat(machine.settings("-G", "-oCanonicalizeHostname=always", "web").host())
                .isEqualTo("web.x.example");
    }

    @Test
    void an_alias_is_followed_only_by_a_rule() throws Exception {
        machine.names.put("www.x.example.", "host7.dc.example");
        machine.userFile(
                "CanonicalizeHostname yes",
                "CanonicalDomains x.example",
                "CanonicalizePermittedCNAMEs *.y.example:*.dc.example www.*:*.DC.example",
                "Match final host host7.dc.example",
                "  Port 7");
        assertThat(machine.settings("www").host()).isEqualTo("host7.dc.example");
        assertThat(machine.settings("www").port()).isEqualTo(7);
        machine.userFile(
                "CanonicalizeHostname yes",
                "CanonicalDomains x.example",
                "CanonicalizePermittedCNAMEs *.y.example:*.dc.example");
        assertThat(machine.settings("www").host()).isEqualTo("www.x.example");
    }

    @Test
    void what_makes_no_sense_is_an_error_with_its_line() {
        machine.userFile("CanonicalDomains -x");
        assertThat(machine.error("web"))
                .contains("line 1: domain name \"-x\" starts with invalid character");
        machine.userFile("CanonicalDomains a..b");
        assertThat(machine.error("web")).contains("contains consecutive separators");
        machine.userFile("CanonicalizePermittedCNAMEs a");
        assertThat(machine.error("web")).contains("line 1: Invalid permitted CNAME \"a\"");
        machine.userFile("CanonicalizePermittedCNAMEs none a:b");
        assertThat(machine.error("web")).contains("\"none\" argument must appear alone.");
        machine.userFile("ChannelTimeout session");
        assertThat(machine.error("web")).endsWith("line 1: invalid channel timeout session");
        machine.userFile("FingerprintHash crc");
        assertThat(machine.error("web")).contains("line 1: Invalid hash algorithm \"crc\".");
        machine.userFile("ObscureKeystrokeTiming interval:0");
        assertThat(machine.error("web")).contains("line 1: value out of range.");
    }
}
