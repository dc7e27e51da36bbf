package holdfast.ssh.crypto;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.security.GeneralSecurityException;
import java.security.MessageDigest;
import java.security.SecureRandom;
import java.util.Arrays;

/**
 * Streamlined NTRU Prime with 761 coefficients (sntrup761; NTRU Prime, round 3 submission to NIST),
 * in the encodings of that submission, which are OpenSSH's.
 *
 * <p>What is secret decides neither a branch nor an index, and nothing is divided: sorting is a
 * network, inversion takes the same steps for every polynomial.
 *
 * <p>A client does this once in a VM that has just begun, where every bytecode is interpreted until
 * its loop is compiled. Hence two coefficients share a long, in {@link #multiply} and {@link
 * #reciprocal3}, and sixty-four of a small polynomial do in {@link #reciprocalModulo3}; and the
 * loops are methods of their own, which are compiled sooner than what they are called from.
 */
final class NtruPrime {

    static final int PUBLIC_BYTES = 1158;
    static final int SECRET_BYTES = 1763;
    static final int CIPHERTEXT_BYTES = 1039;

    /** The secret that both ends have at the end, and every hash on the way to it. */
    static final int HASH_BYTES = 32;

    /** Coefficients: the ring is Z[x] / (x^P - x - 1). */
    private static final int P = 761;

    private static final int Q = 4591;

    /** The largest coefficient modulo Q, whose least is its negative. */
    private static final int LARGEST = (Q - 1) / 2;

    /** How many coefficients of a short polynomial are not zero. */
    private static final int WEIGHT = 286;

    private static final int SMALL_BYTES = (P + 3) / 4;
    private static final int ROUNDED_BYTES = CIPHERTEXT_BYTES - HASH_BYTES;

    /** Modulo Q. */
    private static final int THIRD = -1530;

    /** A division step for each bit of information, so to speak: enough for any two polynomials. */
    private static final int DIVISION_STEPS = 2 * P - 1;

    /**
     * Longs for a polynomial of P + 1 coefficients: element k has coefficient k in its lower half
     * and k + HALF in its upper. Halves are signed, and a long is their sum: a negative lower half
     * has borrowed one from the upper, which every sum and product keeps right.
     */
    private static final int HALF = (P + 1) / 2;

    private static final long BOTH = 0x1_0000_0001L;

    /** A multiple of Q that no sum of two products in {@link #eliminate} falls below. */
    private static final int ABOVE = Q * 2850;

    /** Longs for the bits of a polynomial of P + 1 coefficients. */
    private static final int WORDS = (P + 1 + 63) / 64;

    /** Numbers that are encoded are below it. */
    private static final int RADIX_LIMIT = 1 << 14;

    /** How often two numbers become one: ceil(log2(P)). */
    private static final int LEVELS = 10;

    private NtruPrime() {}

    /**
     * @param publicKey PUBLIC_BYTES long
     * @param secretKey SECRET_BYTES long, the public key within
     */
    record Pair(byte[] publicKey, byte[] secretKey) {}

    /**
     * @param ciphertext CIPHERTEXT_BYTES long
     * @param secret HASH_BYTES long
     */
    record Encapsulated(byte[] ciphertext, byte[] secret) {}

    /**
     * @param random its seeds are what all is made of
     */
    static Pair generate(SecureRandom random) {
        int[] g;
        int[] inverse;
        do {
            g = randomSmall(random);
            inverse = reciprocalModulo3(g);
        } while (inverse.length == 0);
        int[] f = randomShort(random);
        byte[] publicKey = encode(multiplied(reciprocal3(f), g), Coding.WHOLE);
        byte[] secretKey =
                joined(
                        encodeSmall(f),
                        encodeSmall(inverse),
                        publicKey,
                        random.generateSeed(SMALL_BYTES),
                        hash(4, publicKey));
        return new Pair(publicKey, secretKey);
    }

    /**
     * @param publicKey of PUBLIC_BYTES; any are taken
     */
    static Encapsulated encapsulate(byte[] publicKey, SecureRandom random) {
        int[] r = randomShort(random);
        byte[] encoded = encodeSmall(r);
        byte[] ciphertext = hidden(r, encoded, publicKey, hash(4, publicKey));
        return new Encapsulated(ciphertext, sessionKey(1, encoded, ciphertext));
    }

