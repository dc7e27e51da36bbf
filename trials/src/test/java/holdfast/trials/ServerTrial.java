package holdfast.trials;

import static org.assertj.core.api.Assertions.assertThat;

import holdfast.trials.harness.Client;
import holdfast.trials.harness.Ended;
import holdfast.trials.harness.Eventually;
import holdfast.trials.harness.Running;
import holdfast.trials.harness.Signals;
import holdfast.trials.harness.Sshd;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.parallel.Execution;
import org.junit.jupiter.api.parallel.ExecutionMode;

/**
 * {@code holdfast sshd} against OpenSSH's client: how long connections live, how they end, what is
 * left of them, and how the server itself is started, told, asked and stopped.
 */
@ExtendWith(Staged.class)
@Execution(ExecutionMode.CONCURRENT)
final class ServerTrial {

    private static final Duration SOON = Duration.ofSeconds(60);
    private static final String[] ONE_AND_ONE = {"ClientAliveInterval 1", "ClientAliveCountMax 1"};

    /**
     * What a busy machine may add to any bound: a server that was itself away for more than five
     * seconds asks its clients first, and judges them afresh.
     */
    private static final Duration BUSY = Duration.ofSeconds(15);

    @Test
    void a_stopped_client_is_reaped_two_intervals_after_its_last_byte_and_nothing_is_left(
            Stage stage) throws Exception {
        Sshd sshd = stage.holdfastSshd(ONE_AND_ONE);
        // What is made once for all sessions is there after the first.
        assertThat(stage.openSsh(sshd, "trial", "echo in").end(SOON).out()).isEqualTo("in\n");
        await(() -> sshd.log().contains("Disconnected from"), "the first is still there");
        List<String> before = open(sshd.pid());
        Running client = stage.openSsh(sshd, "trial", "echo ready; exec sleep 1000").start();
        client.out().await("ready", SOON);
        reaped(sshd, client);
        assertThat(sshd.log())
                .containsPattern(
                        "Timeout, client not responding from user \\S+ 127\\.0\\.0\\.1 port [0-9]+:"
                                + " nothing heard for (?!0|1\\.)[0-9.]+ s, 1 keepalive unanswered");
        await(() -> sshd.sessions().isEmpty(), "the command is still there");
        await(
                () -> open(sshd.pid()).size() <= before.size(),
                "a descriptor is still there; before " + before,
                () -> open(sshd.pid()));
    }

    @Test
    void so_is_one_whose_command_prints_without_pause(Stage stage) throws Exception {
        Sshd sshd = stage.holdfastSshd(ONE_AND_ONE);
        Running client = stage.openSsh(sshd, "-tt", "trial", "echo ready; exec yes").start();
        client.out().await("ready", SOON);
        reaped(sshd, client);
        await(() -> sshd.sessions().isEmpty(), "the command is still there");
    }

    @Test
    void a_live_client_that_says_nothing_and_a_live_one_that_does_not_read_stay(Stage stage)
            throws Exception {
        Sshd sshd = stage.holdfastSshd("ClientAliveInterval 2", "ClientAliveCountMax 2");
        Running quiet = stage.openSsh(sshd, "trial", "sleep 8; echo alive").start();
        Running pipe =
                stage.shell(
                                "\"$@\" trial 'yes | head -c 30000000' | (sleep 8; wc -c)",
                                sshd.client(Client.reference()).argv().toArray(String[]::new))
                        .start();
        assertThat(quiet.end(SOON).out()).isEqualTo("alive\n");
        assertThat(pipe.end(SOON).out().strip()).isEqualTo("30000000");
        assertThat(sshd.log()).doesNotContain("Timeout");
    }

    @Test
    void the_port_of_a_reverse_forward_is_free_for_its_owners_next_connection(Stage stage)
            throws Exception {
        Sshd sshd = stage.holdfastSshd(ONE_AND_ONE);
        int port = Sshd.freePort();
        String forward = "127.0.0.1:" + port + ":127.0.0.1:1";
        Running first =
                stage.openSsh(sshd, "-R", forward, "trial", "echo ready; exec sleep 1000").start();
        first.out().await("ready", SOON);
        reaped(sshd, first);
        Ended second =
                stage.openSsh(
                                sshd,
                                "-o",
                                "ExitOnForwardFailure=yes",
                                "-R",
                                forward,
                                "trial",
                                "echo mine")
                        .end(SOON);
        assertThat(second.out()).as(second.err()).isEqualTo("mine\n");
    }

