package holdfast.ssh.server.auth;

import holdfast.ssh.auth.Certificate;
import holdfast.ssh.auth.PublicIdentity;
import holdfast.ssh.auth.Signatures;
import holdfast.ssh.auth.Wire;
import holdfast.ssh.auth.Wire.Malformed;
import holdfast.ssh.config.ConfigException;
import holdfast.ssh.config.ServerConfig;
import holdfast.ssh.config.ServerSettings;
import holdfast.ssh.config.ServerSettings.PermitRootLogin;
import holdfast.ssh.config.ServerSettings.PubkeyAuthOption;
import holdfast.ssh.hostkeys.NumericAddress;
import holdfast.ssh.log.Log;
import holdfast.ssh.server.Login;
import holdfast.ssh.server.Permissions;
import holdfast.ssh.server.ServerTransport;
import holdfast.ssh.system.Account;
import holdfast.ssh.system.Logins;
import holdfast.ssh.system.TcpWrappers;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyPair;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.TimeUnit;
import org.apache.sshd.common.Service;
import org.apache.sshd.common.SshConstants;
import org.apache.sshd.common.future.CloseFuture;
import org.apache.sshd.common.future.SshFutureListener;
import org.apache.sshd.common.kex.KexState;
import org.apache.sshd.common.session.ConnectionService;
import org.apache.sshd.common.session.Session;
import org.apache.sshd.common.util.buffer.Buffer;
import org.apache.sshd.common.util.buffer.ByteArrayBuffer;
import org.apache.sshd.common.util.closeable.AbstractCloseable;
import org.jspecify.annotations.Nullable;

/**
 * One client's attempts to log in (RFC 4252), judged, counted and told of as OpenSSH's auth2.c and
 * auth2-pubkey.c do it.
 *
 * <p>MINA's threads hand in packets and go on. One packet at a time is worked on, on a thread of
 * {@link ServerAuth}'s, which may read files, run commands and ask the system; those that come
 * meanwhile wait their turn. What is mutable here belongs to whoever works, but for the queue.
 */
final class UserAuthentication extends AbstractCloseable implements Service {

    private static final String CONNECTION = "ssh-connection";
    private static final String HOST_BOUND = "publickey-hostbound-v00@openssh.com";
    private static final int REQUEST = SshConstants.SSH_MSG_USERAUTH_REQUEST & 0xff;

    /**
     * Packets that may wait for the one that is worked on; a client has reason for two or three.
     */
    private static final int MOST_WAITING = 16;

    /** LOGIN_NAME_MAX of Linux; the user database is not asked for longer ones. */
    private static final int LONGEST_NAME = 256;

    /** OpenSSH's bound on attempts of any kind. */
    private static final int MOST_ATTEMPTS = 1024;

    /** Lines about a client's keys that it is told. */
    private static final int MOST_TOLD = 64;

    /** OpenSSH does not send more of a banner's file. */
    private static final int LONGEST_BANNER = 1024 * 1024;

    /** How long to wait for a key exchange before success can be told. */
    private static final long KEY_EXCHANGE_POLL_MILLIS = 20;

    private final ServerTransport transport;
    private final ServerAuth shared;

    /** Not named log: the superclass has a logger of that name. */
    private Log journal;

    private final Map<String, Object> properties = new HashMap<>();

    /** Guards itself and the three flags. */
    private final ArrayDeque<Task> waiting = new ArrayDeque<>();

    /** Somebody is at work, or what PAM says next is what to work on. */
    private boolean working;

    /** What PAM says next is. */
    private boolean listening;

    private boolean over;

    private @Nullable String user;
    private String service = "";
    private @Nullable Account account;
    private ServerSettings settings;
    private Methods methods = new Methods(List.of(), List.of());
    private int attempts;
    private int failures;
    private int decided;
    private volatile boolean attempted;
    private boolean noneTried;

    private boolean shadowAsked;

    /** Their password is right, and has expired. */
    private boolean mustChange;

    /** What PAM says to one whom it keeps out though the password was right; null: it does not. */
    private volatile @Nullable String barred;

    /** What the client is told of its keys once it is in; guarded by itself. */
    private final List<String> toTell = new ArrayList<>();

    /** Why the user's root directory cannot be what ChrootDirectory says. */
    private @Nullable String unsafeRoot;