    /**
     * The secret of a ciphertext; of one that was not made with this key, one that nobody else can
     * know.
     *
     * @param ciphertext of CIPHERTEXT_BYTES
     */
    static byte[] decapsulate(byte[] ciphertext, byte[] secretKey) {
        int[] f = decodeSmall(secretKey, 0);
        int[] inverse = decodeSmall(secretKey, SMALL_BYTES);
        int at = 2 * SMALL_BYTES;
        byte[] publicKey = Arrays.copyOfRange(secretKey, at, at + PUBLIC_BYTES);
        at += PUBLIC_BYTES;
        byte[] rho = Arrays.copyOfRange(secretKey, at, at + SMALL_BYTES);
        byte[] cache = Arrays.copyOfRange(secretKey, at + SMALL_BYTES, SECRET_BYTES);

        int[] r = decrypted(decode(ciphertext, Coding.ROUNDED), f, inverse);
        byte[] encoded = encodeSmall(r);
        byte[] again = hidden(r, encoded, publicKey, cache);
        int different = 0;
        for (int i = 0; i < CIPHERTEXT_BYTES; i++) {
            different |= ciphertext[i] ^ again[i];
        }
        int bad = nonZero(different);
        for (int i = 0; i < SMALL_BYTES; i++) {
            encoded[i] ^= (byte) (bad & (encoded[i] ^ rho[i]));
        }
        return sessionKey(1 + bad, encoded, ciphertext);
    }

    /** What {@code r} becomes under a public key, and the proof that who made it knew r. */
    private static byte[] hidden(int[] r, byte[] encoded, byte[] publicKey, byte[] cache) {
        int[] c = multiplied(decode(publicKey, Coding.WHOLE), r);
        for (int i = 0; i < P; i++) {
            c[i] -= modulo3(c[i]);
        }
        return joined(encode(c, Coding.ROUNDED), hash(2, hash(3, encoded), cache));
    }

    private static int[] decrypted(int[] c, int[] f, int[] inverse) {
        int[] cf = multiplied(c, f);
        for (int i = 0; i < P; i++) {
            cf[i] = modulo3(moduloQ(3 * cf[i]));
        }
        int[] r = multiply(cf, inverse);
        int weight = 0;
        for (int i = 0; i < P; i++) {
            r[i] = modulo3(r[i]);
            weight += r[i] & 1;
        }
        int bad = nonZero(weight - WEIGHT);
        for (int i = 0; i < P; i++) {
            // What has another weight was not made by us: any short polynomial, always the same.
            int instead = (i - WEIGHT) >>> 31;
            r[i] = ((r[i] ^ instead) & ~bad) ^ instead;
        }
        return r;
    }

    private static byte[] sessionKey(int prefix, byte[] encoded, byte[] ciphertext) {
        return hash(prefix, hash(3, encoded), ciphertext);
    }

    private static byte[] hash(int prefix, byte[]... parts) {
        try {
            MessageDigest sha512 = MessageDigest.getInstance("SHA-512");
            sha512.update((byte) prefix);
            for (byte[] part : parts) {
                sha512.update(part);
            }
            return Arrays.copyOf(sha512.digest(), HASH_BYTES);
        } catch (GeneralSecurityException e) {
            throw new IllegalStateException("This Java has no SHA-512", e);
        }
    }

    private static byte[] joined(byte[]... parts) {
        int length = 0;
        for (byte[] part : parts) {
            length += part.length;
        }
        byte[] all = new byte[length];
        int at = 0;
        for (byte[] part : parts) {
            System.arraycopy(part, 0, all, at, part.length);
            at += part.length;
        }
        return all;
    }

    // Numbers.

    /** -1 if not zero, else 0. */
    private static int nonZero(int x) {
        return (x | -x) >> 31;
    }

    /** -1, 0 or 1; of -6000 to 6000. */
    private static int modulo3(int x) {
        int above = x + 6001;
        return above - 3 * ((above * 43691) >>> 17) - 1;
    }

    /** -LARGEST to LARGEST; of what is no further from zero than ABOVE. */
    private static int moduloQ(int x) {
        int above = x + ABOVE + LARGEST;
        // As in eliminate, thus from -31 to Q + 255.
        int rest = above - (((above >> 8) * 29235) >>> 19) * Q;
        rest += (rest >> 31) & Q;
        rest -= Q;
        rest += (rest >> 31) & Q;
        return rest - LARGEST;
    }

