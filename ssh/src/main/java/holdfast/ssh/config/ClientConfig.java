package holdfast.ssh.config;

import holdfast.ssh.log.Log;
import holdfast.ssh.octets.Octets;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * The configuration of one run of the client, resolved: options, then the user's file, then the
 * system's, then defaults.
 */
public final class ClientConfig {

    private static final Duration TETHER_HOLD = Duration.ofHours(24);
    private static final int TETHER_BUFFER = 4 << 20;

    private static final List<String> DEFAULT_IDENTITIES =
            List.of(
                    "~/.ssh/id_rsa",
                    "~/.ssh/id_ecdsa",
                    "~/.ssh/id_ecdsa_sk",
                    "~/.ssh/id_ed25519",
                    "~/.ssh/id_ed25519_sk");

    /** The methods that there are. */
    private static final Set<String> AUTHENTICATIONS =
            Set.of("publickey", "keyboard-interactive", "password", "none");

    private static final List<String> DEFAULT_AUTHENTICATIONS =
            List.of("publickey", "keyboard-interactive", "password");

    /** A ProxyJump with a token in it can make new names for ever. */
    private static final int MOST_HOPS = 64;

    private final CommandLine line;
    private final Surroundings surroundings;
    private final Log log;
    private final Given given;
    private final List<String> way;
    private final List<String> warnings = new ArrayList<>(0);

    private String host;
    private @Nullable String refusal;
    private @Nullable ClientSettings settings;

    private ClientConfig(CommandLine line, Surroundings surroundings, Log log, List<String> way) {
        this.way = way;
        this.line = line;
        this.surroundings = surroundings;
        this.log = log;
        given = line.given();
        host = line.host();
    }

    /**
     * Reads the files and resolves everything.
     *
     * @param log takes debug lines while files are read; its level should be {@link
     *     CommandLine#logLevel()}, as the files' own LogLevel is not known before they are read
     * @throws ConfigException what is wrong and where
     */
    public static ClientConfig resolve(CommandLine line, Surroundings surroundings, Log log)
            throws ConfigException {
        ClientConfig config = new ClientConfig(line, surroundings, log, List.of());
        config.readFiles();
        config.settings = config.settle();
        return config;
    }

    /** The settings of the connection. */
    public ClientSettings settings() {
        ClientSettings settled = settings;
        if (settled == null) {
            throw new IllegalStateException("not resolved");
        }
        return settled;
    }

    /**
     * Why no connection may be made although everything is understood: what was asked for is not
     * built, and going on without it would go elsewhere or trust whom it should not. One line;
     * null: go on. {@code -G} prints all the same.
     */
    public @Nullable String refusal() {
        return refusal;
    }

    /** Whether the client goes to the background when it has logged in. */
    public boolean forksAfterAuthentication() {
        return given.isYes(Keyword.FORK_AFTER_AUTHENTICATION);
    }

    /** One line each, for INFO, when really connecting: what was asked for and will be missing. */
    public List<String> warnings() {
        return List.copyOf(warnings);
    }

    private void readFiles() throws ConfigException {
        ConfigReader reader = new ConfigReader(given, surroundings, log);
        reader.lookingFor(host, line.host(), line.command(), false);
        readBoth(reader);
        boolean asked = reader.finalPassWanted();
        boolean again = asked;
        if (again) {
            log.debug("configuration requests final Match pass");
        }
        Given.Value hostName = given.value(Keyword.HOST_NAME);
        if (hostName != null) {
            host = expand(tokens(), hostName.text(), "%h", false, hostName.where());
        }
        boolean resolved = false;
        boolean address = NumericAddress.looksLikeOne(host, addressFamily());
        if (!address) {
            host = host.toLowerCase(Locale.ROOT);
        } else {
            String canonical = NumericAddress.canonical(host, addressFamily());
            if (canonical == null) {
                log.debug("hostname " + host + " is an unrecognised address");
            } else {
                host = canonical;
                resolved = true;
            }
        }
        // What decided over this reading does not change with the next.
        for (Keyword settled :
                List.of(
                        Keyword.CANONICALIZE_HOSTNAME,
                        Keyword.CANONICALIZE_MAX_DOTS,
                        Keyword.CANONICALIZE_FALLBACK_LOCAL)) {
            if (!given.has(settled)) {
                given.override(settled, text(settled));
            }
        }
        boolean found = resolved || (!address && canonicalized());
        if (!found && !permittedCnames().isEmpty() && canonicalizes(true)) {
            // A bare name may be an alias too, by the resolver's own search.
            String canonical = surroundings.names().canonical(host, addressFamily());
            if (canonical != null) {
                followCname(canonical);
            } else if (isDirect()) {
                boolean otherFamily =
                        NumericAddress.canonical(host, ClientSettings.AddressFamily.ANY) != null;
                throw ConfigException.of(
                        "ssh: Could not resolve hostname "
                                + host
                                + (otherFamily
                                        ? ": Address family for hostname not supported"
                                        : ": Name or service not known"));
            }
        }
        again |= !"false".equals(given.text(Keyword.CANONICALIZE_HOSTNAME));
        if (!"false".equals(given.text(Keyword.CANONICALIZE_HOSTNAME)) && !asked) {
            log.debug("hostname canonicalisation enabled, will re-parse configuration");
        }
        if (again) {
            log.debug("re-parsing configuration");
            given.override(Keyword.HOST_NAME, host);
            reader.lookingFor(host, line.host(), line.command(), true);
            readBoth(reader);
        }
    }

    // --- CanonicalizeHostname (ssh.c, resolve_canonicalize)

    private boolean isDirect() {
        return isNone(given.text(Keyword.PROXY_COMMAND)) && isNone(given.text(Keyword.PROXY_JUMP));
    }

    /**
     * Whether names may be looked up for their canonical form: behind a proxy only if it is so
     * asked.
     *
     * @param aliasesToo whether it is only aliases that are looked for
     */
    private boolean canonicalizes(boolean aliasesToo) {
        String wanted = text(Keyword.CANONICALIZE_HOSTNAME);
        return (aliasesToo || !wanted.equals("false")) && (isDirect() || wanted.equals("always"));
    }

