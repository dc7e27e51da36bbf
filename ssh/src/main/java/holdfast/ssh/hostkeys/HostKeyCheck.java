package holdfast.ssh.hostkeys;

import holdfast.ssh.auth.Certificate;
import holdfast.ssh.auth.KeyList;
import holdfast.ssh.auth.PublicIdentity;
import holdfast.ssh.auth.Wire.Malformed;
import holdfast.ssh.config.ClientComfort.UpdateHostKeys;
import holdfast.ssh.config.ClientForwards;
import holdfast.ssh.config.ClientSettings;
import holdfast.ssh.config.ClientSettings.StrictHostKeyChecking;
import holdfast.ssh.hostkeys.KnownHosts.Entry;
import holdfast.ssh.hostkeys.KnownHosts.Standing;
import holdfast.ssh.hostkeys.KnownHosts.Status;
import holdfast.ssh.log.Log;
import holdfast.ssh.log.Printable;
import holdfast.ssh.log.Reason;
import holdfast.ssh.octets.Octets;
import holdfast.ssh.terminal.Prompter;
import java.io.IOException;
import java.net.InetAddress;
import java.nio.file.Path;
import java.time.Instant;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Decides whether the key a server presents is its own, and says and asks what OpenSSH's
 * sshconnect.c (verify_host_key) says and asks, word for word as OpenSSH 9.2 does on Debian.
 *
 * <p>One for each connection. It asks the person and waits for the answer, so the calling thread
 * must be one that may wait. Not thread-safe, but it may pass from one thread to the next.
 */
public final class HostKeyCheck {

    /** What came of a presented key. Everything there is to say to a person has been said. */
    public sealed interface Verdict {}

    /**
     * Go on.
     *
     * @param passwordsAllowed false where the key is known to be wrong and StrictHostKeyChecking is
     *     off: then neither password nor keyboard-interactive authentication may be used, nor any
     *     forwarding, because somebody else may be listening
     */
    public record Accepted(boolean passwordsAllowed) implements Verdict {}

    /** End the connection, with exit status 255 and without a further word. */
    public record Rejected() implements Verdict {}

    /** How far the check of one name may go. */
    private enum Reach {
        /** May ask and write. */
        FULL,
        /** Only what is already known counts; nothing is asked or written. */
        READ_ONLY,
        /** READ_ONLY, and a changed key is passed over in silence: the look without the port. */
        QUIET
    }

    private static final String RULE =
            "@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@";

    private static final String UNCONFIRMED = "hostkey not known or explicitly trusted: ";

    private static final String NO_ADDRESS = "<no hostip for proxy command>";

    /**
     * A key as the server showed it.
     *
     * @param certificate null: it is no certificate
     * @param plain the key alone
     */
    private record Shown(HostKey key, @Nullable Certificate certificate, HostKey plain) {

        /** Null where the bytes are no key, or a certificate whose signature does not hold. */
        static @Nullable Shown of(byte[] blob) {
            HostKey key = HostKey.of(blob);
            if (key == null || !key.isCertificate()) {
                return key == null ? null : new Shown(key, null, key);
            }
            try {
                PublicIdentity identity = PublicIdentity.of(blob);
                HostKey plain = HostKey.of(identity.keyBlob());
                return plain == null ? null : new Shown(key, Certificate.of(identity), plain);
            } catch (Malformed e) {
                return null;
            }
        }
    }

    /** What an authority's word came to. */
    private enum Vouched {
        YES,
        /** Nobody we trust vouches for it: it is as good as the key alone. */
        NO,
        /** Somebody says that it must not be trusted. */
        NEVER
    }

    private final ClientSettings settings;
    private final Prompter prompter;
    private final Log log;
    private final KnownHosts known;
    private final String host;

    private boolean passwords = true;
    private boolean passwordWarned;
    private @Nullable HostKey acceptedKey;
    private boolean lastWordSaid;

    /** Whether other keys of the server's may be learned from it: it is known, or was agreed to. */
    private boolean trustworthy = true;