    /** 1 / x modulo Q, as x^(Q-2) (Fermat). */
    private static int reciprocal(int x) {
        int power = 1;
        for (int bit = 1 << 12; bit != 0; bit >>= 1) {
            power = moduloQ(power * power);
            if (((Q - 2) & bit) != 0) {
                power = moduloQ(power * x);
            }
        }
        return power;
    }

    // Polynomials.

    /** The product of a polynomial modulo Q and a small one, modulo Q. */
    private static int[] multiplied(int[] a, int[] small) {
        int[] product = multiply(a, small);
        for (int i = 0; i < P; i++) {
            product[i] = moduloQ(product[i]);
        }
        return product;
    }

    /**
     * The product in the ring, its coefficients not yet reduced: none is beyond 3 * P * LARGEST.
     */
    private static int[] multiply(int[] a, int[] small) {
        long[] halves = halves(a);
        long[] sums = new long[P + HALF];
        for (int i = 0; i < P; i++) {
            addMultiple(sums, i, halves, small[i]);
        }
        int[] product = new int[2 * P + 2];
        for (int k = 0; k < P + HALF; k++) {
            product[k] += (int) sums[k];
            product[k + HALF] += upper(sums[k]);
        }
        for (int i = 2 * P - 2; i >= P; i--) {
            product[i - P] += product[i];
            product[i - P + 1] += product[i];
        }
        return Arrays.copyOf(product, P);
    }

    private static void addMultiple(long[] sums, int at, long[] halves, int factor) {
        for (int k = 0; k < HALF; k++) {
            sums[at + k] += halves[k] * factor;
        }
    }

    private static long[] halves(int[] a) {
        long[] halves = new long[HALF];
        for (int k = 0; k < HALF - 1; k++) {
            halves[k] = a[k] + ((long) a[k + HALF] << 32);
        }
        halves[HALF - 1] = a[HALF - 1];
        return halves;
    }

    private static int upper(long halves) {
        return (int) ((halves + 0x8000_0000L) >> 32);
    }

    /**
     * 1 / (3 * small) modulo Q, by Bernstein and Yang's division steps (Fast constant-time gcd
     * computation and modular inversion, 2019). Modulo Q every small polynomial but zero has an
     * inverse.
     */
    private static int[] reciprocal3(int[] small) {
        // f and g are reversed; g, which is divided by x at each step, moves up in its array, and
        // v, which is multiplied by x, down.
        long[] f = new long[HALF];
        f[0] = 1;
        f[P - 1 - HALF] = -1L << 32;
        f[P - HALF] = -1L << 32;
        int[] reversed = new int[P];
        for (int i = 0; i < P; i++) {
            reversed[i] = small[P - 1 - i];
        }
        long[] g = Arrays.copyOf(halves(reversed), HALF + DIVISION_STEPS);
        long[] v = new long[HALF + DIVISION_STEPS];
        long[] r = new long[HALF];
        r[0] = THIRD;
        int delta = 1;
        for (int step = 0; step < DIVISION_STEPS; step++) {
            int atV = DIVISION_STEPS - 1 - step;
            v[atV] = (long) (int) v[atV + HALF] << 32;
            int swap = (-delta >> 31) & nonZero((int) g[step]);
            delta ^= swap & (delta ^ -delta);
            delta++;
            int exchange = swap & ((int) f[0] ^ (int) g[step]);
            int f0 = (int) f[0] ^ exchange;
            int g0 = (int) g[step] ^ exchange;
            // Of f and g nothing counts that no later step can bring down; v and r grow by x a
            // step.
            int counts = Math.min(HALF, DIVISION_STEPS + 1 - step);
            int grown = Math.min(HALF, step + 2);
            eliminate(f, 0, g, step, counts, swap, f0, g0);
            eliminate(v, atV, r, 0, grown, swap, f0, g0);
            g[step + HALF] = upper(g[step]);
        }
        int scale = reciprocal((int) f[0]);
        int[] inverse = new int[P];
        for (int i = 0; i < P; i++) {
            int from = P - 1 - i;
            int coefficient = from < HALF ? (int) v[from] : upper(v[from - HALF]);
            inverse[i] = moduloQ(scale * coefficient);
        }
        return inverse;
    }

