package holdfast.trials;

import static org.assertj.core.api.Assertions.assertThat;

import holdfast.trials.harness.Ended;
import holdfast.trials.harness.Eventually;
import holdfast.trials.harness.Keys;
import holdfast.trials.harness.Running;
import holdfast.trials.harness.Signals;
import holdfast.trials.harness.Sshd;
import holdfast.trials.harness.Terminal;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;

/** {@code -f}: what is asked is asked in the foreground, and then the client lives on behind. */
@ExtendWith(Staged.class)
final class BackgroundTrial {

    private static final Duration SOON = Duration.ofSeconds(30);

    private static final String PASS_PHRASE = "fall in behind";

    private static String socket(Stage stage, String name) {
        return stage.directory().resolve(name).toString();
    }

    /** The only process that there is, once there is only one. */
    private static long behind(Stage stage) throws InterruptedException {
        awaitOnly(stage, 1);
        return stage.processes().getFirst();
    }

    private static void awaitOnly(Stage stage, int processes) throws InterruptedException {
        Eventually.holds(
                SOON,
                () -> stage.processes().size() == processes,
                () -> stage.processes() + ", not " + processes);
    }

    /** The fields of proc(5)'s stat from the state on: state, parent, group, session, terminal. */
    private static List<String> stat(long pid) throws IOException {
        String all = Files.readString(Path.of("/proc/" + pid + "/stat"));
        return List.of(all.substring(all.lastIndexOf(") ") + 2).split(" ", -1));
    }

    @Test
    void it_returns_when_the_forwards_are_up_and_lives_on_without_the_terminal(Stage stage)
            throws Exception {
        Sshd sshd = stage.sshd();
        String here = socket(stage, "here");
        try (Peer peer = Peer.tcp(Peer::echo)) {
            for (List<String> how :
                    List.of(List.of("-f"), List.of("-o", "ForkAfterAuthentication=yes"))) {
                Files.deleteIfExists(Path.of(here));
                // sshd takes its own away when it has heard of the end.
                String far = socket(stage, "far" + how.size());

                // With that OpenSSH waits for the server's answers too.
                Ended ended =
                        stage.ssh(
                                        sshd,
                                        how.getFirst(),
                                        how.getLast(),
                                        "-N",
                                        "-o",
                                        "ExitOnForwardFailure=yes",
                                        "-L",
                                        here + ":" + peer.target(),
                                        "-R",
                                        far + ":" + peer.target(),
                                        "trial")
                                .end(SOON);
                // Nobody holds its output open any more: Running would say so.
                assertThat(ended.err()).isEmpty();
                assertThat(ended.out()).isEmpty();
                assertThat(ended.status()).isZero();
                assertThat(Peer.exchange(Peer.connect(here), "here")).isEqualTo("here");
                assertThat(Peer.exchange(Peer.connect(far), "far")).isEqualTo("far");
                long pid = behind(stage);
                List<String> stat = stat(pid);
                assertThat(stat.get(3)).as("session").isNotEqualTo("0");
                assertThat(stat.get(3)).isNotEqualTo(stat(ProcessHandle.current().pid()).get(3));
                assertThat(stat.get(4)).as("terminal").isEqualTo("0");
                for (int fd = 0; fd <= 2; fd++) {
                    assertThat(Files.readSymbolicLink(Path.of("/proc/" + pid + "/fd/" + fd)))
                            .isEqualTo(Path.of("/dev/null"));
                }
                Signals.send("TERM", List.of(pid));
                awaitOnly(stage, 0);
            }
        }
    }

    @Test
    void ports_that_the_server_finds_are_told_before_it_returns(Stage stage) throws Exception {
        stage.onlyHoldfast("it may be in the background before it knows");
        Sshd sshd = stage.sshd();
        try (Peer peer = Peer.tcp(Peer::echo)) {
            Ended ended =
                    stage.ssh(sshd, "-f", "-N", "-R", "0:" + peer.target(), "trial").end(SOON);
            assertThat(ended.status()).isZero();
            assertThat(ended.errLines())
                    .matches("Allocated port [0-9]+ for remote forward to " + peer.target() + "\n");
            String port = ended.err().replaceAll("Allocated port ([0-9]+) (?s:.*)", "$1");
            assertThat(Peer.exchange(Peer.connect(port), "far")).isEqualTo("far");
            Signals.send("TERM", List.of(behind(stage)));
            awaitOnly(stage, 0);
        }
    }

