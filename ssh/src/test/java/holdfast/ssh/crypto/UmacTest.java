package holdfast.ssh.crypto;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.math.BigInteger;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Random;
import javax.crypto.Cipher;
import javax.crypto.spec.SecretKeySpec;
import org.junit.jupiter.api.Test;

class UmacTest {

    private static final byte[] KEY = text("abcdefghijklmnop");
    private static final long NONCE = ByteBuffer.wrap(text("bcdefghi")).getLong();

    /** The appendix has no tags of 128 bits, but the first 96 of them, being those of UMAC-96. */
    @Test
    void the_vectors_of_rfc_4418() throws Exception {
        vector("", 0, "6e155fad26900be1", "32fedb100c79ad58f07ff764");
        vector("a", 3, "44b5cb542f220104", "185e4fe905cba7bd85e4c2dc");
        vector("a", 1 << 10, "26bf2f5d60118bd9", "7a54abe04af82d60fb298c3c");
        vector("a", 1 << 15, "27f8ef643b0d118d", "7b136bd911e4b734286ef2be");
        vector("a", 1 << 20, "a4477e87e9f55853", "f8acfa3ac31cfeea047f7b11");
        vector("abc", 1, "d4d7b9f6bd4fbfcf", "883c3d4b97a61976ffcf2323");
        vector("abc", 500, "d4cf26ddefd5c01a", "8824a260c53c66a36c9260a6");
    }

    /** Those of GNU Nettle's tests. */
    @Test
    void the_same_with_tags_of_128_bits() throws Exception {
        vector("", 0, "6e155fad26900be1", "32fedb100c79ad58f07ff7643cc60465");
        vector("a", 3, "44b5cb542f220104", "185e4fe905cba7bd85e4c2dc3d117d8d");
        vector("a", 1 << 10, "26bf2f5d60118bd9", "7a54abe04af82d60fb298c3cbd195bcb");
        vector("a", 1 << 15, "27f8ef643b0d118d", "7b136bd911e4b734286ef2be501f2c3c");
        vector("a", 1 << 20, "a4477e87e9f55853", "f8acfa3ac31cfeea047f7b115b03bef5");
        vector("abc", 1, "d4d7b9f6bd4fbfcf", "883c3d4b97a61976ffcf232308cba5a5");
        vector("abc", 500, "d4cf26ddefd5c01a", "8824a260c53c66a36c9260a62cb83aa1");
        // The longest that there may be, under a nonce of seven bytes that a zero fills up.
        long seven = ByteBuffer.allocate(8).put(text("bcdefgh")).getLong(0);
        byte[] longest = message("def", (1 << 24) / 3 + 1, 1 << 24);
        assertThat(tag(KEY, seven, longest, 8)).isEqualTo("42d8562a224a9e9a");
        assertThat(tag(KEY, seven, longest, 16)).isEqualTo("42d8562a224a9e9a75c2f85d39462d07");
    }

    @Test
    void every_message_has_the_tag_that_the_rfc_read_word_by_word_gives_it() throws Exception {
        long seed = new Random().nextLong();
        Random random = new Random(seed);
        for (int round = 0; round < 300; round++) {
            byte[] key = new byte[Umac.KEY_BYTES];
            random.nextBytes(key);
            int tagBytes = random.nextBoolean() ? 8 : 16;
            Umac umac = new Umac(key, tagBytes);
            Rfc4418 rfc = new Rfc4418(key, tagBytes);
            // One after the other from one key, as packets come; the numbers mostly follow.
            long nonce = random.nextLong() >>> 32;
            for (int packet = 0; packet < 6; packet++) {
                byte[] message = new byte[random.nextInt(1 << (2 * random.nextInt(7) + 1))];
                random.nextBytes(message);
                if (random.nextInt(4) == 0) {
                    Arrays.fill(message, (byte) 0xff);
                }
                byte[] tag = tag(umac, nonce, message, random, tagBytes);
                assertThat(tag)
                        .as("seed %d, round %d, %d bytes", seed, round, message.length)
                        .isEqualTo(rfc.tag(nonce, message));
                nonce += random.nextInt(3);
            }
        }
    }

    /** One block in 2^32 has such a sum by chance: here it is brought about. */
    @Test
    void a_block_whose_sum_is_near_2_to_the_64_is_marked() throws Exception {
        long seed = new Random().nextLong();
        Random random = new Random(seed);
        for (int round = 0; round < 50; round++) {
            byte[] key = new byte[Umac.KEY_BYTES];
            random.nextBytes(key);
            Rfc4418 rfc = new Rfc4418(key, 16);
            int stream = random.nextInt(4);
            // Factors of zero everywhere, but 2^32 - 1 by itself and by 1; then the bits' number.
            int[] words = new int[256];
            for (int i = 0; i < words.length; i++) {
                words[i] = -rfc.nhKey(stream, i);
            }
            words[0] += -1;
            words[4] += -1;
            words[1] += -1;
            words[5] += 1;
            words[2] += random.nextInt(1 << 16);
            words[6] += random.nextInt(1 << 15);
            ByteBuffer marked = ByteBuffer.allocate(2048).order(ByteOrder.LITTLE_ENDIAN);
            for (int word : words) {
                marked.putInt(word);
            }
            byte[] message = marked.array();
            Umac umac = new Umac(key, 16);
            byte[] tag = tag(umac, round, message, random, 16);
            assertThat(tag).as("seed %d", seed).isEqualTo(rfc.tag(round, message));
            assertThat(rfc.marked()).isPositive();
        }
    }

