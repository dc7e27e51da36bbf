package holdfast.lab.middlebox;

import holdfast.core.time.Moment;
import java.time.Duration;

/**
 * A line of a given rate with a bounded queue before it, shared by all flows, each direction for
 * itself. What does not fit into the queue is dropped; what waits in it is late.
 *
 * @param bytesPerSecond in each direction; a packet costs 52 bytes (IPv4 and TCP with time stamps)
 *     more than its payload
 * @param queueBytes how much may wait for the line
 */
public record RateLimit(long bytesPerSecond, int queueBytes) implements Middlebox<RateLimit.Line> {

    private static final int HEADER_BYTES = 52;

    /** Until when each direction of the line is taken by what has been queued so far. */
    public record Line(Moment toServer, Moment toClient) {}

    public RateLimit {
        if (bytesPerSecond <= 0 || queueBytes <= 0) {
            throw new IllegalArgumentException("a rate and its queue are positive");
        }
    }

    @Override
    public String name() {
        return "rate limit";
    }

    @Override
    public Scope scope() {
        return Scope.PATH;
    }

    @Override
    public Line start(Flow flow) {
        Moment longAgo = new Moment(Long.MIN_VALUE);
        return new Line(longAgo, longAgo);
    }

    @Override
    public Turn<Line> on(Line line, Event event, Moment now) {
        return switch (event) {
            case Packet packet -> queue(line, packet, now);
            case Event.TimePassed _, Event.ByHand _ -> Turn.quiet(line);
        };
    }

    private Turn<Line> queue(Line line, Packet packet, Moment now) {
        boolean outward = packet.direction() == Direction.TO_SERVER;
        Moment begins = Moment.later(now, outward ? line.toServer : line.toClient);
        int bytes = packet.bytes() + HEADER_BYTES;
        // Whole seconds first: nanoseconds times bytes would overflow.
        Duration wait = now.until(begins);
        double waiting = wait.toNanos() / 1e9 * bytesPerSecond;
        if (!wait.isZero() && waiting + bytes > queueBytes) {
            return new Turn<>(line, new Verdict.Drop("queue is full"));
        }
        Moment sent = begins.plus(Duration.ofNanos((long) (bytes * 1e9 / bytesPerSecond)));
        Line next = new Line(outward ? sent : line.toServer, outward ? line.toClient : sent);
        return new Turn<>(next, new Verdict.Pass(now.until(sent)));
    }
}
