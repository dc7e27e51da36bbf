package holdfast.ssh.crypto;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;
import java.security.GeneralSecurityException;
import java.util.Arrays;
import javax.crypto.Cipher;
import javax.crypto.ShortBufferException;
import javax.crypto.spec.SecretKeySpec;

/**
 * The message authentication code UMAC of RFC 4418 with AES-128 and tags of 8 or 16 bytes, for one
 * message after another.
 *
 * <p>Each four bytes of a tag are a stream: a hash of the whole message, with keys of its own, in
 * three layers. NH makes one number of each 1024 bytes, a polynomial modulo 2^64 - 59 makes one of
 * those, and an inner product modulo 2^36 - 5 makes 32 bits of that. The tag is the streams,
 * exclusive or with a pad that AES makes of the nonce.
 *
 * <p>Nearly all the work is NH: of each 32 bytes the first four words, which here are the left
 * ones, are multiplied by the last four, the right ones, after keys have been added to both. Left
 * and right are first taken apart into arrays, because a loop over arrays whose indices run
 * together is one that the virtual machine makes vector instructions of. That doubles the speed
 * where there are such instructions for products of 64 bits, and costs nothing where there are
 * none.
 */
final class Umac {

    static final int KEY_BYTES = 16;

    /** What the message is filled up to with zeros: four words left, four right. */
    private static final int GROUP = 32;

    private static final int QUAD = 4;

    /** What NH makes one number of. */
    private static final int BLOCK = 1024;

    /** The words of a block that are left, or right. */
    private static final int SIDE = BLOCK / Integer.BYTES / 2;

    /**
     * As many as the polynomial modulo 2^64 - 59 is for: 16 MiB. Another, modulo 2^128 - 159, would
     * have to go on from there (RFC 4418 section 5.3), for packets that are never sent: OpenSSH
     * takes none above 256 KiB, and its own UMAC has no such layer either.
     */
    private static final int MOST_BLOCKS = 1 << 14;

    /** What 2^64 is modulo the prime of the second layer. */
    private static final long EXCESS = 59;

    /** From here to 2^64, a number of the second layer is marked and lessened. */
    private static final long MARKED = 0xffff_ffff_0000_0000L;

    /** The marker: the prime of the second layer, less one. */
    private static final long MARKER = -EXCESS - 1;

    private static final long POLYNOMIAL_MASK = 0x01ff_ffff_01ff_ffffL;

    private static final long M36 = (1L << 36) - 1;
    private static final long INNER_PRIME = (1L << 36) - 5;

    /** The words of the inner product; four more are always zero without the longer polynomial. */
    private static final int INNER_WORDS = 4;

    private static final long WORD = 0xffff_ffffL;

    private static final int AES_BLOCK = 16;

    private static final VarHandle INT =
            MethodHandles.byteArrayViewVarHandle(int[].class, ByteOrder.LITTLE_ENDIAN);
    private static final VarHandle BIG_INT =
            MethodHandles.byteArrayViewVarHandle(int[].class, ByteOrder.BIG_ENDIAN);
    private static final VarHandle BIG_LONG =
            MethodHandles.byteArrayViewVarHandle(long[].class, ByteOrder.BIG_ENDIAN);

    private final int streams;
    private final int[][] nhKeys;
    private final long[] polynomialKey;
    private final long[] innerKey;
    private final int[] translation;
    private final Cipher padCipher;

    // The message so far: the words of the block that is not yet whole, and what others came to.
    private final int[] left = new int[SIDE];
    private final int[] right = new int[SIDE];
    private int inBlock; // bytes
    private final long[] first;
    private final long[] polynomial;
    private int blocks;
    private final byte[] rest = new byte[GROUP];
    private int restLength;

    // The pad of the last nonce, which for short tags is also that of the nonce beside it.
    private final byte[] padNonce = new byte[AES_BLOCK];
    private final byte[] pad = new byte[AES_BLOCK];

