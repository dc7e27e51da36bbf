package holdfast.ssh.server.session;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import holdfast.ssh.server.Permissions;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Sessions, with Debian's ssh at the other end. */
@Timeout(120)
class SessionTest {

    private static final String USER = System.getProperty("user.name");

    @TempDir Path directory;

    private @Nullable SessionServer server;

    private SessionServer serve(String... lines) throws Exception {
        SessionServer made = new SessionServer(directory, lines);
        server = made;
        return made;
    }

    @AfterEach
    void stop() throws Exception {
        if (server != null) {
            server.close();
        }
    }

    private static void await(String what, BooleanSupplier there) throws InterruptedException {
        long end = System.nanoTime() + Duration.ofSeconds(20).toNanos();
        while (!there.getAsBoolean()) {
            assertThat(System.nanoTime()).as(what).isLessThan(end);
            Thread.sleep(20);
        }
    }

    private static long descriptors() {
        try (Stream<Path> open = Files.list(Path.of("/proc/self/fd"))) {
            return open.count();
        } catch (IOException e) {
            throw new IllegalStateException(e);
        }
    }

    @Test
    void a_command_runs_and_its_status_comes_back() throws Exception {
        SessionServer server = serve();
        SessionServer.Ran ran = server.command("echo out; echo err >&2; exit 7");
        assertThat(ran.text()).isEqualTo("out\n");
        assertThat(ran.err()).isEqualTo("err\n");
        assertThat(ran.status()).isEqualTo(7);
        assertThat(server.command("true").status()).isZero();
        assertThat(server.command("exit 255").status()).isEqualTo(255);
        assertThat(server.logged("Starting session: command for " + USER + " from 127.0.0.1 port"))
                .isTrue();
        await("close line", () -> server.logged("Close session: user " + USER + " from 127.0.0.1"));
    }

    @Test
    void a_client_that_writes_at_once_when_it_is_answered_finds_the_window_open() throws Exception {
        SessionServer server = serve("Subsystem sftp internal-sftp", "Subsystem cat /bin/cat");
        for (String[] what : new String[][] {{"exit 3"}, {"-tt"}, {"-s", "sftp"}, {"-s", "cat"}}) {
            List<String> words = new ArrayList<>(server.ssh("-vvv"));
            words.addAll(Arrays.asList(what).subList(0, what.length - 1));
            words.add(USER + "@127.0.0.1");
            words.add(what[what.length - 1]);
            if (what[0].equals("-tt")) {
                words.remove(words.size() - 1);
                words.add(words.size() - 1, "-tt");
            }
            Process process = server.start(words);
            process.getOutputStream().write("exit\n".getBytes(UTF_8));
            process.getOutputStream().close();
            String said = new String(process.getErrorStream().readAllBytes(), UTF_8);
            assertThat(said.lines().filter(line -> line.matches(".*(rcvd adjust|type 99 id).*")))
                    .as("%s: %s", List.of(what), said)
                    .last()
                    .asString()
                    .contains("type 99 id");
        }
    }

    @Test
    void a_signal_that_ends_a_command_comes_back_by_name() throws Exception {
        SessionServer.Ran ran = serve().command("kill -TERM $$", "-v", "-o", "LogLevel=DEBUG1");
        assertThat(ran.status()).isEqualTo(255);
        assertThat(ran.err()).contains("rtype exit-signal");
    }

    @Test
    void bytes_go_both_ways_exactly_and_a_slow_reader_loses_none() throws Exception {
        SessionServer server = serve();
        byte[] data = new byte[100 << 20];
        new Random(1).nextBytes(data);
        SessionServer.Ran ran = server.command(data, "cat");
        assertThat(ran.status()).isZero();
        assertThat(Arrays.equals(ran.out(), data)).isTrue();

        Process slow =
                server.start(server.ssh(USER + "@127.0.0.1", "head -c 20000000 /dev/zero; exit 3"));
        slow.getOutputStream().close();
        Thread.sleep(1500);
        long count = 0;
        try (InputStream from = slow.getInputStream()) {
            byte[] buffer = new byte[100_000];
            int some;
            while ((some = from.read(buffer)) >= 0) {
                count += some;
                Thread.sleep(1);
            }
        }
        assertThat(count).isEqualTo(20_000_000);
        assertThat(slow.waitFor()).isEqualTo(3);
    }

