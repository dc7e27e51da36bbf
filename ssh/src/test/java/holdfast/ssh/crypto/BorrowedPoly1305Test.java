package holdfast.ssh.crypto;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.math.BigInteger;
import java.util.Arrays;
import java.util.Random;
import javax.crypto.Cipher;
import javax.crypto.spec.ChaCha20ParameterSpec;
import javax.crypto.spec.SecretKeySpec;
import org.junit.jupiter.api.Test;

class BorrowedPoly1305Test {

    private static final BigInteger TWO_128 = BigInteger.TWO.pow(128);
    private static final BigInteger P = BigInteger.TWO.pow(130).subtract(BigInteger.valueOf(5));

    @Test
    void every_message_has_the_tag_that_our_own_sum_gives_it() throws Exception {
        long seed = new Random().nextLong();
        Random random = new Random(seed);
        BorrowedPoly1305 borrowed = new BorrowedPoly1305();
        Poly1305 poly = new Poly1305();
        for (int round = 0; round < 2_000; round++) {
            byte[] key = new byte[32];
            random.nextBytes(key);
            byte[] nonce = new byte[12];
            random.nextBytes(nonce);
            SecretKeySpec chacha = new SecretKeySpec(key, "ChaCha20");
            byte[] first = firstBlock(chacha, nonce);
            byte[] head = new byte[4];
            byte[] message = new byte[13 + random.nextInt(round % 100 == 0 ? 40_000 : 100)];
            random.nextBytes(head);
            random.nextBytes(message);
            if (round % 4 == 0) {
                Arrays.fill(message, (byte) 0xff);
            }
            int offset = random.nextInt(message.length - 12);
            int length = message.length - offset;
            poly.init(first, 0);
            poly.update(head, 0, 4);
            poly.update(message, offset, length);
            byte[] expected = new byte[16];
            poly.finish(expected, 0);
            byte[] tag = new byte[18];
            borrowed.tag(chacha, nonce, poly, head, message, offset, length, tag, 1);
            assertThat(Arrays.copyOfRange(tag, 1, 17))
                    .as("seed %d, round %d", seed, round)
                    .isEqualTo(expected);
        }
    }

    @Test
    void any_key_and_any_sum_are_told_right_by_the_two_tags() {
        long seed = new Random().nextLong();
        Random random = new Random(seed);
        Poly1305 poly = new Poly1305();
        for (int round = 0; round < 8_000; round++) {
            byte[] key = new byte[32];
            random.nextBytes(key);
            if (round % 3 == 0) {
                Arrays.fill(key, 0, 1 + random.nextInt(32), (byte) 0xff);
            }
            BigInteger r =
                    number(key, 0).and(new BigInteger("ffffffc0ffffffc0ffffffc0fffffff", 16));
            BigInteger s = number(key, 16);
            // What the sum modulo p of X and the block of lengths comes to: anything, and p's ends.
            BigInteger sum = new BigInteger(140, random);
            if (round % 4 == 0) {
                sum = BigInteger.valueOf(random.nextInt(9) - 4);
            } else if (round % 4 == 1) {
                sum = TWO_128.multiply(BigInteger.valueOf(random.nextInt(4)));
                sum = sum.add(BigInteger.valueOf(random.nextInt(9) - 4));
            }
            sum = sum.mod(P);
            int whole = 16 * (1 + random.nextInt(20_000));
            int end = 1 + random.nextInt(16);
            byte[] last = new byte[16];
            random.nextBytes(last);
            if (round % 5 == 0) {
                Arrays.fill(last, (byte) 0xff);
            }
            BigInteger lengths = TWO_128.add(BigInteger.valueOf(whole));
            BigInteger before = sum.multiply(r.modInverse(P)).subtract(lengths);
            BigInteger check =
                    before.add(TWO_128)
                            .multiply(r)
                            .add(lengths)
                            .add(BigInteger.valueOf(16))
                            .multiply(r)
                            .mod(P);
            BigInteger block = number(Arrays.copyOf(Arrays.copyOf(last, end), 16), 0);
            block = block.add(BigInteger.ONE.shiftLeft(8 * end));
            BigInteger expected = before.add(block).multiply(r).mod(P).add(s);

            poly.init(key, 0);
            byte[] tag = new byte[16];
            poly.finishBorrowed(bytes(sum.add(s)), bytes(check.add(s)), whole, last, end, tag, 0);
            assertThat(tag).as("seed %d, round %d", seed, round).isEqualTo(bytes(expected));
        }
    }

    @Test
    void two_tags_that_belong_to_different_messages_are_noticed() {
        byte[] key = new byte[32];
        Arrays.fill(key, (byte) 7);
        Poly1305 poly = new Poly1305();
        poly.init(key, 0);
        byte[] some = new byte[16];
        assertThatThrownBy(
                        () -> poly.finishBorrowed(some, some, 64, new byte[16], 4, new byte[16], 0))
                .isInstanceOf(IllegalStateException.class);
    }

    private static byte[] firstBlock(SecretKeySpec key, byte[] nonce) throws Exception {
        Cipher cipher = Cipher.getInstance("ChaCha20");
        cipher.init(Cipher.ENCRYPT_MODE, key, new ChaCha20ParameterSpec(nonce, 0));
        return cipher.doFinal(new byte[64]);
    }

    private static BigInteger number(byte[] littleEndian, int offset) {
        byte[] bytes = new byte[17];
        for (int i = 0; i < 16; i++) {
            bytes[16 - i] = littleEndian[offset + i];
        }
        return new BigInteger(bytes);
    }

    private static byte[] bytes(BigInteger number) {
        byte[] bytes = new byte[16];
        for (int i = 0; i < 16; i++) {
            bytes[i] = number.shiftRight(8 * i).byteValue();
        }
        return bytes;
    }
}
