package holdfast.ssh.system;

import holdfast.ssh.terminal.Terminal;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.channels.ByteChannel;
import java.nio.channels.ClosedChannelException;
import org.jspecify.annotations.Nullable;

/**
 * An open file that another process has passed to us: its standard input, output or error.
 *
 * <p>Reading and writing wait, and closing ends the wait: nobody is left behind who would take the
 * next line that is typed, or hang at a pipe that nobody empties. O_NONBLOCK, which belongs to the
 * open file and so to the other process as well, is not set for that: a pipe or terminal is opened
 * once more for ourselves, a socket is asked not to wait call by call, and what is left (files) is
 * looked at before it is used.
 */
public final class PassedFile implements ByteChannel {

    /** What it is for. */
    public enum Use {
        INPUT,
        OUTPUT
    }

    private enum Kind {
        /** Does not wait. */
        OURS,
        SOCKET,
        /** Must be looked at first. */
        OTHER
    }

    /** PIPE_BUF: a pipe that says it is ready has room for so much. */
    private static final int SURE_WRITE = 4096;

    private static final int O_ACCMODE = 3;
    private static final int O_RDONLY = 0;
    private static final int O_WRONLY = 1;
    private static final int SO_TYPE = 3;
    private static final int EFD_CLOEXEC = Native.O_CLOEXEC;
    private static final short POLLIN = 1;
    private static final short POLLOUT = 4;
    private static final int POLLFD_BYTES = 8;

    static final MemorySegment OPEN = Native.symbol("open");
    private static final MemorySegment READ = Native.symbol("read");
    private static final MemorySegment WRITE = Native.symbol("write");
    private static final MemorySegment RECV = Native.symbol("recv");
    private static final MemorySegment SEND = Native.symbol("send");
    private static final MemorySegment POLL = Native.symbol("poll");
    private static final MemorySegment EVENTFD = Native.symbol("eventfd");
    private static final MemorySegment GETSOCKOPT = Native.symbol("getsockopt");

    private final Kind kind;
    private final boolean terminal;
    private final Descriptor descriptor;

    /** Tells who waits that it is closed; made when somebody first waits. */
    private @Nullable Descriptor bell;

    private boolean closed;

    /** Takes the descriptor over. */
    PassedFile(int fd, Use use) {
        boolean pipe = isPipe(fd);
        terminal = !pipe && Terminal.isTerminal(fd);
        int own = pipe || terminal ? openedAgain(fd, use) : -1;
        if (own >= 0) {
            Native.close(fd);
            kind = Kind.OURS;
            descriptor = new Descriptor(own);
        } else {
            kind = isSocket(fd) ? Kind.SOCKET : Kind.OTHER;
            descriptor = new Descriptor(fd);
        }
    }

    private static boolean isPipe(int fd) {
        return Native.fcntl(fd, Native.F_GETPIPE_SZ, 0) > 0;
    }

