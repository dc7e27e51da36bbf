package holdfast.ssh.client;

import java.io.IOException;
import java.util.Locale;
import org.apache.sshd.common.compression.BuiltinCompressions;
import org.apache.sshd.common.compression.Compression;
import org.apache.sshd.common.compression.CompressionDelayedZlib;
import org.apache.sshd.common.compression.CompressionFactory;
import org.apache.sshd.common.util.buffer.Buffer;

/** {@code zlib@openssh.com} that knows how well it did; each serves one direction. */
final class CountedZlib extends CompressionDelayedZlib {

    static final CompressionFactory FACTORY =
            new CompressionFactory() {
                @Override
                public String getName() {
                    return BuiltinCompressions.Constants.DELAYED_ZLIB;
                }

                @Override
                public boolean isSupported() {
                    return true;
                }

                @Override
                public boolean isDelayed() {
                    return true;
                }

                @Override
                public boolean isCompressionExecuted() {
                    return true;
                }

                @Override
                public Compression create() {
                    return new CountedZlib();
                }
            };

    private volatile long plain;
    private volatile long compressed;

    @Override
    public void compress(Buffer buffer) throws IOException {
        int before = buffer.available();
        super.compress(buffer);
        count(before, buffer.available());
    }

    @Override
    public void uncompress(Buffer from, Buffer to) throws IOException {
        int before = from.available();
        int there = to.available();
        super.uncompress(from, to);
        count(to.available() - there, before);
    }

    /** Packets of one direction are taken one after another: nobody else counts. */
    @SuppressWarnings("NonAtomicVolatileUpdate")
    private void count(int uncompressed, int packed) {
        plain += uncompressed;
        compressed += packed;
    }

    /** How well a direction was compressed, in OpenSSH's form. */
    static String told(Compression compression) {
        long plain = compression instanceof CountedZlib zlib ? zlib.plain : 0;
        long compressed = compression instanceof CountedZlib zlib ? zlib.compressed : 0;
        double ratio = plain == 0 ? 0 : (double) compressed / plain;
        return String.format(Locale.ROOT, "%dB/%dB (*%.3f)", compressed, plain, ratio);
    }
}
