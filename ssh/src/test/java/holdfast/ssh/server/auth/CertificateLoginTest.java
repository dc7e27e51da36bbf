package holdfast.ssh.server.auth;

import static org.assertj.core.api.Assertions.assertThat;

import holdfast.ssh.auth.KeyList;
import holdfast.ssh.auth.PublicIdentity;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Certificates and revocation lists made by ssh-keygen, presented by Debian's ssh. */
@Timeout(60)
class CertificateLoginTest {

    @TempDir Path directory;

    private Path made(String name, String... options) throws Exception {
        Path key = directory.resolve(name);
        String[] type = options.length == 0 ? new String[] {"-t", "ed25519"} : options;
        String[] all = java.util.Arrays.copyOf(type, type.length + 2);
        all[type.length] = "-f";
        all[type.length + 1] = key.toString();
        House.keygen(all);
        return key;
    }

    private void certify(Path authority, Path key, String... options) throws Exception {
        String[] all = java.util.Arrays.copyOf(options, options.length + 3);
        all[options.length] = "-s";
        all[options.length + 1] = authority.toString();
        all[options.length + 2] = key + ".pub";
        House.keygen(all);
    }

    private static PublicIdentity identity(Path file) throws Exception {
        return Objects.requireNonNull(PublicIdentity.ofText(Files.readString(file)));
    }

    @Test
    void a_trusted_authority_s_certificate_lets_its_principals_in_and_nobody_else()
            throws Exception {
        Path authority = made("ca");
        Path key = made("id");
        certify(authority, key, "-I", "card 7", "-z", "42", "-n", "guest,other");
        try (House house = House.open(directory, "TrustedUserCAKeys " + authority + ".pub")) {
            assertThat(house.ssh("guest", List.of(key)).out()).isEqualTo("in as guest\n");
            assertThat(house.log())
                    .contains("Accepted certificate ID \"card 7\" (serial 42) signed by ED25519 CA")
                    .containsPattern(
                            "Accepted publickey for guest from 127.0.0.1 port \\d+ ssh2:"
                                    + " ED25519-CERT SHA256:\\S+ ID card 7 \\(serial 42\\) CA"
                                    + " ED25519 SHA256:");
            assertThat(house.ssh("boss", List.of(key)).status()).isEqualTo(255);
            assertThat(house.log()).contains("Certificate invalid: name is not a listed principal");
            assertThat(house.logins.get(0).permissions().pty()).isTrue();
        }
    }

    @Test
    void a_certificate_s_limits_hold() throws Exception {
        Path authority = made("ca");
        Path key = made("id");
        try (House house = House.open(directory, "TrustedUserCAKeys " + authority + ".pub")) {
            certify(authority, key, "-I", "x", "-n", "guest", "-V", "-2d:-1d");
            assertThat(house.ssh("guest", List.of(key)).status()).isEqualTo(255);
            assertThat(house.log()).contains("Certificate invalid: expired");

            certify(authority, key, "-I", "x", "-n", "guest", "-V", "+1d:+2d");
            assertThat(house.ssh("guest", List.of(key)).status()).isEqualTo(255);
            assertThat(house.log()).contains("Certificate invalid: not yet valid");

            certify(authority, key, "-I", "x");
            assertThat(house.ssh("guest", List.of(key)).status()).isEqualTo(255);
            assertThat(house.log()).contains("Certificate lacks principal list");

            certify(authority, key, "-I", "x", "-n", "guest", "-O", "source-address=10.0.0.0/8");
            assertThat(house.ssh("guest", List.of(key)).status()).isEqualTo(255);
            assertThat(house.log()).contains("not from a permitted source address (127.0.0.1)");

            certify(authority, key, "-I", "x", "-n", "guest", "-O", "critical:new@x=1");
            assertThat(house.ssh("guest", List.of(key)).status()).isEqualTo(255);
            assertThat(house.log())
                    .contains("Certificate critical option \"new@x\" is not supported");

            certify(authority, key, "-h", "-I", "x", "-n", "guest");
            assertThat(house.ssh("guest", List.of(key)).status()).isEqualTo(255);

            certify(
                    authority,
                    key,
                    "-I",
                    "x",
                    "-n",
                    "guest",
                    "-O",
                    "clear",
                    "-O",
                    "permit-pty",
                    "-O",
                    "force-command=uptime",
                    "-O",
                    "source-address=127.0.0.0/8");
            assertThat(house.ssh("guest", List.of(key)).status()).isZero();
            var may = house.logins.get(0).permissions();
            assertThat(may.command()).isEqualTo("uptime");
            assertThat(may.pty()).isTrue();
            assertThat(may.portForwarding()).isFalse();
            assertThat(may.agentForwarding()).isFalse();
        }
    }

