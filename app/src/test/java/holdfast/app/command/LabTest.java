package holdfast.app.command;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import holdfast.ssh.terminal.Terminal;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.PipedInputStream;
import java.io.PipedOutputStream;
import java.io.PrintStream;
import java.net.ConnectException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.SocketException;
import java.net.SocketTimeoutException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.api.parallel.Execution;
import org.junit.jupiter.api.parallel.ExecutionMode;

/** A lab between real sockets in this process, seen and spoken to as on a console. */
@Timeout(60)
@Execution(ExecutionMode.CONCURRENT)
class LabTest {

    private static final Pattern LISTENING = Pattern.compile("listening on 127.0.0.1:([0-9]+),");
    private static final int SOON_MILLIS = 15_000;

    /** Longer than anything here takes that does arrive. */
    private static final int SILENCE_MILLIS = 700;

    @TempDir Path directory = Path.of("");

    private ServerSocket echo = unbound();
    private final List<Running> running = new ArrayList<>();

    private static ServerSocket unbound() {
        try {
            return new ServerSocket();
        } catch (IOException e) {
            throw new AssertionError(e);
        }
    }

    @BeforeEach
    void anEchoServer() throws IOException {
        echo.bind(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0));
        Thread.ofVirtual()
                .start(() -> {
                    while (!echo.isClosed()) {
                        try {
                            Socket socket = echo.accept();
                            Thread.ofVirtual().start(() -> echo(socket));
                        } catch (IOException closed) {
                            return;
                        }
                    }
                });
    }

    private static void echo(Socket socket) {
        try (socket) {
            socket.getInputStream().transferTo(socket.getOutputStream());
        } catch (IOException reset) {
            // As several of these tests want it.
        }
    }

    @AfterEach
    void closed() throws Exception {
        for (Running lab : running) {
            lab.type("q");
            lab.end();
        }
        echo.close();
    }

    /** One lab, in a thread of its own. */
    private static final class Running implements Lab.Console {

        final ByteArrayOutputStream printed = new ByteArrayOutputStream();
        final PrintStream out = new PrintStream(printed, true, StandardCharsets.UTF_8);
        final PipedInputStream keys = new PipedInputStream();
        final OutputStream typist;
        final boolean table;
        final CompletableFuture<Integer> status = new CompletableFuture<>();

        Running(boolean table) throws IOException {
            this.table = table;
            typist = new PipedOutputStream(keys);
        }

        @Override
        public PrintStream out() {
            return out;
        }

        @Override
        public PrintStream err() {
            return out;
        }

        @Override
        public boolean table() {
            return table;
        }

        @Override
        public InputStream keys() {
            return keys;
        }

        @Override
        public Terminal.Size size() {
            return new Terminal.Size(100, 12, 0, 0);
        }

        @Override
        public void suspend() {}

        @Override
        public void onResize(Runnable action) {}

        void type(String text) {
            try {
                typist.write(text.getBytes(StandardCharsets.UTF_8));
                typist.flush();
            } catch (IOException over) {
                // It has ended already.
            }
        }

        String text() {
            return printed.toString(StandardCharsets.UTF_8);
        }

        Matcher await(Pattern wanted) throws InterruptedException {
            long deadline = System.nanoTime() + SOON_MILLIS * 1_000_000L;
            while (true) {
                Matcher matcher = wanted.matcher(text());
                if (matcher.find()) {
                    return matcher;
                }
                if (System.nanoTime() > deadline) {
                    throw new AssertionError("no " + wanted + " in:\n" + text());
                }
                Thread.sleep(10);
            }
        }

        void await(String wanted) throws InterruptedException {
            Matcher ignored = await(Pattern.compile(Pattern.quote(wanted)));
        }

        Socket connect() throws IOException, InterruptedException {
            int port = Integer.parseInt(await(LISTENING).group(1));
            Socket socket = new Socket(InetAddress.getLoopbackAddress(), port);
            socket.setSoTimeout(SOON_MILLIS);
            return socket;
        }

        int end() throws Exception {
            return status.get(SOON_MILLIS, TimeUnit.MILLISECONDS);
        }
    }

    private Running lab(boolean table, String... troubles) throws IOException {
        List<String> arguments =
                new ArrayList<>(
                        List.of("--listen=127.0.0.1:0", "--to=127.0.0.1:" + echo.getLocalPort()));
        arguments.addAll(Arrays.asList(troubles));
        return run(table, arguments);
    }

    private Running run(boolean table, List<String> arguments) throws IOException {
        Running lab = new Running(table);
        running.add(lab);
        Thread.ofPlatform().daemon().start(() -> lab.status.complete(Lab.run(arguments, lab)));
        return lab;
    }

    /** What comes back, or null: nothing does for a while. */
    private static @Nullable String said(Socket socket, String text) throws IOException {
        socket.getOutputStream().write(text.getBytes(StandardCharsets.UTF_8));
        return heard(socket, text.length());
    }

    private static @Nullable String heard(Socket socket, int count) throws IOException {
        try {
            return new String(socket.getInputStream().readNBytes(count), StandardCharsets.UTF_8);
        } catch (SocketTimeoutException silence) {
            return null;
        }
    }

    @Test
    void an_idle_connection_is_forgotten_and_another_one_is_well() throws Exception {
        Running lab = lab(false, "--idle", "1s", "--expiry", "silent");
        try (Socket idle = lab.connect()) {
            assertThat(said(idle, "hello")).isEqualTo("hello");
            lab.await("#1    the NAT forgets it, idle for 1s");
            idle.setSoTimeout(SILENCE_MILLIS);
            assertThat(said(idle, "anybody?")).isNull();
            lab.await("#1    lost: what the client says (NAT: flow forgotten)");
            try (Socket fresh = lab.connect()) {
                assertThat(said(fresh, "hello")).isEqualTo("hello");
            }
        }
        lab.type("q");
        assertThat(lab.end()).isZero();
        assertThat(lab.text()).doesNotContain("\033", "\r");
    }

    @Test
    void whoever_speaks_is_reset_where_that_is_asked_for() throws Exception {
        Running lab = lab(false, "--idle=1s", "--expiry=reset");
        try (Socket socket = lab.connect()) {
            assertThat(said(socket, "hello")).isEqualTo("hello");
            lab.await("the NAT forgets it");
            assertThatThrownBy(() -> said(socket, "anybody?")).isInstanceOf(SocketException.class);
            lab.await("#1    client gets a RST");
        }
    }

    @Test
    void keys_cut_heal_forget_reset_and_quit() throws Exception {
        Running lab = lab(false);
        try (Socket one = lab.connect();
                Socket two = lab.connect()) {
            assertThat(said(one, "hello")).isEqualTo("hello");
            assertThat(said(two, "hello")).isEqualTo("hello");
            lab.type("c");
            lab.await("path  cut");
            one.setSoTimeout(SILENCE_MILLIS);
            assertThat(said(one, "late")).isNull();
            lab.type("h");
            lab.await("path  healed");
            one.setSoTimeout(SOON_MILLIS);
            assertThat(heard(one, 4)).isEqualTo("late");
            lab.type("1k");
            lab.await("#1    killed by hand");
            one.setSoTimeout(SILENCE_MILLIS);
            assertThat(said(one, "gone")).isNull();
            assertThat(said(two, "well")).isEqualTo("well");
            lab.type("a2r");
            lab.await("#2    reset by hand");
            assertThatThrownBy(() -> heard(two, 1)).isInstanceOf(SocketException.class);
            lab.type("af");
            lab.await("#1    the NAT forgets it");
            lab.type("q");
            assertThat(lab.end()).isZero();
            assertThat(lab.text()).contains("ends, and with it 1 connection");
        }
        int port = Integer.parseInt(lab.await(LISTENING).group(1));
        assertThatThrownBy(() -> new Socket(InetAddress.getLoopbackAddress(), port).close())
                .isInstanceOf(ConnectException.class);
    }

    @Test
    void a_script_and_an_outage_come_at_their_times() throws Exception {
        Path script =
                Files.writeString(
                        directory.resolve("script"),
                        "1s cut\n1.5s heal\n1.6s reset 9\n3s reset\n3.5s quit\n");
        Running lab = lab(false, "--script", script.toString(), "--outage", "300ms@2s");
        try (Socket socket = lab.connect()) {
            assertThat(said(socket, "hello")).isEqualTo("hello");
            assertThat(lab.end()).isZero();
            assertThatThrownBy(() -> said(socket, "hello")).isInstanceOf(SocketException.class);
        }
        assertThat(lab.text().lines().map(line -> line.strip().replaceFirst("\\.\\d+s ", "s")))
                .containsSubsequence(
                        "1s path  cut",
                        "1s path  healed",
                        "1s #9    no such connection to reset",
                        "2s path  outage begins",
                        "2s path  outage ends",
                        "3s #1    reset by hand",
                        "3s lab   ends");
    }

    @Test
    void latency_is_felt_both_ways() throws Exception {
        Running lab = lab(false, "--latency=200ms");
        try (Socket socket = lab.connect()) {
            assertThat(said(socket, "warm")).isEqualTo("warm");
            long before = System.nanoTime();
            assertThat(said(socket, "hello")).isEqualTo("hello");
            assertThat(Duration.ofNanos(System.nanoTime() - before))
                    .isBetween(Duration.ofMillis(400), Duration.ofSeconds(3));
        }
    }

    @Test
    void a_rate_is_kept() throws Exception {
        Running lab = lab(false, "--rate=1mbit");
        byte[] all = new byte[250_000];
        try (Socket socket = lab.connect()) {
            Thread.ofVirtual()
                    .start(() -> {
                        try {
                            socket.getOutputStream().write(all);
                        } catch (IOException e) {
                            // The reading end will say what is missing.
                        }
                    });
            long before = System.nanoTime();
            assertThat(socket.getInputStream().readNBytes(all.length)).hasSize(all.length);
            // 2 s at the least for the bits alone.
            assertThat(Duration.ofNanos(System.nanoTime() - before))
                    .isBetween(Duration.ofMillis(1900), Duration.ofSeconds(12));
        }
    }

    @Test
    void a_target_that_refuses_is_told_and_the_lab_goes_on() throws Exception {
        int port;
        try (ServerSocket free = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            port = free.getLocalPort();
        }
        Running lab = run(false, List.of("--listen=127.0.0.1:0", "--to=127.0.0.1:" + port));
        for (int number = 1; number <= 2; number++) {
            try (Socket socket = lab.connect()) {
                assertThatThrownBy(
                                () -> {
                                    assertThat(socket.getInputStream().read()).isEqualTo(0);
                                })
                        .isInstanceOf(SocketException.class);
                lab.await("#" + number + "    target cannot be reached: Connection refused");
            }
        }
        assertThat(lab.status).isNotDone();
    }

    @Test
    void an_address_in_use_is_refused_in_one_line_with_status_1() throws Exception {
        String address = "127.0.0.1:" + echo.getLocalPort();
        Running lab = run(false, List.of("--listen", address, "--to", "127.0.0.1:1"));
        assertThat(lab.end()).isEqualTo(1);
        assertThat(lab.text())
                .isEqualTo(
                        "holdfast lab: cannot listen on "
                                + address
                                + ": Address already in use"
                                + System.lineSeparator());
    }

    @Test
    void the_table_is_drawn_in_place_and_says_what_the_box_would_do() throws Exception {
        Running lab = lab(true, "--idle=30s", "--expiry=revive");
        try (Socket socket = lab.connect()) {
            assertThat(said(socket, "hello")).isEqualTo("hello");
            Matcher ignored =
                    lab.await(
                            Pattern.compile(
                                    " 1  \\S+ +\\S+ +5 B +5 B +pass; forgets in (30|2\\d)s\\033"));
            lab.type("c");
            lab.await("path: CUT by hand");
            lab.await("drop: cut; forgets in");
            lab.type("h1k");
            lab.await(">  1");
            lab.await("drop: killed; forgets in");
            lab.await("f forget #1  r reset #1  k kill #1");
            lab.type("f");
            lab.await("drop: killed\033");
            int before = lab.text().length();
            Thread.sleep(2200);
            // About once a second, over what was drawn before.
            String later = lab.text().substring(before);
            assertThat(later.split("weather:", -1).length - 1).isBetween(1, 4);
            assertThat(later).contains("\033[8A").doesNotContain("\n\n");
        }
        lab.type("\003");
        assertThat(lab.end()).isZero();
    }

    @Test
    void many_connections_do_not_make_the_table_higher_than_the_screen() throws Exception {
        Running lab = lab(true);
        List<Socket> sockets = new ArrayList<>();
        try {
            for (int i = 0; i < 20; i++) {
                sockets.add(lab.connect());
            }
            // 12 rows: one for the cursor, seven of a frame, three connections and this.
            lab.await("      and 17 more");
        } finally {
            for (Socket socket : sockets) {
                socket.close();
            }
        }
    }

    @Test
    void one_connection_is_forgotten_and_the_other_is_well() throws Exception {
        Path script = Files.writeString(directory.resolve("script"), "1s forget 1\n20s quit\n");
        Running lab = lab(false, "--script", script.toString());
        try (Socket one = lab.connect();
                Socket two = lab.connect()) {
            assertThat(said(one, "hello")).isEqualTo("hello");
            assertThat(said(two, "hello")).isEqualTo("hello");
            lab.await("#1    the NAT forgets it");
            one.setSoTimeout(SILENCE_MILLIS);
            assertThat(said(one, "gone")).isNull();
            assertThat(said(two, "well")).isEqualTo("well");
            assertThat(lab.text()).doesNotContain("#2    the NAT forgets it");
            lab.type("2f");
            lab.await("#2    is to be forgotten");
            lab.await("#2    the NAT forgets it");
        }
    }

    @Test
    void a_path_cut_in_one_direction_lets_the_other_through() throws Exception {
        Running lab = lab(false);
        try (Socket socket = lab.connect()) {
            assertThat(said(socket, "hello")).isEqualTo("hello");
            lab.type("<");
            lab.await("path  cut to client");
            socket.setSoTimeout(SILENCE_MILLIS);
            assertThat(said(socket, "heard?")).isNull();
            lab.await("#1    lost: what the server says (one-way loss:");
            assertThat(lab.text()).doesNotContain("lost: what the client says");
            lab.type("h");
            socket.setSoTimeout(SOON_MILLIS);
            assertThat(heard(socket, 6)).isEqualTo("heard?");
            lab.type(">");
            lab.await("path  cut to server");
            socket.setSoTimeout(SILENCE_MILLIS);
            assertThat(said(socket, "heard?")).isNull();
            lab.await("#1    lost: what the client says (one-way loss:");
        }
    }

    @Test
    void a_mute_server_takes_everything_and_never_answers() throws Exception {
        Running lab = lab(false, "--mute", "1s@1s");
        try (Socket socket = lab.connect()) {
            assertThat(said(socket, "hello")).isEqualTo("hello");
            lab.await("path  server falls silent");
            socket.setSoTimeout(SILENCE_MILLIS);
            assertThat(said(socket, "hello?")).isNull();
            lab.await("#1    lost: what the client says (mute server: server is mute)");
        }
        lab.await("path  server speaks again");
        try (Socket socket = lab.connect()) {
            assertThat(said(socket, "hello")).isEqualTo("hello");
            lab.type("m");
            lab.await(Pattern.compile("falls silent[^$]*falls silent"));
            socket.setSoTimeout(SILENCE_MILLIS);
            assertThat(said(socket, "hello?")).isNull();
        }
    }

    @Test
    void who_moves_loses_the_connections_he_had_and_new_ones_are_well() throws Exception {
        Running lab = lab(false, "--roam=1s");
        try (Socket old = lab.connect()) {
            assertThat(said(old, "hello")).isEqualTo("hello");
            lab.await("path  client's address changes");
            old.setSoTimeout(SILENCE_MILLIS);
            assertThat(said(old, "gone")).isNull();
            lab.await("#1    lost: what the client says (address change: address is gone)");
            try (Socket fresh = lab.connect()) {
                assertThat(said(fresh, "hello")).isEqualTo("hello");
                lab.type("w");
                lab.await("path  router's address changes");
                // The server's kernel knows nobody at that address, and says so.
                assertThatThrownBy(() -> said(fresh, "who?")).isInstanceOf(SocketException.class);
                lab.await("#2    client gets a RST");
            }
            assertThat(lab.text()).doesNotContain("#1    client gets a RST");
        }
    }

    @Test
    void a_crowd_makes_the_box_forget_sooner() throws Exception {
        Running lab = lab(false, "--idle=1h", "--crowd=60s@1s", "--crowd-share=0.01%");
        try (Socket socket = lab.connect()) {
            assertThat(said(socket, "hello")).isEqualTo("hello");
            lab.await("path  tables are crowded");
            lab.await("#1    the NAT forgets it");
        }
    }

    @Test
    void a_firewall_forgets_and_resets_strangers_where_it_is_told_to() throws Exception {
        Running lab = lab(false, "--firewall=1s", "--stranger=reject");
        try (Socket socket = lab.connect()) {
            assertThat(said(socket, "hello")).isEqualTo("hello");
            lab.await("#1    the firewall forgets it");
            assertThatThrownBy(() -> said(socket, "anybody?")).isInstanceOf(SocketException.class);
        }
    }

    @Test
    void the_table_names_every_trouble() throws Exception {
        Running lab = lab(true, "--idle=30s", "--outage-to-client=1h@1h");
        try (Socket socket = lab.connect()) {
            assertThat(said(socket, "hello")).isEqualTo("hello");
            lab.await("path: open, outage to client in 59m");
            lab.type(">");
            lab.await("path: CUT to server by hand");
            lab.await("drop what client says; forgets in");
            lab.type("hm");
            lab.await("path: server MUTE by hand");
            lab.await("acknowledge, no answer: mute; forgets in");
            lab.type("hl");
            lab.await("path: CROWDED by hand");
            lab.await("pass; forgets in 3s");
            lab.type("ho");
            lab.await("drop: client's address is gone; forgets in");
        }
    }
}
