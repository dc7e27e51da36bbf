package holdfast.ssh.server.auth;

import holdfast.ssh.auth.AgentKey;
import holdfast.ssh.auth.Certificate;
import holdfast.ssh.auth.IdentityFile;
import holdfast.ssh.auth.PrivateIdentity;
import holdfast.ssh.auth.PublicIdentity;
import holdfast.ssh.auth.Wire;
import holdfast.ssh.config.ServerSettings;
import holdfast.ssh.crypto.JdkCrypto;
import holdfast.ssh.forward.ServerSide;
import holdfast.ssh.log.Log;
import holdfast.ssh.log.Reason;
import holdfast.ssh.octets.Octets;
import holdfast.ssh.server.SlowKey;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyPair;
import java.security.PublicKey;
import java.security.interfaces.RSAKey;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.apache.sshd.common.SshConstants;
import org.apache.sshd.common.channel.RequestHandler;
import org.apache.sshd.common.config.keys.KeyUtils;
import org.apache.sshd.common.config.keys.OpenSshCertificate;
import org.apache.sshd.common.kex.KexProposalOption;
import org.apache.sshd.common.keyprovider.HostKeyCertificateProvider;
import org.apache.sshd.common.keyprovider.KeyPairProvider;
import org.apache.sshd.common.session.ConnectionService;
import org.apache.sshd.common.session.Session;
import org.apache.sshd.common.session.SessionContext;
import org.apache.sshd.common.util.buffer.Buffer;
import org.apache.sshd.common.util.buffer.ByteArrayBuffer;
import org.apache.sshd.server.SshServer;
import org.jspecify.annotations.Nullable;

/** The keys and certificates a server proves itself with, loaded as OpenSSH's sshd.c loads them. */
public final class HostKeys {

    private static final String PROVE = "hostkeys-prove-00@openssh.com";

    /** A key of this server's. */
    private record Held(PublicIdentity open, KeyPair pair, Signing signing) {}

    /** What signs with it: its private half, or whoever has that. */
    private interface Signing {
        byte[] sign(String algorithm, byte[] data) throws Exception;
    }

    /** A certificate, and the key that it is for. */
    private record Certified(OpenSshCertificate certificate, Held key) {}

    /** Each once, in order. */
    private final List<Held> all;

    /** The first of each type, which is the one that signs without a certificate. */
    private final Map<String, Held> byType = new LinkedHashMap<>();

    private final List<Certified> certificates;

    private HostKeys(List<Held> all, List<Certified> certificates) {
        this.all = List.copyOf(all);
        this.certificates = List.copyOf(certificates);
        all.forEach(held -> byType.putIfAbsent(held.open.algorithm(), held));
    }

    /** Reads HostKey and HostCertificate files; what cannot be used is told of and left out. */
    public static HostKeys load(ServerSettings settings, Log log) {
        JdkCrypto.install();
        Log.Level level = settings.hostKeyGiven() ? Log.Level.ERROR : Log.Level.DEBUG1;
        List<Held> all = new ArrayList<>();
        int number = 0;
        String agent = agent(settings, log);
        for (Path file : settings.hostKey()) {
            PublicIdentity itself = agent == null ? null : publicFile(file);
            PrivateIdentity loaded = itself != null ? null : key(file, level, log);
            PublicIdentity beside = publicFile(Octets.path(Octets.text(file) + ".pub"));
            PublicIdentity open = loaded != null ? loaded.open() : itself != null ? itself : beside;
            if (open == null || (loaded == null && agent == null)) {
                log.write(level, "Unable to load host key: " + file);
                continue;
            }
            if (loaded != null && beside != null && !beside.sameKey(open)) {
                log.error("Public key for " + file + " does not match private key");
            }
            try {
                PublicKey decoded = new ByteArrayBuffer(open.blob()).getRawPublicKey();
                if (decoded instanceof RSAKey rsa
                        && rsa.getModulus().bitLength() < settings.requiredRsaSize()) {
                    log.error("main: Host key " + file + ": Invalid key length");
                    continue;
                }
                Held held;
                if (loaded != null) {
                    held = new Held(open, new KeyPair(decoded, loaded.secret()), loaded::sign);
                } else {
                    log.debug("will rely on agent for hostkey " + file);
                    AgentKey there = new AgentKey(Objects.requireNonNull(agent), open);
                    KeyPair pair = new KeyPair(decoded, new AgentSignature.Elsewhere(there));
                    held = new Held(open, pair, there::sign);
                }
                if (all.stream().noneMatch(other -> other.open.sameKey(open))) {
                    all.add(held);
                }
                log.debug(
                        (loaded != null ? "private" : "agent")
                                + " host key #"
                                + number++
                                + ": "
                                + open.algorithm()
                                + " "
                                + KeyCheck.fingerprint(settings, open));
            } catch (Exception e) {
                log.error("Unable to load host key \"" + file + "\": " + e.getMessage());
            }
        }
        List<Certified> certificates = new ArrayList<>();
        for (Path file : settings.hostCertificate()) {
            Certified certificate = certificate(file, all, log);
            if (certificate != null) {
                certificates.add(certificate);
            }
        }
        return new HostKeys(all, certificates);
    }

