package holdfast.ssh.config;

import holdfast.ssh.log.Log;
import holdfast.ssh.log.Reason;
import holdfast.ssh.octets.Octets;
import holdfast.ssh.system.PrivateGroup;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Reads configuration files and single options into a {@link Given}, line by line, as OpenSSH's
 * readconf.c does, with its words for what is wrong. One run of the client uses one reader; owned
 * by one thread.
 */
final class ConfigReader {

    /** How deep Include may nest (READCONF_MAX_DEPTH). */
    private static final int MAX_DEPTH = 16;

    /** A configuration larger than this is not one (somebody said {@code -F /dev/zero}). */
    private static final int MAX_FILE_BYTES = 64 << 20;

    private static final int PIECE = 1 << 16;

    private static final int MAX_IDENTITY_FILES = 100;
    private static final int MAX_HOST_FILES = 32;
    private static final int MAX_CANONICAL = 32;

    /** What {@code ObscureKeystrokeTiming yes} means, and the most it may say. */
    static final int KEYSTROKE_MILLIS = 20;

    private static final int MOST_KEYSTROKE_MILLIS = 1000;
    private static final String INTERVAL = "interval:";
    private static final String COMMAND_LINE = "command-line";

    private final Given given;
    private final Surroundings surroundings;
    private final Log log;

    /** What is wrong with the lines read so far, in OpenSSH's words. */
    private final List<String> complaints = new ArrayList<>();

    private String host = "";
    private String originalHost = "";
    private @Nullable String command;
    private boolean finalPass;
    private boolean finalPassWanted;

    /** Where the reader stands in one file; {@code active} is what Host and Match switch. */
    private static final class Place {
        final String file;
        final boolean userFile;
        final boolean neverMatch;
        final int depth;
        int line;
        boolean active;

        Place(String file, boolean userFile, boolean neverMatch, int depth, boolean active) {
            this.file = file;
            this.userFile = userFile;
            this.neverMatch = neverMatch;
            this.depth = depth;
            this.active = active;
        }

        String where() {
            return file + " line " + line;
        }
    }

    ConfigReader(Given given, Surroundings surroundings, Log log) {
        this.given = given;
        this.surroundings = surroundings;
        this.log = log;
    }

    /** Says whom the next files are read for: what Host and Match compare with. */
    void lookingFor(String host, String originalHost, @Nullable String command, boolean finalPass) {
        this.host = host;
        this.originalHost = originalHost;
        this.command = command;
        this.finalPass = finalPass;
    }

    /** Whether a line {@code Match final} was met, which asks for a second reading. */
    boolean finalPassWanted() {
        return finalPassWanted;
    }

    /** One {@code -o}. */
    void option(String text) throws ConfigException {
        Place place = new Place(COMMAND_LINE, true, false, 0, true);
        complaints.clear();
        if (!line(text, place)) {
            throw ConfigException.of(String.join("\n", complaints));
        }
    }

    /**
     * Reads a whole file.
     *
     * @param checkOwner whether it must belong to the user or root, and be writable by nobody else
     * @return null, or why it could not be opened
     */
    @Nullable String file(String name, boolean userFile, boolean checkOwner)
            throws ConfigException {
        complaints.clear();
        return file(new Place(name, userFile, false, 0, true), checkOwner);
    }

    private @Nullable String file(Place place, boolean checkOwner) throws ConfigException {
        byte[] bytes;
        try {
            Path path = Octets.path(place.file);
            if (checkOwner && Files.exists(path)) {
                checkOwner(path, place.file);
            }
            bytes = read(path, place.file);
        } catch (IOException e) {
            return Reason.of(e);
        } catch (InvalidPathException e) {
            return "Invalid argument";
        }
        log.debug("Reading configuration data " + place.file);
        Skim skim =
                new Skim(
                        bytes,
                        given,
                        host,
                        originalHost,
                        surroundings.localUser(),
                        !log.shows(Log.Level.DEBUG2));
        int bad = 0;
        int from = 0;
        while (from < bytes.length) {
            Skim.Verdict verdict = skim.judge(from, place.active);
            int end = skim.end();
            if (verdict == Skim.Verdict.OTHERS) {
                place.active = false;
            } else if (verdict == Skim.Verdict.READ) {
                place.line = skim.line();
                if (line(Octets.text(bytes, from, end - from), place)) {
                    skim.isRight();
                } else {
                    bad++;
                }
            }
            from = end;
        }
        if (bad > 0) {
            complaints.add(place.file + ": terminating, " + bad + " bad configuration options");
            throw ConfigException.of(String.join("\n", complaints));
        }
        return null;
    }

    private byte[] read(Path path, String name) throws IOException, ConfigException {
        if (Files.isDirectory(path)) {
            // fopen(3) opens a directory and then reads nothing.
            return new byte[0];
        }
        try (InputStream in = Files.newInputStream(path)) {
            // Piece by piece: for more at once the JDK makes a second buffer of the same size.
            byte[] bytes = new byte[(int) Math.min(Files.size(path), MAX_FILE_BYTES)];
            int length = 0;
            while (true) {
                if (length == bytes.length) {
                    int next = in.read();
                    if (next < 0) {
                        return bytes;
                    }
                    if (length == MAX_FILE_BYTES) {
                        throw ConfigException.of(name + ": configuration file too large");
                    }
                    // It grows, or has no size, as a pipe.
                    bytes = Arrays.copyOf(bytes, Math.min(2 * length + PIECE, MAX_FILE_BYTES));
                    bytes[length++] = (byte) next;
                }
                int count = in.read(bytes, length, Math.min(PIECE, bytes.length - length));
                if (count < 0) {
                    return Arrays.copyOf(bytes, length);
                }
                length += count;
            }
        }
    }

