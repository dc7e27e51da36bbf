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
        Duration silence = interval.multipliedBy(countMax);
        return new LivenessPolicy(
                interval, countMax, openingLimit, silence.isZero() ? null : silence, attended);
    }

    /**
     * How long after the last byte a silent link is dead: (countMax + 1) × interval; null: never.
     */
    public @Nullable Duration deathAfter() {
        return interval.isZero() ? null : interval.multipliedBy(countMax + 1L);
    }
}
