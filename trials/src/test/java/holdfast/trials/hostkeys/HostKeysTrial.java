package holdfast.trials.hostkeys;

import static org.assertj.core.api.Assertions.assertThat;

import holdfast.ssh.config.ClientComfort;
import holdfast.ssh.config.ClientCredentials;
import holdfast.ssh.config.ClientForwards;
import holdfast.ssh.config.ClientProtocol;
import holdfast.ssh.config.ClientSettings;
import holdfast.ssh.config.ClientSettings.StrictHostKeyChecking;
import holdfast.ssh.config.HostTrust;
import holdfast.ssh.hostkeys.Fingerprint;
import holdfast.ssh.hostkeys.HostKey;
import holdfast.ssh.hostkeys.HostKeyCheck;
import holdfast.ssh.hostkeys.KnownHosts;
import holdfast.ssh.log.Log;
import holdfast.ssh.terminal.Prompter;
import holdfast.trials.harness.Command;
import holdfast.trials.harness.Ended;
import holdfast.trials.harness.Keys;
import holdfast.trials.harness.Running;
import holdfast.trials.harness.Sshd;
import java.io.IOException;
import java.io.OutputStream;
import java.lang.reflect.RecordComponent;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Base64;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Our host key files and words beside those of the ssh and ssh-keygen of this machine. */
class HostKeysTrial {

    private static final Duration PATIENCE = Duration.ofSeconds(30);

    @TempDir static Path shared = Path.of("");
    @TempDir Path home = Path.of("");

    private static @Nullable Sshd sshd;

    @BeforeAll
    static void startServer() {
        sshd = Sshd.start(shared.resolve("sshd"));
    }

    @AfterAll
    static void stopServer() {
        server().close();
    }

    /**
     * One circumstance.
     *
     * @param lines of known_hosts: {@code <HOST>} stands for the server's name there, {@code
     *     <BARE>} for its address, {@code <KEY>} for its key, {@code <RSA>} for another key of it,
     *     {@code <WRONG>} for somebody else's
     * @param options OpenSSH's; ours are the fields of {@link ClientSettings} of the same name
     * @param answers what the person types, one for each question; null: there is no terminal
     */
    record Circumstance(
            String name,
            List<String> lines,
            Map<String, Object> options,
            @Nullable List<String> answers) {

        @Override
        public String toString() {
            return name;
        }
    }

