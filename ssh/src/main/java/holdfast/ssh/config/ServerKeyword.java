package holdfast.ssh.config;

import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Every keyword of sshd_config(5) that OpenSSH 10 knows, Debian's additions and our own included,
 * and what Holdfast does with it: the one place where that is said.
 *
 * <p>The rule for what is not built: a way in, or a convenience, that is merely missing weakens
 * nothing, so the keyword is read and a line of the log says that it has no effect. A restriction
 * that is missing weakens the server, so the server does not start.
 *
 * <p>The order is that of {@code sshd -T}. The last columns are the default, written as {@code sshd
 * -T} writes it (null: none, or one that depends on other things), and older names.
 */
public enum ServerKeyword {
    PORT("Port", Support.BUILT, Shape.OWN, In.GLOBAL, null),
    ADDRESS_FAMILY("AddressFamily", Support.BUILT, Shape.ADDRESS_FAMILY, In.GLOBAL, "any"),
    LISTEN_ADDRESS("ListenAddress", Support.BUILT, Shape.OWN, In.GLOBAL, null),

    USE_PAM("UsePAM", Support.BUILT, Shape.FLAG, In.GLOBAL, "no"),
    PAM_SERVICE_NAME("PAMServiceName", Support.BUILT, Shape.TEXT, In.ALL, "sshd"),
    LOGIN_GRACE_TIME("LoginGraceTime", Support.BUILT, Shape.TIME, In.GLOBAL, "120"),
    X11_DISPLAY_OFFSET("X11DisplayOffset", Support.BUILT, Shape.INTEGER, In.ALL, "10"),
    MAX_AUTH_TRIES("MaxAuthTries", Support.BUILT, Shape.INTEGER, In.ALL, "6"),
    MAX_SESSIONS("MaxSessions", Support.BUILT, Shape.INTEGER, In.ALL, "10"),
    CLIENT_ALIVE_INTERVAL("ClientAliveInterval", Support.BUILT, Shape.TIME, In.ALL, "0"),
    CLIENT_ALIVE_COUNT_MAX("ClientAliveCountMax", Support.BUILT, Shape.INTEGER, In.ALL, "3"),
    REQUIRED_RSA_SIZE("RequiredRSASize", Support.BUILT, Shape.INTEGER, In.ALL, "1024"),
    STREAM_LOCAL_BIND_MASK("StreamLocalBindMask", Support.BUILT, Shape.OWN, In.ALL, "0177"),
    UNUSED_CONNECTION_TIMEOUT("UnusedConnectionTimeout", Support.BUILT, Shape.OWN, In.ALL, "none"),

