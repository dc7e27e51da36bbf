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
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;

/** OpenSSH's own ssh-agent: forwarded, restricted to some hosts, given keys, and stopped. */
@ExtendWith(Staged.class)
final class AgentTrial {

    private static final Duration SOON = Duration.ofSeconds(30);

    @Test
    void programs_at_the_server_have_the_agent_when_it_is_forwarded(Stage stage) throws Exception {
        Sshd sshd = stage.sshd();
        try (Agent agent = Agent.running(stage)) {
            Path key = Keys.of("ed25519", "forwarded");
            agent.add(key);
            String shown = Keys.publicLine(key).split(" ", 3)[1];
            List<String[]> ways =
                    List.of(
                            new String[] {"-A", "-o", "IdentityAgent=" + agent.socket},
                            new String[] {"-A", "-o", "IdentityAgent=SSH_AUTH_SOCK"},
                            new String[] {"-o", "ForwardAgent=" + agent.socket},
                            new String[] {"-o", "ForwardAgent=$SSH_AUTH_SOCK"});
            for (String[] way : ways) {
                Ended ended = with(stage, sshd, agent, way, "ssh-add -L").end(SOON);
                assertThat(ended.out()).as("%s: %s", way[1], ended.err()).contains(shown);
            }
            String[] not = {"-o", "ForwardAgent=yes", "-a"};
            Ended ended = with(stage, sshd, agent, not, "ssh-add -L; echo $?").end(SOON);
            assertThat(ended.out()).isEqualTo("2\n");
        }
    }

    @Test
    void a_socket_that_is_not_there_is_named(Stage stage) throws Exception {
        Sshd sshd = stage.sshd();
        String path = stage.directory().resolve("nobody").toString();
        String says = "Cannot forward agent socket path \"" + path + "\": No such file";
        Ended ended = stage.ssh(sshd, "-o", "ForwardAgent=" + path, "trial", "echo in").end(SOON);
        assertThat(ended.out()).isEqualTo("in\n");
        assertThat(ended.err()).contains(says);
        Ended strict =
                stage.ssh(
                                sshd,
                                "-o",
                                "ForwardAgent=" + path,
                                "-o",
                                "ExitOnForwardFailure=yes",
                                "trial",
                                "echo in")
                        .end(SOON);
        assertThat(strict.status()).isEqualTo(255);
        assertThat(strict.err()).contains(says);
    }

    @Test
    void a_key_for_some_hosts_is_used_there_and_forwarded_only_where_it_may_go(Stage stage)
            throws Exception {
        Sshd sshd = stage.sshd();
        Path hosts = stage.directory().resolve("hosts");
        List<String> lines = new ArrayList<>();
        for (String type : Keys.TYPES) {
            String[] words = Keys.publicLine(Keys.of(type, "host")).split(" ", 3);
            lines.add("127.0.0.1 " + words[0] + " " + words[1]);
        }
        Files.write(hosts, lines);
        Path here = Keys.of("ed25519", "here");
        Path onward = Keys.of("ed25519", "onward");
        admit(sshd, here);
        admit(sshd, onward);
        try (Agent agent = Agent.running(stage)) {
            agent.add(here, "-H", hosts.toString(), "-h", "127.0.0.1");
            agent.add(
                    onward, "-H", hosts.toString(), "-h", "127.0.0.1", "-h", "127.0.0.1>127.0.0.1");
            // OpenSSH's client goes on from there, with what was forwarded and nothing else.
            String hop = "ssh -F %s -o IdentityAgent=SSH_AUTH_SOCK -o BatchMode=yes trial echo hop";
            Ended ended =
                    stage.ssh(
                                    sshd,
                                    "-A",
                                    "-F",
                                    only(sshd, here + ".pub"),
                                    "-o",
                                    "IdentityAgent=" + agent.socket,
                                    "trial",
                                    "ssh-add -L; "
                                            + hop.formatted(only(sshd, onward + ".pub"))
                                            + "; "
                                            + hop.formatted(only(sshd, here + ".pub")))
                            .end(SOON);
            assertThat(ended.out())
                    .as(ended.err())
                    .contains(Keys.publicLine(onward).split(" ", 3)[1])
                    .doesNotContain(Keys.publicLine(here).split(" ", 3)[1])
                    .endsWith("\nhop\n");
            assertThat(ended.err()).contains("Permission denied (publickey).");
            assertThat(sshd.log()).contains("Accepted publickey for " + Sshd.user());
        }
    }

