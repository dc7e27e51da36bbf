package holdfast.trials;

import static org.assertj.core.api.Assertions.assertThat;

import holdfast.trials.harness.Client;
import holdfast.trials.harness.Command;
import holdfast.trials.harness.Ended;
import holdfast.trials.harness.Running;
import holdfast.trials.harness.Signals;
import holdfast.trials.harness.Sshd;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;

/** The way to a server by a command's pipes and over other servers: ProxyCommand and ProxyJump. */
@ExtendWith(Staged.class)
final class ProxyTrial {

    private static final Duration SOON = Duration.ofSeconds(20);

    private static final List<String> NAMES = List.of("one", "two", "three", "four");

    private static final String KEEPALIVE = "ServerAliveInterval 1\n    ServerAliveCountMax 1";

    /** What a command that stays says, so that it can be found when it should be gone. */
    private static final String RELAY =
            """
            import os, select, socket, sys
            s = socket.create_connection((sys.argv[1], int(sys.argv[2])))
            ends = {0: s.fileno(), s.fileno(): 1}
            while True:
                for end in select.select(list(ends), [], [])[0]:
                    data = os.read(end, 65536)
                    if not data:
                        sys.exit(0)
                    while data:
                        data = data[os.write(ends[end], data):]
            """;

    /** Servers named one, two, three, four, each at an address of its own. */
    private static final class Way {
        final Stage stage;
        final List<Sshd> sshds = new ArrayList<>();
        final Path config;

        /**
         * @param settings lines for every host
         */
        Way(Stage stage, int count, String settings) throws IOException {
            this.stage = stage;
            StringBuilder hosts = new StringBuilder();
            StringBuilder known = new StringBuilder();
            for (int i = 0; i < count; i++) {
                Sshd sshd = stage.sshdAt("127.0.0." + (i + 2));
                sshds.add(sshd);
                hosts.append(
                        """
                        Host %s
                            HostName %s
                            Port %d
                        """
                                .formatted(NAMES.get(i), sshd.address(), sshd.port()));
                known.append(Files.readString(sshd.knownHosts()));
            }
            Path knownHosts = stage.directory().resolve("known_hosts");
            Files.writeString(knownHosts, known);
            String common = Files.readString(sshds.getFirst().config());
            common = common.substring(common.indexOf("Host *"));
            config = stage.directory().resolve("config");
            Files.writeString(
                    config,
                    hosts
                            + common.replaceAll(" +Port .*\n", "")
                                    .replaceAll(
                                            "UserKnownHostsFile .*",
                                            "UserKnownHostsFile " + knownHosts)
                            + "    "
                            + settings
                            + "\n");
        }

        Command ssh(String... rest) {
            List<String> words = new ArrayList<>(stage.client().argv());
            words.addAll(List.of("-F", config.toString()));
            words.addAll(Arrays.asList(rest));
            return stage.run(words.toArray(String[]::new));
        }

        Sshd at(String name) {
            return sshds.get(NAMES.indexOf(name));
        }
    }

    // --- ProxyCommand

    @Test
    void a_command_runs_through_openssh_as_the_proxy_command(Stage stage) throws Exception {
        Way way = new Way(stage, 2, "");
        String proxy =
                String.join(" ", Client.reference().argv())
                        + " -F "
                        + way.config
                        + " -W [%h]:%p one";
        Ended ended =
                way.ssh("-o", "ProxyCommand=" + proxy, "two", "cat; exit 7").input("x").end(SOON);
        assertThat(ended.out()).as(ended.err()).isEqualTo("x");
        assertThat(ended.err()).isEmpty();
        assertThat(ended.status()).isEqualTo(7);
    }

    @Test
    void megabytes_go_both_ways_through_a_relay_and_through_jump_hosts_unchanged(Stage stage)
            throws Exception {
        Stage.needs("python3");
        Way way = new Way(stage, 3, "");
        List<List<String>> ways =
                List.of(
                        List.of("-o", "ProxyCommand=" + relay(stage), "three", "cat"),
                        List.of("-J", "one,two", "three", "cat"));
        for (List<String> words : ways) {
            RandomBytes.thereAndBack(way.ssh(words.toArray(String[]::new)), 20_000_000);
        }
    }