    PERMIT_ROOT_LOGIN(
            "PermitRootLogin", Support.BUILT, Shape.ROOT_LOGIN, In.ALL, "without-password"),
    IGNORE_RHOSTS("IgnoreRhosts", Support.MOOT, Shape.RHOSTS, In.ALL, "yes"),
    IGNORE_USER_KNOWN_HOSTS("IgnoreUserKnownHosts", Support.MOOT, Shape.FLAG, In.GLOBAL, "no"),
    HOSTBASED_AUTHENTICATION("HostbasedAuthentication", Support.ACCEPTED, Shape.FLAG, In.ALL, "no"),
    HOSTBASED_USES_NAME_FROM_PACKET_ONLY(
            "HostbasedUsesNameFromPacketOnly", Support.MOOT, Shape.FLAG, In.ALL, "no"),
    PUBKEY_AUTHENTICATION(
            "PubkeyAuthentication", Support.BUILT, Shape.FLAG, In.ALL, "yes", "dsaauthentication"),
    KERBEROS_AUTHENTICATION("KerberosAuthentication", Support.ACCEPTED, Shape.FLAG, In.ALL, "no"),
    KERBEROS_OR_LOCAL_PASSWD(
            "KerberosOrLocalPasswd", Support.REFUSED, Shape.FLAG, In.GLOBAL, "yes"),
    KERBEROS_TICKET_CLEANUP("KerberosTicketCleanup", Support.MOOT, Shape.FLAG, In.GLOBAL, "yes"),
    GSSAPI_AUTHENTICATION("GSSAPIAuthentication", Support.ACCEPTED, Shape.FLAG, In.ALL, "no"),
    GSSAPI_CLEANUP_CREDENTIALS(
            "GSSAPICleanupCredentials",
            Support.MOOT,
            Shape.FLAG,
            In.GLOBAL,
            "yes",
            "gssapicleanupcreds"),
    GSSAPI_KEY_EXCHANGE("GSSAPIKeyExchange", Support.ACCEPTED, Shape.FLAG, In.GLOBAL, "no"),
    GSSAPI_STRICT_ACCEPTOR_CHECK(
            "GSSAPIStrictAcceptorCheck", Support.MOOT, Shape.FLAG, In.GLOBAL, "yes"),
    GSSAPI_STORE_CREDENTIALS_ON_REKEY(
            "GSSAPIStoreCredentialsOnRekey", Support.MOOT, Shape.FLAG, In.GLOBAL, "no"),
    GSSAPI_KEX_ALGORITHMS(
            "GSSAPIKexAlgorithms",
            Support.MOOT,
            Shape.GSS_ALGORITHMS,
            In.GLOBAL,
            "gss-group14-sha256-,gss-group16-sha512-,gss-nistp256-sha256-,gss-curve25519-sha256-,"
                    + "gss-group14-sha1-,gss-gex-sha1-"),
    PASSWORD_AUTHENTICATION("PasswordAuthentication", Support.BUILT, Shape.FLAG, In.ALL, "yes"),
    KBD_INTERACTIVE_AUTHENTICATION(
            "KbdInteractiveAuthentication",
            Support.BUILT,
            Shape.FLAG,
            In.ALL,
            "yes",
            "challengeresponseauthentication skeyauthentication"),
    PRINT_MOTD("PrintMotd", Support.BUILT, Shape.FLAG, In.GLOBAL, "yes"),
    PRINT_LAST_LOG("PrintLastLog", Support.BUILT, Shape.FLAG, In.GLOBAL, "yes"),
    X11_FORWARDING("X11Forwarding", Support.BUILT, Shape.FLAG, In.ALL, "no"),
    X11_USE_LOCALHOST("X11UseLocalhost", Support.BUILT, Shape.FLAG, In.ALL, "yes"),
    PERMIT_TTY("PermitTTY", Support.BUILT, Shape.FLAG, In.ALL, "yes"),
    PERMIT_USER_RC("PermitUserRC", Support.BUILT, Shape.FLAG, In.ALL, "yes"),
    STRICT_MODES("StrictModes", Support.BUILT, Shape.FLAG, In.GLOBAL, "yes"),
    TCP_KEEP_ALIVE("TCPKeepAlive", Support.BUILT, Shape.KEEP_ALIVE, In.GLOBAL, "yes", "keepalive"),
    PERMIT_EMPTY_PASSWORDS("PermitEmptyPasswords", Support.BUILT, Shape.FLAG, In.ALL, "no"),
    COMPRESSION("Compression", Support.BUILT, Shape.COMPRESSION, In.GLOBAL, "yes"),
    GATEWAY_PORTS("GatewayPorts", Support.BUILT, Shape.GATEWAY_PORTS, In.ALL, "no"),
    USE_DNS("UseDNS", Support.BUILT, Shape.FLAG, In.GLOBAL, "no"),
    ALLOW_TCP_FORWARDING("AllowTcpForwarding", Support.BUILT, Shape.FORWARDING, In.ALL, "yes"),
    ALLOW_AGENT_FORWARDING("AllowAgentForwarding", Support.BUILT, Shape.FLAG, In.ALL, "yes"),
    DISABLE_FORWARDING("DisableForwarding", Support.BUILT, Shape.FLAG, In.ALL, "no"),
    ALLOW_STREAM_LOCAL_FORWARDING(
            "AllowStreamLocalForwarding", Support.BUILT, Shape.FORWARDING, In.ALL, "yes"),
    STREAM_LOCAL_BIND_UNLINK("StreamLocalBindUnlink", Support.BUILT, Shape.FLAG, In.ALL, "no"),
    FINGERPRINT_HASH("FingerprintHash", Support.BUILT, Shape.OWN, In.GLOBAL, "SHA256"),
    EXPOSE_AUTH_INFO("ExposeAuthInfo", Support.BUILT, Shape.FLAG, In.ALL, "no"),
    REFUSE_CONNECTION("RefuseConnection", Support.BUILT, Shape.FLAG, In.ALL, "no"),
    // Debian's, which hides a version that Holdfast does not tell in the first place.
    DEBIAN_BANNER("DebianBanner", Support.MOOT, Shape.FLAG, In.GLOBAL, "yes"),

