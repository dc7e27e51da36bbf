package holdfast.trials;

import static holdfast.trials.SideBySideTrial.SOON;
import static holdfast.trials.SideBySideTrial.both;
import static holdfast.trials.SideBySideTrial.good;
import static holdfast.trials.SideBySideTrial.same;
import static holdfast.trials.SideBySideTrial.saying;
import static holdfast.trials.SideBySideTrial.told;
import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static org.assertj.core.api.Assertions.assertThat;

import holdfast.trials.harness.Client;
import holdfast.trials.harness.Command;
import holdfast.trials.harness.Ended;
import holdfast.trials.harness.Eventually;
import holdfast.trials.harness.Keys;
import holdfast.trials.harness.Running;
import holdfast.trials.harness.Sshd;
import java.io.IOException;
import java.io.InputStream;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;

/**
 * OpenSSH's sshd and ours under one configuration, as whoever swaps the one for the other sees
 * them: how they start and end, whom they turn away, and what they say of it.
 */
@ExtendWith(Staged.class)
final class SwapTrial {

    // --- whom it turns away before a login

    /** What those who came were told, and what the log says of MaxStartups. */
    private record Door(List<String> answers, List<String> log) {}

    private static Door door(Stage stage, Sshd sshd, String... sources) throws Exception {
        int before = sshd.log().length();
        List<String> answers = new ArrayList<>();
        List<Socket> open = new ArrayList<>();
        try {
            for (String source : sources) {
                Socket socket =
                        new Socket(sshd.address(), sshd.port(), InetAddress.getByName(source), 0);
                open.add(socket);
                socket.setSoTimeout((int) SOON.toMillis());
                InputStream in = socket.getInputStream();
                String line = line(in);
                // 9.7 and before say it in other words.
                line = line.equals("Exceeded MaxStartups") ? "Not allowed at this time" : line;
                answers.add(line.startsWith("SSH-2.0-") ? "in" : line + in.read());
            }
        } finally {
            for (Socket socket : open) {
                socket.close();
            }
        }
        // They are counted until the server has seen them go.
        long gone = answers.stream().filter("in"::equals).count();
        while (sshd.log().substring(before).split("Connection closed by", -1).length <= gone) {
            Thread.sleep(20);
        }
        Thread.sleep(300);
        long deadline = System.nanoTime() + SOON.toNanos();
        while (!sshd.log().substring(before).contains("exited MaxStartups")) {
            assertThat(System.nanoTime()).as(sshd.log()).isLessThan(deadline);
            stage.openSsh(sshd, "trial", "true").end(SOON);
        }
        return new Door(
                answers,
                sshd.log()
                        .substring(before)
                        .lines()
                        .filter(one -> one.contains("MaxStartups"))
                        .map(one ->
                                one.replaceAll("\\]:\\d+", "]:N")
                                        .replaceAll("after [0-9:]+,", "after a while,"))
                        .toList());
    }

    private static String line(InputStream in) throws IOException {
        StringBuilder line = new StringBuilder();
        int c;
        while ((c = in.read()) >= 0 && c != '\n') {
            if (c != '\r') {
                line.append((char) c);
            }
        }
        return line.toString();
    }

    @Test
    void who_comes_when_too_many_are_at_the_door_is_turned_away_alike(Stage stage)
            throws Exception {
        record Case(String[] sources, String... settings) {}
        String here = "127.0.0.1";
        for (Case one :
                List.of(
                        new Case(
                                new String[] {here, here, here, here, here, here},
                                "MaxStartups 3:100:3"),
                        new Case(
                                new String[] {here, here, here, here, here},
                                "MaxStartups 3:100:3",
                                "LogLevel INFO"),
                        new Case(
                                new String[] {here, here, here, "127.0.0.2", here},
                                "PerSourceMaxStartups 2"),
                        new Case(
                                new String[] {here, "127.0.0.2", "127.0.0.3", "127.0.1.1"},
                                "PerSourceMaxStartups 2",
                                "PerSourceNetBlockSize 24:64"))) {
            List<Door> doors = new ArrayList<>();
            for (Sshd sshd : both(stage, one.settings)) {
                doors.add(door(stage, sshd, one.sources));
            }
            assertThat(doors.get(1)).as("%s", Arrays.asList(one.settings)).isEqualTo(doors.get(0));
            assertThat(doors.get(0).answers).contains("in", "Not allowed at this time-1");
            assertThat(doors.get(0).log).hasSizeGreaterThan(2);
        }
    }

