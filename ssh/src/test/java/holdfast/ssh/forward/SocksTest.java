package holdfast.ssh.forward;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Random;
import org.junit.jupiter.api.Test;

/** SOCKS as clients speak it, and as nobody should. */
class SocksTest {

    private static byte[] bytes(Object... parts) {
        ByteArrayOutputStream all = new ByteArrayOutputStream();
        for (Object part : parts) {
            if (part instanceof Integer one) {
                all.write(one);
            } else {
                all.writeBytes(((String) part).getBytes(StandardCharsets.US_ASCII));
            }
        }
        return all.toByteArray();
    }

    /** Feeds byte by byte, as a slow client would; returns the last step. */
    private static Socks.Step slowly(Socks socks, byte[] request) {
        Socks.Step last = new Socks.Step.More();
        for (byte one : request) {
            assertThat(last).isNotInstanceOf(Socks.Step.Connect.class);
            ByteBuffer bytes = ByteBuffer.wrap(new byte[] {one});
            last = socks.take(bytes);
            assertThat(bytes.hasRemaining()).isFalse();
        }
        return last;
    }

    @Test
    void version_4_names_an_address_and_4a_a_host() {
        assertThat(slowly(new Socks(), bytes(4, 1, 0, 80, 10, 0, 0, 1, "me", 0)))
                .isEqualTo(new Socks.Step.Connect("10.0.0.1", 80));
        assertThat(slowly(new Socks(), bytes(4, 1, 31, 144, 0, 0, 0, 1, 0, "a.example", 0)))
                .isEqualTo(new Socks.Step.Connect("a.example", 8080));
    }

    @Test
    void version_5_names_an_address_of_either_family_or_a_host() {
        byte[][] requests = {
            bytes(5, 1, 0, 1, 127, 0, 0, 1, 0, 22),
            bytes(5, 1, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 22),
            bytes(5, 1, 0, 3, 4, "host", 0, 22)
        };
        String[] hosts = {"127.0.0.1", "::1", "host"};
        for (int i = 0; i < requests.length; i++) {
            Socks socks = new Socks();
            assertThat(slowly(socks, bytes(5, 2, 2, 0))).isInstanceOf(Socks.Step.Say.class);
            assertThat(slowly(socks, requests[i])).isEqualTo(new Socks.Step.Connect(hosts[i], 22));
        }
    }

    @Test
    void not_a_byte_beyond_the_request_is_taken() {
        Socks socks = new Socks();
        ByteBuffer bytes = ByteBuffer.wrap(bytes(4, 1, 0, 80, 10, 0, 0, 1, 0, "data"));
        assertThat(socks.take(bytes)).isInstanceOf(Socks.Step.Connect.class);
        assertThat(StandardCharsets.US_ASCII.decode(bytes).toString()).isEqualTo("data");
    }

    @Test
    void what_is_not_offered_is_refused() {
        assertThat(slowly(new Socks(), bytes(5, 1, 2))).isInstanceOf(Socks.Step.Refuse.class);
        assertThat(slowly(new Socks(), bytes(4, 2, 0, 80, 10, 0, 0, 1, 0)))
                .isInstanceOf(Socks.Step.Refuse.class);
        assertThat(slowly(new Socks(), bytes("G"))).isInstanceOf(Socks.Step.Refuse.class);
    }

    @Test
    void random_bytes_end_in_a_step_and_never_in_an_exception() {
        long seed = Long.getLong("holdfast.seed", System.nanoTime());
        System.out.println("seed: repeat with -Dholdfast.seed=" + seed);
        Random dice = new Random(seed);
        for (int i = 0; i < 20_000; i++) {
            byte[] some = new byte[1 + dice.nextInt(1200)];
            dice.nextBytes(some);
            some[0] = (byte) (dice.nextInt(8) == 0 ? some[0] : 4 + dice.nextInt(2));
            Socks socks = new Socks();
            ByteBuffer bytes = ByteBuffer.wrap(some);
            Socks.Step step = socks.take(bytes);
            while (step instanceof Socks.Step.Say) {
                step = socks.take(bytes);
            }
            if (step instanceof Socks.Step.More) {
                assertThat(bytes.hasRemaining()).isFalse();
                assertThat(some.length).isLessThanOrEqualTo(2 * Socks.LONGEST);
            }
        }
    }
}
