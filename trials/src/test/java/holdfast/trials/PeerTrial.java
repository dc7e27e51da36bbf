package holdfast.trials;

import static org.assertj.core.api.Assertions.assertThat;

import holdfast.trials.harness.Command;
import holdfast.trials.harness.Ended;
import holdfast.trials.harness.Sshd;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;

/** The programs that people run over ssh. */
@ExtendWith(Staged.class)
final class PeerTrial {

    private static final Duration PATIENCE = Duration.ofMinutes(1);

    @Test
    void sftp_runs_over_us(Stage stage) throws Exception {
        Sshd sshd = stage.sshd();
        Path source = random(stage, "source", 20_000_000);
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
        Path source = random(stage, "source", 10_000_000);
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
        Files.move(random(stage, "big", 20_000_000), source.resolve("big"));
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
        Path source = random(stage, "source", 100_000);
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
                .env("ANSIBLE_NOCOLOR", "1")
                .in(stage.directory())
                .end(PATIENCE);
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

    private static Path random(Stage stage, String name, int length) throws IOException {
        Path file = stage.directory().resolve(name);
        try (OutputStream out = Files.newOutputStream(file)) {
            new RandomBytes(length, length).transferTo(out);
        }
        return file;
    }
}
