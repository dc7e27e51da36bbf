package holdfast.trials.bench;

import holdfast.trials.harness.Client;
import holdfast.trials.harness.Sshd;
import holdfast.trials.harness.Trees;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;

/**
 * Connect, run {@code true}, leave: whole processes in alternating pairs, one sshd, the same key
 * and algorithms. {@code --pairs N} (31), {@code --markdown}.
 */
final class Startup {

    private Startup() {}

    /** The bound that the project sets itself: Holdfast's median over OpenSSH's. */
    private static final double BOUND = 1.3;

    static void run(Options options) throws IOException, InterruptedException {
        int pairs = options.number("--pairs", 31);
        Client holdfast = Client.underTest();
        Client openSsh = Client.reference();
        Path directory = Files.createTempDirectory("hft");
        try (Sshd sshd = Sshd.start(directory.resolve("sshd"))) {
            // The first runs of either pay for cold caches that nobody asks about.
            for (int i = 0; i < 3; i++) {
                once(directory, sshd, holdfast);
                once(directory, sshd, openSsh);
            }
            List<Measured> ours = new ArrayList<>();
            List<Measured> theirs = new ArrayList<>();
            for (int i = 0; i < pairs; i++) {
                // Who goes first changes, so that neither always runs in the other's wake.
                if (i % 2 == 0) {
                    ours.add(once(directory, sshd, holdfast));
                    theirs.add(once(directory, sshd, openSsh));
                } else {
                    theirs.add(once(directory, sshd, openSsh));
                    ours.add(once(directory, sshd, holdfast));
                }
            }
            report(options, pairs, ours, theirs);
        } finally {
            Trees.remove(directory);
        }
    }

    private static Measured once(Path directory, Sshd sshd, Client client)
            throws IOException, InterruptedException {
        return Measured.of(
                        directory,
                        sshd.client(client, "trial", "true").argv(),
                        Duration.ofSeconds(30))
                .whole(client.argv().toString());
    }

    private static void report(
            Options options, int pairs, List<Measured> ours, List<Measured> theirs)
            throws IOException, InterruptedException {
        double ourWall = median(ours, Measured::wallMillis);
        double theirWall = median(theirs, Measured::wallMillis);
        if (options.markdown()) {
            System.out.println(Machine.described());
            System.out.println();
            System.out.println("| client | median | least | most | CPU | memory |");
            System.out.println("|---|---|---|---|---|---|");
            row("`holdfast ssh host true`", ours);
            row("`ssh host true`", theirs);
            System.out.println();
        } else {
            for (int i = 0; i < pairs; i++) {
                System.out.printf(
                        "pair %2d: holdfast %6.1f ms, ssh %6.1f ms%n",
                        i + 1, ours.get(i).wallMillis(), theirs.get(i).wallMillis());
            }
            summary("holdfast", ours);
            summary("ssh", theirs);
        }
        System.out.printf(
                "startup: %.2f times OpenSSH's median over %d pairs (bound %.1f): %.0f ms to %.0f ms%n",
                ourWall / theirWall, pairs, BOUND, ourWall, theirWall);
    }

    private static void row(String name, List<Measured> runs) {
        System.out.printf(
                "| %s | %.0f ms | %.0f ms | %.0f ms | %.0f ms | %.0f MiB |%n",
                name,
                median(runs, Measured::wallMillis),
                runs.stream().mapToDouble(Measured::wallMillis).min().orElse(0),
                runs.stream().mapToDouble(Measured::wallMillis).max().orElse(0),
                median(runs, Measured::cpuMillis),
                median(runs, run -> run.rssKib() / 1024.0));
    }

    private static void summary(String name, List<Measured> runs) {
        System.out.printf(
                "%-8s median %.1f ms, CPU %.0f ms, memory %.0f MiB%n",
                name,
                median(runs, Measured::wallMillis),
                median(runs, Measured::cpuMillis),
                median(runs, run -> run.rssKib() / 1024.0));
    }

    private static double median(
            List<Measured> runs, java.util.function.ToDoubleFunction<Measured> of) {
        return Measured.median(runs.stream().mapToDouble(of).toArray());
    }
}
