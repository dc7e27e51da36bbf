package holdfast.ssh.config;

import holdfast.ssh.log.Log;
import holdfast.ssh.log.Reason;
import holdfast.ssh.octets.Octets;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.NoSuchFileException;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/**
 * The arguments of ssh(1), read as OpenSSH's getopt reads them: options bundled and glued, before
 * the destination and again after it, {@code --} ending them.
 *
 * <p>Immutable once parsed.
 */
public final class CommandLine {

    /** What OpenSSH prints when it does not understand its arguments. */
    static final String USAGE =
            """
            usage: ssh [-46AaCfGgKkMNnqsTtVvXxYy] [-B bind_interface]
                       [-b bind_address] [-c cipher_spec] [-D [bind_address:]port]
                       [-E log_file] [-e escape_char] [-F configfile] [-I pkcs11]
                       [-i identity_file] [-J [user@]host[:port]] [-L address]
                       [-l login_name] [-m mac_spec] [-O ctl_cmd] [-o option] [-p port]
                       [-Q query_option] [-R address] [-S ctl_path] [-W host:port]
                       [-w local_tun[:remote_tun]] destination [command [argument ...]]\
            """;

    /** The option string of OpenSSH; a colon says that the option before it has an argument. */
    public static final String OPTIONS =
            "1246ab:c:e:fgi:kl:m:no:p:qstvxAB:CD:E:F:GI:J:KL:MNO:P:Q:R:S:TVw:W:XYy";

    private final Surroundings surroundings;
    private final Given given = new Given();
    private final List<String> notes = new ArrayList<>(0);
    private final ConfigReader reader;

    private @Nullable String host;
    private @Nullable String command;
    private @Nullable String configFile;
    private @Nullable String logFile;
    private boolean printsConfiguration;
    private @Nullable String refused;
    private boolean printsVersion;
    private @Nullable List<String> answer;
    private boolean verbose;
    private boolean syslog;
    private ClientSharing.@Nullable Control control;

    private CommandLine(Surroundings surroundings) {
        this.surroundings = surroundings;
        // The level is not known before the options are read; OpenSSH reads them at INFO.
        reader = new ConfigReader(given, surroundings, new Log(Log.Level.INFO, notes::add));
    }

    /**
     * Reads the arguments of ssh, without the name of the program.
     *
     * @throws ConfigException what is wrong with them, in OpenSSH's words
     */
    public static CommandLine parse(List<String> arguments, Surroundings surroundings)
            throws ConfigException {
        CommandLine line = new CommandLine(surroundings);
        try {
            line.read(arguments);
        } catch (ConfigException e) {
            throw e.ofCommandLine();
        }
        return line;
    }

    private void read(List<String> arguments) throws ConfigException {
        boolean terminated = false;
        int at = 0;
        while (true) {
            int from = at;
            at = options(arguments, at);
            if (printsVersion || answer != null) {
                return;
            }
            if (at > from && arguments.get(at - 1).equals("--")) {
                terminated = true;
            }
            if (at < arguments.size() && host == null) {
                destination(arguments.get(at));
                at++;
                if (at < arguments.size() && !terminated) {
                    continue;
                }
            }
            break;
        }
        String target = host;
        if (target == null) {
            throw ConfigException.of(USAGE);
        }
        if (refused != null && !printsConfiguration) {
            throw ConfigException.of(refused);
        }
        if (syslog && logFile != null) {
            throw ConfigException.of("Can't specify both -y and -E");
        }
        if (!isValidHost(target)) {
            throw ConfigException.of("hostname contains invalid characters");
        }
        String user = given.text(Keyword.USER);
        if (user != null && !isValidUser(user)) {
            throw ConfigException.of("remote username contains invalid characters");
        }
        String joined = String.join(" ", arguments.subList(at, arguments.size()));
        command = joined.isEmpty() ? null : joined;
        if (at == arguments.size() && "subsystem".equals(given.text(Keyword.SESSION_TYPE))) {
            throw ConfigException.plain("You must specify a subsystem to invoke.\n" + USAGE);
        }
    }

