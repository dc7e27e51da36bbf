package holdfast.trials;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.SocketAddress;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;

/** What a forwarded connection comes out at, over TCP or a Unix socket, and how to get there. */
final class Peer implements AutoCloseable {

    /** What is done with each connection, on a thread of its own. */
    interface Manners {
        void serve(SocketChannel socket) throws Exception;
    }

    private static final int CHUNK = 64 * 1024;

    private static final InetAddress HERE = InetAddress.ofLiteral("127.0.0.1");

    private final ServerSocketChannel listener;
    private final SocketAddress address;
    private final Set<SocketChannel> open = ConcurrentHashMap.newKeySet();
    private final AtomicLong served = new AtomicLong();

    private Peer(ServerSocketChannel listener, Manners manners) throws IOException {
        this.listener = listener;
        this.address = listener.getLocalAddress();
        Thread.ofVirtual().start(() -> accept(manners));
    }

    static Peer tcp(Manners manners) throws IOException {
        return new Peer(
                ServerSocketChannel.open().bind(new InetSocketAddress(HERE, 0), 1024), manners);
    }

    static Peer unix(Path path, Manners manners) throws IOException {
        return new Peer(
                ServerSocketChannel.open(StandardProtocolFamily.UNIX)
                        .bind(UnixDomainSocketAddress.of(path), 1024),
                manners);
    }

    /** As a forward's specification names it: {@code 127.0.0.1:PORT} or a path. */
    String target() {
        return address instanceof InetSocketAddress inet
                ? "127.0.0.1:" + inet.getPort()
                : address.toString();
    }

    int port() {
        return ((InetSocketAddress) address).getPort();
    }

    /** How many connections have come. */
    long served() {
        return served.get();
    }

    private void accept(Manners manners) {
        while (true) {
            SocketChannel socket;
            try {
                socket = listener.accept();
            } catch (IOException closed) {
                return;
            }
            served.incrementAndGet();
            open.add(socket);
            Thread.ofVirtual()
                    .start(() -> {
                        try (socket) {
                            manners.serve(socket);
                        } catch (Exception gone) {
                            // The other end has gone: a trial sees that at its own end.
                        } finally {
                            open.remove(socket);
                        }
                    });
        }
    }

    @Override
    public void close() throws IOException {
        leave();
    }

    /** Takes no more connections, and cuts off those that there are. */
    void leave() throws IOException {
        listener.close();
        for (SocketChannel socket : open) {
            socket.close();
        }
    }

    // --- manners

    /** Says back what it hears, and the end after it. */
    static void echo(SocketChannel socket) throws IOException {
        ByteBuffer bytes = ByteBuffer.allocateDirect(CHUNK);
        while (socket.read(bytes.clear()) >= 0) {
            bytes.flip();
            while (bytes.hasRemaining()) {
                socket.write(bytes);
            }
        }
    }

    /** Never reads, and never leaves. */
    static void ignore(SocketChannel socket) throws InterruptedException {
        new CountDownLatch(1).await();
    }

    /** Says zeros for ever. */
    static void flood(SocketChannel socket) throws IOException {
        ByteBuffer zeros = ByteBuffer.allocateDirect(CHUNK);
        while (true) {
            socket.write(zeros.clear());
        }
    }

    // --- going there

    static SocketChannel connect(String host, int port) throws IOException {
        return SocketChannel.open(new InetSocketAddress(InetAddress.ofLiteral(host), port));
    }

    static SocketChannel connect(Path path) throws IOException {
        return SocketChannel.open(UnixDomainSocketAddress.of(path));
    }

    /** To what a forward listens on: a port of 127.0.0.1, or a path. */
    static SocketChannel connect(String listening) throws IOException {
        return listening.startsWith("/")
                ? connect(Path.of(listening))
                : connect("127.0.0.1", Integer.parseInt(listening));
    }

    static void write(SocketChannel socket, byte[] bytes) throws IOException {
        ByteBuffer all = ByteBuffer.wrap(bytes);
        while (all.hasRemaining()) {
            socket.write(all);
        }
    }

    /** Up to the end, or so many bytes. */
    static byte[] read(SocketChannel socket, int most) throws IOException {
        ByteBuffer all = ByteBuffer.allocate(most);
        while (all.hasRemaining() && socket.read(all) >= 0) {
            // more may come
        }
        byte[] bytes = new byte[all.position()];
        all.flip().get(bytes);
        return bytes;
    }

    /** Says all of it, then the end, while it reads up to the end; then the connection closes. */
    static byte[] exchange(SocketChannel socket, byte[] said) throws Exception {
        try (socket) {
            Thread writer =
                    Thread.ofVirtual()
                            .start(() -> {
                                try {
                                    write(socket, said);
                                    socket.shutdownOutput();
                                } catch (IOException e) {
                                    throw new UncheckedIOException(e);
                                }
                            });
            byte[] heard = read(socket, said.length + 1024);
            writer.join();
            return heard;
        }
    }

    static String exchange(SocketChannel socket, String said) throws Exception {
        return new String(
                exchange(socket, said.getBytes(StandardCharsets.UTF_8)), StandardCharsets.UTF_8);
    }

    /** What is asked of a port that may not be there yet. */
    static SocketChannel await(String listening) throws Exception {
        long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(30);
        while (true) {
            try {
                return connect(listening);
            } catch (IOException notYet) {
                if (System.nanoTime() > deadline) {
                    throw new AssertionError("nobody listens on " + listening, notYet);
                }
                Thread.sleep(20);
            }
        }
    }
}
