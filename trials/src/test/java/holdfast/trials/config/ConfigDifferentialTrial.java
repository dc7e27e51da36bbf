package holdfast.trials.config;

import static org.assertj.core.api.Assertions.assertThat;

import holdfast.ssh.config.ClientConfig;
import holdfast.ssh.config.CommandLine;
import holdfast.ssh.config.ConfigException;
import holdfast.ssh.config.Keyword;
import holdfast.ssh.config.Surroundings;
import holdfast.ssh.log.Log;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * Random configuration files and arguments, given to OpenSSH's {@code ssh -G} and to Holdfast: both
 * must come to the same settings, and to the same words about what is wrong.
 *
 * <p>The installed OpenSSH may be older than the one Holdfast follows; what that explains is listed
 * in {@link #explained}, and nothing else is let through.
 */
class ConfigDifferentialTrial {

    /** OpenSSH's, or that of another version: {@code -Dholdfast.openssh=PROGRAM}. */
    private static final Path SSH = Path.of(System.getProperty("holdfast.openssh", "/usr/bin/ssh"));

    /** Whether it is older than the OpenSSH that Holdfast follows. */
    private static final boolean OLD = version().startsWith("OpenSSH_9");

    /** Names that OpenSSH's lists may hold and Holdfast leaves out. */
    private static final List<String> LEFT_OUT =
            List.of(
                    "mldsa44",
                    "mlkem768nistp256",
                    "sk-ssh-ed25519-cert",
                    "sk-ecdsa-sha2-nistp256-cert",
                    "webauthn-",
                    "ssh-dss");

    /** What OpenSSH adds to lines that have said it all. */
    private static final List<String> SECOND_LINES =
            List.of(
                    "percent_expand: failed",
                    "percent_dollar_expand: failed",
                    "invalid environment variable expansion");

    private static final String[] HOSTS = {
        "web",
        "web1.example.com",
        "WEB",
        "db-01",
        "10.0.0.1",
        "127.1",
        "::1",
        "jdoe@web",
        "root@db-01",
        "ssh://web:2200",
        "ssh://ann@web1.example.com",
        "a@b@db-01",
        "0x7f.1",
        "FE80::0:1",
    };

    private static final String[] PATTERNS = {
        "*",
        "web",
        "web*",
        "*.example.com",
        "!web",
        "!*.example.com",
        "db-??",
        "10.0.*",
        "w?b",
        "web,db-01",
        "nobody",
        "WEB",
        "!db*",
        "*1",
        "\"web\"",
        "::1",
        "127.0.0.1",
    };

    private static final String[] FLAGS = {"yes", "no", "true", "false", "Yes", "NO"};
    private static final String[] BAD_FLAGS = {"maybe", "", "1", "ask", "yes no", "\"", "#"};
    private static final String[] NUMBERS = {"0", "1", "3", "17", "+5", "007", "2147483647"};
    private static final String[] BAD_NUMBERS = {
        "x", "-1", "2147483648", "99999999999999999999", "1x", "\"\"", "1 2", "0x10",
    };
    private static final String[] TIMES = {"0", "10", "1m", "1h30m", "1W", "90S", "1s2", "none"};
    private static final String[] BAD_TIMES = {"x", "1y", "-1", "99999999999", "1.5", "\"\"", "m"};

    /** What a keyword may be given: good values, and bad ones. */
    private record Values(String[] good, String[] bad) {}

    private static String[] words(String... words) {
        return words;
    }

    private static final Map<String, Values> VALUES = new LinkedHashMap<>();

    static {
        for (String flag :
                List.of(
                        "BatchMode",
                        "CheckHostIP",
                        "ClearAllForwardings",
                        "HashKnownHosts",
                        "IdentitiesOnly",
                        "KbdInteractiveAuthentication",
                        "ChallengeResponseAuthentication",
                        "NoHostAuthenticationForLocalhost",
                        "PasswordAuthentication",
                        "StdinNull",
                        "TCPKeepAlive",
                        "KeepAlive")) {
            VALUES.put(flag, new Values(FLAGS, BAD_FLAGS));
        }
        for (String number :
                List.of(
                        "NumberOfPasswordPrompts",
                        "ServerAliveCountMax",
                        "RequiredRSASize",
                        "ConnectionAttempts")) {
            VALUES.put(number, new Values(NUMBERS, BAD_NUMBERS));
        }
        for (String time : List.of("ConnectTimeout", "ServerAliveInterval", "ProtocolKeepAlives")) {
            VALUES.put(time, new Values(TIMES, BAD_TIMES));
        }
        if (!OLD) {
            // Another keyword's in Debian 12.
            VALUES.put("SetupTimeOut", new Values(TIMES, BAD_TIMES));
        }
        VALUES.put("AddressFamily", new Values(words("any", "inet", "INET6"), words("ip", "4")));
        VALUES.put("Compression", new Values(words("yes", "no"), words("true", "9")));
        VALUES.put(
                "PubkeyAuthentication",
                new Values(words("yes", "no", "unbound", "host-bound"), words("all")));
        VALUES.put(
                "RequestTTY",
                new Values(words("yes", "no", "force", "auto", "TRUE"), words("maybe")));
        VALUES.put("SessionType", new Values(words("default", "none"), words("shell")));
        VALUES.put(
                "StrictHostKeyChecking",
                new Values(words("yes", "no", "ask", "off", "accept-new"), words("never")));
        VALUES.put(
                "User",
                new Values(
                        words("ann", "bob", "\"c d\"", "o\\ne", "x=y"), words("\"\"", "ann bob")));
        VALUES.put(
                "HostName",
                new Values(
                        words(
                                "real.example.org",
                                "%h.example.com",
                                "UPPER",
                                "127.1",
                                "::0001",
                                "%%",
                                "1.2.3.4.5",
                                "::ffff:1.2.3.4",
                                "1:0:0:2:0:0:0:3"),
                        words("a b", "\"\"")));
        VALUES.put(
                "Port",
                new Values(
                        words("22", "2222", "65535", "ssh", "+80", "\"443\""),
                        words("0", "65536", "x", "-1", "22 23", "\"\"", "22x")));
        VALUES.put("BindAddress", new Values(words("10.0.0.2", "::1", "x"), words("\"\"", "a b")));
        VALUES.put("BindInterface", new Values(words("eth0", "lo"), words("\"\"")));
        VALUES.put("HostKeyAlias", new Values(words("Alias", "alias2"), words("\"\"")));
        VALUES.put(
                "PreferredAuthentications",
                new Values(words("publickey,password", "x"), words("\"\"")));
        VALUES.put("IgnoreUnknown", new Values(words("Foo*,bar", "nope"), words("\"\"")));
        VALUES.put("FooBar", new Values(words("1", "x y"), words()));
        VALUES.put(
                "LogLevel",
                new Values(
                        words("QUIET", "fatal", "ERROR", "INFO", "VERBOSE"),
                        words("loud", "\"\"")));
        VALUES.put("Protocol", new Values(words("2", "9"), words()));
        VALUES.put("Cipher", new Values(words("3des"), words()));
        VALUES.put("RSAAuthentication", new Values(words("yes"), words()));
        VALUES.put(
                "Ciphers",
                new Values(
                        words(
                                "aes128-ctr",
                                "aes256-gcm@openssh.com,aes128-ctr",
                                "+aes128-cbc",
                                "-aes*",
                                "^aes256-ctr,3des-cbc",
                                "-chacha*,aes???-ctr",
                                "chacha20-poly1305@openssh.com",
                                "aes128-ctr,,foo"),
                        words("aes", "aes*", "+!aes*", "none", "\"\"", ",", "aes128-ctr x")));
        VALUES.put(
                "MACs",
                new Values(
                        words(
                                "hmac-sha2-256",
                                "+hmac-md5",
                                "-*sha1*",
                                "^hmac-sha2-512",
                                "-umac*",
                                "hmac-sha1,hmac-sha2-256-etm@openssh.com"),
                        words("hmac", "+x", "hmac-*")));
        VALUES.put(
                "KexAlgorithms",
                new Values(
                        words(
                                "curve25519-sha256",
                                "+diffie-hellman-group1-sha1",
                                "-diffie*,sntrup*",
                                "^ecdh-sha2-nistp521",
                                "diffie-hellman-group14-sha256,curve25519-sha256"),
                        words("foo", "curve25519-sha256,foo", "+ecdh*")));
        for (String signatures :
                List.of(
                        "HostKeyAlgorithms",
                        "PubkeyAcceptedAlgorithms",
                        "PubkeyAcceptedKeyTypes")) {
            VALUES.put(
                    signatures,
                    new Values(
                            words(
                                    "ssh-ed25519",
                                    "rsa-*",
                                    "+ssh-rsa",
                                    "-ecdsa*",
                                    "^rsa-sha2-256",
                                    "ssh-ed25519,ssh-rsa",
                                    "+ssh-*",
                                    "*"),
                            words("foo", "ssh-ed25519,foo", "foo*")));
        }
        VALUES.put(
                "IdentityFile",
                new Values(
                        words(
                                "~/.ssh/id_work",
                                "/etc/passwd",
                                "\"/a b/c\"",
                                "none",
                                "%d/x",
                                "~/.ssh/id_%h",
                                "rel'a t'ive"),
                        words("\"\"", "a b", "'x")));
        VALUES.put(
                "IdentityAgent",
                new Values(
                        words("none", "SSH_AUTH_SOCK", "~/agent.%h", "$PATHX", "/run/%u/%i/%p"),
                        words("${NO_SUCH_VARIABLE_HERE}", "$1-2", "\"\"")));
        VALUES.put(
                "GlobalKnownHostsFile",
                new Values(words("/a /b", "~/x", "none", "\"/a b\" c"), words("none x", "\"\"")));
        VALUES.put(
                "UserKnownHostsFile",
                new Values(
                        words(
                                "~/.ssh/k1 ~/.ssh/k2",
                                "/tmp/%h_%p_%r",
                                "none",
                                "${HOME}/k",
                                "%k",
                                "/x/%n/%C",
                                "%l%L%i%u"),
                        words(
                                "x none",
                                "%q",
                                "${NO_SUCH_VARIABLE_HERE}",
                                "~nosuchuser/x",
                                "x%",
                                "\"\"")));
        VALUES.put(
                "SendEnv",
                new Values(words("LANG LC_*", "FOO", "-LC*", "-* BAR"), words("A=B", "\"\"")));
        VALUES.put(
                "SetEnv",
                new Values(words("A=1 B=2", "C=\"x y\"", "D=", "A=1 A=2"), words("A", "A=1 B")));
        VALUES.put(
                "EscapeChar",
                new Values(
                        words("~", "^a", "none", "%", "^]", "^?", "\\\\"),
                        words("ab", "^", "^ab", "\"\"")));
        VALUES.put(
                "IPQoS",
                new Values(
                        words("ef", "ef cs1", "none", "3", "AF11 af12", "lowdelay throughput"),
                        OLD
                                ? words("foo", "256", "ef foo", "-1")
                                : words("foo", "256", "ef foo", "-1", "0x10 8")));
        VALUES.put(
                "RekeyLimit",
                new Values(
                        words(
                                "1G",
                                "default none",
                                "500K 1h",
                                "16",
                                "1.5M 30",
                                "0",
                                "default 2m",
                                "1073741824 none"),
                        words("x", "15", "1Q", "-1", "1G x", "99999999999E", "1G 1h 2")));
        VALUES.put(
                "RemoteCommand",
                new Values(words("none", "echo %h %p # no comment", "ls"), words("%q")));
        for (String flag :
                List.of("ForwardX11", "ForwardX11Trusted", "CanonicalizeFallbackLocal")) {
            VALUES.put(flag, new Values(FLAGS, BAD_FLAGS));
        }
        VALUES.put("CanonicalizeMaxDots", new Values(NUMBERS, BAD_NUMBERS));
        VALUES.put("ForwardX11Timeout", new Values(TIMES, BAD_TIMES));
        VALUES.put(
                "CanonicalizeHostname",
                new Values(words("yes", "no", "always", "TRUE"), words("never", "ask")));
        VALUES.put(
                "CanonicalDomains",
                new Values(
                        words(
                                "nowhere.invalid",
                                "a.invalid B.INVALID",
                                "none",
                                "x_.invalid.",
                                "0.invalid"),
                        words("-x", "a..b", "a/b", "none x", "\"\"")));
        VALUES.put(
                "CanonicalizePermittedCNAMEs",
                new Values(
                        words("none", "*.A:*.b", "a,b:c", "*.x:y z:*"),
                        words("a", "a:", "none a:b", "\"\"")));
        VALUES.put(
                "FingerprintHash",
                new Values(words("md5", "SHA256", "sha512"), words("crc", "sha", "\"\"")));
        VALUES.put("XAuthLocation", new Values(words("/bin/xauth", "none"), words("\"\"", "a b")));
        VALUES.put("KbdInteractiveDevices", new Values(words("pam", "a,b"), words("\"\"")));
        VALUES.put(
                "KnownHostsCommand",
                new Values(words("none", "/bin/keys %H %I %t", "/x 'a b'"), words()));
        VALUES.put("RevokedHostKeys", new Values(words("none", "/etc/gone", "~/gone"), words()));
        VALUES.put("Compressions", new Values(words(), words("yes")));
    }

    @Test
    void random_configurations_mean_what_they_mean_to_openssh(@TempDir Path directory)
            throws Exception {
        Assumptions.assumeTrue(Files.isExecutable(SSH), "no OpenSSH installed");
        long seed = Long.getLong("holdfast.seed", System.nanoTime());
        System.err.println("seed: repeat with -Dholdfast.seed=" + seed);
        assertThat(differences(seed, Integer.getInteger("holdfast.cases", 400), directory))
                .as("differences, seed %d", seed)
                .isEmpty();
    }

    @Test
    void the_table_of_keywords_holds_all_that_openssh_prints() throws Exception {
        Assumptions.assumeTrue(Files.isExecutable(SSH), "no OpenSSH installed");
        Set<String> known = new LinkedHashSet<>();
        known.add("host");
        for (Keyword keyword : Keyword.values()) {
            known.add(keyword.lowerCase());
        }
        for (String printed : openssh(List.of("-G", "-F", "none", "web")).settings.keySet()) {
            assertThat(known).contains(printed.toLowerCase(Locale.ROOT));
        }
    }

    /** Every difference that nothing explains, ready to read. */
    static List<String> differences(long seed, int cases, Path directory) throws Exception {
        Random random = new Random(seed);
        List<String> differences = new ArrayList<>();
        int refused = 0;
        for (int i = 0; i < cases; i++) {
            Path home = Files.createDirectory(directory.resolve("case" + i));
            List<String> arguments = arguments(random, home);
            Outcome theirs = openssh(arguments);
            Outcome ours = holdfast(arguments);
            if (theirs.error != null) {
                refused++;
            }
            String difference = compare(theirs, ours);
            if (difference != null) {
                StringBuilder text = new StringBuilder("case ").append(i).append(": ssh ");
                text.append(arguments).append('\n');
                for (String name : new String[] {"config", "more1.conf", "more2.conf"}) {
                    Path file = home.resolve(name);
                    if (Files.exists(file)) {
                        text.append("--- ")
                                .append(file)
                                .append('\n')
                                .append(Files.readString(file));
                    }
                }
                differences.add(text.append("=> ").append(difference).append('\n').toString());
            }
        }
        // Both kinds must be met, or the comparison proves little.
        assertThat(refused).isBetween(cases / 50, cases * 4 / 5);
        return differences;
    }

    // Making the cases.

    private static <T> T pick(Random random, T[] from) {
        return from[random.nextInt(from.length)];
    }

    private static List<String> arguments(Random random, Path home) throws IOException {
        double badness = random.nextInt(4) == 0 ? 0.08 : 0;
        Files.writeString(home.resolve("more1.conf"), file(random, null, badness));
        Files.writeString(home.resolve("more2.conf"), file(random, null, badness));
        Files.writeString(home.resolve("config"), file(random, home, badness));
        List<String> arguments = new ArrayList<>();
        arguments.add("-G");
        arguments.add("-F");
        arguments.add(home.resolve("config").toString());
        int before = random.nextInt(4);
        for (int i = 0; i < before; i++) {
            option(random, arguments, badness);
        }
        if (random.nextInt(6) == 0) {
            arguments.add("--");
        }
        arguments.add(pick(random, HOSTS));
        int after = random.nextInt(3);
        for (int i = 0; i < after; i++) {
            option(random, arguments, badness);
        }
        if (random.nextInt(8) == 0) {
            arguments.add("--");
        }
        if (random.nextInt(3) == 0) {
            arguments.addAll(List.of(pick(random, words("ls -l", "-p 5", "true")).split(" ")));
        }
        return arguments;
    }

    private static void option(Random random, List<String> arguments, double badness) {
        boolean glued = random.nextBoolean();
        switch (random.nextInt(13)) {
            case 0 ->
                    arguments.add(
                            pick(
                                    random,
                                    words(
                                            "-4", "-6", "-46", "-n", "-q", "-x", "-C", "-X", "-Y",
                                            "-xY")));
            case 1 -> arguments.add(pick(random, words("-t", "-tt", "-T", "-tT", "-nt", "-2a")));
            case 2 -> value(arguments, 'p', glued, pick(random, words("22", "2022", "ssh", "+7")));
            case 3 -> value(arguments, 'l', glued, pick(random, words("carl", "dora", "e@f")));
            case 4 -> value(arguments, 'b', glued, pick(random, words("10.0.0.9", "::1")));
            case 5 -> value(arguments, 'B', glued, "lo");
            case 6 ->
                    value(
                            arguments,
                            'c',
                            glued,
                            pick(random, words("aes128-ctr", "+aes128-cbc", "^3des-cbc")));
            case 7 ->
                    value(
                            arguments,
                            'm',
                            glued,
                            pick(random, words("hmac-sha2-256", "hmac-sha1,hmac-sha2-512")));
            case 8 -> value(arguments, 'e', glued, pick(random, words("none", "^b", "%", "^")));
            case 9 ->
                    value(arguments, 'i', glued, pick(random, words("/etc/passwd", "/etc/hosts")));
            case 10 -> {
                if (random.nextDouble() < badness * 3) {
                    value(
                            arguments,
                            pick(random, new Character[] {'p', 'c', 'm', 'e'}),
                            glued,
                            "bad!");
                } else {
                    arguments.add("-4");
                }
            }
            default -> {
                String line = setting(random, badness);
                value(arguments, 'o', glued, line.isEmpty() ? "Port=1" : line);
            }
        }
    }

    private static void value(List<String> arguments, char option, boolean glued, String value) {
        if (glued && !value.isEmpty()) {
            arguments.add("-" + option + value);
        } else {
            arguments.add("-" + option);
            arguments.add(value);
        }
    }

    private static String setting(Random random, double badness) {
        String[] names = VALUES.keySet().toArray(String[]::new);
        while (true) {
            String name = pick(random, names);
            Values values = VALUES.get(name);
            boolean bad = random.nextDouble() < badness;
            String[] from = values == null ? words() : bad ? values.bad : values.good;
            if (from.length == 0 || (name.equals("FooBar") && badness == 0)) {
                continue;
            }
            String spelled =
                    switch (random.nextInt(4)) {
                        case 0 -> name.toLowerCase(Locale.ROOT);
                        case 1 -> name.toUpperCase(Locale.ROOT);
                        default -> name;
                    };
            String between = pick(random, words(" ", " ", " ", "=", " = ", "\t", "  ", "= "));
            return spelled + between + pick(random, from);
        }
    }

    private static String file(Random random, @Nullable Path home, double badness) {
        StringBuilder text = new StringBuilder();
        int lines = random.nextInt(home == null ? 8 : 25);
        for (int i = 0; i < lines; i++) {
            String indent = pick(random, words("", "", "  ", "\t", "    "));
            String end = pick(random, words("\n", "\n", "\n", "\r\n", "  \n", "\t\f\n"));
            String line =
                    switch (random.nextInt(12)) {
                        case 0 -> "";
                        case 1 -> "# Port 7";
                        case 2, 3 -> host(random);
                        case 4 -> match(random, badness);
                        case 5 ->
                                home == null
                                        ? "#"
                                        : "Include "
                                                + home
                                                + pick(
                                                        random,
                                                        words(
                                                                "/more1.conf",
                                                                "/more*.conf",
                                                                "/m*2.conf",
                                                                "/none*",
                                                                "/more[2-9].conf"));
                        default -> setting(random, badness);
                    };
            boolean command = line.toLowerCase(Locale.ROOT).startsWith("remotecommand");
            if (!line.isEmpty() && !command && random.nextInt(8) == 0) {
                line += pick(random, words(" # a comment", "  #", " #x \"y"));
            }
            text.append(indent).append(line).append(end);
        }
        return text.toString();
    }

    private static String host(Random random) {
        StringBuilder line = new StringBuilder(pick(random, words("Host", "host", "HOST")));
        line.append(random.nextInt(5) == 0 ? "=" : " ");
        int patterns = 1 + random.nextInt(3);
        for (int i = 0; i < patterns; i++) {
            line.append(i == 0 ? "" : " ").append(pick(random, PATTERNS));
        }
        return line.toString();
    }

    private static String match(Random random, double badness) {
        StringBuilder line = new StringBuilder("Match ");
        if (random.nextDouble() < badness * 2) {
            return line
                    + pick(
                            random,
                            words(
                                    "",
                                    "bogus x",
                                    "host",
                                    "all host x",
                                    "host a user b all",
                                    "user",
                                    "exec"));
        }
        switch (random.nextInt(6)) {
            case 0 ->
                    line.append(
                            pick(
                                    random,
                                    words("all", "!all", "final all", "canonical all", "ALL")));
            case 1 ->
                    line.append(
                            pick(
                                    random,
                                    words(
                                            "final",
                                            "!final",
                                            "canonical",
                                            "!canonical",
                                            "final host web*")));
            case 2 ->
                    line.append("exec ")
                            .append(
                                    pick(
                                            random,
                                            words(
                                                    "true",
                                                    "false",
                                                    "\"test %h = web\"",
                                                    "\"test x%r = xann\"",
                                                    "\"test %p -gt 100\"",
                                                    "\"test %n = WEB\"")));
            default -> {
                int criteria = 1 + random.nextInt(2);
                for (int i = 0; i < criteria; i++) {
                    line.append(i == 0 ? "" : " ").append(random.nextInt(4) == 0 ? "!" : "");
                    line.append(
                            pick(
                                    random,
                                    words(
                                            "host ",
                                            "host ",
                                            "originalhost ",
                                            "user ",
                                            "localuser ",
                                            "User ",
                                            "host=")));
                    line.append(
                            pick(
                                    random,
                                    words(
                                            "*",
                                            "web",
                                            "web*,db*",
                                            "!web,*",
                                            "ann,jdoe",
                                            "root",
                                            "WEB",
                                            "*.example.com",
                                            "real*",
                                            "127.0.0.1")));
                }
            }
        }
        return line.toString();
    }

    // Running both.

    private static String version() {
        if (!Files.isExecutable(SSH)) {
            return "";
        }
        try {
            ProcessBuilder asked = new ProcessBuilder(SSH.toString(), "-V");
            Process process = asked.redirectErrorStream(true).start();
            return new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Either settings by keyword, or the lines of an error. */
    private record Outcome(Map<String, List<String>> settings, @Nullable List<String> error) {}

    private static Outcome openssh(List<String> arguments) throws Exception {
        List<String> command = new ArrayList<>();
        command.add(SSH.toString());
        command.addAll(arguments);
        Path errors = Files.createTempFile("ssh", ".err");
        try {
            ProcessBuilder builder = new ProcessBuilder(command);
            builder.redirectInput(Path.of("/dev/null").toFile());
            builder.redirectError(errors.toFile());
            Process process = builder.start();
            String out;
            try (InputStream in = process.getInputStream()) {
                out = new String(in.readAllBytes(), StandardCharsets.UTF_8);
            }
            assertThat(process.waitFor(20, TimeUnit.SECONDS)).isTrue();
            if (process.exitValue() == 0) {
                return new Outcome(settings(out), null);
            }
            assertThat(process.exitValue()).isEqualTo(255);
            return new Outcome(Map.of(), errorLines(Files.readString(errors)));
        } finally {
            Files.delete(errors);
        }
    }

    private static List<String> errorLines(String text) {
        List<String> lines = new ArrayList<>();
        for (String line : text.replace("\r", "").split("\n", -1)) {
            boolean noise =
                    line.isEmpty()
                            || line.startsWith("Pseudo-terminal")
                            // A shell's own words, where ours go to this process's standard error.
                            || line.matches("\\S*sh: (line )?\\d+: .*")
                            || line.contains("Unsupported option")
                            // It goes on with an empty list; ours ends with a line of its own,
                            // unless there is something else to end with.
                            || line.matches("fill_default_options: \\w+: invalid argument")
                            // The same complaint a second time (readconf.c, parse_multistate).
                            || line.contains("unsupported option \"(null)\"")
                            || line.contains("unsupported option \"\"")
                            || SECOND_LINES.contains(line);
            if (!noise) {
                String words = line.replace("vdollar_percent_expand: ", "");
                if (OLD) {
                    words =
                            words.replaceFirst(
                                    "^.* line \\d+: missing argument for Match '(.*)'$",
                                    "Missing Match criteria for $1");
                }
                lines.add(words);
            }
        }
        return lines;
    }

    private static Outcome holdfast(List<String> arguments) {
        Surroundings process = Surroundings.ofProcess();
        Surroundings plain =
                new Surroundings(
                        process.environment(),
                        process.home(),
                        process.localUser(),
                        process.uid(),
                        process.hostName(),
                        process.systemDirectory(),
                        () -> false);
        CommandLine line;
        try {
            line = CommandLine.parse(arguments, plain);
        } catch (ConfigException e) {
            return new Outcome(Map.of(), errorLines(e.text()));
        }
        try {
            return new Outcome(
                    settings(ClientConfig.resolve(line, plain, Log.silent()).print()), null);
        } catch (ConfigException e) {
            return new Outcome(Map.of(), shown(errorLines(e.text()), line.logLevel()));
        }
    }

    /** What OpenSSH would show of it: at QUIET nothing, at FATAL the last line. */
    private static List<String> shown(List<String> lines, Log.Level level) {
        // A name that is not found is an error and not fatal, though it ends the run.
        boolean unknown = lines.get(0).startsWith("ssh: Could not resolve hostname ");
        boolean counted = lines.get(lines.size() - 1).contains(": terminating, ");
        return switch (level) {
            case QUIET -> List.of();
            case FATAL ->
                    unknown
                            ? List.of()
                            : counted ? lines.subList(lines.size() - 1, lines.size()) : lines;
            default -> lines;
        };
    }

    private static Map<String, List<String>> settings(String printed) {
        Map<String, List<String>> settings = new TreeMap<>();
        for (String line : printed.strip().split("\n", -1)) {
            int space = line.indexOf(' ');
            String name = space < 0 ? line : line.substring(0, space);
            // Up to 10.5 one is spelled in another way.
            name = name.toLowerCase(Locale.ROOT);
            settings.computeIfAbsent(name, x -> new ArrayList<>())
                    .add(space < 0 ? "" : line.substring(space + 1));
        }
        return settings;
    }

    // Comparing.

    private static @Nullable String compare(Outcome theirs, Outcome ours) {
        if (theirs.error != null || ours.error != null) {
            return compareErrors(theirs, ours);
        }
        List<String> differences = new ArrayList<>();
        Set<String> names = new LinkedHashSet<>();
        names.add("host");
        for (Keyword keyword : Keyword.values()) {
            if (keyword.support() == Keyword.Support.BUILT) {
                names.add(keyword.lowerCase());
            }
        }
        for (String name : names) {
            List<String> their = theirs.settings.getOrDefault(name, List.of());
            List<String> our = ours.settings.getOrDefault(name, List.of());
            if (!their.equals(our) && !explained(name, their, our, theirs.settings)) {
                differences.add(name + ": OpenSSH " + their + ", Holdfast " + our);
            }
        }
        return differences.isEmpty() ? null : String.join("; ", differences);
    }

    private static @Nullable String compareErrors(Outcome theirs, Outcome ours) {
        List<String> their = theirs.error;
        List<String> our = ours.error;
        if (their != null && our != null) {
            if (their.equals(our)) {
                return null;
            }
            // With LogLevel FATAL nothing but its second line is left of what OpenSSH says.
            if (their.isEmpty() && our.size() == 1 && our.get(0).contains("percent_expand: ")) {
                return null;
            }
            // Holdfast says in which line the value stands that OpenSSH only names.
            if (their.size() == 1 && our.size() == 1) {
                String ourLine = our.get(0).replace(": percent_expand: ", ": ");
                if (ourLine.endsWith(": " + their.get(0))) {
                    return null;
                }
            }
        }
        // Nothing Holdfast has is left of a list: OpenSSH finds that out at the key exchange.
        if (their == null
                && our != null
                && our.size() == 1
                && our.get(0).endsWith("leaves no algorithm that is supported")) {
            return null;
        }
        return "OpenSSH "
                + (their == null ? "accepts" : their)
                + ", Holdfast "
                + (our == null ? "accepts" : our);
    }

    /**
     * The differences between the OpenSSH 10.0 that Holdfast follows and 9.2 of Debian 12, and what
     * 10.1 to 10.6 and Debian changed.
     */
    private static boolean explained(
            String name, List<String> their, List<String> our, Map<String, List<String>> all) {
        return switch (name) {
            // 10.0 put AES-GCM before AES-CTR in the default.
            case "ciphers" -> inOrderOf10(list(their), list(our));
            // 10.0 begins with ML-KEM.
            case "kexalgorithms" -> {
                List<String> ours = new ArrayList<>(had(list(our)));
                if (OLD) {
                    ours.remove("mlkem768x25519-sha256");
                }
                yield had(list(their)).equals(ours);
            }
            // No certificates of servers whose keys are on hardware; 10.0 has no DSA.
            case "hostkeyalgorithms", "pubkeyacceptedalgorithms" ->
                    had(list(their)).equals(had(list(our)));
            // 10.0 has no DSA, 10.1 no XMSS, 10.4 one kind more.
            case "identityfile" -> {
                List<String> theirs = new ArrayList<>(their);
                theirs.removeAll(
                        List.of("~/.ssh/id_dsa", "~/.ssh/id_xmss", "~/.ssh/id_mldsa44_ed25519"));
                yield theirs.equals(our);
            }
            // 10.1 changed the default, and passes over names that 9.2 had.
            case "ipqos" ->
                    their.equals(List.of(OLD ? "lowdelay throughput" : "ef cs1"))
                            && (our.equals(List.of("ef cs0"))
                                    || (OLD && our.equals(List.of("none none"))));
            // 9.2 prints the path as it stands; 10.6 prints what is none.
            case "revokedhostkeys" ->
                    OLD
                            ? their.equals(List.of("~/gone"))
                            : their.equals(List.of("none")) && our.isEmpty();
            // 9.5 was the first to have it.
            case "obscurekeystroketiming" -> OLD && their.isEmpty();
            // With -C OpenSSH 10 does not know its own value.
            case "compression" -> their.equals(List.of("UNKNOWN")) && our.equals(List.of("yes"));
            // 10.6 has one value more, and another name for this.
            case "tcpkeepalive" -> their.equals(List.of("true")) && our.equals(List.of("yes"));
            // 10.1 warns unless told not to.
            case "warnweakcrypto" -> their.equals(List.of("yes")) && our.isEmpty();
            // Debian's own: BatchMode turns keepalives on.
            case "serveraliveinterval" ->
                    their.equals(List.of("300"))
                            && our.equals(List.of("0"))
                            && List.of("yes").equals(all.get("batchmode"));
            // Debian's own default.
            case "forwardx11trusted" -> their.equals(List.of("yes")) && our.equals(List.of("no"));
            // 9.6 was the first to have it.
            case "channeltimeout" -> their.isEmpty() && our.equals(List.of("none"));
            default -> false;
        };
    }

    private static final List<String> ORDER_OF_9 =
            List.of(
                    "aes128-ctr",
                    "aes192-ctr",
                    "aes256-ctr",
                    "aes128-gcm@openssh.com",
                    "aes256-gcm@openssh.com");

    private static final List<String> ORDER_OF_10 =
            List.of(
                    "aes128-gcm@openssh.com",
                    "aes256-gcm@openssh.com",
                    "aes128-ctr",
                    "aes192-ctr",
                    "aes256-ctr");

    /**
     * Whether the lists are the same but for the order of the defaults; what {@code ^} put in front
     * of the defaults keeps its place.
     */
    private static boolean inOrderOf10(List<String> their, List<String> our) {
        for (int front = 0; front < their.size(); front++) {
            List<String> moved = new ArrayList<>(their.subList(front, their.size()));
            moved.retainAll(ORDER_OF_9);
            List<String> ordered = new ArrayList<>(ORDER_OF_9);
            ordered.retainAll(moved);
            if (!moved.equals(ordered)) {
                continue;
            }
            ordered = new ArrayList<>(ORDER_OF_10);
            ordered.retainAll(moved);
            List<String> reordered = new ArrayList<>(their);
            for (int i = front; i < reordered.size(); i++) {
                if (ORDER_OF_9.contains(reordered.get(i))) {
                    reordered.set(i, ordered.remove(0));
                }
            }
            if (reordered.equals(our)) {
                return true;
            }
        }
        return false;
    }

    private static List<String> list(List<String> printed) {
        return printed.isEmpty() ? List.of() : Arrays.asList(printed.get(0).split(","));
    }

    private static List<String> had(List<String> names) {
        List<String> had = new ArrayList<>();
        for (String name : names) {
            if (LEFT_OUT.stream().noneMatch(name::contains)) {
                had.add(name);
            }
        }
        return had;
    }
}
