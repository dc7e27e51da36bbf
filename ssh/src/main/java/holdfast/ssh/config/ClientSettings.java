package holdfast.ssh.config;

import holdfast.ssh.log.Log;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Everything one run of the client needs to know, resolved: command line, then configuration files,
 * then defaults; tokens expanded, lists applied to their defaults. Immutable; validated when made.
 *
 * <p>Field names are ssh_config(5) keywords unless they say otherwise.
 *
 * @param originalHost the host as typed, without user and port
 * @param host HostName after expansion: what is looked up and connected to, and what messages name
 * @param hostKeyAlias the name to look up in known_hosts in place of the host
 * @param user whom to log in as
 * @param port 1 to 65535
 * @param connectTimeout null: none
 * @param serverAliveInterval zero: no probes
 * @param userKnownHostsFiles in order; the first is the one new keys are written to; empty: "none"
 * @param ciphers the effective list, in order of preference
 * @param hostKeyAlgorithms the effective list; see hostKeyAlgorithmsGiven
 * @param hostKeyAlgorithmsGiven whether the person set HostKeyAlgorithms: only when not may the
 *     client reorder by what known_hosts holds
 * @param identityFiles in order of trial, tilde and tokens expanded
 * @param identityFilesGiven whether any came from the person (a missing file is then worth a
 *     message)
 * @param identityAgent socket path; null: no agent ("none" or SSH_AUTH_SOCK unset)
 * @param credentials CertificateFile, ForwardAgent, AddKeysToAgent
 * @param escapeChar the character; -1: none
 * @param compression whether to offer zlib@openssh.com before none
 * @param rekeyLimitBytes 0: the cipher's default
 * @param rekeyLimitTime zero: none
 * @param sendEnv name patterns
 * @param setEnv in order given
 * @param command the remote command, subsystem name (with SessionType subsystem), or null for a
 *     shell
 * @param stdinNull -n
 * @param ipQosInteractive the IP TOS byte with a terminal; -1: leave the system's
 * @param ipQosBulk the IP TOS byte without one; -1: leave the system's
 * @param logFile -E; null: stderr
 * @param forwards LocalForward and all that has to do with it
 * @param route ProxyCommand or ProxyJump
 * @param tether whether the session is to outlive its connection
 * @param trust RevokedHostKeys, KnownHostsCommand, FingerprintHash
 * @param protocol ChannelTimeout, VersionAddendum and the like
 * @param comfort LocalCommand, UpdateHostKeys and what else is done beside the session
 * @param sharing ControlMaster and all that has to do with it
 */
