package holdfast.trials.harness;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.List;

/** Programs that clean up: what they say and how they end is no part of a trial. */
public final class Quietly {

    private Quietly() {}

    /** Runs it to its end. */
    public static void run(List<String> words) {
        try {
            new ProcessBuilder(words)
                    .redirectErrorStream(true)
                    .redirectOutput(ProcessBuilder.Redirect.DISCARD)
                    .start()
                    .waitFor();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }
}