    static Stream<Circumstance> circumstances() {
        Map<String, Object> ask = Map.of();
        Map<String, Object> yes = Map.of("strictHostKeyChecking", StrictHostKeyChecking.YES);
        Map<String, Object> no = Map.of("strictHostKeyChecking", StrictHostKeyChecking.NO);
        Map<String, Object> acceptNew =
                Map.of("strictHostKeyChecking", StrictHostKeyChecking.ACCEPT_NEW);
        List<String> none = List.of();
        List<String> known = List.of("# a comment", "<HOST> <KEY>");
        List<String> changed = List.of("<HOST> <WRONG>");
        List<String> revoked = List.of("<HOST> <KEY>", "@revoked * <KEY>");
        List<String> otherNames = new ArrayList<>();
        for (int i = 0; i < 10; i++) {
            otherNames.add("name%d,alias%d <KEY>".formatted(i, i));
        }
        return Stream.of(
                new Circumstance("known", known, ask, null),
                new Circumstance("unknown, no terminal", none, ask, null),
                new Circumstance("unknown, yes", none, yes, null),
                new Circumstance("unknown, no", none, no, null),
                new Circumstance("unknown, accept-new", none, acceptNew, null),
                new Circumstance("unknown, batch", none, Map.of("batchMode", true), null),
                new Circumstance("unknown, asked, yes", none, ask, List.of("yes")),
                new Circumstance("unknown, asked, no", none, ask, List.of("no")),
                new Circumstance("unknown, asked, nothing", none, ask, List.of("")),
                new Circumstance("unknown, asked twice", none, ask, List.of("what", " Yes ")),
                new Circumstance("unknown, other names", otherNames, ask, List.of("no")),
                new Circumstance(
                        "unknown, one other name", List.of("name <KEY>"), ask, List.of("no")),
                new Circumstance("known without port", List.of("<BARE> <KEY>"), ask, null),
                new Circumstance(
                        "changed without port", List.of("<BARE> <WRONG>"), ask, List.of("no")),
                new Circumstance("changed", changed, ask, null),
                new Circumstance("changed, yes", changed, yes, null),
                new Circumstance("changed, no", changed, no, null),
                new Circumstance("changed, accept-new", changed, acceptNew, null),
                new Circumstance(
                        "changed in two lines", List.of("<HOST> <WRONG>", "*,!x <RSA>"), no, null),
                new Circumstance(
                        "known by another type",
                        List.of("<HOST> <RSA>"),
                        Map.of("hostKeyAlgorithms", List.of("ssh-ed25519")),
                        null),
                new Circumstance("revoked", revoked, ask, null),
                new Circumstance("revoked, no", revoked, no, null),
                new Circumstance(
                        "only an authority", List.of("@cert-authority * <KEY>"), yes, null),
                new Circumstance(
                        "garbage", List.of("<HOST>", "<HOST> ssh-ed25519", "\0"), yes, null),
                new Circumstance(
                        "alias", known, Map.of("hostKeyAlias", "Other-Name"), List.of("yes")),
                new Circumstance(
                        "no localhost",
                        changed,
                        Map.of("noHostAuthenticationForLocalhost", true),
                        null));
    }

    @ParameterizedTest
    @MethodSource("circumstances")
    void what_is_said_asked_and_decided_is_what_ssh_does(Circumstance circumstance)
            throws Exception {
        Path file = home.resolve("known_hosts");
        String lines = filledIn(circumstance.lines());
        Files.writeString(file, lines);
        Answered theirs = ssh(circumstance, file);
        String theirFile = Files.readString(file);

        Files.writeString(file, lines);
        Answered ours = holdfast(circumstance, file);
        assertThat(ours).isEqualTo(theirs);
        assertThat(Files.readString(file)).isEqualTo(theirFile);
    }

    @Test
    void what_the_warning_says_to_remove_with_removes_the_line() throws Exception {
        Path file = home.resolve("known_hosts");
        Files.writeString(file, filledIn(List.of("other <KEY>", "<HOST> <WRONG>")));
        Circumstance changed = new Circumstance("changed", List.of(), Map.of(), null);
        String said = holdfast(changed, file).said();
        String advice =
                said.lines()
                        .filter(line -> line.startsWith("  ssh-keygen"))
                        .findFirst()
                        .orElseThrow();
        assertThat(Command.of("sh", "-c", advice).end(PATIENCE).status()).isZero();
        assertThat(Files.readString(file)).isEqualTo(filledIn(List.of("other <KEY>")));
    }

    @Test
    void ssh_keygen_finds_the_hashed_names_we_write_and_we_find_its() throws Exception {
        Path file = home.resolve("known_hosts");
        KnownHosts known = new KnownHosts(List.of(file), List.of(), Log.silent());
        HostKey key = key(Keys.publicLine(Keys.of("ed25519", "host")));
        for (String name :
                List.of("example.com", "[example.com]:2222", "2001:db8::1", "[::1]:22022")) {
            assertThat(known.add(name, key, true)).isTrue();
            Ended found = Command.of("ssh-keygen", "-F", name, "-f", file.toString()).end(PATIENCE);
            assertThat(found.out())
                    .contains("# Host " + name + " found: line ")
                    .contains(key.text());
        }
        Ended unknown =
                Command.of("ssh-keygen", "-F", "example.org", "-f", file.toString()).end(PATIENCE);
        assertThat(unknown.status()).isEqualTo(1);

        Path theirs = home.resolve("theirs");
        Files.writeString(
                theirs, "one,two,[three]:33 " + key.text() + "\nfour " + key.text() + "\n");
        assertThat(
                        Command.of("ssh-keygen", "-q", "-H", "-f", theirs.toString())
                                .end(PATIENCE)
                                .status())
                .isZero();
        KnownHosts hashed = new KnownHosts(List.of(theirs), List.of(), Log.silent());
        for (String name : List.of("one", "two", "[three]:33", "four")) {
            assertThat(hashed.find(name)).as(name).hasSize(1);
        }
        assertThat(hashed.find("three")).isEmpty();

        Ended removed =
                Command.of("ssh-keygen", "-R", "[example.com]:2222", "-f", file.toString())
                        .end(PATIENCE);
        assertThat(removed.status()).isZero();
        KnownHosts rest = new KnownHosts(List.of(file), List.of(), Log.silent());
        assertThat(rest.find("[example.com]:2222")).isEmpty();
        assertThat(rest.find("example.com")).hasSize(1);
    }

