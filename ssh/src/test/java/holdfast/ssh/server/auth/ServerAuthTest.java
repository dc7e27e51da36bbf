package holdfast.ssh.server.auth;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import holdfast.ssh.config.ServerConfig;
import holdfast.ssh.log.Log;
import holdfast.ssh.server.auth.House.Run;
import holdfast.ssh.system.Pam;
import holdfast.ssh.system.Shadow;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import org.apache.sshd.server.SshServer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Debian's ssh at a real server's door. */
@Timeout(60)
class ServerAuthTest {

    @TempDir Path directory;

    @Test
    void a_listed_key_lets_in_and_the_log_says_so_in_openssh_s_words() throws Exception {
        try (House house = House.open(directory)) {
            Path key = house.key("id");
            house.authorize("# mine", House.line(key));
            Run run = house.ssh("guest", List.of(key));
            assertThat(run.out()).isEqualTo("in as guest\n");
            assertThat(run.status()).isZero();
            String fingerprint =
                    Objects.requireNonNull(KeyCheck.keyAt(House.line(key))).fingerprint();
            assertThat(house.log())
                    .containsPattern(
                            "Accepted key ED25519 \\Q" + fingerprint + "\\E found at .*keys:2")
                    .containsPattern(
                            "Postponed publickey for guest from 127.0.0.1 port \\d+ ssh2"
                                    + " \\[preauth\\]")
                    .containsPattern(
                            "Accepted publickey for guest from 127.0.0.1 port \\d+ ssh2: ED25519 \\Q"
                                    + fingerprint);
            assertThat(house.logins.get(0).proofs())
                    .containsExactly(
                            "publickey "
                                    + String.join(
                                            " ",
                                            List.of(House.line(key).split(" ", -1)).subList(0, 2)));
        }
    }

    @Test
    void keys_are_looked_for_in_every_file_that_a_pattern_names() throws Exception {
        Path files = Files.createDirectory(directory.resolve("globbed"));
        try (House house =
                House.open(
                        directory, "AuthorizedKeysFile " + files + "/keys_*", "StrictModes no")) {
            Path key = house.key("id");
            Files.writeString(files.resolve("keys_a"), House.line(house.key("other")) + "\n");
            assertThat(house.ssh("guest", List.of(key)).status()).isEqualTo(255);
            Files.writeString(files.resolve("keys_b"), House.line(key) + "\n");
            assertThat(house.ssh("guest", List.of(key)).status()).isZero();
        }
    }

    @Test
    void another_key_and_another_user_are_refused_alike() throws Exception {
        try (House house = House.open(directory, "LogLevel VERBOSE")) {
            Path key = house.key("id");
            house.authorize(House.line(house.key("other")));
            assertThat(house.ssh("guest", List.of(key)))
                    .isEqualTo(
                            new Run(
                                    255,
                                    "guest@127.0.0.1: Permission denied"
                                            + " (publickey,password).\r\n"));
            assertThat(house.ssh("nobody", List.of(key)))
                    .isEqualTo(
                            new Run(
                                    255,
                                    "nobody@127.0.0.1: Permission denied"
                                            + " (publickey,password).\r\n"));
            house.untilSaid("Connection closed by invalid user nobody 127.0.0.1 port ");
            assertThat(house.log())
                    .containsPattern(
                            "Failed publickey for guest from 127.0.0.1 port \\d+ ssh2: ED25519 SHA256:")
                    .containsPattern("Invalid user nobody from 127.0.0.1 port \\d+")
                    .contains("Connection closed by authenticating user guest 127.0.0.1 port ");
        }
    }

    @Test
    void six_failures_are_enough() throws Exception {
        try (House house = House.open(directory)) {
            List<Path> keys = new ArrayList<>();
            for (int i = 0; i < 7; i++) {
                keys.add(house.key("id" + i));
            }
            house.authorize(House.line(keys.get(6)));
            Run run = house.ssh("guest", keys);
            assertThat(run.status()).isEqualTo(255);
            assertThat(run.out())
                    .contains(
                            "Received disconnect from 127.0.0.1 port "
                                    + house.port
                                    + ":2: Too many authentication failures");
            house.untilSaid(": Too many authentication failures [preauth]");
            assertThat(house.log())
                    .containsPattern(
                            "maximum authentication attempts exceeded for guest from 127.0.0.1 port"
                                    + " \\d+ ssh2 \\[preauth\\]")
                    .containsPattern(
                            "Disconnecting authenticating user guest 127.0.0.1 port \\d+: Too many"
                                    + " authentication failures \\[preauth\\]");
            house.authorize(House.line(keys.get(5)));
            assertThat(house.ssh("guest", keys).status()).isZero();
        }
    }

