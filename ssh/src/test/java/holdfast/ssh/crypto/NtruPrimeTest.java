package holdfast.ssh.crypto;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.security.GeneralSecurityException;
import java.security.MessageDigest;
import java.security.SecureRandom;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Random;
import javax.crypto.Cipher;
import javax.crypto.spec.SecretKeySpec;
import org.apache.sshd.common.kex.KeyEncapsulationMethod;
import org.junit.jupiter.api.Test;

class NtruPrimeTest {

    /**
     * What the submission to NIST publishes of its first exchanges (kat_kem.rsp), keys and
     * ciphertexts as SHA-256; {@code refused} is what Bouncy Castle 1.87 makes of the ciphertext
     * with one bit turned, as it makes all the others.
     */
    private record Published(
            String publicKey, String secretKey, String ciphertext, String secret, String refused) {}

    private static final List<Published> PUBLISHED =
            List.of(
                    new Published(
                            "d1736cf321592955c718fa191ef5b1137dd7593ff3b18d5ed733ac96e7d65ce9",
                            "8f8f45cef184cc93e387edc54720102e7f95247ec052ad8440d65c932d4f973d",
                            "beec3df6e2d1d64eb7fa4c95605ff32aff38ab0e23ff79ff61bbc9832c31e885",
                            "344ca5e25f6da5ea95e4a695b1c5446eca9859334532e4a9537669f012c743a2",
                            "2163477e8dd89b53a55425b9b1ff595524d7a3325ae7e64536b3a943638d038b"),
                    new Published(
                            "0957045d6d7f8863107eaec76158bb99c9e2db4b623ca4cb8a32dc14a0abddc8",
                            "243b86261ba6aca015d41da37f87efd5b94ac391ebba936c579f39cc295f7f0a",
                            "033ae13a0c75c54cc47a14cbfcab8f88ab9e2995528e00a71514e5ef6e3d3bd0",
                            "16c15126f734e51268ba916ce3b39a72e171ae79b8c2b6a68b34ab0dc5621b7e",
                            "b06ffdebf0f87f4e2d4b2952277e963421fb62b445f7f70f0c447f5a8efa0370"),
                    new Published(
                            "1663fe0ec75a0ed7f8264ac32d04bfb57cb55037e312f615767c0c611aa4e3c7",
                            "00669f57eec17b0d7939fbaf8c1210844be5a62ca02d0c4dc1252e28dc874493",
                            "4299de674a2b5da524bdc75891d440f00502a2cf443cf54d0162a912dbcff9ba",
                            "2df903b31750990d079674136656b106a3ab2277653efdab150f1e39881f1907",
                            "299bee4e50be32bca7297b65371fc28cebeb85a5f695b48505063b010c5bcead"),
                    new Published(
                            "d03afbc0954b39f2b35f2e9aeac330649b7da12175b6b6f1714775742552d8fd",
                            "94796dc61fc19829fcf82cac504a934580794026aff32952b486d666a46158e2",
                            "da0d74bee8a5b5209d82f6a645223205092531f2eb9bcdaacf8f5e1fc53e0dd4",
                            "0b437617697e7149328955b7d503dfb8fca6535aa17a379decc5e61863201835",
                            "3a266d3b129ca0fbb4e1d1dfa17917af02e5fe05fa558ad6a4efdcff8670f76a"));

    @Test
    void the_exchanges_that_nist_was_given() throws Exception {
        byte[] entropy = new byte[48];
        for (int i = 0; i < entropy.length; i++) {
            entropy[i] = (byte) i;
        }
        NistGenerator seeds = new NistGenerator(entropy);
        for (Published published : PUBLISHED) {
            NistGenerator random = new NistGenerator(seeds.generateSeed(48));
            NtruPrime.Pair pair = NtruPrime.generate(random);
            assertThat(sha256(pair.publicKey())).isEqualTo(published.publicKey());
            assertThat(sha256(pair.secretKey())).isEqualTo(published.secretKey());
            NtruPrime.Encapsulated made = NtruPrime.encapsulate(pair.publicKey(), random);
            assertThat(sha256(made.ciphertext())).isEqualTo(published.ciphertext());
            assertThat(hex(made.secret())).isEqualTo(published.secret());
            assertThat(hex(NtruPrime.decapsulate(made.ciphertext(), pair.secretKey())))
                    .isEqualTo(published.secret());
            byte[] turned = made.ciphertext().clone();
            turned[5] ^= 1;
            assertThat(hex(NtruPrime.decapsulate(turned, pair.secretKey())))
                    .isEqualTo(published.refused());
        }
    }

