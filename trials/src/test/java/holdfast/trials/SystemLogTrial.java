package holdfast.trials;

import static org.assertj.core.api.Assertions.assertThat;

import holdfast.trials.harness.Client;
import holdfast.trials.harness.Command;
import holdfast.trials.harness.Ended;
import holdfast.trials.harness.Eventually;
import holdfast.trials.harness.Running;
import holdfast.trials.harness.Sshd;
import java.net.InetAddress;
import java.net.Socket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.parallel.Execution;
import org.junit.jupiter.api.parallel.ExecutionMode;

/** What is in the system's log, and what those make of it who read it: grep and fail2ban. */
@ExtendWith(Staged.class)
@Execution(ExecutionMode.CONCURRENT)
class SystemLogTrial {

    private static final Duration SOON = Duration.ofSeconds(60);

    /** PID_MAX_LIMIT: no process has a higher number. */
    private static final long HIGHEST_PID = 4 << 20;

    private static final Pattern LINE =
            Pattern.compile("(?m)^\\S+ +\\S+ \\S+ \\S+ sshd\\[(\\d+)]: (.*)$");

    /** Runs a server, and writes what it sends to the system's log as rsyslog writes auth.log. */
    private static final String SYSLOG =
            """
            import re, socket, subprocess, sys
            s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            s.bind("/dev/log")
            s.settimeout(0.1)
            server = subprocess.Popen(sys.argv[2:])
            with open(sys.argv[1], "w", buffering=1) as log:
                over = False
                while True:
                    try:
                        line = s.recv(8192).decode().rstrip("\\0\\n")
                        log.write(re.sub(r"^<\\d+>(.{15}) ", r"\\1 trial ", line) + "\\n")
                    except TimeoutError:
                        if over:
                            break
                        over = server.poll() is not None
            """;

    private static final String OWN_DEV =
            """
            mount -t tmpfs tmpfs /dev && mknod -m 666 /dev/null c 1 3 && mknod -m 666 /dev/urandom c 1 9 \
              && mknod -m 666 /dev/random c 1 8 && mknod -m 666 /dev/zero c 1 5 && exec "$@"
            """;

    private static String log(Stage stage, boolean ours) throws Exception {
        Path directory = Files.createDirectory(stage.directory().resolve(ours ? "ours" : "theirs"));
        Sshd pattern = stage.sshd();
        int port = Sshd.freePort();
        Path log = directory.resolve("auth.log");
        Path pidFile = directory.resolve("pid");
        Files.writeString(log, "");
        Path syslog = Files.writeString(directory.resolve("syslog.py"), SYSLOG);
        List<String> words =
                new ArrayList<>(
                        List.of(
                                "unshare",
                                "--mount",
                                "sh",
                                "-c",
                                OWN_DEV,
                                "sh",
                                "/usr/bin/python3",
                                syslog.toString(),
                                log.toString()));
        words.addAll(
                ours
                        ? List.of(
                                Client.holdfast().launcher().toString(),
                                "sshd",
                                "-o",
                                "PerSourcePenalties=no")
                        : List.of(Sshd.program()));
        words.addAll(
                List.of(
                        "-D",
                        "-o",
                        "PidFile=" + pidFile,
                        "-o",
                        "PasswordAuthentication=yes",
                        "-o",
                        "ListenAddress=127.0.0.1:" + port,
                        "-f",
                        pattern.directory().resolve("sshd_config").toString()));
        Running server = stage.run(words.toArray(String[]::new)).start();
        await(log, "Server listening on");
        // Who leaves without a word is told of in a line that does not say who.
        InetAddress here = InetAddress.getLoopbackAddress();
        try (Socket _ = new Socket(here, port, InetAddress.getByName("127.0.0.6"), 0)) {
            try (Socket _ = new Socket(here, port, InetAddress.getByName("127.0.0.5"), 0)) {
                await(log, "(?s)Connection from 127.0.0.[56] .*Connection from 127.0.0.[56] ");
            }
            await(log, "kex_exchange_identification");
        }
        // Wrong passwords, each after a while, from two addresses at a time.
        Path wrong =
                Files.writeString(
                        directory.resolve("askpass"), "#!/bin/sh\nsleep 0.5\necho wrong\n");
        Files.setPosixFilePermissions(wrong, PosixFilePermissions.fromString("rwx------"));
        List<Running> failing = new ArrayList<>();
        for (String from : List.of("127.0.0.2", "127.0.0.3")) {
            failing.add(
                    client(
                                    stage,
                                    pattern,
                                    port,
                                    from,
                                    "-o",
                                    "PreferredAuthentications=password",
                                    "-o",
                                    "NumberOfPasswordPrompts=3")
                            .env("SSH_ASKPASS", wrong.toString())
                            .env("SSH_ASKPASS_REQUIRE", "force")
                            .start());
        }
        await(log, "Failed password");
        // Between them somebody is let in.
        assertThat(client(stage, pattern, port, "127.0.0.4").end(SOON).out()).isEqualTo("in\n");
        for (Running each : failing) {
            assertThat(each.end(SOON).status()).isEqualTo(255);
        }
        await(log, "(?s)127.0.0.[23] port \\d+ \\[preauth].*127.0.0.[23] port \\d+ \\[preauth]");
        stage.run("kill", "-INT", Files.readString(pidFile).strip()).end(SOON);
        assertThat(server.end(SOON).status()).isZero();
        return Files.readString(log);
    }