    private void checkOwner(Path path, String name) throws IOException, ConfigException {
        Map<String, Object> attributes;
        try {
            attributes = Files.readAttributes(path, "unix:uid,gid,mode");
        } catch (UnsupportedOperationException e) {
            // No owners and modes on this file system, so nothing to check.
            return;
        }
        if (attributes.get("uid") instanceof Integer uid
                && attributes.get("gid") instanceof Integer gid
                && attributes.get("mode") instanceof Integer mode) {
            long owner = Integer.toUnsignedLong(uid);
            // As Debian's: with a umask of 002, which it has, its users' files are their group's.
            boolean others =
                    (mode & 02) != 0
                            || ((mode & 020) != 0
                                    && !PrivateGroup.of(
                                            Integer.toUnsignedLong(gid), surroundings.uid()));
            if ((owner != 0 && owner != surroundings.uid()) || others) {
                throw ConfigException.of("Bad owner or permissions on " + name);
            }
        }
    }

    private boolean complain(Place place, String what) {
        complaints.add(place.where() + ": " + what);
        return false;
    }

    /** Takes one line. False: it is bad, and a complaint says why. */
    private boolean line(String raw, Place place) throws ConfigException {
        String text = Words.trimEnd(raw);
        Words words = new Words(text);
        String keyword = words.next();
        if (keyword != null && keyword.isEmpty()) {
            keyword = words.next();
        }
        if (keyword == null || keyword.isEmpty() || keyword.charAt(0) == '#') {
            return true;
        }
        keyword = keyword.toLowerCase(Locale.ROOT);
        String rest = words.rest();
        if (rest != null) {
            rest = rest.substring(Words.skipBlanks(rest, 0));
        }
        if (rest == null || rest.isEmpty()) {
            return complain(place, "no argument after keyword \"" + keyword + "\"");
        }
        Keyword known = Keyword.named(keyword);
        boolean ignored = false;
        if (known == null) {
            String unknown = given.text(Keyword.IGNORE_UNKNOWN);
            ignored = unknown != null && Patterns.list(keyword, unknown, true) == 1;
            if (!ignored) {
                complaints.add(
                        place.file
                                + ": line "
                                + place.line
                                + ": Bad configuration option: "
                                + keyword);
            }
        }
        List<String> arguments = Words.split(rest);
        if (arguments == null) {
            return complain(place, "invalid quotes");
        }
        if (known == null) {
            if (ignored) {
                log.debug(place.where() + ": Ignored unknown option \"" + keyword + "\"");
            }
            return ignored;
        }
        switch (known.support()) {
            case BUILT, REFUSED, MISSED, MOOT -> {}
            case ACCEPTED -> {
                if (place.active && !given.has(known)) {
                    log.debug(
                            place.where()
                                    + ": "
                                    + known.spelled()
                                    + " is not supported yet, ignored");
                }
            }
            case IGNORED -> {
                return true;
            }
            case DEPRECATED -> {
                log.debug(place.where() + ": Deprecated option \"" + keyword + "\"");
                return true;
            }
            case UNSUPPORTED -> {
                log.error(place.where() + ": Unsupported option \"" + keyword + "\"");
                return true;
            }
        }
        Arguments list = new Arguments(arguments);
        if (!value(known, keyword, list, rest, place)) {
            return false;
        }
        return list.atEnd()
                || complain(place, "keyword " + keyword + " extra arguments at end of line");
    }

    private boolean value(
            Keyword keyword, String name, Arguments arguments, String rest, Place place)
            throws ConfigException {
        return switch (keyword.shape()) {
            case FLAG,
                    ASK,
                    STRICT,
                    ADDRESS_FAMILY,
                    CONTROL_MASTER,
                    TUNNEL,
                    REQUEST_TTY,
                    SESSION_TYPE,
                    CANONICALIZE,
                    PUBKEY,
                    COMPRESSION,
                    TETHER -> {
                String word = arguments.nextOrEmpty();
                if (word.isEmpty()) {
                    yield complain(place, "missing argument.");
                }
                String choice = keyword.shape().choice(word);
                if (choice == null) {
                    yield complain(place, "unsupported option \"" + word + "\".");
                }
                yield set(keyword, choice, place);
            }
            case INTEGER -> {
                String word = arguments.nextOrEmpty();
                String error = Quantities.numberError(word);
                if (error != null) {
                    yield complain(place, "integer value " + error + ".");
                }
                yield set(keyword, Integer.toString(Quantities.number(word)), place);
            }
            case TIME -> time(keyword, arguments, place);
            case TEXT -> {
                String word = arguments.nextOrEmpty();
                if (word.isEmpty()) {
                    yield complain(place, "Missing argument.");
                }
                yield set(keyword, word, place);
            }
            case COMMAND -> {
                arguments.takeAll();
                yield set(keyword, commandText(rest), place);
            }
            case WORDS -> words(keyword, name, arguments, place);
            case ALGORITHMS -> algorithms(keyword, arguments, place);
            case FORWARD -> forward(keyword, arguments.takeAll(), place);
            case RAW -> {
                List<String> words = arguments.takeAll();
                if (words.isEmpty() || words.get(0).isEmpty()) {
                    yield complain(place, "Missing argument.");
                }
                String value = String.join(" ", words);
                if (keyword == Keyword.TUNNEL_DEVICE) {
                    value = Quantities.tunnelDevices(value);
                    if (value == null) {
                        yield complain(place, "Bad tun device.");
                    }
                }
                yield set(keyword, value, place);
            }
            case OWN -> own(keyword, name, arguments, rest, place);
        };
    }