    private @Nullable KeyOptions options;
    private final List<PublicIdentity> usedKeys = new ArrayList<>();
    private final Set<String> proofs = new LinkedHashSet<>();
    private @Nullable String hostName;
    private volatile @Nullable Questions questions;
    private final Farewell farewell = new Farewell(this);

    UserAuthentication(ServerTransport transport, ServerAuth shared) {
        this.transport = transport;
        this.shared = shared;
        this.journal = transport.log();
        this.settings = transport.settings();
        transport.addCloseFutureListener(farewell);
    }

    /** One thing to be dealt with. */
    private sealed interface Task {

        /** Its first byte is the command. */
        @SuppressWarnings("ArrayRecordComponent") // read once, never compared
        record Packet(byte[] bytes) implements Task {}

        record Told(Questions.Step step, long began) implements Task {}
    }

    /** Told when the connection ends; forgets us, and all we know, when the user is in. */
    private static final class Farewell implements SshFutureListener<CloseFuture> {
        private volatile @Nullable UserAuthentication whose;

        Farewell(UserAuthentication whose) {
            this.whose = whose;
        }

        @Override
        public void operationComplete(CloseFuture closed) {
            UserAuthentication ended = whose;
            if (ended != null) {
                ended.ended();
            }
        }
    }

    /** How an attempt came out. */
    private sealed interface Outcome {

        /**
         * Not proven.
         *
         * @param extra what the log adds after a colon, empty: nothing
         * @param logged whether the log tells of it at all
         * @param counted whether it was more than an offer
         */
        record Failed(@Nullable String submethod, String extra, boolean logged, boolean counted)
                implements Outcome {

            Failed(String extra, boolean logged, boolean counted) {
                this(null, extra, logged, counted);
            }
        }

        /** Proven. */
        record Proven(
                @Nullable String submethod,
                String extra,
                String proof,
                @Nullable KeyOptions options)
                implements Outcome {}

        /** The client has been answered already and is to go on. */
        record Postponed(@Nullable String submethod, String extra) implements Outcome {}

        /** The connection ends; nothing more is said. */
        record Over() implements Outcome {}
    }

    // ---- MINA's side

    @Override
    public void start() {
        // Nothing to do before the client speaks.
    }

    @Override
    public Session getSession() {
        return transport;
    }

    @Override
    public Map<String, Object> getProperties() {
        return properties;
    }

    /** On MINA's threads: takes the packet and goes. */
    @Override
    public void process(int command, Buffer buffer) throws Exception {
        if (command != REQUEST && command != (SshConstants.SSH_MSG_USERAUTH_INFO_RESPONSE & 0xff)) {
            boolean quiet;
            synchronized (waiting) {
                quiet = !working;
            }
            if (quiet || command < 80) {
                journal.debug("dispatch_protocol_error: type " + command);
                transport.unimplemented(command, buffer);
                return;
            }
        }
        byte[] packet = new byte[1 + buffer.available()];
        packet[0] = (byte) command;
        buffer.getRawBytes(packet, 1, packet.length - 1);
        synchronized (waiting) {
            if (over) {
                return;
            }
            if (working) {
                if (waiting.size() == MOST_WAITING) {
                    over = true;
                    transport.expel("too many packets before authentication");
                    return;
                }
                waiting.add(new Task.Packet(packet));
                return;
            }
            working = true;
        }
        later(() -> work(new Task.Packet(packet)), 0);
    }

    private void later(Runnable work, long millis) {
        try {
            var _ = shared.workers().schedule(work, millis, TimeUnit.MILLISECONDS);
        } catch (RejectedExecutionException closing) {
            transport.close(true);
        }
    }

    private void work(Task task) {
        if (!transport.isOpen()) {
            return;
        }
        try {
            switch (task) {
                case Task.Packet(byte[] packet) -> {
                    int command = packet[0] & 0xff;
                    if (command == REQUEST) {
                        request(new Wire.Reader(packet), packet);
                    } else if (command == (SshConstants.SSH_MSG_USERAUTH_INFO_RESPONSE & 0xff)) {
                        answers(new Wire.Reader(packet));
                    } else {
                        next(); // for a service that was not reached
                    }
                }
                case Task.Told(Questions.Step step, long began) -> answered(step, began);
            }
        } catch (Malformed e) {
            expel("packet corrupt: " + e.getMessage());
        } catch (ConfigException e) {
            drop();
            transport.giveUp(e.text());
        } catch (Exception | LinkageError e) {
            failed(e);
        }
    }

