package holdfast.trials;

import static org.assertj.core.api.Assertions.assertThat;

import holdfast.trials.harness.Display;
import holdfast.trials.harness.Ended;
import holdfast.trials.harness.Eventually;
import holdfast.trials.harness.Running;
import holdfast.trials.harness.Script;
import holdfast.trials.harness.Sshd;
import java.io.IOException;
import java.net.ConnectException;
import java.net.InetAddress;
import java.net.Socket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.parallel.Execution;
import org.junit.jupiter.api.parallel.ExecutionMode;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** X11 forwarding at {@code holdfast sshd}: OpenSSH's client, Debian's xauth, a user's own home. */
@ExtendWith(Staged.class)
@Execution(ExecutionMode.CONCURRENT)
final class DisplayTrial {

    private static final Duration SOON = Duration.ofSeconds(60);

    /** The client's xauth, so that nobody's real ~/.Xauthority is asked. */
    private static String[] withXauth(Stage stage, String... rest) throws IOException {
        Path xauth = Display.xauth(stage.directory().resolve("xauth-here"));
        String[] first = {"-o", "XAuthLocation=" + xauth, "-o", "ForwardX11Trusted=yes", "-X"};
        String[] all = Arrays.copyOf(first, first.length + rest.length);
        System.arraycopy(rest, 0, all, first.length, rest.length);
        return all;
    }

    /** An X11 client of one question, with the cookie that xauth(1) has for the display. */
    private static Path question(Stage stage) throws IOException {
        return Script.at(
                stage.directory().resolve("x-client"),
                "exec bash -c '",
                "d=${DISPLAY#localhost:}; d=${d%.*}",
                "c=$(xauth list | sed -n \"s,^[^ ]*/unix:$d  MIT-MAGIC-COOKIE-1  ,,p\")",
                "c=$(printf %s $c | sed \"s/../\\\\\\\\x&/g\")",
                "exec 3<>/dev/tcp/localhost/$((6000+d))",
                "printf \"l\\0\\13\\0\\0\\0\\22\\0\\20\\0\\0\\0MIT-MAGIC-COOKIE-1\\0\\0$c\" >&3",
                "head -c 7 <&3; echo; echo $DISPLAY; env | grep -c HOLDFAST_X11' x-client");
    }

    private static boolean listens(int port) throws IOException {
        try (Socket _ = new Socket(InetAddress.getLoopbackAddress(), port)) {
            return true;
        } catch (ConnectException e) {
            return false;
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"yes", "no"})
    void programs_of_the_user_show_their_windows_at_the_client(String pam, Stage stage)
            throws Exception {
        Stage.needsRoot("only root becomes somebody else");
        Stage.needs("xauth");
        Stage.needs("bash");
        try (Somebody somebody = Somebody.made(stage);
                Display display = new Display()) {
            Sshd sshd = stage.holdfastSshd("X11Forwarding yes", "UsePAM " + pam);
            String[] words = withXauth(stage, question(stage) + "; echo ready; cat");
            Running client =
                    somebody.ssh(stage, sshd, words)
                            .env("DISPLAY", display.name())
                            .inputOpen()
                            .start();
            client.out().await("ready", SOON);
            List<String> said = client.out().text().lines().toList();
            assertThat(said.getFirst()).as(client.err().text()).isEqualTo("welcome");
            assertThat(said.get(1)).matches("localhost:[1-9][0-9]+\\.0");
            assertThat(said.get(2)).as("the cookie is in the environment").isEqualTo("0");
            assertThat(display.cookieOfNext()).isEqualTo(Display.COOKIE);
            Path authority = somebody.home.resolve(".Xauthority");
            assertThat(Files.getOwner(authority).getName()).isEqualTo(somebody.name);
            assertThat(HexFormat.of().formatHex(Files.readAllBytes(authority)))
                    .doesNotContain(Display.COOKIE);

            // The display goes with its session, and nothing else does.
            int port = 6000 + Integer.parseInt(said.get(1).replaceAll("localhost:|\\.0", ""));
            assertThat(listens(port)).isTrue();
            client.signal("TERM");
            client.end(SOON);
            Eventually.holds(SOON, () -> !listens(port), () -> "still listening");
        }
    }

    @Test
    void the_users_own_script_is_given_the_cookie_in_place_of_xauth(Stage stage) throws Exception {
        Stage.needsRoot("only root becomes somebody else");
        Stage.needs("xauth");
        try (Somebody somebody = Somebody.made(stage);
                Display display = new Display()) {
            Sshd sshd = stage.holdfastSshd("X11Forwarding yes", "X11DisplayOffset 40");
            Path rc = Files.createDirectory(somebody.home.resolve(".ssh")).resolve("rc");
            Files.writeString(rc, "echo \"got $(sed 's/[0-9a-f]\\{32\\}/COOKIE/') on $DISPLAY\"\n");
            String[] words = withXauth(stage, "cat; ls ~/.Xauthority");
            Ended ended =
                    somebody.ssh(stage, sshd, words)
                            .env("DISPLAY", display.name())
                            .input("input\n")
                            .end(SOON);
            assertThat(ended.out())
                    .as(ended.err())
                    .matches("got MIT-MAGIC-COOKIE-1 COOKIE on localhost:[4-9]\\d\\.0\ninput\n");
            assertThat(ended.err()).contains("No such file");
        }
    }

    @Test
    void where_it_is_not_allowed_the_session_goes_on_without(Stage stage) throws Exception {
        try (Display display = new Display()) {
            String[] words = withXauth(stage, "-v", "trial", "echo \"shown at <$DISPLAY>\"");
            for (List<String> settings :
                    List.of(
                            List.of("X11Forwarding no"),
                            List.of("X11Forwarding yes", "DisableForwarding yes"),
                            List.of("X11Forwarding yes", "XAuthLocation /nowhere/xauth"))) {
                Sshd sshd = stage.holdfastSshd(settings.toArray(String[]::new));
                refused(stage, sshd, display, words);
            }
            Sshd sshd = stage.holdfastSshd("X11Forwarding yes");
            Path keys = sshd.authorizedKeys();
            String line = Files.readString(keys);
            Files.writeString(keys, "no-X11-forwarding " + line);
            assertThat(refused(stage, sshd, display, words))
                    .contains("X11 forwarding disabled by key options.");
            Files.writeString(keys, "restrict " + line);
            refused(stage, sshd, display, words);
        }
    }

    private static String refused(Stage stage, Sshd sshd, Display display, String... words)
            throws Exception {
        Ended ended = stage.openSsh(sshd, words).env("DISPLAY", display.name()).end(SOON);
        assertThat(ended.out()).as(ended.err()).isEqualTo("shown at <>\n");
        assertThat(ended.err()).contains("X11 forwarding request failed on channel 0");
        return ended.err();
    }
}