    @Test
    void who_takes_too_long_or_asks_for_too_much_is_told_alike(Stage stage) throws Exception {
        Stage.needsRoot("somebody else logs in");
        List<List<String>> graces = new ArrayList<>();
        for (Sshd sshd : both(stage, "LoginGraceTime 1")) {
            for (String said : List.of("", "SSH-2.0-slow\r\n")) {
                try (Socket socket = new Socket(sshd.address(), sshd.port())) {
                    socket.setSoTimeout((int) SOON.toMillis());
                    socket.getOutputStream().write(said.getBytes(ISO_8859_1));
                    socket.getInputStream().readAllBytes();
                }
            }
            // Debian's of before 9.8 tells nothing of it.
            sshd.awaitLog(
                    graces.isEmpty()
                            ? "Connection from"
                            : "(?s)Timeout before authentication.*Timeout before authentication");
            graces.add(
                    sshd.log()
                            .lines()
                            .filter(line -> !line.startsWith("Server listening"))
                            .filter(line -> !line.startsWith("Timeout before authentication"))
                            .map(line ->
                                    line.replaceAll("port " + sshd.port(), "port OURS")
                                            .replaceAll("port \\d+", "port N"))
                            .toList());
        }
        assertThat(graces.get(1)).isEqualTo(graces.get(0));
        try (Somebody somebody = Somebody.made(stage)) {
            for (String setting :
                    List.of(
                            "MaxSessions 0",
                            "MaxAuthTries 1",
                            "MaxAuthTries 2",
                            "MaxAuthTries 3")) {
                List<Sshd> both = both(stage, setting);
                String stranger = Keys.of("ed25519", "stranger").toString();
                String other = Keys.of("rsa", "stranger").toString();
                for (String method : List.of("", "-i")) {
                    String[] words =
                            method.isEmpty()
                                    ? new String[] {"-o", "BatchMode=yes", "echo in"}
                                    : new String[] {
                                        "-o",
                                        "BatchMode=yes",
                                        "-o",
                                        "IdentityFile=" + stranger,
                                        "-o",
                                        "IdentityFile=" + other,
                                        "echo in"
                                    };
                    List<String> seen = new ArrayList<>();
                    told(
                            both,
                            setting + method,
                            sshd -> {
                                Ended ended = somebody.ssh(stage, sshd, words).input("").end(SOON);
                                seen.add(
                                        ended.status()
                                                + ended.out()
                                                + ended.err()
                                                        .replaceAll(
                                                                "port " + sshd.port(), "port N"));
                            });
                    assertThat(seen.get(1)).as(setting + method).isEqualTo(seen.get(0));
                }
            }
        }
    }

    @Test
    void who_says_a_megabyte_in_place_of_a_name_is_shown_out_alike(Stage stage) throws Exception {
        List<Sshd> both = both(stage, "LoginGraceTime 60");
        int mega = 1 << 20;
        for (String text :
                List.of(
                        "x".repeat(mega),
                        "SSH-2.0-" + "x".repeat(mega) + "\r\n",
                        "hello\r\n".repeat(1000) + "SSH-2.0-late\r\n",
                        "\r\n".repeat(1000),
                        "\0".repeat(mega))) {
            told(both, text.substring(0, 20), saying(text));
        }
        Sshd ours = both.get(1);
        long before = Running.peakKib(ours.pid());
        List<Thread> crowd = new ArrayList<>();
        for (int i = 0; i < 40; i++) {
            crowd.add(
                    Thread.ofVirtual()
                            .start(() -> {
                                try {
                                    saying("SSH-2.0-" + "x".repeat(mega)).to(ours);
                                } catch (Exception shownOut) {
                                    // as it is to be
                                }
                            }));
        }
        for (Thread one : crowd) {
            one.join();
        }
        assertThat(Running.peakKib(ours.pid()) - before).isLessThan(40 * 1024);
        assertThat(stage.openSsh(ours, "trial", "echo in").end(SOON).out()).isEqualTo("in\n");
    }

    // --- mistakes of the configuration that show at a login

