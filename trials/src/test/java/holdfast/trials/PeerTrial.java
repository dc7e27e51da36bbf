package holdfast.trials;

import static org.assertj.core.api.Assertions.assertThat;

import holdfast.trials.harness.Command;
import holdfast.trials.harness.Ended;
import holdfast.trials.harness.Eventually;
import holdfast.trials.harness.Keys;
import holdfast.trials.harness.Running;
import holdfast.trials.harness.Sshd;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.opentest4j.TestAbortedException;

/** The programs that people run over ssh. */
@ExtendWith(Staged.class)
final class PeerTrial {

    private static final Duration PATIENCE = Duration.ofMinutes(1);

    @Test
    void sftp_runs_over_us(Stage stage) throws Exception {
        Sshd sshd = stage.sshd();
        Path source = RandomBytes.file(stage, "source", 20_000_000);
        Path there = stage.directory().resolve("there");
        Path back = stage.directory().resolve("back");
        Ended ended =
                stage.run(
                                "sftp",
                                "-S",
                                program(stage),
                                "-F",
                                sshd.config().toString(),
                                "-q",
                                "-b",
                                "-",
                                "trial")
                        .input(
                                "put %s %s\nls -l %s\nget %s %s\nrm %s\n"
                                        .formatted(source, there, there, there, back, there))
                        .end(PATIENCE);
        assertThat(ended.status()).as(ended.err()).isZero();
        assertThat(Files.mismatch(source, back)).isEqualTo(-1);
        assertThat(there).doesNotExist();
    }

    @Test
    void scp_copies_both_ways_in_both_its_protocols(Stage stage) throws Exception {
        Sshd sshd = stage.sshd();
        Path source = RandomBytes.file(stage, "source", 10_000_000);
        for (String protocol : new String[] {"-s", "-O"}) {
            Path there = stage.directory().resolve("there" + protocol);
            Path back = stage.directory().resolve("back" + protocol);
            Ended up = scp(stage, sshd, protocol, source.toString(), "trial:" + there);
            assertThat(up.status()).as(up.err()).isZero();
            Ended down = scp(stage, sshd, protocol, "trial:" + there, back.toString());
            assertThat(down.status()).as(down.err()).isZero();
            assertThat(Files.mismatch(source, back)).isEqualTo(-1);
        }
        Ended missing =
                scp(stage, sshd, "-s", "trial:/nonexistent/file", stage.directory().toString());
        assertThat(missing.status()).isEqualTo(1);
        assertThat(missing.err()).contains("No such file or directory");
    }

    @Test
    void rsync_copies_both_ways_and_again(Stage stage) throws Exception {
        Stage.needs("rsync");
        Sshd sshd = stage.sshd();
        Path source = Files.createDirectories(stage.directory().resolve("tree/deep"));
        for (int i = 0; i < 200; i++) {
            Files.writeString(source.resolve("file" + i), "content " + i + "\n");
        }
        Files.move(RandomBytes.file(stage, "big", 20_000_000), source.resolve("big"));
        String tree = stage.directory().resolve("tree") + "/";
        String there = stage.directory().resolve("there") + "/";
        String back = stage.directory().resolve("back") + "/";
        Ended up =
                stage.run("rsync", "-a", "-e", stage.words(sshd), tree, "trial:" + there)
                        .end(PATIENCE);
        assertThat(up.status()).as(up.err()).isZero();
        Ended down =
                stage.run("rsync", "-a", "-e", stage.words(sshd), "trial:" + there, back)
                        .end(PATIENCE);
        assertThat(down.status()).as(down.err()).isZero();
        Ended same = stage.run("diff", "-r", tree, back).end(PATIENCE);
        assertThat(same.status()).as(same.out()).isZero();
        Files.writeString(source.resolve("file7"), "changed\n");
        Ended again =
                stage.run("rsync", "-ai", "-e", stage.words(sshd), tree, "trial:" + there)
                        .end(PATIENCE);
        assertThat(again.out()).contains("deep/file7").doesNotContain("deep/file8", "big");
    }

