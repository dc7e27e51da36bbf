package holdfast.ssh.auth;

import holdfast.ssh.auth.Wire.Malformed;
import holdfast.ssh.auth.Wire.Reader;
import holdfast.ssh.auth.Wire.Writer;
import holdfast.ssh.config.ClientCredentials;
import holdfast.ssh.config.ClientSettings;
import holdfast.ssh.log.Log;
import holdfast.ssh.octets.Octets;
import holdfast.ssh.terminal.Prompter;
import holdfast.ssh.terminal.Terminal;
import java.io.IOException;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.function.Consumer;
import org.apache.sshd.client.SshClient;
import org.apache.sshd.client.auth.UserAuth;
import org.apache.sshd.client.auth.UserAuthFactory;
import org.apache.sshd.client.future.AuthFuture;
import org.apache.sshd.client.session.ClientConnectionServiceFactory;
import org.apache.sshd.client.session.ClientSession;
import org.apache.sshd.client.session.ClientUserAuthService;
import org.apache.sshd.common.Service;
import org.apache.sshd.common.ServiceFactory;
import org.apache.sshd.common.SshConstants;
import org.apache.sshd.common.io.IoWriteFuture;
import org.apache.sshd.common.kex.extension.DefaultClientKexExtensionHandler;
import org.apache.sshd.common.session.Session;
import org.apache.sshd.common.util.buffer.Buffer;
import org.apache.sshd.common.util.buffer.ByteArrayBuffer;
import org.jspecify.annotations.Nullable;

/**
 * Proves to the server who the person is, in the order and with the words of OpenSSH's
 * sshconnect2.c: public keys from the agent and from files, keyboard-interactive, password.
 *
 * <p>It takes the place of MINA's user authentication service, so none of MINA's agents, identity
 * providers and user interactions is consulted. It serves one login; the messages arrive, and the
 * person is asked, on the transport's thread for this connection. Nothing but the login waits for
 * that thread, and whoever counts time hears of the waiting through the {@link Prompter}.
 */
public final class Authentication {

    private static final String PUBLICKEY = "publickey";
    private static final String KEYBOARD_INTERACTIVE = "keyboard-interactive";
    private static final String PASSWORD = "password";
    private static final String HOST_BOUND = "publickey-hostbound-v00@openssh.com";
    private static final int STDERR = 2;

    /** Those of OpenSSH's default order that exist here. */
    private static final List<String> PREFERRED =
            List.of(PUBLICKEY, KEYBOARD_INTERACTIVE, PASSWORD);

    /** How long an agent may take to list its keys; OpenSSH waits for ever. */
    private static final Duration AGENT_PATIENCE = Duration.ofSeconds(10);

    private final ClientSettings settings;
    private final Prompter prompter;

    /** Not named log: the superclass of the conversation has a logger of that name. */
    private final Log journal;

    private final Consumer<String> stderr;
    private final String user;

    /** How prompts name the host. */
    private final String promptHost;

    private final List<Identity> identities = new ArrayList<>();
    private @Nullable Agent agent;
    private List<Identity> files = List.of();
    private List<Identity> certified = List.of();
    private boolean prepared;
    private boolean completed;
    private volatile boolean passwordsForbidden;
    private volatile String methodUsed = "none";

    private Authentication(
            ClientSettings settings, Prompter prompter, Log log, Consumer<String> stderr) {
        this.settings = settings;
        this.prompter = prompter;
        this.journal = log;
        this.stderr = stderr;
        this.user = settings.user();
        String alias = settings.hostKeyAlias();
        this.promptHost = alias == null ? settings.host() : alias;
    }

    /**
     * Makes {@code client}, not started yet, authenticate its session in this way.
     *
     * <p>{@code ClientSession.auth()} then ends with success or with {@link AuthenticationFailed}.
     *
     * @param prompter asked for pass phrases, passwords and answers, never in BatchMode
     * @param stderr takes the server's banner, made harmless, with the line ends it came with
     */
    public static Authentication install(
            SshClient client,
            ClientSettings settings,
            Prompter prompter,
            Log log,
            Consumer<String> stderr) {
        Authentication authentication = new Authentication(settings, prompter, log, stderr);
        client.setServiceFactories(
                List.of(
                        authentication.new UserAuthentication(),
                        ClientConnectionServiceFactory.INSTANCE));
        client.setUserAuthFactories(List.of(new NoMethod()));
        return authentication;
    }

