package holdfast.ssh.system;

import static java.nio.charset.StandardCharsets.US_ASCII;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.file.AccessDeniedException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.assertj.core.api.InstanceOfAssertFactories;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Timeout(60)
final class AsUserTest {

    @TempDir Path directory;

    private Account nobody;

    @BeforeEach
    void asRoot() throws Exception {
        assumeTrue(Accounts.privileged(), "needs root");
        nobody = Accounts.named("nobody").orElseThrow();
        Files.setPosixFilePermissions(directory, PosixFilePermissions.fromString("rwxrwxrwx"));
    }

    /** A script that is to run as nobody. */
    private Spawn nobodys(boolean pam, String argv0, String script, Map<String, String> environment)
            throws SystemException {
        return Become.as(
                        nobody,
                        pam,
                        null,
                        null,
                        Path.of("/bin/sh"),
                        argv0,
                        List.of("-c", script),
                        environment)
                .stdio(Spawn.Stdio.PIPES);
    }

    private Path file(String name, String mode) throws IOException {
        Path file = Files.writeString(directory.resolve(name), name);
        return Files.setPosixFilePermissions(file, PosixFilePermissions.fromString(mode));
    }

    @Test
    void what_is_closed_to_the_user_is_closed_and_the_rest_of_the_process_keeps_its_rights()
            throws Exception {
        Path secret = file("secret", "rw-------");
        Path open = file("open", "rw-r--r--");
        try (AsUser user = AsUser.of(nobody)) {
            assertThat(user.call(() -> Files.readString(open))).isEqualTo("open");
            assertThatThrownBy(() -> user.call(() -> Files.readString(secret)))
                    .isInstanceOf(AccessDeniedException.class);
            assertThatThrownBy(() -> user.call(() -> Files.writeString(open, "x")))
                    .isInstanceOf(AccessDeniedException.class);
            assertThatThrownBy(() ->
                            user.call(() ->
                                    Files.setPosixFilePermissions(
                                            secret, PosixFilePermissions.fromString("rw-r--r--"))))
                    .isInstanceOf(IOException.class);
            assertThat(Files.readString(secret)).isEqualTo("secret");
            assertThat(
                            user.submit(() -> 1)
                                    .thenApply(one -> readable(secret))
                                    .get(30, TimeUnit.SECONDS))
                    .isTrue();
        }
    }

    private static boolean readable(Path file) {
        try {
            return Files.readString(file) != null;
        } catch (IOException e) {
            return false;
        }
    }

    @Test
    void what_is_written_belongs_to_the_user() throws Exception {
        try (AsUser user = AsUser.of(nobody)) {
            Path file = user.call(() -> Files.writeString(directory.resolve("new"), "x"));
            assertThat(Files.getAttribute(file, "unix:uid")).isEqualTo(nobody.uid());
            assertThat(Files.getAttribute(file, "unix:gid")).isEqualTo(nobody.gid());
        }
    }

    @Test
    void the_thread_has_the_user_s_groups_and_no_capability_but_stays_root_s_to_signal()
            throws Exception {
        try (AsUser user = AsUser.of(nobody)) {
            String status = user.call(() -> Files.readString(Path.of("/proc/thread-self/status")));
            int uid = nobody.uid();
            assertThat(status)
                    .contains("Uid:\t0\t" + uid + "\t0\t" + uid)
                    .contains("CapEff:\t0000000000000000");
            assertThat(status.lines().filter(line -> line.startsWith("Groups:")).findFirst())
                    .hasValueSatisfying(line ->
                            assertThat(line.substring(7).trim().split(" "))
                                    .containsExactlyInAnyOrderElementsOf(
                                            nobody.groups().stream()
                                                    .map(String::valueOf)
                                                    .toList()));
        }
    }

