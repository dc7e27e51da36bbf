package holdfast.ssh.link;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.ByteChannel;
import java.nio.channels.GatheringByteChannel;
import java.nio.channels.SocketChannel;
import jdk.net.ExtendedSocketOptions;

/**
 * A TCP stream that acknowledges at once what it reads first. During a login a server sends small
 * packets one after the other, and until it turns Nagle's algorithm off holds each back for the
 * acknowledgement of the one before, which the kernel would delay by 40 ms. Linux forgets the
 * option after a while (tcp(7), TCP_QUICKACK), so it is set after each read.
 */
public final class PromptStream implements ByteChannel, GatheringByteChannel {

    /** Reads that are acknowledged at once: a login with some refused keys, and little more. */
    private static final int PROMPT_READS = 48;

    private final SocketChannel channel;
    private int reads;

    public PromptStream(SocketChannel channel) {
        this.channel = channel;
    }

    @Override
    public int read(ByteBuffer into) throws IOException {
        int count = channel.read(into);
        if (count > 0 && reads < PROMPT_READS) {
            reads++;
            acknowledge();
        }
        return count;
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
    public int write(ByteBuffer from) throws IOException {
        return channel.write(from);
    }

    @Override
    public long write(ByteBuffer[] from, int offset, int length) throws IOException {
        return channel.write(from, offset, length);
    }

    @Override
    public long write(ByteBuffer[] from) throws IOException {
        return channel.write(from);
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
