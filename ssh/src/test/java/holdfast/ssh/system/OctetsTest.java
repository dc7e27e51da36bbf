package holdfast.ssh.system;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.charset.StandardCharsets;
import java.util.HexFormat;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;

final class OctetsTest {

    @Test
    void what_is_utf_8_is_read_as_that() {
        for (String text : List.of("", "ls -l", "äöü €", "\ud83d\ude00")) {
            assertThat(Octets.text(text.getBytes(StandardCharsets.UTF_8))).isEqualTo(text);
        }
    }

    @Test
    void bytes_that_are_no_text_come_out_as_they_went_in() {
        long seed = System.nanoTime();
        Random random = new Random(seed);
        for (int i = 0; i < 2000; i++) {
            byte[] bytes = new byte[random.nextInt(12)];
            random.nextBytes(bytes);
            String read = Octets.text(bytes);
            assertThat(Octets.bytes(read))
                    .as("seed %d: %s as %s", seed, HexFormat.of().formatHex(bytes), read)
                    .isEqualTo(bytes);
        }
    }
}
