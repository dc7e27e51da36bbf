package holdfast.ssh.config;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
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
        "none none"
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
        for (int i = 0; i < 1000; i++) {
            List<String> lines = new ArrayList<>();
            for (int j = random.nextInt(12); j >= 0; j--) {
                lines.add(line(random));
            }
            assertThat(outcome(lines, ""))
                    .as("seed %s, %s", seed, lines)
                    .isEqualTo(outcome(lines, "\f"));
        }
    }

    /** At the end of a line a form feed means nothing, and is not plain: that line is read. */
    private String outcome(List<String> lines, String end) {
        ConfigFixture machine = new ConfigFixture(root);
        machine.userFile(lines.stream().map(line -> line + end).toArray(String[]::new));
        String came;
        try {
            came = machine.config("-G", "far").print();
        } catch (ConfigException e) {
            came = e.text();
        }
        return came + "\n" + String.join("\n", machine.logged);
    }

    private static String line(Random random) {
        Keyword[] keywords = Keyword.values();
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

    private static Skim.Verdict judged(String line, boolean active) {
        byte[] bytes = (line + "\n").getBytes(StandardCharsets.UTF_8);
        Skim skim = new Skim(bytes);
        return skim.judge(0, skim.end(0), active, "far");
    }
}
