package holdfast.trials;

import holdfast.trials.harness.Client;
import holdfast.trials.harness.Command;
import holdfast.trials.harness.Hostile;
import holdfast.trials.harness.NatLab;
import holdfast.trials.harness.Running;
import holdfast.trials.harness.Signals;
import holdfast.trials.harness.Sshd;
import holdfast.trials.harness.Terminal;
import holdfast.trials.harness.Trees;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.stream.Stream;
import org.opentest4j.TestAbortedException;

/**
 * All that one trial has: a directory, the client, servers, terminals and labs made on demand. At
 * its end everything is taken down, and a process or socket of the client's that is still there
 * fails the trial.
 */
final class Stage implements AutoCloseable {

    /** What every process of a trial carries in its environment, to be found by. */
    private static final String MARK = "HOLDFAST_TRIAL";

    /** How long a client may take to go after the trial has ended. */
    private static final Duration GRACE = Duration.ofSeconds(20);

    private final Path directory;
    private final Client client = Client.underTest();
    private final List<AutoCloseable> made = new CopyOnWriteArrayList<>();
    private final List<Running> started = new CopyOnWriteArrayList<>();
    private final List<Sshd> sshds = new CopyOnWriteArrayList<>();
    private int count;

    Stage() {
        try {
            // Short: names of sockets lie below it, and those have 108 bytes at most.
            directory = Files.createTempDirectory("hft");
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    Client client() {
        return client;
    }

    Path directory() {
        return directory;
    }

    /** A trial of what OpenSSH's own client does not do, or does otherwise. */
    void onlyHoldfast(String why) {
        if (client.openSsh()) {
            throw new TestAbortedException("OpenSSH's client is on trial: " + why);
        }
    }

    static void needsRoot(String why) {
        if (!Sshd.user().equals("root")) {
            throw new TestAbortedException("not root: " + why);
        }
    }

    static void needs(String program) {
        boolean there =
                Arrays.stream(System.getenv("PATH").split(":", -1))
                        .anyMatch(dir -> Files.isExecutable(Path.of(dir, program)));
        if (!there) {
            throw new TestAbortedException("not installed: " + program);
        }
    }

    /** A fresh sshd on loopback; the settings win over the usual ones. */
    Sshd sshd(String... settings) {
        return keep(Sshd.start(directory.resolve("sshd" + ++count), settings));
    }

    /** A fresh sshd on this address of loopback, so that messages tell it from others. */
    Sshd sshdAt(String address, String... settings) {
        return keep(Sshd.start(directory.resolve("sshd" + ++count), List.of(), address, settings));
    }

    /** A fresh {@code holdfast sshd} on loopback; the settings win over the usual ones. */
    Sshd holdfastSshd(String... settings) {
        return keep(Sshd.holdfast(directory.resolve("sshd" + ++count), settings));
    }

    /** The same, with this in its environment. */
    Sshd holdfastSshd(Map<String, String> environment, String... settings) {
        return keep(Sshd.holdfast(directory.resolve("sshd" + ++count), environment, settings));
    }

    /** OpenSSH's client, bound for that server. */
    Command openSsh(Sshd sshd, String... rest) {
        return own(sshd.client(Client.reference(), rest));
    }

    /** A fresh sshd behind the NAT. */
    Sshd sshd(NatLab lab, String... settings) {
        return keep(
                Sshd.start(
                        directory.resolve("sshd" + ++count),
                        lab.server(),
                        NatLab.SERVER,
                        settings));
    }

    /** A fresh {@code holdfast sshd} behind the NAT. */
    Sshd holdfastSshd(NatLab lab, String... settings) {
        return keep(
                Sshd.holdfast(
                        directory.resolve("sshd" + ++count),
                        lab.server(),
                        NatLab.SERVER,
                        settings));
    }

    NatLab natLab(NatLab.Mode mode, Duration idle) {
        NatLab.impossible()
                .ifPresent(reason -> {
                    throw new TestAbortedException(reason);
                });
        NatLab lab = NatLab.up(mode, idle);
        made.add(lab);
        return lab;
    }

    Hostile hostile(Hostile.Manners manners) {
        Hostile hostile = Hostile.serving(manners);
        made.add(hostile);
        return hostile;
    }

    Terminal terminal(int columns, int rows) {
        needs("tmux");
        Terminal terminal =
                Terminal.open(directory, Map.of(MARK, mark(), "HOME", home()), columns, rows);
        made.add(terminal);
        return terminal;
    }

    Terminal terminal() {
        return terminal(80, 24);
    }

    /** The client on trial, bound for that server: {@code ssh(sshd, "-T", "trial", "true")}. */
    Command ssh(Sshd sshd, String... rest) {
        return own(sshd.client(client, rest));
    }

    /** The client on trial with these words and an empty configuration. */
    Command bare(String... rest) {
        List<String> argv = new ArrayList<>(client.argv());
        argv.addAll(List.of("-F", "none"));
        argv.addAll(Arrays.asList(rest));
        return own(Command.of(argv));
    }

    /** Any other program, as this trial's own. */
    Command run(String... argv) {
        return own(Command.of(argv));
    }

    Command shell(String script, String... arguments) {
        List<String> argv = new ArrayList<>(List.of("sh", "-c", script, "sh"));
        argv.addAll(Arrays.asList(arguments));
        return own(Command.of(argv));
    }

    /** The client's words for that server as text for a shell: {@code holdfast ssh -F …}. */
    String words(Sshd sshd) {
        return String.join(" ", sshd.client(client).argv());
    }

    Command own(Command command) {
        return command.env(MARK, mark()).env("HOME", home()).onStart(started::add);
    }

    private String mark() {
        return directory.getFileName().toString();
    }

    private String home() {
        Path home = directory.resolve("home");
        try {
            Files.createDirectories(home);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return home.toString();
    }

    private Sshd keep(Sshd sshd) {
        made.add(sshd);
        sshds.add(sshd);
        return sshd;
    }

    /** The trial has run: the client must be gone by itself, then the rest is taken down. */
    void proveNothingLeft() throws InterruptedException {
        for (Running running : started) {
            if (running.alive()) {
                throw new AssertionError("the trial left this running: " + running.argv());
            }
        }
        for (AutoCloseable thing : made) {
            if (thing instanceof Terminal terminal) {
                terminal.close();
            }
        }
        long deadline = System.nanoTime() + GRACE.toNanos();
        List<String> left = left();
        while (!left.isEmpty() && System.nanoTime() < deadline) {
            Thread.sleep(50);
            left = left();
        }
        if (!left.isEmpty()) {
            throw new AssertionError("left behind: " + left);
        }
    }

    /**
     * What there is to know about a trial that has failed, before it is taken down: the servers'
     * logs, the processes and, where they are Java's, their threads.
     */
    String autopsy() {
        StringBuilder report = new StringBuilder();
        for (Sshd sshd : sshds) {
            report.append("--- log of sshd on port ").append(sshd.port()).append('\n');
            report.append(tail(sshd.log()));
            for (long pid : sshd.processes()) {
                report.append(described(Path.of("/proc/" + pid)));
            }
        }
        for (Path process : marked(MARK, mark())) {
            report.append("--- ").append(described(process));
            if (commandLine(process).contains("java")) {
                String pid = process.getFileName().toString();
                String jcmd = Path.of(System.getProperty("java.home"), "bin", "jcmd").toString();
                try {
                    report.append(
                            Command.of(jcmd, pid, "Thread.print")
                                    .end(Duration.ofSeconds(10))
                                    .out());
                } catch (InterruptedException e) {
                    Thread.currentThread().interrupt();
                } catch (AssertionError stuck) {
                    report.append("(it does not answer)\n");
                }
            }
        }
        return report.toString();
    }

    private static String described(Path process) {
        String state = "gone";
        for (String line : read(process.resolve("status")).split("\n", -1)) {
            if (line.startsWith("State:")) {
                state = line.substring("State:".length()).strip();
            }
        }
        return process.getFileName() + " " + state + ": " + commandLine(process) + "\n";
    }

    private static String tail(String log) {
        List<String> lines = log.lines().toList();
        return String.join("\n", lines.subList(Math.max(0, lines.size() - 30), lines.size()))
                + "\n";
    }

    @Override
    public void close() {
        for (Running running : started) {
            running.kill();
        }
        for (AutoCloseable thing : made.reversed()) {
            try {
                thing.close();
            } catch (Exception e) {
                throw new AssertionError("could not be taken down: " + thing, e);
            }
        }
        List<Long> rest = new ArrayList<>();
        for (Path process : marked(MARK, mark())) {
            rest.add(Long.parseLong(process.getFileName().toString()));
        }
        for (Sshd sshd : sshds) {
            for (Path process : marked(Sshd.SERVER_MARK, sshd.directory().toString())) {
                rest.add(Long.parseLong(process.getFileName().toString()));
            }
        }
        Signals.send("KILL", rest);
        Trees.remove(directory);
    }

    private List<String> left() {
        List<String> left = new ArrayList<>();
        for (Path process : marked(MARK, mark())) {
            left.add(process.getFileName() + " " + commandLine(process));
        }
        for (Sshd sshd : sshds) {
            left.addAll(openSocketsTo(sshd.port()));
        }
        return left;
    }

    /** What this trial has started and what that has started in turn, as far as it still runs. */
    List<Long> processes() {
        return marked(MARK, mark()).stream()
                .map(process -> Long.valueOf(process.getFileName().toString()))
                .toList();
    }

    /** Processes with this in their environment. */
    private static List<Path> marked(String name, String value) {
        String entry = name + "=" + value + "\0";
        List<Path> found = new ArrayList<>();
        try (Stream<Path> processes = Files.list(Path.of("/proc"))) {
            for (Path process : processes.toList()) {
                if (Character.isDigit(process.getFileName().toString().charAt(0))
                        && read(process.resolve("environ")).contains(entry)) {
                    found.add(process);
                }
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return found;
    }

    private static String commandLine(Path process) {
        return read(process.resolve("cmdline")).replace('\0', ' ').strip();
    }

    /** Sockets on loopback that some process still holds towards that port. */
    private static List<String> openSocketsTo(int port) {
        List<String> open = new ArrayList<>();
        String remote = ":%04X".formatted(port);
        for (String line : read(Path.of("/proc/net/tcp")).split("\n", -1)) {
            String[] columns = line.strip().split(" +", -1);
            // local, remote, state (06 is TIME_WAIT), …, inode (0 when no process has it)
            if (columns.length > 9
                    && columns[2].endsWith(remote)
                    && !columns[3].equals("06")
                    && !columns[9].equals("0")) {
                open.add("socket " + columns[1] + " to " + columns[2] + " state " + columns[3]);
            }
        }
        return open;
    }

    private static String read(Path file) {
        try {
            return new String(Files.readAllBytes(file), StandardCharsets.ISO_8859_1);
        } catch (IOException gone) {
            // It ended meanwhile, or is somebody else's.
            return "";
        }
    }
}
