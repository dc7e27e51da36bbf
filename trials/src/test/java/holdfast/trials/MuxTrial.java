package holdfast.trials;

import static org.assertj.core.api.Assertions.assertThat;

import holdfast.trials.harness.Command;
import holdfast.trials.harness.Ended;
import holdfast.trials.harness.Eventually;
import holdfast.trials.harness.Running;
import holdfast.trials.harness.Signals;
import holdfast.trials.harness.Sshd;
import holdfast.trials.harness.Terminal;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Random;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;

/** Shared connections: masters and clients of ours and of OpenSSH's, in every combination. */
@ExtendWith(Staged.class)
final class MuxTrial {

    private static final Duration SOON = Duration.ofMinutes(1);

    private static final Pattern RUNNING = Pattern.compile("Master running \\(pid=([0-9]+)\\)");

    /** Which program; {@code OURS} is the one on trial. */
    private enum Whose {
        OURS,
        DEBIANS
    }

    private record Pair(Whose master, Whose client) {}

    private static final List<Pair> PAIRS =
            List.of(
                    new Pair(Whose.OURS, Whose.DEBIANS),
                    new Pair(Whose.DEBIANS, Whose.OURS),
                    new Pair(Whose.OURS, Whose.OURS));

    private static void await(String what, Eventually.Condition condition) throws Exception {
        Eventually.holds(SOON, condition, () -> what);
    }

    /** A server, and a control socket for connections to it. */
    private static final class Scene {
        final Stage stage;
        final Sshd sshd;
        final Path path;

        Scene(Stage stage, String... settings) {
            this.stage = stage;
            sshd = stage.sshd(settings);
            path = stage.directory().resolve("cm");
        }

        Command ssh(Whose whose, String... rest) {
            List<String> all = new ArrayList<>(List.of("-S", path.toString()));
            all.addAll(List.of(rest));
            String[] words = all.toArray(String[]::new);
            return whose == Whose.OURS ? stage.ssh(sshd, words) : stage.openSsh(sshd, words);
        }

        Ended run(Whose whose, String... rest) throws InterruptedException {
            return ssh(whose, rest).end(SOON);
        }

        Ended control(Whose whose, String word, String... rest) throws InterruptedException {
            List<String> all = new ArrayList<>(List.of("-O", word));
            all.addAll(List.of(rest));
            all.add("trial");
            return run(whose, all.toArray(String[]::new));
        }

        /** A master, once it can be joined. */
        Running master(Whose whose, String... rest) throws Exception {
            Running master = ssh(whose, rest).start();
            await("the master listens", () -> Files.exists(path) || !master.alive());
            assertThat(master.alive()).as(master.report()).isTrue();
            return master;
        }

        long pid(Whose whose) throws Exception {
            Ended check = control(whose, "check");
            assertThat(check.status()).as(check.err()).isZero();
            Matcher said = RUNNING.matcher(check.err());
            assertThat(said.find()).as(check.err()).isTrue();
            return Long.parseLong(said.group(1));
        }

        /** How many logins the server has seen. */
        long logins() {
            return sshd.log().lines().filter(line -> line.contains("Accepted publickey")).count();
        }

        void exit(Whose whose, Running master) throws Exception {
            assertThat(control(whose, "exit").errLines()).isEqualTo("Exit request sent.\n");
            master.end(SOON);
            assertThat(path).doesNotExist();
        }
    }

    // --- one master, one client

