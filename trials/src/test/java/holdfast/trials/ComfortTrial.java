package holdfast.trials;

import static org.assertj.core.api.Assertions.assertThat;

import holdfast.trials.harness.Client;
import holdfast.trials.harness.Command;
import holdfast.trials.harness.Ended;
import holdfast.trials.harness.Eventually;
import holdfast.trials.harness.Keys;
import holdfast.trials.harness.Sshd;
import holdfast.trials.harness.Terminal;
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
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;

/**
 * What is done for a person beside the session: the environment that is sent, commands that run
 * here, what is shown, the server's keys that are learned, the escapes. Each is done by OpenSSH's
 * client and by the one on trial before the same server, and compared.
 */
@ExtendWith(Staged.class)
final class ComfortTrial {

    private static final Duration SOON = Duration.ofSeconds(30);

    /** Lines of VERBOSE that OpenSSH has and we have not: how much went over the connection. */
    private static final List<String> COUNTS = List.of("Transferred: ", "Bytes per second: ");

    /** What came of one run. */
    private record Seen(int status, String out, String err) {}

    private static Seen seen(Command command) throws InterruptedException {
        Ended ended = command.end(SOON);
        StringBuilder err = new StringBuilder();
        for (String line : ended.err().split("(?<=\n)", -1)) {
            boolean counts = COUNTS.stream().anyMatch(line::startsWith);
            err.append(counts ? line.replaceAll("[0-9.]+", "N") : line);
        }
        return new Seen(ended.status(), ended.out(), err.toString());
    }

    /** Runs the same words with both clients and compares; what both did. */
    private static Seen same(Stage stage, Sshd sshd, String... words) throws InterruptedException {
        return same(stage, sshd, List.of(), "", words);
    }

    private static Seen same(
            Stage stage, Sshd sshd, List<String> env, String input, String... words)
            throws InterruptedException {
        Command theirs = stage.openSsh(sshd, words).input(input);
        Command ours = stage.ssh(sshd, words).input(input);
        for (String variable : env) {
            int equals = variable.indexOf('=');
            theirs.env(variable.substring(0, equals), variable.substring(equals + 1));
            ours.env(variable.substring(0, equals), variable.substring(equals + 1));
        }
        Seen wanted = seen(theirs);
        assertThat(seen(ours)).as(Arrays.toString(words)).isEqualTo(wanted);
        return wanted;
    }

    // --- the environment and what is run

    @Test
    void the_environment_is_sent_as_openssh_sends_it(Stage stage) throws Exception {
        Sshd sshd = stage.sshd("AcceptEnv AA_* BB CC");
        List<String> env = List.of("AA_1=one", "AA_2=two words", "BB=bee", "CC=", "DD=refused");
        String list = "env | grep -E '^(AA_|BB|CC|DD)' | sort";
        assertThat(same(stage, sshd, env, "", "-o", "SendEnv=AA_*", "trial", list).out())
                .isEqualTo("AA_1=one\nAA_2=two words\n");
        assertThat(
                        same(
                                        stage,
                                        sshd,
                                        env,
                                        "",
                                        "-o",
                                        "SendEnv=AA_? BB DD",
                                        "-o",
                                        "SendEnv=CC",
                                        "-o",
                                        "SendEnv=-AA_* -BB",
                                        "-o",
                                        "SendEnv=AA_2",
                                        "trial",
                                        list)
                                .out())
                .isEqualTo("AA_2=two words\nCC=\n");
        assertThat(
                        same(
                                        stage,
                                        sshd,
                                        env,
                                        "",
                                        "-o",
                                        "SendEnv=AA_* BB",
                                        "-o",
                                        "SetEnv=AA_1=set \"BB=two words\" CC=x=y",
                                        "-o",
                                        "SetEnv=AA_2=never",
                                        "trial",
                                        list)
                                .out())
                .startsWith("AA_1=set\nAA_2=two words\n");
    }

