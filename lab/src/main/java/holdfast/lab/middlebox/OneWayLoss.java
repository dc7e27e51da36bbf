package holdfast.lab.middlebox;

import holdfast.core.time.Moment;
import java.util.List;

/**
 * The path is dark in one direction only, in the given spans and while it is cut by hand: the
 * hardest kind to see.
 */
public record OneWayLoss(Direction direction, List<Span> spans)
        implements Middlebox<OneWayLoss.Cable> {

    /** Whether somebody cut this direction by hand. */
    public record Cable(boolean cut) {}

    public OneWayLoss {
        spans = List.copyOf(spans);
    }

    public static OneWayLoss during(Direction direction, Span... spans) {
        return new OneWayLoss(direction, List.of(spans));
    }

    /** Only when cut by hand. */
    public static OneWayLoss byHand(Direction direction) {
        return new OneWayLoss(direction, List.of());
    }

    @Override
    public String name() {
        return "one-way loss";
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
            case Packet packet ->
                    packet.direction() == direction && (cable.cut || Outage.dark(spans, now))
                            ? new Turn<>(cable, new Verdict.Drop("path is down in this direction"))
                            : Turn.pass(cable);
            case Event.CutOneWay cut when cut.direction() == direction ->
                    Turn.quiet(new Cable(true));
            case Event.Heal _ -> Turn.quiet(new Cable(false));
            case Event.TimePassed _, Event.ByHand _ -> Turn.quiet(cable);
        };
    }
}