    /** The socket of the agent that holds private halves (HostKeyAgent); null: none does. */
    private static @Nullable String agent(ServerSettings settings, Log log) {
        String named = settings.hostKeyAgent();
        String socket = "SSH_AUTH_SOCK".equals(named) ? System.getenv(named) : named;
        if (named != null && socket == null) {
            log.error("Could not connect to agent \"" + named + "\": agent not present");
        }
        try {
            if (socket != null) {
                AgentKey.reach(socket);
            }
            return socket;
        } catch (IOException e) {
            log.error("Could not connect to agent \"" + socket + "\": " + Reason.of(e));
            return null;
        }
    }

    private static @Nullable PrivateIdentity key(Path file, Log.Level level, Log log) {
        return switch (IdentityFile.load(file, "", log)) {
            case IdentityFile.Loaded(PrivateIdentity identity) -> {
                if (identity.isElsewhere()) {
                    log.write(
                            level,
                            "Unable to load host key \""
                                    + file
                                    + "\": unknown or unsupported key type");
                    yield null;
                }
                yield identity;
            }
            case IdentityFile.Missing() -> null;
            case IdentityFile.WrongPassphrase() -> {
                log.write(
                        level,
                        "Unable to load host key \""
                                + file
                                + "\": incorrect passphrase supplied to decrypt private key");
                yield null;
            }
            case IdentityFile.Unusable(String reason) -> {
                log.write(level, "Unable to load host key \"" + file + "\": " + reason);
                yield null;
            }
        };
    }

    private static @Nullable PublicIdentity publicFile(Path file) {
        try {
            return PublicIdentity.ofText(Files.readString(file, StandardCharsets.ISO_8859_1));
        } catch (IOException absent) {
            return null;
        }
    }

    private static @Nullable Certified certificate(Path file, List<Held> keys, Log log) {
        String text;
        try {
            text = Files.readString(file, StandardCharsets.ISO_8859_1);
        } catch (IOException e) {
            log.error("Could not load host certificate \"" + file + "\": " + Reason.of(e));
            return null;
        }
        PublicIdentity itself = PublicIdentity.ofText(text);
        Path other = Octets.path(Octets.text(file) + ".pub");
        PublicIdentity read = itself == null ? publicFile(other) : itself;
        if (read == null) {
            // OpenSSH tells of the file that it tried last.
            String why = Files.exists(other) ? "invalid format" : "No such file or directory";
            log.error("Could not load host certificate \"" + file + "\": " + why);
            return null;
        }
        if (!read.isCertificate()) {
            log.error("Certificate file is not a certificate: " + file);
            return null;
        }
        Held key = keys.stream().filter(held -> held.open.sameKey(read)).findFirst().orElse(null);
        if (key == null) {
            log.error("No matching private key for certificate: " + file);
            return null;
        }
        try {
            if (Certificate.of(read).kind() != Certificate.Kind.HOST) {
                log.error("Certificate file is not a host certificate: " + file);
                return null;
            }
            return new Certified(
                    (OpenSshCertificate) new ByteArrayBuffer(read.blob()).getRawPublicKey(), key);
        } catch (Exception e) {
            log.error("Could not load host certificate \"" + file + "\": " + e.getMessage());
            return null;
        }
    }

    /** True if there is none; sshd does not start then. */
    public boolean isEmpty() {
        return all.isEmpty();
    }

    /** What a known_hosts file has of each: {@code ssh-ed25519 AAAA...}, in order. */
    public List<String> lines() {
        return all.stream()
                .map(held ->
                        held.open.algorithm()
                                + " "
                                + java.util.Base64.getEncoder().encodeToString(held.open.blob()))
                .toList();
    }

    /**
     * Tells a client that has logged in which keys this server has, so that it can learn those it
     * does not know yet (hostkeys-00@openssh.com, PROTOCOL of OpenSSH).
     */
    void announce(Session session) throws IOException {
        Buffer buffer = session.createBuffer(SshConstants.SSH_MSG_GLOBAL_REQUEST, 1024);
        buffer.putString("hostkeys-00@openssh.com");
        buffer.putBoolean(false);
        for (Held held : all) {
            buffer.putBytes(held.open.blob());
        }
        session.writePacket(buffer);
    }

