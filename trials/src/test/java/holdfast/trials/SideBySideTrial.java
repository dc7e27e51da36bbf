package holdfast.trials;

import static org.assertj.core.api.Assertions.assertThat;

import holdfast.trials.harness.Command;
import holdfast.trials.harness.Ended;
import holdfast.trials.harness.Keys;
import holdfast.trials.harness.Sshd;
import holdfast.trials.harness.Trees;
import java.io.IOException;
import java.net.Socket;
import java.net.SocketException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;

/** OpenSSH's sshd and ours under one configuration: what a client sees of either is the same. */
@ExtendWith(Staged.class)
final class SideBySideTrial {

    static final Duration SOON = Duration.ofSeconds(60);

    private static final Pattern REFUSAL =
            Pattern.compile("bad ownership .*|chroot path .*|safely_chroot: stat.*");

    /** What one server's client saw; ports and names that are made up are not told apart. */
    record Seen(int status, String out, String err) {

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

    static Seen same(Stage stage, List<Sshd> both, Somebody somebody, String... words)
            throws Exception {
        List<Seen> seen = new ArrayList<>();
        for (Sshd sshd : both) {
            seen.add(Seen.of(somebody.ssh(stage, sshd, words).input("").end(SOON), sshd));
        }
        assertThat(seen.get(1)).as("%s", Arrays.asList(words)).isEqualTo(seen.get(0));
        return seen.get(0);
    }

