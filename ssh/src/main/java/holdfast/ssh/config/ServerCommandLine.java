package holdfast.ssh.config;

import holdfast.ssh.config.ServerConfig.Connection;
import holdfast.ssh.log.Log;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * The arguments of sshd(8), read as OpenSSH's getopt reads them.
 *
 * <p>Immutable once parsed.
 */
public final class ServerCommandLine {

    /** What OpenSSH prints, below its version, when it does not understand its arguments. */
    static final String USAGE =
            """
            usage: sshd [-46DdeGiqTtV] [-C connection_spec] [-c host_cert_file]
                        [-E log_file] [-f config_file] [-g login_grace_time]
                        [-h host_key_file] [-o option] [-p port] [-u len]\
            """;

    /** The option string of OpenSSH; a colon says that the option before it has an argument. */
    public static final String OPTIONS = "C:E:b:c:f:g:h:k:o:p:u:46DGQRTdeiqrtV";

    /** The longest name of a machine, which -u is compared with (HOST_NAME_MAX + 1). */
    private static final int MAX_HOST_NAME = 65;

    /** Something an option gives to the configuration. */
    private interface Gift {
        void to(ServerReader reader) throws ConfigException;
    }

    private final List<Gift> gifts = new ArrayList<>();
    private final ServerReader scratch;

    private String configFile;
    private @Nullable String logFile;
    private @Nullable Connection connection;
    private boolean foreground;
    private boolean logToStderr;
    private boolean inetd;
    private boolean checksOnly;
    private boolean printsConfiguration;
    private boolean loadsKeys = true;
    private boolean printsVersion;
    private int debug;
    private boolean quiet;

    private ServerCommandLine(Surroundings surroundings) {
        scratch = new ServerReader(surroundings, Log.silent());
        configFile = surroundings.systemDirectory() + "/sshd_config";
    }

    /**
     * Reads the arguments.
     *
     * @throws ConfigException in OpenSSH's words; some have the status 1
     */
    public static ServerCommandLine parse(List<String> arguments, Surroundings surroundings)
            throws ConfigException {
        ServerCommandLine line = new ServerCommandLine(surroundings);
        try {
            line.options(arguments);
        } catch (ConfigException e) {
            throw e.ofCommandLine();
        }
        return line;
    }

    private void options(List<String> arguments) throws ConfigException {
        int next = 0;
        List<String> extra = new ArrayList<>();
        while (next < arguments.size()) {
            String argument = arguments.get(next++);
            if (argument.equals("--")) {
                extra.addAll(arguments.subList(next, arguments.size()));
                break;
            }
            if (argument.length() < 2 || argument.charAt(0) != '-') {
                // OpenSSH's own getopt stops at the first word that is no option.
                extra.add(argument);
                break;
            }
            for (int i = 1; i < argument.length(); i++) {
                char option = argument.charAt(i);
                int known = option == ':' ? -1 : OPTIONS.indexOf(option);
                if (known < 0) {
                    throw usage("unknown option -- " + option + "\n");
                }
                String value = "";
                boolean takesValue =
                        known + 1 < OPTIONS.length() && OPTIONS.charAt(known + 1) == ':';
                if (takesValue) {
                    if (i + 1 < argument.length()) {
                        value = argument.substring(i + 1);
                    } else if (next < arguments.size()) {
                        value = arguments.get(next++);
                    } else {
                        throw usage("option requires an argument -- " + option + "\n");
                    }
                }
                option(option, value);
                if (printsVersion) {
                    return;
                }
                if (takesValue) {
                    break;
                }
            }
        }
        if (connection != null && !printsConfiguration) {
            throw ConfigException.of(
                    "Config test connection parameter (-C) provided without test mode (-T)");
        }
        if (!extra.isEmpty()) {
            throw ConfigException.of("Extra argument " + extra.get(0) + ".").withStatus(1);
        }
    }

    private static ConfigException usage(String complaint) {
        return ConfigException.of(complaint + USAGE).withStatus(1);
    }

    private void option(char option, String value) throws ConfigException {
        switch (option) {
            case '4' -> give(reader -> reader.preset(ServerKeyword.ADDRESS_FAMILY, "inet"));
            case '6' -> give(reader -> reader.preset(ServerKeyword.ADDRESS_FAMILY, "inet6"));
            case 'C' -> connection = spec(value, connection);
            case 'c' -> give(reader -> reader.file(ServerKeyword.HOST_CERTIFICATE, value));
            case 'D' -> foreground = true;
            case 'd' -> {
                debug++;
                String level = "DEBUG" + Math.min(debug, 3);
                give(reader -> reader.preset(ServerKeyword.LOG_LEVEL, level));
            }
            case 'E' -> {
                logFile = value;
                logToStderr = true;
            }
            case 'e' -> logToStderr = true;
            case 'f' -> configFile = value;
            case 'G' -> {
                printsConfiguration = true;
                loadsKeys = false;
            }
            case 'g' -> {
                int seconds = Quantities.seconds(value);
                if (seconds < 0) {
                    throw ConfigException.of("Invalid login grace time.").withStatus(1);
                }
                String text = Integer.toString(seconds);
                give(reader -> reader.preset(ServerKeyword.LOGIN_GRACE_TIME, text));
            }
            case 'h' -> give(reader -> reader.file(ServerKeyword.HOST_KEY, value));
            case 'i' -> inetd = true;
            case 'o' -> give(reader -> reader.option(value));
            case 'p' -> {
                int port = Quantities.port(value);
                if (port <= 0) {
                    throw ConfigException.of("Bad port number.").withStatus(1);
                }
                give(reader -> reader.port(port));
            }
            case 'q' -> {
                quiet = true;
                give(reader -> reader.preset(ServerKeyword.LOG_LEVEL, Log.Level.QUIET.name()));
            }
            case 'T' -> printsConfiguration = true;
            case 't' -> checksOnly = true;
            case 'u' -> {
                // What is no number or too large is zero, but for the one behind the longest.
                if (Quantities.numberError(value) == null
                        && Quantities.number(value) == MAX_HOST_NAME + 1) {
                    throw ConfigException.of("Invalid utmp length.").withStatus(1);
                }
            }
            case 'V' -> printsVersion = true;
            // OpenSSH ignores -b, -k and -Q itself; -r and -R concern how it starts its parts.
            case 'b', 'k', 'Q', 'R', 'r' -> {}
            default -> throw new IllegalStateException("no such option: " + option);
        }
    }

