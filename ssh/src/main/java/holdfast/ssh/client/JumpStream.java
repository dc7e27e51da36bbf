package holdfast.ssh.client;

import holdfast.ssh.log.Log;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.AsynchronousCloseException;
import java.nio.channels.ByteChannel;
import java.nio.channels.ClosedChannelException;
import java.nio.channels.WritableByteChannel;
import java.time.Duration;
import org.jspecify.annotations.Nullable;

/**
 * The way to a server through a jump host: a channel of the connection to that host as the blocking
 * stream that the next connection runs on.
 *
 * <p>What is not read stays in the channel, whose window is given back only for what was read; a
 * write waits for the jump host's window. Neither holds up the jump host's own connection.
 */
final class JumpStream implements ByteChannel {

    private final SessionChannel channel;
    private final Object lock = new Object();

    // Guarded by the lock.
    private @Nullable ByteBuffer offered;
    private boolean ended;
    private boolean closed;

    private JumpStream(String host, int port, Log log) {
        Inlet inlet = new Inlet();
        channel = SessionChannel.jump(host, port, inlet, log);
    }

    /**
     * Has the jump host connect us.
     *
     * @param name what to call the jump host
     * @param limit for the jump host's connecting
     */
    static JumpStream open(
            Transport through, String name, String host, int port, Duration limit, Log log)
            throws ClientFailure {
        JumpStream stream = new JumpStream(host, port, log);
        String failure = "ssh: connect to host " + host + " port " + port + " through " + name;
        try {
            through.register(stream.channel);
            stream.channel.addCloseFutureListener(future -> stream.endWhenDry());
            var opened = stream.channel.open();
            if (!opened.await(limit)) {
                throw new ClientFailure(failure + ": Connection timed out");
            }
            if (opened.isOpened()) {
                return stream;
            }
            String refusal = stream.channel.refusal();
            throw new ClientFailure(failure + ": " + (refusal == null ? "closed" : refusal));
        } catch (IOException e) {
            throw new ClientFailure(failure + ": " + e.getMessage());
        }
    }

    /** Where the channel's drain writes; its thread waits here for the reader. */
    private final class Inlet implements WritableByteChannel {
        @Override
        public int write(ByteBuffer bytes) throws IOException {
            int before = bytes.remaining();
            synchronized (lock) {
                offered = bytes;
                lock.notifyAll();
                try {
                    while (bytes.remaining() == before && !closed) {
                        lock.wait();
                    }
                } catch (InterruptedException e) {
                    Thread.currentThread().interrupt();
                    throw new AsynchronousCloseException();
                }
                if (bytes.remaining() == before) {
                    throw new ClosedChannelException();
                }
            }
            return before - bytes.remaining();
        }

        @Override
        public boolean isOpen() {
            return JumpStream.this.isOpen();
        }

        @Override
        public void close() {
            end();
        }
    }

    private void end() {
        synchronized (lock) {
            ended = true;
            lock.notifyAll();
        }
    }

    private void endWhenDry() {
        Thread.ofPlatform()
                .daemon()
                .name("jump-end")
                .start(() -> {
                    try {
                        channel.awaitDry();
                    } catch (InterruptedException e) {
                        Thread.currentThread().interrupt();
                    }
                    end();
                });
    }

    @Override
    public int read(ByteBuffer into) throws IOException {
        synchronized (lock) {
            try {
                while (offered == null && !ended && !closed) {
                    lock.wait();
                }
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                throw new AsynchronousCloseException();
            }
            if (closed) {
                throw new AsynchronousCloseException();
            }
            ByteBuffer from = offered;
            if (from == null) {
                return -1;
            }
            int count = Math.min(from.remaining(), into.remaining());
            into.put(into.position(), from, from.position(), count);
            into.position(into.position() + count);
            from.position(from.position() + count);
            offered = null;
            lock.notifyAll();
            return count;
        }
    }

    @Override
    public int write(ByteBuffer from) throws IOException {
        int before = from.remaining();
        try {
            channel.send(from);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new AsynchronousCloseException();
        }
        return before;
    }

    @Override
    public boolean isOpen() {
        synchronized (lock) {
            return !closed;
        }
    }

    @Override
    public void close() {
        synchronized (lock) {
            closed = true;
            lock.notifyAll();
        }
        channel.close(false);
    }
}