    /** Looks for the host in CanonicalDomains; whether it was found in one. */
    private boolean canonicalized() throws ConfigException {
        if (!canonicalizes(false)) {
            return false;
        }
        List<String> candidates = new ArrayList<>();
        if (host.endsWith(".")) {
            log.debug3("resolve_canonicalize: name is fully qualified");
            candidates.add(host);
        } else {
            long dots = host.chars().filter(c -> c == '.').count();
            if (dots > number(Keyword.CANONICALIZE_MAX_DOTS)) {
                log.debug3(
                        "resolve_canonicalize: not canonicalizing hostname \""
                                + host
                                + "\" (max dots "
                                + number(Keyword.CANONICALIZE_MAX_DOTS)
                                + ")");
                return false;
            }
            for (String domain : words(Keyword.CANONICAL_DOMAINS)) {
                candidates.add(host + "." + domain + ".");
            }
        }
        for (String candidate : candidates) {
            log.debug3(
                    "resolve_canonicalize: attempting \"" + host + "\" => \"" + candidate + "\"");
            String canonical = surroundings.names().canonical(candidate, addressFamily());
            if (canonical == null) {
                log.debug("ssh: Could not resolve hostname " + candidate);
                continue;
            }
            String before = host;
            host = candidate.substring(0, candidate.length() - 1);
            if (!followCname(canonical)) {
                log.debug("Canonicalized hostname \"" + before + "\" => \"" + host + "\"");
            }
            return true;
        }
        if (!given.isYes(Keyword.CANONICALIZE_FALLBACK_LOCAL)) {
            throw ConfigException.of("ssh: Could not resolve host \"" + host + "\"");
        }
        log.debug2("resolve_canonicalize: host " + host + " not found in any suffix");
        return false;
    }

    private List<String> permittedCnames() {
        return words(Keyword.CANONICALIZE_PERMITTED_CNAMES);
    }

    /** Takes what the name is an alias of for the host, if a rule permits that. */
    private boolean followCname(String resolved) {
        String canonical =
                resolved.endsWith(".") ? resolved.substring(0, resolved.length() - 1) : resolved;
        if (canonical.equals(host) || !canonicalizes(false)) {
            return false;
        }
        log.debug3("check_follow_cname: check \"" + host + "\" CNAME \"" + canonical + "\"");
        for (String rule : permittedCnames()) {
            int colon = rule.indexOf(':');
            if (Patterns.list(host, rule.substring(0, colon), true) == 1
                    && Patterns.list(canonical, rule.substring(colon + 1), true) == 1) {
                log.verbose(
                        "Canonicalized DNS aliased hostname \""
                                + host
                                + "\" => \""
                                + canonical
                                + "\"");
                host = canonical;
                return true;
            }
        }
        return false;
    }

    private void readBoth(ConfigReader reader) throws ConfigException {
        String file = line.configFile();
        if (file != null) {
            if (!file.equalsIgnoreCase("none")) {
                // For the JDK a name of nothing is the working directory.
                String reason =
                        file.isEmpty()
                                ? "No such file or directory"
                                : reader.file(file, true, false);
                if (reason != null) {
                    throw ConfigException.of("Can't open user config file " + file + ": " + reason);
                }
            }
            return;
        }
        // A file that cannot be opened is as good as none here.
        // Ours comes first, so that a file shared with OpenSSH need not have our own keywords.
        reader.file(surroundings.home() + "/.config/holdfast/config", true, true);
        reader.file(surroundings.home() + "/.ssh/config", true, true);
        reader.file(surroundings.systemDirectory() + "/ssh_config", false, false);
    }

    private Tokens tokens() {
        String alias = given.text(Keyword.HOST_KEY_ALIAS);
        String jump = given.text(Keyword.PROXY_JUMP);
        return new Tokens(
                surroundings,
                host,
                line.host(),
                Integer.parseInt(text(Keyword.PORT)),
                user(),
                alias == null ? line.host() : alias,
                Tokens.jumpHost(jump));
    }

    private String user() {
        String user = given.text(Keyword.USER);
        return user == null ? surroundings.localUser() : user;
    }

    private static boolean isNone(@Nullable String text) {
        return text == null || text.equalsIgnoreCase("none");
    }

    /** The value of a keyword that has a default. */
    private String text(Keyword keyword) {
        String text = given.text(keyword);
        if (text == null) {
            throw new IllegalStateException("no default for " + keyword);
        }
        return text;
    }

    private int number(Keyword keyword) {
        return Integer.parseInt(text(keyword));
    }

    private String where(Keyword keyword) {
        Given.Value value = given.value(keyword);
        return value == null ? keyword.spelled() : value.where();
    }

    /** Expands, and says where the value came from if that fails. */
    private static String expand(
            Tokens tokens, String text, String allowed, boolean variables, String where)
            throws ConfigException {
        try {
            return tokens.expand(text, allowed, variables);
        } catch (ConfigException e) {
            throw ConfigException.of(where + ": " + e.text());
        }
    }

    /** Expands the name of a file: tilde, tokens and variables. */
    private String expandPath(Tokens tokens, String text, String where) throws ConfigException {
        String path;
        try {
            path = Tokens.tilde(text, surroundings);
        } catch (ConfigException e) {
            throw ConfigException.of(where + ": " + e.text());
        }
        return expand(tokens, path, Tokens.ALL, true, where);
    }

    private static Path path(String text, String where) throws ConfigException {
        try {
            return Octets.path(text);
        } catch (InvalidPathException e) {
            throw ConfigException.of(where + ": not a file name in this locale: " + text);
        }
    }

