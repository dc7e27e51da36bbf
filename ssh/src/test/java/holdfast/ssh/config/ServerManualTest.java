package holdfast.ssh.config;

import static java.util.stream.Collectors.joining;
import static org.assertj.core.api.Assertions.assertThat;

import holdfast.ssh.config.ServerKeyword.Support;
import java.io.IOException;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** Holds the manual pages of the server and what it reads together. */
class ServerManualTest {

    private static Page page = new Page(List.of());

    @BeforeAll
    static void read() throws IOException {
        page = Page.read("holdfast-sshd_config.5");
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
        for (String line : page.section("OUR OWN KEYWORDS")) {
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
        assertThat(page.lines())
                .contains(
                        "The default is 24 hours.",
                        "The default is 4M.",
                        "The default is 10000.",
                        "The default is 100.");
        assertThat(settings.tcpKeepAliveIdle()).isNull();
        assertThat(page.lines()).contains(".Li " + MatchLine.RELEASE + " .");
    }

    @Test
    void the_page_of_the_server_names_every_option_that_its_usage_does() throws IOException {
        TreeSet<String> told = new TreeSet<>();
        for (String line : Page.read("holdfast-sshd.1").section("SYNOPSIS")) {
            if (line.equals(".Cm --here")) {
                break;
            }
            if (line.startsWith(".Op Fl ")) {
                told.add(line.substring(".Op Fl ".length()).replace(" Ar ", " "));
            }
        }
        TreeSet<String> taken = new TreeSet<>();
        Matcher option = Pattern.compile("\\[-([^\\]]+)\\]").matcher(ServerCommandLine.USAGE);
        while (option.find()) {
            taken.add(option.group(1));
        }
        assertThat(told).isEqualTo(taken);
        String letters = taken.stream().map(ServerManualTest::letters).collect(joining());
        for (char letter : ServerCommandLine.OPTIONS.toCharArray()) {
            // These do nothing.
            if (letter != ':' && "bkQRr".indexOf(letter) < 0) {
                assertThat(letters).contains("" + letter);
            }
        }
    }

    /** Of {@code p port} or {@code 46Dd}. */
    private static String letters(String option) {
        return option.split(" ", 2)[0];
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
        for (String line : page.section(title)) {
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
}
