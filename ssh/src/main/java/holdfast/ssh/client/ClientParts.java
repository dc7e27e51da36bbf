package holdfast.ssh.client;

import holdfast.core.liveness.LinkEvent;
import holdfast.ssh.auth.Authentication;
import holdfast.ssh.auth.AuthenticationFailed;
import holdfast.ssh.config.ClientComfort;
import holdfast.ssh.config.ClientSettings;
import holdfast.ssh.crypto.Algorithms;
import holdfast.ssh.crypto.JdkCrypto;
import holdfast.ssh.crypto.PacketRandom;
import holdfast.ssh.crypto.Rehearsal;
import holdfast.ssh.forward.ClientSide;
import holdfast.ssh.hostkeys.HostKeyCheck;
import holdfast.ssh.hostkeys.HostKeyUpdate;
import holdfast.ssh.link.CalledOff;
import holdfast.ssh.link.LinkLoop;
import holdfast.ssh.log.Log;
import holdfast.ssh.terminal.Prompter;
import holdfast.ssh.terminal.Terminal;
import java.io.IOException;
import java.net.InetAddress;
import java.security.GeneralSecurityException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import java.util.function.Consumer;
import org.apache.sshd.client.SshClient;
import org.apache.sshd.client.config.hosts.HostConfigEntryResolver;
import org.apache.sshd.client.config.keys.ClientIdentityLoader;
import org.apache.sshd.common.compression.BuiltinCompressions;
import org.apache.sshd.common.config.keys.FilePasswordProvider;
import org.apache.sshd.common.forward.DefaultForwarderFactory;
import org.apache.sshd.common.global.KeepAliveHandler;
import org.apache.sshd.common.keyprovider.KeyIdentityProvider;
import org.apache.sshd.core.CoreModuleProperties;
import org.jspecify.annotations.Nullable;

/**
 * What one connection is made of: the algorithms, the host key check and the authentication, fitted
 * into MINA's client with all of MINA's own timers off.
 */
final class ClientParts {

    /** MINA knows no "for ever"; longer than any session. */
    private static final Duration FOREVER = Duration.ofDays(365_000);

    /**
     * OpenSSH renews the keys of a cipher with short blocks (chacha20-poly1305) every GiB. A
     * different number keeps the two ends from starting at the same packet.
     */
    private static final long SHORT_BLOCK_REKEY = 768L << 20;

    /**
     * RFC 4344 section 3.2 asks for new keys after 2^32 blocks of 16 bytes; half of that, as
     * OpenSSH.
     */
    private static final long LONG_BLOCK_REKEY = 32L << 30;

    /**
     * What a peer may send before we have taken it: twice OpenSSH's, because we give it back in
     * larger parts.
     */
    private static final long WINDOW = 4L << 20;

    private static final class Lean extends SshClient {
        /** Completes what is unset, as start() would, but opens no sockets of its own. */
        void ready() {
            checkConfig();
        }
    }

    private final ClientSettings settings;
    private final Prompter prompter;
    private final Log log;
    private final Consumer<String> stderr;
    private final ClientSide forwards;
    private final @Nullable JumpSharing jumps;
    private volatile @Nullable HostKeyCheck hostKeyCheck;
    private final HostKeyNews hostKeyNews;
    private boolean hostKeyRejected;
    private final FutureTask<Lean> mina =
            new FutureTask<>(() -> {
                JdkCrypto.install();
                return new Lean();
            });
    private @Nullable Authentication authentication;

    /** Tells the loop while a person is being asked. */
    private record Watched(Prompter prompter, LinkLoop loop) implements Prompter {

        @Override
        public @Nullable String ask(String prompt, Echo echo) throws IOException {
            loop.post(new LinkEvent.PersonAsked());
            try {
                return prompter.ask(prompt, echo);
            } finally {
                loop.post(new LinkEvent.PersonAnswered());
            }
        }

        @Override
        public boolean permits(String question) throws IOException {
            loop.post(new LinkEvent.PersonAsked());
            try {
                return prompter.permits(question);
            } finally {
                loop.post(new LinkEvent.PersonAnswered());
            }
        }

