package holdfast.trials.bench;

import holdfast.trials.harness.Client;
import holdfast.trials.harness.Ended;
import holdfast.trials.harness.Island;
import holdfast.trials.harness.Sshd;
import holdfast.trials.harness.Trees;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;

/**
 * What idle connections cost a server, and how it is rid of dead ones: each connection logged in
 * and with one command running, then half of them cut in silence. {@code holdfast sshd} and the
 * system's sshd one after the other, each in a namespace of its own. Needs root. {@code
 * --connections N,N,…} (10000), {@code --openssh N} (500; 0: not), {@code --interval SECONDS} (60),
 * {@code --cipher NAME}, {@code --parallel N} logins at a time (16), {@code --session
 * command|sftp|bare} (a command), {@code --markdown}.
 *
 * <p>Where the limit of open files forbids a command for each connection (three pipes and a pidfd),
 * each has a bare session instead, opened and not used: the row says so.
 *
 * <p>The cut is done twice, the cut ones having come anew in between: the first time memory is
 * compared with what it was before the doomed half came, and holds whatever a server grows by once
 * (compiled code, classes, buffers); the second time with what it was after the first, so that only
 * what dead connections leave behind is in it.
 *
 * <p>Memory is the server's own processes' PSS from smaps_rollup; the commands of the sessions and
 * the kernel's part are told apart. The kernel's is that of both ends and of the commands, since
 * all are on this machine.
 */
final class Scale {

    /** What each session is: a command that sleeps. */
    private static final String COMMAND = "command";

    private static final int COUNT_MAX = 3;

    private static final int PORT = 2222;

    /** Processes that the machine needs besides. */
    private static final int OTHER_PROCESSES = 4000;

    /** A socket, three pipes and a pidfd of one session with a command. */
    private static final int FILES_EACH = 5;

    /** Those of a program, its jar and listeners and the like. */
    private static final int OTHER_FILES = 300;

    private static final int LOGINS = 11;

    /** As long as memory may take to come back, and as long as it stays the same when it has. */
    private static final int PATIENCE_SECONDS = 90;

    private static final int SETTLED_SECONDS = 20;

    /** The bound that the project sets itself, in KiB of the server's own memory. */
    private static final double BOUND_KIB = 40;

    private static final Path PID_MAX = Path.of("/proc/sys/kernel/pid_max");

    private final boolean markdown;
    private final int interval;
    private final int parallel;
    private final String cipher;
    private final String session;
    private final String command = "hfs" + ProcessHandle.current().pid();

    private Scale(Options options) {
        markdown = options.markdown();
        interval = options.number("--interval", 60);
        session = options.list("--session", List.of(COMMAND)).getFirst();
        parallel = options.number("--parallel", 16);
        cipher = options.list("--cipher", List.of("aes256-gcm@openssh.com")).getFirst();
    }

    /**
     * One server under one crowd.
     *
     * @param each KiB of its own memory for each connection, over the idle server
     * @param further the same over the server with half as many
     * @param keepalives share of one processor that it takes while nothing else happens
     * @param login milliseconds of {@code ssh host true} meanwhile
     * @param dead seconds from the cut until the last dead connection was closed
     * @param freed the same until the last process was gone
     * @param back memory after that over what it was at that number before, seconds from the cut
     *     until then in {@code backAfter}
     * @param again memory after the second cut over what it was after the first, likewise
     */
    private record Row(
            String server,
            int connections,
            double idleMib,
            double mib,
            double each,
            double further,
            double command,
            double kernel,
            double keepalives,
            long threads,
            double rate,
            double loginCpu,
            double login,
            double dead,
            double freed,
            double back,
            double backAfter,
            double again,
            double againAfter) {

        String markdown() {
            return ("| %s | %,d | %.0f MiB | **%.1f KiB** | %.1f KiB | %.0f KiB | %.0f KiB | %d | %.2f %%"
                            + " | %.0f/s | %.1f ms | %.0f ms | %.1f s | %s | %.2f after %.0f s | **%.2f** after %.0f s |")
                    .formatted(
                            server,
                            connections,
                            mib,
                            each,
                            further,
                            command,
                            kernel,
                            threads,
                            keepalives * 100,
                            rate,
                            loginCpu,
                            login,
                            dead,
                            Double.isNaN(freed) ? "the commands stay" : "%.1f s".formatted(freed),
                            back,
                            backAfter,
                            again,
                            againAfter);
        }

        static final String HEADING =
                """
                | server | connections | memory | for each | each of the second half | its command | kernel, both ends and command | threads | CPU of keepalives | logins | CPU of a login | new login meanwhile | cut: all found dead | processes gone | memory over that before | the same, second cut |
                |---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|\
                """;
    }