    @Test
    void the_end_of_input_reaches_the_command_and_output_goes_on() throws Exception {
        SessionServer.Ran ran = serve().command("hello\n".getBytes(UTF_8), "cat; echo done");
        assertThat(ran.text()).isEqualTo("hello\ndone\n");
    }

    @Test
    void a_command_that_reads_nothing_does_not_hold_up_its_client() throws Exception {
        SessionServer server = serve();
        Process yes =
                server.start(
                        List.of(
                                "sh",
                                "-c",
                                "yes | "
                                        + String.join(" ", server.ssh(USER + "@127.0.0.1", "true"))
                                        + "; echo $?"));
        assertThat(new String(yes.getInputStream().readAllBytes(), UTF_8)).isEqualTo("0\n");
    }

    @Test
    void a_command_ends_when_nobody_reads_what_it_says() throws Exception {
        SessionServer server = serve();
        Path told = directory.resolve("told");
        List<String> words = new ArrayList<>(List.of("bash", "-c"));
        words.add("\"$@\" | head -n 1; echo ${PIPESTATUS[0]}");
        words.add("first");
        words.addAll(server.ssh(USER + "@127.0.0.1", "yes; echo $? > " + told + "; exit 3"));
        Process first = server.start(words);
        assertThat(new String(first.getInputStream().readAllBytes(), UTF_8)).isEqualTo("y\n3\n");
        assertThat(Files.readString(told)).isEqualTo("141\n"); // SIGPIPE, as on one machine
    }

    @Test
    void a_background_child_that_holds_the_pipe_keeps_the_channel_open() throws Exception {
        long before = System.nanoTime();
        SessionServer.Ran ran = serve().command("(sleep 1; echo late) & echo early; exit 4");
        assertThat(ran.text()).isEqualTo("early\nlate\n");
        assertThat(ran.status()).isEqualTo(4);
        assertThat(System.nanoTime() - before).isGreaterThan(900_000_000L);
    }

    @Test
    void a_background_child_with_a_terminal_does_not() throws Exception {
        SessionServer server = serve();
        SessionServer.Ran ran =
                server.run(
                        new byte[0],
                        server.ssh("-tt", USER + "@127.0.0.1", "nohup sleep 31.5 & exit 4"));
        assertThat(ran.status()).isEqualTo(4);
        killed("sleep 31.5");
    }

    /** Ends what a test left running on purpose: its own, by the command line it alone has. */
    private static void killed(String command) {
        ProcessHandle.allProcesses()
                .filter(one -> one.info().commandLine().orElse("").endsWith(command))
                .forEach(ProcessHandle::destroyForcibly);
    }

    @Test
    void the_environment_is_openssh_s() throws Exception {
        SessionServer server =
                serve("AcceptEnv LC_* FOO", "SetEnv SERVER=yes", "PermitUserEnvironment no");
        server.permit(
                new Permissions(
                        null, Map.of("KEYED", "x"), true, true, true, true, true, null, null));
        List<String> words =
                new ArrayList<>(
                        server.ssh(
                                "-o",
                                "SetEnv=FOO=bar BAD=x SERVER=no",
                                USER + "@127.0.0.1",
                                "env"));
        SessionServer.Ran ran = server.run(new byte[0], words);
        List<String> lines = ran.text().lines().toList();
        assertThat(lines).contains("FOO=bar", "SERVER=yes", "USER=" + USER, "LOGNAME=" + USER);
        assertThat(lines).noneMatch(line -> line.startsWith("BAD=") || line.startsWith("KEYED="));
        assertThat(lines).noneMatch(line -> line.startsWith("SSH_TTY="));
        assertThat(lines)
                .anyMatch(line -> line.matches("SSH_CONNECTION=127.0.0.1 \\d+ 127.0.0.1 \\d+"))
                .anyMatch(line -> line.matches("SSH_CLIENT=127.0.0.1 \\d+ " + server.port))
                .anyMatch(line -> line.equals("MAIL=/var/mail/" + USER));
    }

