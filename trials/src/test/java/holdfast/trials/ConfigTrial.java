package holdfast.trials;

import static org.assertj.core.api.Assertions.assertThat;

import holdfast.trials.harness.Client;
import holdfast.trials.harness.Command;
import holdfast.trials.harness.Ended;
import holdfast.trials.harness.Sshd;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;

/**
 * People's ssh_config means what OpenSSH means by it, and what is wrong in it is said and where.
 */
@ExtendWith(Staged.class)
final class ConfigTrial {

    private static final Duration SOON = Duration.ofSeconds(20);

    /** Of {@code -G}'s lines those that both programs must agree on. */
    private static final List<String> SAME =
            List.of(
                    "user",
                    "hostname",
                    "port",
                    "addressfamily",
                    "batchmode",
                    "bindaddress",
                    "connectionattempts",
                    "connecttimeout",
                    "identitiesonly",
                    "identityfile",
                    "serveraliveinterval",
                    "serveralivecountmax",
                    "stricthostkeychecking",
                    "tcpkeepalive",
                    "userknownhostsfile",
                    "hashknownhosts",
                    "loglevel",
                    "escapechar",
                    "requesttty",
                    "preferredauthentications",
                    "numberofpasswordprompts");

    @Test
    void G_prints_what_openssh_prints(Stage stage) throws Exception {
        Path included = stage.directory().resolve("included");
        Files.writeString(
                included,
                """
                Host *.lab
                    User labuser
                    ServerAliveInterval 1m
                """);
        Path config = stage.directory().resolve("config");
        Files.writeString(
                config,
                """
                # first value wins
                Include %s
                Host a.lab !b.lab
                    Port=2201
                    IdentityFile "%s/key one"
                    IdentityFile ~/.ssh/%%h-%%r
                Host !c.lab *.lab
                    Port 2202
                    ConnectTimeout 7
                    HashKnownHosts yes
                    TCPKeepAlive no
                host d?.example   e.example
                    hostname %%h.internal.example
                    UserKnownHostsFile /tmp/one "/tmp/two three"
                    BatchMode yes
                    StrictHostKeyChecking accept-new
                    RequestTTY force
                    EscapeChar ^B
                    LogLevel DEBUG1
                Host *
                    User fallback
                    ServerAliveInterval 15
                    ServerAliveCountMax 4
                    ConnectionAttempts 2
                    NumberOfPasswordPrompts 1
                    PreferredAuthentications publickey,password
                    AddressFamily inet
                """
                        .formatted(included, stage.directory()));
        for (String host :
                List.of(
                        "a.lab",
                        "b.lab",
                        "c.lab",
                        "d1.example",
                        "e.example",
                        "other",
                        "me@a.lab")) {
            Ended ours = g(stage, stage.client(), config, host);
            Ended theirs = g(stage, Client.reference(), config, host);
            assertThat(ours.status()).as(ours.err()).isZero();
            assertThat(chosen(ours)).as(host).isEqualTo(chosen(theirs));
        }
    }

    @Test
    void an_unknown_keyword_is_refused_with_file_and_line(Stage stage) throws Exception {
        Path config = stage.directory().resolve("config");
        Files.writeString(config, "Host *\n    User me\n    NoSuchThing yes\n");
        Ended ended = with(stage, config, "127.0.0.1", "true").end(SOON);
        assertThat(ended.status()).isEqualTo(255);
        assertThat(ended.errLines())
                .isEqualTo(
                        config
                                + ": line 3: Bad configuration option: nosuchthing\n"
                                + config
                                + ": terminating, 1 bad configuration options\n");
        Files.writeString(config, "IgnoreUnknown NoSuch*\nNoSuchThing yes\nUser me\n");
        assertThat(g(stage, stage.client(), config, "x").out()).contains("user me\n");
    }

    @Test
    void a_bad_value_is_refused_with_file_and_line(Stage stage) throws Exception {
        Path config = stage.directory().resolve("config");
        for (String line :
                List.of(
                        "ServerAliveInterval soon",
                        "ServerAliveCountMax -1x",
                        "Port 70000",
                        "Port x",
                        "StrictHostKeyChecking perhaps",
                        "BatchMode maybe",
                        "ConnectTimeout 1y",
                        "User",
                        "LogLevel LOUD",
                        "AddressFamily inet7",
                        "Ciphers no-such-cipher",
                        "IdentityFile \"unclosed")) {
            Files.writeString(config, "\n" + line + "\n");
            Ended ended = with(stage, config, "127.0.0.1", "true").end(SOON);
            assertThat(ended.status()).as(line).isEqualTo(255);
            assertThat(ended.errLines())
                    .as(line)
                    .containsAnyOf(config + " line 2: ", config + ": line 2: ");
            assertThat(ended.errLines().lines().toList()).as(ended.err()).hasSizeBetween(1, 2);
            assertThat(ended.err()).doesNotContain("Exception", "\tat ");
        }
    }

