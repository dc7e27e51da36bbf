package holdfast.app;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/** A manual page of docs/man, in mdoc's lines. */
public record Page(List<String> lines) {

    /** The tests of a module run in its directory. */
    public static Page read(String name) throws IOException {
        return new Page(Files.readAllLines(Path.of("../docs/man", name)));
    }

    /** What stands between that headline and the next. */
    public List<String> section(String title) {
        int from = lines.indexOf(".Sh " + title);
        assertThat(from).as("section " + title).isNotNegative();
        int to = from + 1;
        while (to < lines.size() && !lines.get(to).startsWith(".Sh ")) {
            to++;
        }
        return lines.subList(from + 1, to);
    }
}
