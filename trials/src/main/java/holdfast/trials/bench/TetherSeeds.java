package holdfast.trials.bench;

import holdfast.lab.sim.tether.Run;
import holdfast.lab.sim.tether.TetherSimulation;
import holdfast.lab.sim.tether.TetherSimulation.Failure;
import holdfast.lab.sim.tether.TetherSimulation.Report;
import holdfast.lab.sim.tether.Twist;
import java.util.List;

/** The tether by the thousand of seeds, held against the rules of {@code lab.sim.tether}. */
final class TetherSeeds {

    private static final long SEEDS = 100_000;

    /** How many seeds are run between two lines of progress. */
    private static final long LEG = 10_000;

    private TetherSeeds() {}

    static void run(List<String> words) {
        long count = words.isEmpty() ? SEEDS : number(words.get(0));
        long from = words.size() < 2 ? 1 : number(words.get(1));
        if (words.size() > 2 || count < 1) {
            throw new IllegalArgumentException("tether: expected [SEEDS] [FROM]");
        }
        if (count == 1) {
            Run run = TetherSimulation.run(from, Twist.NONE);
            System.out.println(run);
        }
        long bytes = 0;
        long carriers = 0;
        long whole = 0;
        long ended = 0;
        long failed = 0;
        for (long done = 0; done < count; done += LEG) {
            Report report =
                    TetherSimulation.run(Twist.NONE, from + done, Math.min(LEG, count - done));
            bytes += report.bytes();
            carriers += report.carriers();
            whole += report.whole();
            ended += report.ended();
            failed += report.failed();
            for (Failure failure : report.failures()) {
                System.out.println(failure);
            }
            if (done + LEG < count) {
                System.err.printf("%d of %d seeds%n", done + LEG, count);
            }
        }
        System.out.printf(
                "seeds %d to %d: %.1f MB over %d connections; all arrived in %d, ended for another"
                        + " reason in %d%n",
                from, from + count - 1, bytes / 1e6, carriers, whole, ended);
        System.out.printf("%d of %d seeds broke a rule%n", failed, count);
        if (failed > 0) {
            throw new AssertionError(failed + " of " + count + " seeds broke a rule");
        }
    }

    private static long number(String word) {
        if (word.isEmpty() || word.length() > 18 || !word.chars().allMatch(Character::isDigit)) {
            throw new IllegalArgumentException("tether: expected a number, got " + word);
        }
        return Long.parseLong(word);
    }
}
