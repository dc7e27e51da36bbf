package holdfast.ssh.stream;

import java.io.IOException;
import java.net.SocketAddress;
import java.net.SocketException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.CancelledKeyException;
import java.nio.channels.ClosedChannelException;
import java.nio.channels.NetworkChannel;
import java.nio.channels.SelectionKey;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/** A socket of TCP or of this machine (Unix domain), watched by one selector for all. */
public final class SocketTap implements Tap {

    /** Accepted in one go from one listener, before others have their turn. */
    private static final int ACCEPTS = 64;

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

    /** A connection in the making; closing it before it is made ends it, and nobody is told. */
    public interface Attempt extends AutoCloseable {
        @Override
        void close();
    }

    private final SocketChannel channel;
    private final Sockets sockets;

    // guarded by this
    private @Nullable SelectionKey key;
    private @Nullable Ready reader;
    private @Nullable Ready writer;
    private boolean closed;

    private SocketTap(SocketChannel channel, Sockets sockets) {
        this.channel = channel;
        this.sockets = sockets;
    }

    /**
     * For a connected channel, which becomes non-blocking and belongs to the tap from here on, also
     * when this throws.
     */
    public static SocketTap of(SocketChannel connected) throws IOException {
        try {
            connected.configureBlocking(false);
            return new SocketTap(connected, Sockets.sockets());
        } catch (IOException | RuntimeException e) {
            connected.close();
            throw e;
        }
    }

    /**
     * Connects without waiting; there is no time limit but the kernel's. Names must have been
     * looked up before. A Unix socket is better connected by the user's own thread ({@code AsUser})
     * and then given to {@link #of}: whose rights count is decided there.
     */
    public static Attempt connect(SocketAddress to, Connected then) {
        AtomicBoolean over = new AtomicBoolean();
        SocketChannel opened = null;
        try {
            Sockets sockets = Sockets.sockets();
            SocketChannel channel =
                    to instanceof UnixDomainSocketAddress
                            ? SocketChannel.open(StandardProtocolFamily.UNIX)
                            : SocketChannel.open();
            opened = channel;
            channel.configureBlocking(false);
            if (channel.connect(to)) {
                sockets.run(() -> made(channel, sockets, over, then));
            } else {
                sockets.watch(
                        channel,
                        SelectionKey.OP_CONNECT,
                        operations -> made(channel, sockets, over, then));
            }
            return () -> {
                if (over.compareAndSet(false, true)) {
                    shut(channel);
                    sockets.wake();
                }
            };
        } catch (IOException | RuntimeException e) {
            if (opened != null) {
                shut(opened);
            }
            IOException failure = e instanceof IOException io ? io : new IOException(said(e), e);
            try {
                Sockets.sockets()
                        .run(() -> {
                            if (over.compareAndSet(false, true)) {
                                then.connected(null, failure);
                            }
                        });
            } catch (IOException noSelector) {
                then.connected(null, noSelector);
            }
            return () -> over.set(true);
        }
    }

    /** {@code UnresolvedAddressException} and its like have no message. */
    private static String said(Exception e) {
        String message = e.getMessage();
        return message == null ? e.getClass().getSimpleName() : message;
    }

    private static void made(
            SocketChannel channel, Sockets sockets, AtomicBoolean over, Connected then) {
        IOException failure = null;
        try {
            if (!channel.finishConnect()) {
                failure = new SocketException("Connection not made");
            }
        } catch (IOException e) {
            failure = e;
        }
        if (!over.compareAndSet(false, true)) {
            shut(channel);
            return;
        }
        if (failure != null) {
            shut(channel);
            then.connected(null, failure);
            return;
        }
        SocketTap tap = new SocketTap(channel, sockets);
        try {
            then.connected(tap, null);
        } catch (RuntimeException | Error e) {
            tap.close();
            throw e;
        }
    }

