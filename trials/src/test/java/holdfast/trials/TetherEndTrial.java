package holdfast.trials;

import static org.assertj.core.api.Assertions.assertThat;

import holdfast.trials.harness.Client;
import holdfast.trials.harness.Command;
import holdfast.trials.harness.Ended;
import holdfast.trials.harness.Eventually;
import holdfast.trials.harness.Running;
import holdfast.trials.harness.Sshd;
import java.time.Duration;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Which ends of a client end its session at the server, and which do not, by design. */
@ExtendWith(Staged.class)
final class TetherEndTrial {

    private static final Duration SOON = Duration.ofSeconds(60);

    /** How a client is made to leave. */
    enum Leaving {
        EXIT(0),
        INPUT_ENDS(0),
        ESCAPE(255),
        SIGINT(255),
        SIGTERM(255),
        SIGHUP(255);

        private final int status;

        Leaving(int status) {
            this.status = status;
        }
    }

    @ParameterizedTest
    @EnumSource
    void a_client_that_can_say_good_bye_leaves_no_session_behind(Leaving how, Stage stage)
            throws Exception {
        stage.onlyHoldfast("it has no tether");
        Sshd sshd = stage.holdfastSshd();
        boolean escape = how == Leaving.ESCAPE;
        Running client =
                stage.ssh(
                                sshd,
                                "-o",
                                "Tether=require",
                                escape ? "-tt" : "-T",
                                "trial",
                                "echo ready; while read -r line; do $line; done")
                        .inputOpen()
                        .start();
        client.out().await("ready", SOON);
        switch (how) {
            case EXIT -> say(client, "exit\n");
            case INPUT_ENDS -> client.stdin().close();
            case ESCAPE -> say(client, "~.");
            case SIGINT -> client.signal("INT");
            case SIGTERM -> client.signal("TERM");
            case SIGHUP -> client.signal("HUP");
        }
        Ended ended = client.end(SOON);
        assertThat(ended.status()).as(ended.err()).isEqualTo(how.status);
        // It would be held for a day otherwise.
        awaitStatus(stage, sshd, "0 connections now");
        assertThat(sshd.log()).doesNotContain("session held");
        awaitNoSessions(sshd);
    }

    @Test
    void one_that_is_killed_leaves_its_session_until_somebody_drops_it(Stage stage)
            throws Exception {
        stage.onlyHoldfast("it has no tether");
        Sshd sshd = stage.holdfastSshd();
        Running client =
                stage.ssh(
                                sshd,
                                "-o",
                                "Tether=require",
                                "-T",
                                "trial",
                                "echo ready; exec sleep 1000")
                        .inputOpen()
                        .start();
        client.out().await("ready", SOON);
        client.signal("KILL");
        client.end(SOON);
        sshd.awaitLog("session held");
        String status = awaitStatus(stage, sshd, "parked");
        assertThat(sshd.sessions()).isNotEmpty();
        Matcher id = Pattern.compile("(?m)^(\\d+) +" + Sshd.user() + " ").matcher(status);
        assertThat(id.find()).as(status).isTrue();
        Ended dropped =
                server(stage, "drop", "--pid", Long.toString(sshd.pid()), id.group(1)).end(SOON);
        assertThat(dropped.out()).as(dropped.err()).isEqualTo("dropped\n");
        awaitStatus(stage, sshd, "0 connections now");
        awaitNoSessions(sshd);
    }

    private static void say(Running client, String text) throws Exception {
        client.stdin().write(text.getBytes(java.nio.charset.StandardCharsets.US_ASCII));
        client.stdin().flush();
    }

    private static Command server(Stage stage, String... words) {
        String[] argv = new String[words.length + 2];
        argv[0] = Client.holdfast().launcher().toString();
        argv[1] = "sshd";
        System.arraycopy(words, 0, argv, 2, words.length);
        return stage.run(argv);
    }

    private static String awaitStatus(Stage stage, Sshd sshd, String wanted)
            throws InterruptedException {
        long deadline = System.nanoTime() + SOON.toNanos();
        while (true) {
            String status =
                    server(stage, "status", "--pid", Long.toString(sshd.pid())).end(SOON).out();
            if (status.contains(wanted)) {
                return status;
            }
            assertThat(System.nanoTime()).as(status).isLessThan(deadline);
            Thread.sleep(100);
        }
    }

    private static void awaitNoSessions(Sshd sshd) throws InterruptedException {
        Eventually.holds(SOON, () -> sshd.sessions().isEmpty(), sshd::log);
    }
}
