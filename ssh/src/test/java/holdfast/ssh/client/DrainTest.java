package holdfast.ssh.client;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.WritableByteChannel;
import java.util.Random;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(30)
final class DrainTest {

    private static final int WINDOW = 2 << 20;

    /** Takes what it is given in bites of its own size, and keeps it. */
    private static class Mouth implements WritableByteChannel {
        final ByteArrayOutputStream eaten = new ByteArrayOutputStream();
        final Random random;

        Mouth(Random random) {
            this.random = random;
        }

        @Override
        public int write(ByteBuffer bytes) throws IOException {
            int bite = Math.min(bytes.remaining(), random.nextInt(200_000));
            byte[] some = new byte[bite];
            bytes.get(some);
            eaten.writeBytes(some);
            return bite;
        }

        @Override
        public boolean isOpen() {
            return true;
        }

        @Override
        public void close() {}
    }

    @Test
    void what_goes_in_comes_out_once_and_in_order_whatever_the_sizes() throws Exception {
        long seed = Long.getLong("seed", System.nanoTime());
        Random random = new Random(seed);
        Mouth mouth = new Mouth(new Random(seed + 1));
        AtomicInteger outstanding = new AtomicInteger();
        Drain drain =
                new Drain(
                        mouth,
                        new Drain.Owner() {
                            @Override
                            public void drained(int count) {
                                outstanding.addAndGet(-count);
                            }

                            @Override
                            public void broken(IOException error) {
                                throw new AssertionError(error);
                            }
                        });
        ByteArrayOutputStream given = new ByteArrayOutputStream();
        while (given.size() < 20_000_000) {
            byte[] packet = new byte[1 + random.nextInt(32 * 1024)];
            random.nextBytes(packet);
            while (outstanding.get() + packet.length > WINDOW) {
                Thread.onSpinWait(); // the peer, waiting for window
            }
            outstanding.addAndGet(packet.length);
            drain.put(packet, 0, packet.length);
            given.writeBytes(packet);
        }
        drain.finish();
        drain.awaitDry();
        assertThat(mouth.eaten.toByteArray()).as("-Dseed=" + seed).isEqualTo(given.toByteArray());
        assertThat(outstanding).hasValue(0);
    }

    @Test
    void putting_never_waits_for_a_reader_that_does_not_read() throws Exception {
        CountDownLatch stuck = new CountDownLatch(1);
        CountDownLatch release = new CountDownLatch(1);
        Drain drain =
                new Drain(
                        new Mouth(new Random(1)) {
                            @Override
                            public int write(ByteBuffer bytes) throws IOException {
                                stuck.countDown();
                                try {
                                    release.await();
                                } catch (InterruptedException e) {
                                    throw new AssertionError(e);
                                }
                                return super.write(bytes);
                            }
                        },
                        new Ignoring());
        byte[] packet = new byte[32 * 1024];
        for (int sent = 0; sent < WINDOW; sent += packet.length) {
            drain.put(packet, 0, packet.length);
        }
        stuck.await();
        release.countDown();
        drain.finish();
        drain.awaitDry();
    }

    @Test
    void when_nobody_takes_the_output_the_window_is_still_given_back() throws Exception {
        AtomicInteger back = new AtomicInteger();
        AtomicReference<IOException> told = new AtomicReference<>();
        CountDownLatch broken = new CountDownLatch(1);
        Drain drain =
                new Drain(
                        new Mouth(new Random(1)) {
                            @Override
                            public int write(ByteBuffer bytes) throws IOException {
                                throw new IOException("Broken pipe");
                            }
                        },
                        new Drain.Owner() {
                            @Override
                            public void drained(int count) {
                                back.addAndGet(count);
                            }

                            @Override
                            public void broken(IOException error) {
                                told.set(error);
                                broken.countDown();
                            }
                        });
        drain.put(new byte[1000], 0, 1000);
        broken.await();
        drain.put(new byte[500], 0, 500);
        drain.finish();
        drain.awaitDry();
        assertThat(back).hasValue(1500);
        assertThat(told.get()).hasMessage("Broken pipe");
    }

    private static final class Ignoring implements Drain.Owner {
        @Override
        public void drained(int count) {}

        @Override
        public void broken(IOException error) {
            throw new AssertionError(error);
        }
    }
}