    @Test
    void a_proxy_command_that_ends_is_reported_in_openssh_words(Stage stage) throws Exception {
        Way way = new Way(stage, 1, "");
        for (String proxy : List.of("false", "echo hello; sleep 0.2", "/nonexistent 2>/dev/null")) {
            Ended ended = way.ssh("-o", "ProxyCommand=" + proxy, "one", "true").end(SOON);
            assertThat(ended.status()).isEqualTo(255);
            assertThat(ended.errLines())
                    .as(proxy)
                    .isEqualTo(
                            """
                            kex_exchange_identification: Connection closed by remote host
                            Connection closed by UNKNOWN port 65535
                            """);
        }
    }

    @Test
    void a_server_that_hangs_behind_a_proxy_command_is_given_up(Stage stage) throws Exception {
        Stage.needs("python3");
        Way way = new Way(stage, 1, KEEPALIVE);
        Running running =
                way.ssh("-o", "ProxyCommand=" + relay(stage), "one", "echo ready; sleep 60")
                        .start();
        running.out().await("ready", SOON);
        way.at("one").freeze();
        Ended ended = running.end(SOON);
        assertThat(ended.status()).isEqualTo(255);
        assertThat(ended.errLines()).isEqualTo("Timeout, server 127.0.0.2 not responding.\n");
        assertThat(ended.after(running.out().lastByteAt())).isLessThan(Duration.ofSeconds(4));
    }

    @Test
    void no_proxy_command_outlives_us_however_we_end(Stage stage) throws Exception {
        // Neither reads its stdin: nothing but the signal ends it. Stage looks who is left.
        Way way = new Way(stage, 1, "");
        for (String signal : List.of("KILL", "TERM", "HUP", "INT")) {
            for (String proxy : List.of("sleep 61", "sh -c 'trap : HUP; sleep 62; sleep 63'")) {
                Running running =
                        way.ssh("-o", "ProxyCommand=echo started >&2; " + proxy, "one").start();
                running.err().await("started", SOON);
                running.signal(signal);
                assertThat(running.end(SOON).status()).isNotZero();
            }
        }
    }

    @Test
    void a_killed_client_takes_the_proxy_command_of_a_session_with_it(Stage stage)
            throws Exception {
        Stage.needs("python3");
        Way way = new Way(stage, 1, "");
        Running running =
                way.ssh("-o", "ProxyCommand=" + relay(stage), "one", "echo ready; sleep 20")
                        .start();
        running.out().await("ready", SOON);
        running.signal("KILL");
        running.end(SOON);
    }

    // --- ProxyJump

    @Test
    void two_and_three_hops_lead_to_the_last_with_its_status(Stage stage) throws Exception {
        Way way = new Way(stage, 4, "");
        String script = "set -- $SSH_CONNECTION; echo $1 $3; exit 9";
        Ended two = way.ssh("-J", "one,two", "three", script).end(SOON);
        assertThat(two.out()).as(two.err()).endsWith(" 127.0.0.4\n");
        assertThat(two.status()).isEqualTo(9);
        Ended three = way.ssh("-J", "one,two,ssh://three", "four", script).end(SOON);
        assertThat(three.out()).as(three.err()).endsWith(" 127.0.0.5\n");
        assertThat(three.status()).isEqualTo(9);
        assertThat(three.err()).isEmpty();
        for (Sshd sshd : way.sshds) {
            assertThat(sshd.log()).contains("Accepted publickey");
        }
    }

