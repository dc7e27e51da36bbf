package holdfast.lab.middlebox;

import holdfast.core.time.Moment;
import java.time.Duration;
import java.util.List;

/**
 * How the table of a NAT or firewall fills up with other people's connections, and shortens its
 * timers to make room: pf's {@code adaptive.start} and {@code adaptive.end}, Junos's {@code
 * early-ageout}, SonicWall. Part of {@link IdleNat} and {@link StatefulFirewall}.
 *
 * <p>An entry is held against the shorter time as long as the table is crowded, so that one which
 * was idle for longer goes the moment the crowd comes; when the crowd is gone, the full time counts
 * again.
 *
 * @param share what is left of an idle time in a crowd: more than 0, at most 1. Of pf's linear
 *     scale: (end − entries) / (end − start)
 * @param spans when the table is crowded, besides by hand
 */
public record Crowding(double share, List<Span> spans) {

    /** Crowded by hand only: a tenth, as Junos's early-ageout of 20 s makes of a few minutes. */
    public static final Crowding BY_HAND = new Crowding(0.1, List.of());

    public Crowding {
        if (!(share > 0 && share <= 1)) {
            throw new IllegalArgumentException(
                    "of an idle time more than nothing is left and at most all, not " + share);
        }
        spans = List.copyOf(spans);
    }

    public static Crowding during(double share, Span... spans) {
        return new Crowding(share, List.of(spans));
    }

    /**
     * When an entry goes.
     *
     * @param active when it was last refreshed
     * @param timeout how long it may be idle in an uncrowded table
     * @param since since when the table is crowded by hand; {@link Moment#NEVER}: it is not
     * @param step how often the table is searched; zero: always
     */
    Moment expires(Moment active, Duration timeout, Moment since, Duration step) {
        Moment due = round(active.plus(timeout), step);
        if (spans.isEmpty() && since.equals(Moment.NEVER)) {
            return due;
        }
        Moment early = active.plus(Duration.ofNanos((long) (timeout.toNanos() * share)));
        for (Span span : spans) {
            Moment found = round(Moment.later(early, span.from()), step);
            if (span.contains(found)) {
                due = Moment.earlier(due, found);
            }
        }
        return since.equals(Moment.NEVER)
                ? due
                : Moment.earlier(due, round(Moment.later(early, since), step));
    }

    private static Moment round(Moment due, Duration step) {
        long nanos = step.toNanos();
        return nanos == 0 ? due : new Moment(Math.ceilDiv(due.nanos(), nanos) * nanos);
    }
}
