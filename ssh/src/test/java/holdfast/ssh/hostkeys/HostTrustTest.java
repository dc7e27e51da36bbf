package holdfast.ssh.hostkeys;

import static holdfast.ssh.hostkeys.Given.ED25519;
import static holdfast.ssh.hostkeys.Given.OTHER_ED25519;
import static holdfast.ssh.hostkeys.Given.key;
import static holdfast.ssh.hostkeys.Given.settings;
import static org.assertj.core.api.Assertions.assertThat;

import holdfast.ssh.config.ClientSettings;
import holdfast.ssh.config.HostTrust;
import holdfast.ssh.config.ServerSettings.FingerprintHash;
import holdfast.ssh.hostkeys.HostKeyCheck.Accepted;
import holdfast.ssh.hostkeys.HostKeyCheck.Rejected;
import holdfast.ssh.hostkeys.HostKeyCheck.Verdict;
import java.io.IOException;
import java.net.InetAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** RevokedHostKeys, KnownHostsCommand and FingerprintHash. */
class HostTrustTest {

    @TempDir private Path home;
    private final Given given = new Given();

    @Test
    void a_key_that_was_withdrawn_is_refused_although_it_is_known() throws Exception {
        Files.writeString(home.resolve("known_hosts"), "example.com " + ED25519 + "\n");
        Path list = Files.writeString(home.resolve("revoked"), "# gone\n" + ED25519 + " old\n");
        assertThat(check(ED25519, trust(List.of(list), null))).isEqualTo(new Rejected());
        assertThat(given.said)
                .containsExactly(
                        "Host key ED25519 SHA256:TASK2Ee5AjA6qHy82V6+8PtdXOaXP207/nS9j5jjPMw"
                                + " revoked by file "
                                + list
                                + "\r\n",
                        "Host key verification failed.\r\n");
        Files.writeString(list, OTHER_ED25519 + "\n");
        assertThat(check(ED25519, trust(List.of(list), null))).isEqualTo(new Accepted(true));
    }

    @Test
    void a_list_of_withdrawn_keys_that_cannot_be_read_refuses_every_key() throws Exception {
        Files.writeString(home.resolve("known_hosts"), "example.com " + ED25519 + "\n");
        Path missing = home.resolve("nothing");
        assertThat(check(ED25519, trust(List.of(missing), null))).isEqualTo(new Rejected());
        assertThat(given.said.getFirst())
                .startsWith("Error checking host key ED25519 ")
                .endsWith("file " + missing + ": No such file or directory\r\n");
    }

    @Test
    void a_command_that_knows_the_key_is_as_good_as_a_file() throws Exception {
        Path asked = home.resolve("asked");
        Path script =
                script("echo \"$@\" >> " + asked, "[ $1 = ORDER ] || echo \"$2 " + ED25519 + "\"");
        HostTrust.KeysCommand command =
                new HostTrust.KeysCommand(
                        List.of(script.toString(), "%I", "%H", "%t", "%f", "%n 100%%"),
                        Map.of('n', "a %H b", '%', "%"));
        assertThat(check(ED25519, trust(List.of(), command))).isEqualTo(new Accepted(true));
        assertThat(given.asked).isEmpty();
        assertThat(Files.readAllLines(asked))
                .containsExactly(
                        "HOSTNAME example.com ssh-ed25519"
                                + " SHA256:TASK2Ee5AjA6qHy82V6+8PtdXOaXP207/nS9j5jjPMw"
                                + " a %H b 100%");
        Files.delete(asked);
        ClientSettings settings = settings(values(trust(List.of(), command)));
        new HostKeyCheck(settings, given.person, given.log).orderAlgorithms(List.of("ssh-ed25519"));
        assertThat(Files.readString(asked)).startsWith("ORDER example.com NONE NONE ");
    }

    @Test
    void a_command_that_fails_ends_it_all_whatever_the_files_say() throws Exception {
        Files.writeString(home.resolve("known_hosts"), "example.com " + ED25519 + "\n");
        HostTrust.KeysCommand fails =
                new HostTrust.KeysCommand(List.of(script("exit 3").toString()), Map.of());
        assertThat(check(ED25519, trust(List.of(), fails))).isEqualTo(new Rejected());
        assertThat(given.said).last().isEqualTo("KnownHostsCommand failed\r\n");
    }