        @Override
        public byte[] touched(String notice, Touch touch)
                throws IOException, GeneralSecurityException {
            loop.post(new LinkEvent.PersonAsked());
            try {
                return prompter.touched(notice, touch);
            } finally {
                loop.post(new LinkEvent.PersonAnswered());
            }
        }
    }

    ClientParts(
            ClientSettings settings,
            Prompter prompter,
            Log log,
            Consumer<String> stderr,
            ClientSide forwards,
            @Nullable JumpSharing jumps) {
        this(settings, prompter, log, stderr, forwards, jumps, false);
    }

    private ClientParts(
            ClientSettings settings,
            Prompter prompter,
            Log log,
            Consumer<String> stderr,
            ClientSide forwards,
            @Nullable JumpSharing jumps,
            boolean hop) {
        this.settings = settings;
        this.forwards = forwards;
        this.jumps = jumps;
        // What is asked of a jump host would be asked while the next one asks.
        hostKeyNews = new HostKeyNews(this::hostKeyUpdate, !hop && asksBefore(settings), log);
        this.prompter = prompter;
        this.log = log;
        this.stderr = stderr;
    }

    /**
     * The same for a jump host: its own settings, and nothing forwarded but what goes through.
     *
     * @param shared whether others may use it as well, and have its agent forwarded
     */
    ClientParts forHop(ClientSettings hop, Allowance allowance, boolean shared) {
        Log own = log.at(hop.logLevel());
        Prompter asking = hop.batchMode() ? (prompt, echo) -> null : prompter;
        return new ClientParts(
                hop,
                allowance.uncounted(asking),
                own,
                stderr,
                new ClientSide(
                        hop.forwards(),
                        shared ? hop.credentials().forwardAgent() : null,
                        own,
                        why -> {}),
                jumps == null ? null : jumps.before(),
                true);
    }

    /** The same for the way to the server when it must be found again: nobody is asked anything. */
    ClientParts again() {
        return new ClientParts(
                settings,
                (prompt, echo) -> null,
                log,
                text -> {},
                forwards,
                jumps == null ? null : jumps.again(),
                true);
    }

    /**
     * UpdateHostKeys ask: only where nothing else is going on, as OpenSSH, and a person can answer.
     */
    static boolean asksBefore(ClientSettings settings) {
        return settings.comfort().updateHostKeys() == ClientComfort.UpdateHostKeys.ASK
                && !settings.batchMode()
                && settings.command() == null
                && settings.forwards().stdio() == null;
    }

    private @Nullable HostKeyUpdate hostKeyUpdate() {
        HostKeyCheck check = hostKeyCheck;
        return check == null ? null : check.update();
    }

    /** Null: no connection to a jump host is shared. */
    @Nullable JumpSharing jumps() {
        return jumps;
    }

