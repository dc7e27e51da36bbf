package holdfast.ssh.server;

import holdfast.ssh.stream.CarryingThread;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.SocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.AsynchronousChannelGroup;
import java.nio.channels.AsynchronousServerSocketChannel;
import java.nio.channels.AsynchronousSocketChannel;
import java.nio.channels.CompletionHandler;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.apache.sshd.common.FactoryManager;
import org.apache.sshd.common.io.AbstractIoServiceFactory;
import org.apache.sshd.common.io.IoAcceptor;
import org.apache.sshd.common.io.IoHandler;
import org.apache.sshd.common.io.IoServiceFactory;
import org.apache.sshd.common.io.IoServiceFactoryFactory;
import org.apache.sshd.common.io.IoSession;
import org.apache.sshd.common.io.IoWriteFuture;
import org.apache.sshd.common.io.nio2.Nio2Acceptor;
import org.apache.sshd.common.io.nio2.Nio2CompletionHandler;
import org.apache.sshd.common.io.nio2.Nio2Service;
import org.apache.sshd.common.io.nio2.Nio2ServiceFactory;
import org.apache.sshd.common.io.nio2.Nio2ServiceFactoryFactory;
import org.apache.sshd.common.io.nio2.Nio2Session;
import org.apache.sshd.common.util.Readable;
import org.apache.sshd.common.util.buffer.Buffer;
import org.apache.sshd.common.util.buffer.ByteArrayBuffer;
import org.apache.sshd.common.util.threads.CloseableExecutorService;
import org.apache.sshd.common.util.threads.SshThreadPoolExecutor;
import org.apache.sshd.common.util.threads.SshdThreadFactory;
import org.apache.sshd.common.util.threads.ThreadUtils;
import org.apache.sshd.core.CoreModuleProperties;
import org.jspecify.annotations.Nullable;

/**
 * A TCP connection that has little memory while little comes, as an idle one for its life, and
 * reads much at once while much comes.
 */
final class NetworkSession extends Nio2Session {

    /** What an idle connection reads into. */
    static final int LITTLE = 4096;

    /** What a busy one does: a packet with a whole window's share of data. */
    private static final int MUCH = 32 * 1024;

    /** What has come, in the memory it came in: whose until the handler returns. */
    record Arrived(ByteBuffer bytes) implements Readable {

        @Override
        public int available() {
            return bytes.remaining();
        }

        @Override
        public void getRawBytes(byte[] into, int offset, int length) {
            bytes.get(into, offset, length);
        }
    }

    /**
     * What one write brings together. Among MINA's writes, each of which has one buffer, a mark
     * stands for it, which counts as written when all of it is.
     */
    private record Gathered(byte[] mark, ByteBuffer[] pieces) {

        /** MINA wraps what it was given, so the very array shows whose turn it is. */
        @SuppressWarnings({"ReferenceEquality", "ByteBufferBackingArray"})
        boolean isMarkedBy(ByteBuffer buffer) {
            return buffer.hasArray() && buffer.array() == mark;
        }
    }

    private final Queue<Gathered> gathered = new ConcurrentLinkedQueue<>();
    private int cameLast;

    private NetworkSession(
            Nio2Service service,
            FactoryManager mina,
            IoHandler handler,
            AsynchronousSocketChannel socket,
            SocketAddress acceptedAt)
            throws IOException {
        super(service, mina, handler, socket, acceptedAt);
    }

    /** For a server all of whose connections are of this kind. */
    static IoServiceFactoryFactory factory() {
        return new Nio2ServiceFactoryFactory() {
            @Override
            public IoServiceFactory create(FactoryManager mina) {
                CloseableExecutorService resuming =
                        ThreadUtils.newFixedThreadPool(
                                "holdfast-resume", AbstractIoServiceFactory.getNioWorkers(mina));
                return new Network(mina, new Workers(mina), resuming);
            }
        };
    }

    /**
     * Makes acceptors and sessions of our own. MINA keeps the threads that it makes for its
     * acceptors to itself, so that these have a group of channels of their own.
     */
    private static final class Network extends Nio2ServiceFactory {
        private final AsynchronousChannelGroup channels;
        private final CloseableExecutorService resuming;

