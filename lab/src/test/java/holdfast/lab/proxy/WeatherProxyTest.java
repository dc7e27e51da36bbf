package holdfast.lab.proxy;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import holdfast.core.time.Moment;
import holdfast.lab.middlebox.Direction;
import holdfast.lab.middlebox.End;
import holdfast.lab.middlebox.Flow;
import holdfast.lab.middlebox.IdleNat;
import holdfast.lab.middlebox.IdleNat.Expiry;
import holdfast.lab.middlebox.Latency;
import holdfast.lab.middlebox.Loss;
import holdfast.lab.middlebox.Middlebox;
import holdfast.lab.middlebox.MuteServer;
import holdfast.lab.middlebox.OneWayLoss;
import holdfast.lab.middlebox.RateLimit;
import holdfast.lab.middlebox.Span;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.SocketException;
import java.net.SocketTimeoutException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.function.Predicate;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.parallel.Execution;
import org.junit.jupiter.api.parallel.ExecutionMode;

/** Real sockets at both ends of a weather proxy; a machine may be busy for as long as IDLE. */
@Timeout(value = 60, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
@Execution(ExecutionMode.CONCURRENT)
class WeatherProxyTest {

    private static final Duration IDLE = Duration.ofMillis(700);
    private static final Flow ONE = new Flow(1);

    private final List<WeatherEvent> seen = new CopyOnWriteArrayList<>();
    private final BlockingQueue<Socket> accepted = new LinkedBlockingQueue<>();
    private final List<AutoCloseable> open = new ArrayList<>();
    private ServerSocket target;

    @BeforeEach
    void listen() throws IOException {
        target = new ServerSocket(0, 64, InetAddress.getLoopbackAddress());
        open.add(target);
        Thread.ofVirtual()
                .start(() -> {
                    try {
                        while (true) {
                            accepted.add(target.accept());
                        }
                    } catch (IOException closed) {
                        // The test is over.
                    }
                });
    }

    @AfterEach
    void close() throws Exception {
        for (AutoCloseable resource : open.reversed()) {
            resource.close();
        }
        for (Socket socket : accepted) {
            socket.close();
        }
    }

    private WeatherProxy proxy(Middlebox<?>... boxes) throws IOException {
        InetSocketAddress to =
                new InetSocketAddress(target.getInetAddress(), target.getLocalPort());
        WeatherProxy proxy = WeatherProxy.open(to, List.of(boxes), seen::add);
        open.add(proxy);
        return proxy;
    }

    private Socket client(WeatherProxy proxy) throws IOException {
        Socket socket = new Socket();
        open.add(socket);
        socket.connect(proxy.address());
        socket.setTcpNoDelay(true);
        return socket;
    }

    private Socket server() throws Exception {
        Socket socket = accepted.poll(10, TimeUnit.SECONDS);
        assertThat(socket).isNotNull();
        open.add(socket);
        return socket;
    }

    private static IdleNat nat(Expiry expiry) {
        return IdleNat.of(IDLE, expiry);
    }

    private static void say(Socket socket, String text) throws IOException {
        socket.getOutputStream().write(text.getBytes(java.nio.charset.StandardCharsets.US_ASCII));
    }

    private static String hear(Socket socket, int bytes) throws IOException {
        return new String(
                socket.getInputStream().readNBytes(bytes),
                java.nio.charset.StandardCharsets.US_ASCII);
    }

    /** What a read meets within {@code millis}: text, "nothing", "end" or "reset". */
    private static String meets(Socket socket, int millis) throws IOException {
        socket.setSoTimeout(millis);
        try {
            int first = socket.getInputStream().read();
            return first < 0 ? "end" : "text";
        } catch (SocketTimeoutException e) {
            return "nothing";
        } catch (SocketException e) {
            return "reset";
        } finally {
            socket.setSoTimeout(0);
        }
    }

    private <E extends WeatherEvent> E await(Class<E> type) throws InterruptedException {
        return await(type, event -> true);
    }

    private <E extends WeatherEvent> E await(Class<E> type, Predicate<E> wanted)
            throws InterruptedException {
        long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(10);
        while (System.nanoTime() < deadline) {
            for (WeatherEvent event : seen) {
                if (type.isInstance(event) && wanted.test(type.cast(event))) {
                    return type.cast(event);
                }
            }
            Thread.sleep(5);
        }
        throw new AssertionError("no " + type.getSimpleName() + " in " + seen);
    }

    private boolean saw(Class<? extends WeatherEvent> type) {
        return seen.stream().anyMatch(type::isInstance);
    }

    @Test
    void in_fair_weather_bytes_pass_both_ways_and_so_does_a_half_close() throws Exception {
        WeatherProxy proxy = proxy();
        Socket client = client(proxy);
        Socket server = server();
        say(client, "question");
        assertThat(hear(server, 8)).isEqualTo("question");
        client.shutdownOutput();
        assertThat(server.getInputStream().read()).isEqualTo(-1);
        say(server, "answer after the end");
        assertThat(hear(client, 20)).isEqualTo("answer after the end");
        server.close();
        assertThat(client.getInputStream().read()).isEqualTo(-1);
        WeatherEvent.Closed closed = await(WeatherEvent.Closed.class);
        assertThat(closed.toServer()).isEqualTo(8);
        assertThat(closed.toClient()).isEqualTo(20);
        assertThat(proxy.flows()).isEmpty();
    }

    @Test
    void silent_expiry_swallows_both_directions_and_tells_nobody() throws Exception {
        WeatherProxy proxy = proxy(nat(Expiry.SILENT));
        Socket client = client(proxy);
        Socket server = server();
        WeatherEvent.Forgotten forgotten = await(WeatherEvent.Forgotten.class);
        assertThat(forgotten.idle()).isBetween(IDLE, IDLE.plusMillis(1));
        say(server, "line");
        WeatherEvent.Swallowed swallowed = await(WeatherEvent.Swallowed.class);
        assertThat(swallowed.direction()).isEqualTo(Direction.TO_CLIENT);
        assertThat(swallowed.bytes()).isEqualTo(4);
        say(client, "hello?");
        assertThat(meets(client, 700)).isEqualTo("nothing");
        assertThat(meets(server, 300)).isEqualTo("nothing");
        FlowReport report = proxy.flows().getFirst();
        assertThat(report.known()).isFalse();
        assertThat(report.clientOpen()).isTrue();
        assertThat(report.serverOpen()).isTrue();
    }

    @Test
    void traffic_more_often_than_the_idle_time_keeps_a_flow() throws Exception {
        WeatherProxy proxy = proxy(nat(Expiry.SILENT));
        Socket client = client(proxy);
        Socket server = server();
        for (int i = 0; i < 10; i++) {
            Thread.sleep(150);
            say(client, "k");
            assertThat(hear(server, 1)).isEqualTo("k");
        }
        assertThat(saw(WeatherEvent.Forgotten.class)).isFalse();
        say(server, "line");
        assertThat(hear(client, 4)).isEqualTo("line");
    }

    @Test
    void reset_on_next_tells_the_speaker_only() throws Exception {
        WeatherProxy proxy = proxy(nat(Expiry.RESET_SPEAKER));
        Socket client = client(proxy);
        Socket server = server();
        await(WeatherEvent.Forgotten.class);
        say(client, "x");
        assertThat(meets(client, 2000)).isEqualTo("reset");
        assertThat(meets(server, 300)).isEqualTo("nothing");
        assertThat(await(WeatherEvent.Reset.class).end()).isEqualTo(End.CLIENT);
        FlowReport report = proxy.flows().getFirst();
        assertThat(report.clientOpen()).isFalse();
        assertThat(report.serverOpen()).isTrue();
    }

    @Test
    void reset_both_ends_both_at_the_moment_of_expiry() throws Exception {
        WeatherProxy proxy = proxy(nat(Expiry.RESET_BOTH));
        Socket client = client(proxy);
        Socket server = server();
        assertThat(meets(client, 2000)).isEqualTo("reset");
        assertThat(meets(server, 2000)).isEqualTo("reset");
        await(WeatherEvent.Closed.class);
        assertThat(proxy.flows()).isEmpty();
    }

    @Test
    void close_ends_both_in_good_order_at_the_moment_of_expiry() throws Exception {
        WeatherProxy proxy = proxy(nat(Expiry.CLOSE));
        Socket client = client(proxy);
        Socket server = server();
        assertThat(meets(client, 2000)).isEqualTo("end");
        assertThat(meets(server, 2000)).isEqualTo("end");
        client.close();
        server.close();
        await(WeatherEvent.Closed.class);
    }

    @Test
    void revive_serves_the_client_that_speaks_first() throws Exception {
        WeatherProxy proxy = proxy(nat(Expiry.REVIVE));
        Socket client = client(proxy);
        Socket server = server();
        await(WeatherEvent.Forgotten.class);
        say(client, "back");
        assertThat(hear(server, 4)).isEqualTo("back");
        say(server, "good");
        assertThat(hear(client, 4)).isEqualTo("good");
        assertThat(saw(WeatherEvent.Revived.class)).isTrue();
        assertThat(saw(WeatherEvent.Swallowed.class)).isFalse();
    }

    @Test
    void revive_resets_the_server_that_speaks_first_and_the_client_learns_it_when_it_speaks()
            throws Exception {
        WeatherProxy proxy = proxy(nat(Expiry.REVIVE));
        Socket client = client(proxy);
        Socket server = server();
        await(WeatherEvent.Forgotten.class);
        say(server, "line");
        assertThat(meets(server, 2000)).isEqualTo("reset");
        assertThat(meets(client, 300)).isEqualTo("nothing");
        say(client, "x");
        assertThat(meets(client, 2000)).isEqualTo("reset");
        await(WeatherEvent.Closed.class);
    }

    @Test
    void revive_behind_a_filter_delivers_the_servers_words_once_the_client_has_spoken()
            throws Exception {
        IdleNat nat = nat(Expiry.REVIVE).unsolicited(IdleNat.Unsolicited.DROP);
        WeatherProxy proxy = proxy(nat);
        Socket client = client(proxy);
        Socket server = server();
        await(WeatherEvent.Forgotten.class);
        say(server, "late");
        assertThat(meets(client, 300)).isEqualTo("nothing");
        say(client, "x");
        assertThat(hear(client, 4)).isEqualTo("late");
    }

    @Test
    void remap_makes_the_client_a_stranger_whom_the_server_resets() throws Exception {
        WeatherProxy proxy = proxy(nat(Expiry.REMAP));
        Socket client = client(proxy);
        Socket server = server();
        await(WeatherEvent.Forgotten.class);
        say(client, "x");
        assertThat(meets(client, 2000)).isEqualTo("reset");
        assertThat(meets(server, 200)).isEqualTo("nothing");
        say(server, "x");
        assertThat(meets(server, 2000)).isEqualTo("reset");
        await(WeatherEvent.Closed.class);
    }

    @Test
    void what_was_said_during_an_outage_arrives_whole_after_it() throws Exception {
        WeatherProxy proxy = proxy();
        Socket client = client(proxy);
        Socket server = server();
        say(client, "before ");
        assertThat(hear(server, 7)).isEqualTo("before ");
        proxy.cut();
        say(client, "in ");
        await(WeatherEvent.Swallowed.class);
        say(client, "between ");
        assertThat(meets(server, 500)).isEqualTo("nothing");
        proxy.heal();
        say(client, "after");
        assertThat(hear(server, 16)).isEqualTo("in between after");
    }

    @Test
    void a_connection_made_during_an_outage_opens_after_it() throws Exception {
        WeatherProxy proxy = proxy();
        proxy.cut();
        Socket client = client(proxy);
        say(client, "patience");
        await(WeatherEvent.Swallowed.class);
        assertThat(accepted).isEmpty();
        proxy.heal();
        assertThat(hear(server(), 8)).isEqualTo("patience");
    }

    @Test
    void a_forgotten_table_and_a_killed_flow_are_silent() throws Exception {
        WeatherProxy proxy = proxy(IdleNat.of(Duration.ofHours(1), Expiry.SILENT));
        Socket one = client(proxy);
        Socket serverOne = server();
        say(one, "1");
        assertThat(hear(serverOne, 1)).isEqualTo("1");
        proxy.kill(ONE);
        say(one, "x");
        Socket two = client(proxy);
        Socket serverTwo = server();
        say(two, "2");
        assertThat(hear(serverTwo, 1)).isEqualTo("2");
        assertThat(meets(serverOne, 300)).isEqualTo("nothing");
        proxy.forget();
        say(two, "x");
        assertThat(meets(serverTwo, 300)).isEqualTo("nothing");
    }

    @Test
    void reset_by_hand_resets_both_ends() throws Exception {
        WeatherProxy proxy = proxy();
        Socket client = client(proxy);
        Socket server = server();
        proxy.reset(ONE);
        assertThat(meets(client, 2000)).isEqualTo("reset");
        assertThat(meets(server, 2000)).isEqualTo("reset");
    }

    @Test
    void a_client_that_aborts_aborts_the_server() throws Exception {
        WeatherProxy proxy = proxy();
        Socket client = client(proxy);
        Socket server = server();
        client.setSoLinger(true, 0);
        client.close();
        assertThat(meets(server, 2000)).isEqualTo("reset");
        await(WeatherEvent.Closed.class);
    }

    @Test
    void a_mute_server_takes_everything_and_gives_nothing() throws Exception {
        WeatherProxy proxy = proxy(MuteServer.during(Span.since(Moment.ZERO)));
        Socket client = client(proxy);
        Socket server = server();
        say(client, "hello?");
        WeatherEvent.Swallowed swallowed = await(WeatherEvent.Swallowed.class);
        assertThat(swallowed.acknowledged()).isTrue();
        say(server, "hello!");
        assertThat(meets(client, 600)).isEqualTo("nothing");
        assertThat(meets(server, 300)).isEqualTo("nothing");
    }

    @Test
    void one_way_loss_delivers_once_what_is_never_acknowledged() throws Exception {
        WeatherProxy proxy =
                proxy(OneWayLoss.during(Direction.TO_CLIENT, Span.since(new Moment(400_000_000L))));
        Socket client = client(proxy);
        Socket server = server();
        Thread.sleep(Math.max(0, 450 - proxy.now().nanos() / 1_000_000));
        say(client, "once");
        assertThat(hear(server, 4)).isEqualTo("once");
        assertThat(meets(server, 1000)).isEqualTo("nothing");
        say(server, "lost");
        assertThat(meets(client, 300)).isEqualTo("nothing");
    }

    @Test
    void latency_is_paid_in_each_direction() throws Exception {
        WeatherProxy proxy = proxy(Latency.of(Duration.ofMillis(100)));
        Socket client = client(proxy);
        Socket server = server();
        say(client, "warm");
        hear(server, 4);
        long start = System.nanoTime();
        say(client, "ping");
        assertThat(hear(server, 4)).isEqualTo("ping");
        say(server, "pong");
        assertThat(hear(client, 4)).isEqualTo("pong");
        assertThat((System.nanoTime() - start) / 1e6).isBetween(200.0, 500.0);
    }

    @Test
    void a_megabyte_comes_through_loss_jitter_and_a_narrow_line_byte_for_byte() throws Exception {
        byte[] sent = new byte[1 << 20];
        new Random(5).nextBytes(sent);
        WeatherProxy proxy =
                proxy(
                        new Latency(Duration.ofMillis(2), Duration.ofMillis(3), 1),
                        new Loss(0.01, 2),
                        new RateLimit(2_000_000, 100_000));
        byte[] received = transfer(client(proxy), server(), sent);
        assertThat(Arrays.equals(received, sent)).isTrue();
        assertThat(saw(WeatherEvent.Swallowed.class)).isTrue();
    }

    @Test
    void bulk_comes_through_fair_weather_byte_for_byte() throws Exception {
        byte[] sent = new byte[32 << 20];
        new Random(6).nextBytes(sent);
        WeatherProxy proxy = proxy(IdleNat.of(Duration.ofHours(1), Expiry.SILENT));
        byte[] received = transfer(client(proxy), server(), sent);
        assertThat(Arrays.equals(received, sent)).isTrue();
        assertThat(saw(WeatherEvent.Swallowed.class)).isFalse();
    }

    private static byte[] transfer(Socket from, Socket to, byte[] bytes) throws Exception {
        Thread writer =
                Thread.ofVirtual()
                        .start(() -> {
                            try {
                                from.getOutputStream().write(bytes);
                                from.shutdownOutput();
                            } catch (IOException e) {
                                throw new IllegalStateException(e);
                            }
                        });
        byte[] received = to.getInputStream().readAllBytes();
        writer.join();
        return received;
    }

    @Test
    void a_reader_that_does_not_read_stops_the_writer_in_bounded_memory() throws Exception {
        WeatherProxy proxy = proxy();
        Socket client = client(proxy);
        Socket server = server();
        BlockingQueue<Integer> written = new ArrayBlockingQueue<>(10_000);
        Thread writer =
                Thread.ofVirtual()
                        .start(() -> {
                            try {
                                while (true) {
                                    client.getOutputStream().write(new byte[64 * 1024]);
                                    written.add(1);
                                }
                            } catch (IOException closed) {
                                // The test is over.
                            }
                        });
        int before;
        do {
            before = written.size();
            Thread.sleep(500);
        } while (written.size() > before);
        long delivered = proxy.flows().getFirst().toServer();
        long kernels = before * 64L * 1024 - delivered;
        // What is not yet delivered lies in the proxy's room and in one kernel's buffers.
        assertThat(kernels).isLessThan(WeatherProxy.ROOM_BYTES + (16 << 20));
        client.close();
        server.close();
        writer.join();
    }

    @Test
    void a_target_that_refuses_shows_as_a_reset() throws Exception {
        // Bound and not listening. One that is being closed takes connections until the thread that
        // waits on it has heard of it, and then the port may be anybody's.
        Socket nobody = new Socket();
        open.add(nobody);
        nobody.bind(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0));
        InetSocketAddress to = (InetSocketAddress) nobody.getLocalSocketAddress();
        WeatherProxy proxy = WeatherProxy.open(to, List.of(), seen::add);
        open.add(proxy);
        Socket client = client(proxy);
        assertThat(meets(client, 5000)).isEqualTo("reset");
        assertThat(await(WeatherEvent.Refused.class).reason()).isNotBlank();
        await(WeatherEvent.Closed.class);
    }

    @Test
    void one_connection_too_many_is_reset() throws Exception {
        InetSocketAddress to =
                new InetSocketAddress(target.getInetAddress(), target.getLocalPort());
        InetSocketAddress any = new InetSocketAddress(InetAddress.getLoopbackAddress(), 0);
        WeatherProxy proxy = WeatherProxy.open(any, to, List.of(), 2, seen::add);
        open.add(proxy);
        client(proxy);
        client(proxy);
        assertThat(meets(client(proxy), 5000)).isEqualTo("reset");
    }

    @Test
    void a_port_in_use_is_said_at_once() throws Exception {
        WeatherProxy proxy = proxy();
        assertThatThrownBy(() ->
                        WeatherProxy.open(
                                proxy.address(), proxy.address(), List.of(), 1, event -> {}))
                .isInstanceOf(IOException.class);
    }

    @Test
    void closing_ends_every_connection_and_can_be_done_in_any_state() throws Exception {
        WeatherProxy proxy = proxy(nat(Expiry.SILENT));
        List<Socket> clients = new ArrayList<>();
        for (int i = 0; i < 20; i++) {
            clients.add(client(proxy));
        }
        say(clients.getFirst(), "x");
        proxy.cut();
        say(clients.getLast(), "x");
        proxy.close();
        proxy.close();
        for (Socket client : clients) {
            assertThat(meets(client, 2000)).isIn("reset", "end");
        }
        assertThat(proxy.flows()).isEmpty();
        assertThatThrownBy(() -> client(proxy)).isInstanceOf(IOException.class);
    }
}