    /** No passwords and no prompts from now on: the host key is not the one that was known. */
    public void forbidPasswords() {
        passwordsForbidden = true;
    }

    /** The method that let the person in, as OpenSSH names it: {@code publickey}. */
    public String methodUsed() {
        return methodUsed;
    }

    /**
     * Reads the public halves of the identities. Done by itself when authentication begins; done
     * earlier, for example while the key exchange is under way, it saves the person that time.
     */
    public synchronized void prepare() {
        if (!prepared) {
            prepared = true;
            if (settings.pubkeyAuthentication()) {
                files = fromFiles();
                certified = certificates();
            }
        }
    }

    /**
     * Asks the agent for its keys and puts all in OpenSSH's order (sshconnect2.c, pubkey_prepare).
     * After the key exchange: the agent is told of it first, since it may hold keys that are not
     * for this server.
     */
    private synchronized void complete(Session session) {
        if (completed || !settings.pubkeyAuthentication()) {
            return;
        }
        completed = true;
        identities.addAll(certified);
        List<Identity> fromAgent = new ArrayList<>();
        for (Agent.Held held : agentKeys(session)) {
            if (isTooShort(held.key())) {
                journal.debug(
                        "pubkey_prepare: ignoring "
                                + held.key().algorithm()
                                + " agent key: Invalid key length");
                continue;
            }
            Identity listed = null;
            for (Identity file : files) {
                if (held.key().equals(file.key)) {
                    listed = file;
                    break;
                }
            }
            if (listed != null) {
                files.remove(listed);
                listed.agentHasIt = true;
                identities.add(listed);
            } else if (!settings.identitiesOnly()) {
                Identity more = new Identity(Visible.of(held.comment()), null, held.key(), false);
                more.agentHasIt = true;
                fromAgent.add(more);
            }
        }
        identities.addAll(fromAgent);
        identities.addAll(files);
        identities.removeIf(this::isUnacceptable);
        for (Identity identity : identities) {
            journal.debug("Will attempt key: " + identity);
        }
        journal.debug2("pubkey_prepare: done");
    }

    private List<Identity> fromFiles() {
        List<Identity> files = new ArrayList<>();
        for (Path file : settings.identityFiles()) {
            boolean given = settings.identityFilesGiven();
            PublicIdentity key = IdentityFile.publicHalf(file);
            journal.debug(
                    "identity file "
                            + Octets.text(file)
                            + " type "
                            + (key == null ? -1 : key.typeNumber()));
            if (key == null || isForUsers(key, file)) {
                files.add(new Identity(Octets.text(file), file, key, given));
            }
            if (!settings.credentials().certificateFiles().isEmpty()) {
                continue; // who names certificates wants no others
            }
            PublicIdentity certificate = IdentityFile.certificate(file);
            journal.debug(
                    "identity file "
                            + Octets.text(file)
                            + "-cert type "
                            + (certificate == null ? -1 : certificate.typeNumber()));
            if (certificate != null && isForUsers(certificate, file)) {
                files.add(new Identity(Octets.text(file), file, certificate, given));
            }
        }
        return files;
    }

    /** Those of CertificateFile; their private halves are whoever else's. */
    private List<Identity> certificates() {
        List<Identity> certificates = new ArrayList<>();
        for (Path file : settings.credentials().certificateFiles()) {
            PublicIdentity read = IdentityFile.publicHalf(file);
            journal.debug(
                    "certificate file "
                            + Octets.text(file)
                            + " type "
                            + (read == null ? -1 : read.typeNumber()));
            if (read == null) {
                continue;
            }
            if (!read.isCertificate()) {
                journal.debug(
                        "load_public_identity_files: key "
                                + Octets.text(file)
                                + " type "
                                + read.typeName()
                                + " is not a certificate");
            } else if (isForUsers(read, file)) {
                boolean given = settings.credentials().certificateFilesGiven();
                certificates.add(new Identity(Octets.text(file), file, read, given));
            }
        }
        return certificates;
    }

    /** A certificate of a host is no identity, nor is one that does not hold. */
    private boolean isForUsers(PublicIdentity key, Path file) {
        if (!key.isCertificate()) {
            return true;
        }
        try {
            if (Certificate.of(key).kind() == Certificate.Kind.USER) {
                return true;
            }
            journal.debug(
                    "pubkey_prepare: ignoring certificate "
                            + Octets.text(file)
                            + ": not a user certificate");
        } catch (Malformed e) {
            journal.debug("Load certificate \"" + Octets.text(file) + "\": " + e.getMessage());
        }
        return false;
    }