    /** Whether the address counts beside the name. */
    private boolean checksAddress;

    /** Where it counts. */
    private @Nullable InetAddress serverAddress;

    public HostKeyCheck(ClientSettings settings, Prompter prompter, Log log) {
        this.settings = settings;
        this.prompter = prompter;
        this.log = log;
        this.known = KnownHosts.of(settings, log);
        this.host = HostNames.lower(settings.host());
    }

    /**
     * The order to offer host key algorithms in: those whose keys are known first, unless the
     * person set HostKeyAlgorithms. Reads the files, so it is well done while the connection is on
     * its way; {@link #check} then reads none again for a host that is known.
     *
     * @param algorithms what the client can do of the effective list, in order of preference
     */
    public List<String> orderAlgorithms(List<String> algorithms) {
        return settings.hostKeyAlgorithmsGiven()
                ? algorithms
                : known.orderAlgorithms(algorithms, knownName(settings.port()));
    }

    /**
     * Checks the key that the server proved to hold. The same key again (a re-key) is accepted as
     * it was the first time.
     *
     * @param address the server's; null through a ProxyCommand
     * @param blob the public key as in the key exchange reply
     */
    public Verdict check(@Nullable InetAddress address, byte[] blob) {
        Shown shown = Shown.of(blob);
        if (shown == null) {
            log.fatal("Bad server host key: invalid format");
            return new Rejected();
        }
        int bits = shown.plain().rsaBits();
        if (bits >= 0 && bits < settings.requiredRsaSize()) {
            log.fatal("Bad server host key: Invalid key length");
            return new Rejected();
        }
        if (log.shows(Log.Level.DEBUG1)) {
            tell(shown);
        }
        if (shown.key().equals(acceptedKey)) {
            return new Accepted(passwords);
        }
        boolean trusted = !revoked(shown) && trusted(shown, address, settings.port(), Reach.FULL);
        String failure = known.failure();
        if (failure != null) {
            // Nobody knows whether its word would have been that the key is revoked.
            log.error(failure);
            log.fatal("KnownHostsCommand failed");
            return new Rejected();
        }
        if (trusted && !lastWordSaid) {
            acceptedKey = shown.key();
            serverAddress = checksAddress ? address : null;
            return new Accepted(passwords);
        }
        if (!lastWordSaid) {
            log.fatal("Host key verification failed.");
        }
        return new Rejected();
    }

    private String picture(HostKey key) {
        return RandomArt.of(settings.trust().fingerprints(), key);
    }

    private String fingerprint(HostKey key) {
        return Fingerprint.of(settings.trust().fingerprints(), key.blob());
    }

    /**
     * RevokedHostKeys (sshconnect.c, verify_host_key). A file that cannot be read or understood
     * refuses every key: it is not known whom it meant.
     */
    private boolean revoked(Shown shown) {
        for (Path file : settings.trust().revoked()) {
            String named = shown.key().kind() + " " + fingerprint(shown.plain());
            try {
                PublicIdentity key = PublicIdentity.of(shown.key().blob());
                if (KeyList.isRevoked(file, key)) {
                    log.error("Host key " + named + " revoked by file " + Octets.text(file));
                    return true;
                }
            } catch (IOException | Malformed e) {
                log.error(
                        "Error checking host key "
                                + named
                                + " in revoked keys file "
                                + Octets.text(file)
                                + ": "
                                + (e instanceof IOException io ? Reason.of(io) : e.getMessage()));
                return true;
            }
        }
        return false;
    }

