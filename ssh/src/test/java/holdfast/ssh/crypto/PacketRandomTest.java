package holdfast.ssh.crypto;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.HashSet;
import java.util.Set;
import org.junit.jupiter.api.Test;

class PacketRandomTest {

    private final PacketRandom random = new PacketRandom();

    @Test
    void only_the_bytes_asked_for_are_filled_however_many_come_before() {
        for (int request = 0; request < 2000; request++) {
            int length = request % 40;
            byte[] bytes = new byte[60];
            random.fill(bytes, 10, length);
            for (int i = 0; i < bytes.length; i++) {
                if (i < 10 || i >= 10 + length) {
                    assertThat(bytes[i]).as("request %d, byte %d", request, i).isZero();
                }
            }
        }
    }

    @Test
    void nothing_comes_twice_over_many_refills_and_another_connection_gets_other_bytes() {
        Set<String> seen = new HashSet<>();
        PacketRandom other = new PacketRandom();
        for (int request = 0; request < 5000; request++) {
            byte[] bytes = new byte[16];
            random.fill(bytes);
            assertThat(seen.add(java.util.HexFormat.of().formatHex(bytes))).isTrue();
            other.fill(bytes);
            assertThat(seen.add(java.util.HexFormat.of().formatHex(bytes))).isTrue();
        }
    }

    @Test
    void every_bit_is_set_about_half_the_time() {
        int[] set = new int[8 * 13];
        int requests = 20_000;
        for (int request = 0; request < requests; request++) {
            byte[] bytes = new byte[13];
            random.fill(bytes);
            for (int bit = 0; bit < set.length; bit++) {
                set[bit] += bytes[bit / 8] >> bit % 8 & 1;
            }
        }
        for (int count : set) {
            assertThat(count).isBetween(requests / 2 - 700, requests / 2 + 700); // ten sigma
        }
    }
}
