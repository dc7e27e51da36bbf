package holdfast.trials;

import static org.assertj.core.api.Assertions.assertThat;

import holdfast.trials.harness.Command;
import holdfast.trials.harness.Ended;
import holdfast.trials.harness.Eventually;
import holdfast.trials.harness.Keys;
import holdfast.trials.harness.Running;
import holdfast.trials.harness.Sshd;
import holdfast.trials.harness.Terminal;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;

/** Who we are: keys, agents, pass phrases, passwords; and what is said when none will do. */
@ExtendWith(Staged.class)
final class AuthTrial {

    private static final Duration SOON = Duration.ofSeconds(20);
    private static final String PASS_PHRASE = "correct horse";

    @Test
    void a_key_file_of_each_type_and_format_is_taken(Stage stage) throws Exception {
        Sshd sshd = stage.sshd();
        for (String type : Keys.TYPES) {
            for (String format : List.of("OpenSSH", "PEM", "PKCS8")) {
                if (type.equals("ed25519") && !format.equals("OpenSSH")) {
                    // ssh-keygen writes Ed25519 in its own format whatever it is asked for.
                    continue;
                }
                Path key = Keys.of(type, "login", "", format);
                admit(sshd, key);
                Ended ended =
                        with(stage, sshd, key, "-o", "BatchMode=yes", "trial", "echo in").end(SOON);
                assertThat(ended.out())
                        .as("%s %s: %s", type, format, ended.err())
                        .isEqualTo("in\n");
                assertThat(sshd.log()).contains("Accepted publickey for " + Sshd.user());
            }
        }
    }

    @Test
    void a_pass_phrase_is_asked_for_on_the_terminal_without_echo(Stage stage) throws Exception {
        Sshd sshd = stage.sshd();
        Terminal terminal = stage.terminal(200, 40);
        for (String type : Keys.TYPES) {
            Path key = Keys.of(type, "locked", PASS_PHRASE, "OpenSSH");
            admit(sshd, key);
            Terminal.Foreground running =
                    terminal.begin(
                            line(with(stage, sshd, key, "trial", "'echo in-with-" + type + "'")));
            terminal.await("Enter passphrase for key '" + key + "':", SOON);
            terminal.line(PASS_PHRASE);
            terminal.await("in-with-" + type, SOON);
            assertThat(running.end(SOON)).isZero();
            assertThat(terminal.screen()).doesNotContain(PASS_PHRASE);
        }
    }

    @Test
    void the_old_pem_with_a_pass_phrase_is_opened_too(Stage stage) throws Exception {
        Sshd sshd = stage.sshd();
        Terminal terminal = stage.terminal(200, 40);
        for (String format : List.of("PEM", "PKCS8")) {
            Path key = Keys.of("rsa", "locked", PASS_PHRASE, format);
            admit(sshd, key);
            Terminal.Foreground running =
                    terminal.begin(
                            line(with(stage, sshd, key, "trial", "'echo in-with-" + format + "'")));
            terminal.await("Enter passphrase for key '" + key + "':", SOON);
            terminal.line(PASS_PHRASE);
            terminal.await("in-with-" + format, SOON);
            assertThat(running.end(SOON)).isZero();
        }
    }

    @Test
    void a_wrong_pass_phrase_is_asked_for_again_and_then_given_up(Stage stage) throws Exception {
        Sshd sshd = stage.sshd();
        Path key = Keys.of("ed25519", "locked", PASS_PHRASE, "OpenSSH");
        admit(sshd, key);
        Terminal terminal = stage.terminal(200, 40);
        Terminal.Foreground running = terminal.begin(line(with(stage, sshd, key, "trial", "true")));
        for (int attempt = 1; attempt <= 3; attempt++) {
            awaitCount(terminal, "Enter passphrase for key '" + key + "':", attempt);
            terminal.line("wrong");
        }
        assertThat(running.end(SOON)).isEqualTo(255);
        assertThat(terminal.screen())
                .contains(Sshd.user() + "@127.0.0.1: Permission denied (publickey).");
    }

    @Test
    void an_agent_s_key_is_used_and_none_of_its_secrets_needed(Stage stage) throws Exception {
        Sshd sshd = stage.sshd();
        for (String type : Keys.TYPES) {
            Path key = Keys.of(type, "agent");
            admit(sshd, key);
            Path socket = stage.directory().resolve("agent-" + type);
            Running agent = stage.run("ssh-agent", "-D", "-a", socket.toString()).start();
            try {
                agent.out().await("SSH_AUTH_SOCK", SOON);
                Ended added =
                        stage.run("ssh-add", "-q", key.toString())
                                .env("SSH_AUTH_SOCK", socket.toString())
                                .end(SOON);
                assertThat(added.status()).as(added.err()).isZero();
                Ended ended =
                        stage.run(agentOnly(stage, sshd, "SSH_AUTH_SOCK"))
                                .env("SSH_AUTH_SOCK", socket.toString())
                                .end(SOON);
                assertThat(ended.out()).as("%s: %s", type, ended.err()).isEqualTo("in\n");
                Ended named = stage.run(agentOnly(stage, sshd, socket.toString())).end(SOON);
                assertThat(named.out()).as("%s: %s", type, named.err()).isEqualTo("in\n");
            } finally {
                agent.kill();
                agent.end(SOON);
            }
        }
    }

