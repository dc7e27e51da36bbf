package holdfast.ssh.server.forward;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import holdfast.ssh.server.Ports;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** The server's forwarding with Debian's ssh. */
@Timeout(120)
@SuppressWarnings("try") // an end that closes in the middle is what half of these tests are about
class ForwardsTest {

    @TempDir Path directory;

    private static byte[] random(int length, long seed) {
        byte[] bytes = new byte[length];
        new Random(seed).nextBytes(bytes);
        return bytes;
    }

    private static int awaitPort(int port) throws Exception {
        Rig.until("port " + port, () -> Rig.listens(port));
        return port;
    }

    @Test
    void a_hundred_megabytes_come_back_byte_for_byte_through_L() throws Exception {
        try (Rig rig = new Rig(directory);
                Echo echo = Echo.tcp()) {
            int port = Ports.free();
            rig.background("-L", port + ":127.0.0.1:" + echo.port());
            awaitPort(port);
            byte[] sent = random(100_000_000, 1);
            try (Socket socket = Echo.to(port)) {
                assertThat(Arrays.equals(Echo.through(socket, sent), sent)).isTrue();
            }
            Rig.until("the echo's socket is gone", () -> echo.open.get() == 0);
        }
    }

    @Test
    void a_hundred_megabytes_come_back_byte_for_byte_through_R() throws Exception {
        try (Rig rig = new Rig(directory);
                Echo echo = Echo.tcp()) {
            int port = Ports.free();
            rig.background("-R", port + ":127.0.0.1:" + echo.port());
            awaitPort(port);
            byte[] sent = random(100_000_000, 2);
            try (Socket socket = Echo.to(port)) {
                assertThat(Arrays.equals(Echo.through(socket, sent), sent)).isTrue();
            }
            Rig.until("the echo's socket is gone", () -> echo.open.get() == 0);
        }
    }

    @Test
    void each_direction_ends_by_itself() throws Exception {
        try (Rig rig = new Rig(directory);
                ServerSocket target = Echo.silent()) {
            int port = Ports.free();
            int back = Ports.free();
            rig.background(
                    "-L",
                    port + ":127.0.0.1:" + target.getLocalPort(),
                    "-R",
                    back + ":127.0.0.1:" + target.getLocalPort());
            awaitPort(port);
            target.accept().close(); // the trial connection of awaitPort
            awaitPort(back);
            target.accept().close();
            for (int entrance : new int[] {port, back}) {
                try (Socket near = Echo.to(entrance);
                        Socket far = target.accept()) {
                    far.setSoTimeout(10_000);
                    near.getOutputStream().write("ask".getBytes(StandardCharsets.UTF_8));
                    near.shutdownOutput();
                    assertThat(far.getInputStream().readAllBytes()).asString().isEqualTo("ask");
                    far.getOutputStream().write("answer".getBytes(StandardCharsets.UTF_8));
                    far.close();
                    assertThat(near.getInputStream().readAllBytes()).asString().isEqualTo("answer");
                }
                try (Socket near = Echo.to(entrance);
                        Socket far = target.accept()) {
                    far.setSoTimeout(10_000);
                    far.getOutputStream().write("hello".getBytes(StandardCharsets.UTF_8));
                    far.shutdownOutput();
                    assertThat(near.getInputStream().readAllBytes()).asString().isEqualTo("hello");
                    near.getOutputStream().write("thanks".getBytes(StandardCharsets.UTF_8));
                    near.close();
                    assertThat(far.getInputStream().readAllBytes()).asString().isEqualTo("thanks");
                }
            }
            Rig.until("no channel is left", () -> rig.channels() == 0);
        }
    }

