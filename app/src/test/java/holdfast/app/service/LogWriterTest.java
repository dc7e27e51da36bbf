package holdfast.app.service;

import static org.assertj.core.api.Assertions.assertThat;

import holdfast.ssh.log.Log;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;

/** Lines of a server's log on their way to the system's. */
class LogWriterTest {

    @Test
    void the_system_is_told_the_level_of_each_line_and_an_error_says_so() {
        List<String> taken = new CopyOnWriteArrayList<>();
        try (LogWriter writer = new LogWriter((level, text) -> taken.add(level + "|" + text))) {
            Log log = Log.ofSystem(Log.Level.DEBUG1, writer);
            log.error("no more sessions");
            log.info("Connection closed");
            log.debug("will rely on agent");
        }
        assertThat(taken)
                .containsExactly(
                        "ERROR|error: no more sessions",
                        "INFO|Connection closed",
                        "DEBUG1|debug1: will rely on agent");
    }

    @Test
    void what_a_slow_log_cannot_take_is_lost_and_counted() throws Exception {
        List<String> taken = new CopyOnWriteArrayList<>();
        CountDownLatch slow = new CountDownLatch(1);
        try (LogWriter writer =
                new LogWriter((level, text) -> {
                    try {
                        slow.await(30, TimeUnit.SECONDS);
                    } catch (InterruptedException e) {
                        Thread.currentThread().interrupt();
                    }
                    taken.add(level + "|" + text.strip());
                })) {
            for (int i = 0; i < 20_000; i++) {
                writer.accept("line");
            }
            slow.countDown();
            long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(30);
            while (taken.stream().noneMatch(line -> line.contains("lost"))) {
                assertThat(System.nanoTime()).isLessThan(deadline);
                Thread.sleep(10);
            }
        }
        assertThat(taken)
                .anySatisfy(line ->
                        assertThat(line)
                                .matches(
                                        "ERROR\\|3\\d{3} lines of this log were lost: it was too slow"));
    }
}
