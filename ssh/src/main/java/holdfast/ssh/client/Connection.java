package holdfast.ssh.client;

import holdfast.core.liveness.Cause;
import holdfast.core.liveness.LinkCommand;
import holdfast.core.liveness.LinkEvent;
import holdfast.core.liveness.LivenessPolicy;
import holdfast.core.liveness.Phase;
import holdfast.ssh.config.ClientSettings;
import holdfast.ssh.link.LinkClock;
import holdfast.ssh.link.LinkLoop;
import holdfast.ssh.link.PromptStream;
import holdfast.ssh.link.Wire;
import holdfast.ssh.log.Log;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.SocketAddress;
import java.net.StandardSocketOptions;
import java.nio.channels.SocketChannel;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicReference;
import org.apache.sshd.client.SshClient;
import org.apache.sshd.client.session.ClientSessionImpl;
import org.apache.sshd.client.session.SessionFactory;
import org.apache.sshd.common.SshConstants;
import org.apache.sshd.common.io.IoSession;
import org.jspecify.annotations.Nullable;

/**
 * One authenticated SSH connection: dialled, verified, proved, watched over by a {@link LinkLoop},
 * and at its end able to say why it ended in OpenSSH's words.
 */
final class Connection implements AutoCloseable {

    /**
     * How long opening may take once connected when no ConnectTimeout says otherwise, the person's
     * time not counted: sshd's own LoginGraceTime, so that a server is never given up that would
     * still have answered.
     */
    private static final Duration OPENING_LIMIT = Duration.ofMinutes(2);

    /** Told when the link is in doubt and when no longer; called on the loop's thread. */
    interface Doubts {
        void show(LinkCommand.ShowDoubt doubt);

        void hide();
    }

    private final ClientSettings settings;
    private final Log log;
    private final Transport transport;
    private final LinkLoop loop;
    private final AtomicReference<Ending> ending;
    private final CountDownLatch ended;
    private final InetSocketAddress address;
    private final SocketChannel channel;

    private Connection(
            ClientSettings settings,
            Log log,
            Transport transport,
            LinkLoop loop,
            Opening opening,
            SocketChannel channel,
            InetSocketAddress address) {
        this.settings = settings;
        this.log = log;
        this.transport = transport;
        this.loop = loop;
        this.ending = opening.ending;
        this.ended = opening.ended;
        this.channel = channel;
        this.address = address;
    }

    /** What the threads of a connection share while it comes up, before there is a Connection. */
    private static final class Opening implements LinkLoop.Hands, Wire.Listener {
        final AtomicReference<Ending> ending = new AtomicReference<>();
        final CountDownLatch ended = new CountDownLatch(1);
        final Doubts doubts;
        volatile @Nullable Transport transport;
        volatile @Nullable Wire wire;
        volatile @Nullable LinkLoop loop;

        Opening(Doubts doubts) {
            this.doubts = doubts;
        }

        @Override
        public void perform(LinkCommand command) {
            switch (command) {
                case LinkCommand.SendProbe probe -> {
                    Transport session = transport;
                    if (session != null) {
                        session.probe(probe.sent());
                    }
                }
                case LinkCommand.ShowDoubt doubt -> doubts.show(doubt);
                case LinkCommand.HideDoubt _ -> doubts.hide();
                case LinkCommand.Condemn condemn -> {
                    ending.compareAndSet(null, new Ending.Condemned(condemn.cause()));
                    finish();
                }
            }
        }

        @Override
        public void heardBytes() {
            LinkLoop watching = loop;
            if (watching != null) {
                watching.heardBytes();
            }
        }

        @Override
        public void ended(Wire.End end) {
            ending.compareAndSet(
                    null,
                    switch (end) {
                        case Wire.End.Eof _ -> new Ending.Closed();
                        case Wire.End.ReadFailed failed -> new Ending.Broken(failed.error(), false);
                        case Wire.End.WriteFailed failed -> new Ending.Broken(failed.error(), true);
                    });
            finish();
        }

        /** Ends the stream at once, without a word to a peer that may not be there. */
        void finish() {
            Wire stream = wire;
            if (stream != null) {
                stream.close(true);
            }
            ended.countDown();
        }
    }

