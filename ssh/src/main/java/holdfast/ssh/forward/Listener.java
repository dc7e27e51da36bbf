package holdfast.ssh.forward;

import holdfast.ssh.hostkeys.NumericAddress;
import holdfast.ssh.log.Log;
import holdfast.ssh.octets.Octets;
import holdfast.ssh.stream.SocketTap;
import java.io.IOException;
import java.net.BindException;
import java.net.Inet6Address;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.net.UnknownHostException;
import java.nio.channels.ServerSocketChannel;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;
import java.nio.file.attribute.PosixFilePermission;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ThreadLocalRandom;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/** The sockets on which one forwarding listens; closing it frees them. */
final class Listener implements AutoCloseable {

    /** OpenSSH's SSH_LISTEN_BACKLOG. */
    private static final int BACKLOG = 128;

    private static final byte[] ALL_4 = {0, 0, 0, 0};
    private static final byte[] ALL_6 = new byte[16];
    private static final byte[] LOOPBACK_4 = {127, 0, 0, 1};
    private static final byte[] LOOPBACK_6 = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};

    /**
     * Ports that listeners of this process have just given up: the selector lets go of the socket a
     * moment later. Only used to know that waiting that moment will do.
     */
    private static final Map<Integer, Long> JUST_CLOSED = new ConcurrentHashMap<>();

    private static final long JUST_NANOS = 500_000_000;

    private static final int PATIENCE = 50;

    private static final int PAUSE_MILLIS = 5;

    private final List<SocketTap.Listening> sockets = new ArrayList<>(2);
    private final @Nullable Runnable afterwards;
    private final int port;

    private Listener(
            List<ServerSocketChannel> bound,
            int port,
            @Nullable Runnable afterwards,
            Consumer<SocketTap> accepted)
            throws IOException {
        this.port = port;
        this.afterwards = afterwards;
        for (ServerSocketChannel one : bound) {
            sockets.add(SocketTap.listen(one, accepted));
        }
    }

    /** The port it listens on, be it asked for or given by the system. */
    int port() {
        return port;
    }

    // --- TCP

    /** Every address of this machine: IPv6's takes IPv4 as well. */
    static List<InetAddress> everywhere() {
        return List.of(address(ALL_6), address(ALL_4));
    }

    /** This machine alone, in OpenSSH's order: a failure of the last is told. */
    static List<InetAddress> loopback() {
        return List.of(address(LOOPBACK_6), address(LOOPBACK_4));
    }

    /** Whether to bind that port may take a moment; else it never does. */
    static boolean mayWait(int port) {
        Long closed = JUST_CLOSED.get(port);
        return closed != null && System.nanoTime() - closed < JUST_NANOS;
    }

    private static void noteClosed(int port) {
        long now = System.nanoTime();
        JUST_CLOSED.values().removeIf(closed -> now - closed >= JUST_NANOS);
        JUST_CLOSED.put(port, now);
    }

    private static void bind(ServerSocketChannel socket, InetSocketAddress address)
            throws IOException {
        for (int i = 0; ; i++) {
            try {
                socket.bind(address, BACKLOG);
                return;
            } catch (BindException e) {
                if (i == PATIENCE || address.getPort() == 0 || !mayWait(address.getPort())) {
                    throw e;
                }
                try {
                    Thread.sleep(PAUSE_MILLIS);
                } catch (InterruptedException interrupted) {
                    Thread.currentThread().interrupt();
                    throw e;
                }
            }
        }
    }

    private static InetAddress address(byte[] bytes) {
        try {
            return InetAddress.getByAddress(bytes);
        } catch (UnknownHostException e) {
            throw new IllegalStateException(e); // four or sixteen bytes are always an address
        }
    }

    /**
     * Listens on a port of each address that there is; on one at least. Waits where {@link
     * #mayWait} says so.
     *
     * @param port 0: any free one, the same for all
     * @return null if there is none; the log says why
     */
    static @Nullable Listener tcp(
            List<InetAddress> addresses, int port, Log log, Consumer<SocketTap> accepted) {
        List<ServerSocketChannel> bound = new ArrayList<>(2);
        int actual = port;
        for (int i = 0; i < addresses.size(); i++) {
            InetAddress address = addresses.get(i);
            if (taken(address, bound)) {
                continue;
            }
            String where = "[" + NumericAddress.text(address) + "]:" + actual;
            ServerSocketChannel socket = null;
            try {
                socket = open(address);
                log.debug(
                        "Local forwarding listening on "
                                + Forwarding.host(address)
                                + " port "
                                + actual
                                + ".");
                bind(socket, new InetSocketAddress(address, actual));
                if (actual == 0) {
                    actual = ((InetSocketAddress) socket.getLocalAddress()).getPort();
                    log.debug("Allocated listen port " + actual);
                }
                bound.add(socket);
            } catch (IOException | UnsupportedOperationException e) {
                closeQuietly(socket);
                String line = "bind " + where + ": " + reason(e);
                if (i + 1 < addresses.size()) {
                    log.verbose(line);
                } else {
                    log.error(line);
                }
            }
        }
        if (bound.isEmpty()) {
            log.error("channel_setup_fwd_listener_tcpip: cannot listen to port: " + port);
            return null;
        }
        return listening(bound, actual, null, log, accepted);
    }

    /**
     * Listens on that port of all of {@code addresses}, or not at all: where one is taken, somebody
     * else has the display of that number. An address that this machine does not have is none.
     *
     * @return null if one of them is taken, or there is none
     */
    static @Nullable Listener exactly(
            List<InetAddress> addresses, int port, Log log, Consumer<SocketTap> accepted) {
        List<ServerSocketChannel> bound = new ArrayList<>(2);
        for (InetAddress address : addresses) {
            if (taken(address, bound)) {
                continue;
            }
            ServerSocketChannel socket = null;
            try {
                socket = open(address);
                socket.bind(new InetSocketAddress(address, port), BACKLOG);
                bound.add(socket);
            } catch (IOException | UnsupportedOperationException e) {
                closeQuietly(socket);
                log.debug2("x11_create_display_inet: bind port " + port + ": " + reason(e));
                if (!absent(e)) {
                    bound.forEach(Listener::closeQuietly);
                    return null;
                }
            }
        }
        return bound.isEmpty() ? null : listening(bound, port, null, log, accepted);
    }

    /** Whether one of {@code bound} takes it as well: that of :: does so with all of IPv4. */
    private static boolean taken(InetAddress address, List<ServerSocketChannel> bound) {
        return address.isAnyLocalAddress()
                && bound.stream()
                        .map(socket -> socket.socket().getInetAddress())
                        .anyMatch(has -> has instanceof Inet6Address && has.isAnyLocalAddress());
    }

    private static ServerSocketChannel open(InetAddress address) throws IOException {
        return ServerSocketChannel.open(
                address instanceof Inet6Address
                        ? StandardProtocolFamily.INET6
                        : StandardProtocolFamily.INET);
    }

    /** Whether it is the address that is missing, and not the port that is taken. */
    private static boolean absent(Exception e) {
        return e instanceof UnsupportedOperationException
                || String.valueOf(e.getMessage()).contains("Cannot assign requested address");
    }

    private static String reason(Exception e) {
        return e instanceof IOException io ? Connecting.reason(io) : "Protocol not supported";
    }

    private static @Nullable Listener listening(
            List<ServerSocketChannel> bound,
            int port,
            @Nullable Runnable afterwards,
            Log log,
            Consumer<SocketTap> accepted) {
        try {
            return new Listener(bound, port, afterwards, accepted);
        } catch (IOException e) {
            log.error("listen: " + Connecting.reason(e));
            bound.forEach(Listener::closeQuietly);
            return null;
        }
    }

    private static void closeQuietly(@Nullable ServerSocketChannel socket) {
        try {
            if (socket != null) {
                socket.close();
            }
        } catch (IOException e) {
            // the descriptor is gone either way
        }
    }

    // --- Unix

    /** A socket in the file system that is bound and not yet watched. */
    record BoundPath(ServerSocketChannel socket, Path path, @Nullable Object file) {

        /** Takes it out of the file system if it is still this one; with its owner's rights. */
        void remove() throws IOException {
            if (file != null && file.equals(key(path))) {
                Files.deleteIfExists(path);
            }
        }
    }

    /**
     * Binds a Unix-domain socket; to be called with the rights of whose socket it is to be.
     *
     * <p>Between bind and the change of its mode it has the mode that the process's umask gives:
     * with any that withholds writing from others, as is usual, nobody else can connect.
     *
     * @param mask taken away from its mode, as by umask(2)
     * @param unlink whether a file that is there already may be removed
     * @throws IOException in OpenSSH's words
     */
    static BoundPath bind(String name, int mask, boolean unlink) throws IOException {
        if (Octets.bytes(name).length > 107) {
            throw new IOException(
                    "unix_listener: path \"" + name + "\" too long for Unix domain socket");
        }
        Path path = Octets.path(name);
        if (unlink) {
            try {
                Files.deleteIfExists(path);
            } catch (IOException e) {
                throw new IOException("unlink(" + name + "): " + Connecting.reason(e), e);
            }
        }
        ServerSocketChannel socket = ServerSocketChannel.open(StandardProtocolFamily.UNIX);
        try {
            bind(socket, path);
            Files.setPosixFilePermissions(path, permissions(0777 & ~mask));
            return new BoundPath(socket, path, key(path));
        } catch (IOException e) {
            closeQuietly(socket);
            throw new IOException(
                    "unix_listener: cannot bind to path " + name + ": " + Connecting.reason(e), e);
        }
    }

    /**
     * Java asks for the name again when it has bound one, and fails over what the locale has no
     * characters for: such a one gets another name first.
     */
    private static void bind(ServerSocketChannel socket, Path path) throws IOException {
        if (path.toString().chars().allMatch(c -> c < 0x80)) {
            socket.bind(UnixDomainSocketAddress.of(path), BACKLOG);
            return;
        }
        Path early =
                path.resolveSibling(
                        "."
                                + ProcessHandle.current().pid()
                                + "-"
                                + ThreadLocalRandom.current().nextInt(1 << 20));
        try {
            socket.bind(UnixDomainSocketAddress.of(early), BACKLOG);
            Files.createLink(path, early);
        } catch (FileAlreadyExistsException e) {
            throw new IOException("Address already in use", e);
        } finally {
            Files.deleteIfExists(early);
        }
    }

    /**
     * Listens on a socket that is bound.
     *
     * @param afterwards called when it has been closed: to take the socket out of the file system
     */
    static @Nullable Listener unix(
            BoundPath bound, Runnable afterwards, Log log, Consumer<SocketTap> accepted) {
        return listening(List.of(bound.socket()), -2, afterwards, log, accepted);
    }

    private static Set<PosixFilePermission> permissions(int mode) {
        Set<PosixFilePermission> set = EnumSet.noneOf(PosixFilePermission.class);
        PosixFilePermission[] all = PosixFilePermission.values();
        for (int i = 0; i < all.length; i++) {
            if ((mode & 0400 >> i) != 0) {
                set.add(all[i]);
            }
        }
        return set;
    }

    private static @Nullable Object key(Path path) throws IOException {
        return Files.readAttributes(
                        path, BasicFileAttributes.class, java.nio.file.LinkOption.NOFOLLOW_LINKS)
                .fileKey();
    }

    @Override
    public void close() {
        sockets.forEach(SocketTap.Listening::close);
        if (afterwards == null) {
            noteClosed(port);
        } else {
            afterwards.run();
        }
    }
}