    /**
     * Exchanges a and b if {@code swap} is -1, then makes b f0 * b - g0 * a modulo Q.
     *
     * <p>What is divided by Q is divided by a multiplication, and may be one Q too large or a
     * little below zero: the halves are then from -2372 to 2551, and the sum of two products of
     * such within ABOVE. Zero is nothing but 0 among them.
     */
    private static void eliminate(
            long[] a, int atA, long[] b, int atB, int count, int swap, int f0, int g0) {
        for (int k = 0; k < count; k++) {
            long x = a[atA + k];
            long y = b[atB + k];
            long exchange = swap & (x ^ y);
            x ^= exchange;
            y ^= exchange;
            a[atA + k] = x;
            long above = f0 * y - g0 * x + BOTH * (ABOVE + LARGEST);
            // 29235 is 2^27 / Q; each half stays below 2^32.
            long times = ((above >>> 8) & 0x00ff_ffff_00ff_ffffL) * 29235;
            b[atB + k] = above - ((times >>> 19) & 0x1fff_0000_1fffL) * Q - BOTH * LARGEST;
        }
    }

    /**
     * 1 / small modulo 3, by the same steps: sixty-four coefficients in a long for the ones and a
     * long for the minus ones.
     *
     * @return nothing where there is no inverse
     */
    private static int[] reciprocalModulo3(int[] small) {
        Bits f = new Bits();
        f.plus[0] = 1;
        f.minus[(P - 1) >> 6] |= 1L << (P - 1);
        f.minus[P >> 6] |= 1L << P;
        Bits g = new Bits();
        for (int i = 0; i < P; i++) {
            int coefficient = small[P - 1 - i];
            g.plus[i >> 6] |= (coefficient & ~(coefficient >> 31) & 1L) << i;
            g.minus[i >> 6] |= ((coefficient >>> 31) & 1L) << i;
        }
        Bits v = new Bits();
        Bits r = new Bits();
        r.plus[0] = 1;
        int delta = 1;
        for (int step = 0; step < DIVISION_STEPS; step++) {
            v.multiplyByX();
            long f0Plus = -(f.plus[0] & 1);
            long f0Minus = -(f.minus[0] & 1);
            long g0Plus = -(g.plus[0] & 1);
            long g0Minus = -(g.minus[0] & 1);
            long swap = (-delta >> 31) & (g0Plus | g0Minus);
            delta ^= (int) swap & (delta ^ -delta);
            delta++;
            // What is taken away is g0 / f0 times f, and each of them is 1 or -1 or nothing.
            long add = (f0Plus & g0Minus) | (f0Minus & g0Plus);
            long take = (f0Plus & g0Plus) | (f0Minus & g0Minus);
            Bits.eliminate(f, g, swap, add, take);
            Bits.eliminate(v, r, swap, add, take);
            g.divideByX();
        }
        if (nonZero(delta) != 0) {
            return new int[0];
        }
        int sign = (int) ((f.plus[0] & 1) - (f.minus[0] & 1));
        int[] inverse = new int[P];
        for (int i = 0; i < P; i++) {
            int from = P - 1 - i;
            int plus = (int) (v.plus[from >> 6] >>> from) & 1;
            int minus = (int) (v.minus[from >> 6] >>> from) & 1;
            inverse[i] = sign * (plus - minus);
        }
        return inverse;
    }

    /** A polynomial modulo 3: which of its coefficients are 1, and which are -1. */
    private static final class Bits {

        final long[] plus = new long[WORDS];
        final long[] minus = new long[WORDS];

        void multiplyByX() {
            for (int k = WORDS - 1; k > 0; k--) {
                plus[k] = (plus[k] << 1) | (plus[k - 1] >>> 63);
                minus[k] = (minus[k] << 1) | (minus[k - 1] >>> 63);
            }
            plus[0] <<= 1;
            minus[0] <<= 1;
        }

        void divideByX() {
            for (int k = 0; k < WORDS - 1; k++) {
                plus[k] = (plus[k] >>> 1) | (plus[k + 1] << 63);
                minus[k] = (minus[k] >>> 1) | (minus[k + 1] << 63);
            }
            plus[WORDS - 1] >>>= 1;
            minus[WORDS - 1] >>>= 1;
        }

