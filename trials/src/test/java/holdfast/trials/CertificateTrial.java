package holdfast.trials;

import static org.assertj.core.api.Assertions.assertThat;

import holdfast.trials.harness.Ended;
import holdfast.trials.harness.Keys;
import holdfast.trials.harness.Sshd;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;

/**
 * Certificates of hosts, made by ssh-keygen and shown by Debian's sshd: whom we trust, what we say,
 * and that OpenSSH's client does the same with the same files.
 */
@ExtendWith(Staged.class)
final class CertificateTrial {

    private static final Duration SOON = Duration.ofSeconds(30);
    private static final String RETRIES = "debug1: No matching CA found. Retry with plain key";

    /**
     * One certificate and what is known.
     *
     * @param type of the host key
     * @param options of ssh-keygen -s
     * @param known lines of known_hosts: {@code <HOST>}, {@code <BARE>}, {@code <CA>}, {@code
     *     <KEY>}
     * @param in whether we get in
     * @param says what standard error has
     */
    private record Case(
            String type, List<String> options, List<String> known, boolean in, String says) {}

    private static final List<String> HERE = List.of("-n", "127.0.0.1");
    private static final String CA = "@cert-authority <HOST> <CA>";

    private static Case good(String type) {
        return new Case(
                type,
                HERE,
                List.of(CA),
                true,
                "is known and matches the "
                        + (type.equals("ecdsa") ? "ECDSA" : type.toUpperCase(java.util.Locale.ROOT))
                        + "-CERT host certificate.");
    }

    private static List<String> and(String... more) {
        List<String> all = new ArrayList<>(HERE);
        all.addAll(List.of(more));
        return all;
    }

    private static final List<Case> CASES =
            List.of(
                    good("ed25519"),
                    good("ecdsa"),
                    good("rsa"),
                    // Known by a pattern and without the port, as authorities mostly are.
                    new Case("ed25519", HERE, List.of("@cert-authority * <CA>"), true, "Found CA"),
                    new Case(
                            "ed25519",
                            HERE,
                            List.of("@cert-authority <BARE> <CA>"),
                            true,
                            "found matching key w/out port"),
                    // Nothing known but the key in the certificate.
                    new Case("ed25519", HERE, List.of("<HOST> <KEY>"), true, RETRIES),
                    // The certificate does not hold, and the key alone is not known, or is.
                    new Case(
                            "ed25519",
                            List.of("-n", "elsewhere"),
                            List.of(CA),
                            false,
                            "Certificate invalid: name is not a listed principal"),
                    new Case(
                            "ed25519",
                            and("-V", "20240101:20250101"),
                            List.of(CA),
                            false,
                            "Certificate invalid: expired"),
                    new Case(
                            "ed25519",
                            and("-V", "20240101:20250101"),
                            List.of(CA, "<HOST> <KEY>"),
                            true,
                            "Certificate invalid: expired"),
                    new Case(
                            "ed25519",
                            and("-V", "20800101:20810101"),
                            List.of(CA),
                            false,
                            "Certificate invalid: not yet valid"),
                    new Case(
                            "ed25519",
                            and("-O", "critical:new@example.com=1"),
                            List.of(CA),
                            false,
                            "Certificate contains unsupported critical options"),
                    // Withdrawn: the authority, or the key.
                    new Case(
                            "ed25519",
                            HERE,
                            List.of(CA, "<HOST> <KEY>", "@revoked * <CA>"),
                            false,
                            "ED25519-CERT host key for <HOST> was revoked and you have requested"
                                    + " strict checking."),
                    new Case(
                            "ed25519",
                            HERE,
                            List.of(CA, "@revoked * <KEY>"),
                            false,
                            "WARNING: REVOKED HOST KEY DETECTED!"));

    @Test
    void a_certificate_is_trusted_or_not_as_openssh_does(Stage stage) throws Exception {
        Path authority = Keys.of("ed25519", "authority");
        int number = 0;
        for (Case one : CASES) {
            Path key = stage.directory().resolve("host" + number++);
            copy(Keys.of(one.type, "certified"), key);
            certify(stage, authority, key, one.options);
            Sshd sshd = stage.sshd("HostKey " + key, "HostCertificate " + key + "-cert.pub");
            know(sshd, one.known, authority, key);
            List<String> options =
                    List.of("-v", "-o", "PubkeyAcceptedAlgorithms=ssh-ed25519", "trial", "echo in");
            Ended ours = stage.ssh(sshd, options.toArray(String[]::new)).end(SOON);
            Ended theirs = stage.openSsh(sshd, options.toArray(String[]::new)).end(SOON);
            assertThat(ours.out())
                    .as("%s: %s", one, ours.err())
                    .isEqualTo(one.in ? "in\n" : "")
                    .isEqualTo(theirs.out());
            assertThat(ours.status()).isEqualTo(theirs.status());
            String says = one.says.replace("<HOST>", name(sshd));
            assertThat(ours.err()).contains(says);
            assertThat(theirs.err()).contains(says);
            assertThat(told(ours.err())).as("%s", one).isEqualTo(told(theirs.err()));
        }
    }