    @Test
    void a_jump_host_that_a_master_is_connected_to_is_not_logged_in_to_again(Stage stage)
            throws Exception {
        Way way = new Way(stage, 3, "");
        Path socket = stage.directory().resolve("cm");
        Path shared = stage.directory().resolve("shared");
        // Of its own nobody could log in to the jump host with this.
        Files.writeString(
                shared,
                """
                Host one
                    ControlPath %s
                    PreferredAuthentications none
                """
                                .formatted(socket)
                        + Files.readString(way.config));
        List<String> ours = new ArrayList<>(stage.client().argv());
        ours.addAll(List.of("-F", shared.toString()));
        for (Client whose : List.of(stage.client(), Client.reference())) {
            List<String> words = new ArrayList<>(whose.argv());
            words.addAll(List.of("-F", way.config.toString(), "-S", socket.toString()));
            Running master = stage.run(with(words, "-M", "-N", "one")).start();
            while (!Files.exists(socket)) {
                assertThat(master.alive()).as(master.report()).isTrue();
                Thread.sleep(20);
            }
            int logins = logins(way.at("one"));
            Ended ended =
                    stage.run(with(ours, "-J", "one", "two", "echo $SSH_CONNECTION; exit 5"))
                            .end(SOON);
            assertThat(ended.out()).as(ended.err()).contains(" 127.0.0.3 ");
            assertThat(ended.status()).isEqualTo(5);
            RandomBytes.thereAndBack(
                    stage.run(with(ours, "-J", "one,two", "three", "cat")), 3_000_000);
            assertThat(logins(way.at("one"))).isEqualTo(logins);
            Ended refused = stage.run(with(ours, "-J", "one", "-p", "1", "two", "true")).end(SOON);
            assertThat(refused.status()).isEqualTo(255);
            assertThat(refused.errLines())
                    .isEqualTo("Stdio forwarding request failed: Session open refused by peer\n");
            stage.run(with(words, "-O", "exit", "one")).end(SOON);
            master.end(SOON);
        }
        Ended alone = stage.run(with(ours, "-J", "one", "two", "true")).end(SOON);
        assertThat(alone.status()).as("without a master").isEqualTo(255);
        assertThat(alone.err()).contains("Permission denied");
    }

    /** The same way where the first server is shared by its ControlMaster. */
    private static Path shared(Way way, Path socket, String... more) throws IOException {
        Path file = way.stage.directory().resolve("shared");
        Files.writeString(
                file,
                "Host one\n    ControlPath "
                        + socket
                        + "\n    "
                        + String.join("\n    ", more)
                        + "\n"
                        + Files.readString(way.config));
        return file;
    }

    private static List<String> words(Client whose, Path config) {
        List<String> words = new ArrayList<>(whose.argv());
        words.addAll(List.of("-F", config.toString()));
        return words;
    }

    @Test
    void a_jump_host_with_control_persist_becomes_one_that_all_share(Stage stage) throws Exception {
        Way way = new Way(stage, 3, "");
        Path socket = stage.directory().resolve("cm");
        Path config = shared(way, socket, "ControlMaster auto", "ControlPersist yes");
        List<String> ours = words(stage.client(), config);
        List<String> theirs = words(Client.reference(), config);
        // Whoever reads our output is not kept waiting by the one that stays: Running would say so.
        Ended first =
                stage.run(with(ours, "-J", "one", "two", "cat; echo $SSH_CONNECTION >&2; exit 5"))
                        .input("in\n")
                        .end(SOON);
        assertThat(first.out()).as(first.err()).isEqualTo("in\n");
        assertThat(first.errLines()).contains(" 127.0.0.3 ").hasLineCount(1);
        assertThat(first.status()).isEqualTo(5);
        assertThat(socket).exists();
        for (List<String> whose : List.of(ours, theirs)) {
            Ended again = stage.run(with(whose, "-J", "one", "two", "echo again")).end(SOON);
            assertThat(again.out()).as(again.err()).isEqualTo("again\n");
            assertThat(again.err()).isEmpty();
            Ended direct = stage.run(with(whose, "one", "echo direct; exit 6")).end(SOON);
            assertThat(direct.out()).as(direct.err()).isEqualTo("direct\n");
            assertThat(direct.status()).isEqualTo(6);
            Ended check = stage.run(with(whose, "-O", "check", "one")).end(SOON);
            assertThat(check.err()).startsWith("Master running (pid=");
        }
        RandomBytes.thereAndBack(stage.run(with(ours, "-J", "one,two", "three", "cat")), 3_000_000);
        assertThat(logins(way.at("one"))).isEqualTo(1);
        // A client that is ended does not take it along.
        Running ended = stage.run(with(ours, "-J", "one", "two", "echo ready; sleep 20")).start();
        ended.out().await("ready", SOON);
        ended.signal("TERM");
        assertThat(ended.end(SOON).status()).isEqualTo(255);
        assertThat(stage.run(with(theirs, "-O", "exit", "one")).end(SOON).status()).isZero();
    }