    private boolean forward(Keyword keyword, List<String> words, Place place)
            throws ConfigException {
        if (words.isEmpty() || words.get(0).isEmpty()) {
            return complain(place, "Missing argument.");
        }
        ForwardSpec.Kind kind =
                switch (keyword) {
                    case LOCAL_FORWARD -> ForwardSpec.Kind.LOCAL;
                    case REMOTE_FORWARD -> ForwardSpec.Kind.REMOTE;
                    default -> ForwardSpec.Kind.DYNAMIC;
                };
        if (kind == ForwardSpec.Kind.LOCAL && words.size() == 1) {
            return complain(place, "Missing target argument.");
        }
        ForwardSpec spec = ForwardSpec.parse(String.join(":", words), kind);
        if (spec == null
                || words.size() > 2
                || (kind == ForwardSpec.Kind.REMOTE
                        && (words.size() == 1) != (spec.connect() instanceof Endpoint.Socks))) {
            return complain(place, "Bad forwarding specification.");
        }
        if (place.active) {
            given.addForward(spec, kind);
        }
        return true;
    }

    private static Given.Value here(List<String> words, Place place) {
        return new Given.Value(words, place.file, place.line);
    }

    private boolean set(Keyword keyword, String word, Place place) {
        if (place.active && !given.has(keyword)) {
            given.putIfAbsent(keyword, here(List.of(word), place));
        }
        return true;
    }

    private static String commandText(String rest) {
        int at = 0;
        while (at < rest.length() && (Words.isBlank(rest.charAt(at)) || rest.charAt(at) == '=')) {
            at++;
        }
        return rest.substring(at);
    }

    private boolean time(Keyword keyword, Arguments arguments, Place place) {
        String word = arguments.nextOrEmpty();
        if (word.isEmpty()) {
            return complain(place, "missing time value.");
        }
        if (word.equals("none")) {
            // In OpenSSH this is the value "not set", and a later line may still set it.
            return true;
        }
        int seconds = Quantities.seconds(word);
        if (seconds < 0) {
            return complain(place, "invalid time value.");
        }
        return set(keyword, Integer.toString(seconds), place);
    }

    /** Kept as {@code ssh -G} prints it: no, yes (for ever), or seconds. */
    private boolean controlPersist(Arguments arguments, Place place) {
        String word = arguments.nextOrEmpty();
        if (word.isEmpty()) {
            return complain(place, "Missing ControlPersist argument.");
        }
        String kept =
                switch (word) {
                    case "no", "false" -> "no";
                    case "yes", "true" -> "yes";
                    default -> {
                        int seconds = Quantities.seconds(word);
                        yield seconds < 0 ? "" : seconds == 0 ? "yes" : Integer.toString(seconds);
                    }
                };
        return kept.isEmpty()
                ? complain(place, "Bad ControlPersist argument.")
                : set(Keyword.CONTROL_PERSIST, kept, place);
    }

    private boolean words(Keyword keyword, String name, Arguments arguments, Place place) {
        List<String> words = arguments.takeAll();
        for (String word : words) {
            if (word.isEmpty()) {
                return complain(place, "keyword " + name + " empty argument");
            }
            if (word.equalsIgnoreCase("none") && words.size() > 1) {
                return complain(place, "keyword " + name + " \"none\" argument must appear alone.");
            }
        }
        if (words.size() > MAX_HOST_FILES) {
            return complain(place, "too many " + name + " entries.");
        }
        List<String> kept = words;
        if (keyword == Keyword.CANONICAL_DOMAINS) {
            kept = new ArrayList<>(words.size());
            for (String word : words) {
                String error = domainError(word);
                if (error != null) {
                    return complain(place, error);
                }
                String lower = word.toLowerCase(Locale.ROOT);
                kept.add(lower.endsWith(".") ? lower.substring(0, lower.length() - 1) : lower);
            }
        }
        if (place.active && !words.isEmpty() && !given.has(keyword)) {
            given.putIfAbsent(keyword, here(kept, place));
        }
        return true;
    }

    /** Which list of algorithms a keyword holds. */
    static Algorithms kind(Keyword keyword) {
        return switch (keyword) {
            case CIPHERS -> Algorithms.CIPHERS;
            case MACS -> Algorithms.MACS;
            case KEX_ALGORITHMS -> Algorithms.KEX;
            default -> Algorithms.SIGNATURES;
        };
    }

    private boolean algorithms(Keyword keyword, Arguments arguments, Place place) {
        String list = arguments.nextOrEmpty();
        if (list.isEmpty()) {
            return complain(place, "Missing argument.");
        }
        Algorithms kind = kind(keyword);
        char first = list.charAt(0);
        if (first != '-') {
            String unknown =
                    kind.unknownIn(first == '+' || first == '^' ? list.substring(1) : list);
            if (unknown != null) {
                if (kind == Algorithms.KEX && !unknown.isEmpty()) {
                    complaints.add("Unsupported KEX algorithm \"" + unknown + "\"");
                }
                return complain(place, kind.badSpec(list));
            }
        }
        return set(keyword, list, place);
    }