    private ClientSettings settle() throws ConfigException {
        clearNone(Keyword.LOCAL_COMMAND);
        clearNone(Keyword.REMOTE_COMMAND);
        clearNone(Keyword.PROXY_COMMAND);
        clearNone(Keyword.PROXY_JUMP);
        clearNone(Keyword.CONTROL_PATH);
        clearNone(Keyword.PKCS11_PROVIDER);
        clearNone(Keyword.KNOWN_HOSTS_COMMAND);
        clearNone(Keyword.VERSION_ADDENDUM);
        if (given.stdio() != null) {
            for (Keyword implied :
                    List.of(Keyword.EXIT_ON_FORWARD_FAILURE, Keyword.CLEAR_ALL_FORWARDINGS)) {
                if (!given.has(implied)) {
                    given.override(implied, "yes");
                }
            }
        }
        if (number(Keyword.CONNECTION_ATTEMPTS) <= 0) {
            throw ConfigException.of(
                    where(Keyword.CONNECTION_ATTEMPTS) + ": Invalid number of ConnectionAttempts");
        }
        String command = line.command();
        Given.Value remoteCommand = given.value(Keyword.REMOTE_COMMAND);
        if (command != null && remoteCommand != null) {
            throw ConfigException.of("Cannot execute command-line and remote command.");
        }
        Given.Value alias = given.value(Keyword.HOST_KEY_ALIAS);
        if (alias != null) {
            given.replaceWords(
                    Keyword.HOST_KEY_ALIAS, List.of(alias.text().toLowerCase(Locale.ROOT)));
        }
        String user = expandedUser();
        Tokens expansion = tokens();
        if (remoteCommand != null) {
            command =
                    expand(
                            expansion,
                            remoteCommand.text(),
                            Tokens.ALL,
                            false,
                            remoteCommand.where());
            given.replaceWords(Keyword.REMOTE_COMMAND, List.of(command));
        }
        Given.Value controlPath = given.value(Keyword.CONTROL_PATH);
        if (controlPath != null) {
            given.replaceWords(
                    Keyword.CONTROL_PATH,
                    List.of(expandPath(expansion, controlPath.text(), controlPath.where())));
        }
        String agent = identityAgent(expansion);
        ClientCredentials credentials = credentials(expansion, agent);
        List<Path> userKnownHosts = userKnownHosts(expansion);
        List<Path> globalKnownHosts = new ArrayList<>();
        for (String name : words(Keyword.GLOBAL_KNOWN_HOSTS_FILE)) {
            globalKnownHosts.add(path(name, where(Keyword.GLOBAL_KNOWN_HOSTS_FILE)));
        }
        Given.Value timeout = given.value(Keyword.CONNECT_TIMEOUT);
        int timeoutSeconds = timeout == null ? 0 : Integer.parseInt(timeout.text());
        List<String> rekey = rekeyLimit();
        List<String> qos = words(Keyword.IP_QOS);
        ClientSettings.SessionType sessionType = sessionType();
        if (forksAfterAuthentication()
                && command == null
                && sessionType == ClientSettings.SessionType.DEFAULT) {
            throw ConfigException.of("Cannot fork into background without a command to execute.");
        }
        judge(sessionType, command);
        String logFile = line.logFile();
        return new ClientSettings(
                line.host(),
                host,
                given.text(Keyword.HOST_KEY_ALIAS),
                user,
                number(Keyword.PORT),
                addressFamily(),
                given.text(Keyword.BIND_ADDRESS),
                given.text(Keyword.BIND_INTERFACE),
                timeoutSeconds == 0 ? null : Duration.ofSeconds(timeoutSeconds),
                number(Keyword.CONNECTION_ATTEMPTS),
                given.isYes(Keyword.TCP_KEEP_ALIVE),
                Duration.ofSeconds(number(Keyword.SERVER_ALIVE_INTERVAL)),
                number(Keyword.SERVER_ALIVE_COUNT_MAX),
                given.isYes(Keyword.BATCH_MODE),
                strictHostKeyChecking(),
                userKnownHosts,
                globalKnownHosts,
                given.isYes(Keyword.HASH_KNOWN_HOSTS),
                given.isYes(Keyword.CHECK_HOST_IP),
                given.isYes(Keyword.NO_HOST_AUTHENTICATION_FOR_LOCALHOST),
                algorithms(Keyword.CIPHERS),
                algorithms(Keyword.MACS),
                algorithms(Keyword.KEX_ALGORITHMS),
                algorithms(Keyword.HOST_KEY_ALGORITHMS),
                given.has(Keyword.HOST_KEY_ALGORITHMS),
                algorithms(Keyword.PUBKEY_ACCEPTED_ALGORITHMS),
                algorithms(Keyword.CA_SIGNATURE_ALGORITHMS),
                number(Keyword.REQUIRED_RSA_SIZE),
                identityFiles(expansion),
                identityFilesGiven(),
                given.isYes(Keyword.IDENTITIES_ONLY),
                agent,
                credentials,
                preferredAuthentications(),
                !"false".equals(given.text(Keyword.PUBKEY_AUTHENTICATION)),
                given.isYes(Keyword.PASSWORD_AUTHENTICATION),
                given.isYes(Keyword.KBD_INTERACTIVE_AUTHENTICATION),
                number(Keyword.NUMBER_OF_PASSWORD_PROMPTS),
                requestTty(),
                sessionType,
                command,
                given.isYes(Keyword.STDIN_NULL) || forksAfterAuthentication(),
                ConfigReader.escapeCharOf(text(Keyword.ESCAPE_CHAR)),
                given.isYes(Keyword.COMPRESSION),
                Long.parseLong(rekey.get(0)),
                Duration.ofSeconds(Long.parseLong(rekey.get(1))),
                given.has(Keyword.SEND_ENV) ? words(Keyword.SEND_ENV) : List.of(),
                setEnv(expansion),
                TypeOfService.value(qos.get(0)),
                TypeOfService.value(qos.get(1)),
                Log.Level.valueOf(text(Keyword.LOG_LEVEL)),
                logFile == null ? null : path(logFile, "-E"),
                forwards(expansion),
                route(expansion),
                tethering(),
                trust(expansion),
                protocol(),
                comfort(expansion),
                sharing());
    }

    private ClientSharing sharing() {
        String path = given.text(Keyword.CONTROL_PATH);
        String persist = text(Keyword.CONTROL_PERSIST);
        return new ClientSharing(
                switch (text(Keyword.CONTROL_MASTER)) {
                    case "true" -> ClientSharing.Master.YES;
                    case "ask" -> ClientSharing.Master.ASK;
                    case "auto" -> ClientSharing.Master.AUTO;
                    case "autoask" -> ClientSharing.Master.AUTO_ASK;
                    default -> ClientSharing.Master.NO;
                },
                path,
                switch (persist) {
                    case "no" -> null;
                    case "yes" -> Duration.ZERO;
                    default -> Duration.ofSeconds(Long.parseLong(persist));
                },
                line.control());
    }

    private HostTrust trust(Tokens expansion) throws ConfigException {
        List<Path> revoked = new ArrayList<>();
        Given.Value files = given.value(Keyword.REVOKED_HOST_KEYS);
        if (files != null && !(files.words().size() == 1 && isNone(files.text()))) {
            List<String> expanded = new ArrayList<>();
            for (String name : files.words()) {
                String file = expandPath(expansion, name, files.where());
                expanded.add(file);
                revoked.add(path(file, files.where()));
            }
            given.replaceWords(Keyword.REVOKED_HOST_KEYS, expanded);
        } else {
            given.remove(Keyword.REVOKED_HOST_KEYS);
        }
        return new HostTrust(
                revoked,
                knownHostsCommand(expansion),
                ServerSettings.FingerprintHash.valueOf(text(Keyword.FINGERPRINT_HASH)));
    }

