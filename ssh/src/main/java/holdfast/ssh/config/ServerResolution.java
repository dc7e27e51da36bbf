package holdfast.ssh.config;

import holdfast.ssh.config.ServerSettings.FingerprintHash;
import holdfast.ssh.config.ServerSettings.Forwarding;
import holdfast.ssh.config.ServerSettings.GatewayPorts;
import holdfast.ssh.config.ServerSettings.IpQos;
import holdfast.ssh.config.ServerSettings.ListenAddress;
import holdfast.ssh.config.ServerSettings.MaxStartups;
import holdfast.ssh.config.ServerSettings.NetBlockSize;
import holdfast.ssh.config.ServerSettings.Overflow;
import holdfast.ssh.config.ServerSettings.PerSourcePenalties;
import holdfast.ssh.config.ServerSettings.Permit;
import holdfast.ssh.config.ServerSettings.PermitRootLogin;
import holdfast.ssh.config.ServerSettings.Permits;
import holdfast.ssh.config.ServerSettings.PubkeyAuthOption;
import holdfast.ssh.config.ServerSettings.RekeyLimit;
import holdfast.ssh.log.Log;
import holdfast.ssh.octets.Octets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** Turns values of sshd_config, complete and known to be good, into {@link ServerSettings}. */
final class ServerResolution {

    /** How long a session without its connection waits for the client to come back. */
    private static final Duration TETHER_HOLD = Duration.ofHours(24);

    /** What is kept of a session's output for a client that comes back, in bytes. */
    private static final long TETHER_BUFFER = 4 << 20;

    /** And how many sessions there may be to come back to. */
    private static final int TETHER_MAX = 10_000;

    private static final int TETHER_MAX_PER_USER = 100;

    /** What OpenSSH 10's server proposes: the client's default without the finite field groups. */
    private static final List<String> DEFAULT_KEX =
            Algorithms.KEX.defaults().stream()
                    .filter(name -> !name.startsWith("diffie-hellman-"))
                    .toList();

    /** What may sign certificates, at either end. */
    static final List<String> DEFAULT_CA_SIGNATURES =
            List.of(
                    "ssh-ed25519",
                    "ecdsa-sha2-nistp256",
                    "ecdsa-sha2-nistp384",
                    "ecdsa-sha2-nistp521",
                    "sk-ssh-ed25519@openssh.com",
                    "sk-ecdsa-sha2-nistp256@openssh.com",
                    "rsa-sha2-512",
                    "rsa-sha2-256");

    private final ServerValues values;

    private ServerResolution(ServerValues values) {
        this.values = values;
    }

    static ServerSettings settings(ServerValues values, boolean hostKeyGiven) {
        return new ServerResolution(values).settings(hostKeyGiven);
    }

    /** The list that a keyword of algorithms stands for, names that Holdfast lacks included. */
    static List<String> algorithms(ServerKeyword keyword, ServerValues values) {
        String given = values.has(keyword) ? values.text(keyword) : null;
        return switch (keyword) {
            case CIPHERS -> Algorithms.CIPHERS.assemble(given, Algorithms.CIPHERS.defaults());
            case MACS -> Algorithms.MACS.assemble(given, Algorithms.MACS.defaults());
            case KEX_ALGORITHMS -> Algorithms.KEX.assemble(given, DEFAULT_KEX);
            case CA_SIGNATURE_ALGORITHMS ->
                    Algorithms.SIGNATURES.assemble(given, DEFAULT_CA_SIGNATURES);
            default -> Algorithms.SIGNATURES.assemble(given, Algorithms.SIGNATURES.defaults());
        };
    }

    private List<String> usable(Algorithms kind, ServerKeyword keyword) {
        return algorithms(keyword, values).stream().filter(kind::has).toList();
    }

