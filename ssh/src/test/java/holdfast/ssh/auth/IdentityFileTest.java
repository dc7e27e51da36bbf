package holdfast.ssh.auth;

import static org.assertj.core.api.Assertions.assertThat;

import holdfast.ssh.crypto.JdkCrypto;
import holdfast.ssh.log.Log;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.List;
import org.apache.sshd.common.config.keys.AuthorizedKeyEntry;
import org.apache.sshd.common.config.keys.PublicKeyEntryResolver;
import org.apache.sshd.common.signature.BuiltinSignatures;
import org.apache.sshd.common.signature.Signature;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class IdentityFileTest {

    private static final String PASS = "open, Sesame ü";
    private static final List<String[]> TYPES =
            List.of(
                    new String[] {"-t", "ed25519"},
                    new String[] {"-t", "ecdsa", "-b", "256"},
                    new String[] {"-t", "ecdsa", "-b", "384"},
                    new String[] {"-t", "ecdsa", "-b", "521"},
                    new String[] {"-t", "rsa", "-b", "2048"});

    @TempDir Path directory;
    private final List<String> said = new ArrayList<>();
    private final Log log = new Log(Log.Level.DEBUG3, said::add);

    @BeforeAll
    static void install() {
        JdkCrypto.install();
    }

    @Test
    void every_type_in_every_form_loads_and_signs() throws Exception {
        for (String[] type : TYPES) {
            String kind = String.join("", type);
            signs(Tools.keygen(directory, "new" + kind, "", type), "");
            for (String form : List.of("PEM", "PKCS8")) {
                signs(Tools.keygen(directory, form + kind, "", with(type, "-m", form)), "");
            }
        }
    }

    @Test
    void an_encrypted_key_wants_its_pass_phrase_and_no_other() throws Exception {
        for (String[] type : TYPES) {
            for (String form : List.of("RFC4716", "PEM", "PKCS8")) {
                Path file =
                        Tools.keygen(
                                directory,
                                form + String.join("", type),
                                PASS,
                                with(type, "-m", form));
                assertThat(IdentityFile.load(file, "", log))
                        .as("%s", file)
                        .isEqualTo(new IdentityFile.WrongPassphrase());
                assertThat(IdentityFile.load(file, "wrong", log))
                        .as("%s", file)
                        .isEqualTo(new IdentityFile.WrongPassphrase());
                signs(file, PASS);
            }
        }
    }

    @Test
    void every_cipher_of_the_openssh_format_is_understood() throws Exception {
        for (String cipher :
                List.of(
                        "aes128-ctr",
                        "aes192-ctr",
                        "aes256-ctr",
                        "aes128-cbc",
                        "aes256-cbc",
                        "3des-cbc",
                        "aes128-gcm@openssh.com",
                        "aes256-gcm@openssh.com",
                        "chacha20-poly1305@openssh.com")) {
            Path file =
                    Tools.keygen(directory, cipher, PASS, "-t", "ed25519", "-Z", cipher, "-a", "1");
            assertThat(IdentityFile.load(file, "wrong", log))
                    .as(cipher)
                    .isEqualTo(new IdentityFile.WrongPassphrase());
            signs(file, PASS);
        }
    }

    @Test
    void the_public_half_is_known_without_the_pass_phrase() throws Exception {
        Path file = Tools.keygen(directory, "key", PASS, "-t", "ed25519");
        String fingerprint = Tools.fingerprint(Path.of(file + ".pub"));
        assertThat(IdentityFile.publicHalf(file))
                .extracting(PublicIdentity::fingerprint)
                .isEqualTo(fingerprint);
        Files.delete(Path.of(file + ".pub"));
        assertThat(IdentityFile.publicHalf(file))
                .extracting(PublicIdentity::toString)
                .isEqualTo("ED25519 " + fingerprint);
        Path pem = Tools.keygen(directory, "pem", PASS, "-t", "rsa", "-m", "PEM");
        Files.delete(Path.of(pem + ".pub"));
        assertThat(IdentityFile.publicHalf(pem)).isNull();
    }

    @Test
    void a_file_others_may_read_is_refused_in_opensshs_words() throws Exception {
        Path file = Tools.keygen(directory, "key", "", "-t", "ed25519");
        Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rw-r--r--"));
        assertThat(IdentityFile.load(file, "", log))
                .isEqualTo(new IdentityFile.Unusable("bad permissions"));
        String frame = "@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@\r\n";
        assertThat(said)
                .containsExactly(
                        frame,
                        "@         WARNING: UNPROTECTED PRIVATE KEY FILE!          @\r\n",
                        frame,
                        "Permissions 0644 for '" + file + "' are too open.\r\n",
                        "It is required that your private key files are NOT accessible by"
                                + " others.\r\n",
                        "This private key will be ignored.\r\n");
    }

    @Test
    void what_is_no_key_is_said_to_be_none() throws Exception {
        assertThat(IdentityFile.load(directory.resolve("absent"), "", log))
                .isEqualTo(new IdentityFile.Missing());
        Path whole = Tools.keygen(directory, "key", "", "-t", "ed25519");
        String text = Tools.read(whole);
        for (String broken :
                List.of(
                        "",
                        "junk\n",
                        text.substring(0, text.length() / 2),
                        text.replace("b3BlbnNzaC1rZXktdjE", "b3BlbnNzaC1rZXktdjI"),
                        "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----\n")) {
            Path file = directory.resolve("broken");
            Files.deleteIfExists(file);
            Files.writeString(file, broken);
            Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rw-------"));
            assertThat(IdentityFile.load(file, "", log))
                    .as(broken)
                    .isInstanceOf(IdentityFile.Unusable.class);
        }
    }

    @Test
    void every_truncation_of_a_key_is_an_answer_and_no_crash() throws Exception {
        Path whole = Tools.keygen(directory, "key", "", "-t", "rsa", "-b", "2048");
        byte[] content =
                java.util.Base64.getMimeDecoder()
                        .decode(Tools.read(whole).replaceAll("-----.*-----", ""));
        for (int length = 0; length < content.length; length += 7) {
            String text =
                    "-----BEGIN OPENSSH PRIVATE KEY-----\n"
                            + java.util.Base64.getMimeEncoder()
                                    .encodeToString(java.util.Arrays.copyOf(content, length))
                            + "\n-----END OPENSSH PRIVATE KEY-----\n";
            Path file = directory.resolve("cut");
            Files.writeString(file, text);
            Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rw-------"));
            assertThat(IdentityFile.load(file, "", log))
                    .as("%d bytes", length)
                    .isEqualTo(new IdentityFile.Unusable("error in libcrypto"));
        }
    }

    private static String[] with(String[] options, String... more) {
        List<String> all = new ArrayList<>(List.of(options));
        all.addAll(List.of(more));
        return all.toArray(new String[0]);
    }

    /** Loads the key and has another implementation verify what it signs. */
    private void signs(Path file, String passphrase) throws Exception {
        assertThat(IdentityFile.load(file, passphrase, log))
                .as("%s", file)
                .isInstanceOf(IdentityFile.Loaded.class);
        PrivateIdentity key =
                ((IdentityFile.Loaded) IdentityFile.load(file, passphrase, log)).identity();
        PublicIdentity open = IdentityFile.publicHalf(file);
        assertThat(open).as("%s", file).isEqualTo(key.open());
        byte[] data = "to be signed".getBytes(StandardCharsets.UTF_8);
        List<String> algorithms =
                key.open().isRsa()
                        ? List.of("rsa-sha2-512", "rsa-sha2-256", "ssh-rsa")
                        : List.of(key.open().algorithm());
        java.security.PublicKey verifying =
                AuthorizedKeyEntry.parseAuthorizedKeyEntry(
                                Tools.read(Path.of(file + ".pub")).strip())
                        .resolvePublicKey(null, PublicKeyEntryResolver.IGNORING);
        for (String algorithm : algorithms) {
            Signature verifier =
                    java.util.Objects.requireNonNull(BuiltinSignatures.fromFactoryName(algorithm))
                            .create();
            verifier.initVerifier(null, verifying);
            verifier.update(null, data);
            assertThat(verifier.verify(null, key.sign(algorithm, data)))
                    .as("%s %s", file, algorithm)
                    .isTrue();
        }
    }
}
