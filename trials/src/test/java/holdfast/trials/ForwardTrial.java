package holdfast.trials;

import static org.assertj.core.api.Assertions.assertThat;

import holdfast.trials.harness.Ended;
import holdfast.trials.harness.Running;
import holdfast.trials.harness.Sshd;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.StandardSocketOptions;
import java.nio.ByteBuffer;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.SplittableRandom;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicLong;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;

/** Connections carried by the client: -L, -R, -D and -W, over TCP and Unix sockets. */
@ExtendWith(Staged.class)
final class ForwardTrial {

    private static final Duration SOON = Duration.ofSeconds(30);

    private static final Pattern ALLOCATED =
            Pattern.compile("Allocated port ([0-9]+) for remote forward to (\\S+)");

    /** A client that forwards, with a session that ends when it is told to. */
    private record Link(Running running) implements AutoCloseable {

        static Link up(Stage stage, Sshd sshd, String... options) throws Exception {
            List<String> words = new ArrayList<>(Arrays.asList(options));
            words.addAll(List.of("trial", "echo ready; exec cat"));
            Running running = stage.ssh(sshd, words.toArray(String[]::new)).inputOpen().start();
            try {
                // The server answers in order: what is forwarded is forwarded by now.
                running.out().await("ready", SOON);
            } catch (AssertionError e) {
                running.kill();
                throw e;
            }
            return new Link(running);
        }

        /** The ports that the server has found, in the order of the forwards. */
        List<Integer> ports(int count) throws InterruptedException {
            List<Integer> ports = new ArrayList<>();
            long deadline = System.nanoTime() + SOON.toNanos();
            while (ports.size() < count) {
                ports.clear();
                Matcher matcher = ALLOCATED.matcher(running.err().text());
                while (matcher.find()) {
                    ports.add(Integer.valueOf(matcher.group(1)));
                }
                if (ports.size() < count) {
                    assertThat(System.nanoTime()).as(running.report()).isLessThan(deadline);
                    Thread.sleep(20);
                }
            }
            return ports;
        }

        /** Ends it as a person does, and expects nothing to be wrong. */
        @Override
        public void close() throws IOException {
            running.stdin().close();
            try {
                Ended ended = running.end(SOON);
                assertThat(ended.status()).as(ended.err()).isZero();
            } catch (InterruptedException e) {
                throw new AssertionError("interrupted", e);
            }
        }

        void saidNothing() {
            assertThat(running.err().text()).isEmpty();
        }
    }

    private static byte[] bytes(int count) {
        byte[] bytes = new byte[count];
        new SplittableRandom(count).nextBytes(bytes);
        return bytes;
    }

    private static String socket(Stage stage, String name) {
        return stage.directory().resolve(name).toString();
    }

    /** Bytes there and back, each end closed by itself. */
    private static void echoes(String listening) throws Exception {
        byte[] said = bytes(300_000);
        assertThat(Peer.exchange(Peer.connect(listening), said)).as(listening).isEqualTo(said);
    }

    // --- every combination

    @Test
    void tcp_and_unix_sockets_are_carried_both_ways_in_every_combination(Stage stage)
            throws Exception {
        Sshd sshd = stage.sshd();
        try (Peer tcp = Peer.tcp(Peer::echo);
                Peer unix = Peer.unix(Path.of(socket(stage, "echo")), Peer::echo)) {
            List<String> words = new ArrayList<>();
            List<String> listening = new ArrayList<>();
            for (String way : List.of("-L", "-R")) {
                for (Peer to : List.of(tcp, unix)) {
                    String port = Integer.toString(Sshd.freePort());
                    String path = socket(stage, way.substring(1) + listening.size());
                    words.addAll(List.of(way, port + ":" + to.target()));
                    words.addAll(List.of(way, path + ":" + to.target()));
                    listening.addAll(List.of(port, path));
                }
            }
            try (Link link = Link.up(stage, sshd, words.toArray(String[]::new))) {
                for (String one : listening) {
                    echoes(one);
                }
                link.saidNothing();
            }
            assertThat(tcp.served()).isEqualTo(4);
            assertThat(unix.served()).isEqualTo(4);
        }
    }

    @Test
    void each_direction_of_a_connection_ends_by_itself(Stage stage) throws Exception {
        Sshd sshd = stage.sshd();
        // Ends what it says first, and hears on.
        ByteArrayOutputStream heard = new ByteArrayOutputStream();
        Peer.Manners early =
                socket -> {
                    Peer.write(socket, "early".getBytes(StandardCharsets.US_ASCII));
                    socket.shutdownOutput();
                    byte[] all = Peer.read(socket, 2_000_000);
                    synchronized (heard) {
                        heard.write(all);
                        heard.notifyAll();
                    }
                };
        for (String way : List.of("-L", "-R")) {
            heard.reset();
            String at = socket(stage, "half" + way);
            try (Peer peer = Peer.tcp(early);
                    Link link = Link.up(stage, sshd, way, at + ":" + peer.target())) {
                byte[] late = bytes(1_000_000);
                try (SocketChannel socket = Peer.connect(at)) {
                    assertThat(Peer.read(socket, 100)).asString().isEqualTo("early");
                    Peer.write(socket, late);
                    socket.shutdownOutput();
                    synchronized (heard) {
                        long deadline = System.nanoTime() + SOON.toNanos();
                        while (heard.size() == 0 && System.nanoTime() < deadline) {
                            heard.wait(100);
                        }
                        assertThat(heard.toByteArray()).as(way).isEqualTo(late);
                    }
                }
                link.saidNothing();
            }
        }
    }

