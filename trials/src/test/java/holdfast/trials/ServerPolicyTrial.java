package holdfast.trials;

import static java.nio.charset.StandardCharsets.US_ASCII;
import static org.assertj.core.api.Assertions.assertThat;

import holdfast.trials.harness.Ended;
import holdfast.trials.harness.Eventually;
import holdfast.trials.harness.Keys;
import holdfast.trials.harness.Running;
import holdfast.trials.harness.Script;
import holdfast.trials.harness.Sshd;
import holdfast.trials.harness.Trees;
import java.io.IOException;
import java.net.Socket;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.parallel.Execution;
import org.junit.jupiter.api.parallel.ExecutionMode;
import org.opentest4j.TestAbortedException;

/**
 * The rules of sshd_config for who comes in: by the client's name, by groups, by what a command
 * says; and what {@code holdfast sshd} tells those who are in.
 */
@ExtendWith(Staged.class)
@Execution(ExecutionMode.CONCURRENT)
final class ServerPolicyTrial {

    private static final Duration SOON = Duration.ofSeconds(60);

    @Test
    void the_clients_name_counts_where_UseDNS_has_it_looked_up(Stage stage) throws Exception {
        String name = loopbackName(stage);
        Path key = Keys.of("ed25519", "user");
        String from = "from=\"%s\" %s\n".formatted(name, Keys.publicLine(key));
        Sshd looks =
                stage.holdfastSshd(
                        "UseDNS yes",
                        "PerSourcePenalties no",
                        "Match host " + name,
                        "ForceCommand echo by name");
        Files.writeString(looks.authorizedKeys(), from);
        Ended in = stage.openSsh(looks, "trial", "id").end(SOON);
        assertThat(in.out()).as(in.err()).isEqualTo("by name\n");
        Sshd blind =
                stage.holdfastSshd(
                        "UseDNS no",
                        "PerSourcePenalties no",
                        "Match host " + name,
                        "ForceCommand echo by name",
                        "Match host 127.0.0.1",
                        "ForceCommand echo by address");
        Ended address = stage.openSsh(blind, "trial", "id").end(SOON);
        assertThat(address.out()).as(address.err()).isEqualTo("by address\n");
        Files.writeString(blind.authorizedKeys(), from);
        Ended out = stage.openSsh(blind, "-o", "BatchMode=yes", "trial", "id").end(SOON);
        assertThat(out.status()).isEqualTo(255);
        blind.awaitLog(
                "correct key but not from a permitted host \\(host=127\\.0\\.0\\.1, ip=127\\.0\\.0\\.1,"
                        + " required="
                        + Pattern.quote(name)
                        + "\\)");
    }

    @Test
    void keys_are_renewed_as_often_as_the_match_says(Stage stage) throws Exception {
        String me = "Match User " + Sshd.user();
        Sshd often = stage.holdfastSshd("RekeyLimit 64M", me, "RekeyLimit 1M");
        assertThat(renewals(stage, often)).isBetween(6, 9);
        Sshd never = stage.holdfastSshd("RekeyLimit 1M", me, "RekeyLimit 64M");
        assertThat(renewals(stage, never)).isZero();
        Sshd others = stage.holdfastSshd("Match User nobody-at-all", "RekeyLimit 1M");
        assertThat(renewals(stage, others)).isZero();
    }

    @Test
    void keys_are_renewed_in_time_though_nothing_is_sent(Stage stage) throws Exception {
        Sshd ours = stage.holdfastSshd("RekeyLimit default 1");
        Ended there = stage.openSsh(ours, "-v", "trial", "exec sleep 5").end(SOON);
        assertThat(exchanges(there)).as(there.err()).isBetween(3, 6);
        Sshd theirs = stage.sshd();
        Ended here =
                stage.ssh(theirs, "-v", "-oRekeyLimit=default 1", "trial", "exec sleep 5")
                        .end(SOON);
        assertThat(exchanges(here)).as(here.err()).isBetween(3, 6);
    }

