package holdfast.trials;

import static org.assertj.core.api.Assertions.assertThat;

import holdfast.trials.harness.Client;
import holdfast.trials.harness.Command;
import holdfast.trials.harness.Ended;
import holdfast.trials.harness.Keys;
import holdfast.trials.harness.Running;
import holdfast.trials.harness.Script;
import holdfast.trials.harness.Sshd;
import holdfast.trials.harness.Trees;
import java.io.IOException;
import java.net.InetAddress;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.parallel.Execution;
import org.junit.jupiter.api.parallel.ExecutionMode;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Who {@code holdfast sshd} lets in as whom, and what their files allow them: other users of the
 * machine, cages for sftp, authorized_keys and the modes it must have.
 */
@ExtendWith(Staged.class)
@Execution(ExecutionMode.CONCURRENT)
final class ServerLoginTrial {

    private static final Duration SOON = Duration.ofSeconds(60);

    @ParameterizedTest
    @ValueSource(strings = {"yes", "no"})
    void another_user_is_that_user_and_nobody_else(String pam, Stage stage) throws Exception {
        Stage.needsRoot("only root becomes somebody else");
        try (Somebody somebody = Somebody.made(stage)) {
            Sshd sshd = stage.holdfastSshd("UsePAM " + pam);
            String facts = "id -un; id -gn; pwd; echo $HOME $USER $LOGNAME $SHELL; umask; id -Gn";
            Ended ended = somebody.ssh(stage, sshd, facts).end(SOON);
            String name = somebody.name;
            assertThat(ended.out())
                    .as(ended.err())
                    .isEqualTo(
                            "%1$s\n%1$s\n%2$s\n%2$s %1$s %1$s /bin/sh\n0022\n%1$s\n"
                                    .formatted(name, somebody.home));
            Ended status =
                    somebody.ssh(
                                    stage,
                                    sshd,
                                    "grep -E '^(Cap(Inh|Prm|Eff|Amb)|Uid)' /proc/self/status")
                            .end(SOON);
            assertThat(status.out())
                    .doesNotContainPattern("Cap\\w+:\\s+0*[1-9a-f]")
                    .doesNotContainPattern("Uid:.*\\s0\\b");
            Ended terminal =
                    somebody.ssh(stage, sshd, "-tt", "stat -c '%U %a' $(tty); tty").end(SOON);
            assertThat(terminal.out()).as(terminal.err()).startsWith(name + " 6");
            Ended forbidden = somebody.ssh(stage, sshd, "cat /etc/shadow").end(SOON);
            assertThat(forbidden.status()).isEqualTo(1);
            assertThat(forbidden.err()).contains("Permission denied");
            // What sftp makes in the server's own process is the user's as well.
            Ended sftp =
                    stage.run(
                                    "sftp",
                                    "-F",
                                    sshd.config().toString(),
                                    "-q",
                                    "-b",
                                    "-",
                                    name + "@trial")
                            .input("put " + sshd.authorizedKeys() + " made\nget /etc/shadow\n")
                            .in(stage.directory())
                            .end(SOON);
            assertThat(sftp.status()).isEqualTo(1);
            assertThat(sftp.err()).contains("/etc/shadow", "Permission denied");
            assertThat(Files.getOwner(somebody.home.resolve("made")).getName()).isEqualTo(name);
            Ended scp =
                    stage.run(
                                    "scp",
                                    "-O",
                                    "-q",
                                    "-F",
                                    sshd.config().toString(),
                                    sshd.authorizedKeys().toString(),
                                    name + "@trial:copied")
                            .end(SOON);
            assertThat(scp.status()).as(scp.err()).isZero();
            assertThat(Files.getOwner(somebody.home.resolve("copied")).getName()).isEqualTo(name);
            // Nor may a forward or an agent's socket be made with rights that they do not have.
            Ended socket =
                    somebody.ssh(
                                    stage,
                                    sshd,
                                    "-o",
                                    "ExitOnForwardFailure=yes",
                                    "-R",
                                    "/etc/" + name + ".sock:127.0.0.1:1",
                                    "echo not reached")
                            .end(SOON);
            assertThat(socket.status()).isEqualTo(255);
            assertThat(socket.err()).contains("remote port forwarding failed");
        }
    }