    @Test
    void a_stuck_reader_holds_up_nobody_and_gets_every_byte_in_the_end() throws Exception {
        try (Rig rig = new Rig(directory);
                ServerSocket target = Echo.silent();
                Echo echo = Echo.tcp()) {
            int slow = Ports.free();
            int quick = Ports.free();
            rig.background(
                    "-o",
                    "ServerAliveInterval=1",
                    "-L",
                    slow + ":127.0.0.1:" + target.getLocalPort(),
                    "-L",
                    quick + ":127.0.0.1:" + echo.port());
            awaitPort(slow);
            target.accept().close();
            byte[] sent = random(20_000_000, 3);
            byte[] other = random(5_000_000, 4);
            try (Socket near = Echo.to(slow);
                    Socket far = target.accept()) {
                Thread writer =
                        Thread.ofVirtual()
                                .start(() -> {
                                    try {
                                        near.getOutputStream().write(sent);
                                        near.shutdownOutput();
                                    } catch (IOException e) {
                                        // the assertion below says it
                                    }
                                });
                for (int i = 0; i < 5; i++) {
                    try (Socket socket = Echo.to(quick)) {
                        assertThat(Arrays.equals(Echo.through(socket, other), other)).isTrue();
                    }
                }
                assertThat(writer.isAlive()).as("the slow one is stuck").isTrue();
                assertThat(Arrays.equals(far.getInputStream().readAllBytes(), sent)).isTrue();
                writer.join();
                // And the other way: nobody reads the near end.
                Thread answer =
                        Thread.ofVirtual()
                                .start(() -> {
                                    try {
                                        far.getOutputStream().write(sent);
                                        far.close();
                                    } catch (IOException e) {
                                        // the assertion below says it
                                    }
                                });
                for (int i = 0; i < 5; i++) {
                    try (Socket socket = Echo.to(quick)) {
                        assertThat(Arrays.equals(Echo.through(socket, other), other)).isTrue();
                    }
                }
                assertThat(answer.isAlive()).as("the slow one is stuck").isTrue();
                assertThat(Arrays.equals(near.getInputStream().readAllBytes(), sent)).isTrue();
                answer.join();
            }
            Rig.until("no channel is left", () -> rig.channels() == 0);
        }
    }

    @Test
    void who_sends_without_an_end_is_told_that_nobody_takes_it_any_more() throws Exception {
        try (Rig rig = new Rig(directory);
                ServerSocket target = Echo.silent()) {
            int local = Ports.free();
            int remote = Ports.free();
            String to = ":127.0.0.1:" + target.getLocalPort();
            rig.background("-L", local + to, "-R", remote + to);
            for (int port : new int[] {local, remote}) {
                awaitPort(port);
                target.accept().close();
            }
            try (Socket sender = Echo.to(local);
                    Socket taker = target.accept()) {
                taker.getInputStream().read(new byte[1], 0, send(sender));
                taker.setSoLinger(true, 0);
                taker.close();
                sendsUntilTold(sender);
            }
            Rig.until("no channel is left", () -> rig.channels() == 0);
            try (Socket taker = Echo.to(remote);
                    Socket sender = target.accept()) {
                taker.getInputStream().read(new byte[1], 0, send(sender));
                taker.setSoLinger(true, 0);
                taker.close();
                sendsUntilTold(sender);
            }
            Rig.until("no channel is left", () -> rig.channels() == 0);
        }
    }

    private static int send(Socket sender) throws IOException {
        sender.getOutputStream().write(1);
        return 1;
    }

    private static void sendsUntilTold(Socket sender) {
        long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(30);
        byte[] bytes = new byte[10_000];
        assertThatThrownBy(
                        () -> {
                            while (System.nanoTime() < deadline) {
                                sender.getOutputStream().write(bytes);
                            }
                        })
                .as("nobody said that nobody takes it")
                .isInstanceOf(IOException.class);
    }