    private ServerSettings settings(boolean hostKeyGiven) {
        return new ServerSettings(
                values.words(ServerKeyword.PORT).stream().map(Integer::valueOf).toList(),
                ClientSettings.AddressFamily.valueOf(choice(ServerKeyword.ADDRESS_FAMILY)),
                values.words(ServerKeyword.LISTEN_ADDRESS).stream()
                        .map(ServerResolution::listen)
                        .toList(),
                files(ServerKeyword.HOST_KEY),
                hostKeyGiven,
                files(ServerKeyword.HOST_CERTIFICATE),
                orNone(ServerKeyword.HOST_KEY_AGENT),
                file(ServerKeyword.PID_FILE),
                Octets.path(text(ServerKeyword.MODULI_FILE)),
                orEmpty(ServerKeyword.VERSION_ADDENDUM),
                file(ServerKeyword.BANNER),
                Log.Level.valueOf(choice(ServerKeyword.LOG_LEVEL)),
                wordsOrNone(ServerKeyword.LOG_VERBOSE),
                text(ServerKeyword.SYSLOG_FACILITY),
                FingerprintHash.valueOf(choice(ServerKeyword.FINGERPRINT_HASH)),
                seconds(ServerKeyword.LOGIN_GRACE_TIME),
                maxStartups(),
                number(ServerKeyword.PER_SOURCE_MAX_STARTUPS),
                netBlockSize(),
                penalties(values.words(ServerKeyword.PER_SOURCE_PENALTIES)),
                orNone(ServerKeyword.PER_SOURCE_PENALTY_EXEMPT_LIST),
                number(ServerKeyword.MAX_AUTH_TRIES),
                number(ServerKeyword.MAX_SESSIONS),
                flag(ServerKeyword.USE_DNS),
                flag(ServerKeyword.REFUSE_CONNECTION),
                usable(Algorithms.CIPHERS, ServerKeyword.CIPHERS),
                usable(Algorithms.MACS, ServerKeyword.MACS),
                usable(Algorithms.KEX, ServerKeyword.KEX_ALGORITHMS),
                algorithms(ServerKeyword.HOST_KEY_ALGORITHMS, values),
                algorithms(ServerKeyword.PUBKEY_ACCEPTED_ALGORITHMS, values),
                algorithms(ServerKeyword.CA_SIGNATURE_ALGORITHMS, values),
                number(ServerKeyword.REQUIRED_RSA_SIZE),
                rekeyLimit(),
                flag(ServerKeyword.COMPRESSION),
                ipQos(),
                flag(ServerKeyword.TCP_KEEP_ALIVE),
                secondsOrNull(ServerKeyword.TCP_KEEP_ALIVE_IDLE),
                secondsOrNull(ServerKeyword.TCP_KEEP_ALIVE_INTERVAL),
                values.has(ServerKeyword.TCP_KEEP_ALIVE_COUNT)
                        ? number(ServerKeyword.TCP_KEEP_ALIVE_COUNT)
                        : 0,
                values.text(ServerKeyword.METRICS_ADDRESS),
                seconds(ServerKeyword.CLIENT_ALIVE_INTERVAL),
                number(ServerKeyword.CLIENT_ALIVE_COUNT_MAX),
                ChannelTimeouts.of(wordsOrNone(ServerKeyword.CHANNEL_TIMEOUT)),
                seconds(ServerKeyword.UNUSED_CONNECTION_TIMEOUT),
                flag(ServerKeyword.TETHER),
                values.has(ServerKeyword.TETHER_HOLD)
                        ? seconds(ServerKeyword.TETHER_HOLD)
                        : TETHER_HOLD,
                values.has(ServerKeyword.TETHER_BUFFER)
                        ? Long.parseLong(text(ServerKeyword.TETHER_BUFFER))
                        : TETHER_BUFFER,
                values.has(ServerKeyword.TETHER_MAX)
                        ? number(ServerKeyword.TETHER_MAX)
                        : TETHER_MAX,
                values.has(ServerKeyword.TETHER_MAX_PER_USER)
                        ? number(ServerKeyword.TETHER_MAX_PER_USER)
                        : TETHER_MAX_PER_USER,
                flag(ServerKeyword.PUBKEY_AUTHENTICATION),
                flag(ServerKeyword.PASSWORD_AUTHENTICATION),
                flag(ServerKeyword.KBD_INTERACTIVE_AUTHENTICATION),
                flag(ServerKeyword.PERMIT_EMPTY_PASSWORDS),
                flag(ServerKeyword.USE_PAM),
                text(ServerKeyword.PAM_SERVICE_NAME),
                switch (text(ServerKeyword.PERMIT_ROOT_LOGIN)) {
                    case "yes" -> PermitRootLogin.YES;
                    case "no" -> PermitRootLogin.NO;
                    case "forced-commands-only" -> PermitRootLogin.FORCED_COMMANDS_ONLY;
                    default -> PermitRootLogin.PROHIBIT_PASSWORD;
                },
                authenticationMethods(),
                values.words(ServerKeyword.ALLOW_USERS),
                values.words(ServerKeyword.DENY_USERS),
                values.words(ServerKeyword.ALLOW_GROUPS),
                values.words(ServerKeyword.DENY_GROUPS),
                flag(ServerKeyword.STRICT_MODES),
                wordsOrNone(ServerKeyword.AUTHORIZED_KEYS_FILE),
                orNone(ServerKeyword.AUTHORIZED_KEYS_COMMAND),
                orNone(ServerKeyword.AUTHORIZED_KEYS_COMMAND_USER),
                orNone(ServerKeyword.AUTHORIZED_PRINCIPALS_FILE),
                orNone(ServerKeyword.AUTHORIZED_PRINCIPALS_COMMAND),
                orNone(ServerKeyword.AUTHORIZED_PRINCIPALS_COMMAND_USER),
                file(ServerKeyword.TRUSTED_USER_CA_KEYS),
                wordsOrNone(ServerKeyword.REVOKED_KEYS).stream().map(Octets::path).toList(),
                pubkeyAuthOptions(),
                flag(ServerKeyword.EXPOSE_AUTH_INFO),
                flag(ServerKeyword.PERMIT_TTY),
                flag(ServerKeyword.PERMIT_USER_RC),
                permitUserEnvironment(),
                values.words(ServerKeyword.ACCEPT_ENV),
                pairs(ServerKeyword.SET_ENV, '='),
                flag(ServerKeyword.PRINT_MOTD),
                flag(ServerKeyword.PRINT_LAST_LOG),
                orNone(ServerKeyword.FORCE_COMMAND),
                orNone(ServerKeyword.CHROOT_DIRECTORY),
                pairs(ServerKeyword.SUBSYSTEM, ' '),
                flag(ServerKeyword.X11_FORWARDING),
                number(ServerKeyword.X11_DISPLAY_OFFSET),
                flag(ServerKeyword.X11_USE_LOCALHOST),
                file(ServerKeyword.XAUTH_LOCATION),
                flag(ServerKeyword.DISABLE_FORWARDING),
                Forwarding.valueOf(choice(ServerKeyword.ALLOW_TCP_FORWARDING)),
                Forwarding.valueOf(choice(ServerKeyword.ALLOW_STREAM_LOCAL_FORWARDING)),
                flag(ServerKeyword.ALLOW_AGENT_FORWARDING),
                switch (text(ServerKeyword.GATEWAY_PORTS)) {
                    case "yes" -> GatewayPorts.YES;
                    case "clientspecified" -> GatewayPorts.CLIENT_SPECIFIED;
                    default -> GatewayPorts.NO;
                },
                permits(ServerKeyword.PERMIT_OPEN),
                permits(ServerKeyword.PERMIT_LISTEN),
                Integer.parseInt(text(ServerKeyword.STREAM_LOCAL_BIND_MASK), 8),
                flag(ServerKeyword.STREAM_LOCAL_BIND_UNLINK));
    }