    @Test
    void git_clones_fetches_and_pushes(Stage stage) throws Exception {
        Stage.needs("git");
        Sshd sshd = stage.sshd();
        Path bare = stage.directory().resolve("bare.git");
        Path work = stage.directory().resolve("work");
        git(stage, sshd, "init", "-q", "--bare", bare.toString());
        git(stage, sshd, "clone", "-q", "ssh://trial" + bare, work.toString());
        for (int i = 0; i < 50; i++) {
            Files.write(work.resolve("file" + i), new RandomBytes(i, 50_000).readNBytes(50_000));
        }
        git(stage, sshd, "-C", work.toString(), "add", ".");
        git(
                stage,
                sshd,
                "-C",
                work.toString(),
                "-c",
                "user.name=Trial",
                "-c",
                "user.email=trial@example.invalid",
                "commit",
                "-q",
                "-m",
                "one");
        git(stage, sshd, "-C", work.toString(), "push", "-q", "origin", "HEAD:refs/heads/main");
        Path clone = stage.directory().resolve("clone");
        // The other way to write it.
        git(stage, sshd, "clone", "-q", "-b", "main", "trial:" + bare, clone.toString());
        for (int i = 0; i < 50; i++) {
            assertThat(Files.mismatch(work.resolve("file" + i), clone.resolve("file" + i)))
                    .isEqualTo(-1);
        }
        Ended missing =
                gitCommand(stage, sshd, "ls-remote", "trial:/nonexistent.git").end(PATIENCE);
        assertThat(missing.status()).isEqualTo(128);
    }

    @Test
    void ansible_runs_a_module_with_us_as_its_ssh(Stage stage) throws Exception {
        Stage.needs("ansible");
        Stage.needs("python3");
        Sshd sshd = stage.sshd();
        Path inventory = stage.directory().resolve("inventory");
        Files.writeString(inventory, "trial ansible_python_interpreter=/usr/bin/python3\n");
        Path copied = stage.directory().resolve("copied");
        Path source = RandomBytes.file(stage, "source", 100_000);
        Ended ping = ansible(stage, sshd, inventory, "-m", "ping");
        assertThat(ping.status()).as("%s%s", ping.out(), ping.err()).isZero();
        assertThat(ping.out()).contains("\"ping\": \"pong\"");
        Ended copy =
                ansible(
                        stage,
                        sshd,
                        inventory,
                        "-m",
                        "copy",
                        "-a",
                        "src=" + source + " dest=" + copied);
        assertThat(copy.status()).as("%s%s", copy.out(), copy.err()).isZero();
        assertThat(Files.mismatch(source, copied)).isEqualTo(-1);
    }

    private static Ended ansible(Stage stage, Sshd sshd, Path inventory, String... rest)
            throws InterruptedException {
        String[] words = new String[rest.length + 6];
        words[0] = "ansible";
        words[1] = "-i";
        words[2] = inventory.toString();
        words[3] = "trial";
        words[4] = "-e";
        words[5] = "ansible_ssh_executable=" + program(stage);
        System.arraycopy(rest, 0, words, 6, rest.length);
        // Its own defaults, but a shared connection that OpenSSH keeps for one second only.
        return stage.run(words)
                .env(
                        "ANSIBLE_SSH_ARGS",
                        "-C -o ControlMaster=auto -o ControlPersist=1s -F " + sshd.config())
                .env("ANSIBLE_HOME", stage.directory().resolve("ansible").toString())
                .env("ANSIBLE_LOCAL_TEMP", stage.directory().resolve("ansible-tmp").toString())
                .env("ANSIBLE_REMOTE_TEMP", stage.directory().resolve("ansible-remote").toString())
                .env("ANSIBLE_SSH_CONTROL_PATH_DIR", stage.directory().resolve("cp").toString())
                // Its ConnectTimeout; ten seconds are not always enough here.
                .env("ANSIBLE_TIMEOUT", "60")
                .env("ANSIBLE_NOCOLOR", "1")
                .in(stage.directory())
                .end(PATIENCE);
    }

