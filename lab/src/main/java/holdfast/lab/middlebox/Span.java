package holdfast.lab.middlebox;

import holdfast.core.time.Moment;
import java.time.Duration;

/**
 * A stretch of time, its first moment included and its last not.
 *
 * @param to {@link Moment#NEVER}: it does not end
 */
public record Span(Moment from, Moment to) {

    public Span {
        if (!from.isBefore(to)) {
            throw new IllegalArgumentException("a span ends after it begins");
        }
    }

    public static Span since(Moment from) {
        return new Span(from, Moment.NEVER);
    }

    public static Span of(Moment from, Duration length) {
        return new Span(from, from.plus(length));
    }

    public boolean contains(Moment now) {
        return !now.isBefore(from) && now.isBefore(to);
    }
}