    private static Command client(
            Stage stage, Sshd pattern, int port, String from, String... options) {
        List<String> words =
                new ArrayList<>(
                        List.of(
                                "-p",
                                Integer.toString(port),
                                "-b",
                                from,
                                "-o",
                                "StrictHostKeyChecking=no",
                                "-o",
                                "UserKnownHostsFile=/dev/null"));
        words.addAll(List.of(options));
        words.addAll(List.of("trial", "echo in"));
        return stage.openSsh(pattern, words.toArray(String[]::new));
    }

    private static void await(Path log, String wanted) throws Exception {
        Pattern pattern = Pattern.compile(wanted);
        Eventually.holds(
                SOON,
                () -> pattern.matcher(Files.readString(log)).find(),
                () -> Files.readString(log));
    }

    @Test
    void the_lines_of_a_connection_have_a_number_of_their_own_that_is_no_process(Stage stage)
            throws Exception {
        Stage.needsRoot("only root has a /dev/log of its own");
        Map<Long, List<String>> lines = new TreeMap<>();
        String log = log(stage, true);
        Matcher each = LINE.matcher(log);
        while (each.find()) {
            lines.computeIfAbsent(Long.valueOf(each.group(1)), none -> new ArrayList<>())
                    .add(each.group(2));
        }
        assertThat(lines).as(log).hasSize(6); // the server's own and five connections
        Pattern from = Pattern.compile("127\\.0\\.0\\.[2-6]");
        lines.forEach((number, said) -> {
            List<String> sources =
                    said.stream()
                            .flatMap(line -> from.matcher(line).results())
                            .map(found -> found.group())
                            .distinct()
                            .toList();
            assertThat(sources).as(said.toString()).hasSize(number > HIGHEST_PID ? 1 : 0);
            assertThat(ProcessHandle.of(number)).isEmpty();
        });
    }

    @Test
    void fail2ban_finds_the_same_failures_as_in_opensshs_log(Stage stage) throws Exception {
        Stage.needsRoot("only root has a /dev/log of its own");
        Stage.needs("fail2ban-regex");
        List<List<String>> found = new ArrayList<>();
        for (boolean ours : new boolean[] {false, true}) {
            String log = log(stage, ours);
            found.add(failures(stage, "normal", log));
            found.add(failures(stage, "aggressive", log));
        }
        assertThat(found.get(0)).contains("127.0.0.2", "127.0.0.3").doesNotContain("127.0.0.4");
        assertThat(found.get(1)).contains("127.0.0.5", "127.0.0.6").doesNotContain("127.0.0.4");
        assertThat(found.get(2)).isEqualTo(found.get(0));
        assertThat(found.get(3)).isEqualTo(found.get(1));
    }

    private static List<String> failures(Stage stage, String mode, String log) throws Exception {
        Path file = Files.writeString(stage.directory().resolve("auth.log"), log);
        Ended ended =
                stage.run("fail2ban-regex", "-o", "ip", file.toString(), "sshd[mode=" + mode + "]")
                        .end(SOON);
        assertThat(ended.status()).as(ended.err()).isZero();
        return ended.out().lines().sorted().toList();
    }
}
