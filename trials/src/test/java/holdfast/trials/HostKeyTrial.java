package holdfast.trials;

import static org.assertj.core.api.Assertions.assertThat;

import holdfast.trials.harness.Client;
import holdfast.trials.harness.Ended;
import holdfast.trials.harness.Keys;
import holdfast.trials.harness.Sshd;
import holdfast.trials.harness.Terminal;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;

/** Who the server is: known_hosts read, asked about and written as OpenSSH does. */
@ExtendWith(Staged.class)
final class HostKeyTrial {

    private static final Duration SOON = Duration.ofSeconds(20);

    @Test
    void accept_new_writes_the_line_that_openssh_writes(Stage stage) throws Exception {
        Sshd sshd = stage.sshd();
        Path ours = stage.directory().resolve("ours");
        Path theirs = stage.directory().resolve("theirs");
        Ended ended = ssh(stage, sshd, ours, "accept-new", "trial", "echo in");
        assertThat(ended.out()).as(ended.err()).isEqualTo("in\n");
        assertThat(ended.errLines())
                .isEqualTo(
                        "Warning: Permanently added '[127.0.0.1]:"
                                + sshd.port()
                                + "' (ED25519) to the list of known hosts.\n");
        Ended reference =
                sshd.client(
                                Client.reference(),
                                "-o",
                                "UserKnownHostsFile=" + theirs,
                                "-o",
                                "StrictHostKeyChecking=accept-new",
                                "trial",
                                "true")
                        .end(SOON);
        assertThat(reference.status()).isZero();
        assertThat(Files.readString(ours)).isEqualTo(Files.readString(theirs));
        // And the second time nothing is said or written.
        Ended again = ssh(stage, sshd, ours, "yes", "trial", "echo in");
        assertThat(again.out() + again.err()).isEqualTo("in\n");
        assertThat(Files.readString(ours)).isEqualTo(Files.readString(theirs));
    }

    @Test
    void a_hashed_line_is_written_and_found_again(Stage stage) throws Exception {
        Sshd sshd = stage.sshd();
        Path known = stage.directory().resolve("hashed");
        Ended ended =
                ssh(stage, sshd, known, "accept-new", "-o", "HashKnownHosts=yes", "trial", "true");
        assertThat(ended.status()).as(ended.err()).isZero();
        assertThat(Files.readString(known)).startsWith("|1|").doesNotContain("127.0.0.1");
        Ended found =
                stage.run("ssh-keygen", "-F", "[127.0.0.1]:" + sshd.port(), "-f", known.toString())
                        .end(SOON);
        assertThat(found.status()).isZero();
        assertThat(ssh(stage, sshd, known, "yes", "trial", "echo in").out()).isEqualTo("in\n");
    }

    @Test
    void comments_and_other_lines_stay_as_they_are(Stage stage) throws Exception {
        Sshd sshd = stage.sshd();
        Path known = stage.directory().resolve("commented");
        String before = "# mine\n\nother.example ssh-ed25519 AAAAnonsense comment of mine\n";
        Files.writeString(known, before);
        assertThat(ssh(stage, sshd, known, "accept-new", "trial", "true").status()).isZero();
        assertThat(Files.readString(known)).startsWith(before).hasLineCount(4);
    }

    @Test
    void yes_refuses_an_unknown_host_without_asking(Stage stage) throws Exception {
        Sshd sshd = stage.sshd();
        Path known = stage.directory().resolve("empty");
        Ended ended = ssh(stage, sshd, known, "yes", "trial", "true");
        assertThat(ended.status()).isEqualTo(255);
        assertThat(ended.errLines())
                .isEqualTo(
                        "No ED25519 host key is known for [127.0.0.1]:"
                                + sshd.port()
                                + " and you have requested strict checking.\n"
                                + "Host key verification failed.\n");
        assertThat(known).doesNotExist();
    }

    @Test
    void no_connects_and_writes(Stage stage) throws Exception {
        Sshd sshd = stage.sshd();
        Path known = stage.directory().resolve("no");
        Ended ended = ssh(stage, sshd, known, "no", "trial", "echo in");
        assertThat(ended.out()).isEqualTo("in\n");
        assertThat(Files.readString(known))
                .startsWith("[127.0.0.1]:" + sshd.port() + " ssh-ed25519 ");
    }

    @Test
    void ask_shows_the_fingerprint_and_takes_yes(Stage stage) throws Exception {
        Sshd sshd = stage.sshd();
        Path known = stage.directory().resolve("asked");
        Terminal terminal = stage.terminal(160, 40);
        Terminal.Foreground running = terminal.begin(asking(stage, sshd, known));
        terminal.await(
                "Are you sure you want to continue connecting (yes/no/[fingerprint])?", SOON);
        String name = "[127.0.0.1]:" + sshd.port();
        assertThat(terminal.screen())
                .contains(
                        "The authenticity of host '"
                                + name
                                + " ("
                                + name
                                + ")' can't be established.")
                .contains("ED25519 key fingerprint is " + fingerprint(stage) + ".");
        terminal.line("perhaps");
        terminal.await("Please type 'yes', 'no' or the fingerprint:", SOON);
        terminal.line("yes");
        assertThat(running.end(SOON)).isZero();
        terminal.await(
                "Warning: Permanently added '" + name + "' (ED25519) to the list of known hosts.",
                SOON);
        assertThat(Files.readString(known)).startsWith(name + " ssh-ed25519 ");
    }