    @Test
    void lftp_puts_mirrors_and_gets_in_pieces_over_us(Stage stage) throws Exception {
        Stage.needs("lftp");
        Sshd sshd = stage.sshd();
        Path source = RandomBytes.file(stage, "source", 3_000_000);
        Path tree = stage.directory().resolve("tree");
        Path deep = Files.createDirectories(tree.resolve("deep"));
        for (int i = 0; i < 30; i++) {
            Files.writeString(deep.resolve("file" + i), "content " + i + "\n");
        }
        Path far = stage.directory().resolve("far");
        Path back = stage.directory().resolve("back");
        Ended ended =
                Lftp.over(
                                stage,
                                stage.words(sshd),
                                """
                                mkdir -p %s/deep
                                put %s -o %s/one
                                mirror -R -P 3 %s %s/tree
                                pget -n 4 %s/one -o %s
                                mv %s/one %s/two
                                ls %s
                                """
                                        .formatted(
                                                far, source, far, tree, far, far, back, far, far,
                                                far))
                        .end(PATIENCE);
        assertThat(ended.status()).as("%s%s", ended.err(), ended.out()).isZero();
        assertThat(ended.out()).contains(" two").doesNotContain(" one");
        assertThat(Files.mismatch(source, back)).isEqualTo(-1);
        assertThat(Files.mismatch(source, far.resolve("two"))).isEqualTo(-1);
        same(stage, tree, far.resolve("tree"));
    }

    @Test
    void borg_backs_up_and_restores_over_us(Stage stage) throws Exception {
        Stage.needs("borg");
        Sshd sshd = stage.sshd();
        Path tree = stage.directory().resolve("tree");
        Path deep = Files.createDirectories(tree.resolve("deep"));
        for (int i = 0; i < 20; i++) {
            Files.writeString(deep.resolve("file" + i), "content " + i + "\n");
        }
        Files.move(RandomBytes.file(stage, "big", 3_000_000), deep.resolve("big"));
        String repository = "ssh://trial" + stage.directory().resolve("repository");
        borg(stage, sshd, stage.directory(), "init", "-e", "none", repository);
        borg(stage, sshd, stage.directory(), "create", repository + "::one", "tree");
        Ended list = borg(stage, sshd, stage.directory(), "list", "--short", repository);
        assertThat(list.out()).isEqualTo("one\n");
        Path restored = Files.createDirectories(stage.directory().resolve("restored"));
        borg(stage, sshd, restored, "extract", repository + "::one");
        same(stage, tree, restored.resolve("tree"));
    }

    private static Ended borg(Stage stage, Sshd sshd, Path directory, String... words)
            throws InterruptedException {
        List<String> argv = new ArrayList<>(List.of("borg"));
        argv.addAll(List.of(words));
        Ended ended =
                stage.run(argv.toArray(String[]::new))
                        .env("BORG_RSH", stage.words(sshd))
                        .env("BORG_BASE_DIR", stage.directory().resolve("borg").toString())
                        .env("BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK", "yes")
                        .in(directory)
                        .end(PATIENCE);
        assertThat(ended.status()).as("%s%s", ended.err(), ended.out()).isZero();
        return ended;
    }