    private boolean isTooShort(PublicIdentity key) {
        return key.isRsa() && key.rsaBits() < settings.requiredRsaSize();
    }

    private List<Agent.Held> agentKeys(Session session) {
        String socket = settings.identityAgent();
        if (socket == null) {
            return List.of();
        }
        Agent connected;
        try {
            connected = Agent.connect(socket, AGENT_PATIENCE);
        } catch (IOException e) {
            journal.debug("get_agent_identities: ssh_get_authentication_socket: " + e.getMessage());
            return List.of();
        }
        try {
            HostProof proof = session.getAttribute(HostProof.OF);
            if (proof != null) {
                try {
                    connected.bind(proof, session.getSessionId());
                    journal.debug("get_agent_identities: bound agent to hostkey");
                } catch (Agent.Refused e) {
                    // As OpenSSH: an agent that does not know this still has keys.
                    journal.debug2(
                            "get_agent_identities: ssh_agent_bind_hostkey: " + e.getMessage());
                }
            }
            List<Agent.Held> held = connected.identities();
            journal.debug("get_agent_identities: agent returned " + held.size() + " keys");
            agent = connected;
            return held;
        } catch (Agent.Silent e) {
            journal.error(silent(socket, AGENT_PATIENCE));
            connected.close();
            return List.of();
        } catch (IOException e) {
            journal.debug("get_agent_identities: ssh_fetch_identitylist: " + e.getMessage());
            connected.close();
            return List.of();
        }
    }

    private static String silent(@Nullable String socket, Duration patience) {
        return "Agent "
                + socket
                + " has not answered for "
                + patience.toSeconds()
                + " s, going on without it.";
    }

    /** OpenSSH's maybe_add_key_to_agent. */
    private void addToAgent(Path file, PrivateIdentity loaded) {
        ClientCredentials wanted = settings.credentials();
        String socket = settings.identityAgent();
        if (wanted.addKeys() == ClientCredentials.AddKeys.NO) {
            return;
        }
        if (socket == null) {
            journal.debug3("no authentication agent, not adding key");
            return;
        }
        String comment = loaded.comment().isEmpty() ? file.toString() : loaded.comment();
        // As after any other use, the agent is spoken to on a connection of its own.
        try (Agent adding = Agent.connect(socket, AGENT_PATIENCE)) {
            if (wanted.addKeys() == ClientCredentials.AddKeys.ASK
                    && !prompter.permits(
                            "Add key "
                                    + Octets.text(file)
                                    + " ("
                                    + Visible.of(comment)
                                    + ") to agent?")) {
                journal.debug3("user denied adding this key");
                return;
            }
            adding.add(
                    loaded,
                    comment,
                    wanted.addedFor(),
                    wanted.addKeys() == ClientCredentials.AddKeys.CONFIRM,
                    wanted.securityKeyProvider());
            journal.debug("identity added to agent: " + Octets.text(file));
        } catch (Agent.Silent e) {
            journal.error(silent(socket, AGENT_PATIENCE));
        } catch (IOException | GeneralSecurityException e) {
            journal.debug(
                    "could not add identity to agent: "
                            + Octets.text(file)
                            + ": "
                            + e.getMessage());
        }
    }

    private boolean isUnacceptable(Identity identity) {
        PublicIdentity key = identity.key;
        if (key == null) {
            return false;
        }
        if (isTooShort(key)) {
            journal.debug("Skipping key " + identity.name + ": Invalid key length");
            return true;
        }
        for (String accepted : settings.pubkeyAcceptedAlgorithms()) {
            if (Signatures.isFor(accepted, key)) {
                return false;
            }
        }
        journal.debug(
                "Skipping "
                        + key.algorithm()
                        + " key "
                        + identity.name
                        + " - corresponding algo not in PubkeyAcceptedAlgorithms");
        return true;
    }

    private synchronized void release() {
        if (agent != null) {
            agent.close();
            agent = null;
        }
    }

    /** One key to be tried: OpenSSH's struct identity. */
    private static final class Identity {
        final String name;
        final @Nullable Path file;
        final @Nullable PublicIdentity key;
        final boolean given;
        boolean agentHasIt;
        boolean tried;

        Identity(String name, @Nullable Path file, @Nullable PublicIdentity key, boolean given) {
            this.name = name;
            this.file = file;
            this.key = key;
            this.given = given;
        }