    private void give(Gift gift) throws ConfigException {
        // Once here, so that a mistake is told before anything else is done.
        gift.to(scratch);
        gifts.add(gift);
    }

    /** {@code -C}; what an earlier one said and this does not still holds. */
    private static Connection spec(String text, @Nullable Connection before)
            throws ConfigException {
        Connection base = before == null ? Connection.NOBODY : before;
        String user = base.user();
        boolean invalid = base.invalidUser();
        String host = base.host();
        String address = base.address();
        String localAddress = base.localAddress();
        int localPort = base.localPort();
        for (String part : text.split(",", -1)) {
            if (part.isEmpty()) {
                break;
            }
            int equals = part.indexOf('=');
            String value = part.substring(equals + 1);
            switch (equals < 0 ? part : part.substring(0, equals + 1)) {
                case "user=" -> user = value;
                case "host=" -> host = value;
                case "addr=" -> address = value;
                case "laddr=" -> localAddress = value;
                case "lport=" -> {
                    localPort = Quantities.port(value);
                    if (localPort < 0) {
                        throw ConfigException.of(
                                        "Invalid port '"
                                                + value
                                                + "' in test mode specification "
                                                + part)
                                .withStatus(1);
                    }
                }
                // No Match line here can ask for it.
                case "rdomain=" -> {}
                case "invalid-user" -> invalid = true;
                default ->
                        throw ConfigException.of("Invalid test mode specification " + part)
                                .withStatus(1);
            }
        }
        return new Connection(user, invalid, Set::of, host, address, localAddress, localPort);
    }

    /** Gives the options to a reader, before it reads the file: the first value wins. */
    void giveOptions(ServerReader reader) throws ConfigException {
        for (Gift gift : gifts) {
            gift.to(reader);
        }
    }

    /** {@code -f}, or the system's sshd_config. */
    public String configFile() {
        return configFile;
    }

    /** {@code -E}, or null. */
    public @Nullable String logFile() {
        return logFile;
    }

    /** {@code -e} or {@code -E}: not to the system log. {@code -d} without {@code -i} too. */
    public boolean logsToStderr() {
        return logToStderr || (debug > 0 && !inetd);
    }

    /** {@code -D}, {@code -d} or {@code -i}: do not leave the terminal. */
    public boolean staysInForeground() {
        return foreground || debug > 0 || inetd;
    }

    /** {@code -d}: serve one connection and end. */
    public boolean servesOne() {
        return debug > 0;
    }

    /** {@code -i}: the one connection is on stdin and stdout. */
    public boolean inetd() {
        return inetd;
    }

    /** {@code -q}. */
    public boolean quiet() {
        return quiet;
    }

    /** What to log before the file is read. */
    public Log.Level logLevel() {
        String level = scratch.values().text(ServerKeyword.LOG_LEVEL);
        return level == null ? Log.Level.INFO : Log.Level.valueOf(level.toUpperCase(Locale.ROOT));
    }

    /** {@code -t}: check the configuration and the keys, and end. */
    public boolean checksOnly() {
        return checksOnly;
    }

    /** {@code -T} or {@code -G}: print the configuration and end. */
    public boolean printsConfiguration() {
        return printsConfiguration;
    }

    /** Whether host keys must be there: {@code -G} does without. */
    public boolean loadsKeys() {
        return loadsKeys;
    }

    /** {@code -V}: print the version and end; nothing else here means anything then. */
    public boolean printsVersion() {
        return printsVersion;
    }

    /**
     * What {@code -C} says, or {@link Connection#NOBODY}.
     *
     * @param groupsOf the names of the groups of a user; empty for one that does not exist
     */
    public Connection connection(Function<String, Set<String>> groupsOf) {
        Connection given = connection;
        if (given == null) {
            return Connection.NOBODY;
        }
        String user = given.user();
        return new Connection(
                user,
                given.invalidUser(),
                () -> user == null ? Set.of() : groupsOf.apply(user),
                given.host(),
                given.address(),
                given.localAddress(),
                given.localPort());
    }
}
