package holdfast.lab.middlebox;

import holdfast.core.time.Moment;
import java.util.List;

/**
 * The whole path is dark, in both directions and for every flow: a pulled cable, a tunnel, a router
 * that restarts. In the given spans, and while it is cut by hand.
 */
public record Outage(List<Span> spans) implements Middlebox<Outage.Cable> {

    /** Whether somebody pulled the cable by hand. */
    public record Cable(boolean cut) {}

    public Outage {
        spans = List.copyOf(spans);
    }

    public static Outage during(Span... spans) {
        return new Outage(List.of(spans));
    }

    /** Only when cut by hand. */
    public static Outage byHand() {
        return new Outage(List.of());
    }

    @Override
    public String name() {
        return "outage";
    }

    @Override
    public Scope scope() {
        return Scope.PATH;
    }

    @Override
    public Cable start(Flow flow) {
        return new Cable(false);
    }

    @Override
    public Turn<Cable> on(Cable cable, Event event, Moment now) {
        return switch (event) {
            case Packet _ ->
                    cable.cut || dark(spans, now)
                            ? new Turn<>(cable, new Verdict.Drop("path is down"))
                            : Turn.pass(cable);
            case Event.Cut _ -> Turn.quiet(new Cable(true));
            case Event.Heal _ -> Turn.quiet(new Cable(false));
            case Event.TimePassed _, Event.ByHand _ -> Turn.quiet(cable);
        };
    }

    static boolean dark(List<Span> spans, Moment now) {
        for (Span span : spans) {
            if (span.contains(now)) {
                return true;
            }
        }
        return false;
    }
}
