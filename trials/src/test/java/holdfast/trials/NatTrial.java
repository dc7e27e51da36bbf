package holdfast.trials;

import static org.assertj.core.api.Assertions.assertThat;

import holdfast.trials.harness.Ended;
import holdfast.trials.harness.NatLab;
import holdfast.trials.harness.Running;
import holdfast.trials.harness.Sshd;
import java.time.Duration;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.parallel.Execution;
import org.junit.jupiter.api.parallel.ExecutionMode;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** An idle connection through a kernel's NAT that forgets idle flows after three seconds. */
@ExtendWith(Staged.class)
@Execution(ExecutionMode.CONCURRENT)
final class NatTrial {

    private static final Duration LIMIT = Duration.ofSeconds(3);
    private static final Duration SOON = Duration.ofSeconds(30);

    /** Seven seconds of silence, more than twice the limit. */
    private static final String SILENT = "echo ready; sleep 7; echo alive";

    @ParameterizedTest
    @EnumSource(NatLab.Mode.class)
    void keepalives_below_the_limit_keep_an_idle_connection(NatLab.Mode mode, Stage stage)
            throws InterruptedException {
        NatLab lab = stage.natLab(mode, LIMIT);
        Sshd sshd = stage.sshd(lab);
        Ended ended =
                stage.ssh(
                                sshd,
                                "-o",
                                "ServerAliveInterval=1",
                                "-o",
                                "ServerAliveCountMax=3",
                                "trial",
                                SILENT)
                        .behind(lab.client())
                        .end(SOON);
        assertThat(ended.out()).isEqualTo("ready\nalive\n");
        assertThat(ended.err()).isEmpty();
        assertThat(ended.status()).isZero();
    }

    @ParameterizedTest
    @EnumSource(NatLab.Mode.class)
    void without_keepalives_the_client_never_hears_again(NatLab.Mode mode, Stage stage)
            throws InterruptedException {
        NatLab lab = stage.natLab(mode, LIMIT);
        Sshd sshd = stage.sshd(lab);
        Running running = stage.ssh(sshd, "trial", SILENT).behind(lab.client()).start();
        running.out().await("ready", SOON);
        // The server speaks first, and its address outside leads nowhere any more, in every mode.
        assertThat(running.outlasts(Duration.ofSeconds(10))).as(running::report).isTrue();
        assertThat(running.out().text()).isEqualTo("ready\n");
        running.kill();
        assertThat(running.end(SOON).status()).isEqualTo(137);
    }

    @Test
    void keepalives_above_the_limit_find_a_black_hole_in_the_promised_time(Stage stage)
            throws InterruptedException {
        Running running = lateKeepalives(stage, NatLab.Mode.BLACKHOLE);
        Ended ended = running.end(SOON);
        assertThat(ended.status()).isEqualTo(255);
        assertThat(ended.errLines())
                .isEqualTo("Timeout, server " + NatLab.SERVER + " not responding.\n");
        assertThat(ended.after(running.out().lastByteAt()))
                .isBetween(
                        stage.client().openSsh() ? Duration.ofSeconds(9) : Duration.ofMillis(9850),
                        Duration.ofSeconds(12));
    }

    @ParameterizedTest
    @EnumSource(names = {"RST", "REMAP"})
    void keepalives_above_the_limit_meet_a_reset_at_the_first_of_them(NatLab.Mode mode, Stage stage)
            throws InterruptedException {
        Running running = lateKeepalives(stage, mode);
        Ended ended = running.end(SOON);
        assertThat(ended.status()).isEqualTo(255);
        // Which of the two depends on whether its next read or its next write meets the reset.
        assertThat(ended.errLines())
                .containsAnyOf("Connection reset by peer", "Broken pipe")
                .hasLineCount(1);
        assertThat(ended.after(running.out().lastByteAt()))
                .isBetween(
                        stage.client().openSsh() ? Duration.ofSeconds(4) : Duration.ofMillis(4850),
                        Duration.ofSeconds(7));
    }

    @ParameterizedTest
    @EnumSource(names = {"LOOSE", "REVIVE"})
    void a_client_that_speaks_first_is_taken_up_again_by_a_loose_nat(NatLab.Mode mode, Stage stage)
            throws InterruptedException {
        Running running = lateKeepalives(stage, mode);
        Ended ended = running.end(SOON);
        assertThat(ended.out()).endsWith("alive\n");
        assertThat(ended.status()).isZero();
    }

    @Test
    void a_nat_that_restarts_kills_what_runs_through_it_within_the_bound(Stage stage)
            throws InterruptedException {
        NatLab lab = stage.natLab(NatLab.Mode.BLACKHOLE, Duration.ofMinutes(5));
        Sshd sshd = stage.sshd(lab);
        Running running =
                stage.ssh(
                                sshd,
                                "-o",
                                "ServerAliveInterval=1",
                                "-o",
                                "ServerAliveCountMax=2",
                                "trial",
                                "echo ready; exec sleep 60")
                        .behind(lab.client())
                        .start();
        running.out().await("ready", SOON);
        lab.forget();
        long forgotten = System.nanoTime();
        Ended ended = running.end(SOON);
        assertThat(ended.status()).isEqualTo(255);
        // Taken up again, or dead in time with its line: never a hang.
        assertThat(ended.after(forgotten)).isLessThan(Duration.ofSeconds(6));
    }

    @Test
    void a_lossy_line_is_no_dead_line(Stage stage) throws InterruptedException {
        NatLab lab = stage.natLab(NatLab.Mode.BLACKHOLE, Duration.ofMinutes(5));
        lab.loss(5);
        Sshd sshd = stage.sshd(lab);
        RandomBytes.Digest out = new RandomBytes.Digest();
        Ended ended =
                stage.ssh(
                                sshd,
                                "-o",
                                "ServerAliveInterval=2",
                                "-o",
                                "ServerAliveCountMax=3",
                                "trial",
                                "head -c 2000000 /dev/zero")
                        .behind(lab.client())
                        .outTo(out)
                        .end(Duration.ofMinutes(2));
        assertThat(ended.status()).as(ended.err()).isZero();
        assertThat(out.count()).isEqualTo(2_000_000);
    }

    /** Interval 5 s, one probe, through a NAT that forgets after 3 s. */
    private static Running lateKeepalives(Stage stage, NatLab.Mode mode)
            throws InterruptedException {
        NatLab lab = stage.natLab(mode, LIMIT);
        Sshd sshd = stage.sshd(lab);
        Running running =
                stage.ssh(
                                sshd,
                                "-o",
                                "ServerAliveInterval=5",
                                "-o",
                                "ServerAliveCountMax=1",
                                "trial",
                                "echo ready; sleep 12; echo alive")
                        .behind(lab.client())
                        .start();
        running.out().await("ready", SOON);
        return running;
    }
}