    @Test
    void a_server_that_was_not_given_the_agent_does_not_get_it(Stage stage) throws Exception {
        Sshd sshd = stage.sshd("HostKey " + Keys.of("ed25519", "host"));
        Files.writeString(
                sshd.knownHosts(),
                "[127.0.0.1]:"
                        + sshd.port()
                        + " "
                        + Keys.publicLine(Keys.of("ed25519", "x"))
                        + "\n");
        try (Agent agent = Agent.running(stage)) {
            agent.add(Keys.of("ed25519", "forwarded"));
            String[] changed = {
                "-A", "-o", "StrictHostKeyChecking=no", "-o", "IdentityAgent=" + agent.socket
            };
            Ended ended = with(stage, sshd, agent, changed, "ssh-add -L; echo $?").end(SOON);
            assertThat(ended.out()).as(ended.err()).isEqualTo("2\n");
            assertThat(ended.err())
                    .contains("Agent forwarding is disabled to avoid man-in-the-middle attacks.");
        }
    }

    @Test
    void an_agent_that_hangs_holds_up_only_who_asks_it(Stage stage) throws Exception {
        stage.onlyHoldfast("OpenSSH's client waits for the agent, and all else with it");
        Sshd sshd = stage.sshd();
        try (Agent agent = Agent.running(stage)) {
            agent.process.signal("STOP");
            Ended ended =
                    stage.ssh(
                                    sshd,
                                    "-o",
                                    "ForwardAgent=" + agent.socket,
                                    "trial",
                                    "timeout 2 ssh-add -l; echo $?; head -c 1000000 /dev/zero")
                            .end(SOON);
            assertThat(ended.status()).as(ended.err()).isZero();
            assertThat(ended.out()).startsWith("124\n").hasSize(1_000_004);
        }
    }

    @Test
    void a_login_goes_on_without_an_agent_that_hangs(Stage stage) throws Exception {
        stage.onlyHoldfast("OpenSSH waits for ever");
        Sshd sshd = stage.sshd();
        try (Agent agent = Agent.running(stage)) {
            agent.process.signal("STOP");
            Ended ended =
                    stage.ssh(sshd, "-o", "IdentityAgent=" + agent.socket, "trial", "echo in")
                            .end(SOON);
            assertThat(ended.out()).isEqualTo("in\n");
            assertThat(ended.errLines())
                    .isEqualTo(
                            "Agent "
                                    + agent.socket
                                    + " has not answered for 10 s, going on without it.\n");
        }
    }

    @Test
    void keys_are_added_to_the_agent_as_asked(Stage stage) throws Exception {
        Sshd sshd = stage.sshd();
        for (String type : Keys.TYPES) {
            Path key = Keys.of(type, "added");
            admit(sshd, key);
            try (Agent agent = Agent.running(stage)) {
                adding(stage, sshd, agent, key, "no");
                assertThat(agent.keys()).doesNotContain("AAAA");
                adding(stage, sshd, agent, key, "yes");
                assertThat(agent.keys()).isEqualTo(Keys.publicLine(key) + "\n");
                assertThat(agent.signsWith(key)).as(type).isTrue();
                // From the agent now, without the file.
                Ended again =
                        stage.ssh(
                                        sshd,
                                        "-o",
                                        "IdentityAgent=" + agent.socket,
                                        "-F",
                                        only(sshd, key + ".pub"),
                                        "trial",
                                        "echo in")
                                .end(SOON);
                assertThat(again.out()).isEqualTo("in\n");
            }
        }
        Path key = Keys.of("ed25519", "added");
        try (Agent agent = Agent.running(stage)) {
            adding(stage, sshd, agent, key, "confirm");
            assertThat(agent.keys()).isEqualTo(Keys.publicLine(key) + "\n");
            assertThat(agent.signsWith(key)).as("nobody confirms").isFalse();
        }
        try (Agent agent = Agent.running(stage)) {
            adding(stage, sshd, agent, key, "1s");
            Eventually.holds(SOON, () -> !agent.keys().contains("AAAA"), () -> "kept for 1 s");
        }
    }

    @Test
    void leave_to_add_a_key_is_asked_of_the_person(Stage stage) throws Exception {
        Sshd sshd = stage.sshd();
        Path key = Keys.of("ed25519", "added");
        admit(sshd, key);
        for (String answer : List.of("yes", "", "no")) {
            try (Agent agent = Agent.running(stage)) {
                Path asked = Files.createTempFile(stage.directory(), "asked", "");
                Path askpass =
                        askpass(
                                stage,
                                "echo \"$SSH_ASKPASS_PROMPT $1\" >> " + asked + "; echo " + answer);
                Ended ended =
                        stage.ssh(
                                        sshd,
                                        "-o",
                                        "IdentityAgent=" + agent.socket,
                                        "-F",
                                        only(sshd, key.toString()),
                                        "-o",
                                        "AddKeysToAgent=ask",
                                        "trial",
                                        "echo in")
                                .env("DISPLAY", ":77")
                                .env("SSH_ASKPASS", askpass.toString())
                                .end(SOON);
                assertThat(ended.out()).as(ended.err()).isEqualTo("in\n");
                assertThat(Files.readString(asked))
                        .contains("confirm Add key " + key + " (trial@holdfast) to agent?\n");
                assertThat(agent.keys().contains("AAAA")).isEqualTo(!answer.equals("no"));
            }
        }
    }