    @Test
    void a_chrooted_sftp_sees_its_cage_and_nothing_else(Stage stage) throws Exception {
        Stage.needsRoot("only root may change its root");
        // Everything above a cage must be root's alone, and /tmp is not.
        Path cage = Files.createTempDirectory(Path.of("/run"), "hft");
        try (Somebody somebody = Somebody.made(stage)) {
            Files.setPosixFilePermissions(cage, PosixFilePermissions.fromString("rwxr-xr-x"));
            Path in = Files.createDirectory(cage.resolve("in"));
            good(stage.run("chown", somebody.name, in.toString()).end(SOON));
            Sshd sshd =
                    stage.holdfastSshd(
                            "ChrootDirectory " + cage, "ForceCommand internal-sftp -d /in");
            Path back = stage.directory().resolve("back");
            Ended ended =
                    stage.run(
                                    "sftp",
                                    "-F",
                                    sshd.config().toString(),
                                    "-q",
                                    "-b",
                                    "-",
                                    somebody.name + "@trial")
                            .input(
                                    "pwd\nput %s one\nrename one two\nln -s /etc/passwd link\nget two %s\nls -1 /\nget link\n"
                                            .formatted(sshd.authorizedKeys(), back))
                            .in(stage.directory())
                            .end(SOON);
            assertThat(ended.out()).contains("Remote working directory: /in").contains("/in");
            assertThat(Files.mismatch(sshd.authorizedKeys(), back)).isEqualTo(-1);
            assertThat(in.resolve("two")).exists();
            // The link leads nowhere from inside.
            assertThat(ended.status()).isEqualTo(1);
            assertThat(ended.err()).contains("No such file or directory");
            assertThat(stage.directory().resolve("link")).doesNotExist();
            Ended command = somebody.ssh(stage, sshd, "id").input("").end(SOON);
            assertThat(command.out()).doesNotContain("uid=");
            good(stage.run("chmod", "g+w", cage.toString()).end(SOON));
            Ended unsafe = somebody.ssh(stage, sshd, "-s", "sftp").input("").end(SOON);
            assertThat(unsafe.status()).isNotZero();
            sshd.awaitLog("bad ownership or modes for chroot directory \"" + cage + "\"");
        } finally {
            Trees.remove(cage);
        }
    }

    @Test
    void what_a_key_may_do_is_what_its_line_says(Stage stage) throws Exception {
        Sshd sshd = stage.holdfastSshd();
        Path forced = Keys.of("ed25519", "forced");
        Path restricted = Keys.of("ed25519", "restricted");
        Files.writeString(
                sshd.authorizedKeys(),
                "command=\"echo forced: $SSH_ORIGINAL_COMMAND\" %s\nrestrict %s\n"
                        .formatted(Keys.publicLine(forced), Keys.publicLine(restricted)));
        Ended ended = with(stage, sshd, forced, "rm -rf it").end(SOON);
        assertThat(ended.out()).as(ended.err()).isEqualTo("forced: rm -rf it\n");
        Ended plain = with(stage, sshd, restricted, "echo fine").end(SOON);
        assertThat(plain.out()).as(plain.err()).isEqualTo("fine\n");
        Ended terminal = with(stage, sshd, restricted, "-tt", "tty").end(SOON);
        assertThat(terminal.err()).contains("PTY allocation request failed on channel 0");
        int port = Sshd.freePort();
        Ended remote =
                with(
                                stage,
                                sshd,
                                restricted,
                                "-o",
                                "ExitOnForwardFailure=yes",
                                "-R",
                                port + ":127.0.0.1:1",
                                "echo not reached")
                        .end(SOON);
        assertThat(remote.err()).contains("remote port forwarding failed for listen port " + port);
        assertThat(remote.status()).isEqualTo(255);
        int local = Sshd.freePort();
        Running client =
                with(
                                stage,
                                sshd,
                                restricted,
                                "-L",
                                local + ":127.0.0.1:" + sshd.port(),
                                "echo ready; cat")
                        .inputOpen()
                        .start();
        client.out().await("ready", SOON);
        try (Socket socket = new Socket(InetAddress.getLoopbackAddress(), local)) {
            assertThat(socket.getInputStream().readAllBytes()).isEmpty();
        }
        client.stdin().close();
        Ended refused = client.end(SOON);
        assertThat(refused.err()).contains("open failed: administratively prohibited");
        assertThat(refused.status()).isZero();
    }

