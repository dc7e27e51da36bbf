package holdfast.ssh.system;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** The process that stands for a service. */
@Timeout(60)
final class MainProcessTest {

    private final BlockingQueue<MainProcess.Word> heard = new LinkedBlockingQueue<>();

    private MainProcess.Word next() throws InterruptedException {
        return heard.poll(30, TimeUnit.SECONDS);
    }

    private static void signal(MainProcess to, String name) throws Exception {
        new ProcessBuilder("/bin/kill", "-" + name, Long.toString(to.pid())).start().waitFor();
    }

    private static void awaitEnd(long pid) throws InterruptedException {
        while (ProcessHandle.of(pid).isPresent()) {
            Thread.sleep(10);
        }
    }

    @Test
    void it_passes_signals_on_and_lives_until_it_is_let_go() throws Exception {
        MainProcess main = MainProcess.start(heard::add);
        for (int i = 0; i < 20; i++) {
            signal(main, "HUP");
            assertThat(next()).isEqualTo(MainProcess.Word.RELOAD);
        }
        signal(main, "TERM");
        assertThat(next()).isEqualTo(MainProcess.Word.TERMINATE);
        signal(main, "HUP");
        assertThat(next()).isEqualTo(MainProcess.Word.RELOAD);
        main.close();
        awaitEnd(main.pid());
        assertThat(heard).isEmpty();
    }

    @Test
    void killed_it_means_what_a_term_means() throws Exception {
        MainProcess main = MainProcess.start(heard::add);
        signal(main, "KILL");
        assertThat(next()).isEqualTo(MainProcess.Word.TERMINATE);
        awaitEnd(main.pid());
        main.close();
    }
}
