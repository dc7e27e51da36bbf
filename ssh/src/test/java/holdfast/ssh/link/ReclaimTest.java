package holdfast.ssh.link;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.Duration;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.ScheduledThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(60)
class ReclaimTest {

    private final ScheduledThreadPoolExecutor timer = CalledOff.timer();
    private final LinkedBlockingQueue<Long> collected = new LinkedBlockingQueue<>();
    private final Reclaim reclaim = new Reclaim(timer, () -> collected.add(System.nanoTime()));

    @AfterEach
    void close() {
        timer.shutdownNow();
    }

    private void leave(int connections, int remaining) {
        for (int i = 0; i < connections; i++) {
            reclaim.gone(remaining);
        }
    }

    @Test
    void a_wave_of_departures_is_collected_once_it_is_over_and_the_next_has_to_wait()
            throws Exception {
        leave(500, 1000);
        Thread.sleep(1500);
        long last = System.nanoTime();
        leave(1, 499);
        Long first = collected.poll(20, TimeUnit.SECONDS);
        assertThat(first).isNotNull();
        assertThat(Duration.ofNanos(first - last)).isGreaterThan(Duration.ofMillis(2900));
        leave(400, 100);
        assertThat(collected.poll(5, TimeUnit.SECONDS)).isNull();
        assertThat(timer.getQueue()).hasSize(1);
    }

    @Test
    void a_few_that_leave_a_crowd_are_no_wave() {
        leave(100, 10_000);
        assertThat(timer.getQueue()).isEmpty();
        leave(100, 10_000);
        assertThat(timer.getQueue()).hasSize(1);
    }
}