    @Test
    void a_broken_line_is_named_in_the_log_and_the_other_keys_work(Stage stage) throws Exception {
        Sshd sshd = stage.holdfastSshd();
        Path key = Keys.of("ed25519", "user");
        Files.writeString(
                sshd.authorizedKeys(),
                "# mine\nssh-ed25519 AAAAthis-is-not-base64 x\nno-such-option %1$s\ncommand=\"never ended %1$s\n\0\1\2\377\n%1$s\n"
                        .formatted(Keys.publicLine(key)),
                StandardCharsets.ISO_8859_1);
        Ended ended = stage.openSsh(sshd, "trial", "echo in").end(SOON);
        assertThat(ended.out()).as(ended.err()).isEqualTo("in\n");
        String file = sshd.authorizedKeys().toString();
        for (int line = 2; line <= 5; line++) {
            sshd.awaitLog(Pattern.quote(file + ":" + line + ": "));
        }
        assertThat(sshd.log()).doesNotContain("\0", "\1");
    }

    @Test
    void a_file_of_keys_that_others_may_write_is_not_believed(Stage stage) throws Exception {
        Stage.needsRoot("for a user with a home of their own");
        try (Somebody somebody = Somebody.made(stage)) {
            Sshd sshd =
                    stage.holdfastSshd(
                            "StrictModes yes",
                            "AuthorizedKeysFile .ssh/authorized_keys",
                            "PerSourcePenalties no");
            Path ssh = Files.createDirectories(somebody.home.resolve(".ssh"));
            Path file = Files.copy(sshd.authorizedKeys(), ssh.resolve("authorized_keys"));
            good(stage.run("chown", "-R", somebody.name, ssh.toString()).end(SOON));
            assertThat(somebody.ssh(stage, sshd, "echo in").end(SOON).out()).isEqualTo("in\n");
            Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rw-rw-r--"));
            Ended refused = somebody.ssh(stage, sshd, "-o", "BatchMode=yes", "id").end(SOON);
            assertThat(refused.status()).isEqualTo(255);
            assertThat(refused.err()).contains("Permission denied (publickey");
            sshd.awaitLog("Authentication refused: bad ownership or modes for file " + file);
            Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rw-r--r--"));
            Files.setPosixFilePermissions(ssh, PosixFilePermissions.fromString("rwxrwxrwx"));
            assertThat(somebody.ssh(stage, sshd, "-o", "BatchMode=yes", "id").end(SOON).status())
                    .isEqualTo(255);
            sshd.awaitLog("Authentication refused: bad ownership or modes for directory " + ssh);
            Files.setPosixFilePermissions(ssh, PosixFilePermissions.fromString("rwx------"));
            // A pipe where the file should be must not hold anybody up.
            Files.delete(file);
            good(stage.run("mkfifo", file.toString()).end(SOON));
            assertThat(somebody.ssh(stage, sshd, "-o", "BatchMode=yes", "id").end(SOON).status())
                    .isEqualTo(255);
        }
    }

    @Test
    void an_expired_password_is_changed_before_anything_else(Stage stage) throws Exception {
        Stage.needsRoot("only root may judge passwords");
        try (Somebody somebody = Somebody.made(stage)) {
            String old = "Old-and-Tired-7";
            String fresh = "Quite-Another-9-Word";
            good(stage.run("chpasswd").input(somebody.name + ":" + old + "\n").end(SOON));
            good(stage.run("chage", "-d", "0", somebody.name).end(SOON));
            Sshd sshd =
                    stage.holdfastSshd(
                            "UsePAM yes",
                            "KbdInteractiveAuthentication yes",
                            "PasswordAuthentication yes",
                            "PerSourcePenalties no");
            // With a key: nothing but the change, and that needs a terminal.
            Ended without = somebody.ssh(stage, sshd, "-A", "echo in").end(SOON);
            assertThat(without.out()).as(without.err()).isEmpty();
            assertThat(without.err())
                    .contains(
                            "WARNING: Your password has expired.",
                            "Password change required but no TTY available.");
            assertThat(without.status()).isEqualTo(1);
            Ended sftp = somebody.ssh(stage, sshd, "-s", "sftp").input("").end(SOON);
            assertThat(sftp.status()).isEqualTo(1);
            Running shell = somebody.ssh(stage, sshd, "-tt").inputOpen().start();
            shell.out().await("You are required to change your password immediately", SOON);
            shell.out().await("You must change your password now and login again!", SOON);
            shell.out().await("urrent password:", SOON);
            shell.signal("TERM");
            assertThat(shell.end(SOON).status()).isNotZero();
            assertThat(shell.out().text().stripTrailing()).endsWith("urrent password:");
            // A password typed at a prompt without more: let in to change it, as with a key.
            Path answers =
                    Script.at(
                            stage.directory().resolve("answers"),
                            "case $1 in *[Nn]ew*) echo " + fresh + ";; *) echo " + old + ";; esac");
            Ended typed = asking(stage, sshd, somebody, answers, "password", "echo in").end(SOON);
            assertThat(typed.out()).as(typed.err()).isEmpty();
            assertThat(typed.err()).contains("Password change required but no TTY available.");
            // Where questions can be asked, the new one is asked for.
            Ended changed =
                    asking(stage, sshd, somebody, answers, "keyboard-interactive", "echo in")
                            .end(SOON);
            assertThat(changed.out()).as("%s%s", changed.err(), sshd.log()).isEqualTo("in\n");
            Path newAnswer = Script.at(stage.directory().resolve("new-answer"), "echo " + fresh);
            Ended again = asking(stage, sshd, somebody, newAnswer, "password", "echo in").end(SOON);
            assertThat(again.out()).as(again.err()).isEqualTo("in\n");
            assertThat(sshd.log()).doesNotContain(old, fresh);
        }
    }