    @Test
    void authorized_keys_may_name_an_authority_with_principals() throws Exception {
        Path authority = made("ca", "-t", "ecdsa");
        Path key = made("id", "-t", "rsa", "-b", "2048");
        certify(authority, key, "-I", "x", "-n", "staff");
        try (House house = House.open(directory)) {
            house.authorize(
                    "cert-authority,principals=\"staff,ops\",no-pty " + House.line(authority));
            assertThat(house.ssh("guest", List.of(key)).status()).isZero();
            assertThat(house.logins.get(0).permissions().pty()).isFalse();
            house.authorize("cert-authority,principals=\"ops\" " + House.line(authority));
            assertThat(house.ssh("guest", List.of(key)).status()).isEqualTo(255);
            assertThat(house.log())
                    .contains("Certificate does not contain an authorized principal");
            house.authorize(House.line(authority));
            assertThat(house.ssh("guest", List.of(key)).status()).isEqualTo(255);
            // The authority's own key opens nothing.
            house.authorize("cert-authority " + House.line(authority));
            assertThat(house.ssh("guest", List.of(authority)).status()).isEqualTo(255);
        }
    }

    @Test
    void principals_may_be_listed_in_a_file_or_told_by_a_command() throws Exception {
        Path authority = made("ca");
        Path key = made("id");
        certify(authority, key, "-I", "x", "-n", "staff");
        Path file = directory.resolve("home/principals");
        try (House house =
                House.open(
                        directory,
                        "TrustedUserCAKeys " + authority + ".pub",
                        "AuthorizedPrincipalsFile %h/principals")) {
            assertThat(house.ssh("guest", List.of(key)).status()).isEqualTo(255);
            Files.writeString(file, "# who\nno-such-option wheel\nno-pty,from=\"127.*\" staff\n");
            assertThat(house.ssh("guest", List.of(key)).status()).isZero();
            assertThat(house.logins.get(0).permissions().pty()).isFalse();
            assertThat(house.log()).contains(file + ":2: bad principals options");
        }
    }

    @Test
    void every_kind_of_revocation_is_seen() throws Exception {
        Path authority = made("ca");
        Path[] keys = new Path[8];
        for (int i = 0; i < keys.length; i++) {
            keys[i] = made("id" + i);
            certify(authority, keys[i], "-I", "card " + i, "-z", "" + (100 + i), "-n", "guest");
        }
        Path spec = directory.resolve("spec");
        Path krl = directory.resolve("krl");
        Files.writeString(
                spec,
                "key: "
                        + House.line(keys[0])
                        + "\nsha1: "
                        + House.line(keys[1])
                        + "\nsha256: "
                        + House.line(keys[2])
                        + "\nserial: 103\nid: card 4\nserial: 105-106\n");
        House.keygen("-k", "-f", krl.toString(), "-s", authority + ".pub", spec.toString());
        for (int i = 0; i < keys.length; i++) {
            assertThat(KeyList.isRevoked(krl, identity(Path.of(keys[i] + "-cert.pub"))))
                    .as("certificate " + i)
                    .isEqualTo(i < 7);
            assertThat(KeyList.isRevoked(krl, identity(Path.of(keys[i] + ".pub"))))
                    .as("key " + i)
                    .isEqualTo(i < 3);
        }
        // Many single serials make a bitmap.
        StringBuilder many = new StringBuilder();
        for (int i = 1; i < 400; i += 3) {
            many.append("serial: ").append(i).append('\n');
        }
        Files.writeString(spec, many);
        House.keygen("-k", "-f", krl.toString(), "-s", authority + ".pub", spec.toString());
        Files.setLastModifiedTime(krl, java.nio.file.attribute.FileTime.fromMillis(5));
        for (int i = 0; i < keys.length; i++) {
            assertThat(KeyList.isRevoked(krl, identity(Path.of(keys[i] + "-cert.pub"))))
                    .as("serial " + (100 + i))
                    .isEqualTo((100 + i) % 3 == 1);
        }
        // The authority itself.
        House.keygen("-k", "-f", krl.toString(), authority + ".pub");
        Files.setLastModifiedTime(krl, java.nio.file.attribute.FileTime.fromMillis(7));
        assertThat(KeyList.isRevoked(krl, identity(Path.of(keys[7] + "-cert.pub")))).isTrue();
        assertThat(KeyList.isRevoked(krl, identity(Path.of(keys[7] + ".pub")))).isFalse();
    }

