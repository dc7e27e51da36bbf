package holdfast.trials;

import static org.assertj.core.api.Assertions.assertThat;

import holdfast.trials.harness.Command;
import holdfast.trials.harness.Ended;
import holdfast.trials.harness.Quietly;
import holdfast.trials.harness.Sshd;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;

/** A throw-away user of this machine, with a home. */
final class Somebody implements AutoCloseable {

    private static final Duration SOON = Duration.ofSeconds(60);

    static final String PASSWORD = "battery-staple";

    private static final AtomicInteger USERS = new AtomicInteger();

    final String name;
    final Path home;

    private Somebody(String name) {
        this.name = name;
        home = Path.of("/home", name);
    }

    /** With {@link #PASSWORD}. */
    static Somebody withPassword(Stage stage) throws Exception {
        Somebody somebody = made(stage);
        synchronized (Somebody.class) {
            Ended set =
                    stage.run("chpasswd").input(somebody.name + ":" + PASSWORD + "\n").end(SOON);
            assertThat(set.status()).as(set.err()).isZero();
        }
        return somebody;
    }

    /** Without a password. One at a time: the system's files of users have one lock. */
    static synchronized Somebody made(Stage stage) throws Exception {
        // The list of keys lies there, and is read with the user's rights.
        Files.setPosixFilePermissions(
                stage.directory(), PosixFilePermissions.fromString("rwx--x--x"));
        Somebody somebody =
                new Somebody(
                        "hfl"
                                + ProcessHandle.current().pid() % 100_000
                                + "x"
                                + USERS.getAndIncrement());
        Runtime.getRuntime().addShutdownHook(new Thread(somebody::close));
        // A star is no password, and not locked either.
        Ended added =
                stage.run(
                                "useradd",
                                "--create-home",
                                "--home-dir",
                                somebody.home.toString(),
                                "--shell",
                                "/bin/sh",
                                "--password",
                                "*",
                                somebody.name)
                        .end(SOON);
        assertThat(added.status()).as("%s%s", added.err(), added.out()).isZero();
        return somebody;
    }

    /** OpenSSH's client as that user; the last word is the command. */
    Command ssh(Stage stage, Sshd sshd, String... rest) {
        List<String> words = new ArrayList<>(Arrays.asList(rest).subList(0, rest.length - 1));
        words.addAll(List.of(name + "@trial", rest[rest.length - 1]));
        return stage.openSsh(sshd, words.toArray(String[]::new));
    }

    @Override
    public void close() {
        if (!Files.exists(home)) {
            return;
        }
        synchronized (Somebody.class) {
            Quietly.run(List.of("userdel", "--force", "--remove", name));
        }
    }
}