    static List<Sshd> both(Stage stage, String... settings) {
        List<String> ours = new ArrayList<>(Arrays.asList(settings));
        ours.addFirst("PerSourcePenalties no"); // which Debian's is too old to know
        return List.of(stage.sshd(settings), stage.holdfastSshd(ours.toArray(String[]::new)));
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

    @Test
    void a_client_is_told_what_its_key_may_do(Stage stage) throws Exception {
        for (String options :
                List.of(
                        "",
                        "restrict ",
                        "restrict,pty,command=\"true\" ",
                        "no-pty,no-user-rc,no-agent-forwarding ",
                        "permitopen=\"host:1\",permitlisten=\"1\",environment=\"A=b\" ",
                        "expiry-time=\"20990101\" ",
                        "from=\"192.0.2.1\" ",
                        "expiry-time=\"20010101\" ",
                        "principals=\"somebody\" ")) {
            List<List<String>> told = new ArrayList<>();
            for (Sshd sshd : both(stage, "PermitUserEnvironment yes")) {
                String key = Files.readString(sshd.authorizedKeys());
                // The second line lets in whom the first refuses.
                Files.writeString(sshd.authorizedKeys(), options + key + key);
                Ended ended = stage.openSsh(sshd, "-v", "trial", "true").end(SOON);
                assertThat(ended.status()).as(ended.err()).isZero();
                String directory = sshd.directory().toString();
                told.add(
                        ended.err()
                                .replace(directory, "DIRECTORY")
                                .lines()
                                .filter(line -> line.startsWith("debug1: Remote: "))
                                .toList());
            }
            assertThat(told.get(1)).as(options).isEqualTo(told.get(0)).isNotEmpty();
        }
    }

    // --- the log

    /** Lines that only one of them has: of OpenSSH's processes, and of a session's end. */
    private static final Pattern ITS_OWN =
            Pattern.compile(
                    "User child is on pid .*|syslogin_perform_logout: .*|Close session: .*"
                            + "|Connection from .* rdomain .*"
                            // A command is taken at its word, and then looked at how it ended.
                            + "|Accepted key .*/(fails|dies)\\b.*");

    /** What is told last of a connection. */
    private static final Pattern LAST =
            Pattern.compile(
                    "(Disconnected from |Disconnecting |Connection closed by |Connection reset by "
                            + "|Closing connection to |Unable to negotiate |ssh_dispatch_run_fatal"
                            + "|banner exchange: ).*");

    /** A sha512 of crypt(3) of {@code trial}. */
    private static final String PASSWORD =
            "$6$trialtrial$EJnOChoNpATx5gwwW/C6Z979nYY3l/0efgjC1PnM9QfIfXJparykAEgSJbu7/Gl"
                    + "/br3w4AQN2CBqbE6/djTcJ/";

    /** What a client does with one server. */
    interface Doing {
        void to(Sshd sshd) throws Exception;
    }

    private static List<String> lines(Sshd sshd, int from) {
        return sshd.log()
                .substring(from)
                .replace("\r", "")
                .lines()
                .map(line ->
                        line.replace(sshd.directory().toString(), "DIRECTORY")
                                .replaceAll("\\b" + sshd.port() + "\\b", "PORT")
                                .replaceAll("(127\\.0\\.0\\.1|::1) port \\d+", "$1 port N")
                                .replaceAll("sent \\d+, received \\d+", "sent N, received N"))
                .filter(line -> !ITS_OWN.matcher(line).matches())
                .toList();
    }

    /**
     * What each server's log says of the same is the same. It is written by threads and processes
     * of their own, in an order of their own at times: it is looked at until it agrees.
     */
    static List<String> told(List<Sshd> both, String what, Doing doing) throws Exception {
        int[] from = {both.get(0).log().length(), both.get(1).log().length()};
        for (Sshd sshd : both) {
            doing.to(sshd);
        }
        long deadline = System.nanoTime() + Duration.ofSeconds(30).toNanos();
        while (true) {
            List<String> theirs = lines(both.get(0), from[0]);
            List<String> ours = lines(both.get(1), from[1]);
            boolean whole = theirs.stream().anyMatch(line -> LAST.matcher(line).matches());
            if (whole && sorted(theirs).equals(sorted(ours))) {
                return ours;
            }
            if (System.nanoTime() > deadline) {
                assertThat(String.join("\n", ours)).as(what).isEqualTo(String.join("\n", theirs));
            }
            Thread.sleep(20);
        }
    }

    static List<String> sorted(List<String> lines) {
        return lines.stream().sorted().toList();
    }

    /** Says something before SSH begins, and reads until the server has had enough of it. */
    static Doing saying(String text) {
        return sshd -> {
            try (Socket socket = new Socket(sshd.address(), sshd.port())) {
                socket.setSoTimeout((int) SOON.toMillis());
                socket.getOutputStream().write(text.getBytes(StandardCharsets.ISO_8859_1));
                socket.shutdownOutput();
                socket.getInputStream().readAllBytes();
            } catch (SocketException reset) {
                // it had enough before we had said all
            }
        };
    }

    @Test
    void programs_that_watch_the_log_read_the_same_lines(Stage stage) throws Exception {
        Stage.needsRoot("passwords are checked by root");
        try (Somebody somebody = Somebody.made(stage)) {
            good(stage.run("usermod", "-p", PASSWORD, somebody.name));
            Path right = stage.directory().resolve("right");
            Path wrong = stage.directory().resolve("wrong");
            for (Path ask : List.of(right, wrong)) {
                Files.writeString(
                        ask, "#!/bin/sh\necho " + (ask.equals(right) ? "trial" : "no") + "\n");
                Files.setPosixFilePermissions(ask, PosixFilePermissions.fromString("rwx------"));
            }
            List<Sshd> both = both(stage, "PasswordAuthentication yes");
            String[] passwords = {
                "-o", "PubkeyAuthentication=no", "-o", "NumberOfPasswordPrompts=2"
            };
            record Ask(String who, Path how, String... words) {}
            for (Ask ask :
                    List.of(
                            new Ask(somebody.name, right, "true"),
                            new Ask(somebody.name, wrong, "true"),
                            new Ask("nobodyatall", wrong, "true"),
                            new Ask("od d\\na\u00efme", wrong, "true"),
                            new Ask("root", wrong, "-o", "NumberOfPasswordPrompts=9", "true"))) {
                List<String> told =
                        told(
                                both,
                                ask.who + " by password",
                                sshd -> {
                                    List<String> words = new ArrayList<>();
                                    String[] rest = ask.words;
                                    words.addAll(Arrays.asList(rest).subList(0, rest.length - 1));
                                    words.addAll(Arrays.asList(passwords));
                                    words.addAll(List.of("-l", ask.who, "trial", "true"));
                                    stage.openSsh(sshd, words.toArray(String[]::new))
                                            .env("SSH_ASKPASS", ask.how.toString())
                                            .env("SSH_ASKPASS_REQUIRE", "force")
                                            .input("")
                                            .end(SOON);
                                });
                assertThat(told)
                        .anyMatch(line ->
                                line.startsWith(
                                        ask.how.equals(right)
                                                ? "Accepted password for "
                                                : "Failed password for "));
            }
            String stranger = Keys.of("ed25519", "stranger").toString();
            for (List<String> words :
                    List.of(
                            List.of("-l", somebody.name, "trial", "true"),
                            List.of("-i", stranger, "-F", "none"),
                            List.of("-l", "nobodyatall", "trial", "true"),
                            List.of("-l", somebody.name, "-s", "trial", "nosuch"),
                            List.of("-o", "KexAlgorithms=diffie-hellman-group1-sha1", "trial"),
                            List.of("-o", "Ciphers=3des-cbc", "trial"),
                            List.of("-o", "HostKeyAlgorithms=ssh-dss", "trial"))) {
                told(
                        both,
                        words.toString(),
                        sshd -> {
                            List<String> all = new ArrayList<>(List.of("-o", "BatchMode=yes"));
                            if (words.contains(stranger)) {
                                all.addAll(List.of("-o", "IdentitiesOnly=yes", "-i", stranger));
                                all.addAll(List.of("-o", "StrictHostKeyChecking=no"));
                                all.addAll(List.of("-o", "UserKnownHostsFile=/dev/null"));
                                all.addAll(List.of("-p", "" + sshd.port(), "-F", "none"));
                                all.addAll(List.of("-l", somebody.name, sshd.address(), "true"));
                                stage.run(words("ssh", all)).input("").end(SOON);
                            } else {
                                all.addAll(words);
                                stage.openSsh(sshd, all.toArray(String[]::new)).input("").end(SOON);
                            }
                        });
            }
            for (String text :
                    List.of(
                            "",
                            "GET / HTTP/1.0\r\n\r\n",
                            "SSH-1.5-old\r\n",
                            "SSH-2.0-some\r\n",
                            "SSH-2.0-some\r\n" + "\u007f\u00ff\u00ff\u00ff".repeat(8),
                            "\u0016\u0003\u0001\u0002\n",
                            "x".repeat(9000) + "\n")) {
                told(both, text, saying(text));
            }
        }
    }

    private static String[] words(String first, List<String> rest) {
        List<String> all = new ArrayList<>(List.of(first));
        all.addAll(rest);
        return all.toArray(String[]::new);
    }

    @Test
    void who_is_kept_out_and_why_is_told_alike(Stage stage) throws Exception {
        Stage.needsRoot("only root lets others in");
        try (Somebody somebody = Somebody.made(stage)) {
            Path ssh = Files.createDirectory(somebody.home.resolve(".ssh"));
            Path keys = ssh.resolve("authorized_keys");
            Files.writeString(keys, Keys.publicLine(Keys.of("ed25519", "user")) + "\n");
            good(stage.run("chown", "-R", somebody.name, ssh.toString()));
            String home = somebody.home.toString();
            record Case(String label, String... settings) {}
            for (Case one :
                    List.of(
                            new Case("in", "AllowUsers root " + somebody.name + "@127.0.0.0/8"),
                            new Case("by name", "UseDNS yes", "AllowUsers *@localhost"),
                            new Case("elsewhere", "UseDNS no", "AllowUsers *@localhost"),
                            new Case("group", "AllowGroups root"),
                            new Case("methods", "AuthenticationMethods publickey,publickey"))) {
                List<Sshd> both = both(stage, one.settings);
                told(
                        both,
                        one.label,
                        sshd ->
                                somebody.ssh(stage, sshd, "-o", "BatchMode=yes", "echo in")
                                        .input("")
                                        .end(SOON));
            }
            List<Sshd> strict =
                    both(
                            stage,
                            "StrictModes yes",
                            "AuthorizedKeysFile .ssh/authorized_keys .ssh/none");
            for (String change :
                    List.of(
                            "true",
                            "chmod 666 " + keys,
                            "chmod 777 " + ssh,
                            "chown nobody " + ssh,
                            "chown nobody " + keys,
                            "chmod 000 " + keys,
                            "rm -f " + keys + "; mkdir " + keys)) {
                good(stage.shell(change));
                List<String> told =
                        told(
                                strict,
                                change,
                                sshd ->
                                        somebody.ssh(stage, sshd, "-o", "BatchMode=yes", "echo in")
                                                .input("")
                                                .end(SOON));
                assertThat(told.toString())
                        .contains(
                                change.equals("true") ? "Accepted publickey" : "Failed publickey");
                good(
                        stage.shell(
                                "chown "
                                        + somebody.name
                                        + " "
                                        + ssh
                                        + " "
                                        + keys
                                        + "; chmod 700 "
                                        + ssh
                                        + "; chmod 600 "
                                        + keys
                                        + "; chmod 755 "
                                        + home));
            }
        }
    }

    @Test
    void commands_that_list_keys_are_asked_alike(Stage stage) throws Exception {
        Stage.needsRoot("only root runs them as somebody else");
        // All above it must be root's alone: not below /tmp.
        Path place = Files.createTempDirectory(Path.of("/run"), "hfs");
        try (Somebody somebody = Somebody.made(stage)) {
            Files.setPosixFilePermissions(place, PosixFilePermissions.fromString("rwxr-xr-x"));
            String key = Keys.publicLine(Keys.of("ed25519", "user"));
            Path list =
                    script(
                            place.resolve("list"),
                            "printf 'environment=\"TOLD=%s\" ' \"$(id -un) $PWD $PATH $*\"",
                            "echo '" + key + "'");
            Path fails = script(place.resolve("fails"), "echo '" + key + "'", "exit 3");
            Path dies = script(place.resolve("dies"), "echo '" + key + "'", "kill -9 $$");
            Path his = script(place.resolve("his"), "echo '" + key + "'");
            good(stage.run("chown", somebody.name, his.toString()));
            Path inert = Files.writeString(place.resolve("inert"), "echo no\n");
            for (String command :
                    List.of(
                            list + " %f %h %k %t %U %u %% \"a b\"",
                            list.toString(),
                            fails + " \"a b\" %u",
                            dies.toString(),
                            his.toString(),
                            inert.toString(),
                            place + "/none")) {
                List<Sshd> both =
                        both(
                                stage,
                                "AuthorizedKeysFile none",
                                "AuthorizedKeysCommand " + command,
                                // It takes a token as well.
                                "AuthorizedKeysCommandUser "
                                        + (command.equals(list.toString()) ? "%u" : "nobody"),
                                "PermitUserEnvironment yes");
                String[] ask = {"-o", "BatchMode=yes", "echo $TOLD"};
                told(both, command, sshd -> somebody.ssh(stage, sshd, ask).input("").end(SOON));
                Seen seen = same(stage, both, somebody, ask);
                assertThat(seen.status())
                        .as(command)
                        .isEqualTo(command.contains("/list") ? 0 : 255);
            }
        } finally {
            Trees.remove(place);
        }
    }

    private static Path script(Path file, String... lines) throws IOException {
        Files.writeString(file, "#!/bin/sh\n" + String.join("\n", lines) + "\n");
        Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rwxr-xr-x"));
        return file;
    }

    // --- what a session is told and may do

    @Test
    void a_session_is_greeted_and_furnished_alike(Stage stage) throws Exception {
        Stage.needsRoot("only root opens PAM's sessions");
        try (Somebody somebody = Somebody.made(stage)) {
            Path banner = Files.writeString(stage.directory().resolve("banner"), "Wait \u00e9\n");
            for (String pam : List.of("no", "yes")) {
                List<Sshd> both =
                        both(
                                stage,
                                "UsePAM " + pam,
                                "PrintMotd yes",
                                "PrintLastLog yes",
                                "Banner " + banner,
                                "AcceptEnv FOO BAR KEY",
                                "SetEnv FOO=server SHLVL=2",
                                "PermitUserEnvironment KEY,HOME*",
                                "Match User root",
                                "Banner none");
                for (Sshd sshd : both) {
                    String key = Files.readString(sshd.authorizedKeys());
                    Files.writeString(
                            sshd.authorizedKeys(),
                            "environment=\"KEY=key\",environment=\"NOT=key\",environment=\"FOO=key\" "
                                    + key);
                }
                Seen in =
                        same(
                                stage,
                                both,
                                somebody,
                                "-o",
                                "SetEnv=FOO=client BAR=client KEY=client",
                                "echo $FOO $BAR $KEY $NOT; exec cat /dev/null");
                assertThat(in.out()).isEqualTo("server client key\n");
                assertThat(in.err()).isEqualTo("Wait \u00e9\n");
                // A shell that only greets.
                good(stage.run("usermod", "-s", "/bin/true", somebody.name));
                same(stage, both, somebody, "-T", "-o", "LogLevel=ERROR", "-n");
                good(stage.run("usermod", "-s", "/bin/sh", somebody.name));
            }
        }
    }

    @Test
    void what_was_chosen_for_a_users_environment_holds_alike(Stage stage) throws Exception {
        Stage.needsRoot("only root opens PAM's sessions");
        try (Somebody somebody = Somebody.made(stage)) {
            Path tells =
                    Files.writeString(
                            stage.directory().resolve("shell"),
                            "#!/bin/sh\necho $HOME $USER $LOGNAME $PATH $SHELL; pwd\n");
            Files.setPosixFilePermissions(tells, PosixFilePermissions.fromString("rwxr-xr-x"));
            for (String pam : List.of("no", "yes")) {
                for (String chosen :
                        List.of("HOME=/tmp LOGNAME=other", "USER=x PATH=/bin", "A=b")) {
                    List<Sshd> both = both(stage, "UsePAM " + pam, "SetEnv " + chosen);
                    good(stage.run("usermod", "-s", "/bin/sh", somebody.name));
                    same(stage, both, somebody, "echo $HOME $USER $LOGNAME $PATH $SHELL; pwd");
                    // A login shell that changes nothing of it.
                    good(stage.run("usermod", "-s", tells.toString(), somebody.name));
                    same(stage, both, somebody, "-T", "-o", "LogLevel=ERROR", "-n");
                }
            }
        }
    }

    @Test
    void a_session_begins_in_a_home_that_its_user_may_enter_alike(Stage stage) throws Exception {
        Stage.needsRoot("somebody else logs in");
        try (Somebody somebody = Somebody.made(stage)) {
            Path rc = Files.createDirectories(somebody.home.resolve(".ssh")).resolve("rc");
            Files.writeString(rc, "echo their rc in $(pwd)\n");
            String said = "Could not chdir to home directory " + somebody.home + ": ";
            for (String pam : List.of("no", "yes")) {
                List<Sshd> both =
                        both(
                                stage,
                                "UsePAM " + pam,
                                "StrictModes no",
                                "Subsystem files internal-sftp");
                for (String[] home :
                        new String[][] {
                            {"0700", somebody.home + "\n", ""},
                            {"0000", "/\n", said + "Permission denied\n"},
                        }) {
                    good(stage.run("chown", "-R", somebody.name, somebody.home.toString()));
                    good(stage.run("chmod", home[0], somebody.home.toString()));
                    String ran = home[0].equals("0700") ? "their rc in " + home[1] : "";
                    for (String shell : List.of("/bin/sh", "/bin/bash")) {
                        good(stage.run("usermod", "-s", shell, somebody.name));
                        Seen in = same(stage, both, somebody, "pwd; echo ${OLDPWD-none}");
                        assertThat(in.out()).isEqualTo(ran + home[1] + "none\n");
                        assertThat(in.err()).startsWith(home[2]);
                        for (String terminal : List.of("-T", "-tt")) {
                            same(stage, both, somebody, terminal, "pwd");
                        }
                    }
                    for (Sshd sshd : both) {
                        assertThat(
                                        stage.run(
                                                        "sftp",
                                                        "-F",
                                                        sshd.config().toString(),
                                                        "-q",
                                                        "-s",
                                                        "files",
                                                        "-b",
                                                        "-",
                                                        somebody.name + "@trial")
                                                .input("pwd\n")
                                                .end(SOON)
                                                .out())
                                .endsWith("directory: " + home[1]);
                    }
                }
                Path away = somebody.home.resolveSibling(somebody.name + ".away");
                good(stage.run("mv", somebody.home.toString(), away.toString()));
                try {
                    assertThat(same(stage, both, somebody, "pwd").err())
                            .isEqualTo(said + "No such file or directory\n");
                } finally {
                    good(stage.run("mv", away.toString(), somebody.home.toString()));
                }
            }
        }
    }

    @Test
    void the_errors_of_a_subsystem_are_for_nobody_alike(Stage stage) throws Exception {
        Stage.needsRoot("somebody else logs in");
        try (Somebody somebody = Somebody.made(stage)) {
            Path noisy =
                    Files.writeString(
                            stage.directory().resolve("noisy"),
                            "#!/bin/sh\nyes | head -c 3000000 >&2; echo told; exit 3\n");
            Files.setPosixFilePermissions(noisy, PosixFilePermissions.fromString("rwxr-xr-x"));
            for (String pam : List.of("no", "yes")) {
                List<Sshd> both =
                        both(
                                stage,
                                "UsePAM " + pam,
                                "Subsystem noisy " + noisy,
                                "Subsystem absent /nonexistent/program");
                assertThat(same(stage, both, somebody, "-s", "noisy").out()).isEqualTo("told\n");
                same(stage, both, somebody, "-s", "absent");
            }
        }
    }

    @Test
    void what_a_group_may_write_is_believed_alike(Stage stage) throws Exception {
        Stage.needsRoot("for users with homes and groups of their own");
        try (Somebody somebody = Somebody.made(stage);
                Somebody other = Somebody.made(stage)) {
            List<Sshd> both =
                    both(stage, "StrictModes yes", "AuthorizedKeysFile .ssh/authorized_keys");
            Path ssh = Files.createDirectories(somebody.home.resolve(".ssh"));
            String keys = "";
            for (Sshd sshd : both) {
                keys += Files.readString(sshd.authorizedKeys());
            }
            Path file = Files.writeString(ssh.resolve("authorized_keys"), keys);
            String[] ask = {"-o", "BatchMode=yes", "echo in"};
            String own = somebody.name + ":" + somebody.name;
            for (String change :
                    List.of(
                            "chown -R " + own + " " + ssh + "; chmod 664 " + file,
                            "chmod 775 " + ssh,
                            "chmod 770 " + somebody.home)) {
                good(stage.shell(change));
                assertThat(same(stage, both, somebody, ask).out()).as(change).isEqualTo("in\n");
            }
            for (String change :
                    List.of(
                            "gpasswd -a " + other.name + " " + somebody.name,
                            "gpasswd -d "
                                    + other.name
                                    + " "
                                    + somebody.name
                                    + "; chgrp "
                                    + other.name
                                    + " "
                                    + file,
                            "chgrp " + somebody.name + " " + file + "; chmod 666 " + file)) {
                good(stage.shell(change));
                assertThat(same(stage, both, somebody, ask).status()).as(change).isEqualTo(255);
            }
        }
    }

    @Test
    void what_may_be_forwarded_and_run_is_decided_alike(Stage stage) throws Exception {
        Stage.needsRoot("somebody else logs in");
        try (Somebody somebody = Somebody.made(stage)) {
            int port = Sshd.freePort();
            for (String setting :
                    List.of(
                            "AllowTcpForwarding no",
                            "PermitListen localhost:" + port,
                            "PermitOpen none")) {
                List<Sshd> both = both(stage, setting);
                same(stage, both, somebody, "-W", "127.0.0.1:1", "-n");
                String path = stage.directory().resolve("r%d").toString();
                for (String where : List.of("127.0.0.1:" + port, path)) {
                    List<Integer> statuses = new ArrayList<>();
                    for (Sshd sshd : both) {
                        String at = where.formatted(sshd.port());
                        statuses.add(
                                somebody.ssh(
                                                stage,
                                                sshd,
                                                "-o",
                                                "ExitOnForwardFailure=yes",
                                                "-R",
                                                at + ":127.0.0.1:1",
                                                "true")
                                        .input("")
                                        .end(SOON)
                                        .status());
                    }
                    assertThat(statuses.get(1))
                            .as("%s %s", setting, where)
                            .isEqualTo(statuses.get(0));
                }
            }
            for (String setting :
                    List.of(
                            "ForceCommand internal-sftp",
                            "ForceCommand echo forced \"$SSH_ORIGINAL_COMMAND\"; exit 3")) {
                List<Sshd> both = both(stage, setting);
                same(stage, both, somebody, "echo 'mine  it is'");
                if (!setting.contains("sftp")) { // with -e its log is a terminal's errors
                    same(stage, both, somebody, "-tt", "echo mine");
                }
                same(stage, both, somebody, "-s", "sftp");
            }
        }
    }

    @Test
    void what_is_not_utf_8_and_homes_arrive_in_any_locale(Stage stage) throws Exception {
        Stage.needsRoot("somebody has a home of another name");
        try (Somebody somebody = Somebody.made(stage)) {
            // A directory with a letter in UTF-8 and one in Latin-1, which no locale has both of.
            String own = "$(printf '" + somebody.home + "/h\\303\\266\\344')";
            good(
                    stage.shell(
                            "mkdir \""
                                    + own
                                    + "\" && usermod -d \""
                                    + own
                                    + "\" "
                                    + somebody.name));
            Path lists = Files.createDirectory(stage.directory().resolve("lists"));
            Files.setPosixFilePermissions(lists, PosixFilePermissions.fromString("rwxr-xr-x"));
            String place = lists + "/\u00fc";
            for (String pam : List.of("no", "yes")) {
                String[] settings = {
                    "UsePAM " + pam,
                    "AcceptEnv X",
                    "PermitUserEnvironment yes",
                    "AuthorizedKeysFile " + place
                };
                List<Sshd> both =
                        List.of(
                                stage.sshd(settings),
                                stage.holdfastSshd(Map.of("LC_ALL", "C"), settings));
                // The list's name, and what its options say, are bytes too.
                good(
                        stage.shell(
                                "{ printf 'environment=\"Y=\\344\" ';  cat "
                                        + both.getFirst().authorizedKeys()
                                        + "; } > $(printf '"
                                        + lists
                                        + "/\\303\\274')"));
                Seen in =
                        same(
                                stage,
                                both,
                                somebody,
                                "pwd | od -An -tx1; printf %s \"$HOME$Y\" | od -An -tx1");
                assertThat(in.out()).contains("c3 b6 e4 0a").endsWith("c3 b6 e4 e4\n");
                good(
                        stage.shell(
                                "{ printf 'command=\"printf %%s \\344$SSH_ORIGINAL_COMMAND\" '; cat "
                                        + both.getFirst().authorizedKeys()
                                        + "; } > $(printf '"
                                        + lists
                                        + "/\\303\\274')"));
                for (Sshd sshd : both) {
                    String words =
                            String.join(" ", somebody.ssh(stage, sshd, "$(printf '\\374')").argv());
                    Ended said = stage.shell(words + " | od -An -tx1").end(SOON);
                    assertThat(said.out().strip()).as(said.err()).isEqualTo("e4 fc");
                }
                Seen sftp = same(stage, both, somebody, "-s", "sftp");
                assertThat(sftp.status()).isZero();
            }
        }
    }

    static void good(Command command) throws Exception {
        Ended ended = command.end(SOON);
        assertThat(ended.status()).as("%s%s", ended.err(), ended.out()).isZero();
    }
}