    @Test
    void a_token_that_there_is_none_of_ends_the_login_alike(Stage stage) throws Exception {
        Stage.needsRoot("only root runs commands as somebody else");
        try (Somebody somebody = Somebody.made(stage)) {
            for (String setting :
                    List.of(
                            "AuthorizedKeysFile /nowhere/%q",
                            "AuthorizedKeysCommand /bin/echo %q", "AuthorizedKeysCommandUser %q")) {
                List<Sshd> both =
                        setting.startsWith("AuthorizedKeysCommand ")
                                ? both(
                                        stage,
                                        "AuthorizedKeysFile none",
                                        setting,
                                        "AuthorizedKeysCommandUser nobody")
                                : setting.startsWith("AuthorizedKeysCommandUser")
                                        ? both(
                                                stage,
                                                "AuthorizedKeysFile none",
                                                "AuthorizedKeysCommand /bin/echo",
                                                setting)
                                        : both(stage, setting);
                String[] ask = {"-o", "BatchMode=yes", "echo in"};
                assertThat(same(stage, both, somebody, ask).status()).isEqualTo(255);
                List<List<String>> lines = new ArrayList<>();
                for (Sshd sshd : both) {
                    lines.add(sshd.log().lines().filter(line -> line.contains("%q")).toList());
                }
                assertThat(lines.get(1)).as(setting).isEqualTo(lines.get(0)).isNotEmpty();
            }
        }
    }

    // --- words and statuses

    private static final String OPENSSH_VERSION = "OpenSSH_[^\n]*\n";

    /** One program's end, without what differs by version and place. */
    private record Said(int status, String out, String err) {
        static Said of(Ended ended) {
            return new Said(
                    ended.status(),
                    ended.out(),
                    ended.err()
                            .replace("\r", "")
                            .replaceAll(OPENSSH_VERSION, "")
                            .replace("[-46DdeGiqTtV]", "[-46DdeiqTtV]")); // -G came with 9.3
        }
    }

    private static List<String> program(boolean ours) {
        return ours
                ? List.of(Client.holdfast().warm().launcher().toString(), "sshd")
                : List.of(Sshd.program());
    }

    private static Said said(Stage stage, boolean ours, List<String> words) throws Exception {
        List<String> argv = new ArrayList<>(program(ours));
        argv.addAll(words);
        return Said.of(stage.run(argv.toArray(String[]::new)).end(SOON));
    }

