package holdfast.ssh.server;

import static org.assertj.core.api.Assertions.assertThat;

import holdfast.ssh.link.Deadlines;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(60)
class ReclaimTest {

    private final List<Throwable> mistakes = new ArrayList<>();
    private final Deadlines deadlines = new Deadlines("test", slept -> {}, mistakes::add);
    private final LinkedBlockingQueue<Long> collected = new LinkedBlockingQueue<>();
    private final Reclaim reclaim = new Reclaim(deadlines, () -> collected.add(System.nanoTime()));

    @AfterEach
    void close() {
        deadlines.close();
        assertThat(mistakes).isEmpty();
    }

    private void leave(int connections, int remaining) throws InterruptedException {
        CountDownLatch done = new CountDownLatch(1);
        deadlines.post(() -> {
            for (int i = 0; i < connections; i++) {
                reclaim.gone(remaining);
            }
            done.countDown();
        });
        done.await();
    }

    @Test
    void a_wave_of_departures_is_collected_once_and_the_next_has_to_wait() throws Exception {
        long start = System.nanoTime();
        leave(500, 1000);
        Long first = collected.poll(20, TimeUnit.SECONDS);
        assertThat(first).isNotNull();
        assertThat(Duration.ofNanos(first - start)).isGreaterThan(Duration.ofMillis(2900));
        leave(500, 500);
        assertThat(collected.poll(5, TimeUnit.SECONDS)).isNull();
    }

    @Test
    void a_few_that_leave_a_crowd_are_no_wave() throws Exception {
        leave(100, 10_000);
        assertThat(collected.poll(5, TimeUnit.SECONDS)).isNull();
    }
}