    @Test
    void ask_takes_the_fingerprint_itself(Stage stage) throws Exception {
        Sshd sshd = stage.sshd();
        Path known = stage.directory().resolve("fingerprint");
        Terminal terminal = stage.terminal(160, 40);
        Terminal.Foreground running = terminal.begin(asking(stage, sshd, known));
        terminal.await("(yes/no/[fingerprint])?", SOON);
        terminal.line(fingerprint(stage));
        assertThat(running.end(SOON)).isZero();
        assertThat(known).exists();
    }

    @Test
    void ask_takes_no_for_an_answer(Stage stage) throws Exception {
        Sshd sshd = stage.sshd();
        Path known = stage.directory().resolve("refused");
        Terminal terminal = stage.terminal(160, 40);
        Terminal.Foreground running = terminal.begin(asking(stage, sshd, known));
        terminal.await("(yes/no/[fingerprint])?", SOON);
        terminal.line("no");
        assertThat(running.end(SOON)).isEqualTo(255);
        terminal.await("Host key verification failed.", SOON);
        assertThat(known).doesNotExist();
    }

    @Test
    void ask_without_a_terminal_refuses(Stage stage) throws Exception {
        Sshd sshd = stage.sshd();
        Path known = stage.directory().resolve("nobody");
        Ended ended =
                stage.run(
                                concat(
                                        List.of("setsid", "-w"),
                                        stage.ssh(
                                                        sshd,
                                                        "-o",
                                                        "UserKnownHostsFile=" + known,
                                                        "-o",
                                                        "StrictHostKeyChecking=ask",
                                                        "trial",
                                                        "true")
                                                .argv()))
                        .end(SOON);
        assertThat(ended.status()).isEqualTo(255);
        assertThat(ended.errLines()).endsWith("Host key verification failed.\n");
        assertThat(known).doesNotExist();
    }

    @Test
    void a_changed_key_is_refused_with_file_and_line_whatever_the_setting(Stage stage)
            throws Exception {
        Sshd sshd = stage.sshd();
        Path known = stage.directory().resolve("changed");
        String[] other = Keys.publicLine(Keys.of("ed25519", "impostor")).split(" ", 3);
        String before =
                "# first\n[127.0.0.1]:" + sshd.port() + " " + other[0] + " " + other[1] + "\n";
        Files.writeString(known, before);
        for (String strict : List.of("yes", "ask", "accept-new")) {
            Ended ended = ssh(stage, sshd, known, strict, "trial", "true");
            assertThat(ended.status()).as(strict).isEqualTo(255);
            assertThat(ended.errLines())
                    .as(strict)
                    .contains("WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!")
                    .contains(fingerprint(stage))
                    .contains("Offending ED25519 key in " + known + ":2")
                    .endsWith("Host key verification failed.\n");
            assertThat(Files.readString(known)).isEqualTo(before);
        }
    }

    @Test
    void a_revoked_key_is_refused(Stage stage) throws Exception {
        Sshd sshd = stage.sshd();
        Path known = stage.directory().resolve("revoked");
        StringBuilder lines = new StringBuilder(Files.readString(sshd.knownHosts()));
        for (String type : Keys.TYPES) {
            String[] key = Keys.publicLine(Keys.of(type, "host")).split(" ", 3);
            lines.append("@revoked * " + key[0] + " " + key[1] + "\n");
        }
        Files.writeString(known, lines);
        for (String strict : List.of("yes", "accept-new")) {
            Ended ended = ssh(stage, sshd, known, strict, "-o", "BatchMode=yes", "trial", "true");
            assertThat(ended.status()).as(strict).isEqualTo(255);
            assertThat(ended.errLines())
                    .contains("WARNING: REVOKED HOST KEY DETECTED!")
                    .contains("Host key verification failed.");
        }
    }

    @Test
    void a_host_known_by_another_type_of_key_is_asked_for_that_type(Stage stage) throws Exception {
        Sshd sshd = stage.sshd();
        Path known = stage.directory().resolve("rsa");
        String[] key = Keys.publicLine(Keys.of("rsa", "host")).split(" ", 3);
        Files.writeString(known, "[127.0.0.1]:" + sshd.port() + " " + key[0] + " " + key[1] + "\n");
        Ended ended = ssh(stage, sshd, known, "yes", "trial", "echo in");
        assertThat(ended.out()).as(ended.err()).isEqualTo("in\n");
    }

    private static Ended ssh(Stage stage, Sshd sshd, Path known, String strict, String... rest)
            throws InterruptedException {
        List<String> first =
                List.of(
                        "-o",
                        "UserKnownHostsFile=" + known,
                        "-o",
                        "StrictHostKeyChecking=" + strict);
        return stage.ssh(sshd, concat(first, List.of(rest))).end(SOON);
    }

    private static String asking(Stage stage, Sshd sshd, Path known) {
        return stage.words(sshd)
                + " -o UserKnownHostsFile="
                + known
                + " -o StrictHostKeyChecking=ask trial true";
    }

    private static String fingerprint(Stage stage) throws InterruptedException {
        Ended ended =
                stage.run("ssh-keygen", "-lf", Keys.of("ed25519", "host").toString()).end(SOON);
        return ended.out().split(" ", 3)[1];
    }

    private static String[] concat(List<String> a, List<String> b) {
        List<String> all = new java.util.ArrayList<>(a);
        all.addAll(b);
        return all.toArray(String[]::new);
    }
}