    @Test
    void it_is_asked_for_its_configuration_and_answers_alike(Stage stage) throws Exception {
        Path directory = stage.directory();
        Path host = Files.copy(Keys.of("ed25519", "host"), directory.resolve("host"));
        Files.setPosixFilePermissions(host, PosixFilePermissions.fromString("rw-------"));
        Path wide = Files.copy(host, directory.resolve("wide"));
        Files.setPosixFilePermissions(wide, PosixFilePermissions.fromString("rw-r--r--"));
        String key = host.toString();
        Path good = write(directory.resolve("good"), "Port 22", "Banner none");
        Path matches =
                write(
                        directory.resolve("matches"),
                        "Match Address 10.0.0.0/8",
                        "PermitTTY no",
                        "Match User x Host y",
                        "PermitTTY no");
        Path group = write(directory.resolve("group"), "Match Group x", "PermitTTY no");
        Path local = write(directory.resolve("local"), "Match LocalAddress ::1", "PermitTTY no");
        Path loop = directory.resolve("loop");
        Files.writeString(loop, "Include " + loop + "\n");
        List<List<String>> all = new ArrayList<>();
        for (List<String> words :
                List.of(
                        List.of("-t", "-h", key, "-f", good.toString()),
                        List.of("-T", "-C", "nonsense", "-h", key, "-f", good.toString()),
                        List.of("-T", "-C", "user", "-h", key, "-f", good.toString()),
                        List.of("-T", "-C", "lport=x", "-h", key, "-f", good.toString()),
                        List.of("-t", "-C", "user=root", "-h", key, "-f", good.toString()),
                        List.of("-t", "-h", key, "-f", directory.resolve("none").toString()),
                        List.of("-t", "-h", key, "-f", directory.toString()),
                        List.of("-t", "-h", key, "-f", loop.toString()),
                        List.of("-t", "-h", key, "-f", "none"),
                        List.of("-t", "-f", good.toString(), "-h", directory + "/none"),
                        List.of("-t", "-f", good.toString(), "-h", wide.toString()),
                        List.of("-t", "-f", good.toString(), "-h", good.toString()),
                        List.of("-t", "-h", key, "-f", good.toString(), "-c", good.toString()),
                        List.of("-t", "-h", key, "-f", good.toString(), "-c", "/none"),
                        List.of("-t", "-h", key, "-f", good.toString(), "-o", "Nonsense=1"),
                        List.of("-t", "-h", key, "-f", good.toString(), "-o", "Port"),
                        List.of("-t", "-h", key, "-f", good.toString(), "-o", "Port=x"),
                        List.of("-t", "-h", key, "-f", good.toString(), "-p", "x"),
                        List.of("-t", "-h", key, "-f", good.toString(), "-g", "x"),
                        List.of("-t", "-h", key, "-f", good.toString(), "-u", "99"),
                        List.of("-t", "-h", key, "-f", good.toString(), "extra"),
                        List.of("-t", "-E", "/none/log", "-h", key, "-f", good.toString()),
                        List.of("-Z"),
                        List.of("-p"),
                        List.of("-D", "-e", "-h", directory + "/none", "-f", good.toString()))) {
            all.add(words);
        }
        int number = 0;
        for (String lines :
                List.of(
                        "Nonsense yes",
                        "Port 22\nNonsense yes\nPort x\nAlso no",
                        "Port",
                        "Port 22 23",
                        "Banner \"a",
                        "Match",
                        "Match user",
                        "Match sideways x",
                        "Match user root\nPort 22",
                        "Match user root\nNonsense 1",
                        "PermitRootLogin maybe",
                        "LoginGraceTime 1y",
                        "ListenAddress nowhere.invalid",
                        "Include",
                        "AuthorizedKeysCommand /bin/true",
                        "UseDNS yes no")) {
            Path bad = write(directory.resolve("bad" + number++), lines);
            all.add(List.of("-t", "-h", key, "-f", bad.toString()));
        }
        for (Path file : List.of(matches, group, local)) {
            for (String spec :
                    List.of(
                            "user=root",
                            "addr=10.1.1.1",
                            "user=root,host=y",
                            "user=root,host=y,addr=10.1.1.1",
                            "user=x,host=y,addr=10.1.1.1,laddr=::1")) {
                all.add(List.of("-T", "-C", spec, "-h", key, "-f", file.toString()));
            }
            all.add(List.of("-T", "-h", key, "-f", file.toString()));
        }
        List<String> differences = new ArrayList<>();
        for (List<String> words : all) {
            Said theirs = said(stage, false, words);
            Said ours = said(stage, true, words);
            if (words.contains("-T")) {
                // What is printed is compared by ServerConfigDifferentialTrial.
                theirs = new Said(theirs.status, "", theirs.err);
                ours = new Said(ours.status, "", ours.err);
            }
            if (!ours.equals(theirs)) {
                differences.add(words + "\n  " + theirs + "\n  " + ours);
            }
        }
        assertThat(String.join("\n", differences)).isEmpty();
    }

    // --- the whole: Debian's own configuration

    /** As the package has it; whoever installs it finds it so in /etc/ssh. */
    private static final List<String> DEBIANS =
            List.of(
                    "Include /etc/ssh/sshd_config.d/*.conf",
                    "KbdInteractiveAuthentication no",
                    "UsePAM yes",
                    "X11Forwarding yes",
                    "PrintMotd no",
                    "AcceptEnv LANG LC_*",
                    "Subsystem\tsftp\t/usr/lib/openssh/sftp-server");

