package holdfast.lab.sim;

import holdfast.core.liveness.Cause;
import holdfast.core.time.Moment;
import holdfast.lab.middlebox.End;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What became of a scenario.
 *
 * @param end when both programs were gone, or the scenario's length
 * @param client of the first connection
 * @param server of the first connection
 * @param others what became of those that came after it, in the order in which they were opened
 * @param violations what should never happen and did, earliest first; empty in every good run
 */
public record Run(
        Scenario scenario,
        Moment end,
        Outcome client,
        Outcome server,
        List<Ends> others,
        List<Violation> violations) {

    /** What became of one connection. */
    public record Ends(Outcome client, Outcome server) {}

    /**
     * What became of one end.
     *
     * @param up when it was authenticated; null: never
     * @param died when its program noticed that the connection is dead; null: it thinks it alive
     * @param how what it noticed; null as {@code died}
     * @param cause the decision's own words, where it was the decision that killed it
     * @param keys words typed by the client that were read by this end's program
     * @param lines lines that were read by this end's program
     * @param probes how many probes it sent
     */
    public record Outcome(
            @Nullable Moment up,
            @Nullable Moment died,
            @Nullable How how,
            @Nullable Cause cause,
            int keys,
            int lines,
            int probes) {}

    /** By what an end learns that a connection is over. */
    public enum How {
        /** The decision gave the link up. */
        CONDEMNED,
        /** A RST came. */
        RESET,
        /** The peer, or a box in its name, closed. */
        CLOSED,
        /** The kernel gave up repeating what nobody acknowledged. */
        RETRANSMISSION_GIVEN_UP,
        /** Nobody answered the kernel's own probes. */
        TCP_KEEPALIVE
    }

    /**
     * An invariant that did not hold.
     *
     * @param rule in a few words
     */
    public record Violation(Rule rule, End end, Moment at, String what) {}

    /** What must hold in every run. */
    public enum Rule {
        /** No death is declared while the path delivers within the bound. */
        NO_FALSE_DEATH,
        /** Death comes within the bound when nothing is delivered. */
        DEATH_IN_TIME,
        /** A probe for each interval of silence, and those out of doubt or absence; no more. */
        PROBES_WITHIN_BUDGET,
        /** Every wake-up changes something or asks to be woken later. */
        PROGRESS,
        /** Nothing grows without bound. */
        BOUNDED_MEMORY
    }

    public Run {
        others = List.copyOf(others);
        violations = List.copyOf(violations);
    }

    /** What became of every connection, the first one first. */
    public List<Ends> connections() {
        List<Ends> all = new ArrayList<>(List.of(new Ends(client, server)));
        all.addAll(others);
        return all;
    }
}
