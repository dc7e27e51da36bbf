package holdfast.ssh.system;

import holdfast.ssh.octets.Octets;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.channels.ByteChannel;
import java.nio.channels.ClosedChannelException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * A Unix-domain stream socket over which open files can be passed (SCM_RIGHTS), which Java's own
 * cannot. Closing it ends what waits in it.
 *
 * <p>One thread at a time reads; any may write, each write whole.
 */
public final class LocalSocket implements ByteChannel {

    /** sun_path of sockaddr_un, its closing zero included. */
    public static final int PATH_BYTES = 108;

    /** How many connections may wait to be taken. */
    private static final int BACKLOG = 64;

    private static final int SO_PEERCRED = 17;
    private static final int SO_RCVTIMEO = 20;
    private static final int SCM_RIGHTS = 1;
    private static final int SHUT_RDWR = 2;
    private static final int MSG_CMSG_CLOEXEC = 0x40000000;

    /** The only mode that OpenSSH gives its control sockets, whatever the umask. */
    private static final int OWNER_ONLY = 0600;

    // struct msghdr, struct iovec and struct cmsghdr of 64-bit Linux
    private static final int MSGHDR_BYTES = 56;
    private static final int IOV_AT = 16;
    private static final int IOVLEN_AT = 24;
    private static final int CONTROL_AT = 32;
    private static final int CONTROLLEN_AT = 40;
    private static final int IOVEC_BYTES = 16;
    private static final int CMSG_HEAD = 16;

    /** Room for more than the one that is expected, so that all that come can be closed. */
    private static final int CONTROL_BYTES = 256;

    private static final MemorySegment SOCKET = Native.symbol("socket");
    private static final MemorySegment SOCKETPAIR = Native.symbol("socketpair");
    private static final MemorySegment BIND = Native.symbol("bind");
    private static final MemorySegment LISTEN = Native.symbol("listen");
    private static final MemorySegment ACCEPT4 = Native.symbol("accept4");
    private static final MemorySegment CONNECT = Native.symbol("connect");
    private static final MemorySegment FCHMOD = Native.symbol("fchmod");
    private static final MemorySegment LINK = Native.symbol("link");
    private static final MemorySegment UNLINK = Native.symbol("unlink");
    private static final MemorySegment READ = Native.symbol("read");
    private static final MemorySegment SEND = Native.symbol("send");
    private static final MemorySegment SENDMSG = Native.symbol("sendmsg");
    private static final MemorySegment RECVMSG = Native.symbol("recvmsg");
    private static final MemorySegment SHUTDOWN = Native.symbol("shutdown");
    private static final MemorySegment GETSOCKOPT = Native.symbol("getsockopt");
    private static final MemorySegment SETSOCKOPT = Native.symbol("setsockopt");

    private final Descriptor descriptor;

    private LocalSocket(int fd) {
        descriptor = new Descriptor(fd);
    }

    /** Two ends of one connection. */
    public record Pair(LocalSocket near, LocalSocket far) {}

    /** Ends nothing: whoever was passed this has it for himself from now on. */
    public void letGo() {
        descriptor.close();
    }

