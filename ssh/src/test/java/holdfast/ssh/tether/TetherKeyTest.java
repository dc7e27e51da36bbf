package holdfast.ssh.tether;

import static org.assertj.core.api.Assertions.assertThat;

import holdfast.core.tether.Bytes;
import holdfast.core.tether.Prover;
import holdfast.core.tether.TetherLine;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;

final class TetherKeyTest {

    private static final byte[] MESSAGE = {1, 2, 3};

    @Test
    void both_ends_come_to_the_same_key_and_nobody_else_does() {
        TetherKey client = TetherKey.generate();
        TetherKey server = TetherKey.generate();
        TetherLine.Offer ours = client.offer(1 << 22);
        TetherLine.Offer theirs = server.offer(1 << 22);
        byte[] one = mac(client.agree(theirs.key(), "c", "s"));
        assertThat(mac(server.agree(ours.key(), "c", "s"))).isEqualTo(one).hasSize(32);
        assertThat(mac(server.agree(ours.key(), "c", "t"))).as("other lines").isNotEqualTo(one);
        assertThat(mac(TetherKey.generate().agree(ours.key(), "c", "s"))).isNotEqualTo(one);
    }

    @Test
    void each_offer_of_one_key_is_fresh() {
        TetherKey key = TetherKey.generate();
        TetherLine.Offer one = key.offer(1 << 22);
        TetherLine.Offer other = key.offer(1 << 22);
        assertThat(one.key()).isEqualTo(other.key());
        assertThat(one.nonce()).isNotEqualTo(other.nonce());
        assertThat(one.window()).isEqualTo(4096);
        assertThat(TetherLine.of("SSH-2.0-x " + one.word())).isEqualTo(one);
    }

    @Test
    void the_largest_buffer_is_offered_as_the_largest_window() {
        TetherLine.Offer offer = TetherKey.generate().offer(64 << 20);
        assertThat(offer.window()).isEqualTo(TetherLine.MOST_WINDOW);
        assertThat(TetherLine.of("SSH-2.0-x " + offer.word())).isEqualTo(offer);
    }

    @Test
    void a_point_of_small_order_is_no_key() {
        TetherKey key = TetherKey.generate();
        assertThat(key.agree(Bytes.of(new byte[32]), "c", "s")).isNull();
        byte[] one = new byte[32];
        one[0] = 1;
        assertThat(key.agree(Bytes.of(one), "c", "s")).isNull();
    }

    private static byte[] mac(@Nullable Prover prover) {
        return prover == null ? new byte[0] : prover.mac(MESSAGE);
    }
}