    /** What waits for new keys keeps its own bytes, however many packets were made meanwhile. */
    @Test
    void every_byte_is_right_while_keys_are_exchanged_again_and_again(Stage stage)
            throws Exception {
        Sshd sshd = stage.sshd();
        for (String way : List.of("-L", "-R")) {
            try (Peer peer = Peer.tcp(Peer::echo)) {
                String at = socket(stage, "keys" + way);
                try (Link link =
                        Link.up(
                                stage,
                                sshd,
                                way,
                                at + ":" + peer.target(),
                                "-o",
                                "RekeyLimit=300K")) {
                    List<Callable<byte[]>> connections = new ArrayList<>();
                    for (int i = 0; i < 4; i++) {
                        byte[] said = bytes(6_000_000 + i);
                        connections.add(() -> Peer.exchange(Peer.connect(at), said));
                    }
                    try (ExecutorService all = Executors.newVirtualThreadPerTaskExecutor()) {
                        List<Future<byte[]>> heard = all.invokeAll(connections);
                        for (int i = 0; i < heard.size(); i++) {
                            assertThat(heard.get(i).get())
                                    .as(way + " " + i)
                                    .isEqualTo(bytes(6_000_000 + i));
                        }
                    }
                    link.saidNothing();
                }
            }
        }
    }

    // --- SOCKS

    private static byte[] octets(int... values) {
        byte[] bytes = new byte[values.length];
        for (int i = 0; i < values.length; i++) {
            bytes[i] = (byte) values[i];
        }
        return bytes;
    }

    private static byte[] joined(byte[]... parts) {
        ByteArrayOutputStream all = new ByteArrayOutputStream();
        for (byte[] part : parts) {
            all.writeBytes(part);
        }
        return all.toByteArray();
    }

    private static byte[] ascii(String text) {
        return text.getBytes(StandardCharsets.US_ASCII);
    }

    /** Requests of every version for a port of this machine, each with how long the answer is. */
    private static void socks(String listening, int port) throws Exception {
        byte[] number = octets(port >> 8, port & 0xff);
        byte[] four = octets(127, 0, 0, 1);
        byte[] name = ascii("localhost");
        byte[] greeting = octets(5, 2, 0, 2);
        record Case(byte[] request, int greeted, int answer, int ok) {}
        List<Case> cases =
                List.of(
                        new Case(joined(octets(4, 1), number, four, ascii("me\0")), 0, 8, 90),
                        new Case(
                                joined(
                                        octets(4, 1),
                                        number,
                                        octets(0, 0, 0, 7, 0),
                                        name,
                                        octets(0)),
                                0,
                                8,
                                90),
                        new Case(joined(greeting, octets(5, 1, 0, 1), four, number), 2, 10, 0),
                        new Case(
                                joined(greeting, octets(5, 1, 0, 3, name.length), name, number),
                                2,
                                10,
                                0));
        for (Case one : cases) {
            try (SocketChannel socket = Peer.connect(listening)) {
                // What follows the request at once is the connection's own.
                Peer.write(socket, joined(one.request(), ascii("hello")));
                byte[] answer = Peer.read(socket, one.greeted() + one.answer());
                if (one.greeted() > 0) {
                    assertThat(Arrays.copyOf(answer, 2)).isEqualTo(octets(5, 0));
                }
                assertThat(answer).hasSize(one.greeted() + one.answer());
                assertThat(answer[one.greeted() + 1] & 0xff).isEqualTo(one.ok());
                socket.shutdownOutput();
                assertThat(Peer.read(socket, 100)).asString().isEqualTo("hello");
            }
        }
    }

    @Test
    void every_version_of_socks_is_served_here_and_at_the_far_end(Stage stage) throws Exception {
        Sshd sshd = stage.sshd();
        String here = Integer.toString(Sshd.freePort());
        String path = socket(stage, "socks");
        String far = socket(stage, "far");
        try (Peer peer = Peer.tcp(Peer::echo);
                Link link = Link.up(stage, sshd, "-D", here, "-D", path, "-R", "0", "-R", far)) {
            int found = link.ports(1).getFirst();
            assertThat(link.running().err().text())
                    .contains("Allocated port " + found + " for remote forward to socks:0");
            for (String at : List.of(here, path, Integer.toString(found), far)) {
                if (at.equals(far) && stage.client().openSsh()) {
                    continue; // sshd listens, but OpenSSH's client does not know what for
                }
                socks(at, peer.port());
            }
        }
    }