    @Test
    void a_file_named_with_F_must_be_there(Stage stage) throws Exception {
        Path nowhere = stage.directory().resolve("nowhere");
        Ended ended = with(stage, nowhere, "127.0.0.1", "true").end(SOON);
        assertThat(ended.status()).isEqualTo(255);
        assertThat(ended.errLines())
                .isEqualTo(
                        "Can't open user config file " + nowhere + ": No such file or directory\n");
    }

    /** To the byte: LF where OpenSSH prints, CR and LF where it logs. */
    @Test
    void what_is_wrong_is_said_as_openssh_says_it(Stage stage) throws Exception {
        Path bad = stage.directory().resolve("bad");
        Files.writeString(bad, "Foo bar\nPort x\nMatch bogus y\nCompression yes no\nHost\n");
        String nowhere = stage.directory().resolve("no/such").toString();
        Path log = stage.directory().resolve("log");
        for (List<String> words :
                List.of(
                        List.<String>of(),
                        List.of("-Z", "h"),
                        List.of("-qZ"),
                        List.of("-p"),
                        List.of("-p", "0", "h"),
                        List.of("-q", "-p", "99999", "h"),
                        List.of("-e", "abc", "h"),
                        List.of("-c", "rot13", "h"),
                        List.of("-m", "crc", "h"),
                        List.of("-L", "x", "h"),
                        List.of("-R", "99999999", "h"),
                        List.of("-D", "x:y:z", "h"),
                        List.of("-W", "x", "h"),
                        List.of("-W", "a:1", "-W", "b:2", "h"),
                        List.of("-O", "foo", "h"),
                        List.of("-O", "check", "h"),
                        List.of("-J", "a,,b", "h"),
                        List.of("-J", "a", "-J", "b", "h"),
                        List.of("-s", "h"),
                        List.of("-N", "-s", "h", "x"),
                        List.of("-y", "-E", "log", "h"),
                        List.of("-f", "h"),
                        List.of("-o", "", "h"),
                        List.of("-o", "Port", "h"),
                        List.of("-o", "Compression maybe", "h"),
                        List.of("-E", nowhere, "h"),
                        List.of("-F", nowhere, "h"),
                        List.of("-F", "", "h"),
                        List.of("-i", "", "-p", "1", "127.0.0.1"),
                        List.of("-F", bad.toString(), "h"),
                        List.of("-q", "-F", bad.toString(), "h"),
                        List.of("-i", nowhere, "-p", "1", "127.0.0.1"),
                        List.of("-p", "1", "-E", log.toString(), "127.0.0.1"),
                        // What is said by -G, too.
                        List.of("-G", "h"),
                        List.of("-G", "-t", "h", "true"),
                        List.of("-G", "-q", "h"),
                        List.of("-G", "-O", "check", "h"),
                        List.of("-G", "-i", "~nosuch/x", "-T", "h"),
                        List.of("-G", "-A", "-oForwardAgent=" + nowhere, "h", "true"),
                        List.of("-G", "-oForwardAgent=$NOWHERE", "h", "true"),
                        List.of(
                                "-G",
                                "-oForwardAgent=$NOWHERE",
                                "-oExitOnForwardFailure=yes",
                                "h",
                                "true"),
                        List.of("-oForwardAgent=$NOWHERE", "-p", "1", "127.0.0.1", "true"),
                        List.of("-S", nowhere, "-O", "check", "h"),
                        List.of("h;"),
                        List.of("-l", "a;b", "h"),
                        List.of("ssh://a:1x"),
                        // Not this machine, whatever runs here.
                        List.of("", "true"),
                        List.of("-p", "1", "[::1]"))) {
            Said theirs = said(stage, Client.reference(), words);
            Said ours = said(stage, stage.client(), words);
            assertThat(ours.err()).as("%s", words).isEqualTo(theirs.err());
            assertThat(ours.status()).as("%s", words).isEqualTo(theirs.status());
            if (Files.exists(log)) {
                assertThat(Files.getPosixFilePermissions(log))
                        .isEqualTo(PosixFilePermissions.fromString("rw-------"));
                Files.delete(log);
            }
        }
    }

    private record Said(int status, String err) {}

    private static Said said(Stage stage, Client client, List<String> words)
            throws InterruptedException {
        List<String> all = new ArrayList<>(client.argv());
        all.addAll(words);
        Ended ended = stage.run(all.toArray(String[]::new)).end(SOON);
        return new Said(ended.status(), ended.err());
    }