    /** Nothing is let in by mistake: the connection ends, whatever it was. */
    private void failed(Throwable e) {
        journal.error("authentication of " + transport.peerText() + ": " + e);
        expel("internal error");
    }

    private void expel(String why) {
        drop();
        transport.expel(why);
    }

    /** Nothing more of what the client sends is looked at. */
    private void drop() {
        synchronized (waiting) {
            over = true;
            waiting.clear();
        }
    }

    /** This is dealt with; another may have its turn. */
    private void next() {
        Task task;
        synchronized (waiting) {
            task = over ? null : waiting.poll();
            if (task == null) {
                working = false;
                return;
            }
        }
        later(() -> work(task), 0);
    }

    /** On the thread of a conversation with PAM: its word is next if it is waited for. */
    private void told(Questions.Step step, long began) {
        Task task = new Task.Told(step, began);
        synchronized (waiting) {
            if (over) {
                return;
            }
            if (working && !listening) {
                waiting.addFirst(task);
                return;
            }
            working = true;
            listening = false;
        }
        later(() -> work(task), 0);
    }

    private void listen() {
        synchronized (waiting) {
            listening = true;
        }
    }

    private void listenNoMore() {
        synchronized (waiting) {
            listening = false;
        }
    }

    private void ended() {
        Questions asked = questions;
        if (asked != null) {
            asked.close();
        }
        if (transport.login() == null && attempted) {
            transport.authenticationFailed();
        }
    }

    // ---- a request

    private void request(Wire.Reader in, byte[] packet) throws Exception {
        long began = System.nanoTime();
        in.u8();
        String given = in.text();
        String wantedService = in.text();
        String method = in.text();
        int colon = given.indexOf(':');
        String name = colon < 0 ? given : given.substring(0, colon);
        journal.debug(
                "userauth-request for user "
                        + Safe.text(name)
                        + " service "
                        + Safe.text(wantedService)
                        + " method "
                        + Safe.text(method));
        journal.debug("attempt " + attempts + " failures " + failures);
        if (attempts >= MOST_ATTEMPTS) {
            tooMany();
            return;
        }
        if (attempts++ == 0) {
            user = name;
            service = wantedService;
            if (wrappersRefuse()) {
                return;
            }
            meet(name);
            if (settings.refuseConnection()) {
                drop();
                transport.prohibited();
                return;
            }
            sendBanner(banner());
            if (methods.hopeless()) {
                journal.error("No AuthenticationMethods left after eliminating disabled methods");
                expel("no authentication methods enabled");
                return;
            }
        } else if (!name.equals(user) || !wantedService.equals(service)) {
            expel(
                    "Change of username or service not allowed: ("
                            + user
                            + ","
                            + service
                            + ") -> ("
                            + name
                            + ","
                            + wantedService
                            + ")");
            return;
        }
        Questions asked = questions;
        if (asked != null) {
            asked.close();
            questions = null;
        }
        String primary = method.equals(HOST_BOUND) ? Methods.PUBLICKEY : method;
        Outcome outcome = new Outcome.Failed("", false, false);
        if (methods.allows(primary) && failures < settings.maxAuthTries()) {
            journal.debug2("input_userauth_request: try method " + Safe.text(method));
            attempted |= !primary.equals(Methods.NONE);
            if (attempted) {
                transport.authenticationTried();
            }
            switch (primary) {
                case Methods.NONE -> outcome = none();
                case Methods.PUBLICKEY -> outcome = publicKey(in, packet, method);
                case Methods.PASSWORD -> outcome = password(in);
                case Methods.KEYBOARD_INTERACTIVE -> {
                    ask(in, began);
                    return;
                }
                default -> {}
            }
        }
        finish(primary, outcome, began);
    }

