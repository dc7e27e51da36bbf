package holdfast.lab.sim;

import holdfast.core.time.Moment;
import java.time.Duration;
import java.util.List;

/**
 * What the program of one end says of itself, besides answers and probes.
 *
 * @param pause how long it is silent between two utterances on average; zero: it says nothing by
 *     chance
 * @param burst how many segments one utterance has at most
 * @param script moments at which it says one thing in any case, earliest first
 */
public record Workload(Duration pause, int burst, List<Moment> script) {

    /** Says nothing by itself. */
    public static final Workload IDLE = new Workload(Duration.ZERO, 0, List.of());

    public Workload {
        if (pause.isNegative() || burst < 0) {
            throw new IllegalArgumentException("a pause or burst is not negative");
        }
        script = List.copyOf(script);
    }

    /** Speaks at these moments only. */
    public static Workload at(Moment... script) {
        return new Workload(Duration.ZERO, 0, List.of(script));
    }
}
