package holdfast.trials;

import static org.assertj.core.api.Assertions.assertThat;

import holdfast.trials.harness.Command;
import holdfast.trials.harness.Ended;
import holdfast.trials.harness.Sshd;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;

/** OpenSSH's sshd and ours under one configuration: what a client sees of either is the same. */
@ExtendWith(Staged.class)
final class SideBySideTrial {

    private static final Duration SOON = Duration.ofSeconds(60);

    private static final Pattern REFUSAL =
            Pattern.compile("bad ownership .*|chroot path .*|safely_chroot: stat.*");

    /** What one server's client saw; ports and names that are made up are not told apart. */
    private record Seen(int status, String out, String err) {

        static Seen of(Ended ended, Sshd sshd) {
            return new Seen(ended.status(), plain(ended.out(), sshd), plain(ended.err(), sshd));
        }

        private static String plain(String text, Sshd sshd) {
            return text.replace("\r", "")
                    .replaceAll("\\b" + sshd.port() + "\\b", "PORT")
                    .replaceAll("127\\.0\\.0\\.1 \\d+ ", "127.0.0.1 N ")
                    .replaceAll("sshauth\\.\\w+", "sshauth.X")
                    .replaceAll("/sshd\\d+/", "/sshd/")
                    .replaceAll("Last login: .*", "Last login: then");
        }
    }

    private static Seen same(Stage stage, List<Sshd> both, Somebody somebody, String... words)
            throws Exception {
        List<Seen> seen = new ArrayList<>();
        for (Sshd sshd : both) {
            seen.add(Seen.of(somebody.ssh(stage, sshd, words).input("").end(SOON), sshd));
        }
        assertThat(seen.get(1)).as("%s", Arrays.asList(words)).isEqualTo(seen.get(0));
        return seen.get(0);
    }

    private static List<Sshd> both(Stage stage, String... settings) {
        String[] ours = Arrays.copyOf(settings, settings.length + 1);
        ours[settings.length] = "PerSourcePenalties no"; // which Debian's is too old to know
        return List.of(stage.sshd(settings), stage.holdfastSshd(ours));
    }

    @Test
    void a_cage_holds_shells_and_commands_as_openssh_s_does(Stage stage) throws Exception {
        Stage.needsRoot("only root may change its root");
        try (Somebody somebody = Somebody.made(stage);
                Cage cage =
                        Cage.of(stage, somebody, "/bin/bash", "/bin/sh", "/bin/cat", "/bin/ls")) {
            Files.writeString(cage.root.resolve("etc/motd"), "in the cage\n");
            good(stage.run("usermod", "-s", "/bin/bash", somebody.name));
            for (String pam : List.of("no", "yes")) {
                List<Sshd> both =
                        both(
                                stage,
                                "UsePAM " + pam,
                                "ChrootDirectory " + cage.root,
                                "PrintMotd yes",
                                "ExposeAuthInfo yes",
                                "AcceptEnv FOO LD_LIBRARY_PATH");
                Seen in =
                        same(
                                stage,
                                both,
                                somebody,
                                "-o",
                                "SetEnv=FOO=bar LD_LIBRARY_PATH=/none",
                                "pwd; echo $0 $FOO $LD_LIBRARY_PATH $UID ${GROUPS[*]}; ls /;"
                                        + " cat $SSH_USER_AUTH; cat /etc/passwd; exit 9");
                assertThat(in.out()).startsWith(somebody.home + "\nbash bar /none ");
                assertThat(in.status()).isEqualTo(9);
                assertThat(in.err()).contains("/etc/passwd: No such file");
                same(stage, both, somebody, "kill -TERM $$");
                Seen shell = same(stage, both, somebody, "-tt", "shopt login_shell; echo $0; pwd");
                assertThat(shell.out()).contains(somebody.home.toString());
                // What belongs to a login is looked for inside.
                Path ssh = Files.createDirectory(cage.home.resolve(".ssh"));
                Files.writeString(ssh.resolve("rc"), "echo \"rc $0 $PWD\"\n");
                assertThat(same(stage, both, somebody, "echo in").out()).contains("/.ssh/rc");
                Files.delete(ssh.resolve("rc"));
                Files.delete(ssh);
                Path away = cage.home.resolveSibling("away");
                Files.move(cage.home, away);
                assertThat(same(stage, both, somebody, "pwd").out()).isEqualTo("/\n");
                Files.move(away, cage.home);
            }
            List<Sshd> both = both(stage, "ChrootDirectory " + cage.root);
            Path bash = cage.root.resolve("bin/bash");
            Files.delete(bash);
            assertThat(same(stage, both, somebody, "pwd"))
                    .isEqualTo(new Seen(1, "", "/bin/bash: No such file or directory\n"));
            for (Sshd sshd : both) {
                // A socket's name means what it means inside.
                Path socket = cage.root.resolve("tmp/" + sshd.port());
                Ended forward =
                        somebody.ssh(
                                        stage,
                                        sshd,
                                        "-o",
                                        "ExitOnForwardFailure=yes",
                                        "-R",
                                        "/tmp/" + sshd.port() + ":127.0.0.1:1",
                                        "pwd")
                                .end(SOON);
                assertThat(forward.status()).isEqualTo(1);
                assertThat(Path.of("/tmp/" + sshd.port())).doesNotExist();
                assertThat(socket.getParent()).exists();
            }
        }
    }

    @Test
    void a_cage_that_others_may_change_ends_the_connection(Stage stage) throws Exception {
        Stage.needsRoot("only root may change its root");
        try (Somebody somebody = Somebody.made(stage);
                Cage cage = Cage.of(stage, somebody, "/bin/sh")) {
            Path inner = Files.createDirectories(cage.root.resolve("a/b"));
            Path file = Files.writeString(cage.root.resolve("file"), "");
            for (Path root : List.of(inner, file, cage.home, cage.root.resolve("none"))) {
                Files.setPosixFilePermissions(
                        inner.getParent(), PosixFilePermissions.fromString("rwxrwxr-x"));
                List<String> why = new ArrayList<>();
                for (Sshd sshd : both(stage, "ChrootDirectory " + root)) {
                    Ended ended = somebody.ssh(stage, sshd, "echo in").input("").end(SOON);
                    assertThat(ended.status()).as(ended.err()).isEqualTo(255);
                    assertThat(ended.out()).isEmpty();
                    sshd.awaitLog(REFUSAL.pattern());
                    Matcher words = REFUSAL.matcher(sshd.log());
                    assertThat(words.find()).isTrue();
                    why.add(words.group());
                }
                assertThat(why.get(1)).isEqualTo(why.get(0));
            }
        }
    }

    private static void good(Command command) throws Exception {
        Ended ended = command.end(SOON);
        assertThat(ended.status()).as("%s%s", ended.err(), ended.out()).isZero();
    }
}