    @Test
    void no_other_thread_of_the_process_has_become_the_user() throws Exception {
        try (AsUser user = AsUser.of(nobody)) {
            user.call(() -> 1);
            List<String> strays = new ArrayList<>();
            try (var all = Files.list(Path.of("/proc/self/task"))) {
                for (Path task : all.toList()) {
                    try {
                        String comm = Files.readString(task.resolve("comm")).trim();
                        String status = Files.readString(task.resolve("status"));
                        if (!status.contains("Uid:\t0\t0\t0\t0") && !comm.equals("as-nobody")) {
                            strays.add(comm);
                        }
                    } catch (IOException e) {
                        if (Files.exists(task)) {
                            throw e;
                        }
                        // A thread that has ended meanwhile.
                    }
                }
            }
            assertThat(strays).isEmpty();
        }
    }

    @Test
    void a_peer_on_a_unix_socket_sees_the_user_and_not_root() throws Exception {
        Path name = directory.resolve("socket");
        try (ServerSocketChannel listener =
                        ServerSocketChannel.open(StandardProtocolFamily.UNIX)
                                .bind(UnixDomainSocketAddress.of(name));
                AsUser user = AsUser.of(nobody)) {
            Files.setPosixFilePermissions(name, PosixFilePermissions.fromString("rwxrwxrwx"));
            try (SocketChannel near =
                            user.call(() -> SocketChannel.open(UnixDomainSocketAddress.of(name)));
                    SocketChannel far = listener.accept()) {
                assertThat(near.isConnected()).isTrue();
                assertThat(Sockets.peer(far).map(Sockets.Peer::uid)).contains(nobody.uid());
            }
            Files.setPosixFilePermissions(name, PosixFilePermissions.fromString("rwx------"));
            assertThatThrownBy(() ->
                            user.call(() -> SocketChannel.open(UnixDomainSocketAddress.of(name))))
                    .isInstanceOf(IOException.class);
        }
    }