    /** Proves that this server has the keys that a client asks after (hostkeys-prove-00). */
    RequestHandler.Result prove(
            ConnectionService service, String request, boolean wantReply, Buffer buffer)
            throws Exception {
        if (!request.equals(PROVE)) {
            return RequestHandler.Result.Unsupported;
        }
        Session session = service.getSession();
        Map<ByteBuffer, Held> left = new HashMap<>();
        all.forEach(held -> left.put(ByteBuffer.wrap(held.open.blob()), held));
        List<Held> asked = new ArrayList<>();
        while (buffer.available() > 0) {
            // Each once: a signature costs more than the asking.
            Held held = left.remove(ByteBuffer.wrap(buffer.getBytes()));
            if (held == null) {
                return RequestHandler.Result.ReplyFailure;
            }
            asked.add(held);
        }
        Runnable answer =
                () -> {
                    try {
                        Buffer reply = proofs(session, asked);
                        if (wantReply) {
                            session.writePacket(reply);
                        }
                    } catch (Exception e) {
                        session.exceptionCaught(e);
                    }
                };
        for (Held held : asked) {
            if (held.pair.getPrivate() instanceof SlowKey slow) {
                ServerSide.later(service, slow::elsewhere, answer);
                return RequestHandler.Result.Replied;
            }
        }
        answer.run();
        return RequestHandler.Result.Replied;
    }

    private static Buffer proofs(Session session, List<Held> asked) throws Exception {
        Buffer reply = session.createBuffer(SshConstants.SSH_MSG_REQUEST_SUCCESS, 2048);
        for (Held held : asked) {
            byte[] data =
                    new Wire.Writer()
                            .text(PROVE)
                            .string(session.getSessionId())
                            .string(held.open.blob())
                            .bytes();
            reply.putBytes(held.signing.sign(algorithm(session, held), data));
        }
        return reply;
    }

    /** For RSA the kind of signature that this connection began with, else the best there is. */
    private static String algorithm(Session session, Held held) {
        if (!held.open.isRsa()) {
            return held.open.algorithm();
        }
        String agreed = session.getNegotiatedKexParameter(KexProposalOption.SERVERKEYS);
        return "rsa-sha2-256".equals(agreed) ? agreed : "rsa-sha2-512";
    }

    /** Gives them to a server, for connections to come. */
    void install(SshServer server) {
        server.setKeyPairProvider(new Pairs());
        server.setSignatureFactories(AgentSignature.all(server.getSignatureFactories()));
        server.setHostKeyCertificateProvider(certificates.isEmpty() ? null : new Certificates());
    }

    private final class Pairs implements KeyPairProvider {
        @Override
        public Iterable<KeyPair> loadKeys(@Nullable SessionContext session) {
            return byType.values().stream().map(Held::pair).toList();
        }

        /** The key of the certificate, where one was agreed upon: MINA asks for its type only. */
        @Override
        public @Nullable KeyPair loadKey(@Nullable SessionContext session, String type) {
            Certified certified = agreed(session);
            Held held = certified == null ? byType.get(type) : certified.key;
            return held == null ? null : held.pair;
        }

        private @Nullable Certified agreed(@Nullable SessionContext session) {
            return session instanceof Session connection
                    ? certified(
                            KeyUtils.getCanonicalKeyType(
                                    connection.getNegotiatedKexParameter(
                                            KexProposalOption.SERVERKEYS)))
                    : null;
        }

        @Override
        public Iterable<String> getKeyTypes(@Nullable SessionContext session) {
            return List.copyOf(byType.keySet());
        }
    }

    private final class Certificates implements HostKeyCertificateProvider {
        @Override
        public Iterable<OpenSshCertificate> loadCertificates(@Nullable SessionContext session)
                throws IOException, GeneralSecurityException {
            return certificates.stream().map(Certified::certificate).toList();
        }

        /** By the negotiated type, which MINA reduces to the one that a certificate's key has. */
        @Override
        public @Nullable OpenSshCertificate loadCertificate(
                @Nullable SessionContext session, String type) {
            Certified certified = certified(type);
            return certified == null ? null : certified.certificate;
        }
    }

    /** The first of this type, such as {@code ssh-rsa-cert-v01@openssh.com}. */
    private @Nullable Certified certified(@Nullable String type) {
        for (Certified each : certificates) {
            if (each.certificate.getKeyType().equals(type)) {
                return each;
            }
        }
        return null;
    }
}
