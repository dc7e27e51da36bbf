package holdfast.trials;

import static org.assertj.core.api.Assertions.assertThat;

import holdfast.trials.harness.Terminal;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;

/**
 * The mobile shell, whose start is a command over ssh on a terminal, under its own ProxyCommand.
 */
final class Mosh {

    private static final Duration PATIENCE = Duration.ofMinutes(1);

    private Mosh() {}

    /** Starts it over that ssh, types into its shell, and sees it end. */
    static void runsOver(Stage stage, String ssh) throws Exception {
        Stage.needs("mosh");
        Stage.needs("mosh-server");
        Terminal terminal = stage.terminal();
        Path start = stage.directory().resolve("start");
        Files.writeString(
                start,
                """
                unset TMUX
                export LC_ALL=C.UTF-8 MOSH_SERVER_NETWORK_TMOUT=60
                exec mosh --no-init --ssh='%s' trial -- env ENV= PS1='far> ' /bin/sh -i
                """
                        .formatted(ssh));
        Terminal.Foreground mosh = terminal.begin("sh " + start);
        terminal.await("far>", PATIENCE);
        terminal.line("echo $((1 + 41)); stty size");
        terminal.await("\n42", PATIENCE);
        terminal.line("exit");
        assertThat(mosh.end(PATIENCE)).isZero();
        terminal.await("[mosh is exiting.]", PATIENCE);
    }
}