    @Test
    void a_program_is_asked_where_SSH_ASKPASS_REQUIRE_says_so(Stage stage) throws Exception {
        Sshd sshd = stage.sshd();
        Path key = Keys.of("ed25519", "locked", "correct horse", "OpenSSH");
        admit(sshd, key);
        Path askpass = askpass(stage, "echo \"$1\" >> asked; echo correct horse; echo more");
        Path silent = askpass(stage, "echo correct horse; exit 1");
        record Way(String require, Path program, boolean in) {}
        for (Way way :
                List.of(
                        new Way("force", askpass, true),
                        new Way("FORCE", silent, false),
                        new Way("never", askpass, false))) {
            for (Command command :
                    List.of(
                            stage.ssh(sshd, "-F", only(sshd, key.toString()), "trial", "echo in"),
                            stage.openSsh(
                                    sshd, "-F", only(sshd, key.toString()), "trial", "echo in"))) {
                Ended ended =
                        command.behind(List.of("setsid", "-w"))
                                .env("SSH_ASKPASS_REQUIRE", way.require)
                                .env("SSH_ASKPASS", way.program.toString())
                                .in(stage.directory())
                                .end(SOON);
                assertThat(ended.out())
                        .as("%s: %s", way, ended.err())
                        .isEqualTo(way.in ? "in\n" : "");
                assertThat(ended.err()).doesNotContain("correct horse");
            }
        }
        String prompt = "Enter passphrase for key '" + key + "': \n";
        assertThat(Files.readString(stage.directory().resolve("asked"))).isEqualTo(prompt + prompt);
    }

    // --- the stage

    private static Path askpass(Stage stage, String script) throws IOException {
        Path file = Files.createTempFile(stage.directory(), "askpass", "");
        Files.writeString(file, "#!/bin/sh\n" + script + "\n");
        assertThat(file.toFile().setExecutable(true)).isTrue();
        return file;
    }

    private static Command with(Stage stage, Sshd sshd, Agent agent, String[] way, String command) {
        List<String> words = new ArrayList<>(List.of(way));
        words.addAll(List.of("trial", command));
        return stage.ssh(sshd, words.toArray(String[]::new)).env("SSH_AUTH_SOCK", agent.socket);
    }

    private static void adding(Stage stage, Sshd sshd, Agent agent, Path key, String how)
            throws Exception {
        Ended ended =
                stage.ssh(
                                sshd,
                                "-o",
                                "IdentityAgent=" + agent.socket,
                                "-F",
                                only(sshd, key.toString()),
                                "-o",
                                "AddKeysToAgent=" + how,
                                "trial",
                                "echo in")
                        .end(SOON);
        assertThat(ended.out()).as(ended.err()).isEqualTo("in\n");
    }

    private static void admit(Sshd sshd, Path key) throws IOException {
        Files.writeString(
                sshd.authorizedKeys(), Keys.publicLine(key) + "\n", StandardOpenOption.APPEND);
    }

    /** The configuration with this key in place of the one that is always let in. */
    private static String only(Sshd sshd, String key) throws IOException {
        Path file = Files.createTempFile(sshd.directory(), "config", "");
        Files.writeString(
                file,
                Files.readString(sshd.config())
                        .replaceAll("IdentityFile .*", "IdentityFile " + key));
        return file.toString();
    }

    /** An ssh-agent of this trial's own. */
    private record Agent(Stage stage, Running process, String socket) implements AutoCloseable {

        static Agent running(Stage stage) throws Exception {
            Path socket = Files.createTempDirectory(stage.directory(), "a").resolve("s");
            Running process =
                    stage.run("ssh-agent", "-D", "-a", socket.toString())
                            .env("SSH_ASKPASS", "/bin/false")
                            .env("SSH_ASKPASS_REQUIRE", "force")
                            .start();
            process.out().await("SSH_AUTH_SOCK", SOON);
            return new Agent(stage, process, socket.toString());
        }

        void add(Path key, String... options) throws InterruptedException {
            List<String> argv = new ArrayList<>(List.of("ssh-add", "-q"));
            argv.addAll(List.of(options));
            argv.add(key.toString());
            Ended ended = run(argv.toArray(String[]::new));
            assertThat(ended.status()).as(ended.err()).isZero();
        }

        String keys() throws InterruptedException {
            return run("ssh-add", "-L").out();
        }

        boolean signsWith(Path key) throws InterruptedException {
            return run("ssh-add", "-T", key + ".pub").status() == 0;
        }

        private Ended run(String... argv) throws InterruptedException {
            return stage.run(argv).env("SSH_AUTH_SOCK", socket).end(SOON);
        }

        @Override
        public void close() {
            process.signal("CONT");
            process.kill();
            try {
                process.end(SOON);
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
        }
    }
}
