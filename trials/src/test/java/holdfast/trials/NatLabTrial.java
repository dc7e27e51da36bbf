package holdfast.trials;

import static org.assertj.core.api.Assertions.assertThat;

import holdfast.trials.harness.Ended;
import holdfast.trials.harness.Eventually;
import holdfast.trials.harness.NatLab;
import holdfast.trials.harness.Running;
import holdfast.trials.harness.Sshd;
import java.io.IOException;
import java.net.URISyntaxException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.parallel.Execution;
import org.junit.jupiter.api.parallel.ExecutionMode;
import org.opentest4j.TestAbortedException;

/**
 * The laboratory itself: that its troubles are what they are called, and that nothing of it stays.
 */
@ExtendWith(Staged.class)
@Execution(ExecutionMode.CONCURRENT)
final class NatLabTrial {

    private static final Duration SOON = Duration.ofSeconds(30);
    private static final Duration NEVER = Duration.ofMinutes(5);
    private static final String TIMEOUT = "Timeout, server " + NatLab.SERVER + " not responding.\n";

    @Test
    void what_was_said_while_the_path_was_cut_arrives_when_it_is_back(Stage stage)
            throws Exception {
        NatLab lab = stage.natLab(NatLab.Mode.BLACKHOLE, NEVER);
        Running running = talking(stage, lab);
        lab.cut();
        say(running, "during");
        assertThat(running.outlasts(Duration.ofSeconds(3))).as(running::report).isTrue();
        assertThat(running.out().text()).isEqualTo("ready\n");
        lab.heal();
        running.out().await("during\n", SOON);
        running.stdin().close();
        assertThat(running.end(SOON).status()).isZero();
    }

    @Test
    void a_client_with_another_address_is_in_a_black_hole(Stage stage) throws Exception {
        NatLab lab = stage.natLab(NatLab.Mode.BLACKHOLE, NEVER);
        Running running = talking(stage, lab, "ServerAliveInterval=1", "ServerAliveCountMax=2");
        lab.roam("10.77.1.3");
        Ended ended = running.end(SOON);
        assertThat(ended.errLines()).isEqualTo(TIMEOUT);
        assertThat(ended.status()).isEqualTo(255);
    }

    @Test
    void a_client_with_another_address_can_connect_anew(Stage stage) throws Exception {
        NatLab lab = stage.natLab(NatLab.Mode.BLACKHOLE, NEVER);
        Sshd sshd = stage.sshd(lab);
        lab.roam("10.77.1.3");
        lab.rewan("10.77.2.3");
        Ended ended =
                stage.ssh(sshd, "trial", "echo \"$SSH_CONNECTION\"").behind(lab.client()).end(SOON);
        assertThat(ended.out()).startsWith("10.77.2.3 ");
    }

    @Test
    void a_nat_with_another_address_has_the_client_reset_when_it_speaks(Stage stage)
            throws Exception {
        NatLab lab = stage.natLab(NatLab.Mode.REMAP, NEVER);
        Running running = talking(stage, lab);
        lab.rewan("10.77.2.3");
        say(running, "anybody?");
        reset(running.end(SOON));
    }

    @Test
    void a_remapped_client_is_reset_when_it_speaks_and_the_server_does_not_learn_of_it(Stage stage)
            throws Exception {
        NatLab lab = stage.natLab(NatLab.Mode.REMAP, Duration.ofSeconds(3));
        Sshd sshd = stage.sshd(lab);
        Running running = talking(stage, lab, sshd);
        int before = sshd.sessions().size();
        assertThat(running.outlasts(Duration.ofSeconds(5))).as(running::report).isTrue();
        say(running, "anybody?");
        reset(running.end(SOON));
        assertThat(sshd.sessions()).hasSize(before);
    }

    @Test
    void a_revived_client_is_heard_and_so_is_what_the_server_said_in_vain(Stage stage)
            throws Exception {
        NatLab lab = stage.natLab(NatLab.Mode.REVIVE, Duration.ofSeconds(3));
        Sshd sshd = stage.sshd(lab);
        Running running =
                stage.ssh(sshd, "trial", "echo ready; sleep 5; echo in vain; exec cat")
                        .behind(lab.client())
                        .inputOpen()
                        .start();
        running.out().await("ready\n", SOON);
        assertThat(running.outlasts(Duration.ofSeconds(7))).as(running::report).isTrue();
        assertThat(running.out().text()).isEqualTo("ready\n");
        say(running, "anybody?");
        running.out().await("in vain\nanybody?\n", SOON);
        running.stdin().close();
        assertThat(running.end(SOON).status()).isZero();
    }