    private HostTrust.@Nullable KeysCommand knownHostsCommand(Tokens expansion)
            throws ConfigException {
        Given.Value command = given.value(Keyword.KNOWN_HOSTS_COMMAND);
        // As OpenSSH, which looks into it only when it is to be run.
        if (command == null || line.printsConfiguration()) {
            return null;
        }
        List<String> words = Words.split(command.text(), false);
        if (words == null || words.isEmpty()) {
            throw ConfigException.of(
                    command.where() + ": KnownHostsCommand contains invalid quotes");
        }
        Map<Character, String> tokens = expansion.values(Tokens.ALL);
        Map<Character, String> all = new HashMap<>(tokens);
        for (char own : HostTrust.KeysCommand.OWN_TOKENS.toCharArray()) {
            all.put(own, "");
        }
        for (String word : words.subList(1, words.size())) {
            try {
                ServerTokens.expand(word, all);
            } catch (ConfigException e) {
                throw ConfigException.of(command.where() + ": " + e.text());
            }
        }
        return new HostTrust.KeysCommand(words, tokens);
    }

    private ClientProtocol protocol() throws ConfigException {
        String keystrokes = given.text(Keyword.OBSCURE_KEYSTROKE_TIMING);
        String devices = given.text(Keyword.KBD_INTERACTIVE_DEVICES);
        return new ClientProtocol(
                given.text(Keyword.VERSION_ADDENDUM),
                given.isYes(Keyword.WARN_WEAK_CRYPTO),
                devices == null ? "" : devices,
                ChannelTimeouts.of(words(Keyword.CHANNEL_TIMEOUT)),
                Duration.ofMillis(
                        keystrokes == null
                                ? ConfigReader.KEYSTROKE_MILLIS
                                : Integer.parseInt(keystrokes)),
                x11());
    }

    private ClientProtocol.@Nullable X11 x11() throws ConfigException {
        if (!given.isYes(Keyword.FORWARD_X11)) {
            return null;
        }
        return new ClientProtocol.X11(
                given.isYes(Keyword.FORWARD_X11_TRUSTED),
                Duration.ofSeconds(number(Keyword.FORWARD_X11_TIMEOUT)),
                path(text(Keyword.XAUTH_LOCATION), where(Keyword.XAUTH_LOCATION)));
    }

    private ClientSettings.Tethering tethering() {
        String use = given.text(Keyword.TETHER);
        String hold = given.text(Keyword.TETHER_HOLD);
        String buffer = given.text(Keyword.TETHER_BUFFER);
        return new ClientSettings.Tethering(
                use == null
                        ? ClientSettings.Tethering.Use.YES
                        : ClientSettings.Tethering.Use.valueOf(use.toUpperCase(Locale.ROOT)),
                hold == null ? TETHER_HOLD : Duration.ofSeconds(Long.parseLong(hold)),
                buffer == null ? TETHER_BUFFER : Integer.parseInt(buffer));
    }

    private ClientComfort comfort(Tokens expansion) throws ConfigException {
        Given.Value command = given.value(Keyword.LOCAL_COMMAND);
        String expanded = null;
        // As OpenSSH, which comes to it only once logged in, but before it asks whether it may.
        if (command != null && !line.printsConfiguration()) {
            expanded = expand(expansion, command.text(), Tokens.LOCAL, false, command.where());
        }
        return new ClientComfort(
                given.isYes(Keyword.PERMIT_LOCAL_COMMAND),
                expanded,
                shell(),
                given.isYes(Keyword.VISUAL_HOST_KEY),
                updateHostKeys(),
                given.isYes(Keyword.ENABLE_ESCAPE_COMMANDLINE),
                words(Keyword.LOG_VERBOSE),
                line.logsToSystem() ? text(Keyword.SYSLOG_FACILITY) : null);
    }

    private String shell() {
        String shell = surroundings.environment().get("SHELL");
        return shell == null || shell.isEmpty() ? "/bin/sh" : shell;
    }

    /**
     * Unless it was said: only where the keys are kept in the usual file alone and come from no
     * other source (readconf.c fill_default_options).
     */
    private ClientComfort.UpdateHostKeys updateHostKeys() {
        if (given.has(Keyword.UPDATE_HOST_KEYS)) {
            return switch (text(Keyword.UPDATE_HOST_KEYS)) {
                case "true" -> ClientComfort.UpdateHostKeys.YES;
                case "ask" -> askBeforeUpdate();
                default -> ClientComfort.UpdateHostKeys.NO;
            };
        }
        Given.Value files = given.value(Keyword.USER_KNOWN_HOSTS_FILE);
        boolean usual = files == null || files.words().equals(List.of("~/.ssh/known_hosts"));
        return usual && "false".equals(text(Keyword.VERIFY_HOST_KEY_DNS))
                ? ClientComfort.UpdateHostKeys.YES
                : ClientComfort.UpdateHostKeys.NO;
    }

    /** Nobody is asked beside something that runs, nor who is told nothing else (ssh.c main). */
    private ClientComfort.UpdateHostKeys askBeforeUpdate() {
        if (given.has(Keyword.CONTROL_PATH) && !"no".equals(text(Keyword.CONTROL_PERSIST))) {
            log.debug("UpdateHostKeys=ask is incompatible with ControlPersist; disabling");
        } else if (line.command() != null
                || given.has(Keyword.REMOTE_COMMAND)
                || requestTty() == ClientSettings.RequestTty.NO) {
            log.debug(
                    "UpdateHostKeys=ask is incompatible with remote command execution; disabling");
        } else if (Log.Level.valueOf(text(Keyword.LOG_LEVEL)).compareTo(Log.Level.INFO) >= 0) {
            return ClientComfort.UpdateHostKeys.ASK;
        }
        return ClientComfort.UpdateHostKeys.NO;
    }