    @Test
    void a_jump_host_without_control_persist_is_shared_for_as_long_as_it_is_needed(Stage stage)
            throws Exception {
        Way way = new Way(stage, 2, "");
        Path socket = stage.directory().resolve("cm");
        Path config = shared(way, socket, "ControlMaster auto");
        List<String> ours = words(stage.client(), config);
        Running first =
                stage.run(with(ours, "-J", "one", "two", "echo ready; cat")).inputOpen().start();
        first.out().await("ready", SOON);
        for (Client whose : List.of(stage.client(), Client.reference())) {
            List<String> words = words(whose, config);
            Ended other = stage.run(with(words, "-J", "one", "two", "echo other")).end(SOON);
            assertThat(other.out()).as(other.err()).isEqualTo("other\n");
            Ended direct = stage.run(with(words, "one", "cat")).input("direct").end(SOON);
            assertThat(direct.out()).as(direct.err()).isEqualTo("direct");
        }
        assertThat(logins(way.at("one"))).isEqualTo(1);
        first.stdin().close();
        assertThat(first.end(SOON).status()).isZero();
        assertThat(socket).doesNotExist();
        Ended yes =
                stage.run(with(words(stage.client(), config), "-J", "one", "two", "echo anew"))
                        .end(SOON);
        assertThat(yes.out()).as(yes.err()).isEqualTo("anew\n");
        assertThat(yes.err()).isEmpty();
        assertThat(logins(way.at("one"))).isEqualTo(2);
    }

    @Test
    void many_at_once_over_a_jump_host_that_nobody_is_connected_to_all_arrive(Stage stage)
            throws Exception {
        Way way = new Way(stage, 2, "");
        Path socket = stage.directory().resolve("cm");
        for (String persist : List.of("ControlPersist yes", "ControlPersist no")) {
            Path config = shared(way, socket, "ControlMaster auto", persist);
            List<String> ours = words(stage.client(), config);
            List<Running> all = new ArrayList<>();
            for (int i = 0; i < 4; i++) {
                all.add(stage.run(with(ours, "-J", "one", "two", "echo at; sleep 1")).start());
            }
            for (Running one : all) {
                // Two programs each, all at once.
                Ended ended = one.end(Duration.ofMinutes(1));
                assertThat(ended.out()).as(ended.err()).isEqualTo("at\n");
                assertThat(ended.status()).isZero();
            }
            stage.run(with(words(Client.reference(), config), "-O", "exit", "one")).end(SOON);
        }
    }

    @Test
    void a_jump_host_that_is_to_be_shared_and_does_not_let_us_in_is_told_of_once(Stage stage)
            throws Exception {
        stage.onlyHoldfast("it says what came of its pipe, too");
        Way way = new Way(stage, 2, "");
        Path socket = stage.directory().resolve("cm");
        for (String persist : List.of("ControlPersist yes", "ControlPersist no")) {
            Path config =
                    shared(
                            way,
                            socket,
                            "ControlMaster auto",
                            "PreferredAuthentications none",
                            persist);
            Ended refused =
                    stage.run(with(words(stage.client(), config), "-J", "one", "two", "true"))
                            .end(SOON);
            assertThat(refused.status()).isEqualTo(255);
            assertThat(refused.errLines()).contains("Permission denied (").hasLineCount(1);
            assertThat(socket).doesNotExist();
        }
    }

