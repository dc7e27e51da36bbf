package holdfast.trials;

import java.io.InputStream;
import java.io.OutputStream;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.SplittableRandom;

/** So many random bytes of a seed, made as they are read. */
final class RandomBytes extends InputStream {

    private final SplittableRandom random;
    private long left;

    RandomBytes(long seed, long length) {
        random = new SplittableRandom(seed);
        left = length;
    }

    @Override
    public int read() {
        byte[] one = new byte[1];
        return read(one, 0, 1) < 0 ? -1 : one[0] & 0xff;
    }

    @Override
    public int read(byte[] into, int offset, int length) {
        if (left == 0) {
            return -1;
        }
        int taken = (int) Math.min(left, length);
        byte[] bytes = new byte[taken];
        random.nextBytes(bytes);
        System.arraycopy(bytes, 0, into, offset, taken);
        left -= taken;
        return taken;
    }

    /** A stream that keeps only the SHA-256 and the count of what is written to it. */
    static final class Digest extends OutputStream {

        private final MessageDigest digest = sha256();
        private long count;

        @Override
        public void write(int octet) {
            digest.update((byte) octet);
            count++;
        }

        @Override
        public void write(byte[] bytes, int offset, int length) {
            digest.update(bytes, offset, length);
            count += length;
        }

        long count() {
            return count;
        }

        /** In hexadecimal, as sha256sum(1) says it. */
        String sum() {
            return HexFormat.of().formatHex(digest.digest());
        }

        private static MessageDigest sha256() {
            try {
                return MessageDigest.getInstance("SHA-256");
            } catch (NoSuchAlgorithmException e) {
                throw new AssertionError("every JDK has it", e);
            }
        }
    }
}
