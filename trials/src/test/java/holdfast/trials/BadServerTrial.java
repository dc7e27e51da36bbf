package holdfast.trials;

import static org.assertj.core.api.Assertions.assertThat;

import holdfast.trials.harness.Client;
import holdfast.trials.harness.Ended;
import holdfast.trials.harness.Hostile;
import holdfast.trials.harness.Running;
import holdfast.trials.harness.Sshd;
import java.io.IOException;
import java.net.Socket;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.atomic.AtomicBoolean;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.parallel.Execution;
import org.junit.jupiter.api.parallel.ExecutionMode;

/**
 * Servers with bad manners before authentication: a clear line, 255, bounded memory, within the
 * deadline.
 */
@ExtendWith(Staged.class)
@Execution(ExecutionMode.CONCURRENT)
final class BadServerTrial {

    private static final Duration SOON = Duration.ofSeconds(30);

    /** ConnectTimeout is 2 s; what a busy machine adds is generous. */
    private static final Duration DEADLINE = Duration.ofSeconds(5);

    @Test
    void silence_after_the_connection_is_bounded_by_ConnectTimeout(Stage stage)
            throws InterruptedException {
        Hostile hostile = stage.hostile(Hostile::silence);
        Ended ended = meet(stage, hostile);
        assertThat(ended.took()).isBetween(Duration.ofSeconds(1), DEADLINE);
        clear(
                ended,
                "Connection timed out during banner exchange",
                "Connection to 127.0.0.1 port " + hostile.port() + " timed out");
    }

    @Test
    void half_a_banner_is_bounded_by_ConnectTimeout(Stage stage) throws InterruptedException {
        Hostile hostile =
                stage.hostile(socket -> {
                    Hostile.say(socket, "SSH-2.0-Half");
                    Hostile.silence(socket);
                });
        Ended ended = meet(stage, hostile);
        assertThat(ended.took()).isBetween(Duration.ofSeconds(1), DEADLINE);
        clear(
                ended,
                "Connection timed out during banner exchange",
                "Connection to 127.0.0.1 port " + hostile.port() + " timed out");
    }

    @Test
    void a_banner_one_byte_at_a_time_does_not_stretch_the_deadline(Stage stage)
            throws InterruptedException {
        Hostile hostile =
                stage.hostile(socket -> {
                    for (int i = 0; i < 300; i++) {
                        Hostile.say(socket, "x");
                        Thread.sleep(100);
                    }
                });
        Ended ended = meet(stage, hostile);
        assertThat(ended.took()).isBetween(Duration.ofSeconds(1), DEADLINE);
        clear(ended, "Connection timed out during banner exchange", "timed out");
    }

    @Test
    void a_server_that_closes_at_once_is_reported(Stage stage) throws InterruptedException {
        Hostile hostile = stage.hostile(socket -> {});
        Ended ended = meet(stage, hostile);
        assertThat(ended.took()).isLessThan(DEADLINE);
        assertThat(ended.status()).isEqualTo(255);
        assertThat(ended.errLines())
                .containsAnyOf("Connection closed by remote host", "Connection reset by peer");
        oneOrTwoLines(ended);
    }

    @Test
    void garbage_in_place_of_a_banner_is_refused(Stage stage) throws InterruptedException {
        Hostile hostile =
                stage.hostile(socket -> {
                    byte[] garbage = new RandomBytes(3, 100_000).readNBytes(100_000);
                    Hostile.say(socket, garbage);
                    Hostile.silence(socket);
                });
        Ended ended = meet(stage, hostile);
        assertThat(ended.took()).isLessThan(DEADLINE);
        assertThat(ended.status()).isEqualTo(255);
        oneOrTwoLines(ended);
    }

    @Test
    void a_web_server_s_answer_is_refused(Stage stage) throws InterruptedException {
        Hostile hostile =
                stage.hostile(socket -> {
                    Hostile.hear(socket);
                    Hostile.say(
                            socket, "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\nno\r\n");
                });
        Ended ended = meet(stage, hostile);
        assertThat(ended.took()).isLessThan(DEADLINE);
        assertThat(ended.status()).isEqualTo(255);
        oneOrTwoLines(ended);
    }

