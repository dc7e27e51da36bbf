package holdfast.ssh.server;

import holdfast.ssh.system.Sockets;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.SocketAddress;
import java.net.SocketOption;
import java.nio.channels.AsynchronousChannelGroup;
import java.nio.channels.AsynchronousServerSocketChannel;
import java.nio.channels.AsynchronousSocketChannel;
import java.nio.channels.CompletionHandler;
import java.util.Set;
import java.util.concurrent.Future;
import org.jspecify.annotations.Nullable;

/**
 * A listening socket for one family of addresses, as OpenSSH's are: one for :: takes no IPv4
 * (IPV6_V6ONLY), and another for 0.0.0.0 has its place beside it.
 */
final class Listener extends AsynchronousServerSocketChannel {

    private final AsynchronousServerSocketChannel java;
    private @Nullable SocketAddress local;

    private Listener(AsynchronousServerSocketChannel java) {
        super(java.provider());
        this.java = java;
    }

    /** One that has still to be bound. */
    static Listener in(AsynchronousChannelGroup group) throws IOException {
        return new Listener(AsynchronousServerSocketChannel.open(group));
    }

    @Override
    public AsynchronousServerSocketChannel bind(@Nullable SocketAddress address, int backlog)
            throws IOException {
        if (!(address instanceof InetSocketAddress inet)) {
            throw new IOException("no address to listen at");
        }
        // Anywhere for a moment: Java accepts from nothing that it has not bound itself.
        java.bind(new InetSocketAddress(0), backlog);
        // As it was given: what the system tells of it lacks an interface's name.
        int port = Sockets.listenAt(java, inet, backlog).getPort();
        local = new InetSocketAddress(inet.getAddress(), port);
        return this;
    }

    @Override
    public @Nullable SocketAddress getLocalAddress() {
        return local;
    }

    @Override
    public <A> void accept(
            A attachment, CompletionHandler<AsynchronousSocketChannel, ? super A> handler) {
        java.accept(attachment, handler);
    }

    @Override
    public Future<AsynchronousSocketChannel> accept() {
        return java.accept();
    }

    @Override
    public <T> AsynchronousServerSocketChannel setOption(SocketOption<T> name, T value)
            throws IOException {
        java.setOption(name, value);
        return this;
    }

    @Override
    public <T> T getOption(SocketOption<T> name) throws IOException {
        return java.getOption(name);
    }

    @Override
    public Set<SocketOption<?>> supportedOptions() {
        return java.supportedOptions();
    }

    @Override
    public boolean isOpen() {
        return java.isOpen();
    }

    @Override
    public void close() throws IOException {
        java.close();
    }
}