    @Test
    void an_agent_that_is_gone_is_no_reason_to_fail(Stage stage) throws Exception {
        Sshd sshd = stage.sshd();
        Ended ended =
                stage.ssh(sshd, "-o", "IdentityAgent=SSH_AUTH_SOCK", "trial", "echo in")
                        .env("SSH_AUTH_SOCK", stage.directory().resolve("nobody").toString())
                        .end(SOON);
        assertThat(ended.out()).isEqualTo("in\n");
        assertThat(ended.err()).isEmpty();
    }

    @Test
    void a_wrong_key_is_refused_in_openssh_s_words(Stage stage) throws InterruptedException {
        Sshd sshd = stage.sshd();
        Path stranger = Keys.of("ed25519", "stranger");
        Ended ended = with(stage, sshd, stranger, "trial", "true").end(SOON);
        assertThat(ended.status()).isEqualTo(255);
        assertThat(ended.errLines())
                .isEqualTo(Sshd.user() + "@127.0.0.1: Permission denied (publickey).\n");
    }

    @Test
    void a_key_that_anybody_can_read_is_not_used(Stage stage) throws Exception {
        Sshd sshd = stage.sshd();
        Path key = stage.directory().resolve("open");
        Files.copy(Keys.of("ed25519", "user"), key);
        key.toFile().setReadable(true, false);
        Ended ended = with(stage, sshd, key, "-o", "BatchMode=yes", "trial", "true").end(SOON);
        assertThat(ended.status()).isEqualTo(255);
        assertThat(ended.errLines())
                .contains("WARNING: UNPROTECTED PRIVATE KEY FILE!")
                .contains("are too open.")
                .contains("Permission denied (publickey).");
    }

    @Test
    void BatchMode_never_asks(Stage stage) throws Exception {
        Sshd sshd = stage.sshd("PasswordAuthentication yes");
        Path locked = Keys.of("ed25519", "locked", PASS_PHRASE, "OpenSSH");
        admit(sshd, locked);
        Terminal terminal = stage.terminal(200, 40);
        int status =
                terminal.run(
                        line(with(stage, sshd, locked, "-o", "BatchMode=yes", "trial", "true")),
                        SOON);
        assertThat(status).isEqualTo(255);
        assertThat(terminal.screen())
                .contains("Permission denied (publickey,password).")
                .doesNotContain("passphrase", "password:");
    }

    @Test
    void a_password_is_asked_for_and_taken(Stage stage) throws Exception {
        passwordIsTaken(stage, "password", "UsePAM no", "PasswordAuthentication yes");
    }

    @Test
    void keyboard_interactive_asks_what_the_server_asks(Stage stage) throws Exception {
        Stage.needsRoot("keyboard-interactive goes through PAM");
        if (!Files.exists(Path.of("/etc/pam.d/sshd"))) {
            throw new org.opentest4j.TestAbortedException("no PAM configuration for sshd here");
        }
        passwordIsTaken(
                stage, "keyboard-interactive", "UsePAM yes", "KbdInteractiveAuthentication yes");
    }

    @Test
    void a_wrong_password_may_be_tried_three_times(Stage stage) throws Exception {
        Stage.needsRoot("a user is made for it");
        Sshd sshd = stage.sshd("PasswordAuthentication yes");
        try (Somebody somebody = Somebody.withPassword(stage)) {
            Terminal terminal = stage.terminal(200, 40);
            Terminal.Foreground running =
                    terminal.begin(
                            line(
                                    stage.ssh(
                                            sshd,
                                            "-o",
                                            "PreferredAuthentications=password",
                                            "-l",
                                            somebody.name,
                                            "trial",
                                            "true")));
            String prompt = somebody.name + "@127.0.0.1's password:";
            for (int attempt = 1; attempt <= 3; attempt++) {
                awaitCount(terminal, prompt, attempt);
                terminal.line("wrong" + attempt);
            }
            assertThat(running.end(SOON)).isEqualTo(255);
            String screen = terminal.screen();
            assertThat(count(screen, "Permission denied, please try again.")).isEqualTo(2);
            assertThat(screen)
                    .contains(
                            somebody.name + "@127.0.0.1: Permission denied (publickey,password).");
            assertThat(screen).doesNotContain("wrong1");
        }
    }