    @Test
    void one_endless_line_is_refused_in_bounded_memory(Stage stage) throws InterruptedException {
        bounded(stage, "x".repeat(65_536));
    }

    @Test
    void endless_short_lines_are_refused_in_bounded_memory(Stage stage)
            throws InterruptedException {
        bounded(stage, "hello there\r\n".repeat(5_000));
    }

    @Test
    void protocol_1_is_refused(Stage stage) throws InterruptedException {
        Hostile hostile =
                stage.hostile(socket -> {
                    Hostile.say(socket, "SSH-1.5-Old\r\n");
                    Hostile.silence(socket);
                });
        Ended ended = meet(stage, hostile);
        assertThat(ended.took()).isLessThan(DEADLINE);
        assertThat(ended.status()).isEqualTo(255);
        assertThat(ended.errLines()).startsWith("Protocol major versions differ: 2 vs. 1\n");
        oneOrTwoLines(ended);
    }

    @Test
    void half_a_packet_and_then_silence_is_bounded(Stage stage) throws InterruptedException {
        stage.onlyHoldfast("its ConnectTimeout does not bound the key exchange");
        Hostile hostile =
                stage.hostile(socket -> {
                    Hostile.say(socket, "SSH-2.0-Half\r\n");
                    byte[] whole = Hostile.kexInit();
                    Hostile.say(socket, Arrays.copyOf(whole, whole.length / 2));
                    Hostile.silence(socket);
                });
        Ended ended = meet(stage, hostile);
        assertThat(ended.took()).isBetween(Duration.ofSeconds(1), DEADLINE);
        clear(ended, "Connection to 127.0.0.1 port " + hostile.port() + " timed out");
    }

    @Test
    void half_a_packet_is_bounded_by_the_keepalive_settings_too(Stage stage)
            throws InterruptedException {
        Hostile hostile =
                stage.hostile(socket -> {
                    Hostile.say(socket, "SSH-2.0-Half\r\n");
                    byte[] whole = Hostile.kexInit();
                    Hostile.say(socket, Arrays.copyOf(whole, whole.length / 2));
                    Hostile.silence(socket);
                });
        Ended ended =
                stage.bare(
                                "-o",
                                "ServerAliveInterval=2",
                                "-o",
                                "ServerAliveCountMax=1",
                                "-p",
                                String.valueOf(hostile.port()),
                                "127.0.0.1",
                                "true")
                        .end(SOON);
        assertThat(ended.took()).isBetween(Duration.ofSeconds(1), DEADLINE);
        clear(ended, "Connection to 127.0.0.1 port " + hostile.port() + " timed out");
    }

    @Test
    void silence_in_the_middle_of_the_key_exchange_is_bounded(Stage stage)
            throws InterruptedException {
        stage.onlyHoldfast("its ConnectTimeout does not bound the key exchange");
        Hostile hostile =
                stage.hostile(socket -> {
                    Hostile.say(socket, "SSH-2.0-Mute\r\n");
                    Hostile.say(socket, Hostile.kexInit());
                    Hostile.silence(socket);
                });
        Ended ended = meet(stage, hostile);
        assertThat(ended.took()).isBetween(Duration.ofSeconds(1), DEADLINE);
        clear(ended, "Connection to 127.0.0.1 port " + hostile.port() + " timed out");
    }

    @Test
    void a_disconnect_in_the_middle_of_the_key_exchange_is_told(Stage stage)
            throws InterruptedException {
        Hostile hostile =
                stage.hostile(socket -> {
                    Hostile.say(socket, "SSH-2.0-Rude\r\n");
                    Hostile.say(socket, Hostile.kexInit());
                    Hostile.hear(socket);
                    Hostile.say(socket, Hostile.disconnect(2, "out of order"));
                    Hostile.silence(socket);
                });
        Ended ended = meet(stage, hostile);
        assertThat(ended.took()).isLessThan(DEADLINE);
        clear(
                ended,
                "Received disconnect from 127.0.0.1 port " + hostile.port() + ":2: out of order",
                "Disconnected from 127.0.0.1 port " + hostile.port());
    }

