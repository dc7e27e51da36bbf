package holdfast.ssh.link;

import java.io.IOException;
import java.net.SocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.AsynchronousCloseException;
import java.nio.channels.ByteChannel;
import java.nio.channels.ClosedChannelException;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicLong;
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
 * MINA's view of one blocking byte stream: a TCP connection, and later a proxy command's pipes or a
 * tether.
 *
 * <p>Two threads: the reader hands every byte that comes to MINA, the writer takes packets from a
 * queue and writes as many as there are in one go. A packet is never written by the thread that
 * made it, so that a full send buffer stops neither the reader nor the loop that judges the link.
 * What can queue up is bounded by the peer's channel windows.
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

    /** One read of the socket: as much as two of OpenSSH's largest packets. */
    private static final int READ_SIZE = 64 * 1024;

    /**
     * One write of the socket: several packets when they queue up, one at once when they do not.
     */
    private static final int WRITE_SIZE = 128 * 1024;

    private static final AtomicLong IDS = new AtomicLong();

    private static final class Pending extends AbstractIoWriteFuture {
        final byte[] bytes;
        final int end;
        int next;

        Pending(byte[] bytes, int start, int length) {
            super("write", null);
            this.bytes = bytes;
            this.next = start;
            this.end = start + length;
        }
    }

    private final long id = IDS.incrementAndGet();
    private final ByteChannel stream;
    private final SocketAddress local;
    private final SocketAddress remote;
    private final IoHandler handler;
    private final Listener listener;
    private final Map<Object, Object> attributes = new ConcurrentHashMap<>();

    private final Object queueLock = new Object();
    private final ArrayDeque<Pending> queue = new ArrayDeque<>();
    private boolean noMoreWrites;

    private final Object readLock = new Object();
    private boolean suspended;

    public Wire(
            ByteChannel stream,
            SocketAddress local,
            SocketAddress remote,
            IoHandler handler,
            Listener listener) {
        this.stream = stream;
        this.local = local;
        this.remote = remote;
        this.handler = handler;
        this.listener = listener;
    }

    /** Starts reading and writing; the handler must know this session by now. */
    public void start(String name) {
        Thread.ofPlatform().daemon().name(name + "-writer").start(this::write);
        Thread.ofPlatform().daemon().name(name + "-reader").start(this::read);
    }

    // --- the reader's thread

    private void read() {
        ByteBuffer buffer = ByteBuffer.allocateDirect(READ_SIZE);
        Readable readable = Readable.readable(buffer);
        try {
            while (awaitResumed()) {
                buffer.clear();
                if (stream.read(buffer) < 0) {
                    listener.ended(new End.Eof());
                    close(true);
                    return;
                }
                listener.heardBytes();
                buffer.flip();
                handler.messageReceived(this, readable);
            }
        } catch (AsynchronousCloseException e) {
            // we closed it ourselves
        } catch (ClosedChannelException e) {
            // likewise
        } catch (IOException e) {
            fail(new End.ReadFailed(e), e);
        } catch (Exception e) {
            // MINA's word for a peer that breaks the protocol; it tells the peer and closes
            report(e);
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

    // --- the writer's thread

    private void write() {
        ByteBuffer buffer = ByteBuffer.allocateDirect(WRITE_SIZE);
        List<Pending> whole = new ArrayList<>();
        try {
            while (fill(buffer, whole)) {
                buffer.flip();
                while (buffer.hasRemaining()) {
                    stream.write(buffer);
                }
                buffer.clear();
                for (Pending packet : whole) {
                    packet.setValue(true);
                }
                whole.clear();
            }
        } catch (AsynchronousCloseException e) {
            // we closed it ourselves
        } catch (ClosedChannelException e) {
            // likewise
        } catch (IOException e) {
            whole.forEach(packet -> packet.setValue(e));
            fail(new End.WriteFailed(e), e);
        }
    }

    /** Moves queued bytes into {@code buffer}; false when there will be no more. */
    private boolean fill(ByteBuffer buffer, List<Pending> whole) {
        synchronized (queueLock) {
            while (queue.isEmpty()) {
                if (noMoreWrites) {
                    return false;
                }
                try {
                    queueLock.wait();
                } catch (InterruptedException e) {
                    return false;
                }
            }
            while (buffer.hasRemaining() && !queue.isEmpty()) {
                Pending packet = queue.peek();
                int some = Math.min(buffer.remaining(), packet.end - packet.next);
                buffer.put(packet.bytes, packet.next, some);
                packet.next += some;
                if (packet.next == packet.end) {
                    whole.add(packet);
                    queue.remove();
                }
            }
            return true;
        }
    }

    @Override
    public IoWriteFuture writeBuffer(Buffer buffer) {
        Pending packet = new Pending(buffer.array(), buffer.rpos(), buffer.available());
        synchronized (queueLock) {
            if (!noMoreWrites) {
                queue.add(packet);
                queueLock.notifyAll();
                return packet;
            }
        }
        packet.setValue(new ClosedChannelException());
        return packet;
    }

    // --- endings

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
        Pending last = new Pending(new byte[0], 0, 0);
        synchronized (queueLock) {
            if (noMoreWrites) {
                last.setValue(true);
            } else {
                queue.add(last);
                queueLock.notifyAll();
            }
        }
        return builder().when(last).build().close(false);
    }

    @Override
    protected void doCloseImmediately() {
        List<Pending> lost;
        synchronized (queueLock) {
            noMoreWrites = true;
            lost = new ArrayList<>(queue);
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