    static void run(Options options) throws IOException, InterruptedException {
        Scale scale = new Scale(options);
        List<Row> rows = new ArrayList<>();
        int most = 0;
        for (String word : options.list("--connections", List.of("10000"))) {
            int connections = Integer.parseInt(word);
            most = Math.max(most, connections);
            rows.add(scale.measure(true, connections));
        }
        int theirs = options.number("--openssh", 500);
        if (theirs > 0) {
            rows.add(scale.measure(false, Math.min(most, theirs)));
        }
        if (scale.markdown) {
            System.out.println(Machine.described());
            System.out.println();
            System.out.println(Row.HEADING);
            rows.forEach(row -> System.out.println(row.markdown()));
            System.out.println();
        }
        System.out.println(scale.figure(rows));
    }

    private String figure(List<Row> rows) {
        StringBuilder figure = new StringBuilder("scale:");
        for (Row row : rows) {
            figure.append(
                    " %s %d connections %.1f KiB each, after the dead %.2f and %.2f of before;"
                            .formatted(row.server, row.connections, row.each, row.back, row.again));
        }
        return figure + " bound %.0f KiB; ClientAliveInterval %d".formatted(BOUND_KIB, interval);
    }

    private Row measure(boolean holdfast, int connections)
            throws IOException, InterruptedException {
        // On short paths: a name of a process holds 15 characters.
        Path directory = Files.createTempDirectory("hfs");
        int wanted = connections * FILES_EACH + OTHER_FILES;
        int files = files(wanted);
        String kind = session;
        if (holdfast && files < wanted && kind.equals(COMMAND)) {
            kind = Crowd.BARE;
            System.err.println(
                    "bench: %d open files at most: the sessions have no command".formatted(files));
        }
        try (Room _ = new Room(connections + OTHER_PROCESSES);
                Island island = Island.up()) {
            Files.createSymbolicLink(directory.resolve(command), Path.of("/bin/sleep"));
            String[] settings = {
                "ClientAliveInterval " + interval,
                "ClientAliveCountMax " + COUNT_MAX,
                "MaxStartups 2000",
                "LogLevel INFO"
            };
            Path of = directory.resolve("sshd");
            try (Sshd sshd =
                            holdfast
                                    ? Sshd.holdfast(of, island.behind(files), "127.0.0.1", settings)
                                    : Sshd.start(of, island.behind(files), "127.0.0.1", settings);
                    Members crowd =
                            new Members(
                                    island,
                                    sshd,
                                    files,
                                    directory,
                                    kind.equals(COMMAND)
                                            ? "exec " + directory.resolve(command) + " 1d"
                                            : kind)) {
                try {
                    return new Course(holdfast, kind, connections, island, sshd, crowd).run();
                } catch (AssertionError failed) {
                    String log = sshd.log();
                    throw new AssertionError(
                            failed.getMessage()
                                    + "; the log ends with: "
                                    + log.substring(Math.max(0, log.length() - 2000)),
                            failed);
                }
            }
        } finally {
            Trees.remove(directory);
        }
    }

    /** As many open files as are wanted, or as this process may allow. */
    private static int files(int wanted) throws IOException {
        for (String line : Files.readAllLines(Path.of("/proc/self/limits"))) {
            if (line.startsWith("Max open files")) {
                // Soft and hard; only the hard one may not be passed.
                return Math.min(wanted, Integer.parseInt(line.split(" {2,}", -1)[2].strip()));
            }
        }
        return wanted;
    }

    /** As many process numbers as are needed, and as few as before when it is over. */
    private static final class Room implements AutoCloseable {

        private final String before = now();
        private final Thread hook = new Thread(this::restore, "pid_max");
        private final boolean raised;

        Room(int processes) throws IOException {
            raised = Integer.parseInt(before) < processes;
            if (raised) {
                Runtime.getRuntime().addShutdownHook(hook);
                Files.writeString(PID_MAX, Integer.toString(processes));
            }
        }

        /** In one read, which is all that files of /proc/sys answer. */
        private static String now() throws IOException {
            byte[] digits = new byte[32];
            try (InputStream from = Files.newInputStream(PID_MAX)) {
                int length = from.read(digits);
                return new String(digits, 0, length, StandardCharsets.US_ASCII).strip();
            }
        }