    PID_FILE("PidFile", Support.BUILT, Shape.FILE, In.GLOBAL, "/run/sshd.pid"),
    MODULI_FILE("ModuliFile", Support.BUILT, Shape.FILE, In.GLOBAL, "/etc/ssh/moduli"),
    XAUTH_LOCATION("XAuthLocation", Support.BUILT, Shape.FILE, In.GLOBAL, "/usr/bin/xauth"),
    CIPHERS("Ciphers", Support.BUILT, Shape.ALGORITHMS, In.GLOBAL, null),
    MACS("MACs", Support.BUILT, Shape.ALGORITHMS, In.GLOBAL, null),
    BANNER("Banner", Support.BUILT, Shape.FILE, In.ALL, "none"),
    FORCE_COMMAND("ForceCommand", Support.BUILT, Shape.COMMAND, In.ALL, "none"),
    CHROOT_DIRECTORY("ChrootDirectory", Support.BUILT, Shape.TEXT, In.ALL, "none"),
    TRUSTED_USER_CA_KEYS("TrustedUserCAKeys", Support.BUILT, Shape.FILE, In.ALL, "none"),
    REVOKED_KEYS("RevokedKeys", Support.BUILT, Shape.FILES, In.ALL, "none"),
    SECURITY_KEY_PROVIDER("SecurityKeyProvider", Support.MOOT, Shape.OWN, In.GLOBAL, "internal"),
    AUTHORIZED_PRINCIPALS_FILE(
            "AuthorizedPrincipalsFile", Support.BUILT, Shape.OWN, In.ALL, "none"),
    VERSION_ADDENDUM("VersionAddendum", Support.BUILT, Shape.OWN, In.GLOBAL, "none"),
    AUTHORIZED_KEYS_COMMAND("AuthorizedKeysCommand", Support.BUILT, Shape.PROGRAM, In.ALL, "none"),
    AUTHORIZED_KEYS_COMMAND_USER(
            "AuthorizedKeysCommandUser", Support.BUILT, Shape.LOCAL_USER, In.ALL, "none"),
    AUTHORIZED_PRINCIPALS_COMMAND(
            "AuthorizedPrincipalsCommand", Support.BUILT, Shape.PROGRAM, In.ALL, "none"),
    AUTHORIZED_PRINCIPALS_COMMAND_USER(
            "AuthorizedPrincipalsCommandUser", Support.BUILT, Shape.LOCAL_USER, In.ALL, "none"),
    HOST_KEY_AGENT("HostKeyAgent", Support.BUILT, Shape.OWN, In.GLOBAL, "none"),
    KEX_ALGORITHMS("KexAlgorithms", Support.BUILT, Shape.ALGORITHMS, In.GLOBAL, null),
    CA_SIGNATURE_ALGORITHMS("CASignatureAlgorithms", Support.BUILT, Shape.ALGORITHMS, In.ALL, null),
    HOSTBASED_ACCEPTED_ALGORITHMS(
            "HostbasedAcceptedAlgorithms",
            Support.MOOT,
            Shape.ALGORITHMS,
            In.ALL,
            null,
            "hostbasedacceptedkeytypes"),
    HOST_KEY_ALGORITHMS("HostKeyAlgorithms", Support.BUILT, Shape.ALGORITHMS, In.GLOBAL, null),
    PUBKEY_ACCEPTED_ALGORITHMS(
            "PubkeyAcceptedAlgorithms",
            Support.BUILT,
            Shape.ALGORITHMS,
            In.ALL,
            null,
            "pubkeyacceptedkeytypes"),
    R_DOMAIN("RDomain", Support.REFUSED, Shape.TEXT, In.ALL, "none"),
    SSHD_SESSION_PATH(
            "SshdSessionPath",
            Support.MOOT,
            Shape.FILE,
            In.GLOBAL,
            "/usr/lib/openssh/sshd-session"),
    SSHD_AUTH_PATH(
            "SshdAuthPath", Support.MOOT, Shape.FILE, In.GLOBAL, "/usr/lib/openssh/sshd-auth"),
    PER_SOURCE_PENALTY_EXEMPT_LIST(
            "PerSourcePenaltyExemptList", Support.BUILT, Shape.OWN, In.GLOBAL, "none"),
    LOG_LEVEL("LogLevel", Support.BUILT, Shape.OWN, In.ALL, "INFO"),
    SYSLOG_FACILITY("SyslogFacility", Support.BUILT, Shape.OWN, In.GLOBAL, "AUTH"),

