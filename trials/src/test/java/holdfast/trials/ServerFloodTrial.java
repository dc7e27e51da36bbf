package holdfast.trials;

import static org.assertj.core.api.Assertions.assertThat;

import holdfast.trials.harness.Ended;
import holdfast.trials.harness.Eventually;
import holdfast.trials.harness.Running;
import holdfast.trials.harness.Sshd;
import java.io.IOException;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.SocketTimeoutException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.parallel.Execution;
import org.junit.jupiter.api.parallel.ExecutionMode;

/**
 * Peers that mean ill, or are broken beyond telling the difference: {@code holdfast sshd} says so,
 * does not grow, and those who behave notice nothing.
 */
@ExtendWith(Staged.class)
@Execution(ExecutionMode.CONCURRENT)
final class ServerFloodTrial {

    private static final Duration SOON = Duration.ofMinutes(2);

    /**
     * What a server of Java may grow by under any load at all: its young generation, its buffers.
     */
    private static final long GROWTH_KIB = 96 * 1024;

    /** Descriptors of the server's own, made when the first of a kind needs them. */
    private static final int MADE_ONCE = 12;

    @Test
    void a_slow_loris_is_shown_the_door_when_its_time_is_up(Stage stage) throws Exception {
        Sshd sshd = stage.holdfastSshd("LoginGraceTime 3", "PerSourcePenalties no");
        try (Bystander bystander = new Bystander(stage, sshd)) {
            List<Socket> slow = new ArrayList<>();
            try {
                for (int i = 0; i < 40; i++) {
                    slow.add(new Socket(InetAddress.getLoopbackAddress(), sshd.port()));
                }
                // Half of them take their time over the banner, half over the key exchange.
                byte[] banner = "SSH-2.0-slow_and_slower\r\n".getBytes(StandardCharsets.US_ASCII);
                for (int i = 0; i < 20; i++) {
                    slow.get(i).getOutputStream().write(banner);
                    slow.get(i)
                            .getOutputStream()
                            .write(ByteBuffer.allocate(4).putInt(1000).array());
                }
                long start = System.nanoTime();
                byte[] some = "SSH-2.0-x".repeat(100).getBytes(StandardCharsets.US_ASCII);
                for (int at = 0; !slow.isEmpty(); at++) {
                    for (Socket socket : List.copyOf(slow)) {
                        try {
                            socket.getOutputStream().write(some[at % some.length]);
                        } catch (IOException gone) {
                            socket.close();
                            slow.remove(socket);
                        }
                    }
                    Thread.sleep(100);
                    assertThat(Duration.ofNanos(System.nanoTime() - start)).isLessThan(SOON);
                }
            } finally {
                for (Socket socket : slow) {
                    socket.close();
                }
            }
            bystander.isFine();
        }
        await(() ->
                count(sshd.log(), "Timeout before authentication for connection from 127.0.0.1")
                        == 40);
    }

    @Test
    void two_hundred_half_open_logins_keep_nobody_out_for_long(Stage stage) throws Exception {
        Sshd sshd = stage.holdfastSshd("MaxStartups 10:30:100", "PerSourcePenalties no");
        try (Bystander bystander = new Bystander(stage, sshd)) {
            long before = rss(sshd);
            long descriptors = descriptors(sshd);
            int told = 0;
            List<Socket> half = new ArrayList<>();
            try {
                for (int i = 0; i < 200; i++) {
                    Socket socket = new Socket(InetAddress.getLoopbackAddress(), sshd.port());
                    half.add(socket);
                    socket.setSoTimeout(60_000);
                    String first =
                            new String(
                                    socket.getInputStream().readNBytes(4),
                                    StandardCharsets.US_ASCII);
                    assertThat(first).isIn("SSH-", "Not ");
                    told += first.equals("Not ") ? 1 : 0;
                }
                assertThat(told).isBetween(100, 190);
                assertThat(rss(sshd) - before).isLessThan(GROWTH_KIB);
                bystander.isFine();
            } finally {
                for (Socket socket : half) {
                    socket.close();
                }
            }
            await(() -> descriptors(sshd) <= descriptors + MADE_ONCE);
            assertThat(stage.openSsh(sshd, "trial", "echo in").end(SOON).out()).isEqualTo("in\n");
            sshd.awaitLog("drop connection .*127\\.0\\.0\\.1.*past MaxStartups");
        }
    }

