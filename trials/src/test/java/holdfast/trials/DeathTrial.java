package holdfast.trials;

import static org.assertj.core.api.Assertions.assertThat;

import holdfast.trials.harness.Command;
import holdfast.trials.harness.Ended;
import holdfast.trials.harness.Eventually;
import holdfast.trials.harness.NatLab;
import holdfast.trials.harness.Running;
import holdfast.trials.harness.Sshd;
import java.io.IOException;
import java.io.OutputStream;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.parallel.Execution;
import org.junit.jupiter.api.parallel.ExecutionMode;

/**
 * A connection that is dead ends when its settings promise: (CountMax + 1) × Interval after the
 * last byte received, with OpenSSH's words.
 */
@ExtendWith(Staged.class)
@Execution(ExecutionMode.CONCURRENT)
final class DeathTrial {

    private static final Duration SOON = Duration.ofSeconds(20);
    private static final String NEWS = "Timeout, server 127.0.0.1 not responding.\n";
    private static final String[] ONE_AND_ONE = {
        "-o", "ServerAliveInterval=1", "-o", "ServerAliveCountMax=1"
    };

    /** We see a byte a moment later than the client does: so much less it may seem. */
    private static final Duration OUR_LAG = Duration.ofMillis(150);

    /** What a busy machine of two cores may add to any bound. */
    private static final Duration BUSY = Duration.ofSeconds(1);

    @Test
    void a_hung_server_is_given_up_two_intervals_after_its_last_byte(Stage stage)
            throws InterruptedException {
        Sshd sshd = stage.sshd();
        Running running = ssh(stage, sshd, "echo ready; exec sleep 60", ONE_AND_ONE).start();
        running.out().await("ready", SOON);
        sshd.freeze();
        Ended ended = running.end(SOON);
        assertThat(ended.status()).isEqualTo(255);
        assertThat(ended.errLines()).isEqualTo(NEWS);
        between(stage, seconds(2), ended.after(running.out().lastByteAt()), seconds(3));
    }

    @Test
    void it_is_the_last_byte_that_counts_not_the_start(Stage stage) throws InterruptedException {
        Sshd sshd = stage.sshd();
        Running running =
                ssh(
                                stage,
                                sshd,
                                "for i in 1 2 3 4 5 6 7; do echo $i; sleep 0.6; done; echo last;"
                                        + " exec sleep 60",
                                ONE_AND_ONE)
                        .start();
        running.out().await("last", SOON);
        sshd.freeze();
        Ended ended = running.end(SOON);
        assertThat(ended.status()).isEqualTo(255);
        between(stage, seconds(2), ended.after(running.out().lastByteAt()), seconds(3));
    }

    @Test
    void a_count_of_zero_gives_up_after_one_interval_and_asks_nothing(Stage stage)
            throws InterruptedException {
        Sshd sshd = stage.sshd("LogLevel DEBUG3");
        Running running =
                ssh(
                                stage,
                                sshd,
                                "echo ready; exec sleep 60",
                                "-o",
                                "ServerAliveInterval=2",
                                "-o",
                                "ServerAliveCountMax=0")
                        .start();
        running.out().await("ready", SOON);
        Ended ended = running.end(SOON);
        assertThat(ended.status()).isEqualTo(255);
        // Before it, sshd's own debugging lines.
        assertThat(ended.errLines()).endsWith(NEWS);
        between(stage, seconds(2), ended.after(running.out().lastByteAt()), seconds(3));
        // The server was well all the time: a probe would stand in its log.
        assertThat(sshd.log()).doesNotContain("keepalive@openssh.com");
    }

    @Test
    void a_server_that_answers_is_never_given_up(Stage stage) throws InterruptedException {
        Sshd sshd = stage.sshd("LogLevel DEBUG3");
        Ended ended = ssh(stage, sshd, "sleep 5; echo alive", ONE_AND_ONE).end(SOON);
        assertThat(ended.out()).isEqualTo("alive\n");
        assertThat(ended.status()).isZero();
        assertThat(sshd.log()).contains("keepalive@openssh.com");
    }

    @Test
    void without_keepalives_a_hung_server_is_waited_for(Stage stage) throws InterruptedException {
        Sshd sshd = stage.sshd();
        Running running = stage.ssh(sshd, "trial", "echo ready; sleep 1; echo back").start();
        running.out().await("ready", SOON);
        sshd.freeze();
        assertThat(running.outlasts(seconds(4))).as(running::report).isTrue();
        sshd.thaw();
        Ended ended = running.end(SOON);
        assertThat(ended.status()).isZero();
        assertThat(ended.out()).endsWith("back\n");
    }

    @Test
    void a_server_that_hangs_for_less_than_the_bound_is_forgiven(Stage stage)
            throws InterruptedException {
        Sshd sshd = stage.sshd();
        Running running =
                ssh(
                                stage,
                                sshd,
                                "echo ready; sleep 1; echo back",
                                "-o",
                                "ServerAliveInterval=1",
                                "-o",
                                "ServerAliveCountMax=5")
                        .start();
        running.out().await("ready", SOON);
        sshd.freeze();
        assertThat(running.outlasts(seconds(4))).as(running::report).isTrue();
        sshd.thaw();
        Ended ended = running.end(SOON);
        assertThat(ended.status()).isZero();
        assertThat(ended.out()).endsWith("back\n");
        assertThat(ended.err()).isEmpty();
    }

