package holdfast.trials.bench;

import holdfast.trials.harness.Client;
import holdfast.trials.harness.Sshd;
import holdfast.trials.harness.Trees;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/**
 * Many bytes each way with each cipher, alternating with OpenSSH. {@code --gigabytes N} (4), {@code
 * --pairs N} (3), {@code --ciphers A,B}, {@code --markdown}.
 */
final class Bulk {

    private Bulk() {}

    /** The least share of OpenSSH's speed that the project promises, each cipher. */
    private static final Map<String, Double> BOUNDS =
            Map.of(
                    "aes256-gcm@openssh.com", 1.0,
                    "aes128-ctr", 1.0,
                    "chacha20-poly1305@openssh.com", 0.9);

    static final String MAC = "umac-64-etm@openssh.com";

    static void run(Options options) throws IOException, InterruptedException {
        long bytes = options.number("--gigabytes", 4) * 1_000_000_000L;
        int pairs = options.number("--pairs", 3);
        List<String> ciphers =
                options.list(
                        "--ciphers",
                        List.of(
                                "aes256-gcm@openssh.com",
                                "aes128-ctr",
                                "chacha20-poly1305@openssh.com"));
        // One for all, whatever comes first in an installed OpenSSH's or our own list.
        String mac = options.list("--mac", List.of(MAC)).getFirst();
        Client holdfast = Client.underTest();
        Client openSsh = Client.reference();
        Path directory = Files.createTempDirectory("hft");
        List<String> rows = new ArrayList<>();
        StringBuilder figure = new StringBuilder("bulk:");
        try (Sshd sshd = Sshd.start(directory.resolve("sshd"))) {
            for (String cipher : ciphers) {
                for (boolean down : new boolean[] {true, false}) {
                    double[] ours = new double[pairs];
                    double[] theirs = new double[pairs];
                    double[] ratios = new double[pairs];
                    double rss = 0;
                    for (int i = 0; i < pairs; i++) {
                        Measured our = once(directory, sshd, holdfast, cipher, mac, down, bytes);
                        Measured their = once(directory, sshd, openSsh, cipher, mac, down, bytes);
                        ours[i] = bytes / 1e3 / our.wallMillis();
                        theirs[i] = bytes / 1e3 / their.wallMillis();
                        ratios[i] = ours[i] / theirs[i];
                        rss = Math.max(rss, our.rssKib() / 1024.0);
                        if (!options.markdown()) {
                            System.out.printf(
                                    "%-30s %-4s holdfast %5.0f MB/s, ssh %5.0f MB/s%n",
                                    cipher, way(down), ours[i], theirs[i]);
                        }
                    }
                    double ratio = Measured.median(ours) / Measured.median(theirs);
                    rows.add(
                            "| %s | %s | %.0f MB/s | %.0f MB/s | %.2f | %.1f | %.0f MiB |"
                                    .formatted(
                                            cipher,
                                            way(down),
                                            Measured.median(ours),
                                            Measured.median(theirs),
                                            ratio,
                                            BOUNDS.getOrDefault(cipher, 0.9),
                                            rss));
                    figure.append(" %s %s %.2f;".formatted(cipher, way(down), ratio));
                }
            }
        } finally {
            Trees.remove(directory);
        }
        if (options.markdown()) {
            System.out.println(Machine.described());
            System.out.println();
            System.out.println(
                    "| cipher | way | holdfast | OpenSSH | ratio of medians | bound | holdfast's"
                            + " memory |");
            System.out.println("|---|---|---|---|---|---|---|");
            rows.forEach(System.out::println);
            System.out.println();
        }
        System.out.println(
                figure
                        + " times OpenSSH's speed, "
                        + bytes / 1_000_000
                        + " MB, "
                        + pairs
                        + " pairs");
    }

    static Measured once(
            Path directory,
            Sshd sshd,
            Client client,
            String cipher,
            String mac,
            boolean down,
            long bytes,
            String... options)
            throws IOException, InterruptedException {
        List<String> argv = new ArrayList<>();
        // time(1) measures the client alone: the shell execs it, and head is its neighbour.
        String[] words = new String[options.length + 6];
        words[0] = "-c";
        words[1] = cipher;
        words[2] = "-m";
        words[3] = mac;
        System.arraycopy(options, 0, words, 4, options.length);
        words[words.length - 2] = "trial";
        if (down) {
            words[words.length - 1] = "exec head -c " + bytes + " /dev/zero";
            argv.addAll(List.of("sh", "-c", "exec \"$@\" >/dev/null", "sh"));
        } else {
            words[words.length - 1] = "exec cat >/dev/null";
            argv.addAll(List.of("sh", "-c", "head -c " + bytes + " /dev/zero | \"$@\"", "sh"));
        }
        argv.addAll(sshd.client(client, words).argv());
        return Measured.of(directory, argv, Duration.ofMinutes(10))
                .whole(client.argv() + " " + cipher + " " + way(down));
    }

    static String way(boolean down) {
        return down ? "down" : "up";
    }
}
