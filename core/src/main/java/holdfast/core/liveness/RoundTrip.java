package holdfast.core.liveness;

import java.time.Duration;

/**
 * What the replies to our probes say of the path: smoothed round trip and its variation (RFC 6298
 * section 2).
 *
 * @param smoothed SRTT; zero while nothing is known
 * @param variation RTTVAR
 */
public record RoundTrip(Duration smoothed, Duration variation) {

    /** No reply has been timed yet. */
    public static final RoundTrip UNKNOWN = new RoundTrip(Duration.ZERO, Duration.ZERO);

    /** Below this, lateness is ordinary jitter, a busy peer or one lost packet. */
    private static final Duration LEAST_PATIENCE = Duration.ofSeconds(2);

    /**
     * Above this, lateness is never random loss (at 2 % loss, six lost rounds are one event in
     * 10^8): a person is better told.
     */
    private static final Duration MOST_PATIENCE = Duration.ofSeconds(5);

    /** One retransmission time-out of a path that has just lost a packet. */
    private static final Duration ONE_RETRANSMISSION = Duration.ofSeconds(1);

    /** The estimate after one more reply took {@code sample}. */
    public RoundTrip with(Duration sample) {
        if (equals(UNKNOWN)) {
            return new RoundTrip(sample, sample.dividedBy(2));
        }
        Duration error = smoothed.minus(sample).abs();
        return new RoundTrip(
                smoothed.multipliedBy(7).plus(sample).dividedBy(8),
                variation.multipliedBy(3).plus(error).dividedBy(4));
    }

    /**
     * How long an answer may take before the link is in doubt: clamp(3·SRTT + 4·RTTVAR + 1 s, 2 s,
     * 5 s).
     */
    public Duration patience() {
        if (equals(UNKNOWN)) {
            return MOST_PATIENCE;
        }
        Duration late =
                smoothed.multipliedBy(3).plus(variation.multipliedBy(4)).plus(ONE_RETRANSMISSION);
        if (late.compareTo(LEAST_PATIENCE) < 0) {
            return LEAST_PATIENCE;
        }
        return late.compareTo(MOST_PATIENCE) > 0 ? MOST_PATIENCE : late;
    }
}
