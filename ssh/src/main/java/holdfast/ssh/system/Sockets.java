package holdfast.ssh.system;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.net.Inet6Address;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.SocketAddress;
import java.net.UnknownHostException;
import java.nio.channels.AsynchronousSocketChannel;
import java.nio.channels.NetworkChannel;
import java.nio.channels.SocketChannel;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import jdk.net.ExtendedSocketOptions;
import jdk.net.UnixDomainPrincipal;
import org.jspecify.annotations.Nullable;

/**
 * What Java does not tell or set of a socket.
 *
 * <p>Java does not tell a socket's descriptor either: it is looked for among all of this process's
 * by its addresses, some microseconds for each that is open. So a limit for many connections is
 * better set once, on the listening socket, from which they inherit it.
 */
public final class Sockets {

    private static final int IPPROTO_TCP = 6;
    private static final int TCP_USER_TIMEOUT = 18;
    private static final int TCP_INFO = 11;
    private static final int TCP_INFO_BYTES = 256;

    /** Up to and with tcpi_min_rtt: Linux 4.9. */
    private static final int TCP_INFO_NEEDED = 152;

    /** sockaddr_storage. */
    private static final int ADDRESS_BYTES = 128;

    private static final MemorySegment GETSOCKNAME = Native.symbol("getsockname");
    private static final MemorySegment GETPEERNAME = Native.symbol("getpeername");
    private static final MemorySegment GETSOCKOPT = Native.symbol("getsockopt");
    private static final MemorySegment SETSOCKOPT = Native.symbol("setsockopt");

    private static final int IPPROTO_IP = 0;
    private static final int IP_TOS = 1;
    private static final int IPPROTO_IPV6 = 41;
    private static final int IPV6_TCLASS = 67;

    private static final MemorySegment SOCKET = Native.symbol("socket");
    private static final MemorySegment BIND = Native.symbol("bind");
    private static final MemorySegment LISTEN = Native.symbol("listen");
    private static final MemorySegment DUP3 = Native.symbol("dup3");

    private static final int SO_REUSEADDR = 2;
    private static final int SO_KEEPALIVE = 9;
    private static final int TCP_NODELAY = 1;
    private static final int IPV6_V6ONLY = 26;

    /** After so many numbers that are no descriptors come no more: the system gives the lowest. */
    private static final int GAP = 1024;

    private Sockets() {}

    /** Who is at the other end of a Unix socket. */
    public record Peer(int uid, int gid) {}

    /** The two ends of a TCP socket; a listener has no peer. */
    public record Ends(InetSocketAddress local, @Nullable InetSocketAddress peer) {}

    /**
     * Some of TCP_INFO (tcp(7)).
     *
     * @param unacknowledged segments sent and not acknowledged
     * @param retransmitted segments sent again, ever
     * @param notSent bytes that wait in the send buffer
     */
    public record Tcp(
            Duration roundTrip,
            Duration minimumRoundTrip,
            Duration sinceDataReceived,
            Duration sinceAckReceived,
            int unacknowledged,
            int retransmitted,
            long notSent) {}

    /** SO_PEERCRED; asks the user database, and so may wait. */
    public static Optional<Peer> peer(SocketChannel unix) {
        try {
            UnixDomainPrincipal who = unix.getOption(ExtendedSocketOptions.SO_PEERCRED);
            String user = who.user().getName();
            String group = who.group().getName();
            // Java gives the name, or the number where there is no name.
            Optional<Integer> uid = Accounts.named(user).map(Account::uid).or(() -> number(user));
            Optional<Integer> gid = Accounts.group(group).or(() -> number(group));
            return uid.flatMap(u -> gid.map(g -> new Peer(u, g)));
        } catch (IOException | UnsupportedOperationException e) {
            return Optional.empty();
        }
    }

    private static Optional<Integer> number(String text) {
        try {
            return Optional.of(Integer.parseUnsignedInt(text));
        } catch (NumberFormatException e) {
            return Optional.empty();
        }
    }

