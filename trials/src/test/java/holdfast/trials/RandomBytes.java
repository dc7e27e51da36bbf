package holdfast.trials;

import static org.assertj.core.api.Assertions.assertThat;

import holdfast.trials.harness.Command;
import holdfast.trials.harness.Ended;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.time.Duration;
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

    /** A file of the trial's, of so many. */
    static Path file(Stage stage, String name, int length) throws IOException {
        Path file = stage.directory().resolve(name);
        try (OutputStream out = Files.newOutputStream(file)) {
            new RandomBytes(length, length).transferTo(out);
        }
        return file;
    }

    /** So many through a program that gives back what it is given, and not one of them another. */
    static void thereAndBack(Command echo, int length) throws Exception {
        long seed = System.nanoTime();
        Digest sent = new Digest();
        new RandomBytes(seed, length).transferTo(sent);
        Digest back = new Digest();
        Ended ended =
                echo.input(new RandomBytes(seed, length)).outTo(back).end(Duration.ofMinutes(2));
        assertThat(ended.status()).as(ended.err()).isZero();
        assertThat(back.count()).as("seed %d", seed).isEqualTo(length);
        assertThat(back.sum()).as("seed %d", seed).isEqualTo(sent.sum());
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