        /** OpenSSH's format_identity. */
        @Override
        public String toString() {
            return name
                    + " "
                    + (key == null ? "" : key.toString())
                    + (given ? " explicit" : "")
                    + (agentHasIt ? " agent" : "");
        }
    }

    /** MINA insists on one method in its own list; it is never asked for. */
    private record NoMethod() implements UserAuthFactory {
        @Override
        public String getName() {
            return "none";
        }

        @Override
        public UserAuth createUserAuth(ClientSession session) {
            throw new UnsupportedOperationException("Authentication speaks for itself");
        }
    }

    private final class UserAuthentication implements ServiceFactory {
        @Override
        public String getName() {
            return "ssh-userauth";
        }

        @Override
        public Service create(Session session) {
            return new Conversation(session);
        }
    }

    /** One run of RFC 4252 with the server. */
    private final class Conversation extends ClientUserAuthService {

        private final List<String> preferred =
                settings.preferredAuthentications().isEmpty()
                        ? PREFERRED
                        : settings.preferredAuthentications();
        private final Set<String> disabled = new HashSet<>();

        /** What to say of certificates when nothing has let us in. */
        private final Set<String> stale = new LinkedHashSet<>();

        private int nextPreferred;
        private @Nullable String supported;
        private @Nullable String current;
        private String serverList = "";
        private @Nullable Identity offered;
        private String offeredAlgorithm = "";
        private int passwordAttempts;
        private int interactiveAttempts;
        private boolean questionsSeen;

        Conversation(Session session) {
            super(session);
        }

        @Override
        public AuthFuture auth(String service) throws IOException {
            prepare();
            return super.auth(service);
        }

        @Override
        protected IoWriteFuture sendInitialAuthRequest(ClientSession session, String service)
                throws IOException {
            // Sent first: while the server thinks, the agent is asked.
            IoWriteFuture sent = session.writePacket(request("none"));
            complete(session);
            journal.debug2("service_accept: ssh-userauth");
            journal.debug("SSH2_MSG_SERVICE_ACCEPT received");
            return sent;
        }

        private Buffer request(String method) throws IOException {
            Buffer buffer = clientSession.createBuffer(SshConstants.SSH_MSG_USERAUTH_REQUEST, 512);
            buffer.putString(user);
            buffer.putString(getCurrentServiceName());
            buffer.putString(method);
            return buffer;
        }

        private void send(Buffer buffer) throws IOException {
            clientSession.writePacket(buffer);
        }

        @Override
        public void process(int cmd, Buffer buffer) throws Exception {
            if (cmd == SshConstants.SSH_MSG_USERAUTH_BANNER) {
                banner(buffer.getBytes());
            } else {
                super.process(cmd, buffer);
            }
        }

        private void banner(byte[] text) {
            journal.debug3("input_userauth_banner: entering");
            if (text.length > 0 && journal.level().compareTo(Log.Level.INFO) >= 0) {
                stderr.accept(Visible.of(text, text.length));
            }
        }

        @Override
        protected void processUserAuth(int cmd, Buffer buffer, AuthFuture future) throws Exception {
            if (cmd == SshConstants.SSH_MSG_USERAUTH_SUCCESS) {
                release();
                methodUsed = method();
                super.processUserAuth(cmd, buffer, future);
                return;
            }
            future.setCancellable(true);
            if (future.isCanceled()) {
                release();
                future.getCancellation().setCanceled();
                return;
            }
            future.setCancellable(false);
            try {
                if (cmd == SshConstants.SSH_MSG_USERAUTH_FAILURE) {
                    failure(buffer.getString(), buffer.getBoolean());
                } else if (cmd == 60 && PUBLICKEY.equals(current)) {
                    keyAccepted(buffer);
                } else if (cmd == 60 && KEYBOARD_INTERACTIVE.equals(current)) {
                    questions(buffer);
                } else if (cmd == 60 && PASSWORD.equals(current)) {
                    passwordChange(buffer);
                } else {
                    // As OpenSSH's dispatch_protocol_error: not expected, not fatal.
                    journal.debug("dispatch_protocol_error: type " + cmd);
                }
            } catch (AuthenticationFailed e) {
                release();
                future.setException(e);
            }
        }

        private String method() {
            return current == null ? "none" : current;
        }

        private void failure(String list, boolean partial) throws Exception {
            if (partial) {
                journal.verbose("Authenticated using \"" + method() + "\" with partial success.");
                for (Identity identity : identities) {
                    identity.tried = false;
                }
            }
            // Whoever sent the request may still be asking the agent, on a thread of its own.
            complete(clientSession);
            serverList = Visible.of(list);
            journal.debug("Authentications that can continue: " + serverList);
            next();
        }