    /**
     * @param key its first {@link #KEY_BYTES} count
     * @param tagBytes 8 or 16
     */
    Umac(byte[] key, int tagBytes) throws GeneralSecurityException {
        if (tagBytes != 8 && tagBytes != 16) {
            throw new IllegalArgumentException("a tag of " + tagBytes + " bytes");
        }
        streams = tagBytes / Integer.BYTES;
        Cipher keys = aes(key);
        // The key of each stream is that of the one before, less its first four words (the Toeplitz
        // construction): what is for the right in one is for the left in the next.
        byte[] bytes = derive(keys, 1, BLOCK + (streams - 1) * QUAD * Integer.BYTES);
        nhKeys = new int[streams + 1][SIDE];
        for (int i = 0; i <= streams; i++) {
            for (int j = 0; j < SIDE; j++) {
                int word = (i + j / QUAD * 2) * QUAD + j % QUAD;
                nhKeys[i][j] = (int) BIG_INT.get(bytes, word * Integer.BYTES);
            }
        }
        Arrays.fill(bytes, (byte) 0);

        // Of each stream's 24 bytes the last 16 are for the longer polynomial.
        bytes = derive(keys, 2, streams * 24);
        polynomialKey = new long[streams];
        for (int i = 0; i < streams; i++) {
            polynomialKey[i] = (long) BIG_LONG.get(bytes, i * 24) & POLYNOMIAL_MASK;
        }
        Arrays.fill(bytes, (byte) 0);

        // Of each stream's eight numbers the first four meet only zeros.
        bytes = derive(keys, 3, streams * 64);
        innerKey = new long[streams * INNER_WORDS];
        for (int i = 0; i < innerKey.length; i++) {
            int at = i / INNER_WORDS * 64 + 32 + i % INNER_WORDS * Long.BYTES;
            innerKey[i] = Long.remainderUnsigned((long) BIG_LONG.get(bytes, at), INNER_PRIME);
        }
        Arrays.fill(bytes, (byte) 0);

        bytes = derive(keys, 4, streams * Integer.BYTES);
        translation = new int[streams];
        for (int i = 0; i < streams; i++) {
            translation[i] = (int) BIG_INT.get(bytes, i * Integer.BYTES);
        }
        Arrays.fill(bytes, (byte) 0);

        bytes = derive(keys, 0, KEY_BYTES);
        padCipher = aes(bytes);
        Arrays.fill(bytes, (byte) 0);
        encrypt(padCipher, padNonce, pad, 0);

        first = new long[streams];
        polynomial = new long[streams];
    }

    private static Cipher aes(byte[] key) throws GeneralSecurityException {
        Cipher aes = Cipher.getInstance("AES/ECB/NoPadding");
        aes.init(Cipher.ENCRYPT_MODE, new SecretKeySpec(key, 0, KEY_BYTES, "AES"));
        return aes;
    }

    /** The KDF of RFC 4418 section 3.2.1, to a whole number of AES blocks. */
    private static byte[] derive(Cipher aes, int index, int length) {
        byte[] bytes = new byte[(length + AES_BLOCK - 1) / AES_BLOCK * AES_BLOCK];
        byte[] counted = new byte[AES_BLOCK];
        BIG_LONG.set(counted, 0, (long) index);
        for (int i = 0; i < bytes.length / AES_BLOCK; i++) {
            BIG_LONG.set(counted, Long.BYTES, i + 1L);
            encrypt(aes, counted, bytes, i * AES_BLOCK);
        }
        return bytes;
    }

    private static void encrypt(Cipher aes, byte[] block, byte[] to, int at) {
        try {
            int given = aes.update(block, 0, AES_BLOCK, to, at);
            if (given != AES_BLOCK) {
                throw new IllegalStateException("AES gave " + given + " bytes for a block");
            }
        } catch (ShortBufferException e) {
            throw new IllegalStateException("AES gave more than a block for a block", e);
        }
    }

    /** Goes on with the message. */
    void update(byte[] in, int offset, int length) {
        int at = offset;
        int end = offset + length;
        if (restLength > 0) {
            int take = Math.min(GROUP - restLength, length);
            System.arraycopy(in, at, rest, restLength, take);
            restLength += take;
            at += take;
            if (restLength < GROUP) {
                return;
            }
            restLength = 0;
            apart(rest, 0, GROUP);
            endWhole();
        }
        while (end - at >= GROUP) {
            int take = Math.min(BLOCK - inBlock, end - at & -GROUP);
            apart(in, at, take);
            endWhole();
            at += take;
        }
        restLength = end - at;
        System.arraycopy(in, at, rest, 0, restLength);
    }

    /** Takes apart whole groups of one block. */
    private void apart(byte[] in, int from, int length) {
        // In locals: the compiler keeps fields in memory around the array reads.
        final int[] lefts = left;
        final int[] rights = right;
        int i = inBlock / GROUP * QUAD;
        int end = from + length;
        for (int at = from; at < end; at += GROUP) {
            lefts[i] = (int) INT.get(in, at);
            lefts[i + 1] = (int) INT.get(in, at + 4);
            lefts[i + 2] = (int) INT.get(in, at + 8);
            lefts[i + 3] = (int) INT.get(in, at + 12);
            rights[i] = (int) INT.get(in, at + 16);
            rights[i + 1] = (int) INT.get(in, at + 20);
            rights[i + 2] = (int) INT.get(in, at + 24);
            rights[i + 3] = (int) INT.get(in, at + 28);
            i += QUAD;
        }
        inBlock += length;
    }

