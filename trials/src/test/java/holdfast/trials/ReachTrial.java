package holdfast.trials;

import static org.assertj.core.api.Assertions.assertThat;

import holdfast.trials.harness.Command;
import holdfast.trials.harness.Display;
import holdfast.trials.harness.Ended;
import holdfast.trials.harness.Eventually;
import holdfast.trials.harness.Keys;
import holdfast.trials.harness.Running;
import holdfast.trials.harness.Script;
import holdfast.trials.harness.Sshd;
import holdfast.trials.harness.Terminal;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;

/**
 * The client's long tail against a real sshd: displays, limits on idle channels, keys that are
 * withdrawn or asked for elsewhere, the background, and what is listed and said.
 */
@ExtendWith(Staged.class)
final class ReachTrial {

    private static final Duration SOON = Duration.ofSeconds(30);

    // --- X11

    @Test
    void a_display_is_forwarded_and_the_server_never_learns_its_cookie(Stage stage)
            throws Exception {
        Stage.needs("bash");
        Path stored = stage.directory().resolve("stored");
        Sshd sshd =
                stage.sshd(
                        "X11Forwarding yes",
                        "X11UseLocalhost yes",
                        "AddressFamily inet",
                        "XAuthLocation "
                                + Script.at(
                                        stage.directory().resolve("xauth-there"),
                                        "cat >" + stored));
        Path here = Display.xauth(stage.directory().resolve("xauth-here"));
        // An X11 client of one question: byte order, version, protocol and cookie; then it listens.
        Path client =
                Script.at(
                        stage.directory().resolve("x-client"),
                        "exec bash -c '",
                        "d=${DISPLAY#*:}; d=${d%.*}",
                        "c=${1:-$(sed -n \"s/^add .* //p\" " + stored + " | tail -1)}",
                        "c=$(printf %s $c | sed \"s/../\\\\\\\\x&/g\")",
                        "exec 3<>/dev/tcp/127.0.0.1/$((6000+d))",
                        "printf \"l\\0\\13\\0\\0\\0\\22\\0\\20\\0\\0\\0MIT-MAGIC-COOKIE-1\\0\\0$c\" >&3",
                        "head -c 7 <&3' x-client \"$@\"");
        try (Display display = new Display()) {
            for (boolean theirs : List.of(true, false)) {
                Command command = forwarding(stage, sshd, theirs, here, client.toString());
                Ended ended = command.env("DISPLAY", display.name()).end(SOON);
                assertThat(ended.out()).as(ended.err()).isEqualTo("welcome");
                assertThat(display.cookieOfNext()).isEqualTo(Display.COOKIE);
                assertThat(Files.readString(stored))
                        .contains("add ")
                        .doesNotContain(Display.COOKIE);

                Ended wrong =
                        forwarding(stage, sshd, theirs, here, client + " " + "00".repeat(16))
                                .env("DISPLAY", display.name())
                                .end(SOON);
                assertThat(wrong.out()).isEmpty();
                assertThat(wrong.err())
                        .contains("X11 connection rejected because of wrong authentication.");
                assertThat(display.nobodyElseCame()).isTrue();
            }
            throughOneMaster(stage, sshd, here, client, display);
        }
    }