    private String text(ServerKeyword keyword) {
        String text = values.text(keyword);
        return text == null ? "" : text;
    }

    private String choice(ServerKeyword keyword) {
        return text(keyword).toUpperCase(Locale.ROOT);
    }

    private boolean flag(ServerKeyword keyword) {
        return text(keyword).equals("yes");
    }

    /** "none" is no limit. */
    private int number(ServerKeyword keyword) {
        String text = text(keyword);
        return text.equals("none") ? Integer.MAX_VALUE : Integer.parseInt(text);
    }

    /** "none" is zero. */
    private Duration seconds(ServerKeyword keyword) {
        String text = text(keyword);
        return text.equals("none") ? Duration.ZERO : Duration.ofSeconds(Integer.parseInt(text));
    }

    private @Nullable Duration secondsOrNull(ServerKeyword keyword) {
        return values.has(keyword) ? seconds(keyword) : null;
    }

    private @Nullable String orNone(ServerKeyword keyword) {
        String text = text(keyword);
        return text.equalsIgnoreCase("none") ? null : text;
    }

    private String orEmpty(ServerKeyword keyword) {
        String text = orNone(keyword);
        return text == null ? "" : text;
    }

    private @Nullable Path file(ServerKeyword keyword) {
        String text = orNone(keyword);
        return text == null ? null : Octets.path(text);
    }

    private List<Path> files(ServerKeyword keyword) {
        return values.words(keyword).stream()
                .filter(name -> !name.equalsIgnoreCase("none"))
                .map(Octets::path)
                .toList();
    }

    private List<String> wordsOrNone(ServerKeyword keyword) {
        List<String> words = values.words(keyword);
        return words.size() == 1 && words.get(0).equalsIgnoreCase("none") ? List.of() : words;
    }

    /** {@code [host]:port} or {@code address:port}, as {@code sshd -T} prints it. */
    private static ListenAddress listen(String word) {
        int colon = word.lastIndexOf(':');
        String host = word.substring(0, colon);
        if (host.startsWith("[")) {
            host = host.substring(1, host.length() - 1);
        }
        return new ListenAddress(host, Integer.parseInt(word.substring(colon + 1)));
    }