    @Test
    void rsa_and_ecdsa_keys_let_in_too() throws Exception {
        try (House house = House.open(directory)) {
            List<String> lines = new ArrayList<>();
            List<Path> keys = new ArrayList<>();
            for (String type : List.of("rsa:2048", "ecdsa:256", "ecdsa:384", "ecdsa:521")) {
                Path key = directory.resolve(type);
                String[] parts = type.split(":", -1);
                House.keygen("-t", parts[0], "-b", parts[1], "-f", key.toString());
                lines.add(House.line(key));
                keys.add(key);
            }
            house.authorize(lines.toArray(String[]::new));
            for (Path key : keys) {
                assertThat(house.ssh("guest", List.of(key)).status()).as(key.toString()).isZero();
            }
            assertThat(
                            house.ssh(
                                            "guest",
                                            keys.subList(0, 1),
                                            "PubkeyAcceptedAlgorithms=ssh-rsa")
                                    .status())
                    .isEqualTo(255);
        }
    }

    @Test
    void a_file_that_others_may_write_is_not_believed() throws Exception {
        try (House house = House.open(directory)) {
            Path key = house.key("id");
            house.authorize(House.line(key));
            Path file = house.home.resolve(".ssh/authorized_keys");
            Files.setPosixFilePermissions(
                    file, java.nio.file.attribute.PosixFilePermissions.fromString("rw-r--rw-"));
            assertThat(house.ssh("guest", List.of(key)).status()).isEqualTo(255);
            assertThat(house.log())
                    .contains(
                            "Authentication refused: bad ownership or modes for file "
                                    + file.toRealPath());
        }
    }

    @Test
    void options_of_a_key_limit_where_when_and_what() throws Exception {
        try (House house = House.open(directory, "PermitUserEnvironment LANG*")) {
            Path key = house.key("id");
            String line = House.line(key);
            house.authorize("from=\"10.0.0.0/8,!127.0.0.1\" " + line);
            assertThat(house.ssh("guest", List.of(key)).status()).isEqualTo(255);
            assertThat(house.log())
                    .contains(
                            "Authentication tried for guest with correct key but not from a"
                                    + " permitted host (host=127.0.0.1, ip=127.0.0.1,"
                                    + " required=10.0.0.0/8,!127.0.0.1).");
            house.authorize("expiry-time=\"20200101\" " + line);
            assertThat(house.ssh("guest", List.of(key)).status()).isEqualTo(255);
            house.authorize("expiry-time=\"29990101Z\",from=\"127.0.0.0/8\" " + line);
            assertThat(house.ssh("guest", List.of(key)).status()).isZero();
            house.authorize(
                    "restrict,pty,command=\"echo \\\"a b\\\"\",environment=\"LANG=C\","
                            + "environment=\"LD_PRELOAD=x\",permitopen=\"h:22\","
                            + "permitlisten=\"8080\",tunnel=\"0\" "
                            + line);
            assertThat(house.ssh("guest", List.of(key)).status()).isZero();
            assertThat(house.logins.get(1).permissions())
                    .isEqualTo(
                            new holdfast.ssh.server.Permissions(
                                    "echo \"a b\"",
                                    java.util.Map.of("LANG", "C"),
                                    true,
                                    false,
                                    false,
                                    false,
                                    false,
                                    List.of("h:22"),
                                    List.of("*:8080")));
        }
    }

    @Test
    void a_broken_line_is_passed_over_with_file_and_line() throws Exception {
        try (House house = House.open(directory)) {
            Path key = house.key("id");
            String line = House.line(key);
            house.authorize(
                    "ssh-ed25519 AAAA", "bogus " + line, "command=\"open " + line, "\u0000", line);
            assertThat(house.ssh("guest", List.of(key)).status()).isZero();
            String file = house.home.resolve(".ssh/authorized_keys").toString();
            assertThat(house.log())
                    .contains(file + ":1: not a key; line skipped")
                    .contains(file + ":2: bad key options: unknown key option; line skipped")
                    .contains(file + ":3: invalid key option string; line skipped")
                    .contains("found at " + file + ":5");
        }
    }