    private Route route(Tokens expansion) throws ConfigException {
        Given.Value command = given.value(Keyword.PROXY_COMMAND);
        if (command != null) {
            String text = expand(expansion, command.text(), Tokens.PROXY, false, command.where());
            return new Route.Command(shell(), "exec " + text);
        }
        Given.Value jump = given.value(Keyword.PROXY_JUMP);
        if (jump == null || line.printsConfiguration()) {
            return new Route.Direct();
        }
        String list = expand(expansion, jump.text(), Tokens.PROXY, false, jump.where());
        List<Destination> hops = Destination.jumps(list);
        if (hops == null || hops.isEmpty() || !Destination.areHarmless(hops)) {
            throw ConfigException.of(jump.where() + ": Invalid ProxyJump \"" + list + "\"");
        }
        Destination next = hops.getLast();
        int comma = list.lastIndexOf(',');
        String user = next.user() == null ? user() : next.user();
        int port = next.port() < 0 ? 22 : next.port();
        boolean itself =
                next.host().equals(host) && port == number(Keyword.PORT) && user.equals(user());
        // A list only gets shorter; what a hop's own configuration adds may never end.
        String step = next + (comma < 0 ? "" : list.substring(0, comma));
        if (itself || way.contains(step)) {
            throw ConfigException.of("jumphost loop via " + next.host());
        }
        if (way.size() == MOST_HOPS) {
            throw ConfigException.of("too many jump hosts: more than " + MOST_HOPS);
        }
        List<String> longer = new ArrayList<>(way);
        longer.add(step);
        ClientConfig hop =
                new ClientConfig(
                        hopLine(next, comma < 0 ? null : list.substring(0, comma)),
                        surroundings,
                        log,
                        longer);
        hop.readFiles();
        ClientSettings through = hop.settle();
        if (refusal == null) {
            refusal = hop.refusal;
        }
        warnings.addAll(hop.warnings);
        return new Route.Jump(through);
    }

    /**
     * What OpenSSH's client would be started with to reach that hop: of our own options only -F and
     * -v.
     */
    private CommandLine hopLine(Destination hop, @Nullable String before) throws ConfigException {
        List<String> words = new ArrayList<>();
        if (hop.user() != null) {
            words.addAll(List.of("-l", hop.user()));
        }
        if (hop.port() > 0) {
            words.addAll(List.of("-p", Integer.toString(hop.port())));
        }
        if (before != null) {
            words.addAll(List.of("-J", before));
        }
        String file = line.configFile();
        if (file != null) {
            words.addAll(List.of("-F", file));
        }
        if (line.verbose()) {
            words.add(
                    switch (line.logLevel()) {
                        case QUIET, FATAL, ERROR, INFO, VERBOSE, DEBUG1 -> "-v";
                        case DEBUG2 -> "-vv";
                        case DEBUG3 -> "-vvv";
                    });
        }
        String beyond = "[" + host + "]:" + number(Keyword.PORT);
        if (ForwardSpec.parse(beyond, ForwardSpec.Kind.STDIO) == null) {
            throw ConfigException.of(
                    where(Keyword.PROXY_JUMP)
                            + ": Bad stdio forwarding specification '"
                            + beyond
                            + "'");
        }
        words.addAll(List.of("-W", beyond, "--", hop.host()));
        return CommandLine.parse(words, surroundings);
    }

    private ClientForwards forwards(Tokens expansion) throws ConfigException {
        if (given.isYes(Keyword.CLEAR_ALL_FORWARDINGS)) {
            given.localForwards().clear();
            given.remoteForwards().clear();
        }
        return new ClientForwards(
                expanded(expansion, given.localForwards()),
                expanded(expansion, given.remoteForwards()),
                given.stdio(),
                given.isYes(Keyword.GATEWAY_PORTS),
                given.isYes(Keyword.EXIT_ON_FORWARD_FAILURE),
                bindMask(),
                given.isYes(Keyword.STREAM_LOCAL_BIND_UNLINK),
                permitRemoteOpen());
    }

    private int bindMask() throws ConfigException {
        try {
            int mask = Integer.parseInt(text(Keyword.STREAM_LOCAL_BIND_MASK), 8);
            if (mask >= 0 && mask <= 0777) {
                return mask;
            }
        } catch (NumberFormatException e) {
            // said below
        }
        throw ConfigException.of(where(Keyword.STREAM_LOCAL_BIND_MASK) + ": Bad mask.");
    }

    /** Paths of sockets may have tokens and variables. */
    private List<ForwardSpec> expanded(Tokens expansion, List<ForwardSpec> specs)
            throws ConfigException {
        List<ForwardSpec> all = new ArrayList<>(specs.size());
        for (ForwardSpec spec : specs) {
            all.add(
                    new ForwardSpec(
                            expanded(expansion, spec.listen()),
                            expanded(expansion, spec.connect())));
        }
        return all;
    }

    private static Endpoint expanded(Tokens expansion, Endpoint endpoint) throws ConfigException {
        return endpoint instanceof Endpoint.Unix(String path)
                ? new Endpoint.Unix(expand(expansion, path, Tokens.ALL, true, "forwarding " + path))
                : endpoint;
    }

    private @Nullable List<ServerSettings.Permit> permitRemoteOpen() throws ConfigException {
        String text = text(Keyword.PERMIT_REMOTE_OPEN);
        if (text.equals("any")) {
            return null;
        }
        List<ServerSettings.Permit> permits = new ArrayList<>();
        if (text.equals("none")) {
            return permits;
        }
        for (String word : text.split(" ", -1)) {
            int colon = word.lastIndexOf(':');
            String host = colon < 0 ? word : word.substring(0, colon);
            if (host.startsWith("[") && host.endsWith("]")) {
                host = host.substring(1, host.length() - 1);
            }
            String port = colon < 0 ? "" : word.substring(colon + 1);
            int number = port.equals("*") ? 0 : Quantities.port(port);
            if (number < 0 || (number == 0 && !port.equals("*"))) {
                throw ConfigException.of(
                        where(Keyword.PERMIT_REMOTE_OPEN)
                                + ": bad port number in permitremoteopen");
            }
            permits.add(new ServerSettings.Permit(host, number));
        }
        return permits;
    }

    private void clearNone(Keyword keyword) {
        if (given.has(keyword) && isNone(given.text(keyword))) {
            given.remove(keyword);
        }
    }

    /** The words given, or those of the default; "none" alone: no words. */
    private List<String> words(Keyword keyword) {
        Given.Value value = given.value(keyword);
        List<String> words = value == null ? List.of(text(keyword).split(" ")) : value.words();
        return words.size() == 1 && isNone(words.get(0)) ? List.of() : words;
    }

