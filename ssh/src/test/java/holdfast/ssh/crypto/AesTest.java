package holdfast.ssh.crypto;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.Arrays;
import java.util.Random;
import javax.crypto.AEADBadTagException;
import org.apache.sshd.common.cipher.BaseCTRCipher;
import org.apache.sshd.common.cipher.BaseGCMCipher;
import org.apache.sshd.common.cipher.Cipher;
import org.junit.jupiter.api.Test;

class AesTest {

    private static final int LENGTH_FIELD = 4;
    private static final int TAG = 16;

    private final long seed = Long.getLong("seed", System.nanoTime());
    private final Random random = new Random(seed);

    @Test
    void gcm_packets_look_on_the_wire_as_another_implementation_makes_them() throws Exception {
        for (int keyBytes : new int[] {16, 32}) {
            byte[] key = bytes(64); // key material is longer than the key
            // The counter runs over its end under way.
            byte[] iv = {1, 2, 3, 4, -1, -1, -1, -1, -1, -1, -1, -3, 9, 9, 9, 9};
            Cipher theirs =
                    new BaseGCMCipher(
                            12, TAG, keyBytes, "AES", keyBytes * 8, "AES/GCM/NoPadding", 16);
            AesGcm ours = new AesGcm(keyBytes);
            AesGcm inPlace = new AesGcm(keyBytes);
            AesGcm apart = new AesGcm(keyBytes);
            theirs.init(Cipher.Mode.Encrypt, key, iv);
            ours.init(Cipher.Mode.Encrypt, key, iv);
            inPlace.init(Cipher.Mode.Decrypt, key, iv);
            apart.init(Cipher.Mode.Decrypt, key, iv);
            for (int packet = 0; packet < 300; packet++) {
                int length = 16 * (1 + random.nextInt(packet % 10 == 0 ? 2050 : 20));
                byte[] plain = bytes(LENGTH_FIELD + length + TAG);
                byte[] sealed = plain.clone();
                byte[] expected = plain.clone();
                ours.updateWithAAD(sealed, 0, LENGTH_FIELD, length);
                theirs.updateWithAAD(expected, 0, LENGTH_FIELD, length);
                assertThat(sealed).as("-Dseed=%d, packet %d", seed, packet).isEqualTo(expected);

                byte[] body = new byte[length + 100];
                apart.updateAAD(sealed, 0, LENGTH_FIELD);
                apart.decrypt(sealed, LENGTH_FIELD, length, body);
                assertThat(sealed).as("untouched").isEqualTo(expected);
                assertThat(Arrays.copyOf(body, length)).isEqualTo(body(plain, length));
                inPlace.updateAAD(sealed, 0, LENGTH_FIELD);
                inPlace.update(sealed, LENGTH_FIELD, length);
                assertThat(body(sealed, length)).isEqualTo(body(plain, length));
            }
        }
    }

    @Test
    void one_changed_bit_anywhere_in_a_gcm_packet_is_refused() throws Exception {
        byte[] key = bytes(32);
        byte[] iv = bytes(12);
        int length = 48;
        for (int bit = 0; bit < (LENGTH_FIELD + length + TAG) * 8; bit++) {
            AesGcm sealing = new AesGcm(32);
            AesGcm opening = new AesGcm(32);
            sealing.init(Cipher.Mode.Encrypt, key, iv);
            opening.init(Cipher.Mode.Decrypt, key, iv);
            byte[] packet = new byte[LENGTH_FIELD + length + TAG];
            sealing.updateWithAAD(packet, 0, LENGTH_FIELD, length);
            packet[bit / 8] ^= (byte) (1 << bit % 8);
            opening.updateAAD(packet, 0, LENGTH_FIELD);
            assertThatThrownBy(
                            () -> opening.decrypt(packet, LENGTH_FIELD, length, new byte[length]))
                    .isInstanceOf(AEADBadTagException.class);
        }
    }

    @Test
    void ctr_goes_on_from_packet_to_packet_as_another_implementation_does() throws Exception {
        for (int keyBytes : new int[] {16, 24, 32}) {
            byte[] key = bytes(64);
            byte[] iv = bytes(20);
            Cipher theirs =
                    new BaseCTRCipher(
                            16, 0, keyBytes, "AES", keyBytes * 8, "AES/CTR/NoPadding", 16);
            AesCtr ours = new AesCtr(keyBytes);
            AesCtr opening = new AesCtr(keyBytes);
            theirs.init(Cipher.Mode.Encrypt, key, iv);
            ours.init(Cipher.Mode.Encrypt, key, iv);
            opening.init(Cipher.Mode.Decrypt, key, iv);
            for (int packet = 0; packet < 300; packet++) {
                int before = random.nextInt(40);
                int length = 16 * random.nextInt(packet % 10 == 0 ? 2050 : 20);
                byte[] plain = bytes(before + length + 7);
                byte[] sealed = plain.clone();
                byte[] expected = plain.clone();
                ours.update(sealed, before, length);
                theirs.update(expected, before, length);
                assertThat(sealed).as("-Dseed=%d, packet %d", seed, packet).isEqualTo(expected);
                byte[] body = new byte[length];
                opening.decrypt(sealed, before, length, body);
                assertThat(body).isEqualTo(Arrays.copyOfRange(plain, before, before + length));
            }
        }
    }

    private byte[] bytes(int count) {
        byte[] bytes = new byte[count];
        random.nextBytes(bytes);
        return bytes;
    }

    private static byte[] body(byte[] packet, int length) {
        return Arrays.copyOfRange(packet, LENGTH_FIELD, LENGTH_FIELD + length);
    }
}