        /** Tries methods until one has sent something. */
        private void next() throws Exception {
            while (true) {
                String method = choose();
                if (method == null) {
                    stale.forEach(journal::error);
                    throw new AuthenticationFailed(
                            user
                                    + "@"
                                    + settings.host()
                                    + ": Permission denied ("
                                    + serverList
                                    + ").");
                }
                boolean sent =
                        switch (method) {
                            case PUBLICKEY -> offerKey();
                            case KEYBOARD_INTERACTIVE -> askForQuestions();
                            case PASSWORD -> sendPassword();
                            default -> false;
                        };
                if (sent) {
                    journal.debug2("we sent a " + method + " packet, wait for reply");
                    return;
                }
                journal.debug2("we did not send a packet, disable method");
                disabled.add(method);
            }
        }

        /** OpenSSH's authmethod_get. */
        private @Nullable String choose() {
            if (!serverList.equals(supported)) {
                journal.debug3("start over, passed a different list " + serverList);
                supported = serverList;
                journal.debug3("preferred " + String.join(",", preferred));
                nextPreferred = 0;
                current = null;
            } else if (current != null && isEnabled(current)) {
                return current;
            }
            List<String> offeredByServer = List.of(serverList.split(",", -1));
            while (nextPreferred < preferred.size()) {
                String name = preferred.get(nextPreferred++);
                if (!offeredByServer.contains(name)) {
                    continue;
                }
                journal.debug3("authmethod_lookup " + name);
                journal.debug3(
                        "remaining preferred: "
                                + String.join(
                                        ",", preferred.subList(nextPreferred, preferred.size())));
                if (isEnabled(name)) {
                    journal.debug3("authmethod_is_enabled " + name);
                    journal.debug("Next authentication method: " + name);
                    current = name;
                    return name;
                }
            }
            journal.debug("No more authentication methods to try.");
            current = null;
            return null;
        }

        private boolean isEnabled(String method) {
            if (disabled.contains(method)) {
                return false;
            }
            boolean mayAsk = !settings.batchMode() && !passwordsForbidden;
            return switch (method) {
                case PUBLICKEY -> settings.pubkeyAuthentication();
                case KEYBOARD_INTERACTIVE -> mayAsk && settings.kbdInteractiveAuthentication();
                case PASSWORD -> mayAsk && settings.passwordAuthentication();
                default -> false;
            };
        }

        // ---- publickey

        private boolean offerKey() throws Exception {
            while (!identities.isEmpty() && !identities.getFirst().tried) {
                // To the end of the queue: after a partial success the others come first.
                Identity identity = identities.removeFirst();
                identity.tried = true;
                identities.add(identity);
                if (identity.key != null) {
                    journal.debug("Offering public key: " + identity);
                    if (offer(identity, identity.key)) {
                        return true;
                    }
                } else {
                    journal.debug("Trying private key: " + identity.name);
                    PrivateIdentity loaded = load(identity);
                    if (loaded != null && signAndSend(identity, loaded.open(), loaded)) {
                        return true;
                    }
                }
            }
            return false;
        }

        private boolean offer(Identity identity, PublicIdentity key) throws IOException {
            String algorithm = signatureAlgorithm(key);
            if (algorithm == null) {
                journal.debug("send_pubkey_test: no mutual signature algorithm");
                return false;
            }
            offered = identity;
            offeredAlgorithm = algorithm;
            String outOfDate = outOfDate(identity, key);
            if (outOfDate != null) {
                journal.debug(outOfDate);
                stale.add(outOfDate);
            }
            Buffer buffer = request(PUBLICKEY);
            buffer.putBoolean(false);
            buffer.putString(algorithm);
            buffer.putBytes(key.blob());
            send(buffer);
            return true;
        }

        /**
         * What there is to say of a certificate out of date. It is offered all the same, as OpenSSH
         * does: the server has a clock of its own.
         */
        private @Nullable String outOfDate(Identity identity, PublicIdentity key) {
            if (!key.isCertificate()) {
                return null;
            }
            try {
                Certificate certificate = Certificate.of(key);
                String reason = certificate.outOfDate(Instant.now().getEpochSecond());
                return reason == null
                        ? null
                        : reason + ": " + identity.name + ", " + certificate.named();
            } catch (Malformed e) {
                return "Certificate invalid: " + e.getMessage() + ": " + identity.name;
            }
        }