        @Override
        public void close() {
            if (raised) {
                restore();
                Runtime.getRuntime().removeShutdownHook(hook);
            }
        }

        private void restore() {
            try {
                Files.writeString(PID_MAX, before);
            } catch (IOException e) {
                System.err.println("bench: kernel.pid_max was " + before + ": " + e.getMessage());
            }
        }
    }

    /** The process that holds the clients. */
    private final class Members implements AutoCloseable {

        private final Process process;
        private final BufferedReader answers;

        Members(Island island, Sshd sshd, int files, Path directory, String session)
                throws IOException {
            Path jar = Client.checkout().resolve("app/target/run/holdfast.jar");
            List<String> argv = new ArrayList<>(island.behind(files));
            argv.addAll(
                    List.of(
                            Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                            "-XX:+UseSerialGC",
                            "-XX:+UseCompactObjectHeaders",
                            "-Xmn32m",
                            "-Dorg.apache.sshd.security.registrars=none",
                            "--enable-native-access=ALL-UNNAMED",
                            "-cp",
                            System.getProperty("java.class.path") + ":" + jar,
                            Crowd.class.getName(),
                            "127.0.0.1",
                            Integer.toString(PORT),
                            Sshd.user(),
                            cipher,
                            session));
            process =
                    new ProcessBuilder(argv)
                            .redirectError(directory.resolve("crowd.err").toFile())
                            .start();
            answers =
                    new BufferedReader(
                            new InputStreamReader(
                                    process.getInputStream(), StandardCharsets.UTF_8));
            Files.writeString(
                    sshd.authorizedKeys(), answer(directory) + "\n", StandardOpenOption.APPEND);
        }

        private String answer(Path directory) throws IOException {
            String line = answers.readLine();
            if (line == null) {
                throw new AssertionError(
                        "the crowd is gone: " + Files.readString(directory.resolve("crowd.err")));
            }
            return line;
        }

        private String order(String line) throws IOException {
            OutputStream orders = process.getOutputStream();
            orders.write((line + "\n").getBytes(StandardCharsets.US_ASCII));
            orders.flush();
            String answer = answers.readLine();
            if (answer == null) {
                throw new AssertionError("the crowd is gone");
            }
            return answer;
        }

        void fill(String source, int count) throws IOException {
            String answer = order("fill " + source + " " + count + " " + parallel);
            if (!answer.startsWith("filled " + count + " ")) {
                throw new AssertionError(answer);
            }
        }

        int alive() throws IOException {
            return Integer.parseInt(order("alive"));
        }

        @Override
        public void close() {
            process.destroyForcibly();
        }
    }

    /** One row's way. */
    private final class Course {

        private final String name;
        private final String kind;
        private final int connections;
        private final Island island;
        private final Sshd sshd;
        private final Members crowd;

        Course(
                boolean holdfast,
                String kind,
                int connections,
                Island island,
                Sshd sshd,
                Members crowd) {
            name = holdfast ? "holdfast sshd" : "OpenSSH sshd";
            this.kind = kind;
            this.connections = connections;
            this.island = island;
            this.sshd = sshd;
            this.crowd = crowd;
        }

        Row run() throws IOException, InterruptedException {
            int staying = connections / 2;
            boolean commands = kind.equals(COMMAND);
            login();
            Thread.sleep(1000);
            Footprint.Family idle = family();
            long idleKib = Footprint.pssKib(idle.servers());
            long idleKernel = Footprint.kernelKib();
            say("idle", idle, idleKib);

            long cpuBefore = Footprint.cpuNanos(idle.servers());
            long filling = System.nanoTime();
            crowd.fill(Island.STAYING, staying);
            filling = System.nanoTime() - filling;
            rest(Duration.ofSeconds(interval));
            Footprint.Family half = family();
            long halfKib = Footprint.pssKib(half.servers());
            say("half", half, halfKib);

            long fillingOn = System.nanoTime();
            crowd.fill(Island.GOING, connections - staying);
            filling += System.nanoTime() - fillingOn;
            Footprint.Family family = family();
            double loginCpu =
                    (Footprint.cpuNanos(family.servers()) - cpuBefore) / 1e6 / connections;
            rest(Duration.ofSeconds(5));
            long cpu = Footprint.cpuNanos(family.servers());
            long idling = System.nanoTime();
            rest(Duration.ofSeconds(2L * interval));
            double keepalives =
                    (double) (Footprint.cpuNanos(family.servers()) - cpu)
                            / (System.nanoTime() - idling);

            family = family();
            long kib = Footprint.pssKib(family.servers());
            long kernel = Footprint.kernelKib() - idleKernel;
            say("full", family, kib);
            if ((commands && family.commands().size() != connections)
                    || crowd.alive() != connections) {
                throw new AssertionError("not all idle connections live: " + family);
            }
            double[] logins = new double[LOGINS];
            for (int i = 0; i < LOGINS; i++) {
                logins[i] = login();
            }

            Cut first = cut(staying, halfKib, "cut");
            island.mend();
            crowd.fill(Island.GOING, connections - staying);
            rest(Duration.ofSeconds(5));
            Cut second = cut(staying, first.kib, "again");
            family = family();
            if (commands && family.commands().size() < staying) {
                throw new AssertionError("some that were not cut are gone: " + family);
            }
            return new Row(
                    commands ? name : name + ", " + kind,
                    connections,
                    idleKib / 1024.0,
                    kib / 1024.0,
                    (double) (kib - idleKib) / connections,
                    (double) (kib - halfKib) / (connections - staying),
                    commandKib(family),
                    (double) kernel / connections,
                    keepalives,
                    Footprint.threads(family.servers()),
                    connections / (filling / 1e9),
                    loginCpu,
                    Measured.median(logins),
                    first.dead,
                    first.freed,
                    first.back,
                    first.after,
                    second.back,
                    second.after);
        }

