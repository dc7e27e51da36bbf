package holdfast.trials;

import static org.assertj.core.api.Assertions.assertThat;

import holdfast.trials.harness.Client;
import holdfast.trials.harness.Command;
import holdfast.trials.harness.Ended;
import holdfast.trials.harness.Eventually;
import holdfast.trials.harness.Running;
import holdfast.trials.harness.Signals;
import holdfast.trials.harness.Sshd;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.file.DirectoryIteratorException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermission;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.TreeSet;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.opentest4j.TestAbortedException;

/** Commands without a terminal: statuses, streams, options. */
@ExtendWith(Staged.class)
final class CommandTrial {

    private static final Duration SOON = Duration.ofSeconds(20);

    @Test
    void the_exit_status_is_the_remote_command_s(Stage stage) throws InterruptedException {
        Sshd sshd = stage.sshd();
        long seed = System.nanoTime();
        SplittableRandom random = new SplittableRandom(seed);
        TreeSet<Integer> statuses =
                new TreeSet<>(List.of(0, 1, 2, 126, 127, 128, 129, 130, 137, 254, 255));
        while (statuses.size() < 20) {
            statuses.add(random.nextInt(256));
        }
        for (int status : statuses) {
            Ended ended = stage.ssh(sshd, "trial", "exit " + status).end(SOON);
            assertThat(ended.status()).as("exit %d, seed %d", status, seed).isEqualTo(status);
            assertThat(ended.out() + ended.err()).isEmpty();
        }
    }

    @Test
    void a_command_killed_by_a_signal_gives_255(Stage stage) throws InterruptedException {
        Sshd sshd = stage.sshd();
        for (String signal : List.of("TERM", "KILL", "SEGV", "HUP")) {
            Ended ended =
                    stage.ssh(sshd, "trial", "exec sh -c 'kill -" + signal + " $$'").end(SOON);
            assertThat(ended.status()).as(signal).isEqualTo(255);
            assertThat(ended.out()).isEmpty();
        }
    }

    /** Runs a program and says what its parent hears of its end: wait(2)'s status. */
    private static final String PARENT =
            "exec perl -e '$| = 1; $p = fork; if (!$p) { exec @ARGV } print \"$p\\n\"; waitpid $p, 0;"
                    + " print \"ended $?\\n\"' \"$@\"";

    @Test
    void a_signal_before_the_login_is_what_it_died_of(Stage stage) throws Exception {
        Sshd sshd = stage.sshd();
        sshd.freeze(); // it is connected to, and never answers
        for (String option : List.of("-T", "-f")) {
            for (String signal : List.of("HUP", "INT", "TERM")) {
                List<String> heard = new ArrayList<>();
                for (Command command :
                        List.of(
                                stage.openSsh(sshd, option, "trial", "true"),
                                stage.ssh(sshd, option, "trial", "true"))) {
                    Running parent =
                            stage.shell(PARENT, command.argv().toArray(String[]::new)).start();
                    parent.out().await("\n", SOON);
                    String pid = parent.out().text().strip();
                    awaitConnecting(parent, pid);
                    Signals.send(signal, List.of(Long.valueOf(pid)));
                    heard.add(parent.end(SOON).out().lines().toList().getLast());
                }
                assertThat(heard.getLast()).as(option + signal).isEqualTo(heard.getFirst());
                assertThat(heard.getLast()).isIn("ended 1", "ended 2", "ended 15");
            }
        }
    }

    /** Until it has a socket, or another of the same does what it was asked for. */
    private static void awaitConnecting(Running parent, String pid) throws Exception {
        long deadline = System.nanoTime() + SOON.toNanos();
        while (System.nanoTime() < deadline) {
            List<Long> processes = new ArrayList<>(List.of(Long.valueOf(pid)));
            ProcessHandle.of(processes.getFirst())
                    .ifPresent(us -> us.children().forEach(one -> processes.add(one.pid())));
            for (long process : processes) {
                if (hasSocket(process)) {
                    return;
                }
            }
            Thread.sleep(20);
        }
        throw new AssertionError("it does not connect: " + parent.report());
    }