    private void tell(Shown shown) {
        Certificate certificate = shown.certificate();
        if (certificate == null) {
            log.debug("Server host key: " + shown.key().type() + ' ' + fingerprint(shown.key()));
            return;
        }
        log.debug(
                "Server host certificate: "
                        + shown.key().type()
                        + ' '
                        + fingerprint(shown.plain())
                        + ", serial "
                        + Long.toUnsignedString(certificate.serial())
                        + " ID \""
                        + Printable.of(certificate.keyId(), 100)
                        + "\" CA "
                        + certificate.authority().algorithm()
                        + ' '
                        + Fingerprint.of(
                                settings.trust().fingerprints(), certificate.authority().keyBlob())
                        + " valid "
                        + certificate.validity());
        for (String principal : certificate.principals()) {
            log.debug2("Server host certificate hostname: " + Printable.of(principal, 255));
        }
    }

    /**
     * How to learn the server's other keys, once a key was accepted.
     *
     * @return null: UpdateHostKeys is off, or must not be obeyed for a key accepted so
     */
    public @Nullable HostKeyUpdate update() {
        UpdateHostKeys wanted = settings.comfort().updateHostKeys();
        if (wanted == UpdateHostKeys.NO || !trustworthy || known.userFiles().isEmpty()) {
            return null;
        }
        InetAddress address = serverAddress;
        return new HostKeyUpdate(
                settings,
                known,
                knownName(settings.port()),
                address == null
                        ? null
                        : KnownHosts.name(NumericAddress.text(address), settings.port()),
                prompter,
                log);
    }

    private void distrust(String why) {
        if (trustworthy && settings.comfort().updateHostKeys() != UpdateHostKeys.NO) {
            log.debug("check_host_key: " + why + "disabling UpdateHostkeys");
        }
        trustworthy = false;
    }

    private void show(String fingerprint, HostKey key) {
        if (settings.comfort().visualHostKey()) {
            log.info("Host key fingerprint is " + fingerprint + "\n" + picture(key));
        }
    }

    private String knownName(int port) {
        String alias = settings.hostKeyAlias();
        return alias != null ? HostNames.lower(alias) : KnownHosts.name(host, port);
    }