    @Test
    void two_keys_can_be_asked_for_and_one_key_is_not_two() throws Exception {
        try (House house = House.open(directory, "AuthenticationMethods publickey,publickey")) {
            Path first = house.key("id1");
            Path second = house.key("id2");
            house.authorize(House.line(first), "no-pty " + House.line(second));
            assertThat(house.ssh("guest", List.of(first)).status()).isEqualTo(255);
            assertThat(house.log())
                    .containsPattern("Partial publickey for guest from 127.0.0.1 port \\d+ ssh2: ");
            assertThat(house.ssh("guest", List.of(first, second)).status()).isZero();
            assertThat(house.logins.get(0).proofs()).hasSize(2);
            assertThat(house.logins.get(0).permissions().pty()).isFalse();
        }
    }

    @Test
    void who_is_not_to_come_does_not() throws Exception {
        try (House house =
                House.open(
                        directory,
                        "AllowUsers guest@127.0.0.0/8 boss@10.*",
                        "DenyGroups wheel",
                        "PermitRootLogin forced-commands-only")) {
            Path key = house.key("id");
            house.authorize(House.line(key));
            assertThat(house.ssh("guest", List.of(key)).status()).isZero();
            assertThat(house.ssh("boss", List.of(key)).status()).isEqualTo(255);
            assertThat(house.log())
                    .contains(
                            "User boss from 127.0.0.1 not allowed because not listed in"
                                    + " AllowUsers");
        }
    }

    @Test
    void root_comes_in_only_as_permitted() throws Exception {
        try (House house = House.open(directory, "PermitRootLogin forced-commands-only")) {
            Path key = house.key("id");
            house.authorize(House.line(key));
            assertThat(house.ssh("boss", List.of(key)).status()).isEqualTo(255);
            assertThat(house.log()).containsPattern("ROOT LOGIN REFUSED FROM 127.0.0.1 port \\d+");
            house.authorize("command=\"backup\" " + House.line(key));
            assertThat(house.ssh("boss", List.of(key)).status()).isZero();
            assertThat(house.log()).contains("Root login accepted for forced command.");
        }
    }

    @Test
    void a_password_is_asked_of_pam_and_a_banner_shown_first() throws Exception {
        House.Residents residents = new House.Residents(directory.resolve("home"));
        residents.talks =
                talk -> {
                    char[][] answers =
                            talk.answer(
                                    List.of(
                                            new Pam.Prompt(Pam.Prompt.Kind.INFO, "Hello."),
                                            new Pam.Prompt(Pam.Prompt.Kind.SECRET, "Password: ")));
                    boolean right =
                            answers != null
                                    && answers[1] != null
                                    && "open sesame".equals(new String(answers[1]));
                    return new Pam.Verdict(
                            right ? Pam.Verdict.Result.ACCEPTED : Pam.Verdict.Result.REFUSED,
                            right ? 0 : 7,
                            right ? "Success" : "Authentication failure");
                };
        Path banner = directory.resolve("banner");
        Files.writeString(banner, "Beware of the dog.\n");
        Path asks = directory.resolve("asks");
        Files.writeString(asks, "#!/bin/sh\ncat " + directory.resolve("password") + "\n");
        Files.setPosixFilePermissions(
                asks, java.nio.file.attribute.PosixFilePermissions.fromString("rwx------"));
        try (House house =
                House.open(
                        directory,
                        residents,
                        "PasswordAuthentication yes",
                        "KbdInteractiveAuthentication yes",
                        "Banner " + banner)) {
            house.askpass = asks;
            for (String method : List.of("password", "keyboard-interactive")) {
                house.said.clear();
                String[] options = {
                    "BatchMode=no",
                    "PreferredAuthentications=" + method,
                    "LogLevel=INFO",
                    "NumberOfPasswordPrompts=2"
                };
                Files.writeString(directory.resolve("password"), "open sesame\n");
                Run run = house.ssh("guest", List.of(), options);
                assertThat(run.out())
                        .as(house.log())
                        .contains("Beware of the dog.")
                        .contains("in as guest");
                String sub = method.equals("password") ? "" : "/pam";
                assertThat(house.log())
                        .containsPattern(
                                "Accepted "
                                        + method
                                        + sub
                                        + " for guest from 127.0.0.1 port \\d+ ssh2");
                Files.writeString(directory.resolve("password"), "wrong\n");
                assertThat(house.ssh("guest", List.of(), options).status()).isEqualTo(255);
                Files.writeString(directory.resolve("password"), "open sesame\n");
                assertThat(house.ssh("nobody", List.of(), options).status()).isEqualTo(255);
                assertThat(house.ssh("boss", List.of(), options).status()).isEqualTo(255);
                assertThat(house.log())
                        .containsPattern(
                                "Failed "
                                        + method
                                        + sub
                                        + " for guest from 127.0.0.1 port \\d+ ssh2")
                        .containsPattern(
                                "Failed "
                                        + method
                                        + sub
                                        + " for invalid user nobody from 127.0.0.1 port \\d+ ssh2")
                        .containsPattern(
                                "Failed "
                                        + method
                                        + sub
                                        + " for boss from 127.0.0.1 port \\d+ ssh2");
            }
        }
    }