    @Test
    void a_terminal_is_called_what_setenv_says(Stage stage) throws Exception {
        Sshd sshd = stage.sshd();
        List<String> env = List.of("TERM=xterm-kitty");
        String ask = "echo $TERM";
        for (String set : List.of("FOO=bar", "TERM=xterm-256color", "TERM=", "A=b TERM=vt100")) {
            Seen seen = same(stage, sshd, env, "", "-tt", "-o", "SetEnv=" + set, "trial", ask);
            int at = set.indexOf("TERM=") + 5;
            String told = at < 5 || at == set.length() ? "xterm-kitty" : set.substring(at);
            assertThat(seen.out()).isEqualTo(told + "\r\n");
        }
    }

    @Test
    void a_remote_command_has_its_tokens_expanded(Stage stage) throws Exception {
        Sshd sshd = stage.sshd();
        same(stage, sshd, "-o", "RemoteCommand=echo %h %n %p %r %u %d %i %L %l %k %C %%", "trial");
        same(stage, sshd, "-o", "RemoteCommand=none", "trial", "echo typed");
        assertThat(same(stage, sshd, "-o", "RemoteCommand=echo a", "trial", "echo b").status())
                .isEqualTo(255);
    }

    @Test
    void a_remote_command_gets_a_terminal_where_openssh_gives_it_one(Stage stage) throws Exception {
        Sshd sshd = stage.sshd();
        for (String tty : List.of("auto", "no", "yes", "force")) {
            List<String> options =
                    List.of(
                            "-o",
                            "RequestTTY=" + tty,
                            "-o",
                            "RemoteCommand='test -t 0 && echo tty || echo none'",
                            "trial");
            assertThat(atTerminal(stage, stage.words(sshd), options))
                    .as("RequestTTY %s", tty)
                    .isEqualTo(atTerminal(stage, openSsh(sshd), options));
        }
        same(stage, sshd, "-o", "RequestTTY=yes", "trial", "test -t 0");
        same(stage, sshd, "-tt", "trial", "test -t 0 && stty size");
    }

    private static String openSsh(Sshd sshd) {
        return String.join(" ", sshd.client(Client.reference()).argv());
    }

    /** The screen after a run to the end, without the line that started it. */
    private static String atTerminal(Stage stage, String client, List<String> options) {
        Terminal terminal = stage.terminal(120, 40);
        terminal.run("clear; " + client + " " + String.join(" ", options), SOON);
        terminal.awaitPrompt(SOON);
        return terminal.screen();
    }

    @Test
    void session_types_and_an_input_of_nothing(Stage stage) throws Exception {
        Sshd sshd = stage.sshd("Subsystem greet echo hello from");
        assertThat(same(stage, sshd, "-o", "SessionType=subsystem", "trial", "greet").out())
                .isEqualTo("hello from\n");
        assertThat(same(stage, sshd, "-o", "SessionType=subsystem", "trial", "nosuch").status())
                .isEqualTo(255);
        assertThat(
                        same(
                                        stage,
                                        sshd,
                                        List.of(),
                                        "unread",
                                        "-o",
                                        "StdinNull=yes",
                                        "trial",
                                        "cat; echo over")
                                .out())
                .isEqualTo("over\n");
    }

    @Test
    void a_local_command_runs_after_the_login_and_before_the_session(Stage stage) throws Exception {
        Sshd sshd = stage.sshd();
        assertThat(
                        same(
                                        stage,
                                        sshd,
                                        "-o",
                                        "PermitLocalCommand=yes",
                                        "-o",
                                        "LocalCommand=echo here %h %n %p %r %u %T %k %%;"
                                                + " echo there >&2; exit 7",
                                        "trial",
                                        "echo remote; exit 3")
                                .out())
                .startsWith("here 127.0.0.1 trial ")
                .endsWith("\nremote\n");
        assertThat(
                        same(
                                        stage,
                                        sshd,
                                        List.of(),
                                        "first\nsecond\n",
                                        "-o",
                                        "PermitLocalCommand=yes",
                                        "-o",
                                        "LocalCommand=head -c 6 >&2",
                                        "trial",
                                        "cat")
                                .out())
                .isEqualTo("second\n");
        assertThat(same(stage, sshd, "-o", "LocalCommand=echo never", "trial", "echo only").out())
                .isEqualTo("only\n");
        assertThat(
                        same(
                                        stage,
                                        sshd,
                                        "-o",
                                        "PermitLocalCommand=yes",
                                        "-o",
                                        "LocalCommand=kill -KILL $$",
                                        "trial",
                                        "echo on")
                                .out())
                .isEqualTo("on\n");
    }