    /** sshconnect.c, check_host_key, in its order. Port 0 looks the bare name up. */
    private boolean trusted(Shown shown, @Nullable InetAddress address, int port, Reach wanted) {
        HostKey key = shown.plain();
        boolean local = address != null && address.isLoopbackAddress();
        if (settings.noHostAuthenticationForLocalhost()
                && local
                && settings.hostKeyAlias() == null) {
            log.debug("Forcing accepting of host key for loopback/localhost.");
            return true;
        }
        Reach reach = wanted;
        if (reach == Reach.FULL && !writable(host)) {
            reach = Reach.READ_ONLY;
        }
        if (settings.hostKeyAlias() != null && log.shows(Log.Level.DEBUG1)) {
            log.debug("using hostkeyalias: " + settings.hostKeyAlias());
        }
        String name = knownName(port);
        String ip =
                address == null ? NO_ADDRESS : KnownHosts.name(NumericAddress.text(address), port);
        boolean checkIp =
                settings.checkHostIp()
                        && address != null
                        && !local
                        && !host.equals(ip)
                        && !name.equals(ip);
        Certificate certificate = shown.certificate();
        if (certificate != null) {
            Vouched vouched = vouched(shown, certificate, name, address, port);
            if (vouched != Vouched.NO) {
                // Other keys of a server whose authority is trusted are nothing to be learned.
                trustworthy = false;
                return vouched == Vouched.YES;
            }
            log.debug("No matching CA found. Retry with plain key");
        }
        checksAddress |= checkIp;
        if (!permitted(key)) {
            log.error("host key " + key.type() + " not permitted by HostkeyAlgorithms");
            return false;
        }
        Standing byName = known.standing(name, key);
        if (reach == Reach.FULL && known.writable() == null) {
            reach = Reach.READ_ONLY;
        }
        Standing byIp = checkIp ? known.standingOfAddress(ip, key) : byName;

        switch (byName.status()) {
            case KNOWN -> {
                if (log.shows(Log.Level.DEBUG1)) {
                    log.debug(
                            "Host '"
                                    + cut(name, 200)
                                    + "' is known and matches the "
                                    + key.kind()
                                    + " host key.");
                    log.debug("Found key in " + at(byName.entry()));
                }
                Entry found = byName.entry();
                if (reach == Reach.FULL && found != null && known.global(found)) {
                    distrust("host key found in GlobalKnownHostsFile; ");
                } else if (found != null && KnownHosts.ofCommand(found)) {
                    distrust("host key found in KnownHostsCommand; ");
                }
                show(fingerprint(key), key);
                if (checkIp && byIp.status() == Status.NEW) {
                    addAddress(key, ip, reach);
                }
            }
            case NEW -> {
                boolean bare = port == 0 || port == 22 || settings.hostKeyAlias() != null;
                if (!bare) {
                    log.debug("checking without port identifier");
                    if (known.standing(host, key).status() == Status.REVOKED && strict()) {
                        refuseRevoked(key, host);
                        return false;
                    }
                    if (trusted(new Shown(key, null, key), address, 0, Reach.QUIET)) {
                        log.debug("found matching key w/out port");
                        distrust(UNCONFIRMED);
                        break;
                    }
                }
                if (reach != Reach.FULL || !acceptNew(key, name, ip)) {
                    return false;
                }
                if (settings.strictHostKeyChecking() != StrictHostKeyChecking.ASK) {
                    distrust(UNCONFIRMED);
                }
                addHost(key, name, checkIp && byIp.status() == Status.NEW ? ip : null);
            }
            case REVOKED -> {
                if (strict()) {
                    refuseRevoked(key, name);
                    return false;
                }
                warnRevoked(key, name);
                goOnUnsafely();
            }
            case CHANGED -> {
                if (reach == Reach.QUIET) {
                    return false;
                }
                if (checkIp && differs(byName, byIp)) {
                    warnSpoofed(key, name, ip, byIp);
                }
                warnChanged(key, name, byName);
                if (strict()) {
                    log.error(
                            "Host key for "
                                    + cut(name, 200)
                                    + " has changed and you have requested strict checking.");
                    return false;
                }
                goOnUnsafely();
            }
        }
        return !checkIp
                || byName.status() == Status.CHANGED
                || byIp.status() != Status.CHANGED
                || despiteAddress(key, name, ip, byName, byIp);
    }

    private boolean strict() {
        return settings.strictHostKeyChecking() != StrictHostKeyChecking.NO;
    }

    /** Whether the name can stand in a known_hosts file without meaning something else there. */
    private boolean writable(String name) {
        for (int i = 0; i < name.length(); i++) {
            if ("@?*#[]|'\"\\".indexOf(name.charAt(i)) >= 0) {
                log.debug(
                        "check_host_key: invalid hostname \""
                                + name
                                + "\"; will not record: "
                                + known.writable());
                return false;
            }
        }
        return true;
    }

    private boolean permitted(HostKey key) {
        List<String> algorithms = settings.hostKeyAlgorithms();
        for (String algorithm : algorithms) {
            if (HostKey.isCertificate(algorithm) == key.isCertificate()
                    && HostKey.plainType(algorithm).equals(HostKey.plainType(key.type()))) {
                return true;
            }
        }
        return algorithms.isEmpty();
    }