    @Test
    void keys_may_come_from_a_command_that_only_root_can_change() throws Exception {
        Path command = directory.resolve("keys");
        try (House house =
                House.open(
                        directory,
                        "AuthorizedKeysFile none",
                        "AuthorizedKeysCommand " + command + " %u '%t' %h",
                        "AuthorizedKeysCommandUser me")) {
            Path key = house.key("id");
            Files.writeString(
                    command, "#!/bin/sh\necho \"# $*\"\necho '" + House.line(key) + "'\n");
            Files.setPosixFilePermissions(
                    command, java.nio.file.attribute.PosixFilePermissions.fromString("rwxrwxrwx"));
            assertThat(house.ssh("guest", List.of(key)).status()).isEqualTo(255);
            assertThat(house.log())
                    .contains("Unsafe AuthorizedKeysCommand \"" + command + "\": bad ownership");
        }
    }

    @Test
    void keys_may_come_from_a_command() throws Exception {
        Path list = directory.resolve("list of guest");
        try (House house =
                House.open(
                        directory,
                        "AuthorizedKeysFile none",
                        "AuthorizedKeysCommand /usr/bin/cat \"" + directory + "/list of %u\"",
                        "AuthorizedKeysCommandUser me")) {
            Path key = house.key("id");
            Files.writeString(list, "no-pty " + House.line(key) + "\n");
            assertThat(house.ssh("guest", List.of(key)).status()).isZero();
            assertThat(house.logins.get(0).permissions().pty()).isFalse();
            Files.delete(list);
            assertThat(house.ssh("guest", List.of(key)).status()).isEqualTo(255);
            assertThat(house.log())
                    .contains(
                            "AuthorizedKeysCommand /usr/bin/cat \"" + list + "\" failed, status 1");
            assertThat(house.errors).isEmpty();
        }
    }

    @Test
    void host_keys_that_cannot_be_used_are_told_of_as_openssh_tells() throws Exception {
        Path open = directory.resolve("open");
        House.keygen("-t", "ecdsa", "-f", open.toString());
        Files.setPosixFilePermissions(
                open, java.nio.file.attribute.PosixFilePermissions.fromString("rw-r--r--"));
        Path garbage = directory.resolve("garbage");
        Files.writeString(garbage, "garbage\n");
        Files.setPosixFilePermissions(
                garbage, java.nio.file.attribute.PosixFilePermissions.fromString("rw-------"));
        List<String> said = new ArrayList<>();
        HostKeys keys =
                HostKeys.load(
                        ServerConfig.of(
                                        List.of(
                                                "HostKey " + open,
                                                "HostKey " + garbage,
                                                "HostKey " + directory + "/absent"))
                                .global(),
                        new Log(Log.Level.INFO, line -> said.add(line.strip())));
        assertThat(keys.isEmpty()).isTrue();
        assertThat(said)
                .containsExactly(
                        "@".repeat(59),
                        "@         WARNING: UNPROTECTED PRIVATE KEY FILE!          @",
                        "@".repeat(59),
                        "Permissions 0644 for '" + open + "' are too open.",
                        "It is required that your private key files are NOT accessible by others.",
                        "This private key will be ignored.",
                        "Unable to load host key \"" + open + "\": bad permissions",
                        "Unable to load host key: " + open,
                        "Unable to load host key \"" + garbage + "\": error in libcrypto",
                        "Unable to load host key: " + garbage,
                        "Unable to load host key: " + directory + "/absent");
    }

    @Test
    void a_server_without_host_keys_does_not_start() {
        assertThatThrownBy(
                        () -> {
                            ServerAuth auth = new ServerAuth(new House.Residents(directory));
                            ServerConfig config =
                                    ServerConfig.of(List.of("HostKey " + directory + "/absent"));
                            auth.install(new SshServer(), () -> config, Log.silent());
                        })
                .isInstanceOf(ServerAuth.NoHostKeys.class)
                .hasMessage("sshd: no hostkeys available -- exiting.");
    }

