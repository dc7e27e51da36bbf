package holdfast.lab.sim;

import holdfast.lab.middlebox.End;
import java.util.ArrayList;
import java.util.List;

/**
 * Many seeds one after the other, each drawn from the {@link Climate}, run, and held against the
 * invariants.
 */
public final class Simulation {

    /** Failures kept word for word; more are only counted. */
    private static final int MOST_FAILURES = 10;

    /** A seed in which something happened that never should. */
    public record Failure(long seed, List<Run.Violation> violations) {

        /** What repeats exactly this run. */
        public String command() {
            return "trials/bench simulate 1 " + seed;
        }

        @Override
        public String toString() {
            Run.Violation first = violations.getFirst();
            return "seed "
                    + seed
                    + ": "
                    + first.rule()
                    + ": the "
                    + (first.end() == End.CLIENT ? "client" : "server")
                    + " at "
                    + Math.round(first.at().nanos() / 1e6) / 1e3
                    + " s "
                    + first.what()
                    + "; repeat: "
                    + command();
        }
    }

    /**
     * What came of it.
     *
     * @param connections that were opened or tried, several of one seed and anew after a death
     * @param days simulated, from connecting until both ends were gone or the scenario was over
     * @param opened connections of which both ends were authenticated
     * @param condemned links that a decision gave up
     * @param probes sent in all
     * @param failed how many seeds failed
     * @param failures the first of them
     */
    public record Report(
            long seeds,
            long connections,
            double days,
            long opened,
            long condemned,
            long probes,
            long failed,
            List<Failure> failures) {}

    private Simulation() {}

    /** Runs {@code count} seeds from {@code from} on. */
    public static Report run(Climate climate, Decision decision, long from, long count) {
        long connections = 0;
        double days = 0;
        long opened = 0;
        long condemned = 0;
        long probes = 0;
        long failed = 0;
        List<Failure> failures = new ArrayList<>();
        for (long seed = from; seed < from + count; seed++) {
            Run run = World.run(climate.of(seed), decision, World.Watcher.NOBODY);
            days += run.end().nanos() / 86_400e9;
            for (Run.Ends ends : run.connections()) {
                connections++;
                opened += ends.client().up() != null && ends.server().up() != null ? 1 : 0;
                condemned += ends.client().how() == Run.How.CONDEMNED ? 1 : 0;
                condemned += ends.server().how() == Run.How.CONDEMNED ? 1 : 0;
                probes += ends.client().probes() + ends.server().probes();
            }
            if (!run.violations().isEmpty()) {
                failed++;
                if (failures.size() < MOST_FAILURES) {
                    failures.add(new Failure(seed, run.violations()));
                }
            }
        }
        return new Report(
                count, connections, days, opened, condemned, probes, failed, List.copyOf(failures));
    }
}
