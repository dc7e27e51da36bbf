package holdfast.ssh.tether;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import holdfast.core.tether.CarrierPolicy;
import holdfast.core.tether.CarrierState;
import holdfast.core.time.Moment;
import holdfast.ssh.link.LinkClock;
import holdfast.ssh.link.TcpStream;
import java.io.IOException;
import java.net.StandardSocketOptions;
import java.nio.ByteBuffer;
import java.nio.channels.ByteChannel;
import java.nio.channels.ClosedChannelException;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.parallel.Execution;
import org.junit.jupiter.api.parallel.ExecutionMode;

/** The client's end over real sockets, against a server that gives back what it gets. */
@Timeout(60)
@Execution(ExecutionMode.CONCURRENT)
final class TetherStreamTest {

    private final List<String> told = new CopyOnWriteArrayList<>();

    private volatile boolean clumsy;

    private final TetherStream.Watcher watcher =
            new Unwatched() {
                @Override
                public void standsStill(Moment since, Moment heldUntil) {
                    told.add("stands still");
                }

                @Override
                public void goesOn() {
                    told.add("goes on");
                }

                @Override
                public void moved(TetherStream.Passage passage) {
                    told.add("moved");
                }

                @Override
                public void said(String line) {
                    told.add(line);
                    if (clumsy) {
                        throw new IllegalStateException("a mistake that the test makes");
                    }
                }
            };

    private TetherStream stream(EchoServer server) throws IOException {
        return stream(server, through(server.connect()));
    }

    private static TetherStream.Passage through(SocketChannel socket) throws IOException {
        return TetherStream.Passage.of(new TcpStream(socket));
    }

    private TetherStream stream(EchoServer server, TetherStream.Passage first) {
        return new TetherStream(
                first,
                "Test_1",
                1 << 20,
                CarrierPolicy.client(Duration.ofSeconds(30), 1),
                new LinkClock(),
                () -> through(server.connect()),
                watcher,
                Duration.ofDays(366));
    }

    private static void say(ByteChannel stream, String text) throws IOException {
        stream.write(ByteBuffer.wrap(text.getBytes(StandardCharsets.US_ASCII)));
    }

    private static String hear(ByteChannel stream, int count) throws IOException {
        ByteBuffer into = ByteBuffer.allocate(count);
        while (into.hasRemaining()) {
            if (stream.read(into) < 0) {
                break;
            }
        }
        return new String(into.array(), 0, into.position(), StandardCharsets.US_ASCII);
    }

    private static String line(ByteChannel stream) throws IOException {
        StringBuilder line = new StringBuilder();
        while (line.indexOf("\n") < 0) {
            line.append(hear(stream, 1));
        }
        return line.toString();
    }

    /** The lines are exchanged, and the tether may be resumed. */
    private static void open(TetherStream stream) throws Exception {
        say(stream, stream.identification() + "\r\n");
        assertThat(line(stream)).startsWith("SSH-2.0-Echo_1 tether-1=");
        assertThat(stream.tethered()).isTrue();
        say(stream, "hello");
        assertThat(hear(stream, 5)).isEqualTo("hello");
        while (!(stream.state() instanceof CarrierState.Carried carried)
                || carried.known().hold().isZero()) {
            say(stream, ".");
            assertThat(hear(stream, 1)).isEqualTo(".");
        }
        say(stream, "!"); // and its answer shows that the server knows, too
        assertThat(hear(stream, 1)).isEqualTo("!");
    }

    @Test
    void a_server_without_tethers_gets_plain_bytes() throws Exception {
        try (EchoServer server = new EchoServer(false);
                TetherStream stream = stream(server)) {
            // As MINA does it: the first packet behind the line, at once.
            FutureTask<Boolean> writer =
                    new FutureTask<>(() -> {
                        say(stream, stream.identification() + "\r\nand more");
                        return true;
                    });
            Thread.ofPlatform().daemon().start(writer);
            assertThat(line(stream)).isEqualTo("SSH-2.0-Echo_1\r\n");
            assertThat(hear(stream, 8)).isEqualTo("and more");
            assertThat(writer.get(30, TimeUnit.SECONDS)).isTrue();
            assertThat(stream.tethered()).isFalse();
            assertThat(stream.state()).isNull();
        }
    }

