package holdfast.ssh.config;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class SkimTest {

    private static final String[] VALUES = {
        "yes",
        "no",
        "true",
        "ask",
        "YES",
        "none",
        "auto",
        "1",
        "0",
        "22",
        "007",
        "70000",
        "9999",
        "99999",
        "12345678",
        "123456789",
        "99999999999",
        "-1",
        "1h",
        "-5m",
        "x",
        "a b",
        "a b c",
        "!x",
        "!",
        "*",
        "?",
        "far*",
        "f?r",
        "*r",
        "*.r",
        "far",
        "fa",
        "farther",
        "!far",
        "x,far",
        "all",
        "~/.ssh/id",
        "%h-%p",
        "1.2.3.4",
        "8080 far:80",
        "8080",
        "QUIET",
        "user@host:22",
        "\"far\"",
        "\"a b\"",
        "\"open",
        "it's",
        "back\\slash",
        "a #b",
        "#",
        "=x",
        "= x",
        "a=b",
        "\u00e9",
        "bell\u0007",
        "nul\0after",
        "yes\r",
        "",
        " ",
        "yes no",
        "none none",
        "22 # a port",
        "far:22 near:80",
        "127.0.0.1:8080 [::1]:80",
        "8080 far:0",
        "8080 far:99999",
        "far:80",
        "aes128-ctr",
        "LANG LC_*",
        "-LANG",
        "A=b C=d",
        "$NONE",
        "16K 1h",
        "16K",
        "near far",
        "near,*.net",
        "FAR",
        "f*a*r",
        "*a*",
        "*b*",
        "user near",
        "host near",
        "HOST near user root",
        "host far user no*",
        "host F*R",
        "!host far",
        "host near,!far",
        "originalhost near",
        "originalhost FAR,near",
        "user near host",
        "localuser near",
        "host=near",
        "host near exec true",
        "final host near",
        "host near all",
        "host near # far",
        "tagged near"
    };

    /** A few, so that many of a file's lines have the same one. */
    private static final Keyword[] OFTEN = {
        Keyword.HOST,
        Keyword.MATCH,
        Keyword.MATCH,
        Keyword.HOST_NAME,
        Keyword.USER,
        Keyword.PORT,
        Keyword.FORWARD_AGENT,
        Keyword.REKEY_LIMIT,
        Keyword.PROXY_JUMP,
        Keyword.PROXY_COMMAND,
        Keyword.CIPHERS,
        Keyword.LOCAL_FORWARD,
        Keyword.REMOTE_FORWARD,
        Keyword.SEND_ENV,
        Keyword.SET_ENV,
        Keyword.IDENTITY_FILE,
        Keyword.CERTIFICATE_FILE,
        Keyword.USER_KNOWN_HOSTS_FILE,
        Keyword.LOCAL_COMMAND
    };

    private static final String[] NAMES = {
        "Host",
        "host",
        "HOST",
        "Match",
        "Nonsense",
        "PORT",
        "port",
        "PorT",
        "Protocol",
        "#",
        "#x",
        "RSAAuthentication",
        "UsePrivilegedPort",
        "Host\"x\"",
        "H\u00f6st",
        "Ho@t",
        "HOS\u0014"
    };

    private static final String[] GAPS = {" ", "  ", "\t", "=", " = ", "", "\r", "\f"};
    private static final String[] INDENTS = {"", "", "  ", "\t", "\r", " =", "\f"};

    @TempDir private Path root;

    @Test
    void what_is_passed_over_would_have_meant_nothing() {
        long seed = Long.getLong("holdfast.seed", System.nanoTime());
        System.err.println("seed: repeat with -Dholdfast.seed=" + seed);
        Random random = new Random(seed);
        for (int i = 0; i < 800; i++) {
            List<String> lines = new ArrayList<>();
            boolean often = random.nextBoolean();
            for (int j = random.nextInt(often ? 30 : 12); j >= 0; j--) {
                String line = line(random, often);
                // Most files have nothing wrong, or there would be little to compare.
                if (!often || random.nextInt(30) == 0 || isRight(line)) {
                    lines.add(line);
                }
            }
            assertThat(outcome(lines, "", i % 3 == 0))
                    .as("seed %s, %s", seed, lines)
                    .isEqualTo(outcome(lines, "\f", i % 3 == 0));
        }
    }

    private final Map<String, Boolean> right = new HashMap<>();

    private boolean isRight(String line) {
        return right.computeIfAbsent(
                line.strip(), l -> !outcome(List.of(l), "\f", false).contains(" line 1: "));
    }

    /** At the end of a line a form feed means nothing, and is not plain: that line is read. */
    private String outcome(List<String> lines, String end, boolean verbose) {
        ConfigFixture machine = new ConfigFixture(root);
        machine.userFile(lines.stream().map(line -> line + end).toArray(String[]::new));
        String came;
        try {
            came = machine.config(verbose ? "-vvG" : "-G", "far").print();
        } catch (ConfigException e) {
            came = e.text();
        }
        return came + "\n" + String.join("\n", machine.logged);
    }

    private static String line(Random random, boolean often) {
        Keyword[] keywords = often ? OFTEN : Keyword.values();
        Keyword keyword = keywords[random.nextInt(keywords.length)];
        // A file that includes itself several times takes its time, at sixteen levels.
        String name =
                keyword == Keyword.INCLUDE || random.nextInt(3) == 0
                        ? pick(random, NAMES)
                        : keyword.spelled();
        return pick(random, INDENTS) + name + pick(random, GAPS) + pick(random, VALUES);
    }

    private static String pick(Random random, String[] from) {
        return from[random.nextInt(from.length)];
    }

    @Test
    void comments_other_hosts_lines_and_other_hosts_options_are_passed_over() {
        assertThat(judged("# anything \"at all\\", true)).isEqualTo(Skim.Verdict.PASS);
        assertThat(judged("   ", true)).isEqualTo(Skim.Verdict.PASS);
        assertThat(judged("Host near *.near fare? !nigh f*e", true)).isEqualTo(Skim.Verdict.OTHERS);
        assertThat(judged("Host near f*", true)).isEqualTo(Skim.Verdict.READ);
        assertThat(judged("  HostName 10.0.0.1", false)).isEqualTo(Skim.Verdict.PASS);
        assertThat(judged("  HostName 10.0.0.1", true)).isEqualTo(Skim.Verdict.READ);
        assertThat(judged("Port 2222", false)).isEqualTo(Skim.Verdict.PASS);
        assertThat(judged("Port 222222", false)).isEqualTo(Skim.Verdict.READ);
        assertThat(judged("ForwardX11 maybe", false)).isEqualTo(Skim.Verdict.READ);
    }

    @Test
    void what_a_block_sets_again_is_passed_over_and_what_it_adds_is_not() {
        Given given = new Given();
        given.putIfAbsent(Keyword.PORT, new Given.Value(List.of("22"), "a file", 1));
        given.putIfAbsent(Keyword.FORWARD_AGENT, new Given.Value(List.of("yes"), "a file", 2));
        given.putIfAbsent(Keyword.SEND_ENV, new Given.Value(List.of("LANG"), "a file", 3));
        String text =
                "Port 2222\nPort 99999\nForwardAgent no\nForwardAgent $S\nSendEnv A\nUser u\n";
        assertThat(judged(text, given, true))
                .containsExactly(
                        Skim.Verdict.PASS,
                        Skim.Verdict.READ,
                        Skim.Verdict.PASS,
                        Skim.Verdict.READ,
                        Skim.Verdict.READ,
                        Skim.Verdict.READ);
        assertThat(judged("ForwardAgent $S\nForwardAgent $S\n", given, false))
                .containsOnly(Skim.Verdict.READ);
    }

    @Test
    void a_line_that_was_right_is_right_again_where_as_much_is_in_force() {
        String text = "Ciphers aes128-ctr\n  Ciphers aes128-ctr\nMACs aes128-ctr\n";
        assertThat(judged(text, new Given(), false))
                .containsExactly(Skim.Verdict.READ, Skim.Verdict.PASS, Skim.Verdict.READ);
        byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
        Skim skim = new Skim(bytes, new Given(), "far", "far", "me", true);
        assertThat(skim.judge(0, false)).isEqualTo(Skim.Verdict.READ);
        skim.isRight();
        assertThat(skim.judge(skim.end(), true)).isEqualTo(Skim.Verdict.READ);
    }

    @Test
    void lines_are_counted_where_many_are_passed_over_at_once() {
        byte[] bytes = "\n# a\n \r\n\t# b\n  User u\n\n#".getBytes(StandardCharsets.UTF_8);
        Skim skim = new Skim(bytes, new Given(), "far", "far", "me", true);
        assertThat(skim.judge(0, true)).isEqualTo(Skim.Verdict.PASS);
        assertThat(skim.judge(skim.end(), true)).isEqualTo(Skim.Verdict.READ);
        assertThat(skim.line()).isEqualTo(5);
        assertThat(skim.judge(skim.end(), true)).isEqualTo(Skim.Verdict.PASS);
        assertThat(skim.end()).isEqualTo(bytes.length);
        assertThat(skim.line()).isEqualTo(7);
    }

    @Test
    void a_match_line_that_names_others_only_is_passed_over() {
        assertThat(judged("Match host near", true)).isEqualTo(Skim.Verdict.OTHERS);
        assertThat(judged("Match user root host FAR", true)).isEqualTo(Skim.Verdict.OTHERS);
        assertThat(judged("Match host FAR", true)).isEqualTo(Skim.Verdict.READ);
        assertThat(judged("Match user ME host far", true)).isEqualTo(Skim.Verdict.OTHERS);
        assertThat(judged("Match final host near", true)).isEqualTo(Skim.Verdict.READ);
        assertThat(judged("Match host near exec true", true)).isEqualTo(Skim.Verdict.READ);
        assertThat(judged("Match host near all", true)).isEqualTo(Skim.Verdict.READ);
        assertThat(judged("Match host near,*r", true)).isEqualTo(Skim.Verdict.READ);
        assertThat(judged("Match host", true)).isEqualTo(Skim.Verdict.READ);
    }

    /** Everything read is right. */
    private static List<Skim.Verdict> judged(String text, Given given, boolean active) {
        byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
        Skim skim = new Skim(bytes, given, "far", "far", "me", true);
        List<Skim.Verdict> verdicts = new ArrayList<>();
        for (int at = 0; at < bytes.length; at = skim.end()) {
            verdicts.add(skim.judge(at, active));
            skim.isRight();
        }
        return verdicts;
    }

    private static Skim.Verdict judged(String line, boolean active) {
        byte[] bytes = (line + "\n").getBytes(StandardCharsets.UTF_8);
        return new Skim(bytes, new Given(), "far", "far", "me", true).judge(0, active);
    }
}
