package holdfast.trials.bench;

import holdfast.trials.harness.Client;
import holdfast.trials.harness.Sshd;
import holdfast.trials.harness.Trees;
import java.io.IOException;
import java.nio.channels.SocketChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * Forwarded connections, alternating with OpenSSH: bytes through -L, -R and -D, one connection and
 * many at once, each way, and small requests through -L. {@code --megabytes N} (1000) for each,
 * {@code --connections N} (100), {@code --pairs N} (3), {@code --requests N} (2000), {@code
 * --cipher NAME}, {@code --markdown}.
 *
 * <p>Each client of a pair is a process of its own. A forward is there for long, so what a young
 * client does is told by itself and has no bound: its first bytes down and up, one connection, and
 * its first connections with a request. Then come the cases, one after another.
 */
final class Forwards {

    private Forwards() {}

    /** The least share of OpenSSH's speed that the project promises. */
    private static final double SPEED_BOUND = 0.9;

    /** And the most of its time for a small request. */
    private static final double LATENCY_BOUND = 1.2;

    private static final byte[] REQUEST = new byte[64];

    private record Case(Forwarded.Way way, int connections, boolean down) {}

    static void run(Options options) throws IOException, InterruptedException {
        long bytes = options.number("--megabytes", 1000) * 1_000_000L;
        int many = options.number("--connections", 100);
        int pairs = options.number("--pairs", 3);
        int requests = options.number("--requests", 2000);
        String cipher = options.list("--cipher", List.of("aes256-gcm@openssh.com")).getFirst();
        List<Case> cases = new ArrayList<>();
        for (Forwarded.Way way : Forwarded.Way.values()) {
            for (int connections : new int[] {1, many}) {
                cases.add(new Case(way, connections, true));
                cases.add(new Case(way, connections, false));
            }
        }
        double[][] ours = new double[cases.size() + FIGURES][pairs];
        double[][] theirs = new double[cases.size() + FIGURES][pairs];
        Path directory = Files.createTempDirectory("hft");
        try (Sshd sshd = Sshd.start(directory.resolve("sshd"))) {
            for (int pair = 0; pair < pairs; pair++) {
                // Who goes first changes, so that neither always runs in the other's wake.
                for (int turn = 0; turn < 2; turn++) {
                    boolean our = (pair + turn) % 2 == 0;
                    Client client = our ? Client.underTest() : Client.reference();
                    double[] figures = measure(sshd, client, cipher, cases, bytes, requests);
                    for (int i = 0; i < figures.length; i++) {
                        (our ? ours : theirs)[i][pair] = figures[i];
                    }
                    if (!options.markdown()) {
                        System.out.printf(
                                "pair %d, %s: %s%n",
                                pair + 1,
                                our ? "holdfast" : "ssh",
                                Arrays.toString(
                                        Arrays.stream(figures).mapToLong(Math::round).toArray()));
                    }
                }
            }
        } finally {
            Trees.remove(directory);
        }
        report(options, cases, ours, theirs, bytes, pairs);
    }

    /** What is told beside the cases: {@link #OTHERS}. */
    private static final int FIGURES = 5;

    private static final List<String> OTHERS =
            List.of(
                    "-L, request",
                    "-L, connection and request",
                    "young: -L, 1 at once, down",
                    "young: -L, 1 at once, up",
                    "young: -L, connection and request");

    /** MB/s of each case, then {@link #OTHERS}: microseconds of what has a request, else MB/s. */
    private static double[] measure(
            Sshd sshd, Client client, String cipher, List<Case> cases, long bytes, int requests)
            throws IOException, InterruptedException {
        int others = cases.size();
        double[] figures = new double[others + FIGURES];
        try (Forwarded forwarded = new Forwarded(sshd, client, cipher)) {
            figures[others + 2] = forwarded.move(Forwarded.Way.LOCAL, true, 1, bytes);
            figures[others + 3] = forwarded.move(Forwarded.Way.LOCAL, false, 1, bytes);
            figures[others + 4] = connection(forwarded, requests / 4);
            for (int i = 0; i < others; i++) {
                Case one = cases.get(i);
                figures[i] = forwarded.move(one.way(), one.down(), one.connections(), bytes);
            }
            request(forwarded, requests / 2);
            figures[others] = request(forwarded, requests);
            connection(forwarded, requests);
            figures[others + 1] = connection(forwarded, requests);
        }
        return figures;
    }

    /** The median time of a small request over a connection that is there. */
    private static double request(Forwarded forwarded, int requests) throws IOException {
        double[] micros = new double[requests];
        try (SocketChannel socket = forwarded.connect(Forwarded.Way.LOCAL)) {
            Forwarded.ask(socket, Forwarded.ECHO);
            for (int i = 0; i < requests; i++) {
                long from = System.nanoTime();
                Forwarded.echo(socket, REQUEST);
                micros[i] = (System.nanoTime() - from) / 1e3;
            }
        }
        return Measured.median(micros);
    }

    /** The same where each request makes a connection first. */
    private static double connection(Forwarded forwarded, int requests) throws IOException {
        double[] micros = new double[requests];
        for (int i = 0; i < requests; i++) {
            long from = System.nanoTime();
            try (SocketChannel socket = forwarded.connect(Forwarded.Way.LOCAL)) {
                Forwarded.ask(socket, Forwarded.ECHO);
                Forwarded.echo(socket, REQUEST);
            }
            micros[i] = (System.nanoTime() - from) / 1e3;
        }
        return Measured.median(micros);
    }

    private static void report(
            Options options,
            List<Case> cases,
            double[][] ours,
            double[][] theirs,
            long bytes,
            int pairs)
            throws IOException, InterruptedException {
        List<String> rows = new ArrayList<>();
        double least = Double.MAX_VALUE;
        for (int i = 0; i < cases.size() + FIGURES; i++) {
            double our = Measured.median(ours[i]);
            double their = Measured.median(theirs[i]);
            boolean speed = i < cases.size();
            if (speed) {
                least = Math.min(least, our / their);
            }
            String what =
                    speed
                            ? "%s, %d at once, %s"
                                    .formatted(
                                            cases.get(i).way(),
                                            cases.get(i).connections(),
                                            Bulk.way(cases.get(i).down()))
                            : OTHERS.get(i - cases.size());
            boolean time = what.endsWith("request");
            String unit = time ? "µs" : "MB/s";
            String bound = time ? "≤ " + LATENCY_BOUND : "≥ " + SPEED_BOUND;
            rows.add(
                    "| %s | %.0f %s | %.0f %s | %.2f | %s |"
                            .formatted(
                                    what,
                                    our,
                                    unit,
                                    their,
                                    unit,
                                    our / their,
                                    what.startsWith("young") ? "" : bound));
        }
        if (options.markdown()) {
            System.out.println(Machine.described());
            System.out.println();
        }
        System.out.println("| what | holdfast | OpenSSH | ratio of medians | bound |");
        System.out.println("|---|---|---|---|---|");
        rows.forEach(System.out::println);
        System.out.println();
        int at = cases.size();
        System.out.printf(
                "forwards: at least %.2f times OpenSSH's speed (bound %.1f), a request in %.2f"
                        + " times its time, a connection with one in %.2f (bound %.1f); %d MB, %d"
                        + " pairs%n",
                least,
                SPEED_BOUND,
                Measured.median(ours[at]) / Measured.median(theirs[at]),
                Measured.median(ours[at + 1]) / Measured.median(theirs[at + 1]),
                LATENCY_BOUND,
                bytes / 1_000_000,
                pairs);
    }
}
