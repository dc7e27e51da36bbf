package holdfast.trials.bench;

import holdfast.lab.data.Population;
import holdfast.lab.middlebox.Middlebox;
import holdfast.lab.sim.Climate;
import holdfast.lab.sim.Decision;
import holdfast.lab.sim.Run;
import holdfast.lab.sim.Scenario;
import holdfast.lab.sim.Simulation;
import holdfast.lab.sim.Simulation.Failure;
import holdfast.lab.sim.Simulation.Report;
import holdfast.lab.sim.World;
import java.lang.management.ManagementFactory;
import java.util.List;

/**
 * Simulated days by the thousand, held against the invariants of {@code lab.sim}. One seed alone
 * tells its story.
 */
final class Simulate {

    private static final long SEEDS = 100_000;

    /** How many seeds are run between two lines of progress. */
    private static final long LEG = 10_000;

    private Simulate() {}

    static void run(List<String> words) {
        long count = words.isEmpty() ? SEEDS : number(words.get(0));
        long from = words.size() < 2 ? 1 : number(words.get(1));
        if (words.size() > 2 || count < 1) {
            throw new IllegalArgumentException("simulate: expected [SEEDS] [FROM]");
        }
        Climate climate = new Climate(Population.shipped());
        if (count == 1) {
            tell(climate, from);
        }
        long start = processorTime();
        double days = 0;
        long condemned = 0;
        long probes = 0;
        long failed = 0;
        for (long done = 0; done < count; done += LEG) {
            Report report =
                    Simulation.run(
                            climate, Decision.REAL, from + done, Math.min(LEG, count - done));
            days += report.days();
            condemned += report.condemned();
            probes += report.probes();
            failed += report.failed();
            for (Failure failure : report.failures()) {
                System.out.println(failure);
            }
            if (done + LEG < count) {
                System.err.printf("%d of %d seeds%n", done + LEG, count);
            }
        }
        double seconds = (processorTime() - start) / 1e9;
        System.out.printf(
                "seeds %d to %d: %.0f days, %d links given up, %d probes, %d seeds failed%n",
                from, from + count - 1, days, condemned, probes, failed);
        System.out.printf("%.0f simulated days a second on one core%n", days / seconds);
        if (failed > 0) {
            throw new AssertionError(failed + " of " + count + " seeds broke an invariant");
        }
    }

    private static void tell(Climate climate, long seed) {
        Scenario scenario = climate.of(seed);
        System.out.println("client: " + scenario.client());
        System.out.println("server: " + scenario.server());
        for (Middlebox<?> box : scenario.path()) {
            System.out.println("on the way: " + box);
        }
        scenario.meddlings().forEach(meddling -> System.out.println("by hand: " + meddling));
        Run run =
                World.run(
                        scenario,
                        Decision.REAL,
                        (at, end, event, step) -> {
                            if (!step.commands().isEmpty()) {
                                System.out.printf(
                                        "%.3f %s %s: %s%n",
                                        at.nanos() / 1e9, end, event, step.commands());
                            }
                        });
        System.out.println("client: " + run.client());
        System.out.println("server: " + run.server());
        run.violations().forEach(violation -> System.out.println("broken: " + violation));
    }

    private static long number(String word) {
        if (word.isEmpty() || word.length() > 18 || !word.chars().allMatch(Character::isDigit)) {
            throw new IllegalArgumentException("simulate: expected a number, got " + word);
        }
        return Long.parseLong(word);
    }

    /** The machine may be shared: what one core did is what counts. */
    private static long processorTime() {
        return ManagementFactory.getThreadMXBean().getCurrentThreadCpuTime();
    }
}
