package holdfast.trials.harness;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.regex.Pattern;

/**
 * A throw-away sshd, the system's or {@code holdfast sshd}: newly made configuration, keys and
 * directory, on a free port of loopback or in a namespace. It can be stopped with all its children,
 * as a hung machine is.
 */
public final class Sshd implements AutoCloseable {

    /** For what a busy machine may be slow to do. */
    private static final Duration PATIENCE = Duration.ofMinutes(1);

    /** What processes started by a session carry in their environment: whose trial they are. */
    public static final String SERVER_MARK = "HOLDFAST_TRIAL_SERVER";

    /** Below Linux's range for whoever does not ask for one (ip_local_port_range). */
    private static final int FIRST_PORT = 10_000;

    private static final int PORTS = 22_000;

    /** Two processes begin at two places. */
    private static final AtomicInteger NEXT_PORT =
            new AtomicInteger(ThreadLocalRandom.current().nextInt(PORTS));

    private static final List<String> PLACES =
            List.of("/usr/sbin/sshd", "/usr/local/sbin/sshd", "/usr/lib/ssh/sshd");

    private final Path directory;
    private final List<String> behind;
    private final String address;
    private final int port;
    private final Process process;
    private boolean frozen;

    private Sshd(Path directory, List<String> behind, String address, int port, Process process) {
        this.directory = directory;
        this.behind = behind;
        this.address = address;
        this.port = port;
        this.process = process;
    }

    /** The system's, on loopback. */
    public static Sshd start(Path directory, String... settings) {
        return start(directory, List.of(), "127.0.0.1", settings);
    }

    /** {@code holdfast sshd} of this checkout, on loopback. */
    public static Sshd holdfast(Path directory, String... settings) {
        return holdfast(directory, List.of(), "127.0.0.1", settings);
    }

    /** {@code holdfast sshd} of this checkout, wherever it is to be. */
    public static Sshd holdfast(
            Path directory, List<String> behind, String address, String... settings) {
        return start(launched(), Map.of(), directory, behind, address, settings);
    }

    /** {@code holdfast sshd} of this checkout, on loopback, with this in its environment. */
    public static Sshd holdfast(
            Path directory, Map<String, String> environment, String... settings) {
        return start(launched(), environment, directory, List.of(), "127.0.0.1", settings);
    }

    private static List<String> launched() {
        return List.of(Client.holdfast().warm().launcher().toString(), "sshd");
    }

    /**
     * The system's, wherever it is to be.
     *
     * @param directory its own, made if need be
     * @param behind words before its command line: {@code ip netns exec …}
     * @param settings lines of sshd_config that win over those written here
     */
    public static Sshd start(
            Path directory, List<String> behind, String address, String... settings) {
        return start(List.of(program()), Map.of(), directory, behind, address, settings);
    }

    private static Sshd start(
            List<String> program,
            Map<String, String> environment,
            Path directory,
            List<String> behind,
            String address,
            String... settings) {
        for (int attempt = 0; ; attempt++) {
            try {
                return open(program, environment, directory, behind, address, settings);
            } catch (PortTaken taken) {
                if (attempt == 5) {
                    throw new AssertionError("no port stays free", taken);
                }
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            } catch (InterruptedException e) {
                throw new AssertionError("interrupted while sshd started", e);
            }
        }
    }

    public int port() {
        return port;
    }

    public String address() {
        return address;
    }

    /** Its directory: {@code authorized_keys}, {@code known_hosts}, {@code config}, the log. */
    public Path directory() {
        return directory;
    }

    /** For {@code -F}: the host {@code trial} is this server, its key known, ours accepted. */
    public Path config() {
        return directory.resolve("config");
    }

    public Path knownHosts() {
        return directory.resolve("known_hosts");
    }

    public Path authorizedKeys() {
        return directory.resolve("authorized_keys");
    }

    public static String user() {
        return System.getProperty("user.name");
    }

