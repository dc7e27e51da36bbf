package holdfast.ssh.server.forward;

import java.io.IOException;
import java.io.InputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.SocketAddress;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.util.concurrent.atomic.AtomicInteger;

/** Something to forward to: gives back what it gets, and its own end after the other's. */
final class Echo implements AutoCloseable {

    final AtomicInteger open = new AtomicInteger();
    private final ServerSocketChannel listening;

    private Echo(ServerSocketChannel listening) {
        this.listening = listening;
        Thread.ofVirtual().start(this::accept);
    }

    static Echo tcp() throws IOException {
        return new Echo(
                ServerSocketChannel.open()
                        .bind(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 1000));
    }

    static Echo unix(java.nio.file.Path path) throws IOException {
        return new Echo(
                ServerSocketChannel.open(StandardProtocolFamily.UNIX)
                        .bind(UnixDomainSocketAddress.of(path), 1000));
    }

    int port() throws IOException {
        SocketAddress address = listening.getLocalAddress();
        return ((InetSocketAddress) address).getPort();
    }

    private void accept() {
        try {
            while (true) {
                SocketChannel one = listening.accept();
                open.incrementAndGet();
                Thread.ofVirtual().start(() -> echo(one));
            }
        } catch (IOException e) {
            // closed
        }
    }

    private void echo(SocketChannel one) {
        ByteBuffer buffer = ByteBuffer.allocate(64 * 1024);
        try (one) {
            while (one.read(buffer.clear()) >= 0) {
                buffer.flip();
                while (buffer.hasRemaining()) {
                    one.write(buffer);
                }
            }
            one.shutdownOutput();
        } catch (IOException e) {
            // reset by the other side
        } finally {
            open.decrementAndGet();
        }
    }

    /** Sends {@code bytes} and its end, and returns all that comes back. */
    static byte[] through(Socket socket, byte[] bytes) throws Exception {
        Thread writer =
                Thread.ofVirtual()
                        .start(() -> {
                            try {
                                socket.getOutputStream().write(bytes);
                                socket.shutdownOutput();
                            } catch (IOException e) {
                                // the reader finds it out
                            }
                        });
        InputStream in = socket.getInputStream();
        byte[] back = in.readAllBytes();
        writer.join();
        return back;
    }

    static Socket to(int port) throws IOException {
        Socket socket = new Socket();
        socket.connect(new InetSocketAddress(InetAddress.getLoopbackAddress(), port), 30_000);
        socket.setSoTimeout(60_000);
        return socket;
    }

    static ServerSocket silent() throws IOException {
        return new ServerSocket(0, 50, InetAddress.getLoopbackAddress());
    }

    @Override
    public void close() throws IOException {
        listening.close();
    }
}