    @Test
    void both_ends_have_one_secret_and_a_ciphertext_that_was_touched_gives_another()
            throws Exception {
        long seed = new Random().nextLong();
        Random choice = new Random(seed);
        SecureRandom random = new SecureRandom();
        for (int round = 0; round < 40; round++) {
            NtruPrime.Pair pair = NtruPrime.generate(random);
            NtruPrime.Encapsulated made = NtruPrime.encapsulate(pair.publicKey(), random);
            assertThat(NtruPrime.decapsulate(made.ciphertext(), pair.secretKey()))
                    .as("seed %d, round %d", seed, round)
                    .isEqualTo(made.secret());
            byte[] touched = made.ciphertext().clone();
            touched[choice.nextInt(touched.length)] ^= (byte) (1 << choice.nextInt(8));
            byte[] refused = NtruPrime.decapsulate(touched, pair.secretKey());
            assertThat(refused).as("seed %d, round %d", seed, round).isNotEqualTo(made.secret());
            assertThat(NtruPrime.decapsulate(touched, pair.secretKey())).isEqualTo(refused);
            choice.nextBytes(touched);
            assertThat(NtruPrime.decapsulate(touched, pair.secretKey()))
                    .hasSize(NtruPrime.HASH_BYTES)
                    .isNotEqualTo(made.secret());
        }
    }

    @Test
    void any_bytes_are_a_public_key_though_of_nobody() {
        byte[] none = new byte[NtruPrime.PUBLIC_BYTES];
        Arrays.fill(none, (byte) 0xff);
        NtruPrime.Encapsulated made = NtruPrime.encapsulate(none, new SecureRandom());
        assertThat(made.ciphertext()).hasSize(NtruPrime.CIPHERTEXT_BYTES);
    }

    @Test
    void a_key_made_ahead_serves_one_exchange_and_none_is_made_after_it() {
        Sntrup761.makeAhead();
        KeyEncapsulationMethod.Client first = new Sntrup761().getClient();
        KeyEncapsulationMethod.Client second = new Sntrup761().getClient();
        first.init();
        Sntrup761.makeAhead();
        second.init();
        assertThat(first.getPublicKey()).isNotEqualTo(second.getPublicKey());
        for (KeyEncapsulationMethod.Client client : List.of(first, second)) {
            KeyEncapsulationMethod.Server server = new Sntrup761().getServer();
            byte[] both = Arrays.copyOf(client.getPublicKey(), NtruPrime.PUBLIC_BYTES + 32);
            assertThat(server.init(both)).hasSize(32);
            assertThat(client.extractSecret(server.getEncapsulation()))
                    .isEqualTo(server.getSecret());
        }
        assertThatThrownBy(() -> first.extractSecret(new byte[NtruPrime.CIPHERTEXT_BYTES - 1]))
                .hasMessage("wrong sntrup761 ciphertext length");
    }

    /**
     * The generator of NIST's test programs (AES-256 in counter mode, renewed after each request),
     * of which the reference asks four bytes for a coefficient.
     */
    private static final class NistGenerator extends SecureRandom {

        private static final long serialVersionUID = 1;

        private byte[] key = new byte[32];
        private byte[] counter = new byte[16];

        NistGenerator(byte[] entropy) throws GeneralSecurityException {
            renew(entropy);
        }

        @Override
        public byte[] generateSeed(int length) {
            byte[] bytes = new byte[length];
            int each = length > 4 * 700 ? 4 : length;
            try {
                for (int at = 0; at < length; at += each) {
                    for (int done = 0; done < each; done += 16) {
                        int some = Math.min(16, each - done);
                        System.arraycopy(block(), 0, bytes, at + done, some);
                    }
                    renew(new byte[48]);
                }
            } catch (GeneralSecurityException e) {
                throw new IllegalStateException(e);
            }
            return bytes;
        }

        private byte[] block() throws GeneralSecurityException {
            for (int i = 15; i >= 0; i--) {
                counter[i]++;
                if (counter[i] != 0) {
                    break;
                }
            }
            Cipher aes = Cipher.getInstance("AES/ECB/NoPadding");
            aes.init(Cipher.ENCRYPT_MODE, new SecretKeySpec(key, "AES"));
            return aes.doFinal(counter);
        }

        private void renew(byte[] with) throws GeneralSecurityException {
            byte[] state = new byte[48];
            for (int i = 0; i < 3; i++) {
                System.arraycopy(block(), 0, state, 16 * i, 16);
            }
            for (int i = 0; i < 48; i++) {
                state[i] ^= with[i];
            }
            key = Arrays.copyOf(state, 32);
            counter = Arrays.copyOfRange(state, 32, 48);
        }
    }

    private static String sha256(byte[] bytes) throws GeneralSecurityException {
        return hex(MessageDigest.getInstance("SHA-256").digest(bytes));
    }

    private static String hex(byte[] bytes) {
        return HexFormat.of().formatHex(bytes);
    }
}