    @Test
    void packets_of_impossible_sizes_end_their_own_connection_only(Stage stage) throws Exception {
        Sshd sshd = stage.holdfastSshd("PerSourcePenalties no", "LoginGraceTime 300");
        try (Bystander bystander = new Bystander(stage, sshd)) {
            long before = rss(sshd);
            byte[] rest = new byte[100_000];
            for (int length : new int[] {0x7fffffff, -1, 0, 1, 4, 300_000, 0x00ffffff}) {
                for (int times = 0; times < 5; times++) {
                    try (Socket socket =
                            new Socket(InetAddress.getLoopbackAddress(), sshd.port())) {
                        socket.setSoTimeout(60_000);
                        OutputStream out = socket.getOutputStream();
                        out.write("SSH-2.0-x\r\n".getBytes(StandardCharsets.US_ASCII));
                        out.write(ByteBuffer.allocate(4).putInt(length).array());
                        try {
                            out.write(rest);
                            socket.getInputStream().readAllBytes();
                        } catch (SocketTimeoutException kept) {
                            throw new AssertionError("a packet of " + length + " is waited for");
                        } catch (IOException reset) {
                            // as it should
                        }
                    }
                }
            }
            bystander.isFine();
            assertThat(rss(sshd) - before).isLessThan(GROWTH_KIB);
        }
        sshd.awaitLog("Bad packet length 300000\\.");
        sshd.awaitLog("127\\.0\\.0\\.1 port \\d+: message authentication code incorrect");
        assertThat(sshd.log()).doesNotContain("\tat ");
    }

    @Test
    void data_beyond_the_window_ends_the_connection_that_sent_it(Stage stage) throws Exception {
        Python.needs("paramiko");
        Sshd sshd = stage.holdfastSshd("PerSourcePenalties no");
        try (Bystander bystander = new Bystander(stage, sshd);
                Deaf deaf = new Deaf()) {
            long before = rss(sshd);
            for (String how : new String[] {"unasked", "command", "forward", "sftp", "stderr"}) {
                Ended ended =
                        paramiko(
                                stage,
                                sshd,
                                """
                                how, deaf = rest[0], int(rest[1])
                                if how == "forward":
                                    ch = t.open_channel("direct-tcpip", ("127.0.0.1", deaf), ("127.0.0.1", 1))
                                else:
                                    ch = t.open_session()
                                if how == "command": ch.exec_command("sleep 100")
                                if how == "stderr": ch.exec_command("sleep 100")
                                if how == "sftp": ch.invoke_subsystem("sftp")
                                print(t.sock.getsockname()[1], flush=True)
                                sent = 0
                                try:
                                    while sent < 100000000 and t.is_active():
                                        m = Message()
                                        m.add_byte(byte_chr(95 if how == "stderr" else 94))
                                        m.add_int(ch.remote_chanid)
                                        if how == "stderr": m.add_int(1)
                                        # For sftp a packet longer than any is allowed to be.
                                        m.add_string(b"\\x7f" * 32000)
                                        t._send_user_message(m)
                                        sent += 32000
                                except (EOFError, OSError, paramiko.SSHException): pass
                                print("ended" if sent < 100000000 else "all taken")
                                """,
                                how,
                                Integer.toString(deaf.port()));
                Matcher said = Pattern.compile("(\\d+)\n(ended|all taken)\n").matcher(ended.out());
                assertThat(said.matches()).as("%s: %s %s", how, ended.out(), ended.err()).isTrue();
                String who = "from user \\S+ 127\\.0\\.0\\.1 port " + said.group(1) + ": ";
                String excess = who + "rcvd too much data, beyond the channel's window";
                switch (how) {
                    // It ends by itself when it has read the first four bytes.
                    case "sftp" -> sshd.awaitLog(excess + "|bad message from 127\\.0\\.0\\.1");
                    // A stream that nobody reads may go on, if its window was open already.
                    case "stderr" -> {}
                    default -> {
                        assertThat(said.group(2)).as(how).isEqualTo("ended");
                        sshd.awaitLog(excess);
                    }
                }
                assertThat(rss(sshd) - before).as(how).isLessThan(GROWTH_KIB);
                bystander.isFine();
            }
            await(() -> sshd.sessions().size() == 1); // the bystander's
            assertThat(sshd.log()).doesNotContain("\tat ");
        }
    }

