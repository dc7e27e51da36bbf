package holdfast.ssh.terminal;

import java.io.FileDescriptor;
import java.io.FileInputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.ReadableByteChannel;
import org.jspecify.annotations.Nullable;

/**
 * Our standard input. A pipe that turns out to carry much is made wider: whoever fills one of the
 * usual 64 KiB is woken, and we are put aside for it, at every read.
 *
 * <p>A terminal is read when there is something to read, and not before: whoever reads that of
 * another job is stopped (SIGTTIN), and a client in the background that nobody types for is not to
 * be.
 */
public final class StandardInput implements ReadableByteChannel {

    /** After so many bytes it is worth the call's own cost. */
    private static final long MUCH = 4 * 1024 * 1024;

    /** A wider one than this would no longer fit into the processor's cache. */
    static final int WIDE = 256 * 1024;

    private static final int STDIN = 0;

    private final FileChannel channel = new FileInputStream(FileDescriptor.in).getChannel();
    private long bytes;
    private @Nullable Boolean terminal;

    @Override
    public int read(ByteBuffer into) throws IOException {
        Boolean asked = terminal;
        if (asked == null) {
            asked = Terminal.isTerminal(STDIN);
            terminal = asked;
        }
        if (asked) {
            Libc.awaitInput(STDIN);
        }
        int count = channel.read(into);
        long before = bytes;
        bytes += Math.max(0, count);
        if (before < MUCH && bytes >= MUCH) {
            Libc.widenPipe(STDIN, WIDE);
        }
        return count;
    }

    @Override
    public boolean isOpen() {
        return channel.isOpen();
    }

    @Override
    public void close() throws IOException {
        channel.close();
    }
}