    /** One of the two, started as a service is, with keys and a port of its own. */
    private record Service(
            Stage stage, boolean ours, Path directory, int port, Path log, Running running) {

        static Service start(Stage stage, boolean ours, String... more) throws Exception {
            Path directory =
                    Files.createDirectories(stage.directory().resolve(ours ? "ours" : "theirs"));
            int port = Sshd.freePort();
            Path log = directory.resolve("log");
            Files.deleteIfExists(log);
            List<String> words = new ArrayList<>(List.of("-D", "-E", log.toString()));
            words.addAll(arguments(ours, directory, port));
            words.addAll(Arrays.asList(more));
            // Whoever starts it may let everybody write: sessions are not to have that from it.
            List<String> argv =
                    new ArrayList<>(List.of("/bin/sh", "-c", "umask 0; exec \"$@\"", "sh"));
            argv.addAll(program(ours));
            argv.addAll(words);
            Running running = stage.run(argv.toArray(String[]::new)).start();
            Service service = new Service(stage, ours, directory, port, log, running);
            service.await("Server listening on");
            return service;
        }

        /** Its configuration, keys and port. */
        static List<String> arguments(boolean ours, Path directory, int port) throws IOException {
            Files.createDirectories(Path.of("/run/sshd"));
            Path config = directory.resolve("sshd_config");
            Files.write(config, DEBIANS);
            List<String> words = new ArrayList<>(List.of("-f", config.toString()));
            for (String type : Keys.TYPES) {
                words.addAll(List.of("-h", Keys.of(type, "host").toString()));
            }
            words.addAll(
                    List.of(
                            "-o",
                            "ListenAddress=127.0.0.1",
                            "-p",
                            Integer.toString(port),
                            "-o",
                            "PidFile=" + directory.resolve("pid")));
            if (ours) {
                words.addAll(List.of("-o", "PerSourcePenalties=no"));
            }
            return words;
        }

        String logged() throws IOException {
            return Files.exists(log) ? Files.readString(log).replace("\r", "") : "";
        }

        void await(String words) throws Exception {
            Eventually.holds(SOON, () -> logged().contains(words), this::logged);
        }

        Command ssh(Somebody somebody, String... rest) {
            List<String> words =
                    new ArrayList<>(
                            List.of(
                                    "/usr/bin/ssh",
                                    "-F",
                                    "none",
                                    "-p",
                                    Integer.toString(port),
                                    "-i",
                                    Keys.of("ed25519", "user").toString(),
                                    "-o",
                                    "IdentitiesOnly=yes",
                                    "-o",
                                    "BatchMode=yes",
                                    "-o",
                                    "StrictHostKeyChecking=no",
                                    "-o",
                                    "UserKnownHostsFile=/dev/null",
                                    "-o",
                                    "LogLevel=ERROR"));
            words.addAll(Arrays.asList(rest).subList(0, rest.length - 1));
            words.addAll(List.of(somebody.name + "@127.0.0.1", rest[rest.length - 1]));
            return stage.run(words.toArray(String[]::new));
        }

        /** Without what is this one's alone. */
        String plain(String text) {
            return text.replace("\r", "")
                    .replace(directory.toString(), "DIRECTORY")
                    .replaceAll("\\b" + port + "\\b", "PORT")
                    .replaceAll("127\\.0\\.0\\.1 (port )?\\d+", "127.0.0.1 $1N")
                    .replaceAll("/dev/pts/\\d+", "/dev/pts/N")
                    .replaceAll("(Last login: ).*", "$1then");
        }
    }

    private static void alike(Somebody somebody, List<Service> both, String... rest)
            throws Exception {
        List<String> seen = new ArrayList<>();
        for (Service service : both) {
            Ended ended = service.ssh(somebody, rest).input("").end(SOON);
            seen.add(
                    ended.status()
                            + "\n"
                            + service.plain(ended.out())
                            + "---\n"
                            + service.plain(ended.err()));
        }
        assertThat(seen.get(1)).as("%s", Arrays.asList(rest)).isEqualTo(seen.get(0));
    }

    private static void letIn(Stage stage, Somebody somebody) throws Exception {
        Path ssh = Files.createDirectory(somebody.home.resolve(".ssh"));
        Files.writeString(
                ssh.resolve("authorized_keys"), Keys.publicLine(Keys.of("ed25519", "user")) + "\n");
        good(stage.run("chown", "-R", somebody.name, ssh.toString()));
    }

    /** Lines of ssh -v about what comes with a version, and how many bytes that is. */
    private static final Pattern VERSIONS =
            Pattern.compile(
                    ".*(remote software version|compat_banner|server-sig-algs).*"
                            + "|debug1: Requesting no-more-sessions@openssh.com"
                            + "|Transferred: .*|Bytes per second: .*");

    /** What a program finds itself in, beyond its environment. */
    private static final String CIRCUMSTANCES =
            // runuser has its own limit on descriptors.
            "umask; pwd; id; ulimit -a | grep -v files; nice; cat /proc/self/oom_score_adj; cat /proc/self/loginuid; tty;"
                    + " grep -E '^(SigBlk|Groups|Cap|NoNewPrivs|Umask)' /proc/self/status";