    @Test
    void ten_thousand_channels_of_every_kind_are_refused_beyond_their_limits(Stage stage)
            throws Exception {
        Python.needs("paramiko");
        Sshd sshd = stage.holdfastSshd("PerSourcePenalties no");
        try (Bystander bystander = new Bystander(stage, sshd);
                Deaf deaf = new Deaf()) {
            long before = rss(sshd);
            long descriptors = descriptors(sshd);
            for (String kind : new String[] {"session", "direct-tcpip", "nonsense"}) {
                Ended ended =
                        paramiko(
                                stage,
                                sshd,
                                """
                                kind, deaf = rest[0], int(rest[1])
                                for i in range(10000):
                                    m = Message(); m.add_byte(byte_chr(90)); m.add_string(kind)
                                    m.add_int(1000 + i); m.add_int(2097152); m.add_int(32768)
                                    if kind == "direct-tcpip":
                                        m.add_string("127.0.0.1"); m.add_int(deaf)
                                        m.add_string("127.0.0.1"); m.add_int(1)
                                    t._send_user_message(m)
                                end = time.time() + 90
                                while sum(heard.values()) < 10000 and t.is_active() and time.time() < end:
                                    time.sleep(0.05)
                                print(heard.get(91, 0), heard.get(92, 0), flush=True)
                                """,
                                kind,
                                Integer.toString(deaf.port()));
                Matcher numbers = Pattern.compile("(\\d+) (\\d+)\n").matcher(ended.out());
                assertThat(numbers.matches())
                        .as("%s: %s %s", kind, ended.out(), ended.err())
                        .isTrue();
                int opened = Integer.parseInt(numbers.group(1));
                assertThat(opened + Integer.parseInt(numbers.group(2))).as(kind).isEqualTo(10_000);
                assertThat(opened)
                        .as(kind)
                        .isEqualTo(
                                switch (kind) {
                                    case "session" -> 10; // MaxSessions
                                    case "nonsense" -> 0;
                                    default -> opened;
                                });
                assertThat(opened).as(kind).isLessThan(5_000);
                assertThat(rss(sshd) - before).as(kind).isLessThan(GROWTH_KIB);
                bystander.isFine();
                await(() -> descriptors(sshd) <= descriptors + MADE_ONCE);
            }
            sshd.awaitLog("no more sessions");
            assertThat(sshd.log().length()).isLessThan(8_000_000);
        }
    }

    @Test
    void a_connection_may_not_have_the_servers_descriptors_all_to_itself(Stage stage)
            throws Exception {
        Python.needs("paramiko");
        Sshd sshd = stage.holdfastSshd("PerSourcePenalties no");
        try (Bystander bystander = new Bystander(stage, sshd)) {
            long before = descriptors(sshd);
            Ended ended =
                    paramiko(
                            stage,
                            sshd,
                            """
                            for i in range(10000):
                                m = Message(); m.add_byte(byte_chr(80)); m.add_string("tcpip-forward")
                                m.add_boolean(True); m.add_string("127.0.0.1"); m.add_int(0)
                                t._send_user_message(m)
                            end = time.time() + 90
                            while sum(heard.values()) < 10000 and t.is_active() and time.time() < end:
                                time.sleep(0.05)
                            print(heard.get(81, 0), heard.get(82, 0), flush=True)
                            """);
            Matcher numbers = Pattern.compile("(\\d+) (\\d+)\n").matcher(ended.out());
            assertThat(numbers.matches()).as("%s %s", ended.out(), ended.err()).isTrue();
            assertThat(Integer.parseInt(numbers.group(1))).isLessThan(5_000);
            bystander.isFine();
            await(() -> descriptors(sshd) <= before + MADE_ONCE);
        }
    }

    @Test
    void windows_grown_past_all_numbers_and_messages_out_of_place_harm_nobody(Stage stage)
            throws Exception {
        Python.needs("paramiko");
        Sshd sshd = stage.holdfastSshd("PerSourcePenalties no");
        try (Bystander bystander = new Bystander(stage, sshd)) {
            Ended ended =
                    paramiko(
                            stage,
                            sshd,
                            """
                            import random
                            seed = random.randrange(1 << 32); random.seed(seed); print("seed", seed)
                            def tell(*words):
                                m = Message()
                                for w in words:
                                    if isinstance(w, int): m.add_int(w)
                                    else: m.add_bytes(w)
                                t._send_user_message(m)
                            ch = t.open_session(); ch.exec_command("cat")
                            try:
                                for i in range(5): tell(b"\\x5d", ch.remote_chanid, 0xffffffff)
                            except (EOFError, OSError, paramiko.SSHException): pass
                            for n in range(60):
                                try:
                                    c, t = connected()
                                    ch = t.open_session()
                                    for i in range(20):
                                        tell(bytes([random.choice([1, 3, 4, 20, 21, 30, 31, 50, 52, 80, 81, 82,
                                                                   90, 91, 92, 93, 94, 95, 96, 97, 98, 99, 100, 192])]),
                                             random.choice([0, ch.remote_chanid, 7, 0xffffffff]),
                                             random.randbytes(random.randrange(40)))
                                    c.close()
                                except (EOFError, OSError, paramiko.SSHException): pass
                            print("done", flush=True)
                            """);
            assertThat(ended.out()).as(ended.err()).endsWith("done\n");
            bystander.isFine();
            assertThat(sshd.log()).as(ended.out()).doesNotContain("\tat ");
        }
    }

