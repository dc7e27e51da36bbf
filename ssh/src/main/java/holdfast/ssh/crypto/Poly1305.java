package holdfast.ssh.crypto;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;
import java.util.Arrays;

/**
 * The one-time authenticator Poly1305 of RFC 8439, section 2.5, for one message at a time.
 *
 * <p>Numbers modulo 2^130 - 5 are held in three limbs of 44, 44 and 42 bits. No sum of theirs ever
 * overflows a long, so there is no carry to compare for and nothing branches on a secret. A limb
 * product has up to 100 bits; it is taken apart at bit 44, its upper part by {@link
 * Math#multiplyHigh} of factors shifted by 20 bits together, its lower part by an ordinary
 * multiplication and a mask.
 *
 * <p>Two blocks are taken at once, {@code (h + m1) r^2 + m2 r}, because the second product need not
 * wait for the first.
 */
final class Poly1305 {

    static final int TAG_BYTES = 16;
    static final int KEY_BYTES = 32;

    private static final int BLOCK = 16;
    private static final long M44 = (1L << 44) - 1;
    private static final long M42 = (1L << 42) - 1;

    /** How the 20 bits of shift are shared: a limb of h stays below 2^46, one of s below 2^50. */
    private static final int H_SHIFT = 17;

    private static final int R_SHIFT = 3;

    /** The bit after a whole block, 2^128, seen from the third limb. */
    private static final long WHOLE = 1L << 40;

    private static final VarHandle LONG =
            MethodHandles.byteArrayViewVarHandle(long[].class, ByteOrder.LITTLE_ENDIAN);

    // r, and r times 20: a limb product that lands at 2^132 or above comes back times 5 * 2^2.
    private long r0;
    private long r1;
    private long r2;
    private long s1;
    private long s2;
    // r squared, the same way
    private long q0;
    private long q1;
    private long q2;
    private long t1;
    private long t2;
    // what is added at the end
    private long padLow;
    private long padHigh;
    // the sum so far
    private long h0;
    private long h1;
    private long h2;

    private final byte[] rest = new byte[BLOCK];
    private int restLength;

    /** Begins a message with the 32 bytes of {@code key} at {@code offset}. */
    void init(byte[] key, int offset) {
        long low = (long) LONG.get(key, offset);
        long high = (long) LONG.get(key, offset + 8);
        // The masks are the clamp of RFC 8439, section 2.5.1, cut into limbs.
        r0 = low & 0xffc0fffffffL;
        r1 = (low >>> 44 | high << 20) & 0xfffffc0ffffL;
        r2 = high >>> 24 & 0x00ffffffc0fL;
        s1 = r1 * 20;
        s2 = r2 * 20;
        padLow = (long) LONG.get(key, offset + 16);
        padHigh = (long) LONG.get(key, offset + 24);
        square();
        h0 = 0;
        h1 = 0;
        h2 = 0;
        restLength = 0;
    }

    private void square() {
        h0 = r0;
        h1 = r1;
        h2 = r2;
        multiply();
        q0 = h0;
        q1 = h1;
        q2 = h2;
        t1 = q1 * 20;
        t2 = q2 * 20;
    }

    void update(byte[] in, int offset, int length) {
        int at = offset;
        int end = offset + length;
        if (restLength > 0) {
            int take = Math.min(BLOCK - restLength, length);
            System.arraycopy(in, at, rest, restLength, take);
            restLength += take;
            at += take;
            if (restLength < BLOCK) {
                return;
            }
            add(rest, 0, WHOLE);
            multiply();
            restLength = 0;
        }
        int pairs = end - at & -2 * BLOCK;
        if (pairs > 0) {
            pairs(in, at, at + pairs);
            at += pairs;
        }
        if (end - at >= BLOCK) {
            add(in, at, WHOLE);
            multiply();
            at += BLOCK;
        }
        restLength = end - at;
        System.arraycopy(in, at, rest, 0, restLength);
    }

    private void add(byte[] in, int at, long mark) {
        long low = (long) LONG.get(in, at);
        long high = (long) LONG.get(in, at + 8);
        h0 += low & M44;
        h1 += (low >>> 44 | high << 20) & M44;
        h2 += high >>> 24 | mark;
    }

    /** h = h r. */
    private void multiply() {
        long a0 = h0;
        long a1 = h1;
        long a2 = h2;
        long low0 = (a0 * r0 & M44) + (a1 * s2 & M44) + (a2 * s1 & M44);
        long low1 = (a0 * r1 & M44) + (a1 * r0 & M44) + (a2 * s2 & M44);
        long low2 = (a0 * r2 & M44) + (a1 * r1 & M44) + (a2 * r0 & M44);
        long high0 = high(a0, r0) + high(a1, s2) + high(a2, s1);
        long high1 = high(a0, r1) + high(a1, r0) + high(a2, s2);
        long high2 = high(a0, r2) + high(a1, r1) + high(a2, r0);
        reduce(low0, high0, low1, high1, low2, high2);
    }