    AUTHORIZED_KEYS_FILE(
            "AuthorizedKeysFile",
            Support.BUILT,
            Shape.FILES,
            In.ALL,
            ".ssh/authorized_keys .ssh/authorized_keys2"),
    HOST_KEY("HostKey", Support.BUILT, Shape.OWN, In.GLOBAL, null, "hostdsakey"),
    HOST_CERTIFICATE("HostCertificate", Support.BUILT, Shape.OWN, In.GLOBAL, null),
    ALLOW_USERS("AllowUsers", Support.BUILT, Shape.OWN, In.ALL, null),
    DENY_USERS("DenyUsers", Support.BUILT, Shape.OWN, In.ALL, null),
    ALLOW_GROUPS("AllowGroups", Support.BUILT, Shape.OWN, In.ALL, null),
    DENY_GROUPS("DenyGroups", Support.BUILT, Shape.OWN, In.ALL, null),
    ACCEPT_ENV("AcceptEnv", Support.BUILT, Shape.OWN, In.ALL, null),
    SET_ENV("SetEnv", Support.BUILT, Shape.OWN, In.ALL, null),
    AUTHENTICATION_METHODS("AuthenticationMethods", Support.BUILT, Shape.OWN, In.ALL, "any"),
    LOG_VERBOSE("LogVerbose", Support.BUILT, Shape.WORDS, In.ALL, null),
    CHANNEL_TIMEOUT("ChannelTimeout", Support.BUILT, Shape.OWN, In.ALL, "none"),
    SUBSYSTEM("Subsystem", Support.BUILT, Shape.OWN, In.ALL, null),
    MAX_STARTUPS("MaxStartups", Support.BUILT, Shape.OWN, In.GLOBAL, "10:30:100"),
    PER_SOURCE_MAX_STARTUPS("PerSourceMaxStartups", Support.BUILT, Shape.OWN, In.GLOBAL, "none"),
    PER_SOURCE_NET_BLOCK_SIZE(
            "PerSourceNetBlockSize", Support.BUILT, Shape.OWN, In.GLOBAL, "32:128"),
    PERMIT_TUNNEL("PermitTunnel", Support.ACCEPTED, Shape.OWN, In.ALL, "no"),
    IP_QOS("IPQoS", Support.BUILT, Shape.OWN, In.ALL, "ef cs0"),
    REKEY_LIMIT("RekeyLimit", Support.BUILT, Shape.OWN, In.ALL, "0 0"),
    PERMIT_OPEN("PermitOpen", Support.BUILT, Shape.OWN, In.ALL, "any"),
    PERMIT_LISTEN("PermitListen", Support.BUILT, Shape.OWN, In.ALL, "any"),
    PERMIT_USER_ENVIRONMENT("PermitUserEnvironment", Support.BUILT, Shape.OWN, In.GLOBAL, "no"),
    PUBKEY_AUTH_OPTIONS("PubkeyAuthOptions", Support.BUILT, Shape.OWN, In.ALL, "none"),
    PER_SOURCE_PENALTIES("PerSourcePenalties", Support.BUILT, Shape.OWN, In.GLOBAL, null),

