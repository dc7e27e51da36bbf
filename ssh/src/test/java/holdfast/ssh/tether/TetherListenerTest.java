package holdfast.ssh.tether;

import static org.assertj.core.api.Assertions.assertThat;

import holdfast.core.tether.Bytes;
import holdfast.core.tether.CarrierPolicy;
import holdfast.core.tether.CarrierState;
import holdfast.core.tether.Frame;
import holdfast.core.tether.Prover;
import holdfast.core.tether.Resumption;
import holdfast.core.tether.TetherLine;
import holdfast.ssh.link.LinkClock;
import holdfast.ssh.link.TcpStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.SocketException;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** A listener before a server that greets and then gives back what it gets. */
@Timeout(30)
final class TetherListenerTest {

    private static final String GREETING = "SSH-2.0-Target_1 some comment\r\n";
    private static final String OURS = "SSH-2.0-Client_1\r\n";
    private static final int BUFFER = 1 << 20;

    private final List<String> log = Collections.synchronizedList(new ArrayList<>());
    private final List<Socket> targets = Collections.synchronizedList(new ArrayList<>());
    private @Nullable ServerSocket target;
    private @Nullable TetherListener made;

    @BeforeEach
    void listen() throws IOException {
        ServerSocket server = new ServerSocket(0, 50, InetAddress.getLoopbackAddress());
        target = server;
        Thread.ofVirtual()
                .start(() -> {
                    try {
                        while (true) {
                            Socket one = server.accept();
                            targets.add(one);
                            Thread.ofVirtual().start(() -> echo(one));
                        }
                    } catch (IOException e) {
                        // the test is over
                    }
                });
        listen(100);
    }

