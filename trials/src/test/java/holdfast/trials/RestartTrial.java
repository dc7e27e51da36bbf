package holdfast.trials;

import static org.assertj.core.api.Assertions.assertThat;

import holdfast.trials.harness.Client;
import holdfast.trials.harness.Command;
import holdfast.trials.harness.Ended;
import holdfast.trials.harness.Eventually;
import holdfast.trials.harness.Running;
import holdfast.trials.harness.Sshd;
import holdfast.trials.harness.Systemd;
import java.io.IOException;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.parallel.Execution;
import org.junit.jupiter.api.parallel.ExecutionMode;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.opentest4j.TestAbortedException;

/**
 * A server that is stopped or started anew keeps its sessions, as OpenSSH's does, and the next one
 * serves whoever comes: with OpenSSH's client, under a real systemd, and without any.
 */
@ExtendWith(Staged.class)
@Execution(ExecutionMode.CONCURRENT)
class RestartTrial {

    private static final Duration SOON = Duration.ofSeconds(60);

    /** A session that says what it is told. */
    private record Session(Running client, OutputStream typed) {

        static Session open(Command command) throws InterruptedException {
            Running client = command.inputOpen().start();
            client.out().await("ready", SOON);
            return new Session(client, client.stdin());
        }

        /** Types something and waits for it to come back. */
        void goesOn(String word) throws Exception {
            typed.write((word + "\n").getBytes(StandardCharsets.UTF_8));
            typed.flush();
            client.out().await(word + "\n", SOON);
        }

        Ended end() throws Exception {
            typed.close();
            return client.end(SOON);
        }
    }

    private static final String SAYS_IT_BACK = "echo ready; cat";

    @Test
    void a_session_types_on_while_a_new_server_serves_the_port(Stage stage) throws Exception {
        Path pidFile = stage.directory().resolve("pid");
        Sshd old = stage.holdfastSshd("PidFile " + pidFile);
        await(() -> Files.exists(pidFile), "no pid file");
        int forwarded = Sshd.freePort();
        Session session =
                Session.open(
                        stage.openSsh(
                                old, "-R", forwarded + ":127.0.0.1:1", "trial", SAYS_IT_BACK));
        signal("TERM", old.pid());
        old.awaitLog("Received signal 15; terminating.\\R");
        await(() -> !Files.exists(pidFile), "the pid file is still there");
        Running next = start(stage, old);
        next.err().await("Server listening on 127.0.0.1 port " + old.port(), SOON);
        await(
                () ->
                        Files.exists(pidFile)
                                && Files.readString(pidFile)
                                        .strip()
                                        .equals(Long.toString(next.pid())),
                "not the new one's pid file");
        assertThat(stage.openSsh(old, "trial", "echo new").end(SOON).out()).isEqualTo("new\n");
        session.goesOn("old");
        try (Socket through = new Socket(InetAddress.getLoopbackAddress(), forwarded)) {
            assertThat(through.isConnected()).isTrue();
        }
        assertThat(status(stage, old.pid())).contains(", stopped: only serves on\n1 connection ");
        signal("HUP", old.pid());
        old.awaitLog("Received SIGHUP; not restarting");
        session.goesOn("still");
        assertThat(session.end().status()).isZero();
        await(() -> ProcessHandle.of(old.pid()).isEmpty(), "it serves nobody, and runs");
        assertThat(Files.readString(pidFile).strip()).isEqualTo(Long.toString(next.pid()));
        next.signal("TERM"); // nobody is there
        assertThat(next.end(SOON).status()).isZero();
        assertThat(pidFile).doesNotExist();
    }

    /** Carries connections, and cuts all that there are at each line it is told. */
    private static final String PATH =
            """
            import socket, sys, threading
            there = []
            def carry(a, b):
                try:
                    while data := a.recv(65536):
                        b.sendall(data)
                except OSError:
                    pass
                for s in a, b:
                    try:
                        s.shutdown(socket.SHUT_RDWR)
                    except OSError:
                        pass
            def cut():
                for line in sys.stdin:
                    for s in there:
                        try:
                            s.shutdown(socket.SHUT_RDWR)
                        except OSError:
                            pass
                    there.clear()
                    print("cut", flush=True)
            threading.Thread(target=cut, daemon=True).start()
            listener = socket.create_server(("127.0.0.1", 0))
            print(listener.getsockname()[1], flush=True)
            while True:
                client = listener.accept()[0]
                try:
                    server = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
                except OSError:
                    client.close()
                    continue
                there += client, server
                for pair in (client, server), (server, client):
                    threading.Thread(target=carry, args=pair, daemon=True).start()
            """;