    @Test
    void two_methods_in_turn_are_both_gone_through(Stage stage) throws Exception {
        Stage.needsRoot("a user is made for it");
        Path keys = Files.createTempDirectory("hftkeys");
        try (Somebody somebody = Somebody.withPassword(stage)) {
            // The server reads it as that user.
            Files.setPosixFilePermissions(keys, PosixFilePermissions.fromString("rwxr-xr-x"));
            Path file = keys.resolve("authorized");
            Files.writeString(file, Keys.publicLine(Keys.of("ed25519", "user")) + "\n");
            Sshd sshd =
                    stage.sshd(
                            "AuthorizedKeysFile " + file,
                            "PasswordAuthentication yes",
                            "AuthenticationMethods publickey,password");
            Terminal terminal = stage.terminal(200, 60);
            Terminal.Foreground running =
                    terminal.begin(
                            line(
                                    stage.ssh(
                                            sshd,
                                            "-v",
                                            "-l",
                                            somebody.name,
                                            "trial",
                                            "'echo in-as-$LOGNAME'")));
            terminal.await(somebody.name + "@127.0.0.1's password:", SOON);
            assertThat(terminal.screen())
                    .contains("Authenticated using \"publickey\" with partial success.");
            terminal.line(Somebody.PASSWORD);
            terminal.await("in-as-" + somebody.name, SOON);
            assertThat(running.end(SOON)).isZero();
            assertThat(sshd.log()).contains("Partial publickey for ", "Accepted password for ");

            Ended without =
                    stage.ssh(sshd, "-o", "BatchMode=yes", "-l", somebody.name, "trial", "true")
                            .end(SOON);
            assertThat(without.status()).isEqualTo(255);
            assertThat(without.err())
                    .contains(somebody.name + "@127.0.0.1: Permission denied (password).");
        } finally {
            Files.deleteIfExists(keys.resolve("authorized"));
            Files.delete(keys);
        }
    }

    private static void passwordIsTaken(Stage stage, String method, String... settings)
            throws Exception {
        Stage.needsRoot("a user is made for it");
        Sshd sshd = stage.sshd(settings);
        try (Somebody somebody = Somebody.withPassword(stage)) {
            Terminal terminal = stage.terminal(200, 40);
            Terminal.Foreground running =
                    terminal.begin(
                            line(
                                    stage.ssh(
                                            sshd,
                                            "-o",
                                            "PreferredAuthentications=" + method,
                                            "-l",
                                            somebody.name,
                                            "trial",
                                            "'echo in-as-$LOGNAME'")));
            terminal.await("assword:", SOON);
            assertThat(terminal.screen())
                    .contains(
                            method.equals("password")
                                    ? somebody.name + "@127.0.0.1's password:"
                                    : "(" + somebody.name + "@127.0.0.1) Password:");
            terminal.line(Somebody.PASSWORD);
            terminal.await("in-as-" + somebody.name, SOON);
            assertThat(running.end(SOON)).isZero();
            assertThat(terminal.screen()).doesNotContain(Somebody.PASSWORD);
            assertThat(sshd.log()).contains("Accepted " + method);
        }
    }

    private static void admit(Sshd sshd, Path key) throws IOException {
        Files.writeString(
                sshd.authorizedKeys(), Keys.publicLine(key) + "\n", StandardOpenOption.APPEND);
    }

    /** The client with that key and no other. */
    private static Command with(Stage stage, Sshd sshd, Path key, String... rest)
            throws InterruptedException {
        String[] all = new String[rest.length + 2];
        all[0] = "-F";
        all[1] = withoutIdentity(sshd, key).toString();
        System.arraycopy(rest, 0, all, 2, rest.length);
        String[] words = new String[stage.client().argv().size() + all.length];
        for (int i = 0; i < stage.client().argv().size(); i++) {
            words[i] = stage.client().argv().get(i);
        }
        System.arraycopy(all, 0, words, stage.client().argv().size(), all.length);
        return stage.run(words);
    }

    private static Path withoutIdentity(Sshd sshd, Path key) {
        try {
            Path file = sshd.directory().resolve("config-" + key.getFileName());
            Files.writeString(
                    file,
                    Files.readString(sshd.config())
                            .replaceAll("IdentityFile .*", "IdentityFile " + key));
            return file;
        } catch (IOException e) {
            throw new java.io.UncheckedIOException(e);
        }
    }

    private static String[] agentOnly(Stage stage, Sshd sshd, String agent) throws IOException {
        Path file = sshd.directory().resolve("config-agent");
        Files.writeString(
                file,
                Files.readString(sshd.config())
                        .replaceAll("IdentityFile .*", "IdentityFile /nonexistent")
                        .replace("IdentitiesOnly yes", "IdentitiesOnly no")
                        .replace("IdentityAgent none", "IdentityAgent " + agent));
        List<String> words = new java.util.ArrayList<>(stage.client().argv());
        words.addAll(List.of("-F", file.toString(), "trial", "echo in"));
        return words.toArray(String[]::new);
    }

    /** As a line for a shell; what needs quotes has them. */
    private static String line(Command command) {
        return String.join(" ", command.argv());
    }

    private static void awaitCount(Terminal terminal, String text, int wanted)
            throws InterruptedException {
        Eventually.holds(SOON, () -> count(terminal.screen(), text) >= wanted, terminal::screen);
    }

    private static int count(String text, String part) {
        return text.split(java.util.regex.Pattern.quote(part), -1).length - 1;
    }
}