    @Test
    void a_command_through_a_master_is_as_one_without(Stage stage) throws Exception {
        Scene scene = new Scene(stage);
        byte[] much = new byte[3_000_000];
        new Random(much.length).nextBytes(much);
        for (Pair pair : PAIRS) {
            Running master = scene.master(pair.master(), "-M", "-N", "trial");
            long logins = scene.logins();
            Ended some =
                    scene.ssh(pair.client(), "trial", "cat; echo wrong >&2; exit 7")
                            .input("said\n")
                            .end(SOON);
            assertThat(some.out()).as("%s", pair).isEqualTo("said\n");
            assertThat(some.err()).isEqualTo("wrong\n");
            assertThat(some.status()).isEqualTo(7);
            ByteArrayOutputStream back = new ByteArrayOutputStream();
            Ended bulk =
                    scene.ssh(pair.client(), "-o", "EscapeChar=none", "trial", "cat")
                            .input(new ByteArrayInputStream(much))
                            .outTo(back)
                            .end(SOON);
            assertThat(bulk.status()).isZero();
            assertThat(back.toByteArray()).as("%s", pair).isEqualTo(much);
            // Its own input is left alone.
            assertThat(
                            scene.ssh(pair.client(), "-n", "trial", "wc -c")
                                    .input("not for it")
                                    .end(SOON)
                                    .out()
                                    .strip())
                    .isEqualTo("0");
            assertThat(scene.run(pair.client(), "trial", "kill -TERM $$").status()).isEqualTo(255);
            Ended refused = scene.run(pair.client(), "-s", "trial", "nonesuch");
            assertThat(refused.status()).isEqualTo(255);
            if (pair.master() == Whose.OURS) { // OpenSSH's may close before it has said so
                assertThat(refused.err()).isEqualTo("subsystem request failed\r\n");
            }
            assertThat(scene.logins()).as("no other connection: %s", pair).isEqualTo(logins);
            long pid = scene.pid(pair.client());
            assertThat(ProcessHandle.of(pid)).as("process %d of %s", pid, pair).isPresent();
            scene.exit(pair.client(), master);
        }
    }

    @Test
    void what_may_be_sent_of_the_environment_the_master_decides(Stage stage) throws Exception {
        Scene scene = new Scene(stage, "AcceptEnv *");
        for (Pair pair : PAIRS) {
            Running master =
                    scene.master(
                            pair.master(),
                            "-o",
                            "SendEnv=LC_A",
                            "-o",
                            "SetEnv=LC_C=master",
                            "-M",
                            "-N",
                            "trial");
            Ended ended =
                    scene.ssh(
                                    pair.client(),
                                    "-o",
                                    "SendEnv=LC_A LC_B",
                                    "trial",
                                    "echo $LC_A,$LC_B,$LC_C")
                            .env("LC_A", "a b")
                            .env("LC_B", "no")
                            .end(SOON);
            assertThat(ended.out()).as("%s", pair).isEqualTo("a b,,master\n");
            scene.exit(pair.client(), master);
        }
    }

    @Test
    void forwards_are_begun_and_ended_at_the_master(Stage stage) throws Exception {
        Scene scene = new Scene(stage);
        try (Peer peer = Peer.tcp(Peer::echo)) {
            for (Pair pair : PAIRS) {
                Running master = scene.master(pair.master(), "-M", "-N", "trial");
                String here = stage.directory().resolve("l" + pair.hashCode()).toString();
                String local = here + ":" + peer.target();
                assertThat(scene.control(pair.client(), "forward", "-L", local).status()).isZero();
                assertThat(Peer.exchange(Peer.connect(here), "to")).isEqualTo("to");
                // The same again is no error, and no second one.
                assertThat(scene.control(pair.client(), "forward", "-L", local).status()).isZero();
                assertThat(scene.control(pair.client(), "cancel", "-L", local).err()).isEmpty();
                Ended none = scene.control(pair.client(), "cancel", "-L", local);
                assertThat(none.err()).contains("port not forwarded");
                assertThat(none.status()).isZero();
                Files.deleteIfExists(Path.of(here)); // OpenSSH's master leaves it

                String remote = "0:" + peer.target();
                Ended chosen = scene.control(pair.client(), "forward", "-R", remote);
                assertThat(chosen.status()).as(chosen.err()).isZero();
                assertThat(chosen.out()).matches("[0-9]+\n");
                assertThat(Peer.exchange(Peer.connect(chosen.out().strip()), "fro"))
                        .isEqualTo("fro");
                assertThat(scene.control(pair.client(), "forward", "-R", remote).out())
                        .isEqualTo(chosen.out());
                assertThat(scene.control(pair.client(), "cancel", "-R", remote).err()).isEmpty();

                String nowhere = stage.directory().resolve("no/such").toString();
                Ended refused =
                        scene.control(
                                pair.client(), "forward", "-L", nowhere + ":" + peer.target());
                assertThat(refused.status()).isEqualTo(255);
                assertThat(refused.err())
                        .contains("forwarding request failed: Port forwarding failed");

                Ended through =
                        scene.ssh(pair.client(), "-W", peer.target(), "trial")
                                .input("straight on")
                                .end(SOON);
                assertThat(through.out()).as("%s", pair).isEqualTo("straight on");
                assertThat(through.status()).isZero();
                scene.exit(pair.client(), master);
            }
        }
    }

