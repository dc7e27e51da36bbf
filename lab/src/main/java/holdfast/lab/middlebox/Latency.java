package holdfast.lab.middlebox;

import holdfast.core.time.Moment;
import java.time.Duration;

/**
 * Every packet takes its time: {@code base} in each direction, and up to {@code jitter} more, by
 * seeded chance. Packets of one flow and direction stay in order.
 */
public record Latency(Duration base, Duration jitter, long seed)
        implements Middlebox<Latency.Line> {

    /**
     * What is remembered of one flow.
     *
     * @param toServer when the last packet to the server arrives
     * @param toClient when the last packet to the client arrives
     */
    public record Line(Dice dice, Moment toServer, Moment toClient) {}

    public Latency {
        if (base.isNegative() || jitter.isNegative()) {
            throw new IllegalArgumentException("latency and jitter are not negative");
        }
    }

    public static Latency of(Duration base) {
        return new Latency(base, Duration.ZERO, 0);
    }

    @Override
    public String name() {
        return "latency";
    }

    @Override
    public Scope scope() {
        return Scope.FLOW;
    }

    @Override
    public Line start(Flow flow) {
        Moment longAgo = new Moment(Long.MIN_VALUE);
        return new Line(Dice.of(seed, flow), longAgo, longAgo);
    }

    @Override
    public Turn<Line> on(Line line, Event event, Moment now) {
        return switch (event) {
            case Packet packet -> delay(line, packet.direction(), now);
            case Event.TimePassed _, Event.ByHand _ -> Turn.quiet(line);
        };
    }

    private Turn<Line> delay(Line line, Direction direction, Moment now) {
        boolean outward = direction == Direction.TO_SERVER;
        long extra = (long) (jitter.toNanos() * line.dice.shows());
        Moment drawn = now.plus(base).plus(Duration.ofNanos(extra));
        Moment arrives = Moment.later(drawn, outward ? line.toServer : line.toClient);
        Line next =
                new Line(
                        line.dice.next(),
                        outward ? arrives : line.toServer,
                        outward ? line.toClient : arrives);
        return new Turn<>(next, new Verdict.Pass(now.until(arrives)));
    }
}