public record ClientSettings(
        String originalHost,
        String host,
        @Nullable String hostKeyAlias,
        String user,
        int port,
        AddressFamily addressFamily,
        @Nullable String bindAddress,
        @Nullable String bindInterface,
        @Nullable Duration connectTimeout,
        int connectionAttempts,
        boolean tcpKeepAlive,
        Duration serverAliveInterval,
        int serverAliveCountMax,
        boolean batchMode,
        StrictHostKeyChecking strictHostKeyChecking,
        List<Path> userKnownHostsFiles,
        List<Path> globalKnownHostsFiles,
        boolean hashKnownHosts,
        boolean checkHostIp,
        boolean noHostAuthenticationForLocalhost,
        List<String> ciphers,
        List<String> macs,
        List<String> kexAlgorithms,
        List<String> hostKeyAlgorithms,
        boolean hostKeyAlgorithmsGiven,
        List<String> pubkeyAcceptedAlgorithms,
        List<String> caSignatureAlgorithms,
        int requiredRsaSize,
        List<Path> identityFiles,
        boolean identityFilesGiven,
        boolean identitiesOnly,
        @Nullable String identityAgent,
        ClientCredentials credentials,
        List<String> preferredAuthentications,
        boolean pubkeyAuthentication,
        boolean passwordAuthentication,
        boolean kbdInteractiveAuthentication,
        int numberOfPasswordPrompts,
        RequestTty requestTty,
        SessionType sessionType,
        @Nullable String command,
        boolean stdinNull,
        int escapeChar,
        boolean compression,
        long rekeyLimitBytes,
        Duration rekeyLimitTime,
        List<String> sendEnv,
        Map<String, String> setEnv,
        int ipQosInteractive,
        int ipQosBulk,
        Log.Level logLevel,
        @Nullable Path logFile,
        ClientForwards forwards,
        Route route,
        Tethering tether,
        HostTrust trust,
        ClientProtocol protocol,
        ClientComfort comfort,
        ClientSharing sharing) {

    /**
     * Our own Tether, TetherHold and TetherBuffer.
     *
     * @param hold how long another connection is looked for at most, whatever the server says
     * @param buffer how many bytes are kept for sending again
     */
    public record Tethering(Use use, Duration hold, int buffer) {

        /** Whether a tether is wanted. */
        public enum Use {
            NO,
            /** If the server offers it. */
            YES,
            /** A server that does not is no server for us. */
            REQUIRE
        }
    }

    /** AddressFamily. */
    public enum AddressFamily {
        ANY,
        INET,
        INET6
    }

    /** StrictHostKeyChecking; {@code off} of the file is NO. */
    public enum StrictHostKeyChecking {
        YES,
        NO,
        ASK,
        ACCEPT_NEW
    }

    /** RequestTTY, {@code -t} (YES), {@code -tt} (FORCE), {@code -T} (NO). */
    public enum RequestTty {
        AUTO,
        NO,
        YES,
        FORCE
    }

    /** SessionType; {@code -s} is SUBSYSTEM, {@code -N} NONE. */
    public enum SessionType {
        DEFAULT,
        SUBSYSTEM,
        NONE
    }

    public ClientSettings {
        userKnownHostsFiles = List.copyOf(userKnownHostsFiles);
        globalKnownHostsFiles = List.copyOf(globalKnownHostsFiles);
        ciphers = List.copyOf(ciphers);
        macs = List.copyOf(macs);
        kexAlgorithms = List.copyOf(kexAlgorithms);
        hostKeyAlgorithms = List.copyOf(hostKeyAlgorithms);
        pubkeyAcceptedAlgorithms = List.copyOf(pubkeyAcceptedAlgorithms);
        caSignatureAlgorithms = List.copyOf(caSignatureAlgorithms);
        identityFiles = List.copyOf(identityFiles);
        preferredAuthentications = List.copyOf(preferredAuthentications);
        sendEnv = List.copyOf(sendEnv);
        setEnv = Collections.unmodifiableMap(new LinkedHashMap<>(setEnv));
    }

    /** Whether a terminal is wanted at the server; says why not where that is a surprise. */
    public boolean wantsPty(boolean atTerminal, Log log) {
        if (sessionType == SessionType.NONE) {
            return false;
        }
        boolean asked =
                switch (requestTty) {
                    case NO -> false;
                    case YES, FORCE -> true;
                    case AUTO -> command == null;
                };
        boolean possible = atTerminal && !stdinNull;
        if (asked && !possible && requestTty != RequestTty.FORCE) {
            log.info("Pseudo-terminal will not be allocated because stdin is not a terminal.");
            return false;
        }
        return asked;
    }

    /** What of these variables SendEnv names, and SetEnv. */
    public Map<String, String> environmentToSend(Map<String, String> environment) {
        Map<String, String> sent = new LinkedHashMap<>();
        environment.forEach((name, value) -> {
            if (mayBeSent(name)) {
                sent.put(name, value);
            }
        });
        sent.putAll(setEnv);
        return sent;
    }

    /** What a terminal is called to the server: TERM, unless SetEnv gives it another value. */
    public String terminalKind(Map<String, String> environment) {
        String set = setEnv.getOrDefault("TERM", "");
        return set.isEmpty() ? environment.getOrDefault("TERM", "") : set;
    }

    /** Whether SendEnv names it. */
    public boolean mayBeSent(String name) {
        for (String pattern : sendEnv) {
            if (Patterns.matches(name, pattern)) {
                return true;
            }
        }
        return false;
    }

    /** Those of a jump host, counted from the server: 1, 2, …; null: there are not so many. */
    public @Nullable ClientSettings jumpHost(int number) {
        ClientSettings at = this;
        for (int i = 0; i < number; i++) {
            if (!(at.route instanceof Route.Jump(ClientSettings hop))) {
                return null;
            }
            at = hop;
        }
        return at;
    }
}
