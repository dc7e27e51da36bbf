package holdfast.ssh.link;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.util.Random;
import org.junit.jupiter.api.Test;

class RingTest {

    @Test
    void bytes_come_out_as_they_went_in_around_the_end_and_while_it_grows() {
        long seed = Long.getLong("seed", System.nanoTime());
        Random random = new Random(seed);
        Ring ring = new Ring(64);
        ByteArrayOutputStream in = new ByteArrayOutputStream();
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        for (int turn = 0; turn < 20_000; turn++) {
            byte[] some = new byte[random.nextInt(turn % 100 == 0 ? 5000 : 50)];
            random.nextBytes(some);
            int offset = some.length == 0 ? 0 : random.nextInt(some.length);
            ring.put(some, offset, some.length - offset);
            in.write(some, offset, some.length - offset);
            ByteBuffer oldest = ring.oldest(1 + random.nextInt(100));
            // A slice stays what it is while more is put and the ring grows under it.
            byte[] more = new byte[random.nextInt(30)];
            random.nextBytes(more);
            ring.put(more, 0, more.length);
            in.writeBytes(more);
            byte[] taken = new byte[oldest.remaining()];
            oldest.get(taken);
            out.writeBytes(taken);
            ring.drop(taken.length);
            assertThat(ring.held()).as("-Dseed=" + seed).isEqualTo(in.size() - out.size());
        }
        while (ring.held() > 0) {
            ByteBuffer rest = ring.oldest(Integer.MAX_VALUE);
            byte[] taken = new byte[rest.remaining()];
            rest.get(taken);
            out.writeBytes(taken);
            ring.drop(taken.length);
        }
        assertThat(out.toByteArray()).as("-Dseed=" + seed).isEqualTo(in.toByteArray());
    }

    @Test
    void no_more_is_given_than_asked_for() {
        Ring ring = new Ring(64);
        ring.put(new byte[50], 0, 50);
        assertThat(ring.oldest(20).remaining()).isEqualTo(20);
        assertThat(ring.held()).isEqualTo(50);
        ring.clear();
        assertThat(ring.held()).isZero();
        assertThat(ring.oldest(20).remaining()).isZero();
    }
}
