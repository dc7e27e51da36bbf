package holdfast.app.command;

import holdfast.app.Main;
import holdfast.ssh.client.Client;
import holdfast.ssh.config.ClientConfig;
import holdfast.ssh.config.ClientSettings;
import holdfast.ssh.config.ClientSharing;
import holdfast.ssh.config.CommandLine;
import holdfast.ssh.config.ConfigException;
import holdfast.ssh.config.Patterns;
import holdfast.ssh.config.Surroundings;
import holdfast.ssh.link.Growth;
import holdfast.ssh.link.LinkLoop;
import holdfast.ssh.log.Log;
import holdfast.ssh.log.MinaLog;
import holdfast.ssh.log.Reason;
import holdfast.ssh.mux.MuxClient;
import holdfast.ssh.octets.Octets;
import holdfast.ssh.system.Daemon;
import holdfast.ssh.system.Exit;
import holdfast.ssh.system.SystemException;
import holdfast.ssh.system.SystemLog;
import holdfast.ssh.terminal.Askpass;
import holdfast.ssh.terminal.Killed;
import holdfast.ssh.terminal.StandardInput;
import holdfast.ssh.terminal.Terminal;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/** {@code holdfast ssh}: OpenSSH's client to the letter, with a better eye on the link. */
public final class Ssh {

    /** As OpenSSH's. */
    private static final int NO_LOG = 1;

    private Ssh() {}

    /**
     * Runs one client to its end.
     *
     * @param arguments as for ssh(1), without the program's name
     * @return the exit status
     */
    public static int run(List<String> arguments) {
        Killed.bySignals();
        FileOutputStream stderr = new FileOutputStream(FileDescriptor.err);
        Surroundings surroundings = Surroundings.ofProcess();
        Log log = new Log(Log.Level.INFO, line -> write(stderr, line));
        // The one that it stands in for has read all this already, and said what there was to say.
        boolean standsIn = Daemon.standsIn();
        if (surroundings.nobody()) {
            log.info("No user exists for uid " + surroundings.uid());
            return 255;
        }
        try {
            CommandLine line = CommandLine.parse(arguments, surroundings);
            if (!standsIn) {
                line.notes().forEach(note -> write(stderr, note));
            }
            if (line.printsVersion()) {
                write(stderr, version() + "\n");
                return 0;
            }
            List<String> answer = line.answer();
            if (answer != null) {
                StringBuilder lines = new StringBuilder();
                answer.forEach(entry -> lines.append(entry).append('\n'));
                write(new FileOutputStream(FileDescriptor.out), lines.toString());
                return 0;
            }
            String file = line.logFile();
            FileOutputStream sink = file == null ? stderr : open(file, stderr);
            if (sink == null) {
                return NO_LOG;
            }
            Log.Level first = standsIn ? Log.Level.ERROR : line.logLevel();
            log =
                    line.logsToSystem()
                            ? system(first, "USER")
                            : new Log(first, text -> write(sink, text));
            if (line.verbose()) {
                log.info(version());
            }
            ClientConfig config = ClientConfig.resolve(line, surroundings, log);
            if (line.printsConfiguration()) {
                if (!mayGoOn(config.settings(), log)) {
                    return Client.FAILED;
                }
                write(new FileOutputStream(FileDescriptor.out), config.print());
                return 0;
            }
            return connect(config, surroundings, log, standsIn, file != null || line.verbose());
        } catch (ConfigException e) {
            if (e.evenWhenQuiet()) {
                write(stderr, e.printed());
            } else {
                log.fatal(e.printed().stripTrailing());
            }
            return ConfigException.EXIT_STATUS;
        }
    }