    private static boolean hasSocket(long process) {
        try (DirectoryStream<Path> files =
                Files.newDirectoryStream(Path.of("/proc/" + process + "/fd"))) {
            for (Path file : files) {
                if (Files.readSymbolicLink(file).toString().startsWith("socket:")) {
                    return true;
                }
            }
            return false;
        } catch (IOException | DirectoryIteratorException gone) {
            return false; // it, or one of its files
        }
    }

    @Test
    void a_channel_that_the_server_does_not_answer_for_holds_up_no_signal(Stage stage)
            throws Exception {
        Sshd sshd = stage.sshd();
        InetSocketAddress here = new InetSocketAddress(InetAddress.ofLiteral("127.0.0.1"), 0);
        List<SocketChannel> waiting = new ArrayList<>();
        try (ServerSocketChannel full = ServerSocketChannel.open().bind(here, 1)) {
            // Nobody is accepted: who comes next is not answered by the kernel either.
            for (int i = 0; i < 4; i++) {
                SocketChannel one = SocketChannel.open();
                waiting.add(one);
                one.configureBlocking(false);
                one.connect(full.getLocalAddress());
            }
            String target = "127.0.0.1:" + ((InetSocketAddress) full.getLocalAddress()).getPort();
            Running running = stage.ssh(sshd, "-vv", "-W", target, "trial").start();
            running.err().await("send open", SOON);
            Thread.sleep(300);
            assertThat(running.alive()).as(running.err().text()).isTrue();
            running.signal("TERM");
            assertThat(running.end(Duration.ofSeconds(8)).status()).isZero();
        } finally {
            for (SocketChannel one : waiting) {
                one.close();
            }
        }
    }

    @Test
    void the_two_output_streams_stay_apart(Stage stage) throws InterruptedException {
        Sshd sshd = stage.sshd();
        Ended ended = stage.ssh(sshd, "trial", "echo out; echo err >&2; printf tail").end(SOON);
        assertThat(ended.out()).isEqualTo("out\ntail");
        assertThat(ended.err()).isEqualTo("err\n");
        Ended mixed =
                stage.shell(
                                "\"$@\" 2>&1 >/dev/null",
                                argv(stage.ssh(sshd, "trial", "echo a; echo b >&2")))
                        .end(SOON);
        assertThat(mixed.out()).isEqualTo("b\n");
    }

    @Test
    void a_command_that_writes_heavily_to_both_streams_loses_nothing(Stage stage)
            throws InterruptedException {
        Sshd sshd = stage.sshd();
        RandomBytes.Digest out = new RandomBytes.Digest();
        RandomBytes.Digest err = new RandomBytes.Digest();
        String script =
                "i=0; while [ $i -lt 100 ]; do head -c 100000 /dev/zero;"
                        + " head -c 100000 /dev/zero | tr '\\0' x >&2; i=$((i+1)); done";
        Ended ended =
                stage.ssh(sshd, "trial", script).outTo(out).errTo(err).end(Duration.ofMinutes(1));
        assertThat(ended.status()).isZero();
        assertThat(out.count()).isEqualTo(10_000_000);
        assertThat(err.count()).isEqualTo(10_000_000);
    }

    @Test
    void fifty_megabytes_each_way_arrive_byte_for_byte(Stage stage) throws Exception {
        Sshd sshd = stage.sshd();
        RandomBytes.thereAndBack(stage.ssh(sshd, "trial", "cat"), 50_000_000);
    }

    @Test
    void compressed_bytes_arrive_byte_for_byte_while_the_keys_are_renewed(Stage stage)
            throws Exception {
        Sshd sshd = stage.sshd();
        RandomBytes.thereAndBack(
                stage.ssh(sshd, "-C", "-o", "RekeyLimit=1M", "trial", "cat"), 10_000_000);
    }

