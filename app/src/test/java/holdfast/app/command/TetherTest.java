package holdfast.app.command;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.TreeSet;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;

/** What {@code holdfast tether} takes, and that its manual page says so. */
final class TetherTest {

    private static final Pattern IN_USAGE = Pattern.compile("--[a-z]+");
    private static final Pattern IN_MANUAL = Pattern.compile("(?m)^\\.It Fl -([a-z]+)");

    @Test
    void the_manual_page_has_every_option_and_no_other() throws IOException {
        TreeSet<String> usage = new TreeSet<>();
        IN_USAGE.matcher(Tether.USAGE).results().forEach(found -> usage.add(found.group()));
        TreeSet<String> manual = new TreeSet<>();
        IN_MANUAL
                .matcher(Files.readString(Path.of("../docs/man/holdfast-tether.1")))
                .results()
                .forEach(found -> manual.add("--" + found.group(1)));
        assertThat(manual).isEqualTo(usage);
    }

    @Test
    void what_makes_no_sense_is_refused() {
        for (String words :
                List.of(
                        "",
                        "--listen 22",
                        "--connect host",
                        "--connect host:0",
                        "--connect :22",
                        "--connect host:22 --to host:22",
                        "--connect host:22 --listen 22 --to host:22",
                        "--listen 2222 --to host",
                        "--listen x --to host:22",
                        "--connect host:22 --buffer 1K",
                        "--connect host:22 --buffer 64M",
                        "--connect host:22 --hold 0",
                        "--connect host:22 --most 0",
                        "--connect",
                        "--connect host:22 --nonsense 1")) {
            List<String> arguments = words.isEmpty() ? List.of() : List.of(words.split(" ", -1));
            assertThat(Tether.run(arguments)).as(words).isEqualTo(2);
        }
    }
}