    @Test
    void a_client_with_a_tether_comes_back_to_the_server_that_was_stopped(Stage stage)
            throws Exception {
        stage.onlyHoldfast("OpenSSH has no tether");
        Sshd old = stage.holdfastSshd();
        Running path =
                stage.run("/usr/bin/python3", "-uc", PATH, Integer.toString(old.port()))
                        .inputOpen()
                        .start();
        path.out().await("\n", SOON);
        Session first = Session.open(throughPath(stage, old, path));
        old.awaitLog("Starting session");
        signal("TERM", old.pid());
        old.awaitLog("Serving on 1 connection");
        Running second = start(stage, old);
        second.err().await("Server listening on", SOON);
        Session later = Session.open(throughPath(stage, old, path));
        cut(path);
        first.goesOn("after a cut");
        later.goesOn("after a cut");
        first.goesOn("much".repeat(50_000));
        // Stopped too, while it relays and has a session of its own.
        second.signal("TERM");
        second.err().await("Serving on 1 connection", SOON);
        Running third = start(stage, old);
        third.err().await("Server listening on", SOON);
        first.goesOn("after another restart");
        for (int round = 1; round <= 3; round++) {
            cut(path);
            first.goesOn("after another cut " + round);
            later.goesOn("after another cut " + round);
        }
        old.awaitLog("Session of user .* resumed from 127.0.0.1 port ");
        // One that does not answer may have the session all the same: it is asked again.
        signal("STOP", old.pid());
        cut(path);
        third.err().await("resume: ", SOON);
        signal("CONT", old.pid());
        first.goesOn("after a silence");
        assertThat(status(stage, third.pid())).contains("0 connections now");
        assertThat(first.end().status()).isZero();
        await(() -> ProcessHandle.of(old.pid()).isEmpty(), "it serves nobody, and runs");
        later.goesOn("still");
        assertThat(later.end().status()).isZero();
        assertThat(second.end(SOON).status()).isZero();
        path.kill();
        path.end(SOON);
        third.signal("TERM");
        assertThat(third.end(SOON).status()).isZero();
    }

    private static Command throughPath(Stage stage, Sshd sshd, Running path) {
        return stage.ssh(
                sshd,
                "-p",
                path.out().text().lines().findFirst().orElseThrow(),
                "-o",
                "Tether=require",
                "-o",
                "HostKeyAlias=[127.0.0.1]:" + sshd.port(),
                "-T",
                "trial",
                SAYS_IT_BACK);
    }

    private static void cut(Running path) throws IOException {
        path.stdin().write('\n');
        path.stdin().flush();
    }

    @Test
    void a_second_term_and_an_interrupt_end_the_sessions_and_tell_them(Stage stage)
            throws Exception {
        for (List<String> signals : List.of(List.of("TERM", "TERM"), List.of("INT"))) {
            Sshd sshd = stage.holdfastSshd();
            Session session = Session.open(stage.openSsh(sshd, "trial", SAYS_IT_BACK));
            for (String signal : signals) {
                session.goesOn("before " + signal);
                signal(signal, sshd.pid());
                sshd.awaitLog("Received signal " + (signal.equals("INT") ? 2 : 15));
            }
            Ended ended = session.client.end(SOON);
            assertThat(ended.status()).isEqualTo(255);
            assertThat(ended.err()).contains("shutting down");
            await(() -> ProcessHandle.of(sshd.pid()).isEmpty(), "it still runs");
        }
    }

    @Test
    void who_was_still_logging_in_has_the_rest_of_the_grace_time(Stage stage) throws Exception {
        Sshd sshd = stage.holdfastSshd("LoginGraceTime 3");
        try (Socket silent = new Socket(InetAddress.getLoopbackAddress(), sshd.port())) {
            assertThat(silent.getInputStream().read()).isEqualTo('S');
            signal("TERM", sshd.pid());
            sshd.awaitLog("Received signal 15; terminating.");
            sshd.awaitLog("Timeout before authentication");
        }
        await(() -> ProcessHandle.of(sshd.pid()).isEmpty(), "it serves nobody, and runs");
    }

