package holdfast.ssh.config;

import holdfast.ssh.config.ServerReader.Section;
import holdfast.ssh.config.ServerSettings.PerSourcePenalties;
import holdfast.ssh.log.Log;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * The configuration of a server: sshd_config read once, and asked for each connection.
 *
 * <p>Immutable, so a server that is told to read its file again makes another one and lets the
 * connections that live keep theirs.
 */
public final class ServerConfig {

    private static final List<String> HOST_KEYS =
            List.of("ssh_host_rsa_key", "ssh_host_ecdsa_key", "ssh_host_ed25519_key");

    private final ServerValues values;
    private final List<Section> sections;
    private final List<String> notes;
    private final boolean hostKeyGiven;
    private final ServerSettings global;

    private ServerConfig(ServerReader reader, Surroundings surroundings) {
        values = reader.values();
        sections = List.copyOf(reader.sections());
        notes = reader.notes();
        hostKeyGiven = values.has(ServerKeyword.HOST_KEY);
        if (!hostKeyGiven) {
            values.put(ServerKeyword.HOST_KEY, hostKeys(surroundings));
        }
        global = ServerResolution.settings(values, hostKeyGiven);
    }

    /**
     * What Match lines compare with; a part that is null (a port that is -1) matches no line.
     *
     * @param user the name the client logs in as
     * @param invalidUser whether there is no such account
     * @param groups the names of the user's groups, asked for only where a Match line needs them
     * @param host the name of the client: its address, unless UseDNS found a name for it
     * @param address the numeric address of the client; one of IPv4 in IPv6 clothes must be
     *     undressed by the caller
     * @param localAddress the numeric address it came in by
     */
    public record Connection(
            @Nullable String user,
            boolean invalidUser,
            Supplier<Set<String>> groups,
            @Nullable String host,
            @Nullable String address,
            @Nullable String localAddress,
            int localPort) {

        /** Nothing is known of the client yet: only {@code Match all} holds. */
        public static final Connection NOBODY =
                new Connection(null, false, Set::of, null, null, null, -1);
    }

    /**
     * Reads the file that the command line names and puts the options over it. May be called again
     * for the same command line, when the file has changed.
     *
     * @param log takes debug lines while files are read
     * @throws ConfigException what is wrong and where
     */
    public static ServerConfig load(ServerCommandLine line, Surroundings surroundings, Log log)
            throws ConfigException {
        ServerReader reader = new ServerReader(surroundings, log);
        line.giveOptions(reader);
        reader.file(line.configFile());
        return finished(reader, surroundings);
    }

    /** The configuration that these lines of an sshd_config are, without a file. */
    public static ServerConfig of(List<String> lines) throws ConfigException {
        return of(lines, Surroundings.ofProcess());
    }

    static ServerConfig of(List<String> lines, Surroundings surroundings) throws ConfigException {
        ServerReader reader = new ServerReader(surroundings, Log.silent());
        reader.lines("sshd_config", lines);
        return finished(reader, surroundings);
    }

    private static ServerConfig finished(ServerReader reader, Surroundings surroundings)
            throws ConfigException {
        reader.finish();
        ServerConfig config = new ServerConfig(reader, surroundings);
        config.check();
        return config;
    }

    private static List<String> hostKeys(Surroundings surroundings) {
        List<String> keys = new ArrayList<>();
        for (String name : HOST_KEYS) {
            Path key = surroundings.systemDirectory().resolve(name);
            if (Files.isReadable(key)) {
                keys.add(key.toString());
            }
        }
        return keys;
    }

    /** What sshd's main looks at before it opens a port. */
    private void check() throws ConfigException {
        if (global.authorizedKeysCommand() != null && global.authorizedKeysCommandUser() == null) {
            throw ConfigException.of("AuthorizedKeysCommand set without AuthorizedKeysCommandUser");
        }
        if (global.authorizedPrincipalsCommand() != null
                && global.authorizedPrincipalsCommandUser() == null) {
            throw ConfigException.of(
                    "AuthorizedPrincipalsCommand set without AuthorizedPrincipalsCommandUser");
        }
        checkUsable("Ciphers", global.ciphers());
        checkUsable("MACs", global.macs());
        checkUsable("KexAlgorithms", global.kexAlgorithms());
        List<String> disabled = new ArrayList<>();
        for (List<String> methods : global.authenticationMethods()) {
            String missing = null;
            for (String method : methods) {
                int colon = method.indexOf(':');
                String name = colon < 0 ? method : method.substring(0, colon);
                if (missing == null && !isEnabled(name)) {
                    missing = name;
                }
            }
            if (missing == null) {
                return;
            }
            disabled.add(
                    "Disabled method \""
                            + missing
                            + "\" in AuthenticationMethods list \""
                            + String.join(",", methods)
                            + "\"");
        }
        if (!disabled.isEmpty()) {
            throw ConfigException.of(
                    String.join("\n", disabled)
                            + "\nAuthenticationMethods cannot be satisfied by enabled"
                            + " authentication methods");
        }
    }

    /** A list may be good to OpenSSH and name nothing that Holdfast has. */
    private static void checkUsable(String keyword, List<String> names) throws ConfigException {
        if (names.isEmpty()) {
            throw ConfigException.of(keyword + ": none of the algorithms given is supported");
        }
    }