    /** The keyword's value may have tokens; what comes out must be as harmless as one typed. */
    private String expandedUser() throws ConfigException {
        Given.Value value = given.value(Keyword.USER);
        if (value == null) {
            return surroundings.localUser();
        }
        String user = value.text();
        if (!given.isUserTyped()) {
            user = expand(tokens(), user, "%dhijkLlnpu", true, value.where());
            if (!user.equals(value.text()) && !CommandLine.isValidUser(user)) {
                throw ConfigException.of(
                        value.where() + ": remote username contains invalid characters");
            }
            given.replaceWords(Keyword.USER, List.of(user));
        }
        return user;
    }

    private @Nullable String identityAgent(Tokens expansion) throws ConfigException {
        Given.Value value = given.value(Keyword.IDENTITY_AGENT);
        String agent = value == null ? "SSH_AUTH_SOCK" : value.text();
        if (value != null) {
            agent = expandPath(expansion, agent, value.where());
            given.replaceWords(Keyword.IDENTITY_AGENT, List.of(agent));
        }
        return agent.equals("none") ? null : socket(agent);
    }

    private @Nullable String socket(String agent) {
        String socket = agent;
        if (agent.equals("SSH_AUTH_SOCK")) {
            socket = surroundings.environment().get(agent);
        } else if (agent.startsWith("$")) {
            socket = surroundings.environment().get(agent.substring(1));
        }
        return socket == null || socket.isEmpty() ? null : socket;
    }

    private ClientCredentials credentials(Tokens expansion, @Nullable String agent)
            throws ConfigException {
        List<Path> certificates = new ArrayList<>();
        Given.Value files = given.value(Keyword.CERTIFICATE_FILE);
        // As OpenSSH, which looks into these names and those of keys once it is connected.
        if (files != null && !line.printsConfiguration()) {
            for (String name : files.words()) {
                Path file = path(expandPath(expansion, name, files.where()), files.where());
                if (!certificates.contains(file)) {
                    certificates.add(file);
                }
            }
        }
        Given.Value added = given.value(Keyword.ADD_KEYS_TO_AGENT);
        List<String> add = added == null ? List.of("false") : added.words();
        return new ClientCredentials(
                certificates,
                files != null
                        && !files.file().equals(surroundings.systemDirectory() + "/ssh_config"),
                !"unbound".equals(given.text(Keyword.PUBKEY_AUTHENTICATION)),
                forwardAgent(expansion, agent),
                namedAgent(),
                switch (add.get(0)) {
                    case "true" -> ClientCredentials.AddKeys.YES;
                    case "ask" -> ClientCredentials.AddKeys.ASK;
                    case "confirm" -> ClientCredentials.AddKeys.CONFIRM;
                    default -> ClientCredentials.AddKeys.NO;
                },
                Duration.ofSeconds(add.size() > 1 ? Long.parseLong(add.get(1)) : 0),
                securityKeyProvider());
    }

    private @Nullable String securityKeyProvider() {
        String named = text(Keyword.SECURITY_KEY_PROVIDER);
        if (isNone(named)) {
            return null;
        }
        if (!named.startsWith("$") || named.length() == 1) {
            return named;
        }
        String resolved = surroundings.environment().get(named.substring(1));
        if (resolved == null) {
            log.debug("Authenticator provider " + named + " did not resolve; disabling");
        }
        return resolved;
    }

    /** The socket to forward; null: none is to be, or none is known. */
    private @Nullable String forwardAgent(Tokens expansion, @Nullable String agent)
            throws ConfigException {
        Given.Value value = given.value(Keyword.FORWARD_AGENT);
        if (value == null) {
            return null;
        }
        String socket = agent;
        if (value.words().size() > 1) {
            String named = expandPath(expansion, value.words().get(1), value.where());
            given.replaceWords(Keyword.FORWARD_AGENT, List.of(value.text(), named));
            socket = socket(named);
        }
        return value.text().equals("yes") ? socket : null;
    }

    /** The agent that ForwardAgent names, if one is to be forwarded; its text is expanded. */
    private @Nullable String namedAgent() {
        Given.Value value = given.value(Keyword.FORWARD_AGENT);
        return value == null || value.words().size() < 2 || !value.text().equals("yes")
                ? null
                : value.words().get(1);
    }

    private List<Path> userKnownHosts(Tokens expansion) throws ConfigException {
        List<Path> files = new ArrayList<>();
        List<String> names = new ArrayList<>();
        String where = where(Keyword.USER_KNOWN_HOSTS_FILE);
        for (String name : words(Keyword.USER_KNOWN_HOSTS_FILE)) {
            String expanded = expandPath(expansion, name, where);
            names.add(expanded);
            files.add(path(expanded, where));
        }
        expandedUserKnownHosts = names;
        return files;
    }

    /** What {@code -G} prints; empty: none. */
    private List<String> expandedUserKnownHosts = List.of();

    private List<String> identityNames() {
        if (given.identities().isEmpty()) {
            return DEFAULT_IDENTITIES;
        }
        List<String> names = new ArrayList<>();
        for (Given.Identity identity : given.identities()) {
            names.add(identity.path());
        }
        return names;
    }

    private List<Path> identityFiles(Tokens expansion) throws ConfigException {
        if (line.printsConfiguration()) {
            return List.of();
        }
        List<Path> files = new ArrayList<>();
        List<String> names = identityNames();
        for (int i = 0; i < names.size(); i++) {
            String name = names.get(i);
            if (isNone(name)) {
                continue;
            }
            String where =
                    given.identities().isEmpty()
                            ? "IdentityFile"
                            : given.identities().get(i).where();
            Path file = path(expandPath(expansion, name, where), where);
            if (!files.contains(file)) {
                files.add(file);
            }
        }
        return files;
    }

    private boolean identityFilesGiven() {
        for (Given.Identity identity : given.identities()) {
            if (identity.giver() != Given.Giver.SYSTEM_FILE) {
                return true;
            }
        }
        return false;
    }

    private List<String> preferredAuthentications() {
        String list = given.text(Keyword.PREFERRED_AUTHENTICATIONS);
        return list == null ? DEFAULT_AUTHENTICATIONS : List.of(list.split(","));
    }

    /** Bytes and seconds, both given or 0. */
    private List<String> rekeyLimit() {
        Given.Value value = given.value(Keyword.REKEY_LIMIT);
        if (value == null) {
            return List.of("0", "0");
        }
        String seconds = value.words().get(1);
        return List.of(value.text(), seconds.isEmpty() ? "0" : seconds);
    }

