package holdfast.ssh.server;

import holdfast.core.liveness.LinkState;
import holdfast.core.liveness.RoundTrip;
import holdfast.core.liveness.Watch;
import holdfast.core.time.Moment;
import holdfast.ssh.config.AddressList;
import holdfast.ssh.config.ServerConfig;
import holdfast.ssh.config.ServerSettings;
import holdfast.ssh.crypto.Algorithms;
import holdfast.ssh.crypto.JdkCrypto;
import holdfast.ssh.crypto.Moduli;
import holdfast.ssh.hostkeys.NumericAddress;
import holdfast.ssh.link.CalledOff;
import holdfast.ssh.link.Deadlines;
import holdfast.ssh.link.Reclaim;
import holdfast.ssh.link.Wire;
import holdfast.ssh.log.Log;
import holdfast.ssh.system.SystemException;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.SocketAddress;
import java.net.SocketOption;
import java.nio.ByteBuffer;
import java.nio.channels.AsynchronousSocketChannel;
import java.nio.channels.ByteChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Comparator;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;
import jdk.net.ExtendedSocketOptions;
import org.apache.sshd.common.channel.Channel;
import org.apache.sshd.common.channel.ChannelListener;
import org.apache.sshd.common.compression.BuiltinCompressions;
import org.apache.sshd.common.file.nonefs.NoneFileSystemFactory;
import org.apache.sshd.common.global.KeepAliveHandler;
import org.apache.sshd.common.io.IoAcceptor;
import org.apache.sshd.common.io.IoHandler;
import org.apache.sshd.common.io.IoSession;
import org.apache.sshd.common.io.nio2.Nio2Session;
import org.apache.sshd.common.random.JceRandomFactory;
import org.apache.sshd.common.random.SingletonRandomFactory;
import org.apache.sshd.core.CoreModuleProperties;
import org.apache.sshd.server.SshServer;
import org.apache.sshd.server.session.ServerSessionImpl;
import org.apache.sshd.server.session.SessionFactory;
import org.jspecify.annotations.Nullable;

/**
 * {@code holdfast sshd}: listens, lets in or turns away, and knows of every connection how it is.
 *
 * <p>Its threads do not grow with connections: MINA's few for the network, one for all deadlines,
 * and whatever short-lived ones close a connection that has died.
 */
public final class Server implements AutoCloseable {

    /** One thing that a server does for its clients: lets them in, runs their programs. */
    public interface Part {
        /**
         * Puts itself into MINA's server before it starts, and again, in place of what it was,
         * whenever the configuration has been read anew.
         *
         * @throws IOException if it cannot go by this configuration; nothing of it has been changed
         */
        void fit(SshServer mina, Server server) throws IOException;

        /** What a part adds before what is there already; each once, however often it is called. */
        static <T> List<T> joined(List<T> added, @Nullable List<? extends T> there) {
            Set<T> all = new LinkedHashSet<>(added);
            if (there != null) {
                all.addAll(there);
            }
            return List.copyOf(all);
        }
    }

    /** Not the 1 GiB at which OpenSSH's client renews its keys: both at once costs a round trip. */
    private static final long REKEY_BYTES = 768L << 20;

    /** OpenSSH adds up to four seconds to LoginGraceTime (sshd.c), so that it tells nothing. */
    private static final int GRACE_JITTER_MILLIS = 4000;

    private static final int BACKLOG = 4096;

    /**
     * Numbers of connections, which stand in the log where OpenSSH's stand for their processes:
     * above PID_MAX_LIMIT, so that who kills by such a number hits nobody, of seven digits, and
     * begun anywhere, so that those of a server and of the one before it are different ones.
     */
    private static final long FIRST_ID = (4 << 20) + 1L;

    private static final long LAST_ID = 9_999_999;