        /** Exchanges a and b, then adds a to b or takes it away, each where its mask has ones. */
        static void eliminate(Bits a, Bits b, long swap, long add, long take) {
            for (int k = 0; k < WORDS; k++) {
                long aPlus = a.plus[k];
                long bPlus = b.plus[k];
                long exchange = swap & (aPlus ^ bPlus);
                aPlus ^= exchange;
                bPlus ^= exchange;
                a.plus[k] = aPlus;
                long aMinus = a.minus[k];
                long bMinus = b.minus[k];
                exchange = swap & (aMinus ^ bMinus);
                aMinus ^= exchange;
                bMinus ^= exchange;
                a.minus[k] = aMinus;
                long plus = (aPlus & add) | (aMinus & take);
                long minus = (aMinus & add) | (aPlus & take);
                long neither = ~(plus | minus);
                long bNeither = ~(bPlus | bMinus);
                b.plus[k] = (bPlus & neither) | (bNeither & plus) | (bMinus & minus);
                b.minus[k] = (bMinus & neither) | (bNeither & minus) | (bPlus & plus);
            }
        }
    }

    // Chance.

    private static int[] random(SecureRandom random) {
        int[] words = new int[P];
        ByteBuffer.wrap(random.generateSeed(4 * P))
                .order(ByteOrder.LITTLE_ENDIAN)
                .asIntBuffer()
                .get(words);
        return words;
    }

    private static int[] randomSmall(SecureRandom random) {
        int[] small = random(random);
        for (int i = 0; i < P; i++) {
            small[i] = (((small[i] & 0x3fff_ffff) * 3) >>> 30) - 1;
        }
        return small;
    }

    /** Of WEIGHT coefficients that are not zero: their places are what sorting makes of chance. */
    private static int[] randomShort(SecureRandom random) {
        int[] words = random(random);
        for (int i = 0; i < P; i++) {
            // The last two bits are the coefficient and one; the words count as unsigned.
            int coefficient = i < WEIGHT ? words[i] & ~1 : (words[i] & ~3) | 1;
            words[i] = coefficient ^ Integer.MIN_VALUE;
        }
        sort(words);
        for (int i = 0; i < P; i++) {
            words[i] = (words[i] & 3) - 1;
        }
        return words;
    }

    /** Batcher's merge exchange (Knuth 5.2.2, algorithm M): compares the same places every time. */
    private static void sort(int[] words) {
        int top = Integer.highestOneBit(words.length - 1);
        for (int p = top; p > 0; p >>= 1) {
            compare(words, p, 0, p);
            for (int q = top; q > p; q >>= 1) {
                compare(words, p, p, q - p);
            }
        }
    }

    /** Of those whose bit {@code p} is {@code r}. */
    private static void compare(int[] words, int p, int r, int distance) {
        for (int i = 0; i < words.length - distance; i++) {
            if ((i & p) == r) {
                int low = words[i];
                int high = words[i + distance];
                int exchange = (low ^ high) & (int) (((long) high - low) >> 63);
                words[i] = low ^ exchange;
                words[i + distance] = high ^ exchange;
            }
        }
    }

    // Bytes.

    private static byte[] encodeSmall(int[] small) {
        byte[] bytes = new byte[SMALL_BYTES];
        for (int i = 0; i < P; i++) {
            bytes[i >> 2] |= (byte) ((small[i] + 1) << (2 * (i & 3)));
        }
        return bytes;
    }

    private static int[] decodeSmall(byte[] bytes, int from) {
        int[] small = new int[P];
        for (int i = 0; i < P; i++) {
            small[i] = ((bytes[from + (i >> 2)] >> (2 * (i & 3))) & 3) - 1;
        }
        return small;
    }

    /** What the coefficients of an encoded polynomial are. */
    private enum Coding {
        /** Any modulo Q. */
        WHOLE(Q, PUBLIC_BYTES),
        /** Multiples of three. */
        ROUNDED((Q + 2) / 3, ROUNDED_BYTES);

        /** How many numbers there are. */
        private final int radix;

        private final int bytes;

        Coding(int radix, int bytes) {
            this.radix = radix;
            this.bytes = bytes;
        }

        int number(int coefficient) {
            return switch (this) {
                case WHOLE -> coefficient + LARGEST;
                case ROUNDED -> ((coefficient + LARGEST) * 10923) >> 15;
            };
        }

