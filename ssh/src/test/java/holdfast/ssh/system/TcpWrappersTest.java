package holdfast.ssh.system;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class TcpWrappersTest {

    @TempDir Path dir;

    @BeforeEach
    void needsTheLibrary() {
        assumeTrue(TcpWrappers.available(), "libwrap is not installed");
    }

    @Test
    void nobody_is_refused_where_there_are_no_rules() throws Exception {
        assertThat(asked(null, null, "192.0.2.1")).isNull();
        assertThat(asked("# sshd: ALL\n\n", "# ALL: ALL\n", "192.0.2.1")).isNull();
    }

    @Test
    void who_is_denied_and_not_allowed_is_refused_and_named() throws Exception {
        assertThat(asked("", "sshd: ALL\n", "192.0.2.1")).isEqualTo("192.0.2.1 (192.0.2.1)");
        assertThat(asked("sshd: 192.0.2.\n", "ALL: ALL\n", "192.0.2.1")).isNull();
        assertThat(asked("sshd: 192.0.2.\n", "ALL: ALL\n", "198.51.100.1"))
                .isEqualTo("198.51.100.1 (198.51.100.1)");
        assertThat(asked("", "vsftpd: ALL\n", "192.0.2.1")).isNull();
        assertThat(asked("", "sshd: 192.0.2.0/255.255.255.128\n", "192.0.2.200")).isNull();
        assertThat(asked("", "sshd: [2001:db8::]/32\n", "2001:db8::7"))
                .isEqualTo("2001:db8::7 (2001:db8::7)");
        assertThat(asked("", "ALL EXCEPT sshd: ALL\n", "192.0.2.1")).isNull();
    }

    @Test
    void a_rule_for_the_servers_own_address_holds() throws Exception {
        assertThat(asked("", "sshd@203.0.113.9: ALL\n", "192.0.2.1")).isNotNull();
        assertThat(asked("", "sshd@203.0.113.8: ALL\n", "192.0.2.1")).isNull();
    }

    @Test
    void a_rules_program_is_not_run_and_one_in_place_of_ours_refuses() throws Exception {
        Path ran = dir.resolve("ran");
        assertThat(asked("sshd: ALL: spawn /bin/touch " + ran + "\n", "ALL: ALL\n", "192.0.2.1"))
                .isNull();
        assertThat(ran).doesNotExist();
        assertThat(asked("sshd: ALL: twist /bin/echo no\n", "", "192.0.2.1")).isNotNull();
        assertThat(asked("sshd: ALL: deny\n", "", "192.0.2.1")).isNotNull();
    }

    @Test
    void who_a_program_would_judge_is_refused_unjudged() throws Exception {
        for (String rule :
                List.of("aclexec /bin/true", "ACLEXEC=/bin/true", "\\\n aclexec /bin/true")) {
            assertThat(asked("sshd: ALL: " + rule + "\n", "ALL: ALL\n", "192.0.2.1")).isNotNull();
            assertThat(asked("", "sshd: ALL: " + rule + "\n", "192.0.2.1")).isNotNull();
        }
        String local = "sshd: [2001:db8::]/32: allow\nsshd: ALL: aclexec /bin/true %a\n";
        assertThat(asked(local, "ALL: ALL\n", "2001:db8::7")).isNull();
        assertThat(asked(local, "ALL: ALL\n", "192.0.2.1")).isNotNull();
    }

    @Test
    void no_rule_changes_the_server() throws Exception {
        String before = process();
        assertThat(
                        asked(
                                "sshd: ALL: umask 0: setenv A b\\:c: nice 3: allow\n",
                                "ALL: ALL\n",
                                "192.0.2.1"))
                .isNull();
        assertThat(asked("sshd: ALL: user nobody\n", "ALL: ALL\n", "192.0.2.1")).isNotNull();
        assertThat(asked("sshd: ALL: group nogroup\n", "ALL: ALL\n", "192.0.2.1")).isNotNull();
        assertThat(process()).isEqualTo(before);
    }

    /** Whose it is, and how it makes files. */
    private static String process() throws IOException {
        return Files.readAllLines(Path.of("/proc/self/status")).stream()
                .filter(line -> line.matches("(Umask|Uid|Gid):.*"))
                .toList()
                .toString();
    }

    private @Nullable String asked(@Nullable String allow, @Nullable String deny, String from)
            throws IOException {
        return TcpWrappers.refused(
                rules("allow", allow),
                rules("deny", deny),
                "sshd",
                new InetSocketAddress(InetAddress.getByName(from), 40000),
                new InetSocketAddress(InetAddress.getByName("203.0.113.9"), 22));
    }

    private Path rules(String name, @Nullable String text) throws IOException {
        Path file = dir.resolve(name);
        Files.deleteIfExists(file);
        if (text != null) {
            Files.writeString(file, text);
        }
        return file;
    }
}