    @Test
    void a_jump_host_and_its_server_that_both_persist_are_two_masters(Stage stage)
            throws Exception {
        Way way = new Way(stage, 3, "");
        String sockets = stage.directory().resolve("cm-%h").toString();
        Path config = stage.directory().resolve("shared");
        Files.writeString(
                config,
                "Host *\n    ControlMaster auto\n    ControlPersist yes\n    ControlPath "
                        + sockets
                        + "\n"
                        + Files.readString(way.config));
        List<String> ours = words(stage.client(), config);
        for (int i = 0; i < 2; i++) {
            Ended ended =
                    stage.run(with(ours, "-J", "one,two", "three", "cat; exit 3"))
                            .input("in")
                            .end(SOON);
            assertThat(ended.out()).as(ended.err()).isEqualTo("in");
            assertThat(ended.status()).isEqualTo(3);
        }
        for (String name : List.of("three", "two", "one")) {
            assertThat(logins(way.at(name))).as(name).isEqualTo(1);
            Ended exit =
                    stage.run(with(words(Client.reference(), config), "-O", "exit", name))
                            .end(SOON);
            assertThat(exit.status()).as(exit.err()).isZero();
        }
    }

    private static int logins(Sshd sshd) {
        return sshd.log().split("Accepted publickey", -1).length - 1;
    }

    private static String[] with(List<String> words, String... more) {
        List<String> all = new ArrayList<>(words);
        all.addAll(List.of(more));
        return all.toArray(String[]::new);
    }

    @Test
    void the_host_key_of_each_hop_is_checked_and_a_wrong_one_is_named(Stage stage)
            throws Exception {
        Way way = new Way(stage, 3, "");
        Path known = stage.directory().resolve("known_hosts");
        String all = Files.readString(known);
        String second = "[127.0.0.3]:" + way.at("two").port();
        Files.writeString(
                known, String.join("\n", all.lines().filter(l -> !l.startsWith(second)).toList()));
        Ended unknown = way.ssh("-J", "one,two", "three", "true").end(SOON);
        assertThat(unknown.status()).isEqualTo(255);
        assertThat(unknown.errLines())
                .contains("host key is known for " + second)
                .endsWith("Host key verification failed.\n");
        String other = stage.directory().resolve("other").toString();
        assertThat(
                        stage.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", other)
                                .end(SOON)
                                .status())
                .isZero();
        Files.writeString(
                known,
                String.join("\n", all.lines().filter(l -> !l.startsWith(second)).toList())
                        + "\n"
                        + second
                        + " "
                        + Files.readString(Path.of(other + ".pub")));
        Ended changed = way.ssh("-J", "one,two", "three", "true").end(SOON);
        assertThat(changed.status()).isEqualTo(255);
        assertThat(changed.errLines())
                .contains("REMOTE HOST IDENTIFICATION HAS CHANGED", second)
                .endsWith("Host key verification failed.\n");
        assertThat(way.at("three").log()).doesNotContain("Connection from");
    }

    @Test
    void a_hop_that_cannot_be_reached_is_named_in_one_line(Stage stage) throws Exception {
        stage.onlyHoldfast("it does not say which hop it was");
        Way way = new Way(stage, 2, "");
        int nobody = Sshd.freePort();
        Ended ended = way.ssh("-J", "one,127.0.0.1:" + nobody, "two", "true").end(SOON);
        assertThat(ended.status()).isEqualTo(255);
        assertThat(ended.errLines())
                .isEqualTo(
                        "ssh: connect to host 127.0.0.1 port "
                                + nobody
                                + " through 127.0.0.2: open failed: connect failed:"
                                + " Connection refused\n");
    }

    @Test
    void a_jump_host_that_dies_in_the_middle_is_named_in_one_line(Stage stage) throws Exception {
        stage.onlyHoldfast("it does not say which hop it was");
        Way way = new Way(stage, 4, "");
        Running running = way.ssh("-J", "one,two,three", "four", "echo ready; sleep 20").start();
        running.out().await("ready", SOON);
        way.at("two").killSessions();
        Ended ended = running.end(SOON);
        assertThat(ended.status()).isEqualTo(255);
        assertThat(ended.errLines()).isEqualTo("Connection to 127.0.0.3 closed by remote host.\n");
    }