    @Test
    void a_revoked_key_is_refused_and_a_list_that_cannot_be_read_refuses_all() throws Exception {
        Path key = made("id");
        Path list = directory.resolve("revoked");
        Files.copy(Path.of(key + ".pub"), list);
        try (House house = House.open(directory, "RevokedKeys " + list)) {
            house.authorize(House.line(key));
            assertThat(house.ssh("guest", List.of(key)).status()).isEqualTo(255);
            assertThat(house.log())
                    .containsPattern(
                            "Authentication key ED25519 SHA256:\\S+ revoked by file " + list);
            Files.writeString(list, "# none\n");
            assertThat(house.ssh("guest", List.of(key)).status()).isZero();
            Files.writeString(list, "what is this\n");
            assertThat(house.ssh("guest", List.of(key)).status()).isEqualTo(255);
            Files.delete(list);
            assertThat(house.ssh("guest", List.of(key)).status()).isEqualTo(255);
            assertThat(house.log()).contains("Error checking authentication key");
        }
    }

    @Test
    void a_host_certificate_spares_the_client_the_question() throws Exception {
        Path authority = made("ca");
        Path key = made("id");
        House.keygen("-t", "ed25519", "-f", directory.resolve("host").toString());
        certify(authority, directory.resolve("host"), "-h", "-I", "host", "-n", "127.0.0.1");
        Path known = directory.resolve("known");
        Files.writeString(known, "@cert-authority * " + House.line(authority) + "\n");
        try (House house =
                House.open(directory, "HostCertificate " + directory + "/host-cert.pub")) {
            house.authorize(House.line(key));
            assertThat(
                            house.ssh(
                                            "guest",
                                            List.of(key),
                                            "-oUserKnownHostsFile=" + known,
                                            "-oStrictHostKeyChecking=yes",
                                            "-oHostKeyAlgorithms=ssh-ed25519-cert-v01@openssh.com")
                                    .out())
                    .isEqualTo("in as guest\n");
        }
    }

    @Test
    void a_client_is_told_of_signatures_that_only_some_users_may_make() throws Exception {
        Path key = made("id", "-t", "rsa");
        try (House house =
                House.open(
                        directory,
                        "PubkeyAcceptedAlgorithms ssh-ed25519",
                        "Match User boss",
                        "PubkeyAcceptedAlgorithms +ssh-ed25519")) {
            house.authorize(House.line(key));
            assertThat(house.ssh("guest", List.of(key)).status()).isEqualTo(255);
            assertThat(house.ssh("boss", List.of(key)).out()).isEqualTo("in as boss\n");
        }
    }

    @Test
    void a_host_certificate_goes_with_its_own_key_and_not_with_the_first_of_its_type()
            throws Exception {
        Path authority = made("ca");
        Path key = made("id");
        Path first = made("first");
        House.keygen("-t", "ed25519", "-f", directory.resolve("host").toString());
        certify(authority, directory.resolve("host"), "-h", "-I", "host", "-n", "127.0.0.1");
        Path known = directory.resolve("known");
        try (House house =
                House.open(
                        directory,
                        "HostKey " + first,
                        "HostCertificate " + directory + "/host-cert.pub")) {
            house.authorize(House.line(key));
            for (String trusted :
                    List.of(
                            "@cert-authority * " + House.line(authority),
                            "* " + House.line(first))) {
                Files.writeString(known, trusted + "\n");
                boolean plain = !trusted.startsWith("@");
                assertThat(
                                house.ssh(
                                                "guest",
                                                List.of(key),
                                                "-oUserKnownHostsFile=" + known,
                                                "-oStrictHostKeyChecking=yes",
                                                "-oHostKeyAlgorithms=ssh-ed25519"
                                                        + (plain ? "" : "-cert-v01@openssh.com"))
                                        .out())
                        .as(trusted)
                        .isEqualTo("in as guest\n");
            }
        }
    }
}