    @Test
    void socks_clients_that_send_garbage_or_nothing_harm_nobody(Stage stage) throws Exception {
        Sshd sshd = stage.sshd();
        String here = Integer.toString(Sshd.freePort());
        try (Peer peer = Peer.tcp(Peer::echo);
                Link link = Link.up(stage, sshd, "-D", here, "-R", "0")) {
            String far = Integer.toString(link.ports(1).getFirst());
            for (String at : List.of(here, far)) {
                List<SocketChannel> silent = new ArrayList<>();
                for (int i = 0; i < 20; i++) {
                    SocketChannel socket = Peer.connect(at);
                    Peer.write(socket, octets(5));
                    silent.add(socket);
                }
                long seed = System.nanoTime();
                SplittableRandom random = new SplittableRandom(seed);
                List<byte[]> garbage =
                        new ArrayList<>(
                                List.of(
                                        ascii("GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
                                        octets(5, 1, 2),
                                        joined(
                                                octets(5, 1, 0),
                                                octets(5, 2, 0, 1, 127, 0, 0, 1, 0, 9)),
                                        joined(
                                                octets(4, 1, 0, 9, 127, 0, 0, 1),
                                                ascii("u".repeat(600)))));
                for (int i = 0; i < 20; i++) {
                    byte[] some = new byte[random.nextInt(1, 700)];
                    random.nextBytes(some);
                    // No version that there is: nobody is to be reached by chance.
                    some[0] |= 0x10;
                    garbage.add(some);
                }
                for (byte[] bytes : garbage) {
                    try (SocketChannel socket = Peer.connect(at)) {
                        Peer.write(socket, bytes);
                        socket.shutdownOutput();
                        assertThat(Peer.read(socket, 1000)).as("seed " + seed).hasSizeLessThan(100);
                    } catch (IOException reset) {
                        // As good: it has been told that nobody listens.
                    }
                }
                socks(at, peer.port());
                for (SocketChannel socket : silent) {
                    socket.close();
                }
            }
        }
    }

    @Test
    void permit_remote_open_says_where_socks_clients_of_the_server_may_go(Stage stage)
            throws Exception {
        Sshd sshd = stage.sshd();
        try (Peer allowed = Peer.tcp(Peer::echo);
                Peer denied = Peer.tcp(Peer::echo);
                Link link =
                        Link.up(
                                stage,
                                sshd,
                                "-R",
                                "0",
                                "-o",
                                "PermitRemoteOpen=127.0.0.1:"
                                        + allowed.port()
                                        + " localhost:"
                                        + allowed.port())) {
            int port = link.ports(1).getFirst();
            socks(Integer.toString(port), allowed.port());
            try (SocketChannel socket = Peer.connect("127.0.0.1", port)) {
                Peer.write(
                        socket,
                        joined(
                                octets(5, 1, 0),
                                octets(5, 1, 0, 1, 127, 0, 0, 1),
                                octets(denied.port() >> 8, denied.port() & 0xff)));
                byte[] answer = Peer.read(socket, 100);
                assertThat(answer.length < 4 || answer[3] != 0).isTrue();
            } catch (IOException reset) {
                // OpenSSH just closes it.
            }
            if (!stage.client().openSsh()) {
                // It tells that to -v alone.
                link.running().err().await("but the request was denied.", SOON);
            }
            assertThat(denied.served()).isZero();
        }
    }

    // --- -W

    @Test
    void stdin_and_stdout_are_carried_to_ports_and_sockets(Stage stage) throws Exception {
        Sshd sshd = stage.sshd();
        try (Peer tcp = Peer.tcp(Peer::echo);
                Peer unix = Peer.unix(Path.of(socket(stage, "echo")), Peer::echo)) {
            // OpenSSH's client of 9.2 waits for ever where -W names a socket.
            for (Peer to : stage.client().openSsh() ? List.of(tcp) : List.of(tcp, unix)) {
                RandomBytes.thereAndBack(stage.ssh(sshd, "-W", to.target(), "trial"), 3_000_000);
            }
        }
    }

    // --- the words for what goes wrong

    /** Runs the client on trial and OpenSSH's own: both say the same and end alike. */
    private static Ended alike(Stage stage, Sshd sshd, String... words) throws Exception {
        Ended ours = stage.ssh(sshd, words).end(SOON);
        Ended theirs = stage.openSsh(sshd, words).end(SOON);
        assertThat(plain(ours)).as(String.join(" ", words)).isEqualTo(plain(theirs));
        assertThat(ours.status()).isEqualTo(theirs.status());
        return ours;
    }

    /** Channels' numbers count what each program has of its own. */
    private static String plain(Ended ended) {
        return ended.errLines().replaceAll("channel [0-9]+:", "channel N:");
    }

    @Test
    void what_cannot_be_forwarded_is_said_in_openssh_words(Stage stage) throws Exception {
        Sshd sshd = stage.sshd();
        Sshd stern = stage.sshd("AllowTcpForwarding no", "AllowStreamLocalForwarding no");
        Path there = Files.createFile(Path.of(socket(stage, "there")));
        try (Peer busy = Peer.tcp(Peer::echo)) {
            String taken = "127.0.0.1:" + busy.port() + ":127.0.0.1:9";
            String free = Sshd.freePort() + ":127.0.0.1:9";
            String exit = "ExitOnForwardFailure=yes";
            assertThat(alike(stage, sshd, "-L", taken, "trial", "true").status()).isZero();
            assertThat(alike(stage, sshd, "-L", taken, "-o", exit, "trial", "true").status())
                    .isEqualTo(255);
            assertThat(
                            alike(
                                            stage,
                                            sshd,
                                            "-D",
                                            "127.0.0.1:" + busy.port(),
                                            "-o",
                                            exit,
                                            "trial",
                                            "true")
                                    .err())
                    .contains("Could not request local forwarding.");
            alike(stage, sshd, "-L", taken, "-L", free, "trial", "true");
            alike(stage, sshd, "-L", there + ":127.0.0.1:9", "-o", exit, "trial", "true");
            alike(stage, sshd, "-L", "/nowhere/at/all:127.0.0.1:9", "trial", "true");
            assertThat(alike(stage, sshd, "-R", taken, "-N", "-o", exit, "trial").status())
                    .isEqualTo(255);
            alike(stage, sshd, "-R", taken, "trial", "sleep 0.3");
            alike(stage, sshd, "-R", there + ":127.0.0.1:9", "-N", "-o", exit, "trial");
            assertThat(alike(stage, stern, "-R", free, "-N", "-o", exit, "trial").err())
                    .contains("remote port forwarding failed for listen port");
            for (int i = 0; i < 5; i++) {
                // As by OpenSSH no command is begun, or nobody hears of it.
                Ended refused = alike(stage, stern, "-R", free, "-o", exit, "trial", "echo heard");
                assertThat(refused.out()).isEmpty();
                assertThat(refused.status()).isEqualTo(255);
            }
            alike(stage, stern, "-R", socket(stage, "s") + ":/x", "-N", "-o", exit, "trial");
            alike(stage, stern, "-W", "127.0.0.1:9", "trial");
            assertThat(alike(stage, sshd, "-W", "127.0.0.1:1", "trial").status()).isEqualTo(255);
        }
    }

    @Test
    void a_connection_that_the_server_refuses_is_named_and_the_rest_goes_on(Stage stage)
            throws Exception {
        Sshd sshd = stage.sshd("PermitOpen 127.0.0.1:9 127.0.0.1:1");
        Sshd open = stage.sshd();
        String refused = socket(stage, "refused");
        String prohibited = socket(stage, "prohibited");
        try (Link link =
                Link.up(
                        stage,
                        sshd,
                        "-L",
                        refused + ":127.0.0.1:1",
                        "-L",
                        prohibited + ":127.0.0.1:2")) {
            nothing(refused);
            link.running().err().await("open failed: connect failed: ", SOON);
            nothing(prohibited);
            link.running().err().await("open failed: administratively prohibited: ", SOON);
            nothing(refused);
        }
        // The other way: the client cannot reach what the server's forward leads to.
        String far = socket(stage, "far");
        try (Peer peer = Peer.tcp(Peer::echo);
                Link link =
                        Link.up(
                                stage,
                                open,
                                "-R",
                                far + ":127.0.0.1:1",
                                "-R",
                                far + "2:" + peer.target())) {
            nothing(far);
            link.running().err().await("connect_to 127.0.0.1 port 1: failed.", SOON);
            echoes(far + "2");
        }
    }

    /** Taken and closed again: with a reset where what was said has not been read. */
    private static void nothing(String listening) throws Exception {
        try {
            assertThat(Peer.exchange(Peer.connect(listening), "x")).isEmpty();
        } catch (IOException reset) {
            assertThat(reset).hasMessageContaining("reset");
        }
    }

    // --- where it listens

    private static boolean answers(String host, int port) throws Exception {
        try (SocketChannel socket = Peer.connect(host, port)) {
            Peer.write(socket, ascii("x"));
            return Peer.read(socket, 1).length == 1;
        } catch (IOException refused) {
            return false;
        }
    }

    @Test
    void gateway_ports_and_bind_addresses_say_who_may_come(Stage stage) throws Exception {
        Sshd sshd = stage.sshd("GatewayPorts clientspecified");
        try (Peer peer = Peer.tcp(Peer::echo)) {
            for (String way : List.of("-L", "-R")) {
                int plain = Sshd.freePort();
                int star = Sshd.freePort();
                int localhost = Sshd.freePort();
                int other = Sshd.freePort();
                int empty = Sshd.freePort();
                try (Link link =
                        Link.up(
                                stage,
                                sshd,
                                way,
                                plain + ":" + peer.target(),
                                way,
                                "*:" + star + ":" + peer.target(),
                                way,
                                "localhost:" + localhost + ":" + peer.target(),
                                way,
                                "127.0.0.3:" + other + ":" + peer.target(),
                                way,
                                ":" + empty + ":" + peer.target())) {
                    link.saidNothing();
                    assertThat(answers("127.0.0.1", plain)).as(way).isTrue();
                    assertThat(answers("127.0.0.2", plain)).as(way).isFalse();
                    assertThat(answers("127.0.0.2", star)).as(way).isTrue();
                    assertThat(answers("127.0.0.1", localhost)).as(way).isTrue();
                    assertThat(answers("127.0.0.2", localhost)).as(way).isFalse();
                    assertThat(answers("127.0.0.3", other)).as(way).isTrue();
                    assertThat(answers("127.0.0.1", other)).as(way).isFalse();
                    assertThat(answers("127.0.0.2", empty)).as(way).isTrue();
                }
            }
            int port = Sshd.freePort();
            int dynamic = Sshd.freePort();
            int local = Sshd.freePort();
            try (Link link =
                    Link.up(
                            stage,
                            sshd,
                            "-g",
                            "-L",
                            port + ":" + peer.target(),
                            "-D",
                            "" + dynamic,
                            "-L",
                            "localhost:" + local + ":" + peer.target())) {
                link.saidNothing();
                assertThat(answers("127.0.0.2", port)).isTrue();
                assertThat(answers("127.0.0.2", local)).isFalse();
                socks("" + dynamic, peer.port());
                Peer.connect("127.0.0.2", dynamic).close();
            }
        }
    }

    @Test
    void the_ports_that_the_server_has_found_are_told_and_lead_where_they_should(Stage stage)
            throws Exception {
        Sshd sshd = stage.sshd();
        try (Peer one = Peer.tcp(Peer::echo);
                Peer two = Peer.unix(Path.of(socket(stage, "two")), Peer::echo);
                Link link =
                        Link.up(
                                stage,
                                sshd,
                                "-o",
                                "ExitOnForwardFailure=yes",
                                "-R",
                                "0:" + one.target(),
                                "-R",
                                "0:" + two.target())) {
            List<Integer> ports = link.ports(2);
            echoes("" + ports.get(0));
            echoes("" + ports.get(1));
            assertThat(one.served()).isEqualTo(1);
            assertThat(two.served()).isEqualTo(1);
            assertThat(link.running().err().text())
                    .contains("for remote forward to " + one.target())
                    .contains("for remote forward to " + two.target() + ":-2");
        }
    }

    @Test
    void a_socket_has_the_mode_that_is_asked_for_and_replaces_another_when_told(Stage stage)
            throws Exception {
        Sshd sshd = stage.sshd();
        Path path = Path.of(socket(stage, "s"));
        try (Peer peer = Peer.tcp(Peer::echo)) {
            String forward = path + ":" + peer.target();
            try (Link link = Link.up(stage, sshd, "-L", forward)) {
                assertThat(mode(path)).isEqualTo("rw-------");
                link.saidNothing();
            }
            Files.deleteIfExists(path);
            Files.createFile(path);
            try (Link link =
                    Link.up(
                            stage,
                            sshd,
                            "-o",
                            "StreamLocalBindUnlink=yes",
                            "-o",
                            "StreamLocalBindMask=0117",
                            "-L",
                            forward)) {
                link.saidNothing();
                assertThat(mode(path)).isEqualTo("rw-rw----");
                echoes(path.toString());
            }
        }
    }

    private static String mode(Path path) throws IOException {
        return PosixFilePermissions.toString(Files.getPosixFilePermissions(path));
    }

    @Test
    void clear_all_forwardings_clears_them_all(Stage stage) throws Exception {
        Sshd sshd = stage.sshd();
        String here = socket(stage, "here");
        String far = socket(stage, "far");
        try (Link link =
                Link.up(
                        stage,
                        sshd,
                        "-o",
                        "ClearAllForwardings=yes",
                        "-L",
                        here + ":127.0.0.1:9",
                        "-R",
                        far + ":127.0.0.1:9",
                        "-D",
                        here + "2")) {
            assertThat(Path.of(here)).doesNotExist();
            assertThat(Path.of(here + "2")).doesNotExist();
            assertThat(Path.of(far)).doesNotExist();
            link.saidNothing();
        }
    }

    // --- while it runs

    @Test
    void the_client_stays_until_the_last_forwarded_connection_has_ended(Stage stage)
            throws Exception {
        Sshd sshd = stage.sshd();
        String at = socket(stage, "at");
        try (Peer peer = Peer.tcp(Peer::echo)) {
            Running running =
                    stage.ssh(
                                    sshd,
                                    "-L",
                                    at + ":" + peer.target(),
                                    "trial",
                                    "echo ready; cat; exit 3")
                            .inputOpen()
                            .start();
            running.out().await("ready", SOON);
            try (SocketChannel socket = Peer.connect(at)) {
                Peer.write(socket, ascii("a"));
                assertThat(Peer.read(socket, 1)).hasSize(1);
                running.stdin().close();
                assertThat(running.outlasts(Duration.ofSeconds(2))).isTrue();
                Peer.write(socket, ascii("b"));
                assertThat(Peer.read(socket, 1)).hasSize(1);
            }
            assertThat(running.end(SOON).status()).isEqualTo(3);
        }
    }

    @Test
    void a_stuck_connection_delays_neither_another_nor_a_keepalive(Stage stage) throws Exception {
        Sshd sshd = stage.sshd();
        try (Peer ignores = Peer.tcp(Peer::ignore);
                Peer floods = Peer.tcp(Peer::flood);
                Peer echoes = Peer.tcp(Peer::echo)) {
            List<String> words =
                    new ArrayList<>(
                            List.of("-o", "ServerAliveInterval=1", "-o", "ServerAliveCountMax=2"));
            for (String way : List.of("-L", "-R")) {
                words.addAll(List.of(way, socket(stage, "deaf" + way) + ":" + ignores.target()));
                words.addAll(List.of(way, socket(stage, "flood" + way) + ":" + floods.target()));
                words.addAll(List.of(way, socket(stage, "echo" + way) + ":" + echoes.target()));
            }
            try (Link link = Link.up(stage, sshd, words.toArray(String[]::new));
                    SocketChannel unreadHere = Peer.connect(socket(stage, "flood-L"));
                    SocketChannel unreadThere = Peer.connect(socket(stage, "flood-R"));
                    SocketChannel stuckHere = Peer.connect(socket(stage, "deaf-L"));
                    SocketChannel stuckThere = Peer.connect(socket(stage, "deaf-R"))) {
                AtomicLong taken = new AtomicLong();
                pour(stuckHere, taken);
                pour(stuckThere, taken);
                // Until nothing has been taken for a while.
                long before = -1;
                while (before != taken.get()) {
                    before = taken.get();
                    Thread.sleep(500);
                }
                assertThat(before).isLessThan(64L << 20);
                // Longer than the link would live without an answer to a keepalive.
                long until = System.nanoTime() + Duration.ofSeconds(4).toNanos();
                do {
                    echoes(socket(stage, "echo-L"));
                    echoes(socket(stage, "echo-R"));
                } while (System.nanoTime() < until);
                link.saidNothing();
                // They go on from where they were when they are read.
                assertThat(Peer.read(unreadHere, 8_000_000)).hasSize(8_000_000);
                assertThat(Peer.read(unreadThere, 8_000_000)).hasSize(8_000_000);
                // The client would stay for as long as these do.
                ignores.leave();
                floods.leave();
            }
        }
    }

    /** Says as much as is taken, until the connection is closed. */
    private static void pour(SocketChannel into, AtomicLong taken) {
        Thread.ofVirtual()
                .start(() -> {
                    ByteBuffer zeros = ByteBuffer.allocateDirect(64 * 1024);
                    try {
                        while (true) {
                            taken.addAndGet(into.write(zeros.clear()));
                        }
                    } catch (IOException closed) {
                        // the trial is over
                    }
                });
    }

    @Test
    void hundreds_of_connections_at_once_need_no_thread_each(Stage stage) throws Exception {
        stage.onlyHoldfast("it has but one thread");
        Sshd sshd = stage.sshd();
        String here = socket(stage, "here");
        String far = socket(stage, "far");
        try (Peer peer = Peer.unix(Path.of(socket(stage, "echo")), Peer::echo);
                Link link =
                        Link.up(
                                stage,
                                sshd,
                                "-L",
                                here + ":" + peer.target(),
                                "-R",
                                far + ":" + peer.target())) {
            int before = threads(link.running().pid());
            List<SocketChannel> open = new ArrayList<>();
            try {
                for (int i = 0; i < 300; i++) {
                    open.add(Peer.connect(i % 2 == 0 ? here : far));
                }
                for (int round = 0; round < 3; round++) {
                    for (SocketChannel socket : open) {
                        Peer.write(socket, ascii("ping"));
                    }
                    for (SocketChannel socket : open) {
                        assertThat(Peer.read(socket, 4)).asString().isEqualTo("ping");
                    }
                }
                assertThat(threads(link.running().pid())).isLessThan(before + 20);
            } finally {
                for (SocketChannel socket : open) {
                    socket.close();
                }
            }
        }
    }

    /** A listener that answers to nobody until {@link #serve}: its queue is full. */
    private static final class Late implements AutoCloseable {
        private final ServerSocketChannel listener = ServerSocketChannel.open();
        private final List<SocketChannel> before = new ArrayList<>();

        Late() throws IOException, InterruptedException {
            listener.bind(new InetSocketAddress(InetAddress.ofLiteral("127.0.0.1"), 0), 1);
            while (before.isEmpty() || before.getLast().finishConnect()) {
                SocketChannel one = SocketChannel.open();
                before.add(one);
                one.configureBlocking(false);
                one.connect(listener.getLocalAddress());
                Thread.sleep(100); // what has not been answered by then waits for the queue
            }
        }

        int port() throws IOException {
            return ((InetSocketAddress) listener.getLocalAddress()).getPort();
        }

        /** From now on everybody is answered, by silence, until they leave. */
        void serve() {
            Thread.ofVirtual()
                    .start(() -> {
                        try {
                            while (true) {
                                SocketChannel one = listener.accept();
                                Thread.ofVirtual().start(() -> outlast(one));
                            }
                        } catch (IOException closed) {
                            // all is over
                        }
                    });
        }

        private static void outlast(SocketChannel one) {
            try (one) {
                Peer.read(one, 1_000_000);
            } catch (Exception gone) {
                // as good
            }
        }

        @Override
        public void close() throws IOException {
            listener.close();
            for (SocketChannel one : before) {
                one.close();
            }
        }
    }

    private static void reset(SocketChannel socket) throws IOException {
        socket.setOption(StandardSocketOptions.SO_LINGER, 0);
        socket.close();
    }

    private static long sockets(List<Long> processes) throws IOException {
        long count = 0;
        for (long pid : processes) {
            try (Stream<Path> all = Files.list(Path.of("/proc/" + pid + "/fd"))) {
                for (Path one : all.toList()) {
                    try {
                        String what = Files.readSymbolicLink(one).toString();
                        count += what.startsWith("socket:") ? 1 : 0;
                    } catch (NoSuchFileException closed) {
                        // between the look at the directory and that at the link
                    }
                }
            }
        }
        return count;
    }

    @Test
    void connections_that_are_given_up_at_any_step_leave_nothing_at_either_end(Stage stage)
            throws Exception {
        Sshd sshd = stage.sshd();
        try (Peer echo = Peer.tcp(Peer::echo);
                Peer flood = Peer.tcp(Peer::flood);
                Late late = new Late()) {
            Map<String, String> targets =
                    Map.of(
                            "late",
                            "127.0.0.1:" + late.port(),
                            "gone",
                            "127.0.0.1:" + Sshd.freePort(),
                            "flood",
                            flood.target(),
                            "echo",
                            echo.target());
            Map<String, String> ports = new HashMap<>();
            List<String> words = new ArrayList<>(List.of("-o", "LogLevel=FATAL"));
            for (String way : List.of("-D", "-R")) {
                ports.put("socks" + way, Integer.toString(Sshd.freePort()));
                words.addAll(List.of(way, at(ports, "socks" + way)));
            }
            for (String way : List.of("-L", "-R")) {
                targets.forEach((name, target) -> {
                    ports.put(name + way, Integer.toString(Sshd.freePort()));
                    words.addAll(List.of(way, at(ports, name + way) + ":" + target));
                });
            }
            try (Link link = Link.up(stage, sshd, words.toArray(String[]::new))) {
                // What is made once is there then.
                socks(at(ports, "socks-D"), echo.port());
                socks(at(ports, "socks-R"), echo.port());
                echoes(at(ports, "echo-R"));
                List<Long> client = List.of(link.running().pid());
                List<Long> server = sshd.sessions();
                long here = sockets(client);
                long there = sockets(server);
                assertThat(here).isPositive();
                assertThat(there).isPositive();
                for (int i = 0; i < 4; i++) {
                    for (String way : List.of("-L", "-R")) {
                        giveUp(ports, way, i % 2 == 0);
                    }
                    for (String way : List.of("-D", "-R")) {
                        giveUpSocks(at(ports, "socks" + way), late.port(), i % 2 == 0);
                    }
                }
                late.serve();
                long deadline = System.nanoTime() + 2 * SOON.toNanos();
                while (sockets(client) > here || sockets(server) > there) {
                    assertThat(System.nanoTime())
                            .as(
                                    "sockets of the client: %d, %d before; of the server: %d, %d",
                                    sockets(client), here, sockets(server), there)
                            .isLessThan(deadline);
                    Thread.sleep(20);
                }
                echoes(at(ports, "echo-L"));
            }
        }
    }

    private static String at(Map<String, String> ports, String name) {
        return Objects.requireNonNull(ports.get(name), name);
    }

    private static void end(SocketChannel socket, boolean reset) throws IOException {
        if (reset) {
            reset(socket);
        } else {
            socket.close();
        }
    }

    private static void giveUp(Map<String, String> ports, String way, boolean reset)
            throws Exception {
        // Before the other end has answered: at once, with bytes on their way, with an end said.
        end(Peer.connect(at(ports, "late" + way)), reset);
        SocketChannel spoke = Peer.connect(at(ports, "late" + way));
        Peer.write(spoke, bytes(10_000));
        end(spoke, reset);
        SocketChannel ended = Peer.connect(at(ports, "late" + way));
        ended.shutdownOutput();
        end(ended, reset);
        // Nobody is there.
        SocketChannel refused = Peer.connect(at(ports, "gone" + way));
        assertThat(Peer.read(refused, 1)).isEmpty();
        end(refused, reset);
        // In the middle of what never ends.
        SocketChannel flooded = Peer.connect(at(ports, "flood" + way));
        assertThat(Peer.read(flooded, 100_000)).hasSize(100_000);
        end(flooded, reset);
        SocketChannel half = Peer.connect(at(ports, "flood" + way));
        half.shutdownOutput();
        assertThat(Peer.read(half, 1)).hasSize(1);
        end(half, reset);
    }

    private static void giveUpSocks(String at, int port, boolean reset) throws Exception {
        SocketChannel middle = Peer.connect(at);
        Peer.write(middle, octets(5, 1, 0, 5, 1));
        assertThat(Peer.read(middle, 2)).hasSize(2);
        end(middle, reset);
        SocketChannel asked = Peer.connect(at);
        Peer.write(asked, octets(5, 1, 0, 5, 1, 0, 1, 127, 0, 0, 1, port >> 8, port & 0xff));
        assertThat(Peer.read(asked, 2)).hasSize(2);
        end(asked, reset);
    }

    private static int threads(long pid) throws IOException {
        for (String line : Files.readAllLines(Path.of("/proc/" + pid + "/status"))) {
            if (line.startsWith("Threads:")) {
                return Integer.parseInt(line.replaceAll("[^0-9]", ""));
            }
        }
        throw new AssertionError("no such process: " + pid);
    }

    // --- programs

    @Test
    void curl_fetches_through_the_socks_port(Stage stage) throws Exception {
        Stage.needs("curl");
        Sshd sshd = stage.sshd();
        byte[] page = bytes(3_000_000);
        Peer.Manners http =
                socket -> {
                    StringBuilder request = new StringBuilder();
                    while (!request.toString().endsWith("\r\n\r\n")) {
                        byte[] one = Peer.read(socket, 1);
                        if (one.length == 0) {
                            return;
                        }
                        request.append((char) one[0]);
                    }
                    Peer.write(
                            socket,
                            joined(
                                    ascii(
                                            "HTTP/1.1 200 OK\r\nContent-Length: "
                                                    + page.length
                                                    + "\r\nConnection: close\r\n\r\n"),
                                    page));
                };
        int port = Sshd.freePort();
        try (Peer peer = Peer.tcp(http);
                Link link = Link.up(stage, sshd, "-D", "" + port)) {
            for (String version : List.of("socks4", "socks4a", "socks5", "socks5h")) {
                Path file = stage.directory().resolve(version);
                Ended ended =
                        stage.run(
                                        "curl",
                                        "-sS",
                                        "--noproxy",
                                        "",
                                        "-x",
                                        version + "://127.0.0.1:" + port,
                                        "-o",
                                        file.toString(),
                                        "http://localhost:" + peer.port() + "/")
                                .end(SOON);
                assertThat(ended.status()).as(version + ended.err()).isZero();
                assertThat(Files.readAllBytes(file)).isEqualTo(page);
            }
            Ended nobody =
                    stage.run(
                                    "curl",
                                    "-sS",
                                    "--noproxy",
                                    "",
                                    "-x",
                                    "socks5h://127.0.0.1:" + port,
                                    "http://127.0.0.1:1/")
                            .end(SOON);
            assertThat(nobody.status()).isEqualTo(97);
            link.running().err().await("open failed: connect failed: ", SOON);
        }
    }

    @Test
    void redis_is_used_by_its_own_client_in_both_directions(Stage stage) throws Exception {
        Stage.needs("redis-server");
        Stage.needs("redis-cli");
        Sshd sshd = stage.sshd();
        Path path = Path.of(socket(stage, "redis"));
        Running redis =
                stage.run(
                                "redis-server",
                                "--port",
                                "0",
                                "--unixsocket",
                                path.toString(),
                                "--save",
                                "",
                                "--dir",
                                stage.directory().toString())
                        .start();
        try {
            Peer.await(path.toString()).close();
            int here = Sshd.freePort();
            int far = Sshd.freePort();
            try (Link link =
                    Link.up(stage, sshd, "-L", here + ":" + path, "-R", far + ":" + path)) {
                for (int port : List.of(here, far)) {
                    String value = "v".repeat(100_000) + port;
                    Ended set =
                            stage.run("redis-cli", "-p", "" + port, "-x", "SET", "key")
                                    .input(value)
                                    .end(SOON);
                    assertThat(set.out()).as(set.err()).isEqualTo("OK\n");
                    Ended get = stage.run("redis-cli", "-p", "" + port, "GET", "key").end(SOON);
                    assertThat(get.out().strip()).isEqualTo(value);
                    Ended many =
                            stage.run(
                                            "redis-benchmark",
                                            "-p",
                                            "" + port,
                                            "-c",
                                            "20",
                                            "-n",
                                            "1000",
                                            "-t",
                                            "set,lpush,lrange_100",
                                            "-q")
                                    .end(SOON);
                    assertThat(many.status()).as(many.err()).isZero();
                    assertThat(many.out()).contains("requests per second");
                }
                link.saidNothing();
            }
        } finally {
            redis.signal("TERM");
            redis.end(SOON);
        }
    }
}
