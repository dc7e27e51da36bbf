package holdfast.ssh.config;

import static org.assertj.core.api.Assertions.assertThat;

import holdfast.ssh.config.ServerKeyword.Support;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** Holds the manual page of the server's configuration and the table of keywords together. */
class ServerManualTest {

    /** The tests of a module run in its directory. */
    private static final Path PAGE = Path.of("../docs/man/holdfast-sshd_config.5");

    private static List<String> page = List.of();

    @BeforeAll
    static void read() throws IOException {
        page = Files.readAllLines(PAGE);
    }

    @Test
    void each_keyword_is_listed_once_and_under_what_becomes_of_it() {
        assertThat(listed("AS IN SSHD_CONFIG")).isEqualTo(names(Support.BUILT));
        assertThat(listed("ACCEPTED WITHOUT EFFECT")).isEqualTo(names(Support.ACCEPTED));
        assertThat(listed("ABOUT WHAT IS NOT THERE")).isEqualTo(names(Support.MOOT));
        assertThat(listed("REFUSED")).isEqualTo(names(Support.REFUSED));
        assertThat(listed("OLD"))
                .isEqualTo(names(Support.IGNORED, Support.DEPRECATED, Support.UNSUPPORTED));
    }

    @Test
    void each_keyword_of_our_own_is_explained() {
        List<String> told = new ArrayList<>();
        for (String line : section("OUR OWN KEYWORDS")) {
            if (line.startsWith(".It Cm ")) {
                told.add(line.substring(".It Cm ".length()));
            }
        }
        List<String> ours = new ArrayList<>();
        for (ServerKeyword keyword : ServerKeyword.values()) {
            if (keyword.isOurs()) {
                ours.add(keyword.spelled());
            }
        }
        assertThat(told).isEqualTo(ours);
    }

    @Test
    void the_defaults_of_our_own_keywords_are_those_it_tells() throws ConfigException {
        ServerSettings settings = ServerConfig.of(List.of()).global();
        assertThat(settings.tether()).isTrue();
        assertThat(settings.tetherHold().toHours()).isEqualTo(24);
        assertThat(settings.tetherBuffer()).isEqualTo(4 << 20);
        assertThat(settings.tetherMax()).isEqualTo(10_000);
        assertThat(settings.tetherMaxPerUser()).isEqualTo(100);
        assertThat(page)
                .contains(
                        "The default is 24 hours.",
                        "The default is 4M.",
                        "The default is 10000.",
                        "The default is 100.");
        assertThat(settings.tcpKeepAliveIdle()).isNull();
        assertThat(page).contains(".Li " + MatchLine.RELEASE + " .");
    }

    /** The names of keywords with this fate, ours left out, in the order of the alphabet. */
    private static List<String> names(Support first, Support... more) {
        Set<Support> fates = EnumSet.of(first, more);
        List<String> names = new ArrayList<>();
        for (ServerKeyword keyword : ServerKeyword.values()) {
            if (fates.contains(keyword.support()) && !keyword.isOurs()) {
                names.add(keyword.spelled());
            }
        }
        names.sort(String.CASE_INSENSITIVE_ORDER);
        return names;
    }

    /** The list of a section: from its first {@code .Cm} to the one that a full stop follows. */
    private static List<String> listed(String title) {
        List<String> names = new ArrayList<>();
        for (String line : section(title)) {
            if (!line.startsWith(".Cm ")) {
                continue;
            }
            String[] words = line.split(" ", -1);
            names.add(words[1]);
            if (words[words.length - 1].equals(".")) {
                return names;
            }
        }
        throw new AssertionError("no end of the list of " + title);
    }

    private static List<String> section(String title) {
        int from = page.indexOf(".Sh " + title);
        assertThat(from).as("section " + title).isNotNegative();
        int to = from + 1;
        while (to < page.size() && !page.get(to).startsWith(".Sh ")) {
            to++;
        }
        return page.subList(from + 1, to);
    }
}