        /** OpenSSH's key_sig_algorithm. */
        private @Nullable String signatureAlgorithm(PublicIdentity key) {
            Set<String> byServer =
                    clientSession.getAttribute(DefaultClientKexExtensionHandler.SERVER_ALGORITHMS);
            for (String accepted : settings.pubkeyAcceptedAlgorithms()) {
                if ((byServer != null && key.isRsa())
                        ? Signatures.isFor(accepted, key)
                                && byServer.contains(Signatures.plain(accepted))
                        : accepted.equals(key.algorithm())) {
                    return accepted;
                }
            }
            return null;
        }

        private boolean isHostBound() {
            return settings.credentials().hostBound()
                    && clientSession.getAttribute(
                                    DefaultClientKexExtensionHandler.HOSTBOUND_AUTHENTICATION)
                            != null
                    && clientSession.getServerKey() != null;
        }

        private byte[] hostKeyString() {
            HostProof proof = clientSession.getAttribute(HostProof.OF);
            if (proof != null) {
                return new Writer().string(proof.hostKey()).bytes();
            }
            Buffer buffer = new ByteArrayBuffer();
            buffer.putPublicKey(clientSession.getServerKey());
            return buffer.getCompactData();
        }

        private void keyAccepted(Buffer buffer) throws Exception {
            String algorithm = buffer.getString();
            byte[] blob = buffer.getBytes();
            Identity identity = offered;
            PublicIdentity key = identity == null ? null : identity.key;
            offered = null;
            boolean sent = false;
            if (identity == null || key == null || !Arrays.equals(key.blob(), blob)) {
                journal.debug("input_userauth_pk_ok: server replied with unknown key");
            } else if (!algorithm.equals(offeredAlgorithm)) {
                journal.debug("input_userauth_pk_ok: type mismatch for decoded key");
            } else {
                journal.debug("Server accepts key: " + identity);
                sent = signAndSend(identity, key, null);
            }
            if (!sent) {
                next();
            }
        }

        /**
         * @param ready the private key when it has been loaded already
         */
        private boolean signAndSend(
                Identity identity, PublicIdentity key, @Nullable PrivateIdentity ready)
                throws IOException {
            String algorithm = signatureAlgorithm(key);
            if (algorithm == null) {
                journal.debug("sign_and_send_pubkey: no mutual supported signature algorithm");
                return false;
            }
            boolean bound = isHostBound();
            String method = bound ? HOST_BOUND : PUBLICKEY;
            journal.debug3("sign_and_send_pubkey: using " + method + " with " + key);
            Writer body =
                    new Writer()
                            .u8(SshConstants.SSH_MSG_USERAUTH_REQUEST)
                            .text(user)
                            .text(getCurrentServiceName())
                            .text(method)
                            .u8(1)
                            .text(algorithm)
                            .string(key.blob());
            if (bound) {
                body.raw(hostKeyString());
            }
            byte[] request = body.bytes();
            byte[] toSign = new Writer().string(clientSession.getSessionId()).raw(request).bytes();
            journal.debug3(
                    "sign_and_send_pubkey: signing using " + algorithm + " " + key.fingerprint());
            byte[] signature = sign(identity, key, ready, Signatures.plain(algorithm), toSign);
            if (signature == null) {
                return false;
            }
            Buffer buffer =
                    clientSession.createBuffer(
                            SshConstants.SSH_MSG_USERAUTH_REQUEST,
                            request.length + signature.length + 8);
            buffer.putRawBytes(request, 1, request.length - 1);
            buffer.putBytes(signature);
            send(buffer);
            return true;
        }

        private byte @Nullable [] sign(
                Identity identity,
                PublicIdentity key,
                @Nullable PrivateIdentity ready,
                String algorithm,
                byte[] data) {
            Identity signer = key.isCertificate() ? keyOf(identity, key) : identity;
            PublicIdentity signerKey = signer.key == null ? key : signer.key;
            Agent holder = signer.agentHasIt ? agent : null;
            try {
                if (holder != null) {
                    return holder.sign(signerKey, algorithm, data);
                }
                PrivateIdentity loaded = ready == null ? load(signer) : ready;
                if (loaded == null) {
                    return null;
                }
                if (!loaded.open().sameKey(key)) {
                    journal.error(
                            "identity_sign: private key "
                                    + signer.name
                                    + " contents do not match public");
                    return null;
                }
                HardwareKey hardware = loaded.hardware();
                return hardware == null
                        ? loaded.sign(algorithm, data)
                        : signElsewhere(hardware, loaded.open(), signer.name, data);
            } catch (Agent.Silent e) {
                journal.error(silent(settings.identityAgent(), Agent.SIGNING));
                release();
                return null;
            } catch (IOException | GeneralSecurityException e) {
                journal.error(
                        "sign_and_send_pubkey: signing failed for "
                                + signerKey.typeName()
                                + " \""
                                + signer.name
                                + "\""
                                + (holder != null
                                        ? " from agent: " + e.getMessage()
                                        : isOnHardware(signerKey)
                                                ? ": " + e.getMessage()
                                                : ": error in libcrypto"));
                return null;
            }
        }