    @Test
    void hundreds_of_connections_at_random_leave_nothing() throws Exception {
        long seed = System.nanoTime();
        System.out.println("seed " + seed);
        try (Rig rig = new Rig(directory);
                Echo echo = Echo.tcp()) {
            int local = Ports.free();
            int remote = Ports.free();
            rig.background(
                    "-L",
                    local + ":127.0.0.1:" + echo.port(),
                    "-R",
                    remote + ":127.0.0.1:" + echo.port());
            awaitPort(local);
            awaitPort(remote);
            Rig.until("the trial connections are gone", () -> rig.channels() == 0);
            long before = sockets();
            assertThat(before).as("sockets, those that listen").isPositive();
            List<String> wrong = new CopyOnWriteArrayList<>();
            List<Thread> threads = new ArrayList<>();
            for (int i = 0; i < 200; i++) {
                Random dice = new Random(seed + i);
                int port = i % 2 == 0 ? local : remote;
                threads.add(Thread.ofVirtual().start(() -> once(dice, port, wrong)));
            }
            for (Thread thread : threads) {
                thread.join();
            }
            assertThat(wrong).as("%s%n%s", rig.ssh(), rig.log).isEmpty();
            Rig.until("no channel is left", () -> rig.channels() == 0);
            Rig.until("no connection is left", () -> echo.open.get() == 0);
            Rig.until("no socket is left", () -> sockets() <= before);
        }
    }

    private static void once(Random dice, int port, List<String> wrong) {
        try {
            Thread.sleep(dice.nextInt(500));
            byte[] bytes = new byte[dice.nextInt(200_000)];
            dice.nextBytes(bytes);
            try (Socket socket = Echo.to(port)) {
                switch (dice.nextInt(3)) {
                    case 0 -> {
                        byte[] back = Echo.through(socket, bytes);
                        if (!Arrays.equals(back, bytes)) {
                            wrong.add(bytes.length + " bytes came back as " + back.length);
                        }
                    }
                    case 1 -> {
                        socket.getOutputStream().write(bytes);
                        socket.setSoLinger(true, 0); // a reset
                    }
                    default -> socket.getOutputStream().write(bytes);
                }
            }
        } catch (Exception e) {
            wrong.add(e.toString());
        }
    }

    /** Of this process; not all of its descriptors, since the VM opens files when it likes. */
    private static long sockets() throws IOException {
        long count = 0;
        try (var all = Files.list(Path.of("/proc/self/fd"))) {
            for (Path one : all.toList()) {
                try {
                    String what = Files.readSymbolicLink(one).toString();
                    count += what.startsWith("socket:") ? 1 : 0;
                } catch (NoSuchFileException closed) {
                    // since the directory was read
                }
            }
        }
        return count;
    }

