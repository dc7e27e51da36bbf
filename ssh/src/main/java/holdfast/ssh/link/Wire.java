package holdfast.ssh.link;

import java.io.IOException;
import java.net.SocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.ByteChannel;
import java.nio.channels.ClosedChannelException;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;
import org.apache.sshd.common.future.CloseFuture;
import org.apache.sshd.common.io.AbstractIoWriteFuture;
import org.apache.sshd.common.io.IoHandler;
import org.apache.sshd.common.io.IoService;
import org.apache.sshd.common.io.IoSession;
import org.apache.sshd.common.io.IoWriteFuture;
import org.apache.sshd.common.util.Readable;
import org.apache.sshd.common.util.buffer.Buffer;
import org.apache.sshd.common.util.closeable.AbstractCloseable;
import org.jspecify.annotations.Nullable;

/**
 * MINA's view of one blocking byte stream: a TCP connection, a proxy command's pipes, a jump host's
 * channel, and later a tether.
 *
 * <p>Two threads: the reader hands every byte that comes to MINA, the writer takes packets from a
 * queue and writes as many as there are in one go. A thread that must not wait never waits for a
 * packet to be written, so that a full send buffer stops neither the reader nor the loop that
 * judges the link. But one that {@link #hold holds} spares two threads' waking: it writes the queue
 * itself, by {@link #flush} if it may wait, by {@link #pass} as far as goes without. What can queue
 * up is bounded by the peer's channel windows. A stream that keeps what is sent takes packets
 * without a queue, as long as it has room.
 */
public final class Wire extends AbstractCloseable implements IoSession {

    /** What the stream's end looked like from here. */
    public sealed interface End {
        /** The peer closed its side in order. */
        record Eof() implements End {}

        /** Reading failed. */
        record ReadFailed(IOException error) implements End {}

        /** Writing failed. */
        record WriteFailed(IOException error) implements End {}
    }

    /** Told of what happens on the stream; called on the wire's own threads. */
    public interface Listener {
        void heardBytes();

        void ended(End end);
    }

    /** The first reads of the socket: as much as comes until a command runs. */
    private static final int FIRST_READ = 32 * 1024;

    /** One read of the socket once one has filled the first: several of OpenSSH's packets. */
    private static final int READ_SIZE = 256 * 1024;

    /** What has less than this share of it left is full. */
    private static final int NEARLY = 64;

    /**
     * After so many bytes, of either direction, a reader that has emptied the socket lets some more
     * come before it looks again: to be woken for each packet, or each window the peer gives back,
     * costs more than the packet. What a peer may send without an answer is much more than this.
     */
    private static final int POURING = 128 * 1024;

    /** How long it lets them come: 0.5 ms. */
    private static final long PAUSE_NANOS = 500_000;

    /** One write of the socket at most, so that packets queue behind no more than this. */
    private static final int WRITE_SIZE = 256 * 1024;

    /** The queue to begin with: one full packet, or two. */
    private static final int QUEUE_SIZE = 64 * 1024;

    private static final AtomicLong IDS = new AtomicLong();

    private static final class Pending extends AbstractIoWriteFuture {
        /** Where the packet ends, counted from the connection's first byte. */
        final long end;

        Pending(long end) {
            super("write", null);
            this.end = end;
        }
    }

    private final long id = IDS.incrementAndGet();
    private final ByteChannel stream;
    private final @Nullable InstantChannel instant;
    private final @Nullable KeepingChannel keeper;
    private final SocketAddress local;
    private final SocketAddress remote;
    private final IoHandler handler;
    private final Listener listener;
    private final Map<Object, Object> attributes = new ConcurrentHashMap<>();

    private final Object queueLock = new Object();
    // Guarded by the lock; the slice that is being written belongs to the thread that set
    // `writing`.
    private final Ring queue = new Ring(QUEUE_SIZE);
    private final ArrayDeque<Pending> pending = new ArrayDeque<>();
    private long queued;
    private long written;
    private boolean writing;
    private boolean noMoreWrites;
    private final Set<Thread> holders = new HashSet<>();

    private volatile boolean settled;
    private volatile long heard; // the reader's to write

    private final Object readLock = new Object();
    private boolean suspended;

    public Wire(
            ByteChannel stream,
            SocketAddress local,
            SocketAddress remote,
            IoHandler handler,
            Listener listener) {
        this.stream = stream;
        this.instant = stream instanceof InstantChannel able ? able : null;
        this.keeper = stream instanceof KeepingChannel able ? able : null;
        this.local = local;
        this.remote = remote;
        this.handler = handler;
        this.listener = listener;
    }

    /** Starts reading and writing; the handler must know this session by now. */
    public void start(String name) {
        start(name, Thread.ofPlatform().daemon());
    }

    /** The same on threads of that kind. */
    public void start(String name, Thread.Builder threads) {
        threads.name(name + "-writer").start(this::write);
        threads.name(name + "-reader").start(this::read);
    }