    private static int exchanges(Ended ended) {
        return ended.err().split("SSH2_MSG_NEWKEYS sent", -1).length - 1;
    }

    /** OpenSSH's two ends know no new keys before the login is over. */
    @Test
    void keys_are_not_renewed_before_the_login(Stage stage) throws Exception {
        Sshd ours = stage.holdfastSshd("RekeyLimit 16");
        assertThat(stage.openSsh(ours, "trial", "echo in").end(SOON).out()).isEqualTo("in\n");
        Sshd theirs = stage.sshd();
        Ended ended = stage.ssh(theirs, "-oRekeyLimit=16", "trial", "echo in").end(SOON);
        assertThat(ended.out()).as(ended.err()).isEqualTo("in\n");
    }

    private static int renewals(Stage stage, Sshd sshd) throws Exception {
        Ended ended = stage.openSsh(sshd, "-v", "trial", "head -c 8000000 /dev/zero").end(SOON);
        assertThat(ended.out()).hasSize(8_000_000);
        int first = 1;
        return ended.err().split("SSH2_MSG_KEXINIT received", -1).length - 1 - first;
    }

    @Test
    void packets_are_marked_for_the_network_as_the_match_says(Stage stage) throws Exception {
        Stage.needs("ss");
        Sshd sshd =
                stage.holdfastSshd(
                        "IPQoS af21 cs1", "Match User nobody-at-all", "IPQoS none", "Match all");
        String ask = "ss -Htn --tos sport = :" + sshd.port();
        assertThat(stage.openSsh(sshd, "trial", ask).end(SOON).out()).contains(" tos:0x20 ");
        assertThat(stage.openSsh(sshd, "-tt", "trial", ask).end(SOON).out()).contains(" tos:0x48 ");
        Sshd usual = stage.holdfastSshd();
        String same = "ss -Htn --tos sport = :" + usual.port();
        assertThat(stage.openSsh(usual, "-tt", "trial", same).end(SOON).out())
                .contains(" tos:0xb8 ");
        assertThat(stage.openSsh(usual, "trial", same).end(SOON).out())
                .doesNotContainPattern("tos:0x0*[1-9a-f]");
    }

    @Test
    void a_terminal_among_other_sessions_decides_how_packets_are_marked(Stage stage)
            throws Exception {
        Stage.needs("ss");
        Sshd sshd = stage.holdfastSshd("IPQoS af21 cs1");
        String socket = stage.directory().resolve("m").toString();
        String ask = "ss -Htn --tos sport = :" + sshd.port();
        Running first =
                stage.openSsh(sshd, "-M", "-S", socket, "trial", "echo ready; exec cat").start();
        first.out().await("ready", SOON);
        String[] other = {"-S", socket, "trial", ask};
        assertThat(stage.openSsh(sshd, other).end(SOON).out()).contains(" tos:0x20 ");
        Running terminal =
                stage.openSsh(sshd, "-tt", "-S", socket, "trial", "echo there; exec cat").start();
        terminal.out().await("there", SOON);
        assertThat(stage.openSsh(sshd, other).end(SOON).out()).contains(" tos:0x48 ");
        terminal.signal("TERM");
        terminal.end(SOON);
        long deadline = System.nanoTime() + SOON.toNanos();
        while (!stage.openSsh(sshd, other).end(SOON).out().contains(" tos:0x20 ")) {
            assertThat(System.nanoTime()).as("still marked").isLessThan(deadline);
        }
        first.signal("TERM");
        first.end(SOON);
    }