    /** A jump host's LocalCommand: our output belongs to the session beyond it. */
    void localCommand() {
        String command = settings.comfort().localCommand();
        if (command == null || !settings.comfort().permitLocalCommand()) {
            return;
        }
        try {
            LocalCommand.aside(settings.comfort().shell(), command, log);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    Prompter prompter() {
        return prompter;
    }

    ClientSide forwards() {
        return forwards;
    }

    HostKeyNews hostKeyNews() {
        return hostKeyNews;
    }

    Log log() {
        return log;
    }

    /**
     * Begins what takes a while and needs nothing to be known, on a thread of its own, while the
     * way to the server is found and its first bytes are waited for: MINA's classes, then the
     * arithmetic of a login. No other thread may use MINA before {@link #fitted}: two that
     * initialize its classes could wait for each other.
     */
    void prepare() {
        Thread.ofPlatform()
                .daemon()
                .name(Terminal.COMPUTES)
                .start(() -> {
                    mina.run();
                    Rehearsal.run(settings.kexAlgorithms());
                });
    }

    private Lean mina() throws ClientFailure {
        mina.run(); // unless it was, or is being
        try {
            return mina.get();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new ClientFailure("interrupted");
        } catch (ExecutionException e) {
            throw new IllegalStateException(e);
        }
    }

    /**
     * A MINA client for one connection.
     *
     * @param address the server's; null where there is none to be known
     * @param loop told while a person is being asked
     */
    SshClient fitted(@Nullable InetAddress address, LinkLoop loop) throws ClientFailure {
        Prompter watched = new Watched(prompter, loop);
        HostKeyCheck check = new HostKeyCheck(settings, watched, log);
        hostKeyCheck = check;
        Lean client = mina();
        try {
            Algorithms.install(
                    client,
                    Algorithms.Side.CLIENT,
                    settings.kexAlgorithms(),
                    settings.ciphers(),
                    settings.macs(),
                    check.orderAlgorithms(new ArrayList<>(settings.hostKeyAlgorithms())));
        } catch (IllegalArgumentException e) {
            throw new ClientFailure(String.valueOf(e.getMessage()));
        }
        client.setRandomFactory(new PacketRandom());
        client.setCompressionFactories(
                settings.compression()
                        ? List.of(CountedZlib.FACTORY, BuiltinCompressions.none)
                        : List.of(BuiltinCompressions.none));
        client.setKexExtensionHandler(ServerExtensions.INSTANCE);
        client.setForwarderFactory(DefaultForwarderFactory.INSTANCE);
        client.setChannelFactories(forwards.channels());
        client.setGlobalRequestHandlers(List.of(KeepAliveHandler.INSTANCE, hostKeyNews));
        client.setHostConfigEntryResolver(HostConfigEntryResolver.EMPTY);
        client.setClientIdentityLoader(ClientIdentityLoader.DEFAULT);
        client.setFilePasswordProvider(FilePasswordProvider.EMPTY);
        client.setKeyIdentityProvider(KeyIdentityProvider.EMPTY_KEYS_PROVIDER);
        Authentication login = Authentication.install(client, settings, watched, log, stderr);
        authentication = login;
        // The bytes decide, as they came: MINA is to leave certificates to us.
        CoreModuleProperties.ABORT_ON_INVALID_CERTIFICATE.set(client, false);
        client.setServerKeyVerifier((session, peer, key) ->
                verified(check, address, ((Transport) session).shownHostKey(), login));
        noTimers(client);
        CalledOff.isForgotten(client);
        client.ready();
        return client;
    }

    /** The method of authentication that worked in the end. */
    String methodUsed() {
        Authentication login = authentication;
        return login == null ? "none" : login.methodUsed();
    }

    private boolean verified(
            HostKeyCheck check,
            @Nullable InetAddress address,
            byte[] key,
            Authentication authentication) {
        return switch (check.check(address, key)) {
            case HostKeyCheck.Accepted accepted -> {
                if (!accepted.passwordsAllowed()) {
                    authentication.forbidPasswords();
                    forwards.forbid();
                }
                yield true;
            }
            case HostKeyCheck.Rejected _ -> {
                hostKeyRejected = true;
                yield false;
            }
        };
    }

    private void noTimers(SshClient client) {
        CoreModuleProperties.IDLE_TIMEOUT.set(client, Duration.ZERO);
        CoreModuleProperties.AUTH_TIMEOUT.set(client, Duration.ZERO);
        CoreModuleProperties.WAIT_FOR_SPACE_TIMEOUT.set(client, FOREVER);
        CoreModuleProperties.CHANNEL_CLOSE_TIMEOUT.set(client, FOREVER);
        CoreModuleProperties.WINDOW_SIZE.set(client, WINDOW);
        long limit = settings.rekeyLimitBytes();
        if (limit == 0) {
            boolean shortBlocks = settings.ciphers().getFirst().startsWith("chacha20");
            limit = shortBlocks ? SHORT_BLOCK_REKEY : LONG_BLOCK_REKEY;
        }
        CoreModuleProperties.REKEY_BYTES_LIMIT.set(client, limit);
        CoreModuleProperties.REKEY_TIME_LIMIT.set(client, settings.rekeyLimitTime());
    }

    /**
     * What the host key check or the authentication had to say of a failure; empty when it has been
     * said already; null when it was neither of them.
     */
    @Nullable List<String> describe(@Nullable Throwable failure) {
        if (hostKeyRejected) {
            return List.of();
        }
        String line = AuthenticationFailed.lineIn(failure);
        return line == null ? null : List.of(line);
    }
}