    @Test
    void a_script_that_waits_by_the_pid_file_waits_for_no_session(Stage stage) throws Exception {
        Stage.needs("start-stop-daemon");
        Sshd pattern = stage.holdfastSshd();
        Path pidFile = stage.directory().resolve("pid");
        int port = Sshd.freePort();
        Path log = stage.directory().resolve("log-of-" + port);
        String[] words = {
            "-E",
            log.getFileName().toString(), // where it is started, not where it goes to
            "-o",
            "PidFile=" + pidFile,
            "-o",
            "ListenAddress=127.0.0.1:" + port,
            "-f",
            stage.directory().relativize(pattern.directory().resolve("sshd_config")).toString()
        };
        Ended begun = holdfast(stage, words).in(stage.directory()).end(SOON);
        assertThat(begun.status()).as(begun.err()).isZero();
        long pid = Long.parseLong(Files.readString(pidFile).strip());
        try {
            signal("HUP", pid);
            await(() -> Files.readString(log).contains("Received SIGHUP; restarting."), "no HUP");

            Session session = Session.open(to(stage, pattern, port));
            // After 30 s it would kill what it waits for, as Debian's /etc/init.d/ssh has it.
            Ended stopped =
                    stage.run(
                                    "start-stop-daemon",
                                    "--stop",
                                    "--oknodo",
                                    "--retry",
                                    "30",
                                    "--pidfile",
                                    pidFile.toString())
                            .end(Duration.ofSeconds(20));
            assertThat(stopped.status()).as(stopped.err()).isZero();
            assertThat(ProcessHandle.of(pid)).isEmpty();
            assertThat(servers(log)).isEqualTo(1);
            session.goesOn("after");
            assertThat(session.end().status()).isZero();
            await(() -> servers(log) == 0, "it serves nobody, and runs");
        } finally {
            signal("KILL", pid);
        }
    }

    /** As pkill does, and systemd with KillMode=control-group. */
    @Test
    void one_term_to_the_server_and_to_what_stands_for_it_is_one(Stage stage) throws Exception {
        Sshd pattern = stage.holdfastSshd();
        Path pidFile = stage.directory().resolve("pid");
        int port = Sshd.freePort();
        Path log = stage.directory().resolve("log-of-" + port);
        Ended begun =
                holdfast(
                                stage,
                                "-E",
                                log.getFileName().toString(),
                                "-o",
                                "PidFile=" + pidFile,
                                "-o",
                                "ListenAddress=127.0.0.1:" + port,
                                "-f",
                                pattern.directory().resolve("sshd_config").toString())
                        .in(stage.directory())
                        .end(SOON);
        assertThat(begun.status()).as(begun.err()).isZero();
        long stands = Long.parseLong(Files.readString(pidFile).strip());
        long server = processes(log).findFirst().orElseThrow().pid();
        try {
            Session session = Session.open(to(stage, pattern, port));
            session.goesOn("before");
            signal("TERM", stands);
            await(() -> Files.readString(log).contains("a second SIGTERM"), "it did not leave");
            signal("TERM", server);
            Thread.sleep(1000); // the end would not come at once
            session.goesOn("after");
            signal("TERM", server);
            Ended ended = session.client.end(SOON);
            assertThat(ended.err()).contains("shutting down");
            await(() -> servers(log) == 0, "it still runs");
        } finally {
            signal("KILL", stands);
            signal("KILL", server);
        }
    }

    /** With our own unit, and with Debian's in which only the program is another. */
    @ParameterizedTest
    @ValueSource(strings = {"holdfast-sshd", "ssh"})
    void under_systemd_a_restart_keeps_the_sessions_and_a_shutdown_tells_them(
            String name, Stage stage) throws Exception {
        Systemd.impossible()
                .ifPresent(why -> {
                    throw new TestAbortedException(why);
                });
        Sshd pattern = stage.holdfastSshd();
        Path config = stage.directory().resolve("config");
        Path log = stage.directory().resolve("log");
        int port = Sshd.freePort();
        Files.writeString(
                config,
                "PidFile /run/trial.pid\nListenAddress 127.0.0.1:"
                        + port
                        + "\n"
                        + Files.readString(pattern.directory().resolve("sshd_config"))
                                .replaceAll("(?m)^(PidFile|ListenAddress).*\\R", ""));
        String launcher = Client.holdfast().launcher().toString();
        String words = " -f " + config;
        Path unit =
                name.equals("ssh")
                        ? Path.of("/lib/systemd/system/ssh.service")
                        : Path.of("../docs/systemd/holdfast-sshd.service");
        String text =
                Files.readString(unit)
                        .replace("/usr/sbin/sshd", launcher + " sshd")
                        .replace("/usr/local/bin/holdfast", launcher)
                        .replaceAll("(?m)( sshd -t| sshd -D)", "$1" + words)
                        .replaceAll("(?m)^(ExecStart=.*)$", "$1 -E " + log);
        Map<String, String> units =
                Map.of(
                        name + ".service",
                        text,
                        name + ".service.d/trial.conf",
                        """
                        [Unit]
                        DefaultDependencies=no
                        Conflicts=shutdown.target
                        Before=shutdown.target
                        """);
        try (Systemd systemd = up(stage, units)) {
            systemctl(systemd, "start", name);
            Session first = Session.open(to(stage, pattern, port));
            systemctl(systemd, "reload", name);
            await(() -> Files.readString(log).contains("Received SIGHUP; restarting."), "no HUP");
            systemctl(systemd, "restart", name);
            first.goesOn("through a restart");
            Session second = Session.open(to(stage, pattern, port));
            systemctl(systemd, "restart", name);
            first.goesOn("through another");
            second.goesOn("through one");
            Session third = Session.open(to(stage, pattern, port));
            assertThat(systemd.run(launcher, "sshd", "status").end(SOON).out())
                    .contains("listening on 127.0.0.1 port " + port)
                    .contains(" was stopped and serves on 1 connection.");
            assertThat(servers(systemd)).isEqualTo(3);
            assertThat(first.end().status()).isZero();
            await(() -> servers(systemd) == 2, "the first serves nobody, and runs");

            // The server itself dies, not what stands for it: systemd starts it anew.
            long pid = main(systemd, launcher);
            systemd.run("kill", "-KILL", Long.toString(pid)).end(SOON);
            assertThat(third.client.end(SOON).status()).isEqualTo(255);
            await(
                    () ->
                            systemd.run("systemctl", "is-active", name)
                                            .end(SOON)
                                            .out()
                                            .equals("active\n")
                                    && servers(systemd) == 2,
                    "not started anew");
            second.goesOn("through a crash of another");

            // A stop is the same; and what a kill of the server itself says is no failure.
            Session fourth = Session.open(to(stage, pattern, port));
            systemd.run("kill", "-TERM", Long.toString(main(systemd, launcher))).end(SOON);
            await(
                    () ->
                            systemd.run("systemctl", "is-active", name)
                                    .end(SOON)
                                    .out()
                                    .equals("inactive\n"),
                    "the service is not over");
            fourth.goesOn("through a stop");
            systemctl(systemd, "start", name);

            Session fifth = Session.open(to(stage, pattern, port));
            systemd.goDown();
            for (Session each : List.of(second, fourth, fifth)) {
                Ended ended = each.client.end(SOON);
                assertThat(ended.status()).isEqualTo(255);
                assertThat(ended.err()).contains("shutting down");
            }
            await(() -> servers(systemd) == 0, "there is a server left");
        }
    }

