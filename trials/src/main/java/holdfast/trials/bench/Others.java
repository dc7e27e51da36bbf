package holdfast.trials.bench;

import holdfast.trials.harness.Command;
import holdfast.trials.harness.NatLab;
import holdfast.trials.harness.Running;
import holdfast.trials.harness.Signals;
import holdfast.trials.harness.Sshd;
import holdfast.trials.harness.Terminal;
import holdfast.trials.harness.Trees;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * The troubles of {@link Outlive} for what people use today: OpenSSH's client as it comes and with
 * short keepalives, autossh and mosh, each with a program at the far end that counts ten times a
 * second, each trouble once, in a laboratory of its own.
 */
final class Others {

    /** So long after the path's return nobody is waited for. */
    private static final Duration PATIENCE = Duration.ofSeconds(60);

    private static final Duration LOGIN = Duration.ofSeconds(40);
    private static final Duration GLANCE = Duration.ofMillis(100);
    private static final Duration NEVER_IDLE = Duration.ofHours(2);
    private static final int AT_ONCE = 24;

    /** What the far end counts with: its own name before each number. */
    private static final String COUNTER =
            "i=0; while :; do i=$((i+1)); echo \"c$$ $i\"; sleep 0.1; done";

    private static final Pattern COUNTED = Pattern.compile("c(\\d+) (\\d+)\\b");

    /** Keepalives as people set them who want to know soon. */
    private static final List<String> ALIVE =
            List.of("-o", "ServerAliveInterval=5", "-o", "ServerAliveCountMax=3");

    private enum Tool {
        SSH("ssh", "ssh"),
        SSH_ALIVE("ssh, ServerAlive 5 × 3", "ssh"),
        AUTOSSH("autossh -M 0, the same", "autossh"),
        MOSH("mosh (a screen, not bytes)", "mosh");

        private final String says;
        private final String program;

        Tool(String says, String program) {
            this.says = says;
            this.program = program;
        }

        boolean installed() {
            return Arrays.stream(System.getenv("PATH").split(":", -1))
                    .anyMatch(directory -> Files.isExecutable(Path.of(directory, program)));
        }
    }

    private enum Fault {
        FORGET,
        ROAM,
        RESET,
        SHORT,
        OUTAGE,
        PAUSE;

        String says(Outlive.Plan plan) {
            return switch (this) {
                case FORGET -> "the NAT forgets";
                case ROAM -> "another address";
                case RESET -> "RST from the middle";
                case SHORT -> "10 s without a path";
                case OUTAGE -> plan.outage().toSeconds() + " s without a path";
                case PAUSE -> "stopped for " + plan.pause().toSeconds() + " s";
            };
        }
    }

    private Others() {}

    /** Prints a row for each tool. */
    static void run(Outlive.Plan plan) throws InterruptedException {
        List<Tool> tools = new ArrayList<>();
        List<Future<String>> cells = new ArrayList<>();
        try (ExecutorService pool = Executors.newFixedThreadPool(AT_ONCE)) {
            for (Tool tool : Tool.values()) {
                if (tool.installed()) {
                    tools.add(tool);
                    for (Fault fault : Fault.values()) {
                        cells.add(pool.submit(() -> fate(tool, fault, plan)));
                    }
                } else {
                    System.out.println(tool.says + ": not run, because it is not installed");
                }
            }
            StringBuilder head = new StringBuilder("| what others use |");
            for (Fault fault : Fault.values()) {
                head.append(' ').append(fault.says(plan)).append(" |");
            }
            System.out.println(head);
            System.out.println("|---".repeat(Fault.values().length + 1) + "|");
            for (int i = 0; i < tools.size(); i++) {
                StringBuilder row = new StringBuilder("| " + tools.get(i).says + " |");
                for (int j = 0; j < Fault.values().length; j++) {
                    row.append(' ')
                            .append(cells.get(i * Fault.values().length + j).get())
                            .append(" |");
                }
                System.out.println(row);
            }
        } catch (ExecutionException e) {
            throw new AssertionError(String.valueOf(e.getCause()), e);
        }
        System.out.println();
    }

    private static String fate(Tool tool, Fault fault, Outlive.Plan plan)
            throws IOException, InterruptedException {
        Path directory = Files.createTempDirectory("hfb");
        try (NatLab lab = NatLab.up(NatLab.Mode.BLACKHOLE, NEVER_IDLE);
                Sshd sshd = Sshd.start(directory.resolve("sshd"), lab.server(), NatLab.SERVER);
                Client client =
                        tool == Tool.MOSH
                                ? new Mosh(directory, lab, sshd)
                                : new Plain(tool, lab, sshd)) {
            return live(client, lab, sshd, fault, plan);
        } catch (AssertionError e) {
            String said = String.valueOf(e.getMessage()).strip();
            System.err.println("outlive: " + tool.says + ", " + fault + ": " + said);
            return "not run";
        } finally {
            Trees.remove(directory);
        }
    }

