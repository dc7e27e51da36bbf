package holdfast.lab.middlebox;

import holdfast.core.time.Moment;
import java.util.Map;

/**
 * One flow is dead while the path is well: packets of it vanish in both directions, a new
 * connection works. A wedged proxy leg, an ECMP path whose next hop went away, a lost table entry.
 *
 * @param deaths when each flow dies; others die only when killed by hand
 */
public record FlowDeath(Map<Flow, Moment> deaths) implements Middlebox<FlowDeath.Fate> {

    /** When one flow dies, and by what. */
    public record Fate(Moment at, boolean killed) {}

    public FlowDeath {
        deaths = Map.copyOf(deaths);
    }

    public static FlowDeath of(Flow flow, Moment at) {
        return new FlowDeath(Map.of(flow, at));
    }

    /** Only when killed by hand. */
    public static FlowDeath byHand() {
        return new FlowDeath(Map.of());
    }

    @Override
    public String name() {
        return "flow death";
    }

    @Override
    public Scope scope() {
        return Scope.FLOW;
    }

    @Override
    public Fate start(Flow flow) {
        return new Fate(deaths.getOrDefault(flow, Moment.NEVER), false);
    }

    @Override
    public Turn<Fate> on(Fate fate, Event event, Moment now) {
        return switch (event) {
            case Packet _ ->
                    fate.killed || !now.isBefore(fate.at)
                            ? new Turn<>(fate, new Verdict.Drop("flow is dead"))
                            : Turn.pass(fate);
            case Event.Kill _ -> Turn.quiet(new Fate(fate.at, true));
            case Event.TimePassed _, Event.ByHand _ -> Turn.quiet(fate);
        };
    }
}