    @Test
    void whichever_of_four_servers_falls_silent_is_the_one_that_is_named(Stage stage)
            throws Exception {
        stage.onlyHoldfast("its processes race for the last word");
        Way way = new Way(stage, 4, KEEPALIVE);
        for (String silent : List.of("two", "one", "three", "four")) {
            Running running =
                    way.ssh("-J", "one,two,three", "four", "echo ready; sleep 60").start();
            running.out().await("ready", SOON);
            way.at(silent).freeze();
            long frozen = System.nanoTime();
            Ended ended = running.end(SOON);
            way.at(silent).killSessions();
            way.at(silent).thaw();
            assertThat(ended.status()).isEqualTo(255);
            assertThat(ended.errLines())
                    .isEqualTo(
                            "Timeout, server " + way.at(silent).address() + " not responding.\n");
            assertThat(ended.after(frozen))
                    .isBetween(Duration.ofMillis(1500), Duration.ofSeconds(4));
        }
    }

    @Test
    void a_hop_is_judged_by_its_own_settings(Stage stage) throws Exception {
        stage.onlyHoldfast("the bound is for us to keep");
        Way way = new Way(stage, 3, "");
        Files.writeString(
                way.config, "Host two\n    " + KEEPALIVE + "\n" + Files.readString(way.config));
        Running running = way.ssh("-J", "one,two", "three", "echo ready; sleep 60").start();
        running.out().await("ready", SOON);
        way.at("one").freeze();
        Ended ended = running.end(SOON);
        way.at("one").killSessions();
        way.at("one").thaw();
        // one has no ServerAliveInterval: two is asked, and does not answer either.
        assertThat(ended.errLines()).isEqualTo("Timeout, server 127.0.0.3 not responding.\n");
        assertThat(ended.after(running.out().lastByteAt())).isLessThan(Duration.ofSeconds(4));
    }

    @Test
    void one_deadline_holds_for_the_opening_of_all_hops(Stage stage) throws Exception {
        stage.onlyHoldfast("its ConnectTimeout does not bound a key exchange");
        Way way = new Way(stage, 3, "");
        way.at("two").freeze();
        Ended ended = way.ssh("-o", "ConnectTimeout=2", "-J", "one,two", "three", "true").end(SOON);
        assertThat(ended.status()).isEqualTo(255);
        assertThat(ended.errLines()).contains("127.0.0.3 port " + way.at("two").port());
        assertThat(ended.took()).isLessThan(Duration.ofSeconds(5));
    }

    @Test
    void git_clones_through_two_jump_hosts(Stage stage) throws Exception {
        Stage.needs("git");
        Way way = new Way(stage, 3, "");
        Path bare = stage.directory().resolve("bare.git");
        Path work = stage.directory().resolve("work");
        Path clone = stage.directory().resolve("clone");
        String words =
                String.join(" ", stage.client().argv()) + " -F " + way.config + " -J one,two";
        Ended ended =
                stage.shell(
                                """
                                set -e
                                git init -q --bare "$1"
                                git init -q -b main "$2"
                                cd "$2"
                                head -c 3000000 /dev/urandom > file
                                git add .
                                git -c user.name=t -c user.email=t@example.com commit -q -m first
                                git push -q "three:$1" main
                                git clone -q -b main "three:$1" "$3"
                                cmp file "$3/file"
                                """,
                                bare.toString(),
                                work.toString(),
                                clone.toString())
                        .env("GIT_SSH_COMMAND", words)
                        .end(Duration.ofSeconds(60));
        assertThat(ended.status()).as(ended.err()).isZero();
    }

    @Test
    void a_killed_client_leaves_no_connection_at_any_hop(Stage stage) throws Exception {
        Way way = new Way(stage, 3, "");
        Running running = way.ssh("-J", "one,two", "three", "echo ready; sleep 20").start();
        running.out().await("ready", SOON);
        running.signal("KILL");
        running.end(SOON);
        long deadline = System.nanoTime() + SOON.toNanos();
        for (String hop : List.of("one", "two")) {
            while (!way.at(hop).sessions().isEmpty() && System.nanoTime() < deadline) {
                Thread.sleep(50);
            }
            assertThat(way.at(hop).sessions()).as(hop).isEmpty();
        }
        Signals.send("KILL", way.at("three").sessions());
    }

    private static String relay(Stage stage) throws IOException {
        Path script = stage.directory().resolve("relay.py");
        Files.writeString(script, RELAY);
        return "python3 " + script + " %h %p";
    }
}
