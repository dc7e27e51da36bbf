package holdfast.trials.bench;

import holdfast.trials.harness.Client;
import holdfast.trials.harness.NatLab;
import java.io.IOException;
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

/**
 * What the kernel said of sessions with a tether, as {@link Fates} keeps what it said of the
 * others.
 *
 * @param of each session's, in the order of the page
 * @param took all of them
 * @param machine what it ran on
 */
record TetherFates(Map<TetherCell, TetherCell.Fate> of, Duration took, String machine) {

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

    void keep(Path file) throws IOException {
        List<List<String>> lines = new ArrayList<>();
        of.forEach((cell, fate) ->
                lines.add(
                        List.of(
                                cell.trouble().name(),
                                Boolean.toString(cell.serverFirst()),
                                fate.outcome().name(),
                                Kept.millis(fate.arrived()),
                                Kept.millis(fate.client()),
                                Kept.millis(fate.server()),
                                Integer.toString(fate.connections()),
                                fate.said())));
        new Kept(took, machine, lines).write(file);
    }

    /** What {@link #keep} has kept. */
    static TetherFates of(Path file) throws IOException {
        Kept kept = Kept.read(file);
        Map<TetherCell, TetherCell.Fate> of = new LinkedHashMap<>();
        for (List<String> field : kept.lines()) {
            of.put(
                    new TetherCell(
                            Trouble.valueOf(field.get(0)), Boolean.parseBoolean(field.get(1))),
                    new TetherCell.Fate(
                            TetherCell.Outcome.valueOf(field.get(2)),
                            Kept.duration(field.get(3)),
                            Kept.duration(field.get(4)),
                            Kept.duration(field.get(5)),
                            Integer.parseInt(field.get(6)),
                            field.get(7)));
        }
        return new TetherFates(of, kept.took(), kept.machine());
    }
}