    /** Takes options from {@code at} on; returns where the first argument stands that is none. */
    private int options(List<String> arguments, int at) throws ConfigException {
        int next = at;
        while (next < arguments.size()) {
            String argument = arguments.get(next);
            if (argument.length() < 2 || argument.charAt(0) != '-') {
                return next;
            }
            next++;
            if (argument.equals("--")) {
                return next;
            }
            for (int i = 1; i < argument.length(); i++) {
                char option = argument.charAt(i);
                int known = option == ':' ? -1 : OPTIONS.indexOf(option);
                if (known < 0) {
                    throw ConfigException.of("unknown option -- " + option + "\n" + USAGE);
                }
                boolean takesValue =
                        known + 1 < OPTIONS.length() && OPTIONS.charAt(known + 1) == ':';
                String value = "";
                if (takesValue) {
                    if (i + 1 < argument.length()) {
                        value = argument.substring(i + 1);
                    } else if (next < arguments.size()) {
                        value = arguments.get(next++);
                    } else {
                        throw ConfigException.of(
                                "option requires an argument -- " + option + "\n" + USAGE);
                    }
                }
                option(option, value);
                if (printsVersion || answer != null) {
                    return next;
                }
                if (takesValue) {
                    break;
                }
            }
        }
        return next;
    }

    private void option(char option, String value) throws ConfigException {
        switch (option) {
            case '1' -> throw ConfigException.of("SSH protocol v.1 is no longer supported");
            case '4' -> given.override(Keyword.ADDRESS_FAMILY, "inet");
            case '6' -> given.override(Keyword.ADDRESS_FAMILY, "inet6");
            case 'b' -> given.override(Keyword.BIND_ADDRESS, value);
            case 'B' -> given.override(Keyword.BIND_INTERFACE, value);
            case 'c' -> {
                String list =
                        value.startsWith("+") || value.startsWith("^") ? value.substring(1) : value;
                if (Algorithms.CIPHERS.unknownIn(list) != null) {
                    throw ConfigException.plain("Unknown cipher type '" + value + "'");
                }
                given.override(Keyword.CIPHERS, value);
            }
            case 'C' -> given.override(Keyword.COMPRESSION, "yes");
            case 'D' -> forward(value, ForwardSpec.Kind.DYNAMIC, "dynamic");
            case 'L' -> forward(value, ForwardSpec.Kind.LOCAL, "local");
            case 'R' -> forward(value, ForwardSpec.Kind.REMOTE, "remote");
            case 'W' -> stdio(value);
            case 'f' -> {
                given.override(Keyword.FORK_AFTER_AUTHENTICATION, "yes");
                given.override(Keyword.STDIN_NULL, "yes");
            }
            case 'g' -> given.override(Keyword.GATEWAY_PORTS, "yes");
            case 'N' -> {
                Given.Value type = given.value(Keyword.SESSION_TYPE);
                if (type != null && !type.text().equals("none")) {
                    throw ConfigException.of("Cannot specify -N with -s/SessionType");
                }
                given.override(Keyword.SESSION_TYPE, "none");
                given.override(Keyword.REQUEST_TTY, "false");
            }
            case 'e' -> {
                if (ConfigReader.escapeCharOf(value) == -2) {
                    throw ConfigException.plain("Bad escape character '" + value + "'.");
                }
                given.override(Keyword.ESCAPE_CHAR, value);
            }
            case 'E' -> logFile = value;
            case 'F' -> configFile = value;
            case 'G' -> printsConfiguration = true;
            case 'i' -> identity(value);
            case 'J' -> jump(value);
            case 'l' -> user(value);
            case 'A' -> given.forwardAgent(true);
            case 'a' -> given.forwardAgent(false);
            case 'm' -> {
                if (Algorithms.MACS.unknownIn(value) != null) {
                    throw ConfigException.plain("Unknown mac type '" + value + "'");
                }
                given.override(Keyword.MACS, value);
            }
            case 'M' -> {
                boolean again = "true".equals(given.text(Keyword.CONTROL_MASTER));
                given.override(Keyword.CONTROL_MASTER, again ? "ask" : "true");
            }
            case 'n' -> given.override(Keyword.STDIN_NULL, "yes");
            case 'O' -> control(value);
            case 'S' -> given.override(Keyword.CONTROL_PATH, value);
            case 'o' -> reader.option(value);
            case 'p' -> {
                if (!given.has(Keyword.PORT)) {
                    int port = Quantities.port(value);
                    if (port <= 0) {
                        throw ConfigException.plain("Bad port '" + value + "'");
                    }
                    putIfAbsent(Keyword.PORT, Integer.toString(port));
                }
            }
            case 'P' -> putIfAbsent(Keyword.TAG, value);
            case 'q' -> given.override(Keyword.LOG_LEVEL, Log.Level.QUIET.name());
            case 's' -> {
                Given.Value type = given.value(Keyword.SESSION_TYPE);
                if (type != null && !type.text().equals("subsystem")) {
                    throw ConfigException.of("Cannot specify -s with -N/SessionType");
                }
                given.override(Keyword.SESSION_TYPE, "subsystem");
            }
            case 't' -> {
                Given.Value tty = given.value(Keyword.REQUEST_TTY);
                boolean again = tty != null && tty.text().equals("true");
                given.override(Keyword.REQUEST_TTY, again ? "force" : "true");
            }
            case 'T' -> given.override(Keyword.REQUEST_TTY, "false");
            case 'v' -> {
                // The first always means DEBUG1; only a -q between them is counted up from.
                Log.Level louder = verbose ? logLevel().louder() : Log.Level.DEBUG1;
                verbose = true;
                given.override(Keyword.LOG_LEVEL, louder.name());
            }
            case 'Q' -> {
                answer = Algorithms.query(value);
                if (answer == null) {
                    throw ConfigException.of("Unsupported query \"" + value + "\"");
                }
            }
            case 'V' -> printsVersion = true;
            case 'y' -> syslog = true;
            case 'X' -> given.override(Keyword.FORWARD_X11, "yes");
            case 'x' -> given.override(Keyword.FORWARD_X11, "no");
            case 'Y' -> {
                given.override(Keyword.FORWARD_X11, "yes");
                given.override(Keyword.FORWARD_X11_TRUSTED, "yes");
            }
            // Nothing to do: what they turn off is not built, or no longer exists.
            case '2' -> {}
            case 'k' -> given.override(Keyword.GSSAPI_DELEGATE_CREDENTIALS, "no");
            case 'K' -> {
                given.override(Keyword.GSSAPI_AUTHENTICATION, "yes");
                given.override(Keyword.GSSAPI_DELEGATE_CREDENTIALS, "yes");
                refuse(option, "Kerberos is not built in");
            }
            case 'I' -> {
                given.override(Keyword.PKCS11_PROVIDER, value);
                refuse(option, Keyword.PKCS11_PROVIDER.note());
            }
            case 'w' -> {
                String devices = Quantities.tunnelDevices(value);
                if (devices == null) {
                    throw ConfigException.plain("Bad tun device '" + value + "'");
                }
                putIfAbsent(Keyword.TUNNEL, "point-to-point");
                given.override(Keyword.TUNNEL_DEVICE, devices);
                refuse(option, Keyword.TUNNEL.note());
            }
            default ->
                    throw ConfigException.of(
                            "holdfast ssh: option -" + option + " is not supported yet");
        }
    }