    @Test
    void who_is_refused_is_let_go_at_the_first_try_and_kept_out_for_a_while(Stage stage)
            throws Exception {
        String me = Sshd.user();
        Sshd others =
                stage.holdfastSshd("Match User nobody-at-all", "RefuseConnection yes", "Match all");
        assertThat(stage.openSsh(others, "trial", "echo in").end(SOON).out()).isEqualTo("in\n");
        Sshd sshd =
                stage.holdfastSshd(
                        "PerSourcePenalties refuseconnection:10m min:1s",
                        "Match User " + me,
                        "RefuseConnection yes");
        Ended refused = stage.openSsh(sshd, "trial", "echo in").end(SOON);
        assertThat(refused.out()).isEmpty();
        assertThat(refused.status()).isEqualTo(255);
        assertThat(refused.err()).contains("Connection closed by 127.0.0.1 port " + sshd.port());
        sshd.awaitLog(
                "administratively prohibited connection for "
                        + me
                        + " from 127\\.0\\.0\\.1 port \\d+");
        Ended again = stage.openSsh(sshd, "trial", "echo in").end(SOON);
        assertThat(again.status()).isEqualTo(255);
        sshd.awaitLog("penalty: connection prohibited by RefuseConnection");
    }

    @Test
    void a_session_that_says_nothing_for_too_long_is_closed(Stage stage) throws Exception {
        Sshd sshd = stage.holdfastSshd("ChannelTimeout session:command=1 session:shell=1h");
        Ended ended = stage.openSsh(sshd, "trial", "exec sleep 600").end(SOON);
        assertThat(ended.status()).as(ended.err()).isEqualTo(255);
        sshd.awaitLog("channel 0: closing after 1 seconds of inactivity");
        Ended shell = stage.openSsh(sshd, "-T", "trial").input("sleep 3; echo on\n").end(SOON);
        assertThat(shell.out()).as(shell.err()).endsWith("on\n");
        assertThat(shell.status()).isZero();
    }

    @Test
    void a_place_of_the_program_may_be_listened_to_closely(Stage stage) throws Exception {
        Sshd sshd =
                stage.holdfastSshd(
                        "LogLevel INFO",
                        "LogVerbose ServerTransport.java:*:*",
                        "Match User nobody-at-all",
                        "LogVerbose none");
        assertThat(stage.openSsh(sshd, "trial", "echo in").end(SOON).out()).isEqualTo("in\n");
        sshd.awaitLog(
                "debug1: ServerTransport\\.java:\\w+\\(\\):\\d+ \\(pid=\\d+\\): Remote protocol");
        assertThat(sshd.log()).doesNotContain("Starting session");
    }

    @Test
    void data_is_compressed_unless_the_server_does_not_want_it(Stage stage) throws Exception {
        String[] words = {"-C", "-v", "trial", "head -c 3000000 /dev/zero"};
        Ended squeezed = stage.openSsh(stage.holdfastSshd(), words).end(SOON);
        assertThat(squeezed.out()).hasSize(3_000_000);
        assertThat(squeezed.err())
                .contains("compression: zlib@openssh.com")
                .containsPattern("compress incoming: raw data 30\\d{5}, compressed \\d{3,5},");
        Ended plain = stage.openSsh(stage.holdfastSshd("Compression no"), words).end(SOON);
        assertThat(plain.out()).hasSize(3_000_000);
        assertThat(plain.err())
                .contains("compression: none")
                .doesNotContain("compression: zlib", "compress incoming");
    }