    /**
     * Takes connections of a bound channel, which belongs to the listener from here on, also when
     * this throws. Each comes to {@code accepted} on the selector's thread. When the process runs
     * out of descriptors it rests for a moment instead of spinning.
     */
    public static Listening listen(ServerSocketChannel bound, Consumer<SocketTap> accepted)
            throws IOException {
        try {
            Sockets sockets = Sockets.sockets();
            bound.configureBlocking(false);
            SocketAddress address = bound.getLocalAddress();
            sockets.watch(
                    bound, SelectionKey.OP_ACCEPT, operations -> accept(bound, sockets, accepted));
            return new Listening() {
                @Override
                public SocketAddress address() {
                    return address;
                }

                @Override
                public void close() {
                    shut(bound);
                    sockets.wake();
                }
            };
        } catch (IOException | RuntimeException e) {
            bound.close();
            throw e;
        }
    }

    private static void accept(
            ServerSocketChannel bound, Sockets sockets, Consumer<SocketTap> accepted) {
        for (int i = 0; i < ACCEPTS; i++) {
            SocketChannel channel;
            try {
                channel = bound.accept();
            } catch (ClosedChannelException e) {
                return;
            } catch (IOException e) {
                // EMFILE, ENFILE, ENOMEM: the connection is still there, and so is the event.
                sockets.rest(bound);
                return;
            }
            if (channel == null) {
                return;
            }
            try {
                SocketTap tap = of(channel);
                try {
                    accepted.accept(tap);
                } catch (RuntimeException | Error e) {
                    tap.close();
                    throw e;
                }
            } catch (IOException e) {
                // Gone before it was taken up: of() has closed it.
            }
        }
    }

    private static void shut(NetworkChannel channel) {
        try {
            channel.close();
        } catch (IOException e) {
            // Closed all the same.
        }
    }

    /** For its addresses and options; reading and writing go through the tap. */
    public SocketChannel channel() {
        return channel;
    }

    @Override
    public synchronized void wantRead(Ready ready) {
        if (!closed) {
            reader = ready;
            arm(SelectionKey.OP_READ);
        }
    }

    @Override
    public synchronized void wantWrite(Ready ready) {
        if (!closed) {
            writer = ready;
            arm(SelectionKey.OP_WRITE);
        }
    }

    /** Under the lock. */
    private void arm(int operation) {
        try {
            SelectionKey now = key;
            if (now == null) {
                key = sockets.watch(channel, operation, this::fired);
            } else {
                now.interestOpsOr(operation);
                sockets.wake();
            }
        } catch (IOException | CancelledKeyException e) {
            // Closed behind our back: the read or write will say so.
            sockets.run(() -> fired(operation));
        }
    }

    private void fired(int operations) {
        Ready read = null;
        Ready write = null;
        synchronized (this) {
            if (closed) {
                return;
            }
            if ((operations & SelectionKey.OP_READ) != 0) {
                read = reader;
                reader = null;
            }
            if ((operations & SelectionKey.OP_WRITE) != 0) {
                write = writer;
                writer = null;
            }
        }
        tell(read);
        tell(write);
    }

    private void tell(@Nullable Ready ready) {
        if (ready == null) {
            return;
        }
        try {
            ready.ready();
        } catch (Throwable t) {
            close();
            ready.failed(t);
        }
    }

    @Override
    public int read(ByteBuffer into) throws IOException {
        try {
            return channel.read(into);
        } catch (ClosedChannelException e) {
            throw e;
        } catch (IOException e) {
            // NIO has no number to ask for, only its own words and the C library's.
            String said = e.getMessage();
            if (said != null && said.startsWith("Connection reset")) {
                return -1;
            }
            throw e;
        }
    }

    @Override
    public int write(ByteBuffer from) throws IOException {
        return channel.write(from);
    }

    @Override
    public void finishOutput() throws IOException {
        try {
            channel.shutdownOutput();
        } catch (IOException e) {
            // Closed, or reset by the peer (ENOTCONN): a read tells.
        }
    }

    @Override
    public void close() {
        synchronized (this) {
            closed = true;
            reader = null;
            writer = null;
        }
        shut(channel);
        sockets.wake();
    }
}