    @Test
    void a_master_that_stops_listening_ends_with_its_last_client(Stage stage) throws Exception {
        Scene scene = new Scene(stage);
        for (Pair pair : PAIRS) {
            Running master = scene.master(pair.master(), "-M", "-N", "trial");
            Running client =
                    scene.ssh(pair.client(), "trial", "echo there; cat").inputOpen().start();
            await("it runs", () -> client.out().text().contains("there"));
            assertThat(scene.control(pair.client(), "stop").errLines())
                    .isEqualTo("Stop listening request sent.\n");
            assertThat(scene.path).doesNotExist();
            assertThat(master.alive()).isTrue();
            client.stdin().close();
            assertThat(client.end(SOON).status()).isZero();
            master.end(SOON);
            Ended none = scene.control(pair.client(), "check");
            assertThat(none.status()).isEqualTo(255);
            assertThat(none.errLines())
                    .isEqualTo(
                            "Control socket connect("
                                    + scene.path
                                    + "): No such file or directory\n");
        }
    }

    /** A shell of 90 by 30, which has heard by the end that its terminal is another size. */
    private static Terminal.Foreground shellThatKnowsItsSize(Terminal tty, String words)
            throws Exception {
        Terminal.Foreground shell =
                tty.begin(
                        words
                                + " -t trial 'stty -echo; echo size $(stty size);"
                                + " while read -r a; do echo got $a $(stty size); done'");
        tty.await("size 30 90", SOON);
        tty.resize(70, 20);
        await(
                "its size is known",
                () -> {
                    tty.line("s");
                    return tty.screen().contains("got s 20 70");
                });
        return shell;
    }

    @Test
    void a_session_with_a_terminal_is_the_persons_own(Stage stage) throws Exception {
        Scene scene = new Scene(stage);
        for (Pair pair : PAIRS) {
            Running master = scene.master(pair.master(), "-M", "-N", "trial");
            Terminal tty = stage.terminal(90, 30);
            String modes = tty.modes();
            String words = String.join(" ", scene.ssh(pair.client()).argv());
            Terminal.Foreground shell = shellThatKnowsItsSize(tty, words);
            tty.line("~C");
            tty.await("~C escape not available to multiplexed sessions", SOON);
            tty.key("Enter");
            tty.line("~~x");
            tty.await("got ~x", SOON);
            tty.type("~.");
            assertThat(shell.end(SOON)).as("%s", pair).isEqualTo(255);
            tty.await("Shared connection to 127.0.0.1 closed.", SOON);
            assertThat(tty.modes()).isEqualTo(modes);
            assertThat(tty.run(words + " -t trial 'exit 3'", SOON)).isEqualTo(3);
            assertThat(tty.modes()).isEqualTo(modes);
            tty.close();
            scene.exit(pair.client(), master);
        }
    }

    // --- clients that speak SSH themselves: -O proxy

    private static Command through(Scene scene, Whose whose, String... rest) {
        List<String> all = new ArrayList<>(List.of("-O", "proxy"));
        all.addAll(List.of(rest));
        return scene.ssh(whose, all.toArray(String[]::new));
    }

