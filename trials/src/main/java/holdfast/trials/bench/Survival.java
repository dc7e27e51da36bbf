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
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

/**
 * What a connection survives, in a real kernel's NAT: every trouble, every setting, OpenSSH's
 * client and ours, and ours with a tether. Writes {@code docs/survival.md}. {@code --parallel N}
 * (24) cells at a time, which mostly wait; {@code --only D,R} prints a page of some troubles
 * instead; {@code --again} writes the page anew from what the kernel said last time; {@code
 * --tether} asks the kernel for the tether's column alone, and takes the rest from last time.
 */
final class Survival {

    private Survival() {}

    static void run(Options options) throws IOException, InterruptedException {
        Path target = Client.checkout().resolve("trials").resolve("target");
        Path kept = target.resolve("survival.tsv");
        Path keptTether = target.resolve("survival-tether.tsv");
        List<String> only = options.list("--only", List.of());
        boolean again = options.words().contains("--again");
        boolean tetherOnly = options.words().contains("--tether");
        Fates fates =
                again || tetherOnly
                        ? Fates.of(kept)
                        : inTheKernel(only, options.number("--parallel", 24));
        TetherFates tethered = again ? TetherFates.of(keptTether) : TetherFates.inTheKernel(only);
        String page = new SurvivalPage(fates, tethered).text();
        if (!only.isEmpty()) {
            System.out.print(page);
            return;
        }
        fates.keep(kept);
        tethered.keep(keptTether);
        Path file = Client.checkout().resolve("docs").resolve("survival.md");
        Files.createDirectories(file.getParent());
        Files.writeString(file, page);
        System.out.println(
                "survival: "
                        + (fates.of().size() + tethered.of().size())
                        + " connections, written to docs/survival.md");
    }

    private static Fates inTheKernel(List<String> only, int parallel)
            throws IOException, InterruptedException {
        NatLab.impossible()
                .ifPresent(reason -> {
                    throw new IllegalArgumentException(reason);
                });
        List<Cell> cells = cells(only);
        if (cells.isEmpty()) {
            throw new IllegalArgumentException("--only: no such trouble: " + only);
        }
        Client holdfast = Client.holdfast().warm();
        Client openSsh = Client.reference();
        long start = System.nanoTime();
        Map<Cell, Cell.Fate> fates = new LinkedHashMap<>();
        try (ExecutorService pool = Executors.newFixedThreadPool(parallel)) {
            List<Future<Cell.Fate>> running = new ArrayList<>();
            for (Cell cell : cells) {
                running.add(pool.submit(lived(cell, cell.holdfast() ? holdfast : openSsh)));
            }
            for (int i = 0; i < cells.size(); i++) {
                fates.put(cells.get(i), running.get(i).get());
            }
        } catch (ExecutionException e) {
            throw new AssertionError(String.valueOf(e.getCause()), e);
        }
        Duration took = Duration.ofNanos(System.nanoTime() - start);
        return new Fates(fates, took, Machine.described());
    }

    /** Twice at most: a machine so busy that a login takes 40 s says nothing about the cell. */
    private static Callable<Cell.Fate> lived(Cell cell, Client client) {
        return () -> {
            Cell.Fate fate;
            try {
                fate = cell.run(client);
            } catch (AssertionError e) {
                System.err.println("survival: again: " + cell + ": " + e.getMessage());
                fate = cell.run(client);
            }
            System.err.println("survival: " + cell + ": " + fate.outcome());
            return fate;
        };
    }

    private static List<Cell> cells(List<String> only) {
        List<Cell> cells = new ArrayList<>();
        for (Trouble trouble : Trouble.values()) {
            if (!only.isEmpty() && !only.contains(trouble.name)) {
                continue;
            }
            for (Cell.Setting setting : Cell.Setting.values()) {
                for (boolean serverFirst : new boolean[] {false, true}) {
                    for (boolean holdfast : new boolean[] {false, true}) {
                        cells.add(new Cell(trouble, setting, serverFirst, holdfast));
                    }
                }
            }
        }
        return cells;
    }
}