        int coefficient(int number) {
            return switch (this) {
                case WHOLE -> number - LARGEST;
                case ROUNDED -> 3 * number - LARGEST;
            };
        }
    }

    /** Two numbers become one whose radix is the product, until a single one is left. */
    private static byte[] encode(int[] polynomial, Coding coding) {
        int[] numbers = new int[P];
        int[] radices = new int[P];
        for (int i = 0; i < P; i++) {
            numbers[i] = coding.number(polynomial[i]);
            radices[i] = coding.radix;
        }
        byte[] bytes = new byte[coding.bytes];
        int at = 0;
        int count = P;
        while (count > 1) {
            for (int i = 0; i + 1 < count; i += 2) {
                int number = numbers[i] + numbers[i + 1] * radices[i];
                int radix = radices[i] * radices[i + 1];
                // Below 2^28: bytes are given out until it is small again.
                while (radix >= RADIX_LIMIT) {
                    bytes[at++] = (byte) number;
                    number >>>= 8;
                    radix = (radix + 255) >>> 8;
                }
                numbers[i / 2] = number;
                radices[i / 2] = radix;
            }
            if (count % 2 == 1) {
                numbers[count / 2] = numbers[count - 1];
                radices[count / 2] = radices[count - 1];
            }
            count = (count + 1) / 2;
        }
        int number = numbers[0];
        for (int radix = radices[0]; radix > 1; radix = (radix + 255) >>> 8) {
            bytes[at++] = (byte) number;
            number >>>= 8;
        }
        return bytes;
    }

    private static int[] decode(byte[] bytes, Coding coding) {
        // Downwards the radices and the bytes that were given out, then upwards the numbers.
        int[][] radices = new int[LEVELS + 1][];
        int[][] given = new int[LEVELS][];
        int[][] givenRadix = new int[LEVELS][];
        radices[0] = new int[P];
        Arrays.fill(radices[0], coding.radix);
        int at = 0;
        for (int level = 0; level < LEVELS; level++) {
            int[] these = radices[level];
            int count = these.length;
            int[] next = new int[(count + 1) / 2];
            given[level] = new int[count / 2];
            givenRadix[level] = new int[count / 2];
            for (int i = 0; i + 1 < count; i += 2) {
                int radix = these[i] * these[i + 1];
                int shift = 0;
                while (radix >= RADIX_LIMIT) {
                    given[level][i / 2] |= (bytes[at++] & 0xff) << shift;
                    shift += 8;
                    radix = (radix + 255) >>> 8;
                }
                givenRadix[level][i / 2] = shift;
                next[i / 2] = radix;
            }
            if (count % 2 == 1) {
                next[count / 2] = these[count - 1];
            }
            radices[level + 1] = next;
        }
        int last = 0;
        int shift = 0;
        for (int radix = radices[LEVELS][0]; radix > 1; radix = (radix + 255) >>> 8) {
            last |= (bytes[at++] & 0xff) << shift;
            shift += 8;
        }
        // Only what nobody has encoded is beyond a radix.
        int[] numbers = {last - quotient(last, radices[LEVELS][0]) * radices[LEVELS][0]};
        for (int level = LEVELS - 1; level >= 0; level--) {
            int[] these = radices[level];
            int[] up = new int[these.length];
            for (int i = 0; i + 1 < these.length; i += 2) {
                int number = given[level][i / 2] + (numbers[i / 2] << givenRadix[level][i / 2]);
                int second = quotient(number, these[i]);
                up[i] = number - second * these[i];
                up[i + 1] = second - quotient(second, these[i + 1]) * these[i + 1];
            }
            if (these.length % 2 == 1) {
                up[these.length - 1] = numbers[these.length / 2];
            }
            numbers = up;
        }
        for (int i = 0; i < P; i++) {
            numbers[i] = coding.coefficient(numbers[i]);
        }
        return numbers;
    }

    /** Unsigned {@code number} by a radix below RADIX_LIMIT, which is no secret. */
    private static int quotient(int number, int radix) {
        long part = (1L << 31) / radix;
        int first = (int) (((number & 0xffff_ffffL) * part) >>> 31);
        int rest = number - first * radix;
        int second = (int) ((rest * part) >>> 31);
        rest -= second * radix;
        // It is now at most the radix itself.
        return first + second + 1 + ((rest - radix) >> 31);
    }
}
