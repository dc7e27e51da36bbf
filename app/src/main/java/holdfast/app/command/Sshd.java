package holdfast.app.command;

import holdfast.app.Main;
import holdfast.app.service.LogWriter;
import holdfast.app.service.Metrics;
import holdfast.app.service.StatusSocket;
import holdfast.ssh.Software;
import holdfast.ssh.config.ConfigException;
import holdfast.ssh.config.Patterns;
import holdfast.ssh.config.ServerCommandLine;
import holdfast.ssh.config.ServerConfig;
import holdfast.ssh.config.Surroundings;
import holdfast.ssh.link.Growth;
import holdfast.ssh.log.Log;
import holdfast.ssh.log.MinaLog;
import holdfast.ssh.log.Reason;
import holdfast.ssh.server.Server;
import holdfast.ssh.server.ServerParts;
import holdfast.ssh.server.auth.HostKeys;
import holdfast.ssh.system.Accounts;
import holdfast.ssh.system.Daemon;
import holdfast.ssh.system.MainProcess;
import holdfast.ssh.system.Sockets;
import holdfast.ssh.system.SystemException;
import holdfast.ssh.system.SystemLog;
import holdfast.ssh.system.TcpWrappers;
import holdfast.ssh.terminal.Signals;
import java.io.FileDescriptor;
import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.ByteChannel;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/** {@code holdfast sshd}: OpenSSH's server to the letter, and one that notices the dead. */
public final class Sshd {

    /** How OpenSSH's process for a connection ends, whatever became of that. */
    private static final int SERVED_ONE = 255;

    private static final String NO_HOST_KEYS = "sshd: no hostkeys available -- exiting.";

    /** How long our predecessors may take to hear that the machine goes down. */
    private static final Duration TELLING = Duration.ofSeconds(3);

    /** Within this a SIGTERM is the one that the process which stands for us had. */
    private static final Duration SAME = Duration.ofSeconds(1);

    /** Set for the process that serves in the background. */
    private static final String BACKGROUND = "HOLDFAST_SSHD_BACKGROUND";

    private static final Pattern METRICS_ADDRESS =
            Pattern.compile("(?:\\[?([0-9A-Za-z.:-]+?)]?:)?([0-9]{1,5})");

    /** What the server is told from outside while it runs. */
    private enum Word {
        RELOAD,
        INTERRUPTED,
        TERMINATED,
        /**
         * systemd, or whoever ended the process that stands for us there, wants the service over.
         */
        SERVICE_OVER,
        /** {@code -d}: the one connection has ended. */
        SERVED,
        /** Nobody is left of those whom a server that had its SIGTERM went on to serve. */
        LAST_LEFT
    }

    private final ServerCommandLine line;
    private final Surroundings surroundings;
    private final LinkedBlockingQueue<Word> words = new LinkedBlockingQueue<>();

    /** Where its words go, if not to the system's log. */
    private Log.Sink opened = (level, text) -> write(text);

    private Sshd(ServerCommandLine line, Surroundings surroundings) {
        this.line = line;
        this.surroundings = surroundings;
    }

    /**
     * Runs one server to its end, or asks one that runs.
     *
     * @param arguments as for sshd(8), without the program's name; or {@code status}, {@code drop},
     *     {@code --here}
     * @return the exit status
     */
    public static int run(List<String> arguments) {
        if (!arguments.isEmpty()) {
            switch (arguments.getFirst()) {
                case "status" -> {
                    return SshdStatus.status(arguments.subList(1, arguments.size()));
                }
                case "drop" -> {
                    return SshdStatus.drop(arguments.subList(1, arguments.size()));
                }
                case "--here" -> {
                    return Here.run(arguments.subList(1, arguments.size()));
                }
                default -> {}
            }
        }
        Surroundings surroundings = Surroundings.ofProcess();
        try {
            ServerCommandLine line = ServerCommandLine.parse(arguments, surroundings);
            if (line.printsVersion()) {
                say(version());
                return 0;
            }
            return new Sshd(line, surroundings).run();
        } catch (ConfigException e) {
            say(e.text());
            return e.status();
        }
    }