    @Test
    void a_client_that_speaks_ssh_through_a_master_is_as_one_without(Stage stage) throws Exception {
        Scene scene = new Scene(stage);
        byte[] much = new byte[3_000_000];
        new Random(much.length).nextBytes(much);
        try (Peer peer = Peer.tcp(Peer::echo)) {
            for (Pair pair : PAIRS) {
                Running master = scene.master(pair.master(), "-M", "-N", "trial");
                long logins = scene.logins();
                Ended some =
                        through(scene, pair.client(), "trial", "cat; echo wrong >&2; exit 7")
                                .input("said\n")
                                .end(SOON);
                assertThat(some.out()).as("%s", pair).isEqualTo("said\n");
                assertThat(some.err()).isEqualTo("wrong\n");
                assertThat(some.status()).isEqualTo(7);
                ByteArrayOutputStream back = new ByteArrayOutputStream();
                Ended all =
                        through(scene, pair.client(), "trial", "cat")
                                .input(new ByteArrayInputStream(much))
                                .outTo(back)
                                .end(SOON);
                assertThat(all.status()).as("%s: %s", pair, all.err()).isZero();
                assertThat(back.toByteArray()).isEqualTo(much);

                String here = stage.directory().resolve("p" + pair.hashCode()).toString();
                String local = here + ":" + peer.target();
                Running forward = through(scene, pair.client(), "-N", "-L", local, "trial").start();
                assertThat(Peer.exchange(Peer.await(here), "to")).isEqualTo("to");
                forward.signal("TERM");
                forward.end(SOON);
                assertThat(scene.logins()).as("no other connection: %s", pair).isEqualTo(logins);
                assertThat(scene.run(pair.client(), "trial", "echo still").out())
                        .as("the master goes on: %s", pair)
                        .isEqualTo("still\n");
                scene.exit(pair.client(), master);
            }
        }
    }

    @Test
    void the_master_changes_keys_under_a_client_that_speaks_ssh(Stage stage) throws Exception {
        Scene scene = new Scene(stage);
        for (Pair pair : PAIRS) {
            Running master =
                    scene.master(pair.master(), "-v", "-o", "RekeyLimit=1M", "-M", "-N", "trial");
            RandomBytes.thereAndBack(through(scene, pair.client(), "trial", "cat"), 6_000_000);
            assertThat(changes(master)).as("%s", pair).isGreaterThan(5);
            // One way, at the speed of the one and then of the other.
            int before = changes(master);
            RandomBytes.Digest came = new RandomBytes.Digest();
            Ended down =
                    through(scene, pair.client(), "trial", "head -c 6000000 /dev/zero")
                            .outTo(came)
                            .end(SOON);
            assertThat(down.status()).as("%s: %s", pair, down.err()).isZero();
            assertThat(came.count()).isEqualTo(6_000_000);
            assertThat(changes(master)).as("%s", pair).isGreaterThan(before);
            before = changes(master);
            Ended up =
                    through(scene, pair.client(), "trial", "wc -c")
                            .input(new RandomBytes(1, 6_000_000))
                            .end(SOON);
            assertThat(up.out().strip()).as("%s: %s", pair, up.err()).isEqualTo("6000000");
            assertThat(changes(master)).as("%s", pair).isGreaterThan(before);
            scene.exit(pair.client(), master);
        }
    }

    /** How often keys have been taken into use. */
    private static int changes(Running master) {
        return master.err().text().split("SSH2_MSG_NEWKEYS received", -1).length - 1;
    }

    @Test
    void a_client_that_speaks_ssh_has_its_own_terminal(Stage stage) throws Exception {
        Scene scene = new Scene(stage);
        for (Pair pair : PAIRS) {
            Running master = scene.master(pair.master(), "-M", "-N", "trial");
            Terminal tty = stage.terminal(90, 30);
            String modes = tty.modes();
            String words = String.join(" ", through(scene, pair.client()).argv());
            Terminal.Foreground shell = shellThatKnowsItsSize(tty, words);
            tty.type("~.");
            assertThat(shell.end(SOON)).as("%s", pair).isEqualTo(255);
            assertThat(tty.modes()).isEqualTo(modes);
            assertThat(tty.run(words + " -t trial 'exit 3'", SOON)).isEqualTo(3);
            assertThat(tty.modes()).isEqualTo(modes);
            tty.close();
            scene.exit(pair.client(), master);
        }
    }