    private final Listening mina = new Listening();
    private final TetherGate gate;
    private final Deadlines deadlines;
    private final Doorkeeper doorkeeper;
    private final Counts counts = new Counts();
    private final Map<Long, ServerTransport> transports = new ConcurrentHashMap<>();
    private final AtomicLong ids =
            new AtomicLong(ThreadLocalRandom.current().nextLong(FIRST_ID, LAST_ID));
    private final Moment started;
    private final List<Part> parts;
    private final String version;
    private final Log log;
    private volatile ServerConfig config;
    private volatile boolean stopping;

    /** Set once it accepts no more and only serves who is there: what to do when nobody is. */
    private final AtomicReference<@Nullable Runnable> afterLast = new AtomicReference<>();

    private volatile boolean leaving;
    private volatile Predecessors.@Nullable Door door;
    private volatile @Nullable Path meetings;

    /**
     * @param version how the identification line names this program
     * @throws IOException if one of the parts cannot go by the configuration
     */
    public Server(ServerConfig config, List<Part> parts, String version, Log log)
            throws IOException {
        JdkCrypto.install();
        this.config = config;
        this.parts = List.copyOf(parts);
        this.version = version;
        this.log = log;
        deadlines =
                new Deadlines(
                        "holdfast-deadlines",
                        gap -> transports.values().forEach(transport -> transport.slept(gap)),
                        problem -> log.error("deadlines: " + problem));
        doorkeeper = new Doorkeeper(rules(), bound -> ThreadLocalRandom.current().nextInt(bound));
        started = deadlines.clock().now();
        mina.setIoServiceFactoryFactory(NetworkSession.factory());
        mina.setRandomFactory(new SingletonRandomFactory(JceRandomFactory.INSTANCE));
        mina.setFileSystemFactory(NoneFileSystemFactory.INSTANCE);
        mina.setGlobalRequestHandlers(List.of(new KeepAliveHandler()));
        Transports transports = new Transports();
        mina.setSessionFactory(transports);
        gate = new TetherGate(this, transports);
        mina.listenThrough(gate);
        mina.addChannelListener(new ChannelWatch());
        OneKeyExchange.patient(mina);
        CalledOff.isForgotten(mina);
        CoreModuleProperties.AUTH_TIMEOUT.set(mina, Duration.ZERO);
        CoreModuleProperties.SOCKET_BACKLOG.set(mina, BACKLOG);
        CoreModuleProperties.NIO_WORKERS.set(
                mina, Math.max(4, Runtime.getRuntime().availableProcessors() + 1));
        fit();
    }

    /** Everything that a new reading of the configuration may change. */
    private void fit() throws IOException {
        ServerSettings settings = config.global();
        Algorithms.install(
                mina,
                Algorithms.Side.SERVER,
                settings.kexAlgorithms(),
                settings.ciphers(),
                settings.macs(),
                settings.hostKeyAlgorithms(),
                new Moduli(settings.moduliFile(), log::info));
        mina.setCompressionFactories(
                settings.compression()
                        ? List.of(BuiltinCompressions.none, BuiltinCompressions.delayedZlib)
                        : List.of(BuiltinCompressions.none));
        String addendum = settings.versionAddendum();
        CoreModuleProperties.SERVER_IDENTIFICATION.set(
                mina, addendum.isEmpty() ? version : version + " " + addendum);
        CoreModuleProperties.REKEY_BYTES_LIMIT.set(mina, rekeyBytes(settings));
        CoreModuleProperties.REKEY_TIME_LIMIT.set(mina, rekeyTime(settings));
        CoreModuleProperties.SOCKET_KEEPALIVE.set(mina, settings.tcpKeepAlive());
        for (Part part : parts) {
            part.fit(mina, this);
        }
    }

    /** After how many bytes keys are renewed, by RekeyLimit or by our own measure. */
    static long rekeyBytes(ServerSettings settings) {
        long bytes = settings.rekeyLimit().bytes();
        return bytes == 0 ? REKEY_BYTES : bytes;
    }