    private int run() {
        Log.Sink first;
        try {
            first = first();
        } catch (IOException e) {
            say("Couldn't open logfile " + line.logFile() + ": " + Reason.of(e));
            return 1;
        }
        boolean system = first instanceof ToSystem;
        Log.Level level = line.logLevel();
        Log early = system ? Log.ofSystem(level, first) : Log.ofTerminal(level, first);
        try {
            return run(early);
        } catch (ConfigException e) {
            // Said whatever the level is.
            e.text().lines().forEach(early.at(Log.Level.INFO)::error);
            return e.status();
        }
    }

    private int run(Log early) throws ConfigException {
        ServerConfig config = ServerConfig.load(line, surroundings, early);
        if (line.printsConfiguration()) {
            config.notes().forEach(Sshd::say);
            if (line.loadsKeys() && HostKeys.load(config.global(), early).isEmpty()) {
                early.info(NO_HOST_KEYS);
                return 1;
            }
            System.out.print(config.print(line.connection(Sshd::groups)));
            System.out.flush();
            return 0;
        }
        if (HostKeys.load(config.global(), early).isEmpty()) {
            early.info(NO_HOST_KEYS);
            return 1;
        }
        if (line.checksOnly()) {
            config.notes().forEach(Sshd::say);
            return 0;
        }
        if (!line.staysInForeground() && System.getenv(BACKGROUND) == null) {
            return background();
        }
        return serve(config);
    }

    /** The names of a user's groups, for {@code -C}. */
    private static Set<String> groups(String user) {
        try {
            return Accounts.named(user)
                    .map(account -> Set.copyOf(account.groupNames()))
                    .orElse(Set.of());
        } catch (SystemException e) {
            return Set.of();
        }
    }

    /** Starts the server anew as a process of its own, and waits until it listens. */
    private static int background() {
        ProcessHandle.Info self = ProcessHandle.current().info();
        try {
            var environment = new java.util.HashMap<>(System.getenv());
            environment.put(BACKGROUND, "1");
            return Daemon.start(
                    Path.of(self.command().orElseThrow()),
                    List.of(self.arguments().orElseThrow()),
                    environment);
        } catch (SystemException e) {
            say("sshd: cannot start in the background: " + e.getMessage());
            return 255;
        }
    }

    private int serve(ServerConfig config) {
        Daemon.guardFiles(); // sessions have it from us
        Log.Sink sink = toSystem() ? new ToSystem(config.global().syslogFacility()) : opened;
        try (LogWriter writer = new LogWriter(sink)) {
            Log.Level level = line.quiet() ? Log.Level.QUIET : config.global().logLevel();
            // The system is told the level of each line, and what is an error says so.
            Log log = toSystem() ? Log.ofSystem(level, writer) : new Log(level, writer);
            verbose(log, config);
            MinaLog.to(log);
            config.notes().forEach(log::info);
            String unasked = TcpWrappers.unasked();
            if (unasked != null) {
                log.error(unasked);
            }
            try {
                Server server = new Server(config, ServerParts.all(), Software.SERVER, log);
                Growth.watch();
                return line.inetd() ? onStdio(server) : listening(server, log);
            } catch (IOException e) {
                String why = String.valueOf(e.getMessage());
                log.fatal(why);
                if (toSystem() && !line.inetd()) {
                    say(why); // for whoever waits until it listens
                }
                return 255;
            }
        }
    }

    private static void verbose(Log log, ServerConfig config) {
        log.verboseAt(config.global().logVerbose(), Patterns::isListed);
    }

    private boolean toSystem() {
        return line.logFile() == null && !line.logsToStderr();
    }