    private static boolean isSocket(int fd) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment value = arena.allocate(ValueLayout.JAVA_INT);
            MemorySegment size = arena.allocate(ValueLayout.JAVA_INT);
            size.set(ValueLayout.JAVA_INT, 0, 4);
            return Native.call(
                            GETSOCKOPT,
                            fd,
                            Native.SOL_SOCKET,
                            SO_TYPE,
                            value.address(),
                            size.address(),
                            0)
                    == 0;
        }
    }

    /** The same file without waiting, for us alone; negative: it cannot be had. */
    private static int openedAgain(int fd, Use use) {
        int mode = use == Use.INPUT ? O_RDONLY : O_WRONLY;
        int given = Native.fcntl(fd, Native.F_GETFL, 0) & O_ACCMODE;
        if (given != mode && given != Native.O_RDWR) {
            return -1; // we were not given that right
        }
        try (Arena arena = Arena.ofConfined()) {
            return Native.aboveInherited(
                    Native.call(
                            OPEN,
                            Native.string(arena, "/proc/self/fd/" + fd).address(),
                            mode | Native.O_NONBLOCK | Native.O_NOCTTY | Native.O_CLOEXEC,
                            0));
        }
    }

    /** Whether it is a terminal. */
    public boolean isTerminal() {
        return terminal;
    }

    /** The size of the terminal; {@link Terminal.Size#UNKNOWN} of anything else. */
    public Terminal.Size size() {
        int fd = descriptor.enter();
        if (fd < 0) {
            return Terminal.Size.UNKNOWN;
        }
        try {
            return Terminal.sizeOf(fd);
        } finally {
            descriptor.leave();
        }
    }

    /** The modes of the terminal, encoded for pty-req; those of none for anything else. */
    public byte[] modes() {
        int fd = descriptor.enter();
        if (fd < 0) {
            return Terminal.modesOf(-1);
        }
        try {
            return Terminal.modesOf(fd);
        } finally {
            descriptor.leave();
        }
    }

    @Override
    public int read(ByteBuffer into) throws IOException {
        int room = Math.min(into.remaining(), Native.SCRATCH_BYTES);
        while (true) {
            if (kind == Kind.OTHER) {
                await(POLLIN);
            }
            MemorySegment via = into.isDirect() ? MemorySegment.ofBuffer(into) : Native.scratch();
            int count =
                    kind == Kind.SOCKET
                            ? call(RECV, via, room, Native.MSG_DONTWAIT)
                            : call(READ, via, room, 0);
            if (count > 0) {
                if (into.isDirect()) {
                    into.position(into.position() + count);
                } else {
                    into.put(via.asSlice(0, count).asByteBuffer());
                }
                return count;
            }
            switch (-count) {
                case 0, Native.EIO, Native.ECONNRESET -> {
                    return -1;
                }
                case Native.EAGAIN -> await(POLLIN);
                case Native.EINTR -> {}
                default -> throw new SystemException("read", -count);
            }
        }
    }

    @Override
    public int write(ByteBuffer from) throws IOException {
        int most = kind == Kind.OTHER ? SURE_WRITE : Native.SCRATCH_BYTES;
        int length = Math.min(from.remaining(), most);
        while (true) {
            if (kind == Kind.OTHER) {
                await(POLLOUT);
            }
            MemorySegment via;
            if (from.isDirect()) {
                via = MemorySegment.ofBuffer(from);
            } else {
                via = Native.scratch();
                MemorySegment.copy(MemorySegment.ofBuffer(from), 0, via, 0, length);
            }
            int count =
                    kind == Kind.SOCKET
                            ? call(SEND, via, length, Native.MSG_DONTWAIT | Native.MSG_NOSIGNAL)
                            : call(WRITE, via, length, 0);
            if (count >= 0) {
                from.position(from.position() + count);
                return count;
            }
            switch (-count) {
                case Native.EAGAIN -> await(POLLOUT);
                case Native.EINTR -> {}
                default -> throw new SystemException("write", -count);
            }
        }
    }

    private int call(MemorySegment function, MemorySegment via, int length, int flags)
            throws ClosedChannelException {
        int fd = descriptor.enter();
        if (fd < 0) {
            throw new ClosedChannelException();
        }
        try {
            return Native.call(function, fd, via.address(), length, flags);
        } finally {
            descriptor.leave();
        }
    }

    /** Waits until something can be done with it, or it is closed. */
    private void await(short events) throws IOException {
        Descriptor wakes = bell();
        int ring = wakes.enter();
        int fd = descriptor.enter();
        try (Arena arena = Arena.ofConfined()) {
            if (ring < 0 || fd < 0) {
                throw new ClosedChannelException();
            }
            MemorySegment both = arena.allocate(2 * POLLFD_BYTES, 8);
            both.set(ValueLayout.JAVA_INT, 0, fd);
            both.set(ValueLayout.JAVA_SHORT, 4, events);
            both.set(ValueLayout.JAVA_INT, POLLFD_BYTES, ring);
            both.set(ValueLayout.JAVA_SHORT, POLLFD_BYTES + 4L, POLLIN);
            int result;
            do {
                result = Native.call(POLL, both.address(), 2, -1);
            } while (result == -Native.EINTR);
            Native.must("poll", result);
        } finally {
            if (fd >= 0) {
                descriptor.leave();
            }
            if (ring >= 0) {
                wakes.leave();
            }
        }
        if (!isOpen()) {
            throw new ClosedChannelException();
        }
    }

    private synchronized Descriptor bell() throws IOException {
        if (closed) {
            throw new ClosedChannelException();
        }
        Descriptor now = bell;
        if (now == null) {
            now =
                    new Descriptor(
                            Native.aboveInherited(
                                    Native.must("eventfd", Native.call(EVENTFD, 0, EFD_CLOEXEC))));
            bell = now;
        }
        return now;
    }

    @Override
    public synchronized boolean isOpen() {
        return !closed;
    }

    @Override
    public void close() {
        Descriptor rings;
        synchronized (this) {
            if (closed) {
                return;
            }
            closed = true;
            rings = bell;
        }
        int ring = rings == null ? -1 : rings.enter();
        if (rings != null && ring >= 0) {
            try (Arena arena = Arena.ofConfined()) {
                MemorySegment one = arena.allocate(ValueLayout.JAVA_LONG);
                one.set(ValueLayout.JAVA_LONG, 0, 1);
                Native.call(WRITE, ring, one.address(), 8);
            } finally {
                rings.leave();
            }
            rings.close();
        }
        descriptor.close();
    }
}