    private static String live(Client client, NatLab lab, Sshd sshd, Fault fault, Outlive.Plan plan)
            throws InterruptedException {
        long deadline = System.nanoTime() + LOGIN.toNanos();
        while (client.last().number() < 20) {
            if (System.nanoTime() > deadline) {
                throw new AssertionError("no login within " + LOGIN + ": " + client.said());
            }
            Thread.sleep(GLANCE);
        }
        long struck = System.nanoTime();
        switch (fault) {
            case FORGET -> lab.forget();
            case ROAM -> lab.roam("10.77.1.3");
            case RESET -> {
                lab.kill();
                Thread.sleep(300);
                lab.heal();
            }
            case SHORT -> cut(lab, Duration.ofSeconds(10));
            case OUTAGE -> cut(lab, plan.outage());
            case PAUSE -> {
                List<Long> pids = pids(lab);
                Signals.send("STOP", pids);
                Thread.sleep(plan.pause());
                Signals.send("CONT", pids);
            }
        }
        long from = System.nanoTime();
        Thread.sleep(20);
        Counted before = client.last();
        while (true) {
            Counted now = client.last();
            Duration took = Duration.ofNanos(System.nanoTime() - from);
            if (!now.equals(before)) {
                return now.name() == before.name()
                        ? "lives, +" + Outlive.seconds(took)
                        : "**new session**, +" + Outlive.seconds(took) + ", state lost";
            }
            if (!client.alive()) {
                Duration after = Duration.ofNanos(client.endedAt() - struck);
                return "**dead** after "
                        + Cell.seconds(after)
                        + (sshd.sessions().isEmpty() ? "" : ", ghost on the server");
            }
            if (took.compareTo(PATIENCE) > 0) {
                return "**hangs**";
            }
            Thread.sleep(10);
        }
    }

    private static void cut(NatLab lab, Duration time) throws InterruptedException {
        lab.cut();
        Thread.sleep(time);
        lab.heal();
    }

    /** All that runs at the client's end. */
    private static List<Long> pids(NatLab lab) throws InterruptedException {
        return Command.of("ip", "netns", "pids", lab.client().getLast())
                .end(LOGIN)
                .out()
                .lines()
                .map(Long::valueOf)
                .toList();
    }

    /** The newest of what the far end has counted: its process, and the number. */
    private record Counted(long name, long number) {

        static Counted in(String text) {
            Matcher all = COUNTED.matcher(text);
            Counted last = new Counted(0, 0);
            while (all.find()) {
                last = new Counted(Long.parseLong(all.group(1)), Long.parseLong(all.group(2)));
            }
            return last;
        }
    }

    private sealed interface Client extends AutoCloseable {
        Counted last();

        boolean alive();

        /** {@link System#nanoTime} of its end. */
        long endedAt();

        String said();

        @Override
        void close();
    }

    /** One that writes what comes. */
    private static final class Plain implements Client {
        private final Running running;

        Plain(Tool tool, NatLab lab, Sshd sshd) {
            List<String> words = new ArrayList<>();
            words.addAll(
                    tool == Tool.AUTOSSH ? List.of("autossh", "-M", "0") : List.of("/usr/bin/ssh"));
            words.addAll(List.of("-F", sshd.config().toString(), "-tt"));
            words.addAll(tool == Tool.SSH ? List.of() : ALIVE);
            words.addAll(List.of("trial", COUNTER));
            running =
                    Command.of(words)
                            .env("AUTOSSH_GATETIME", "0")
                            .behind(lab.client())
                            .inputOpen()
                            .start();
        }

        @Override
        public Counted last() {
            String text = running.out().text();
            // Only whole lines: a number may be on its way.
            int end = text.lastIndexOf('\n');
            return Counted.in(text.substring(Math.max(0, end - 200), Math.max(0, end)));
        }

        @Override
        public boolean alive() {
            return running.alive();
        }

        @Override
        public long endedAt() {
            try {
                return running.end(LOGIN).endedAt();
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                return System.nanoTime();
            }
        }

        @Override
        public String said() {
            return running.report();
        }

        @Override
        public void close() {
            Signals.send("KILL", Signals.tree(running.pid()));
        }
    }

    /** One that paints a screen. */
    private static final class Mosh implements Client {
        private final Terminal terminal;
        private final Terminal.Foreground mosh;

        Mosh(Path directory, NatLab lab, Sshd sshd) throws IOException {
            terminal = Terminal.open(directory, Map.of(), 60, 20);
            Path script = directory.resolve("counter");
            Files.writeString(script, COUNTER + "\n");
            Path start = directory.resolve("start");
            Files.writeString(
                    start,
                    "%s mosh --ssh='ssh -F %s' trial -- sh %s; exit $?%n"
                            .formatted(String.join(" ", lab.client()), sshd.config(), script));
            // By a shell of its own: one with job control takes a stopped program for a job's end.
            mosh = terminal.begin("sh " + start);
        }

        @Override
        public Counted last() {
            return Counted.in(terminal.screen());
        }

        @Override
        public boolean alive() {
            return !mosh.ended();
        }

        @Override
        public long endedAt() {
            return System.nanoTime();
        }

        @Override
        public String said() {
            return terminal.screen();
        }

        @Override
        public void close() {
            terminal.close();
        }
    }
}