    @Test
    void a_server_that_is_quicker_than_our_own_line_has_offered_all_the_same() throws Exception {
        try (EchoServer server = new EchoServer(true);
                TetherStream stream = stream(server)) {
            FutureTask<String> read = new FutureTask<>(() -> line(stream));
            Thread reader = Thread.ofPlatform().daemon().start(read);
            // In the socket's read it counts as running: it waits once the offer has come.
            while (reader.getState() != Thread.State.TIMED_WAITING && !read.isDone()) {
                Thread.sleep(1);
            }
            say(stream, stream.identification() + "\r\n");
            assertThat(read.get(30, TimeUnit.SECONDS)).startsWith("SSH-2.0-Echo_1 tether-1=");
            assertThat(stream.tethered()).isTrue();
            say(stream, "hello");
            assertThat(hear(stream, 5)).isEqualTo("hello");
        }
    }

    @Test
    void who_must_not_wait_leaves_what_does_not_go_at_once_to_another() throws Exception {
        try (EchoServer server = new EchoServer(true);
                SocketChannel small =
                        server.connect().setOption(StandardSocketOptions.SO_SNDBUF, 16_384);
                TetherStream stream = stream(server, through(small))) {
            open(stream);
            // Not read, the kernel's buffers take less than the tether has room for.
            server.stall(true);
            ByteBuffer much = ByteBuffer.allocate(1 << 20);
            for (int i = 0; i < much.capacity(); i++) {
                much.put(i, (byte) ((i * 0x9E3779B9) >>> 24));
            }
            while (much.hasRemaining() && stream.writeNow(much) > 0) {
                // as much as there is room for, which is all but what was not acknowledged yet
            }
            int went = much.position();
            assertThat(went).isGreaterThan(900_000);
            server.stall(false);
            FutureTask<Integer> rest = new FutureTask<>(() -> stream.write(much));
            Thread.ofPlatform().daemon().start(rest);
            byte[] back = new byte[much.capacity()];
            ByteBuffer into = ByteBuffer.wrap(back);
            while (into.hasRemaining()) {
                assertThat(stream.read(into)).isPositive();
            }
            assertThat(rest.get(30, TimeUnit.SECONDS)).isEqualTo(much.capacity() - went);
            assertThat(back).isEqualTo(much.array());
        }
    }

    @Test
    void a_cut_connection_is_replaced_and_nothing_is_lost() throws Exception {
        try (EchoServer server = new EchoServer(true);
                TetherStream stream = stream(server)) {
            open(stream);
            long longest = 0;
            for (int i = 0; i < 5; i++) {
                long start = System.nanoTime();
                server.cut();
                say(stream, "after cut " + i);
                assertThat(hear(stream, 11)).isEqualTo("after cut " + i);
                longest = Math.max(longest, System.nanoTime() - start);
            }
            assertThat(server.connections()).isGreaterThanOrEqualTo(6);
            // A second is worth telling; a machine that is busy with others may take one.
            assertThat(told.contains("stands still") && longest < 1_000_000_000L).isFalse();
        }
    }

    /** What is no TCP connection of ours: a proxy's command, a jump host's channel. */
    private record Roundabout(SocketChannel socket, AtomicInteger left)
            implements TetherStream.Passage, ByteChannel {
        @Override
        public ByteChannel stream() {
            return this;
        }

        @Override
        public void leave() {
            left.incrementAndGet();
        }

        @Override
        public int read(ByteBuffer into) throws IOException {
            return socket.read(into);
        }

        @Override
        public int write(ByteBuffer from) throws IOException {
            return socket.write(from);
        }

        @Override
        public boolean isOpen() {
            return socket.isOpen();
        }

        @Override
        public void close() throws IOException {
            socket.close();
        }
    }