    /** To connect with it would not be what was meant; to ask what it means ({@code -G}) is. */
    private void refuse(char option, @Nullable String why) {
        if (refused == null) {
            refused = "holdfast ssh: option -" + option + " is not supported: " + why;
        }
    }

    private void forward(String value, ForwardSpec.Kind kind, String name) throws ConfigException {
        ForwardSpec spec = ForwardSpec.parse(value, kind);
        if (spec == null) {
            throw ConfigException.plain(
                    "Bad " + name + " forwarding specification '" + value + "'");
        }
        given.addForward(spec, kind);
    }

    private void control(String word) throws ConfigException {
        if (given.stdio() != null) {
            throw ConfigException.of("Cannot specify multiplexing command with -W");
        }
        if (control != null) {
            throw ConfigException.of("Multiplexing command already specified");
        }
        control = ClientSharing.Control.named(word);
        if (control == null) {
            throw ConfigException.of("Invalid multiplex command.");
        }
    }

    private void stdio(String value) throws ConfigException {
        if (given.stdio() != null) {
            throw ConfigException.of("stdio forward already specified");
        }
        if (control != null) {
            throw ConfigException.of("Cannot specify stdio forward with -O");
        }
        ForwardSpec spec = ForwardSpec.parse(value, ForwardSpec.Kind.STDIO);
        if (spec == null || (spec.listen() instanceof Endpoint.Tcp tcp && tcp.host() == null)) {
            throw ConfigException.plain("Bad stdio forwarding specification '" + value + "'");
        }
        given.stdio(spec.listen());
        given.override(Keyword.REQUEST_TTY, "false");
        given.override(Keyword.SESSION_TYPE, "none");
    }

    private void jump(String value) throws ConfigException {
        if (given.has(Keyword.PROXY_JUMP)) {
            throw ConfigException.of(
                    "Only a single -J option is permitted (use commas to separate multiple jump"
                            + " hops)");
        }
        if (given.has(Keyword.PROXY_COMMAND)) {
            throw ConfigException.of("Cannot specify -J with ProxyCommand");
        }
        List<Destination> hops = Destination.jumps(value);
        if (hops == null || !Destination.areHarmless(hops)) {
            throw ConfigException.of("Invalid -J argument");
        }
        given.override(Keyword.PROXY_JUMP, value.strip());
    }

    private void user(String name) {
        if (!given.has(Keyword.USER)) {
            given.typedUser(name);
        }
    }