    @Test
    void keys_that_only_an_agent_has_prove_who_the_server_is(Stage stage) throws Exception {
        Path socket = stage.directory().resolve("agent");
        Running agent = stage.run("ssh-agent", "-D", "-a", socket.toString()).start();
        agent.out().await("SSH_AUTH_SOCK", SOON);
        List<String> settings = new ArrayList<>(List.of("HostKeyAgent " + socket));
        StringBuilder known = new StringBuilder();
        for (String type : Keys.TYPES) {
            Path key = stage.directory().resolve(type);
            Files.copy(Keys.of(type, "host"), key);
            assertThat(
                            stage.run("ssh-add", "-q", key.toString())
                                    .env("SSH_AUTH_SOCK", socket.toString())
                                    .end(SOON)
                                    .status())
                    .isZero();
            Files.delete(key);
            Files.copy(Path.of(Keys.of(type, "host") + ".pub"), Path.of(key + ".pub"));
            // By the name of its public half, or of the private one that is not there.
            settings.add("HostKey " + key + (type.equals("ed25519") ? "" : ".pub"));
            known.append("trial-host ").append(Keys.publicLine(Keys.of(type, "host"))).append('\n');
        }
        Path hosts = Files.writeString(stage.directory().resolve("hosts"), known);
        Sshd sshd = stage.holdfastSshd(settings.toArray(String[]::new));
        for (String algorithm :
                List.of("ssh-ed25519", "ecdsa-sha2-nistp256", "rsa-sha2-512", "rsa-sha2-256")) {
            Ended in =
                    stage.openSsh(
                                    sshd,
                                    "-o",
                                    "HostKeyAlgorithms=" + algorithm,
                                    "-o",
                                    "UserKnownHostsFile=" + hosts,
                                    "-o",
                                    "HostKeyAlias=trial-host",
                                    "-o",
                                    "StrictHostKeyChecking=yes",
                                    "trial",
                                    "echo in")
                            .end(SOON);
            assertThat(in.out()).as(algorithm + in.err()).isEqualTo("in\n");
        }
        agent.signal("TERM");
        agent.end(SOON);
        Ended without = stage.openSsh(sshd, "trial", "echo in").end(SOON);
        assertThat(without.out()).isEmpty();
        assertThat(without.status()).isEqualTo(255);
        sshd.awaitLog("ssh_agent_sign");
    }

    @Test
    void an_agent_that_is_stuck_keeps_only_those_waiting_who_need_it(Stage stage) throws Exception {
        Path socket = stage.directory().resolve("agent");
        Path key = stage.directory().resolve("elsewhere.pub");
        Files.copy(Path.of(Keys.of("ed25519", "host") + ".pub"), key);
        List<SocketChannel> asked = new CopyOnWriteArrayList<>();
        List<Running> waiting = new ArrayList<>();
        try (ServerSocketChannel agent = ServerSocketChannel.open(StandardProtocolFamily.UNIX)) {
            // One that hears what it is asked for, and says nothing.
            agent.bind(UnixDomainSocketAddress.of(socket), 64);
            Thread.ofPlatform()
                    .daemon()
                    .start(() -> {
                        while (agent.isOpen()) {
                            try {
                                asked.add(agent.accept());
                            } catch (IOException closed) {
                                return; // the trial is over
                            }
                        }
                    });
            Sshd sshd =
                    stage.holdfastSshd(
                            "HostKeyAgent " + socket,
                            "HostKey " + key,
                            "HostKey " + Keys.of("rsa", "host"));
            int before = asked.size(); // it was tried when the server started
            for (int i = 0; i < 12; i++) {
                waiting.add(
                        stage.openSsh(sshd, "-o", "HostKeyAlgorithms=ssh-ed25519", "trial", "true")
                                .start());
            }
            Eventually.holds(SOON, () -> asked.size() >= before + 4, () -> "%s".formatted(asked));
            // More than there are threads for the network; whoever else comes is answered.
            try (Socket other = new Socket(sshd.address(), sshd.port())) {
                other.setSoTimeout(10_000);
                assertThat(new String(other.getInputStream().readNBytes(8), US_ASCII))
                        .isEqualTo("SSH-2.0-");
            }
            Ended in =
                    stage.openSsh(
                                    sshd,
                                    "-o",
                                    "HostKeyAlgorithms=rsa-sha2-512",
                                    "-o",
                                    "StrictHostKeyChecking=no",
                                    "trial",
                                    "echo in")
                            .end(SOON);
            assertThat(in.out()).as(in.err()).isEqualTo("in\n");
        } finally {
            for (SocketChannel one : asked) {
                one.close();
            }
        }
        for (Running one : waiting) {
            assertThat(one.end(SOON).status()).isEqualTo(255);
        }
    }

