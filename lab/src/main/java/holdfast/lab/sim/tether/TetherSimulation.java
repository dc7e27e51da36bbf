package holdfast.lab.sim.tether;

import holdfast.core.tether.CarrierState;
import java.util.ArrayList;
import java.util.List;

/** Many seeds one after the other, each held against the rules of {@link Run.Rule}. */
public final class TetherSimulation {

    private static final int MOST_FAILURES = 10;

    /** A seed in which something happened that never should. */
    public record Failure(long seed, Run.Rule rule, String what) {

        /** What repeats exactly this run. */
        public String command() {
            return "trials/bench tether 1 " + seed;
        }

        @Override
        public String toString() {
            return "seed " + seed + ": " + rule + ": " + what + "; repeat: " + command();
        }
    }

    /**
     * What came of it.
     *
     * @param bytes delivered
     * @param carriers connections made
     * @param whole runs in which everything arrived and the client left
     * @param ended runs that ended for another stated reason
     */
    public record Report(
            long seeds,
            long bytes,
            long carriers,
            long whole,
            long ended,
            long failed,
            List<Failure> failures) {}

    private TetherSimulation() {}

    /** Runs one seed. */
    public static Run run(long seed, Twist twist) {
        return World.run(seed, twist);
    }

    /** Runs {@code count} seeds from {@code from} on. */
    public static Report run(Twist twist, long from, long count) {
        long bytes = 0;
        long carriers = 0;
        long whole = 0;
        long ended = 0;
        long failed = 0;
        List<Failure> failures = new ArrayList<>();
        for (long seed = from; seed < from + count; seed++) {
            Run run = World.run(seed, twist);
            bytes += run.bytes();
            carriers += run.carriers();
            if (run.client() == CarrierState.Ending.FINISHED) {
                whole++;
            } else {
                ended++;
            }
            if (!run.violations().isEmpty()) {
                failed++;
                if (failures.size() < MOST_FAILURES) {
                    World.Violation first = run.violations().getFirst();
                    failures.add(
                            new Failure(
                                    seed,
                                    first.rule(),
                                    "at "
                                            + Math.round(first.at().nanos() / 1e6) / 1e3
                                            + " s "
                                            + first.what()));
                }
            }
        }
        return new Report(count, bytes, carriers, whole, ended, failed, List.copyOf(failures));
    }
}