    /** The name is known: what holds for this user, and whether there is one. */
    private void meet(String name) throws IOException {
        boolean sane = !name.isEmpty() && name.length() <= LONGEST_NAME && name.indexOf(0) < 0;
        Account found = sane ? shared.machine().account(name) : null;
        settings =
                shared.config()
                        .settingsFor(
                                new ServerConfig.Connection(
                                        name,
                                        found == null,
                                        () ->
                                                found == null
                                                        ? Set.of()
                                                        : Set.copyOf(found.groupNames()),
                                        host(),
                                        address(),
                                        localAddress(),
                                        localPort()));
        transport.settle(settings);
        journal = transport.log();
        boolean valid = false;
        if (found == null) {
            journal.info("Invalid user " + Safe.text(name) + " from " + transport.peerText());
            record();
        } else {
            valid =
                    Admission.allows(
                            found, settings, shared.machine(), address(), this::host, journal);
        }
        valid &= service.equals(CONNECTION);
        account = valid ? found : null;
        transport.wantsToBe(name, valid);
        List<String> enabled = new ArrayList<>();
        enabled.add(Methods.NONE);
        if (settings.pubkeyAuthentication()) {
            enabled.add(Methods.PUBLICKEY);
        }
        boolean passwords = shared.passwords(settings, journal);
        if (settings.passwordAuthentication() && passwords) {
            enabled.add(Methods.PASSWORD);
        }
        if (settings.kbdInteractiveAuthentication() && passwords && settings.usePam()) {
            enabled.add(Methods.KEYBOARD_INTERACTIVE);
        }
        methods = new Methods(enabled, settings.authenticationMethods());
    }

    /** Answers, after a while where that hides how long it took. */
    private void finish(String method, Outcome outcome, long began) throws Exception {
        if (outcome instanceof Outcome.Failed && !method.equals(Methods.NONE)) {
            long elapsed = System.nanoTime() - began;
            long delay = shared.delay(String.valueOf(user), elapsed);
            later(
                    () -> {
                        try {
                            conclude(method, outcome);
                        } catch (Exception e) {
                            failed(e);
                        }
                    },
                    TimeUnit.NANOSECONDS.toMillis(delay) + 1);
            return;
        }
        conclude(method, outcome);
    }

    private void conclude(String method, Outcome given) throws Exception {
        boolean partial = false;
        boolean authenticated = false;
        Outcome outcome = given;
        if (outcome instanceof Outcome.Proven proven) {
            Account who = account;
            KeyOptions merged = merged(proven.options());
            if (who == null || merged == null || (who.uid() == 0 && !rootAllowed(method, merged))) {
                outcome = new Outcome.Failed(proven.submethod(), proven.extra(), true, true);
            } else {
                options = merged;
                authenticated = methods.passed(method, proven.submethod());
                partial = !authenticated;
                String refusal = authenticated ? accountRefusal(who, method) : null;
                if (refusal != null) {
                    tell(
                            level(method, false),
                            "Failed",
                            method,
                            proven.submethod(),
                            proven.extra(),
                            "");
                    denied(who, refusal);
                    return;
                }
            }
        }
        switch (outcome) {
            case Outcome.Over() -> {
                return;
            }
            case Outcome.Postponed(String submethod, String extra) -> {
                tell(postponed(), "Postponed", method, submethod, extra, " [preauth]");
                next();
                return;
            }
            case Outcome.Failed(
                            String submethod,
                            String extra,
                            boolean logged,
                            boolean counted) -> {
                if (counted) {
                    decided++;
                }
                if (logged) {
                    tell(level(method, false), "Failed", method, submethod, extra, "");
                    if (method.equals(Methods.PASSWORD)
                            || method.equals(Methods.KEYBOARD_INTERACTIVE)) {
                        record();
                    }
                }
                if (attempts > 1 || !method.equals(Methods.NONE)) {
                    failures++;
                }
                if (failures >= settings.maxAuthTries()) {
                    tooMany();
                    return;
                }
            }
            case Outcome.Proven(String submethod, String extra, String proof, _) -> {
                tell(
                        level(method, authenticated),
                        partial ? "Partial" : "Accepted",
                        method,
                        submethod,
                        extra,
                        "");
                proofs.add(proof);
            }
        }
        if (authenticated) {
            enter();
            return;
        }
        Buffer failure = transport.createBuffer(SshConstants.SSH_MSG_USERAUTH_FAILURE, 64);
        failure.putString(methods.offered());
        failure.putBoolean(partial);
        transport.writePacket(failure);
        next();
    }

    /** OpenSSH's process that tells it counts what was asked for in vain as well. */
    private Log.Level postponed() {
        return account == null || failures >= settings.maxAuthTries() / 2
                ? Log.Level.INFO
                : Log.Level.VERBOSE;
    }

    private Log.Level level(String method, boolean authenticated) {
        return authenticated
                        || account == null
                        || decided >= settings.maxAuthTries() / 2
                        || method.equals(Methods.PASSWORD)
                ? Log.Level.INFO
                : Log.Level.VERBOSE;
    }

