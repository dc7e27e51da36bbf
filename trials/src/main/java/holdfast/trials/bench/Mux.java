package holdfast.trials.bench;

import holdfast.trials.harness.Client;
import holdfast.trials.harness.Command;
import holdfast.trials.harness.Running;
import holdfast.trials.harness.Sshd;
import holdfast.trials.harness.Trees;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;

/**
 * A command over a connection that is shared: OpenSSH's client at a master of ours and at one of
 * OpenSSH's, whole processes in alternating pairs, one sshd. {@code --pairs N} (101), {@code
 * --markdown}.
 */
final class Mux {

    private Mux() {}

    /** The bound that the project sets itself: the median over our master to OpenSSH's. */
    private static final double BOUND = 1.2;

    private static final Duration SOON = Duration.ofSeconds(30);

    /** Until our virtual machine has compiled what a session needs. */
    private static final int WARMING = 100;

    static void run(Options options) throws IOException, InterruptedException {
        int pairs = options.number("--pairs", 101);
        Path directory = Files.createTempDirectory("hft");
        try (Sshd sshd = Sshd.start(directory.resolve("sshd"))) {
            Path ourPath = directory.resolve("ours");
            Path theirPath = directory.resolve("theirs");
            Running ourMaster = master(sshd, Client.underTest(), ourPath);
            Running theirMaster = master(sshd, Client.reference(), theirPath);
            try {
                for (int i = 0; i < WARMING; i++) {
                    once(directory, sshd, ourPath);
                    once(directory, sshd, theirPath);
                }
                List<Double> ours = new ArrayList<>();
                List<Double> theirs = new ArrayList<>();
                for (int i = 0; i < pairs; i++) {
                    // Who goes first changes, so that neither always runs in the other's wake.
                    if (i % 2 == 0) {
                        ours.add(once(directory, sshd, ourPath));
                        theirs.add(once(directory, sshd, theirPath));
                    } else {
                        theirs.add(once(directory, sshd, theirPath));
                        ours.add(once(directory, sshd, ourPath));
                    }
                }
                report(options, pairs, ours, theirs);
            } finally {
                ourMaster.signal("TERM");
                theirMaster.signal("TERM");
                ourMaster.end(SOON);
                theirMaster.end(SOON);
            }
        } finally {
            Trees.remove(directory);
        }
    }

    private static Running master(Sshd sshd, Client client, Path path) throws InterruptedException {
        Running master = sshd.client(client, "-M", "-N", "-S", path.toString(), "trial").start();
        long deadline = System.nanoTime() + SOON.toNanos();
        while (!Files.exists(path)) {
            if (!master.alive() || System.nanoTime() > deadline) {
                master.kill();
                throw new AssertionError("no master: " + master.report());
            }
            Thread.sleep(10);
        }
        return master;
    }

    private static double once(Path directory, Sshd sshd, Path path)
            throws IOException, InterruptedException {
        Command command = sshd.client(Client.reference(), "-S", path.toString(), "trial", "true");
        return Measured.of(directory, command.argv(), SOON).whole(path.toString()).wallMillis();
    }

    private static double median(List<Double> all) {
        return Measured.median(all.stream().mapToDouble(Double::doubleValue).toArray());
    }

    private static void report(Options options, int pairs, List<Double> ours, List<Double> theirs)
            throws IOException, InterruptedException {
        if (options.markdown()) {
            System.out.println(Machine.described());
            System.out.println();
            System.out.println("| master | median | least | most |");
            System.out.println("|---|---|---|---|");
            row("`holdfast ssh -M`", ours);
            row("`ssh -M`", theirs);
            System.out.println();
        } else {
            for (int i = 0; i < pairs; i++) {
                System.out.printf(
                        "pair %3d: holdfast's master %6.1f ms, ssh's %6.1f ms%n",
                        i + 1, ours.get(i), theirs.get(i));
            }
        }
        System.out.printf(
                "mux: %.2f times OpenSSH's median over %d pairs (bound %.1f): %.1f ms to %.1f ms%n",
                median(ours) / median(theirs), pairs, BOUND, median(ours), median(theirs));
    }

    private static void row(String name, List<Double> runs) {
        System.out.printf(
                "| %s | %.1f ms | %.1f ms | %.1f ms |%n",
                name,
                median(runs),
                runs.stream().mapToDouble(Double::doubleValue).min().orElse(0),
                runs.stream().mapToDouble(Double::doubleValue).max().orElse(0));
    }
}
