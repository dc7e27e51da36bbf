package holdfast.trials.bench;

import holdfast.trials.harness.Client;
import holdfast.trials.harness.NatLab;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.jspecify.annotations.Nullable;

/**
 * What the kernel said of sessions with a tether, as {@link Fates} keeps what it said of the
 * others.
 *
 * @param of each session's, in the order of the page
 * @param took all of them
 * @param machine what it ran on
 */
record TetherFates(Map<TetherCell, TetherCell.Fate> of, Duration took, String machine) {

    private static final String NONE = "-";

    /** Few at a time: each has a server of its own, whose start is work. */
    private static final int AT_ONCE = 6;

    /** Asks the kernel; of some troubles, or of all if none is named. */
    static TetherFates inTheKernel(List<String> only) throws IOException, InterruptedException {
        NatLab.impossible()
                .ifPresent(reason -> {
                    throw new IllegalArgumentException(reason);
                });
        Client.holdfast().warm();
        long start = System.nanoTime();
        Map<TetherCell, Future<TetherCell.Fate>> running = new LinkedHashMap<>();
        Map<TetherCell, TetherCell.Fate> fates = new LinkedHashMap<>();
        try (ExecutorService pool = Executors.newFixedThreadPool(AT_ONCE)) {
            for (Trouble trouble : Trouble.values()) {
                if (only.isEmpty() || only.contains(trouble.name)) {
                    for (boolean serverFirst : new boolean[] {false, true}) {
                        TetherCell cell = new TetherCell(trouble, serverFirst);
                        running.put(cell, pool.submit(cell::run));
                    }
                }
            }
            for (Map.Entry<TetherCell, Future<TetherCell.Fate>> entry : running.entrySet()) {
                TetherCell.Fate fate = entry.getValue().get();
                fates.put(entry.getKey(), fate);
                System.err.println("survival: " + entry.getKey() + ": " + fate.text());
            }
        } catch (ExecutionException e) {
            throw new AssertionError(String.valueOf(e.getCause()), e);
        }
        Duration took = Duration.ofNanos(System.nanoTime() - start);
        return new TetherFates(fates, took, Machine.described());
    }

    /** Lines of fields between tabs, the first of the whole run. */
    void keep(Path file) throws IOException {
        List<String> lines = new ArrayList<>();
        lines.add(took.toMillis() + "\t" + machine);
        of.forEach((cell, fate) ->
                lines.add(
                        String.join(
                                "\t",
                                cell.trouble().name(),
                                Boolean.toString(cell.serverFirst()),
                                fate.outcome().name(),
                                millis(fate.arrived()),
                                millis(fate.client()),
                                millis(fate.server()),
                                Integer.toString(fate.connections()),
                                fate.said().replace('\t', ' '))));
        Files.createDirectories(file.getParent());
        Files.write(file, lines);
    }

    /** What {@link #keep} has kept. */
    static TetherFates of(Path file) throws IOException {
        List<String> lines = Files.readAllLines(file);
        Map<TetherCell, TetherCell.Fate> of = new LinkedHashMap<>();
        for (String line : lines.subList(1, lines.size())) {
            String[] field = line.split("\t", -1);
            of.put(
                    new TetherCell(Trouble.valueOf(field[0]), Boolean.parseBoolean(field[1])),
                    new TetherCell.Fate(
                            TetherCell.Outcome.valueOf(field[2]),
                            duration(field[3]),
                            duration(field[4]),
                            duration(field[5]),
                            Integer.parseInt(field[6]),
                            field[7]));
        }
        String[] head = lines.getFirst().split("\t", 2);
        return new TetherFates(of, Duration.ofMillis(Long.parseLong(head[0])), head[1]);
    }

    private static String millis(@Nullable Duration time) {
        return time == null ? NONE : Long.toString(time.toMillis());
    }

    private static @Nullable Duration duration(String field) {
        return field.equals(NONE) ? null : Duration.ofMillis(Long.parseLong(field));
    }
}