    private static Systemd up(Stage stage, Map<String, String> units) throws InterruptedException {
        try {
            return Systemd.start(stage.directory().resolve("units"), units);
        } catch (IOException e) {
            throw new TestAbortedException(e.getMessage());
        }
    }

    private static void systemctl(Systemd systemd, String verb, String unit)
            throws InterruptedException {
        Ended ended = systemd.run("systemctl", verb, unit).end(Duration.ofSeconds(40));
        assertThat(ended.status()).as(verb + ": " + ended.err()).isZero();
    }

    /** The process of the server that listens, as it is called there. */
    private static long main(Systemd systemd, String launcher) throws InterruptedException {
        String said = systemd.run(launcher, "sshd", "status").end(SOON).out();
        return Long.parseLong(said.replaceFirst("(?s)^holdfast sshd, pid (\\d+),.*", "$1"));
    }

    private static long servers(Systemd systemd) throws InterruptedException {
        return systemd.run("pgrep", "-c", "java")
                .end(SOON)
                .out()
                .strip()
                .transform(Long::parseLong);
    }

    /** Servers of this machine that write that log. */
    private static long servers(Path log) {
        return processes(log).count();
    }

    private static Stream<ProcessHandle> processes(Path log) {
        return ProcessHandle.allProcesses()
                .filter(each ->
                        each.info()
                                .arguments()
                                .map(words ->
                                        List.of(words).contains(String.valueOf(log.getFileName())))
                                .orElse(false));
    }

    private static Command to(Stage stage, Sshd pattern, int port) {
        return stage.openSsh(
                pattern,
                "-p",
                Integer.toString(port),
                "-o",
                "StrictHostKeyChecking=no",
                "-o",
                "UserKnownHostsFile=/dev/null",
                "trial",
                SAYS_IT_BACK);
    }

    private static Running start(Stage stage, Sshd like) {
        return holdfast(stage, "-D", "-e", "-f", like.directory().resolve("sshd_config").toString())
                .start();
    }

    private static String status(Stage stage, long pid) throws InterruptedException {
        return stage.run(
                        Client.holdfast().launcher().toString(),
                        "sshd",
                        "status",
                        "--pid",
                        Long.toString(pid))
                .end(SOON)
                .out();
    }

    private static Command holdfast(Stage stage, String... words) {
        List<String> argv =
                new ArrayList<>(List.of(Client.holdfast().launcher().toString(), "sshd"));
        argv.addAll(List.of(words));
        return stage.run(argv.toArray(String[]::new));
    }

    private static void signal(String name, long pid) {
        holdfast.trials.harness.Signals.send(name, List.of(pid));
    }

    private static void await(Eventually.Condition condition, String otherwise) throws Exception {
        Eventually.holds(SOON, condition, () -> otherwise);
    }
}
