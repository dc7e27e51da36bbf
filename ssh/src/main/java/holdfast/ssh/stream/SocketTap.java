package holdfast.ssh.stream;

import java.io.IOException;
import java.net.SocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/** A socket of TCP or of this machine (Unix domain), watched by one selector for all. */
public final class SocketTap implements Tap {

    /** Told how a connection came out, on the selector's thread; one of the two is null. */
    public interface Connected {
        void connected(@Nullable SocketTap tap, @Nullable IOException failure);
    }

    /** A listening socket; closing it ends it, connections stay. */
    public interface Listening extends AutoCloseable {

        SocketAddress address();

        @Override
        void close();
    }

    /** For a connected channel, which becomes non-blocking and belongs to the tap from here on. */
    public static SocketTap of(SocketChannel connected) throws IOException {
        throw new UnsupportedOperationException();
    }

    /**
     * Connects without waiting; there is no time limit but the kernel's, and closing the returned
     * attempt ends it with an AsynchronousCloseException. Names must have been looked up before.
     */
    public static AutoCloseable connect(SocketAddress to, Connected then) {
        throw new UnsupportedOperationException();
    }

    /**
     * Takes connections of a bound channel, which belongs to the listener from here on. Each comes
     * to {@code accepted} on the selector's thread. When the process runs out of descriptors it
     * rests for a moment instead of spinning.
     */
    public static Listening listen(ServerSocketChannel bound, Consumer<SocketTap> accepted)
            throws IOException {
        throw new UnsupportedOperationException();
    }

    /** For its addresses and options; reading and writing go through the tap. */
    public SocketChannel channel() {
        throw new UnsupportedOperationException();
    }

    @Override
    public void wantRead(Ready ready) {
        throw new UnsupportedOperationException();
    }

    @Override
    public void wantWrite(Ready ready) {
        throw new UnsupportedOperationException();
    }

    @Override
    public int read(ByteBuffer into) throws IOException {
        throw new UnsupportedOperationException();
    }

    @Override
    public int write(ByteBuffer from) throws IOException {
        throw new UnsupportedOperationException();
    }

    @Override
    public void finishOutput() throws IOException {
        throw new UnsupportedOperationException();
    }

    @Override
    public void close() {
        throw new UnsupportedOperationException();
    }
}