    @Test
    void debians_configuration_makes_the_same_sessions(Stage stage) throws Exception {
        Stage.needsRoot("only root opens PAM's sessions");
        try (Somebody somebody = Somebody.made(stage)) {
            letIn(stage, somebody);
            for (String shell : List.of("/bin/sh", "/bin/bash")) {
                good(stage.run("usermod", "-s", shell, somebody.name));
                String[] set = {"-o", "SetEnv=SHLVL=5 A=b"};
                String[] more = shell.equals("/bin/bash") ? set : new String[0];
                List<Service> both =
                        List.of(
                                Service.start(stage, false, more),
                                Service.start(stage, true, more));
                alike(somebody, both, "env | sort");
                alike(somebody, both, "-o", "SetEnv=LC_FOO=bar BAR=no", "env | sort");
                alike(somebody, both, "-tt", "env | sort; tty | sed 's/[0-9]*$//'");
                alike(somebody, both, "-X", "echo $DISPLAY; type xauth");
                alike(somebody, both, CIRCUMSTANCES);
                alike(somebody, both, "-tt", CIRCUMSTANCES + "; stty -a");
                alike(somebody, both, "kill -9 $$");
                alike(somebody, both, "exit 77");
                for (Service service : both) {
                    Ended login = service.ssh(somebody, "-tt", "-v", "echo in").input("").end(SOON);
                    assertThat(login.status()).isZero();
                    Ended sftp =
                            stage.run(
                                            "/usr/bin/sftp",
                                            "-F",
                                            "none",
                                            "-P",
                                            "" + service.port,
                                            "-i",
                                            Keys.of("ed25519", "user").toString(),
                                            "-o",
                                            "StrictHostKeyChecking=no",
                                            "-o",
                                            "UserKnownHostsFile=/dev/null",
                                            "-b",
                                            "-",
                                            somebody.name + "@127.0.0.1")
                                    .input("pwd\n")
                                    .end(SOON);
                    assertThat(sftp.out()).contains(somebody.home.toString());
                }
                List<List<String>> shells = new ArrayList<>();
                List<List<String>> heard = new ArrayList<>();
                for (Service service : both) {
                    // A shell without a terminal: what it is greeted with, and what -v shows.
                    Ended ended =
                            stage.own(
                                            service.ssh(
                                                    somebody,
                                                    "-T",
                                                    "-o",
                                                    "LogLevel=DEBUG1",
                                                    "-o",
                                                    "KexAlgorithms=curve25519-sha256",
                                                    "exec \"$SHELL\" -l"))
                                    .input("shopt login_shell 2>/dev/null; echo $0\n")
                                    .end(SOON);
                    shells.add(service.plain(ended.out()).lines().toList());
                    heard.add(
                            service.plain(ended.err())
                                    .lines()
                                    .filter(line -> !VERSIONS.matcher(line).matches())
                                    .toList());
                }
                assertThat(shells.get(1)).isEqualTo(shells.get(0));
                assertThat(String.join("\n", heard.get(1)))
                        .isEqualTo(String.join("\n", heard.get(0)));
                for (String name : List.of("log", "pid")) {
                    assertThat(Files.getPosixFilePermissions(both.get(1).directory.resolve(name)))
                            .as(name)
                            .isEqualTo(
                                    Files.getPosixFilePermissions(
                                            both.get(0).directory.resolve(name)));
                }
                for (Service service : both) {
                    service.running.signal("HUP");
                    service.await(
                            "Received SIGHUP; restarting.\nServer listening on 127.0.0.1 port "
                                    + service.port);
                }
                alike(somebody, both, "echo again");
                for (Service service : both) {
                    service.running.signal("TERM");
                    assertThat(service.running.end(SOON).status()).isZero();
                    assertThat(service.directory.resolve("pid")).doesNotExist();
                    service.await("Received signal 15; terminating.");
                }
            }
        }
    }