    /** The keywords with rules of their own. */
    private boolean own(Keyword keyword, String name, Arguments arguments, String rest, Place place)
            throws ConfigException {
        return switch (keyword) {
            case PORT -> port(arguments, place);
            case IDENTITY_FILE -> identityFile(arguments, place);
            case CERTIFICATE_FILE -> certificateFile(arguments, place);
            case IDENTITY_AGENT -> identityAgent(arguments, place);
            case FORWARD_AGENT -> forwardAgent(arguments, place);
            case ADD_KEYS_TO_AGENT -> addKeysToAgent(arguments, place);
            case LOG_LEVEL -> logLevel(arguments, place);
            case SYSLOG_FACILITY -> syslogFacility(arguments, place);
            case SEND_ENV -> sendEnv(arguments, place);
            case SET_ENV -> setEnv(arguments, place);
            case ESCAPE_CHAR -> escapeChar(arguments, place);
            case IP_QOS -> ipQos(arguments, place);
            case REKEY_LIMIT -> rekeyLimit(arguments, place);
            case TETHER_BUFFER -> tetherBuffer(arguments, place);
            case CONTROL_PERSIST -> controlPersist(arguments, place);
            case FINGERPRINT_HASH -> fingerprintHash(arguments, place);
            case WARN_WEAK_CRYPTO -> warnWeakCrypto(arguments, place);
            case OBSCURE_KEYSTROKE_TIMING -> keystrokes(arguments, place);
            case CHANNEL_TIMEOUT -> channelTimeout(name, arguments, place);
            case CANONICALIZE_PERMITTED_CNAMES -> permittedCnames(name, arguments, place);
            case PROXY_COMMAND -> {
                arguments.takeAll();
                yield given.has(Keyword.PROXY_JUMP) || set(keyword, commandText(rest), place);
            }
            case PROXY_JUMP -> {
                arguments.takeAll();
                yield proxyJump(commandText(rest), place);
            }
            case HOST -> host(name, arguments, place);
            case MATCH -> {
                arguments.takeAll();
                yield match(rest, place);
            }
            case INCLUDE -> include(name, arguments, place);
            default -> throw new IllegalStateException("no rule for " + keyword);
        };
    }

    private boolean fingerprintHash(Arguments arguments, Place place) {
        String word = arguments.nextOrEmpty();
        if (word.isEmpty()) {
            return complain(place, "Missing argument.");
        }
        String hash = word.toUpperCase(Locale.ROOT);
        for (ServerSettings.FingerprintHash known : ServerSettings.FingerprintHash.values()) {
            if (known.name().equals(hash)) {
                return set(Keyword.FINGERPRINT_HASH, hash, place);
            }
        }
        return complain(place, "Invalid hash algorithm \"" + word + "\".");
    }

    /** A switch, whose off has a second name. */
    private boolean warnWeakCrypto(Arguments arguments, Place place) {
        String word = arguments.nextOrEmpty();
        String choice = word.equalsIgnoreCase("no-pq-kex") ? "no" : Keyword.Shape.FLAG.choice(word);
        if (choice == null) {
            return complain(
                    place,
                    word.isEmpty() ? "missing argument." : "unsupported option \"" + word + "\".");
        }
        return set(Keyword.WARN_WEAK_CRYPTO, choice, place);
    }