    @Test
    void fingerprints_are_those_of_ssh_keygen() throws Exception {
        for (String type : Keys.TYPES) {
            Path file = Keys.of(type, "host");
            HostKey key = key(Keys.publicLine(file));
            assertThat(keygen("-lf", file + ".pub"))
                    .contains(" " + Fingerprint.sha256(key) + " ")
                    .endsWith(" (" + key.kind() + ")\n");
            assertThat(keygen("-E", "md5", "-lf", file + ".pub"))
                    .contains(" " + Fingerprint.md5(key) + " ");
        }
    }

    @Test
    void any_file_is_read_line_for_line_as_ssh_reads_it() throws Exception {
        long seed = Long.getLong("seed", System.nanoTime());
        Random random = new Random(seed);
        List<String> algorithms = defaultAlgorithms();
        try (ServerSocket banner = new ServerSocket(0, 8, InetAddress.getLoopbackAddress())) {
            Thread.ofVirtual().start(() -> greet(banner));
            for (int round = 0; round < 120; round++) {
                Path file = home.resolve("known_hosts");
                Files.writeString(file, randomFile(random), StandardCharsets.ISO_8859_1);
                Ended ended =
                        Command.of(
                                        "/usr/bin/ssh",
                                        "-vvv",
                                        "-F",
                                        "none",
                                        "-p",
                                        String.valueOf(banner.getLocalPort()),
                                        "-o",
                                        "HostKeyAlias=host.example",
                                        "-o",
                                        "UserKnownHostsFile=" + file,
                                        "-o",
                                        "GlobalKnownHostsFile=none",
                                        "127.0.0.1",
                                        "true")
                                .end(PATIENCE);
                List<String> theirs = readingLines(ended.err());
                assertThat(theirs).as(ended.err()).isNotEmpty();

                StringBuilder said = new StringBuilder();
                Log log = new Log(Log.Level.DEBUG3, said::append);
                KnownHosts known = new KnownHosts(List.of(file), List.of(), log);
                List<String> order = known.orderAlgorithms(algorithms, "host.example");
                assertThat(readingLines(said.toString()))
                        .as(
                                "-Dseed=%d, round %d, %s",
                                seed, round, Files.readString(file, StandardCharsets.ISO_8859_1))
                        .isEqualTo(theirs);
                assertThat(order).containsExactlyInAnyOrderElementsOf(algorithms);
            }
        }
    }

    /** What both sides log while they read the files and order the algorithms. */
    private static List<String> readingLines(String log) {
        List<String> lines = new ArrayList<>();
        for (String line : log.replace("\r", "").split("\n", -1)) {
            if (line.contains("parse error in hostkeys file")
                    || line.contains("record_hostkey:")
                    || line.contains("load_hostkeys")
                    || line.contains("truncated before key type")
                    || line.contains("order_hostkeyalgs:")
                    || line.contains("invalid marker at")) {
                lines.add(line);
            } else if (line.contains(": bad host hash")) {
                // What follows is quoted from the file, with control characters shown otherwise.
                lines.add(line.substring(0, line.indexOf(": bad host hash")));
            }
        }
        return lines;
    }