        private static boolean isOnHardware(PublicIdentity key) {
            return key.algorithm().startsWith("sk-");
        }

        /** OpenSSH's identity_sign: the person is told to touch, and asked for a PIN once. */
        private byte[] signElsewhere(
                HardwareKey hardware, PublicIdentity key, String name, byte[] data)
                throws IOException, GeneralSecurityException {
            String provider = settings.credentials().securityKeyProvider();
            if (provider == null) {
                throw new GeneralSecurityException("no SecurityKeyProvider");
            }
            try {
                return touched(hardware, key, provider, "", data);
            } catch (HardwareKey.PinWanted e) {
                if (settings.batchMode()) {
                    throw e;
                }
                String prompt = "Enter PIN for " + key.typeName() + " key " + name + ": ";
                return touched(hardware, key, provider, ask(prompt, Prompter.Echo.OFF), data);
            }
        }

        private byte[] touched(
                HardwareKey hardware, PublicIdentity key, String provider, String pin, byte[] data)
                throws IOException, GeneralSecurityException {
            if (!hardware.wantsTouch()) {
                return hardware.sign(provider, pin, data, journal);
            }
            String notice = "Confirm user presence for key " + key;
            // In a file or a log it would come too late.
            boolean told = !settings.batchMode() && Terminal.isTerminal(STDERR);
            if (told) {
                stderr.accept("\r" + notice + "\r\n");
            }
            byte[] signature =
                    prompter.touched(
                            told || settings.batchMode() ? "" : notice,
                            () -> hardware.sign(provider, pin, data, journal));
            if (told) {
                stderr.accept("\rUser presence confirmed\r\n");
            }
            return signature;
        }

        /** The separate private key of a certificate, or the certificate's own entry. */
        private Identity keyOf(Identity certified, PublicIdentity certificate) {
            for (Identity other : identities) {
                if (other.key != null
                        && !other.key.isCertificate()
                        && other.key.sameKey(certificate)) {
                    journal.debug2(
                            "sign_and_send_pubkey: using private key \""
                                    + other.name
                                    + "\""
                                    + (other.agentHasIt ? " from agent" : "")
                                    + " for certificate");
                    return other;
                }
            }
            journal.debug("no separate private key for certificate \"" + certified.name + "\"");
            return certified;
        }

        /** OpenSSH's load_identity_file: first without a pass phrase, then with up to three. */
        private @Nullable PrivateIdentity load(Identity identity) {
            Path file = identity.file;
            if (file == null) {
                return null;
            }
            if (!IdentityFile.exists(file)) {
                journal.write(
                        identity.given ? Log.Level.INFO : Log.Level.DEBUG3,
                        "no such identity: " + Octets.text(file) + ": No such file or directory");
                return null;
            }
            String prompt = "Enter passphrase for key '" + Octets.text(file) + "': ";
            for (int attempt = 0; attempt <= settings.numberOfPasswordPrompts(); attempt++) {
                String passphrase = attempt == 0 ? "" : ask(prompt, Prompter.Echo.OFF);
                if (attempt > 0 && passphrase.isEmpty()) {
                    journal.debug2("no passphrase given, try next key");
                    return null;
                }
                switch (IdentityFile.load(file, passphrase, journal)) {
                    case IdentityFile.Loaded(PrivateIdentity loaded) -> {
                        int bits = loaded.rsaBits();
                        if (bits >= 0 && bits < settings.requiredRsaSize()) {
                            journal.debug(
                                    "load_identity_file: Skipping key "
                                            + Octets.text(file)
                                            + ": Invalid key length");
                            return null;
                        }
                        if (loaded.isElsewhere()
                                && settings.credentials().securityKeyProvider() == null) {
                            journal.debug(
                                    "key \""
                                            + Octets.text(file)
                                            + "\" is an authenticator-hosted key, but no provider"
                                            + " specified");
                            return null;
                        }
                        if (!identity.agentHasIt) {
                            addToAgent(file, loaded);
                        }
                        return loaded;
                    }
                    case IdentityFile.WrongPassphrase() -> {
                        if (settings.batchMode()) {
                            return null;
                        }
                        if (attempt > 0) {
                            journal.debug2("bad passphrase given, try again...");
                        }
                    }
                    case IdentityFile.Missing() -> {
                        journal.debug2(
                                "Load key \""
                                        + Octets.text(file)
                                        + "\": No such file or directory");
                        return null;
                    }
                    case IdentityFile.Unusable(String reason) -> {
                        journal.error("Load key \"" + Octets.text(file) + "\": " + reason);
                        return null;
                    }
                }
            }
            return null;
        }

