package holdfast.ssh.server;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What a client's first line is taken for; {@code VersionTrial} holds it to Debian's sshd. */
class IdentificationTest {

    private static Identification of(String said) {
        byte[] bytes = said.getBytes(StandardCharsets.ISO_8859_1);
        return Identification.of(bytes, 0, bytes.length);
    }

    @Test
    void a_line_ends_at_its_newline_and_not_a_byte_later() {
        assertThat(of("SSH-2.0-Open_1 a b\r\nrest"))
                .isEqualTo(
                        new Identification.Client("SSH-2.0-Open_1 a b", "2.0", "Open_1 a b", 20));
        assertThat(of("SSH-2.0-x\n")).isInstanceOf(Identification.Client.class);
        assertThat(of("SSH-1.99-x\n")).isInstanceOf(Identification.Client.class);
        assertThat(of("SSH-2.9-x\n")).isInstanceOf(Identification.Client.class);
    }

    @Test
    void every_beginning_of_a_good_line_waits_for_more() {
        byte[] bytes = "xxSSH-2.0-Open_1\r\n".getBytes(StandardCharsets.US_ASCII);
        for (int length = 0; length < bytes.length - 2; length++) {
            assertThat(Identification.of(bytes, 2, length)).isEqualTo(new Identification.More());
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "GET / HTTP/1.1", "SSH-", "ssh-2.0-x", "Hello"})
    void what_is_no_line_of_ssh_is_quoted(String line) {
        assertThat(of(line + "\r\n"))
                .isEqualTo(
                        new Identification.Bad(
                                "kex_exchange_identification: client sent invalid protocol"
                                        + " identifier \""
                                        + line
                                        + "\"",
                                "Invalid SSH identification string.",
                                "invalid format"));
    }

    @Test
    void strange_bytes_are_quoted_as_openssh_quotes_them() {
        assertThat(of("\u00ff\u0007\\\"\n").toString()).contains("\"\\377\\007\\\\\"\"");
    }

    @ParameterizedTest
    @ValueSource(strings = {"SSH-2.0", "SSH-2.0-", "SSH-x.y-z", "SSH-1.2.26-x", "SSH-2-x"})
    void what_is_no_version_is_named(String line) {
        assertThat(of(line + "\n"))
                .isEqualTo(
                        new Identification.Bad(
                                "Bad remote protocol version identification: '" + line + "'",
                                "Invalid SSH identification string.",
                                "invalid format"));
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 1, 3, 999999999})
    void another_version_is_told_with_ours(int major) {
        assertThat(of("SSH-" + major + ".5-x\n"))
                .isEqualTo(
                        new Identification.Bad(
                                "Protocol major versions differ: 2 vs. " + major,
                                "Protocol major versions differ.",
                                "could not read protocol version"));
    }

    @Test
    void a_zero_byte_a_lone_return_and_a_line_without_end_are_not_waited_out() {
        assertThat(of("SSH-2.0-a\0").toString()).contains("contains invalid characters");
        assertThat(of("SSH-2.0-a\rb").toString()).contains("contains invalid characters");
        assertThat(of("SSH-2.0-" + "A".repeat(8184))).isEqualTo(new Identification.More());
        assertThat(of("SSH-2.0-" + "A".repeat(8185)).toString()).contains("banner line too long");
    }

    @Test
    void who_only_looks_is_let_go() {
        assertThat(of("SSH-2.0-Probe-9\n"))
                .isEqualTo(new Identification.Passing("probed", "SSH-2.0-Probe-9"));
        assertThat(of("SSH-2.0-xSSH_Version_Mapper\n"))
                .isEqualTo(new Identification.Passing("scanned", "SSH-2.0-xSSH_Version_Mapper"));
    }

    @Test
    void any_bytes_come_to_something() {
        long seed = System.nanoTime();
        Random random = new Random(seed);
        for (int i = 0; i < 20_000; i++) {
            byte[] bytes = new byte[random.nextInt(40)];
            random.nextBytes(bytes);
            byte[] head = "SSH-2.0-".getBytes(StandardCharsets.US_ASCII);
            System.arraycopy(head, 0, bytes, 0, random.nextInt(Math.min(9, bytes.length + 1)));
            Identification came = Identification.of(bytes, 0, bytes.length);
            assertThat(came).as("seed %d: %s", seed, Arrays.toString(bytes)).isNotNull();
            if (came instanceof Identification.Bad bad) {
                assertThat(bad.detail()).matches("[\\t -~]*");
            }
        }
    }
}
