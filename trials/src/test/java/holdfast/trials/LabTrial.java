package holdfast.trials;

import static org.assertj.core.api.Assertions.assertThat;

import holdfast.trials.harness.Command;
import holdfast.trials.harness.Ended;
import holdfast.trials.harness.Running;
import holdfast.trials.harness.Sshd;
import holdfast.trials.harness.Terminal;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;

/** {@code holdfast lab} between OpenSSH's own client and sshd. */
@ExtendWith(Staged.class)
final class LabTrial {

    private static final Duration SOON = Duration.ofSeconds(30);
    private static final String[] FORGETFUL = {"--idle", "3s", "--expiry", "silent"};

    /** Silent for longer than the box remembers. */
    private static final String SILENT = "echo ready; sleep 6; echo back";

    @Test
    void without_keepalives_a_forgotten_connection_hangs_until_the_lab_ends(Stage stage)
            throws Exception {
        Sshd sshd = stage.sshd();
        Running lab = lab(stage, sshd, FORGETFUL);
        Running ssh = ssh(stage, sshd, lab, SILENT).start();
        ssh.out().await("ready", SOON);
        lab.out().await("the NAT forgets it, idle for 3s", SOON);
        lab.out().await("lost: what the server says (NAT: flow forgotten)", SOON);
        assertThat(ssh.outlasts(Duration.ofSeconds(4))).as(ssh::report).isTrue();
        assertThat(ssh.out().text()).isEqualTo("ready\n");
        assertThat(ssh.err().text()).isEmpty();
        lab.signal("TERM");
        Ended ended = lab.end(SOON);
        assertThat(ended.status()).as(ended.out()).isEqualTo(143);
        assertThat(ended.out()).contains("ends, and with it 1 connection");
        assertThat(ended.err()).isEmpty();
        assertThat(ssh.end(SOON).status()).isEqualTo(255);
        // Its port is free again at once.
        try (ServerSocket again = new ServerSocket()) {
            again.setReuseAddress(true);
            again.bind(new InetSocketAddress(InetAddress.getLoopbackAddress(), port(lab)));
        }
    }

    @Test
    void keepalives_more_often_than_the_box_forgets_keep_it_alive(Stage stage)
            throws InterruptedException {
        Sshd sshd = stage.sshd();
        Running lab = lab(stage, sshd, FORGETFUL);
        Ended ended = ssh(stage, sshd, lab, SILENT, "-o", "ServerAliveInterval=1").end(SOON);
        assertThat(ended.status()).as(ended.err()).isZero();
        assertThat(ended.out()).isEqualTo("ready\nback\n");
        lab.out().await("#1    closed:", SOON);
        lab.signal("INT");
        Ended over = lab.end(SOON);
        assertThat(over.status()).isEqualTo(130);
        assertThat(over.out()).doesNotContain("forgets it");
    }

    @Test
    void keepalives_less_often_find_the_death_when_they_promise(Stage stage)
            throws InterruptedException {
        Sshd sshd = stage.sshd();
        Running lab = lab(stage, sshd, FORGETFUL);
        Running ssh =
                ssh(
                                stage,
                                sshd,
                                lab,
                                "echo ready; exec sleep 60",
                                "-o",
                                "ServerAliveInterval=5",
                                "-o",
                                "ServerAliveCountMax=1")
                        .start();
        ssh.out().await("ready", SOON);
        Ended ended = ssh.end(SOON);
        assertThat(ended.status()).isEqualTo(255);
        assertThat(ended.errLines()).isEqualTo("Timeout, server 127.0.0.1 not responding.\n");
        // OpenSSH counts whole seconds.
        assertThat(ended.after(ssh.out().lastByteAt()))
                .isBetween(Duration.ofSeconds(9), Duration.ofSeconds(13));
        end(lab);
    }