    @Test
    void the_remote_command_sees_the_end_of_our_input(Stage stage) throws InterruptedException {
        Sshd sshd = stage.sshd();
        Ended sorted = stage.ssh(sshd, "trial", "sort; echo end").input("b\nc\na\n").end(SOON);
        assertThat(sorted.out()).isEqualTo("a\nb\nc\nend\n");
        // Half closed: output goes on long after our input has ended.
        Ended late =
                stage.ssh(sshd, "trial", "cat >/dev/null; sleep 1; echo late").input("x").end(SOON);
        assertThat(late.out()).isEqualTo("late\n");
    }

    @Test
    void closed_standard_input_is_an_end_of_file_and_no_error(Stage stage)
            throws InterruptedException {
        Sshd sshd = stage.sshd();
        String[] argv = argv(stage.ssh(sshd, "trial", "cat; echo done"));
        Ended closed = stage.shell("exec \"$@\" <&-", argv).end(SOON);
        assertThat(closed.out()).isEqualTo("done\n");
        assertThat(closed.status()).isZero();
    }

    @Test
    void n_does_not_read_standard_input(Stage stage) throws InterruptedException {
        Sshd sshd = stage.sshd();
        String[] argv = argv(stage.ssh(sshd, "-n", "trial", "cat"));
        Ended ended = stage.shell("printf 'kept\\n' | { \"$@\"; cat; }", argv).end(SOON);
        assertThat(ended.out()).isEqualTo("kept\n");
    }

    @Test
    void a_reader_that_leaves_ends_the_pipeline(Stage stage) throws InterruptedException {
        Sshd sshd = stage.sshd();
        Ended head =
                stage.shell("\"$@\" | head -n 1", argv(stage.ssh(sshd, "trial", "yes"))).end(SOON);
        assertThat(head.out()).isEqualTo("y\n");
        Ended fed =
                stage.shell("yes | \"$@\"", argv(stage.ssh(sshd, "trial", "head -n 1"))).end(SOON);
        assertThat(fed.out()).isEqualTo("y\n");
        assertThat(fed.status()).isZero();
    }

    @Test
    void a_file_that_may_not_grow_is_cut_and_that_is_said(Stage stage) throws InterruptedException {
        stage.onlyHoldfast("OpenSSH dies of SIGXFSZ");
        Path file = stage.directory().resolve("cut");
        Ended ended =
                stage.run(
                                "bash",
                                "-c",
                                "ulimit -f 64; exec "
                                        + stage.words(stage.sshd())
                                        + " trial 'head -c 1000000 /dev/zero; exit 3' >"
                                        + file)
                        .end(SOON);
        assertThat(ended.status()).as(ended.err()).isEqualTo(3);
        assertThat(ended.err()).isEqualTo("write failed: File too large\r\n");
        assertThat(file).hasSize(64 * 1024);
    }

    @Test
    void a_slow_reader_holds_the_far_end_back_and_memory_stays_bounded(Stage stage)
            throws Exception {
        Sshd sshd = stage.sshd();
        Path pid = stage.directory().resolve("pid");
        // 300 MB wait for a reader who takes nothing for three seconds.
        String[] argv = argv(stage.ssh(sshd, "trial", "head -c 300000000 /dev/zero"));
        Running running =
                stage.shell(
                                "sh -c 'echo $$ >\"$0\"; exec \"$@\"' "
                                        + pid
                                        + " \"$@\" | { sleep 3; wc -c; }",
                                argv)
                        .start();
        Thread.sleep(2500);
        long peak = Running.peakKib(Long.parseLong(Files.readString(pid).strip()));
        Ended ended = running.end(Duration.ofMinutes(1));
        assertThat(ended.out().strip()).isEqualTo("300000000");
        assertThat(peak).as("KiB at most").isBetween(1L, 250_000L);
    }

    @Test
    void a_fast_writer_into_a_command_that_does_not_read_is_held_back(Stage stage)
            throws InterruptedException {
        Sshd sshd = stage.sshd();
        Running running =
                stage.ssh(sshd, "trial", "sleep 3; wc -c")
                        .input(new RandomBytes(1, 200_000_000))
                        .start();
        Thread.sleep(2500);
        long peak = running.peakKib();
        Ended ended = running.end(Duration.ofMinutes(1));
        assertThat(ended.out().strip()).isEqualTo("200000000");
        assertThat(peak).as("KiB at most").isBetween(1L, 250_000L);
    }