    @Test
    void a_local_command_is_not_run_where_the_login_fails(Stage stage) throws Exception {
        Sshd sshd = stage.sshd();
        Seen refused =
                same(
                        stage,
                        sshd,
                        "-o",
                        "PubkeyAuthentication=no",
                        "-o",
                        "PermitLocalCommand=yes",
                        "-o",
                        "LocalCommand=echo never",
                        "trial",
                        "true");
        assertThat(refused.status()).isEqualTo(255);
        assertThat(refused.out()).isEmpty();
    }

    // --- what is shown

    @Test
    void a_banner_is_made_safe_and_hidden_as_openssh_does(Stage stage) throws Exception {
        Path text = stage.directory().resolve("banner");
        byte[] bytes =
                "Hello \033[31mred\033[0m \007 tab\there\r\nt\u00e4st cr\rover \u20ac\n#\n"
                        .getBytes(StandardCharsets.UTF_8);
        bytes[bytes.length - 2] = (byte) 0xff;
        Files.write(text, bytes);
        Sshd sshd = stage.sshd("Banner " + text);
        for (String locale : List.of("C.UTF-8", "C")) {
            Seen shown = same(stage, sshd, List.of("LC_ALL=" + locale), "", "trial", "echo in");
            assertThat(shown.err()).startsWith("Hello \\033[31mred").contains("\\377");
        }
        assertThat(same(stage, sshd, "-o", "LogLevel=verbose", "trial", "true").err())
                .contains("Hello");
        for (String level : List.of("quiet", "fatal", "error")) {
            assertThat(same(stage, sshd, "-o", "LogLevel=" + level, "trial", "true").err())
                    .isEmpty();
        }
        assertThat(same(stage, sshd, "-q", "trial", "true").err()).isEmpty();
    }

    @Test
    void the_log_level_decides_what_a_failure_says(Stage stage) throws Exception {
        Sshd sshd = stage.sshd();
        for (String level : List.of("quiet", "fatal", "error", "info", "verbose")) {
            same(stage, sshd, "-o", "LogLevel=" + level, "trial", "exit 4");
            same(stage, sshd, "-o", "LogLevel=" + level, "-o", "PubkeyAuthentication=no", "trial");
            same(
                    stage,
                    sshd,
                    "-o",
                    "LogLevel=" + level,
                    "-o",
                    "UserKnownHostsFile=none",
                    "trial",
                    "true");
        }
    }

    @Test
    void what_was_transferred_is_told_at_the_end(Stage stage) throws Exception {
        Sshd sshd = stage.sshd();
        Ended ended = stage.ssh(sshd, "-v", "trial", "head -c 100000 /dev/zero; exit 3").end(SOON);
        assertThat(ended.status()).isEqualTo(3);
        Matcher told =
                Pattern.compile(
                                "Transferred: sent (\\d+), received (\\d+) bytes, in [0-9.]+"
                                        + " seconds\r?\n"
                                        + "Bytes per second: sent [0-9.]+, received [0-9.]+\r?\n"
                                        + "debug1: Exit status 3\r?\n$")
                        .matcher(ended.err());
        assertThat(told.find()).as(ended.err()).isTrue();
        assertThat(Long.parseLong(told.group(1))).isBetween(1_000L, 20_000L);
        assertThat(Long.parseLong(told.group(2))).isBetween(100_000L, 120_000L);
    }