    /** After how long they are, if there is anything to send. */
    static Duration rekeyTime(ServerSettings settings) {
        Duration time = settings.rekeyLimit().time();
        return time.isZero() ? OneKeyExchange.FOREVER : time;
    }

    /**
     * Listens on every ListenAddress.
     *
     * @throws IOException in OpenSSH's words when it can listen on none
     */
    public void start() throws IOException {
        mina.start();
        listen(Set.of());
    }

    /** Serves one client over a stream that is there already, until it ends (sshd -i). */
    public void serve(
            ByteChannel stream, @Nullable InetSocketAddress local, @Nullable InetSocketAddress peer)
            throws IOException {
        mina.start();
        InetSocketAddress unknown = InetSocketAddress.createUnresolved("UNKNOWN", 65535);
        SessionFactory sessions = Objects.requireNonNull(mina.getSessionFactory());
        Wire wire =
                new Wire(
                        stream,
                        local == null ? unknown : local,
                        peer == null ? unknown : peer,
                        sessions,
                        new Wire.Listener() {
                            @Override
                            public void heardBytes() {
                                // the transport sees them itself
                            }

                            @Override
                            public void ended(Wire.End end) {
                                // the wire closes, and the transport with it
                            }
                        });
        try {
            sessions.sessionCreated(wire);
        } catch (IOException e) {
            throw e;
        } catch (Exception e) {
            throw new IOException(e.getMessage(), e);
        }
        wire.start("sshd");
        for (ServerTransport transport : transports.values()) {
            transport.addCloseFutureListener(closed -> wire.close(true));
        }
    }

    /**
     * Takes a new configuration for connections to come. Those that are there keep theirs.
     *
     * @throws IOException if one of the parts cannot go by it, and all stays as it was; or if it
     *     can listen on none of the addresses, and the old listeners stay
     */
    public void reload(ServerConfig now) throws IOException {
        ServerConfig before = config;
        config = now;
        try {
            fit();
        } catch (IOException e) {
            config = before;
            fit();
            throw e;
        }
        doorkeeper.rules(rules());
        listen(mina.bound());
    }

    private void listen(Set<InetSocketAddress> before) throws IOException {
        Set<InetSocketAddress> wanted = new LinkedHashSet<>();
        for (ServerSettings.ListenAddress address : settings().listenAddress()) {
            for (InetAddress each : InetAddress.getAllByName(address.host())) {
                wanted.add(new InetSocketAddress(each, address.port()));
            }
        }
        IOException last = null;
        int listening = 0;
        List<InetSocketAddress> surplus = new ArrayList<>(before);
        // The last first, as OpenSSH's list comes to be.
        for (InetSocketAddress address : List.copyOf(wanted).reversed()) {
            if (surplus.remove(address)) {
                log.info("Server listening on " + ServerTransport.text(address) + ".");
                listening++;
                continue;
            }
            try {
                for (InetSocketAddress bound : mina.bind(address)) {
                    log.info("Server listening on " + ServerTransport.text(bound) + ".");
                }
                listening++;
            } catch (SystemException e) {
                last = e;
                if (e.noSuchFamily()) {
                    log.verbose("socket: " + e.words());
                } else {
                    log.error(
                            "Bind to port "
                                    + address.getPort()
                                    + " on "
                                    + NumericAddress.text(address.getAddress())
                                    + " failed: "
                                    + e.words()
                                    + ".");
                }
            } catch (IOException e) {
                last = e;
                log.error("Bind to " + ServerTransport.text(address) + ": " + e.getMessage());
            }
        }
        if (listening == 0) {
            throw new IOException("Cannot bind any address.", last);
        }
        surplus.forEach(mina::unbind);
    }

    /** Where it listens now. */
    public Set<InetSocketAddress> addresses() {
        return mina.bound();
    }

