package holdfast.trials.bench;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * What the kernel said on one day, kept in a file so that the page can be written anew when the
 * model has been mended.
 *
 * @param of each connection's, in the order of the page
 * @param took the whole matrix
 * @param machine what it ran on
 */
record Fates(Map<Cell, Cell.Fate> of, Duration took, String machine) {

    private static final String NONE = "-";

    /** Lines of fields between tabs, the first of the whole run. */
    void keep(Path file) throws IOException {
        List<String> lines = new ArrayList<>();
        lines.add(took.toMillis() + "\t" + machine);
        of.forEach((cell, fate) ->
                lines.add(
                        String.join(
                                "\t",
                                cell.trouble().name(),
                                cell.setting().name(),
                                Boolean.toString(cell.serverFirst()),
                                Boolean.toString(cell.holdfast()),
                                fate.outcome().name(),
                                millis(fate.arrived()),
                                millis(fate.client()),
                                millis(fate.server()),
                                Integer.toString(fate.status()),
                                fate.clientSaid().replace('\t', ' '),
                                fate.serverSaid().replace('\t', ' '))));
        Files.createDirectories(file.getParent());
        Files.write(file, lines);
    }

    /** What {@link #keep} has kept. */
    static Fates of(Path file) throws IOException {
        List<String> lines = Files.readAllLines(file);
        Map<Cell, Cell.Fate> of = new LinkedHashMap<>();
        for (String line : lines.subList(1, lines.size())) {
            String[] field = line.split("\t", -1);
            of.put(
                    new Cell(
                            Trouble.valueOf(field[0]),
                            Cell.Setting.valueOf(field[1]),
                            Boolean.parseBoolean(field[2]),
                            Boolean.parseBoolean(field[3])),
                    new Cell.Fate(
                            Cell.Outcome.valueOf(field[4]),
                            duration(field[5]),
                            duration(field[6]),
                            duration(field[7]),
                            Integer.parseInt(field[8]),
                            field[9],
                            field[10]));
        }
        String[] head = lines.getFirst().split("\t", 2);
        return new Fates(of, Duration.ofMillis(Long.parseLong(head[0])), head[1]);
    }

    private static String millis(@Nullable Duration time) {
        return time == null ? NONE : Long.toString(time.toMillis());
    }

    private static @Nullable Duration duration(String field) {
        return field.equals(NONE) ? null : Duration.ofMillis(Long.parseLong(field));
    }
}
