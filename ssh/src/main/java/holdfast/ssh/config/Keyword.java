package holdfast.ssh.config;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Every keyword of ssh_config(5) that OpenSSH 10 knows, Debian's additions included, and what
 * Holdfast does with it: the one place where that is said.
 *
 * <p>The order is that of {@code ssh -G}. The fourth column is the default, written as {@code ssh
 * -G} writes it; null: none, or one that depends on other things. The fifth holds older names.
 */
public enum Keyword {
    USER("User", Support.BUILT, Shape.TEXT, null),
    HOST_NAME("HostName", Support.BUILT, Shape.TEXT, null),
    PORT("Port", Support.BUILT, Shape.OWN, "22"),

    ADDRESS_FAMILY("AddressFamily", Support.BUILT, Shape.ADDRESS_FAMILY, "any"),
    BATCH_MODE("BatchMode", Support.BUILT, Shape.FLAG, "no"),
    CANONICALIZE_FALLBACK_LOCAL("CanonicalizeFallbackLocal", Support.BUILT, Shape.FLAG, "yes"),
    CANONICALIZE_HOSTNAME("CanonicalizeHostname", Support.BUILT, Shape.CANONICALIZE, "false"),
    CHECK_HOST_IP("CheckHostIP", Support.BUILT, Shape.FLAG, "no"),
    COMPRESSION("Compression", Support.BUILT, Shape.COMPRESSION, "no"),
    CONTROL_MASTER("ControlMaster", Support.BUILT, Shape.CONTROL_MASTER, "false"),
    ENABLE_SSH_KEYSIGN("EnableSSHKeysign", Support.MOOT, Shape.FLAG, "no"),
    CLEAR_ALL_FORWARDINGS("ClearAllForwardings", Support.BUILT, Shape.FLAG, "no"),
    EXIT_ON_FORWARD_FAILURE("ExitOnForwardFailure", Support.BUILT, Shape.FLAG, "no"),
    FINGERPRINT_HASH("FingerprintHash", Support.BUILT, Shape.OWN, "SHA256"),
    FORWARD_X11("ForwardX11", Support.BUILT, Shape.FLAG, "no"),
    FORWARD_X11_TRUSTED("ForwardX11Trusted", Support.BUILT, Shape.FLAG, "no"),
    GATEWAY_PORTS("GatewayPorts", Support.BUILT, Shape.FLAG, "no"),
    GSSAPI_AUTHENTICATION("GSSAPIAuthentication", Support.MOOT, Shape.FLAG, "no"),
    GSSAPI_KEY_EXCHANGE("GSSAPIKeyExchange", Support.MISSED, Shape.FLAG, "no"),
    GSSAPI_DELEGATE_CREDENTIALS("GSSAPIDelegateCredentials", Support.MOOT, Shape.FLAG, "no"),
    GSSAPI_TRUST_DNS("GSSAPITrustDns", Support.MOOT, Shape.FLAG, "no"),
    GSSAPI_RENEWAL_FORCES_REKEY("GSSAPIRenewalForcesRekey", Support.MOOT, Shape.FLAG, "no"),
    GSSAPI_CLIENT_IDENTITY("GSSAPIClientIdentity", Support.MOOT, Shape.TEXT, null),
    GSSAPI_SERVER_IDENTITY("GSSAPIServerIdentity", Support.MOOT, Shape.TEXT, null),
    GSSAPI_KEX_ALGORITHMS(
            "GSSAPIKexAlgorithms",
            Support.MOOT,
            Shape.TEXT,
            "gss-group14-sha256-,gss-group16-sha512-,gss-nistp256-sha256-,gss-curve25519-sha256-,"
                    + "gss-group14-sha1-,gss-gex-sha1-"),
    HASH_KNOWN_HOSTS("HashKnownHosts", Support.BUILT, Shape.FLAG, "no"),
    HOSTBASED_AUTHENTICATION("HostbasedAuthentication", Support.MISSED, Shape.FLAG, "no"),
    IDENTITIES_ONLY("IdentitiesOnly", Support.BUILT, Shape.FLAG, "no"),
    KBD_INTERACTIVE_AUTHENTICATION(
            "KbdInteractiveAuthentication",
            Support.BUILT,
            Shape.FLAG,
            "yes",
            "challengeresponseauthentication skeyauthentication tisauthentication"),
    NO_HOST_AUTHENTICATION_FOR_LOCALHOST(
            "NoHostAuthenticationForLocalhost", Support.BUILT, Shape.FLAG, "no"),
    PASSWORD_AUTHENTICATION("PasswordAuthentication", Support.BUILT, Shape.FLAG, "yes"),
    PERMIT_LOCAL_COMMAND("PermitLocalCommand", Support.BUILT, Shape.FLAG, "no"),
    PROXY_USE_FDPASS("ProxyUseFdpass", Support.REFUSED, Shape.FLAG, "no"),
    PUBKEY_AUTHENTICATION(
            "PubkeyAuthentication", Support.BUILT, Shape.PUBKEY, "true", "dsaauthentication"),
    REQUEST_TTY("RequestTTY", Support.BUILT, Shape.REQUEST_TTY, "auto"),
    SESSION_TYPE("SessionType", Support.BUILT, Shape.SESSION_TYPE, "default"),
    STDIN_NULL("StdinNull", Support.BUILT, Shape.FLAG, "no"),
    FORK_AFTER_AUTHENTICATION("ForkAfterAuthentication", Support.BUILT, Shape.FLAG, "no"),
    STREAM_LOCAL_BIND_UNLINK("StreamLocalBindUnlink", Support.BUILT, Shape.FLAG, "no"),
    STRICT_HOST_KEY_CHECKING("StrictHostKeyChecking", Support.BUILT, Shape.STRICT, "ask"),
    TCP_KEEP_ALIVE("TCPKeepAlive", Support.BUILT, Shape.FLAG, "yes", "keepalive"),
    TUNNEL("Tunnel", Support.REFUSED, Shape.TUNNEL, "false"),
    VERIFY_HOST_KEY_DNS("VerifyHostKeyDNS", Support.MISSED, Shape.ASK, "false"),
    VISUAL_HOST_KEY("VisualHostKey", Support.BUILT, Shape.FLAG, "no"),
    UPDATE_HOST_KEYS("UpdateHostKeys", Support.BUILT, Shape.ASK, "true"),
    ENABLE_ESCAPE_COMMANDLINE("EnableEscapeCommandline", Support.BUILT, Shape.FLAG, "no"),
    WARN_WEAK_CRYPTO("WarnWeakCrypto", Support.BUILT, Shape.OWN, null),