    @Test
    void q_dies_without_a_word(Stage stage) throws InterruptedException {
        Sshd sshd = stage.sshd();
        Running running =
                ssh(
                                stage,
                                sshd,
                                "echo ready; exec sleep 60",
                                "-q",
                                "-o",
                                "ServerAliveInterval=1",
                                "-o",
                                "ServerAliveCountMax=1")
                        .start();
        running.out().await("ready", SOON);
        sshd.freeze();
        Ended ended = running.end(SOON);
        assertThat(ended.status()).isEqualTo(255);
        assertThat(ended.err()).isEmpty();
    }

    @Test
    void a_rekey_that_is_never_answered_does_not_stop_the_count(Stage stage) throws Exception {
        Sshd sshd = stage.sshd();
        Running running =
                ssh(
                                stage,
                                sshd,
                                "echo ready; exec cat >/dev/null",
                                "-o",
                                "ServerAliveInterval=1",
                                "-o",
                                "ServerAliveCountMax=1",
                                "-o",
                                "RekeyLimit=512K")
                        .inputOpen()
                        .start();
        running.out().await("ready", SOON);
        sshd.freeze();
        // More than the limit, less than the channel's window: our KEXINIT goes out, none comes.
        flood(running, 1_500_000);
        Ended ended = running.end(SOON);
        assertThat(ended.status()).isEqualTo(255);
        assertThat(ended.errLines()).isEqualTo(NEWS);
        between(stage, seconds(2), ended.after(running.out().lastByteAt()), seconds(3));
    }

    @Test
    void a_server_that_hangs_in_the_middle_of_a_transfer_full_of_rekeys_is_given_up(Stage stage)
            throws InterruptedException {
        Sshd sshd = stage.sshd();
        RandomBytes.Digest out = new RandomBytes.Digest();
        Running running =
                ssh(
                                stage,
                                sshd,
                                "exec cat /dev/zero",
                                "-o",
                                "ServerAliveInterval=1",
                                "-o",
                                "ServerAliveCountMax=1",
                                "-o",
                                "RekeyLimit=64K")
                        .outTo(out)
                        .start();
        Eventually.holds(SOON, () -> out.count() != 0, running::report);
        Thread.sleep(500);
        sshd.freeze();
        long frozen = System.nanoTime();
        Ended ended = running.end(SOON);
        assertThat(out.count()).as("bytes before it hung").isGreaterThan(0);
        assertThat(ended.status()).isEqualTo(255);
        assertThat(ended.errLines()).isEqualTo(NEWS);
        // Something may still have been in the pipe when it froze.
        between(stage, seconds(2), ended.after(frozen), seconds(4));
    }

    @Test
    void a_path_that_is_cut_is_noticed(Stage stage) throws InterruptedException {
        NatLab lab = stage.natLab(NatLab.Mode.BLACKHOLE, Duration.ofMinutes(5));
        Sshd sshd = stage.sshd(lab);
        Running running =
                ssh(stage, sshd, "echo ready; exec sleep 60", ONE_AND_ONE)
                        .behind(lab.client())
                        .start();
        running.out().await("ready", SOON);
        lab.cut();
        Ended ended = running.end(SOON);
        assertThat(ended.status()).isEqualTo(255);
        assertThat(ended.errLines())
                .isEqualTo("Timeout, server " + NatLab.SERVER + " not responding.\n");
        between(stage, seconds(2), ended.after(running.out().lastByteAt()), seconds(3));
    }

    @Test
    void a_full_send_buffer_does_not_stop_the_count(Stage stage) throws Exception {
        NatLab lab = stage.natLab(NatLab.Mode.BLACKHOLE, Duration.ofMinutes(5));
        lab.smallBuffers();
        Sshd sshd = stage.sshd(lab);
        Running running =
                ssh(stage, sshd, "echo ready; exec cat >/dev/null", ONE_AND_ONE)
                        .behind(lab.client())
                        .inputOpen()
                        .start();
        running.out().await("ready", SOON);
        sshd.freeze();
        // Far more than two socket buffers of 32 KiB hold: the client's writing must be stuck.
        flood(running, 1_500_000);
        Ended ended = running.end(SOON);
        assertThat(ended.status()).isEqualTo(255);
        assertThat(ended.errLines())
                .isEqualTo("Timeout, server " + NatLab.SERVER + " not responding.\n");
        // The kernel over there still acknowledges: those are no bytes of SSH.
        between(stage, seconds(2), ended.after(running.out().lastByteAt()), seconds(4));
    }

    /** Writes until it is all taken or the client is gone; from a thread of its own. */
    private static void flood(Running running, int bytes) {
        Thread.ofVirtual()
                .start(() -> {
                    OutputStream stdin = running.stdin();
                    try {
                        new RandomBytes(7, bytes).transferTo(stdin);
                        stdin.flush();
                    } catch (IOException gone) {
                        // It died, as it was to.
                    }
                });
    }

    /** The options, then {@code trial} and the command. */
    private static Command ssh(Stage stage, Sshd sshd, String command, String... options) {
        List<String> words = new ArrayList<>(List.of(options));
        words.add("trial");
        words.add(command);
        return stage.ssh(sshd, words.toArray(String[]::new));
    }

    /**
     * The bounds of the promise. OpenSSH itself counts whole seconds of the clock and so may be up
     * to one second early.
     */
    private static void between(Stage stage, Duration low, Duration actual, Duration high) {
        Duration early = stage.client().openSsh() ? seconds(1) : OUR_LAG;
        assertThat(actual).isBetween(low.minus(early), high.plus(BUSY));
    }

    private static Duration seconds(int count) {
        return Duration.ofSeconds(count);
    }
}
