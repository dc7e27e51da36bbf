package holdfast.core.liveness;

import java.time.Duration;

/** Why a link is dead. */
public sealed interface Cause {

    /**
     * Keepalives stayed unanswered.
     *
     * @param silence how long nothing had been heard
     * @param probes how many keepalives went unanswered in that time
     */
    record Silent(Duration silence, int probes) implements Cause {}

    /** The link did not open in time; {@code phase} is as far as it came. */
    record NotOpened(Phase phase, Duration after) implements Cause {}

    /** The transport ended by itself; the shell knows its words. */
    record Ended() implements Cause {}
}