    private void tell(
            Log.Level level,
            String what,
            String method,
            @Nullable String submethod,
            String extra,
            String end) {
        journal.write(
                level,
                what
                        + " "
                        + method
                        + (submethod == null ? "" : "/" + submethod)
                        + " for "
                        + who()
                        + " from "
                        + transport.peerText()
                        + " ssh2"
                        + (extra.isEmpty() ? "" : ": " + extra)
                        + end);
    }

    private String who() {
        return (account == null ? "invalid user " : "") + Safe.text(String.valueOf(user));
    }

    private void tooMany() {
        journal.error(
                "maximum authentication attempts exceeded for "
                        + who()
                        + " from "
                        + transport.peerText()
                        + " ssh2 [preauth]");
        expel("Too many authentication failures");
    }

    /** What this proof and those before it allow together, or null if they contradict. */
    private @Nullable KeyOptions merged(@Nullable KeyOptions more) {
        KeyOptions before = options;
        if (more == null) {
            return before == null ? KeyOptions.NONE : before;
        }
        if (before == null) {
            return more;
        }
        try {
            return before.and(more);
        } catch (KeyOptions.Bad e) {
            journal.debug("key options inconsistent with existing");
            return null;
        }
    }

    private boolean rootAllowed(String method, KeyOptions granted) {
        boolean allowed =
                switch (settings.permitRootLogin()) {
                    case YES -> true;
                    case PROHIBIT_PASSWORD -> method.equals(Methods.PUBLICKEY);
                    case FORCED_COMMANDS_ONLY -> {
                        if (granted.command() != null) {
                            journal.info("Root login accepted for forced command.");
                            yield true;
                        }
                        yield false;
                    }
                    case NO -> false;
                };
        if (!allowed) {
            // Twice, as from OpenSSH's two processes: whoever counts them counts on it.
            String refused = "ROOT LOGIN REFUSED FROM " + transport.peerText();
            journal.info(refused);
            journal.info(refused + " [preauth]");
        }
        return allowed;
    }

    /** A password that was refused is in btmp, and so is who there is not. */
    private void record() {
        InetSocketAddress peer = transport.peer();
        String fault =
                Logins.failed(
                        String.valueOf(user), host(), peer == null ? null : peer.getAddress());
        if (fault != null) {
            journal.info(fault);
        }
    }

    /** hosts.allow and hosts.deny; whoever they refuse is shown out without a word. */
    private boolean wrappersRefuse() {
        InetSocketAddress peer = transport.peer();
        InetSocketAddress local = transport.local();
        String refused =
                peer == null || local == null
                        ? null
                        : TcpWrappers.refused(ServerAuth.DAEMON, peer, local);
        if (refused == null) {
            return false;
        }
        drop();
        transport.refused(refused);
        return true;
    }

    /** Why PAM keeps them out who have proved who they are; null: it does not. */
    private @Nullable String accountRefusal(Account who, String method) {
        String words = barred;
        if (words != null) {
            return words;
        }
        return shared.accountRefusal(
                settings, who, host(), method, journal, () -> mustChange = true, transport::toSay);
    }

    private void denied(Account who, String words) throws IOException {
        if (!words.isEmpty()) {
            sendBanner((words + "\n").getBytes(StandardCharsets.UTF_8));
        }
        drop();
        transport.giveUp(
                "Access denied for user " + who.name() + " by PAM account configuration [preauth]");
    }

    // ---- success

    private void enter() throws Exception {
        Account who = account;
        KeyOptions granted = options;
        if (who == null || granted == null) {
            throw new IllegalStateException("authenticated invalid user");
        }
        if (settings.useDns()) {
            transport.comesFrom(host());
        }
        Permissions permissions = granted.permissions(settings.permitUserEnvironment());
        Path root = null;
        String configured = settings.chrootDirectory();
        if (configured != null && !configured.equalsIgnoreCase("none")) {
            try {
                root = Chroot.of(configured, who, shared.machine().privileged(), journal);
                journal.verbose("Changed root directory to \"" + root + "\"");
            } catch (IOException e) {
                unsafeRoot = e.getMessage();
            }
        }
        succeed(
                new Login(
                        who,
                        root,
                        mustChange ? permissions.toChangePassword() : permissions,
                        settings,
                        List.copyOf(proofs),
                        mustChange,
                        new Return(shared, who.name(), granted, journal)));
    }