    /**
     * Accepts no more from now on, and goes on with the connections that there are, those that are
     * still logging in among them.
     *
     * @param meetings a directory that only its user may enter, where the server that listens next
     *     finds this one, for clients that come back to sessions of ours
     * @param last done once, when none is left
     */
    public void leave(Path meetings, Runnable last) {
        // From before the next server can listen, which knows nobody's session.
        try {
            door = Predecessors.Door.open(meetings, gate);
        } catch (IOException e) {
            log.error("nobody can come back to a session: " + e.getMessage());
        }
        mina.bound().forEach(mina::unbind);
        leaving = true;
        afterLast.set(last);
        left();
    }

    /** Where servers before this one are found, if any. */
    public void meets(Path directory) {
        meetings = directory;
    }

    List<Path> predecessors() throws IOException {
        Path directory = meetings;
        return directory == null || leaving ? List.of() : Predecessors.in(directory);
    }

    /** Whether it only goes on with the connections that there are. */
    public boolean leaving() {
        return leaving;
    }

    private void left() {
        if (leaving && transports.isEmpty()) {
            Runnable last = afterLast.getAndSet(null);
            if (last != null) {
                last.run();
            }
        }
    }

    /** Accepts no more, tells every client that it stops, and ends every connection. */
    @Override
    public void close() throws IOException {
        stopping = true;
        Predecessors.Door open = door;
        if (open != null) {
            open.close();
        }
        mina.bound().forEach(mina::unbind);
        transports.values().forEach(one -> one.stopped("the server is shutting down"));
        Moment patience = deadlines.clock().now().plus(Duration.ofSeconds(2));
        while (!transports.isEmpty() && deadlines.clock().now().isBefore(patience)) {
            try {
                Thread.sleep(10);
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                break;
            }
        }
        mina.close(true).await(Duration.ofSeconds(5));
        deadlines.close();
    }

    /** Waits until every connection has ended. */
    public void awaitLast() throws InterruptedException {
        while (!transports.isEmpty()) {
            Thread.sleep(50);
        }
    }

    // --- what its parts need

    /** The configuration as it is now. */
    public ServerConfig config() {
        return config;
    }

    /** What holds for everybody. */
    public ServerSettings settings() {
        return config.global();
    }

    public Log log() {
        return log;
    }

    public Deadlines deadlines() {
        return deadlines;
    }

    TetherGate gate() {
        return gate;
    }

    Doorkeeper doorkeeper() {
        return doorkeeper;
    }

    /** Blames an address, if it can be blamed, and tells the log. */
    void penalise(InetAddress from, Doorkeeper.Offence offence, Moment now) {
        String told = exempt(from) ? null : doorkeeper.penalise(from, offence, now);
        if (told != null) {
            log.verbose(told);
        }
    }

    /** Whether PerSourcePenaltyExemptList has it. */
    private boolean exempt(InetAddress from) {
        String exemptions = settings().perSourcePenaltyExemptList();
        return exemptions != null
                && AddressList.match(from.getHostAddress(), exemptions)
                        == AddressList.Verdict.LISTED;
    }

    public Counts counts() {
        return counts;
    }

    /** LoginGraceTime with its jitter; zero: none. */
    Duration grace() {
        Duration grace = settings().loginGraceTime();
        return grace.isZero()
                ? grace
                : grace.plusMillis(ThreadLocalRandom.current().nextInt(GRACE_JITTER_MILLIS));
    }

    /** Does what may wait, on a thread of its own. */
    void apart(Runnable work) {
        Thread.ofVirtual().name("holdfast-close").start(work);
    }

    void admitted(ServerTransport transport) {
        counts.admitted();
    }

    void gone(ServerTransport transport, Departure why) {
        if (transports.remove(transport.id(), transport)) {
            counts.departed(why);
            Reclaim.of(mina).gone(transports.size());
            left();
        }
    }

    // --- seen from outside

    /** How long it has been running. */
    public Duration uptime() {
        return deadlines.clock().now().since(started);
    }

    /** Logins in progress. */
    public int startups() {
        return doorkeeper.startups();
    }