    /**
     * @param heard whether somebody reads the log when we are in the background
     */
    private static int connect(
            ClientConfig config,
            Surroundings surroundings,
            Log early,
            boolean standsIn,
            boolean heard) {
        int hop = standsIn ? Daemon.part() : 0;
        ClientSettings settings = config.settings().jumpHost(hop);
        if (settings == null) {
            early.error("the jump host is gone from the configuration");
            return Client.FAILED;
        }
        String facility = config.settings().comfort().syslogFacility();
        Log log = facility == null ? early : system(settings.logLevel(), facility);
        log.level(settings.logLevel());
        log.verboseAt(
                settings.comfort().logVerbose(),
                (place, patterns) -> Patterns.list(place, patterns, false) == 1);
        MinaLog.to(log);
        String refusal = config.refusal();
        if (refusal != null) {
            log.fatal(refusal);
            return Client.FAILED;
        }
        ClientSharing.Control control = settings.sharing().control();
        boolean forks =
                hop == 0
                        && config.forksAfterAuthentication()
                        && (control == null || control == ClientSharing.Control.PROXY);
        if (!standsIn && !agentIsThere(settings, log)) {
            return Client.FAILED;
        }
        if (forks && !standsIn) {
            return front();
        }
        boolean shares = true;
        MuxClient.Outcome.Proxied proxied = null;
        // One that stands in for the sake of ControlPersist has been told that there is no master.
        if (forks || !standsIn) {
            switch (join(settings, surroundings, log, forks, false)) {
                case MuxClient.Outcome.Done(int status) -> {
                    return status;
                }
                case MuxClient.Outcome.Bypass _ -> shares = false;
                case MuxClient.Outcome.Proxied master -> {
                    proxied = master;
                    shares = false;
                }
                case MuxClient.Outcome.NoMaster _ -> {}
            }
        }
        boolean persists =
                shares
                        && settings.sharing().path() != null
                        && settings.sharing().master() != ClientSharing.Master.NO
                        && settings.sharing().persist() != null;
        if (persists && !standsIn) {
            return frontOfMaster(settings, surroundings, log);
        }
        if (hop == 0) {
            config.warnings().forEach(log::info);
        }
        Client.Streams streams =
                new Client.Streams(
                        new StandardInput(),
                        new FileOutputStream(FileDescriptor.out).getChannel(),
                        new FileOutputStream(FileDescriptor.err).getChannel());
        Map<String, String> environment = surroundings.environment();
        if (standsIn) {
            environment = new HashMap<>(environment);
            environment.remove(Daemon.ownVariable());
        }
        Client client =
                new Client(
                        settings,
                        environment,
                        streams,
                        Terminal.ofProcess(),
                        new Askpass(settings.batchMode(), surroundings.environment(), log),
                        log,
                        LinkLoop.Watcher.NOBODY);
        client.sharingJumps(number -> masterOf(number, log));
        if (proxied != null) {
            client.proxied(proxied.socket(), proxied.ours());
        } else if (!shares) {
            client.alone();
        }
        boolean toFile = config.settings().logFile() != null;
        if (standsIn && persists && !forks) {
            Client.Background leave =
                    session -> {
                        Daemon.leave(false, heard && !toFile);
                        return heard;
                    };
            if (hop == 0) {
                client.asService(leave);
            } else {
                client.asJumpService(leave, hop, config.settings().connectTimeout());
            }
        }
        if (standsIn && forks) {
            client.inBackground(session -> {
                // As OpenSSH: a remote program keeps our output and errors; without one they go.
                Daemon.leave(session, session || (heard && !toFile));
                return heard;
            });
        }
        Growth.watch();
        return client.run();
    }

    /** What OpenSSH has to say even where it only prints its configuration. */
    private static boolean mayGoOn(ClientSettings settings, Log log) {
        log.level(settings.logLevel());
        ClientSharing.Control control = settings.sharing().control();
        if (control == null || control == ClientSharing.Control.PROXY) {
            settings.wantsPty(Terminal.isTerminal(0), log);
        }
        return agentIsThere(settings, log);
    }

