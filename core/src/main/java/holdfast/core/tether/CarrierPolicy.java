package holdfast.core.tether;

import java.time.Duration;

/**
 * How one end treats its carriers.
 *
 * @param dials whether this end brings carriers; a server waits for them
 * @param idle a PING after so much silence; zero: never
 * @param drop a carrier that has not answered for so long is let go; zero: never, it is kept until
 *     it ends by itself or another takes its place
 * @param seed what the jitter is drawn from: different for every tether
 */
public record CarrierPolicy(boolean dials, Duration idle, Duration drop, long seed) {

    public CarrierPolicy {
        if (idle.isNegative() || drop.isNegative()) {
            throw new IllegalArgumentException("negative time");
        }
    }

    /** A client's: a silent carrier is never let go before there is a better one. */
    public static CarrierPolicy client(Duration idle, long seed) {
        return new CarrierPolicy(true, idle, Duration.ZERO, seed);
    }

    /** A server's. */
    public static CarrierPolicy server(Duration idle, Duration drop) {
        return new CarrierPolicy(false, idle, drop, 0);
    }
}