        /** As {@link Row}'s; in {@code kib} the memory that it then had. */
        private record Cut(double dead, double freed, double back, double after, long kib) {}

        /** Cuts the doomed half off and waits until the server is rid of it. */
        private Cut cut(int staying, long before, String when)
                throws IOException, InterruptedException {
            long cut = System.nanoTime();
            island.cut(Island.GOING);
            // Half as long again as it may take.
            double limit = interval * (COUNT_MAX + 1) * 1.5;
            double dead =
                    await(
                            cut,
                            limit + 30,
                            () -> Footprint.established(sshd.pid(), PORT) <= staying);
            if (Double.isNaN(dead)) {
                throw new AssertionError("dead connections stay open");
            }
            double freed =
                    await(
                            cut,
                            Math.max(dead + 10, limit),
                            () -> family().commands().size() <= staying);
            // As long as a tidy server may take its time, and until it gives back no more: the
            // first figure is the second one's measure.
            long least = Long.MAX_VALUE;
            int leastAt = 0;
            double after = Double.NaN;
            for (int i = 0; i < PATIENCE_SECONDS && i - leastAt < SETTLED_SECONDS; i++) {
                long kib = Footprint.pssKib(family().servers());
                if (kib < least) {
                    least = kib;
                    leastAt = i;
                    after = (System.nanoTime() - cut) / 1e9;
                }
                Thread.sleep(1000);
            }
            say(when, family(), least);
            return new Cut(dead, freed, (double) least / before, after, least);
        }

        private Footprint.Family family() throws IOException {
            return Footprint.family(sshd.pid(), command);
        }

        private double login() throws InterruptedException {
            Ended ended =
                    sshd.client(Client.reference(), "trial", "true")
                            .behind(island.behind(1024))
                            .end(Duration.ofSeconds(60));
            if (ended.status() != 0) {
                throw new AssertionError("ssh ended with " + ended.status() + ": " + ended.err());
            }
            return ended.took().toNanos() / 1e6;
        }

        private double commandKib(Footprint.Family family) {
            List<Long> some = family.commands().subList(0, Math.min(50, family.commands().size()));
            return some.isEmpty() ? 0 : (double) Footprint.pssKib(some) / some.size();
        }

        /** Seconds since then, or not a number if it takes longer than the limit. */
        private double await(long since, double limit, Condition condition)
                throws IOException, InterruptedException {
            while (!condition.met()) {
                if ((System.nanoTime() - since) / 1e9 > limit) {
                    return Double.NaN;
                }
                Thread.sleep(200);
            }
            return (System.nanoTime() - since) / 1e9;
        }

        private void rest(Duration time) throws InterruptedException {
            Thread.sleep(time);
        }

        private void say(String when, Footprint.Family family, long kib) {
            // A course takes many minutes: whoever waits sees how far it is.
            System.err.printf(
                    "%-13s %-4s PSS %,9d KiB, RSS %,9d KiB, %d processes, %d threads, %d commands%n",
                    name,
                    when,
                    kib,
                    Footprint.rssKib(family.servers()),
                    family.servers().size(),
                    Footprint.threads(family.servers()),
                    family.commands().size());
        }
    }

    private interface Condition {
        boolean met() throws IOException;
    }
}
