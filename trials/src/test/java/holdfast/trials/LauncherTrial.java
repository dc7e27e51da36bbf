package holdfast.trials;

import static org.assertj.core.api.Assertions.assertThat;

import holdfast.trials.harness.Ended;
import holdfast.trials.harness.Running;
import holdfast.trials.harness.Sshd;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;

/** The launcher: from anywhere, under any name, and as if it were not there. */
@ExtendWith(Staged.class)
final class LauncherTrial {

    private static final Duration SOON = Duration.ofSeconds(30);

    @Test
    void a_symbolic_link_named_ssh_is_holdfast_ssh(Stage stage) throws Exception {
        stage.onlyHoldfast("it needs no launcher");
        Sshd sshd = stage.sshd();
        Path link = stage.directory().resolve("ssh");
        Files.createSymbolicLink(link, stage.client().launcher());
        Ended ended =
                stage.run(link.toString(), "-F", sshd.config().toString(), "trial", "exit 6")
                        .in(stage.directory())
                        .end(SOON);
        assertThat(ended.status()).as(ended.err()).isEqualTo(6);
        Path other = stage.directory().resolve("hf");
        Files.createSymbolicLink(other, link);
        Ended second =
                stage.run(
                                other.toString(),
                                "ssh",
                                "-F",
                                sshd.config().toString(),
                                "trial",
                                "exit 7")
                        .in(Path.of("/"))
                        .end(SOON);
        assertThat(second.status()).as(second.err()).isEqualTo(7);
    }

    @Test
    void it_is_found_on_the_path_too(Stage stage) throws Exception {
        stage.onlyHoldfast("it needs no launcher");
        Sshd sshd = stage.sshd();
        Path bin = Files.createDirectories(stage.directory().resolve("bin"));
        Files.createSymbolicLink(bin.resolve("ssh"), stage.client().launcher());
        Ended ended =
                stage.shell(
                                "PATH=\"$1:$PATH\"; shift; ssh \"$@\"",
                                bin.toString(),
                                "-F",
                                sshd.config().toString(),
                                "trial",
                                "exit 8")
                        .in(Path.of("/"))
                        .end(SOON);
        assertThat(ended.status()).as(ended.err()).isEqualTo(8);
    }

    @Test
    void arguments_pass_through_untouched(Stage stage) throws InterruptedException {
        Sshd sshd = stage.sshd();
        Ended ended =
                stage.ssh(
                                sshd,
                                "trial",
                                "printf '<%s>'",
                                "'a  b'",
                                "''",
                                "'*'",
                                "'$HOME'",
                                "'ü\\n'")
                        .end(SOON);
        assertThat(ended.out()).isEqualTo("<a  b><><*><$HOME><ü\\n>");
    }

    @Test
    void it_becomes_the_program_and_leaves_no_shell_between(Stage stage)
            throws InterruptedException {
        stage.onlyHoldfast("it needs no launcher");
        Sshd sshd = stage.sshd();
        Running running = stage.ssh(sshd, "trial", "echo ready; exec sleep 60").start();
        running.out().await("ready", SOON);
        assertThat(ProcessHandle.of(running.pid()).orElseThrow().children()).isEmpty();
        running.signal("TERM");
        assertThat(running.end(SOON).status()).isEqualTo(255);
    }

    @Test
    void without_a_command_it_says_how_it_is_used(Stage stage) throws InterruptedException {
        stage.onlyHoldfast("it needs no launcher");
        String launcher = stage.client().launcher().toString();
        for (List<String> words :
                List.of(List.of(launcher), List.of(launcher, "no-such-command"))) {
            Ended ended = stage.run(words.toArray(String[]::new)).end(SOON);
            assertThat(ended.status()).as(words.toString()).isNotZero();
            assertThat(ended.err()).contains("holdfast").doesNotContain("Exception");
        }
    }
}