    @Test
    void whom_pam_keeps_out_and_who_must_change_a_password_are_told_alike(Stage stage)
            throws Exception {
        Stage.needsRoot("only root asks PAM for others");
        try (Somebody somebody = Somebody.made(stage)) {
            letIn(stage, somebody);
            List<Service> both = new ArrayList<>();
            for (boolean ours : new boolean[] {false, true}) {
                both.add(Service.start(stage, ours, "-o", "LogLevel=VERBOSE"));
            }
            String[] ask = {"-o", "LogLevel=INFO", "echo in"};
            for (String change :
                    List.of(
                            "usermod -e 1 %s", // ended long ago
                            "usermod -e '' %s",
                            "chage -d 0 %s", // the next login is to change it
                            "chage -M 10 -W 9 -d $(date -d '-5 days' +%%F) %s")) { // soon
                good(stage.shell(change.formatted(somebody.name)));
                List<String> shells = new ArrayList<>();
                for (Service service : both) {
                    Ended shell =
                            service.ssh(somebody, "-T", "-o", "LogLevel=INFO", "-n").end(SOON);
                    shells.add(shell.status() + service.plain(shell.out() + shell.err()));
                }
                assertThat(shells.get(1)).as(change).isEqualTo(shells.get(0));
                alike(somebody, both, ask);
            }
            List<String> logs = new ArrayList<>();
            for (Service service : both) {
                service.running.signal("TERM");
                service.running.end(SOON);
                logs.add(
                        service.plain(service.logged())
                                .lines()
                                .filter(line -> !line.startsWith("User child is on pid"))
                                .filter(line -> !line.startsWith("Close session: "))
                                .filter(line -> !line.startsWith("Warning: Permanently"))
                                .sorted()
                                .collect(Collectors.joining("\n")));
            }
            assertThat(logs.get(1)).isEqualTo(logs.get(0));
        }
    }

    @Test
    void who_is_there_is_on_the_systems_records_alike(Stage stage) throws Exception {
        Stage.needsRoot("only root writes them");
        try (Somebody somebody = Somebody.made(stage)) {
            letIn(stage, somebody);
            List<Path> made = new ArrayList<>();
            try {
                for (String name : List.of("/run/utmp", "/var/log/wtmp", "/var/log/lastlog")) {
                    Path file = Path.of(name);
                    if (!Files.exists(file)) {
                        made.add(Files.createFile(file));
                    }
                }
                for (String dns : List.of("no", "yes")) {
                    List<String> seen = new ArrayList<>();
                    for (boolean ours : new boolean[] {false, true}) {
                        Service service = Service.start(stage, ours, "-o", "UseDNS=" + dns);
                        Ended in =
                                service.ssh(
                                                somebody,
                                                "-tt",
                                                "who | grep "
                                                        + somebody.name
                                                        + "; lastlog -u "
                                                        + somebody.name)
                                        .input("")
                                        .end(SOON);
                        String after =
                                stage.shell(
                                                "for i in $(seq 100); do last -w "
                                                        + somebody.name
                                                        + " | head -n 1 | grep -q still || break;"
                                                        + " sleep 0.1; done; who | grep "
                                                        + somebody.name
                                                        + "; last -w "
                                                        + somebody.name
                                                        + " | head -n 1")
                                        .end(SOON)
                                        .out();
                        service.running.signal("TERM");
                        service.running.end(SOON);
                        seen.add(
                                service.plain(in.out() + after)
                                        .replaceAll("pts/\\d+ +", "pts/N ")
                                        .replaceAll("\\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d", "then")
                                        .replaceAll("\\w{3} +\\d+ \\d\\d:\\d\\d (?=\\()", "then ")
                                        .replaceAll(
                                                "\\w{3} \\w{3} .\\d \\d\\d:\\d\\d(:\\d\\d)?",
                                                "then")
                                        .replaceAll("- \\d\\d:\\d\\d", "- then"));
                    }
                    assertThat(seen.get(1)).as("UseDNS %s", dns).isEqualTo(seen.get(0));
                }
            } finally {
                for (Path file : made) {
                    Files.delete(file);
                }
            }
        }
    }

