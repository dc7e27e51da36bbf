package holdfast.ssh.config;

import holdfast.ssh.config.ServerConfig.Connection;
import holdfast.ssh.log.Log;
import holdfast.ssh.log.Reason;
import holdfast.ssh.octets.Octets;
import java.io.IOException;
import java.io.InputStream;
import java.net.InetAddress;
import java.net.UnknownHostException;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Reads sshd_config and single options, line by line, as OpenSSH's servconf.c does, with its words
 * for what is wrong. Owned by one thread.
 *
 * <p>OpenSSH reads its file again for each client; here what stands under a Match line is kept as
 * {@link Section}s, and {@link #apply} puts those that hold on top of the rest.
 */
final class ServerReader {

    /** How deep Include may nest (SERVCONF_MAX_DEPTH). */
    private static final int MAX_DEPTH = 16;

    /** A file larger than this is not a configuration (somebody said {@code -f /dev/zero}). */
    private static final int MAX_FILE_BYTES = 16 << 20;

    /** How many files Include may read in all: files that include each other grow without end. */
    private static final int MAX_INCLUDES = 2000;

    /** How many Ports there may be (MAX_PORTS). */
    private static final int MAX_PORTS = 256;

    /** Of sys/syslog.h, those that OpenSSH knows; the client has the same. */
    static final Set<String> FACILITIES =
            Set.of(
                    "DAEMON",
                    "USER",
                    "AUTH",
                    "AUTHPRIV",
                    "LOCAL0",
                    "LOCAL1",
                    "LOCAL2",
                    "LOCAL3",
                    "LOCAL4",
                    "LOCAL5",
                    "LOCAL6",
                    "LOCAL7");

    private static final Set<String> LEVELS =
            Set.of(
                    "SILENT", "QUIET", "FATAL", "ERROR", "INFO", "VERBOSE", "DEBUG", "DEBUG1",
                    "DEBUG2", "DEBUG3");

    private static final Set<String> DIGESTS = Set.of("MD5", "SHA1", "SHA256", "SHA384", "SHA512");

    private static final Set<String> METHODS =
            Set.of(
                    "none",
                    "publickey",
                    "password",
                    "keyboard-interactive",
                    "hostbased",
                    "gssapi-keyex",
                    "gssapi-with-mic");

    /** One value of one line. */
    record Assignment(ServerKeyword keyword, List<String> words) {}

    /** The lines under a Match line, and all the Match lines they are under. */
    static final class Section {
        private final List<MatchLine> conditions;
        private final List<Assignment> assignments = new ArrayList<>();

        Section(List<MatchLine> conditions) {
            this.conditions = List.copyOf(conditions);
        }

        boolean always() {
            return conditions.stream().allMatch(MatchLine::always);
        }

        boolean holds(Connection who) {
            return conditions.stream().allMatch(condition -> condition.holds(who));
        }
    }

    /** Where the reader stands in one file. */
    private static final class Place {
        final String file;
        final int depth;

        /** The Match lines that were in force where this file was included. */
        final List<MatchLine> around;

        /** What the lines go to besides the values for everybody; null: to those alone. */
        @Nullable Section section;

        boolean active;
        int line;

        Place(String file, int depth, @Nullable Section section, boolean active) {
            this.file = file;
            this.depth = depth;
            this.section = section;
            this.around = section == null ? List.of() : section.conditions;
            this.active = active;
        }

        String where() {
            return file + " line " + line;
        }
    }

    private final Surroundings surroundings;
    private final Log log;
    private final ServerValues values = new ServerValues();
    private final List<Section> sections = new ArrayList<>();
    private final List<String> complaints = new ArrayList<>();
    private final List<String> notes = new ArrayList<>();
    private final Set<ServerKeyword> noted = new HashSet<>();
    private final List<String> listens = new ArrayList<>();
    private final Map<String, List<String>> included = new HashMap<>();
    private final Map<String, String> contents = new HashMap<>();
    private int includes;
    private boolean portsByOption;
    private @Nullable String kerberosOnly;
    private boolean kerberos;

    ServerReader(Surroundings surroundings, Log log) {
        this.surroundings = surroundings;
        this.log = log;
    }

    ServerValues values() {
        return values;
    }

    List<Section> sections() {
        return sections;
    }

    /** Lines for the log: what is accepted and has no effect. */
    List<String> notes() {
        return List.copyOf(notes);
    }

    /** One {@code -o}. */
    void option(String text) throws ConfigException {
        Place place = new Place("command-line", 0, null, true);
        complaints.clear();
        if (!line(text, place, true)) {
            throw complaint().withStatus(1);
        }
    }

    /** {@code -p}: from now on the Ports of the file do not count. */
    void port(int port) throws ConfigException {
        if (values.has(ServerKeyword.PORT)
                && values.words(ServerKeyword.PORT).size() >= MAX_PORTS) {
            throw ConfigException.of("too many ports.").withStatus(1);
        }
        portsByOption = true;
        values.append(ServerKeyword.PORT, List.of(Integer.toString(port)));
    }

    /** An option that beats what came before it and every line of the file. */
    void preset(ServerKeyword keyword, String word) {
        values.put(keyword, List.of(word));
    }

    /** {@code -h} and {@code -c}. */
    void file(ServerKeyword keyword, String name) throws ConfigException {
        values.append(keyword, List.of(absolute(name)));
    }

    /** Reads a whole file; {@code none} is not one. */
    void file(String name) throws ConfigException {
        if (name.equalsIgnoreCase("none")) {
            return;
        }
        complaints.clear();
        text(contents(name), new Place(name, 0, null, true));
    }

    /** Reads lines as if they stood in a file of this name. */
    void lines(String name, List<String> lines) throws ConfigException {
        complaints.clear();
        text(String.join("\n", lines), new Place(name, 0, null, true));
    }

    /** Fills in what depends on other keywords, and looks for what does not go together. */
    void finish() throws ConfigException {
        String only = kerberosOnly;
        if (only != null && kerberos) {
            throw ConfigException.of(
                    only
                            + ": KerberosOrLocalPasswd no is not supported: without Kerberos,"
                            + " passwords are checked locally");
        }
        values.putIfAbsent(ServerKeyword.PORT, List.of("22"));
        List<String> printed = new ArrayList<>();
        for (String listen : listens) {
            int bar = listen.lastIndexOf('|');
            String port = listen.substring(bar + 1);
            List<String> ports = port.isEmpty() ? values.words(ServerKeyword.PORT) : List.of(port);
            for (String each : ports) {
                addListen(printed, listen.substring(0, bar), each);
            }
        }
        if (listens.isEmpty()) {
            for (String each : values.words(ServerKeyword.PORT)) {
                String family = String.valueOf(values.text(ServerKeyword.ADDRESS_FAMILY));
                if (!family.equals("inet")) {
                    printed.add("[::]:" + each);
                }
                if (!family.equals("inet6")) {
                    printed.add("0.0.0.0:" + each);
                }
            }
        }
        values.put(ServerKeyword.LISTEN_ADDRESS, printed);
    }

    private void addListen(List<String> into, String host, String port) throws ConfigException {
        ClientSettings.AddressFamily family =
                ClientSettings.AddressFamily.valueOf(
                        String.valueOf(values.text(ServerKeyword.ADDRESS_FAMILY))
                                .toUpperCase(Locale.ROOT));
        String any = NumericAddress.canonical(host, ClientSettings.AddressFamily.ANY);
        if (any != null) {
            String address = NumericAddress.canonical(host, family);
            if (address == null) {
                throw badAddress(host, "Address family for hostname not supported");
            }
            into.add(listen(address, port));
            return;
        }
        List<String> found = new ArrayList<>();
        try {
            for (InetAddress address : InetAddress.getAllByName(host)) {
                String text = NumericAddress.canonical(address.getHostAddress(), family);
                if (text != null) {
                    found.add(listen(text, port));
                }
            }
        } catch (UnknownHostException e) {
            throw badAddress(host, "Name or service not known");
        }
        if (found.isEmpty()) {
            throw badAddress(host, "Address family for hostname not supported");
        }
        into.addAll(found);
    }

    private static String listen(String address, String port) {
        return address.indexOf(':') >= 0 ? "[" + address + "]:" + port : address + ":" + port;
    }

    private static ConfigException badAddress(String host, String why) {
        return ConfigException.of("bad addr or host: " + host + " (" + why + ")");
    }

    /** The values for one client: those for everybody, and on top what its Match blocks say. */
    static @Nullable ServerValues apply(
            ServerValues global, List<Section> sections, Connection who) {
        ServerValues matched = null;
        for (Section section : sections) {
            if (!section.assignments.isEmpty() && section.holds(who)) {
                if (matched == null) {
                    matched = new ServerValues();
                }
                for (Assignment assignment : section.assignments) {
                    assign(matched, assignment);
                }
            }
        }
        if (matched == null) {
            return null;
        }
        ServerValues all = global.copy();
        for (Map.Entry<ServerKeyword, List<String>> entry : matched.given().entrySet()) {
            ServerKeyword keyword = entry.getKey();
            List<String> words = entry.getValue();
            switch (keyword) {
                case SUBSYSTEM -> all.put(keyword, merged(global.words(keyword), words));
                case REKEY_LIMIT -> {
                    // Size and time are two values to OpenSSH; a time not given stays as it was.
                    List<String> before = global.words(keyword);
                    String time = words.get(1).isEmpty() ? before.get(1) : words.get(1);
                    all.put(keyword, List.of(words.get(0), time));
                }
                default -> all.put(keyword, words);
            }
        }
        return all;
    }

    /** What the blocks say of {@code keyword}, whomever they are for. */
    static List<List<String>> given(ServerKeyword keyword, List<Section> sections) {
        return sections.stream()
                .flatMap(section -> section.assignments.stream())
                .filter(assignment -> assignment.keyword() == keyword)
                .map(Assignment::words)
                .toList();
    }

    private static List<String> merged(List<String> before, List<String> over) {
        List<String> all = new ArrayList<>(before);
        for (String line : over) {
            String name = line.substring(0, line.indexOf(' ') + 1);
            int at = 0;
            while (at < all.size() && !all.get(at).startsWith(name)) {
                at++;
            }
            if (at < all.size()) {
                all.set(at, line);
            } else {
                all.add(line);
            }
        }
        return all;
    }

    /** The first value of a keyword wins, except where OpenSSH lets them add up or the last win. */
    private static void assign(ServerValues into, Assignment assignment) {
        ServerKeyword keyword = assignment.keyword();
        List<String> words = assignment.words();
        switch (keyword) {
            case HOST_KEY,
                    HOST_CERTIFICATE,
                    ALLOW_USERS,
                    DENY_USERS,
                    ALLOW_GROUPS,
                    DENY_GROUPS,
                    ACCEPT_ENV,
                    PER_SOURCE_PENALTIES ->
                    into.append(keyword, words);
            case SUBSYSTEM -> {
                String name = words.get(0).substring(0, words.get(0).indexOf(' ') + 1);
                if (into.words(keyword).stream().noneMatch(line -> line.startsWith(name))) {
                    into.append(keyword, words);
                }
            }
            case STREAM_LOCAL_BIND_MASK, FINGERPRINT_HASH -> into.put(keyword, words);
            case UNUSED_CONNECTION_TIMEOUT -> {
                if (words.get(0).equals("none")) {
                    into.put(keyword, words);
                } else {
                    into.putIfAbsent(keyword, words);
                }
            }
            case REKEY_LIMIT -> {
                List<String> before = into.has(keyword) ? into.words(keyword) : words;
                String time = before.get(1).isEmpty() ? words.get(1) : before.get(1);
                into.put(keyword, List.of(before.get(0), time));
            }
            default -> into.putIfAbsent(keyword, words);
        }
    }

    // --- files

    private String contents(String name) throws ConfigException {
        String known = contents.get(name);
        if (known != null) {
            return known;
        }
        String text;
        try {
            Path path = Octets.path(name);
            if (Files.isDirectory(path)) {
                // fopen(3) opens a directory and then reads nothing.
                text = "";
            } else {
                try (InputStream in = Files.newInputStream(path)) {
                    byte[] bytes = in.readNBytes(MAX_FILE_BYTES + 1);
                    if (bytes.length > MAX_FILE_BYTES) {
                        throw ConfigException.of(name + ": configuration file too large")
                                .withStatus(1);
                    }
                    text = Octets.text(bytes);
                }
            }
        } catch (IOException e) {
            throw broken(name + ": " + Reason.of(e)).withStatus(1);
        } catch (InvalidPathException e) {
            throw broken(name + ": Invalid argument").withStatus(1);
        }
        contents.put(name, text);
        return text;
    }

    private void text(String text, Place place) throws ConfigException {
        if (place.depth > MAX_DEPTH) {
            throw broken("Too many recursive configuration includes");
        }
        log.debug("Reading configuration data " + place.file);
        int bad = 0;
        int from = 0;
        while (from < text.length()) {
            int newline = text.indexOf('\n', from);
            int end = newline < 0 ? text.length() : newline;
            place.line++;
            int start = from;
            while (start < end && Words.isBlank(text.charAt(start))) {
                start++;
            }
            if (!line(text.substring(start, end), place, false)) {
                bad++;
            }
            from = end + 1;
        }
        if (bad > 0) {
            throw broken(place.file + ": terminating, " + bad + " bad configuration options");
        }
    }

    /** What was wrong so far, and this, which ends the reading. */
    private ConfigException broken(String what) {
        complaints.add(what);
        return complaint();
    }

    private ConfigException complaint() {
        return ConfigException.of(String.join("\n", complaints));
    }

    private ConfigException fatal(Place place, String what) {
        return broken(place.where() + ": " + what);
    }

    private boolean complain(Place place, String what) {
        complaints.add(place.where() + ": " + what);
        return false;
    }

    // --- lines

    /** Takes one line. False: it is bad, and a complaint says why. */
    private boolean line(String raw, Place place, boolean option) throws ConfigException {
        String text = Words.trimEnd(raw);
        if (text.isEmpty()) {
            return true;
        }
        Words words = new Words(text);
        String name = words.next();
        if (name != null && name.isEmpty()) {
            name = words.next();
        }
        if (name == null || name.isEmpty() || name.charAt(0) == '#') {
            return true;
        }
        String rest = words.rest();
        if (rest == null || rest.isEmpty()) {
            return complain(place, "no argument after keyword \"" + name + "\"");
        }
        ServerKeyword keyword = ServerKeyword.named(name.toLowerCase(Locale.ROOT));
        if (keyword == null) {
            complaints.add(
                    place.file + ": line " + place.line + ": Bad configuration option: " + name);
        }
        List<String> arguments = Words.split(rest);
        if (arguments == null) {
            return complain(place, "invalid quotes");
        }
        if (!place.active && (keyword == null || !keyword.inMatch())) {
            throw fatal(place, "Directive '" + name + "' is not allowed within a Match block");
        }
        if (keyword == null) {
            return false;
        }
        Arguments list = new Arguments(arguments);
        switch (keyword.support()) {
            case BUILT, ACCEPTED, MOOT, REFUSED -> {
                if (!value(keyword, name, list, rest, text, place, option)) {
                    return false;
                }
            }
            case IGNORED -> list.takeAll();
            case DEPRECATED -> {
                list.takeAll();
                notes.add(place.where() + ": Deprecated option " + name);
            }
            case UNSUPPORTED -> {
                list.takeAll();
                notes.add(place.where() + ": Unsupported option " + name);
            }
        }
        return list.atEnd()
                || complain(place, "keyword " + name + " extra arguments at end of line");
    }

    private boolean value(
            ServerKeyword keyword,
            String name,
            Arguments arguments,
            String rest,
            String line,
            Place place,
            boolean option)
            throws ConfigException {
        ServerKeyword.Shape shape = keyword.shape();
        return switch (shape) {
            case FLAG,
                    ADDRESS_FAMILY,
                    ROOT_LOGIN,
                    RHOSTS,
                    KEEP_ALIVE,
                    WEAK_CRYPTO,
                    COMPRESSION,
                    GATEWAY_PORTS,
                    FORWARDING -> {
                String word = required(arguments, "missing argument.", place);
                String choice = shape.choice(word);
                if (choice == null) {
                    throw fatal(place, "unsupported option \"" + word + "\".");
                }
                yield set(keyword, choice, place);
            }
            case INTEGER -> set(keyword, integer(name, arguments.nextOrEmpty(), place), place);
            case TIME -> set(keyword, time(arguments, place), place);
            case TEXT -> {
                String word =
                        required(
                                arguments,
                                keyword == ServerKeyword.PAM_SERVICE_NAME
                                        ? "missing argument."
                                        : name + " missing argument.",
                                place);
                if (keyword == ServerKeyword.R_DOMAIN && !word.equalsIgnoreCase("none")) {
                    throw fatal(place, "setting RDomain not supported on this platform.");
                }
                yield set(keyword, word, place);
            }
            case FILE -> {
                String word = required(arguments, "missing file name.", place);
                yield set(keyword, path(absolute(word), place), place);
            }
            case FILES -> files(keyword, name, arguments, place);
            case COMMAND -> {
                arguments.takeAll();
                yield set(keyword, rest.substring(Words.skipBlanks(rest, 0)), place);
            }
            case PROGRAM -> {
                arguments.takeAll();
                String program = rest.substring(Words.skipBlanks(rest, 0));
                if (!program.startsWith("/") && !program.equalsIgnoreCase("none")) {
                    throw fatal(place, name + " must be an absolute path");
                }
                yield set(keyword, program, place);
            }
            case LOCAL_USER ->
                    set(
                            keyword,
                            required(arguments, "missing " + name + " argument.", place),
                            place);
            case WORDS -> words(keyword, name, arguments, place);
            case ALGORITHMS -> algorithms(keyword, name, arguments, place);
            case GSS_ALGORITHMS ->
                    set(keyword, required(arguments, "Missing argument.", place), place);
            case OWN -> own(keyword, name, arguments, rest, line, place, option);
        };
    }

    private String required(Arguments arguments, String otherwise, Place place)
            throws ConfigException {
        String word = arguments.nextOrEmpty();
        if (word.isEmpty()) {
            throw fatal(place, otherwise);
        }
        return word;
    }

    private String integer(String name, String word, Place place) throws ConfigException {
        String error = Quantities.numberError(word);
        if (error != null) {
            throw fatal(place, name + " integer value " + error + ".");
        }
        return Integer.toString(Quantities.number(word));
    }

    private String time(Arguments arguments, Place place) throws ConfigException {
        String word = required(arguments, "missing time value.", place);
        int seconds = Quantities.seconds(word);
        if (seconds < 0) {
            throw fatal(place, "invalid time value.");
        }
        return Integer.toString(seconds);
    }

    private boolean set(ServerKeyword keyword, String word, Place place) throws ConfigException {
        return set(keyword, List.of(word), place);
    }

    private boolean set(ServerKeyword keyword, List<String> words, Place place)
            throws ConfigException {
        weigh(keyword, words, place);
        Assignment assignment = new Assignment(keyword, words);
        if (place.active) {
            assign(values, assignment);
        }
        Section section = place.section;
        if (section != null && keyword.inMatch()) {
            section.assignments.add(assignment);
        }
        return true;
    }

    /** Says what a value has no effect for; refuses it where that would weaken the server. */
    private void weigh(ServerKeyword keyword, List<String> words, Place place) {
        boolean usual = String.join(" ", words).equals(keyword.fallback());
        if (keyword == ServerKeyword.KERBEROS_AUTHENTICATION) {
            kerberos |= !usual;
        }
        if (keyword == ServerKeyword.KERBEROS_OR_LOCAL_PASSWD && !usual && kerberosOnly == null) {
            kerberosOnly = place.where();
        }
        boolean first = !values.has(keyword) || !place.active;
        if (keyword.support() == ServerKeyword.Support.ACCEPTED
                && !usual
                && first
                && noted.add(keyword)) {
            notes.add(place.where() + ": " + keyword.spelled() + " is not supported yet, ignored");
        }
    }

    private String absolute(String name) throws ConfigException {
        if (name.equalsIgnoreCase("none")) {
            return "none";
        }
        String expanded = Tokens.tilde(name, surroundings);
        return expanded.startsWith("/")
                ? expanded
                : Octets.text(Path.of("").toAbsolutePath()) + "/" + expanded;
    }

    /** A name with a NUL or the like can be no file. */
    private String path(String name, Place place) throws ConfigException {
        try {
            var _ = Octets.path(name);
            return name;
        } catch (InvalidPathException e) {
            throw fatal(place, "Invalid file name.");
        }
    }

    private boolean files(ServerKeyword keyword, String name, Arguments arguments, Place place)
            throws ConfigException {
        List<String> words = alone(name, arguments, place);
        if (words == null) {
            return false;
        }
        List<String> expanded = new ArrayList<>(words.size());
        for (String word : words) {
            expanded.add(path(Tokens.tilde(word, surroundings), place));
        }
        return set(keyword, expanded, place);
    }

    private boolean words(ServerKeyword keyword, String name, Arguments arguments, Place place)
            throws ConfigException {
        List<String> words = alone(name, arguments, place);
        return words != null && set(keyword, words, place);
    }

    /** All words, "none" being good only alone; null: bad, and a complaint says why. */
    private @Nullable List<String> alone(String name, Arguments arguments, Place place)
            throws ConfigException {
        List<String> words = arguments.takeAll();
        for (String word : words) {
            if (word.isEmpty()) {
                complain(place, "keyword " + name + " empty argument");
                return null;
            }
            if (word.equalsIgnoreCase("none") && words.size() > 1) {
                complain(place, "keyword " + name + " \"none\" argument must appear alone.");
                return null;
            }
        }
        if (words.isEmpty()) {
            throw fatal(place, "no " + name + " specified");
        }
        return words;
    }

    private boolean algorithms(ServerKeyword keyword, String name, Arguments arguments, Place place)
            throws ConfigException {
        Algorithms kind =
                switch (keyword) {
                    case CIPHERS -> Algorithms.CIPHERS;
                    case MACS -> Algorithms.MACS;
                    case KEX_ALGORITHMS -> Algorithms.KEX;
                    default -> Algorithms.SIGNATURES;
                };
        String list =
                required(
                        arguments,
                        kind == Algorithms.SIGNATURES
                                ? "Missing argument."
                                : name + " missing argument.",
                        place);
        char first = list.charAt(0);
        if (first != '-') {
            String names = first == '+' || first == '^' ? list.substring(1) : list;
            String unknown = kind.unknownIn(names);
            if (unknown != null) {
                if (kind == Algorithms.KEX && !unknown.isEmpty()) {
                    complaints.add("Unsupported KEX algorithm \"" + unknown + "\"");
                }
                throw fatal(
                        place,
                        kind == Algorithms.MACS
                                ? "Bad SSH2 mac spec '" + list + "'."
                                : kind.badSpec(list));
            }
        }
        return set(keyword, list, place);
    }

    // --- keywords with rules of their own

    private boolean own(
            ServerKeyword keyword,
            String name,
            Arguments arguments,
            String rest,
            String line,
            Place place,
            boolean option)
            throws ConfigException {
        return switch (keyword) {
            case PORT -> port(arguments, place);
            case LISTEN_ADDRESS -> listenAddress(arguments, place);
            case STREAM_LOCAL_BIND_MASK -> {
                String word = required(arguments, name + " missing argument.", place);
                int mask = octal(word);
                if (mask < 0) {
                    throw fatal(place, "Invalid " + name + ".");
                }
                yield set(keyword, String.format(Locale.ROOT, "0%o", mask), place);
            }
            case UNUSED_CONNECTION_TIMEOUT -> {
                if (!arguments.atEnd() && arguments.peek().equalsIgnoreCase("none")) {
                    arguments.next();
                    yield set(keyword, "none", place);
                }
                String seconds = time(arguments, place);
                yield set(keyword, seconds.equals("0") ? "none" : seconds, place);
            }
            case FINGERPRINT_HASH -> {
                String word = required(arguments, name + " missing argument.", place);
                String digest = word.toUpperCase(Locale.ROOT);
                if (!DIGESTS.contains(digest)) {
                    throw fatal(place, "Invalid " + name + " algorithm \"" + word + "\".");
                }
                yield set(keyword, digest, place);
            }
            case SECURITY_KEY_PROVIDER -> {
                String word = required(arguments, name + " missing argument.", place);
                yield set(
                        keyword,
                        word.equalsIgnoreCase("internal") ? word : path(absolute(word), place),
                        place);
            }
            case AUTHORIZED_PRINCIPALS_FILE ->
                    set(
                            keyword,
                            path(
                                    Tokens.tilde(
                                            required(arguments, name + " missing argument.", place),
                                            surroundings),
                                    place),
                            place);
            case VERSION_ADDENDUM -> versionAddendum(name, arguments, rest, line, place);
            case HOST_KEY_AGENT -> {
                String word = required(arguments, "missing socket name.", place);
                yield set(
                        keyword,
                        word.equals("SSH_AUTH_SOCK") ? word : path(absolute(word), place),
                        place);
            }
            case PER_SOURCE_PENALTY_EXEMPT_LIST -> {
                String word = required(arguments, "missing argument.", place);
                if (!AddressList.isValid(word)) {
                    throw fatal(place, "keyword " + name + " invalid address argument.");
                }
                yield set(keyword, word, place);
            }
            case LOG_LEVEL -> {
                String word = arguments.next();
                String level = word == null ? "" : word.toUpperCase(Locale.ROOT);
                if (!LEVELS.contains(level)) {
                    throw fatal(
                            place,
                            "unsupported log level '" + (word == null ? "<NONE>" : word) + "'");
                }
                yield set(
                        keyword,
                        switch (level) {
                            case "SILENT" -> "QUIET";
                            case "DEBUG" -> "DEBUG1";
                            default -> level;
                        },
                        place);
            }
            case SYSLOG_FACILITY -> {
                String word = arguments.next();
                String facility = word == null ? "" : word.toUpperCase(Locale.ROOT);
                if (!FACILITIES.contains(facility)) {
                    throw fatal(
                            place,
                            "unsupported log facility '" + (word == null ? "<NONE>" : word) + "'");
                }
                yield set(keyword, facility, place);
            }
            case HOST_KEY, HOST_CERTIFICATE ->
                    set(
                            keyword,
                            path(absolute(required(arguments, "missing file name.", place)), place),
                            place);
            case ALLOW_USERS, DENY_USERS -> {
                List<String> words = some(name, arguments, place);
                for (String word : words) {
                    int at = word.lastIndexOf('@');
                    if (word.isEmpty()
                            || (at >= 0 && !AddressList.isValid(word.substring(at + 1)))) {
                        throw fatal(place, "invalid " + name + " pattern: \"" + word + "\"");
                    }
                }
                yield set(keyword, words, place);
            }
            case ALLOW_GROUPS, DENY_GROUPS -> {
                List<String> words = some(name, arguments, place);
                if (words.contains("")) {
                    throw fatal(place, "empty " + name + " pattern");
                }
                yield set(keyword, words, place);
            }
            case ACCEPT_ENV -> {
                List<String> words = some(name, arguments, place);
                for (String word : words) {
                    if (word.isEmpty() || word.indexOf('=') >= 0) {
                        throw fatal(place, "Invalid environment name.");
                    }
                }
                yield set(keyword, words, place);
            }
            case SET_ENV -> setEnv(name, arguments, place);
            case AUTHENTICATION_METHODS -> authenticationMethods(name, arguments, place);
            case CHANNEL_TIMEOUT -> channelTimeout(name, arguments, place);
            case SUBSYSTEM -> subsystem(name, arguments, place);
            case MAX_STARTUPS -> maxStartups(name, arguments, place);
            case PER_SOURCE_MAX_STARTUPS -> {
                String word = required(arguments, name + " missing argument.", place);
                yield set(keyword, word.equals("none") ? word : integer(name, word, place), place);
            }
            case PER_SOURCE_NET_BLOCK_SIZE -> netBlockSize(name, arguments, place);
            case PERMIT_TUNNEL -> {
                String word = required(arguments, name + " missing argument.", place);
                if (!List.of("no", "yes", "point-to-point", "ethernet").contains(word)) {
                    throw fatal(place, "bad " + name + " argument " + word);
                }
                yield set(keyword, word, place);
            }
            case IP_QOS -> {
                String word = required(arguments, name + " missing argument.", place);
                String interactive = typeOfService(name, word, place);
                String second = arguments.next();
                String bulk = second == null ? interactive : typeOfService(name, second, place);
                yield set(keyword, List.of(interactive, bulk), place);
            }
            case REKEY_LIMIT -> rekeyLimit(name, arguments, place);
            case PERMIT_OPEN, PERMIT_LISTEN -> permits(keyword, name, arguments, place);
            case PERMIT_USER_ENVIRONMENT ->
                    set(keyword, required(arguments, name + " missing argument.", place), place);
            case PUBKEY_AUTH_OPTIONS -> pubkeyAuthOptions(name, arguments, place);
            case AGENT_SOCKET_PATH -> agentSocketPath(arguments, place);
            case PER_SOURCE_PENALTIES -> penalties(name, arguments, place);
            case TETHER_BUFFER -> {
                String word = required(arguments, name + " missing argument.", place);
                long bytes = Quantities.bytes(word);
                if (bytes < Quantities.LEAST_TETHER_BUFFER
                        || bytes > Quantities.MOST_TETHER_BUFFER) {
                    throw fatal(place, "Bad " + name + " '" + word + "': it may be 64K to 64M");
                }
                yield set(keyword, Long.toString(bytes), place);
            }
            case MATCH -> {
                if (option) {
                    throw broken("Match directive not supported as a command-line option");
                }
                yield match(arguments, place);
            }
            case INCLUDE -> {
                if (option) {
                    throw broken("Include directive not supported as a command-line option");
                }
                yield include(name, arguments, place);
            }
            default -> throw new IllegalStateException("no rules for " + keyword);
        };
    }

    /** At least one word. */
    private List<String> some(String name, Arguments arguments, Place place)
            throws ConfigException {
        List<String> words = arguments.takeAll();
        if (words.isEmpty()) {
            throw fatal(place, "no " + name + " specified");
        }
        return words;
    }

    private boolean port(Arguments arguments, Place place) throws ConfigException {
        if (portsByOption) {
            arguments.takeAll();
            return true;
        }
        List<String> ports = values.words(ServerKeyword.PORT);
        if (ports.size() >= MAX_PORTS) {
            throw fatal(place, "too many ports.");
        }
        int port = Quantities.port(required(arguments, "missing port number.", place));
        if (port <= 0) {
            throw fatal(place, "Badly formatted port number.");
        }
        values.append(ServerKeyword.PORT, List.of(Integer.toString(port)));
        return true;
    }

    private boolean listenAddress(Arguments arguments, Place place) throws ConfigException {
        String word = required(arguments, "missing address", place);
        int colon = word.indexOf(':');
        String host;
        String port = "";
        if (word.indexOf('[') < 0 && colon >= 0 && word.indexOf(':', colon + 1) >= 0) {
            host = word;
        } else {
            String[] parts = hostAndPort(word);
            if (parts == null) {
                throw fatal(place, "bad address:port usage");
            }
            host = parts[0];
            if (parts.length > 1) {
                int number = Quantities.port(parts[1]);
                if (number <= 0) {
                    throw fatal(place, "bad port number");
                }
                port = Integer.toString(number);
            }
        }
        String domain = arguments.next();
        if (domain != null) {
            if (!domain.equals("rdomain") || arguments.next() == null) {
                throw fatal(place, "bad ListenAddress syntax");
            }
            throw fatal(place, "bad routing domain");
        }
        listens.add(host + "|" + port);
        return true;
    }

    /** misc.c hpdelim and cleanhostname: the host, and the port if there is one; null: neither. */
    private static String @Nullable [] hostAndPort(String word) {
        int end;
        if (word.startsWith("[")) {
            end = word.indexOf(']');
            if (end < 0) {
                return null;
            }
            end++;
        } else {
            end = 0;
            while (end < word.length() && word.charAt(end) != ':' && word.charAt(end) != '/') {
                end++;
            }
        }
        if (end < word.length() && word.charAt(end) != ':') {
            return null;
        }
        String host = word.substring(0, end);
        if (host.startsWith("[")) {
            host = host.substring(1, host.length() - 1);
        }
        return end == word.length()
                ? new String[] {host}
                : new String[] {host, word.substring(end + 1)};
    }

    /** strtol(3) to the base of 8: digits up to the first that is none; -1: none, or too many. */
    private static int octal(String word) {
        int at = Words.skipBlanks(word, 0);
        if (at < word.length() && word.charAt(at) == '+') {
            at++;
        }
        int from = at;
        int value = 0;
        while (at < word.length() && word.charAt(at) >= '0' && word.charAt(at) <= '7') {
            value = Math.min(value * 8 + (word.charAt(at) - '0'), 01000);
            at++;
        }
        return at == from || value > 0777 ? -1 : value;
    }

    private boolean versionAddendum(
            String name, Arguments arguments, String rest, String line, Place place)
            throws ConfigException {
        arguments.takeAll();
        String text = rest.substring(Words.skipBlanks(rest, 0));
        if (text.indexOf('\r') >= 0) {
            throw fatal(place, "Invalid " + name + " argument");
        }
        int hash = text.indexOf('#');
        if (hash >= 0) {
            text = text.substring(0, hash).stripTrailing();
        } else if (line.indexOf('#') >= 0) {
            text = "";
        }
        boolean none = text.isEmpty() || text.equalsIgnoreCase("none");
        return set(ServerKeyword.VERSION_ADDENDUM, none ? "none" : text, place);
    }

    private boolean setEnv(String name, Arguments arguments, Place place) throws ConfigException {
        List<String> kept = new ArrayList<>();
        Set<String> names = new HashSet<>();
        for (String word : some(name, arguments, place)) {
            int equals = word.indexOf('=');
            if (equals < 0) {
                throw fatal(place, "Invalid environment.");
            }
            if (names.add(word.substring(0, equals))) {
                kept.add(word);
            }
        }
        return set(ServerKeyword.SET_ENV, kept, place);
    }

    private boolean authenticationMethods(String name, Arguments arguments, Place place)
            throws ConfigException {
        List<String> lists = some(name, arguments, place);
        boolean any = false;
        for (int i = 0; i < lists.size(); i++) {
            if (lists.get(i).equals("any") ? i > 0 : any) {
                throw fatal(place, "\"any\" must appear alone in " + name);
            }
            if (lists.get(i).equals("any")) {
                any = true;
                continue;
            }
            String unknown = unknownMethod(lists.get(i));
            if (unknown != null) {
                complaints.add(unknown);
                throw fatal(place, "invalid " + name + " method list.");
            }
        }
        return set(ServerKeyword.AUTHENTICATION_METHODS, lists, place);
    }

    private static @Nullable String unknownMethod(String list) {
        if (list.isEmpty()) {
            return "empty authentication method list";
        }
        for (String method : list.split(",", -1)) {
            int colon = method.indexOf(':');
            String plain = colon < 0 ? method : method.substring(0, colon);
            if (!METHODS.contains(plain)) {
                return "Unknown authentication method \"" + plain + "\" in list";
            }
        }
        return null;
    }

    private boolean channelTimeout(String name, Arguments arguments, Place place)
            throws ConfigException {
        List<String> words = arguments.takeAll();
        for (String word : words) {
            if (word.equalsIgnoreCase("none")) {
                if (words.size() > 1) {
                    return complain(
                            place, "keyword " + name + " \"none\" argument must appear alone.");
                }
            } else if (!ChannelTimeouts.isOne(word)) {
                throw fatal(place, "invalid channel timeout " + word);
            }
        }
        if (words.isEmpty()) {
            throw fatal(place, "no " + name + " specified");
        }
        return set(ServerKeyword.CHANNEL_TIMEOUT, words, place);
    }

    private boolean subsystem(String name, Arguments arguments, Place place)
            throws ConfigException {
        String subsystem = required(arguments, name + " missing argument.", place);
        String command = required(arguments, name + " missing argument.", place);
        StringBuilder all =
                new StringBuilder(subsystem).append(' ').append(ServerTokens.quoted(command));
        for (String word : arguments.takeAll()) {
            all.append(' ').append(ServerTokens.quoted(word));
        }
        return set(ServerKeyword.SUBSYSTEM, all.toString(), place);
    }

    private boolean maxStartups(String name, Arguments arguments, Place place)
            throws ConfigException {
        String word = required(arguments, name + " missing argument.", place);
        List<Integer> numbers = scan(word, 3);
        boolean good;
        int rate = 30;
        if (numbers.size() == 3) {
            rate = numbers.get(1);
            good = numbers.get(0) <= numbers.get(2) && rate >= 1 && rate <= 100;
        } else {
            good = numbers.size() == 1;
        }
        if (!good || numbers.get(0) <= 0) {
            throw fatal(place, "Invalid " + name + " spec.");
        }
        int full = numbers.get(numbers.size() - 1);
        return set(ServerKeyword.MAX_STARTUPS, numbers.get(0) + ":" + rate + ":" + full, place);
    }

    private boolean netBlockSize(String name, Arguments arguments, Place place)
            throws ConfigException {
        String word = required(arguments, name + " missing argument.", place);
        List<Integer> numbers = scan(word, 2);
        if (numbers.isEmpty()
                || numbers.get(0) < 0
                || numbers.get(0) > 32
                || (numbers.size() > 1 && (numbers.get(1) < 0 || numbers.get(1) > 128))) {
            throw fatal(place, "Invalid " + name + " spec.");
        }
        int six = numbers.size() > 1 ? numbers.get(1) : 128;
        return set(ServerKeyword.PER_SOURCE_NET_BLOCK_SIZE, numbers.get(0) + ":" + six, place);
    }

    /** sscanf(3) of {@code %d:%d:%d}: as many numbers as there are, the rest being nothing. */
    private static List<Integer> scan(String word, int most) {
        List<Integer> numbers = new ArrayList<>(most);
        int at = 0;
        while (numbers.size() < most) {
            at = Words.skipBlanks(word, at);
            boolean negative = at < word.length() && word.charAt(at) == '-';
            if (negative || (at < word.length() && word.charAt(at) == '+')) {
                at++;
            }
            int from = at;
            long value = 0;
            while (at < word.length() && word.charAt(at) >= '0' && word.charAt(at) <= '9') {
                value = Math.min(value * 10 + (word.charAt(at) - '0'), Integer.MAX_VALUE);
                at++;
            }
            if (at == from) {
                break;
            }
            numbers.add((int) (negative ? -value : value));
            if (at >= word.length() || word.charAt(at) != ':') {
                break;
            }
            at++;
        }
        return numbers;
    }

    private String typeOfService(String name, String word, Place place) throws ConfigException {
        String canonical = TypeOfService.canonical(word);
        if (canonical == null) {
            throw fatal(place, "Bad " + name + " value: " + word);
        }
        return canonical;
    }

    private boolean rekeyLimit(String name, Arguments arguments, Place place)
            throws ConfigException {
        String size = required(arguments, name + " missing argument.", place);
        long bytes = size.equals("default") ? 0 : Quantities.bytes(size);
        if (bytes == Quantities.NOT_A_SIZE || bytes == Quantities.SIZE_TOO_LARGE) {
            String why =
                    bytes == Quantities.NOT_A_SIZE
                            ? "Invalid argument"
                            : "Numerical result out of range";
            throw fatal(place, "Bad " + name + " number '" + size + "': " + why);
        }
        if (bytes != 0 && bytes < 16) {
            throw fatal(place, name + " too small");
        }
        String time = "";
        if (!arguments.atEnd()) {
            if (arguments.peek().equals("none")) {
                arguments.next();
            } else {
                time = time(arguments, place);
            }
        }
        return set(ServerKeyword.REKEY_LIMIT, List.of(Long.toString(bytes), time), place);
    }

    private boolean permits(ServerKeyword keyword, String name, Arguments arguments, Place place)
            throws ConfigException {
        List<String> kept = new ArrayList<>();
        for (String word : arguments.takeAll()) {
            if (word.equals("any") || word.equals("none")) {
                if (!kept.isEmpty()) {
                    throw fatal(place, word + " must appear alone on a " + name + " line.");
                }
                kept.add(word);
                continue;
            }
            String whole = word;
            String port;
            if (keyword == ServerKeyword.PERMIT_LISTEN && word.indexOf(':') < 0) {
                whole = "*:" + word;
                port = word;
            } else {
                String[] parts = hostAndPort(word);
                if (parts == null) {
                    throw fatal(place, name + " missing host");
                }
                port = parts.length > 1 ? parts[1] : "";
            }
            if (!port.equals("*") && Quantities.port(port) <= 0) {
                throw fatal(place, name + " bad port number");
            }
            kept.add(whole);
        }
        if (kept.isEmpty()) {
            throw fatal(place, name + " missing argument.");
        }
        return set(keyword, kept, place);
    }

    private boolean pubkeyAuthOptions(String name, Arguments arguments, Place place)
            throws ConfigException {
        boolean touch = false;
        boolean verify = false;
        for (String word : arguments.takeAll()) {
            switch (word.toLowerCase(Locale.ROOT)) {
                case "none" -> {}
                case "touch-required" -> touch = true;
                case "verify-required" -> verify = true;
                default -> {
                    String most = word.toLowerCase(Locale.ROOT);
                    if (most.startsWith("max-pk-ok:")) {
                        String error =
                                Quantities.numberError(most.substring(most.indexOf(':') + 1));
                        if (error != null) {
                            return complain(place, "bad " + name + " max-pk-ok value: " + error);
                        }
                        continue;
                    }
                    return complain(place, "unsupported " + name + " option " + word);
                }
            }
        }
        List<String> words = new ArrayList<>(2);
        if (touch) {
            words.add("touch-required");
        }
        if (verify) {
            words.add("verify-required");
        }
        return set(
                ServerKeyword.PUBKEY_AUTH_OPTIONS,
                words.isEmpty() ? List.of("none") : words,
                place);
    }

    /** {@code user:} and a path, {@code shared:} and an absolute one, or none. */
    private boolean agentSocketPath(Arguments arguments, Place place) throws ConfigException {
        String word = required(arguments, "invalid path.", place);
        if (word.startsWith("shared:") && !word.startsWith("shared:/")) {
            throw fatal(place, "invalid shared path.");
        }
        if (word.equals("user:")) {
            throw fatal(place, "invalid user path.");
        }
        if (!arguments.atEnd()
                || (!word.equals("none")
                        && !word.startsWith("shared:")
                        && !word.startsWith("user:"))) {
            throw fatal(place, "invalid path.");
        }
        return set(ServerKeyword.AGENT_SOCKET_PATH, word, place);
    }

    private boolean penalties(String name, Arguments arguments, Place place)
            throws ConfigException {
        List<String> words = some(name, arguments, place);
        List<String> kept = new ArrayList<>(words.size());
        for (int i = 0; i < words.size(); i++) {
            String word = words.get(i);
            String lower = word.toLowerCase(Locale.ROOT);
            if (lower.equals("yes") || lower.equals("no")) {
                if (i + 1 < words.size()) {
                    throw fatal(
                            place,
                            "keyword " + name + " \"" + word + "\" argument must appear alone.");
                }
                kept.add(lower);
                continue;
            }
            int colon = word.indexOf(':');
            String what = colon < 0 ? word : word.substring(0, colon);
            String value = word.substring(colon + 1);
            switch (what) {
                case "crash",
                        "authfail",
                        "invaliduser",
                        "noauth",
                        "grace-exceeded",
                        "refuseconnection",
                        "max",
                        "min" -> {
                    long millis = milliseconds(value);
                    if (colon < 0 || millis < 0) {
                        throw fatal(place, "invalid " + name + " time value.");
                    }
                    kept.add(what + ":" + millis);
                }
                case "max-sources4", "max-sources6" -> {
                    String error = Quantities.numberError(value);
                    if (colon < 0 || error != null) {
                        throw fatal(place, name + " value " + error + ".");
                    }
                    kept.add(what + ":" + Quantities.number(value));
                }
                case "overflow", "overflow6" -> {
                    if (!value.equals("deny-all") && !value.equals("permissive")) {
                        throw fatal(place, "unsupported " + name + " keyword " + word);
                    }
                    kept.add(word);
                }
                default -> throw fatal(place, "unsupported " + name + " keyword " + word);
            }
        }
        return set(ServerKeyword.PER_SOURCE_PENALTIES, kept, place);
    }

    /** A time of which the last part may have a fraction: {@code 1m}, {@code 0.5s}; -1: none. */
    private static long milliseconds(String text) {
        int point = text.indexOf('.');
        if (point < 0) {
            int seconds = Quantities.seconds(text);
            return seconds < 0 ? -1 : seconds * 1000L;
        }
        int end = point + 1;
        while (end < text.length() && text.charAt(end) >= '0' && text.charAt(end) <= '9') {
            end++;
        }
        String unit = text.substring(end);
        int whole = Quantities.seconds(text.substring(0, point) + unit);
        int one = Quantities.seconds("1" + unit);
        if (end == point + 1 || end > point + 10 || unit.length() > 1 || whole < 0 || one < 0) {
            return -1;
        }
        double fraction = Double.parseDouble("0." + text.substring(point + 1, end));
        return whole * 1000L + (long) (fraction * one * 1000);
    }

    private boolean match(Arguments arguments, Place place) throws ConfigException {
        MatchLine line;
        try {
            line = MatchLine.parse(arguments.takeAll(), place.line);
        } catch (MatchLine.Bad e) {
            if (e.fatal) {
                throw broken(e.text());
            }
            complaints.add(e.text());
            throw fatal(place, "Bad Match condition");
        }
        List<MatchLine> conditions = new ArrayList<>(place.around);
        conditions.add(line);
        Section section = new Section(conditions);
        sections.add(section);
        place.section = section;
        place.active = section.always();
        return true;
    }

    private boolean include(String name, Arguments arguments, Place place) throws ConfigException {
        List<String> patterns = arguments.takeAll();
        if (patterns.isEmpty()) {
            throw fatal(place, name + " missing filename argument");
        }
        for (String pattern : patterns) {
            if (pattern.isEmpty()) {
                return complain(place, "keyword " + name + " empty argument");
            }
            boolean absolute = pattern.startsWith("/");
            if (!absolute && pattern.startsWith("~")) {
                // OpenSSH takes it for the name of a directory where sshd was started.
                continue;
            }
            String whole = absolute ? pattern : surroundings.systemDirectory() + "/" + pattern;
            List<String> files = included.get(whole);
            if (files == null) {
                files = PathGlob.files(whole);
                included.put(whole, files);
            }
            for (String file : files) {
                if (++includes > MAX_INCLUDES) {
                    throw broken("Too many recursive configuration includes");
                }
                Place inside = new Place(file, place.depth + 1, place.section, place.active);
                text(contents(file), inside);
                Section section = place.section;
                if (section != null && inside.section != section) {
                    // What follows the Include comes after what was included.
                    Section after = new Section(section.conditions);
                    sections.add(after);
                    place.section = after;
                }
            }
        }
        return true;
    }
}
