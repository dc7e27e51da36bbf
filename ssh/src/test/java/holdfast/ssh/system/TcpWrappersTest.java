package holdfast.ssh.system;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.UnknownHostException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
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
    void a_rule_for_a_name_holds_for_who_has_it() throws Exception {
        String deny = "sshd: .example.org\n";
        assertThat(named("", deny, "a.example.org")).isEqualTo("a.example.org (192.0.2.1)");
        assertThat(named("", deny, "a.example.com")).isNull();
        assertThat(named("sshd: a.example.org\n", "ALL: ALL\n", "a.example.org")).isNull();
        assertThat(named("sshd: b.example.org\n", "ALL: ALL\n", "a.example.org")).isNotNull();
        assertThat(named("", "ALL: PARANOID\n", "paranoid")).isEqualTo("192.0.2.1 (192.0.2.1)");
        assertThat(named("", "ALL: UNKNOWN\n", "unknown")).isNotNull();
        assertThat(named("", "ALL: PARANOID\n", "unknown")).isNull();
        assertThat(named("", "sshd@a.example.org: ALL\n", "a.example.org")).isNotNull();
    }

    @Test
    void a_rule_for_the_name_of_the_machine_itself_holds() throws Exception {
        assertThat(TcpWrappers.name(InetAddress.getLoopbackAddress())).isEqualTo("localhost");
        assertThat(asked("", "sshd: localhost\n", "127.0.0.1")).isEqualTo("localhost (127.0.0.1)");
    }

    @Test
    @Timeout(30)
    void nobody_waits_while_anothers_name_is_looked_up() throws Exception {
        InetAddress slow = InetAddress.getByName("192.0.2.1");
        Path allow = rules("allow", "");
        Path deny = rules("deny", "sshd: .example.org\n");
        CountDownLatch asked = new CountDownLatch(1);
        CountDownLatch known = new CountDownLatch(1);
        CompletableFuture<@Nullable String> waiting =
                CompletableFuture.supplyAsync(() ->
                        refused(
                                allow,
                                deny,
                                "192.0.2.1",
                                address -> {
                                    asked.countDown();
                                    awaitAll(known);
                                    return "a.example.org";
                                }));
        awaitAll(asked);
        assertThat(refused(allow, deny, "192.0.2.2", address -> "b.example.com")).isNull();
        assertThat(waiting).isNotDone();
        known.countDown();
        assertThat(waiting.join()).isEqualTo("a.example.org (" + slow.getHostAddress() + ")");
    }

    private static void awaitAll(CountDownLatch latch) {
        try {
            latch.await();
        } catch (InterruptedException e) {
            throw new IllegalStateException(e);
        }
    }

    private @Nullable String named(String allow, String deny, String name) throws IOException {
        return refused(rules("allow", allow), rules("deny", deny), "192.0.2.1", address -> name);
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
        return refused(rules("allow", allow), rules("deny", deny), from, TcpWrappers::name);
    }

    private static @Nullable String refused(
            Path allow, Path deny, String from, Function<InetAddress, String> names) {
        try {
            return TcpWrappers.refused(
                    allow,
                    deny,
                    "sshd",
                    new InetSocketAddress(InetAddress.getByName(from), 40000),
                    new InetSocketAddress(InetAddress.getByName("203.0.113.9"), 22),
                    names);
        } catch (UnknownHostException e) {
            throw new IllegalStateException(e);
        }
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