    private boolean isEnabled(String method) {
        return switch (method) {
            case "none" -> true;
            case "publickey" -> global.pubkeyAuthentication();
            case "password" -> global.passwordAuthentication();
            case "keyboard-interactive" -> global.kbdInteractiveAuthentication();
            // hostbased and GSSAPI are not built.
            default -> false;
        };
    }

    /** What holds before anything is known of a client. */
    public ServerSettings global() {
        return global;
    }

    /** What holds for one connection: the Match blocks that apply to it are put on top. */
    public ServerSettings settingsFor(Connection connection) {
        ServerValues matched = ServerReader.apply(values, sections, connection);
        return matched == null ? global : ServerResolution.settings(matched, hostKeyGiven);
    }

    /**
     * Ways to sign that somebody may log in with: those of the global part, and those of each Match
     * block. It is what can be said to a client that has not told who it is.
     */
    public List<String> pubkeyAcceptedFromAnyone() {
        ServerKeyword keyword = ServerKeyword.PUBKEY_ACCEPTED_ALGORITHMS;
        Set<String> all = new LinkedHashSet<>(global.pubkeyAcceptedAlgorithms());
        for (List<String> words : ServerReader.given(keyword, sections)) {
            ServerValues alone = values.copy();
            alone.put(keyword, words);
            all.addAll(ServerResolution.algorithms(keyword, alone));
        }
        return List.copyOf(all);
    }

    /** Lines for the log, at its usual level: keywords that are accepted and have no effect. */
    public List<String> notes() {
        return notes;
    }

    /**
     * What {@code sshd -T} prints, each line ended.
     *
     * @param connection what {@code -C} says; {@link Connection#NOBODY} without it
     */
    public String print(Connection connection) {
        ServerValues matched = ServerReader.apply(values, sections, connection);
        ServerValues effective = matched == null ? values : matched;
        StringBuilder out = new StringBuilder(8192);
        for (ServerKeyword keyword : ServerKeyword.values()) {
            print(keyword, effective, out);
        }
        return out.toString();
    }

    private static void print(ServerKeyword keyword, ServerValues values, StringBuilder out) {
        String name = keyword.lowerCase();
        List<String> words = values.words(keyword);
        switch (keyword) {
            case PORT,
                    LISTEN_ADDRESS,
                    HOST_KEY,
                    HOST_CERTIFICATE,
                    ALLOW_USERS,
                    DENY_USERS,
                    ALLOW_GROUPS,
                    DENY_GROUPS,
                    ACCEPT_ENV,
                    SET_ENV,
                    SUBSYSTEM -> {
                for (String word : words) {
                    add(out, name, word);
                }
            }
            case CIPHERS,
                    MACS,
                    KEX_ALGORITHMS,
                    CA_SIGNATURE_ALGORITHMS,
                    HOSTBASED_ACCEPTED_ALGORITHMS,
                    HOST_KEY_ALGORITHMS,
                    PUBKEY_ACCEPTED_ALGORITHMS ->
                    add(out, name, String.join(",", ServerResolution.algorithms(keyword, values)));
            case LOG_LEVEL ->
                    add(
                            out,
                            name,
                            switch (words.get(0)) {
                                case "QUIET" -> "SILENT";
                                case "DEBUG1" -> "DEBUG";
                                default -> words.get(0);
                            });
            case REKEY_LIMIT ->
                    add(
                            out,
                            name,
                            words.get(0) + " " + (words.get(1).isEmpty() ? "0" : words.get(1)));
            case PER_SOURCE_PENALTIES ->
                    add(out, name, penalties(ServerResolution.penalties(words)));
            // Not printed by OpenSSH, or no values at all.
            case R_DOMAIN, MATCH, INCLUDE -> {}
            default -> {
                if (!words.isEmpty() && (!keyword.isOurs() || values.has(keyword))) {
                    add(out, name, String.join(" ", words));
                }
            }
        }
    }

    private static String penalties(PerSourcePenalties penalties) {
        if (!penalties.enabled()) {
            return "no";
        }
        return "crash:"
                + seconds(penalties.crash())
                + " authfail:"
                + seconds(penalties.authFail())
                + " invaliduser:"
                + seconds(penalties.invalidUser())
                + " noauth:"
                + seconds(penalties.noAuth())
                + " grace-exceeded:"
                + seconds(penalties.graceExceeded())
                + " refuseconnection:"
                + seconds(penalties.refuseConnection())
                + " max:"
                + seconds(penalties.max())
                + " min:"
                + seconds(penalties.min())
                + " max-sources4:"
                + penalties.maxSources4()
                + " max-sources6:"
                + penalties.maxSources6()
                + " overflow:"
                + word(penalties.overflow())
                + " overflow6:"
                + word(penalties.overflow6());
    }

    private static String word(ServerSettings.Overflow overflow) {
        return overflow.name().toLowerCase(Locale.ROOT).replace('_', '-');
    }

    private static String seconds(Duration time) {
        return time.toMillisPart() == 0
                ? Long.toString(time.toSeconds())
                : String.format(Locale.ROOT, "%.3f", time.toMillis() / 1000.0);
    }

    private static void add(StringBuilder out, String name, String value) {
        out.append(name).append(' ').append(value).append('\n');
    }
}