    /** Runs a script with a connection {@code c}, its transport {@code t}, and answers counted. */
    private static Ended paramiko(Stage stage, Sshd sshd, String script, String... words)
            throws InterruptedException {
        String head =
                """
                import logging, os, time
                from paramiko.common import byte_chr
                from paramiko.message import Message
                logging.disable(logging.CRITICAL)
                heard = {}
                class Everything(dict):
                    def __contains__(self, key): return True
                def connected():
                    c = connect()
                    c.get_transport().channels_seen = Everything()
                    return c, c.get_transport()
                def counting(number, handler):
                    def count(self, m):
                        heard[number] = heard.get(number, 0) + 1
                        if handler: handler(self, m)
                    return count
                T = paramiko.Transport
                for n in (81, 82, 91, 92):
                    T._handler_table[n] = counting(n, T._handler_table.get(n))
                c, t = connected()
                heard.clear()
                """;
        return Python.script(
                        stage, sshd, Python.PARAMIKO + head + script + "\nos._exit(0)\n", words)
                .end(SOON);
    }

    /** Somebody who was there before, and wants to work. */
    private static final class Bystander implements AutoCloseable {

        private final Running client;
        private int asked;

        Bystander(Stage stage, Sshd sshd) throws InterruptedException {
            client =
                    stage.openSsh(sshd, "-o", "ServerAliveInterval=15", "trial", "exec cat")
                            .inputOpen()
                            .start();
            try {
                isFine();
            } catch (IOException e) {
                throw new AssertionError("no connection to begin with", e);
            }
        }

        void isFine() throws IOException, InterruptedException {
            String line = "still here " + ++asked + "\n";
            client.stdin().write(line.getBytes(StandardCharsets.US_ASCII));
            client.stdin().flush();
            client.out().await(line, SOON);
        }

        @Override
        public void close() {
            try {
                client.stdin().close();
            } catch (IOException gone) {
                // its end says so
            }
            try {
                assertThat(client.end(SOON).status()).isZero();
            } catch (InterruptedException e) {
                throw new AssertionError("interrupted while a bystander left", e);
            }
        }
    }

    /** Takes every connection and says and hears nothing. */
    private static final class Deaf implements AutoCloseable {

        private final ServerSocket listener =
                new ServerSocket(0, 500, InetAddress.getLoopbackAddress());
        private final List<Socket> taken = new ArrayList<>();

        Deaf() throws IOException {
            Thread.ofVirtual()
                    .start(() -> {
                        try {
                            while (true) {
                                Socket socket = listener.accept();
                                synchronized (taken) {
                                    taken.add(socket);
                                }
                            }
                        } catch (IOException closed) {
                            // the trial is over
                        }
                    });
        }

        int port() {
            return listener.getLocalPort();
        }

        @Override
        public void close() throws IOException {
            listener.close();
            synchronized (taken) {
                for (Socket socket : taken) {
                    socket.close();
                }
            }
        }
    }

    private static long rss(Sshd sshd) throws IOException {
        for (String line : Files.readAllLines(Path.of("/proc/" + sshd.pid() + "/status"))) {
            if (line.startsWith("VmRSS:")) {
                return Long.parseLong(line.replaceAll("\\D", ""));
            }
        }
        throw new AssertionError("no VmRSS");
    }

    private static long descriptors(Sshd sshd) throws IOException {
        try (Stream<Path> all = Files.list(Path.of("/proc/" + sshd.pid() + "/fd"))) {
            return all.count();
        }
    }

    private static int count(String text, String what) {
        return text.split(Pattern.quote(what), -1).length - 1;
    }

    private static void await(Eventually.Condition condition) throws Exception {
        Eventually.holds(SOON, condition, () -> "it does not come true");
    }
}