    @Test
    void any_passage_carries_and_is_left_once_it_does_so_no_more() throws Exception {
        try (EchoServer server = new EchoServer(true);
                SocketChannel socket = server.connect()) {
            Roundabout passage = new Roundabout(socket, new AtomicInteger());
            TetherStream stream = stream(server, passage);
            open(stream);
            assertThat(passage.left).hasValue(0);
            server.cut();
            say(stream, "after the cut");
            assertThat(hear(stream, 13)).isEqualTo("after the cut");
            assertThat(passage.left).hasValue(1);
            stream.close();
            assertThat(passage.left).hasValue(1);
        }
    }

    @Test
    void a_connection_that_says_nothing_is_replaced_within_seconds() throws Exception {
        try (EchoServer server = new EchoServer(true);
                TetherStream stream = stream(server)) {
            open(stream);
            server.blackhole();
            long start = System.nanoTime();
            say(stream, "anybody there?");
            assertThat(hear(stream, 14)).isEqualTo("anybody there?");
            double seconds = (System.nanoTime() - start) / 1e9;
            // 2 s as a rule; how late a busy machine comes to it is not ours to promise.
            assertThat(seconds).as("seconds until the echo").isBetween(1.9, 15.0);
        }
    }

    @Test
    void a_bulk_copy_survives_cuts_at_random_moments() throws Exception {
        long seed = new SplittableRandom().nextLong();
        System.out.println("TetherStreamTest seed " + seed);
        int size = 20 << 20;
        byte[] sent = new byte[size];
        new SplittableRandom(seed).nextBytes(sent);
        try (EchoServer server = new EchoServer(true);
                TetherStream stream = stream(server)) {
            open(stream);
            FutureTask<Boolean> writer =
                    new FutureTask<>(() -> {
                        ByteBuffer all = ByteBuffer.wrap(sent);
                        while (all.hasRemaining()) {
                            ByteBuffer some =
                                    all.slice(all.position(), Math.min(100_000, all.remaining()));
                            all.position(all.position() + some.remaining());
                            stream.write(some);
                        }
                        return true;
                    });
            Thread.ofPlatform().daemon().start(writer);
            ByteBuffer got = ByteBuffer.allocateDirect(size);
            SplittableRandom dice = new SplittableRandom(seed);
            int next = dice.nextInt(size / 10);
            int cuts = 0;
            while (got.hasRemaining()) {
                assertThat(stream.read(got)).isPositive();
                if (got.position() > next) {
                    server.cut();
                    cuts++;
                    next += 1 + dice.nextInt(size / 10);
                }
            }
            assertThat(writer.get(30, TimeUnit.SECONDS)).isTrue();
            assertThat(cuts).isGreaterThan(5);
            byte[] received = new byte[size];
            got.flip().get(received);
            assertThat(received).isEqualTo(sent);
        }
    }

    @Test
    void who_only_writes_goes_on_when_the_other_end_has_taken() throws Exception {
        try (EchoServer server = new EchoServer(true);
                TetherStream stream = stream(server)) {
            open(stream);
            server.mute();
            FutureTask<Integer> reader =
                    new FutureTask<>(() -> stream.read(ByteBuffer.allocate(9)));
            Thread.ofPlatform().daemon().start(reader);
            FutureTask<Boolean> writer =
                    new FutureTask<>(() -> {
                        for (int i = 0; i < 20; i++) {
                            stream.write(ByteBuffer.allocate(1 << 20));
                        }
                        return true;
                    });
            Thread.ofPlatform().daemon().start(writer);
            assertThat(writer.get(30, TimeUnit.SECONDS)).isTrue();
            assertThat(reader.isDone()).isFalse();
        }
    }

