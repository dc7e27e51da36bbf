package holdfast.trials.harness;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.stream.Stream;

/** Directories and all that is in them. */
public final class Trees {

    private Trees() {}

    /** Removes it; what is gone already is no matter, and who still writes there is outlived. */
    public static void remove(Path directory) {
        for (int attempt = 0; attempt < 10 && Files.exists(directory); attempt++) {
            try (Stream<Path> inside = Files.walk(directory)) {
                for (Path path : inside.sorted(Comparator.reverseOrder()).toList()) {
                    Files.deleteIfExists(path);
                }
            } catch (IOException | UncheckedIOException e) {
                // A process that is just ending came or went between the look and the removal.
                try {
                    Thread.sleep(50);
                } catch (InterruptedException interrupted) {
                    Thread.currentThread().interrupt();
                    return;
                }
            }
        }
    }
}