    // What came after OpenSSH 10.0, printed only where it is given.
    AGENT_SOCKET_PATH("AgentSocketPath", Support.ACCEPTED, Shape.OWN, In.ALL, null),
    WARN_WEAK_CRYPTO("WarnWeakCrypto", Support.MOOT, Shape.WEAK_CRYPTO, In.GLOBAL, null),

    // Our own, printed last and only where they are given: OpenSSH would not know them.
    TCP_KEEP_ALIVE_IDLE("TCPKeepAliveIdle", Support.BUILT, Shape.TIME, In.GLOBAL, null),
    TCP_KEEP_ALIVE_INTERVAL("TCPKeepAliveInterval", Support.BUILT, Shape.TIME, In.GLOBAL, null),
    TCP_KEEP_ALIVE_COUNT("TCPKeepAliveCount", Support.BUILT, Shape.INTEGER, In.GLOBAL, null),
    METRICS_ADDRESS("MetricsAddress", Support.BUILT, Shape.TEXT, In.GLOBAL, null),
    TETHER("Tether", Support.BUILT, Shape.FLAG, In.ALL, "yes"),
    TETHER_HOLD("TetherHold", Support.BUILT, Shape.TIME, In.ALL, null),
    TETHER_BUFFER("TetherBuffer", Support.BUILT, Shape.OWN, In.GLOBAL, null),
    TETHER_MAX("TetherMax", Support.BUILT, Shape.INTEGER, In.GLOBAL, null),
    TETHER_MAX_PER_USER("TetherMaxPerUser", Support.BUILT, Shape.INTEGER, In.ALL, null),

    // The structure of a file; never printed.
    MATCH("Match", Support.BUILT, Shape.OWN, In.ALL, null),
    INCLUDE("Include", Support.BUILT, Shape.OWN, In.ALL, null),