    /**
     * How a client took a key.
     *
     * @param accepted whether it went on
     * @param said on standard error
     * @param terminal what a terminal showed, questions and typed answers
     */
    record Answered(boolean accepted, String said, String terminal) {}

    private static Answered ssh(Circumstance circumstance, Path file) throws Exception {
        List<String> argv =
                new ArrayList<>(
                        List.of(
                                "/usr/bin/ssh",
                                "-F",
                                "none",
                                "-p",
                                String.valueOf(server().port()),
                                "-i",
                                Keys.of("ed25519", "user").toString(),
                                "-o",
                                "IdentitiesOnly=yes",
                                "-o",
                                "GlobalKnownHostsFile=none",
                                "-o",
                                "UserKnownHostsFile=" + file));
        circumstance
                .options()
                .forEach((name, value) -> {
                    argv.add("-o");
                    argv.add(name + "=" + word(value));
                });
        argv.add(server().address());
        argv.add("true");
        if (circumstance.answers() == null) {
            argv.addFirst("setsid");
            argv.add(1, "-w");
            Ended ended = Command.of(argv).end(PATIENCE);
            return new Answered(ended.status() == 0, plain(ended.err()), "");
        }
        Path said = file.resolveSibling("said");
        String line = "'" + String.join("' '", argv) + "' 2>" + said;
        Running running = Command.of("script", "-qefc", line, "/dev/null").inputOpen().start();
        StringBuilder expected = new StringBuilder();
        for (String answer : circumstance.answers()) {
            expected.append(
                    expected.isEmpty()
                            ? "connecting (yes/no/[fingerprint])? "
                            : "or the fingerprint: ");
            running.out().await(expected.toString().lines().toList().getLast(), PATIENCE);
            running.stdin().write((answer + "\n").getBytes(StandardCharsets.UTF_8));
            running.stdin().flush();
            expected.append('\n');
        }
        Ended ended = running.end(PATIENCE);
        return new Answered(ended.status() == 0, plain(Files.readString(said)), plain(ended.out()));
    }

    private static Answered holdfast(Circumstance circumstance, Path file) throws IOException {
        StringBuilder said = new StringBuilder();
        StringBuilder terminal = new StringBuilder();
        List<String> answers =
                circumstance.answers() == null
                        ? new ArrayList<>()
                        : new ArrayList<>(circumstance.answers());
        Prompter person =
                (prompt, echo) -> {
                    if (answers.isEmpty()) {
                        return null;
                    }
                    String answer = answers.removeFirst();
                    terminal.append(prompt).append(answer).append('\n');
                    return answer;
                };
        HostKeyCheck check =
                new HostKeyCheck(
                        settings(circumstance, file),
                        person,
                        new Log(Log.Level.INFO, said::append));
        byte[] blob = key(Keys.publicLine(Keys.of("ed25519", "host"))).blob();
        boolean accepted =
                check.check(InetAddress.getByName(server().address()), blob)
                        instanceof HostKeyCheck.Accepted;
        return new Answered(accepted, plain(said.toString()), terminal.toString());
    }