    /**
     * check_host_key's way with a certificate. Whatever is wrong with one, the key in it may still
     * be known by itself; only what is revoked is refused at once.
     */
    private Vouched vouched(
            Shown shown,
            Certificate certificate,
            String name,
            @Nullable InetAddress address,
            int port) {
        HostKey key = shown.key();
        HostKey authority = HostKey.of(certificate.authority().blob());
        if (!permitted(key) || authority == null) {
            log.error("host key " + key.type() + " not permitted by HostkeyAlgorithms");
            return Vouched.NO;
        }
        Standing byName = known.standing(name, shown.plain(), authority);
        return switch (byName.status()) {
            case KNOWN -> {
                log.debug(
                        "Host '"
                                + cut(name, 200)
                                + "' is known and matches the "
                                + key.kind()
                                + " host certificate.");
                log.debug("Found CA key in " + at(byName.entry()));
                String alias = settings.hostKeyAlias();
                String refusal = refusal(certificate, alias == null ? host : alias);
                if (refusal == null) {
                    yield Vouched.YES;
                }
                log.error(
                        refusal
                                + ": host certificate of "
                                + cut(name, 200)
                                + ", "
                                + certificate.named());
                yield Vouched.NO;
            }
            case NEW, CHANGED -> {
                boolean bare = port == 0 || port == 22 || settings.hostKeyAlias() != null;
                if (bare) {
                    yield Vouched.NO;
                }
                log.debug("checking without port identifier");
                // OpenSSH prints its warning here and then looks for the key alone.
                if (known.standing(host, shown.plain(), authority).status() == Status.REVOKED
                        && strict()) {
                    refuseRevoked(key, host);
                    yield Vouched.NEVER;
                }
                if (trusted(shown, address, 0, Reach.QUIET)) {
                    log.debug("found matching key w/out port");
                    yield Vouched.YES;
                }
                yield Vouched.NO;
            }
            case REVOKED -> {
                if (strict()) {
                    refuseRevoked(key, name);
                    yield Vouched.NEVER;
                }
                warnRevoked(key, name);
                goOnUnsafely();
                yield Vouched.YES;
            }
        };
    }

    /** sshkey_cert_check_host: why the certificate does not hold for a host, or null. */
    private @Nullable String refusal(Certificate certificate, String name) {
        String refusal =
                certificate.refusal(Certificate.Kind.HOST, name, Instant.now().getEpochSecond());
        if (refusal != null) {
            return refusal;
        }
        if (!certificate.critical().isEmpty()) {
            return "Certificate contains unsupported critical options";
        }
        return settings.caSignatureAlgorithms().contains(certificate.signatureAlgorithm())
                ? null
                : "Certificate signed with disallowed algorithm";
    }

    private void refuseRevoked(HostKey key, String name) {
        warnRevoked(key, name);
        log.error(
                key.kind()
                        + " host key for "
                        + cut(name, 200)
                        + " was revoked and you have requested strict checking.");
    }

    private boolean acceptNew(HostKey key, String name, String ip) {
        String doubt = known.doubt();
        if (doubt != null) {
            log.error(doubt);
            return false;
        }
        return switch (settings.strictHostKeyChecking()) {
            case YES -> {
                log.error(
                        "No "
                                + key.kind()
                                + " host key is known for "
                                + cut(name, 200)
                                + " and you have requested strict checking.");
                yield false;
            }
            case ASK -> {
                if (settings.batchMode()) {
                    yield false;
                }
                String fingerprint = fingerprint(key);
                yield confirm(
                        "The authenticity of host '"
                                + cut(name, 200)
                                + " ("
                                + ip
                                + ")' can't be established.\n"
                                + key.kind()
                                + " key fingerprint is "
                                + fingerprint
                                + ".\n"
                                + (settings.comfort().visualHostKey() ? picture(key) + "\n" : "")
                                + known.otherNames(name, key)
                                + "\nAre you sure you want to continue connecting"
                                + " (yes/no/[fingerprint])? ",
                        fingerprint);
            }
            case NO, ACCEPT_NEW -> true;
        };
    }

    private void addHost(HostKey key, String name, @Nullable String newIp) {
        boolean added;
        String names = newIp == null ? name : name + ',' + newIp;
        if (newIp != null && settings.hashKnownHosts()) {
            added = known.add(name, key, true) && known.add(newIp, key, true);
        } else {
            added = known.add(names, key, settings.hashKnownHosts());
        }
        if (added) {
            log.info(
                    "Warning: Permanently added '"
                            + cut(names, 200)
                            + "' ("
                            + key.kind()
                            + ") to the list of known hosts.");
        } else {
            log.info(
                    "Failed to add the host to the list of known hosts ("
                            + cut(known.writable(), 500)
                            + ").");
        }
    }

