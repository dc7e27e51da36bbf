package holdfast.ssh.crypto;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.Random;
import javax.crypto.AEADBadTagException;
import org.apache.sshd.common.cipher.ChaCha20Cipher;
import org.apache.sshd.common.cipher.Cipher;
import org.junit.jupiter.api.Test;

class ChaCha20Poly1305Test {

    private static final int LENGTH_FIELD = 4;

    @Test
    void packets_look_on_the_wire_as_another_implementation_makes_them() throws Exception {
        long seed = new Random().nextLong();
        Random random = new Random(seed);
        byte[] key = new byte[64];
        random.nextBytes(key);
        // The sequence number wraps to zero under way.
        byte[] iv = {0, 0, 0, 0, -1, -1, -1, -3};
        Cipher ours = new ChaCha20Poly1305();
        Cipher theirs = new ChaCha20Cipher();
        Cipher opening = new ChaCha20Poly1305();
        ours.init(Cipher.Mode.Encrypt, key, iv);
        theirs.init(Cipher.Mode.Encrypt, key, iv);
        opening.init(Cipher.Mode.Decrypt, key, iv);
        for (int packet = 0; packet < 200; packet++) {
            int length = 8 * (1 + random.nextInt(packet % 10 == 0 ? 4096 : 20));
            byte[] plain = new byte[LENGTH_FIELD + length + 16];
            random.nextBytes(plain);
            byte[] sealed = plain.clone();
            byte[] expected = plain.clone();
            ours.updateWithAAD(sealed, 0, LENGTH_FIELD, length);
            theirs.updateWithAAD(expected, 0, LENGTH_FIELD, length);
            assertThat(sealed).as("seed %d, packet %d", seed, packet).isEqualTo(expected);
            opening.updateAAD(sealed, 0, LENGTH_FIELD);
            opening.update(sealed, LENGTH_FIELD, length);
            assertThat(sealed)
                    .as("seed %d, packet %d", seed, packet)
                    .startsWith(java.util.Arrays.copyOf(plain, LENGTH_FIELD + length));
        }
    }

    @Test
    void many_long_packets_keep_their_tags_while_it_changes_who_makes_them() throws Exception {
        long seed = new Random().nextLong();
        Random random = new Random(seed);
        byte[] key = new byte[64];
        random.nextBytes(key);
        byte[] iv = new byte[8];
        Cipher ours = new ChaCha20Poly1305();
        Cipher theirs = new ChaCha20Cipher();
        Cipher opening = new ChaCha20Poly1305();
        ours.init(Cipher.Mode.Encrypt, key, iv);
        theirs.init(Cipher.Mode.Encrypt, key, iv);
        opening.init(Cipher.Mode.Decrypt, key, iv);
        int length = 8 * 1025;
        byte[] plain = new byte[LENGTH_FIELD + length + 16];
        random.nextBytes(plain);
        for (int packet = 0; packet < 3_000; packet++) {
            byte[] sealed = plain.clone();
            byte[] expected = plain.clone();
            ours.updateWithAAD(sealed, 0, LENGTH_FIELD, length);
            theirs.updateWithAAD(expected, 0, LENGTH_FIELD, length);
            assertThat(java.util.Arrays.equals(sealed, expected))
                    .as("seed %d, packet %d", seed, packet)
                    .isTrue();
            opening.updateAAD(sealed, 0, LENGTH_FIELD);
            opening.update(sealed, LENGTH_FIELD, length);
        }
        sealedAndChanged(ours, opening, plain, length);
    }

    /** A long packet with one bit changed, whoever makes its tag. */
    private static void sealedAndChanged(Cipher ours, Cipher opening, byte[] plain, int length)
            throws Exception {
        byte[] sealed = plain.clone();
        ours.updateWithAAD(sealed, 0, LENGTH_FIELD, length);
        sealed[5000] ^= 4;
        opening.updateAAD(sealed, 0, LENGTH_FIELD);
        assertThatThrownBy(() -> opening.update(sealed, LENGTH_FIELD, length))
                .isInstanceOf(AEADBadTagException.class);
    }

    @Test
    void one_changed_bit_anywhere_is_refused() throws Exception {
        byte[] key = new byte[64];
        byte[] iv = new byte[8];
        int length = 40;
        for (int bit = 0; bit < (LENGTH_FIELD + length + 16) * 8; bit++) {
            Cipher sealing = new ChaCha20Poly1305();
            Cipher opening = new ChaCha20Poly1305();
            sealing.init(Cipher.Mode.Encrypt, key, iv);
            opening.init(Cipher.Mode.Decrypt, key, iv);
            byte[] packet = new byte[LENGTH_FIELD + length + 16];
            sealing.updateWithAAD(packet, 0, LENGTH_FIELD, length);
            packet[bit / 8] ^= (byte) (1 << bit % 8);
            opening.updateAAD(packet, 0, LENGTH_FIELD);
            assertThatThrownBy(() -> opening.update(packet, LENGTH_FIELD, length))
                    .as("bit %d", bit)
                    .isInstanceOf(AEADBadTagException.class);
        }
    }
}