    @Test
    void many_speak_ssh_through_our_master_at_once_and_leave_nothing_behind(Stage stage)
            throws Exception {
        Scene scene = new Scene(stage, "MaxSessions 40");
        Running master = scene.master(Whose.OURS, "-M", "-N", "trial");
        int before = scene.sshd.processes().size();
        List<Running> all = new ArrayList<>();
        for (int i = 0; i < 12; i++) {
            all.add(
                    through(scene, Whose.DEBIANS, "trial", "echo there; cat; echo end " + i)
                            .inputOpen()
                            .start());
        }
        all.add(
                through(scene, Whose.OURS, "trial", "echo there; cat; echo end 12")
                        .inputOpen()
                        .start());
        for (Running one : all) {
            await(
                    "it runs: " + one.report(),
                    () -> one.out().text().contains("there") || !one.alive());
        }
        // Every second one goes without a word, the others are none the worse for it.
        for (int i = 0; i < all.size(); i += 2) {
            all.get(i).signal("KILL");
            all.get(i).end(SOON);
        }
        for (int i = 1; i < all.size(); i += 2) {
            all.get(i).stdin().write(("me " + i + "\n").getBytes(StandardCharsets.UTF_8));
            all.get(i).stdin().close();
            assertThat(all.get(i).end(SOON).out())
                    .isEqualTo("there\nme " + i + "\nend " + i + "\n");
        }
        await(
                "no channel is left",
                () ->
                        scene.control(Whose.OURS, "channels")
                                .out()
                                .equals("The following connections are open:\r\n"));
        await("what they ran is gone", () -> scene.sshd.processes().size() <= before);
        scene.exit(Whose.OURS, master);
    }

    @Test
    void what_a_client_that_speaks_ssh_has_the_server_listen_for_ends_with_it(Stage stage)
            throws Exception {
        Scene scene = new Scene(stage);
        Running master = scene.master(Whose.OURS, "-M", "-N", "trial");
        Pattern allocated = Pattern.compile("Allocated port ([0-9]+) for remote forward");
        try (Peer peer = Peer.tcp(Peer::echo)) {
            for (Whose whose : Whose.values()) {
                Running client =
                        through(
                                        scene,
                                        whose,
                                        "-o",
                                        "LogLevel=INFO",
                                        "-N",
                                        "-R",
                                        "0:" + peer.target(),
                                        "trial")
                                .start();
                await(
                        "the server has answered: " + client.report(),
                        () -> allocated.matcher(client.err().text()).find() || !client.alive());
                Matcher said = allocated.matcher(client.err().text());
                assertThat(said.find()).as(client.report()).isTrue();
                String port = said.group(1);
                SocketChannel open = Peer.connect(port);
                Peer.write(open, "fro".getBytes(StandardCharsets.UTF_8));
                assertThat(Peer.read(open, 3)).isEqualTo("fro".getBytes(StandardCharsets.UTF_8));
                client.signal("KILL");
                client.end(SOON);
                assertThat(Peer.read(open, 1)).as("it ends with its client").isEmpty();
                open.close();
                await("nobody listens there", () -> refused(port));
            }
        }
        scene.exit(Whose.OURS, master);
    }

    private static boolean refused(String port) {
        try {
            Peer.connect(port).close();
            return false;
        } catch (IOException e) {
            return true;
        }
    }

    // --- our master

    @Test
    void the_first_client_leaves_a_master_behind_for_as_long_as_it_was_told(Stage stage)
            throws Exception {
        stage.onlyHoldfast("it is the one that is compared with");
        Scene scene = new Scene(stage);
        String[] how = {"-o", "ControlMaster=auto", "-o", "ControlPersist=3", "trial"};
        List<String> words = new ArrayList<>(List.of(how));
        words.add("cat; exit 5");
        Ended first =
                scene.ssh(Whose.OURS, words.toArray(String[]::new)).input("first\n").end(SOON);
        // Nobody holds its output open any more: Running would say so.
        assertThat(first.err()).isEmpty();
        assertThat(first.out()).isEqualTo("first\n");
        assertThat(first.status()).isEqualTo(5);
        long pid = scene.pid(Whose.DEBIANS);
        assertThat(Files.readSymbolicLink(Path.of("/proc/" + pid + "/fd/0")))
                .isEqualTo(Path.of("/dev/null"));
        Ended second = scene.ssh(Whose.DEBIANS, words.toArray(String[]::new)).input("2").end(SOON);
        assertThat(second.out()).isEqualTo("2");
        assertThat(second.status()).isEqualTo(5);
        assertThat(scene.logins()).isEqualTo(1);
        await("it ends by itself", () -> stage.processes().isEmpty());
        assertThat(scene.path).doesNotExist();
    }