    @Test
    void a_group_exchange_takes_its_group_from_the_moduli_file(Stage stage) throws Exception {
        Path all = Path.of("/etc/ssh/moduli");
        if (!Files.isReadable(all)) {
            throw new TestAbortedException("no " + all + " here");
        }
        Path one = stage.directory().resolve("moduli");
        try (Stream<String> lines = Files.lines(all)) {
            // The field before the generator: the bits of the prime, less one.
            Files.write(one, lines.filter(line -> line.contains(" 3071 ")).limit(3).toList());
        }
        String[] exchange = {
            "-vv", "-o", "KexAlgorithms=diffie-hellman-group-exchange-sha256", "trial", "echo in"
        };
        String offered = "KexAlgorithms +diffie-hellman-group-exchange-sha256";
        Sshd with = stage.holdfastSshd("ModuliFile " + one, offered);
        Ended in = stage.openSsh(with, exchange).end(SOON);
        assertThat(in.out()).as(in.err()).isEqualTo("in\n");
        assertThat(in.err()).containsPattern("bits set: [0-9]+/3072");
        Sshd without = stage.holdfastSshd("ModuliFile /nonexistent/moduli", offered);
        Ended fixed = stage.openSsh(without, exchange).end(SOON);
        assertThat(fixed.out()).as(fixed.err()).isEqualTo("in\n");
        assertThat(fixed.err()).containsPattern("bits set: [0-9]+/8192");
        without.awaitLog("WARNING: could not open /nonexistent/moduli .*using fixed modulus");
    }

    @Test
    void groups_are_allowed_and_denied_by_name_and_pattern(Stage stage) throws Exception {
        String group = stage.run("id", "-gn").end(SOON).out().strip();
        String[][] rules = {
            {"AllowGroups no-such-group " + group, null},
            {"AllowGroups " + group.charAt(0) + "*", null},
            {"AllowGroups no-such-group", "none of user's groups are listed in AllowGroups"},
            {"DenyGroups no-such-group", null},
            {"DenyGroups " + group, "a group is listed in DenyGroups"},
            {"DenyUsers " + Sshd.user() + "@127.0.0.0/8", "listed in DenyUsers"},
            {"AllowUsers somebody@192.0.2.1 " + Sshd.user() + "@127.0.0.1", null},
            {"AllowUsers " + Sshd.user() + "@192.0.2.*", "not listed in AllowUsers"},
        };
        for (String[] rule : rules) {
            Sshd sshd = stage.holdfastSshd(rule[0], "PerSourcePenalties no");
            Ended ended = stage.openSsh(sshd, "-o", "BatchMode=yes", "trial", "echo in").end(SOON);
            if (rule[1] == null) {
                assertThat(ended.out()).as("%s: %s", rule[0], ended.err()).isEqualTo("in\n");
            } else {
                assertThat(ended.status()).as(rule[0]).isEqualTo(255);
                assertThat(ended.err()).contains("Permission denied (publickey");
                sshd.awaitLog(
                        "User "
                                + Sshd.user()
                                + " from 127\\.0\\.0\\.1 not allowed because "
                                + rule[1]);
            }
        }
    }

