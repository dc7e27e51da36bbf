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
    private static final long LEAST_PATIENCE = Duration.ofSeconds(2).toNanos();

    /**
     * Above this, lateness is never random loss (at 2 % loss, six lost rounds are one event in
     * 10^8): a person is better told.
     */
    private static final long MOST_PATIENCE = Duration.ofSeconds(5).toNanos();

    /** One retransmission time-out of a path that has just lost a packet. */
    private static final long ONE_RETRANSMISSION = Duration.ofSeconds(1).toNanos();

    // In nanoseconds, since Duration multiplies and divides by way of BigDecimal, and every step of
    // every link asks for the patience.

    /** The estimate after one more reply took {@code sample}. */
    public RoundTrip with(Duration sample) {
        if (equals(UNKNOWN)) {
            return new RoundTrip(sample, Duration.ofNanos(sample.toNanos() / 2));
        }
        long newest = sample.toNanos();
        long srtt = smoothed.toNanos();
        long error = Math.abs(srtt - newest);
        return new RoundTrip(
                Duration.ofNanos((7 * srtt + newest) / 8),
                Duration.ofNanos((3 * variation.toNanos() + error) / 4));
    }

    /**
     * How long an answer may take before the link is in doubt: clamp(3·SRTT + 4·RTTVAR + 1 s, 2 s,
     * 5 s).
     */
    public Duration patience() {
        long late =
                equals(UNKNOWN)
                        ? MOST_PATIENCE
                        : 3 * smoothed.toNanos() + 4 * variation.toNanos() + ONE_RETRANSMISSION;
        return Duration.ofNanos(Math.clamp(late, LEAST_PATIENCE, MOST_PATIENCE));
    }
}
