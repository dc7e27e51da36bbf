package holdfast.core.liveness;

import java.time.Duration;
import org.jspecify.annotations.Nullable;

/**
 * The settings that a link is judged by.
 *
 * @param interval ServerAliveInterval (or ClientAliveInterval): a probe after this much silence;
 *     zero: never
 * @param countMax ServerAliveCountMax: how many probes may stay unanswered; with 0 the first silent
 *     interval is the end and no probe is ever sent
 * @param openingLimit how long opening may take in all, the person's time not counted; null: no
 *     limit
 * @param openingSilence how long the peer may say nothing while the link opens; null: no limit
 * @param attended whether a person waits at a terminal: then data without an echo is asked after,
 *     with a probe that is not counted, so that doubt rests on something that must be answered
 */
public record LivenessPolicy(
        Duration interval,
        int countMax,
        @Nullable Duration openingLimit,
        @Nullable Duration openingSilence,
        boolean attended) {

    /**
     * Longer than any connection, and still within what a {@link Duration} in nanoseconds holds.
     */
    private static final Duration CENTURY = Duration.ofDays(36_525);

    public LivenessPolicy {
        if (interval.isNegative() || countMax < 0) {
            throw new IllegalArgumentException("negative interval or count");
        }
    }

    /**
     * A client's policy. Before authentication OpenSSH allows interval × countMax of silence and,
     * where either is 0, waits for ever; {@code openingLimit} holds in both cases.
     */
    public static LivenessPolicy client(
            Duration interval, int countMax, Duration openingLimit, boolean attended) {
        Duration silence = times(interval, countMax);
        return new LivenessPolicy(
                interval, countMax, openingLimit, silence.isZero() ? null : silence, attended);
    }

    /**
     * A server's policy. {@code countMax} 0 never ends a connection, as sshd has it since 8.2 (its
     * client ends one at the first silent interval), though it is still asked after.
     *
     * @param grace LoginGraceTime: how long authentication may take; zero: no limit
     */
    public static LivenessPolicy server(Duration interval, int countMax, Duration grace) {
        int count = countMax;
        if (countMax == 0 && !interval.isZero()) {
            count = (int) Math.clamp(CENTURY.dividedBy(interval), 1, Integer.MAX_VALUE - 1L);
        }
        return new LivenessPolicy(interval, count, grace.isZero() ? null : grace, null, false);
    }

    /**
     * How long after the last byte a silent link is dead: (countMax + 1) × interval; null: never.
     */
    public @Nullable Duration deathAfter() {
        return interval.isZero() ? null : intervals(countMax + 1L);
    }

    /** So many intervals. */
    Duration intervals(long count) {
        return times(interval, count);
    }

    /**
     * Not {@link Duration#multipliedBy}, which goes by way of decimal fractions, whose first use
     * costs every start of a client 16 ms. {@code count} is below 2^32.
     */
    private static Duration times(Duration interval, long count) {
        return Duration.ofSeconds(Math.multiplyExact(interval.getSeconds(), count))
                .plusNanos(interval.getNano() * count);
    }
}
