package holdfast.trials.bench;

import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * What the kernel said on one day, kept in a file so that the page can be written anew when the
 * model has been mended.
 *
 * @param of each connection's, in the order of the page
 * @param took the whole matrix
 * @param machine what it ran on
 */
record Fates(Map<Cell, Cell.Fate> of, Duration took, String machine) {

    void keep(Path file) throws IOException {
        List<List<String>> lines = new ArrayList<>();
        of.forEach((cell, fate) ->
                lines.add(
                        List.of(
                                cell.trouble().name(),
                                cell.setting().name(),
                                Boolean.toString(cell.serverFirst()),
                                Boolean.toString(cell.holdfast()),
                                fate.outcome().name(),
                                Kept.millis(fate.arrived()),
                                Kept.millis(fate.client()),
                                Kept.millis(fate.server()),
                                Integer.toString(fate.status()),
                                fate.clientSaid(),
                                fate.serverSaid())));
        new Kept(took, machine, lines).write(file);
    }

    /** What {@link #keep} has kept. */
    static Fates of(Path file) throws IOException {
        Kept kept = Kept.read(file);
        Map<Cell, Cell.Fate> of = new LinkedHashMap<>();
        for (List<String> field : kept.lines()) {
            of.put(
                    new Cell(
                            Trouble.valueOf(field.get(0)),
                            Cell.Setting.valueOf(field.get(1)),
                            Boolean.parseBoolean(field.get(2)),
                            Boolean.parseBoolean(field.get(3))),
                    new Cell.Fate(
                            Cell.Outcome.valueOf(field.get(4)),
                            Kept.duration(field.get(5)),
                            Kept.duration(field.get(6)),
                            Kept.duration(field.get(7)),
                            Integer.parseInt(field.get(8)),
                            field.get(9),
                            field.get(10)));
        }
        return new Fates(of, kept.took(), kept.machine());
    }
}
