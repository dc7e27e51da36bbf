package holdfast.trials;

import static org.assertj.core.api.Assertions.assertThat;

import holdfast.core.tether.Bytes;
import holdfast.core.tether.Fault;
import holdfast.core.tether.Frame;
import holdfast.core.tether.FrameReader;
import holdfast.core.tether.TetherLine;
import holdfast.trials.harness.Client;
import holdfast.trials.harness.Command;
import holdfast.trials.harness.Keys;
import holdfast.trials.harness.Running;
import holdfast.trials.harness.Sshd;
import holdfast.trials.harness.Wiretap;
import java.io.DataInputStream;
import java.io.IOException;
import java.net.Socket;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.Objects;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.atomic.AtomicReference;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;

/** What somebody sees and can do who sits between the two ends of a tether. */
@ExtendWith(Staged.class)
final class TetherOnThePathTrial {

    private static final Duration SOON = Duration.ofSeconds(30);
    private static final int KEXINIT = 20;

    @Test
    void with_everybody_else_the_wire_shows_plain_ssh(Stage stage) throws Exception {
        try (Wiretap theirs = new Wiretap(stage.sshd());
                Wiretap ours = new Wiretap(stage.holdfastSshd())) {
            through(stage, Client.holdfast(), theirs).end(SOON);
            through(stage, Client.reference(), ours).end(SOON);
            for (Wiretap tap : new Wiretap[] {theirs, ours}) {
                Wiretap.Tapped one = tap.connections().getFirst();
                assertPlain(one.up());
                assertPlain(one.down());
            }
            assertThat(line(theirs.connections().getFirst().up())).contains(" tether-1=");
            assertThat(line(ours.connections().getFirst().down())).contains(" tether-1=");
        }
        Sshd without = stage.holdfastSshd("Tether no");
        try (Wiretap tap = new Wiretap(without)) {
            assertThat(through(stage, Client.holdfast(), tap).end(SOON).out()).isEqualTo("1\n");
            assertPlain(tap.connections().getFirst().down());
            assertThat(line(tap.connections().getFirst().down())).doesNotContain("tether");
        }
    }

    @Test
    void who_hears_everything_cannot_take_the_session_or_harm_it(Stage stage) throws Exception {
        Sshd sshd = stage.holdfastSshd("PerSourcePenalties no");
        try (Wiretap tap = new Wiretap(sshd)) {
            Running session =
                    through(stage, Client.holdfast(), tap, "while read x; do echo got $x; done")
                            .inputOpen()
                            .start();
            say(session, "one");
            session.out().await("got one\n", SOON);
            Bytes id = name(tap.connections().getFirst().down());

            // The right name and no key; with offsets never sent; and a name that nobody has.
            assertRefused(sshd, forged(id, 1, 0, 0));
            assertRefused(sshd, forged(id, 7, Long.MAX_VALUE, Long.MAX_VALUE));
            assertRefused(sshd, forged(Bytes.of(new byte[16]), 1, 0, 0));
            say(session, "two");
            session.out().await("got two\n", SOON);

            // What the rightful client said itself, said again.
            tap.connections().getFirst().cut();
            say(session, "three");
            session.out().await("got three\n", SOON);
            String request = line(tap.connections().get(1).up());
            assertThat(request).contains("tether-1-resume=");
            assertRefused(sshd, request);

            // Lines that are none: the server's own limits end them.
            for (String bad :
                    new String[] {
                        "SSH-2.0-x tether-1-resume=" + "A".repeat(1_000_000),
                        "SSH-2.0-x tether-1-resume=",
                        "SSH-2.0-x tether-2-resume=AAAA",
                        request.substring(0, request.length() - 5)
                    }) {
                try (Socket socket = new Socket(sshd.address(), sshd.port())) {
                    socket.setSoTimeout((int) SOON.toMillis());
                    socket.getOutputStream()
                            .write((bad + "\r\n").getBytes(StandardCharsets.US_ASCII));
                    socket.shutdownOutput();
                    socket.getInputStream().readAllBytes();
                } catch (IOException e) {
                    // a reset is an answer, too
                }
            }
            say(session, "four");
            session.out().await("got four\n", SOON);
            session.stdin().close();
            assertThat(session.end(SOON).out())
                    .isEqualTo("got one\ngot two\ngot three\ngot four\n");
            assertThat(sshd.log()).contains("127.0.0.1: resume refused");
            assertThat(sshd.log()).doesNotContain("\tat ");
        }
    }