    @Test
    void what_goes_wrong_before_is_said_and_is_the_exit_status(Stage stage) throws Exception {
        Sshd sshd = stage.sshd();
        try (Peer busy = Peer.tcp(Peer::echo)) {
            String taken = "127.0.0.1:" + busy.port() + ":127.0.0.1:9";
            String exit = "ExitOnForwardFailure=yes";
            List<List<String>> cases =
                    List.of(
                            List.of("-f", "-N", "-o", exit, "-L", taken, "trial"),
                            List.of("-f", "-N", "-o", exit, "-R", taken, "trial"),
                            List.of("-f", "trial"),
                            List.of(
                                    "-f",
                                    "-N",
                                    "-o",
                                    "PreferredAuthentications=password",
                                    "trial"));
            for (List<String> words : cases) {
                String[] all = words.toArray(String[]::new);
                Ended ours = stage.ssh(sshd, all).end(SOON);
                Ended theirs = stage.openSsh(sshd, all).end(SOON);
                assertThat(ours.errLines()).isNotEmpty().isEqualTo(theirs.errLines());
                assertThat(ours.status()).isEqualTo(255).isEqualTo(theirs.status());
                awaitOnly(stage, 0);
            }
        }
    }

    @Test
    void a_command_s_output_comes_from_behind_and_the_client_ends_with_it(Stage stage)
            throws Exception {
        Sshd sshd = stage.sshd();
        Path out = Path.of(socket(stage, "out"));
        Path gate = Path.of(socket(stage, "gate"));
        Ended ended =
                stage.shell(
                                "out=$1; shift; exec \"$@\" >\"$out\"",
                                java.util.stream.Stream.concat(
                                                java.util.stream.Stream.of(out.toString()),
                                                stage
                                                        .ssh(
                                                                sshd,
                                                                "-f",
                                                                "trial",
                                                                "cat; until [ -e "
                                                                        + gate
                                                                        + " ]; do sleep 0.1; done;"
                                                                        + " echo late; exit 3")
                                                        .argv()
                                                        .stream())
                                        .toArray(String[]::new))
                        .input("nobody reads this")
                        .end(SOON);
        assertThat(ended.status()).as(ended.err()).isZero();
        behind(stage);
        assertThat(out).isEmptyFile();
        Files.createFile(gate);
        awaitOnly(stage, 0);
        assertThat(out).hasContent("late");
    }

    @Test
    void a_person_is_asked_on_the_terminal_which_may_be_closed_then(Stage stage) throws Exception {
        Sshd sshd = stage.sshd();
        Path key = Keys.of("ed25519", "behind", PASS_PHRASE, "OpenSSH");
        Files.writeString(
                sshd.authorizedKeys(), Keys.publicLine(key) + "\n", StandardOpenOption.APPEND);
        Path known = Path.of(socket(stage, "known"));
        String here = socket(stage, "here");
        Terminal terminal = stage.terminal(200, 40);
        String before = terminal.modes();
        try (Peer peer = Peer.tcp(Peer::echo)) {
            Terminal.Foreground running =
                    terminal.begin(
                            stage.words(sshd)
                                    + " -f -N -i "
                                    + key
                                    + " -o IdentityFile=none -o StrictHostKeyChecking=ask"
                                    + " -o UserKnownHostsFile="
                                    + known
                                    + " -L "
                                    + here
                                    + ":"
                                    + peer.target()
                                    + " trial");
            terminal.await("(yes/no/[fingerprint])?", SOON);
            terminal.line("yes");
            terminal.await("Enter passphrase for key '" + key + "':", SOON);
            terminal.line(PASS_PHRASE);
            assertThat(running.end(SOON)).as(terminal.screen()).isZero();
            assertThat(terminal.modes()).isEqualTo(before);
            assertThat(Peer.exchange(Peer.connect(here), "x")).isEqualTo("x");
            terminal.close();
            long pid = behind(stage);
            assertThat(Peer.exchange(Peer.connect(here), "y")).isEqualTo("y");
            Signals.send("TERM", List.of(pid));
            awaitOnly(stage, 0);
        }
    }

    @Test
    void an_interrupt_or_a_kill_before_leaves_nothing_behind(Stage stage) throws Exception {
        Sshd sshd = stage.sshd();
        Terminal terminal = stage.terminal(200, 40);
        String ask = " -f -N -o StrictHostKeyChecking=ask -o UserKnownHostsFile=/dev/null trial";
        int shells = stage.processes().size();
        var _ = terminal.begin(stage.words(sshd) + ask);
        terminal.await("(yes/no/[fingerprint])?", SOON);
        terminal.key("C-c"); // it dies of it, and with it what the shell had yet to do
        awaitOnly(stage, shells);
        // A server that never answers: killed while it waits.
        sshd.freeze();
        for (String signal : List.of("TERM", "KILL")) {
            Running waiting = stage.ssh(sshd, "-f", "-N", "trial").start();
            Eventually.holds(
                    SOON,
                    () -> stage.client().openSsh() || standsIn(stage),
                    () -> "nobody is to live on");
            waiting.signal(signal);
            assertThat(waiting.end(SOON).status()).isNotZero();
            awaitOnly(stage, shells);
        }
    }

    /** Whether the second of the two is there: that which is to live on. */
    private static boolean standsIn(Stage stage) {
        for (long pid : stage.processes()) {
            try {
                if (Files.readString(Path.of("/proc/" + pid + "/cmdline"))
                        .startsWith("holdfast-")) {
                    return true;
                }
            } catch (IOException gone) {
                // the next, then
            }
        }
        return false;
    }
}
