package holdfast.ssh.link;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.Duration;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledFuture;
import java.util.concurrent.ScheduledThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** Waves of departures, in a time that is set by hand. */
class ReclaimTest {

    private long now = 1_000_000_000_000L;
    private int collected;

    /** Keeps the one thing that is due, and runs it when its time is set. */
    private final class ByHand extends ScheduledThreadPoolExecutor {
        private @Nullable Runnable due;
        private long dueAt;

        ByHand() {
            super(0, Executors.defaultThreadFactory());
        }

        @Override
        public ScheduledFuture<?> schedule(Runnable command, long delay, TimeUnit unit) {
            assertThat(due).as("one at a time").isNull();
            due = command;
            dueAt = now + unit.toNanos(delay);
            return super.schedule(() -> {}, 1, TimeUnit.HOURS);
        }
    }

    private final ByHand timer = new ByHand();
    private final Reclaim reclaim = new Reclaim(timer, () -> collected++, () -> now);

    @AfterEach
    void close() {
        timer.shutdownNow();
    }

    private void leave(int connections, int remaining) {
        for (int i = 0; i < connections; i++) {
            reclaim.gone(remaining);
        }
    }

    private void pass(Duration time) {
        long until = now + time.toNanos();
        Runnable next = timer.due;
        while (next != null && timer.dueAt <= until) {
            now = timer.dueAt;
            timer.due = null;
            next.run();
            next = timer.due;
        }
        now = until;
    }

    @Test
    void a_wave_of_departures_is_collected_once_it_is_over_and_the_next_has_to_wait() {
        leave(500, 1000);
        pass(Duration.ofMillis(1500));
        leave(1, 499);
        pass(Duration.ofMillis(2999));
        assertThat(collected).isZero();
        pass(Duration.ofMillis(1));
        assertThat(collected).isOne();
        leave(400, 100);
        pass(Duration.ofMillis(59_999));
        assertThat(collected).isOne();
        pass(Duration.ofMillis(1));
        assertThat(collected).isEqualTo(2);
        assertThat(timer.due).isNull();
    }

    @Test
    void a_wave_without_an_end_is_collected_after_a_minute() {
        leave(500, 1000);
        for (int i = 0; i < 59; i++) {
            pass(Duration.ofSeconds(1));
            leave(1, 400);
        }
        assertThat(collected).isZero();
        pass(Duration.ofSeconds(1));
        assertThat(collected).isOne();
    }

    @Test
    void a_few_that_leave_a_crowd_are_no_wave() {
        leave(100, 10_000);
        assertThat(timer.due).isNull();
        leave(100, 10_000);
        assertThat(timer.due).isNotNull();
    }
}
