package holdfast.ssh.hostkeys;

import static holdfast.ssh.hostkeys.Given.settings;
import static org.assertj.core.api.Assertions.assertThat;

import holdfast.ssh.auth.PublicIdentity;
import holdfast.ssh.auth.Signatures;
import holdfast.ssh.auth.Wire;
import holdfast.ssh.config.ClientComfort;
import holdfast.ssh.config.ClientComfort.UpdateHostKeys;
import holdfast.ssh.config.ClientSettings;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyPair;
import java.security.KeyPairGenerator;
import java.security.Signature;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class HostKeyUpdateTest {

    private static final byte[] SESSION = "this very session".getBytes(StandardCharsets.US_ASCII);
    private static final String NAME = "example.com";

    /** A server's key whose private half we have. */
    private record Own(HostKey key, KeyPair pair) {
        static Own made() throws GeneralSecurityException {
            KeyPair pair = KeyPairGenerator.getInstance("Ed25519").generateKeyPair();
            byte[] x509 = pair.getPublic().getEncoded();
            HostKey key =
                    HostKey.of(
                            new Wire.Writer()
                                    .string("ssh-ed25519".getBytes(StandardCharsets.US_ASCII))
                                    .string(Arrays.copyOfRange(x509, x509.length - 32, x509.length))
                                    .bytes());
            if (key == null) {
                throw new AssertionError("no key");
            }
            return new Own(key, pair);
        }

        byte[] signs(byte[] data) throws GeneralSecurityException {
            Signature signature = Signature.getInstance("Ed25519");
            signature.initSign(pair.getPrivate());
            signature.update(data);
            return new Wire.Writer()
                    .string("ssh-ed25519".getBytes(StandardCharsets.US_ASCII))
                    .string(signature.sign())
                    .bytes();
        }

        String line() {
            return NAME + " " + key.text();
        }
    }

    private final Given given = new Given();
    private final Own old;
    private final Own next;

    @TempDir private Path directory;
    private Path file = Path.of("");

    HostKeyUpdateTest() throws GeneralSecurityException {
        old = Own.made();
        next = Own.made();
    }

    @BeforeEach
    void known() throws IOException {
        file = directory.resolve("known_hosts");
        Files.writeString(file, old.line() + "\n");
    }

    private HostKeyUpdate update(UpdateHostKeys how) {
        ClientSettings settings =
                settings(
                        Map.of(
                                "userKnownHostsFiles",
                                List.of(file),
                                "hostKeyAlgorithms",
                                List.of("ssh-ed25519", "rsa-sha2-256"),
                                "comfort",
                                new ClientComfort(
                                        false, null, "/bin/sh", false, how, false, List.of(),
                                        null)));
        return new HostKeyUpdate(
                settings, KnownHosts.of(settings, given.log), NAME, null, given.person, given.log);
    }

    private static boolean holds(HostKey key, byte[] signature, byte[] data) {
        try {
            return Signatures.check(PublicIdentity.of(key.blob()), null, signature, data) != null;
        } catch (Wire.Malformed e) {
            return false;
        }
    }

    private List<HostKey> announce(HostKeyUpdate update, HostKey... keys) {
        return update.announced(Arrays.stream(keys).map(HostKey::blob).toList());
    }

    @Test
    void a_key_that_is_proved_is_learned_and_the_file_as_it_was_is_kept() throws Exception {
        HostKeyUpdate update = update(UpdateHostKeys.YES);
        assertThat(announce(update, old.key(), next.key())).containsExactly(next.key());
        byte[] proof = next.signs(HostKeyUpdate.signed(SESSION, next.key()));
        update.proved(SESSION, "ssh-ed25519", List.of(proof), HostKeyUpdateTest::holds);
        assertThat(Files.readAllLines(file)).containsExactly(old.line(), next.line());
        assertThat(Files.readAllLines(directory.resolve("known_hosts.old")))
                .containsExactly(old.line());
        assertThat(directory.toFile().list()).hasSize(2);
    }

    @Test
    void a_proof_from_another_session_or_by_another_key_is_none() throws Exception {
        byte[] elsewhere = "another session".getBytes(StandardCharsets.US_ASCII);
        for (byte[] proof :
                List.of(
                        next.signs(HostKeyUpdate.signed(elsewhere, next.key())),
                        old.signs(HostKeyUpdate.signed(SESSION, next.key())),
                        next.signs(HostKeyUpdate.signed(SESSION, old.key())),
                        new byte[0])) {
            HostKeyUpdate update = update(UpdateHostKeys.YES);
            announce(update, old.key(), next.key());
            update.proved(SESSION, "ssh-ed25519", List.of(proof), HostKeyUpdateTest::holds);
            assertThat(Files.readAllLines(file)).containsExactly(old.line());
        }
        assertThat(String.join("", given.said)).contains("server gave bad signature for ED25519");
    }

    @Test
    void fewer_proofs_than_keys_are_none() throws Exception {
        HostKeyUpdate update = update(UpdateHostKeys.YES);
        announce(update, old.key(), next.key());
        update.proved(SESSION, "ssh-ed25519", List.of(), HostKeyUpdateTest::holds);
        assertThat(Files.readAllLines(file)).containsExactly(old.line());
    }

    @Test
    void an_rsa_key_is_not_taken_on_the_word_of_SHA_1() throws Exception {
        HostKey rsa = Given.key(Given.RSA);
        byte[] signature =
                new Wire.Writer()
                        .string("ssh-rsa".getBytes(StandardCharsets.US_ASCII))
                        .string(new byte[256])
                        .bytes();
        HostKeyUpdate update = update(UpdateHostKeys.YES);
        assertThat(announce(update, old.key(), rsa)).containsExactly(rsa);
        update.proved(SESSION, "ssh-ed25519", List.of(signature), (key, by, data) -> true);
        assertThat(Files.readAllLines(file)).containsExactly(old.line());
    }

    @Test
    void every_other_line_stays_as_it_is_to_the_byte() throws Exception {
        String before =
                "# top\t \r\n"
                        + old.line()
                        + " of NAME\r\n"
                        + "\n@nosuch marker\nbroken\n  # in\n"
                        + NAME
                        + " ssh-future AAAA\n"
                        + "other.example.com "
                        + Given.RSA
                        + "\n|1|bad|hash ssh-rsa AAAA\n\u00ff\u0001 odd bytes";
        Files.writeString(file, before, StandardCharsets.ISO_8859_1);
        HostKeyUpdate update = update(UpdateHostKeys.YES);
        announce(update, old.key(), next.key());
        byte[] proof = next.signs(HostKeyUpdate.signed(SESSION, next.key()));
        update.proved(SESSION, "ssh-ed25519", List.of(proof), HostKeyUpdateTest::holds);
        assertThat(Files.readString(file, StandardCharsets.ISO_8859_1))
                .isEqualTo(before + "\n" + next.line() + "\n");
    }

    @Test
    void an_obsolete_key_goes_without_a_proof_unless_another_name_has_it() throws Exception {
        Files.writeString(file, old.line() + "\n" + next.line() + "\n");
        assertThat(announce(update(UpdateHostKeys.YES), old.key())).isEmpty();
        assertThat(Files.readAllLines(file)).containsExactly(old.line());

        Files.writeString(
                file, old.line() + "\n" + next.line() + "\nother " + next.key().text() + "\n");
        announce(update(UpdateHostKeys.YES), old.key());
        assertThat(Files.readAllLines(file)).hasSize(3);
    }

    @Test
    void duplicates_nonsense_and_too_many_keys_change_nothing() throws Exception {
        assertThat(announce(update(UpdateHostKeys.YES), old.key(), next.key(), next.key()))
                .isEmpty();
        assertThat(update(UpdateHostKeys.YES).announced(List.of(new byte[3]))).isEmpty();
        assertThat(update(UpdateHostKeys.YES).announced(List.of())).isEmpty();
        HostKey[] many = new HostKey[65];
        for (int i = 0; i < many.length; i++) {
            many[i] = Own.made().key();
        }
        assertThat(announce(update(UpdateHostKeys.YES), many)).isEmpty();
        assertThat(Files.readAllLines(file)).containsExactly(old.line());
    }

    @Test
    void where_the_person_is_asked_only_yes_is_yes() throws Exception {
        byte[] proof = next.signs(HostKeyUpdate.signed(SESSION, next.key()));
        for (List<String> answers :
                List.of(
                        List.of("no"),
                        List.<String>of(),
                        List.of("", "perhaps", "y", "yes"),
                        List.of("perhaps", "YES"))) {
            given.answers.clear();
            given.answers.addAll(answers);
            given.asked.clear();
            HostKeyUpdate update = update(UpdateHostKeys.ASK);
            announce(update, old.key(), next.key());
            update.proved(SESSION, "ssh-ed25519", List.of(proof), HostKeyUpdateTest::holds);
            assertThat(Files.readAllLines(file)).hasSize(answers.contains("YES") ? 2 : 1);
            assertThat(given.asked).containsOnly("Accept updated hostkeys? (yes/no): ");
        }
    }
}