    /** Sources that are kept out now. */
    public int penalised() {
        return doorkeeper.penalised(deadlines.clock().now());
    }

    /** Every connection as it stands, oldest first. */
    public List<ConnectionStatus> connections() {
        List<ConnectionStatus> all = new ArrayList<>(transports.size());
        Moment now = deadlines.clock().now();
        transports.values().stream()
                .sorted(Comparator.comparing(ServerTransport::accepted))
                .forEach(transport -> all.add(status(transport.id(), transport, now)));
        return all;
    }

    private static ConnectionStatus status(long id, ServerTransport transport, Moment now) {
        LinkState link = transport.linkState();
        Watch watch =
                switch (link) {
                    case LinkState.Up up -> up.watch();
                    case LinkState.Suspect suspect -> suspect.watch();
                    case LinkState.Opening _, LinkState.Dead _ -> null;
                };
        InetSocketAddress peer = transport.peer();
        ConnectionStatus.Tethered tether = transport.standing();
        return new ConnectionStatus(
                id,
                transport.triedUser(),
                peer == null ? null : ServerTransport.text(peer),
                now.since(transport.accepted()),
                now.since(Moment.earlier(now, transport.lastByte())),
                watch == null || watch.roundTrip().equals(RoundTrip.UNKNOWN)
                        ? null
                        : watch.roundTrip().smoothed(),
                watch == null ? 0 : watch.unanswered(),
                switch (link) {
                    case LinkState.Opening _ -> ConnectionStatus.State.OPENING;
                    case LinkState.Up _ ->
                            tether != null && tether.parked() != null
                                    ? ConnectionStatus.State.PARKED
                                    : ConnectionStatus.State.UP;
                    case LinkState.Suspect _ -> ConnectionStatus.State.SUSPECT;
                    case LinkState.Dead _ -> ConnectionStatus.State.DEAD;
                },
                transport.channelKinds(),
                tether);
    }

    /**
     * Ends one connection.
     *
     * @return false if there is none of that number
     */
    public boolean drop(long id) {
        ServerTransport transport = transports.get(id);
        if (transport == null) {
            return false;
        }
        transport.stopped("ended by the administrator");
        return true;
    }

    private Doorkeeper.Rules rules() {
        ServerSettings settings = settings();
        return new Doorkeeper.Rules(
                settings.maxStartups(),
                settings.perSourceMaxStartups(),
                settings.perSourceNetBlockSize(),
                settings.perSourcePenalties());
    }

    /** MINA's server, listening where and when we say. */
    private static final class Listening extends SshServer {
        private @Nullable IoHandler gate;

        void listenThrough(IoHandler handler) {
            gate = handler;
        }

        @Override
        protected IoAcceptor createAcceptor() {
            return getIoServiceFactory().createAcceptor(Objects.requireNonNull(gate));
        }

        @Override
        public void start() throws IOException {
            checkConfig();
            acceptor = createAcceptor();
        }

        /** The addresses that were bound for {@code address}: itself, with its port. */
        List<InetSocketAddress> bind(InetSocketAddress address) throws IOException {
            Set<InetSocketAddress> before = bound();
            acceptor.bind(address);
            List<InetSocketAddress> fresh = new ArrayList<>(bound());
            fresh.removeAll(before);
            return fresh;
        }

        void unbind(InetSocketAddress address) {
            acceptor.unbind(address);
        }

        Set<InetSocketAddress> bound() {
            Set<InetSocketAddress> addresses = new LinkedHashSet<>();
            Collection<SocketAddress> all =
                    acceptor == null ? List.of() : acceptor.getBoundAddresses();
            for (SocketAddress address : all) {
                if (address instanceof InetSocketAddress inet) {
                    addresses.add(inet);
                }
            }
            return addresses;
        }
    }

    private final class Transports extends SessionFactory {

        Transports() {
            super(mina);
        }