    @Test
    void unix_sockets_serve_at_either_end() throws Exception {
        Files.setPosixFilePermissions(directory, PosixFilePermissions.fromString("rwxrwxrwx"));
        Path target = directory.resolve("target");
        Path near = directory.resolve("near");
        Path far = directory.resolve("far");
        try (Rig rig = new Rig(directory, "StreamLocalBindMask 0117");
                Echo tcp = Echo.tcp();
                Echo _ = Echo.unix(target)) {
            Files.setPosixFilePermissions(target, PosixFilePermissions.fromString("rwxrwxrwx"));
            int local = Ports.free();
            int remote = Ports.free();
            rig.background(
                    "-L",
                    local + ":" + target,
                    "-L",
                    near + ":127.0.0.1:" + tcp.port(),
                    "-R",
                    remote + ":" + target,
                    "-R",
                    far + ":127.0.0.1:" + tcp.port());
            awaitPort(local);
            awaitPort(remote);
            Rig.until("the socket is there", () -> Files.exists(far));
            byte[] sent = random(300_000, 5);
            for (int port : new int[] {local, remote}) {
                try (Socket socket = Echo.to(port)) {
                    assertThat(Arrays.equals(Echo.through(socket, sent), sent)).isTrue();
                }
            }
            for (Path path : new Path[] {near, far}) {
                try (SocketChannel socket = SocketChannel.open(StandardProtocolFamily.UNIX)) {
                    socket.connect(UnixDomainSocketAddress.of(path));
                    var out = java.nio.channels.Channels.newOutputStream(socket);
                    out.write("over here".getBytes(StandardCharsets.UTF_8));
                    socket.shutdownOutput();
                    var in = java.nio.channels.Channels.newInputStream(socket);
                    assertThat(in.readAllBytes()).asString().isEqualTo("over here");
                }
            }
            assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(far)))
                    .isEqualTo("rw-rw----");
            if (Files.getAttribute(directory, "unix:uid").equals(0)) {
                // We are root, and the socket is the user's all the same.
                assertThat(Files.getAttribute(far, "unix:uid")).isEqualTo(1000);
            }
            rig.endClients();
            Rig.until("our socket is gone from the file system", () -> !Files.exists(far));
        }
    }

    @Test
    void port_0_is_told_and_a_cancelled_listener_is_free_at_once() throws Exception {
        Path control = directory.resolve("control");
        try (Rig rig = new Rig(directory);
                Echo echo = Echo.tcp()) {
            rig.background("-M", "-S", control.toString(), "-R", "0:127.0.0.1:" + echo.port());
            Rig.until("the port is told", () -> rig.ssh().contains("Allocated port "));
            String said = rig.ssh();
            int port =
                    Integer.parseInt(
                            said.substring(said.indexOf("Allocated port ") + 15).split(" ", 2)[0]);
            try (Socket socket = Echo.to(port)) {
                assertThat(Echo.through(socket, "hi".getBytes(StandardCharsets.UTF_8)))
                        .asString()
                        .isEqualTo("hi");
            }
            int other = Ports.free();
            for (int i = 0; i < 3; i++) {
                String spec = other + ":127.0.0.1:" + echo.port();
                assertThat(mux(rig, control, "forward", spec)).isZero();
                assertThat(Rig.listens(other)).isTrue();
                assertThat(mux(rig, control, "cancel", spec)).isZero();
                // ssh does not wait for the answer to a cancel; the next request follows at once.
            }
            assertThat(mux(rig, control, "forward", other + ":127.0.0.1:" + echo.port())).isZero();
            assertThat(rig.ssh()).doesNotContain("failed");
        }
    }

    private static int mux(Rig rig, Path control, String command, String spec) throws Exception {
        Process process = rig.ssh("-S", control.toString(), "-O", command, "-R", spec);
        assertThat(process.waitFor(10, TimeUnit.SECONDS)).isTrue();
        return process.exitValue();
    }

    @Test
    void a_listener_is_free_for_its_owners_next_connection() throws Exception {
        try (Rig rig = new Rig(directory);
                Echo echo = Echo.tcp()) {
            int port = Ports.free();
            for (int i = 0; i < 5; i++) {
                rig.background(
                        "-o", "ExitOnForwardFailure=yes", "-R", port + ":127.0.0.1:" + echo.port());
                awaitPort(port);
                rig.endClients();
            }
            assertThat(rig.ssh()).doesNotContain("failed");
        }
    }

    @Test
    void what_cannot_be_reached_says_why() throws Exception {
        try (Rig rig = new Rig(directory)) {
            int nobody = Ports.free();
            assertThat(stdio(rig, "127.0.0.1:" + nobody))
                    .contains("open failed: connect failed: Connection refused");
            assertThat(stdio(rig, "no-such-host.invalid:80"))
                    .contains("open failed: connect failed: Name or service not known");
            assertThat(rig.log)
                    .anyMatch(line ->
                            line.equals("connect_to 127.0.0.1 port " + nobody + ": failed."))
                    .anyMatch(line -> line.contains("no-such-host.invalid: unknown host ("));
        }
    }

    private static String stdio(Rig rig, String target) throws Exception {
        int before = rig.ssh().length();
        assertThat(rig.ssh("-W", target).waitFor(20, TimeUnit.SECONDS)).isTrue();
        return rig.ssh().substring(before);
    }

    @Test
    void the_configuration_and_the_key_say_what_may_be_reached() throws Exception {
        try (Echo echo = Echo.tcp();
                Echo other = Echo.tcp();
                Rig rig =
                        new Rig(
                                directory,
                                keyOpens("127.0.0.1:" + echo.port(), "localhost:*"),
                                1000,
                                "PermitOpen 127.0.0.1:" + echo.port() + " localhost:1")) {
            assertThat(stdio(rig, "127.0.0.1:" + echo.port())).doesNotContain("failed");
            assertThat(stdio(rig, "127.0.0.1:" + other.port()))
                    .contains("open failed: administratively prohibited: open failed");
            assertThat(stdio(rig, "localhost:1")).contains("Connection refused");
            assertThat(stdio(rig, "localhost:2")).contains("administratively prohibited");
            int refused = other.port();
            assertThat(rig.log)
                    .anyMatch(line ->
                            line.matches(
                                    "Received request from 127.0.0.1 port \\d+ to connect to host"
                                            + " 127.0.0.1 port "
                                            + refused
                                            + ", but the request was denied."));
        }
    }

    private static holdfast.ssh.server.Permissions keyOpens(String... permits) {
        var all = holdfast.ssh.server.Permissions.ALL;
        return new holdfast.ssh.server.Permissions(
                null,
                all.environment(),
                true,
                true,
                true,
                true,
                true,
                List.of(permits),
                List.of("0", "localhost:2000"));
    }

    @Test
    void listeners_are_where_and_for_whom_they_may_be() throws Exception {
        try (Rig rig = new Rig(directory, keyOpens("*:*"), 1000, "GatewayPorts clientspecified")) {
            Process denied =
                    rig.ssh("-N", "-o", "ExitOnForwardFailure=yes", "-R", "3000:127.0.0.1:1");
            assertThat(denied.waitFor(20, TimeUnit.SECONDS)).isTrue();
            assertThat(denied.exitValue()).isEqualTo(255);
            assertThat(rig.ssh())
                    .contains("Error: remote port forwarding failed for listen port 3000");
            assertThat(rig.log)
                    .anyMatch(line ->
                            line.endsWith(
                                    " to remote forward to host localhost port 3000, but the request was"
                                            + " denied."));
        }
        Files.delete(directory.resolve("key"));
        try (Rig rig = new Rig(directory)) {
            Process low = rig.ssh("-N", "-o", "ExitOnForwardFailure=yes", "-R", "81:127.0.0.1:1");
            assertThat(low.waitFor(20, TimeUnit.SECONDS)).isTrue();
            assertThat(low.exitValue()).isEqualTo(255);
        }
    }

    private static final byte[] LOOPBACK_6 = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};

    @Test
    void listeners_and_connections_are_of_the_servers_family() throws Exception {
        try (Rig rig = new Rig(directory, "AddressFamily inet", "GatewayPorts clientspecified")) {
            int port = Ports.free();
            Process denied =
                    rig.ssh(
                            "-N",
                            "-o",
                            "ExitOnForwardFailure=yes",
                            "-R",
                            "[::1]:" + port + ":127.0.0.1:1");
            assertThat(denied.waitFor(20, TimeUnit.SECONDS)).isTrue();
            assertThat(denied.exitValue()).isEqualTo(255);
            String words = "Address family for hostname not supported";
            assertThat(rig.log)
                    .contains("channel_setup_fwd_listener_tcpip: getaddrinfo(::1): " + words);
            stdio(rig, "[::1]:" + port);
            assertThat(rig.log).contains("connect_to ::1: unknown host (" + words + ")");
            rig.background("-R", "localhost:" + port + ":127.0.0.1:1");
            awaitPort(port);
            try (Socket six = new Socket()) {
                assertThatThrownBy(() ->
                                six.connect(
                                        new InetSocketAddress(
                                                InetAddress.getByAddress(LOOPBACK_6), port),
                                        10_000))
                        .isInstanceOf(IOException.class);
            }
        }
    }

    @Test
    void nothing_is_forwarded_where_forwarding_is_off() throws Exception {
        try (Echo echo = Echo.tcp();
                Rig rig = new Rig(directory, "AllowTcpForwarding no")) {
            assertThat(stdio(rig, "127.0.0.1:" + echo.port()))
                    .contains("administratively prohibited: open failed");
            rig.ssh("-v", "-N", "-R", "0:127.0.0.1:1");
            Rig.until(
                    "the client is told",
                    () -> rig.ssh().contains("Server has disabled port forwarding."));
            assertThat(rig.log).anyMatch(line -> line.startsWith("refused local port forward: "));
        }
    }
}
