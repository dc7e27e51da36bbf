package holdfast.trials.bench;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * A file of what the kernel said on one day: lines of fields between tabs, the first of the whole
 * run.
 *
 * @param took all of it
 * @param machine what it ran on
 */
record Kept(Duration took, String machine, List<List<String>> lines) {

    private static final String NONE = "-";

    void write(Path file) throws IOException {
        List<String> all = new ArrayList<>();
        all.add(took.toMillis() + "\t" + machine);
        for (List<String> fields : lines) {
            all.add(
                    String.join(
                            "\t", fields.stream().map(field -> field.replace('\t', ' ')).toList()));
        }
        Files.createDirectories(file.getParent());
        Files.write(file, all);
    }

    static Kept read(Path file) throws IOException {
        List<List<String>> lines = new ArrayList<>();
        for (String line : Files.readAllLines(file)) {
            lines.add(List.of(line.split("\t", -1)));
        }
        List<String> head = lines.removeFirst();
        return new Kept(Duration.ofMillis(Long.parseLong(head.get(0))), head.get(1), lines);
    }

    static String millis(@Nullable Duration time) {
        return time == null ? NONE : Long.toString(time.toMillis());
    }

    static @Nullable Duration duration(String field) {
        return field.equals(NONE) ? null : Duration.ofMillis(Long.parseLong(field));
    }
}