    private void listen(int most) throws IOException {
        close(made);
        TetherListener listener =
                new TetherListener(
                        List.of(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0)),
                        new TetherListener.Rules(
                                new InetSocketAddress(
                                        InetAddress.getLoopbackAddress(), target().getLocalPort()),
                                Duration.ofMinutes(5),
                                BUFFER,
                                most),
                        new TetherListener.Watcher() {
                            @Override
                            public void said(String line) {
                                log.add(line);
                            }

                            @Override
                            public void detail(String line) {
                                log.add(line);
                            }
                        });
        made = listener;
        listener.serve();
    }

    @AfterEach
    void end() throws IOException {
        close(made);
        target().close();
        for (Socket one : targets) {
            one.close();
        }
    }

    private static void close(@Nullable TetherListener listener) {
        if (listener != null) {
            listener.close();
        }
    }

    private ServerSocket target() {
        ServerSocket server = target;
        return Objects.requireNonNull(server);
    }

    private TetherListener listener() {
        TetherListener listener = made;
        return Objects.requireNonNull(listener);
    }

    private static void echo(Socket one) {
        try (one) {
            OutputStream out = one.getOutputStream();
            out.write(GREETING.getBytes(StandardCharsets.US_ASCII));
            one.getInputStream().transferTo(out);
        } catch (IOException e) {
            // cut, or the test is over
        }
    }

    private InetSocketAddress where() throws IOException {
        return listener().addresses().getFirst();
    }

    private Socket connect() throws IOException {
        return new Socket(where().getAddress(), where().getPort());
    }

    private static String line(InputStream in) throws IOException {
        StringBuilder line = new StringBuilder();
        int c;
        while ((c = in.read()) != '\n') {
            assertThat(c).isNotNegative();
            line.append((char) c);
        }
        return line.substring(0, line.length() - 1);
    }

    private static TetherLine.Offer offer(String line) {
        if (TetherLine.of(line) instanceof TetherLine.Offer offer) {
            return offer;
        }
        throw new AssertionError("no offer: " + line);
    }

    @Test
    void a_plain_client_gets_every_byte_and_its_half_close() throws IOException {
        try (Socket client = connect()) {
            InputStream in = client.getInputStream();
            offer(line(in));
            byte[] sent = TetherKey.random(200_000).toArray();
            Thread.ofVirtual()
                    .start(() -> {
                        try {
                            client.getOutputStream()
                                    .write(OURS.getBytes(StandardCharsets.US_ASCII));
                            client.getOutputStream().write(sent);
                            client.shutdownOutput();
                        } catch (IOException e) {
                            log.add(e.toString());
                        }
                    });
            byte[] got = in.readAllBytes();
            byte[] expected =
                    ByteBuffer.allocate(GREETING.length() + OURS.length() + sent.length)
                            .put(GREETING.getBytes(StandardCharsets.US_ASCII))
                            .put(OURS.getBytes(StandardCharsets.US_ASCII))
                            .put(sent)
                            .array();
            assertThat(got).isEqualTo(expected);
        }
    }

    @Test
    void a_client_that_waits_for_the_server_gets_its_greeting() throws IOException {
        try (Socket client = connect()) {
            offer(line(client.getInputStream()));
            assertThat(line(client.getInputStream()) + "\r\n").isEqualTo(GREETING);
            client.getOutputStream().write(OURS.getBytes(StandardCharsets.US_ASCII));
            assertThat(line(client.getInputStream()) + "\r\n").isEqualTo(OURS);
        }
    }

    @Test
    void a_tether_carries_every_byte_over_cuts_and_leaves_nothing() throws Exception {
        List<SocketChannel> carriers = Collections.synchronizedList(new ArrayList<>());
        SocketChannel first = SocketChannel.open(where());
        carriers.add(first);
        TetherStream stream = stream(first, carriers);
        byte[] sent = TetherKey.random(3_000_000).toArray();
        AtomicInteger given = new AtomicInteger();
        Thread writer =
                Thread.ofVirtual()
                        .start(() -> {
                            try {
                                stream.write(
                                        ByteBuffer.wrap(OURS.getBytes(StandardCharsets.US_ASCII)));
                                for (int at = 0; at < sent.length; at += 30_000) {
                                    if (at == 300_000) {
                                        // Until the listener has said that it holds it, a loss
                                        // is the end,
                                        while (!held(stream)) {
                                            Thread.sleep(1);
                                        }
                                    }
                                    stream.write(ByteBuffer.wrap(sent, at, 30_000));
                                    while (at == 300_000 && given.get() < at + 30_000) {
                                        Thread.sleep(1); // and until it has heard that we know.
                                    }
                                    if (at % 600_000 == 300_000) {
                                        carriers.getLast().close();
                                    }
                                }
                            } catch (IOException | InterruptedException e) {
                                log.add(e.toString());
                            }
                        });
        ByteBuffer got = ByteBuffer.allocate(1024 + sent.length);
        // The offer's line, the greeting, our own line, and what was sent.
        int all = 9 + 67 + 2 + GREETING.length() + OURS.length() + sent.length;
        while (got.position() < all) {
            assertThat(stream.read(got)).as(log.toString()).isPositive();
            given.set(got.position());
        }
        writer.join();
        assertThat(got.position()).isEqualTo(all);
        byte[] tail = new byte[sent.length];
        got.get(all - sent.length, tail);
        assertThat(tail).isEqualTo(sent);
        assertThat(carriers).hasSizeGreaterThan(3);
        assertThat(listener().tethers()).isOne();
        stream.close();
        while (listener().tethers() > 0 || !targets.getFirst().isClosed()) {
            Thread.sleep(10);
        }
    }

    @Test
    void a_program_that_takes_nothing_costs_no_carrier() throws Exception {
        List<SocketChannel> carriers = Collections.synchronizedList(new ArrayList<>());
        SocketChannel first = SocketChannel.open(where());
        carriers.add(first);
        TetherStream stream = stream(first, carriers);
        byte[] sent = TetherKey.random(400_000).toArray();
        Thread.ofVirtual()
                .start(() -> {
                    try {
                        stream.write(ByteBuffer.wrap(OURS.getBytes(StandardCharsets.US_ASCII)));
                    } catch (IOException e) {
                        log.add(e.toString());
                    }
                });
        ByteBuffer got = ByteBuffer.allocate(1024 + sent.length);
        int lines = 9 + 67 + 2 + GREETING.length() + OURS.length();
        while (got.position() < lines) {
            assertThat(stream.read(got)).as(log.toString()).isPositive();
        }
        while (!held(stream)) {
            Thread.sleep(1);
        }
        stream.write(ByteBuffer.wrap(sent));
        // What is not acknowledged is asked after, and then doubted, within three seconds.
        Thread.sleep(4_000);
        assertThat(carriers).as(log.toString()).containsExactly(first);
        while (got.position() < lines + sent.length) {
            assertThat(stream.read(got)).as(log.toString()).isPositive();
        }
        byte[] tail = new byte[sent.length];
        got.get(lines, tail);
        assertThat(tail).isEqualTo(sent);
        stream.close();
    }

    private static boolean held(TetherStream stream) {
        return stream.state() instanceof CarrierState.Carried carried
                && !carried.known().hold().isZero();
    }

    private static TetherStream.Passage through(SocketChannel socket) throws IOException {
        return TetherStream.Passage.of(new TcpStream(socket));
    }

    private TetherStream stream(SocketChannel first, List<SocketChannel> carriers)
            throws IOException {
        return TetherStream.carrying(
                through(first),
                "Test_1",
                BUFFER,
                CarrierPolicy.client(Duration.ofSeconds(15), 1),
                new LinkClock(),
                () -> {
                    SocketChannel next = SocketChannel.open(where());
                    carriers.add(next);
                    return through(next);
                },
                new Unwatched() {
                    @Override
                    public void said(String line) {
                        log.add(line);
                    }
                },
                Duration.ofDays(1));
    }

    /** A tether made by hand: its name, and its key. */
    private record Rightful(Socket socket, Bytes id, Prover prover) {}

    private Rightful rightful() throws IOException {
        Socket client = connect();
        DataInputStream in = new DataInputStream(client.getInputStream());
        TetherKey key = TetherKey.generate();
        String ours = "SSH-2.0-Test_1 " + key.offer(BUFFER).carryWord();
        String serverLine = begun(client, in, ours);
        assertThat(in.readUnsignedByte()).isEqualTo(Frame.HELD);
        while (in.readUnsignedByte() >= 0x80) {
            // the number of seconds
        }
        byte[] id = in.readNBytes(Resumption.ID);
        assertThat(in.readUnsignedByte()).isEqualTo(Frame.PING);
        int token = in.readUnsignedByte();
        client.getOutputStream().write(new byte[] {Frame.PONG, (byte) token});
        Prover prover = key.agree(offer(serverLine).key(), ours, serverLine);
        return new Rightful(client, Bytes.of(id), Objects.requireNonNull(prover));
    }

    /** Answers the offer, which is returned, and has the target's line. */
    private static String begun(Socket client, InputStream in, String ours) throws IOException {
        String serverLine = line(in);
        client.getOutputStream().write((ours + "\r\n").getBytes(StandardCharsets.US_ASCII));
        assertThat(line(in) + "\r\n").isEqualTo(GREETING);
        return serverLine;
    }

    /** All that still comes; a connection that is reset has ended, too. */
    private static byte[] rest(Socket client) throws IOException {
        client.setSoTimeout(20_000);
        ByteArrayOutputStream all = new ByteArrayOutputStream();
        byte[] some = new byte[4096];
        int count = 0;
        while (count >= 0) {
            all.write(some, 0, count);
            try {
                count = client.getInputStream().read(some);
            } catch (SocketException e) {
                count = -1;
            }
        }
        return all.toByteArray();
    }

    private byte[] resume(Bytes id, Prover prover, long generation, long received)
            throws IOException {
        try (Socket client = connect()) {
            InputStream in = client.getInputStream();
            String serverLine = line(in);
            TetherLine.Resume request =
                    Resumption.request(
                            prover,
                            id,
                            generation,
                            received,
                            0,
                            TetherKey.random(TetherLine.NONCE),
                            serverLine);
            client.getOutputStream()
                    .write(
                            ("SSH-2.0-Test_1 " + request.word() + "\r\n")
                                    .getBytes(StandardCharsets.US_ASCII));
            return in.readNBytes(2);
        }
    }

    @Test
    void a_forged_resume_looks_like_an_unknown_one_and_the_rightful_goes_on() throws IOException {
        Rightful rightful = rightful();
        byte[] refused = {Frame.REFUSED, 0};
        assertThat(resume(TetherKey.random(16), TetherKey.nobodys(), 1, 0)).isEqualTo(refused);
        assertThat(resume(rightful.id, TetherKey.nobodys(), 1, 0)).isEqualTo(refused);
        // The right key, and more than was ever sent.
        assertThat(resume(rightful.id, rightful.prover, 1, 1L << 40)).isEqualTo(refused);
        assertThat(log).filteredOn(line -> line.contains("resume refused")).hasSize(3);
        rightful.socket.getOutputStream().write(new byte[] {Frame.PING, 1});
        assertThat(rightful.socket.getInputStream().readNBytes(2))
                .isEqualTo(new byte[] {Frame.PONG, 1});
        assertThat(resume(rightful.id, rightful.prover, 1, 0)[0]).isEqualTo((byte) Frame.RESUMED);
        // The older carrier is closed, and its generation is spent.
        assertThat(rightful.socket.getInputStream().read()).isEqualTo(-1);
        assertThat(resume(rightful.id, rightful.prover, 1, 0)).isEqualTo(refused);
        rightful.socket.close();
    }

    @Test
    void whoever_is_refused_too_often_is_told_to_wait() throws IOException {
        byte[] busy = {Frame.REFUSED, 1};
        List<byte[]> answers = new ArrayList<>();
        for (int i = 0; i < 30; i++) {
            answers.add(resume(TetherKey.random(16), TetherKey.nobodys(), 1, 0));
        }
        assertThat(answers.getFirst()).isEqualTo(new byte[] {Frame.REFUSED, 0});
        assertThat(answers.getLast()).isEqualTo(busy);
        assertThat(log.size()).isLessThan(30);
    }

    @Test
    void a_resume_later_than_the_targets_greeting_is_served() throws Exception {
        Rightful rightful = rightful();
        try (Socket client = connect()) {
            InputStream in = client.getInputStream();
            String serverLine = line(in);
            assertThat(line(in) + "\r\n").isEqualTo(GREETING); // it has waited long enough
            TetherLine.Resume request =
                    Resumption.request(
                            rightful.prover,
                            rightful.id,
                            1,
                            0,
                            0,
                            TetherKey.random(TetherLine.NONCE),
                            serverLine);
            client.getOutputStream()
                    .write(
                            ("SSH-2.0-Test_1 " + request.word() + "\r\n")
                                    .getBytes(StandardCharsets.US_ASCII));
            assertThat(in.read()).isEqualTo(Frame.RESUMED);
        }
        rightful.socket.close();
    }

    @Test
    void few_that_may_not_have_logged_in_are_parked() throws Exception {
        listen(10);
        List<Rightful> all = new ArrayList<>();
        for (int i = 0; i < 4; i++) {
            Rightful one = rightful();
            all.add(one);
            one.socket.getOutputStream().write(new byte[] {Frame.PING, 1});
            assertThat(one.socket.getInputStream().readNBytes(2))
                    .isEqualTo(new byte[] {Frame.PONG, 1});
        }
        for (Rightful one : all) {
            one.socket.close();
        }
        while (listener().tethers() > 1) {
            Thread.sleep(10);
        }
        assertThat(listener().parked()).isOne();
    }

    @Test
    void whoever_is_carried_when_it_stops_is_told_so_whatever_else_goes_on() throws Exception {
        for (int i = 0; i < 20; i++) {
            listen(10);
            Rightful one = rightful();
            Thread asks =
                    Thread.ofPlatform()
                            .daemon()
                            .start(() -> {
                                try {
                                    OutputStream out = one.socket.getOutputStream();
                                    for (int token = 1; ; token = token % 99 + 1) {
                                        out.write(new byte[] {Frame.PING, (byte) token});
                                    }
                                } catch (IOException e) {
                                    // it has stopped
                                }
                            });
            assertThat(one.socket.getInputStream().read()).isEqualTo(Frame.PONG);
            FutureTask<byte[]> said = new FutureTask<>(() -> rest(one.socket));
            Thread.ofPlatform().daemon().start(said);
            listener().close();
            byte[] all = said.get(20, TimeUnit.SECONDS);
            assertThat(Arrays.copyOfRange(all, all.length - 2, all.length))
                    .as("round %d", i)
                    .isEqualTo(new byte[] {Frame.CLOSE, 1});
            one.socket.close();
            asks.join();
        }
    }

    @Test
    void nobody_is_left_when_it_stops_whether_held_or_not() throws Exception {
        listen(1);
        Rightful held = rightful();
        try (Socket unheld = connect();
                Socket plain = connect();
                Socket silent = connect()) {
            TetherKey key = TetherKey.generate();
            String ours = "SSH-2.0-Test_1 " + key.offer(BUFFER).carryWord();
            begun(unheld, unheld.getInputStream(), ours);
            unheld.getOutputStream().write(new byte[] {Frame.PING, 1}); // only a tether answers
            int came;
            do {
                came = unheld.getInputStream().read();
            } while (came != Frame.PONG && came >= 0);
            assertThat(came).isEqualTo(Frame.PONG);
            begun(plain, plain.getInputStream(), OURS.strip());
            offer(line(silent.getInputStream()));
            assertThat(listener().tethers()).isOne();
            listener().close();
            assertThat(rest(held.socket)).endsWith(Frame.CLOSE, 1);
            assertThat(rest(unheld)).endsWith(Frame.CLOSE, 1);
            assertThat(new String(rest(plain), StandardCharsets.US_ASCII)).isIn("", OURS);
            rest(silent);
        }
        assertThat(listener().tethers()).isZero();
        held.socket.close();
        while (!targets.stream().allMatch(Socket::isClosed)) {
            Thread.sleep(10); // each closes when its client has ended
        }
    }
}