    private void succeed(Login login) {
        if (!transport.isOpen()) {
            return;
        }
        if (transport.getKexState() != KexState.DONE) {
            later(() -> succeed(login), KEY_EXCHANGE_POLL_MILLIS); // LoginGraceTime ends this
            return;
        }
        transport.between(() -> {
            try {
                transport.admit(login);
                farewell.whose = null;
                transport.signalAuthenticationSuccess(
                        login.account().name(), CONNECTION, new ByteArrayBuffer());
                String unsafe = unsafeRoot;
                if (unsafe != null) {
                    // As OpenSSH, whose process for the user ends there: they are in, and out.
                    journal.fatal(unsafe);
                    transport.close(false);
                    return;
                }
                shared.hostKeys().announce(transport);
                for (String text : told()) {
                    transport.sendDebugMessage(false, text, "");
                }
                passOn();
            } catch (Exception e) {
                journal.error("login of " + transport.peerText() + ": " + e.getMessage());
                transport.close(true);
            }
        });
    }

    private List<String> told() {
        synchronized (toTell) {
            return List.copyOf(toTell);
        }
    }

    /** What the client sent behind its last request is for the connection it has now. */
    private void passOn() throws Exception {
        List<Task> left;
        synchronized (waiting) {
            over = true;
            left = List.copyOf(waiting);
            waiting.clear();
        }
        ConnectionService connection = transport.getService(ConnectionService.class);
        for (Task task : left) {
            if (task instanceof Task.Packet(byte[] packet)
                    && (packet[0] & 0xff) >= 80
                    && connection != null) {
                connection.process(
                        packet[0] & 0xff, new ByteArrayBuffer(packet, 1, packet.length - 1));
            }
        }
    }

    // ---- none

    private Outcome none() throws Exception {
        if (noneTried) {
            return new Outcome.Failed("", false, false);
        }
        noneTried = true;
        if (settings.permitEmptyPasswords()
                && settings.passwordAuthentication()
                && shared.passwords(settings, journal)) {
            return passwordOutcome("");
        }
        return new Outcome.Failed("", false, false);
    }

    // ---- publickey

    private Outcome publicKey(Wire.Reader in, byte[] packet, String method) throws Exception {
        boolean signed = in.u8() != 0;
        String algorithm = in.text();
        byte[] blob = in.string();
        Outcome refused = new Outcome.Failed("", false, false);
        byte[] boundTo = method.equals(HOST_BOUND) ? in.string() : null;
        if (boundTo != null && !isOurs(boundTo)) {
            expel("packet contained wrong host key");
            return new Outcome.Over();
        }
        int beforeSignature = packet.length - in.remaining();
        byte[] signature = signed ? in.string() : new byte[0];
        if (in.remaining() != 0) {
            throw new Malformed("trailing bytes");
        }
        if (!Signatures.isKnown(algorithm)) {
            journal.verbose(
                    "userauth_pubkey: unsupported public key algorithm: "
                            + Safe.text(algorithm)
                            + " [preauth]");
            return refused;
        }
        PublicIdentity key;
        Certificate certificate = null;
        try {
            key = PublicIdentity.of(blob);
            Signatures.wellFormed(key);
            if (key.isCertificate()) {
                certificate = Certificate.of(key);
            }
        } catch (Malformed e) {
            journal.error("userauth_pubkey: parse key: " + e.getMessage() + " [preauth]");
            return refused;
        }
        if (!Signatures.isFor(algorithm, key)) {
            journal.error("userauth_pubkey: type mismatch for decoded key [preauth]");
            return refused;
        }
        for (PublicIdentity used : usedKeys) {
            if (used.sameKey(key)) {
                journal.info("refusing previously-used " + key.typeName() + " key [preauth]");
                return refused;
            }
        }
        if (!KeyCheck.has(settings.pubkeyAcceptedAlgorithms(), algorithm)) {
            journal.info(
                    "userauth_pubkey: signature algorithm "
                            + algorithm
                            + " not in PubkeyAcceptedAlgorithms [preauth]");
            return refused;
        }
        if (certificate != null
                && !KeyCheck.has(
                        settings.caSignatureAlgorithms(), certificate.signatureAlgorithm())) {
            journal.info(
                    "userauth_pubkey: certificate signature algorithm "
                            + Safe.text(certificate.signatureAlgorithm())
                            + ": signature algorithm not supported [preauth]");
            return refused;
        }
        if (tooShort(key) || (certificate != null && tooShort(certificate.authority()))) {
            journal.info("refusing " + key.typeName() + " key: Invalid key length [preauth]");
            return refused;
        }
        Account who = account;
        if (who == null) {
            journal.debug2("userauth_pubkey: disabled because of invalid user");
            return refused;
        }
        String named =
                key.typeName()
                        + " "
                        + KeyCheck.fingerprint(settings, key)
                        + (certificate == null ? "" : " " + told(certificate));
        KeyOptions allowed = keyCheck(who).allowed(key, certificate);
        if (allowed == null) {
            return new Outcome.Failed(named, true, false);
        }
        if (!signed) {
            Buffer reply = transport.createBuffer(SshConstants.SSH_MSG_USERAUTH_PK_OK, 512);
            reply.putString(algorithm);
            reply.putBytes(blob);
            transport.writePacket(reply);
            return new Outcome.Postponed(null, "");
        }
        byte[] data =
                new Wire.Writer()
                        .string(transport.getSessionId())
                        .raw(Arrays.copyOf(packet, beforeSignature))
                        .bytes();
        Signatures.Valid valid = Signatures.check(key, algorithm, signature, data);
        if (valid == null || !touched(valid, allowed, named)) {
            return new Outcome.Failed(named, true, true);
        }
        usedKeys.add(key);
        return new Outcome.Proven(
                null,
                named + (valid.securityKey() ? " signature count = " + valid.counter() : ""),
                "publickey "
                        + key.algorithm()
                        + " "
                        + Base64.getEncoder().encodeToString(key.blob()),
                allowed);
    }