    /** The bits of {@code a * r} from 2^44 up. */
    private static long high(long a, long r) {
        return Math.multiplyHigh(a << H_SHIFT, r << R_SHIFT);
    }

    private void reduce(long low0, long high0, long low1, long high1, long low2, long high2) {
        long l1 = low1 + high0 + (low0 >>> 44);
        long l2 = low2 + high1 + (l1 >>> 44);
        long top = (high2 << 2) + (l2 >>> 42);
        long l0 = (low0 & M44) + top * 5;
        h0 = l0 & M44;
        h1 = (l1 & M44) + (l0 >>> 44);
        h2 = l2 & M42;
    }

    private void pairs(byte[] in, int from, int to) {
        // Everything in locals: the compiler keeps fields in memory around the array reads.
        final long r0 = this.r0;
        final long r1 = this.r1;
        final long r2 = this.r2;
        final long s1 = this.s1;
        final long s2 = this.s2;
        final long q0 = this.q0;
        final long q1 = this.q1;
        final long q2 = this.q2;
        final long t1 = this.t1;
        final long t2 = this.t2;
        long h0 = this.h0;
        long h1 = this.h1;
        long h2 = this.h2;
        for (int at = from; at < to; at += 2 * BLOCK) {
            long low = (long) LONG.get(in, at);
            long high = (long) LONG.get(in, at + 8);
            long a0 = h0 + (low & M44);
            long a1 = h1 + ((low >>> 44 | high << 20) & M44);
            long a2 = h2 + (high >>> 24 | WHOLE);
            low = (long) LONG.get(in, at + 16);
            high = (long) LONG.get(in, at + 24);
            long b0 = low & M44;
            long b1 = (low >>> 44 | high << 20) & M44;
            long b2 = high >>> 24 | WHOLE;

            long low0 =
                    (a0 * q0 & M44)
                            + (a1 * t2 & M44)
                            + (a2 * t1 & M44)
                            + (b0 * r0 & M44)
                            + (b1 * s2 & M44)
                            + (b2 * s1 & M44);
            long low1 =
                    (a0 * q1 & M44)
                            + (a1 * q0 & M44)
                            + (a2 * t2 & M44)
                            + (b0 * r1 & M44)
                            + (b1 * r0 & M44)
                            + (b2 * s2 & M44);
            long low2 =
                    (a0 * q2 & M44)
                            + (a1 * q1 & M44)
                            + (a2 * q0 & M44)
                            + (b0 * r2 & M44)
                            + (b1 * r1 & M44)
                            + (b2 * r0 & M44);
            long high0 =
                    high(a0, q0)
                            + high(a1, t2)
                            + high(a2, t1)
                            + high(b0, r0)
                            + high(b1, s2)
                            + high(b2, s1);
            long high1 =
                    high(a0, q1)
                            + high(a1, q0)
                            + high(a2, t2)
                            + high(b0, r1)
                            + high(b1, r0)
                            + high(b2, s2);
            long high2 =
                    high(a0, q2)
                            + high(a1, q1)
                            + high(a2, q0)
                            + high(b0, r2)
                            + high(b1, r1)
                            + high(b2, r0);

            long l1 = low1 + high0 + (low0 >>> 44);
            long l2 = low2 + high1 + (l1 >>> 44);
            long top = (high2 << 2) + (l2 >>> 42);
            long l0 = (low0 & M44) + top * 5;
            h0 = l0 & M44;
            h1 = (l1 & M44) + (l0 >>> 44);
            h2 = l2 & M42;
        }
        this.h0 = h0;
        this.h1 = h1;
        this.h2 = h2;
    }

    /** Ends the message and writes its tag of 16 bytes. */
    void finish(byte[] out, int offset) {
        if (restLength > 0) {
            rest[restLength] = 1;
            Arrays.fill(rest, restLength + 1, BLOCK, (byte) 0);
            add(rest, 0, 0);
            multiply();
            restLength = 0;
        }
        freeze();
        LONG.set(out, offset, sumLow());
        LONG.set(out, offset + 8, sumHigh());
    }