    /**
     * TCP_USER_TIMEOUT: how long the kernel lets sent data go unacknowledged before it gives the
     * connection up; zero is the system's own limit. For a listener or a connection.
     *
     * @return false if it could not be set
     */
    public static boolean userTimeout(NetworkChannel tcp, Duration limit) {
        int millis = Math.clamp(limit.toMillis(), 0, Integer.MAX_VALUE);
        int fd = descriptor(tcp);
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment value = arena.allocate(ValueLayout.JAVA_INT);
            value.set(ValueLayout.JAVA_INT, 0, millis);
            long at = value.address();
            return fd >= 0
                    && Native.call(SETSOCKOPT, fd, IPPROTO_TCP, TCP_USER_TIMEOUT, at, 4, 0) == 0;
        }
    }

    /**
     * Has {@code listener}, which listens somewhere, listen at {@code address} instead, and for
     * that address's own family only. Java's listeners are sockets of IPv6 that take IPv4 as well,
     * and its 0.0.0.0 is ::. The caller holds the listener open, and nobody accepts from it yet.
     *
     * @return where it listens: with a port where none was asked for
     */
    public static InetSocketAddress listenAt(
            NetworkChannel listener, InetSocketAddress address, int backlog)
            throws SystemException {
        Ends there = ends(listener);
        int java = there == null ? -1 : listening(there.local);
        if (java < 0) {
            throw new SystemException("listen", Native.EBADF);
        }
        byte[] host = address.getAddress().getAddress();
        boolean six = host.length == 16;
        int fd =
                Native.must(
                        "socket",
                        Native.call(
                                SOCKET,
                                six ? Native.AF_INET6 : Native.AF_INET,
                                Native.SOCK_STREAM | Native.O_CLOEXEC | Native.O_NONBLOCK,
                                0));
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment on = arena.allocate(ValueLayout.JAVA_INT);
            on.set(ValueLayout.JAVA_INT, 0, 1);
            long at = on.address();
            Native.call(SETSOCKOPT, fd, Native.SOL_SOCKET, SO_REUSEADDR, at, 4, 0);
            if (six) {
                Native.must(
                        "setsockopt IPV6_V6ONLY",
                        Native.call(SETSOCKOPT, fd, IPPROTO_IPV6, IPV6_V6ONLY, at, 4, 0));
            }
            MemorySegment name = arena.allocate(ADDRESS_BYTES, 8);
            name.set(ValueLayout.JAVA_SHORT, 0, (short) (six ? Native.AF_INET6 : Native.AF_INET));
            name.set(ValueLayout.JAVA_BYTE, 2, (byte) (address.getPort() >> 8));
            name.set(ValueLayout.JAVA_BYTE, 3, (byte) address.getPort());
            MemorySegment.copy(host, 0, name, ValueLayout.JAVA_BYTE, six ? 8 : 4, host.length);
            if (address.getAddress() instanceof Inet6Address inet6) {
                name.set(ValueLayout.JAVA_INT, 24, inet6.getScopeId());
            }
            Native.must("bind", Native.call(BIND, fd, name.address(), six ? 28 : 16));
            Native.must("listen", Native.call(LISTEN, fd, backlog));
            Native.must("dup3", Native.call(DUP3, fd, java, Native.O_CLOEXEC));
            InetSocketAddress bound = name(GETSOCKNAME, java);
            return bound == null ? address : bound;
        } finally {
            Native.close(fd);
        }
    }

    /**
     * Whom standard input comes from, if that is a TCP connection, as inetd and systemd give one;
     * null: it is none.
     */
    public static @Nullable Ends standardInput() {
        Ends ends = ends(0);
        return ends == null || ends.peer == null ? null : ends;
    }

    /**
     * Has standard input, a TCP connection, send what there is at once.
     *
     * @param alive SO_KEEPALIVE too
     */
    public static void prepareStandardInput(boolean alive) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment on = arena.allocate(ValueLayout.JAVA_INT);
            on.set(ValueLayout.JAVA_INT, 0, 1);
            long at = on.address();
            Native.call(SETSOCKOPT, 0, IPPROTO_TCP, TCP_NODELAY, at, 4, 0);
            if (alive) {
                Native.call(SETSOCKOPT, 0, Native.SOL_SOCKET, SO_KEEPALIVE, at, 4, 0);
            }
        }
    }

    private static int listening(InetSocketAddress local) {
        int absent = 0;
        for (int fd = 0; absent < GAP; fd++) {
            MemorySegment scratch = Native.scratch();
            MemorySegment size = scratch.asSlice(ADDRESS_BYTES, 4);
            size.set(ValueLayout.JAVA_INT, 0, ADDRESS_BYTES);
            int result = Native.call(GETSOCKNAME, fd, scratch.address(), size.address());
            absent = result == -Native.EBADF ? absent + 1 : 0;
            if (result == 0 && local.equals(name(GETSOCKNAME, fd))) {
                return fd;
            }
        }
        return -1;
    }

    /** The limit that holds now, null if it is not known. */
    public static @Nullable Duration userTimeout(NetworkChannel tcp) {
        int fd = descriptor(tcp);
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment value = arena.allocate(ValueLayout.JAVA_INT);
            MemorySegment size = arena.allocate(ValueLayout.JAVA_INT);
            size.set(ValueLayout.JAVA_INT, 0, 4);
            int result =
                    Native.call(
                            GETSOCKOPT,
                            fd,
                            IPPROTO_TCP,
                            TCP_USER_TIMEOUT,
                            value.address(),
                            size.address(),
                            0);
            return result == 0
                    ? Duration.ofMillis(Integer.toUnsignedLong(value.get(ValueLayout.JAVA_INT, 0)))
                    : null;
        }
    }

    /**
     * Marks what is sent on the TCP connection between these two for the network: the byte of type
     * of service or traffic class (ip(7), ipv6(7)). The caller holds the connection open.
     *
     * @return false if it is none of this process's, or could not be marked
     */
    public static boolean mark(InetSocketAddress local, InetSocketAddress peer, int service) {
        int fd = connected(new Ends(local, peer));
        if (fd < 0) {
            return false;
        }
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment value = arena.allocate(ValueLayout.JAVA_INT);
            value.set(ValueLayout.JAVA_INT, 0, service);
            long at = value.address();
            // A socket of IPv6 that carries IPv4 has both.
            boolean four = Native.call(SETSOCKOPT, fd, IPPROTO_IP, IP_TOS, at, 4, 0) == 0;
            boolean six = Native.call(SETSOCKOPT, fd, IPPROTO_IPV6, IPV6_TCLASS, at, 4, 0) == 0;
            return four || six;
        }
    }

    /** Without /proc, which tells of ten thousand descriptors more slowly than they are asked. */
    private static int connected(Ends ends) {
        int absent = 0;
        for (int fd = 0; absent < GAP; fd++) {
            MemorySegment scratch = Native.scratch();
            MemorySegment size = scratch.asSlice(ADDRESS_BYTES, 4);
            size.set(ValueLayout.JAVA_INT, 0, ADDRESS_BYTES);
            int result = Native.call(GETPEERNAME, fd, scratch.address(), size.address());
            absent = result == -Native.EBADF ? absent + 1 : 0;
            if (result == 0 && ends.equals(ends(fd))) {
                return fd;
            }
        }
        return -1;
    }

    /** The caller holds the channel open; -1 if it is none of ours or closed. */
    private static int descriptor(NetworkChannel tcp) {
        Ends ends = ends(tcp);
        if (ends != null) {
            for (int fd : descriptors()) {
                if (ends.equals(ends(fd))) {
                    return fd;
                }
            }
        }
        return -1;
    }

    /** What the kernel knows of one connection. */
    public static Optional<Tcp> info(NetworkChannel tcp) {
        Ends ends = ends(tcp);
        return ends == null ? Optional.empty() : Optional.ofNullable(find(ends).get(ends));
    }

    /** The same of all this process has, in one go. */
    public static Map<Ends, Tcp> infos() {
        return find(null);
    }

    private static Map<Ends, Tcp> find(@Nullable Ends only) {
        Map<Ends, Tcp> found = new HashMap<>();
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment info = arena.allocate(TCP_INFO_BYTES, 8);
            MemorySegment size = arena.allocate(ValueLayout.JAVA_INT);
            for (int fd : descriptors()) {
                Ends ends = ends(fd);
                if (ends == null || ends.peer == null || (only != null && !only.equals(ends))) {
                    continue;
                }
                size.set(ValueLayout.JAVA_INT, 0, TCP_INFO_BYTES);
                int result =
                        Native.call(
                                GETSOCKOPT,
                                fd,
                                IPPROTO_TCP,
                                TCP_INFO,
                                info.address(),
                                size.address(),
                                0);
                if (result == 0 && size.get(ValueLayout.JAVA_INT, 0) >= TCP_INFO_NEEDED) {
                    found.put(ends, read(info));
                }
            }
        }
        return found;
    }

    /** By the offsets of struct tcp_info in linux/tcp.h, which only ever grows at its end. */
    private static Tcp read(MemorySegment info) {
        return new Tcp(
                micros(info, 68),
                micros(info, 148),
                millis(info, 52),
                millis(info, 56),
                info.get(ValueLayout.JAVA_INT, 24),
                info.get(ValueLayout.JAVA_INT, 100),
                Integer.toUnsignedLong(info.get(ValueLayout.JAVA_INT, 144)));
    }

    private static Duration micros(MemorySegment info, long at) {
        long value = Integer.toUnsignedLong(info.get(ValueLayout.JAVA_INT, at));
        return Duration.ofNanos(value * 1000);
    }

    private static Duration millis(MemorySegment info, long at) {
        return Duration.ofMillis(Integer.toUnsignedLong(info.get(ValueLayout.JAVA_INT, at)));
    }

    private static List<Integer> descriptors() {
        List<Integer> all = new ArrayList<>();
        try (DirectoryStream<Path> open = Files.newDirectoryStream(Path.of("/proc/self/fd"))) {
            for (Path one : open) {
                number(one.getFileName().toString()).ifPresent(all::add);
            }
        } catch (IOException e) {
            // No /proc: nothing is found.
        }
        return all;
    }

    private static @Nullable Ends ends(NetworkChannel tcp) {
        try {
            SocketAddress peer =
                    switch (tcp) {
                        case SocketChannel channel -> channel.getRemoteAddress();
                        case AsynchronousSocketChannel channel -> channel.getRemoteAddress();
                        default -> null;
                    };
            return tcp.getLocalAddress() instanceof InetSocketAddress local
                    ? new Ends(local, peer instanceof InetSocketAddress inet ? inet : null)
                    : null;
        } catch (IOException e) {
            return null;
        }
    }

    private static @Nullable Ends ends(int fd) {
        InetSocketAddress local = name(GETSOCKNAME, fd);
        return local == null ? null : new Ends(local, name(GETPEERNAME, fd));
    }

    private static @Nullable InetSocketAddress name(MemorySegment function, int fd) {
        MemorySegment scratch = Native.scratch();
        MemorySegment size = scratch.asSlice(ADDRESS_BYTES, 4);
        size.set(ValueLayout.JAVA_INT, 0, ADDRESS_BYTES);
        if (Native.call(function, fd, scratch.address(), size.address()) != 0) {
            return null;
        }
        int bytes =
                switch (scratch.get(ValueLayout.JAVA_SHORT, 0)) {
                    case Native.AF_INET -> 4;
                    case Native.AF_INET6 -> 16;
                    default -> 0;
                };
        if (bytes == 0) {
            return null;
        }
        byte[] address = new byte[bytes];
        MemorySegment.copy(scratch, ValueLayout.JAVA_BYTE, bytes == 4 ? 4 : 8, address, 0, bytes);
        int port =
                Byte.toUnsignedInt(scratch.get(ValueLayout.JAVA_BYTE, 2)) << 8
                        | Byte.toUnsignedInt(scratch.get(ValueLayout.JAVA_BYTE, 3));
        try {
            return new InetSocketAddress(InetAddress.getByAddress(address), port);
        } catch (UnknownHostException e) {
            return null;
        }
    }
}