    private void addAddress(HostKey key, String ip, Reach reach) {
        if (reach != Reach.FULL) {
            log.info(
                    key.kind()
                            + " host key for IP address '"
                            + cut(ip, 128)
                            + "' not in list of known hosts.");
        } else if (known.add(ip, key, settings.hashKnownHosts())) {
            log.info(
                    "Warning: Permanently added the "
                            + key.kind()
                            + " host key for IP address '"
                            + cut(ip, 128)
                            + "' to the list of known hosts.");
        } else {
            log.info(
                    "Failed to add the "
                            + key.kind()
                            + " host key for IP address '"
                            + cut(ip, 128)
                            + "' to the list of known hosts ("
                            + cut(known.writable(), 500)
                            + ").");
        }
    }

    private void warnRevoked(HostKey key, String name) {
        log.error(RULE);
        log.error("@       WARNING: REVOKED HOST KEY DETECTED!               @");
        log.error(RULE);
        log.error("The " + key.kind() + " host key for " + name + " is marked as revoked.");
        log.error("This could mean that a stolen key is being used to");
        log.error("impersonate this host.");
    }

    private void warnChanged(HostKey key, String name, Standing byName) {
        log.error(RULE);
        log.error("@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @");
        log.error(RULE);
        log.error("IT IS POSSIBLE THAT SOMEONE IS DOING SOMETHING NASTY!");
        log.error("Someone could be eavesdropping on you right now (man-in-the-middle attack)!");
        log.error("It is also possible that a host key has just been changed.");
        log.error(
                "The fingerprint for the "
                        + key.kind()
                        + " key sent by the remote host is\n"
                        + fingerprint(key)
                        + '.');
        log.error("Please contact your system administrator.");
        Path correct = known.correctable();
        if (correct != null) {
            log.error(
                    "Add correct host key in "
                            + cut(correct, 100)
                            + " to get rid of this message.");
        }
        Entry offending = byName.entry();
        if (offending != null) {
            log.error("Offending " + offending.key().kind() + " key in " + at(offending));
            sayHowToRemove(offending, name);
        }
    }

    private void warnSpoofed(HostKey key, String name, String ip, Standing byIp) {
        log.error(RULE);
        log.error("@       WARNING: POSSIBLE DNS SPOOFING DETECTED!          @");
        log.error(RULE);
        log.error("The " + key.kind() + " host key for " + name + " has changed,");
        log.error("and the key for the corresponding IP address " + ip);
        String state =
                switch (byIp.status()) {
                    case NEW -> "is unknown";
                    case KNOWN -> "is unchanged";
                    case CHANGED, REVOKED -> "has a different value";
                };
        log.error(state + ". This could either mean that");
        log.error("DNS SPOOFING is happening or the IP address for the host");
        log.error("and its host key have changed at the same time.");
        Entry offending = byIp.entry();
        if (offending != null) {
            log.error("Offending key for IP in " + at(offending));
            sayHowToRemove(offending, ip);
        }
    }

    /** Debian's addition to the warning. */
    private void sayHowToRemove(Entry offending, String name) {
        log.error("  remove with:");
        log.error("  ssh-keygen -f \"" + offending.file() + "\" -R \"" + name + '"');
    }

    private static boolean differs(Standing byName, Standing byIp) {
        Entry one = byName.entry();
        Entry other = byIp.entry();
        return byIp.status() != Status.CHANGED
                || (one != null && other != null && !one.key().equals(other.key()));
    }

