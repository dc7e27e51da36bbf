package holdfast.trials.harness;

import java.time.Duration;

/**
 * A process that has ended.
 *
 * @param status its exit status, or 128 + the signal that killed it
 * @param out its standard output; empty if that went elsewhere
 * @param err its standard error; empty if that went elsewhere
 * @param took from its start to its end
 * @param endedAt {@link System#nanoTime} of its end
 */
public record Ended(int status, String out, String err, Duration took, long endedAt) {

    /** How long after an instant of {@link System#nanoTime} it ended. */
    public Duration after(long instant) {
        return Duration.ofNanos(endedAt - instant);
    }

    /** Its standard error with the line ends of a raw terminal made plain. */
    public String errLines() {
        return err.replace("\r\n", "\n");
    }
}