    @Test
    void one_that_cannot_be_the_master_runs_its_session_itself(Stage stage) throws Exception {
        stage.onlyHoldfast("it is the one that is compared with");
        Scene scene = new Scene(stage);
        Running master = scene.master(Whose.OURS, "-M", "-N", "trial");
        for (String[] persist : new String[][] {{}, {"-o", "ControlPersist=yes"}}) {
            List<String> words = new ArrayList<>(List.of("-M"));
            words.addAll(List.of(persist));
            words.addAll(List.of("trial", "echo mine; exit 4"));
            Ended own = scene.run(Whose.OURS, words.toArray(String[]::new));
            assertThat(own.out()).isEqualTo("mine\n");
            assertThat(own.errLines())
                    .isEqualTo(
                            "ControlSocket "
                                    + scene.path
                                    + " already exists, disabling multiplexing\n");
            assertThat(own.status()).isEqualTo(4);
        }
        scene.exit(Whose.OURS, master);
    }

    @Test
    void a_master_waits_for_its_clients_when_its_own_session_has_ended(Stage stage)
            throws Exception {
        Scene scene = new Scene(stage);
        Path go = stage.directory().resolve("go");
        Running master =
                scene.master(
                        Whose.OURS,
                        "-M",
                        "trial",
                        "while [ ! -e " + go + " ]; do sleep 0.1; done; echo own; exit 6");
        Running client =
                scene.ssh(Whose.DEBIANS, "trial", "echo there; cat; exit 8").inputOpen().start();
        await("it runs", () -> client.out().text().contains("there"));
        Files.createFile(go);
        await("its own has ended", () -> master.out().text().contains("own"));
        assertThat(scene.run(Whose.DEBIANS, "trial", "echo another").out()).isEqualTo("another\n");
        assertThat(master.alive()).isTrue();
        client.stdin().close();
        assertThat(client.end(SOON).status()).isEqualTo(8);
        assertThat(master.end(SOON).status()).isEqualTo(6);
        assertThat(scene.path).doesNotExist();
    }

    @Test
    void a_socket_with_nobody_behind_it_is_replaced(Stage stage) throws Exception {
        Scene scene = new Scene(stage);
        Running dead = scene.master(Whose.OURS, "-M", "-N", "trial");
        dead.signal("KILL");
        dead.end(SOON);
        assertThat(scene.path).exists();
        Ended alone = scene.run(Whose.OURS, "trial", "echo alone");
        assertThat(alone.out()).isEqualTo("alone\n");
        assertThat(alone.errLines())
                .isEqualTo("Control socket connect(" + scene.path + "): Connection refused\n");
        Running next = scene.ssh(Whose.OURS, "-o", "ControlMaster=auto", "-N", "trial").start();
        await(
                "it is a master",
                () -> scene.run(Whose.DEBIANS, "-O", "check", "trial").status() == 0);
        scene.exit(Whose.OURS, next);
    }