    @Test
    void the_key_s_picture_is_openssh_s(Stage stage) throws Exception {
        Sshd sshd = stage.sshd();
        for (String type : List.of("ssh-ed25519", "ecdsa-sha2-nistp256", "rsa-sha2-512")) {
            Seen known =
                    same(
                            stage,
                            sshd,
                            "-o",
                            "VisualHostKey=yes",
                            "-o",
                            "HostKeyAlgorithms=" + type,
                            "trial",
                            "echo in");
            assertThat(known.err())
                    .startsWith("Host key fingerprint is SHA256:")
                    .contains("[SHA256]");
        }
        assertThat(same(stage, sshd, "-q", "-o", "VisualHostKey=yes", "trial", "true").err())
                .isEmpty();
    }

    @Test
    void the_key_s_picture_is_part_of_the_question(Stage stage) throws Exception {
        Sshd sshd = stage.sshd();
        List<String> screens = new ArrayList<>();
        for (String client : List.of(openSsh(sshd), stage.words(sshd))) {
            Terminal terminal = stage.terminal(120, 40);
            Terminal.Foreground running =
                    terminal.begin(
                            "clear; "
                                    + client
                                    + " -o UserKnownHostsFile="
                                    + stage.directory().resolve("nobody")
                                    + " -o StrictHostKeyChecking=ask -o VisualHostKey=yes trial"
                                    + " true");
            terminal.await("/[fingerprint])?", SOON);
            terminal.line("no");
            assertThat(running.end(SOON)).isEqualTo(255);
            terminal.awaitPrompt(SOON);
            screens.add(terminal.screen());
        }
        assertThat(screens.getLast()).isEqualTo(screens.getFirst()).contains("+----[SHA256]-----+");
    }

    @Test
    void with_y_nothing_is_said_on_standard_error(Stage stage) throws Exception {
        Sshd sshd = stage.sshd();
        assertThat(same(stage, sshd, "-y", "-o", "PubkeyAuthentication=no", "trial").err())
                .isEmpty();
        same(stage, sshd, "-y", "-E", "log", "trial", "true");
        same(stage, sshd, "-o", "SyslogFacility=nosuch", "trial", "true");
    }

    @Test
    void the_places_of_LogVerbose_are_ours_and_the_level_does_not_count(Stage stage)
            throws Exception {
        stage.onlyHoldfast("they are places of this program");
        Sshd sshd = stage.sshd();
        Seen seen = seen(stage.ssh(sshd, "-o", "LogVerbose=HostKeyCheck.java:*", "trial", "true"));
        assertThat(seen.err())
                .containsPattern(
                        "(?m)^debug1: HostKeyCheck.java:tell\\(\\):\\d+ \\(pid=\\d+\\): Server"
                                + " host key: ssh-ed25519 SHA256:")
                .doesNotContain("Dialer.java");
    }

    // --- the server's keys

    /** A line of known_hosts for {@code sshd}. */
    private static String line(Sshd sshd, String type, String owner) {
        return line("[" + sshd.address() + "]:" + sshd.port(), type, owner);
    }

    private static String line(String names, String type, String owner) {
        String[] words = Keys.publicLine(Keys.of(type, owner)).split(" ", 3);
        return names + " " + words[0] + " " + words[1];
    }

    /** Both begin with these lines, and end with the same; those. */
    private static List<String> updated(
            Stage stage, Sshd sshd, List<String> lines, String... options) throws Exception {
        return updated(stage, sshd, String.join("\n", lines) + "\n", options);
    }

