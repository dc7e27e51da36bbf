package holdfast.ssh.crypto;

import java.security.GeneralSecurityException;
import javax.crypto.Cipher;
import javax.crypto.spec.IvParameterSpec;
import javax.crypto.spec.SecretKeySpec;

/**
 * Poly1305 tags of long messages, from the JDK's ChaCha20-Poly1305 of RFC 8439, whose Poly1305 is
 * an intrinsic of the virtual machine on processors with AVX-512 and there several times as quick
 * as ours. The JDK gives it out in no other way.
 *
 * <p>That cipher takes its one-time key from the same block of the key stream as OpenSSH's. What it
 * authenticates without encrypting it pads with zeros and follows with a block of lengths. So with
 * the whole blocks X of a message, all but the last one b, as such data, and P(X) for their sum, it
 * gives
 *
 * <pre>    T = ((P(X) + L) r mod p) + s mod 2^128,    L the block of lengths,</pre>
 *
 * <p>where (P(X) + b) r mod p = ((P(X) + L) r) + (b - L) r is wanted. T tells the sum in the
 * brackets but for its two highest bits. A second tag, of X and one block of zeros, is told by each
 * of the four possible sums, and is right for one of them only: for two, r would have to be one of
 * a few numbers, as likely as to guess a tag.
 *
 * <p>Nothing branches on a secret here.
 */
final class BorrowedPoly1305 {

    private static final int BLOCK = 16;

    /** So seldom is a long message used to find out whether this is quicker. */
    private static final int SAMPLED = 32;

    /**
     * So many long messages come before: to have all this compiled takes a tenth of a second, which
     * some hundred megabytes must bring in again.
     */
    private static final int UNSAMPLED = 2048;

    /**
     * The first samples are short: they make the virtual machine compile the intrinsic's caller,
     * before which it is a thousand times slower.
     */
    private static final int SHORT_SAMPLES = 16;

    private static final int SHORT = 64;

    /** It is believed when it was quicker so often in succession, and given up after so many. */
    private static final int WINS = 3;

    private static final int SAMPLES = 96;

    // Of the virtual machine and its processor, and so of no one connection. What two connections
    // count at once may be lost.
    private static volatile int samples;
    private static volatile int wins;

    private long shortTook;

    static boolean isQuicker() {
        return wins >= WINS;
    }

    /** Whether the {@code count}th long message under a key is to be a {@link #sample}. */
    static boolean isSampled(int count) {
        return count > UNSAMPLED && count % SAMPLED == 0;
    }

    private final Cipher first = aead();
    private final Cipher second = aead();
    private final byte[] zeros = new byte[BLOCK];
    private final byte[] tag = new byte[Poly1305.TAG_BYTES];
    private final byte[] check = new byte[Poly1305.TAG_BYTES];
    private final byte[] sampled = new byte[Poly1305.TAG_BYTES];
    private final byte[] last = new byte[BLOCK];

    private static Cipher aead() {
        try {
            return Cipher.getInstance("ChaCha20-Poly1305");
        } catch (GeneralSecurityException e) {
            throw new IllegalStateException("This Java has no ChaCha20-Poly1305", e);
        }
    }

    /**
     * Finds out whether {@link #tag} would take much less than {@code nanos} for the same message.
     * Each second sample is short: what it takes to begin is left out of account, because the
     * virtual machine compiles that much later.
     */
    void sample(
            long nanos,
            SecretKeySpec key,
            byte[] nonce,
            Poly1305 poly,
            byte[] head,
            byte[] in,
            int offset,
            int length)
            throws GeneralSecurityException {
        int before = samples;
        if (before >= SAMPLES || isQuicker()) {
            return;
        }
        samples = before + 1;
        boolean whole = before >= SHORT_SAMPLES && before % 2 == 1;
        long began = System.nanoTime();
        tag(key, nonce, poly, head, in, offset, whole ? length : SHORT, sampled, 0);
        long took = System.nanoTime() - began;
        if (!whole) {
            shortTook = took;
        } else {
            wins = took - shortTook < nanos / 3 ? wins + 1 : 0;
        }
    }

    /**
     * Writes the tag of {@code head} and of {@code length} bytes of {@code in}, together more than
     * a block.
     *
     * @param key ChaCha20's, whose first block under {@code nonce} began {@code poly}; a nonce is
     *     good once
     * @param poly begun with the same one-time key, and used up
     */
    void tag(
            SecretKeySpec key,
            byte[] nonce,
            Poly1305 poly,
            byte[] head,
            byte[] in,
            int offset,
            int length,
            byte[] out,
            int outOffset)
            throws GeneralSecurityException {
        int all = head.length + length;
        int end = (all - 1) % BLOCK + 1;
        int whole = all - end;
        int most = whole - head.length;
        IvParameterSpec iv = new IvParameterSpec(nonce);
        first.init(Cipher.ENCRYPT_MODE, key, iv);
        first.updateAAD(head);
        first.updateAAD(in, offset, most);
        first.doFinal(tag, 0);
        second.init(Cipher.ENCRYPT_MODE, key, iv);
        second.updateAAD(head);
        second.updateAAD(in, offset, most);
        second.updateAAD(zeros);
        second.doFinal(check, 0);
        System.arraycopy(in, offset + most, last, 0, end);
        poly.finishBorrowed(tag, check, whole, last, end, out, outOffset);
    }
}
