package holdfast.trials.bench;

import holdfast.trials.harness.Client;
import holdfast.trials.harness.Sshd;
import holdfast.trials.harness.Trees;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * No connection may die of a re-key: both limits at 20 MB, so that both ends ask for new keys at
 * the same moments, and often. {@code --runs N} (12) for each cipher, half of them each way, {@code
 * --megabytes N} (600), {@code --ciphers A,B}, {@code --markdown}.
 */
final class Rekey {

    private Rekey() {}

    static void run(Options options) throws IOException, InterruptedException {
        int runs = options.number("--runs", 12);
        long bytes = options.number("--megabytes", 600) * 1_000_000L;
        List<String> ciphers =
                options.list(
                        "--ciphers",
                        List.of(
                                "aes256-gcm@openssh.com",
                                "aes128-ctr",
                                "chacha20-poly1305@openssh.com"));
        Client holdfast = Client.underTest();
        Path directory = Files.createTempDirectory("hft");
        List<String> rows = new ArrayList<>();
        int survived = 0;
        int all = 0;
        try (Sshd sshd = Sshd.start(directory.resolve("sshd"), "RekeyLimit 20M")) {
            for (String cipher : ciphers) {
                int whole = 0;
                double[] speeds = new double[runs];
                for (int i = 0; i < runs; i++) {
                    boolean down = i % 2 == 0;
                    try {
                        Measured measured =
                                Bulk.once(
                                        directory,
                                        sshd,
                                        holdfast,
                                        cipher,
                                        Bulk.MAC,
                                        down,
                                        bytes,
                                        "-o",
                                        "RekeyLimit=20M",
                                        "-o",
                                        "ServerAliveInterval=15");
                        speeds[i] = bytes / 1e3 / measured.wallMillis();
                        whole++;
                    } catch (AssertionError died) {
                        System.out.println(
                                "run %d, %s, %s: %s"
                                        .formatted(
                                                i + 1, cipher, Bulk.way(down), died.getMessage()));
                    }
                }
                all += runs;
                survived += whole;
                rows.add(
                        "| %s | %d of %d | %.0f MB/s |"
                                .formatted(cipher, whole, runs, Measured.median(speeds)));
                if (!options.markdown()) {
                    System.out.println(rows.getLast());
                }
            }
        } finally {
            Trees.remove(directory);
        }
        if (options.markdown()) {
            System.out.println(Machine.described());
            System.out.println();
            System.out.println("| cipher | survived | median speed |");
            System.out.println("|---|---|---|");
            rows.forEach(System.out::println);
            System.out.println();
        }
        System.out.printf(
                "rekey: %d of %d runs of %d MB survived, both limits at 20 MB%n",
                survived, all, bytes / 1_000_000);
        if (survived != all) {
            throw new AssertionError("connections died of a re-key");
        }
    }
}