    /** What both clients say of keys and certificates; what we add is behind OpenSSH's words. */
    private static List<String> told(String err) {
        List<String> lines = new ArrayList<>();
        for (String line : err.replace("\r", "").split("\n", -1)) {
            if (line.startsWith("Certificate ")) {
                int more = line.indexOf(": host certificate of ");
                lines.add(more < 0 ? line : line.substring(0, more));
            } else if (line.contains("host certificate")
                    || line.contains("host key")
                    || line.contains("CA ")
                    || line.contains("Host ")
                    || line.startsWith("@")
                    || line.contains("w/out port")) {
                lines.add(line);
            }
        }
        return lines;
    }

    @Test
    void a_certificate_out_of_date_is_named_in_one_line(Stage stage) throws Exception {
        Path authority = Keys.of("ed25519", "authority");
        Path key = stage.directory().resolve("old");
        copy(Keys.of("ed25519", "certified"), key);
        certify(stage, authority, key, and("-z", "7", "-V", "20240101:20250101"));
        Sshd sshd = stage.sshd("HostKey " + key, "HostCertificate " + key + "-cert.pub");
        know(sshd, List.of(CA), authority, key);
        stage.onlyHoldfast("OpenSSH does not name the certificate");
        Ended ended = stage.ssh(sshd, "trial", "true").end(SOON);
        assertThat(ended.status()).isEqualTo(255);
        assertThat(ended.errLines())
                .isEqualTo(
                        "Certificate invalid: expired: host certificate of "
                                + name(sshd)
                                + ", ID \"trial\", serial 7, valid from 2024-01-01T00:00:00 to"
                                + " 2025-01-01T00:00:00\nNo ED25519 host key is known for "
                                + name(sshd)
                                + " and you have requested strict checking.\n"
                                + "Host key verification failed.\n");
    }

    @Test
    void an_authority_must_sign_as_CASignatureAlgorithms_says(Stage stage) throws Exception {
        Path authority = Keys.of("ed25519", "authority");
        Path key = stage.directory().resolve("signed");
        copy(Keys.of("ed25519", "certified"), key);
        certify(stage, authority, key, HERE);
        Sshd sshd = stage.sshd("HostKey " + key, "HostCertificate " + key + "-cert.pub");
        know(sshd, List.of(CA), authority, key);
        String only = "CASignatureAlgorithms=rsa-sha2-512";
        for (Ended ended :
                List.of(
                        stage.ssh(sshd, "-o", only, "trial", "true").end(SOON),
                        stage.openSsh(sshd, "-o", only, "trial", "true").end(SOON))) {
            assertThat(ended.status()).isEqualTo(255);
            assertThat(ended.errLines()).contains("Certificate signed with disallowed algorithm");
        }
    }

    @Test
    void new_keys_do_not_bring_another_host_key(Stage stage) throws Exception {
        Path authority = Keys.of("ed25519", "authority");
        Path key = stage.directory().resolve("again");
        copy(Keys.of("ed25519", "certified"), key);
        certify(stage, authority, key, HERE);
        Sshd sshd = stage.sshd("HostKey " + key, "HostCertificate " + key + "-cert.pub");
        know(sshd, List.of(CA), authority, key);
        // More than the window: the server has to hear of our wish before it has sent all.
        Ended ended =
                stage.ssh(sshd, "-v", "-o", "RekeyLimit=200K", "trial", "head -c 8000000 /dev/zero")
                        .end(SOON);
        assertThat(ended.status()).as(ended.err()).isZero();
        assertThat(ended.out()).hasSize(8_000_000);
        assertThat(ended.err().split("kex: host key algorithm: ", -1)).hasSizeGreaterThan(2);
        assertThat(ended.err()).doesNotContain(RETRIES);
    }

    private static String name(Sshd sshd) {
        return "[127.0.0.1]:" + sshd.port();
    }

    private static void copy(Path from, Path to) throws Exception {
        Files.copy(from, to, StandardCopyOption.COPY_ATTRIBUTES);
        Files.copy(Path.of(from + ".pub"), Path.of(to + ".pub"));
    }

    private static void certify(Stage stage, Path authority, Path key, List<String> options)
            throws Exception {
        List<String> argv =
                new ArrayList<>(
                        List.of("ssh-keygen", "-q", "-s", authority.toString(), "-I", "trial"));
        argv.add("-h");
        argv.addAll(options);
        argv.add(key + ".pub");
        Ended ended = stage.run(argv.toArray(String[]::new)).end(SOON);
        assertThat(ended.status()).as(ended.err()).isZero();
    }

    private static void know(Sshd sshd, List<String> lines, Path authority, Path key)
            throws Exception {
        List<String> known = new ArrayList<>();
        for (String line : lines) {
            known.add(
                    line.replace("<HOST>", name(sshd))
                            .replace("<BARE>", "127.0.0.1")
                            .replace("<CA>", Keys.publicLine(authority))
                            .replace("<KEY>", Keys.publicLine(key)));
        }
        Files.write(sshd.knownHosts(), known);
    }
}
