package holdfast.ssh.tether;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import holdfast.core.tether.CarrierPolicy;
import holdfast.core.tether.CarrierState;
import holdfast.core.time.Moment;
import holdfast.ssh.link.LinkClock;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.ByteChannel;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** The client's end over real sockets, against a server that gives back what it gets. */
@Timeout(60)
final class TetherStreamTest {

    private final List<String> told = new CopyOnWriteArrayList<>();

    private final TetherStream.Watcher watcher =
            new TetherStream.Watcher() {
                @Override
                public void held(Duration time) {}

                @Override
                public void standsStill(Moment since, Moment heldUntil) {
                    told.add("stands still");
                }

                @Override
                public void goesOn() {
                    told.add("goes on");
                }

                @Override
                public void moved(ByteChannel carrier) {
                    told.add("moved");
                }

                @Override
                public void said(String line) {
                    told.add(line);
                }
            };

    private TetherStream stream(EchoServer server) throws IOException {
        return new TetherStream(
                server.connect(),
                "Test_1",
                1 << 20,
                CarrierPolicy.client(Duration.ofSeconds(30), 1),
                new LinkClock(),
                server::connect,
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
            assertThat(writer.get(5, TimeUnit.SECONDS)).isTrue();
            assertThat(stream.tethered()).isFalse();
            assertThat(stream.state()).isNull();
        }
    }

    @Test
    void a_server_that_has_spoken_before_us_is_no_less_tethered() throws Exception {
        try (EchoServer server = new EchoServer(true);
                TetherStream stream = stream(server)) {
            FutureTask<String> theirs = new FutureTask<>(() -> line(stream));
            Thread reader = Thread.ofPlatform().daemon().start(theirs);
            while (!theirs.isDone() && reader.getState() == Thread.State.RUNNABLE) {
                Thread.sleep(1); // in the socket; then its line has come, and ours is waited for
            }
            say(stream, stream.identification() + "\r\n");
            say(stream, "hello");
            assertThat(theirs.get(5, TimeUnit.SECONDS)).startsWith("SSH-2.0-Echo_1 tether-1=");
            assertThat(hear(stream, 5)).isEqualTo("hello");
            assertThat(stream.tethered()).isTrue();
        }
    }

    @Test
    void a_cut_connection_is_replaced_and_nothing_is_lost() throws Exception {
        try (EchoServer server = new EchoServer(true);
                TetherStream stream = stream(server)) {
            open(stream);
            for (int i = 0; i < 5; i++) {
                server.cut();
                say(stream, "after cut " + i);
                assertThat(hear(stream, 11)).isEqualTo("after cut " + i);
            }
            assertThat(server.connections()).isGreaterThanOrEqualTo(6);
            assertThat(told).doesNotContain("stands still");
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
            assertThat(seconds).as("seconds until the echo").isBetween(1.9, 4.0);
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
            assertThat(writer.get(5, TimeUnit.SECONDS)).isTrue();
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
            assertThat(writer.get(20, TimeUnit.SECONDS)).isTrue();
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
    void who_closes_while_another_thread_reads_ends_the_reading() throws Exception {
        try (EchoServer server = new EchoServer(true)) {
            TetherStream stream = stream(server);
            open(stream);
            FutureTask<Integer> reader =
                    new FutureTask<>(() -> stream.read(ByteBuffer.allocate(9)));
            Thread.ofPlatform().daemon().start(reader);
            stream.close();
            assertThatThrownBy(() -> reader.get(5, TimeUnit.SECONDS))
                    .hasCauseInstanceOf(java.nio.channels.ClosedChannelException.class);
            assertThat(stream.isOpen()).isFalse();
        }
    }
}