        @Override
        protected ServerSessionImpl doCreateSession(IoSession io) throws Exception {
            InetAddress from =
                    io.getRemoteAddress() instanceof InetSocketAddress peer
                            ? peer.getAddress()
                            : null;
            if (from != null) {
                knock(io, from);
            }
            ServerTransport transport =
                    new ServerTransport(getServer(), io, Server.this, number(io));
            transports.put(transport.id(), transport);
            counts.accepted();
            transport.begin();
            return transport;
        }

        /** Of a process that has but one connection (sshd -i) it is its own. */
        private long number(IoSession io) {
            if (io instanceof Wire) {
                return ProcessHandle.current().pid();
            }
            long id;
            do {
                id = ids.getAndUpdate(last -> last == LAST_ID ? FIRST_ID : last + 1);
            } while (transports.containsKey(id));
            return id;
        }

        private void knock(IoSession io, InetAddress from) throws IOException {
            AsynchronousSocketChannel socket =
                    io instanceof CarriedSession session
                                    && session.carrying() instanceof Nio2Session nio
                            ? nio.getSocket()
                            : null;
            ServerSettings settings = settings();
            Doorkeeper.Refusal refusal =
                    stopping
                            ? new Doorkeeper.Refusal("the server is stopping", Log.Level.INFO)
                            : doorkeeper.enter(from, exempt(from), deadlines.clock().now());
            Doorkeeper.News news = doorkeeper.news();
            if (news != null) {
                Server.this.log.write(news.level(), news.text());
            }
            if (refusal != null) {
                counts.departed(Departure.REFUSED);
                dropped(io, refusal);
                if (socket != null) {
                    // The send buffer of a new connection takes so little at once.
                    var _ =
                            socket.write(
                                    ByteBuffer.wrap(
                                            "Not allowed at this time\r\n"
                                                    .getBytes(StandardCharsets.US_ASCII)));
                }
                throw new IOException(refusal.why());
            }
            if (socket != null && settings.tcpKeepAlive()) {
                keepAlive(socket, settings);
            }
        }

        /** In OpenSSH's words. */
        private void dropped(IoSession io, Doorkeeper.Refusal refusal) {
            // Not MINA's log, which this class inherits.
            Server.this.log.write(
                    refusal.level(),
                    "drop connection #"
                            + doorkeeper.startups()
                            + " from "
                            + bracketed(io.getRemoteAddress())
                            + " on "
                            + bracketed(io.getLocalAddress())
                            + " "
                            + refusal.why());
        }

        private static String bracketed(SocketAddress address) {
            return address instanceof InetSocketAddress inet
                    ? "[" + NumericAddress.text(inet.getAddress()) + "]:" + inet.getPort()
                    : "UNKNOWN";
        }

        private void keepAlive(AsynchronousSocketChannel socket, ServerSettings settings)
                throws IOException {
            Duration idle = settings.tcpKeepAliveIdle();
            if (idle != null) {
                set(socket, ExtendedSocketOptions.TCP_KEEPIDLE, (int) idle.toSeconds());
            }
            Duration interval = settings.tcpKeepAliveInterval();
            if (interval != null) {
                set(socket, ExtendedSocketOptions.TCP_KEEPINTERVAL, (int) interval.toSeconds());
            }
            if (settings.tcpKeepAliveCount() > 0) {
                set(socket, ExtendedSocketOptions.TCP_KEEPCOUNT, settings.tcpKeepAliveCount());
            }
        }

        private static void set(
                AsynchronousSocketChannel socket, SocketOption<Integer> option, int value)
                throws IOException {
            socket.setOption(option, Math.max(1, value));
        }
    }

    /** One for all connections: who has how many channels. */
    private static final class ChannelWatch implements ChannelListener {

        @Override
        public void channelOpenSuccess(Channel channel) {
            ServerTransport.of(channel.getSession()).channelOpened(channel);
        }

        @Override
        public void channelClosed(Channel channel, @Nullable Throwable reason) {
            ServerTransport.of(channel.getSession()).channelClosed(channel);
        }
    }
}
