package holdfast.trials.bench;

import holdfast.trials.harness.Client;
import holdfast.trials.harness.Command;
import holdfast.trials.harness.Ended;
import holdfast.trials.harness.Trees;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;

/**
 * What a long ssh_config costs: processor time of {@code ssh -G} with one of several kinds, less
 * that with an empty one, ours and OpenSSH's in alternating pairs. {@code --pairs N} (15), {@code
 * --lines N} (20000), {@code --markdown}.
 */
final class Configuration {

    private Configuration() {}

    /** The bound that the project sets itself: our median to OpenSSH's. */
    private static final double BOUND = 2;

    /** Runs that are measured as one: the kernel counts in milliseconds. */
    private static final int AT_ONCE = 5;

    private static final Duration SOON = Duration.ofMinutes(2);

    /** A kind of file, by the lines of its block number i. */
    private enum Kind {
        HOSTS("many Host blocks of four keywords") {
            @Override
            List<String> block(int i) {
                return under("Host web" + i + ".example.net w" + i, i);
            }
        },
        WILD("the same with wildcards") {
            @Override
            List<String> block(int i) {
                return under("Host web" + i + "*.example.net *-w" + i + "-*", i);
            }
        },
        SIGNS("the same with =, quotes, and CR LF") {
            @Override
            List<String> block(int i) {
                return List.of(
                        "Host web" + i + "\r",
                        "    HostName=10.0." + i / 250 % 250 + "." + i % 250 + "\r",
                        "    User \"deploy\"\r",
                        "    Port = 2222\r",
                        "    IdentityFile ~/.ssh/id_" + i % 40 + "\r");
            }
        },
        MATCH("many Match blocks of four keywords") {
            @Override
            List<String> block(int i) {
                return under("Match host db" + i + ".example.net user root", i);
            }
        },
        OTHER("one long block for another host") {
            @Override
            List<String> block(int i) {
                return i == 0 ? List.of("Host other") : all(i);
            }
        },
        MINE("one long block for this host") {
            @Override
            List<String> block(int i) {
                return i == 0 ? List.of("Host *") : simple(i);
            }
        },
        COMMENTS("comments alone") {
            @Override
            List<String> block(int i) {
                return List.of("# What this host is for, and whom to ask about it: " + i);
            }
        };

        private final String told;

        Kind(String told) {
            this.told = told;
        }

        abstract List<String> block(int i);

        static List<String> under(String head, int i) {
            return List.of(
                    head,
                    "    HostName 10.0." + i / 250 % 250 + "." + i % 250,
                    "    User deploy",
                    "    Port " + (2200 + i % 100),
                    "    IdentityFile ~/.ssh/id_" + i % 40);
        }

        static List<String> simple(int i) {
            return List.of(
                    "    ServerAliveInterval 30",
                    "    ForwardAgent no",
                    "    User u" + i,
                    "    ProxyCommand nc -X 5 %h %p",
                    "    Ciphers aes128-ctr,aes256-ctr");
        }

        static List<String> all(int i) {
            List<String> lines = new ArrayList<>(simple(i));
            lines.add("    LocalForward " + (1024 + i) + " localhost:80");
            lines.add("    SendEnv LANG LC_" + i);
            lines.add("    IdentityFile ~/.ssh/id_" + i % 40);
            return lines;
        }

        String text(int lines) {
            List<String> all = new ArrayList<>();
            for (int i = 0; all.size() < lines; i++) {
                all.addAll(block(i));
            }
            return String.join("\n", all.subList(0, lines)) + "\n";
        }
    }

    static void run(Options options) throws IOException, InterruptedException {
        int pairs = options.number("--pairs", 15);
        int lines = options.number("--lines", 20_000);
        Path directory = Files.createTempDirectory("hft");
        try {
            Path empty = Files.createFile(directory.resolve("empty"));
            if (options.markdown()) {
                System.out.println(Machine.described());
                System.out.println();
                System.out.println("| " + lines + " lines | OpenSSH | holdfast | ratio |");
                System.out.println("|---|---|---|---|");
            }
            double worst = 0;
            Kind worstKind = Kind.HOSTS;
            for (Kind kind : Kind.values()) {
                Path file = directory.resolve("config");
                Files.writeString(file, kind.text(lines));
                double[] ours = new double[pairs];
                double[] theirs = new double[pairs];
                for (int i = 0; i < pairs; i++) {
                    theirs[i] = cost(Client.reference(), file, empty);
                    ours[i] = cost(Client.underTest(), file, empty);
                }
                double our = Measured.median(ours);
                double their = Measured.median(theirs);
                System.out.printf(
                        options.markdown()
                                ? "| %s | %.1f ms | %.1f ms | %.2f |%n"
                                : "%s: %.1f ms, ours %.1f ms: %.2f times%n",
                        kind.told,
                        their,
                        our,
                        our / their);
                if (our / their > worst) {
                    worst = our / their;
                    worstKind = kind;
                }
            }
            System.out.printf(
                    "config: %.2f times OpenSSH's processor time at most (%s), medians of %d pairs"
                            + " (bound %.0f)%n",
                    worst, worstKind.told, pairs, BOUND);
        } finally {
            Trees.remove(directory);
        }
    }

    /** Milliseconds that a file costs beyond an empty one. */
    private static double cost(Client client, Path file, Path empty) throws InterruptedException {
        return millis(client, file) - millis(client, empty);
    }

    private static double millis(Client client, Path file) throws InterruptedException {
        List<String> words =
                new ArrayList<>(
                        List.of(
                                "/bin/bash",
                                "-c",
                                "TIMEFORMAT='%3U %3S'; time for i in {1.."
                                        + AT_ONCE
                                        + "}; do \"$@\" >/dev/null || exit; done",
                                "bench"));
        words.addAll(client.argv());
        words.addAll(List.of("-G", "-F", file.toString(), "host7.example.org"));
        Ended ended = Command.of(words).env("LC_ALL", "C").end(SOON);
        if (ended.status() != 0) {
            throw new AssertionError(client.argv() + " -G failed: " + ended.err());
        }
        String[] parts = ended.err().strip().split("\\s+", -1);
        return (Double.parseDouble(parts[parts.length - 2])
                        + Double.parseDouble(parts[parts.length - 1]))
                * 1000
                / AT_ONCE;
    }
}