    /** Kept in milliseconds. */
    private boolean keystrokes(Arguments arguments, Place place) {
        String word = arguments.nextOrEmpty();
        if (word.isEmpty()) {
            return complain(place, "missing argument");
        }
        String choice = Keyword.Shape.FLAG.choice(word);
        int millis;
        if (choice != null) {
            millis = choice.equals("yes") ? KEYSTROKE_MILLIS : 0;
        } else if (word.startsWith(INTERVAL)) {
            String number = word.substring(INTERVAL.length());
            String error = Quantities.numberError(number);
            if (error != null) {
                return complain(place, "integer value " + error + ".");
            }
            millis = Quantities.number(number);
            if (millis <= 0 || millis > MOST_KEYSTROKE_MILLIS) {
                return complain(place, "value out of range.");
            }
        } else {
            return complain(place, "unsupported argument \"" + word + "\"");
        }
        if (!arguments.atEnd()) {
            return complain(place, "invalid arguments");
        }
        return set(Keyword.OBSCURE_KEYSTROKE_TIMING, Integer.toString(millis), place);
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
                continue;
            }
            if (!ChannelTimeouts.isOne(word)) {
                throw ConfigException.of(place.where() + ": invalid channel timeout " + word);
            }
        }
        if (place.active && !given.has(Keyword.CHANNEL_TIMEOUT)) {
            given.putIfAbsent(Keyword.CHANNEL_TIMEOUT, here(words, place));
        }
        return true;
    }

    /** Each rule as {@code -G} prints it: names that may be replaced, a colon, names by which. */
    private boolean permittedCnames(String name, Arguments arguments, Place place) {
        List<String> words = arguments.takeAll();
        List<String> rules = new ArrayList<>();
        for (String word : words) {
            int colon = word.indexOf(':');
            if (word.equalsIgnoreCase("none")) {
                if (words.size() > 1) {
                    return complain(
                            place, "keyword " + name + " \"none\" argument must appear alone.");
                }
                rules.add("none");
            } else if (word.equals("*")) {
                rules.add("*:*");
            } else if (colon < 0 || colon == word.length() - 1) {
                return complain(
                        place, "Invalid permitted CNAME \"" + word.toLowerCase(Locale.ROOT) + "\"");
            } else {
                rules.add(word.toLowerCase(Locale.ROOT));
            }
        }
        if (rules.size() > MAX_CANONICAL) {
            return complain(place, "too many " + name + " entries.");
        }
        if (place.active && !given.has(Keyword.CANONICALIZE_PERMITTED_CNAMES)) {
            given.putIfAbsent(Keyword.CANONICALIZE_PERMITTED_CNAMES, here(rules, place));
        }
        return true;
    }

    /** misc.c valid_domain: what is wrong with a name of CanonicalDomains, or null. */
    private static @Nullable String domainError(String name) {
        char before = 0;
        for (int i = 0; i < name.length(); i++) {
            char c = name.charAt(i);
            boolean letter =
                    (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
            if (i == 0 && !letter) {
                return "domain name \"" + name + "\" starts with invalid character";
            }
            if (before == '.' && c == '.') {
                return "domain name \"" + name + "\" contains consecutive separators";
            }
            if (!letter && c != '.' && c != '-' && c != '_') {
                return "domain name \"" + name + "\" contains invalid characters";
            }
            before = c;
        }
        return null;
    }

    private boolean tetherBuffer(Arguments arguments, Place place) {
        String word = arguments.nextOrEmpty();
        long bytes = Quantities.bytes(word);
        return (bytes < Quantities.LEAST_TETHER_BUFFER || bytes > Quantities.MOST_TETHER_BUFFER)
                ? complain(place, "Bad TetherBuffer '" + word + "': it may be 64K to 64M.")
                : set(Keyword.TETHER_BUFFER, Long.toString(bytes), place);
    }

    private boolean port(Arguments arguments, Place place) {
        String word = arguments.nextOrEmpty();
        if (word.isEmpty()) {
            return complain(place, "Missing argument.");
        }
        int port = Quantities.port(word);
        if (port <= 0) {
            return complain(place, "Bad port '" + word + "'.");
        }
        return set(Keyword.PORT, Integer.toString(port), place);
    }

    private boolean identityFile(Arguments arguments, Place place) {
        String path = arguments.nextOrEmpty();
        if (path.isEmpty()) {
            return complain(place, "Missing argument.");
        }
        if (!place.active) {
            return true;
        }
        if (given.identities().size() >= MAX_IDENTITY_FILES) {
            return complain(
                    place, "Too many identity files specified (max " + MAX_IDENTITY_FILES + ").");
        }
        given.addIdentity(
                new Given.Identity(
                        path,
                        place.userFile ? Given.Giver.USER_FILE : Given.Giver.SYSTEM_FILE,
                        place.where()));
        return true;
    }

    private boolean certificateFile(Arguments arguments, Place place) {
        String path = arguments.nextOrEmpty();
        if (path.isEmpty()) {
            return complain(place, "Missing argument.");
        }
        Given.Value known = given.value(Keyword.CERTIFICATE_FILE);
        if (!place.active || (known != null && known.words().contains(path))) {
            return true;
        }
        if (known != null && known.words().size() >= MAX_IDENTITY_FILES) {
            return complain(
                    place,
                    "Too many certificate files specified (max " + MAX_IDENTITY_FILES + ").");
        }
        given.append(Keyword.CERTIFICATE_FILE, here(List.of(path), place));
        return true;
    }

    private boolean identityAgent(Arguments arguments, Place place) {
        String agent = arguments.nextOrEmpty();
        if (agent.isEmpty()) {
            return complain(place, "Missing argument.");
        }
        return agentPath(agent, place) && set(Keyword.IDENTITY_AGENT, agent, place);
    }

    private boolean agentPath(String agent, Place place) {
        String error = Tokens.variableError(agent, surroundings);
        if (error != null) {
            complaints.add(error);
            return complain(place, "Invalid environment expansion " + agent + ".");
        }
        if (agent.startsWith("$") && !agent.startsWith("${") && !isVariableName(agent, 1)) {
            return complain(place, "Invalid environment name " + agent + ".");
        }
        return true;
    }

    /**
     * Whether, and which agent, are two settings: each is taken from the first line that has it.
     */
    private boolean forwardAgent(Arguments arguments, Place place) {
        String word = arguments.nextOrEmpty();
        if (word.isEmpty()) {
            return complain(place, "missing argument.");
        }
        String choice = Keyword.Shape.FLAG.choice(word);
        if (choice != null) {
            return set(Keyword.FORWARD_AGENT, choice, place);
        }
        if (!agentPath(word, place)) {
            return false;
        }
        if (place.active) {
            Given.Value before = given.value(Keyword.FORWARD_AGENT);
            if (before == null) {
                given.putIfAbsent(Keyword.FORWARD_AGENT, here(List.of("yes", word), place));
            } else if (before.words().size() == 1) {
                given.replaceWords(Keyword.FORWARD_AGENT, List.of(before.text(), word));
            }
        }
        return true;
    }

    /** The choice and, where one is given, the seconds after which the agent forgets the key. */
    private boolean addKeysToAgent(Arguments arguments, Place place) {
        String word = arguments.nextOrEmpty();
        if (word.isEmpty()) {
            return complain(place, "missing argument.");
        }
        String second = arguments.next();
        String choice =
                word.equalsIgnoreCase("confirm") ? "confirm" : Keyword.Shape.ASK.choice(word);
        int seconds = 0;
        if (choice == null && second == null) {
            choice = "true";
            seconds = Quantities.seconds(word);
        } else if (second != null && "confirm".equals(choice)) {
            seconds = Quantities.seconds(second);
            if (seconds < 0) {
                return complain(place, "invalid time value.");
            }
        } else if (second != null) {
            seconds = -1;
        }
        if (choice == null || seconds < 0) {
            return complain(place, "unsupported option \"" + word + "\".");
        }
        if (place.active && !given.has(Keyword.ADD_KEYS_TO_AGENT)) {
            given.putIfAbsent(
                    Keyword.ADD_KEYS_TO_AGENT,
                    here(
                            seconds == 0
                                    ? List.of(choice)
                                    : List.of(choice, Integer.toString(seconds)),
                            place));
        }
        return true;
    }

    private static boolean isVariableName(String text, int from) {
        for (int i = from; i < text.length(); i++) {
            char c = text.charAt(i);
            boolean letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
            if (!letter && (c < '0' || c > '9')) {
                return false;
            }
        }
        return from < text.length();
    }

    private boolean logLevel(Arguments arguments, Place place) {
        String word = arguments.next();
        Log.Level level = word == null ? null : logLevel(word);
        if (level == null) {
            return complain(
                    place, "unsupported log level '" + (word == null ? "<NONE>" : word) + "'");
        }
        return set(Keyword.LOG_LEVEL, level.name(), place);
    }

    private boolean syslogFacility(Arguments arguments, Place place) {
        String word = arguments.next();
        String facility = word == null ? "" : word.toUpperCase(Locale.ROOT);
        if (!ServerReader.FACILITIES.contains(facility)) {
            return complain(
                    place, "unsupported log facility '" + (word == null ? "<NONE>" : word) + "'");
        }
        return set(Keyword.SYSLOG_FACILITY, facility, place);
    }

    private static Log.@Nullable Level logLevel(String word) {
        return switch (word.toUpperCase(Locale.ROOT)) {
            case "SILENT", "QUIET" -> Log.Level.QUIET;
            case "FATAL" -> Log.Level.FATAL;
            case "ERROR" -> Log.Level.ERROR;
            case "INFO" -> Log.Level.INFO;
            case "VERBOSE" -> Log.Level.VERBOSE;
            case "DEBUG", "DEBUG1" -> Log.Level.DEBUG1;
            case "DEBUG2" -> Log.Level.DEBUG2;
            case "DEBUG3" -> Log.Level.DEBUG3;
            default -> null;
        };
    }

    private boolean sendEnv(Arguments arguments, Place place) {
        for (String name : arguments.takeAll()) {
            if (name.isEmpty() || name.indexOf('=') >= 0) {
                return complain(place, "Invalid environment name.");
            }
            if (!place.active) {
                continue;
            }
            if (name.charAt(0) != '-') {
                given.append(Keyword.SEND_ENV, here(List.of(name), place));
                continue;
            }
            Given.Value before = given.value(Keyword.SEND_ENV);
            if (before != null) {
                List<String> left = new ArrayList<>();
                for (String sent : before.words()) {
                    if (!Patterns.matches(sent, name.substring(1))) {
                        left.add(sent);
                    }
                }
                given.replaceWords(Keyword.SEND_ENV, left);
            }
        }
        return true;
    }

    private boolean setEnv(Arguments arguments, Place place) {
        List<String> set = new ArrayList<>();
        List<String> names = new ArrayList<>();
        for (String word : arguments.takeAll()) {
            int equals = word.indexOf('=');
            if (equals < 0) {
                return complain(place, "Invalid SetEnv.");
            }
            String name = word.substring(0, equals);
            if (!names.contains(name)) {
                names.add(name);
                set.add(word);
            }
        }
        if (place.active && !set.isEmpty() && !given.has(Keyword.SET_ENV)) {
            given.putIfAbsent(Keyword.SET_ENV, here(set, place));
        }
        return true;
    }

    /** What EscapeChar and -e take: one character, ^ and a letter, none. -2: it is not one. */
    static int escapeCharOf(String word) {
        if (word.length() == 2
                && word.charAt(0) == '^'
                && word.charAt(1) >= 64
                && word.charAt(1) < 128) {
            return word.charAt(1) & 31;
        }
        if (word.length() == 1 && word.charAt(0) < 128) {
            return word.charAt(0);
        }
        return word.equals("none") ? -1 : -2;
    }

    private boolean escapeChar(Arguments arguments, Place place) {
        String word = arguments.nextOrEmpty();
        if (word.isEmpty()) {
            return complain(place, "Missing argument.");
        }
        if (escapeCharOf(word) == -2) {
            return complain(place, "Bad escape character.");
        }
        return set(Keyword.ESCAPE_CHAR, word, place);
    }

    private boolean ipQos(Arguments arguments, Place place) {
        String interactive = arguments.nextOrEmpty();
        String first = TypeOfService.canonical(interactive);
        if (first == null) {
            return complain(place, "Bad IPQoS value: " + interactive);
        }
        String bulk = arguments.next();
        String second = bulk == null ? first : TypeOfService.canonical(bulk);
        if (second == null) {
            return complain(place, "Bad IPQoS value: " + bulk);
        }
        if (place.active && !given.has(Keyword.IP_QOS)) {
            given.putIfAbsent(Keyword.IP_QOS, here(List.of(first, second), place));
        }
        return true;
    }

    /** Size and time are two settings: each is taken from the first line that has it. */
    private boolean rekeyLimit(Arguments arguments, Place place) {
        String size = arguments.nextOrEmpty();
        if (size.isEmpty()) {
            return complain(place, "Missing argument.");
        }
        long bytes = size.equals("default") ? 0 : Quantities.bytes(size);
        if (bytes == Quantities.NOT_A_SIZE) {
            return complain(place, "Bad number '" + size + "': Invalid argument");
        }
        if (bytes == Quantities.SIZE_TOO_LARGE) {
            return complain(place, "Bad number '" + size + "': Numerical result out of range");
        }
        if (bytes != 0 && bytes < 16) {
            return complain(place, "RekeyLimit too small");
        }
        String word = arguments.next();
        String time = "";
        if (word != null && !word.equals("none")) {
            int seconds = Quantities.seconds(word);
            if (seconds < 0) {
                return complain(
                        place, word.isEmpty() ? "missing time value." : "invalid time value.");
            }
            time = Integer.toString(seconds);
        }
        if (place.active) {
            Given.Value before = given.value(Keyword.REKEY_LIMIT);
            if (before == null) {
                given.putIfAbsent(
                        Keyword.REKEY_LIMIT, here(List.of(Long.toString(bytes), time), place));
            } else if (before.words().get(1).isEmpty()) {
                given.replaceWords(Keyword.REKEY_LIMIT, List.of(before.text(), time));
            }
        }
        return true;
    }

    private boolean proxyJump(String text, Place place) {
        int hash = text.indexOf('#');
        String jump = (hash < 0 ? text : text.substring(0, hash)).strip();
        List<Destination> hops = Destination.jumps(jump);
        boolean typed = place.file.equals(COMMAND_LINE);
        if (jump.isEmpty() || hops == null || (typed && !Destination.areHarmless(hops))) {
            return complain(place, "Invalid ProxyJump \"" + text + "\"");
        }
        return given.has(Keyword.PROXY_COMMAND) || set(Keyword.PROXY_JUMP, jump, place);
    }

    private boolean host(String name, Arguments arguments, Place place) {
        if (place.file.equals(COMMAND_LINE)) {
            complaints.add("Host directive not supported as a command-line option");
            return false;
        }
        place.active = false;
        String applied = null;
        for (String word : arguments.takeAll()) {
            if (word.isEmpty()) {
                return complain(place, "keyword " + name + " empty argument");
            }
            if (place.neverMatch) {
                break;
            }
            boolean negated = word.charAt(0) == '!';
            String pattern = negated ? word.substring(1) : word;
            if (!Patterns.matches(host, pattern)) {
                continue;
            }
            if (negated) {
                log.debug(
                        place.where()
                                + ": Skipping Host block because of negated match for "
                                + pattern);
                place.active = false;
                break;
            }
            if (applied == null) {
                applied = pattern;
            }
            place.active = true;
        }
        if (place.active) {
            log.debug(place.where() + ": Applying options for " + applied);
        }
        return true;
    }

    /** A condition that cannot be judged is an error: its block must not leak to other hosts. */
    private boolean match(String condition, Place place) throws ConfigException {
        if (place.file.equals(COMMAND_LINE)) {
            // OpenSSH says "Host" here too.
            complaints.add("Host directive not supported as a command-line option");
            return false;
        }
        String hostName = given.text(Keyword.HOST_NAME);
        String target;
        if (hostName == null) {
            target = host;
        } else if (finalPass) {
            target = hostName;
        } else {
            target = expand(tokens(host), hostName, "%h", false, place);
        }
        log.debug2(
                "checking match for '"
                        + condition
                        + "' host "
                        + target
                        + " originally "
                        + originalHost);
        Words words = new Words(condition);
        boolean result = true;
        int criteria = 0;
        while (true) {
            String written = words.next();
            if (written == null || written.isEmpty() || written.charAt(0) == '#') {
                break;
            }
            boolean negated = written.charAt(0) == '!';
            String criterion = (negated ? written.substring(1) : written).toLowerCase(Locale.ROOT);
            if (criterion.equals("all")) {
                String more = words.next();
                if (criteria > 1 || (more != null && !more.isEmpty() && more.charAt(0) != '#')) {
                    complain(
                            place,
                            "'" + written + "' cannot be combined with other Match attributes");
                    return badMatch(place);
                }
                result &= !negated;
                criteria++;
                break;
            }
            criteria++;
            boolean met;
            if (criterion.equals("final") || criterion.equals("canonical")) {
                finalPassWanted |= criterion.equals("final");
                met = finalPass;
            } else {
                String ahead = words.rest();
                // No command and no tag can be asked for too, but only in so many words.
                boolean empty =
                        (criterion.equals("command") || criterion.equals("tagged"))
                                && ahead != null
                                && ahead.stripLeading().startsWith("\"\"");
                String argument = words.next();
                if (argument == null
                        || (argument.isEmpty() && !empty)
                        || argument.startsWith("#")) {
                    complain(place, "missing argument for Match '" + criterion + "'");
                    return badMatch(place);
                }
                switch (criterion) {
                    case "host" -> met = Patterns.hostMatches(target, argument);
                    case "originalhost" -> met = Patterns.hostMatches(originalHost, argument);
                    case "user" -> met = Patterns.list(user(), argument, false) == 1;
                    case "localuser" ->
                            met = Patterns.list(surroundings.localUser(), argument, false) == 1;
                    case "tagged" -> met = matches(given.text(Keyword.TAG), argument);
                    case "command" -> met = matches(command, argument);
                    case "version" -> met = Patterns.list(MatchLine.RELEASE, argument, false) == 1;
                    case "localnetwork" -> {
                        if (!AddressList.isValid(argument)) {
                            complaints.add("Invalid network list \"" + argument + "\"");
                            return badMatch(place);
                        }
                        met = anyAddressIn(argument);
                    }
                    case "sessiontype" -> met = Patterns.list(sessionType(), argument, false) == 1;
                    case "exec" -> {
                        String run = expand(tokens(target), argument, Tokens.ALL, false, place);
                        if (!result || place.neverMatch) {
                            log.debug3(place.where() + ": skipped exec \"" + run + "\"");
                            continue;
                        }
                        met = succeeds(run, place);
                    }
                    default -> {
                        complaints.add("Unsupported Match attribute " + criterion);
                        return badMatch(place);
                    }
                }
                log.debug3(
                        place.where()
                                + ": "
                                + (met != negated ? "" : "not ")
                                + "matched '"
                                + written
                                + " \""
                                + argument
                                + "\"'");
            }
            if (met == negated) {
                result = false;
            }
        }
        if (criteria == 0) {
            complaints.add("One or more attributes required for Match");
            return badMatch(place);
        }
        log.debug2("match " + (result ? "found" : "not found"));
        place.active = result && !place.neverMatch;
        return true;
    }

    /** Nothing is matched by nothing, and by lists that match the empty word. */
    private static boolean matches(@Nullable String text, String list) {
        String word = text == null ? "" : text;
        return list.isEmpty() ? word.isEmpty() : Patterns.list(word, list, false) == 1;
    }

    private boolean anyAddressIn(String networks) {
        for (String address : surroundings.localAddresses().get()) {
            if (AddressList.match(address, networks) == AddressList.Verdict.LISTED) {
                return true;
            }
        }
        return false;
    }

    private boolean badMatch(Place place) {
        // The lines after it must not be taken for lines of the block before it.
        place.active = false;
        return complain(place, "Bad Match condition");
    }

    private String user() {
        String user = given.text(Keyword.USER);
        return user == null ? surroundings.localUser() : user;
    }

    private String sessionType() {
        String type = String.valueOf(given.text(Keyword.SESSION_TYPE));
        if (!type.equals("default")) {
            return type;
        }
        return command == null ? "shell" : "exec";
    }

    /** Expands, and says in which line that failed. */
    private static String expand(
            Tokens tokens, String text, String allowed, boolean variables, Place place)
            throws ConfigException {
        try {
            return tokens.expand(text, allowed, variables);
        } catch (ConfigException e) {
            throw ConfigException.of(place.where() + ": " + e.text());
        }
    }

    private Tokens tokens(String target) {
        String alias = given.text(Keyword.HOST_KEY_ALIAS);
        String port = given.text(Keyword.PORT);
        String jump = given.text(Keyword.PROXY_JUMP);
        return new Tokens(
                surroundings,
                target,
                originalHost,
                port == null ? 22 : Quantities.number(port),
                user(),
                alias == null ? target : alias,
                Tokens.jumpHost(jump));
    }

    /** Runs a command of {@code Match exec} in the user's shell. */
    private boolean succeeds(String run, Place place) throws ConfigException {
        String shell = surroundings.environment().get("SHELL");
        if (shell == null) {
            shell = "/bin/sh";
        }
        log.debug("Executing command: '" + run + "'");
        try {
            ProcessBuilder builder = new ProcessBuilder(Octets.words(List.of(shell, "-c", run)));
            builder.redirectInput(ProcessBuilder.Redirect.from(Path.of("/dev/null").toFile()));
            builder.redirectOutput(ProcessBuilder.Redirect.DISCARD);
            builder.redirectError(ProcessBuilder.Redirect.INHERIT);
            int status = builder.start().waitFor();
            log.debug3("command returned status " + status);
            return status == 0;
        } catch (IOException e) {
            throw ConfigException.of(place.where() + ": Shell \"" + shell + "\" is not executable");
        } catch (InterruptedException e) {
            // The error ends the run, so there is nobody left who would ask for the flag.
            throw ConfigException.of(place.where() + ": match exec '" + run + "' interrupted");
        }
    }

    private boolean include(String name, Arguments arguments, Place place) throws ConfigException {
        if (place.file.equals(COMMAND_LINE)) {
            complaints.add("Include directive not supported as a command-line option");
            return false;
        }
        for (String word : arguments.takeAll()) {
            if (word.isEmpty()) {
                return complain(place, "keyword " + name + " empty argument");
            }
            if (word.charAt(0) == '~' && !place.userFile) {
                return complain(place, "bad include path " + word + ".");
            }
            String pattern = includePattern(word, place);
            List<String> files = PathGlob.files(pattern);
            if (files.isEmpty()) {
                log.debug(place.where() + ": include " + pattern + " matched no files");
            }
            for (String file : files) {
                log.debug3(
                        place.where()
                                + ": Including file "
                                + file
                                + " depth "
                                + place.depth
                                + (place.active ? "" : " (parse only)"));
                if (place.depth >= MAX_DEPTH) {
                    throw ConfigException.of(
                            place.where() + ": Too many recursive configuration includes");
                }
                Place inside =
                        new Place(
                                file,
                                place.userFile,
                                place.neverMatch || !place.active,
                                place.depth + 1,
                                place.active);
                String reason = file(inside, true);
                if (reason != null && !reason.equals("No such file or directory")) {
                    return complain(place, "Can't open user config file " + file + ": " + reason);
                }
            }
        }
        return true;
    }

    private String includePattern(String word, Place place) throws ConfigException {
        String path;
        if (word.indexOf('%') < 0 && word.indexOf('$') < 0) {
            path = word;
        } else {
            path = expand(tokens(host), word, Tokens.ALL, true, place);
        }
        if (path.startsWith("/")) {
            return path;
        }
        if (!path.startsWith("~")) {
            return place.userFile
                    ? surroundings.home() + "/.ssh/" + path
                    : surroundings.systemDirectory() + "/" + path;
        }
        try {
            return Tokens.tilde(path, surroundings);
        } catch (ConfigException e) {
            // glob(3) leaves a ~user that nobody has as it is, and then finds nothing.
            return path;
        }
    }
}