    /** The name is fine, but its address is known by another key. */
    private boolean despiteAddress(
            HostKey key, String name, String ip, Standing byName, Standing byIp) {
        StringBuilder warning =
                new StringBuilder("Warning: the ")
                        .append(key.kind())
                        .append(" host key for '")
                        .append(cut(name, 200))
                        .append("' differs from the key for the IP address '")
                        .append(cut(ip, 128))
                        .append("'\nOffending key for IP in ")
                        .append(at(byIp.entry()));
        if (byName.status() == Status.KNOWN) {
            warning.append("\nMatching host key in ").append(at(byName.entry()));
        }
        return switch (settings.strictHostKeyChecking()) {
            case ASK ->
                    confirm(
                            warning.append(
                                            "\nAre you sure you want to continue connecting"
                                                    + " (yes/no)? ")
                                    .toString(),
                            null);
            case YES, ACCEPT_NEW -> {
                log.info(warning.toString());
                log.error("Exiting, you have requested strict checking.");
                yield false;
            }
            case NO -> {
                log.info(warning.toString());
                yield true;
            }
        };
    }

    private void goOnUnsafely() {
        passwords = false;
        if (passwordWarned) {
            return;
        }
        passwordWarned = true;
        if (settings.passwordAuthentication()) {
            log.error("Password authentication is disabled to avoid man-in-the-middle attacks.");
        }
        if (settings.kbdInteractiveAuthentication()) {
            log.error(
                    "Keyboard-interactive authentication is disabled to avoid"
                            + " man-in-the-middle attacks.");
        }
        ClientForwards forwards = settings.forwards();
        boolean agent = settings.credentials().forwardAgent() != null;
        boolean ports = !forwards.local().isEmpty() || !forwards.remote().isEmpty();
        if (agent) {
            log.error("Agent forwarding is disabled to avoid man-in-the-middle attacks.");
        }
        boolean x11 = settings.protocol().x11() != null;
        if (x11) {
            log.error("X11 forwarding is disabled to avoid man-in-the-middle attacks.");
        }
        if (ports) {
            log.error("Port forwarding is disabled to avoid man-in-the-middle attacks.");
        }
        boolean cancelled =
                settings.passwordAuthentication()
                        || settings.kbdInteractiveAuthentication()
                        || agent
                        || x11
                        || ports;
        if (cancelled && forwards.exitOnFailure()) {
            log.fatal("Error: forwarding disabled due to host key check failure");
            lastWordSaid = true;
        }
        if (trustworthy && settings.comfort().updateHostKeys() != UpdateHostKeys.NO) {
            log.error("UpdateHostkeys is disabled because the host key is not trusted.");
        }
        trustworthy = false;
    }

    /**
     * Asks until the answer is one; nothing, or nobody to answer, is no.
     *
     * @param fingerprint an answer as good as yes; null where it would not be
     */
    private boolean confirm(String question, @Nullable String fingerprint) {
        if (settings.batchMode()) {
            return false;
        }
        String prompt = question;
        while (true) {
            String answer;
            try {
                answer = prompter.ask(prompt, Prompter.Echo.ON);
            } catch (IOException noTerminal) {
                log.debug("read_passphrase: " + noTerminal.getMessage());
                return false;
            }
            if (answer == null) {
                return false;
            }
            String word = firstWord(answer);
            if (word.isEmpty() || word.equalsIgnoreCase("no")) {
                return false;
            }
            if (word.equalsIgnoreCase("yes") || word.equals(fingerprint)) {
                return true;
            }
            prompt =
                    fingerprint == null
                            ? "Please type 'yes' or 'no': "
                            : "Please type 'yes', 'no' or the fingerprint: ";
        }
    }

    private static String firstWord(String answer) {
        int from = 0;
        while (from < answer.length() && blank(answer.charAt(from))) {
            from++;
        }
        int to = from;
        while (to < answer.length() && !blank(answer.charAt(to))) {
            to++;
        }
        return answer.substring(from, to);
    }

    private static boolean blank(char c) {
        return c == ' ' || c == '\t' || c == '\n' || c == '\r';
    }

    private static String at(@Nullable Entry entry) {
        return entry == null ? "" : entry.file() + ":" + entry.line();
    }

    private static String cut(@Nullable Object text, int most) {
        String whole = String.valueOf(text);
        return whole.length() <= most ? whole : whole.substring(0, most);
    }
}