    // What servconf.c passes over: in silence, or with a line of the log.
    PROTOCOL("Protocol", Support.IGNORED, Shape.OWN, In.GLOBAL, null),
    AUTHORIZED_KEYS_FILE2("AuthorizedKeysFile2", Support.DEPRECATED, Shape.OWN, In.ALL, null),
    CHECK_MAIL("CheckMail", Support.DEPRECATED, Shape.OWN, In.GLOBAL, null),
    KEY_REGENERATION_INTERVAL(
            "KeyRegenerationInterval", Support.DEPRECATED, Shape.OWN, In.GLOBAL, null),
    PAM_AUTHENTICATION_VIA_KBD_INT(
            "PAMAuthenticationViaKbdInt", Support.DEPRECATED, Shape.OWN, In.GLOBAL, null),
    PERMIT_BLACKLISTED_KEYS(
            "PermitBlacklistedKeys", Support.DEPRECATED, Shape.OWN, In.GLOBAL, null),
    REVERSE_MAPPING_CHECK("ReverseMappingCheck", Support.DEPRECATED, Shape.OWN, In.GLOBAL, null),
    RHOSTS_AUTHENTICATION("RhostsAuthentication", Support.DEPRECATED, Shape.OWN, In.GLOBAL, null),
    RHOSTS_RSA_AUTHENTICATION(
            "RhostsRSAAuthentication", Support.DEPRECATED, Shape.OWN, In.ALL, null),
    RSA_AUTHENTICATION("RSAAuthentication", Support.DEPRECATED, Shape.OWN, In.ALL, null),
    SERVER_KEY_BITS("ServerKeyBits", Support.DEPRECATED, Shape.OWN, In.GLOBAL, null),
    USE_LOGIN("UseLogin", Support.DEPRECATED, Shape.OWN, In.GLOBAL, null),
    USE_PRIVILEGE_SEPARATION(
            "UsePrivilegeSeparation", Support.DEPRECATED, Shape.OWN, In.GLOBAL, null),
    VERIFY_REVERSE_MAPPING("VerifyReverseMapping", Support.DEPRECATED, Shape.OWN, In.GLOBAL, null),
    AFS_TOKEN_PASSING("AFSTokenPassing", Support.UNSUPPORTED, Shape.OWN, In.GLOBAL, null),
    GSS_USE_SESSION_CCACHE("GSSUseSessionCCache", Support.UNSUPPORTED, Shape.OWN, In.GLOBAL, null),
    KERBEROS_GET_AFS_TOKEN("KerberosGetAFSToken", Support.UNSUPPORTED, Shape.OWN, In.GLOBAL, null),
    GSSAPI_DELEGATE_CREDENTIALS(
            "GSSAPIDelegateCredentials", Support.UNSUPPORTED, Shape.OWN, In.GLOBAL, null),
    KERBEROS_TGT_PASSING("KerberosTgtPassing", Support.UNSUPPORTED, Shape.OWN, In.GLOBAL, null),
    USE_SESSION_CCACHE(
            "GSSAPIUseSessionCredCache", Support.UNSUPPORTED, Shape.OWN, In.GLOBAL, null);

    /** What becomes of a keyword. */
    public enum Support {
        /** It does what sshd_config(5) says. */
        BUILT,
        /** Not built and weakens nothing by that: read, and said in a line of the log. */
        ACCEPTED,
        /** Governs what Holdfast does not have at all, so every value of it is fulfilled. */
        MOOT,
        /**
         * Not built and its absence would weaken: a value other than the default stops the start.
         */
        REFUSED,
        /** OpenSSH itself passes over it in silence. */
        IGNORED,
        /** OpenSSH itself passes over it: "Deprecated option". */
        DEPRECATED,
        /** OpenSSH itself passes over it: "Unsupported option". */
        UNSUPPORTED
    }

    /** Where a keyword may stand. */
    enum In {
        GLOBAL,
        ALL
    }

    /** The kind of value; a choice lists its words, and after = how {@code sshd -T} prints them. */
    enum Shape {
        FLAG("yes no"),
        ADDRESS_FAMILY("inet inet6 any"),
        ROOT_LOGIN(
                "without-password prohibit-password=without-password forced-commands-only yes no"),
        RHOSTS("yes no shosts-only"),
        KEEP_ALIVE("yes transport=yes all=yes no"),
        WEAK_CRYPTO("yes no no-pq-kex=no"),
        COMPRESSION("yes delayed=yes no"),
        GATEWAY_PORTS("clientspecified yes no"),
        FORWARDING("yes all=yes no remote local"),
        INTEGER,
        TIME,
        /** One word. */
        TEXT,
        /** One word: a path, made absolute. */
        FILE,
        /** Several paths; "none" only alone; as they are. */
        FILES,
        /** The rest of the line, unsplit. */
        COMMAND,
        /** The rest of the line, beginning with a slash. */
        PROGRAM,
        /** The name of a user of this machine. */
        LOCAL_USER,
        /** Several words; "none" only alone. */
        WORDS,
        ALGORITHMS,
        /** The names of GSSAPI key exchanges. */
        GSS_ALGORITHMS,
        /** Has rules of its own. */
        OWN;

        private final String choices;

        Shape() {
            this("");
        }

        Shape(String choices) {
            this.choices = choices;
        }

        boolean isChoice() {
            return !choices.isEmpty();
        }