    @Test
    void a_command_that_is_not_there_is_told_and_the_files_decide() throws Exception {
        Files.writeString(home.resolve("known_hosts"), "example.com " + ED25519 + "\n");
        HostTrust.KeysCommand relative = new HostTrust.KeysCommand(List.of("true"), Map.of());
        assertThat(check(ED25519, trust(List.of(), relative))).isEqualTo(new Accepted(true));
        assertThat(given.said).contains("KnownHostsCommand-HOSTNAME path is not absolute\r\n");
        Path none = home.resolve("none");
        HostTrust.KeysCommand missing =
                new HostTrust.KeysCommand(List.of(none.toString()), Map.of());
        assertThat(check(ED25519, trust(List.of(), missing))).isEqualTo(new Accepted(true));
        assertThat(given.said)
                .contains(
                        "Could not stat KnownHostsCommand-HOSTNAME \""
                                + none
                                + "\": No such file or directory\r\n");
    }

    @Test
    void a_command_that_cannot_be_executed_is_told_in_openssh_words() throws Exception {
        Path program = Files.writeString(home.resolve("program"), "#!/nonexistent/sh\n");
        HostTrust.KeysCommand command =
                new HostTrust.KeysCommand(List.of(program.toString()), Map.of());
        for (String why : List.of("Permission denied", "No such file or directory")) {
            assertThat(check(ED25519, trust(List.of(), command))).isEqualTo(new Rejected());
            assertThat(given.said)
                    .endsWith(
                            "KnownHostsCommand-HOSTNAME execv \"" + program + "\": " + why + "\r\n",
                            "KnownHostsCommand-HOSTNAME " + program + " failed, status 127\r\n",
                            "KnownHostsCommand failed\r\n");
            assertThat(program.toFile().setExecutable(true)).isTrue();
        }
        Files.writeString(program, "#!/bin/sh\nkill -9 $$\n");
        assertThat(check(ED25519, trust(List.of(), command))).isEqualTo(new Rejected());
        assertThat(given.said)
                .contains("KnownHostsCommand-HOSTNAME " + program + " exited on signal 9\r\n");
        Files.writeString(program, "#!/bin/sh\nexit 255\n");
        assertThat(check(ED25519, trust(List.of(), command))).isEqualTo(new Rejected());
        assertThat(given.said)
                .contains("KnownHostsCommand-HOSTNAME " + program + " failed, status 255\r\n");
    }

    @Test
    void a_fingerprint_is_shown_as_it_is_asked_for() throws Exception {
        HostTrust md5 = new HostTrust(List.of(), null, FingerprintHash.MD5);
        check(ED25519, md5);
        assertThat(given.asked.getFirst()).contains("key fingerprint is MD5:");
        given.asked.clear();
        HostTrust sha512 = new HostTrust(List.of(), null, FingerprintHash.SHA512);
        check(ED25519, sha512);
        assertThat(given.asked.getFirst()).contains("key fingerprint is SHA512:");
    }

    private Path script(String... lines) throws IOException {
        Path script =
                Files.createFile(
                        Files.createTempDirectory(home, "bin").resolve("keys"),
                        PosixFilePermissions.asFileAttribute(
                                PosixFilePermissions.fromString("rwx------")));
        return Files.writeString(script, "#!/bin/sh\n" + String.join("\n", lines) + "\nexit 0\n");
    }

    private static HostTrust trust(List<Path> revoked, HostTrust.@Nullable KeysCommand command) {
        return new HostTrust(revoked, command, FingerprintHash.SHA256);
    }

    private Map<String, Object> values(HostTrust trust) {
        return Map.of("trust", trust, "userKnownHostsFiles", List.of(home.resolve("known_hosts")));
    }

    private Verdict check(String key, HostTrust trust) throws IOException {
        return new HostKeyCheck(settings(values(trust)), given.person, given.log)
                .check(InetAddress.getByName("192.0.2.1"), key(key).blob());
    }
}