    /** Whose sessions all show their windows with the cookie of the first. */
    private static void throughOneMaster(
            Stage stage, Sshd sshd, Path xauth, Path client, Display display) throws Exception {
        stage.onlyHoldfast("the master is ours");
        String socket = stage.directory().resolve("m").toString();
        Running master =
                stage.ssh(
                                sshd,
                                "-o",
                                "XAuthLocation=" + xauth,
                                "-o",
                                "ForwardX11Trusted=yes",
                                "-X",
                                "-M",
                                "-N",
                                "-S",
                                socket,
                                "trial")
                        .env("DISPLAY", display.name())
                        .start();
        Eventually.holds(SOON, () -> Files.exists(Path.of(socket)), master::report);
        for (boolean theirs : List.of(true, false, true)) {
            String[] words = {"-S", socket, "-X", "trial", client.toString()};
            Ended ended =
                    (theirs ? stage.openSsh(sshd, words) : stage.ssh(sshd, words))
                            .env("DISPLAY", display.name())
                            .end(SOON);
            assertThat(ended.out()).as(ended.err()).isEqualTo("welcome");
            assertThat(display.cookieOfNext()).isEqualTo(Display.COOKIE);
        }
        for (boolean theirs : List.of(true, false)) {
            Ended ended =
                    speaking(stage, sshd, theirs, socket, xauth, client.toString())
                            .env("DISPLAY", display.name())
                            .end(SOON);
            assertThat(ended.out()).as(ended.err()).isEqualTo("welcome");
            assertThat(display.cookieOfNext()).isEqualTo(Display.COOKIE);
        }
        // With them their display is gone: windows are the master's again.
        Ended after =
                stage.openSsh(sshd, "-S", socket, "-X", "trial", client.toString())
                        .env("DISPLAY", display.name())
                        .end(SOON);
        assertThat(after.out()).as(after.err()).isEqualTo("welcome");
        assertThat(display.cookieOfNext()).isEqualTo(Display.COOKIE);
        master.signal("TERM");
        master.end(SOON);
    }

    /** A client with a display of its own that speaks SSH through a master. */
    private static Command speaking(
            Stage stage, Sshd sshd, boolean theirs, String socket, Path xauth, String command) {
        List<String> words = new ArrayList<>(List.of("-S", socket, "-O", "proxy"));
        words.addAll(List.of("-o", "XAuthLocation=" + xauth, "-o", "ForwardX11Trusted=yes"));
        words.addAll(List.of("-X", "trial", command));
        String[] all = words.toArray(String[]::new);
        return theirs ? stage.openSsh(sshd, all) : stage.ssh(sshd, all);
    }

    @Test
    void openssh_masters_show_no_windows_of_who_speaks_ssh_through_them(Stage stage)
            throws Exception {
        stage.onlyHoldfast("it says nothing");
        Sshd sshd = stage.sshd("X11Forwarding yes", "AddressFamily inet");
        Path xauth = Display.xauth(stage.directory().resolve("xauth-here"));
        Path socket = stage.directory().resolve("m");
        Running master = stage.openSsh(sshd, "-M", "-N", "-S", socket.toString(), "trial").start();
        Eventually.holds(SOON, () -> Files.exists(socket), master::report);
        try (Display display = new Display()) {
            Ended ended =
                    speaking(stage, sshd, false, socket.toString(), xauth, "echo \"<$DISPLAY>\"")
                            .env("DISPLAY", display.name())
                            .end(SOON);
            assertThat(ended.out()).isEqualTo("<>\n");
            assertThat(ended.errLines())
                    .isEqualTo(
                            "Warning: X11 is not forwarded over -O proxy: windows come to the"
                                    + " master\n");
            assertThat(display.nobodyElseCame()).isTrue();
        }
        master.signal("TERM");
        master.end(SOON);
    }

    private static Command forwarding(
            Stage stage, Sshd sshd, boolean theirs, Path xauth, String command) {
        String[] words = {
            "-o", "XAuthLocation=" + xauth, "-o", "ForwardX11Trusted=yes", "-X", "trial", command
        };
        return theirs ? stage.openSsh(sshd, words) : stage.ssh(sshd, words);
    }

    // --- idle channels

    @Test
    void a_session_that_says_nothing_for_too_long_is_closed_and_the_status_is_255(Stage stage)
            throws Exception {
        stage.onlyHoldfast("ChannelTimeout is younger than Debian's");
        Sshd sshd = stage.sshd();
        Ended ended =
                stage.ssh(sshd, "-v", "-o", "ChannelTimeout=session:*=1", "trial", "sleep 600")
                        .end(SOON);
        assertThat(ended.status()).isEqualTo(255);
        assertThat(ended.err()).contains("closing after 1 seconds of inactivity");
        Ended other =
                stage.ssh(sshd, "-o", "ChannelTimeout=direct-tcpip=1", "trial", "sleep 2; echo on")
                        .end(SOON);
        assertThat(other.status()).as(other.err()).isZero();
        assertThat(other.out()).isEqualTo("on\n");
    }

