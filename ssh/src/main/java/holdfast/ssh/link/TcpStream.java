package holdfast.ssh.link;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.AsynchronousCloseException;
import java.nio.channels.ClosedByInterruptException;
import java.nio.channels.ClosedSelectorException;
import java.nio.channels.GatheringByteChannel;
import java.nio.channels.SelectionKey;
import java.nio.channels.Selector;
import java.nio.channels.SocketChannel;
import jdk.net.ExtendedSocketOptions;
import org.jspecify.annotations.Nullable;

/**
 * A TCP connection as a blocking stream, for one reader and one writer at a time, on a socket that
 * does not block: whoever must not wait can write to it, too ({@link #writeNow}).
 *
 * <p>It acknowledges at once what it reads first. During a login a server sends small packets one
 * after the other, and until it turns Nagle's algorithm off holds each back for the acknowledgement
 * of the one before, which the kernel would delay by 40 ms. Linux forgets the option after a while
 * (tcp(7), TCP_QUICKACK), so it is set after each read.
 */
public final class TcpStream implements InstantChannel, GatheringByteChannel {

    /** Reads that are acknowledged at once: a login with some refused keys, and little more. */
    private static final int PROMPT_READS = 48;

    private final SocketChannel channel;
    private final Selector readable;

    /** Made when a write must wait for the first time. */
    private @Nullable Selector writable; // guarded by this

    // The reader's own.
    private int reads;
    private boolean emptied = true;

    /**
     * @param channel connected; it becomes non-blocking, and belongs to the stream from here on,
     *     also when this throws
     */
    public TcpStream(SocketChannel channel) throws IOException {
        this.channel = channel;
        Selector made = null;
        try {
            channel.configureBlocking(false);
            made = Selector.open();
            channel.register(made, SelectionKey.OP_READ);
            readable = made;
        } catch (IOException | RuntimeException e) {
            channel.close();
            if (made != null) {
                made.close();
            }
            throw e;
        }
    }

    @Override
    public int read(ByteBuffer into) throws IOException {
        if (!into.hasRemaining()) {
            return 0;
        }
        while (true) {
            if (emptied) {
                await(readable);
            }
            int count = channel.read(into);
            // What a read has not filled is empty, as a rule: to ask again would be for nothing.
            emptied = into.hasRemaining();
            if (count > 0 && reads < PROMPT_READS) {
                reads++;
                acknowledge();
            }
            if (count != 0) {
                return count;
            }
        }
    }

    private void acknowledge() {
        try {
            channel.setOption(ExtendedSocketOptions.TCP_QUICKACK, true);
        } catch (IOException | UnsupportedOperationException e) {
            // not on this system, or the connection is gone: the next read or write will tell
            reads = PROMPT_READS;
        }
    }

    @Override
    public int writeNow(ByteBuffer from) throws IOException {
        return channel.write(from);
    }

    /** The same of several; how many bytes. */
    public long writeNow(ByteBuffer[] from) throws IOException {
        return channel.write(from);
    }

    @Override
    public int write(ByteBuffer from) throws IOException {
        if (!from.hasRemaining()) {
            return 0;
        }
        int count;
        while ((count = channel.write(from)) == 0) {
            await(writable());
        }
        return count;
    }

    @Override
    public long write(ByteBuffer[] from, int offset, int length) throws IOException {
        long count;
        while ((count = channel.write(from, offset, length)) == 0 && any(from, offset, length)) {
            await(writable());
        }
        return count;
    }

    @Override
    public long write(ByteBuffer[] from) throws IOException {
        return write(from, 0, from.length);
    }

    private static boolean any(ByteBuffer[] from, int offset, int length) {
        for (int i = offset; i < offset + length; i++) {
            if (from[i].hasRemaining()) {
                return true;
            }
        }
        return false;
    }

    private synchronized Selector writable() throws IOException {
        Selector now = writable;
        if (now == null) {
            if (!channel.isOpen()) {
                throw new AsynchronousCloseException();
            }
            now = Selector.open();
            writable = now;
            channel.register(now, SelectionKey.OP_WRITE);
        }
        return now;
    }

    /** As a blocking channel waits: a close ends it, and so does an interrupt, by a close. */
    private void await(Selector selector) throws IOException {
        try {
            selector.select(key -> {});
        } catch (ClosedSelectorException e) {
            throw new AsynchronousCloseException();
        }
        if (Thread.currentThread().isInterrupted()) {
            close();
            throw new ClosedByInterruptException();
        }
        if (!channel.isOpen()) {
            throw new AsynchronousCloseException();
        }
    }

    @Override
    public boolean isOpen() {
        return channel.isOpen();
    }

    @Override
    public void close() throws IOException {
        try {
            channel.close();
        } finally {
            // Only then is the descriptor free, and whoever waits told.
            readable.close();
            Selector other;
            synchronized (this) {
                other = writable;
            }
            if (other != null) {
                other.close();
            }
        }
    }
}
