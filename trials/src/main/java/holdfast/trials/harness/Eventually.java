package holdfast.trials.harness;

import java.time.Duration;
import java.util.concurrent.Callable;

/** Waits for what another process does in its own time. */
public final class Eventually {
    private static final Duration EACH = Duration.ofMillis(20);

    private Eventually() {}

    /** What is asked again and again. */
    @FunctionalInterface
    public interface Condition {
        boolean holds() throws Exception;
    }

    /**
     * Waits until it holds.
     *
     * @param otherwise what to say when it does not; asked only then
     * @throws AssertionError when it does not hold within that time, or cannot be asked
     */
    public static void holds(Duration patience, Condition condition, Callable<?> otherwise)
            throws InterruptedException {
        long deadline = System.nanoTime() + patience.toNanos();
        try {
            while (!condition.holds()) {
                if (System.nanoTime() > deadline) {
                    throw new AssertionError("not within " + patience + ": " + otherwise.call());
                }
                Thread.sleep(EACH);
            }
        } catch (InterruptedException | RuntimeException e) {
            throw e;
        } catch (Exception e) {
            throw new AssertionError(e);
        }
    }
}