    // --- keys of servers

    @Test
    void a_withdrawn_key_is_refused_as_openssh_refuses_it(Stage stage) throws Exception {
        Sshd sshd = stage.sshd();
        Path list = stage.directory().resolve("revoked.krl");
        String host = Keys.of("ed25519", "host") + ".pub";
        assertThat(stage.run("ssh-keygen", "-q", "-k", "-f", list.toString(), host).end(SOON))
                .extracting(Ended::status)
                .isEqualTo(0);
        String[] words = {
            "-o", "HostKeyAlgorithms=ssh-ed25519", "-o", "RevokedHostKeys=" + list, "trial", "true"
        };
        Ended theirs = stage.openSsh(sshd, words).end(SOON);
        Ended ours = stage.ssh(sshd, words).end(SOON);
        assertThat(ours.err()).isEqualTo(theirs.err()).contains(" revoked by file " + list);
        assertThat(ours.status()).isEqualTo(theirs.status()).isEqualTo(255);
        words[1] = "HostKeyAlgorithms=ecdsa-sha2-nistp256";
        assertThat(stage.ssh(sshd, words).end(SOON).status()).isZero();
    }

    @Test
    void a_command_may_know_the_hosts(Stage stage) throws Exception {
        Sshd sshd = stage.sshd();
        Path command =
                Script.at(
                        stage.directory().resolve("keys"),
                        "echo \"$@\" >>" + stage.directory().resolve("asked"),
                        "cat " + sshd.knownHosts());
        String[] words = {
            "-o",
            "UserKnownHostsFile=none",
            "-o",
            "KnownHostsCommand=" + command + " %I %H",
            "trial",
            "echo in"
        };
        for (boolean theirs : List.of(true, false)) {
            Ended ended = (theirs ? stage.openSsh(sshd, words) : stage.ssh(sshd, words)).end(SOON);
            assertThat(ended.out()).as(ended.err()).isEqualTo("in\n");
        }
        assertThat(Files.readString(stage.directory().resolve("asked")).lines().distinct())
                .containsExactlyInAnyOrder(
                        "ORDER 127.0.0.1", "HOSTNAME [127.0.0.1]:" + sshd.port());
        words[3] = "KnownHostsCommand=/bin/false";
        assertThat(stage.ssh(sshd, words).end(SOON).err()).contains("KnownHostsCommand failed");
    }

    // --- ~&

    @Test
    void sent_to_the_background_it_gives_the_shell_back_and_goes_on(Stage stage) throws Exception {
        Sshd sshd = stage.sshd();
        Terminal terminal = stage.terminal(120, 30);
        String before = terminal.modes();
        Path may = stage.directory().resolve("may-end");
        Path over = stage.directory().resolve("over");
        // Typed, not sourced: only a job of its own line comes back to the shell when it stops.
        terminal.line(
                stage.words(sshd)
                        + " -t trial 'echo ready; cat; while [ ! -e "
                        + may
                        + " ]; do sleep 0.1; done; echo done >"
                        + over
                        + "'");
        terminal.await("ready", SOON);
        terminal.key("Enter");
        terminal.type("~&");
        terminal.await("[backgrounded]", SOON);
        terminal.await("topped", SOON);
        terminal.line("echo shell-is-b''ack");
        terminal.await("shell-is-back", SOON);
        assertThat(terminal.modes()).isEqualTo(before);
        assertThat(over).doesNotExist();
        Files.createFile(may);
        terminal.await("Connection to 127.0.0.1 closed.", SOON);
        assertThat(over).exists();
    }

    /** As many a command typed with an ampersand: nobody may read the terminal from there. */
    @Test
    void begun_in_the_background_it_goes_on_as_long_as_nobody_types(Stage stage) throws Exception {
        Sshd sshd = stage.sshd();
        Terminal terminal = stage.terminal(120, 30);
        terminal.line(stage.words(sshd) + " trial 'sleep 2; echo from-be\"\"hind' &");
        terminal.await("from-behind", SOON);
        terminal.line("wait; echo sta''tus $?");
        terminal.await("status 0", SOON);
        assertThat(terminal.screen()).doesNotContain("topped");
    }