    @Test
    void who_does_not_log_in_is_shown_the_door(Stage stage) throws Exception {
        Sshd sshd = stage.holdfastSshd("LoginGraceTime 1");
        long start = System.nanoTime();
        try (Socket socket = new Socket(InetAddress.getLoopbackAddress(), sshd.port())) {
            socket.getOutputStream().write("SSH-2.0-slow\r\n".getBytes(StandardCharsets.US_ASCII));
            socket.setSoTimeout(60_000);
            socket.getInputStream().readAllBytes();
        } catch (IOException reset) {
            // the door may be shut with a bang
        }
        assertThat(Duration.ofNanos(System.nanoTime() - start))
                .isBetween(Duration.ofMillis(900), Duration.ofSeconds(5).plus(BUSY));
        await(() -> sshd.log().contains("Timeout before authentication"), "no line");
    }

    @Test
    void garbage_instead_of_a_banner_gets_one_line_and_harms_nobody(Stage stage) throws Exception {
        Sshd sshd = stage.holdfastSshd("PerSourcePenalties no");
        Running other = stage.openSsh(sshd, "trial", "sleep 3; echo fine").start();
        String answer = say(sshd, "GET / HTTP/1.1\r\nHost: here\r\n\r\n");
        assertThat(answer).contains("Invalid SSH identification string.");
        say(sshd, "\0".repeat(20_000));
        say(sshd, "SSH-2.0-x\r\n" + "\u007f".repeat(40_000));
        say(sshd, "SSH-1.5-x\r\n");
        assertThat(other.end(SOON).out()).isEqualTo("fine\n");
        await(
                () -> sshd.log().contains("banner exchange: Connection from 127.0.0.1 port"),
                "no line");
    }

    @Test
    void half_open_logins_beyond_max_startups_are_told_and_dropped(Stage stage) throws Exception {
        Sshd sshd = stage.holdfastSshd("MaxStartups 3:100:3", "PerSourcePenalties no");
        List<Socket> open = new ArrayList<>();
        try {
            for (int i = 0; i < 3; i++) {
                Socket socket = new Socket(InetAddress.getLoopbackAddress(), sshd.port());
                open.add(socket);
                assertThat(socket.getInputStream().readNBytes(8)).asString().isEqualTo("SSH-2.0-");
            }
            try (Socket fourth = new Socket(InetAddress.getLoopbackAddress(), sshd.port())) {
                fourth.setSoTimeout(60_000);
                assertThat(
                                new String(
                                        fourth.getInputStream().readAllBytes(),
                                        StandardCharsets.UTF_8))
                        .isEqualTo("Not allowed at this time\r\n");
            }
        } finally {
            for (Socket socket : open) {
                socket.close();
            }
        }
        sshd.awaitLog("beginning MaxStartups throttling");
        sshd.awaitLog(
                "drop connection #3 from \\[127\\.0\\.0\\.1\\]:\\d+ on \\[127\\.0\\.0\\.1\\]:"
                        + sshd.port()
                        + " past MaxStartups");
        await(
                () -> stage.openSsh(sshd, "trial", "echo in").end(SOON).out().equals("in\n"),
                "nobody is let in any more");
    }

    @Test
    void a_wrong_line_is_named_with_its_file_and_number(Stage stage) throws Exception {
        Path file = stage.directory().resolve("bad_config");
        Files.writeString(file, "Port 22\nClientAliveIntervall 3\n");
        Ended ended = holdfast(stage, "sshd", "-t", "-f", file.toString()).end(SOON);
        assertThat(ended.status()).isNotZero();
        assertThat(ended.err())
                .contains(file + ": line 2: Bad configuration option: ClientAliveIntervall");
    }