    @Test
    void mercurial_clones_and_pushes_over_us(Stage stage) throws Exception {
        Stage.needs("hg");
        Sshd sshd = stage.sshd();
        Path one = Files.createDirectories(stage.directory().resolve("one"));
        Path bare = stage.directory().resolve("bare");
        Path again = stage.directory().resolve("again");
        good(hg(stage, sshd, "init", one.toString()));
        Files.move(RandomBytes.file(stage, "big", 3_000_000), one.resolve("big"));
        good(hg(stage, sshd, "-R", one.toString(), "commit", "-q", "-A", "-m", "first"));
        good(hg(stage, sshd, "clone", "-q", one.toString(), "ssh://trial/" + bare));
        Files.writeString(one.resolve("small"), "content\n");
        good(hg(stage, sshd, "-R", one.toString(), "commit", "-q", "-A", "-m", "second"));
        good(hg(stage, sshd, "-R", one.toString(), "push", "-q", "ssh://trial/" + bare));
        good(hg(stage, sshd, "clone", "-q", "ssh://trial/" + bare, again.toString()));
        assertThat(Files.mismatch(one.resolve("big"), again.resolve("big"))).isEqualTo(-1);
        assertThat(again.resolve("small")).hasContent("content");
        Ended missing = hg(stage, sshd, "id", "ssh://trial//nonexistent");
        assertThat(missing.status()).isEqualTo(255);
        assertThat(missing.err()).contains("abort: repository /nonexistent not found");
    }

    private static Ended hg(Stage stage, Sshd sshd, String... words) throws InterruptedException {
        List<String> argv = new ArrayList<>(List.of("hg", "--config", "ui.username=trial"));
        argv.addAll(List.of("--config", "ui.ssh=" + stage.words(sshd)));
        argv.addAll(List.of(words));
        return stage.run(argv.toArray(String[]::new)).env("HGRCPATH", "").end(PATIENCE);
    }

    @Test
    void subversion_commits_and_checks_out_over_us(Stage stage) throws Exception {
        Stage.needs("svn");
        Sshd sshd = stage.sshd();
        String repository = stage.directory().resolve("repository").toString();
        good(stage.run("svnadmin", "create", repository).end(PATIENCE));
        Path source = RandomBytes.file(stage, "source", 3_000_000);
        String url = "svn+ssh://trial" + repository;
        good(svn(stage, sshd, "import", "-q", "-m", "one", source.toString(), url + "/file"));
        good(svn(stage, sshd, "copy", "-q", "-m", "two", url + "/file", url + "/copy"));
        Path out = stage.directory().resolve("out");
        good(svn(stage, sshd, "checkout", "-q", url, out.toString()));
        assertThat(Files.mismatch(source, out.resolve("copy"))).isEqualTo(-1);
        Ended missing = svn(stage, sshd, "list", "svn+ssh://trial/nonexistent");
        assertThat(missing.status()).isEqualTo(1);
        assertThat(missing.err()).contains("E210005: No repository found");
    }

    private static Ended svn(Stage stage, Sshd sshd, String... words) throws InterruptedException {
        List<String> argv = new ArrayList<>(List.of("svn", "--non-interactive"));
        argv.addAll(List.of(words));
        return stage.run(argv.toArray(String[]::new))
                .env("SVN_SSH", stage.words(sshd))
                .end(PATIENCE);
    }

    @Test
    void unison_brings_two_trees_together_over_us(Stage stage) throws Exception {
        Stage.needs("unison");
        Sshd sshd = stage.sshd();
        Path here = Files.createDirectories(stage.directory().resolve("here"));
        Path there = stage.directory().resolve("there");
        Files.move(RandomBytes.file(stage, "big", 3_000_000), here.resolve("big"));
        Files.writeString(here.resolve("old"), "old\n");
        good(unison(stage, sshd, here, there));
        same(stage, here, there);
        Files.delete(here.resolve("old"));
        Files.writeString(there.resolve("new"), "new\n");
        good(unison(stage, sshd, here, there));
        assertThat(here.resolve("new")).hasContent("new");
        assertThat(there.resolve("old")).doesNotExist();
    }

    private static Ended unison(Stage stage, Sshd sshd, Path here, Path there)
            throws InterruptedException {
        return stage.run(
                        "unison",
                        "-batch",
                        "-silent",
                        "-ui",
                        "text",
                        "-sshcmd",
                        program(stage),
                        "-sshargs",
                        "-F " + sshd.config(),
                        here.toString(),
                        "ssh://trial/" + there)
                .env("UNISON", stage.directory().resolve("unison").toString())
                .end(PATIENCE);
    }