    @Test
    void nonsense_at_the_socket_harms_nobody_else(Stage stage) throws Exception {
        Scene scene = new Scene(stage);
        Running master = scene.master(Whose.OURS, "-M", "-N", "trial");
        Running witness = scene.ssh(Whose.DEBIANS, "trial", "cat").inputOpen().start();
        long seed = new Random().nextLong();
        Random random = new Random(seed);
        byte[] noise = new byte[3000];
        random.nextBytes(noise);
        HexFormat hex = HexFormat.of();
        byte[] hello = hex.parseHex("000000080000000100000004");
        byte[] proxy = hex.parseHex("000000081000000f00000000");
        byte[] wish =
                hex.parseHex(
                        "0000002b1000000200000001"
                                + "00000000"
                                + "00000000".repeat(4)
                                + "ffffffff"
                                + "00000000"
                                + "000000036c7300");
        List<byte[]> rubbish =
                List.of(
                        noise,
                        new byte[0],
                        hex.parseHex("7fffffff"),
                        hex.parseHex("00000004"),
                        hex.parseHex("0000000410000004"),
                        join(hello, hello),
                        join(hello, hex.parseHex("00000008f00000000000000a")),
                        join(hello, wish),
                        join(hello, wish, new byte[3]),
                        join(hello, hex.parseHex("0000000c100000060000000100000001")),
                        join(hello, proxy, noise),
                        join(hello, proxy, hex.parseHex("0000000100")),
                        join(hello, proxy, hex.parseHex("00000002005a")),
                        join(hello, proxy, hex.parseHex("0000000200500000000100")),
                        // The key exchange is not its business, nor is a channel of others'.
                        join(hello, proxy, hex.parseHex("000000020014")),
                        join(hello, proxy, hex.parseHex("00000006006100000000")),
                        join(hello, proxy, hex.parseHex("0000000b005e000000000000000178")));
        for (byte[] bytes : rubbish) {
            try (SocketChannel socket = SocketChannel.open(StandardProtocolFamily.UNIX)) {
                socket.connect(UnixDomainSocketAddress.of(scene.path));
                try {
                    ByteBuffer rest = ByteBuffer.wrap(bytes);
                    while (rest.hasRemaining()) {
                        socket.write(rest);
                    }
                } catch (IOException e) {
                    // The master has had enough of it.
                }
            }
        }
        assertThat(scene.run(Whose.DEBIANS, "trial", "echo fine").out())
                .as("seed %d", seed)
                .isEqualTo("fine\n");
        witness.stdin().write("still here\n".getBytes(StandardCharsets.UTF_8));
        witness.stdin().close();
        assertThat(witness.end(SOON).out()).isEqualTo("still here\n");
        scene.exit(Whose.OURS, master);
    }

    private static byte[] join(byte[]... parts) {
        ByteArrayOutputStream all = new ByteArrayOutputStream();
        for (byte[] part : parts) {
            all.writeBytes(part);
        }
        return all.toByteArray();
    }

    @Test
    void what_a_client_runs_ends_with_it_and_the_others_go_on(Stage stage) throws Exception {
        Scene scene = new Scene(stage);
        Running master = scene.master(Whose.OURS, "-M", "-N", "trial");
        Running witness = scene.ssh(Whose.DEBIANS, "trial", "cat").inputOpen().start();
        for (Whose whose : Whose.values()) {
            Running client =
                    scene.ssh(whose, "trial", "echo there; cat; sleep 0.1; echo over >&2")
                            .inputOpen()
                            .start();
            await("it runs", () -> client.out().text().contains("there"));
            long before = scene.sshd.processes().size();
            client.signal("KILL");
            client.end(SOON);
            await("what it ran is gone", () -> scene.sshd.processes().size() < before);
        }
        witness.stdin().write("me\n".getBytes(StandardCharsets.UTF_8));
        witness.stdin().close();
        assertThat(witness.end(SOON).out()).isEqualTo("me\n");
        scene.exit(Whose.OURS, master);
    }

    @Test
    void a_client_of_a_master_that_dies_says_so_by_its_status(Stage stage) throws Exception {
        Scene scene = new Scene(stage);
        for (Pair pair : PAIRS) {
            Running master = scene.master(pair.master(), "-M", "-N", "trial");
            Running client =
                    scene.ssh(pair.client(), "trial", "echo there; cat").inputOpen().start();
            await("it runs", () -> client.out().text().contains("there"));
            master.signal("TERM");
            assertThat(client.end(SOON).status()).as("%s", pair).isEqualTo(255);
            master.end(SOON);
            assertThat(scene.path).doesNotExist();
        }
    }