    CANONICALIZE_MAX_DOTS("CanonicalizeMaxDots", Support.BUILT, Shape.INTEGER, "1"),
    CONNECTION_ATTEMPTS("ConnectionAttempts", Support.BUILT, Shape.INTEGER, "1"),
    FORWARD_X11_TIMEOUT("ForwardX11Timeout", Support.BUILT, Shape.TIME, "1200"),
    NUMBER_OF_PASSWORD_PROMPTS("NumberOfPasswordPrompts", Support.BUILT, Shape.INTEGER, "3"),
    SERVER_ALIVE_COUNT_MAX("ServerAliveCountMax", Support.BUILT, Shape.INTEGER, "3"),
    SERVER_ALIVE_INTERVAL(
            "ServerAliveInterval",
            Support.BUILT,
            Shape.TIME,
            "0",
            // Debian's old name for it.
            "protocolkeepalives"),
    REQUIRED_RSA_SIZE("RequiredRSASize", Support.BUILT, Shape.INTEGER, "1024", "rsaminsize"),
    OBSCURE_KEYSTROKE_TIMING("ObscureKeystrokeTiming", Support.BUILT, Shape.OWN, null),

    BIND_ADDRESS("BindAddress", Support.BUILT, Shape.TEXT, null),
    BIND_INTERFACE("BindInterface", Support.BUILT, Shape.TEXT, null),
    CIPHERS("Ciphers", Support.BUILT, Shape.ALGORITHMS, null),
    CONTROL_PATH("ControlPath", Support.BUILT, Shape.TEXT, null),
    HOST_KEY_ALGORITHMS("HostKeyAlgorithms", Support.BUILT, Shape.ALGORITHMS, null),
    HOST_KEY_ALIAS("HostKeyAlias", Support.BUILT, Shape.TEXT, null),
    HOSTBASED_ACCEPTED_ALGORITHMS(
            "HostbasedAcceptedAlgorithms",
            Support.MOOT,
            Shape.ALGORITHMS,
            null,
            "hostbasedkeytypes"),
    IDENTITY_AGENT("IdentityAgent", Support.BUILT, Shape.OWN, null),
    IGNORE_UNKNOWN("IgnoreUnknown", Support.BUILT, Shape.TEXT, null),
    KBD_INTERACTIVE_DEVICES("KbdInteractiveDevices", Support.BUILT, Shape.TEXT, null),
    KEX_ALGORITHMS("KexAlgorithms", Support.BUILT, Shape.ALGORITHMS, null),
    CA_SIGNATURE_ALGORITHMS("CASignatureAlgorithms", Support.BUILT, Shape.ALGORITHMS, null),
    LOCAL_COMMAND("LocalCommand", Support.BUILT, Shape.COMMAND, null),
    REMOTE_COMMAND("RemoteCommand", Support.BUILT, Shape.COMMAND, null),
    LOG_LEVEL("LogLevel", Support.BUILT, Shape.OWN, "INFO"),
    MACS("MACs", Support.BUILT, Shape.ALGORITHMS, null),
    PKCS11_PROVIDER("PKCS11Provider", Support.REFUSED, Shape.TEXT, null, "smartcarddevice"),
    SECURITY_KEY_PROVIDER("SecurityKeyProvider", Support.BUILT, Shape.TEXT, "internal"),
    PREFERRED_AUTHENTICATIONS("PreferredAuthentications", Support.BUILT, Shape.TEXT, null),
    PUBKEY_ACCEPTED_ALGORITHMS(
            "PubkeyAcceptedAlgorithms",
            Support.BUILT,
            Shape.ALGORITHMS,
            null,
            "pubkeyacceptedkeytypes"),
    REVOKED_HOST_KEYS("RevokedHostKeys", Support.BUILT, Shape.WORDS, null),
    XAUTH_LOCATION("XAuthLocation", Support.BUILT, Shape.TEXT, "/usr/bin/xauth"),
    KNOWN_HOSTS_COMMAND("KnownHostsCommand", Support.BUILT, Shape.COMMAND, null),
    TAG("Tag", Support.BUILT, Shape.TEXT, null),
    VERSION_ADDENDUM("VersionAddendum", Support.BUILT, Shape.COMMAND, null),
    REFUSE_CONNECTION("RefuseConnection", Support.BUILT, Shape.TEXT, null),