        /** How the choice {@code word} is printed, or null if it is none. */
        @Nullable String choice(String word) {
            for (String choice : List.of(choices.split(" "))) {
                int equals = choice.indexOf('=');
                String accepted = equals < 0 ? choice : choice.substring(0, equals);
                if (accepted.equalsIgnoreCase(word)) {
                    return choice.substring(equals + 1);
                }
            }
            return null;
        }
    }

    private static final Map<String, ServerKeyword> BY_NAME = HashMap.newHashMap(180);

    static {
        for (ServerKeyword keyword : values()) {
            BY_NAME.put(keyword.lowerCase, keyword);
            if (!keyword.aliases.isEmpty()) {
                for (String alias : List.of(keyword.aliases.split(" "))) {
                    BY_NAME.put(alias, keyword);
                }
            }
        }
    }

    /**
     * What there is to say of one beyond its {@link Support}: for the page of what is compatible.
     */
    private static final Map<ServerKeyword, String> NOTES =
            Map.ofEntries(
                    Map.entry(
                            CHROOT_DIRECTORY,
                            "a cage without bash has its shell say its path for $0, with -l in the"
                                    + " place of the dash of a login shell"),
                    Map.entry(
                            AGENT_SOCKET_PATH,
                            "a forwarded agent's socket lies in /tmp, as in OpenSSH up to 10.0"),
                    Map.entry(
                            PUBKEY_AUTH_OPTIONS,
                            "max-pk-ok is read, and any number of keys may be asked about"),
                    Map.entry(
                            TCP_KEEP_ALIVE,
                            "all is as transport: sockets of forwards are left as they are, as in"
                                    + " OpenSSH up to 10.0"),
                    Map.entry(WARN_WEAK_CRYPTO, "the log has no such warnings"),
                    Map.entry(
                            ADDRESS_FAMILY,
                            "with inet6, a forward that listens on all addresses takes IPv4 too"),
                    Map.entry(
                            CLIENT_ALIVE_INTERVAL,
                            "better: asked on time whatever the server sends, sleep is not taken for"
                                    + " silence, and the log says silent since when"));

    private final String spelled;
    private final String lowerCase;
    private final Support support;
    private final Shape shape;
    private final In in;
    private final @Nullable String fallback;
    private final String aliases;

    ServerKeyword(String spelled, Support support, Shape shape, In in, @Nullable String fallback) {
        this(spelled, support, shape, in, fallback, "");
    }

    ServerKeyword(
            String spelled,
            Support support,
            Shape shape,
            In in,
            @Nullable String fallback,
            String aliases) {
        this.spelled = spelled;
        this.lowerCase = spelled.toLowerCase(Locale.ROOT);
        this.support = support;
        this.shape = shape;
        this.in = in;
        this.fallback = fallback;
        this.aliases = aliases;
    }

    /** The keyword of this name or alias, in lower case; null if OpenSSH has none. */
    static @Nullable ServerKeyword named(String lowerCase) {
        return BY_NAME.get(lowerCase);
    }

    /** As sshd_config(5) spells it. */
    public String spelled() {
        return spelled;
    }

    /** As {@code sshd -T} prints it. */
    public String lowerCase() {
        return lowerCase;
    }

    /** What there is to say of it beyond its support; empty: nothing. */
    public String note() {
        return NOTES.getOrDefault(this, "");
    }

    public Support support() {
        return support;
    }

    Shape shape() {
        return shape;
    }

    /** Whether it may stand under a Match line. */
    public boolean inMatch() {
        return in == In.ALL;
    }

    /** Whether OpenSSH does not know it. */
    public boolean isOurs() {
        return compareTo(TCP_KEEP_ALIVE_IDLE) >= 0 && compareTo(TETHER_MAX_PER_USER) <= 0;
    }

    /** The default as {@code sshd -T} prints it; null: none, or one that depends. */
    @Nullable String fallback() {
        return fallback;
    }
}