    @Test
    void a_superserver_hands_it_a_connection(Stage stage) throws Exception {
        Stage.needsRoot("somebody else logs in");
        Stage.needs("python3");
        try (Somebody somebody = Somebody.made(stage)) {
            letIn(stage, somebody);
            List<String> seen = new ArrayList<>();
            for (boolean ours : new boolean[] {false, true}) {
                Path directory =
                        Files.createDirectories(
                                stage.directory().resolve(ours ? "ours" : "theirs"));
                int port = Sshd.freePort();
                Path log = directory.resolve("log");
                List<String> argv =
                        new ArrayList<>(
                                List.of(
                                        "/usr/bin/python3",
                                        "-uc",
                                        """
                                        import socket, subprocess, sys
                                        s = socket.create_server(("127.0.0.1", int(sys.argv[1])))
                                        print("listening")
                                        for turn in "first", "second":
                                            c, _ = s.accept()
                                            p = subprocess.Popen(sys.argv[2:], stdin=c, stdout=c)
                                            c.close()
                                            print("status", p.wait())
                                            print("end of the", turn)
                                        """,
                                        Integer.toString(port)));
                argv.addAll(program(ours));
                argv.addAll(List.of("-i", "-E", log.toString()));
                argv.addAll(Service.arguments(ours, directory, port));
                argv.addAll(List.of("-o", "LogLevel=VERBOSE"));
                Running superserver = stage.run(argv.toArray(String[]::new)).start();
                try {
                    superserver.out().await("listening", SOON);
                    Service service = new Service(stage, ours, directory, port, log, superserver);
                    Ended in =
                            service.ssh(somebody, "echo $SSH_CONNECTION; echo $SSH_CLIENT; exit 3")
                                    .input("")
                                    .end(SOON);
                    superserver.out().await("end of the first", SOON);
                    Ended out =
                            service.ssh(somebody, "-o", "PubkeyAuthentication=no", "true")
                                    .input("")
                                    .end(SOON);
                    String told = in.status() + service.plain(in.out() + out.status() + out.err());
                    service.await("[preauth]");
                    superserver.out().await("end of the second\n", SOON);
                    seen.add(
                            told
                                    + superserver.out().text()
                                    + service.plain(service.logged())
                                            .replaceAll(
                                                    "sent \\d+, received \\d+", "sent, received")
                                            .replaceAll("User child is on pid \\d+\n", "")
                                            .replaceAll("Close session: .*\n", ""));
                } finally {
                    superserver.kill();
                    superserver.end(SOON);
                }
            }
            assertThat(seen.get(1)).isEqualTo(seen.get(0));
        }
    }

    @Test
    void it_ends_with_the_same_words_and_status_where_it_cannot_begin(Stage stage)
            throws Exception {
        Stage.needsRoot("OpenSSH's has a directory of root's");
        List<List<Said>> seen = new ArrayList<>();
        for (boolean ours : new boolean[] {false, true}) {
            Path directory =
                    Files.createDirectories(stage.directory().resolve(ours ? "ours" : "theirs"));
            List<Said> said = new ArrayList<>();
            try (ServerSocket taken =
                    new ServerSocket(Sshd.freePort(), 1, InetAddress.getLoopbackAddress())) {
                int port = taken.getLocalPort();
                for (List<String> flags :
                        List.of(List.of("-D", "-e"), List.of("-d", "-o", "LogLevel=INFO"))) {
                    List<String> words = new ArrayList<>(flags);
                    words.addAll(Service.arguments(ours, directory, port));
                    Said one = said(stage, ours, words);
                    said.add(
                            new Said(
                                    one.status,
                                    one.out,
                                    String.join(
                                            "\n",
                                            one.err
                                                    .replaceAll("\\b" + port + "\\b", "PORT")
                                                    .lines()
                                                    .filter(line -> !line.startsWith("debug"))
                                                    .toList())));
                }
            }
            seen.add(said);
        }
        assertThat(seen.get(1)).isEqualTo(seen.get(0));
    }

    /** {@code -d}: one connection, in the foreground, and then the end. */
    @Test
    void it_serves_one_connection_when_asked_to_debug(Stage stage) throws Exception {
        Stage.needsRoot("somebody else logs in");
        try (Somebody somebody = Somebody.made(stage)) {
            letIn(stage, somebody);
            List<String> seen = new ArrayList<>();
            for (boolean ours : new boolean[] {false, true}) {
                StringBuilder told = new StringBuilder();
                for (String command : List.of("echo in", "exit 3")) {
                    Service service = Service.start(stage, ours, "-d");
                    Ended in = service.ssh(somebody, command).input("").end(SOON);
                    told.append(in.status()).append(in.out());
                    assertThat(service.directory.resolve("pid")).doesNotExist();
                    told.append(service.running.end(SOON).status()).append('\n');
                }
                seen.add(told.toString());
            }
            assertThat(seen.get(1)).isEqualTo(seen.get(0));
        }
    }

    private static Path write(Path file, String... lines) throws IOException {
        return Files.writeString(file, String.join("\n", lines) + "\n");
    }
}
