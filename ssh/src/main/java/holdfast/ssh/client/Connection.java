package holdfast.ssh.client;

import holdfast.core.liveness.Cause;
import holdfast.core.liveness.LinkCommand;
import holdfast.core.liveness.LinkEvent;
import holdfast.core.liveness.LivenessPolicy;
import holdfast.core.liveness.Phase;
import holdfast.core.tether.CarrierPolicy;
import holdfast.core.time.Moment;
import holdfast.ssh.Software;
import holdfast.ssh.config.ClientSettings;
import holdfast.ssh.config.Route;
import holdfast.ssh.forward.ClientSide;
import holdfast.ssh.hostkeys.NumericAddress;
import holdfast.ssh.link.AddressOrder;
import holdfast.ssh.link.KeyExchangeWords;
import holdfast.ssh.link.LinkClock;
import holdfast.ssh.link.LinkLoop;
import holdfast.ssh.link.TcpStream;
import holdfast.ssh.link.Wire;
import holdfast.ssh.log.Log;
import holdfast.ssh.mux.MuxClient;
import holdfast.ssh.octets.Octets;
import holdfast.ssh.system.NetworkWatch;
import holdfast.ssh.system.SystemException;
import holdfast.ssh.terminal.Killed;
import holdfast.ssh.tether.TetherStream;
import java.io.IOException;
import java.net.ConnectException;
import java.net.InetSocketAddress;
import java.net.SocketAddress;
import java.net.StandardSocketOptions;
import java.nio.channels.ByteChannel;
import java.nio.channels.SocketChannel;
import java.nio.file.Files;
import java.security.SecureRandom;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import org.apache.sshd.client.SshClient;
import org.apache.sshd.client.session.ClientSessionImpl;
import org.apache.sshd.client.session.SessionFactory;
import org.apache.sshd.common.io.IoSession;
import org.apache.sshd.common.kex.KexProposalOption;
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

    /** One attempt to reach the server again: the kernel sends its SYN at 0, 1 and 3 s. */
    private static final Duration DIAL_AGAIN = Duration.ofSeconds(5);

    /** The same over jump hosts or a proxy, where there is more to be said. */
    private static final Duration WAY_AGAIN = Duration.ofSeconds(15);

    /** How long our goodbye may take to leave; nobody is waiting for it. */
    private static final Duration GOODBYE = Duration.ofMillis(500);

    /** Where a stream is no socket; OpenSSH's words for it. */
    private static final InetSocketAddress NO_ADDRESS =
            InetSocketAddress.createUnresolved("UNKNOWN", 65535);

    /** Told when the link is in doubt and when no longer; called on the loop's thread. */
    interface Doubts {
        void show(LinkCommand.ShowDoubt doubt);

        /** The connection is lost or silent, and another is looked for until {@code heldUntil}. */
        void adrift(Moment since, Moment heldUntil);

        /** There is no doubt any more, or the connection that was lost has another in its place. */
        void hide();
    }

    private final ClientSettings settings;
    private final Log log;
    private final Transport transport;
    private final LinkLoop loop;
    private final LinkClock clock;
    private final AtomicReference<Ending> ending;
    private final CountDownLatch ended;
    private volatile Way way;
    private volatile boolean interactive;

    /** A jump host's: what others have of it. */
    private volatile @Nullable SharedConnection shared;

    private volatile @Nullable Runnable atEnd;

    /** Since when it can be used. */
    private volatile Moment opened;

    private Connection(
            ClientSettings settings,
            Log log,
            LinkClock clock,
            Transport transport,
            LinkLoop loop,
            Opening opening,
            Way way) {
        this.settings = settings;
        this.log = log;
        this.clock = clock;
        this.opened = clock.now();
        this.transport = transport;
        this.loop = loop;
        this.ending = opening.ending;
        this.ended = opening.ended;
        this.way = way;
    }

    /**
     * The stream under a connection.
     *
     * @param socket null: it is no TCP connection of ours
     * @param through the connection to the jump host that carries it; null: none does
     * @param started from when the opening counts
     * @param limit for the opening
     * @param again makes one more like it, asking nobody anything
     */
    private record Way(
            ByteChannel stream,
            @Nullable SocketChannel socket,
            @Nullable InetSocketAddress address,
            @Nullable Connection through,
            Moment started,
            Duration limit,
            TetherStream.Dial again)
            implements TetherStream.Passage {

        /** The same under {@code tether}. */
        Way under(ByteChannel tether) {
            return new Way(tether, socket, address, through, started, limit, again);
        }

        void close() {
            try {
                stream.close();
            } catch (IOException e) {
                // it is gone either way
            }
            if (through != null) {
                through.close();
            }
        }

        /** Jump hosts are told good-bye, and a proxy's command is waited for. */
        @Override
        public void leave() {
            if (socket != null) {
                close();
            } else {
                Thread.ofPlatform().daemon().name("old-way").start(this::close);
            }
        }
    }

    /** What the threads of a connection share while it comes up, before there is a Connection. */
    private static final class Opening implements LinkLoop.Hands, Wire.Listener {
        final AtomicReference<Ending> ending = new AtomicReference<>();
        final CountDownLatch ended = new CountDownLatch(1);
        final Doubts doubts;
        volatile @Nullable Transport transport;
        volatile @Nullable Wire wire;
        volatile @Nullable LinkLoop loop;
        volatile @Nullable TetherStream tether;
        final @Nullable Connection through;
        final @Nullable Upstream upstream;
        private @Nullable Moment asked;

        Opening(Doubts doubts, @Nullable Connection through, @Nullable Upstream upstream) {
            this.doubts = doubts;
            this.through = through;
            this.upstream = upstream;
        }

        @Override
        public void perform(LinkCommand command) {
            switch (command) {
                case LinkCommand.SendProbe probe -> {
                    Transport session = transport;
                    if (session != null) {
                        session.probe(probe.sent());
                    }
                    if (through != null) {
                        asked = probe.sent();
                        through.probeToo(probe.sent());
                    }
                }
                case LinkCommand.ShowDoubt doubt -> doubts.show(doubt);
                case LinkCommand.HideDoubt _ -> doubts.hide();
                case LinkCommand.Condemn condemn -> {
                    Moment last = asked;
                    if (through != null && last != null) {
                        through.condemnSilent(last, condemn.cause());
                    }
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

    /** What another that waits allows: its own ConnectTimeout, or null for none. */
    static Allowance allowance(LinkClock clock, @Nullable Duration limit) {
        return new Allowance(clock, limit, OPENING_LIMIT);
    }

    /**
     * Opens a connection.
     *
     * @param allowance the time that it and others have together; null: it has its own alone
     * @throws ClientFailure with OpenSSH's words when it cannot be
     */
    static Connection open(
            ClientSettings settings,
            ClientParts parts,
            LinkClock clock,
            LinkLoop.Watcher watcher,
            Doubts doubts,
            boolean attended,
            @Nullable Allowance allowance)
            throws ClientFailure {
        if (settings.route() instanceof Route.Direct) {
            parts.prepare();
        }
        Way way = way(settings, parts, clock, allowance);
        Opening opening = new Opening(doubts, way.through(), null);
        Moorage moorage = new Moorage(settings, doubts, parts.log(), opening);
        way = moorage.under(way);
        LivenessPolicy policy =
                LivenessPolicy.client(
                        settings.serverAliveInterval(),
                        settings.serverAliveCountMax(),
                        way.limit(),
                        attended);
        moorage.otherwise = policy;
        Connection connection = begun(settings, parts, clock, watcher, policy, opening, way);
        moorage.connection = connection;
        boolean open = false;
        try {
            connection.authenticate(parts);
            connection.transport.wire().settle();
            connection.opened = clock.now();
            open = true;
            return connection;
        } finally {
            if (!open) {
                connection.close();
            }
        }
    }

    /** Starts what reads, writes and judges {@code way}, which is closed when that fails. */
    private static Connection begun(
            ClientSettings settings,
            ClientParts parts,
            LinkClock clock,
            LinkLoop.Watcher watcher,
            LivenessPolicy policy,
            Opening opening,
            Way way)
            throws ClientFailure {
        LinkLoop loop = new LinkLoop(policy, clock, way.started(), opening, watcher);
        opening.loop = loop;
        InetSocketAddress address = way.address();
        boolean begun = false;
        try {
            SshClient factories = parts.fitted(address == null ? null : address.getAddress(), loop);
            Transport transport = start(factories, settings, way, opening, loop, parts.log());
            loop.start("link");
            begun = true;
            return new Connection(settings, parts.log(), clock, transport, loop, opening, way);
        } finally {
            if (!begun) {
                way.close();
            }
        }
    }

    /**
     * A connection that a master has, as one of our own ({@code -O proxy}).
     *
     * @param socket carries the packets of SSH's connection protocol
     * @param ours whether the master is one of ours
     */
    record Upstream(ByteChannel socket, boolean ours) {}

    /**
     * Takes part in a master's connection.
     *
     * @throws ClientFailure when it is over already
     */
    static Connection of(
            Upstream upstream,
            ClientSettings settings,
            ClientParts parts,
            LinkClock clock,
            LinkLoop.Watcher watcher,
            Doubts doubts,
            boolean attended)
            throws ClientFailure {
        // OpenSSH's master ends whoever asks the server for a sign of life.
        LivenessPolicy policy =
                upstream.ours()
                        ? LivenessPolicy.client(
                                settings.serverAliveInterval(),
                                settings.serverAliveCountMax(),
                                OPENING_LIMIT,
                                attended)
                        : new LivenessPolicy(Duration.ZERO, 0, null, null, false);
        Way way =
                by(
                        upstream.socket(),
                        OPENING_LIMIT,
                        clock,
                        () -> {
                            throw new IOException("the connection is a master's");
                        });
        Opening opening = new Opening(doubts, null, upstream);
        return begun(settings, parts, clock, watcher, policy, opening, way);
    }

    private static Way way(
            ClientSettings settings,
            ClientParts parts,
            LinkClock clock,
            @Nullable Allowance allowance)
            throws ClientFailure {
        Log log = parts.log();
        Duration own = settings.connectTimeout();
        Duration limit = own == null ? OPENING_LIMIT : own;
        return switch (settings.route()) {
            case Route.Direct _ -> {
                Duration most = allowance == null ? limit : allowance.within(limit);
                Dialer.Dialed dialed =
                        new Dialer(
                                        settings,
                                        allowance == null ? own : allowance.forConnect(own),
                                        clock,
                                        log)
                                .dial();
                if (allowance != null) {
                    allowance.connected();
                }
                yield direct(settings, dialed, most, clock, log);
            }
            case Route.Command command ->
                    by(
                            ProxyCommand.start(command, log),
                            allowance == null ? limit : allowance.within(limit),
                            clock,
                            () -> wayAgain(settings, parts, clock));
            case Route.Jump(ClientSettings hop) -> {
                Allowance whole = allowance == null ? allowance(clock, own) : allowance;
                MuxClient.Through master = through(hop, false, whole.within(limit), log);
                JumpSharing jumps = parts.jumps();
                JumpSharing sharing = master.channel() == null && !master.bypassed() ? jumps : null;
                if (sharing != null
                        && sharing.anothers(hop)
                        && startsMaster(hop, sharing, whole, log)) {
                    master = through(hop, true, whole.within(limit), log);
                }
                ByteChannel carried = master.channel();
                if (carried != null) {
                    yield by(
                            carried,
                            whole.within(limit),
                            clock,
                            () -> wayAgain(settings, parts, clock));
                }
                boolean shares = sharing != null && JumpSharing.ours(hop);
                ClientParts its = parts.forHop(hop, whole, shares);
                Connection through =
                        open(hop, its, clock, LinkLoop.Watcher.NOBODY, SILENT, false, whole);
                if (jumps != null && jumps.first()) {
                    its.localCommand();
                }
                if (sharing != null && shares) {
                    through.share(its, sharing);
                }
                yield through.onward(
                        settings,
                        clock,
                        whole.within(limit),
                        log,
                        () -> {
                            // It may be lost, and is nothing to find the way again by.
                            through.stopSharing();
                            return wayAgain(settings, parts, clock);
                        });
            }
        };
    }

    /** By way of a master of the jump host's connection. */
    private static MuxClient.Through through(
            ClientSettings hop, boolean sure, Duration limit, Log log) throws ClientFailure {
        try {
            return MuxClient.through(hop, sure, limit, log);
        } catch (IOException e) {
            throw new ClientFailure(String.valueOf(e.getMessage()));
        }
    }

    /**
     * Has another of us become a master of the jump host's connection.
     *
     * @return false: there is something already where it would listen
     */
    private static boolean startsMaster(
            ClientSettings hop, JumpSharing jumps, Allowance allowance, Log log)
            throws ClientFailure {
        Client.JumpService service = jumps.service();
        String path = hop.sharing().path();
        if (service == null || path == null) {
            return false;
        }
        if (Files.exists(Octets.path(path))) {
            log.error("ControlSocket " + path + " already exists, disabling multiplexing");
            return false;
        }
        if (allowance.uncounted(() -> service.start(jumps.number())) != 0) {
            throw new ClientFailure(List.of());
        }
        return true;
    }

    /** Has others use it too, for as long as it is here: a jump host's ControlMaster. */
    private void share(ClientParts parts, JumpSharing jumps) throws ClientFailure {
        ClientSide forwards = parts.forwards();
        boolean done = false;
        try {
            forwards.start(transport);
            SharedConnection sharing =
                    SharedConnection.begin(
                            settings,
                            this,
                            forwards,
                            parts.prompter(),
                            log,
                            () -> Client.display(settings, forwards, jumps.environment(), log),
                            this::leave);
            shared = sharing;
            if (sharing != null) {
                // Until there is a session a signal ends us without more ado.
                atEnd = Killed.before(sharing::stopListening);
            }
            done = true;
        } catch (SystemException e) {
            throw new ClientFailure("unix_listener: " + e.getMessage());
        } finally {
            if (!done) {
                close();
            }
        }
    }

    private void stopSharing() {
        SharedConnection sharing = shared;
        if (sharing != null) {
            sharing.stopListening();
        }
    }

    private void endSharing() {
        SharedConnection sharing = shared;
        if (sharing != null) {
            sharing.close();
        }
        Runnable end = atEnd;
        if (end != null) {
            end.run();
        }
    }

    /** By what is no TCP connection of ours. */
    private static Way by(
            ByteChannel stream, Duration limit, LinkClock clock, TetherStream.Dial again) {
        return new Way(stream, null, null, null, clock.now(), limit, again);
    }

    private static Way direct(
            ClientSettings settings, Dialer.Dialed dialed, Duration limit, LinkClock clock, Log log)
            throws ClientFailure {
        AddressOrder order = new AddressOrder(dialed.address().getAddress());
        return new Way(
                stream(dialed.channel()),
                dialed.channel(),
                dialed.address(),
                null,
                dialed.started(),
                limit,
                () -> dialAgain(settings, order, clock, log));
    }

    private static TcpStream stream(SocketChannel socket) throws ClientFailure {
        try {
            return new TcpStream(socket);
        } catch (IOException e) {
            throw new ClientFailure("ssh: " + Dialer.reason(e)); // out of descriptors
        }
    }

    // --- the way again, when the session has lost its connection

    private static Way dialAgain(
            ClientSettings settings, AddressOrder order, LinkClock clock, Log log)
            throws IOException {
        try {
            return direct(
                    settings,
                    new Dialer(settings, DIAL_AGAIN, clock, log).dial(order::next),
                    DIAL_AGAIN,
                    clock,
                    log);
        } catch (ClientFailure e) {
            throw notAgain(e);
        }
    }

    private static Way wayAgain(ClientSettings settings, ClientParts parts, LinkClock clock)
            throws IOException {
        try {
            return way(settings, parts.again(), clock, new Allowance(clock, WAY_AGAIN, WAY_AGAIN));
        } catch (ClientFailure e) {
            throw notAgain(e);
        }
    }

    private static IOException notAgain(ClientFailure why) {
        String text = String.join("; ", why.lines());
        return text.endsWith("Connection refused")
                ? new ConnectException(text)
                : new IOException(text);
    }

    /** What a tether under a connection does to it. */
    private static final class Moorage implements TetherStream.Watcher {
        private final ClientSettings settings;
        private final Doubts doubts;
        private final Log log;
        private final Opening opening;
        private final SecureRandom random = new SecureRandom();
        private @Nullable Thread network;
        volatile @Nullable TetherStream stream;
        volatile @Nullable Connection connection;
        volatile @Nullable LivenessPolicy otherwise;

        Moorage(ClientSettings settings, Doubts doubts, Log log, Opening opening) {
            this.settings = settings;
            this.doubts = doubts;
            this.log = log;
            this.opening = opening;
        }

        Way under(Way way) {
            ClientSettings.Tethering wish = settings.tether();
            if (wish.use() == ClientSettings.Tethering.Use.NO) {
                return way;
            }
            TetherStream made =
                    new TetherStream(
                            way,
                            software(settings),
                            wish.buffer(),
                            CarrierPolicy.client(settings.serverAliveInterval(), random.nextLong()),
                            new LinkClock(),
                            () -> {
                                Connection now = connection;
                                return (now == null ? way : now.way).again().connect();
                            },
                            this,
                            wish.hold());
            if (wish.use() == ClientSettings.Tethering.Use.REQUIRE) {
                made.require();
            }
            stream = made;
            opening.tether = made;
            return way.under(made);
        }

        /** From here on it is a connection's silence that is judged, and not the session's. */
        @Override
        public void held(Duration hold) {
            LinkLoop loop = opening.loop;
            LivenessPolicy policy = otherwise;
            if (loop == null || policy == null) {
                return;
            }
            if (hold.isZero()) {
                loop.judgeBy(policy);
                return;
            }
            loop.judgeBy(LivenessPolicy.server(Duration.ZERO, 0, Duration.ZERO));
            TetherStream below = stream;
            if (network == null && below != null) {
                network = NetworkWatch.start(below::networkChanged);
            }
        }

        @Override
        public void standsStill(Moment since, Moment heldUntil) {
            doubts.adrift(since, heldUntil);
        }

        @Override
        public void goesOn() {
            doubts.hide();
        }

        @Override
        public void moved(TetherStream.Passage passage) {
            Connection whose = connection;
            TetherStream below = stream;
            if (whose != null && below != null && passage instanceof Way found) {
                whose.movedTo(found.under(below));
            }
        }

        @Override
        public void said(String line) {
            log.debug(line);
        }
    }

    private void movedTo(Way found) {
        way = found;
        interactive(interactive);
    }

    private static final Doubts SILENT =
            new Doubts() {
                @Override
                public void show(LinkCommand.ShowDoubt doubt) {}

                @Override
                public void adrift(Moment since, Moment heldUntil) {}

                @Override
                public void hide() {}
            };

    /** The way to {@code next} through this connection, which ends with it. */
    private Way onward(
            ClientSettings next,
            LinkClock clock,
            Duration limit,
            Log nextLog,
            TetherStream.Dial again)
            throws ClientFailure {
        interactive(false);
        boolean onward = false;
        try {
            Moment started = clock.now();
            nextLog.debug(
                    "Connecting to "
                            + next.host()
                            + " port "
                            + next.port()
                            + " through "
                            + settings.host()
                            + ".");
            JumpStream stream =
                    JumpStream.open(
                            transport, settings.host(), next.host(), next.port(), limit, log);
            if (shared == null) {
                transport.noMoreSessions();
            }
            onward = true;
            return new Way(stream, null, null, this, started, limit, again);
        } catch (ClientFailure e) {
            List<LastWord> words = open() ? List.of() : lastWords();
            throw words.isEmpty()
                    ? e
                    : new ClientFailure(words.stream().map(LastWord::line).toList());
        } finally {
            if (!onward) {
                close();
            }
        }
    }

    /**
     * A server beyond this one is being asked for a sign of life: so that it can be told who of
     * those on the way fell silent, all are asked that are to be asked at all.
     */
    private void probeToo(Moment sent) {
        if (!settings.serverAliveInterval().isZero()) {
            transport.probe(sent);
        }
        if (way.through() != null) {
            way.through().probeToo(sent);
        }
    }

    /**
     * A server beyond this one did not answer what it was asked at {@code asked}: if one on the way
     * did not either, it is that one that is dead, and the first of them.
     */
    private boolean condemnSilent(Moment asked, Cause cause) {
        Connection before = way.through();
        if (before != null && before.condemnSilent(asked, cause)) {
            return true;
        }
        boolean silent =
                !settings.serverAliveInterval().isZero() && loop.lastHeard().isBefore(asked);
        if (silent) {
            ending.compareAndSet(null, new Ending.Condemned(cause));
        }
        return silent;
    }

    /** What we call ourselves, VersionAddendum behind it. */
    private static String software(ClientSettings settings) {
        String addendum = settings.protocol().versionAddendum();
        return addendum == null ? Software.NAME : Software.NAME + " " + addendum;
    }

    private static Transport start(
            SshClient factories,
            ClientSettings settings,
            Way way,
            Opening opening,
            LinkLoop loop,
            Log debug)
            throws ClientFailure {
        SessionFactory sessions =
                new SessionFactory(factories) {
                    @Override
                    protected ClientSessionImpl doCreateSession(IoSession io) throws Exception {
                        Transport.Naming naming =
                                new Transport.Naming(
                                        software(settings),
                                        settings.host()
                                                + ":"
                                                + settings.port()
                                                + " as '"
                                                + settings.user()
                                                + "'",
                                        settings.protocol().warnsOfWeakCrypto());
                        Upstream upstream = opening.upstream;
                        Transport made =
                                upstream == null
                                        ? new Transport(
                                                getClient(),
                                                io,
                                                loop,
                                                opening.ending,
                                                opening.tether,
                                                naming,
                                                debug)
                                        : new DownstreamTransport(
                                                getClient(),
                                                io,
                                                loop,
                                                opening.ending,
                                                upstream.ours(),
                                                naming,
                                                debug);
                        opening.transport = made;
                        return made;
                    }
                };
        try {
            SocketChannel socket = way.socket();
            SocketAddress local = socket == null ? NO_ADDRESS : socket.getLocalAddress();
            InetSocketAddress address = way.address();
            SocketAddress remote =
                    address == null
                            ? InetSocketAddress.createUnresolved(settings.host(), settings.port())
                            : address;
            Wire wire = new Wire(way.stream(), local, remote, sessions, opening);
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
                InetSocketAddress address = way.address();
                log.verbose(
                        "Authenticated to "
                                + settings.host()
                                + (address == null
                                        ? " (via proxy"
                                        : " (["
                                                + NumericAddress.text(address.getAddress())
                                                + "]:"
                                                + address.getPort())
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
                transport.disconnectByUser();
            } catch (IOException e) {
                log.debug2("disconnect not sent: " + e.getMessage());
            }
        }
    }

    @Override
    public void close() {
        endSharing();
        ending.compareAndSet(null, new Ending.Left());
        transport.close(true);
        transport.getIoSession().close(true);
        Connection before = way.through();
        if (before != null) {
            if (before.open()) {
                before.leave();
                before.awaitGoodbye();
            }
            before.close();
        }
    }

    /** Waits a moment for the other end to have heard that we left. */
    void awaitGoodbye() {
        try {
            ended.await(GOODBYE.toMillis(), TimeUnit.MILLISECONDS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    // --- why it ended

    /** "ADDR port P", as OpenSSH names the other end. */
    String where() {
        InetSocketAddress address = way.address();
        if (address != null) {
            return NumericAddress.text(address.getAddress()) + " port " + address.getPort();
        }
        // OpenSSH does not know better on any pipe; on the way over jump hosts we do.
        return way.through() == null
                ? NO_ADDRESS.getHostString() + " port " + NO_ADDRESS.getPort()
                : settings.host() + " port " + settings.port();
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
        Connection lost = lostOnTheWay();
        if (lost != null) {
            return lost.lastWords().stream().map(LastWord::line).toList();
        }
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
                                                    + ": "
                                                    + (refused.text()
                                                                    .startsWith(
                                                                            Transport
                                                                                    .VERSIONS_DIFFER)
                                                            ? "could not read protocol version"
                                                            : "invalid format"));
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
        Connection lost = lostOnTheWay();
        if (lost != null) {
            return lost.lastWords();
        }
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

    /** What it is, for a person: as OpenSSH from 10.3 on tells it. */
    String information() {
        Wire wire = transport.wire();
        List<String> lines = new ArrayList<>();
        lines.add(
                "Connection information for "
                        + settings.host()
                        + " pid "
                        + ProcessHandle.current().pid());
        lines.add(
                "  versions "
                        + remote(transport.getClientVersion())
                        + " -> "
                        + remote(transport.getServerVersion()));
        if (wire.getLocalAddress() instanceof InetSocketAddress local && way.address() != null) {
            lines.add("  tcp " + colon(local) + " -> " + colon(way.address()));
        }
        long seconds = opened.until(clock.now()).toSeconds();
        lines.add(
                String.format(
                        Locale.ROOT,
                        "  duration %02d:%02d:%02d",
                        seconds / 3600,
                        seconds / 60 % 60,
                        seconds % 60));
        lines.add("  kexalgorithm " + agreed(KexProposalOption.ALGORITHMS));
        lines.add("  hostkeyalgorithm " + agreed(KexProposalOption.SERVERKEYS));
        lines.add(
                both("cipher", agreed(KexProposalOption.S2CENC), agreed(KexProposalOption.C2SENC)));
        lines.add(
                both(
                        "mac",
                        KeyExchangeWords.mac(agreed(KexProposalOption.S2CMAC)),
                        KeyExchangeWords.mac(agreed(KexProposalOption.C2SMAC))));
        lines.add(
                both(
                        "compression",
                        agreed(KexProposalOption.S2CCOMP),
                        agreed(KexProposalOption.C2SCOMP)));
        lines.add("  traffic " + wire.heard() + " bytes in, " + wire.written() + " bytes out");
        lines.addAll(transport.compressed());
        lines.add("");
        return String.join("\r\n", lines);
    }

    private static String both(String what, @Nullable String in, @Nullable String out) {
        String both = Objects.equals(in, out) ? in : in + " in, " + out + " out";
        return "  " + what + " " + both;
    }

    private @Nullable String agreed(KexProposalOption option) {
        return transport.getNegotiatedKexParameter(option);
    }

    private static String colon(InetSocketAddress address) {
        String text = NumericAddress.text(address.getAddress());
        return (text.contains(":") ? "[" + text + "]" : text) + ":" + address.getPort();
    }

    /** The version without the words of the protocol before it, which OpenSSH leaves out. */
    private static String remote(@Nullable String version) {
        return version == null ? "none" : version.replaceFirst("^SSH-[0-9.]*-", "");
    }

    /** What went over it while it could be used, in the words of OpenSSH's that scripts read. */
    List<String> traffic() {
        Wire wire = transport.wire();
        double seconds = opened.until(clock.now()).toNanos() / 1e9;
        return List.of(
                String.format(
                        Locale.ROOT,
                        "Transferred: sent %d, received %d bytes, in %.1f seconds",
                        wire.written(),
                        wire.heard(),
                        seconds),
                String.format(
                        Locale.ROOT,
                        "Bytes per second: sent %.1f, received %.1f",
                        wire.written() / seconds,
                        wire.heard() / seconds));
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

    /**
     * The connection to a jump host whose end was the end of this one, the nearest to us; null:
     * there is none.
     */
    private @Nullable Connection lostOnTheWay() {
        Connection before = way.through();
        if (before == null) {
            return null;
        }
        Connection nearer = before.lostOnTheWay();
        if (nearer != null) {
            return nearer;
        }
        return before.open() || before.ending.get() instanceof Ending.Left ? null : before;
    }

    /** Whether nothing has ended it yet. */
    boolean open() {
        return ending.get() == null;
    }

    boolean condemned() {
        Connection lost = lostOnTheWay();
        return lost == null ? ending.get() instanceof Ending.Condemned : lost.condemned();
    }

    boolean disconnected() {
        Connection lost = lostOnTheWay();
        return lost == null ? ending.get() instanceof Ending.Disconnected : lost.disconnected();
    }

    /** Runs {@code action} when the connection ends, at once if it has. */
    void whenEnded(Runnable action) {
        transport.getIoSession().addCloseFutureListener(future -> action.run());
    }

    /**
     * Marks the packets for the network: IPQoS (RFC 8325), as OpenSSH does once the session begins.
     */
    void interactive(boolean yes) {
        interactive = yes;
        int tos = yes ? settings.ipQosInteractive() : settings.ipQosBulk();
        SocketChannel socket = way.socket();
        if (tos >= 0 && socket != null) {
            try {
                socket.setOption(StandardSocketOptions.IP_TOS, tos);
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