    private boolean tooShort(PublicIdentity key) {
        return key.isRsa() && key.rsaBits() < settings.requiredRsaSize();
    }

    /** How OpenSSH's log tells of it: {@code ID x (serial 0) CA ED25519 SHA256:...}. */
    private String told(Certificate certificate) {
        PublicIdentity authority = certificate.authority();
        return "ID "
                + Safe.text(certificate.keyId())
                + " (serial "
                + Long.toUnsignedString(certificate.serial())
                + ") CA "
                + authority.typeName()
                + " "
                + KeyCheck.fingerprint(settings, authority);
    }

    private boolean touched(Signatures.Valid valid, KeyOptions allowed, String named) {
        if (!valid.securityKey()) {
            return true;
        }
        Set<PubkeyAuthOption> always = settings.pubkeyAuthOptions();
        String missing = null;
        if ((always.contains(PubkeyAuthOption.TOUCH_REQUIRED) || !allowed.touchOptional())
                && !valid.touched()) {
            missing = "user presence (authenticator touch)";
        } else if ((always.contains(PubkeyAuthOption.VERIFY_REQUIRED) || allowed.verifyRequired())
                && !valid.verified()) {
            missing = "user verification";
        }
        if (missing != null) {
            journal.error(
                    "public key "
                            + named
                            + " signature for "
                            + who()
                            + " from "
                            + transport.peerText()
                            + " rejected: "
                            + missing
                            + " requirement not met");
        }
        return missing == null;
    }

    /** Whether a host-bound request names the key that we proved ourselves with. */
    private boolean isOurs(byte[] blob) {
        KeyPair pair = transport.getHostKey();
        if (pair == null) {
            return false;
        }
        ByteArrayBuffer buffer = new ByteArrayBuffer();
        buffer.putRawPublicKey(pair.getPublic());
        byte[] ours = buffer.getCompactData();
        if (Arrays.equals(ours, blob)) {
            return true;
        }
        try {
            return Arrays.equals(PublicIdentity.of(ours).keyBlob(), blob);
        } catch (Malformed e) {
            return false;
        }
    }

    private KeyCheck keyCheck(Account who) {
        return new KeyCheck(
                shared.machine(),
                settings,
                who,
                address(),
                this::host,
                address() + " " + remotePort() + " " + localAddress() + " " + localPort(),
                System.currentTimeMillis() / 1000,
                journal,
                this::tellLater);
    }

    private void tellLater(String text) {
        synchronized (toTell) {
            if (toTell.size() < MOST_TOLD) {
                toTell.add(text);
            }
        }
    }

    // ---- password

    private Outcome password(Wire.Reader in) throws Exception {
        boolean change = in.u8() != 0;
        String password = in.text();
        if (change) {
            in.string();
        }
        if (in.remaining() != 0) {
            throw new Malformed("trailing bytes");
        }
        if (change) {
            journal.info("password change not supported [preauth]");
            return new Outcome.Failed("", true, true);
        }
        return passwordOutcome(password);
    }