        // ---- keyboard-interactive (RFC 4256)

        private boolean askForQuestions() throws IOException {
            if (interactiveAttempts++ >= settings.numberOfPasswordPrompts()) {
                return false;
            }
            if (interactiveAttempts > 1 && !questionsSeen) {
                journal.debug3("userauth_kbdint: disable: no info_req_seen");
                return false;
            }
            journal.debug2("userauth_kbdint");
            Buffer buffer = request(KEYBOARD_INTERACTIVE);
            buffer.putString(""); // a language, which nobody asks for any more
            buffer.putString(settings.protocol().devices());
            send(buffer);
            return true;
        }

        private void questions(Buffer buffer) throws Exception {
            journal.debug2("input_userauth_info_req: entering");
            questionsSeen = true;
            Reader in = new Reader(buffer.getCompactData());
            say(in.text());
            say(in.text());
            in.string(); // the language
            int count = in.u32();
            journal.debug2("input_userauth_info_req: num_prompts " + count);
            List<String> answers = new ArrayList<>();
            for (int i = 0; i < count; i++) {
                String prompt = "(" + user + "@" + promptHost + ") " + Visible.of(in.text());
                Prompter.Echo echo = in.u8() == 0 ? Prompter.Echo.OFF : Prompter.Echo.ON;
                answers.add(ask(prompt, echo));
            }
            Buffer reply =
                    clientSession.createBuffer(SshConstants.SSH_MSG_USERAUTH_INFO_RESPONSE, 256);
            reply.putInt(answers.size());
            for (String answer : answers) {
                reply.putString(answer);
            }
            send(reply);
        }

        private void say(String text) {
            if (!text.isEmpty()) {
                journal.info(Visible.of(text));
            }
        }

        // ---- password

        private boolean sendPassword() throws IOException {
            if (passwordAttempts++ >= settings.numberOfPasswordPrompts()) {
                return false;
            }
            if (passwordAttempts != 1) {
                journal.error("Permission denied, please try again.");
            }
            String password = ask(user + "@" + promptHost + "'s password: ", Prompter.Echo.OFF);
            Buffer buffer = request(PASSWORD);
            buffer.putBoolean(false);
            buffer.putString(password);
            send(buffer);
            return true;
        }

        /** The server wants a new password before it lets the person in (RFC 4252, section 8). */
        private void passwordChange(Buffer buffer) throws IOException {
            journal.debug2("input_userauth_passwd_changereq");
            say(buffer.getString());
            String name = user + "@" + promptHost;
            String old = ask("Enter " + name + "'s old password: ", Prompter.Echo.OFF);
            String fresh;
            while (true) {
                String first = askOrNull("Enter " + name + "'s new password: ", Prompter.Echo.OFF);
                if (first == null) {
                    return; // as OpenSSH: nothing is sent, and the server's patience decides
                }
                if (first.equals(ask("Retype " + name + "'s new password: ", Prompter.Echo.OFF))) {
                    fresh = first;
                    break;
                }
                journal.info("Mismatch; try again, EOF to quit.");
            }
            Buffer request = request(PASSWORD);
            request.putBoolean(true);
            request.putString(old);
            request.putString(fresh);
            send(request);
        }

        /** As OpenSSH's read_passphrase: where nobody can be asked the answer is empty. */
        private String ask(String prompt, Prompter.Echo echo) {
            String answer = askOrNull(prompt, echo);
            return answer == null ? "" : answer;
        }

        private @Nullable String askOrNull(String prompt, Prompter.Echo echo) {
            try {
                return prompter.ask(prompt, echo);
            } catch (IOException e) {
                journal.debug("read_passphrase: " + e.getMessage());
                return null;
            }
        }
    }
}