    /**
     * Ends a message most of which the JDK has summed up; see {@link BorrowedPoly1305}. What this
     * object was given since {@link #init} is forgotten.
     *
     * @param tag the JDK's, of {@code whole} bytes and its block of lengths
     * @param check the JDK's, of those, a block of zeros and its block of lengths
     * @param last the block that the message ends with, of {@code lastLength} bytes
     */
    void finishBorrowed(
            byte[] tag,
            byte[] check,
            int whole,
            byte[] last,
            int lastLength,
            byte[] out,
            int offset) {
        Arrays.fill(last, lastLength, BLOCK, (byte) 0);
        if (lastLength < BLOCK) {
            last[lastLength] = 1;
        }
        // What both tags were before s was added, modulo 2^128.
        long low = (long) LONG.get(tag, 0);
        long high = (long) LONG.get(tag, 8);
        final long yLow = low - padLow;
        final long yHigh = high - padHigh - borrow(low, padLow, yLow);
        low = (long) LONG.get(check, 0);
        high = (long) LONG.get(check, 8);
        final long checkLow = low - padLow;
        final long checkHigh = high - padHigh - borrow(low, padLow, checkLow);

        // What a highest bit more in the first makes of the second: 2^128 r
        set(0, 0, WHOLE);
        multiply();
        final long f0 = h0;
        final long f1 = h1;
        final long f2 = h2;
        // The second, if the first has none of them: ((first - whole r) + whole + 16 + 2^128) r
        set(M44 - 4 - whole, M44, M42);
        multiply();
        h0 += (yLow & M44) + whole + BLOCK;
        h1 += (yLow >>> 44 | yHigh << 20) & M44;
        h2 += (yHigh >>> 24) + WHOLE;
        multiply();
        final long e0 = h0;
        final long e1 = h1;
        final long e2 = h2;
        long top = 0;
        long found = 0;
        for (int k = 0; k < 4; k++) {
            set(e0 + k * f0, e1 + k * f1, e2 + k * f2);
            freeze();
            long different = ((h0 | h1 << 44) ^ checkLow) | ((h1 >>> 20 | h2 << 24) ^ checkHigh);
            long same = ((different | -different) >>> 63) ^ 1;
            found += same;
            top += same * k;
        }
        if (found != 1) {
            throw new IllegalStateException("two tags of one Poly1305 key contradict each other");
        }

        // (b - whole - 2^128) r, and the first
        low = (long) LONG.get(last, 0);
        high = (long) LONG.get(last, 8);
        set(
                (low & M44) + (M44 - 4 - whole),
                ((low >>> 44 | high << 20) & M44) + M44,
                (high >>> 24) + (lastLength == BLOCK ? WHOLE : 0) + M42 - WHOLE);
        multiply();
        h0 += yLow & M44;
        h1 += (yLow >>> 44 | yHigh << 20) & M44;
        h2 += (yHigh >>> 24) + top * WHOLE;
        freeze();
        LONG.set(out, offset, sumLow());
        LONG.set(out, offset + 8, sumHigh());
    }

    private void set(long low, long middle, long high) {
        h0 = low;
        h1 = middle;
        h2 = high;
    }

    /** What the subtraction {@code a - b = difference} takes from the next 64 bits. */
    private static long borrow(long a, long b, long difference) {
        return ((~a & b) | ((~a | b) & difference)) >>> 63;
    }

    /** The lower half of the tag that the frozen h makes. */
    private long sumLow() {
        return (h0 | h1 << 44) + padLow;
    }

    private long sumHigh() {
        long low = h0 | h1 << 44;
        long carry = ((low & padLow) | ((low | padLow) & ~(low + padLow))) >>> 63;
        return (h1 >>> 20 | h2 << 24) + padHigh + carry;
    }

    /** Makes h the least number that is the same modulo p. */
    private void freeze() {
        // Carry until every limb is in its range; h1 may be a little above it.
        long c = h1 >>> 44;
        h1 &= M44;
        h2 += c;
        c = h2 >>> 42;
        h2 &= M42;
        h0 += c * 5;
        c = h0 >>> 44;
        h0 &= M44;
        h1 += c;
        c = h1 >>> 44;
        h1 &= M44;
        h2 += c;
        c = h2 >>> 42;
        h2 &= M42;
        h0 += c * 5;
        c = h0 >>> 44;
        h0 &= M44;
        h1 += c;

        // g = h - p; take it unless it is negative.
        long g0 = h0 + 5;
        c = g0 >>> 44;
        g0 &= M44;
        long g1 = h1 + c;
        c = g1 >>> 44;
        g1 &= M44;
        long g2 = h2 + c - (1L << 42);
        long keep = g2 >> 63;
        h0 = (h0 & keep) | (g0 & ~keep);
        h1 = (h1 & keep) | (g1 & ~keep);
        h2 = (h2 & keep) | (g2 & ~keep);
    }
}