    private void putIfAbsent(Keyword keyword, String word) {
        if (!given.has(keyword)) {
            given.override(keyword, word);
        }
    }

    private void identity(String value) throws ConfigException {
        String path = Tokens.tilde(value, surroundings);
        try {
            // Any attribute will do: the question is whether stat(2) succeeds.
            if (path.isEmpty()) {
                throw new NoSuchFileException(path); // for the JDK it is the working directory
            }
            Files.readAttributes(Octets.path(path), BasicFileAttributes.class);
            given.addIdentity(new Given.Identity(path, Given.Giver.OPTION, "command-line line 0"));
        } catch (IOException e) {
            notes.add(
                    "Warning: Identity file " + path + " not accessible: " + Reason.of(e) + ".\n");
        } catch (InvalidPathException e) {
            notes.add("Warning: Identity file " + path + " not accessible: Invalid argument.\n");
        }
    }

    /** {@code [user@]host} or {@code ssh://[user@]host[:port]}. */
    private void destination(String text) throws ConfigException {
        if (text.startsWith(Destination.SCHEME)) {
            uri(text);
            return;
        }
        int at = text.lastIndexOf('@');
        if (at == 0) {
            throw ConfigException.of(USAGE);
        }
        if (at > 0) {
            user(text.substring(0, at));
        }
        host = text.substring(at + 1);
    }

    /** {@code ssh://[user@]host[:port]}. */
    private void uri(String text) throws ConfigException {
        Destination to = Destination.ofUri(text);
        if (to == null) {
            throw ConfigException.of(USAGE);
        }
        if (to.user() != null) {
            user(to.user());
        }
        if (to.port() > 0) {
            putIfAbsent(Keyword.PORT, Integer.toString(to.port()));
        }
        host = to.host();
    }

    /** ssh.c valid_hostname: nothing a shell could take for more than a word. */
    static boolean isValidHost(String name) {
        if (name.startsWith("-")) {
            return false;
        }
        for (int i = 0; i < name.length(); i++) {
            char c = name.charAt(i);
            if ("'`\"$\\;&<>|(){},".indexOf(c) >= 0 || c <= ' ' || c == 127) {
                return false;
            }
        }
        return true;
    }

    /** ssh.c valid_ruser. */
    static boolean isValidUser(String name) {
        if (name.startsWith("-")) {
            return false;
        }
        for (int i = 0; i < name.length(); i++) {
            char c = name.charAt(i);
            if ("'`\";&<>|(){}".indexOf(c) >= 0 || c < ' ' || c == 127) {
                return false;
            }
            boolean last = i == name.length() - 1;
            if ((c == ' ' && !last && name.charAt(i + 1) == '-') || (c == '\\' && last)) {
                return false;
            }
        }
        return true;
    }

    /** The destination's host as typed, or "" where only the version is wanted. */
    public String host() {
        String typed = host;
        return typed == null ? "" : typed;
    }

    /** The command: the arguments after the destination with single spaces between; or null. */
    public @Nullable String command() {
        return command;
    }

    /** {@code -F}, or null. */
    @Nullable String configFile() {
        return configFile;
    }

    /** {@code -E}, or null. */
    public @Nullable String logFile() {
        return logFile;
    }

    /** {@code -y}: the log goes to the system's. */
    public boolean logsToSystem() {
        return syslog;
    }

    /** {@code -O}: what is wanted of a running master, or null. */
    ClientSharing.@Nullable Control control() {
        return control;
    }

    /** {@code -G}: print the configuration and end. */
    public boolean printsConfiguration() {
        return printsConfiguration;
    }

    /** {@code -V}: print the version and end; nothing else here means anything then. */
    public boolean printsVersion() {
        return printsVersion;
    }

    /** {@code -Q}: lines to print before ending; null: nothing was asked. */
    public @Nullable List<String> answer() {
        return answer;
    }

    /** Whether there was a {@code -v}: OpenSSH then begins by printing its version. */
    public boolean verbose() {
        return verbose;
    }

    /** What to log before the files are read: {@code -q}, {@code -v}, {@code -o LogLevel}, INFO. */
    public Log.Level logLevel() {
        String level = given.text(Keyword.LOG_LEVEL);
        return level == null ? Log.Level.INFO : Log.Level.valueOf(level.toUpperCase(Locale.ROOT));
    }

    /**
     * Lines for stderr that the options gave rise to, with their ends; printed whatever the log
     * level.
     */
    public List<String> notes() {
        return List.copyOf(notes);
    }

    /** A fresh copy of what the options gave. */
    Given given() {
        return given.copy();
    }
}
