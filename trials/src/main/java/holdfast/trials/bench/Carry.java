package holdfast.trials.bench;

import holdfast.trials.harness.Client;
import holdfast.trials.harness.Command;
import holdfast.trials.harness.Ended;
import holdfast.trials.harness.Sshd;
import holdfast.trials.harness.Trees;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.ToDoubleFunction;

/**
 * What a tether costs: bytes each way, and the echo of single keys, between {@code holdfast ssh}
 * and one {@code holdfast sshd}, with {@code Tether=require} and with {@code Tether=no} in
 * alternating pairs. {@code --gigabytes N} (6), {@code --pairs N} (5), {@code --keys N} (1000; 0:
 * none), {@code --cipher NAME}, {@code --markdown}.
 *
 * <p>The clock of a copy runs at the far end, from the start of the program there, so that no login
 * is in it. The first gigabytes, while the client's code is compiled, are told by themselves: the
 * bound is for what a connection carries after them. Keys go to both sessions in turn, each into a
 * quiet connection, as a person's do.
 */
final class Carry {

    /** The least share of the plain connection's speed that the project promises. */
    private static final double BOUND = 0.95;

    /** Of what dd reads and writes at once. */
    private static final int BLOCK = 128 * 1024;

    /** Blocks of a client's first 4 GB. */
    private static final long YOUNG = 4_000_000_000L / BLOCK;

    private static final Duration PATIENCE = Duration.ofMinutes(10);

    /** Between two keys, so that every thread on the way has gone to sleep. */
    private static final int PAUSE_MILLIS = 5;

    /** Not measured: the clients are young. */
    private static final int FIRST_KEYS = 300;

    /**
     * One copy.
     *
     * @param young MB/s of the client's first gigabytes
     * @param speed MB/s after them
     * @param clientCpu seconds of the client's processor time for each gigabyte of all
     * @param serverCpu the same of the server's
     */
    private record Copy(double young, double speed, double clientCpu, double serverCpu) {}

    private final Path directory;
    private final Sshd sshd;
    private final String cipher;

    private Carry(Path directory, Sshd sshd, String cipher) {
        this.directory = directory;
        this.sshd = sshd;
        this.cipher = cipher;
    }

