package holdfast.ssh.forward;

import static org.assertj.core.api.Assertions.assertThat;

import holdfast.ssh.config.ClientProtocol;
import holdfast.ssh.log.Log;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What X11 forwarding makes of displays, of what xauth says, and of how connections begin. */
class X11Test {

    private static final String REAL = "00112233445566778899aabbccddeeff";

    @TempDir private Path home;
    private final List<String> said = new ArrayList<>();
    private final Log log = new Log(Log.Level.INFO, line -> said.add(line.stripTrailing()));

    @Test
    void the_made_up_cookie_is_replaced_by_the_real_one_and_nothing_else_is_touched()
            throws Exception {
        X11 x11 = forwarded(xauth("echo 'here/unix:7  MIT-MAGIC-COOKIE-1  " + REAL + "'"));
        assertThat(x11.madeUp()).hasSize(REAL.length()).isNotEqualTo(REAL);
        assertThat(x11.screen()).isEqualTo(2);
        assertThat(x11.place()).isEqualTo(new X11.Place.Local("/tmp/.X11-unix/X7"));
        for (ByteOrder order : List.of(ByteOrder.BIG_ENDIAN, ByteOrder.LITTLE_ENDIAN)) {
            byte[] sent = opening(order, x11.protocol(), HexFormat.of().parseHex(x11.madeUp()));
            for (int length = 0; length < sent.length; length++) {
                assertThat(x11.opening(sent, length)).isEqualTo(new X11.Opening.More());
            }
            byte[] expected = opening(order, x11.protocol(), HexFormat.of().parseHex(REAL));
            assertThat(x11.opening(sent, sent.length))
                    .isInstanceOfSatisfying(
                            X11.Opening.Good.class,
                            good -> {
                                assertThat(good.bytes()).isEqualTo(expected);
                                assertThat(good.taken()).isEqualTo(sent.length);
                            });
            assertThat(sent.length).isLessThanOrEqualTo(x11.longest());
        }
    }

    @Test
    void another_cookie_another_protocol_and_garbage_are_turned_away() throws Exception {
        X11 x11 = forwarded(xauth("echo 'x MIT-MAGIC-COOKIE-1 " + REAL + "'"));
        byte[] real = opening(ByteOrder.BIG_ENDIAN, x11.protocol(), HexFormat.of().parseHex(REAL));
        byte[] other = opening(ByteOrder.BIG_ENDIAN, "XDM-AUTHORIZATION-1", new byte[16]);
        byte[] none = opening(ByteOrder.LITTLE_ENDIAN, "", new byte[0]);
        byte[] garbage = "GET / HTTP/1.0\r\n".getBytes(StandardCharsets.US_ASCII);
        for (byte[] bad : List.of(real, other, none, garbage)) {
            assertThat(x11.opening(bad, bad.length)).isInstanceOf(X11.Opening.Bad.class);
        }
    }

    @Test
    void without_a_cookie_a_trusted_display_gets_a_made_up_one_and_an_untrusted_none()
            throws Exception {
        Path fails = xauth("exit 1");
        assertThat(forwarded(fails).protocol()).isEqualTo("MIT-MAGIC-COOKIE-1");
        assertThat(said)
                .containsExactly(
                        "Warning: No xauth data; using fake authentication data for X11"
                                + " forwarding.");
        ClientProtocol.X11 untrusted = new ClientProtocol.X11(false, Duration.ofMinutes(1), fails);
        assertThat(X11.of(untrusted, ":7", log)).isNull();
        assertThat(said)
                .last()
                .isEqualTo(
                        "Warning: untrusted X11 forwarding setup failed: xauth key data not"
                                + " generated");
    }

    @Test
    void an_untrusted_display_asks_for_a_cookie_of_its_own_that_ends() throws Exception {
        Path asked = home.resolve("asked");
        Path xauth =
                xauth(
                        "echo \"$*\" >> " + asked,
                        "[ $3 = list ] && echo 'x MIT-MAGIC-COOKIE-1 " + REAL + "'",
                        "exit 0");
        X11 x11 =
                X11.of(
                        new ClientProtocol.X11(false, Duration.ofMinutes(2), xauth),
                        "localhost:10.0",
                        log);
        assertThat(x11).isNotNull();
        List<String> lines = Files.readAllLines(asked);
        assertThat(lines.getFirst())
                .endsWith(" generate unix:10.0 MIT-MAGIC-COOKIE-1 untrusted timeout 180");
        String file = lines.getFirst().split(" ", -1)[1];
        assertThat(lines.getLast()).isEqualTo("-f " + file + " list unix:10.0");
        assertThat(Path.of(file)).doesNotExist();
        assertThat(x11 == null || x11.expired()).isFalse();
        X11 brief = X11.of(new ClientProtocol.X11(false, Duration.ofNanos(1), xauth), ":0", log);
        assertThat(brief != null && brief.expired()).isTrue();
    }

    @Test
    void displays_are_read_as_openssh_reads_them() {
        assertThat(X11.place("host.example:3.1", log))
                .isEqualTo(new X11.Place.Remote("host.example", 6003));
        assertThat(X11.place("unix:5", log)).isEqualTo(new X11.Place.Local("/tmp/.X11-unix/X5"));
        assertThat(X11.place("nothing", log)).isNull();
        assertThat(X11.place(":x", log)).isNull();
        assertThat(X11.isValid(":0; rm -rf /")).isFalse();
        assertThat(X11.of(new ClientProtocol.X11(true, Duration.ZERO, home), "$(x):0", log))
                .isNull();
        assertThat(said).last().asString().contains("invalid; disabling X11 forwarding");
    }

    private X11 forwarded(Path xauth) {
        X11 x11 = X11.of(new ClientProtocol.X11(true, Duration.ZERO, xauth), ":7.2", log);
        if (x11 == null) {
            throw new AssertionError(said);
        }
        return x11;
    }

    private Path xauth(String... lines) throws IOException {
        Path script =
                Files.createFile(
                        Files.createTempDirectory(home, "bin").resolve("xauth"),
                        PosixFilePermissions.asFileAttribute(
                                PosixFilePermissions.fromString("rwx------")));
        return Files.writeString(script, "#!/bin/sh\n" + String.join("\n", lines) + "\n");
    }

    /** How an X11 client begins, four bytes by four. */
    private static byte[] opening(ByteOrder order, String protocol, byte[] data) {
        byte[] name = protocol.getBytes(StandardCharsets.US_ASCII);
        ByteBuffer out = ByteBuffer.allocate(12 + padded(name.length) + padded(data.length));
        out.order(order).put((byte) (order == ByteOrder.BIG_ENDIAN ? 'B' : 'l')).put((byte) 0);
        out.putShort((short) 11).putShort((short) 0);
        out.putShort((short) name.length).putShort((short) data.length).putShort((short) 0);
        out.put(Arrays.copyOf(name, padded(name.length)));
        out.put(Arrays.copyOf(data, padded(data.length)));
        return out.array();
    }

    private static int padded(int length) {
        return length + 3 & ~3;
    }
}