    /**
     * Opens a connection.
     *
     * @throws ClientFailure with OpenSSH's words when it cannot be
     */
    static Connection open(
            ClientSettings settings,
            ClientParts parts,
            LinkClock clock,
            LinkLoop.Watcher watcher,
            Doubts doubts,
            boolean attended)
            throws ClientFailure {
        Log log = parts.log();
        Dialer.Dialed dialed = new Dialer(settings, clock, log).dial();
        Opening opening = new Opening(doubts);
        Duration limit =
                settings.connectTimeout() == null ? OPENING_LIMIT : settings.connectTimeout();
        LivenessPolicy policy =
                LivenessPolicy.client(
                        settings.serverAliveInterval(),
                        settings.serverAliveCountMax(),
                        limit,
                        attended);
        LinkLoop loop = new LinkLoop(policy, clock, dialed.started(), opening, watcher);
        opening.loop = loop;
        SshClient factories = parts.fitted(dialed.address().getAddress(), loop);
        Transport transport = start(factories, dialed, opening, loop, log);
        Connection connection =
                new Connection(
                        settings,
                        log,
                        transport,
                        loop,
                        opening,
                        dialed.channel(),
                        dialed.address());
        boolean open = false;
        try {
            loop.start("link");
            connection.authenticate(parts);
            open = true;
            return connection;
        } finally {
            if (!open) {
                connection.close();
            }
        }
    }

    private static Transport start(
            SshClient factories, Dialer.Dialed dialed, Opening opening, LinkLoop loop, Log debug)
            throws ClientFailure {
        SessionFactory sessions =
                new SessionFactory(factories) {
                    @Override
                    protected ClientSessionImpl doCreateSession(IoSession io) throws Exception {
                        Transport made =
                                new Transport(getClient(), io, loop, opening.ending, debug);
                        opening.transport = made;
                        return made;
                    }
                };
        try {
            SocketAddress local = dialed.channel().getLocalAddress();
            Wire wire =
                    new Wire(
                            new PromptStream(dialed.channel()),
                            local,
                            dialed.address(),
                            sessions,
                            opening);
            opening.wire = wire;
            wire.addCloseFutureListener(future -> {
                opening.ending.compareAndSet(null, new Ending.Left());
                opening.ended.countDown();
                loop.post(new LinkEvent.Ended());
            });
            sessions.sessionCreated(wire);
            wire.start("ssh");
        } catch (IOException e) {
            throw new ClientFailure("ssh: " + Dialer.reason(e));
        } catch (Exception e) {
            throw new ClientFailure("ssh: cannot start: " + e.getMessage());
        }
        Transport transport = opening.transport;
        if (transport == null) {
            throw new ClientFailure("ssh: cannot start");
        }
        return transport;
    }

    private void authenticate(ClientParts parts) throws ClientFailure {
        try {
            transport.setUsername(settings.user());
            var future = transport.auth();
            future.await();
            if (future.isSuccess()) {
                log.verbose(
                        "Authenticated to "
                                + settings.host()
                                + " (["
                                + address.getAddress().getHostAddress()
                                + "]:"
                                + address.getPort()
                                + ") using \""
                                + parts.methodUsed()
                                + "\".");
                return;
            }
            throw new ClientFailure(whyNotOpened(parts.describe(future.getException())));
        } catch (IOException e) {
            throw new ClientFailure(whyNotOpened(parts.describe(e)));
        }
    }

    // --- while it is open

    Transport transport() {
        return transport;
    }

    LinkLoop loop() {
        return loop;
    }

    /** Opened when the connection has ended, whatever the reason. */
    CountDownLatch ended() {
        return ended;
    }

    /** Leaves in order, as OpenSSH's client does: DISCONNECT with "disconnected by user". */
    void leave() {
        if (ending.compareAndSet(null, new Ending.Left())) {
            try {
                transport.disconnect(
                        SshConstants.SSH2_DISCONNECT_BY_APPLICATION, "disconnected by user");
            } catch (IOException e) {
                log.debug2("disconnect not sent: " + e.getMessage());
            }
        }
    }

    @Override
    public void close() {
        ending.compareAndSet(null, new Ending.Left());
        transport.close(true);
        transport.getIoSession().close(true);
    }

    // --- why it ended

    /** "ADDR port P", as OpenSSH names the other end. */
    String where() {
        return address.getAddress().getHostAddress() + " port " + address.getPort();
    }

    private boolean identified() {
        return transport.getServerVersion() != null;
    }