    // --- the reader's thread

    private void read() {
        ByteBuffer buffer = ByteBuffer.allocateDirect(FIRST_READ);
        Readable readable = Readable.readable(buffer);
        long pausedAt = 0;
        try {
            while (awaitResumed()) {
                buffer.clear();
                int count = stream.read(buffer);
                if (count < 0) {
                    listener.ended(new End.Eof());
                    close(true);
                    return;
                }
                // Before it is handled: whoever learns of the end by it may ask at once.
                long all = heard + count;
                heard = all;
                listener.heardBytes();
                // A tether keeps the heads of its frames to itself: it never fills a buffer quite.
                boolean full = buffer.remaining() < buffer.capacity() / NEARLY;
                buffer.flip();
                boolean holds = settled;
                if (holds) {
                    hold();
                }
                try {
                    handler.messageReceived(this, readable);
                } finally {
                    if (holds) {
                        pass();
                    }
                }
                if (!full && all + written() - pausedAt >= POURING) {
                    LockSupport.parkNanos(this, PAUSE_NANOS);
                    pausedAt = all + written();
                }
                if (full && buffer.capacity() < READ_SIZE) {
                    buffer = ByteBuffer.allocateDirect(READ_SIZE);
                    readable = Readable.readable(buffer);
                }
            }
        } catch (ClosedChannelException e) {
            closed(new End.ReadFailed(e), e);
        } catch (IOException e) {
            fail(new End.ReadFailed(e), e);
        } catch (Exception e) {
            // MINA's word for a peer that breaks the protocol; it tells the peer and closes
            report(e);
        }
    }

    /**
     * The login is over: from now on whoever handles what is read waits for nobody, so that what is
     * said to it can be written by the reader itself.
     */
    public void settle() {
        settled = true;
    }

    /** How many bytes were read so far. */
    public long heard() {
        return heard;
    }

    /** How many bytes were written so far. */
    public long written() {
        synchronized (queueLock) {
            return written;
        }
    }

    private boolean awaitResumed() {
        synchronized (readLock) {
            while (suspended && isOpen()) {
                try {
                    readLock.wait();
                } catch (InterruptedException e) {
                    return false;
                }
            }
        }
        return isOpen();
    }

    // --- the writer's thread, or one that holds

    private void write() {
        while (awaitQueued()) {
            writeQueued(null);
        }
    }

    /** Waits for something to write that nobody is writing; false when there will be no more. */
    private boolean awaitQueued() {
        synchronized (queueLock) {
            while ((queue.held() == 0 && pending.isEmpty()) || writing) {
                if (noMoreWrites) {
                    return false;
                }
                try {
                    queueLock.wait();
                } catch (InterruptedException e) {
                    return false;
                }
            }
            return !noMoreWrites;
        }
    }

    /**
     * Writes until the queue is empty, unless another thread is at it.
     *
     * @param to writes what goes without waiting, and the writer has the rest; null: waits
     */
    private void writeQueued(@Nullable InstantChannel to) {
        List<Pending> whole = new ArrayList<>();
        ByteBuffer some;
        synchronized (queueLock) {
            if (writing || noMoreWrites) {
                return;
            }
            some = queue.oldest(WRITE_SIZE);
            if (!some.hasRemaining() && pending.isEmpty()) {
                return;
            }
            writing = true;
        }
        try {
            boolean more = true;
            while (more) {
                int count = some.remaining();
                boolean full = false;
                while (some.hasRemaining() && !full) {
                    full = (to == null ? stream.write(some) : to.writeNow(some)) == 0 && to != null;
                }
                count -= some.remaining();
                synchronized (queueLock) {
                    if (noMoreWrites) {
                        return;
                    }
                    queue.drop(count);
                    written += count;
                    while (!pending.isEmpty() && pending.getFirst().end <= written) {
                        whole.add(pending.removeFirst());
                    }
                    some = queue.oldest(WRITE_SIZE);
                    more = some.hasRemaining() && !full;
                    writing = more;
                    if (full) {
                        queueLock.notifyAll();
                    }
                }
                for (Pending packet : whole) {
                    packet.setValue(true);
                }
                whole.clear();
            }
        } catch (ClosedChannelException e) {
            closed(new End.WriteFailed(e), e);
        } catch (IOException e) {
            fail(new End.WriteFailed(e), e);
        }
    }

    /**
     * From now until {@link #flush}, {@link #pass} or {@link #release} what the calling thread
     * queues wakes nobody. It must not wait for an answer meanwhile.
     */
    public void hold() {
        synchronized (queueLock) {
            holders.add(Thread.currentThread());
        }
    }

    /** Ends {@link #hold}, and leaves what is queued to the writer. */
    public void release() {
        synchronized (queueLock) {
            if (holders.remove(Thread.currentThread()) && queue.held() > 0) {
                queueLock.notifyAll();
            }
        }
        sendKept(false);
    }

