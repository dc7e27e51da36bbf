package holdfast.ssh.link;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.concurrent.ScheduledThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;

final class CalledOffTest {

    @Test
    void what_is_called_off_leaves_nothing_behind() {
        try (ScheduledThreadPoolExecutor timer = CalledOff.timer()) {
            for (int i = 0; i < 100; i++) {
                timer.schedule(() -> {}, 365, TimeUnit.DAYS).cancel(false);
            }
            assertThat(timer.getQueue()).isEmpty();
        }
    }
}