    private static ClientSettings settings(Circumstance circumstance, Path file) {
        Map<String, Object> values = new HashMap<>();
        values.put("originalHost", server().address());
        values.put("host", server().address());
        values.put("user", Sshd.user());
        values.put("port", server().port());
        values.put("addressFamily", ClientSettings.AddressFamily.ANY);
        values.put("connectionAttempts", 1);
        values.put("strictHostKeyChecking", StrictHostKeyChecking.ASK);
        values.put("userKnownHostsFiles", List.of(file));
        values.put("requiredRsaSize", 1024);
        values.put("comfort", ClientComfort.NONE);
        values.put("trust", HostTrust.FILES);
        values.put("protocol", ClientProtocol.PLAIN);
        values.put("passwordAuthentication", true);
        values.put("kbdInteractiveAuthentication", true);
        values.put("numberOfPasswordPrompts", 3);
        values.put("requestTty", ClientSettings.RequestTty.AUTO);
        values.put("sessionType", ClientSettings.SessionType.DEFAULT);
        values.put("logLevel", Log.Level.INFO);
        values.put(
                "forwards",
                new ClientForwards(List.of(), List.of(), null, false, false, 0, false, null));
        values.put(
                "credentials",
                new ClientCredentials(
                        List.of(),
                        false,
                        true,
                        null,
                        null,
                        ClientCredentials.AddKeys.NO,
                        Duration.ZERO,
                        "internal"));
        values.putAll(circumstance.options());
        RecordComponent[] parts = ClientSettings.class.getRecordComponents();
        Class<?>[] types = new Class<?>[parts.length];
        Object[] arguments = new Object[parts.length];
        for (int i = 0; i < parts.length; i++) {
            types[i] = parts[i].getType();
            Object value = values.remove(parts[i].getName());
            arguments[i] = value == null ? nothing(types[i]) : value;
        }
        assertThat(values).isEmpty();
        try {
            return ClientSettings.class.getDeclaredConstructor(types).newInstance(arguments);
        } catch (ReflectiveOperationException e) {
            throw new LinkageError(e.getMessage(), e);
        }
    }

    private static @Nullable Object nothing(Class<?> type) {
        if (type == boolean.class) {
            return false;
        } else if (type == int.class) {
            return 0;
        } else if (type == long.class) {
            return 0L;
        } else if (type == List.class) {
            return List.of();
        } else if (type == Map.class) {
            return Map.of();
        } else if (type == Duration.class) {
            return Duration.ZERO;
        }
        return null;
    }

    /** An option's value as ssh_config writes it. */
    private static String word(Object value) {
        return switch (value) {
            case StrictHostKeyChecking.ACCEPT_NEW -> "accept-new";
            case StrictHostKeyChecking.YES -> "yes";
            case StrictHostKeyChecking.NO -> "no";
            case StrictHostKeyChecking.ASK -> "ask";
            case Boolean flag -> flag ? "yes" : "no";
            case List<?> list -> String.join(",", list.stream().map(String::valueOf).toList());
            default -> value.toString();
        };
    }

    private static String filledIn(List<String> lines) {
        StringBuilder text = new StringBuilder();
        for (String line : lines) {
            text.append(
                            line.replace("<KEY>", publicKey("ed25519", "host"))
                                    .replace("<WRONG>", publicKey("ed25519", "wrong"))
                                    .replace("<RSA>", publicKey("rsa", "host"))
                                    .replace(
                                            "<HOST>",
                                            "[" + server().address() + "]:" + server().port())
                                    .replace("<BARE>", server().address()))
                    .append('\n');
        }
        return text.toString();
    }

    private static String publicKey(String type, String name) {
        return key(Keys.publicLine(Keys.of(type, name))).text();
    }

    private static HostKey key(String line) {
        HostKey key = HostKey.of(Base64.getDecoder().decode(line.split(" ", 3)[1]));
        if (key == null) {
            throw new AssertionError("no key: " + line);
        }
        return key;
    }

    private static String plain(String text) {
        return text.replace("\r", "");
    }

    private static String keygen(String... words) throws InterruptedException {
        List<String> argv = new ArrayList<>(List.of("ssh-keygen"));
        argv.addAll(List.of(words));
        return Command.of(argv).end(PATIENCE).out();
    }

    private static List<String> defaultAlgorithms() throws InterruptedException {
        String all = Command.of("/usr/bin/ssh", "-G", "-F", "none", "x").end(PATIENCE).out();
        String line =
                all.lines()
                        .filter(l -> l.startsWith("hostkeyalgorithms "))
                        .findFirst()
                        .orElseThrow();
        return List.of(line.substring("hostkeyalgorithms ".length()).split(",", -1));
    }

