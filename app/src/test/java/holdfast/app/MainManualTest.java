package holdfast.app;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;

/** Holds the manual page of the whole and the program's own help to the same commands. */
class MainManualTest {

    @Test
    void the_page_tells_of_every_command_that_the_help_lists_and_of_no_other() throws IOException {
        Page page = Page.read("holdfast.1");
        TreeSet<String> told = new TreeSet<>();
        for (String line : page.section("DESCRIPTION")) {
            if (line.startsWith(".It Cm ")) {
                told.add(line.substring(".It Cm ".length()));
            }
        }
        TreeSet<String> synopsis = new TreeSet<>();
        for (String line : page.section("SYNOPSIS")) {
            if (line.startsWith(".Cm ")) {
                for (String word : line.substring(".Cm ".length()).split(" [|] ", -1)) {
                    synopsis.add(word);
                }
            }
        }
        TreeSet<String> listed = new TreeSet<>();
        Matcher command = Pattern.compile("^  ([a-z-]+) ", Pattern.MULTILINE).matcher(Main.USAGE);
        while (command.find()) {
            listed.add(command.group(1));
        }
        assertThat(told).isEqualTo(listed);
        assertThat(synopsis).isEqualTo(listed);
    }
}