    private static List<String> updated(Stage stage, Sshd sshd, String before, String... options)
            throws Exception {
        Path file = stage.directory().resolve("learned");
        Path old = stage.directory().resolve("learned.old");
        List<String> words =
                new ArrayList<>(
                        List.of(
                                "-o",
                                "UserKnownHostsFile=" + file,
                                "-o",
                                "UpdateHostKeys=yes",
                                "-o",
                                "LogLevel=VERBOSE"));
        words.addAll(List.of(options));
        words.addAll(List.of("trial", "true"));
        List<Object> results = new ArrayList<>();
        for (boolean openSsh : List.of(true, false)) {
            Files.writeString(file, before);
            Files.deleteIfExists(old);
            String[] argv = words.toArray(String[]::new);
            Seen seen = seen(openSsh ? stage.openSsh(sshd, argv) : stage.ssh(sshd, argv));
            results.add(
                    List.of(
                            seen,
                            Files.readString(file),
                            Files.exists(old) ? Files.readString(old) : "none"));
        }
        assertThat(results.getLast()).isEqualTo(results.getFirst());
        return Files.readAllLines(file);
    }

    @Test
    void further_keys_are_learned_and_obsolete_ones_forgotten(Stage stage) throws Exception {
        Sshd sshd = stage.sshd();
        String known = line(sshd, "ed25519", "host");
        assertThat(updated(stage, sshd, List.of(known)))
                .containsExactly(known, line(sshd, "ecdsa", "host"), line(sshd, "rsa", "host"));
        List<String> full =
                List.of(
                        "# a comment \t",
                        "",
                        "other.example.com,192.0.2.1 " + line("", "rsa", "user").strip(),
                        known + " a comment of the line",
                        "   # another",
                        line(sshd, "rsa", "user") + " obsolete",
                        "broken line",
                        "last.example.com " + line("", "ecdsa", "user").strip());
        List<String> after = updated(stage, sshd, full);
        List<String> kept = new ArrayList<>(full);
        // The obsolete key is another host's too, and so it is left where it is.
        assertThat(after).isEqualTo(kept);
        kept.remove(2);
        List<String> without = new ArrayList<>(kept);
        without.remove(4);
        assertThat(updated(stage, sshd, kept))
                .startsWith(without.toArray(String[]::new))
                .hasSize(without.size() + 2);
    }

    @Test
    void a_file_without_a_last_newline_and_one_that_is_complete(Stage stage) throws Exception {
        Sshd sshd = stage.sshd();
        String known = line(sshd, "ed25519", "host");
        assertThat(updated(stage, sshd, "# top\n" + known)).hasSize(4);
        assertThat(
                        updated(
                                stage,
                                sshd,
                                List.of(
                                        line(sshd, "rsa", "host"),
                                        known,
                                        line(sshd, "ecdsa", "host"))))
                .hasSize(3);
        assertThat(updated(stage, sshd, List.of(known, line(sshd, "ecdsa", "host")))).hasSize(3);
    }

    @Test
    void lines_that_somebody_wrote_by_hand_are_left_alone(Stage stage) throws Exception {
        Sshd sshd = stage.sshd();
        String name = "[" + sshd.address() + "]:" + sshd.port();
        String known = line(sshd, "ed25519", "host");
        for (String by :
                List.of(
                        line(name + ",a,b", "ed25519", "host"),
                        line("[127.*]:*", "ed25519", "host"),
                        known + "\nelse.example.com " + line("", "rsa", "host").strip(),
                        known + "\n@cert-authority " + line(name, "rsa", "user"),
                        known + "\n@revoked " + line(name, "rsa", "user"))) {
            assertThat(updated(stage, sshd, by + "\n")).isEqualTo(List.of(by.split("\n", -1)));
        }
    }

    @Test
    void an_address_beside_the_name_counts_where_it_is_checked(Stage stage) throws Exception {
        Sshd sshd = stage.sshd();
        updated(stage, sshd, List.of(line(sshd, "ed25519", "host")), "-o", "CheckHostIP=yes");
        updated(stage, sshd, List.of(line("one,two", "ed25519", "host")), "-o", "HostKeyAlias=ONE");
    }