    @Test
    void a_connection_closed_in_the_middle_of_the_key_exchange_is_told(Stage stage)
            throws InterruptedException {
        Hostile hostile =
                stage.hostile(socket -> {
                    Hostile.say(socket, "SSH-2.0-Gone\r\n");
                    Hostile.say(socket, Hostile.kexInit());
                    Hostile.hear(socket);
                    drain(socket);
                });
        Ended ended = meet(stage, hostile);
        assertThat(ended.took()).isLessThan(DEADLINE);
        assertThat(ended.status()).isEqualTo(255);
        assertThat(ended.errLines()).containsAnyOf("Connection closed by", "Connection reset by");
        oneOrTwoLines(ended);
    }

    @Test
    void a_packet_of_absurd_length_is_refused(Stage stage) throws InterruptedException {
        Hostile hostile =
                stage.hostile(socket -> {
                    Hostile.say(socket, "SSH-2.0-Huge\r\n");
                    Hostile.say(socket, new byte[] {0x7f, -1, -1, -1, 8, 20, 0, 0});
                    byte[] more = new byte[65_536];
                    for (int i = 0; i < 16_000; i++) {
                        Hostile.say(socket, more);
                    }
                });
        Running running = start(stage, hostile);
        long peak = peakUntilEnd(running);
        Ended ended = running.end(SOON);
        assertThat(ended.took()).isLessThan(DEADLINE);
        assertThat(ended.status()).isEqualTo(255);
        assertThat(peak).as("KiB at most").isLessThan(300_000);
        oneOrTwoLines(ended);
    }

    @Test
    void no_common_algorithm_is_told_with_the_server_s_offer(Stage stage)
            throws InterruptedException {
        Sshd sshd = stage.sshd("Ciphers aes128-ctr");
        Ended ended = stage.ssh(sshd, "-c", "aes256-gcm@openssh.com", "trial", "true").end(SOON);
        clear(
                ended,
                "Unable to negotiate with 127.0.0.1 port "
                        + sshd.port()
                        + ": no matching cipher found. Their offer: aes128-ctr");
    }

    @Test
    void a_machine_that_hangs_before_it_says_anything_is_given_up(Stage stage)
            throws InterruptedException {
        Sshd sshd = stage.sshd();
        sshd.freeze();
        Ended ended = stage.ssh(sshd, "-o", "ConnectTimeout=2", "trial", "true").end(SOON);
        assertThat(ended.took()).isBetween(Duration.ofSeconds(1), DEADLINE);
        clear(
                ended,
                "Connection timed out during banner exchange",
                "Connection to 127.0.0.1 port " + sshd.port() + " timed out");
    }

    @Test
    void a_refused_connection_is_tried_as_often_as_ConnectionAttempts_says(Stage stage)
            throws IOException, InterruptedException {
        int port = Sshd.freePort();
        Ended ended =
                stage.bare("-o", "ConnectionAttempts=3", "-p", String.valueOf(port), "127.0.0.1")
                        .end(SOON);
        assertThat(ended.took()).isBetween(Duration.ofMillis(1900), DEADLINE);
        assertThat(ended.status()).isEqualTo(255);
        assertThat(ended.errLines())
                .endsWith("ssh: connect to host 127.0.0.1 port " + port + ": Connection refused\n");
    }

    private static void bounded(Stage stage, String block) throws InterruptedException {
        AtomicBoolean all = new AtomicBoolean();
        Hostile hostile =
                stage.hostile(socket -> {
                    byte[] bytes = block.getBytes(StandardCharsets.US_ASCII);
                    for (long sent = 0; sent < 1L << 30; sent += bytes.length) {
                        Hostile.say(socket, bytes);
                    }
                    all.set(true);
                });
        Running running = start(stage, hostile);
        long peak = peakUntilEnd(running);
        Ended ended = running.end(SOON);
        assertThat(ended.took()).isLessThan(DEADLINE);
        assertThat(ended.status()).isEqualTo(255);
        assertThat(all).as("the client read the whole gigabyte").isFalse();
        assertThat(peak).as("KiB at most").isLessThan(300_000);
        oneOrTwoLines(ended);
    }