    DYNAMIC_FORWARD("DynamicForward", Support.BUILT, Shape.FORWARD, null),
    LOCAL_FORWARD("LocalForward", Support.BUILT, Shape.FORWARD, null),
    REMOTE_FORWARD("RemoteForward", Support.BUILT, Shape.FORWARD, null),

    IDENTITY_FILE("IdentityFile", Support.BUILT, Shape.OWN, null, "identityfile2"),
    CANONICAL_DOMAINS("CanonicalDomains", Support.BUILT, Shape.WORDS, "none"),
    CERTIFICATE_FILE("CertificateFile", Support.BUILT, Shape.OWN, null),
    GLOBAL_KNOWN_HOSTS_FILE(
            "GlobalKnownHostsFile",
            Support.BUILT,
            Shape.WORDS,
            "/etc/ssh/ssh_known_hosts /etc/ssh/ssh_known_hosts2"),
    USER_KNOWN_HOSTS_FILE(
            "UserKnownHostsFile",
            Support.BUILT,
            Shape.WORDS,
            "~/.ssh/known_hosts ~/.ssh/known_hosts2"),
    SEND_ENV("SendEnv", Support.BUILT, Shape.OWN, null),
    SET_ENV("SetEnv", Support.BUILT, Shape.OWN, null),
    LOG_VERBOSE("LogVerbose", Support.BUILT, Shape.WORDS, "none"),
    CHANNEL_TIMEOUT("ChannelTimeout", Support.BUILT, Shape.OWN, "none"),