    @Test
    void q_is_quiet_and_E_writes_to_a_file(Stage stage) throws Exception {
        Sshd sshd = stage.sshd();
        Path file = stage.directory().resolve("E");
        String nobody = String.valueOf(Sshd.freePort());
        Ended loud = stage.ssh(sshd, "-p", nobody, "trial", "true").end(SOON);
        assertThat(loud.status()).isEqualTo(255);
        assertThat(loud.errLines())
                .isEqualTo(
                        "ssh: connect to host 127.0.0.1 port " + nobody + ": Connection refused\n");
        Ended filed =
                stage.ssh(sshd, "-E", file.toString(), "-p", nobody, "trial", "true").end(SOON);
        assertThat(filed.err()).isEmpty();
        assertThat(Files.readString(file).replace("\r", "")).isEqualTo(loud.errLines());
        Ended quiet = stage.ssh(sshd, "-q", "-p", nobody, "trial", "true").end(SOON);
        assertThat(quiet.status()).isEqualTo(255);
        assertThat(quiet.err()).isEmpty();
    }

    @Test
    void options_go_bundled_glued_and_after_the_destination(Stage stage)
            throws InterruptedException {
        Sshd sshd = stage.sshd();
        List<List<String>> ways =
                List.of(
                        List.of("-qT", "trial", "echo", "it"),
                        List.of("trial", "-T", "-q", "echo", "it"),
                        List.of("-Tqp" + sshd.port(), "trial", "echo it"),
                        List.of("-oBatchMode=yes", "-o", "ConnectTimeout 5", "trial", "echo it"),
                        List.of("-l", Sshd.user(), "trial", "--", "echo", "it"),
                        List.of("ssh://" + Sshd.user() + "@trial:" + sshd.port(), "echo it"));
        for (List<String> way : ways) {
            Ended ended = stage.ssh(sshd, way.toArray(String[]::new)).end(SOON);
            assertThat(ended.out()).as("%s: %s", way, ended.err()).isEqualTo("it\n");
        }
        Ended unknown = stage.ssh(sshd, "-o", "NoSuchOption=1", "trial", "true").end(SOON);
        assertThat(unknown.status()).isEqualTo(255);
        assertThat(unknown.errLines())
                .isEqualTo("command-line: line 0: Bad configuration option: nosuchoption\n");
    }

    @Test
    void whom_the_system_does_not_know_is_told_so(Stage stage) throws Exception {
        Stage.needsRoot("to be nobody");
        Path program = Client.holdfast().warm().launcher().toRealPath();
        for (Path up = program.getParent(); up != null; up = up.getParent()) {
            if (!Files.getPosixFilePermissions(up).contains(PosixFilePermission.OTHERS_EXECUTE)) {
                throw new TestAbortedException("others have no way to " + program);
            }
        }
        Ended ended =
                stage.run(
                                "setpriv",
                                "--reuid=1987654321",
                                "--clear-groups",
                                "--inh-caps=-all",
                                program.toString(),
                                "ssh",
                                "-V")
                        .end(SOON);
        assertThat(ended.err()).isEqualTo("No user exists for uid 1987654321\r\n");
        assertThat(ended.status()).isEqualTo(255);
    }

    @Test
    void the_version_goes_to_standard_error(Stage stage) throws InterruptedException {
        Ended ended = stage.bare("-V").end(SOON);
        assertThat(ended.status()).isZero();
        assertThat(ended.out()).isEmpty();
        assertThat(ended.err().lines()).hasSize(1);
    }

    @Test
    void the_words_of_the_command_are_joined_by_single_spaces(Stage stage)
            throws InterruptedException {
        Sshd sshd = stage.sshd();
        Ended ended = stage.ssh(sshd, "trial", "printf '<%s>'", "a  b", "'c  d'", "-v").end(SOON);
        assertThat(ended.out()).isEqualTo("<a><b><c  d><-v>");
    }