    private MaxStartups maxStartups() {
        String[] parts = text(ServerKeyword.MAX_STARTUPS).split(":", -1);
        return new MaxStartups(
                Integer.parseInt(parts[0]), Integer.parseInt(parts[1]), Integer.parseInt(parts[2]));
    }

    private NetBlockSize netBlockSize() {
        String[] parts = text(ServerKeyword.PER_SOURCE_NET_BLOCK_SIZE).split(":", -1);
        return new NetBlockSize(Integer.parseInt(parts[0]), Integer.parseInt(parts[1]));
    }

    /** The penalties of words such as {@code crash:90}; what is not among them has its default. */
    static PerSourcePenalties penalties(List<String> words) {
        Map<String, String> given = new LinkedHashMap<>();
        boolean enabled = true;
        for (String word : words) {
            int colon = word.indexOf(':');
            if (colon < 0) {
                enabled = word.equals("yes");
            } else {
                given.putIfAbsent(word.substring(0, colon), word.substring(colon + 1));
            }
        }
        String overflow = given.getOrDefault("overflow", "permissive");
        return new PerSourcePenalties(
                enabled,
                penalty(given, "crash", 90),
                penalty(given, "authfail", 5),
                penalty(given, "invaliduser", 5),
                penalty(given, "noauth", 1),
                penalty(given, "refuseconnection", 10),
                penalty(given, "grace-exceeded", 10),
                penalty(given, "max", 600),
                penalty(given, "min", 15),
                Integer.parseInt(given.getOrDefault("max-sources4", "65536")),
                Integer.parseInt(given.getOrDefault("max-sources6", "65536")),
                overflow(overflow),
                overflow(given.getOrDefault("overflow6", overflow)));
    }

    private static Duration penalty(Map<String, String> given, String name, int seconds) {
        String text = given.get(name);
        return text == null ? Duration.ofSeconds(seconds) : Duration.ofMillis(Long.parseLong(text));
    }

    private static Overflow overflow(String word) {
        return word.equals("deny-all") ? Overflow.DENY_ALL : Overflow.PERMISSIVE;
    }

    private RekeyLimit rekeyLimit() {
        List<String> words = values.words(ServerKeyword.REKEY_LIMIT);
        long time = words.get(1).isEmpty() ? 0 : Long.parseLong(words.get(1));
        return new RekeyLimit(Long.parseLong(words.get(0)), Duration.ofSeconds(time));
    }

    private IpQos ipQos() {
        List<String> words = values.words(ServerKeyword.IP_QOS);
        return new IpQos(TypeOfService.value(words.get(0)), TypeOfService.value(words.get(1)));
    }

    private List<List<String>> authenticationMethods() {
        List<List<String>> lists = new ArrayList<>();
        for (String word : values.words(ServerKeyword.AUTHENTICATION_METHODS)) {
            if (!word.equals("any")) {
                lists.add(List.of(word.split(",", -1)));
            }
        }
        return lists;
    }

    private Set<PubkeyAuthOption> pubkeyAuthOptions() {
        Set<PubkeyAuthOption> options = EnumSet.noneOf(PubkeyAuthOption.class);
        for (String word : values.words(ServerKeyword.PUBKEY_AUTH_OPTIONS)) {
            switch (word) {
                case "touch-required" -> options.add(PubkeyAuthOption.TOUCH_REQUIRED);
                case "verify-required" -> options.add(PubkeyAuthOption.VERIFY_REQUIRED);
                default -> {}
            }
        }
        return options;
    }

    private @Nullable String permitUserEnvironment() {
        String text = text(ServerKeyword.PERMIT_USER_ENVIRONMENT);
        return switch (text) {
            case "no" -> null;
            case "yes" -> "*";
            default -> text;
        };
    }

    private Map<String, String> pairs(ServerKeyword keyword, char between) {
        Map<String, String> pairs = new LinkedHashMap<>();
        for (String word : values.words(keyword)) {
            int at = word.indexOf(between);
            pairs.putIfAbsent(word.substring(0, at), word.substring(at + 1));
        }
        return pairs;
    }

    private Permits permits(ServerKeyword keyword) {
        List<Permit> list = new ArrayList<>();
        boolean any = false;
        for (String word : values.words(keyword)) {
            if (word.equals("any")) {
                any = true;
            } else if (!word.equals("none")) {
                list.add(permit(word));
            }
        }
        return new Permits(any, list);
    }

    private static Permit permit(String word) {
        int colon = word.lastIndexOf(':');
        String host = word.substring(0, colon);
        if (host.startsWith("[") && host.endsWith("]")) {
            host = host.substring(1, host.length() - 1);
        }
        String port = word.substring(colon + 1);
        return new Permit(host, port.equals("*") ? 0 : Quantities.port(port));
    }
}
