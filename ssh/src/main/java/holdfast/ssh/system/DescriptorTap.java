package holdfast.ssh.system;

import holdfast.ssh.stream.Tap;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.channels.ClosedChannelException;
import org.jspecify.annotations.Nullable;

/** A tap on a descriptor: a pipe, a socket pair, a terminal's master side. */
final class DescriptorTap implements Tap, Poller.Watched {

    /** What finishing the output means. */
    enum Kind {
        /** One direction only: finishing closes it. */
        PIPE,
        SOCKET,
        /** Its output has no end. */
        TERMINAL
    }

    private static final int SHUT_WR = 1;

    private static final MemorySegment READ = Native.symbol("read");
    private static final MemorySegment WRITE = Native.symbol("write");
    private static final MemorySegment SHUTDOWN = Native.symbol("shutdown");

    private final Kind kind;
    private final Descriptor descriptor;
    private final Poller poller;
    private final long ticket;

    // guarded by this
    private @Nullable Ready reader;
    private @Nullable Ready writer;
    private boolean added;
    private boolean closed;

    /** Takes the descriptor over, also when it throws. */
    DescriptorTap(int fd, Kind kind) throws SystemException {
        this.kind = kind;
        this.descriptor = new Descriptor(fd);
        try {
            int flags = Native.must("fcntl", Native.fcntl(fd, Native.F_GETFL, 0));
            Native.must("fcntl", Native.fcntl(fd, Native.F_SETFL, flags | Native.O_NONBLOCK));
            this.poller = Poller.poller();
        } catch (SystemException e) {
            descriptor.close();
            throw e;
        }
        this.ticket = poller.ticket(this);
    }

    Descriptor descriptor() {
        return descriptor;
    }

    @Override
    public synchronized void wantRead(Ready ready) {
        reader = ready;
        arm();
    }

    @Override
    public synchronized void wantWrite(Ready ready) {
        writer = ready;
        arm();
    }

    /** Under the lock. */
    private void arm() {
        int fd = descriptor.enter();
        if (fd < 0) {
            reader = null;
            writer = null;
            return;
        }
        int result;
        try {
            int events =
                    (reader == null ? 0 : Poller.IN | Poller.RDHUP)
                            | (writer == null ? 0 : Poller.OUT);
            result = added ? poller.again(fd, events, ticket) : poller.add(fd, events, ticket);
        } finally {
            descriptor.leave();
        }
        if (result == 0) {
            added = true;
        } else {
            // A file is always ready (EPERM); whatever else is wrong the next read will tell.
            poller.run(() -> fired(Poller.IN | Poller.OUT));
        }
    }

    @Override
    public void fired(int events) {
        Ready read = null;
        Ready write = null;
        synchronized (this) {
            if (closed) {
                return;
            }
            if ((events & ~Poller.OUT) != 0) {
                read = reader;
                reader = null;
            }
            if ((events & (Poller.OUT | Poller.HUP | Poller.ERR)) != 0) {
                write = writer;
                writer = null;
            }
            if (reader != null || writer != null) {
                arm();
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
        int room = Math.min(into.remaining(), Native.SCRATCH_BYTES);
        if (room == 0) {
            return 0;
        }
        MemorySegment via = into.isDirect() ? MemorySegment.ofBuffer(into) : Native.scratch();
        int count = move(READ, via, room);
        if (count > 0) {
            if (into.isDirect()) {
                into.position(into.position() + count);
            } else {
                into.put(via.asSlice(0, count).asByteBuffer());
            }
            return count;
        }
        return switch (-count) {
            case 0, Native.EIO, Native.ECONNRESET -> -1;
            case Native.EAGAIN -> 0;
            default -> throw new SystemException("read", -count);
        };
    }

    @Override
    public int write(ByteBuffer from) throws IOException {
        int length = Math.min(from.remaining(), Native.SCRATCH_BYTES);
        if (length == 0) {
            return 0;
        }
        MemorySegment via;
        if (from.isDirect()) {
            via = MemorySegment.ofBuffer(from);
        } else {
            via = Native.scratch();
            MemorySegment.copy(MemorySegment.ofBuffer(from), 0, via, 0, length);
        }
        int count = move(WRITE, via, length);
        if (count >= 0) {
            from.position(from.position() + count);
            return count;
        }
        if (count == -Native.EAGAIN) {
            return 0;
        }
        throw new SystemException("write", -count);
    }

    private int move(MemorySegment function, MemorySegment via, int length)
            throws ClosedChannelException {
        int fd = descriptor.enter();
        if (fd < 0) {
            throw new ClosedChannelException();
        }
        try {
            int count;
            do {
                count = Native.call(function, fd, via.address(), length);
            } while (count == -Native.EINTR);
            return count;
        } finally {
            descriptor.leave();
        }
    }

    @Override
    public void finishOutput() throws IOException {
        switch (kind) {
            case PIPE -> close();
            case SOCKET -> {
                int fd = descriptor.enter();
                if (fd >= 0) {
                    try {
                        // Refused only when the other side is gone, which a read tells.
                        Native.call(SHUTDOWN, fd, SHUT_WR);
                    } finally {
                        descriptor.leave();
                    }
                }
            }
            case TERMINAL -> {}
        }
    }

    @Override
    public void close() {
        synchronized (this) {
            closed = true;
            reader = null;
            writer = null;
        }
        poller.forget(ticket);
        descriptor.close();
    }
}