    private Outcome passwordOutcome(String password) throws Exception {
        if (account == null && !shadowAsked && !settings.usePam()) {
            shadowAsked = true;
            // OpenSSH looks whether the password of nobody has expired, and finds nobody.
            journal.error("Could not get shadow information for NOUSER");
        }
        boolean right =
                shared.isPassword(
                        settings,
                        account,
                        String.valueOf(user),
                        host(),
                        password,
                        journal,
                        () -> mustChange = true,
                        words -> barred = words,
                        transport::toSay);
        boolean root =
                account != null
                        && account.uid() == 0
                        && settings.permitRootLogin() != PermitRootLogin.YES;
        return right && !root && account != null
                ? new Outcome.Proven(null, "", "password", null)
                : new Outcome.Failed("", true, true);
    }

    // ---- keyboard-interactive

    private void ask(Wire.Reader in, long began) throws Exception {
        in.string(); // the language
        in.string(); // devices
        listen();
        Questions asked =
                Questions.start(
                        shared,
                        settings,
                        account,
                        String.valueOf(user),
                        host(),
                        transport,
                        () -> barred = "",
                        step -> told(step, began));
        if (asked == null) {
            listenNoMore();
            finish(Methods.KEYBOARD_INTERACTIVE, new Outcome.Failed("", true, true), began);
            return;
        }
        questions = asked;
    }

    private void answers(Wire.Reader in) throws Exception {
        Questions asked = questions;
        listen();
        if (asked == null || !asked.answers(in)) {
            listenNoMore();
            journal.debug("dispatch_protocol_error: type 61");
            next();
        }
    }

    /** What came of the questions: more of them, or the end. */
    private void answered(Questions.Step step, long began) throws Exception {
        if (step.questions().isClosed()) {
            next(); // of an attempt that was given up
            return;
        }
        switch (step) {
            case Questions.Asked(Questions from) -> {
                tell(
                        postponed(),
                        "Postponed",
                        Methods.KEYBOARD_INTERACTIVE,
                        from.again() ? "pam" : null,
                        "",
                        " [preauth]");
                from.send();
                next();
            }
            case Questions.Decided(Questions decided, boolean right) -> {
                decided.close();
                boolean root =
                        account != null
                                && account.uid() == 0
                                && settings.permitRootLogin() != PermitRootLogin.YES;
                finish(
                        Methods.KEYBOARD_INTERACTIVE,
                        right && !root && account != null
                                ? new Outcome.Proven("pam", "", "keyboard-interactive/pam", null)
                                : new Outcome.Failed("pam", "", true, true),
                        began);
            }
        }
    }

    // ---- banner

    /** As it lies in the file, whatever its character set. */
    private byte[] banner() {
        Path file = settings.banner();
        if (file == null) {
            return new byte[0];
        }
        try (var in = Files.newInputStream(file)) {
            byte[] text = in.readNBytes(LONGEST_BANNER + 1);
            return text.length > LONGEST_BANNER ? new byte[0] : text;
        } catch (IOException absent) {
            return new byte[0]; // as OpenSSH: no file, no banner
        }
    }

    private void sendBanner(byte[] text) throws IOException {
        if (text.length == 0) {
            return;
        }
        Buffer buffer =
                transport.createBuffer(SshConstants.SSH_MSG_USERAUTH_BANNER, text.length + 16);
        buffer.putBytes(text);
        buffer.putString("");
        transport.writePacket(buffer);
        journal.debug("userauth_banner: sent");
    }

    // ---- where the client is

    private String address() {
        InetSocketAddress peer = transport.peer();
        return peer == null ? "UNKNOWN" : NumericAddress.text(peer.getAddress());
    }

    private int remotePort() {
        InetSocketAddress peer = transport.peer();
        return peer == null ? 65535 : peer.getPort();
    }

    private String localAddress() {
        InetSocketAddress local = transport.local();
        return local == null ? "UNKNOWN" : NumericAddress.text(local.getAddress());
    }

    private int localPort() {
        InetSocketAddress local = transport.local();
        return local == null ? 65535 : local.getPort();
    }

    /** The client's name under UseDNS, if it and its address name each other; else the address. */
    private String host() {
        String known = hostName;
        if (known == null) {
            known = settings.useDns() ? lookedUp() : address();
            hostName = known;
        }
        return known;
    }

    private String lookedUp() {
        InetSocketAddress peer = transport.peer();
        return peer == null ? "UNKNOWN" : ClientName.of(peer.getAddress(), journal);
    }
}