    PERMIT_REMOTE_OPEN("PermitRemoteOpen", Support.BUILT, Shape.RAW, "any"),
    ADD_KEYS_TO_AGENT("AddKeysToAgent", Support.BUILT, Shape.OWN, "false"),
    FORWARD_AGENT("ForwardAgent", Support.BUILT, Shape.OWN, "no"),
    // Debian's old name for it; up to Debian 12 it was one for ServerAliveInterval.
    CONNECT_TIMEOUT("ConnectTimeout", Support.BUILT, Shape.TIME, "none", "setuptimeout"),
    TUNNEL_DEVICE("TunnelDevice", Support.MOOT, Shape.RAW, "any:any"),
    CANONICALIZE_PERMITTED_CNAMES("CanonicalizePermittedCNAMEs", Support.BUILT, Shape.OWN, "none"),
    CONTROL_PERSIST("ControlPersist", Support.BUILT, Shape.OWN, "no"),
    ESCAPE_CHAR("EscapeChar", Support.BUILT, Shape.OWN, "~"),
    IP_QOS("IPQoS", Support.BUILT, Shape.OWN, "ef cs0"),
    REKEY_LIMIT("RekeyLimit", Support.BUILT, Shape.OWN, "0 0"),
    STREAM_LOCAL_BIND_MASK("StreamLocalBindMask", Support.BUILT, Shape.RAW, "0177"),
    SYSLOG_FACILITY("SyslogFacility", Support.BUILT, Shape.OWN, "USER"),
    PROXY_COMMAND("ProxyCommand", Support.BUILT, Shape.OWN, null),
    PROXY_JUMP("ProxyJump", Support.BUILT, Shape.OWN, null),

    // Our own, printed last and only where they are given: OpenSSH would not know them.
    TETHER("Tether", Support.BUILT, Shape.TETHER, null),
    TETHER_HOLD("TetherHold", Support.BUILT, Shape.TIME, null),
    TETHER_BUFFER("TetherBuffer", Support.BUILT, Shape.OWN, null),

    // The structure of a file; never printed.
    HOST("Host", Support.BUILT, Shape.OWN, null),
    MATCH("Match", Support.BUILT, Shape.OWN, null),
    INCLUDE("Include", Support.BUILT, Shape.OWN, null),

    // What readconf.c passes over: in silence, with a debug line, with an error line.
    PROTOCOL("Protocol", Support.IGNORED, Shape.RAW, null),
    CIPHER("Cipher", Support.DEPRECATED, Shape.RAW, null),
    FALL_BACK_TO_RSH("FallBackToRsh", Support.DEPRECATED, Shape.RAW, null),
    GLOBAL_KNOWN_HOSTS_FILE2("GlobalKnownHostsFile2", Support.DEPRECATED, Shape.RAW, null),
    RHOSTS_AUTHENTICATION("RhostsAuthentication", Support.DEPRECATED, Shape.RAW, null),
    USER_KNOWN_HOSTS_FILE2("UserKnownHostsFile2", Support.DEPRECATED, Shape.RAW, null),
    USE_ROAMING("UseRoaming", Support.DEPRECATED, Shape.RAW, null),
    USE_RSH("UseRsh", Support.DEPRECATED, Shape.RAW, null),
    USE_PRIVILEGED_PORT("UsePrivilegedPort", Support.DEPRECATED, Shape.RAW, null),
    AFS_TOKEN_PASSING("AFSTokenPassing", Support.UNSUPPORTED, Shape.RAW, null),
    KERBEROS_AUTHENTICATION("KerberosAuthentication", Support.UNSUPPORTED, Shape.RAW, null),
    KERBEROS_TGT_PASSING("KerberosTgtPassing", Support.UNSUPPORTED, Shape.RAW, null),
    RSA_AUTHENTICATION("RSAAuthentication", Support.UNSUPPORTED, Shape.RAW, null),
    RHOSTS_RSA_AUTHENTICATION("RhostsRSAAuthentication", Support.UNSUPPORTED, Shape.RAW, null),
    COMPRESSION_LEVEL("CompressionLevel", Support.UNSUPPORTED, Shape.RAW, null);