    /** As much of a server as it takes to make a client read its known hosts. */
    private static void greet(ServerSocket listener) {
        while (true) {
            try (Socket client = listener.accept()) {
                client.getOutputStream()
                        .write("SSH-2.0-greeter\r\n".getBytes(StandardCharsets.US_ASCII));
                client.shutdownOutput();
                client.getInputStream().transferTo(OutputStream.nullOutputStream());
            } catch (IOException ended) {
                if (listener.isClosed()) {
                    return;
                }
            }
        }
    }

    /** Lines that name host.example, nearly name it, or are garbage; the last one has its end. */
    private static String randomFile(Random random) {
        String ed25519 = publicKey("ed25519", "host");
        String wrong = publicKey("ed25519", "wrong");
        String rsa = publicKey("rsa", "host");
        String ecdsa = publicKey("ecdsa", "host");
        String[] names = {
            "host.example",
            "HOST.example",
            "*.example",
            "host.?xample",
            "!host.example",
            "other",
            "*",
            "",
            "|1|",
            "|1||",
            "|2|a|b",
            "|1|1iuuD/zxHqFzK4t8Q+G0aMuqIQE=|MBgzCD9HZIy1O1EqFcmlPviHzmQ=",
            "|1|AAAA|MBgzCD9HZIy1O1EqFcmlPviHzmQ=",
            "host.example,",
            ",host.example",
            "[host.example]:22",
            "x".repeat(1022) + ",host.example",
            "x".repeat(1023) + ",host.example",
            "***h*e",
            "h*.*.e"
        };
        String[] markers = {
            "",
            "",
            "",
            "",
            "",
            "@revoked ",
            "@cert-authority ",
            "@",
            "@ ",
            "@revoked\t",
            "@REVOKED ",
            "@revoked @revoked ",
            "#",
            "@" + "x".repeat(30) + " ",
            "@" + "x".repeat(31) + " "
        };
        String[] gaps = {" ", " ", " ", "  ", "\t", " \t ", "", "\r"};
        String[] keys = {
            ed25519,
            ed25519,
            wrong,
            rsa,
            rsa,
            ecdsa,
            "ssh-ed25519",
            "",
            "#",
            "ssh-rsa " + ed25519,
            rsa.replace("ssh-rsa", "rsa-sha2-512"),
            ed25519.replace("ssh-ed25519 ", "ssh-ed25519 \t"),
            ed25519 + "\r",
            ed25519.replace("AAAAC3", "AAAAC4"),
            ed25519 + "=",
            ed25519 + "AAAA",
            ed25519.replace("ssh-ed25519", "SSH-ED25519"),
            rsa.substring(0, 200),
            "1024 35 1234567"
        };
        String[] tails = {"", "", "", " comment", "\0tail", "\r", " \u00ff\u001b", "\t#"};
        StringBuilder text = new StringBuilder();
        for (int i = random.nextInt(60); i >= 0; i--) {
            StringBuilder line = new StringBuilder();
            if (random.nextInt(8) == 0) {
                line.append(pick(random, gaps));
            }
            line.append(pick(random, markers)).append(pick(random, names));
            for (int n = random.nextInt(3); n > 0; n--) {
                line.append(',').append(pick(random, names));
            }
            line.append(pick(random, gaps)).append(pick(random, keys)).append(pick(random, tails));
            for (int n = random.nextInt(20) == 0 ? 3 : 0; n > 0 && !line.isEmpty(); n--) {
                char c = (char) random.nextInt(256);
                line.setCharAt(random.nextInt(Math.min(40, line.length())), c);
            }
            text.append(line).append('\n');
        }
        return text.toString();
    }

    private static String pick(Random random, String[] from) {
        return from[random.nextInt(from.length)];
    }

    private static Sshd server() {
        Sshd started = sshd;
        if (started == null) {
            throw new AssertionError("no server");
        }
        return started;
    }
}
