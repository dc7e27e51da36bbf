package holdfast.ssh.stream;

import java.io.IOException;
import java.net.SocketAddress;
import java.net.StandardProtocolFamily;
import java.net.StandardSocketOptions;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.AsynchronousCloseException;
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

    private final SocketChannel channel;
    private final SelectorLoop.Watched watched;
    private volatile @Nullable Ready ready;

    private SocketTap(SocketChannel channel) throws IOException {
        this.channel = channel;
        this.watched = SelectorLoop.shared().watch(channel, this::turn);
    }

    /** For a connected channel, which becomes non-blocking and belongs to the tap from here on. */
    public static SocketTap of(SocketChannel connected) throws IOException {
        connected.configureBlocking(false);
        return new SocketTap(connected);
    }

    /**
     * Connects without waiting; there is no time limit but the kernel's, and closing the returned
     * attempt ends it with an AsynchronousCloseException. Names must have been looked up before.
     */
    public static AutoCloseable connect(SocketAddress to, Connected then) {
        return new Attempt(to, then);
    }

    /**
     * Takes connections of a bound channel, which belongs to the listener from here on. Each comes
     * to {@code accepted} on the selector's thread. When the process runs out of descriptors it
     * rests for a moment instead of spinning.
     */
    public static Listening listen(ServerSocketChannel bound, Consumer<SocketTap> accepted)
            throws IOException {
        return new Listener(bound, accepted);
    }

    /** For its addresses and options; reading and writing go through the tap. */
    public SocketChannel channel() {
        return channel;
    }

    @Override
    public void listen(Ready told) {
        ready = told;
    }

    private void turn(int operations) throws IOException {
        Ready told = ready;
        if (told == null) {
            return;
        }
        try {
            if ((operations & SelectorLoop.READ) != 0) {
                told.readable();
            }
            if ((operations & SelectorLoop.WRITE) != 0) {
                told.writable();
            }
        } catch (IOException | RuntimeException | Error e) {
            close();
            told.failed(e);
        }
    }

    @Override
    public void wantRead() {
        watched.want(SelectorLoop.READ);
    }

    @Override
    public void wantWrite() {
        watched.want(SelectorLoop.WRITE);
    }

    @Override
    public int read(ByteBuffer into) throws IOException {
        return channel.read(into);
    }

    @Override
    public int write(ByteBuffer from) throws IOException {
        return channel.write(from);
    }

    @Override
    public void finishOutput() throws IOException {
        channel.shutdownOutput();
    }

    @Override
    public void close() {
        watched.close();
    }

    private static final class Attempt implements AutoCloseable {
        private final Connected then;
        private @Nullable SocketChannel channel;
        private SelectorLoop.@Nullable Watched watched;
        private boolean told;

        Attempt(SocketAddress to, Connected then) {
            this.then = then;
            SelectorLoop.shared().run(() -> begin(to));
        }

        // --- all on the selector's thread

        private void begin(SocketAddress to) {
            if (told) {
                return;
            }
            boolean unix = to instanceof UnixDomainSocketAddress;
            SocketChannel opened = null;
            try {
                opened =
                        unix
                                ? SocketChannel.open(StandardProtocolFamily.UNIX)
                                : SocketChannel.open();
                channel = opened;
                opened.configureBlocking(false);
                if (opened.connect(to)) {
                    connected(opened);
                } else if (unix) {
                    // Not "in progress": its listener's queue is full, and nothing would tell us
                    // when it no longer is.
                    throw new IOException("Resource temporarily unavailable");
                } else {
                    SocketChannel waiting = opened;
                    SelectorLoop.Watched key =
                            SelectorLoop.shared().watch(opened, operations -> finish(waiting));
                    watched = key;
                    key.want(SelectorLoop.CONNECT);
                }
            } catch (IOException | RuntimeException e) {
                failed(e instanceof IOException io ? io : new IOException(e.getMessage(), e));
            }
        }

        private void finish(SocketChannel opened) {
            try {
                if (opened.finishConnect()) {
                    SelectorLoop.Watched key = watched;
                    if (key != null) {
                        key.release();
                    }
                    connected(opened);
                }
            } catch (IOException | RuntimeException e) {
                failed(e instanceof IOException io ? io : new IOException(e.getMessage(), e));
            }
        }

        private void connected(SocketChannel opened) throws IOException {
            if (!told) {
                SocketTap tap = of(opened);
                told = true;
                then.connected(tap, null);
            }
        }

        private void failed(IOException why) {
            SocketChannel opened = channel;
            if (opened != null) {
                SelectorLoop.closeQuietly(opened);
            }
            if (!told) {
                told = true;
                then.connected(null, why);
            }
        }

        @Override
        public void close() {
            SelectorLoop.shared()
                    .run(() -> {
                        if (!told) {
                            failed(new AsynchronousCloseException());
                        }
                    });
        }
    }

    private static final class Listener implements Listening {
        private final ServerSocketChannel bound;
        private final Consumer<SocketTap> accepted;
        private final SocketAddress address;
        private final SelectorLoop.Watched watched;

        /** One turn takes no more than this, so that a flood does not keep the others waiting. */
        private static final int AT_ONCE = 16;

        private static final long REST_NANOS = 1_000_000_000;

        Listener(ServerSocketChannel bound, Consumer<SocketTap> accepted) throws IOException {
            this.bound = bound;
            this.accepted = accepted;
            this.address = bound.getLocalAddress();
            bound.configureBlocking(false);
            this.watched = SelectorLoop.shared().watch(bound, operations -> accept());
            watched.want(SelectorLoop.ACCEPT);
        }

        private void accept() {
            for (int i = 0; i < AT_ONCE; i++) {
                SocketChannel one;
                try {
                    one = bound.accept();
                } catch (IOException e) {
                    if (bound.isOpen()) {
                        SelectorLoop.shared()
                                .later(REST_NANOS, () -> watched.want(SelectorLoop.ACCEPT));
                    }
                    return;
                }
                if (one == null) {
                    break;
                }
                try {
                    if (address instanceof java.net.InetSocketAddress) {
                        one.setOption(StandardSocketOptions.TCP_NODELAY, true);
                    }
                    accepted.accept(of(one));
                } catch (IOException | RuntimeException e) {
                    SelectorLoop.closeQuietly(one);
                }
            }
            watched.want(SelectorLoop.ACCEPT);
        }

        @Override
        public SocketAddress address() {
            return address;
        }

        @Override
        public void close() {
            watched.close();
        }
    }
}
