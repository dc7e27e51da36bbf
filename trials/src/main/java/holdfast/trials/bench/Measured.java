package holdfast.trials.bench;

import holdfast.trials.harness.Command;
import holdfast.trials.harness.Ended;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * One run of a whole process.
 *
 * @param status its exit status
 * @param wallMillis from before its start to after its end
 * @param cpuMillis user and system time of it and its children
 * @param rssKib the most memory that it held at once
 * @param err its standard error
 */
record Measured(int status, double wallMillis, double cpuMillis, long rssKib, String err) {

    /** Runs it under time(1), whose own cost is the same for whoever is measured. */
    static Measured of(Path directory, List<String> argv, Duration patience)
            throws IOException, InterruptedException {
        Path report = directory.resolve("time");
        List<String> words =
                new ArrayList<>(
                        List.of("/usr/bin/time", "-o", report.toString(), "-f", "%e %U %S %M"));
        words.addAll(argv);
        Ended ended = Command.of(words).end(patience);
        List<String> lines = Files.readAllLines(report);
        String[] numbers = lines.getLast().split(" ", -1);
        double cpu = Double.parseDouble(numbers[1]) + Double.parseDouble(numbers[2]);
        return new Measured(
                ended.status(),
                ended.took().toNanos() / 1e6,
                cpu * 1000,
                Long.parseLong(numbers[3]),
                ended.err());
    }

    /** Fails the benchmark loudly: a run that did not work has no speed. */
    Measured whole(String what) {
        if (status != 0) {
            throw new AssertionError(what + " ended with " + status + ": " + err);
        }
        return this;
    }

    static double median(double... values) {
        double[] sorted = values.clone();
        Arrays.sort(sorted);
        int middle = sorted.length / 2;
        return sorted.length % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
    }
}