    /** False where an agent that is not there is to be forwarded, and that is the end. */
    private static boolean agentIsThere(ClientSettings settings, Log log) {
        return settings.credentials().agentIsThere(log) || !settings.forwards().exitOnFailure();
    }

    /** Goes through a master that runs already, if there is one. */
    private static MuxClient.Outcome join(
            ClientSettings settings,
            Surroundings surroundings,
            Log log,
            boolean forks,
            boolean own) {
        if (settings.sharing().path() == null) {
            return new MuxClient.Outcome.NoMaster(); // nothing of all that is loaded then
        }
        FileOutputStream err = new FileOutputStream(FileDescriptor.err);
        FileOutputStream out = new FileOutputStream(FileDescriptor.out);
        MuxClient client =
                new MuxClient(
                        settings,
                        surroundings.environment(),
                        Terminal.ofProcess(),
                        text -> write(out, text),
                        text -> write(err, text),
                        log);
        if (forks) {
            client.inBackground(() -> Daemon.leave(true, true));
        }
        return (own ? client.ofOurOwn() : client).run();
    }

    /**
     * ControlPersist: another of us connects, becomes the master and goes to the background; then
     * we are its first client. If it cannot, it runs our session itself, here.
     */
    private static int frontOfMaster(ClientSettings settings, Surroundings surroundings, Log log) {
        Optional<Exit> ended;
        try {
            ended = Daemon.standIn();
        } catch (SystemException e) {
            System.err.println("holdfast ssh: cannot go to the background: " + e.getMessage());
            return Client.FAILED;
        }
        if (ended.isPresent()) {
            return status(ended.get());
        }
        boolean session =
                settings.sessionType() != ClientSettings.SessionType.NONE
                        || settings.forwards().stdio() != null;
        if (!session) {
            return 0; // the master was all that was wanted
        }
        return switch (join(settings, surroundings, log, false, true)) {
            case MuxClient.Outcome.Done(int status) -> status;
            case MuxClient.Outcome.NoMaster _,
                    MuxClient.Outcome.Bypass _,
                    MuxClient.Outcome.Proxied _ -> {
                log.fatal("Failed to connect to new control master");
                yield Client.FAILED;
            }
        };
    }

    /** A jump host's ControlPersist: another of us is its master, and nothing else. */
    private static int masterOf(int number, Log log) {
        try {
            return Daemon.standIn(number).map(Ssh::status).orElse(0);
        } catch (SystemException e) {
            log.error("holdfast ssh: cannot start a master: " + e.getMessage());
            return Client.FAILED;
        }
    }

    /** How we end with one that stands in for us: a signal to it was one to us. */
    private static int status(Exit stoodIn) {
        if (stoodIn.signal() != 0) {
            Killed.by(stoodIn.signal());
        }
        return stoodIn.status();
    }

    /** Waits in the foreground until another of us has gone to the background. */
    private static int front() {
        try {
            return Daemon.standIn().map(Ssh::status).orElse(0);
        } catch (SystemException e) {
            System.err.println("holdfast ssh: cannot go to the background: " + e.getMessage());
            return Client.FAILED;
        }
    }

    private static Log system(Log.Level level, String facility) {
        return Log.ofSystem(level, new SystemLog("ssh", facility)::write);
    }

    /**
     * Names the OpenSSH whose behaviour is followed first, because that is what programs look for
     * in {@code ssh -V}.
     */
    private static String version() {
        return "OpenSSH_10.0 compatible, Holdfast " + Main.VERSION + ", Java " + Runtime.version();
    }

    private static @Nullable FileOutputStream open(String file, FileOutputStream stderr) {
        try {
            return LogFile.open(file);
        } catch (IOException e) {
            write(stderr, "Couldn't open logfile " + file + ": " + Reason.of(e) + "\n");
            return null;
        }
    }

    private static void write(FileOutputStream to, String text) {
        try {
            to.write(Octets.bytes(text));
        } catch (IOException e) {
            // nobody reads our words any more, and there is nowhere else to say so
        }
    }
}
