package holdfast.lab.middlebox;

import holdfast.core.time.Moment;
import java.util.List;

/** The path is dark in one direction only, in the given spans: the hardest kind to see. */
public record OneWayLoss(Direction direction, List<Span> spans)
        implements Middlebox<OneWayLoss.Nothing> {

    /** There is nothing to remember. */
    public record Nothing() {}

    private static final Nothing NOTHING = new Nothing();

    public OneWayLoss {
        spans = List.copyOf(spans);
    }

    public static OneWayLoss during(Direction direction, Span... spans) {
        return new OneWayLoss(direction, List.of(spans));
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
    public Nothing start(Flow flow) {
        return NOTHING;
    }

    @Override
    public Turn<Nothing> on(Nothing state, Event event, Moment now) {
        return switch (event) {
            case Packet packet ->
                    packet.direction() == direction && Outage.dark(spans, now)
                            ? new Turn<>(state, new Verdict.Drop("path is down in this direction"))
                            : Turn.pass(state);
            case Event.TimePassed _, Event.Forget _, Event.Cut _, Event.Heal _, Event.Kill _ ->
                    Turn.quiet(state);
        };
    }
}