    @Test
    void another_root_and_mask_hold_for_that_thread_only() throws Exception {
        file("inside", "rw-r--r--");
        try (AsUser user = AsUser.of(nobody, directory, 0027)) {
            assertThat(user.call(() -> Files.readString(Path.of("/inside")))).isEqualTo("inside");
            assertThat(user.call(() -> Files.exists(Path.of("/etc/passwd")))).isFalse();
            assertThat(user.call(() -> Files.exists(Path.of("/../etc/passwd")))).isFalse();
            user.call(() -> Files.writeString(Path.of("/made"), "x"));
            assertThat(
                            PosixFilePermissions.toString(
                                    Files.getPosixFilePermissions(directory.resolve("made"))))
                    .isEqualTo("rw-r-----");
        }
        assertThat(Path.of("/etc/passwd")).exists();
        Path ours = Files.writeString(directory.resolve("ours"), "x");
        assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(ours)))
                .isNotEqualTo("rw-r-----");
    }

    @Test
    void a_root_that_is_not_there_fails_every_task_and_runs_none() throws Exception {
        try (AsUser user = AsUser.of(nobody, directory.resolve("none"), null)) {
            for (int i = 0; i < 3; i++) {
                assertThatThrownBy(() -> user.call(() -> Files.createFile(Path.of("/tmp/oops"))))
                        .isInstanceOf(SystemException.class)
                        .hasMessageContaining("No such file or directory");
            }
        }
        assertThat(Path.of("/tmp/oops")).doesNotExist();
    }

    @Test
    void a_closed_one_takes_no_more_and_an_idle_one_has_no_thread() throws Exception {
        AsUser user = AsUser.of(nobody);
        Thread worker = user.call(Thread::currentThread);
        user.close();
        assertThat(worker.join(Duration.ofSeconds(10))).isTrue();
        assertThatThrownBy(() -> user.submit(() -> 1))
                .isInstanceOf(RejectedExecutionException.class);
    }

    @Test
    void a_child_becomes_the_user_with_its_status_its_name_and_its_environment() throws Exception {
        Map<String, String> environment =
                Map.of("PATH", "/usr/bin:/bin", "COLOUR", "a b", "HOME", "/nonexistent");
        for (boolean pam : new boolean[] {true, false}) {
            Spawn spawn =
                    Become.as(
                                    nobody,
                                    pam,
                                    null,
                                    null,
                                    Path.of("/bin/bash"),
                                    "bash",
                                    List.of("-c", "id -un; echo \"$0 $COLOUR\"; id -G; exit 9"),
                                    environment)
                            .stdio(Spawn.Stdio.PIPES);
            Run run = Run.of(spawn);
            assertThat(run.errors()).isEmpty();
            assertThat(run.output()).startsWith("nobody\nbash a b\n");
            assertThat(run.output().lines().toList().get(2).split(" "))
                    .contains("" + nobody.gid())
                    .doesNotContain("0");
            assertThat(run.exit().status()).isEqualTo(9);

            Run killed = Run.of(nobodys(pam, "/bin/sh", "kill -USR1 $$", environment));
            assertThat(killed.exit()).isEqualTo(new Exit(-1, 10, false));
            assertThat(killed.errors()).isEmpty();

            Path ready = directory.resolve("hung" + pam);
            Child hung =
                    nobodys(pam, "/bin/sh", "echo ready; : >" + ready + "; sleep 60", environment)
                            .start();
            awaitFile(ready);
            hung.signal(Signal.HUP);
            assertThat(Run.exit(hung)).isEqualTo(new Exit(-1, 1, false));
            assertThat(Run.drink(hung.output()).get(30, TimeUnit.SECONDS)).isEqualTo("ready\n");
        }
    }

    /** As root it would run whatever the user names there. */
    @Test
    void nothing_that_runs_as_root_on_the_way_obeys_what_the_user_put_into_the_environment()
            throws Exception {
        String preload = directory.resolve("none.so").toString();
        for (boolean pam : new boolean[] {true, false}) {
            Run run =
                    Run.of(
                            nobodys(
                                    pam,
                                    "sh",
                                    "echo \"$LD_PRELOAD $LANG $X\"; export -p",
                                    Map.of("LD_PRELOAD", preload, "LANG", "C", "X", "$y \"'")));
            assertThat(run.output()).startsWith(preload + " C $y \"'\n").doesNotContain("HOLDFAST");
            assertThat(run.errors().lines())
                    .singleElement(InstanceOfAssertFactories.STRING)
                    .contains("'" + preload + "' from LD_PRELOAD cannot be preloaded");
        }
    }

    @Test
    void bash_reads_its_file_once_where_it_is_the_user_s_shell_for_a_command() throws Exception {
        Path bash = Path.of("/bin/bash");
        assumeTrue(Files.isExecutable(bash), "needs bash");
        Files.writeString(directory.resolve(".bashrc"), "echo read\n");
        Account here =
                new Account(
                        nobody.name(),
                        nobody.uid(),
                        nobody.gid(),
                        nobody.group(),
                        nobody.groups(),
                        nobody.groupNames(),
                        "",
                        directory,
                        bash);
        Run run =
                Run.of(
                        Become.as(
                                        here,
                                        false,
                                        null,
                                        null,
                                        bash,
                                        "bash",
                                        List.of("-c", "echo in"),
                                        Map.of(
                                                "HOME",
                                                directory.toString(),
                                                "SSH_CLIENT",
                                                "127.0.0.1 1 2"))
                                .stdio(Spawn.Stdio.PIPES));
        assertThat(run.output()).isIn("read\nin\n", "in\n"); // how bash was built
    }

    @Test
    void in_a_cage_a_program_is_the_user_s_and_sees_nothing_else() throws Exception {
        Path root = Files.createDirectory(directory.resolve("cage"));
        for (String program : List.of("/bin/sh", "/bin/cat")) {
            copied(root, Path.of(program));
        }
        Path in = Files.createDirectories(root.resolve("home/somebody"));
        Files.setPosixFilePermissions(in, PosixFilePermissions.fromString("rwxrwxrwx"));
        for (boolean pam : new boolean[] {true, false}) {
            Child child =
                    Become.as(
                                    nobody,
                                    pam,
                                    new Become.Cage(root, "/home/somebody", null, true),
                                    null,
                                    Path.of("/bin/sh"),
                                    "sh",
                                    List.of(
                                            "-c",
                                            "echo $$ >pid; read x; pwd; echo $LD_PRELOAD; echo /*;"
                                                    + " unset LD_PRELOAD; cat /etc/passwd;"
                                                    + " kill -9 $$"),
                                    Map.of("LD_PRELOAD", "/x.so"))
                            .stdio(Spawn.Stdio.PIPES)
                            .start();
            var output = Run.drink(child.output());
            var errors = Run.drink(Objects.requireNonNull(child.errors()));
            Path pid = in.resolve("pid");
            awaitFile(pid);
            while (!Files.readString(pid).endsWith("\n")) {
                Thread.sleep(5);
            }
            Path process = Path.of("/proc", Files.readString(pid).strip());
            assertThat(Files.readSymbolicLink(process.resolve("root"))).isEqualTo(root);
            List<String> status = Files.readAllLines(process.resolve("status"));
            String ids = "\t" + Integer.toUnsignedString(nobody.uid());
            assertThat(status).contains("Uid:" + ids.repeat(4));
            assertThat(status)
                    .filteredOn(line -> line.matches("Cap(Inh|Prm|Eff|Amb):.*"))
                    .hasSize(4)
                    .allMatch(line -> line.endsWith("\t0000000000000000"));
            try (Stream<Path> open = Files.list(process.resolve("fd"))) {
                assertThat(open).hasSizeLessThanOrEqualTo(3);
            }
            child.input().write(ByteBuffer.wrap("\n".getBytes(US_ASCII)));
            assertThat(output.get(30, TimeUnit.SECONDS)).startsWith("/home/somebody\n/x.so\n/bin ");
            assertThat(errors.get(30, TimeUnit.SECONDS)).contains("/etc/passwd: No such file");
            assertThat(Run.exit(child)).isEqualTo(new Exit(-1, 9, false));
            Files.delete(pid);
        }
    }

    /** A program with the libraries it needs, where it lies outside. */
    private static void copied(Path root, Path program) throws Exception {
        Process ldd = new ProcessBuilder("ldd", program.toString()).start();
        List<String> needed = new ArrayList<>(List.of(program.toString()));
        try (var lines = ldd.inputReader()) {
            lines.lines()
                    .flatMap(line -> Stream.of(line.strip().split("\\s+")))
                    .filter(word -> word.startsWith("/"))
                    .forEach(needed::add);
        }
        for (String each : needed) {
            Path copy = root.resolve(each.substring(1));
            Files.createDirectories(copy.getParent());
            if (!Files.exists(copy)) {
                Files.copy(Path.of(each).toRealPath(), copy);
            }
        }
    }

    private static void awaitFile(Path file) throws InterruptedException {
        long until = System.nanoTime() + TimeUnit.SECONDS.toNanos(30);
        while (!Files.exists(file) && System.nanoTime() < until) {
            Thread.sleep(10);
        }
    }

    /** runuser would kill a program two seconds after SIGTERM, and say so among its errors. */
    @Test
    void a_program_takes_a_signal_as_it_likes_and_its_own_status_is_no_signal() throws Exception {
        for (boolean pam : new boolean[] {true, false}) {
            Path ready = directory.resolve("ready" + pam);
            Child careful =
                    nobodys(
                                    pam,
                                    "sh",
                                    // Short sleeps: one that is just being forked
                                    // misses the signal, and keeps the pipe open.
                                    "trap 'echo sorry >&2; exit 143' TERM; : >"
                                            + ready
                                            + "; while :; do sleep 0.1 & wait; done",
                                    Map.of("PATH", "/usr/bin:/bin"))
                            .start();
            var said = Run.drink(Objects.requireNonNull(careful.errors()));
            awaitFile(ready);
            careful.signalProgram(Signal.TERM);
            assertThat(Run.exit(careful)).isEqualTo(new Exit(143, 0, false));
            assertThat(said.get(30, TimeUnit.SECONDS)).isEqualTo("sorry\n");
        }
    }

    @Test
    void it_begins_where_the_user_may_be_and_says_so_where_it_does_not() throws Exception {
        Path closed = Files.createDirectory(directory.resolve("it's $closed"));
        Files.setPosixFilePermissions(closed, PosixFilePermissions.fromString("rwx------"));
        Path missing = directory.resolve("missing");
        Path file = file("file", "rw-r--r--");
        for (boolean pam : new boolean[] {true, false}) {
            assertThat(at(directory, pam)).isEqualTo(directory + " none\n");
            assertThat(at(closed, pam))
                    .isEqualTo("/ none\n" + refusal(closed, "Permission denied"));
            assertThat(at(missing, pam))
                    .isEqualTo("/ none\n" + refusal(missing, "No such file or directory"));
            assertThat(at(file, pam)).isEqualTo("/ none\n" + refusal(file, "Not a directory"));
        }
    }

    private static String refusal(Path home, String why) {
        return "Could not chdir to home directory " + home + ": " + why + "\n";
    }

    private String at(Path home, boolean pam) throws Exception {
        Run run =
                Run.of(
                        Become.as(
                                        nobody,
                                        pam,
                                        null,
                                        home,
                                        Path.of("/bin/sh"),
                                        "/bin/sh",
                                        List.of("-c", "echo $(pwd -P) ${OLDPWD-none}"),
                                        Map.of("PATH", "/usr/bin:/bin", "CDPATH", "/etc"))
                                .stdio(Spawn.Stdio.PIPES));
        return run.output() + run.errors();
    }

    @Test
    void a_login_shell_that_is_killed_says_so_and_nothing_else() throws Exception {
        Optional<Account> person = Accounts.named("postgres").or(this::anyWithShell);
        assumeTrue(person.isPresent(), "needs a user with a shell");
        Account account = person.get();
        for (boolean pam : new boolean[] {true, false}) {
            Run killed =
                    Run.of(
                            Become.as(
                                            account,
                                            pam,
                                            null,
                                            account.home(),
                                            account.shell(),
                                            "-" + account.shell().getFileName(),
                                            List.of(),
                                            Map.of("PATH", "/usr/bin:/bin"))
                                    .stdio(Spawn.Stdio.PIPES),
                            "echo $SHELL; kill -KILL $$\n");
            assertThat(killed.output()).isEqualTo(account.shell() + "\n");
            assertThat(killed.errors()).isEmpty();
            assertThat(killed.exit()).isEqualTo(new Exit(-1, 9, false));
        }
    }

    @Test
    void a_login_shell_on_a_terminal_becomes_the_user() throws Exception {
        Optional<Account> person = Accounts.named("postgres").or(this::anyWithShell);
        assumeTrue(person.isPresent(), "needs a user with a shell");
        Account account = person.get();
        for (boolean pam : new boolean[] {true, false}) {
            Pty pty = Pty.open(account);
            Child shell =
                    Become.as(
                                    account,
                                    pam,
                                    null,
                                    account.home(),
                                    account.shell(),
                                    "-" + account.shell().getFileName(),
                                    List.of(),
                                    Map.of("PATH", "/usr/bin:/bin", "TERM", "dumb", "X_Y", "z"))
                            .terminal(pty)
                            .start();
            var output = Run.drink(shell.output());
            shell.input()
                    .write(
                            ByteBuffer.wrap(
                                    "echo =$0= =$(id -un)= =$X_Y= =$(tty)=; exit 5\n"
                                            .getBytes(US_ASCII)));
            assertThat(output.get(30, TimeUnit.SECONDS))
                    .contains(
                            "=-"
                                    + account.shell().getFileName()
                                    + "= ="
                                    + account.name()
                                    + "= =z= ="
                                    + pty.name()
                                    + "=");
            assertThat(Run.exit(shell).status()).isEqualTo(5);
            shell.output().close();
            pty.close();
        }
    }

    private Optional<Account> anyWithShell() {
        try {
            return Accounts.numbered(1000);
        } catch (SystemException e) {
            return Optional.empty();
        }
    }
}
