package holdfast.trials.bench;

import holdfast.trials.harness.Client;
import holdfast.trials.harness.Sshd;
import holdfast.trials.harness.Trees;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * Files through the server: one large one and many small ones, got and put by the system's sftp;
 * {@code holdfast sshd} with its internal-sftp and the system's sshd with sftp-server in turns.
 * {@code --megabytes N} (1000), {@code --files N} (10000) of {@code --bytes N} (1000) each, {@code
 * --pairs N} (3), {@code --cipher NAME}, {@code --markdown}.
 *
 * <p>A process of sftp each time, its login included; the same client for both servers.
 */
final class Sftp {

    /** The least share of OpenSSH's speed that the project promises. */
    private static final double BOUND = 0.9;

    private static final List<Path> THEIRS =
            List.of(
                    Path.of("/usr/lib/openssh/sftp-server"),
                    Path.of("/usr/libexec/openssh/sftp-server"),
                    Path.of("/usr/lib/ssh/sftp-server"));

    /** What is asked of sftp, in words for a person and for it. */
    private record Case(String name, String command) {}

    private Sftp() {}

    static void run(Options options) throws IOException, InterruptedException {
        long bytes = options.number("--megabytes", 1000) * 1_000_000L;
        int files = options.number("--files", 10_000);
        int small = options.number("--bytes", 1000);
        int pairs = options.number("--pairs", 3);
        String cipher = options.list("--cipher", List.of("aes256-gcm@openssh.com")).getFirst();
        Path directory = Files.createTempDirectory("hft");
        try {
            plant(directory, bytes, files, small);
            List<Case> cases =
                    List.of(
                            new Case("one large file, get", "get large/one here"),
                            new Case("one large file, put", "put large/one there"),
                            new Case(files + " small files, get", "get -r many here"),
                            new Case(files + " small files, put", "put -r many there"));
            double[][] ours = new double[cases.size()][pairs];
            double[][] theirs = new double[cases.size()][pairs];
            try (Sshd our = Sshd.holdfast(directory.resolve("ours"), "LogLevel INFO");
                    Sshd their = Sshd.start(directory.resolve("theirs"), "LogLevel INFO")) {
                for (int pair = 0; pair < pairs; pair++) {
                    for (int i = 0; i < cases.size(); i++) {
                        // Who goes first changes, so that neither always runs in the other's wake.
                        for (int turn = 0; turn < 2; turn++) {
                            boolean holdfast = (pair + turn) % 2 == 0;
                            double millis =
                                    once(
                                            directory,
                                            holdfast ? our : their,
                                            holdfast ? "sftp" : server(),
                                            cipher,
                                            cases.get(i).command);
                            (holdfast ? ours : theirs)[i][pair] = millis;
                        }
                        if (!options.markdown()) {
                            System.out.printf(
                                    "%-28s holdfast %7.0f ms, OpenSSH %7.0f ms%n",
                                    cases.get(i).name, ours[i][pair], theirs[i][pair]);
                        }
                    }
                }
            }
            tell(options, cases, ours, theirs);
        } finally {
            Trees.remove(directory);
        }
    }

    private static void tell(Options options, List<Case> cases, double[][] ours, double[][] theirs)
            throws IOException, InterruptedException {
        StringBuilder figure = new StringBuilder("sftp:");
        if (options.markdown()) {
            System.out.println(Machine.described());
            System.out.println();
            System.out.println(
                    "| what | holdfast sshd | OpenSSH's | speed over OpenSSH's | bound |");
            System.out.println("|---|---|---|---|---|");
        }
        for (int i = 0; i < cases.size(); i++) {
            double our = Measured.median(ours[i]);
            double their = Measured.median(theirs[i]);
            if (options.markdown()) {
                System.out.println(
                        "| %s | %.0f ms | %.0f ms | **%.2f** | %.1f |"
                                .formatted(cases.get(i).name, our, their, their / our, BOUND));
            }
            figure.append(" %s %.2f;".formatted(cases.get(i).name, their / our));
        }
        System.out.println(
                figure
                        + " times OpenSSH's speed, medians of "
                        + ours[0].length
                        + ", bound "
                        + BOUND);
    }

    private static String server() {
        for (Path place : THEIRS) {
            if (Files.isExecutable(place)) {
                return place.toString();
            }
        }
        throw new AssertionError("no sftp-server here (openssh-sftp-server)");
    }

    private static void plant(Path directory, long bytes, int files, int small) throws IOException {
        byte[] some = new byte[1_000_000];
        for (int i = 0; i < some.length; i++) {
            some[i] = (byte) (i * 131 + (i >> 9));
        }
        Path large = Files.createDirectory(directory.resolve("large"));
        try (OutputStream out = Files.newOutputStream(large.resolve("one"))) {
            for (long left = bytes; left > 0; left -= some.length) {
                out.write(some, 0, (int) Math.min(left, some.length));
            }
        }
        Path many = Files.createDirectory(directory.resolve("many"));
        for (int i = 0; i < files; i++) {
            Files.write(many.resolve("file" + i), Arrays.copyOf(some, small));
        }
    }

    private static double once(
            Path directory, Sshd sshd, String server, String cipher, String command)
            throws IOException, InterruptedException {
        List<Path> made = List.of(directory.resolve("here"), directory.resolve("there"));
        for (Path each : made) {
            Trees.remove(each);
        }
        // put -r copies into a directory that must be there.
        boolean many = command.contains("-r");
        if (many) {
            Files.createDirectory(made.get(command.startsWith("get") ? 0 : 1));
        }
        Path batch = directory.resolve("batch");
        Files.writeString(batch, "lcd " + directory + "\ncd " + directory + "\n" + command + "\n");
        List<String> argv = new ArrayList<>(List.of("sftp", "-q", "-F", sshd.config().toString()));
        argv.addAll(List.of("-S", Client.reference().argv().getFirst(), "-c", cipher));
        // The name of a subsystem, or the path of a program.
        argv.addAll(List.of("-s", server));
        argv.addAll(List.of("-b", batch.toString(), "trial"));
        Measured measured =
                Measured.of(directory, argv, Duration.ofMinutes(10)).whole("sftp " + command);
        check(directory, command, many);
        return measured.wallMillis();
    }

    /** Nothing is fast that does not arrive. */
    private static void check(Path directory, String command, boolean many) throws IOException {
        Path arrived = directory.resolve(command.startsWith("get") ? "here" : "there");
        if (!many) {
            if (Files.mismatch(directory.resolve("large/one"), arrived) >= 0) {
                throw new AssertionError("not the same file: " + command);
            }
            return;
        }
        Path copy = Files.exists(arrived.resolve("many")) ? arrived.resolve("many") : arrived;
        try (var wanted = Files.list(directory.resolve("many"));
                var found = Files.list(copy)) {
            long files = wanted.count();
            long got = found.count();
            if (files != got) {
                throw new AssertionError(command + ": " + got + " of " + files + " files");
            }
        }
    }
}