    @Test
    void a_client_that_must_have_a_tether_takes_no_server_without(Stage stage) throws Exception {
        Sshd sshd = stage.sshd();
        var ended =
                stage.own(sshd.client(Client.holdfast(), "-o", "Tether=require", "trial", "true"))
                        .end(SOON);
        assertThat(ended.status()).isEqualTo(255);
        assertThat(ended.err()).contains("the server offers no tether, which is required");
    }

    @Test
    void who_may_no_longer_come_is_refused_when_they_come_back(Stage stage) throws Exception {
        Sshd sshd = stage.holdfastSshd("PerSourcePenalties no");
        try (Wiretap tap = new Wiretap(sshd)) {
            Running session = through(stage, Client.holdfast(), tap, "cat").inputOpen().start();
            say(session, "one");
            session.out().await("one\n", SOON);
            Path config = sshd.directory().resolve("sshd_config");
            Files.writeString(config, "DenyUsers " + Sshd.user() + "\n" + Files.readString(config));
            new ProcessBuilder("kill", "-HUP", Long.toString(sshd.pid())).start().waitFor();
            sshd.awaitLog("SIGHUP");
            tap.connections().getFirst().cut();
            var ended = session.end(SOON);
            assertThat(ended.status()).isEqualTo(255);
            assertThat(ended.err()).contains("the server no longer has this session");
            sshd.awaitLog("listed in DenyUsers");
        }
    }

    // --- the wire

    private static Command through(Stage stage, Client client, Wiretap tap, String... command) {
        String[] words = command.length == 0 ? new String[] {"echo 1"} : command;
        Command all =
                Command.of(
                        Stream.of(
                                        client.argv().stream(),
                                        Stream.of(
                                                "-F",
                                                "none",
                                                "-i",
                                                Keys.of("ed25519", "user").toString(),
                                                "-o",
                                                "StrictHostKeyChecking=no",
                                                "-o",
                                                "LogLevel=ERROR",
                                                "-o",
                                                "UserKnownHostsFile=/dev/null",
                                                "-p",
                                                Integer.toString(tap.port()),
                                                "127.0.0.1"),
                                        Arrays.stream(words))
                                .flatMap(some -> some)
                                .toList());
        return stage.own(all);
    }

    private static void say(Running session, String line) throws IOException {
        session.stdin().write((line + "\n").getBytes(StandardCharsets.US_ASCII));
        session.stdin().flush();
    }

    private static String line(byte[] bytes) {
        int end = 0;
        while (bytes[end] != '\n') {
            end++;
        }
        return new String(bytes, 0, end - 1, StandardCharsets.US_ASCII);
    }

    /** An identification line, and behind it at once a packet: SSH_MSG_KEXINIT. */
    private static void assertPlain(byte[] bytes) {
        String line = line(bytes);
        assertThat(line).startsWith("SSH-2.0-").hasSizeLessThan(254);
        int at = line.length() + 2;
        int length = ByteBuffer.wrap(bytes, at, 4).getInt();
        assertThat(length).isBetween(100, 35_000);
        assertThat(bytes[at + 5]).isEqualTo((byte) KEXINIT);
    }

    /** The tether's name, as whoever listens learns it. */
    private static Bytes name(byte[] down) {
        AtomicReference<@Nullable Bytes> id = new AtomicReference<>();
        int at = line(down).length() + 2;
        new FrameReader()
                .read(
                        down,
                        at,
                        down.length - at,
                        new FrameReader.Sink() {
                            @Override
                            public @Nullable Fault data(ByteBuffer bytes) {
                                return null;
                            }

                            @Override
                            public @Nullable Fault frame(Frame frame) {
                                if (frame instanceof Frame.Held held) {
                                    id.set(held.id());
                                }
                                return null;
                            }
                        });
        return Objects.requireNonNull(id.get(), "the server held nothing");
    }

    private static String forged(Bytes id, long generation, long received, long taken) {
        byte[] random = new byte[32];
        ThreadLocalRandom.current().nextBytes(random);
        return "SSH-2.0-Forger "
                + new TetherLine.Resume(
                                id,
                                generation,
                                received,
                                taken,
                                Bytes.of(random, 0, 16),
                                Bytes.of(random))
                        .word();
    }

    private static void assertRefused(Sshd sshd, String line) throws IOException {
        try (Socket socket = new Socket(sshd.address(), sshd.port())) {
            socket.setSoTimeout((int) SOON.toMillis());
            DataInputStream in = new DataInputStream(socket.getInputStream());
            while (in.readByte() != '\n') {
                // its identification
            }
            socket.getOutputStream().write((line + "\r\n").getBytes(StandardCharsets.US_ASCII));
            assertThat(in.readAllBytes()).as(line).containsExactly(Frame.REFUSED, 0);
        }
    }
}