    @Test
    void a_stalled_connection_is_told_of_and_not_used(Stage stage) throws Exception {
        stage.onlyHoldfast("it asks its master alone");
        Scene scene = new Scene(stage);
        Running master = scene.master(Whose.OURS, "-M", "-N", "trial");
        Ended alive = scene.control(Whose.OURS, "check");
        assertThat(alive.errLines()).contains("Server answered in ");
        assertThat(alive.status()).isZero();
        List<Long> serving = scene.sshd.sessions();
        Signals.send("STOP", serving);
        try {
            Ended check = scene.control(Whose.OURS, "check");
            assertThat(check.errLines())
                    .matches(
                            "Master running \\(pid=[0-9]+\\), stalled: nothing heard for [0-9]+ s\n");
            assertThat(check.status()).isEqualTo(255);
            Ended around = scene.run(Whose.OURS, "-o", "ControlMaster=auto", "trial", "echo new");
            assertThat(around.out()).isEqualTo("new\n");
            assertThat(around.errLines())
                    .startsWith("Warning: the shared connection at " + scene.path + " is stalled")
                    .hasLineCount(1);
            // OpenSSH's client is told what OpenSSH's master would say.
            assertThat(scene.control(Whose.DEBIANS, "check").status()).isZero();
        } finally {
            Signals.send("CONT", serving);
        }
        assertThat(scene.run(Whose.OURS, "trial", "echo again").out()).isEqualTo("again\n");
        scene.exit(Whose.OURS, master);
    }

    @Test
    void a_master_that_stands_still_is_passed_by(Stage stage) throws Exception {
        stage.onlyHoldfast("it waits for its master for ever");
        Scene scene = new Scene(stage);
        for (Whose whose : Whose.values()) {
            Running master = scene.master(whose, "-M", "-N", "trial");
            master.signal("STOP");
            Ended around = scene.run(Whose.OURS, "-o", "ConnectTimeout=5", "trial", "echo new");
            assertThat(around.out()).isEqualTo("new\n");
            assertThat(around.errLines())
                    .isEqualTo(
                            "Warning: the master at "
                                    + scene.path
                                    + " does not answer; making a new connection.\n");
            master.signal("CONT");
            scene.exit(Whose.DEBIANS, master);
        }
    }

    @Test
    void scp_sftp_rsync_and_git_go_through_our_master(Stage stage) throws Exception {
        Stage.needs("rsync");
        Stage.needs("git");
        Scene scene = new Scene(stage);
        Running master = scene.master(Whose.OURS, "-M", "-N", "trial");
        Path from = stage.directory().resolve("from");
        byte[] bytes = new byte[500_000];
        new Random(1).nextBytes(bytes);
        Files.write(from, bytes);
        String path = "ControlPath=" + scene.path;
        String config = scene.sshd.config().toString();
        String ssh = "ssh -F " + config + " -o " + path;
        List<List<String>> copies =
                List.of(
                        List.of("scp", "-q", "-F", config, "-o", path, from.toString()),
                        List.of("scp", "-O", "-q", "-F", config, "-o", path, from.toString()),
                        List.of("rsync", "-e", ssh, from.toString()));
        for (int i = 0; i < copies.size(); i++) {
            Path to = stage.directory().resolve("to" + i);
            List<String> words = new ArrayList<>(copies.get(i));
            words.add("trial:" + to);
            Ended copied = stage.run(words.toArray(String[]::new)).end(SOON);
            assertThat(copied.status()).as("%s: %s", words, copied.err()).isZero();
            assertThat(to).hasBinaryContent(bytes);
        }
        Ended listed =
                stage.run("sftp", "-q", "-F", config, "-o", path, "-b", "-", "trial")
                        .input("ls -l " + from + "\n")
                        .end(SOON);
        assertThat(listed.status()).as(listed.err()).isZero();
        assertThat(listed.out()).contains("500000");
        Path repository = stage.directory().resolve("r.git");
        assertThat(
                        stage.run("git", "init", "-q", "--bare", repository.toString())
                                .end(SOON)
                                .status())
                .isZero();
        Ended heads =
                stage.run("git", "ls-remote", "trial:" + repository)
                        .env("GIT_SSH_COMMAND", ssh)
                        .end(SOON);
        assertThat(heads.status()).as(heads.err()).isZero();
        assertThat(scene.logins()).isEqualTo(1);
        scene.exit(Whose.OURS, master);
    }
}