        Network(
                FactoryManager mina,
                @Nullable CloseableExecutorService threads,
                CloseableExecutorService resuming) {
            super(mina, threads, resuming);
            this.resuming = resuming;
            try {
                channels =
                        AsynchronousChannelGroup.withThreadPool(
                                ThreadUtils.noClose(getExecutorService()));
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        }

        @Override
        public IoAcceptor createAcceptor(IoHandler handler) {
            return autowireCreatedService(
                    new Nio2Acceptor(this, getFactoryManager(), handler, channels, resuming) {
                        @Override
                        protected AsynchronousServerSocketChannel
                                openAsynchronousServerSocketChannel(
                                        SocketAddress address, AsynchronousChannelGroup group)
                                        throws IOException {
                            return Listener.in(group);
                        }
                    });
        }

        @Override
        public Nio2Session createSession(
                Nio2Service service,
                IoHandler handler,
                AsynchronousSocketChannel socket,
                SocketAddress acceptedAt)
                throws IOException {
            return new NetworkSession(service, getFactoryManager(), handler, socket, acceptedAt);
        }

        @Override
        protected void doCloseImmediately() {
            try {
                channels.shutdownNow();
            } catch (IOException e) {
                log.debug("channels: " + e.getMessage()); // on our way out
            }
            super.doCloseImmediately();
        }
    }

    @Override
    public void startReading(ByteBuffer buffer) {
        doReadCycle(buffer, new Arrived(buffer));
    }

    @Override
    protected void handleReadCycleCompletion(
            ByteBuffer buffer,
            Readable reader,
            Nio2CompletionHandler<Integer, Object> completion,
            Integer result,
            Object attachment) {
        cameLast = result;
        super.handleReadCycleCompletion(buffer, reader, completion, result, attachment);
    }

    @Override
    protected void doReadCycle(
            ByteBuffer buffer, Nio2CompletionHandler<Integer, Object> completion) {
        int size = buffer.capacity();
        int wanted = cameLast >= size ? MUCH : cameLast < LITTLE ? LITTLE : size;
        if (wanted == size) {
            super.doReadCycle(buffer, completion);
        } else {
            startReading(ByteBuffer.allocate(wanted));
        }
    }

    /**
     * Writes these pieces, in this order, where they lie: they are the writer's until it is done.
     */
    static IoWriteFuture write(IoSession to, ByteBuffer... pieces) throws IOException {
        if (to instanceof NetworkSession session) {
            Gathered all = new Gathered(new byte[1], pieces);
            session.gathered.add(all);
            return session.writeBuffer(new ByteArrayBuffer(all.mark));
        }
        Buffer together = new ByteArrayBuffer();
        for (ByteBuffer piece : pieces) {
            together.putBuffer(Readable.readable(piece));
        }
        return to.writeBuffer(together);
    }

    @Override
    protected void doWriteCycle(
            ByteBuffer buffer, Nio2CompletionHandler<Integer, Object> completion) {
        for (Gathered all : gathered) {
            if (all.isMarkedBy(buffer)) {
                CarryingThread.write(() -> gather(all, buffer, completion));
                return;
            }
        }
        CarryingThread.write(() -> super.doWriteCycle(buffer, completion));
    }

    private void gather(
            Gathered all, ByteBuffer mark, Nio2CompletionHandler<Integer, Object> completion) {
        getSocket()
                .write(
                        all.pieces,
                        0,
                        all.pieces.length,
                        0, // for as long as it takes
                        TimeUnit.MILLISECONDS,
                        null,
                        new CompletionHandler<Long, Object>() {
                            @Override
                            public void completed(Long count, Object attachment) {
                                if (!all.pieces[all.pieces.length - 1].hasRemaining()) {
                                    gathered.remove(all);
                                    mark.get();
                                }
                                completion.completed(count.intValue(), attachment);
                            }

                            @Override
                            public void failed(Throwable why, Object attachment) {
                                completion.failed(why, attachment);
                            }
                        });
    }

    /** MINA's network threads, as many as it wants. */
    private static final class Workers extends SshThreadPoolExecutor {

        Workers(FactoryManager mina) {
            this(mina + "-nio2", CoreModuleProperties.NIO_WORKERS.getRequired(mina));
        }

        private Workers(String name, int threads) {
            super(
                    threads,
                    threads,
                    0,
                    TimeUnit.SECONDS,
                    new LinkedBlockingQueue<>(),
                    new SshdThreadFactory(name),
                    new CallerRunsPolicy());
        }

        @Override
        public void execute(Runnable task) {
            if (!CarryingThread.tell(task)) {
                super.execute(task);
            }
        }
    }
}