    /** What becomes of a keyword. */
    public enum Support {
        /** It does what ssh_config(5) says. */
        BUILT,
        /** OpenSSH knows it, Holdfast does not build it yet: read, said in a debug line. */
        ACCEPTED,
        /** Not built: whoever switches it on gets one line, and no connection. */
        REFUSED,
        /** Not built, and going on without it weakens nothing: a line says that it is missing. */
        MISSED,
        /** Governs what Holdfast does not have at all, so that every value of it is fulfilled. */
        MOOT,
        /** OpenSSH itself passes over it in silence. */
        IGNORED,
        /** OpenSSH itself passes over it with a debug line. */
        DEPRECATED,
        /** OpenSSH itself passes over it with an error line. */
        UNSUPPORTED
    }

    /** The kind of value; a choice lists its words, and after = how {@code ssh -G} prints them. */
    enum Shape {
        FLAG("yes no true=yes false=no"),
        ASK("yes=true no=false true false ask"),
        STRICT("yes=true no=false true false ask off=false accept-new"),
        ADDRESS_FAMILY("inet inet6 any"),
        CONTROL_MASTER("yes=true no=false true false auto ask autoask"),
        TUNNEL("yes=true no=false true false ethernet point-to-point"),
        REQUEST_TTY("yes=true no=false true false force auto"),
        SESSION_TYPE("none subsystem default"),
        CANONICALIZE("yes=true no=false true false always"),
        PUBKEY("yes=true no=false true false unbound host-bound"),
        COMPRESSION("yes no"),
        TETHER("yes no true=yes false=no require"),
        INTEGER,
        TIME,
        /** One word. */
        TEXT,
        /** The rest of the line, unsplit. */
        COMMAND,
        /** Several words; "none" only alone. */
        WORDS,
        ALGORITHMS,
        /** Words of a forwarding; each line adds one. */
        FORWARD,
        /** Not looked into. */
        RAW,
        /** Has rules of its own. */
        OWN;

        private final String choices;

        Shape() {
            this("");
        }

        Shape(String choices) {
            this.choices = choices;
        }

        /** The words that may be chosen from. */
        List<String> words() {
            List<String> words = new ArrayList<>();
            for (String choice : choices.split(" ", -1)) {
                int equals = choice.indexOf('=');
                words.add(equals < 0 ? choice : choice.substring(0, equals));
            }
            return words;
        }

        /** How the choice {@code word} is printed, or null if it is none. */
        @Nullable String choice(String word) {
            int from = 0;
            while (from < choices.length()) {
                int blank = choices.indexOf(' ', from);
                int end = blank < 0 ? choices.length() : blank;
                int equals = choices.indexOf('=', from);
                int length = (equals < 0 || equals > end ? end : equals) - from;
                if (length == word.length() && choices.regionMatches(true, from, word, 0, length)) {
                    return choices.substring(equals < 0 || equals > end ? from : equals + 1, end);
                }
                from = end + 1;
            }
            return null;
        }
    }

