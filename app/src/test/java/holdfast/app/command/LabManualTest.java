package holdfast.app.command;

import static org.assertj.core.api.Assertions.assertThat;

import holdfast.app.Page;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** Holds the manual page, the help and the lab itself to the same words. */
class LabManualTest {

    private static Page page = new Page(List.of());

    @BeforeAll
    static void read() throws IOException {
        page = Page.read("holdfast-lab.1");
    }

    @Test
    void every_option_has_one_entry_in_the_order_of_the_code_and_no_other_has() {
        List<String> told = new ArrayList<>();
        for (String line : page.section("DESCRIPTION")) {
            if (line.startsWith(".It Fl -")) {
                told.add(line.split(" ", 4)[2].replaceFirst("^-", "--"));
            }
        }
        assertThat(told).endsWith("--help");
        assertThat(told.subList(0, told.size() - 1)).isEqualTo(LabPlan.OPTIONS);
    }

    @Test
    void the_synopsis_names_every_option_once() {
        List<String> told = new ArrayList<>();
        for (String line : page.section("SYNOPSIS")) {
            Matcher option = Pattern.compile("Fl -(\\S+)").matcher(line);
            while (option.find()) {
                told.add("--" + option.group(1));
            }
        }
        List<String> all = new ArrayList<>(LabPlan.OPTIONS);
        all.add("--help");
        assertThat(told).isEqualTo(all);
    }

    @Test
    void the_help_names_every_option_and_no_other() {
        TreeSet<String> told = new TreeSet<>();
        Matcher option = Pattern.compile("(?<![\\w-])--[a-z-]+").matcher(options(Lab.USAGE));
        while (option.find()) {
            told.add(option.group());
        }
        TreeSet<String> all = new TreeSet<>(LabPlan.OPTIONS);
        all.add("--help");
        assertThat(told).isEqualTo(all);
    }

    @Test
    void every_word_that_an_option_takes_is_told_and_taken() throws LabRefusal {
        for (String option : LabPlan.OPTIONS) {
            String choices = choices(option);
            for (String word : choices.isEmpty() ? new String[0] : choices.split(", | or ")) {
                assertThat(entry(option))
                        .as(option + " " + word)
                        .anyMatch(line -> tells(line, word));
                assertThat(plan(option, word)).isNotNull();
            }
        }
    }

    @Test
    void everything_that_a_script_can_do_is_told_and_nothing_else() {
        TreeSet<String> told = new TreeSet<>();
        for (String line : page.section("SCRIPTS")) {
            if (line.startsWith(".It Cm ")) {
                told.add(line.substring(7).replaceFirst(" (Op )?Ar .*| Op Ar .*", ""));
            }
        }
        TreeSet<String> taken = new TreeSet<>();
        for (LabScript.Act act : LabScript.Act.values()) {
            taken.add(act.spelled);
            assertThat(Lab.USAGE).as("help").contains(act.spelled.split(" ", 2)[0]);
        }
        assertThat(told).isEqualTo(taken);
    }

    @Test
    void a_number_may_follow_where_the_page_says_so() {
        for (LabScript.Act act : LabScript.Act.values()) {
            String entry = ".It Cm " + act.spelled + (act.ofOne ? " Op Ar number" : "");
            assertThat(page.section("SCRIPTS")).contains(entry);
        }
    }

    @Test
    void no_line_of_the_help_is_wider_than_a_terminal() {
        assertThat(Lab.USAGE.lines()).allMatch(line -> line.length() <= 80);
    }

    /** What the lab says it expects where a word is none of its words; empty: no set of words. */
    private static String choices(String option) {
        try {
            LabPlan ignored = plan(option, "no-such-word");
            return "";
        } catch (LabRefusal refusal) {
            Matcher expected =
                    Pattern.compile(option + ": expected ([a-z, -]+), got .*")
                            .matcher(String.valueOf(refusal.getMessage()));
            boolean words = expected.matches() && !expected.group(1).startsWith("a ");
            return words ? expected.group(1) : "";
        }
    }

    private static LabPlan plan(String option, String value) throws LabRefusal {
        List<String> all = new ArrayList<>(List.of("--listen=127.0.0.1:0", "--to=127.0.0.1:22"));
        for (String needed : List.of("--idle=30s", "--firewall=1h", "--crowd=1s@1s")) {
            if (!needed.startsWith(option + "=")) {
                all.add(needed);
            }
        }
        all.removeIf(given -> given.startsWith(option + "="));
        all.add(option + "=" + value);
        return LabPlan.parse(all);
    }

    private static String options(String usage) {
        return usage.substring(0, usage.indexOf("Times are written"));
    }

    private static boolean tells(String line, String word) {
        return line.matches("\\.(It )?Cm ((\\S+ )*)?" + Pattern.quote(word) + "( .*)?");
    }

    private static List<String> entry(String option) {
        List<String> lines = page.section("DESCRIPTION");
        int from = 0;
        while (!(lines.get(from) + " ").startsWith(".It Fl " + option.substring(1) + " ")) {
            from++;
        }
        int to = from + 1;
        while (!lines.get(to).startsWith(".It Fl ")) {
            to++;
        }
        return lines.subList(from, to);
    }
}