    /** Random messages come to these once in a lifetime. */
    @Test
    void the_sums_around_both_primes() {
        long[] words = {
            0,
            1,
            58,
            59,
            60,
            -1,
            -58,
            -59,
            -60,
            -61,
            0x7fff_ffff_ffff_ffffL,
            0x8000_0000_0000_0000L,
            0xffff_fffe_ffff_ffffL,
            0xffff_ffff_0000_0000L,
            0xffff_ffff_0000_0001L
        };
        long[] keys = {0, 1, 2, 0x0100_0000_0000_0000L, 0x01ff_ffff_01ff_ffffL};
        for (long sum : words) {
            assertThat(Umac.reduced(sum)).isEqualTo(unsigned(sum).mod(Rfc4418.P64).longValue());
            for (long next : words) {
                for (long key : keys) {
                    BigInteger k = unsigned(key);
                    BigInteger y = unsigned(sum);
                    BigInteger m = unsigned(next);
                    if (m.compareTo(Rfc4418.MAX_WORD) >= 0) {
                        y = k.multiply(y).add(Rfc4418.MARKER);
                        m = m.subtract(BigInteger.valueOf(59));
                    }
                    y = k.multiply(y).add(m).mod(Rfc4418.P64);
                    assertThat(Umac.reduced(Umac.polynomial(key, sum, next)))
                            .as("%x * %x + %x", key, sum, next)
                            .isEqualTo(y.longValue());
                }
            }
        }
        long prime = Rfc4418.P36.longValue();
        for (long times = 0; times < 1 << 18; times += 1 + times / 7) {
            for (long beside = -12; beside <= 12; beside++) {
                long sum = Math.max(0, times * prime + beside);
                assertThat(Umac.modulo36(sum)).as("of %d", sum).isEqualTo(sum % prime);
            }
        }
    }

    private static BigInteger unsigned(long word) {
        return new BigInteger(Long.toUnsignedString(word));
    }

    @Test
    void a_message_above_16_mib_is_refused() throws Exception {
        Umac umac = new Umac(KEY, 8);
        umac.update(new byte[1 << 24], 0, 1 << 24);
        umac.update(new byte[1], 0, 1);
        assertThatThrownBy(() -> umac.finish(0, new byte[8], 0))
                .isInstanceOf(IllegalStateException.class)
                .hasMessage("UMAC of more than 16 MiB");
    }

    private static void vector(String text, int times, String tag64, String tag128)
            throws Exception {
        byte[] message = message(text, times, text.length() * times);
        assertThat(tag(KEY, NONCE, message, 8)).isEqualTo(tag64);
        assertThat(tag(KEY, NONCE, message, 16)).startsWith(tag128);
    }

    private static byte[] message(String text, int times, int length) {
        return Arrays.copyOf(text(text.repeat(times)), length);
    }

    private static String tag(byte[] key, long nonce, byte[] message, int tagBytes)
            throws GeneralSecurityException {
        Umac umac = new Umac(key, tagBytes);
        umac.update(message, 0, message.length);
        byte[] tag = new byte[tagBytes];
        umac.finish(nonce, tag, 0);
        return HexFormat.of().formatHex(tag);
    }

    /** From somewhere in a larger array, in up to three pieces, to somewhere in another. */
    private static byte[] tag(Umac umac, long nonce, byte[] message, Random random, int tagBytes) {
        int before = random.nextInt(40);
        byte[] room = new byte[before + message.length + random.nextInt(40)];
        random.nextBytes(room);
        System.arraycopy(message, 0, room, before, message.length);
        int one = random.nextInt(message.length + 1);
        int two = one + random.nextInt(message.length - one + 1);
        umac.update(room, before, one);
        umac.update(room, before + one, two - one);
        umac.update(room, before + two, message.length - two);
        byte[] out = new byte[before + tagBytes];
        umac.finish(nonce, out, before);
        return Arrays.copyOfRange(out, before, out.length);
    }

    private static byte[] text(String text) {
        return text.getBytes(StandardCharsets.US_ASCII);
    }

    /** The RFC's pseudocode in numbers without limits, without a thought of speed. */
    private static final class Rfc4418 {

        private static final BigInteger TWO_64 = BigInteger.TWO.pow(64);
        private static final BigInteger P36 = BigInteger.TWO.pow(36).subtract(number(5));
        private static final BigInteger P64 = TWO_64.subtract(number(59));
        private static final BigInteger MARKER = P64.subtract(BigInteger.ONE);
        private static final BigInteger MAX_WORD = TWO_64.subtract(BigInteger.TWO.pow(32));

