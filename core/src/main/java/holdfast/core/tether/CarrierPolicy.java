package holdfast.core.tether;

import java.time.Duration;

/**
 * How one end treats its carriers.
 *
 * @param dials whether this end brings carriers; a server waits for them
 * @param soon a PING after so much silence while the program has just been sending or receiving
 * @param idle and after so much when it has been still for long; in between a PING follows after a
 *     quarter of the time for which it has been still. Zero: never
 * @param drop a carrier that has not answered for so long is let go; zero: never, it is kept until
 *     it ends by itself or another takes its place
 * @param seed what the jitter is drawn from: different for every tether
 */
public record CarrierPolicy(boolean dials, Duration soon, Duration idle, Duration drop, long seed) {

    public CarrierPolicy {
        if (soon.isNegative() || soon.compareTo(idle) > 0 || drop.isNegative()) {
            throw new IllegalArgumentException("negative time, or soon later than idle");
        }
    }

    /**
     * With the least patience of two seconds, a path that is lost without a word while somebody is
     * at work is missed in less than three.
     */
    private static final Duration SOON = Duration.ofMillis(750);

    /** Shorter than a NAT forgets (RFC 5382 asks for two hours; some have a minute). */
    private static final Duration IDLE = Duration.ofSeconds(50);

    /**
     * A client's: a silent carrier is never let go before there is a better one.
     *
     * @param interval ServerAliveInterval: a PING at least so often; zero: as often as we think fit
     */
    public static CarrierPolicy client(Duration interval, long seed) {
        Duration idle = interval.isZero() || interval.compareTo(IDLE) > 0 ? IDLE : interval;
        return new CarrierPolicy(
                true, idle.compareTo(SOON) < 0 ? idle : SOON, idle, Duration.ZERO, seed);
    }

    /** A server's. */
    public static CarrierPolicy server(Duration idle, Duration drop) {
        return new CarrierPolicy(false, idle, idle, drop, 0);
    }
}