    /** A file's name in another charset, in what rsync or scp have us run, as it is on the disk. */
    @Test
    void a_command_and_an_environment_that_are_no_utf_8_arrive_byte_for_byte(Stage stage)
            throws InterruptedException {
        Sshd sshd = stage.sshd("AcceptEnv *");
        for (String locale : List.of("C", "C.UTF-8")) {
            String words =
                    stage.words(sshd)
                            + " -o SendEnv=LC_X trial"
                            + " \"printf %s '$(printf '\\344b\\303\\266')' \\$LC_X | od -An -tx1\"";
            Ended ended =
                    stage.shell("LC_X=$(printf '\\366') && export LC_X && exec " + words)
                            .env("LC_ALL", locale)
                            .end(SOON);
            assertThat(ended.out().strip()).as(ended.err()).isEqualTo("e4 62 c3 b6 f6");
        }
    }

    /** Configuration, keys, known hosts, sockets, logs, commands: a file's name is its bytes. */
    @Test
    void files_whose_names_are_of_another_charset_than_the_locale_are_found(Stage stage)
            throws InterruptedException {
        Sshd sshd = stage.sshd();
        String script =
                """
                l=$(printf "$0") w=$(mktemp -d) && trap 'rm -rf "$w"' EXIT
                key=$(sed -n 's/^ *IdentityFile  *//p' "$1" | tr -d '"')
                known=$(sed -n 's/^ *UserKnownHostsFile  *//p' "$1" | tr -d '"')
                cp "$key" "$w/i$l" && cp "$known" "$w/k$l" && mkdir "$w/d$l" || exit 9
                sed "s!^ *IdentityFile .*!IdentityFile $w/i$l!
                     s!^ *UserKnownHostsFile .*!UserKnownHostsFile $w/k$l!" "$1" >"$w/d$l/c$l"
                printf 'Include %s/d*/c?*y\\n# \\344\\nMatch exec "echo >%s/p%s"\\n' "$w" "$w" "$l" >"$w/F$l"
                seen="cd $w; for f in m s v h p; do test -S \\${f}$l -o -f \\${f}$l && printf %s \\$f; done"
                $2 -F "$w/F$l" -v -E "$w/v$l" -S "$w/m$l" -M -L "$w/s$l:/nowhere" \\
                  -o PermitLocalCommand=yes -o LocalCommand="echo 'h$l' >'$w/h$l'" \\
                  trial "$seen"
                status=$?
                printf ' %s ' "$status"; cat "$w/h$l"; grep -q "identity file $w/ik" "$w/v$l" && echo found
                """;
        for (String locale : List.of("C", "C.UTF-8")) {
            for (String name : List.of("k\\344y", "k\\303\\266y")) {
                String config = sshd.config().toString();
                Ended ended =
                        stage.run("sh", "-c", script, name, config, stage.words(sshd))
                                .env("LC_ALL", locale)
                                .end(SOON);
                assertThat(ended.out())
                        .as("%s in %s: %s", name, locale, ended.err())
                        .startsWith("msvhp 0 hk")
                        .endsWith("y\nfound\n");
            }
        }
    }

    /** An address of a link, on an interface that has none itself. */
    @Test
    void an_interface_behind_an_address_is_known_by_name_and_by_number(Stage stage)
            throws InterruptedException {
        for (String address : List.of("fe80::1%lo", "FE80:0::1%1", "fe80::1%nowhere", "fe80::1%")) {
            String theirs = stage.run("ssh", "-T", "-F", "none", address).end(SOON).err();
            assertThat(theirs).contains("fe80::1%");
            assertThat(stage.bare("-T", address).end(SOON).err()).isEqualTo(theirs);
        }
    }