    @Test
    void a_command_names_the_keys_and_runs_as_whom_it_should(Stage stage) throws Exception {
        Stage.needsRoot("the command runs as nobody, and its place must be root's alone");
        Path key = Keys.of("ed25519", "user");
        String fingerprint =
                stage.run("ssh-keygen", "-l", "-f", key + ".pub").end(SOON).out().split(" ", -1)[1];
        Path place = Files.createTempDirectory(Path.of("/run"), "hft");
        try {
            Files.setPosixFilePermissions(place, PosixFilePermissions.fromString("rwxr-xr-x"));
            Path told = told(stage);
            Path program =
                    Script.at(
                            place.resolve("keys"),
                            "echo \"$(id -un) $PWD $*\" >> " + told,
                            "[ -e " + place + "/broken ] && exit 3",
                            "echo '" + Keys.publicLine(key) + "'");
            Sshd sshd =
                    stage.holdfastSshd(
                            "AuthorizedKeysFile none",
                            "AuthorizedKeysCommand " + program + " %u %U %h %t %f %% \"a b\"",
                            "AuthorizedKeysCommandUser nobody",
                            "PerSourcePenalties no");
            Ended in = stage.openSsh(sshd, "trial", "echo in").end(SOON);
            assertThat(in.out()).as("%s%s", in.err(), sshd.log()).isEqualTo("in\n");
            assertThat(Files.readString(told).lines())
                    .isNotEmpty()
                    .containsOnly(
                            "nobody / root 0 "
                                    + System.getProperty("user.home")
                                    + " ssh-ed25519 "
                                    + fingerprint
                                    + " % a b");
            Files.createFile(place.resolve("broken"));
            assertThat(stage.openSsh(sshd, "-o", "BatchMode=yes", "trial", "id").end(SOON).status())
                    .isEqualTo(255);
            sshd.awaitLog("AuthorizedKeysCommand " + program + ".* failed, status 3");
            String good = Files.readString(program);
            Files.writeString(program, "#!/nonexistent/sh\n");
            assertThat(stage.openSsh(sshd, "-o", "BatchMode=yes", "trial", "id").end(SOON).status())
                    .isEqualTo(255);
            sshd.awaitLog("AuthorizedKeysCommand " + program + ".* failed, status 127");
            Files.writeString(program, good);
            // One that others may change is not run.
            Files.delete(place.resolve("broken"));
            Files.delete(told);
            Files.setPosixFilePermissions(program, PosixFilePermissions.fromString("rwxrwxr-x"));
            assertThat(stage.openSsh(sshd, "-o", "BatchMode=yes", "trial", "id").end(SOON).status())
                    .isEqualTo(255);
            sshd.awaitLog("Unsafe AuthorizedKeysCommand \"" + program + "\": bad ownership");
            assertThat(told).doesNotExist();
        } finally {
            Trees.remove(place);
        }
    }