    /** Of words without a sign. One sum by itself: two in one loop are no vectors. */
    private static long nh(int[] lefts, int[] leftKey, int[] rights, int[] rightKey, int words) {
        long sum = 0;
        for (int i = 0; i < words; i++) {
            sum += ((lefts[i] + leftKey[i]) & WORD) * ((rights[i] + rightKey[i]) & WORD);
        }
        return sum;
    }

    private void endWhole() {
        if (inBlock == BLOCK) {
            block(BLOCK);
        }
    }

    /** Ends a block of so many bytes, which has been filled up to a whole group. */
    private void block(int length) {
        if (blocks == MOST_BLOCKS) {
            throw new IllegalStateException("UMAC of more than 16 MiB");
        }
        int words = inBlock / GROUP * QUAD;
        for (int i = 0; i < streams; i++) {
            long hash =
                    nh(left, nhKeys[i], right, nhKeys[i + 1], words) + Byte.SIZE * (long) length;
            if (blocks == 0) {
                // The polynomial is for those who come in numbers.
                first[i] = hash;
                polynomial[i] = polynomial(polynomialKey[i], 1, hash);
            } else {
                polynomial[i] = polynomial(polynomialKey[i], polynomial[i], hash);
            }
        }
        blocks++;
        inBlock = 0;
    }

    /** One step of POLY, RFC 4418 section 5.3.1. What it gives may be above the prime. */
    static long polynomial(long key, long sum, long next) {
        // One in 2^32, as in OpenSSH: whoever could see it in the time would have to see each.
        if (Long.compareUnsigned(next, MARKED) >= 0) {
            return plus(times(key, plus(times(key, sum), MARKER)), next - EXCESS);
        }
        return plus(times(key, sum), next);
    }

    private static long times(long key, long sum) {
        // The key is below 2^57: so is the upper half, and 59 of it are below 2^63.
        return plus(key * sum, Math.unsignedMultiplyHigh(key, sum) * EXCESS);
    }

    /**
     * Modulo the prime, of two that may be above it. What comes back for a carry does not carry
     * again, because {@code b} is never within 59 of 2^64.
     */
    private static long plus(long a, long b) {
        long sum = a + b;
        long carry = ((a & b) | ((a | b) & ~sum)) >>> 63;
        return sum + (-carry & EXCESS);
    }

    /** Ends the message and writes its tag under {@code nonce}, which is good once. */
    void finish(long nonce, byte[] out, int offset) {
        int length = inBlock + restLength;
        if (length > 0 || blocks == 0) {
            if (restLength > 0 || length == 0) {
                Arrays.fill(rest, restLength, GROUP, (byte) 0);
                restLength = 0;
                apart(rest, 0, GROUP);
            }
            block(length);
        }
        int within = padFor(nonce);
        for (int i = 0; i < streams; i++) {
            int at = i * Integer.BYTES;
            int hash = inner(i, blocks == 1 ? first[i] : reduced(polynomial[i]));
            BIG_INT.set(out, offset + at, hash ^ (int) BIG_INT.get(pad, within + at));
        }
        blocks = 0;
    }

    static long reduced(long sum) {
        long less = sum + EXCESS; // sum less the prime, modulo 2^64
        long borrow = ((~sum & -EXCESS) | ((~sum | -EXCESS) & less)) >>> 63;
        return (sum & -borrow) | (less & (borrow - 1));
    }

    private int inner(int stream, long hash) {
        int at = stream * INNER_WORDS;
        // Numbers below 2^52, which four do not carry over the sign.
        long sum =
                (hash >>> 48) * innerKey[at]
                        + (hash >>> 32 & 0xffff) * innerKey[at + 1]
                        + (hash >>> 16 & 0xffff) * innerKey[at + 2]
                        + (hash & 0xffff) * innerKey[at + 3];
        return (int) modulo36(sum) ^ translation[stream];
    }

    /** A sum below 2^54 modulo 2^36 - 5, without a division, whose time may depend on it. */
    static long modulo36(long sum) {
        // 2^36 is 5 here: what is folded is below 2^36 + 2^21, and has the prime in it once at
        // most.
        long folded = (sum & M36) + (sum >>> 36) * 5;
        long less = folded - INNER_PRIME;
        return less + (INNER_PRIME & less >> 63);
    }

    /**
     * Makes the pad of {@code nonce}, if it is not there yet: one AES block is enough for two tags
     * of 8 bytes.
     *
     * @return where in {@link #pad} it begins
     */
    private int padFor(long nonce) {
        long odd = streams == 2 ? nonce & 1 : 0;
        long block = nonce - odd;
        if ((long) BIG_LONG.get(padNonce, 0) != block) {
            BIG_LONG.set(padNonce, 0, block);
            encrypt(padCipher, padNonce, pad, 0);
        }
        return (int) odd * Long.BYTES;
    }
}