    @Test
    void keys_are_not_learned_from_a_host_that_nobody_agreed_to(Stage stage) throws Exception {
        Sshd sshd = stage.sshd();
        assertThat(updated(stage, sshd, "", "-o", "StrictHostKeyChecking=accept-new")).hasSize(1);
        assertThat(updated(stage, sshd, "", "-o", "StrictHostKeyChecking=no")).hasSize(1);
        // Known in the file for all users: whoever writes that is not the person.
        Path global = stage.directory().resolve("global");
        Files.writeString(global, line(sshd, "ed25519", "host") + "\n");
        assertThat(updated(stage, sshd, "", "-o", "GlobalKnownHostsFile=" + global)).isEmpty();
    }

    @Test
    void only_algorithms_that_are_taken_are_learned_and_UpdateHostKeys_no_learns_none(Stage stage)
            throws Exception {
        Sshd sshd = stage.sshd();
        List<String> known = List.of(line(sshd, "ed25519", "host"));
        assertThat(updated(stage, sshd, known, "-o", "HostKeyAlgorithms=ssh-ed25519,rsa-sha2-256"))
                .hasSize(2);
        assertThat(
                        updated(
                                stage,
                                sshd,
                                List.of(line(sshd, "rsa", "host")),
                                "-o",
                                "HostKeyAlgorithms=rsa-sha2-256,ssh-ed25519"))
                .hasSize(2);
        Path file = stage.directory().resolve("learned");
        Files.write(file, known);
        for (String way : List.of("no", "ask")) {
            same(
                    stage,
                    sshd,
                    "-o",
                    "UserKnownHostsFile=" + file,
                    "-o",
                    "UpdateHostKeys=" + way,
                    "trial",
                    "true");
            assertThat(Files.readAllLines(file)).isEqualTo(known);
        }
    }