    /**
     * What there is to say of one beyond its {@link Support}: in messages, in the manual's table.
     */
    private static final Map<Keyword, String> NOTES =
            Map.ofEntries(
                    Map.entry(
                            SERVER_ALIVE_INTERVAL,
                            "better: asked on time whatever else goes on, the person sees doubt"
                                    + " before the end, sleep is not taken for silence"),
                    Map.entry(
                            CONNECT_TIMEOUT,
                            "better: it bounds the whole opening, name, keys and login too; without"
                                    + " it 120 s do"),
                    Map.entry(CIPHERS, "better: AES-GCM comes first where the processor has AES"),
                    Map.entry(KNOWN_HOSTS_COMMAND, "better: bounded in time and in what it says"),
                    Map.entry(
                            UPDATE_HOST_KEYS,
                            "better: links and modes of files are left as they were"),
                    Map.entry(
                            PROXY_COMMAND,
                            "the one word - in its place is refused: \"ProxyCommand - is not"
                                    + " supported\""),
                    Map.entry(
                            PROXY_JUMP,
                            "better: every hop is watched, and the one that falls silent is named"),
                    Map.entry(WARN_WEAK_CRYPTO, "off unless asked for; in OpenSSH 10.1 it is on"),
                    Map.entry(FORWARD_X11_TRUSTED, "no by default, as upstream; Debian's is yes"),
                    Map.entry(BATCH_MODE, "as upstream; Debian's sets ServerAliveInterval too"),
                    Map.entry(TUNNEL, "network devices cannot be tunnelled"),
                    Map.entry(
                            PROXY_USE_FDPASS,
                            "a ProxyCommand is read and written, it cannot hand a socket over"),
                    Map.entry(
                            PKCS11_PROVIDER,
                            "keys on tokens are used through an agent (ssh-add -s)"),
                    Map.entry(HOSTBASED_AUTHENTICATION, "the other methods are tried"),
                    Map.entry(
                            GSSAPI_KEY_EXCHANGE,
                            "without Kerberos the server's host key must be known"),
                    Map.entry(
                            GSSAPI_AUTHENTICATION,
                            "no Kerberos: the method is passed over, and -v says so; where"
                                    + " PreferredAuthentications allows nothing else the connection"
                                    + " is refused"),
                    Map.entry(
                            VERIFY_HOST_KEY_DNS,
                            "what DNS says of a host key proves nothing here"));

    private static final Map<String, Keyword> BY_NAME = HashMap.newHashMap(160);

    static {
        for (Keyword keyword : values()) {
            BY_NAME.put(keyword.lowerCase, keyword);
            if (!keyword.aliases.isEmpty()) {
                for (String alias : List.of(keyword.aliases.split(" "))) {
                    BY_NAME.put(alias, keyword);
                }
            }
        }
    }

    private final String spelled;
    private final String lowerCase;
    private final Support support;
    private final Shape shape;
    private final @Nullable String fallback;
    private final String aliases;

    Keyword(String spelled, Support support, Shape shape, @Nullable String fallback) {
        this(spelled, support, shape, fallback, "");
    }

    Keyword(
            String spelled,
            Support support,
            Shape shape,
            @Nullable String fallback,
            String aliases) {
        this.spelled = spelled;
        this.lowerCase = spelled.toLowerCase(Locale.ROOT);
        this.support = support;
        this.shape = shape;
        this.fallback = fallback;
        this.aliases = aliases;
    }

    /** The keyword of this name or alias, in lower case; null if OpenSSH has none. */
    static @Nullable Keyword named(String lowerCase) {
        return BY_NAME.get(lowerCase);
    }

    /** The name as ssh_config(5) spells it. */
    public String spelled() {
        return spelled;
    }

    /** The name as {@code ssh -G} and OpenSSH's messages spell it. */
    public String lowerCase() {
        return lowerCase;
    }

    public Support support() {
        return support;
    }

    /** Whether OpenSSH does not know it. */
    public boolean isOurs() {
        return this == TETHER || this == TETHER_HOLD || this == TETHER_BUFFER;
    }

    /**
     * What there is to say of it beyond {@link #support}; "" where that says it all. Begins with
     * "better: " where that is so.
     */
    public String note() {
        return NOTES.getOrDefault(this, "");
    }

    Shape shape() {
        return shape;
    }

    /** The default as {@code ssh -G} writes it. */
    @Nullable String fallback() {
        return fallback;
    }
}