    @Test
    void in_the_background_it_stops_before_it_asks_and_can_be_ended_there(Stage stage)
            throws Exception {
        Sshd sshd = stage.sshd();
        Terminal terminal = stage.terminal(120, 30);
        String asks =
                stage.words(sshd)
                        + " -o StrictHostKeyChecking=ask -o UserKnownHostsFile=/dev/null trial true &";
        terminal.line(asks);
        awaitStopped(terminal);
        assertThat(terminal.screen()).doesNotContain("Are you sure");
        terminal.line("clear; fg");
        terminal.await("Are you sure", SOON);
        terminal.line("no");
        terminal.await("Host key verification failed.", SOON);
        terminal.line("clear");
        terminal.line(asks);
        awaitStopped(terminal);
        terminal.line("kill %%; wait; echo o''ver; jobs");
        terminal.await("over", SOON);
        assertThat(terminal.screen()).doesNotContain("Are you sure");
    }

    /** As ansible does without pipelining: standard input is a terminal that is nobody's. */
    @Test
    void at_a_terminal_that_is_not_its_sessions_it_is_neither_stopped_nor_late(Stage stage)
            throws Exception {
        Sshd sshd = stage.sshd();
        Path script =
                Files.writeString(
                        stage.directory().resolve("nobodys.py"),
                        """
                        import pty, subprocess, sys, time
                        ends = pty.openpty()
                        def took(option, stdin):
                            begun = time.monotonic()
                            end = subprocess.run(sys.argv[1:] + [option, "trial", "true"], stdin=stdin)
                            assert end.returncode == 0
                            return time.monotonic() - begun
                        plain = took("-T", subprocess.DEVNULL)
                        late = took("-tt", ends[1]) - plain
                        print("in time" if late < 3 else "late by %.1f" % late)
                        """);
        Terminal terminal = stage.terminal(120, 30);
        // In a job of the shell's, and, under setsid, in a group that nobody could continue.
        for (String before : List.of("", "setsid -w ")) {
            terminal.line("clear; " + before + "python3 " + script + " " + stage.words(sshd));
            terminal.await("in time", SOON);
            assertThat(terminal.screen()).doesNotContain("topped");
        }
    }

    /** The shell tells of its jobs before a prompt. */
    private static void awaitStopped(Terminal terminal) throws Exception {
        Eventually.holds(
                SOON,
                () -> {
                    terminal.key("Enter");
                    Thread.sleep(200);
                    return terminal.screen().contains("topped");
                },
                terminal::screen);
    }

    // --- what is listed

    @Test
    void every_list_that_openssh_has_is_answered(Stage stage) throws Exception {
        stage.onlyHoldfast("it is compared with itself");
        for (String kind : stage.run("ssh", "-Q", "help").end(SOON).out().lines().toList()) {
            Ended theirs = stage.run("ssh", "-Q", kind).end(SOON);
            Ended ours = stage.bare("-Q", kind).end(SOON);
            assertThat(ours.status()).as(kind).isZero();
            assertThat(ours.err()).isEmpty();
            // What 10.0 has and 9.2 has not.
            assertThat(theirs.out().lines().toList())
                    .as(kind)
                    .containsAll(
                            ours.out().lines().filter(name -> !name.startsWith("mlkem")).toList());
        }
        for (String kind : List.of("MACS", "Mac", "KEX", "PubKeyAcceptedKeyTypes", "Compression")) {
            assertThat(stage.bare("-Q", kind).end(SOON).status())
                    .as(kind)
                    .isEqualTo(stage.run("ssh", "-Q", kind).end(SOON).status());
        }
        Ended none = stage.bare("-Q", "nothing").end(SOON);
        assertThat(none.status()).isEqualTo(255);
        assertThat(none.err()).isEqualTo("Unsupported query \"nothing\"\r\n");
    }
}
