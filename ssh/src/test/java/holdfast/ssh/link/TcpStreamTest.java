package holdfast.ssh.link;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.AsynchronousCloseException;
import java.nio.channels.ClosedByInterruptException;
import java.nio.channels.ClosedChannelException;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.util.Objects;
import java.util.Random;
import java.util.concurrent.Callable;
import java.util.concurrent.FutureTask;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class TcpStreamTest {

    private SocketChannel peer;
    private TcpStream stream;

    @BeforeEach
    void connect() throws IOException {
        try (ServerSocketChannel listener = ServerSocketChannel.open()) {
            listener.bind(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0));
            stream = new TcpStream(SocketChannel.open(listener.getLocalAddress()));
            peer = listener.accept();
        }
    }

    @AfterEach
    void close() throws IOException {
        stream.close();
        peer.close();
    }

    /** Runs {@code work} until it waits in the kernel. */
    private static <T> Waiting<T> waiting(Callable<T> work) throws InterruptedException {
        FutureTask<T> task = new FutureTask<>(work);
        Thread thread = Thread.ofPlatform().daemon().start(task);
        while (!task.isDone()
                && Thread.getAllStackTraces().getOrDefault(thread, new StackTraceElement[0]).length
                        > 0
                && !inKernel(thread)) {
            Thread.sleep(1);
        }
        return new Waiting<>(thread, task);
    }

    private static boolean inKernel(Thread thread) {
        StackTraceElement[] stack = thread.getStackTrace();
        return stack.length > 0 && stack[0].getClassName().startsWith("sun.nio.ch.EPoll");
    }

    private record Waiting<T>(Thread thread, FutureTask<T> task) {
        Throwable failure() {
            try {
                return new AssertionError("no failure but " + task.get());
            } catch (Exception e) {
                return Objects.requireNonNull(e.getCause());
            }
        }
    }

    private void fill() throws IOException {
        ByteBuffer much = ByteBuffer.allocate(1 << 20);
        while (stream.writeNow(much.clear()) > 0) {}
    }

    /** A write that waits: the kernel may find room for some more after it had none. */
    private Waiting<Integer> waitingWriter(int bytes) throws Exception {
        while (true) {
            fill();
            Waiting<Integer> writer = waiting(() -> stream.write(ByteBuffer.allocate(bytes)));
            if (!writer.task().isDone()) {
                return writer;
            }
            assertThat(writer.task().get()).isPositive();
        }
    }

    @Test
    void a_read_waits_for_the_first_byte_and_takes_what_is_there() throws Exception {
        ByteBuffer into = ByteBuffer.allocate(100);
        Waiting<Integer> reader = waiting(() -> stream.read(into));
        assertThat(reader.task().isDone()).isFalse();
        peer.write(ByteBuffer.wrap(new byte[] {1, 2, 3}));
        assertThat(reader.task().get()).isEqualTo(3);
        assertThat(into.flip()).isEqualTo(ByteBuffer.wrap(new byte[] {1, 2, 3}));
    }

    @Test
    void a_read_tells_the_end() throws Exception {
        peer.write(ByteBuffer.wrap(new byte[] {1}));
        peer.shutdownOutput();
        ByteBuffer into = ByteBuffer.allocate(1);
        assertThat(stream.read(into)).isEqualTo(1);
        assertThat(stream.read(into.clear())).isEqualTo(-1);
    }

    @Test
    void a_write_waits_where_writing_now_does_not() throws Exception {
        Waiting<Integer> writer = waitingWriter(10);
        ByteBuffer some = ByteBuffer.allocate(1 << 20);
        while (!writer.task().isDone()) {
            peer.read(some.clear());
        }
        assertThat(writer.task().get()).isEqualTo(10);
    }

    @Test
    void every_byte_comes_through_whoever_is_quicker() throws Exception {
        Random random = new Random(7);
        byte[] sent = new byte[20_000_000];
        random.nextBytes(sent);
        ByteBuffer come = ByteBuffer.allocate(sent.length);
        FutureTask<Integer> taker =
                new FutureTask<>(() -> {
                    while (come.hasRemaining() && peer.read(come) >= 0) {
                        if (come.position() % 7 == 0) {
                            Thread.sleep(1);
                        }
                    }
                    return come.position();
                });
        Thread.ofPlatform().daemon().start(taker);
        ByteBuffer from = ByteBuffer.wrap(sent);
        while (from.hasRemaining()) {
            ByteBuffer some = from.slice(from.position(), Math.min(100_000, from.remaining()));
            int half = some.remaining() / 2;
            ByteBuffer[] two = {some.slice(0, half), some.slice(half, some.remaining() - half)};
            from.position(from.position() + (int) stream.write(two));
        }
        assertThat(taker.get()).isEqualTo(sent.length);
        assertThat(come.array()).isEqualTo(sent);
    }

    @Test
    void a_close_ends_a_read_and_a_write_that_wait() throws Exception {
        Waiting<Integer> reader = waiting(() -> stream.read(ByteBuffer.allocate(1)));
        Waiting<Integer> writer = waitingWriter(1);
        stream.close();
        assertThat(reader.failure()).isInstanceOf(AsynchronousCloseException.class);
        assertThat(writer.failure()).isInstanceOf(ClosedChannelException.class);
        assertThat(stream.isOpen()).isFalse();
        // and the descriptor is free: the peer sees the end of what was sent
        ByteBuffer some = ByteBuffer.allocate(1 << 20);
        while (peer.read(some.clear()) >= 0) {}
    }

    @Test
    void an_interrupt_closes_it_as_it_does_a_blocking_channel() throws Exception {
        Waiting<Integer> reader = waiting(() -> stream.read(ByteBuffer.allocate(1)));
        reader.thread().interrupt();
        assertThat(reader.failure()).isInstanceOf(ClosedByInterruptException.class);
        assertThat(stream.isOpen()).isFalse();
    }
}