        private final byte[] key;
        private final int tagBytes;
        private final byte[] l1Key;
        private final byte[] l2Key;
        private final byte[] l3Key1;
        private final byte[] l3Key2;
        private int marked;

        Rfc4418(byte[] key, int tagBytes) throws GeneralSecurityException {
            this.key = key;
            this.tagBytes = tagBytes;
            int iterations = tagBytes / 4;
            l1Key = kdf(1, 1024 + (iterations - 1) * 16);
            l2Key = kdf(2, iterations * 24);
            l3Key1 = kdf(3, iterations * 64);
            l3Key2 = kdf(4, iterations * 4);
        }

        private static BigInteger number(long small) {
            return BigInteger.valueOf(small);
        }

        private static byte[] aes(byte[] key, byte[] block) throws GeneralSecurityException {
            Cipher aes = Cipher.getInstance("AES/ECB/NoPadding");
            aes.init(Cipher.ENCRYPT_MODE, new SecretKeySpec(key, "AES"));
            return aes.doFinal(block);
        }

        private byte[] kdf(int index, int length) throws GeneralSecurityException {
            ByteBuffer bytes = ByteBuffer.allocate(length + 16);
            for (long i = 1; bytes.position() < length; i++) {
                bytes.put(aes(key, ByteBuffer.allocate(16).putLong(index).putLong(i).array()));
            }
            return Arrays.copyOf(bytes.array(), length);
        }

        byte[] tag(long nonce, byte[] message) throws GeneralSecurityException {
            byte[] hash = uhash(message);
            byte[] pad = pdf(nonce);
            for (int i = 0; i < tagBytes; i++) {
                hash[i] ^= pad[i];
            }
            return hash;
        }

        private byte[] pdf(long nonce) throws GeneralSecurityException {
            int index = tagBytes == 8 ? (int) (nonce & 1) : 0;
            byte[] block = ByteBuffer.allocate(16).putLong(nonce ^ index).array();
            byte[] pad = aes(kdf(0, 16), block);
            return Arrays.copyOfRange(pad, index * tagBytes, (index + 1) * tagBytes);
        }

        private byte[] uhash(byte[] message) {
            ByteBuffer hash = ByteBuffer.allocate(tagBytes);
            for (int i = 0; i < tagBytes / 4; i++) {
                List<BigInteger> blocks = l1Hash(i, message);
                BigInteger sum =
                        blocks.size() == 1
                                ? blocks.get(0)
                                : polynomial(of(l2Key, i * 24, 8), blocks);
                hash.putInt(l3Hash(i, sum) ^ of(l3Key2, i * 4, 4).intValue());
            }
            return hash.array();
        }

        /** The word of the first layer's key that this iteration has there. */
        int nhKey(int iteration, int word) {
            return of(l1Key, iteration * 16 + word * 4, 4).intValue();
        }

        /** How many numbers of the second layer have been marked. */
        int marked() {
            return marked;
        }

        private List<BigInteger> l1Hash(int iteration, byte[] message) {
            List<BigInteger> blocks = new ArrayList<>();
            int at = 0;
            do {
                int length = Math.min(1024, message.length - at);
                int padded = Math.max(32, (length + 31) / 32 * 32);
                byte[] block = new byte[padded];
                System.arraycopy(message, at, block, 0, length);
                ByteBuffer words = ByteBuffer.wrap(block).order(ByteOrder.LITTLE_ENDIAN);
                BigInteger sum = number(length * 8L);
                for (int i = 0; i < padded / 4; i++) {
                    if (i % 8 < 4) {
                        long one = (words.getInt(i * 4) + nhKey(iteration, i)) & 0xffffffffL;
                        long other =
                                (words.getInt(i * 4 + 16) + nhKey(iteration, i + 4)) & 0xffffffffL;
                        sum = sum.add(number(one).multiply(number(other)));
                    }
                }
                blocks.add(sum.mod(TWO_64));
                at += length;
            } while (at < message.length);
            return blocks;
        }

        private BigInteger polynomial(BigInteger unmasked, List<BigInteger> numbers) {
            BigInteger k = unmasked.and(number(0x01ffffff01ffffffL));
            BigInteger y = BigInteger.ONE;
            for (BigInteger m : numbers) {
                if (m.compareTo(MAX_WORD) >= 0) {
                    marked++;
                    y = k.multiply(y).add(MARKER).mod(P64);
                    y = k.multiply(y).add(m.subtract(number(59))).mod(P64);
                } else {
                    y = k.multiply(y).add(m).mod(P64);
                }
            }
            return y;
        }

        private int l3Hash(int iteration, BigInteger sum) {
            byte[] bytes = new byte[16];
            ByteBuffer.wrap(bytes).putLong(8, sum.longValue());
            BigInteger y = BigInteger.ZERO;
            for (int i = 0; i < 8; i++) {
                BigInteger k = of(l3Key1, iteration * 64 + i * 8, 8).mod(P36);
                y = y.add(of(bytes, i * 2, 2).multiply(k));
            }
            return y.mod(P36).intValue();
        }

        private static BigInteger of(byte[] bytes, int at, int length) {
            return new BigInteger(1, bytes, at, length);
        }
    }
}
