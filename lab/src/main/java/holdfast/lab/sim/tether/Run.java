package holdfast.lab.sim.tether;

import holdfast.core.tether.CarrierState;
import holdfast.core.time.Moment;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What became of one seed.
 *
 * @param end when it was over
 * @param client how the client's end ended; null: it had not
 * @param server likewise
 * @param bytes delivered in both directions
 * @param carriers connections that were made
 * @param lying whether a peer broke the protocol on purpose: then bytes are not counted on
 * @param violations what should never happen and did; empty in every good run
 */
public record Run(
        long seed,
        Moment end,
        CarrierState.@Nullable Ending client,
        CarrierState.@Nullable Ending server,
        long bytes,
        long carriers,
        boolean lying,
        List<World.Violation> violations) {

    /** What must hold in every run. */
    public enum Rule {
        /** What is delivered is what was sent, once, in order. */
        BYTES,
        /** No end keeps more than its buffer and its window. */
        MEMORY,
        /** Honest ends never accuse each other. */
        PROTOCOL,
        /** A request that was not proved never takes a tether. */
        PROOF,
        /** When a path exists long enough, everything arrives. */
        LIVENESS,
        /** A tether ends only for a reason that is true. */
        STATED_REASON,
        /** Every wake-up changes something or asks to be woken later. */
        PROGRESS
    }

    public Run {
        violations = List.copyOf(violations);
    }
}