    @Test
    void debians_own_configuration_is_accepted(Stage stage) throws Exception {
        Path real = Path.of("/usr/share/openssh/sshd_config");
        Path file = Files.exists(real) ? real : Path.of("/etc/ssh/sshd_config");
        Path key = Files.createDirectories(stage.directory().resolve("k")).resolve("key");
        stage.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key.toString()).end(SOON);
        Ended ended =
                holdfast(stage, "sshd", "-t", "-f", file.toString(), "-h", key.toString())
                        .end(SOON);
        assertThat(ended.status()).as(ended.err()).isZero();
    }

    @Test
    void hup_reads_the_configuration_anew_and_loses_nobody(Stage stage) throws Exception {
        Sshd sshd = stage.holdfastSshd();
        Running client = stage.openSsh(sshd, "trial", "echo ready; cat").inputOpen().start();
        client.out().await("ready", SOON);
        Path config = sshd.directory().resolve("sshd_config");
        Files.writeString(config, "Banner none\nSetEnv NEWS=read\n" + Files.readString(config));
        Signals.send("HUP", List.of(sshd.pid()));
        await(() -> sshd.log().contains("SIGHUP"), "not told");
        await(
                () -> {
                    Ended fresh = stage.openSsh(sshd, "trial", "echo $NEWS").end(SOON);
                    return fresh.out().equals("read\n");
                },
                "the new configuration is not used");
        // A bad one changes nothing.
        Files.writeString(config, "Nonsense yes\n");
        Signals.send("HUP", List.of(sshd.pid()));
        await(() -> sshd.log().contains("Bad configuration option: Nonsense"), "not told");
        assertThat(stage.openSsh(sshd, "trial", "echo $NEWS").end(SOON).out()).isEqualTo("read\n");
        OutputStream stdin = client.stdin();
        stdin.write("still here\n".getBytes(StandardCharsets.UTF_8));
        stdin.close();
        Ended ended = client.end(SOON);
        assertThat(ended.out()).isEqualTo("ready\nstill here\n");
        assertThat(ended.status()).isZero();
    }

    @Test
    void hup_without_a_host_key_left_changes_nothing_and_stops_nothing(Stage stage)
            throws Exception {
        Sshd sshd = stage.holdfastSshd();
        Path config = sshd.directory().resolve("sshd_config");
        Files.writeString(
                config,
                Files.readString(config).replaceAll("(?m)^HostKey .*$", "HostKey /nonexistent")
                        + "SetEnv NEWS=read\n");
        Signals.send("HUP", List.of(sshd.pid()));
        await(() -> sshd.log().contains("no hostkeys available"), "not told");
        assertThat(stage.openSsh(sshd, "trial", "echo in$NEWS").end(SOON).out())
                .as(sshd.log())
                .isEqualTo("in\n");
    }

    /** What systemd hears of a service of Type=notify, on a socket of our own. */
    @Test
    void systemd_is_told_when_it_listens_reads_anew_and_stops(Stage stage) throws Exception {
        Sshd pattern = stage.holdfastSshd();
        Path socket = stage.directory().resolve("notify");
        Running systemd =
                stage.run(
                                "/usr/bin/python3",
                                "-uc",
                                """
                                import socket, sys
                                s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
                                s.bind(sys.argv[1])
                                print("bound")
                                heard = ""
                                while heard != "STOPPING=1":
                                    heard = s.recv(4096).decode().strip()
                                    print(heard)
                                """,
                                socket.toString())
                        .start();
        systemd.out().await("bound", SOON);
        Running sshd =
                stage.run(
                                "env",
                                "NOTIFY_SOCKET=" + socket,
                                Client.holdfast().launcher().toString(),
                                "sshd",
                                "-D",
                                "-e",
                                "-o",
                                "ListenAddress=127.0.0.1:" + Sshd.freePort(),
                                "-f",
                                pattern.directory().resolve("sshd_config").toString())
                        .start();
        systemd.out().await("bound\nREADY=1\n", SOON);
        sshd.signal("HUP");
        systemd.out().await("bound\nREADY=1\nRELOADING=1\nREADY=1\n", SOON);
        sshd.signal("TERM");
        assertThat(systemd.end(SOON).out())
                .isEqualTo("bound\nREADY=1\nRELOADING=1\nREADY=1\nSTOPPING=1\n");
        assertThat(sshd.end(SOON).status()).isZero();
    }

    @Test
    void without_d_it_goes_to_the_background_once_it_listens(Stage stage) throws Exception {
        Sshd pattern = stage.holdfastSshd();
        Path pidFile = stage.directory().resolve("pid");
        int port = Sshd.freePort();
        Path log = stage.directory().resolve("log");
        Ended ended =
                holdfast(
                                stage,
                                "sshd",
                                "-E",
                                log.toString(),
                                "-o",
                                "PidFile=" + pidFile,
                                "-o",
                                "ListenAddress=127.0.0.1:" + port,
                                "-f",
                                pattern.directory().resolve("sshd_config").toString())
                        .end(SOON);
        assertThat(ended.status()).as(ended.err()).isZero();
        long pid = Long.parseLong(Files.readString(pidFile).strip());
        try {
            assertThat(
                            stage.openSsh(
                                            pattern,
                                            "-p",
                                            Integer.toString(port),
                                            "-o",
                                            "StrictHostKeyChecking=no",
                                            "-o",
                                            "UserKnownHostsFile=/dev/null",
                                            "trial",
                                            "echo from the background")
                                    .end(SOON)
                                    .out())
                    .isEqualTo("from the background\n");
            // Who waits for an sshd that reads its configuration anew waits for this file.
            Files.delete(pidFile);
            Signals.send("HUP", List.of(pid));
            await(() -> Files.exists(pidFile), "no pid file after SIGHUP");
            await(
                    () -> Files.readString(pidFile).equals(pid + "\n"),
                    "another pid file after SIGHUP");
        } finally {
            Signals.send("TERM", List.of(pid));
            await(() -> ProcessHandle.of(pid).isEmpty(), "still there after SIGTERM");
        }
        assertThat(pidFile).doesNotExist();
    }

    @Test
    void old_options_and_a_link_to_itself_are_told_in_openssh_s_words(Stage stage)
            throws Exception {
        Path directory = stage.directory();
        Path key = directory.resolve("a_host_key");
        stage.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key.toString()).end(SOON);
        Path loop = directory.resolve("loop");
        Files.createSymbolicLink(loop, loop);
        Path old =
                Files.writeString(
                        directory.resolve("old"), "PermitBlacklistedKeys yes\nUseLogin no\n");
        Path looping = Files.writeString(directory.resolve("looping"), "Include " + loop + "\n");
        for (Path file : List.of(old, looping)) {
            for (String asked : List.of("-t", "-T")) {
                List<String> arguments =
                        List.of(asked, "-f", file.toString(), "-h", key.toString());
                List<String> theirs = new ArrayList<>(List.of("/usr/sbin/sshd"));
                List<String> ours = new ArrayList<>(List.of("sshd"));
                theirs.addAll(arguments);
                ours.addAll(arguments);
                Ended said = stage.run(theirs.toArray(String[]::new)).end(SOON);
                Ended holdfast = holdfast(stage, ours.toArray(String[]::new)).end(SOON);
                assertThat(said.err())
                        .as("OpenSSH of %s", arguments)
                        .contains(
                                file.equals(old)
                                        ? "Deprecated option PermitBlacklistedKeys"
                                        : "Too many levels");
                assertThat(holdfast.err().lines().toList())
                        .as("%s", arguments)
                        .isEqualTo(said.err().lines().toList());
                assertThat(holdfast.status()).isEqualTo(said.status());
            }
        }
    }

    /** As where a mount or a policy forbids it: here something else is there under its name. */
    @Test
    void an_old_pid_file_that_cannot_be_removed_does_not_keep_the_new_one_from_being_written(
            Stage stage) throws Exception {
        Path old = stage.directory().resolve("old-pid");
        Path next = stage.directory().resolve("new-pid");
        Sshd sshd = stage.holdfastSshd("PidFile " + old);
        await(() -> Files.exists(old), "no pid file");
        Files.delete(old);
        Files.createDirectories(old.resolve("not empty"));
        Path config = sshd.directory().resolve("sshd_config");
        Files.writeString(
                config, Files.readString(config).replace("PidFile " + old, "PidFile " + next));
        Signals.send("HUP", List.of(sshd.pid()));
        await(() -> Files.exists(next), "no pid file after SIGHUP");
        await(
                () -> Files.readString(next).equals(sshd.pid() + "\n"),
                "another pid file after SIGHUP");
    }

    @Test
    void a_connection_whose_last_session_has_ended_is_unused_from_then_on(Stage stage)
            throws Exception {
        Sshd sshd = stage.holdfastSshd("UnusedConnectionTimeout 3");
        String control = stage.directory().resolve("master").toString();
        Running master =
                stage.openSsh(sshd, "-S", control, "-M", "-N", "trial").inputOpen().start();
        await(() -> Files.exists(Path.of(control)), "no master");
        long begun = System.nanoTime();
        assertThat(stage.openSsh(sshd, "-S", control, "trial", "sleep 4; echo in").end(SOON).out())
                .isEqualTo("in\n");
        assertThat(master.end(SOON).status()).isEqualTo(255);
        assertThat(Duration.ofNanos(System.nanoTime() - begun))
                .isGreaterThan(Duration.ofSeconds(7));
    }

    @Test
    void one_connection_over_two_pipes(Stage stage) throws Exception {
        Sshd pattern = stage.holdfastSshd();
        String proxy =
                Client.holdfast().launcher()
                        + " sshd -i -f "
                        + pattern.directory().resolve("sshd_config");
        Ended ended =
                stage.openSsh(
                                pattern,
                                "-o",
                                "ProxyCommand=" + proxy,
                                "trial",
                                "echo $SSH_CONNECTION; cat")
                        .input("through pipes\n")
                        .end(SOON);
        assertThat(ended.out())
                .as(ended.err())
                .isEqualTo("UNKNOWN 65535 UNKNOWN 65535\nthrough pipes\n");
        assertThat(ended.status()).isZero();
    }

    @Test
    void status_tells_of_each_connection_and_drop_ends_one(Stage stage) throws Exception {
        Sshd sshd = stage.holdfastSshd("ClientAliveInterval 1");
        Running client = stage.openSsh(sshd, "trial", "echo ready; exec sleep 100").start();
        client.out().await("ready", SOON);
        String pid = Long.toString(sshd.pid());
        await(
                () ->
                        holdfast(stage, "sshd", "status", "--json", "--pid", pid)
                                .end(SOON)
                                .out()
                                .contains("\"roundTripMillis\""),
                "no round trip");
        Ended text = holdfast(stage, "sshd", "status", "--pid", pid).end(SOON);
        Matcher line =
                Pattern.compile(
                                "(?m)^([0-9]+) +"
                                        + Sshd.user()
                                        + " +127\\.0\\.0\\.1 port [0-9]+ .* up +session:command$")
                        .matcher(text.out());
        assertThat(text.out()).as(text.err()).contains("1 connection now");
        assertThat(line.find()).as(text.out()).isTrue();
        assertThat(holdfast(stage, "sshd", "drop", "--pid", pid, line.group(1)).end(SOON).out())
                .isEqualTo("dropped\n");
        assertThat(client.end(SOON).status()).isEqualTo(255);
        assertThat(holdfast(stage, "sshd", "drop", "--pid", pid, "77").end(SOON).status())
                .isEqualTo(1);
    }

    @Test
    void here_serves_its_user_without_any_configuration(Stage stage) throws Exception {
        Running here = holdfast(stage, "sshd", "--here").start();
        try {
            here.out().await("127.0.0.1\n", SOON);
            String command = here.out().text().lines().skip(1).findFirst().orElseThrow().strip();
            for (String ssh :
                    new String[] {"/usr/bin/ssh", Client.holdfast().launcher() + " ssh"}) {
                Ended ended =
                        stage.shell(
                                        command.replaceFirst("holdfast ssh", ssh)
                                                + " -F none 'echo hello from here'")
                                .end(SOON);
                assertThat(ended.out()).as(command + ended.err()).isEqualTo("hello from here\n");
            }
        } finally {
            here.signal("TERM");
            here.end(SOON);
        }
    }

    private static holdfast.trials.harness.Command holdfast(Stage stage, String... words) {
        List<String> argv = new ArrayList<>(List.of(Client.holdfast().launcher().toString()));
        argv.addAll(List.of(words));
        return stage.run(argv.toArray(String[]::new));
    }

    /** Stops the client, and sees the connection reaped within its bounds. */
    private static void reaped(Sshd sshd, Running client) throws Exception {
        client.signal("STOP");
        long stopped = System.nanoTime();
        await(() -> sshd.log().contains("Timeout, client not responding"), "not reaped");
        Duration took = Duration.ofNanos(System.nanoTime() - stopped);
        client.signal("CONT");
        client.kill();
        await(() -> !client.alive(), "killed, and still there");
        assertThat(took).isBetween(Duration.ofMillis(900), Duration.ofSeconds(3).plus(BUSY));
    }

    private static String say(Sshd sshd, String words) {
        StringBuilder answer = new StringBuilder();
        try (Socket socket = new Socket(InetAddress.getLoopbackAddress(), sshd.port())) {
            socket.setSoTimeout(60_000);
            OutputStream out = socket.getOutputStream();
            out.write(words.getBytes(StandardCharsets.ISO_8859_1));
            out.flush();
            InputStream in = socket.getInputStream();
            int c;
            while ((c = in.read()) >= 0) {
                answer.append((char) c);
            }
        } catch (IOException reset) {
            // what was said so far counts
        }
        return answer.toString();
    }

    /**
     * What a process has open, but for what the VM makes once when a virtual thread first waits.
     */
    private static List<String> open(long pid) throws IOException {
        try (Stream<Path> all = Files.list(Path.of("/proc/" + pid + "/fd"))) {
            List<String> names = new ArrayList<>();
            for (Path one : all.toList()) {
                try {
                    String name = Files.readSymbolicLink(one).toString();
                    if (!name.equals("anon_inode:[eventpoll]")) {
                        names.add(name);
                    }
                } catch (NoSuchFileException e) {
                    // closed meanwhile
                }
            }
            return names;
        }
    }

    private static void await(Eventually.Condition condition, String otherwise) throws Exception {
        await(condition, otherwise, () -> "");
    }

    private static void await(Eventually.Condition condition, String otherwise, Callable<?> seen)
            throws Exception {
        Eventually.holds(SOON, condition, () -> otherwise + " " + seen.call());
    }
}