    @Test
    void who_has_the_password_of_an_account_that_has_ended_is_told_so(Stage stage)
            throws Exception {
        Stage.needsRoot("only root may judge passwords");
        try (Somebody somebody = Somebody.made(stage)) {
            String password = "Old-and-Tired-7";
            good(stage.run("chpasswd").input(somebody.name + ":" + password + "\n").end(SOON));
            good(stage.run("chage", "-E", "1", somebody.name).end(SOON));
            String[] settings = {
                "UsePAM yes", "KbdInteractiveAuthentication yes", "PasswordAuthentication yes"
            };
            Sshd theirs = stage.sshd(settings);
            Sshd ours = stage.holdfastSshd(settings);
            Path answers = Script.at(stage.directory().resolve("answers"), "echo " + password);
            String denied =
                    "Access denied for user "
                            + somebody.name
                            + " by PAM account configuration \\[preauth\\]";
            for (String method : List.of("password", "publickey")) {
                Ended there = asking(stage, theirs, somebody, answers, method, "echo in").end(SOON);
                Ended here = asking(stage, ours, somebody, answers, method, "echo in").end(SOON);
                assertThat(here.out()).isEmpty();
                assertThat(here.status()).isEqualTo(255);
                assertThat(words(here)).as(method).isEqualTo(words(there));
                assertThat(words(here)).contains("Your account has expired");
            }
            ours.awaitLog(denied);
            theirs.awaitLog(denied);
            // By questions the client may have heard of it in one, or not; it is not let in.
            Ended asked =
                    asking(stage, ours, somebody, answers, "keyboard-interactive", "echo in")
                            .end(SOON);
            assertThat(asked.out()).isEmpty();
            assertThat(asked.status()).isEqualTo(255);
        }
    }

    private static String words(Ended ended) {
        return ended.err().replaceAll("port \\d+", "port N");
    }

    /** OpenSSH's client as somebody, by that method, with a program that answers its questions. */
    private static Command asking(
            Stage stage,
            Sshd sshd,
            Somebody somebody,
            Path answers,
            String method,
            String command) {
        return somebody.ssh(
                        stage,
                        sshd,
                        "-o",
                        "PreferredAuthentications=" + method,
                        "-o",
                        "NumberOfPasswordPrompts=1",
                        command)
                .env("SSH_ASKPASS", answers.toString())
                .env("SSH_ASKPASS_REQUIRE", "force")
                .env("DISPLAY", ":none");
    }

    /** OpenSSH's client with that key and no other. */
    private static Command with(Stage stage, Sshd sshd, Path key, String... rest)
            throws IOException {
        Path config = sshd.directory().resolve("config-" + key.getFileName());
        Files.writeString(
                config,
                Files.readString(sshd.config())
                        .replaceFirst("IdentityFile .*", "IdentityFile " + key));
        List<String> argv = new ArrayList<>(Client.reference().argv());
        argv.addAll(List.of("-F", config.toString()));
        argv.addAll(Arrays.asList(rest).subList(0, rest.length - 1));
        argv.addAll(List.of("trial", rest[rest.length - 1]));
        return stage.run(argv.toArray(String[]::new));
    }

    private static void good(Ended ended) {
        assertThat(ended.status()).as("%s%s", ended.err(), ended.out()).isZero();
    }
}