    @Test
    void clush_runs_us_for_its_nodes_and_copies_both_ways(Stage stage) throws Exception {
        Stage.needs("clush");
        Sshd sshd = stage.sshd();
        String options = "-F " + sshd.config();
        Ended failing =
                onPath(stage, "clush", "-S", "-o", options, "-w", "trial", "echo out; exit 4")
                        .end(PATIENCE);
        assertThat(failing.status()).as(failing.err()).isEqualTo(4);
        assertThat(failing.out()).isEqualTo("trial: out\n");
        Ended fed =
                onPath(stage, "clush", "-o", options, "-w", "trial", "cat")
                        .input("in\n")
                        .end(PATIENCE);
        assertThat(fed.out()).as(fed.err()).isEqualTo("trial: in\n");
        Ended late =
                onPath(stage, "clush", "-S", "-u", "2", "-o", options, "-w", "trial", "sleep 50")
                        .end(PATIENCE);
        assertThat(late.err()).contains("clush: trial: command timeout");
    }

    /** On a busy machine nobody is always in time, OpenSSH's own client neither. */
    @Test
    void a_terminal_is_raw_before_a_shared_connection_writes_to_it(Stage stage) throws Exception {
        Stage.needs("script");
        Sshd sshd = stage.sshd();
        Path control = stage.directory().resolve("control");
        String ssh = stage.words(sshd) + " -S " + control;
        Running master = stage.run((ssh + " -M -N trial").split(" ")).start();
        Eventually.holds(PATIENCE, () -> Files.exists(control), master::report);
        int late = 0;
        for (int i = 0; i < 12; i++) {
            Ended ended =
                    stage.run("script", "-qec", ssh + " -tt trial 'echo far'", "/dev/null")
                            .end(PATIENCE);
            assertThat(ended.out()).as(ended.err()).contains("far\r");
            late += ended.out().contains("far\r\r\n") ? 1 : 0;
        }
        assertThat(late).isLessThan(9);
        master.signal("TERM");
        master.end(PATIENCE);
    }