    @Test
    void killed_flows_are_reset_for_whoever_speaks(Stage stage) throws Exception {
        NatLab lab = stage.natLab(NatLab.Mode.BLACKHOLE, NEVER);
        Running running = talking(stage, lab);
        // The acknowledgement of the last byte is late, and would be speaking.
        assertThat(running.outlasts(Duration.ofSeconds(1))).as(running::report).isTrue();
        lab.kill();
        assertThat(running.outlasts(Duration.ofSeconds(2))).as(running::report).isTrue();
        say(running, "anybody?");
        reset(running.end(SOON));
    }

    @Test
    void a_slow_line_is_slow(Stage stage) throws Exception {
        NatLab lab = stage.natLab(NatLab.Mode.BLACKHOLE, NEVER);
        Sshd sshd = stage.sshd(lab);
        lab.rate("256kbit", 500);
        Ended ended =
                stage.ssh(sshd, "trial", "head -c 100000 /dev/urandom | od -x")
                        .behind(lab.client())
                        .end(SOON);
        assertThat(ended.status()).isZero();
        // 281,260 characters at 32,000 a second.
        assertThat(ended.took()).isGreaterThan(Duration.ofSeconds(7));
    }

    @Test
    void a_lab_whose_owner_was_killed_is_swept_by_the_next_run(Stage stage) throws Exception {
        natLabs();
        Running owner = owner(stage, "hold");
        owner.out().await("holding", SOON);
        Path sleeper = Path.of("/proc", owner.out().text().lines().findFirst().orElseThrow());
        owner.kill();
        owner.end(SOON);
        assertThat(namespacesOf(owner)).hasSize(3);
        assertThat(sleeper).exists();
        Ended next = owner(stage, "next").end(SOON);
        assertThat(next.out()).isEqualTo("possible\n");
        assertThat(namespacesOf(owner)).isEmpty();
        gone(sleeper);
    }

    @Test
    void a_lab_whose_owner_is_asked_to_end_goes_with_it(Stage stage) throws Exception {
        natLabs();
        Running owner = owner(stage, "hold");
        owner.out().await("holding", SOON);
        Path sleeper = Path.of("/proc", owner.out().text().lines().findFirst().orElseThrow());
        owner.signal("TERM");
        assertThat(owner.end(SOON).status()).isEqualTo(143);
        assertThat(namespacesOf(owner)).isEmpty();
        gone(sleeper);
    }

    private static void natLabs() {
        NatLab.impossible()
                .ifPresent(reason -> {
                    throw new TestAbortedException(reason);
                });
    }

    private static void reset(Ended ended) {
        assertThat(ended.status()).isEqualTo(255);
        // Which of the two depends on whether its next read or its next write meets the reset.
        assertThat(ended.errLines())
                .containsAnyOf("Connection reset by peer", "Broken pipe")
                .hasLineCount(1);
    }

    private static Running talking(Stage stage, NatLab lab, String... options)
            throws InterruptedException {
        return talking(stage, lab, stage.sshd(lab), options);
    }

    private static Running talking(Stage stage, NatLab lab, Sshd sshd, String... options)
            throws InterruptedException {
        String[] words = new String[options.length * 2 + 2];
        for (int i = 0; i < options.length; i++) {
            words[2 * i] = "-o";
            words[2 * i + 1] = options[i];
        }
        words[words.length - 2] = "trial";
        words[words.length - 1] = "echo ready; exec cat";
        Running running = stage.ssh(sshd, words).behind(lab.client()).inputOpen().start();
        running.out().await("ready\n", SOON);
        return running;
    }

    private static void say(Running running, String line) throws IOException {
        running.stdin().write((line + "\n").getBytes(StandardCharsets.UTF_8));
        running.stdin().flush();
    }

    private static Running owner(Stage stage, String what) throws URISyntaxException {
        return stage.run(
                        Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                        "-cp",
                        placeOf(LabOwner.class) + ":" + placeOf(NatLab.class),
                        LabOwner.class.getName(),
                        what)
                .start();
    }

    private static Path placeOf(Class<?> type) throws URISyntaxException {
        return Path.of(type.getProtectionDomain().getCodeSource().getLocation().toURI());
    }

    private static List<String> namespacesOf(Running owner) throws IOException {
        try (Stream<Path> names = Files.list(Path.of("/run/netns"))) {
            return names.map(name -> name.getFileName().toString())
                    .filter(name -> name.startsWith("hft-" + owner.pid() + "-"))
                    .toList();
        }
    }

    /** Killed just now, it may still be on its way out. */
    private static void gone(Path process) throws InterruptedException {
        Eventually.holds(Duration.ofSeconds(5), () -> !Files.exists(process), process::toString);
    }
}
