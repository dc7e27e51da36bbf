package holdfast.ssh.config;

import holdfast.ssh.config.ClientSettings.AddressFamily;
import holdfast.ssh.log.Log;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Everything the server needs to know for itself or for one connection, resolved: command line,
 * then sshd_config with the Match blocks that apply, then defaults. Immutable.
 *
 * <p>A component has the name of its keyword in sshd_config(5), and means what it means there.
 * Texts that take tokens ({@code %h}, {@code %u}) are as written.
 *
 * @param port every Port, as given; {@code listenAddress} has them worked in
 * @param listenAddress where to listen, in order; never empty
 * @param hostKey files of private keys, in order ({@code none} left out)
 * @param hostKeyGiven whether HostKey was given: only then is a file that is missing worth a line
 * @param hostKeyAgent a socket path, or {@code SSH_AUTH_SOCK} for its value; null: none
 * @param pidFile null: write none
 * @param banner a file; null: none
 * @param logVerbose lists of patterns of places whose lines are always shown
 * @param syslogFacility {@code AUTH}, {@code DAEMON} and so on
 * @param loginGraceTime zero: no limit
 * @param perSourceMaxStartups {@link Integer#MAX_VALUE}: no limit
 * @param perSourcePenaltyExemptList a list of addresses and CIDR ranges with commas; null: none
 * @param ciphers in order of preference, without names that Holdfast lacks; so are macs and
 *     kexAlgorithms
 * @param hostKeyAlgorithms everything allowed, names of keys that this server does not have
 *     included
 * @param tcpKeepAliveIdle our own: idle time before the kernel's first probe; null: the kernel's
 * @param tcpKeepAliveInterval our own: time between the kernel's probes; null: the kernel's
 * @param tcpKeepAliveCount our own: probes of the kernel before it gives up; 0: the kernel's
 * @param metricsAddress our own: {@code [ADDRESS:]PORT} to serve figures at; null: do not
 * @param clientAliveInterval zero: no probes
 * @param clientAliveCountMax zero: probes are sent and nobody is given up, as in OpenSSH
 * @param channelTimeout patterns of channel types with their times, the first that matches counts
 * @param unusedConnectionTimeout zero: none
 * @param authenticationMethods each a list of methods to be passed in order; empty: any one
 * @param allowUsers patterns, {@code USER} or {@code USER@HOST}
 * @param authorizedKeysFile with tokens; empty: {@code none}
 * @param authorizedKeysCommand the words of the command, with tokens; null: none
 * @param authorizedPrincipalsFile with tokens; null: none
 * @param authorizedPrincipalsCommand the words of the command, with tokens; null: none
 * @param revokedKeys lists of keys or KRLs; one that cannot be read refuses every key
 * @param permitUserEnvironment pattern of names; null: no, {@code *}: yes
 * @param acceptEnv patterns of names
 * @param setEnv in order given
 * @param forceCommand null: none
 * @param chrootDirectory with tokens; null: none
 * @param subsystem name to command ({@code internal-sftp} is one)
 * @param streamLocalBindMask bits to take away from the mode of a socket, as in umask(2)
 * @param tether whether a client may come back to sessions whose connection was lost
 * @param tetherHold how long such sessions wait for it
 * @param tetherBuffer bytes kept of each for it
 * @param tetherMax how many sessions a client may come back to, in all
 * @param tetherMaxPerUser and of one user
 */
public record ServerSettings(
        // Where and as what
        List<Integer> port,
        AddressFamily addressFamily,
        List<ListenAddress> listenAddress,
        List<Path> hostKey,
        boolean hostKeyGiven,
        List<Path> hostCertificate,
        @Nullable String hostKeyAgent,
        @Nullable Path pidFile,
        Path moduliFile,
        String versionAddendum,
        @Nullable Path banner,
        // The log
        Log.Level logLevel,
        List<String> logVerbose,
        String syslogFacility,
        FingerprintHash fingerprintHash,
        // Who may come, and how many
        Duration loginGraceTime,
        MaxStartups maxStartups,
        int perSourceMaxStartups,
        NetBlockSize perSourceNetBlockSize,
        PerSourcePenalties perSourcePenalties,
        @Nullable String perSourcePenaltyExemptList,
        int maxAuthTries,
        int maxSessions,
        boolean useDns,
        boolean refuseConnection,
        // The transport
        List<String> ciphers,
        List<String> macs,
        List<String> kexAlgorithms,
        List<String> hostKeyAlgorithms,
        List<String> pubkeyAcceptedAlgorithms,
        List<String> caSignatureAlgorithms,
        int requiredRsaSize,
        RekeyLimit rekeyLimit,
        boolean compression,
        IpQos ipQos,
        // Liveness
        boolean tcpKeepAlive,
        @Nullable Duration tcpKeepAliveIdle,
        @Nullable Duration tcpKeepAliveInterval,
        int tcpKeepAliveCount,
        @Nullable String metricsAddress,
        Duration clientAliveInterval,
        int clientAliveCountMax,
        Map<String, Duration> channelTimeout,
        Duration unusedConnectionTimeout,
        boolean tether,
        Duration tetherHold,
        long tetherBuffer,
        int tetherMax,
        int tetherMaxPerUser,
        // Authentication
        boolean pubkeyAuthentication,
        boolean passwordAuthentication,
        boolean kbdInteractiveAuthentication,
        boolean permitEmptyPasswords,
        boolean usePam,
        String pamServiceName,
        PermitRootLogin permitRootLogin,
        List<List<String>> authenticationMethods,
        List<String> allowUsers,
        List<String> denyUsers,
        List<String> allowGroups,
        List<String> denyGroups,
        boolean strictModes,
        List<String> authorizedKeysFile,
        @Nullable String authorizedKeysCommand,
        @Nullable String authorizedKeysCommandUser,
        @Nullable String authorizedPrincipalsFile,
        @Nullable String authorizedPrincipalsCommand,
        @Nullable String authorizedPrincipalsCommandUser,
        @Nullable Path trustedUserCaKeys,
        List<Path> revokedKeys,
        Set<PubkeyAuthOption> pubkeyAuthOptions,
        boolean exposeAuthInfo,
        // Sessions
        boolean permitTty,
        boolean permitUserRc,
        @Nullable String permitUserEnvironment,
        List<String> acceptEnv,
        Map<String, String> setEnv,
        boolean printMotd,
        boolean printLastLog,
        @Nullable String forceCommand,
        @Nullable String chrootDirectory,
        Map<String, String> subsystem,
        boolean x11Forwarding,
        int x11DisplayOffset,
        boolean x11UseLocalhost,
        @Nullable Path xAuthLocation,
        // Forwarding
        boolean disableForwarding,
        Forwarding allowTcpForwarding,
        Forwarding allowStreamLocalForwarding,
        boolean allowAgentForwarding,
        GatewayPorts gatewayPorts,
        Permits permitOpen,
        Permits permitListen,
        int streamLocalBindMask,
        boolean streamLocalBindUnlink) {

    public ServerSettings {
        port = List.copyOf(port);
        listenAddress = List.copyOf(listenAddress);
        hostKey = List.copyOf(hostKey);
        hostCertificate = List.copyOf(hostCertificate);
        logVerbose = List.copyOf(logVerbose);
        ciphers = List.copyOf(ciphers);
        macs = List.copyOf(macs);
        kexAlgorithms = List.copyOf(kexAlgorithms);
        hostKeyAlgorithms = List.copyOf(hostKeyAlgorithms);
        pubkeyAcceptedAlgorithms = List.copyOf(pubkeyAcceptedAlgorithms);
        caSignatureAlgorithms = List.copyOf(caSignatureAlgorithms);
        channelTimeout = ordered(channelTimeout);
        authenticationMethods = authenticationMethods.stream().map(List::copyOf).toList();
        allowUsers = List.copyOf(allowUsers);
        denyUsers = List.copyOf(denyUsers);
        allowGroups = List.copyOf(allowGroups);
        denyGroups = List.copyOf(denyGroups);
        authorizedKeysFile = List.copyOf(authorizedKeysFile);
        revokedKeys = List.copyOf(revokedKeys);
        pubkeyAuthOptions = Set.copyOf(pubkeyAuthOptions);
        acceptEnv = List.copyOf(acceptEnv);
        setEnv = ordered(setEnv);
        subsystem = ordered(subsystem);
    }

    private static <V> Map<String, V> ordered(Map<String, V> map) {
        return Collections.unmodifiableMap(new LinkedHashMap<>(map));
    }

    /**
     * One socket to listen on.
     *
     * @param host a name or an address, {@code 0.0.0.0} and {@code ::} for all; a name is not
     *     looked up yet
     */
    public record ListenAddress(String host, int port) {}

    /** FingerprintHash: how the log names keys. */
    public enum FingerprintHash {
        MD5,
        SHA1,
        SHA256,
        SHA384,
        SHA512
    }

    /**
     * MaxStartups: from {@code begin} logins in progress on, {@code rate} percent of new ones are
     * turned away, rising to all of them at {@code full}.
     */
    public record MaxStartups(int begin, int rate, int full) {}

    /** PerSourceNetBlockSize: how many leading bits of an address make one source. */
    public record NetBlockSize(int ipv4, int ipv6) {}

    /**
     * PerSourcePenalties: how long a source of trouble is kept out.
     *
     * @param min what adds up to less than this is not enforced
     * @param max what adds up to more than this is cut
     * @param maxSources4 how many IPv4 sources are remembered, {@code maxSources6} IPv6
     */
    public record PerSourcePenalties(
            boolean enabled,
            Duration crash,
            Duration authFail,
            Duration invalidUser,
            Duration noAuth,
            Duration refuseConnection,
            Duration graceExceeded,
            Duration max,
            Duration min,
            int maxSources4,
            int maxSources6,
            Overflow overflow,
            Overflow overflow6) {}

    /** What to do when more sources misbehave than are remembered. */
    public enum Overflow {
        /** Turn away every new connection until some are forgotten. */
        DENY_ALL,
        /** Forget the one whose time is nearest its end. */
        PERMISSIVE
    }

    /**
     * RekeyLimit.
     *
     * @param bytes 0: the cipher's default
     * @param time zero: none
     */
    public record RekeyLimit(long bytes, Duration time) {}

    /** IPQoS: bytes of the IP header for sessions with a terminal, and for others; -1: leave it. */
    public record IpQos(int interactive, int bulk) {}

    /** PermitRootLogin. */
    public enum PermitRootLogin {
        NO,
        YES,
        PROHIBIT_PASSWORD,
        FORCED_COMMANDS_ONLY
    }

    /** PubkeyAuthOptions. */
    public enum PubkeyAuthOption {
        TOUCH_REQUIRED,
        VERIFY_REQUIRED
    }

    /** AllowTcpForwarding and AllowStreamLocalForwarding; LOCAL is {@code ssh -L}. */
    public enum Forwarding {
        NO,
        YES,
        LOCAL,
        REMOTE;

        public boolean local() {
            return this == YES || this == LOCAL;
        }

        public boolean remote() {
            return this == YES || this == REMOTE;
        }
    }

    /** GatewayPorts. */
    public enum GatewayPorts {
        NO,
        YES,
        CLIENT_SPECIFIED
    }

    /**
     * PermitOpen and PermitListen.
     *
     * @param any everything is permitted, whatever the list says
     * @param list what is permitted; empty without {@code any}: nothing
     */
    public record Permits(boolean any, List<Permit> list) {
        public Permits {
            list = List.copyOf(list);
        }
    }

    /**
     * One destination of PermitOpen, or one listener of PermitListen.
     *
     * @param host an exact name for PermitOpen ({@code *}: any), a pattern for PermitListen; null
     *     where a port stands alone
     * @param port 0: any ({@code *})
     */
    public record Permit(@Nullable String host, int port) {}
}