    static void run(Options options) throws IOException, InterruptedException {
        long blocks = options.number("--gigabytes", 6) * 1_000_000_000L / BLOCK;
        int pairs = options.number("--pairs", 5);
        int keys = options.number("--keys", 1000);
        String cipher = options.list("--cipher", List.of("aes256-gcm@openssh.com")).getFirst();
        Client.holdfast().warm();
        Path directory = Files.createTempDirectory("hft");
        List<String> rows = new ArrayList<>();
        StringBuilder figure = new StringBuilder("carry:");
        String keyFigure = "no keys";
        try (Sshd sshd = Sshd.holdfast(directory.resolve("sshd"))) {
            Carry carry = new Carry(directory, sshd, cipher);
            for (boolean down : new boolean[] {true, false}) {
                // A server is there for long: what it compiles for the first is nobody's.
                carry.copy(true, down, 1);
                carry.copy(false, down, 1);
                List<Copy> with = new ArrayList<>();
                List<Copy> without = new ArrayList<>();
                for (int pair = 0; pair < pairs; pair++) {
                    // Either goes first as often as the other.
                    boolean first = pair % 2 == 0;
                    for (boolean tether : new boolean[] {first, !first}) {
                        (tether ? with : without).add(carry.copy(tether, down, blocks));
                    }
                    if (!options.markdown()) {
                        System.out.printf(
                                "%-4s with %s, without %s%n",
                                Bulk.way(down), said(with.getLast()), said(without.getLast()));
                    }
                }
                double ratio = median(with, Copy::speed) / median(without, Copy::speed);
                rows.add(
                        ("| %s | %.0f MB/s | %.0f MB/s | **%.2f** | %.2f | %.2f s, %.2f s | %.2f s,"
                                        + " %.2f s |")
                                .formatted(
                                        Bulk.way(down),
                                        median(with, Copy::speed),
                                        median(without, Copy::speed),
                                        ratio,
                                        BOUND,
                                        median(with, Copy::clientCpu),
                                        median(with, Copy::serverCpu),
                                        median(without, Copy::clientCpu),
                                        median(without, Copy::serverCpu)));
                rows.add(
                        "| young: %s | %.0f MB/s | %.0f MB/s | %.2f | | | |"
                                .formatted(
                                        Bulk.way(down),
                                        median(with, Copy::young),
                                        median(without, Copy::young),
                                        median(with, Copy::young) / median(without, Copy::young)));
                figure.append(" %s %.2f".formatted(Bulk.way(down), ratio));
            }
            if (keys > 0) {
                double[][] micros = carry.keys(keys);
                rows.add(
                        "| key, median | %.0f µs | %.0f µs | **%.2f** | | | |"
                                .formatted(
                                        share(micros[0], 0.5),
                                        share(micros[1], 0.5),
                                        share(micros[0], 0.5) / share(micros[1], 0.5)));
                rows.add(
                        "| key, 99 of 100 | %.0f µs | %.0f µs | **%.2f** | | | |"
                                .formatted(
                                        share(micros[0], 0.99),
                                        share(micros[1], 0.99),
                                        share(micros[0], 0.99) / share(micros[1], 0.99)));
                keyFigure =
                        "a key's echo %.0f µs to %.0f µs (99 of 100: %.0f to %.0f)"
                                .formatted(
                                        share(micros[0], 0.5),
                                        share(micros[1], 0.5),
                                        share(micros[0], 0.99),
                                        share(micros[1], 0.99));
            }
        } finally {
            Trees.remove(directory);
        }
        if (options.markdown()) {
            System.out.println(Machine.described());
        }
        System.out.println();
        System.out.println(
                "| what | with a tether | without | ratio of medians | bound | CPU for a GB with:"
                        + " client, server | CPU without |");
        System.out.println("|---|---|---|---|---|---|---|");
        rows.forEach(System.out::println);
        System.out.println();
        System.out.printf(
                "%s of the plain connection's speed (bound %.2f), %s; %s, %d MB, %d pairs%n",
                figure, BOUND, keyFigure, cipher, blocks * BLOCK / 1_000_000, pairs);
    }

    private static String said(Copy copy) {
        return "%4.0f MB/s (young %.0f; CPU s/GB: client %.2f, server %.2f)"
                .formatted(copy.speed(), copy.young(), copy.clientCpu(), copy.serverCpu());
    }

    private static double median(List<Copy> copies, ToDoubleFunction<Copy> what) {
        return Measured.median(copies.stream().mapToDouble(what).toArray());
    }

    private static double share(double[] values, double share) {
        double[] sorted = values.clone();
        Arrays.sort(sorted);
        return sorted[Math.min(sorted.length - 1, (int) (sorted.length * share))];
    }

    private List<String> client(boolean tether, String... rest) {
        List<String> words = new ArrayList<>(List.of("-c", cipher, "-o"));
        words.add("Tether=" + (tether ? "require" : "no"));
        words.add("-o"); // else what is measured is its grid of 20 ms
        words.add("ObscureKeystrokeTiming=no");
        words.addAll(List.of(rest));
        return sshd.client(Client.holdfast(), words.toArray(String[]::new)).argv();
    }