    @Test
    void a_bad_option_or_destination_is_refused_before_any_connection(Stage stage)
            throws InterruptedException {
        Sshd sshd = stage.sshd();
        List<List<String>> bad =
                List.of(
                        List.of("-p", "0", "trial"),
                        List.of("-p", "x", "trial"),
                        List.of("-e", "xyz", "trial"),
                        List.of("-o", "ServerAliveInterval=soon", "trial"),
                        List.of("-c", "no-such-cipher", "trial"),
                        List.of("-m", "no-such-mac", "trial"),
                        List.of("-%", "trial"),
                        List.of("ssh://trial:port"),
                        List.of("-oProxyJump", "trial"));
        for (List<String> words : bad) {
            Ended ended = stage.ssh(sshd, words.toArray(String[]::new)).end(SOON);
            assertThat(ended.status()).as("%s: %s", words, ended.err()).isEqualTo(255);
            assertThat(ended.err()).as(words.toString()).isNotBlank();
            assertThat(ended.err()).doesNotContain("Exception", "\tat ");
        }
        assertThat(sshd.log()).doesNotContain("Connection from");
    }

    @Test
    void an_option_that_is_not_built_yet_is_refused_by_name(Stage stage)
            throws InterruptedException {
        stage.onlyHoldfast("it has them all");
        Sshd sshd = stage.sshd();
        for (List<String> words :
                List.of(
                        List.of("-I", "/usr/lib/pkcs11.so", "trial", "true"),
                        List.of("-w", "0:0", "trial", "true"))) {
            Ended ended = stage.ssh(sshd, words.toArray(String[]::new)).end(SOON);
            assertThat(ended.status()).as("%s: %s", words, ended.out()).isEqualTo(255);
            assertThat(ended.errLines()).contains(words.getFirst());
            assertThat(ended.errLines().lines().toList()).hasSize(1);
        }
        assertThat(sshd.log()).doesNotContain("Connection from");
    }

    @Test
    void a_keyword_of_openssh_that_is_not_built_yet_is_no_error(Stage stage) throws Exception {
        Sshd sshd = stage.sshd();
        Files.writeString(
                sshd.config(),
                Files.readString(sshd.config())
                        + "    ControlMaster no\n    VisualHostKey no\n    ForwardX11 no\n"
                        + "    CanonicalizeHostname no\n    SendEnv LANG LC_*\n");
        Ended ended = stage.ssh(sshd, "trial", "echo in").end(SOON);
        assertThat(ended.out()).isEqualTo("in\n");
        assertThat(ended.err()).isEmpty();
    }

    @Test
    void a_bad_line_of_known_hosts_does_not_hide_the_good_one(Stage stage) throws Exception {
        Sshd sshd = stage.sshd();
        Files.writeString(
                sshd.knownHosts(),
                "nonsense\n[127.0.0.1]:"
                        + sshd.port()
                        + " ssh-ed25519 AAAAnonsense\n|1|broken\n@marker x y z\n"
                        + Files.readString(sshd.knownHosts()));
        Ended ended = stage.ssh(sshd, "trial", "echo in").end(SOON);
        assertThat(ended.out()).as(ended.err()).isEqualTo("in\n");
    }

    @Test
    void a_key_file_that_is_none_is_said_and_passed_over(Stage stage) throws Exception {
        Sshd sshd = stage.sshd();
        Path bad = stage.directory().resolve("bad");
        Files.writeString(
                bad,
                """
                -----BEGIN OPENSSH PRIVATE KEY-----
                nonsense
                -----END OPENSSH PRIVATE KEY-----
                """);
        assertThat(bad.toFile().setReadable(false, false)).isTrue();
        assertThat(bad.toFile().setReadable(true, true)).isTrue();
        Ended ended =
                stage.ssh(sshd, "-i", bad.toString(), "-o", "BatchMode=yes", "trial", "echo in")
                        .end(SOON);
        assertThat(ended.out()).as(ended.err()).isEqualTo("in\n");
        assertThat(ended.errLines())
                .startsWith("Load key \"" + bad + "\": ")
                .hasLineCount(1)
                .doesNotContain("Exception");
        Ended missing = stage.ssh(sshd, "-i", bad + "-not", "trial", "echo in").end(SOON);
        assertThat(missing.errLines())
                .isEqualTo(
                        "Warning: Identity file "
                                + bad
                                + "-not not accessible: No such file or directory.\n");
    }

    private static Ended g(Stage stage, Client client, Path config, String host)
            throws InterruptedException {
        List<String> words = new ArrayList<>(client.argv());
        words.addAll(List.of("-G", "-F", config.toString(), host));
        return stage.run(words.toArray(String[]::new)).end(SOON);
    }

    private static List<String> chosen(Ended ended) {
        return ended.out()
                .lines()
                .filter(line -> SAME.contains(line.split(" ", 2)[0]))
                // Types of key that OpenSSH 10 has given up, and Debian's 9.2 still lists.
                .filter(line -> !line.endsWith("/id_dsa") && !line.endsWith("/id_xmss"))
                .sorted()
                .toList();
    }

    private static Command with(Stage stage, Path config, String... rest) throws IOException {
        List<String> words = new ArrayList<>(stage.client().argv());
        words.addAll(List.of("-F", config.toString()));
        words.addAll(List.of(rest));
        return stage.run(words.toArray(String[]::new));
    }
}
