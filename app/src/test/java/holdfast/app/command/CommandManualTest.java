package holdfast.app.command;

import static org.assertj.core.api.Assertions.assertThat;

import holdfast.app.Page;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;

/** Holds the pages of the commands that are our own, their help and what they take together. */
class CommandManualTest {

    @Test
    void every_option_of_the_tether_has_one_entry_and_is_in_its_synopsis_and_its_help()
            throws IOException {
        Page page = Page.read("holdfast-tether.1");
        TreeSet<String> taken = new TreeSet<>(Tether.OPTIONS);
        taken.addAll(List.of("-v", "--help"));
        List<String> entries = new ArrayList<>();
        for (String line : page.section("DESCRIPTION")) {
            if (line.startsWith(".It Fl ")) {
                entries.addAll(flags(line));
            }
        }
        assertThat(entries).containsExactlyInAnyOrderElementsOf(taken);
        TreeSet<String> synopsis = new TreeSet<>();
        page.section("SYNOPSIS").forEach(line -> synopsis.addAll(flags(line)));
        assertThat(synopsis).isEqualTo(taken);
        TreeSet<String> help = new TreeSet<>();
        Tether.USAGE
                .lines()
                .filter(line -> line.startsWith("  -"))
                .forEach(line -> help.add(line.strip().split(" ", 2)[0]));
        assertThat(help).isEqualTo(taken);
    }

    @Test
    void the_defaults_of_the_tether_are_the_same_in_the_page_and_in_the_help() throws IOException {
        String page = String.join(" ", Page.read("holdfast-tether.1").lines());
        for (String option : List.of("--hold", "--buffer", "--most")) {
            Matcher told = Pattern.compile(option + " (\\w+) ").matcher(Tether.USAGE);
            assertThat(told.find()).as(option).isTrue();
            assertThat(page).contains(told.group(1) + " if nothing is said");
        }
    }

    @Test
    void what_a_running_server_can_be_asked_is_in_the_page_and_in_the_help() throws IOException {
        TreeSet<String> told = new TreeSet<>();
        String command = "";
        for (String line : Page.read("holdfast-sshd.1").section("SYNOPSIS")) {
            if (line.startsWith(".Cm ")) {
                command = line.substring(".Cm ".length());
                told.add(command);
            } else if (!command.isEmpty()) {
                for (String flag : flags(line)) {
                    told.add(command + " " + flag);
                }
            }
        }
        TreeSet<String> help = new TreeSet<>();
        for (String line : (SshdStatus.USAGE + Here.USAGE).split("\n", -1)) {
            Matcher usage = Pattern.compile("holdfast sshd (\\S+)(.*)").matcher(line);
            if (usage.find()) {
                help.add(usage.group(1));
                Matcher flag = Pattern.compile("\\[(-\\S+?)[ \\]]").matcher(usage.group(2));
                while (flag.find()) {
                    help.add(usage.group(1) + " " + flag.group(1));
                }
            }
        }
        assertThat(told).isEqualTo(help);
    }

    /** {@code Fl -json} is --json, {@code Fl v} is -v. */
    private static List<String> flags(String line) {
        List<String> flags = new ArrayList<>();
        Matcher flag = Pattern.compile("Fl (\\S+)").matcher(line);
        while (flag.find()) {
            flags.add("-" + flag.group(1));
        }
        return flags;
    }
}
