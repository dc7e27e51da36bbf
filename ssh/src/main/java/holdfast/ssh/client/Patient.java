package holdfast.ssh.client;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.ReadableByteChannel;
import java.nio.channels.WritableByteChannel;

/**
 * Reading and writing our own standard streams, which another program may have made non-blocking
 * under us: O_NONBLOCK belongs to the open file, and a parent or a sibling may share it.
 */
final class Patient {

    /** Long enough to cost nothing, short enough not to be felt. */
    private static final long PAUSE_MILLIS = 5;

    private Patient() {}

    /** Writes some of {@code bytes}, at least one. */
    static int write(WritableByteChannel out, ByteBuffer bytes)
            throws IOException, InterruptedException {
        while (true) {
            try {
                int written = out.write(bytes);
                if (written > 0) {
                    return written;
                }
            } catch (IOException e) {
                if (!wouldBlock(e)) {
                    throw e;
                }
            }
            Thread.sleep(PAUSE_MILLIS);
        }
    }

    /** Reads at least one byte; -1 at the end. */
    static int read(ReadableByteChannel in, ByteBuffer bytes)
            throws IOException, InterruptedException {
        while (true) {
            try {
                int count = in.read(bytes);
                if (count != 0) {
                    return count;
                }
            } catch (IOException e) {
                if (!wouldBlock(e)) {
                    throw e;
                }
            }
            Thread.sleep(PAUSE_MILLIS);
        }
    }

    private static boolean wouldBlock(IOException e) {
        return "Resource temporarily unavailable".equals(e.getMessage());
    }
}