    @Test
    void a_command_names_the_principals_of_a_certificate(Stage stage) throws Exception {
        Stage.needsRoot("the command runs as nobody, and its place must be root's alone");
        Path authority = Keys.of("ed25519", "authority");
        Path key = stage.directory().resolve("key");
        stage.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key.toString()).end(SOON);
        Ended signed =
                stage.run(
                                "ssh-keygen",
                                "-q",
                                "-s",
                                authority.toString(),
                                "-I",
                                "the.id",
                                "-n",
                                "alice,bob",
                                "-z",
                                "77",
                                key + ".pub")
                        .end(SOON);
        assertThat(signed.status()).as(signed.err()).isZero();
        Path place = Files.createTempDirectory(Path.of("/run"), "hft");
        try {
            Files.setPosixFilePermissions(place, PosixFilePermissions.fromString("rwxr-xr-x"));
            Path told = told(stage);
            Path program =
                    Script.at(
                            place.resolve("principals"),
                            "echo \"$(id -un) $*\" >> " + told,
                            "echo '# those who may'",
                            "cat " + place + "/list");
            Path list = Files.writeString(place.resolve("list"), "command=\"echo forced\" bob\n");
            Sshd sshd =
                    stage.holdfastSshd(
                            "AuthorizedKeysFile none",
                            "TrustedUserCAKeys " + authority + ".pub",
                            "AuthorizedPrincipalsCommand " + program + " %u %i %s %T %t",
                            "AuthorizedPrincipalsCommandUser nobody",
                            "PerSourcePenalties no");
            Path config = sshd.directory().resolve("with-certificate");
            Files.writeString(
                    config,
                    Files.readString(sshd.config())
                            .replaceFirst("IdentityFile .*", "IdentityFile " + key));
            String[] words = {"ssh", "-F", config.toString(), "-o", "BatchMode=yes", "trial", "id"};
            Ended in = stage.run(words).end(SOON);
            assertThat(in.out()).as("%s%s", in.err(), sshd.log()).isEqualTo("forced\n");
            assertThat(Files.readString(told).lines())
                    .isNotEmpty()
                    .containsOnly(
                            "nobody root the.id 77 ssh-ed25519 ssh-ed25519-cert-v01@openssh.com");
            sshd.awaitLog(
                    "Accepted certificate ID \"the\\.id\" \\(serial 77\\) signed by ED25519 CA");
            Files.writeString(list, "carol\n");
            Ended out = stage.run(words).end(SOON);
            assertThat(out.status()).isEqualTo(255);
            sshd.awaitLog("Certificate does not contain an authorized principal");
        } finally {
            Trees.remove(place);
        }
    }

    @Test
    void a_client_learns_the_keys_that_it_does_not_know_yet(Stage stage) throws Exception {
        Sshd sshd = stage.holdfastSshd();
        String all = Files.readString(sshd.knownHosts());
        Path known = stage.directory().resolve("known");
        Files.writeString(
                known,
                all.lines().filter(l -> l.contains(" ssh-ed25519 ")).findFirst().orElseThrow()
                        + "\n");
        Running client =
                stage.openSsh(
                                sshd,
                                "-v",
                                "-o",
                                "UpdateHostKeys=yes",
                                "-o",
                                "UserKnownHostsFile=" + known,
                                "trial",
                                "echo ready; cat")
                        .inputOpen()
                        .start();
        client.out().await("ready", SOON);
        Eventually.holds(
                SOON,
                () -> all.lines().allMatch(read(known)::contains),
                () -> "%s%s".formatted(read(known), client.err().text()));
        client.stdin().close();
        assertThat(client.end(SOON).status()).isZero();
    }

    @Test
    void the_log_says_as_much_of_a_user_as_their_match_wants(Stage stage) throws Exception {
        Sshd sshd = stage.holdfastSshd("Match user " + Sshd.user(), "LogLevel DEBUG2", "Match all");
        assertThat(stage.openSsh(sshd, "trial", "echo in").end(SOON).out()).isEqualTo("in\n");
        sshd.awaitLog("debug2: input_userauth_request: try method");
        Sshd quiet = stage.holdfastSshd("Match user " + Sshd.user(), "LogLevel ERROR");
        assertThat(stage.openSsh(quiet, "trial", "echo in").end(SOON).out()).isEqualTo("in\n");
        // Somebody else's lines are in the log, and behind what could have been theirs.
        stage.openSsh(quiet, "-o", "BatchMode=yes", "-l", "nobody-there", "trial", "id").end(SOON);
        quiet.awaitLog("Invalid user nobody-there");
        assertThat(quiet.log()).doesNotContain("Accepted publickey");
    }

    private static String read(Path file) throws java.io.IOException {
        return Files.readString(file);
    }

    /** What this machine calls 127.0.0.1, both ways. */
    private static String loopbackName(Stage stage) throws Exception {
        String[] words =
                stage.run("getent", "hosts", "127.0.0.1").end(SOON).out().strip().split("\\s+", -1);
        if (words.length < 2) {
            throw new TestAbortedException("127.0.0.1 has no name here");
        }
        String back = stage.run("getent", "ahostsv4", words[1]).end(SOON).out();
        if (!back.contains("127.0.0.1 ")) {
            throw new TestAbortedException(words[1] + " is not 127.0.0.1 here");
        }
        return words[1];
    }

    /** A file that anybody may write to. */
    private static Path told(Stage stage) throws Exception {
        Files.setPosixFilePermissions(
                stage.directory(), PosixFilePermissions.fromString("rwx--x--x"));
        Path told = Files.createFile(stage.directory().resolve("told"));
        Files.setPosixFilePermissions(told, PosixFilePermissions.fromString("rw-rw-rw-"));
        return told;
    }
}