    /** A connection that has no name: one end for ourselves, and one to be passed. */
    public static Pair pair() throws SystemException {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment both = arena.allocate(ValueLayout.JAVA_INT, 2);
            Native.must(
                    "socketpair",
                    Native.call(
                            SOCKETPAIR,
                            Native.AF_UNIX,
                            Native.SOCK_STREAM_CLOEXEC,
                            0,
                            both.address()));
            return new Pair(
                    new LocalSocket(
                            Native.aboveInherited(both.getAtIndex(ValueLayout.JAVA_INT, 0))),
                    new LocalSocket(
                            Native.aboveInherited(both.getAtIndex(ValueLayout.JAVA_INT, 1))));
        }
    }

    /** Starts a program whose descriptor 3 this is. It stays ours as well. */
    Child start(Spawn program) throws IOException {
        int fd = descriptor.enter();
        if (fd < 0) {
            throw new ClosedChannelException();
        }
        try {
            return program.inherit(fd).start();
        } finally {
            descriptor.leave();
        }
    }

    /** Whether a path is short enough to be that of a socket. */
    public static boolean fits(String path) {
        return Octets.bytes(path).length < PATH_BYTES;
    }

    /** Connects; may wait while the other side's queue is full. */
    public static LocalSocket connect(String path) throws SystemException {
        int fd =
                Native.aboveInherited(
                        Native.must(
                                "socket",
                                Native.call(SOCKET, Native.AF_UNIX, Native.SOCK_STREAM_CLOEXEC)));
        boolean done = false;
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment address = address(arena, path);
            int result;
            do {
                result = Native.call(CONNECT, fd, address.address(), address.byteSize());
            } while (result == -Native.EINTR);
            Native.must("connect", result);
            done = true;
            return new LocalSocket(fd);
        } finally {
            if (!done) {
                Native.close(fd);
            }
        }
    }

    /**
     * Listens at {@code path}, where only the owner may connect: bound under the name {@code path +
     * suffix} and linked into place when it listens, so that nobody ever finds a socket there that
     * does not answer.
     *
     * @return null if there is something at {@code path} already
     */
    public static @Nullable LocalSocket listen(String path, String suffix) throws SystemException {
        int fd =
                Native.aboveInherited(
                        Native.must(
                                "socket",
                                Native.call(SOCKET, Native.AF_UNIX, Native.SOCK_STREAM_CLOEXEC)));
        boolean done = false;
        try (Arena arena = Arena.ofConfined()) {
            // The file gets the socket's own mode, less the umask: no need to touch that, which is
            // the whole process's.
            Native.must("fchmod", Native.call(FCHMOD, fd, OWNER_ONLY));
            MemorySegment address = address(arena, path + suffix);
            Native.must(
                    "cannot bind to path " + path + suffix,
                    Native.call(BIND, fd, address.address(), address.byteSize()));
            MemorySegment temporary = Native.string(arena, path + suffix);
            try {
                Native.must("listen", Native.call(LISTEN, fd, BACKLOG));
                int linked =
                        Native.call(
                                LINK, temporary.address(), Native.string(arena, path).address());
                if (linked == -Native.EEXIST) {
                    return null;
                }
                Native.must("link", linked);
            } finally {
                Native.call(UNLINK, temporary.address());
            }
            done = true;
            return new LocalSocket(fd);
        } finally {
            if (!done) {
                Native.close(fd);
            }
        }
    }

    private static MemorySegment address(Arena arena, String path) throws SystemException {
        byte[] name = Octets.bytes(path);
        if (name.length >= PATH_BYTES) {
            throw new SystemException(path, Native.ENAMETOOLONG);
        }
        MemorySegment address = arena.allocate(2L + name.length + 1, 8);
        address.set(ValueLayout.JAVA_SHORT, 0, (short) Native.AF_UNIX);
        MemorySegment.copy(name, 0, address, ValueLayout.JAVA_BYTE, 2, name.length);
        return address;
    }

    /** Waits for the next connection; null when this has been closed. */
    public @Nullable LocalSocket accept() throws SystemException {
        while (true) {
            int fd = descriptor.enter();
            if (fd < 0) {
                return null;
            }
            int made;
            try {
                made = Native.call(ACCEPT4, fd, 0, 0, Native.O_CLOEXEC);
            } finally {
                descriptor.leave();
            }
            if (made >= 0) {
                return new LocalSocket(Native.aboveInherited(made));
            }
            switch (-made) {
                case Native.EINTR, Native.ECONNABORTED -> {}
                case Native.EINVAL, Native.EBADF -> {
                    return null; // shut down
                }
                default -> throw new SystemException("accept", -made);
            }
        }
    }

    /** The user at the other end; -1 where that is not told. */
    public long peer() {
        int fd = descriptor.enter();
        if (fd < 0) {
            return -1;
        }
        try (Arena arena = Arena.ofConfined()) {
            // struct ucred: pid, uid, gid
            MemorySegment who = arena.allocate(12, 8);
            MemorySegment size = arena.allocate(ValueLayout.JAVA_INT);
            size.set(ValueLayout.JAVA_INT, 0, 12);
            int result =
                    Native.call(
                            GETSOCKOPT,
                            fd,
                            Native.SOL_SOCKET,
                            SO_PEERCRED,
                            who.address(),
                            size.address(),
                            0);
            return result == 0 ? Integer.toUnsignedLong(who.get(ValueLayout.JAVA_INT, 4)) : -1;
        } finally {
            descriptor.leave();
        }
    }

    /** How long a read waits at most before it fails; zero: for ever. */
    public void patience(Duration limit) {
        int fd = descriptor.enter();
        if (fd < 0) {
            return;
        }
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment value = arena.allocate(16, 8); // struct timeval
            value.set(ValueLayout.JAVA_LONG, 0, limit.toSeconds());
            value.set(ValueLayout.JAVA_LONG, 8, limit.toNanosPart() / 1000);
            Native.call(SETSOCKOPT, fd, Native.SOL_SOCKET, SO_RCVTIMEO, value.address(), 16, 0);
        } finally {
            descriptor.leave();
        }
    }

    /**
     * Reads exactly so many bytes, and no more: what is passed comes with the next.
     *
     * @return false at the end, also in the middle
     * @throws IOException in the system's words; {@code Resource temporarily unavailable} when the
     *     {@link #patience} is over
     */
    public boolean read(byte[] into) throws IOException {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment c = arena.allocate(Math.max(1, into.length));
            int at = 0;
            while (at < into.length) {
                int count = call(READ, c.address() + at, into.length - at, 0);
                if (count == -Native.EINTR) {
                    continue;
                }
                if (count == 0 || count == -Native.ECONNRESET) {
                    return false;
                }
                at += Native.must("read", count);
            }
            MemorySegment.copy(c, ValueLayout.JAVA_BYTE, 0, into, 0, into.length);
            return true;
        }
    }

    /** Reads what is there, waiting for the first byte; -1 at the end. */
    @Override
    public int read(ByteBuffer into) throws IOException {
        int most = into.remaining();
        if (most == 0) {
            return 0;
        }
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment c = into.isDirect() ? MemorySegment.ofBuffer(into) : arena.allocate(most);
            int count;
            do {
                count = call(READ, c.address(), most, 0);
            } while (count == -Native.EINTR);
            if (count == 0 || count == -Native.ECONNRESET) {
                return -1;
            }
            Native.must("read", count);
            if (into.isDirect()) {
                into.position(into.position() + count);
            } else {
                into.put(c.asSlice(0, count).asByteBuffer());
            }
            return count;
        }
    }

    /** Writes all of it, waiting while there is no room. */
    @Override
    public synchronized int write(ByteBuffer from) throws IOException {
        int length = from.remaining();
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment c;
            if (from.isDirect()) {
                c = MemorySegment.ofBuffer(from);
            } else {
                c = arena.allocate(Math.max(1, length));
                c.copyFrom(MemorySegment.ofBuffer(from));
            }
            int at = 0;
            while (at < length) {
                int count = call(SEND, c.address() + at, length - at, Native.MSG_NOSIGNAL);
                if (count != -Native.EINTR) {
                    at += Native.must("write", count);
                }
            }
        }
        from.position(from.limit());
        return length;
    }

    @Override
    public boolean isOpen() {
        return descriptor.isOpen();
    }

    /** Writes all of it, waiting while there is no room. */
    public synchronized void write(byte[] bytes) throws IOException {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment c = bytes(arena, bytes);
            int at = 0;
            while (at < bytes.length) {
                int count = call(SEND, c.address() + at, bytes.length - at, Native.MSG_NOSIGNAL);
                if (count != -Native.EINTR) {
                    at += Native.must("write", count);
                }
            }
        }
    }

    /**
     * Writes all of it without waiting.
     *
     * @return false if there is no room for it: the other side does not read, and what it would
     *     read now is not whole any more
     */
    public synchronized boolean offer(byte[] bytes) throws IOException {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment c = bytes(arena, bytes);
            int flags = Native.MSG_NOSIGNAL | Native.MSG_DONTWAIT;
            int count;
            do {
                count = call(SEND, c.address(), bytes.length, flags);
            } while (count == -Native.EINTR);
            if (count == -Native.EAGAIN) {
                return false;
            }
            return Native.must("write", count) == bytes.length;
        }
    }

    private static MemorySegment bytes(Arena arena, byte[] bytes) {
        MemorySegment c = arena.allocate(Math.max(1, bytes.length));
        MemorySegment.copy(bytes, 0, c, ValueLayout.JAVA_BYTE, 0, bytes.length);
        return c;
    }

    private int call(MemorySegment function, long address, long length, long flags)
            throws ClosedChannelException {
        int fd = descriptor.enter();
        if (fd < 0) {
            throw new ClosedChannelException();
        }
        try {
            return Native.call(function, fd, address, length, flags);
        } finally {
            descriptor.leave();
        }
    }

    // --- open files

    /** Passes a descriptor of ours, with a byte of zero. */
    public synchronized void pass(int passed) throws IOException {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment control = arena.allocate(24, 8);
            control.set(ValueLayout.JAVA_LONG, 0, CMSG_HEAD + 4L);
            control.set(ValueLayout.JAVA_INT, 8, Native.SOL_SOCKET);
            control.set(ValueLayout.JAVA_INT, 12, SCM_RIGHTS);
            control.set(ValueLayout.JAVA_INT, CMSG_HEAD, passed);
            MemorySegment message = message(arena, control);
            int count;
            do {
                count = call(SENDMSG, message.address(), Native.MSG_NOSIGNAL, 0);
            } while (count == -Native.EINTR);
            Native.must("sendmsg", count);
        }
    }

    /** Passes the descriptor of another socket, which stays ours as well. */
    public void pass(LocalSocket other) throws IOException {
        int fd = other.descriptor.enter();
        if (fd < 0) {
            throw new ClosedChannelException();
        }
        try {
            pass(fd);
        } finally {
            other.descriptor.leave();
        }
    }

    /** Passes /dev/null in place of what would be read. */
    public void passNothing() throws IOException {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment nowhere = Native.string(arena, "/dev/null");
            int fd =
                    Native.must(
                            "open",
                            Native.call(
                                    PassedFile.OPEN,
                                    nowhere.address(),
                                    Native.O_RDWR | Native.O_CLOEXEC,
                                    0));
            try {
                pass(fd);
            } finally {
                Native.close(fd);
            }
        }
    }

    /**
     * Takes one that was passed, with its byte.
     *
     * @return null if there was none with the byte, or more than one, or the end
     */
    public @Nullable PassedFile receive(PassedFile.Use use) throws IOException {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment control = arena.allocate(CONTROL_BYTES, 8);
            MemorySegment message = message(arena, control);
            int count;
            do {
                count = call(RECVMSG, message.address(), MSG_CMSG_CLOEXEC, 0);
            } while (count == -Native.EINTR);
            if (count < 0 && count != -Native.ECONNRESET) {
                throw new SystemException("recvmsg", -count);
            }
            int[] all = passed(control, message.get(ValueLayout.JAVA_LONG, CONTROLLEN_AT));
            if (count == 1 && all.length == 1) {
                return new PassedFile(Native.aboveInherited(all[0]), use);
            }
            for (int fd : all) {
                Native.close(fd);
            }
            return null;
        }
    }

    /** A message of one byte. */
    private static MemorySegment message(Arena arena, MemorySegment control) {
        MemorySegment vector = arena.allocate(IOVEC_BYTES, 8);
        vector.set(ValueLayout.JAVA_LONG, 0, arena.allocate(1).address());
        vector.set(ValueLayout.JAVA_LONG, 8, 1);
        MemorySegment message = arena.allocate(MSGHDR_BYTES, 8);
        message.set(ValueLayout.JAVA_LONG, IOV_AT, vector.address());
        message.set(ValueLayout.JAVA_LONG, IOVLEN_AT, 1);
        message.set(ValueLayout.JAVA_LONG, CONTROL_AT, control.address());
        message.set(ValueLayout.JAVA_LONG, CONTROLLEN_AT, control.byteSize());
        return message;
    }

    private static int[] passed(MemorySegment control, long length) {
        int[] all = new int[CONTROL_BYTES / 4];
        int found = 0;
        long at = 0;
        while (at + CMSG_HEAD <= length) {
            long size = control.get(ValueLayout.JAVA_LONG, at);
            if (size < CMSG_HEAD || at + size > length) {
                break;
            }
            if (control.get(ValueLayout.JAVA_INT, at + 8) == Native.SOL_SOCKET
                    && control.get(ValueLayout.JAVA_INT, at + 12) == SCM_RIGHTS) {
                for (long fd = at + CMSG_HEAD; fd + 4 <= at + size; fd += 4) {
                    all[found++] = control.get(ValueLayout.JAVA_INT, fd);
                }
            }
            at += (size + 7) & -8;
        }
        return Arrays.copyOf(all, found);
    }

    /** Ends what waits, here and at the other end, which reads what was written before. */
    @Override
    public void close() {
        int fd = descriptor.enter();
        if (fd >= 0) {
            try {
                Native.call(SHUTDOWN, fd, SHUT_RDWR);
            } finally {
                descriptor.leave();
            }
            descriptor.close();
        }
    }

    /** The name of a socket that has nobody behind it any more is taken away. */
    public static void unlink(Path path) {
        try (Arena arena = Arena.ofConfined()) {
            Native.call(UNLINK, Native.string(arena, path.toString()).address());
        }
    }
}