    @Test
    void whoever_speaks_to_a_box_that_resets_is_told(Stage stage) throws InterruptedException {
        Sshd sshd = stage.sshd();
        Running lab = lab(stage, sshd, "--expiry=reset", "--idle=2s");
        Ended ended = ssh(stage, sshd, lab, "sleep 60", "-o", "ServerAliveInterval=4").end(SOON);
        assertThat(ended.status()).isEqualTo(255);
        // Whether its reading or its writing meets the reset first is chance.
        assertThat(ended.err()).containsAnyOf("Connection reset by peer", "Broken pipe");
        assertThat(lab.out().text()).contains("#1    client gets a RST");
        end(lab);
    }

    @Test
    void a_script_is_followed(Stage stage) throws Exception {
        Sshd sshd = stage.sshd();
        Path script =
                Files.writeString(
                        stage.directory().resolve("weather"),
                        """
                        4s cut
                        6s heal   # by then TCP has tried again a few times
                        9s reset
                        10s quit
                        """);
        Running lab = lab(stage, sshd, "--script", script.toString(), "--latency=20ms");
        Running ssh =
                ssh(stage, sshd, lab, "while :; do echo tick; sleep 0.1; done || exit").start();
        ssh.out().await("tick", SOON);
        lab.out().await("path  cut", SOON);
        Thread.sleep(500);
        int dark = ssh.out().size();
        Thread.sleep(1000);
        assertThat(ssh.out().size()).isEqualTo(dark);
        lab.out().await("#1    server gets through again", SOON);
        Ended ended = lab.end(SOON);
        assertThat(ended.status()).as(ended.out()).isZero();
        assertThat(ssh.end(SOON).status()).isEqualTo(255);
        assertThat(ssh.out().size()).isGreaterThan(dark);
        assertThat(ended.out().lines().map(line -> line.strip()))
                .containsSubsequence("4.0s  path  cut", "6.0s  path  healed");
    }

    @Test
    void bad_input_is_one_line_and_starts_nothing(Stage stage) throws Exception {
        Path script = Files.writeString(stage.directory().resolve("bad"), "1s cut\n2s fly\n");
        refused(stage, 2, "unknown option or trouble \"--rain\"", "--rain", "1%");
        refused(stage, 2, "--latency: a time is not negative: \"-1s\"", "--latency", "-1s");
        refused(stage, 2, "--rate: a rate is more than zero: \"0mbit\"", "--rate=0mbit");
        refused(stage, 2, script + " line 2: expected cut", "--script", script.toString());
        try (ServerSocket taken = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            String address = "127.0.0.1:" + taken.getLocalPort();
            Ended ended = command(stage, "--listen", address, "--to", "127.0.0.1:1").end(SOON);
            assertThat(ended.status()).isEqualTo(1);
            assertThat(ended.err())
                    .isEqualTo(
                            "holdfast lab: cannot listen on "
                                    + address
                                    + ": Address already in use\n");
        }
    }

    private static void refused(Stage stage, int status, String reason, String... troubles)
            throws InterruptedException {
        List<String> words = new ArrayList<>(List.of("--listen=127.0.0.1:0", "--to=127.0.0.1:1"));
        words.addAll(Arrays.asList(troubles));
        Ended ended = command(stage, words.toArray(String[]::new)).end(SOON);
        assertThat(ended.status()).as(ended.err()).isEqualTo(status);
        assertThat(ended.err()).startsWith("holdfast lab: " + reason).hasLineCount(1);
        assertThat(ended.out()).isEmpty();
    }

    @Test
    void a_target_that_refuses_costs_one_connection_only(Stage stage) throws Exception {
        Running lab =
                command(stage, "--listen=127.0.0.1:0", "--to=127.0.0.1:" + Sshd.freePort()).start();
        lab.out().await("weather:", SOON);
        for (int number = 1; number <= 2; number++) {
            Ended ended =
                    stage.run(
                                    "/usr/bin/ssh",
                                    "-F",
                                    "none",
                                    "-p",
                                    Integer.toString(port(lab)),
                                    "127.0.0.1",
                                    "true")
                            .end(SOON);
            assertThat(ended.status()).isEqualTo(255);
            lab.out().await("#" + number + "    target cannot be reached", SOON);
        }
        end(lab);
    }