    @Test
    void T_gives_no_terminal_and_t_without_one_says_so(Stage stage) throws InterruptedException {
        Sshd sshd = stage.sshd();
        Ended none = stage.ssh(sshd, "-T", "trial", "tty").end(SOON);
        assertThat(none.out()).isEqualTo("not a tty\n");
        Ended asked = stage.ssh(sshd, "-t", "trial", "tty").end(SOON);
        assertThat(asked.out()).isEqualTo("not a tty\n");
        assertThat(asked.errLines())
                .isEqualTo(
                        "Pseudo-terminal will not be allocated because stdin is not a terminal.\n");
        Ended forced = stage.ssh(sshd, "-tt", "trial", "tty").end(SOON);
        assertThat(forced.out()).startsWith("/dev/pts/");
    }

    @Test
    void a_shell_reads_its_commands_from_our_input(Stage stage) throws InterruptedException {
        Sshd sshd = stage.sshd();
        Ended ended = stage.ssh(sshd, "-T", "trial").input("echo from-shell\nexit 7\n").end(SOON);
        assertThat(ended.out()).contains("from-shell");
        assertThat(ended.status()).isEqualTo(7);
    }

    @Test
    void the_sftp_subsystem_answers_over_bare_streams(Stage stage) throws Exception {
        Sshd sshd = stage.sshd();
        Running running = stage.ssh(sshd, "-s", "trial", "sftp").inputOpen().start();
        // SSH_FXP_INIT, version 3.
        running.stdin().write(new byte[] {0, 0, 0, 5, 1, 0, 0, 0, 3});
        running.stdin().flush();
        Eventually.holds(SOON, () -> running.out().size() >= 9, running::report);
        assertThat(running.out().text()).as("SSH_FXP_VERSION").contains("\u0002\0\0\0\u0003");
        running.stdin().close();
        assertThat(running.end(SOON).status()).isZero();
        Ended unknown = stage.ssh(sshd, "-s", "trial", "no-such-subsystem").end(SOON);
        assertThat(unknown.status()).isEqualTo(255);
        assertThat(unknown.errLines()).contains("subsystem request failed on channel 0");
    }

    @Test
    void a_session_that_is_killed_over_there_ends_here_at_once(Stage stage)
            throws InterruptedException {
        Sshd sshd = stage.sshd();
        Running running = stage.ssh(sshd, "trial", "echo ready; exec sleep 60").start();
        running.out().await("ready", SOON);
        sshd.killSessions();
        long killed = System.nanoTime();
        Ended ended = running.end(SOON);
        assertThat(ended.status()).isEqualTo(255);
        assertThat(ended.after(killed)).isLessThan(Duration.ofSeconds(2));
        assertThat(ended.errLines())
                .containsAnyOf(
                        "Connection to 127.0.0.1 closed by remote host.",
                        "Connection reset by peer");
    }

    @Test
    void SIGTERM_and_SIGHUP_end_the_client_with_255(Stage stage) throws InterruptedException {
        Sshd sshd = stage.sshd();
        for (String signal : List.of("TERM", "HUP")) {
            Running running = stage.ssh(sshd, "trial", "echo ready; exec sleep 60").start();
            running.out().await("ready", SOON);
            running.signal(signal);
            Ended ended = running.end(Duration.ofSeconds(5));
            assertThat(ended.status()).as(signal).isEqualTo(255);
            // "Killed by signal N." is of LogLevel VERBOSE.
            assertThat(ended.errLines()).isEmpty();
        }
    }

    @Test
    void twelve_at_once_do_not_disturb_each_other(Stage stage) throws InterruptedException {
        Sshd sshd = stage.sshd();
        List<Running> all = new ArrayList<>();
        for (int i = 0; i < 12; i++) {
            all.add(stage.ssh(sshd, "trial", "cat; exit " + i).input("number " + i).start());
        }
        for (int i = 0; i < 12; i++) {
            Ended ended = all.get(i).end(Duration.ofMinutes(1));
            assertThat(ended.out()).isEqualTo("number " + i);
            assertThat(ended.status()).isEqualTo(i);
        }
    }

    private static String[] argv(Command command) {
        return command.argv().toArray(String[]::new);
    }
}