    /**
     * Where its words go before the configuration is read: to standard error, which may be a
     * client's connection where a superserver has started it.
     */
    private Log.Sink first() throws IOException {
        String file = line.logFile();
        if (file != null) {
            FileOutputStream out = LogFile.open(file);
            opened = (level, text) -> write(out, text);
        } else if (line.inetd() && !line.logsToStderr()) {
            return new ToSystem("AUTH");
        }
        return opened;
    }

    /** The system's log. */
    private static final class ToSystem implements Log.Sink {
        private final SystemLog system;

        ToSystem(String facility) {
            system = new SystemLog("sshd", facility);
        }

        @Override
        public void take(Log.Level level, String text) {
            take(level, text, 0);
        }

        @Override
        public void take(Log.Level level, String text, long speaker) {
            system.write(level, text.strip(), speaker);
        }
    }

    private int listening(Server server, Log log) throws IOException {
        Signals.on("HUP", () -> words.add(Word.RELOAD));
        Signals.on("TERM", () -> words.add(Word.TERMINATED));
        Signals.on("INT", () -> words.add(Word.INTERRUPTED));
        boolean awaited = line.staysInForeground() && Daemon.isService();
        server.meets(sockets()); // before anybody can come back
        server.start();
        Open open = new Open();
        Word word = Word.TERMINATED;
        try {
            open.main = mainProcess(log);
            open.forNewcomers.add(open::removePid);
            writePid(server, open, log);
            open.all.add(status(server, log));
            Metrics metrics = metrics(server, log);
            if (metrics != null) {
                open.forNewcomers.add(metrics);
            }
            // In one message: afterwards systemd listens to that process, and to us no more.
            Daemon.notify(open.main == null ? "READY=1" : "MAINPID=" + open.pid() + "\nREADY=1");
            Daemon.ready();
            if (line.servesOne()) {
                Thread.ofVirtual().start(() -> serveOne(server));
            }
            word = words.take();
            while (word == Word.RELOAD) {
                reload(server, open, log);
                word = words.take();
            }
            if (word != Word.SERVED) {
                log.info("Received signal " + number(word) + "; terminating.");
            }
            tell(open, "STOPPING=1");
            if (word == Word.TERMINATED || word == Word.SERVICE_OVER) {
                if (Daemon.machineGoesDown()) {
                    open.telling = StatusSocket.endOthers(sockets());
                } else if (!line.servesOne() && (!awaited || open.main != null)) {
                    word = leave(word, server, open, log);
                }
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        } finally {
            open.close();
            server.close();
            open.awaitTold();
            open.endService(); // not before all clients were told
        }
        return word == Word.SERVED ? SERVED_ONE : 0;
    }

    /** What a server has open besides its connections. */
    private static final class Open {
        final List<AutoCloseable> all = new ArrayList<>();

        /** What the next server will want: its pid file and the address of its metrics. */
        final List<AutoCloseable> forNewcomers = new ArrayList<>();

        /** Where the number is that the server goes by. */
        @Nullable Path pidFile;

        /** Stands for us with those who wait for the server's end. */
        @Nullable MainProcess main;

        /** Those who tell our predecessors that the machine goes down. */
        List<Thread> telling = List.of();

        /** The number that the server goes by. */
        long pid() {
            return main == null ? ProcessHandle.current().pid() : main.pid();
        }

        void removePid() throws IOException {
            Path file = pidFile;
            pidFile = null;
            if (file != null) {
                Files.deleteIfExists(file);
            }
        }

        /** What only a server has that listens. */
        void closeToNewcomers() {
            forNewcomers.forEach(Sshd::closeQuietly);
            forNewcomers.clear();
        }

        /** With the service's end we may be killed, and the machine may go down. */
        void awaitTold() {
            long until = System.nanoTime() + TELLING.toNanos();
            try {
                for (Thread each : telling) {
                    boolean _ = each.join(Duration.ofNanos(until - System.nanoTime()));
                }
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
        }

        /** As soon as it is seen, a new server may be started. */
        void endService() {
            if (main != null) {
                main.close();
            }
        }

        void close() {
            all.forEach(Sshd::closeQuietly);
            closeToNewcomers();
        }
    }

    private static int number(Word word) {
        return word == Word.INTERRUPTED ? 2 : 15;
    }

    /**
     * What stands for us with those who wait for a server's end by its number: systemd, and scripts
     * that have it from the pid file. Whoever started us to stay in the foreground has our own.
     */
    private @Nullable MainProcess mainProcess(Log log) {
        if (line.servesOne() || (line.staysInForeground() && !MainProcess.systemdWaits())) {
            return null;
        }
        try {
            return MainProcess.start(said ->
                    words.add(
                            switch (said) {
                                case RELOAD -> Word.RELOAD;
                                case TERMINATE -> Word.SERVICE_OVER;
                            }));
        } catch (IOException e) {
            log.error("no process to stand for this one: " + e.getMessage());
            return null;
        }
    }

    /** Tells whoever waits for us; not systemd, which for Type=notify need not know. */
    private static void tell(Open open, String state) {
        if (open.main == null) {
            Daemon.notify(state);
        }
    }

    /**
     * Goes on with the connections that there are, while a new server may already serve those to
     * come: as OpenSSH's do, which are processes of their own. Not where the end is meant for them
     * too: with {@code -d}, at an interrupt, when the machine goes down; nor where the first
     * process waits for ours to end and would kill it for being late.
     *
     * @param why what has ended the service
     * @return what ended that
     */
    private Word leave(Word why, Server server, Open open, Log log) throws InterruptedException {
        boolean any = !server.connections().isEmpty();
        server.leave(sockets(), () -> words.add(Word.LAST_LEFT));
        open.closeToNewcomers();
        open.endService();
        int left = server.connections().size();
        if (left > 0) {
            log.info("Serving on " + connections(left) + "; a second SIGTERM ends them.");
        }
        // Who tells all of a service's processes, or all of its name, tells us too.
        boolean toldTwice = why == Word.SERVICE_OVER;
        long until = System.nanoTime() + SAME.toNanos();
        while (true) {
            Word word = words.take();
            if (toldTwice && word == Word.TERMINATED && System.nanoTime() < until) {
                toldTwice = false;
                continue;
            }
            switch (word) {
                case RELOAD -> log.info("Received SIGHUP; not restarting: this server has ended.");
                case SERVICE_OVER, SERVED -> {}
                case LAST_LEFT -> {
                    if (any) {
                        // What is left to do after a program's end, such as its record of logout.
                        words.poll(2, TimeUnit.SECONDS);
                    }
                    return word;
                }
                case INTERRUPTED, TERMINATED -> {
                    log.info(
                            "Received signal "
                                    + number(word)
                                    + "; terminating "
                                    + connections(server.connections().size())
                                    + ".");
                    return word;
                }
            }
        }
    }

    private static String connections(int count) {
        return count == 1 ? "1 connection" : count + " connections";
    }

    /** {@code -d}: one connection, then the end. */
    private void serveOne(Server server) {
        try {
            while (server.counts().connections() == 0) {
                Thread.sleep(50);
            }
            server.awaitLast();
            words.add(Word.SERVED);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private void reload(Server server, Open open, Log log) {
        log.info("Received SIGHUP; restarting.");
        tell(open, "RELOADING=1");
        try {
            ServerConfig config = ServerConfig.load(line, surroundings, log);
            config.notes().forEach(log::info);
            server.reload(config);
            if (!line.quiet()) {
                log.level(config.global().logLevel());
            }
            verbose(log, config);
        } catch (ConfigException e) {
            log.error(e.text() + "; the configuration stays as it was");
        } catch (IOException e) {
            log.error(e.getMessage() + "; what it concerns stays as it was");
        }
        writePid(server, open, log);
        tell(open, "READY=1");
    }

    private AutoCloseable status(Server server, Log log) {
        try {
            return StatusSocket.open(sockets(), server, () -> words.add(Word.TERMINATED));
        } catch (IOException e) {
            log.info("no status socket: " + e.getMessage());
            return () -> {};
        }
    }

    private static Path sockets() {
        return StatusSocket.directory(System.getenv(), Accounts.privileged());
    }

    private static @Nullable Metrics metrics(Server server, Log log) {
        String given = server.settings().metricsAddress();
        if (given == null) {
            return null;
        }
        Matcher matcher = METRICS_ADDRESS.matcher(given);
        int port = matcher.matches() ? Integer.parseInt(matcher.group(2)) : -1;
        if (port < 0 || port > 65_535) {
            log.error("MetricsAddress: expected PORT or ADDRESS:PORT, got \"" + given + "\"");
            return null;
        }
        String host = matcher.group(1) == null ? "127.0.0.1" : matcher.group(1);
        InetSocketAddress address = new InetSocketAddress(host, port);
        try {
            Metrics metrics = Metrics.open(address, server);
            log.info("Metrics at http:/" + metrics.address() + "/metrics");
            return metrics;
        } catch (IOException e) {
            log.error("no metrics at " + address + ": " + e.getMessage());
            return null;
        }
    }

    /**
     * Writes the pid file: anew after each SIGHUP, for whoever removed it to see when that has been
     * obeyed. One of another name goes first.
     */
    private void writePid(Server server, Open open, Log log) {
        Path file = line.servesOne() ? null : server.settings().pidFile();
        if (!Objects.equals(file, open.pidFile)) {
            try {
                open.removePid();
            } catch (IOException e) {
                log.debug("The pid file cannot be removed: " + Reason.of(e));
            }
        }
        open.pidFile = file;
        try {
            if (file != null) {
                Files.writeString(file, open.pid() + "\n");
            }
        } catch (IOException e) {
            log.error("Couldn't create pid file \"" + file + "\": " + Reason.of(e));
        }
    }

    /** {@code -i}: one client, on our own input and output. */
    private static int onStdio(Server server) throws IOException {
        Pipes pipes =
                new Pipes(
                        new FileInputStream(FileDescriptor.in).getChannel(),
                        new FileOutputStream(FileDescriptor.out).getChannel());
        Sockets.Ends ends = Sockets.standardInput();
        if (ends != null) {
            Sockets.prepareStandardInput(server.settings().tcpKeepAlive());
        }
        server.serve(pipes, ends == null ? null : ends.local(), ends == null ? null : ends.peer());
        try {
            server.awaitLast();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
        server.close();
        return SERVED_ONE;
    }

    /** Two one-way streams as one. */
    private record Pipes(FileChannel in, FileChannel out) implements ByteChannel {

        @Override
        public int read(ByteBuffer into) throws IOException {
            return in.read(into);
        }

        @Override
        public int write(ByteBuffer from) throws IOException {
            return out.write(from);
        }

        @Override
        public boolean isOpen() {
            return in.isOpen() && out.isOpen();
        }

        @Override
        public void close() throws IOException {
            in.close();
            out.close();
        }
    }

    private static void closeQuietly(AutoCloseable one) {
        try {
            one.close();
        } catch (Exception e) {
            // we are on our way out
        }
    }

    private static String version() {
        return "OpenSSH_10.0 compatible, Holdfast " + Main.VERSION + ", Java " + Runtime.version();
    }

    private static void say(String text) {
        write(text.replace("\n", "\r\n") + "\r\n");
    }

    private static void write(String text) {
        write(STDERR, text);
    }

    private static final FileOutputStream STDERR = new FileOutputStream(FileDescriptor.err);

    private static void write(FileOutputStream to, String text) {
        try {
            to.write(text.getBytes(StandardCharsets.UTF_8));
        } catch (IOException e) {
            // nobody reads our words any more, and there is nowhere else to say so
        }
    }
}