    @Test
    void hashed_names_are_written_hashed_and_a_link_stays_a_link(Stage stage) throws Exception {
        stage.onlyHoldfast("OpenSSH puts a file in the place of the link");
        Sshd sshd = stage.sshd();
        Path file = stage.directory().resolve("real");
        Path link = stage.directory().resolve("link");
        Files.writeString(file, line(sshd, "ed25519", "host") + "\n");
        Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rw-r-----"));
        Files.createSymbolicLink(link, file);
        String[] words = {
            "-o",
            "UserKnownHostsFile=" + link,
            "-o",
            "UpdateHostKeys=yes",
            "-o",
            "HashKnownHosts=yes",
            "trial",
            "true"
        };
        assertThat(seen(stage.ssh(sshd, words)).status()).isZero();
        assertThat(Files.isSymbolicLink(link)).isTrue();
        assertThat(Files.readAllLines(file))
                .hasSize(3)
                .filteredOn(line -> line.startsWith("|1|"))
                .hasSize(2);
        assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(file)))
                .isEqualTo("rw-r-----");
        // What was learned is known, to OpenSSH too.
        same(
                stage,
                sshd,
                "-o",
                "UserKnownHostsFile=" + link,
                "-o",
                "HostKeyAlgorithms=rsa-sha2-512",
                "trial",
                "true");
    }

    @Test
    void a_person_is_asked_before_the_shell_comes_up(Stage stage) throws Exception {
        Sshd sshd = stage.sshd("ForceCommand echo in");
        Path file = stage.directory().resolve("learned");
        String known = line(sshd, "ed25519", "host") + "\n";
        for (String answer : List.of("no", "yes")) {
            List<List<String>> results = new ArrayList<>();
            for (String client : List.of(openSsh(sshd), stage.words(sshd))) {
                Files.writeString(file, known);
                Terminal terminal = stage.terminal(120, 40);
                Terminal.Foreground running =
                        terminal.begin(
                                client
                                        + " -o UserKnownHostsFile="
                                        + file
                                        + " -o UpdateHostKeys=ask trial");
                terminal.await("Accept updated hostkeys? (yes/no):", SOON);
                terminal.line("perhaps");
                terminal.await("Please enter \"yes\" or \"no\"", SOON);
                terminal.line(answer);
                assertThat(running.end(SOON)).isZero();
                List<String> lines = new ArrayList<>(terminal.screen().lines().toList());
                // When the command's line comes is a matter of luck in OpenSSH.
                lines.removeIf(line -> !line.contains("ost key") && !line.contains("ostkey"));
                lines.addAll(Files.readAllLines(file));
                results.add(lines);
            }
            assertThat(results.getLast()).isEqualTo(results.getFirst());
        }
    }

    // --- escapes

    /** A remote command that says ready (the screen shows no such word before) and waits. */
    private static final String WAIT = "'printf \"re%s\\n\" ady; exec cat'";

    /** The screen after these escapes and {@code ~.}, lines of both clients' own left out. */
    private static List<String> escaped(
            Stage stage, String client, String options, List<List<String>> steps) {
        Terminal terminal = stage.terminal(120, 60);
        Terminal.Foreground running =
                terminal.begin("clear; " + client + " " + options + " -t trial " + WAIT);
        terminal.await("ready", SOON);
        for (List<String> step : steps) {
            terminal.type(step.getFirst());
            terminal.await(step.getLast(), SOON);
        }
        terminal.type("~.");
        assertThat(running.end(SOON)).isEqualTo(255);
        terminal.awaitPrompt(SOON);
        return terminal.screen()
                .lines()
                .map(line -> line.replaceFirst("#\\d+ (client-session) \\(.*\\)$", "# $1"))
                .filter(line -> !line.startsWith(" ~& "))
                // 9.4 was the first to have it.
                .filter(line -> !line.startsWith(" ~I "))
                .toList();
    }

    private static List<String> sameEscapes(
            Stage stage, Sshd sshd, String options, List<List<String>> steps) {
        List<String> theirs = escaped(stage, openSsh(sshd), options, steps);
        assertThat(escaped(stage, stage.words(sshd), options, steps)).isEqualTo(theirs);
        return theirs;
    }

    @Test
    void the_escapes_say_what_openssh_s_say(Stage stage) {
        Sshd sshd = stage.sshd();
        sameEscapes(
                stage,
                sshd,
                "",
                List.of(
                        List.of("~?", "immediately after newline"),
                        List.of("~#", "client-session"),
                        List.of("~B", "~B"),
                        List.of("~V", "~V [LogLevel ERROR]"),
                        List.of("~V", "~V [LogLevel FATAL]"),
                        List.of("~V", "~V [LogLevel SILENT]"),
                        List.of("~v", "~v [LogLevel FATAL]"),
                        List.of("~v", "~v [LogLevel ERROR]"),
                        List.of("~v", "~v [LogLevel INFO]"),
                        List.of("~C", "commandline disabled")));
    }

    @Test
    void a_log_that_goes_elsewhere_has_no_level_to_change(Stage stage) {
        Sshd sshd = stage.sshd();
        sameEscapes(
                stage,
                sshd,
                "-E " + stage.directory().resolve("log"),
                List.of(List.of("~v", "~v [Logging to syslog]")));
        sameEscapes(stage, sshd, "-y", List.of(List.of("~V", "~V [Logging to syslog]")));
    }

    /** What is typed after {@code ~C}, and what it is answered with. */
    private static List<String> commanded(Stage stage, String client, List<List<String>> commands)
            throws InterruptedException {
        Terminal terminal = stage.terminal(120, 100);
        Terminal.Foreground running =
                terminal.begin(
                        "clear; "
                                + client
                                + " -o EnableEscapeCommandline=yes -o PermitLocalCommand=yes"
                                + " -t trial "
                                + WAIT);
        terminal.await("ready", SOON);
        for (List<String> command : commands) {
            int prompts = count(terminal.screen(), "ssh>");
            terminal.type("~C");
            awaitCount(terminal, "ssh>", prompts + 1);
            int answers = count(terminal.screen(), command.getLast());
            terminal.line(command.getFirst());
            awaitCount(terminal, command.getLast(), answers + 1);
        }
        // The terminal is the session's again.
        terminal.line("typed on");
        awaitCount(terminal, "typed on", 2);
        terminal.type("~.");
        assertThat(running.end(SOON)).isEqualTo(255);
        terminal.awaitPrompt(SOON);
        return terminal.screen().lines().filter(line -> !line.isEmpty()).toList();
    }

    private static int count(String text, String part) {
        return (text.length() - text.replace(part, "").length()) / part.length();
    }

    private static void awaitCount(Terminal terminal, String part, int wanted)
            throws InterruptedException {
        Eventually.holds(
                SOON,
                () -> count(terminal.screen(), part) >= wanted,
                () -> "not " + wanted + " times: " + part + "\n" + terminal.screen());
    }

    @Test
    void the_command_line_says_what_openssh_s_says(Stage stage) throws Exception {
        Sshd sshd = stage.sshd();
        int port = Sshd.freePort();
        List<List<String>> commands =
                List.of(
                        List.of("h", "Execute local command"),
                        List.of("-L " + port + ":127.0.0.1:9", "Forwarding port."),
                        List.of("-KL " + port, "Canceled forwarding."),
                        List.of("-KL " + port, "Unknown port forwarding."),
                        List.of("  D" + port, "Forwarding port."),
                        List.of("-KL " + port, "Unknown port forwarding."),
                        List.of("-KD" + port, "Canceled forwarding."),
                        List.of("KX", "Invalid command."),
                        List.of("-L nonsense:", "Bad local forwarding specification."),
                        List.of("-R", "Bad remote forwarding specification."),
                        List.of("-KR", "Bad forwarding close specification."),
                        List.of("-KR 1", "Unknown port forwarding."),
                        List.of("-R " + port + ":127.0.0.1:9", "Forwarding port."),
                        List.of("-KR " + port, "Canceled forwarding."));
        assertThat(commanded(stage, stage.words(sshd), commands))
                .isEqualTo(commanded(stage, openSsh(sshd), commands));
    }

    @Test
    void what_the_command_line_forwards_is_forwarded_until_it_is_cancelled(Stage stage)
            throws Exception {
        Sshd sshd = stage.sshd();
        int here = Sshd.freePort();
        int there = Sshd.freePort();
        Terminal terminal = stage.terminal(120, 60);
        Terminal.Foreground running =
                terminal.begin(
                        stage.words(sshd) + " -o EnableEscapeCommandline=yes -t trial " + WAIT);
        terminal.await("ready", SOON);
        List<List<String>> ways =
                List.of(
                        List.of("L", Integer.toString(here)),
                        List.of("R", Integer.toString(there)));
        for (List<String> way : ways) {
            int port = Integer.parseInt(way.getLast());
            command(
                    terminal,
                    "-" + way.getFirst() + port + ":127.0.0.1:" + sshd.port(),
                    "Forwarding port.");
            awaitGreeting(port, true);
            command(terminal, "-K" + way.getFirst() + port, "Canceled forwarding.");
            awaitGreeting(port, false);
        }
        terminal.type("~.");
        assertThat(running.end(SOON)).isEqualTo(255);
    }

    private static void command(Terminal terminal, String line, String answer)
            throws InterruptedException {
        int prompts = count(terminal.screen(), "ssh>");
        int answers = count(terminal.screen(), answer);
        terminal.type("~C");
        awaitCount(terminal, "ssh>", prompts + 1);
        terminal.line(line);
        awaitCount(terminal, answer, answers + 1);
    }

    /** Whether sshd is to be reached over that port, or soon will be. */
    private static void awaitGreeting(int port, boolean wanted) throws InterruptedException {
        Eventually.holds(
                SOON, () -> greeted(port) == wanted, () -> "greeted on %d".formatted(port));
    }

    private static boolean greeted(int port) {
        try (Socket socket = new Socket(InetAddress.getLoopbackAddress(), port)) {
            socket.setSoTimeout((int) SOON.toMillis());
            return new String(socket.getInputStream().readNBytes(4), StandardCharsets.US_ASCII)
                    .equals("SSH-");
        } catch (IOException e) {
            return false;
        }
    }
}