    private Copy copy(boolean tether, boolean down, long blocks)
            throws IOException, InterruptedException {
        Path report = directory.resolve("time");
        // The client alone is measured: what fills it and empties it are its neighbours.
        String timed = "/usr/bin/time -o " + report + " -f '%U %S' \"$@\"";
        List<String> argv = new ArrayList<>(List.of("sh", "-c"));
        argv.add(
                down
                        ? "exec " + timed + " >/dev/null"
                        : dd("if=/dev/zero", YOUNG + blocks) + " | " + timed);
        argv.add("sh");
        String which = down ? "if=/dev/zero" : "of=/dev/null iflag=fullblock";
        String now = "date +%s%N >&2";
        argv.addAll(
                client(
                        tether,
                        "-T",
                        "trial",
                        String.join("; ", now, dd(which, YOUNG), now, dd(which, blocks), now)));
        double before = cpu(sshd.pid());
        Ended ended = Command.of(argv).end(PATIENCE);
        double here = System.currentTimeMillis() / 1e3;
        double server = cpu(sshd.pid()) - before;
        List<String> stamps = ended.err().lines().toList();
        if (ended.status() != 0 || stamps.size() != 3) {
            throw new AssertionError(argv + " ended with " + ended.status() + ": " + ended.err());
        }
        double from = Long.parseLong(stamps.getFirst()) / 1e9;
        double between = Long.parseLong(stamps.get(1)) / 1e9;
        // Downwards the last byte is there when the client has gone, a moment after.
        double to = down ? here : Long.parseLong(stamps.getLast()) / 1e9;
        String[] times = Files.readAllLines(report).getLast().split(" ", -1);
        double client = Double.parseDouble(times[0]) + Double.parseDouble(times[1]);
        double megabytes = blocks * BLOCK / 1e6;
        double young = YOUNG * BLOCK / 1e6;
        double gigabytes = (megabytes + young) / 1e3;
        return new Copy(
                young / (between - from),
                megabytes / (to - between),
                client / gigabytes,
                server / gigabytes);
    }

    private static String dd(String which, long blocks) {
        return "dd bs=" + BLOCK + " count=" + blocks + " " + which + " 2>/dev/null";
    }

    /** Seconds of processor time that a process has used, without its children. */
    static double cpu(long pid) throws IOException {
        String stat = Files.readString(Path.of("/proc/" + pid + "/stat"));
        String[] fields = stat.substring(stat.lastIndexOf(')') + 2).split(" ", -1);
        // utime and stime, in hundredths of a second (USER_HZ, on every Linux there is).
        return (Long.parseLong(fields[11]) + Long.parseLong(fields[12])) / 100.0;
    }

    /** Microseconds from each key to its echo: with a tether, and without. */
    private double[][] keys(int keys) throws IOException, InterruptedException {
        double[][] micros = new double[2][keys];
        // The terminal echoes; the program reads so that its queue stays empty.
        String program = "stty raw echo; echo ready; exec cat >/dev/null";
        Process with = typed(true, program);
        Process without = typed(false, program);
        try {
            for (Process session : List.of(with, without)) {
                StringBuilder said = new StringBuilder();
                while (!said.toString().contains("ready\n")) {
                    int one = session.getInputStream().read();
                    if (one < 0) {
                        throw new AssertionError("the session ended: " + said);
                    }
                    said.append((char) one);
                }
            }
            for (int i = -FIRST_KEYS; i < keys; i++) {
                for (int which = 0; which < 2; which++) {
                    Process session = which == 0 ? with : without;
                    Thread.sleep(PAUSE_MILLIS);
                    OutputStream in = session.getOutputStream();
                    InputStream out = session.getInputStream();
                    long from = System.nanoTime();
                    in.write('x');
                    in.flush();
                    int echo = out.read();
                    if (echo != 'x') {
                        throw new AssertionError("typed x, and there came " + echo);
                    }
                    if (i >= 0) {
                        micros[which][i] = (System.nanoTime() - from) / 1e3;
                    }
                }
            }
        } finally {
            with.destroy();
            without.destroy();
            with.waitFor();
            without.waitFor();
        }
        return micros;
    }

    private Process typed(boolean tether, String program) throws IOException {
        return new ProcessBuilder(client(tether, "-tt", "trial", program))
                .redirectError(ProcessBuilder.Redirect.DISCARD)
                .start();
    }
}
