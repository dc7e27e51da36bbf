package holdfast.ssh.server.auth;

import static org.assertj.core.api.Assertions.assertThat;

import holdfast.ssh.server.auth.House.Run;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
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
            String fingerprint = KeyCheck.keyAt(House.line(key)).fingerprint();
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
                                            List.of(House.line(key).split(" ")).subList(0, 2)));
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
                String[] parts = type.split(":");
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
                    file, java.nio.file.attribute.PosixFilePermissions.fromString("rw-rw-r--"));
            assertThat(house.ssh("guest", List.of(key)).status()).isEqualTo(255);
            assertThat(house.log())
                    .contains(
                            "Authentication refused: bad ownership or modes for file "
                                    + file.toRealPath());
        }
    }
}