    public String log() {
        try {
            return Files.readString(directory.resolve("log"));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /**
     * Waits until the log says that, as a regular expression: it is written by a thread of its own,
     * and may come after what a client sees.
     *
     * @throws AssertionError when it has not said so after a minute
     */
    public void awaitLog(String wanted) throws InterruptedException {
        Pattern pattern = Pattern.compile(wanted);
        long deadline = System.nanoTime() + PATIENCE.toNanos();
        while (!pattern.matcher(log()).find()) {
            if (System.nanoTime() > deadline) {
                throw new AssertionError("not in the log: " + wanted + "\n" + log());
            }
            Thread.sleep(20);
        }
    }

    /** The words that make a client come to this server: it, {@code -F} our file, then the rest. */
    public Command client(Client client, String... rest) {
        List<String> argv = new ArrayList<>(client.argv());
        argv.addAll(List.of("-F", config().toString()));
        argv.addAll(Arrays.asList(rest));
        return Command.of(argv);
    }

    /** The listener and everything below it, the sessions' own commands too. */
    public List<Long> processes() {
        return Signals.tree(process.pid());
    }

    /** The listener. */
    public long pid() {
        return process.pid();
    }

    /** Processes of connections now open: everything but the listener. */
    public List<Long> sessions() {
        List<Long> all = new ArrayList<>(processes());
        all.removeFirst();
        return all;
    }

    /** SIGSTOP for the listener and every process below it: the machine hangs. */
    public void freeze() {
        frozen = true;
        // Twice: one may have forked between the look and the signal.
        Signals.send("STOP", processes());
        Signals.send("STOP", processes());
    }

    public void thaw() {
        if (frozen) {
            frozen = false;
            Signals.send("CONT", processes());
        }
    }

    /** SIGKILL for the processes of every connection: the kernel closes their sockets. */
    public void killSessions() {
        Signals.send("KILL", sessions());
    }

    /** Ends it and all below it, whatever state they are in. */
    @Override
    public void close() {
        List<Long> all = processes();
        Signals.send("KILL", all);
        thaw();
        try {
            process.waitFor();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private static Sshd open(
            List<String> program,
            Map<String, String> environment,
            Path directory,
            List<String> behind,
            String address,
            String... settings)
            throws IOException, InterruptedException, PortTaken {
        Files.createDirectories(directory);
        boolean root = user().equals("root");
        if (root) {
            // sshd's privilege separation directory; systemd makes it where there is systemd.
            Files.createDirectories(Path.of("/run/sshd"));
        }
        int port = behind.isEmpty() ? freePort() : 2222;
        Path key = Keys.of("ed25519", "user");
        List<String> given = Arrays.asList(settings);
        int match = 0;
        while (match < given.size() && !given.get(match).startsWith("Match ")) {
            match++;
        }
        List<String> lines = new ArrayList<>(given.subList(0, match));
        boolean ownHostKeys = lines.stream().anyMatch(line -> line.startsWith("HostKey "));
        lines.add("ListenAddress " + address + ":" + port);
        lines.add("PidFile none");
        lines.add("AuthorizedKeysFile " + directory.resolve("authorized_keys"));
        lines.add("StrictModes no");
        lines.add("UsePAM no");
        lines.add("PermitRootLogin yes");
        lines.add("PasswordAuthentication no");
        lines.add("KbdInteractiveAuthentication no");
        lines.add("PrintMotd no");
        lines.add("PrintLastLog no");
        lines.add("UseDNS no");
        if (lines.stream().noneMatch(line -> line.startsWith("MaxStartups "))) {
            lines.add("MaxStartups 100:30:200"); // of which OpenSSH 9.2 takes the last
        }
        lines.add("LogLevel VERBOSE");
        lines.add("Subsystem sftp internal-sftp");
        // SHLVL: a bash that sshd runs at the outermost level reads the machine's own ~/.bashrc,
        // and says what that has to say.
        lines.add("SetEnv " + SERVER_MARK + "=" + directory + " SHLVL=2");
        List<Path> hostKeys = new ArrayList<>();
        if (!ownHostKeys) {
            for (String type : Keys.TYPES) {
                Path hostKey = Keys.of(type, "host");
                hostKeys.add(hostKey);
                lines.add("HostKey " + hostKey);
            }
        }
        // What stands behind a Match holds for nobody else: it comes last.
        lines.addAll(given.subList(match, given.size()));
        Path config = directory.resolve("sshd_config");
        Files.write(config, lines);
        Files.writeString(directory.resolve("authorized_keys"), Keys.publicLine(key) + "\n");
        StringBuilder known = new StringBuilder();
        for (Path hostKey : hostKeys) {
            String[] words = Keys.publicLine(hostKey).split(" ", 3);
            known.append("[%s]:%d %s %s\n".formatted(address, port, words[0], words[1]));
        }
        Files.writeString(directory.resolve("known_hosts"), known);
        Files.write(
                directory.resolve("config"),
                List.of(
                        "Host trial",
                        "    HostName " + address,
                        "Host *",
                        "    Port " + port,
                        "    User " + user(),
                        "    IdentityFile " + key,
                        "    IdentitiesOnly yes",
                        "    IdentityAgent none",
                        "    UserKnownHostsFile " + directory.resolve("known_hosts"),
                        "    GlobalKnownHostsFile /dev/null",
                        "    StrictHostKeyChecking yes"));
        Path log = directory.resolve("log");
        Files.deleteIfExists(log);
        List<String> argv = new ArrayList<>(behind);
        argv.addAll(program);
        argv.addAll(List.of("-D", "-e", "-f", config.toString()));
        ProcessBuilder builder =
                new ProcessBuilder(argv)
                        .redirectInput(Path.of("/dev/null").toFile())
                        .redirectOutput(ProcessBuilder.Redirect.DISCARD)
                        .redirectError(log.toFile());
        builder.environment().putAll(environment);
        Process process = builder.start();
        Sshd sshd = new Sshd(directory, behind, address, port, process);
        long deadline = System.nanoTime() + PATIENCE.toNanos();
        while (!sshd.log().contains("Server listening on")) {
            if (!process.isAlive() && sshd.log().contains("already in use")) {
                throw new PortTaken();
            }
            if (!process.isAlive() || System.nanoTime() > deadline) {
                sshd.close();
                throw new AssertionError("sshd did not start: " + sshd.log());
            }
            Thread.sleep(5);
        }
        return sshd;
    }

    /** Where this machine has its sshd. */
    public static String program() {
        for (String place : PLACES) {
            if (Files.isExecutable(Path.of(place))) {
                return place;
            }
        }
        throw new AssertionError("no sshd here (openssh-server)");
    }

    /** A port of every address that is free now, and that nobody else is given by chance. */
    public static int freePort() {
        for (int i = 0; i < PORTS; i++) {
            int port = FIRST_PORT + NEXT_PORT.getAndIncrement() % PORTS;
            try (ServerSocket probe = new ServerSocket()) {
                probe.bind(new InetSocketAddress(port));
                return port;
            } catch (IOException taken) {
                // the next, then
            }
        }
        throw new AssertionError("no port is free");
    }

    @Override
    public String toString() {
        return behind.isEmpty() ? address + ":" + port : behind.getLast() + " " + address;
    }

    private static final class PortTaken extends Exception {
        private static final long serialVersionUID = 1L;
    }
}