    /** Ends {@link #hold}, and writes what is queued, by whomever; blocks as the stream does. */
    public void flush() {
        synchronized (queueLock) {
            holders.remove(Thread.currentThread());
        }
        sendKept(true);
        writeQueued(null);
    }

    /** Ends {@link #hold}: writes what goes without waiting, and leaves the rest to the writer. */
    public void pass() {
        InstantChannel to = instant;
        if (to == null) {
            release();
            return;
        }
        synchronized (queueLock) {
            holders.remove(Thread.currentThread());
        }
        sendKept(false);
        writeQueued(to);
    }

    private void sendKept(boolean waits) {
        if (keeper != null) {
            keeper.send(waits);
        }
    }

    /** Takes a copy: the buffer is the caller's again at once. */
    @Override
    public IoWriteFuture writeBuffer(Buffer buffer) {
        Pending packet;
        boolean lost;
        boolean kept = false;
        boolean holds;
        synchronized (queueLock) {
            holds = holders.contains(Thread.currentThread());
            lost = noMoreWrites;
            int length = buffer.available();
            queued += lost ? 0 : length;
            packet = new Pending(queued);
            if (!lost) {
                kept = kept(buffer);
                if (kept) {
                    written += length;
                } else {
                    queue.put(buffer.array(), buffer.rpos(), length);
                    pending.add(packet);
                    if (!writing && !holds) {
                        queueLock.notifyAll();
                    }
                }
            }
        }
        if (lost) {
            packet.setValue(new ClosedChannelException());
        } else if (kept) {
            packet.setValue(true);
            if (!holds) {
                sendKept(false);
            }
        }
        return packet;
    }

    /** Under the lock: whether the stream has taken a packet that nothing is before. */
    private boolean kept(Buffer buffer) {
        return keeper != null
                && queue.held() == 0
                && !writing
                && keeper.keep(buffer.array(), buffer.rpos(), buffer.available());
    }

    // --- endings

    /** By ourselves, as a rule; else by an interrupt or whoever is below, which is its end. */
    private void closed(End end, ClosedChannelException error) {
        boolean ours;
        synchronized (queueLock) {
            ours = noMoreWrites;
        }
        if (!ours) {
            fail(end, error);
        }
    }

    private void fail(End end, IOException error) {
        listener.ended(end);
        report(error);
        close(true);
    }

    private void report(Exception error) {
        try {
            handler.exceptionCaught(this, error);
        } catch (Exception e) {
            close(true); // it could not be told: nothing is left but to close
        }
    }

    @Override
    protected CloseFuture doCloseGracefully() {
        Pending last;
        boolean late;
        synchronized (queueLock) {
            last = new Pending(queued);
            late = noMoreWrites;
            if (!late) {
                pending.add(last);
                queueLock.notifyAll();
            }
        }
        if (late) {
            last.setValue(true);
        }
        return builder().when(last).build().close(false);
    }

    @Override
    protected void doCloseImmediately() {
        List<Pending> lost;
        synchronized (queueLock) {
            noMoreWrites = true;
            lost = new ArrayList<>(pending);
            pending.clear();
            queue.clear();
            queueLock.notifyAll();
        }
        synchronized (readLock) {
            readLock.notifyAll();
        }
        for (Pending packet : lost) {
            packet.setValue(new ClosedChannelException());
        }
        try {
            stream.close();
        } catch (IOException e) {
            // the descriptor is gone either way
        }
        super.doCloseImmediately();
        try {
            handler.sessionClosed(this);
        } catch (Exception e) {
            // it is closed all the same, and there is nobody left to tell
        }
    }

    // --- the rest of IoSession

    @Override
    public long getId() {
        return id;
    }

    @Override
    public SocketAddress getLocalAddress() {
        return local;
    }

    @Override
    public SocketAddress getRemoteAddress() {
        return remote;
    }

    @Override
    public @Nullable SocketAddress getAcceptanceAddress() {
        return null;
    }

    @Override
    public @Nullable Object getAttribute(Object key) {
        return attributes.get(key);
    }

    @Override
    public @Nullable Object setAttribute(Object key, Object value) {
        return attributes.put(key, value);
    }

    @Override
    public @Nullable Object setAttributeIfAbsent(Object key, Object value) {
        return attributes.putIfAbsent(key, value);
    }

    @Override
    public @Nullable Object removeAttribute(Object key) {
        return attributes.remove(key);
    }

    @Override
    public @Nullable IoService getService() {
        return null;
    }

    @Override
    public void shutdownOutputStream() {
        // SSH ends a connection as a whole; the two directions never end apart
    }

    @Override
    public void suspendRead() {
        synchronized (readLock) {
            suspended = true;
        }
    }

    @Override
    public void resumeRead() {
        synchronized (readLock) {
            suspended = false;
            readLock.notifyAll();
        }
    }
}