    @Test
    void every_type_and_form_of_host_key_serves() throws Exception {
        List<String> lines = new ArrayList<>();
        for (String made :
                List.of("rsa:2048:PEM", "ecdsa:256:PKCS8", "ecdsa:384:RFC4716", "ecdsa:521:PEM")) {
            String[] parts = made.split(":", -1);
            Path file = directory.resolve(made.replace(':', '-'));
            House.keygen("-t", parts[0], "-b", parts[1], "-m", parts[2], "-f", file.toString());
            lines.add("HostKey " + file);
        }
        try (House house = House.open(directory, lines.toArray(String[]::new))) {
            Path key = house.key("id");
            house.authorize(House.line(key));
            for (String algorithm :
                    List.of(
                            "ssh-ed25519",
                            "rsa-sha2-256",
                            "rsa-sha2-512",
                            "ecdsa-sha2-nistp256",
                            "ecdsa-sha2-nistp384",
                            "ecdsa-sha2-nistp521")) {
                assertThat(house.ssh("guest", List.of(key), "HostKeyAlgorithms=" + algorithm).out())
                        .as(algorithm)
                        .isEqualTo("in as guest\n");
            }
        }
    }

    @Test
    void a_client_learns_all_keys_also_the_second_of_a_type_and_each_once() throws Exception {
        Path second = directory.resolve("second");
        House.keygen("-t", "ed25519", "-f", second.toString());
        Path known = directory.resolve("known");
        try (House house =
                House.open(
                        directory, "HostKey " + directory.resolve("host"), "HostKey " + second)) {
            Path key = house.key("id");
            house.authorize(House.line(key));
            String name = "[127.0.0.1]:" + house.port + " ";
            Files.write(
                    known, List.of(name + House.line(house.hostKey), name + House.line(second)));
            List<String> all = keys(known);
            Files.writeString(known, name + House.line(house.hostKey) + "\n");
            // The client may be gone before the proofs are there.
            for (int i = 0; i < 20 && !keys(known).equals(all); i++) {
                house.ssh(
                        "guest",
                        List.of(key),
                        "UserKnownHostsFile=" + known,
                        "StrictHostKeyChecking=yes",
                        "UpdateHostKeys=yes");
            }
            assertThat(keys(known)).isEqualTo(all);
        }
    }

    private static List<String> keys(Path known) throws Exception {
        return Files.readAllLines(known).stream().map(line -> line.split(" ", -1)[2]).toList();
    }

    @Test
    void pam_s_account_check_keeps_out_whom_a_key_would_let_in() throws Exception {
        House.Residents residents = new House.Residents(directory.resolve("home"));
        residents.talks = talk -> new Pam.Verdict(Pam.Verdict.Result.REFUSED, 7, "no");
        try (House house = House.open(directory, residents)) {
            Path key = house.key("id");
            house.authorize(House.line(key));
            assertThat(house.ssh("guest", List.of(key)).status()).isZero();
            residents.mayEnter = Pam.Verdict.Result.NOT_ALLOWED;
            Run run = house.ssh("guest", List.of(key), "LogLevel=INFO");
            assertThat(run.status()).isEqualTo(255);
            assertThat(run.out()).contains("words\n");
            assertThat(house.log())
                    .contains(
                            "Access denied for user guest by PAM account configuration [preauth]");
            assertThat(house.logins).hasSize(1);
        }
    }

    @Test
    void an_account_that_is_locked_or_has_ended_is_no_account() throws Exception {
        House.Residents residents = new House.Residents(directory.resolve("home"));
        try (House house = House.open(directory, residents)) {
            Path key = house.key("id");
            house.authorize(House.line(key));
            residents.shadows.put("guest", new Shadow.Entry("!x", -1));
            assertThat(house.ssh("guest", List.of(key)).status()).isEqualTo(255);
            assertThat(house.log()).contains("User guest not allowed because account is locked");
            residents.shadows.put("guest", new Shadow.Entry("x", 1));
            assertThat(house.ssh("guest", List.of(key)).status()).isEqualTo(255);
            assertThat(house.log()).contains("Account guest has expired");
            residents.shadows.put("guest", new Shadow.Entry("*", -1));
            assertThat(house.ssh("guest", List.of(key)).status()).isZero();
        }
    }
}