    /** It lives by a master of its own, which it starts without a terminal and ends. */
    @Test
    void net_openssh_runs_everything_through_a_master_of_ours(Stage stage) throws Exception {
        Stage.needs("perl");
        if (!Files.exists(Path.of("/usr/share/perl5/Net/OpenSSH.pm"))) {
            throw new TestAbortedException("not installed: Net::OpenSSH");
        }
        Sshd sshd = stage.sshd();
        Path controls = stage.directory().resolve("controls");
        Files.createDirectory(
                controls,
                PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------")));
        Path source = RandomBytes.file(stage, "source", 1_000_000);
        Ended ended =
                stage.run(
                                "perl",
                                "-MNet::OpenSSH",
                                "-e",
                                """
                                my ($ssh, $config, $controls, $source) = @ARGV;
                                my $far = Net::OpenSSH->new("trial", ssh_cmd => $ssh,
                                    ctl_dir => $controls, timeout => 40,
                                    default_ssh_opts => [-F => $config], master_opts => [-F => $config]);
                                die $far->error if $far->error;
                                my ($out, $err) = $far->capture2("echo out; echo err >&2; exit 5");
                                print $out, $err, $? >> 8, "\n";
                                print $far->system({stdin_data => "in\n"}, "cat") ? 1 : 0, "\n";
                                my ($to, $from, $pid) = $far->open2("cat");
                                print $to "piped\n"; close $to; print <$from>; waitpid $pid, 0;
                                $far->system({stdin_file => $source}, "cat > $source.far") or die;
                                print $far->check_master ? 1 : 0, $far->test("false") ? 1 : 0, "\n";
                                $far->disconnect(1);
                                """,
                                program(stage),
                                sshd.config().toString(),
                                controls.toString(),
                                source.toString())
                        .end(PATIENCE);
        assertThat(ended.out()).as(ended.err()).isEqualTo("out\nerr\n5\nin\n1\npiped\n10\n");
        assertThat(Files.mismatch(source, Path.of(source + ".far"))).isEqualTo(-1);
    }

    private static void good(Ended ended) {
        assertThat(ended.status()).as("%s%s", ended.err(), ended.out()).isZero();
    }

    @Test
    void parallel_ssh_runs_us_for_each_host_and_sorts_what_they_say(Stage stage) throws Exception {
        Stage.needs("parallel-ssh");
        Sshd sshd = stage.sshd("AcceptEnv PSSH_*");
        Files.writeString(
                sshd.config(),
                "Host other\n    HostName "
                        + sshd.address()
                        + "\n"
                        + Files.readString(sshd.config()));
        Path out = stage.directory().resolve("out");
        // It takes the ssh that is first on PATH, and hands its standard input to every one.
        Ended ended =
                onPath(
                                stage,
                                "parallel-ssh",
                                "-x",
                                "-F " + sshd.config(),
                                "-o",
                                out.toString(),
                                "-H",
                                "trial other no-such-host.invalid",
                                "-I",
                                "cat; echo to-err >&2; echo $PSSH_HOST")
                        .input("given\n")
                        .end(PATIENCE);
        assertThat(ended.status()).as("%s%s", ended.err(), ended.out()).isEqualTo(4);
        assertThat(ended.out())
                .containsPattern("\\[SUCCESS\\] trial")
                .containsPattern("\\[SUCCESS\\] other")
                .containsPattern("\\[FAILURE\\] no-such-host.invalid Exited with error code 255");
        assertThat(out.resolve("trial")).content().isEqualTo("given\ntrial\n");
        assertThat(out.resolve("other")).content().isEqualTo("given\nother\n");
        Ended failing =
                onPath(
                                stage,
                                "parallel-ssh",
                                "-x",
                                "-F " + sshd.config(),
                                "-i",
                                "-H",
                                "trial",
                                "echo said; exit 3")
                        .end(PATIENCE);
        assertThat(failing.status()).isEqualTo(5);
        assertThat(failing.out()).contains("Exited with error code 3\nsaid\n");
    }

    @Test
    void an_expect_script_answers_our_questions_and_the_shell_at_the_far_end(Stage stage)
            throws Exception {
        Stage.needs("expect");
        Sshd sshd = stage.sshd();
        Path locked = Keys.of("ed25519", "expect", "open sesame", "OpenSSH");
        Files.writeString(sshd.authorizedKeys(), Keys.publicLine(locked) + "\n");
        Path known = stage.directory().resolve("learnt");
        Ended ended =
                stage.run(
                                "expect",
                                "-c",
                                """
                                set timeout 50
                                proc fail {what} { puts "\nMISSED $what"; exit 9 }
                                spawn -noecho {*}$env(WORDS)
                                expect_before timeout { fail timeout } eof { fail eof }
                                expect "*Are you sure you want to continue connecting (yes/no/*)*"
                                send "what\\r"
                                expect "Please type 'yes', 'no' or the fingerprint: "
                                send "yes\\r"
                                expect "Warning: Permanently added "
                                expect "Enter passphrase for key '*': "
                                send "wrong\\r"
                                expect "Enter passphrase for key '*': "
                                send "open sesame\\r"
                                expect -re {ready\r\n}
                                send "echo \\$((40+2)); stty -a | grep -c -w echo\\r"
                                expect -re {\n42\r\n1\r\n}
                                send "exit 5\\r"
                                expect_before
                                expect eof
                                catch wait result
                                exit [lindex $result 3]
                                """)
                        .env(
                                "WORDS",
                                stage.words(sshd)
                                        + " -tt -i "
                                        + locked
                                        + " -o IdentitiesOnly=yes -o StrictHostKeyChecking=ask"
                                        + " -o UserKnownHostsFile="
                                        + known
                                        + " trial exec env ENV= PS1=x sh -c 'echo ready; exec sh -i'")
                        .end(PATIENCE);
        assertThat(ended.status()).as("%s%s", ended.err(), ended.out()).isEqualTo(5);
        assertThat(ended.out()).doesNotContain("sesame", "MISSED");
        assertThat(known).content().isNotEmpty();
    }

    @Test
    void autossh_starts_us_and_starts_us_again(Stage stage) throws Exception {
        Stage.needs("autossh");
        Sshd sshd = stage.sshd();
        try (Peer echo = Peer.tcp(Peer::echo)) {
            String port = Integer.toString(Sshd.freePort());
            Running autossh =
                    stage.run(
                                    "autossh",
                                    "-M",
                                    "0",
                                    "-F",
                                    sshd.config().toString(),
                                    "-N",
                                    "-T",
                                    "-o",
                                    "ExitOnForwardFailure=yes",
                                    "-L",
                                    port + ":" + echo.target(),
                                    "trial")
                            .env("AUTOSSH_PATH", program(stage))
                            .env("AUTOSSH_GATETIME", "0")
                            .start();
            try (var socket = Peer.await(port)) {
                assertThat(Peer.exchange(socket, "first")).isEqualTo("first");
            }
            sshd.killSessions();
            // It may find the forward of before for a moment.
            long deadline = System.nanoTime() + PATIENCE.toNanos();
            String heard = "";
            while (!heard.equals("second")) {
                assertThat(System.nanoTime()).as(autossh.report()).isLessThan(deadline);
                try (var socket = Peer.await(port)) {
                    heard = Peer.exchange(socket, "second");
                } catch (IOException cut) {
                    // not yet
                }
            }
            assertThat(Pattern.compile("Accepted publickey").matcher(sshd.log()).results().count())
                    .isEqualTo(2);
            autossh.signal("TERM");
            autossh.end(PATIENCE);
        }
    }

    @Test
    void mosh_starts_its_server_over_us(Stage stage) throws Exception {
        Mosh.runsOver(stage, stage.words(stage.sshd()));
    }

    /** A program that finds us on PATH, under the name that it looks for. */
    private static Command onPath(Stage stage, String... argv) throws IOException {
        Path directory = Files.createDirectories(stage.directory().resolve("bin"));
        stage.client().asOneProgram(directory);
        return stage.run(argv).env("PATH", directory + ":" + System.getenv("PATH"));
    }

    private static void same(Stage stage, Path one, Path other) throws InterruptedException {
        Ended same = stage.run("diff", "-r", one.toString(), other.toString()).end(PATIENCE);
        assertThat(same.status()).as(same.out()).isZero();
    }

    private static Ended scp(Stage stage, Sshd sshd, String protocol, String from, String to)
            throws InterruptedException {
        return stage.run(
                        "scp",
                        protocol,
                        "-q",
                        "-S",
                        program(stage),
                        "-F",
                        sshd.config().toString(),
                        from,
                        to)
                .end(PATIENCE);
    }

    private static void git(Stage stage, Sshd sshd, String... words) throws InterruptedException {
        Ended ended = gitCommand(stage, sshd, words).end(PATIENCE);
        assertThat(ended.status()).as("git %s: %s", String.join(" ", words), ended.err()).isZero();
    }

    private static Command gitCommand(Stage stage, Sshd sshd, String... words) {
        String[] all = new String[words.length + 1];
        all[0] = "git";
        System.arraycopy(words, 0, all, 1, words.length);
        return stage.run(all)
                .env("GIT_SSH_COMMAND", stage.words(sshd))
                .env("GIT_CONFIG_NOSYSTEM", "1")
                .env("GIT_TERMINAL_PROMPT", "0");
    }

    private static String program(Stage stage) {
        return stage.client().asOneProgram(stage.directory()).toString();
    }
}