    @Test
    void on_a_terminal_there_is_a_table_and_keys_and_afterwards_the_old_modes(Stage stage)
            throws Exception {
        Sshd sshd = stage.sshd();
        Terminal terminal = stage.terminal(90, 20);
        Path before = stage.directory().resolve("before");
        Path after = stage.directory().resolve("after");
        int port = Sshd.freePort();
        Terminal.Foreground lab =
                terminal.begin(
                        "stty -g >"
                                + before
                                + "; "
                                + stage.client().launcher()
                                + " lab --idle 30s --listen 127.0.0.1:"
                                + port
                                + " --to 127.0.0.1:"
                                + sshd.port()
                                + "; lab=$?; stty -g >"
                                + after
                                + "; (exit $lab)");
        terminal.await("no connection", SOON);
        Running ssh = ssh(stage, sshd, port, "echo ready; exec sleep 60").start();
        ssh.out().await("ready", SOON);
        terminal.await("pass; forgets in 2", SOON);
        terminal.key("c");
        terminal.await("drop: cut; forgets in 2", SOON);
        terminal.key("h");
        terminal.await("path: open", SOON);
        terminal.key("f");
        terminal.await("drop: forgotten", SOON);
        // Drawn in place: one table, however long it runs.
        Thread.sleep(2500);
        assertThat(terminal.screen().split("weather:", -1)).hasSize(2);
        terminal.key("r");
        terminal.await("no connection", SOON);
        assertThat(ssh.end(SOON).status()).isEqualTo(255);
        terminal.key("C-c");
        assertThat(lab.end(SOON)).isZero();
        assertThat(after).hasSameTextualContentAs(before);
    }

    private static Running lab(Stage stage, Sshd sshd, String... troubles)
            throws InterruptedException {
        List<String> words =
                new ArrayList<>(List.of("--listen=127.0.0.1:0", "--to=127.0.0.1:" + sshd.port()));
        words.addAll(Arrays.asList(troubles));
        Running lab = command(stage, words.toArray(String[]::new)).start();
        lab.out().await("weather:", SOON);
        return lab;
    }

    private static Command command(Stage stage, String... words) {
        stage.onlyHoldfast("it has no lab");
        List<String> argv = new ArrayList<>(List.of(stage.client().launcher().toString(), "lab"));
        argv.addAll(Arrays.asList(words));
        return stage.run(argv.toArray(String[]::new));
    }

    /** Debian's own client, through the lab. */
    private static Command ssh(
            Stage stage, Sshd sshd, Running lab, String command, String... options) {
        return ssh(stage, sshd, port(lab), command, options);
    }

    private static Command ssh(
            Stage stage, Sshd sshd, int port, String command, String... options) {
        List<String> argv =
                new ArrayList<>(
                        List.of(
                                "/usr/bin/ssh",
                                "-F",
                                sshd.config().toString(),
                                "-p",
                                Integer.toString(port),
                                "-o",
                                "HostKeyAlias=[127.0.0.1]:" + sshd.port()));
        argv.addAll(Arrays.asList(options));
        argv.addAll(List.of("trial", command));
        return stage.run(argv.toArray(String[]::new));
    }

    private static int port(Running lab) {
        String text = lab.out().text();
        int from = text.indexOf(':', text.indexOf("listening on")) + 1;
        return Integer.parseInt(text.substring(from, text.indexOf(',', from)));
    }

    private static void end(Running lab) throws InterruptedException {
        lab.signal("TERM");
        assertThat(lab.end(SOON).status()).isEqualTo(143);
    }
}