    private static long peakUntilEnd(Running running) throws InterruptedException {
        long peak = 0;
        while (running.alive()) {
            peak = Math.max(peak, running.peakKib());
            Thread.sleep(20);
        }
        return peak;
    }

    private static Running start(Stage stage, Hostile hostile) {
        return stage.bare(
                        "-o",
                        "ConnectTimeout=2",
                        "-p",
                        String.valueOf(hostile.port()),
                        "127.0.0.1",
                        "true")
                .start();
    }

    private static Ended meet(Stage stage, Hostile hostile) throws InterruptedException {
        return start(stage, hostile).end(SOON);
    }

    /** Reads what has come, so that closing sends no reset. */
    private static void drain(Socket socket) throws IOException {
        socket.setSoTimeout(300);
        try {
            while (socket.getInputStream().read() >= 0) {
                // Thrown away.
            }
        } catch (java.net.SocketTimeoutException quiet) {
            // All that came is read.
        }
    }

    /** 255, and exactly lines that hold these texts, in this order. */
    private static void clear(Ended ended, String... texts) {
        assertThat(ended.status()).isEqualTo(255);
        List<String> lines = ended.errLines().lines().toList();
        assertThat(lines).as(ended.err()).hasSize(texts.length);
        for (int i = 0; i < texts.length; i++) {
            assertThat(lines.get(i)).contains(texts[i]);
        }
    }

    /** OpenSSH says some of these in two lines: what failed, and the connection's end. */
    private static void oneOrTwoLines(Ended ended) {
        assertThat(ended.err()).doesNotContain("Exception", "\tat ", "org.apache");
        assertThat(ended.errLines().lines().toList()).as(ended.err()).hasSizeBetween(1, 2);
    }

    @Test
    void what_breaks_the_protocol_is_told_in_opensshs_words(Stage stage) throws Exception {
        String identified = "SSH-2.0-Server\r\n";
        List<String> openings =
                List.of(
                        "",
                        "SSH-2.0-Ser",
                        identified,
                        "hello there\r\nHTTP/1.1 400 Bad Request\r\n\r\n",
                        "Exceeded MaxStartups\r\n",
                        "SSH-1.5-Server\r\n",
                        "SSH-3.0-Server\r\n",
                        "SSH-2\r\n",
                        "SSH-2.0-\r\n",
                        "x".repeat(9000) + "\r\n",
                        "SSH-2.0-" + "x".repeat(300) + "\r\n",
                        "a\0b\r\n",
                        "line\r\n".repeat(1100),
                        identified + "garbage".repeat(60),
                        identified + "\0\0\0\14\3" + "\0".repeat(11),
                        identified + "\0\0\0\14\310" + "\0".repeat(11),
                        identified + "\0\0\0\34\6\1\0\0\0\2\0\0\0\3bye\0\0\0\0" + "\0".repeat(6));
        for (String opening : openings) {
            try (Peer server = Peer.tcp(socket -> open(socket, opening))) {
                List<String> options =
                        new ArrayList<>(List.of("-F", "none", "-o", "BatchMode=yes"));
                options.addAll(List.of("-p", Integer.toString(server.port()), "127.0.0.1", "true"));
                List<String> words = new ArrayList<>(Client.reference().argv());
                words.addAll(options);
                Ended theirs = stage.run(words.toArray(String[]::new)).end(Duration.ofMinutes(1));
                Ended ours = stage.bare(options.toArray(String[]::new)).end(Duration.ofMinutes(1));
                assertThat(ours.status()).isEqualTo(255);
                assertThat(ours.err()).as("to ‹%s›", opening).isEqualTo(theirs.err());
            }
        }
    }

    /** Hears the client's line, says this and the end, and leaves after the client. */
    private static void open(SocketChannel socket, String opening) throws IOException {
        ByteBuffer one = ByteBuffer.allocate(1);
        do {
            if (socket.read(one.clear()) < 0) {
                return;
            }
        } while (one.get(0) != '\n');
        Peer.write(socket, opening.getBytes(StandardCharsets.ISO_8859_1));
        socket.shutdownOutput();
        ByteBuffer rest = ByteBuffer.allocate(4096);
        while (socket.read(rest.clear()) >= 0) {
            // its key exchange, unanswered
        }
    }
}