    private Map<String, String> setEnv(Tokens expansion) throws ConfigException {
        Map<String, String> variables = new LinkedHashMap<>();
        Given.Value value = given.value(Keyword.SET_ENV);
        if (value != null) {
            List<String> expanded = new ArrayList<>();
            for (String word : value.words()) {
                int equals = word.indexOf('=');
                String name = word.substring(0, equals);
                String text = word.substring(equals + 1);
                text = expand(expansion, text, Tokens.ALL, true, value.where());
                variables.put(name, text);
                expanded.add(name + "=" + text);
            }
            given.replaceWords(Keyword.SET_ENV, expanded);
        }
        return variables;
    }

    /** The names that are left of what was asked for and that Holdfast has. */
    private List<String> algorithms(Keyword keyword) throws ConfigException {
        Algorithms kind = ConfigReader.kind(keyword);
        List<String> defaults = kind.defaults();
        if (keyword == Keyword.CA_SIGNATURE_ALGORITHMS) {
            defaults = ServerResolution.DEFAULT_CA_SIGNATURES;
        }
        Given.Value value = given.value(keyword);
        boolean replaces = value != null && "+-^".indexOf(value.text().charAt(0)) < 0;
        if (keyword == Keyword.CIPHERS && !replaces && surroundings.aesProcessor().getAsBoolean()) {
            defaults = Algorithms.ciphersWithAesFirst();
        }
        List<String> names = new ArrayList<>();
        for (String name : kind.assemble(value == null ? null : value.text(), defaults)) {
            // A person's certificates and hardware keys need nothing of ours: the agent signs.
            if (kind.has(name)
                    || keyword == Keyword.PUBKEY_ACCEPTED_ALGORITHMS
                    || keyword == Keyword.CA_SIGNATURE_ALGORITHMS) {
                names.add(name);
            } else if (value != null && !kind.defaults().contains(name)) {
                log.debug(value.where() + ": " + name + " is not supported yet, left out");
            }
        }
        if (names.isEmpty() && value != null) {
            throw ConfigException.of(
                    value.where()
                            + ": "
                            + keyword.spelled()
                            + " '"
                            + value.text()
                            + "' leaves no algorithm that is supported");
        }
        return names;
    }

    private ClientSettings.AddressFamily addressFamily() {
        return switch (text(Keyword.ADDRESS_FAMILY)) {
            case "inet" -> ClientSettings.AddressFamily.INET;
            case "inet6" -> ClientSettings.AddressFamily.INET6;
            default -> ClientSettings.AddressFamily.ANY;
        };
    }

    private ClientSettings.StrictHostKeyChecking strictHostKeyChecking() {
        return switch (text(Keyword.STRICT_HOST_KEY_CHECKING)) {
            case "true" -> ClientSettings.StrictHostKeyChecking.YES;
            case "false" -> ClientSettings.StrictHostKeyChecking.NO;
            case "accept-new" -> ClientSettings.StrictHostKeyChecking.ACCEPT_NEW;
            default -> ClientSettings.StrictHostKeyChecking.ASK;
        };
    }

    private ClientSettings.RequestTty requestTty() {
        return switch (text(Keyword.REQUEST_TTY)) {
            case "true" -> ClientSettings.RequestTty.YES;
            case "false" -> ClientSettings.RequestTty.NO;
            case "force" -> ClientSettings.RequestTty.FORCE;
            default -> ClientSettings.RequestTty.AUTO;
        };
    }

    private ClientSettings.SessionType sessionType() {
        return switch (text(Keyword.SESSION_TYPE)) {
            case "subsystem" -> ClientSettings.SessionType.SUBSYSTEM;
            case "none" -> ClientSettings.SessionType.NONE;
            default -> ClientSettings.SessionType.DEFAULT;
        };
    }

    /** Says what of this configuration cannot be left undone, and what can but will be missed. */
    private void judge(ClientSettings.SessionType sessionType, @Nullable String command)
            throws ConfigException {
        Given.Value refused = given.value(Keyword.REFUSE_CONNECTION);
        if (refused != null) {
            String words = refused.where() + ": RefuseConnection: " + refused.text();
            if (way.isEmpty()) {
                throw ConfigException.of(words);
            }
            refusal = words;
            return;
        }
        if (line.control() != null && !given.has(Keyword.CONTROL_PATH)) {
            refusal = "No ControlPath specified for \"-O\" command";
            return;
        }
        Given.Value proxy = given.value(Keyword.PROXY_COMMAND);
        if (proxy != null && proxy.text().equals("-")) {
            // Our own stdin and stdout as the connection, without a command.
            refusal = "holdfast ssh: ProxyCommand - is not supported (" + proxy.where() + ")";
        }
        for (Keyword keyword : Keyword.values()) {
            boolean on = switchedOn(keyword);
            switch (keyword.support()) {
                case REFUSED -> refuse(keyword, on);
                case MISSED -> warn(keyword, on);
                case BUILT, ACCEPTED, MOOT, IGNORED, DEPRECATED, UNSUPPORTED -> {}
            }
        }
        if (given.isYes(Keyword.GSSAPI_AUTHENTICATION)) {
            log.debug(
                    "GSSAPIAuthentication: Kerberos is not built in, the other methods are tried");
        }
        List<String> methods = preferredAuthentications();
        if (refusal == null && methods.stream().noneMatch(AUTHENTICATIONS::contains)) {
            refusal =
                    "holdfast ssh: none of PreferredAuthentications "
                            + String.join(",", methods)
                            + " is supported ("
                            + where(Keyword.PREFERRED_AUTHENTICATIONS)
                            + ")";
        }
        if (refusal == null
                && sessionType == ClientSettings.SessionType.SUBSYSTEM
                && command == null) {
            refusal = "You must specify a subsystem to invoke.";
        }
    }

    /** Whether a keyword asks for what is not built, rather than for what is the case anyway. */
    private boolean switchedOn(Keyword keyword) {
        String value = given.text(keyword);
        return switch (keyword) {
            case TUNNEL -> !"false".equals(value) && !given.isYes(Keyword.CLEAR_ALL_FORWARDINGS);
            case PROXY_USE_FDPASS -> given.has(Keyword.PROXY_COMMAND) && given.isYes(keyword);
            default -> value != null && !value.equals(keyword.fallback()) && !value.equals("no");
        };
    }

    private void refuse(Keyword keyword, boolean asked) {
        if (asked && refusal == null) {
            refusal =
                    "holdfast ssh: "
                            + keyword.spelled()
                            + " is not supported: "
                            + keyword.note()
                            + " ("
                            + where(keyword)
                            + ")";
        }
    }

