package holdfast.trials.bench;

import holdfast.trials.harness.NatLab;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;

/**
 * What a tether is for, all of it at once, in a kernel's NAT: on one connection a shell that
 * counts, an sftp copy, questions and answers through -L and an agent forwarded to the far end,
 * while the NAT forgets, the client's address changes, the path is gone for ten seconds and for ten
 * minutes, somebody sends resets, the client is stopped for five minutes, and two hundred cuts fall
 * at random moments. Then the same troubles for what others use. Needs root.
 *
 * <p>{@code --gigabytes N} (4) or {@code --megabytes N}: the file that is copied there and back;
 * {@code --cuts N} (200), {@code --outage S} (600), {@code --pause S} (300), {@code --rounds N} (3)
 * of the short troubles, {@code --ends ours,stock} (both; or none), {@code --others yes|no} (yes),
 * {@code --seed N}.
 */
final class Outlive {

    /** The promise: the median time from the path's return to the first byte. */
    private static final Duration MEDIAN_BOUND = Duration.ofSeconds(1);

    /** And the longest. */
    private static final Duration WORST_BOUND = Duration.ofSeconds(3);

    /** What one cut takes with the pause before it, roughly: so long the copy must last. */
    private static final double SECONDS_A_CUT = 2.4;

    /**
     * How much of what.
     *
     * @param bytes of the file that is copied
     * @param cuts at random moments
     * @param outage how long the longest time without a path
     * @param pause how long the client is stopped
     * @param rounds of the short troubles
     */
    record Plan(long bytes, int cuts, Duration outage, Duration pause, int rounds) {

        /** For sftp's own limit: so that a copy there and one back see all the cuts. */
        int kilobitsASecond() {
            double seconds = cuts * SECONDS_A_CUT + rounds * 12 + 20;
            return (int) Math.max(1000, bytes * 2 * 8 / seconds / 1000);
        }
    }

    private Outlive() {}

    static void run(Options options) throws IOException, InterruptedException {
        NatLab.impossible()
                .ifPresent(reason -> {
                    throw new IllegalArgumentException(reason);
                });
        long megabytes = options.number("--megabytes", 1000 * options.number("--gigabytes", 4));
        Plan plan =
                new Plan(
                        megabytes * 1_000_000L,
                        options.number("--cuts", 200),
                        Duration.ofSeconds(options.number("--outage", 600)),
                        Duration.ofSeconds(options.number("--pause", 300)),
                        options.number("--rounds", 3));
        int seed = options.number("--seed", (int) (System.nanoTime() & 0x3fffffff));
        System.out.println("seed " + seed + " (--seed " + seed + " cuts at the same moments)");
        List<String> figures = new ArrayList<>();
        boolean held = true;
        for (String ends : options.list("--ends", List.of("ours", "stock"))) {
            if (ends.equals("none")) {
                continue;
            }
            Outlived outlived =
                    switch (ends) {
                        case "ours" -> Outlived.of(false, plan, seed);
                        case "stock" -> Outlived.of(true, plan, seed);
                        default ->
                                throw new IllegalArgumentException(
                                        "--ends: ours or stock, not " + ends);
                    };
            figures.add(figure(ends, outlived));
            held &= outlived.median().compareTo(MEDIAN_BOUND) < 0;
            held &= outlived.worst().compareTo(WORST_BOUND) < 0;
        }
        if (!options.list("--others", List.of("yes")).contains("no")) {
            Others.run(plan);
        }
        if (figures.isEmpty()) {
            return;
        }
        figures.forEach(System.out::println);
        System.out.println(
                "outlive: every byte right, every program alive, nothing left on the server;"
                        + " bounds of "
                        + Cell.seconds(MEDIAN_BOUND)
                        + " and "
                        + Cell.seconds(WORST_BOUND)
                        + (held ? " held" : " NOT held"));
    }

    private static String figure(String ends, Outlived outlived) {
        System.out.println();
        System.out.println(
                ends.equals("ours")
                        ? "holdfast ssh to holdfast sshd"
                        : "ssh to sshd, by holdfast tether --connect and --listen");
        System.out.println();
        System.out.println("| trouble | times | median | worst |");
        System.out.println("|---|---|---|---|");
        Map<String, List<Duration>> by = new LinkedHashMap<>();
        outlived.back()
                .forEach(back ->
                        by.computeIfAbsent(back.what(), what -> new ArrayList<>())
                                .add(back.took()));
        by.forEach((what, times) ->
                System.out.printf(
                        "| %s | %d | %s | %s |%n",
                        what,
                        times.size(),
                        seconds(Outlived.median(times)),
                        seconds(Outlived.worst(times))));
        System.out.println();
        System.out.println(outlived.report());
        System.out.println();
        return "outlive, %s: path back to first byte: median %s, worst %s of %d"
                .formatted(
                        ends,
                        seconds(outlived.median()),
                        seconds(outlived.worst()),
                        outlived.back().size());
    }

    static String seconds(Duration time) {
        return "%.2f s".formatted(time.toMillis() / 1000.0);
    }

    /** Fills a file with random bytes of a seed. */
    static void fill(Path file, long seed, long length) throws IOException {
        SplittableRandom random = new SplittableRandom(seed);
        byte[] some = new byte[1 << 20];
        try (OutputStream out = Files.newOutputStream(file)) {
            for (long left = length; left > 0; left -= some.length) {
                random.nextBytes(some);
                out.write(some, 0, (int) Math.min(some.length, left));
            }
        }
    }
}