    /**
     * Why the connection never came up; {@code inner} is the authentication's own word, if it has
     * one.
     */
    private List<String> whyNotOpened(@Nullable List<String> inner) {
        Ending how = awaitEnding(inner == null);
        if (inner != null
                && !(how instanceof Ending.Disconnected)
                && !(how instanceof Ending.Condemned)) {
            return inner;
        }
        String to = where();
        return switch (how) {
            case Ending.Condemned condemned ->
                    condemned.cause() instanceof Cause.NotOpened(Phase phase, Duration _)
                                    && phase == Phase.BANNER
                            ? List.of(
                                    "Connection timed out during banner exchange",
                                    "Connection to " + to + " timed out")
                            : List.of("Connection to " + to + " timed out");
            case Ending.Disconnected disconnected -> disconnect(disconnected);
            case Ending.Closed _ ->
                    identified()
                            ? List.of("Connection closed by " + to)
                            : List.of(
                                    "kex_exchange_identification: Connection closed by remote host",
                                    "Connection closed by " + to);
            case Ending.Broken broken -> {
                String reason = Dialer.reason(broken.error());
                String second =
                        reason.equals("Connection reset") || reason.endsWith("reset by peer")
                                ? "Connection reset by " + to
                                : "Connection to " + to + ": " + reason;
                yield identified()
                        ? List.of(second)
                        : List.of(
                                "kex_exchange_identification: read: "
                                        + (reason.equals("Connection reset")
                                                ? "Connection reset by peer"
                                                : reason),
                                second);
            }
            case Ending.Refused refused ->
                    refused.text().startsWith("no matching ")
                            ? List.of("Unable to negotiate with " + to + ": " + refused.text())
                            : identified()
                                    ? List.of(
                                            "ssh_dispatch_run_fatal: Connection to "
                                                    + to
                                                    + ": "
                                                    + refused.text())
                                    : List.of(
                                            refused.text(),
                                            "banner exchange: Connection to "
                                                    + to
                                                    + ": invalid format");
            case Ending.Left _ ->
                    inner == null ? List.of("Connection to " + to + " closed.") : inner;
        };
    }

    /**
     * A line about the end of a connection that was up.
     *
     * @param level null: said whatever the log level, as OpenSSH's quit_message
     */
    record LastWord(Log.@Nullable Level level, String line) {}

    /**
     * What is to be said of the end of a connection that was up; nothing when it was we who left.
     */
    List<LastWord> lastWords() {
        String host = settings.host();
        return switch (awaitEnding(true)) {
            case Ending.Condemned _ ->
                    List.of(
                            new LastWord(
                                    Log.Level.INFO,
                                    "Timeout, server " + host + " not responding."));
            case Ending.Disconnected disconnected -> {
                List<LastWord> words = new ArrayList<>();
                for (String line : disconnect(disconnected)) {
                    words.add(new LastWord(Log.Level.ERROR, line));
                }
                yield words;
            }
            case Ending.Closed _ ->
                    List.of(
                            new LastWord(
                                    null, "Connection to " + host + " closed by remote host."));
            case Ending.Broken broken ->
                    List.of(
                            new LastWord(
                                    null,
                                    broken.writing()
                                            ? "client_loop: send disconnect: "
                                                    + Dialer.reason(broken.error())
                                            : "Read from remote host "
                                                    + host
                                                    + ": "
                                                    + resetByPeer(Dialer.reason(broken.error()))));
            case Ending.Refused refused ->
                    List.of(
                            new LastWord(
                                    Log.Level.ERROR,
                                    "ssh_dispatch_run_fatal: Connection to "
                                            + where()
                                            + ": "
                                            + refused.text()));
            case Ending.Left _ -> List.of();
        };
    }

    private static String resetByPeer(String reason) {
        return reason.equals("Connection reset") ? "Connection reset by peer" : reason;
    }

    private List<String> disconnect(Ending.Disconnected how) {
        return List.of(
                "Received disconnect from "
                        + where()
                        + ":"
                        + how.code()
                        + ": "
                        + Transport.printable(how.text()),
                "Disconnected from " + where());
    }

    /** The ending; it may be known a moment after its first effect is seen. */
    private Ending awaitEnding(boolean patiently) {
        try {
            if (patiently) {
                ended.await();
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
        Ending how = ending.get();
        return how == null ? new Ending.Left() : how;
    }

    /** Whether nothing has ended it yet. */
    boolean open() {
        return ending.get() == null;
    }

    boolean condemned() {
        return ending.get() instanceof Ending.Condemned;
    }

    boolean disconnected() {
        return ending.get() instanceof Ending.Disconnected;
    }

    /** Runs {@code action} when the connection ends, at once if it has. */
    void whenEnded(Runnable action) {
        transport.getIoSession().addCloseFutureListener(future -> action.run());
    }

    /**
     * Marks the packets for the network: IPQoS (RFC 8325), as OpenSSH does once the session begins.
     */
    void interactive(boolean yes) {
        int tos = yes ? settings.ipQosInteractive() : settings.ipQosBulk();
        if (tos >= 0) {
            try {
                channel.setOption(StandardSocketOptions.IP_TOS, tos);
            } catch (IOException | UnsupportedOperationException e) {
                log.debug2(
                        "setsockopt IP_TOS "
                                + tos
                                + ": "
                                + e.getMessage()); // only a hint to the network
            }
        }
    }
}