    @Test
    void a_command_of_any_bytes_arrives_as_it_is() throws Exception {
        SessionServer server = serve();
        // ssh passes its argument's bytes; the shell below makes one that is no UTF-8.
        String words = String.join(" ", server.ssh(USER + "@127.0.0.1"));
        Process process =
                server.start(
                        List.of(
                                "bash",
                                "-c",
                                words + " $'printf \\'\\xff\\xe9%s\\' a' | od -An -tx1"));
        assertThat(new String(process.getInputStream().readAllBytes(), UTF_8).strip())
                .isEqualTo("ff e9 61");
    }

    @Test
    void a_forced_command_runs_in_place_of_what_is_asked() throws Exception {
        SessionServer server = serve();
        server.permit(
                new Permissions(
                        "echo \"[$SSH_ORIGINAL_COMMAND]\"",
                        Map.of(),
                        true,
                        true,
                        true,
                        true,
                        true,
                        null,
                        null));
        assertThat(server.command("rm -rf nothing").text()).isEqualTo("[rm -rf nothing]\n");
        assertThat(server.logged("Starting session: forced-command (key-option) 'echo")).isTrue();
    }

    @Test
    void a_terminal_has_its_modes_size_and_name() throws Exception {
        SessionServer server = serve();
        Process process =
                server.start(
                        List.of(
                                "script",
                                "-qec",
                                "stty rows 33 cols 101 intr ^X; "
                                        + String.join(
                                                " ",
                                                server.ssh(
                                                        "-t",
                                                        USER + "@127.0.0.1",
                                                        "'stty -a; tty; echo $SSH_TTY $TERM;"
                                                                + " exit 9'")),
                                "/dev/null"));
        process.getOutputStream().close();
        String screen = new String(process.getInputStream().readAllBytes(), UTF_8);
        assertThat(screen).contains("rows 33; columns 101").contains("intr = ^X");
        String tty = screen.lines().filter(l -> l.startsWith("/dev/pts/")).findFirst().orElse("");
        assertThat(screen).contains(tty.strip() + " ");
        assertThat(process.waitFor()).isEqualTo(9);
        assertThat(server.logged("Starting session: command on pts/")).isTrue();
    }

    @Test
    void a_login_shell_runs_on_a_terminal_and_control_c_reaches_it() throws Exception {
        SessionServer server = serve();
        Process process = server.start(server.ssh("-tt", USER + "@127.0.0.1"));
        var to = process.getOutputStream();
        to.write("echo \"name=$0\"; sleep 100\n".getBytes(UTF_8));
        to.flush();
        // A shell that is still starting throws away what was typed before a control-C.
        StringBuilder screen = new StringBuilder();
        while (screen.indexOf("name=-bash") < 0) {
            int next = process.getInputStream().read();
            assertThat(next).as(screen.toString()).isNotNegative();
            screen.append((char) next);
        }
        to.write("\003".getBytes(UTF_8));
        to.flush();
        Thread.sleep(300);
        to.write("echo after; exit 6\n".getBytes(UTF_8));
        to.flush();
        assertThat(new String(process.getInputStream().readAllBytes(), UTF_8))
                .contains("after\r\n");
        assertThat(process.waitFor()).isEqualTo(6);
        assertThat(server.logged("Starting session: shell on pts/")).isTrue();
    }

    @Test
    void what_a_terminal_may_not_be_had_is_refused() throws Exception {
        SessionServer server = serve("PermitTTY no");
        SessionServer.Ran ran =
                server.run(new byte[0], server.ssh("-tt", USER + "@127.0.0.1", "tty"));
        assertThat(ran.err()).contains("PTY allocation request failed on channel 0");
        assertThat(ran.status()).isEqualTo(255);
        assertThat(server.command("tty").text()).isEqualTo("not a tty\n");
    }