    @Test
    void a_server_that_has_forgotten_the_session_is_a_clear_end() throws Exception {
        try (EchoServer server = new EchoServer(true);
                TetherStream stream = stream(server)) {
            open(stream);
            server.forget();
            server.cut();
            assertThatThrownBy(() -> hear(stream, 1))
                    .isInstanceOf(IOException.class)
                    .hasMessage("the server no longer has this session");
            assertThatThrownBy(() -> say(stream, "x"))
                    .hasMessage("the server no longer has this session");
        }
    }

    @Test
    void what_came_with_the_answer_is_read_though_it_was_the_last() throws Exception {
        try (EchoServer server = new EchoServer(true);
                TetherStream stream = stream(server)) {
            open(stream);
            server.endWith("that is all");
            server.cut();
            assertThat(hear(stream, 99)).isEqualTo("that is all");
        }
    }

    @Test
    void a_session_that_is_gone_ends_whoever_still_reads_a_silent_connection() throws Exception {
        try (EchoServer server = new EchoServer(true);
                TetherStream stream = stream(server)) {
            open(stream);
            server.forget();
            server.blackhole();
            say(stream, "anybody there?");
            assertThatThrownBy(() -> hear(stream, 1))
                    .isInstanceOf(IOException.class)
                    .hasMessage("the server no longer has this session");
        }
    }

    @Test
    void who_is_interrupted_while_it_waits_ends_the_stream_for_all() throws Exception {
        try (EchoServer server = new EchoServer(true)) {
            SocketChannel first = server.connect();
            TetherStream stream = stream(server, through(first));
            open(stream);
            server.mute();
            server.blackhole();
            FutureTask<Boolean> writer =
                    new FutureTask<>(() -> {
                        while (true) {
                            stream.write(ByteBuffer.allocate(1 << 20)); // more than is kept
                        }
                    });
            Thread writing = Thread.ofPlatform().daemon().start(writer);
            FutureTask<Integer> reader =
                    new FutureTask<>(() -> stream.read(ByteBuffer.allocate(9)));
            Thread.ofPlatform().daemon().start(reader);
            while (writing.getState() != Thread.State.TIMED_WAITING && !writer.isDone()) {
                Thread.sleep(1);
            }
            writing.interrupt();
            assertThatThrownBy(() -> writer.get(30, TimeUnit.SECONDS))
                    .hasCauseInstanceOf(ClosedChannelException.class);
            stream.close();
            while (first.isOpen()) {
                Thread.sleep(1);
            }
            assertThatThrownBy(() -> reader.get(30, TimeUnit.SECONDS))
                    .hasCauseInstanceOf(ClosedChannelException.class);
        }
    }

    @Test
    void a_mistake_on_a_thread_of_the_tethers_own_leaves_nobody_waiting() throws Exception {
        try (EchoServer server = new EchoServer(true);
                TetherStream stream = stream(server)) {
            open(stream);
            FutureTask<Integer> reader =
                    new FutureTask<>(() -> stream.read(ByteBuffer.allocate(9)));
            Thread.ofPlatform().daemon().start(reader);
            server.blackhole();
            say(stream, "x"); // the next thing that is told is an attempt, by who decides
            clumsy = true;
            assertThatThrownBy(() -> reader.get(30, TimeUnit.SECONDS))
                    .hasRootCauseMessage("tether: internal error");
        }
    }

    @Test
    void who_closes_while_another_thread_reads_ends_the_reading() throws Exception {
        try (EchoServer server = new EchoServer(true)) {
            TetherStream stream = stream(server);
            open(stream);
            FutureTask<Integer> reader =
                    new FutureTask<>(() -> stream.read(ByteBuffer.allocate(9)));
            Thread.ofPlatform().daemon().start(reader);
            stream.close();
            assertThatThrownBy(() -> reader.get(30, TimeUnit.SECONDS))
                    .hasCauseInstanceOf(ClosedChannelException.class);
            assertThat(stream.isOpen()).isFalse();
        }
    }
}