    private void warn(Keyword keyword, boolean asked) {
        if (asked) {
            warnings.add(
                    "Warning: "
                            + keyword.spelled()
                            + " is not supported, going on without it: "
                            + keyword.note()
                            + " ("
                            + where(keyword)
                            + ")");
        }
    }

    /** What {@code ssh -G} prints, in its order and form; lines end in LF. */
    public String print() {
        ClientSettings settled = settings();
        StringBuilder out = new StringBuilder(4096);
        add(out, "host", line.host());
        for (Keyword keyword : Keyword.values()) {
            print(out, keyword, settled);
        }
        return out.toString();
    }

    private void print(StringBuilder out, Keyword keyword, ClientSettings settled) {
        String name = keyword.lowerCase();
        switch (keyword) {
            case USER -> add(out, name, settled.user());
            case HOST_NAME -> add(out, name, host);
            case CIPHERS -> add(out, name, String.join(",", settled.ciphers()));
            case MACS -> add(out, name, String.join(",", settled.macs()));
            case KEX_ALGORITHMS -> add(out, name, String.join(",", settled.kexAlgorithms()));
            case HOST_KEY_ALGORITHMS ->
                    add(out, name, String.join(",", settled.hostKeyAlgorithms()));
            case PUBKEY_ACCEPTED_ALGORITHMS ->
                    add(out, name, String.join(",", settled.pubkeyAcceptedAlgorithms()));
            case CA_SIGNATURE_ALGORITHMS ->
                    add(out, name, String.join(",", settled.caSignatureAlgorithms()));
            case FORWARD_AGENT -> {
                Given.Value agent = given.value(keyword);
                add(out, name, agent == null ? text(keyword) : agent.words().getLast());
            }
            case ADD_KEYS_TO_AGENT -> {
                Given.Value agent = given.value(keyword);
                List<String> words = agent == null ? List.of(text(keyword)) : agent.words();
                boolean timed = words.size() > 1 && words.get(0).equals("true");
                add(out, name, timed ? words.get(1) : String.join(" ", words));
            }
            case HOSTBASED_ACCEPTED_ALGORITHMS -> {
                String list = given.text(keyword);
                if (list != null) {
                    add(out, name, list);
                }
            }
            case IDENTITY_FILE -> {
                for (String identity : identityNames()) {
                    add(out, name, identity);
                }
            }
            case SEND_ENV, SET_ENV, CERTIFICATE_FILE -> {
                Given.Value value = given.value(keyword);
                if (value != null) {
                    for (String word : value.words()) {
                        add(out, name, word);
                    }
                }
            }
            // A Unix socket to connect to makes OpenSSH print a forward as both of these.
            case DYNAMIC_FORWARD -> {
                for (ForwardSpec spec : settled.forwards().local()) {
                    if (!(spec.connect() instanceof Endpoint.Tcp)) {
                        add(out, name, spec.printedListen());
                    }
                }
            }
            case LOCAL_FORWARD -> {
                for (ForwardSpec spec : settled.forwards().local()) {
                    if (!(spec.connect() instanceof Endpoint.Socks)) {
                        add(out, name, spec.printedListen() + " " + spec.printedConnect());
                    }
                }
            }
            case REMOTE_FORWARD -> {
                for (ForwardSpec spec : settled.forwards().remote()) {
                    add(out, name, spec.printedListen() + " " + spec.printedConnect());
                }
            }
            case USER_KNOWN_HOSTS_FILE -> addWords(out, name, expandedUserKnownHosts);
            case GLOBAL_KNOWN_HOSTS_FILE, CANONICAL_DOMAINS, LOG_VERBOSE, CHANNEL_TIMEOUT ->
                    addWords(out, name, words(keyword));
            case UPDATE_HOST_KEYS -> add(out, name, settled.comfort().updateHostKeys().spelled());
            case LOG_LEVEL -> add(out, name, Log.Level.valueOf(text(keyword)).spelled());
            case ESCAPE_CHAR -> add(out, name, visible(settled.escapeChar()));
            case IP_QOS -> addWords(out, name, words(keyword));
            case REKEY_LIMIT -> addWords(out, name, rekeyLimit());
            case PROXY_JUMP -> {
                String list = given.text(keyword);
                if (list != null) {
                    add(out, name, printedJump(list));
                }
            }
            // So it is spelled in OpenSSH.
            case CANONICALIZE_PERMITTED_CNAMES ->
                    addWords(out, "canonicalizePermittedcnames", permittedCnames());
            case REVOKED_HOST_KEYS -> {
                Given.Value files = given.value(keyword);
                if (files != null) {
                    addWords(out, name, files.words());
                }
            }
            case OBSCURE_KEYSTROKE_TIMING -> {
                String millis = given.text(keyword);
                add(
                        out,
                        name,
                        switch (millis) {
                            case "0" -> "no";
                            case "20" -> "yes";
                            case null -> "yes";
                            default -> "interval:" + millis;
                        });
            }
            default -> {
                String text = given.text(keyword);
                if (text != null) {
                    add(out, name, text);
                }
            }
        }
    }

    /** The hop next to the server put together anew, those before it as they were given. */
    private static String printedJump(String list) {
        List<Destination> hops = Destination.jumps(list);
        if (hops == null || hops.isEmpty()) {
            return list;
        }
        Destination last = hops.getLast();
        String host = last.host();
        boolean numeric = host.chars().allMatch(c -> c == '.' || (c >= '0' && c <= '9'));
        return list.substring(0, list.lastIndexOf(',') + 1)
                + (last.user() == null ? "" : last.user() + "@")
                + (numeric || host.indexOf(':') >= 0 ? "[" + host + "]" : host)
                + (last.port() < 0 ? "" : ":" + last.port());
    }

    private static void addWords(StringBuilder out, String name, List<String> words) {
        add(out, name, words.isEmpty() ? "none" : String.join(" ", words));
    }

    private static void add(StringBuilder out, String name, String value) {
        out.append(name).append(' ').append(value).append('\n');
    }

    /** vis(3). */
    private static String visible(int c) {
        if (c < 0) {
            return "none";
        }
        if (c == ' ') {
            return "\\040";
        }
        if (c < ' ' || c == 127) {
            return "\\^" + (char) (c ^ 64);
        }
        return c == '\\' ? "\\\\" : Character.toString(c);
    }
}