    @Test
    void a_thousand_commands_on_one_connection_leave_nothing() throws Exception {
        SessionServer server = serve();
        Path control = directory.resolve("control");
        Process master =
                server.start(server.ssh("-M", "-N", "-S", control.toString(), USER + "@127.0.0.1"));
        await("master", () -> Files.exists(control));
        long before = descriptors();
        Process loop =
                server.start(
                        List.of(
                                "bash",
                                "-c",
                                "seq 1000 | xargs -P 8 -I N sh -c 'ssh -S "
                                        + control
                                        + " x \"echo N; exit \\$((N % 200))\"; [ $? = $((N % 200)) ]"
                                        + " || echo BAD N'"));
        String out = new String(loop.getInputStream().readAllBytes(), UTF_8);
        assertThat(out.lines().toList())
                .containsExactlyInAnyOrderElementsOf(
                        Stream.iterate(1, i -> i + 1).limit(1000).map(String::valueOf).toList());
        await("descriptors " + before, () -> descriptors() <= before + 2);
        master.destroy();
        master.waitFor();
    }

    @Test
    void a_client_that_dies_leaves_no_process_and_no_descriptor() throws Exception {
        SessionServer server = serve();
        server.command("true");
        long before = descriptors();
        Process pipe =
                server.start(server.ssh(USER + "@127.0.0.1", "echo up; sleep 4321.1 & wait"));
        Process tty = server.start(server.ssh("-tt", USER + "@127.0.0.1", "echo up; sleep 4321.2"));
        assertThat(pipe.getInputStream().read()).isEqualTo('u');
        assertThat(tty.getInputStream().read()).isEqualTo('u');
        pipe.destroyForcibly();
        tty.destroyForcibly();
        await(
                "processes end",
                () ->
                        ProcessHandle.allProcesses()
                                .noneMatch(one ->
                                        one.info()
                                                .commandLine()
                                                .orElse("")
                                                .contains("sleep 4321.")));
        await("descriptors " + before, () -> descriptors() <= before);
    }

    @Test
    void more_sessions_than_permitted_are_refused_and_none_after_no_more() throws Exception {
        SessionServer server = serve("MaxSessions 1");
        Path control = directory.resolve("control");
        Process master =
                server.start(
                        server.ssh(
                                "-M", "-S", control.toString(), USER + "@127.0.0.1", "sleep 60.5"));
        await("master", () -> Files.exists(control));
        await("session", () -> server.logged("Starting session: command"));
        SessionServer.Ran ran =
                server.run(
                        new byte[0],
                        List.of(
                                "ssh",
                                "-o",
                                "LogLevel=ERROR",
                                "-S",
                                control.toString(),
                                "x",
                                "true"));
        assertThat(ran.status()).isNotZero();
        assertThat(server.logged("no more sessions")).isTrue();
        master.destroy();
        killed("sleep 60.5");
    }

    @Test
    void the_agent_is_reached_and_its_socket_is_gone_afterwards() throws Exception {
        SessionServer server = serve();
        Path agent = directory.resolve("agent");
        Process serving = server.start(List.of("ssh-agent", "-D", "-a", agent.toString()));
        await("agent", () -> Files.exists(agent));
        List<String> words =
                new ArrayList<>(
                        server.ssh(
                                "-A",
                                USER + "@127.0.0.1",
                                "echo $SSH_AUTH_SOCK; stat -c %a $SSH_AUTH_SOCK $(dirname"
                                        + " $SSH_AUTH_SOCK); ssh-add -q "
                                        + directory.resolve("key")
                                        + "; ssh-add -l"));
        words.remove("IdentityAgent=none");
        words.remove(words.indexOf("-o"));
        ProcessBuilder builder = new ProcessBuilder(server.ssh("-A"));
        List<String> all = new ArrayList<>(server.options());
        all.replaceAll(w -> w.equals("IdentityAgent=none") ? "IdentityAgent=" + agent : w);
        all.addFirst("ssh");
        all.addAll(words.subList(words.indexOf("-p"), words.size()));
        builder.command(all);
        SessionServer.Ran ran = server.run(new byte[0], all);
        List<String> lines = ran.text().lines().toList();
        assertThat(lines.get(0)).matches("/tmp/ssh-[A-Za-z0-9]{10}/agent\\.\\d+");
        assertThat(lines.subList(1, 3)).containsExactly("600", "700");
        assertThat(lines.get(3)).contains("ED25519");
        await("socket", () -> !Files.exists(Path.of(lines.get(0)).resolveSibling(".")));
        serving.destroy();
        serving.waitFor(5, TimeUnit.SECONDS);
    }
}
