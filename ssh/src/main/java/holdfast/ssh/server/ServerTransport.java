package holdfast.ssh.server;

import holdfast.core.liveness.Cause;
import holdfast.core.liveness.LinkCommand;
import holdfast.core.liveness.LinkEvent;
import holdfast.core.liveness.LinkState;
import holdfast.core.liveness.LivenessPolicy;
import holdfast.core.liveness.Phase;
import holdfast.core.time.Moment;
import holdfast.core.time.TimingWheel.Timer;
import holdfast.ssh.config.Patterns;
import holdfast.ssh.config.ServerSettings;
import holdfast.ssh.hostkeys.NumericAddress;
import holdfast.ssh.link.ClosedChannels;
import holdfast.ssh.link.IdleChannels;
import holdfast.ssh.link.KeyAge;
import holdfast.ssh.link.KeyExchangeWords;
import holdfast.ssh.log.Log;
import holdfast.ssh.log.Printable;
import holdfast.ssh.system.Sockets;
import java.io.IOException;
import java.io.StreamCorruptedException;
import java.net.InetSocketAddress;
import java.net.SocketAddress;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.atomic.AtomicReference;
import org.apache.sshd.common.AttributeRepository.AttributeKey;
import org.apache.sshd.common.Service;
import org.apache.sshd.common.SshConstants;
import org.apache.sshd.common.SshException;
import org.apache.sshd.common.channel.Channel;
import org.apache.sshd.common.io.IoSession;
import org.apache.sshd.common.io.IoWriteFuture;
import org.apache.sshd.common.kex.KexProposalOption;
import org.apache.sshd.common.kex.KexState;
import org.apache.sshd.common.session.Session;
import org.apache.sshd.common.session.SessionHolder;
import org.apache.sshd.common.session.helpers.AbstractConnectionService;
import org.apache.sshd.common.util.Readable;
import org.apache.sshd.common.util.buffer.Buffer;
import org.apache.sshd.common.util.buffer.ByteArrayBuffer;
import org.apache.sshd.server.ServerFactoryManager;
import org.jspecify.annotations.Nullable;

/**
 * One client's connection: MINA's server session, with our eyes on it and our word on how long it
 * lives.
 *
 * <p>MINA's threads call it when something comes; {@link Link decisions} about it are made on the
 * server's thread of deadlines, which never waits for it.
 */
public final class ServerTransport extends OneKeyExchange {

    /**
     * What a channel is, in ChannelTimeout's words ({@code session:shell}), where that is more than
     * the type it was opened with.
     */
    public static final AttributeKey<String> KIND = new AttributeKey<>();

    /** More of what a client says goes into no line of the log. */
    private static final int LONGEST_WORDS = 256;

    /** packet.c fmt_connection_id cuts there what is known of who tries to log in. */
    private static final int LONGEST_TRIED = 200;

    /** Nor more of the algorithms that it offers; OpenSSH's line ends there. */
    private static final int LONGEST_OFFER = 1000;

    /** MINA's bound on a packet (AbstractSession.decode). */
    private static final long LONGEST_PACKET =
            8L * SshConstants.SSH_REQUIRED_PAYLOAD_PACKET_LENGTH_SUPPORT;

    /** MINA's words for a length that cannot be one; the number follows. */
    private static final String BAD_LENGTH = "Invalid packet length: ";

    private static final String KEEPALIVE = "keepalive@openssh.com";

    /** Reason of a tether's CLOSE (PROTOCOL.md section 4). */
    private static final long CLOSE_STOPPED = 1;

    /** A probe that was sent as a request on a channel, and has had no answer. */
    private record ChannelProbe(long channel, Moment sent) {}

    private final Server server;
    private final long id;
    private final ServerLink link;
    private final @Nullable CarriedSession carried;
    private final @Nullable InetSocketAddress local;
    private final Moment accepted;
    private final AtomicReference<@Nullable Departure> departure = new AtomicReference<>();
    // A probe is only sent when CountMax allows, which bounds these.
    private final ArrayDeque<ChannelProbe> channelProbes = new ArrayDeque<>();
    private volatile @Nullable InetSocketAddress peer;
    private volatile @Nullable String peerName;
    private final AtomicReference<String> firstWords = new AtomicReference<>("");
    private volatile ServerSettings settings;

    /** Not named log: the superclass has a logger of that name. */
    private volatile Log journal;

    private volatile @Nullable Login login;
    private volatile @Nullable String triedUser;
    private volatile boolean validUser;
    private volatile boolean tried;
    private final ClosedChannels closedChannels = new ClosedChannels();

    // For a line of the log at the end, whose thread need not see the last packet: what came,
    // counted by whoever reads the network, and what went, under encodeLock.
    private long received;
    private long sent;

    /** Why no keys could be agreed on. */
    private volatile @Nullable String unmatched;

    private boolean starting = true;

    private final Object marking = new Object();

    /** The system's own mark is none. */
    private int marked;

    // For ChannelTimeout and UnusedConnectionTimeout; the maps only if one is set.
    private final Timer<Runnable> channelTimer = new Timer<>(this::lookAtChannels);
    private volatile long unusedSince;
    private volatile @Nullable IdleChannels idle;

    ServerTransport(ServerFactoryManager manager, IoSession io, Server server, long id)
            throws Exception {
        super(manager, io);
        this.server = server;
        this.id = id;
        carried = io instanceof CarriedSession session ? session : null;
        if (carried != null) {
            carried.belongsTo(this);
        }
        settings = server.settings();
        journal = server.log().of(id);
        peer = resolved(io.getRemoteAddress());
        local = resolved(io.getLocalAddress());
        accepted = server.deadlines().clock().now();
        link =
                new ServerLink(
                        server.deadlines(),
                        LivenessPolicy.server(Duration.ZERO, 0, server.grace()),
                        this::perform);
    }

    private static @Nullable InetSocketAddress resolved(SocketAddress address) {
        return address instanceof InetSocketAddress inet && !inet.isUnresolved() ? inet : null;
    }

    /** The transport that {@code holder}'s session, one of this server's, is. */
    public static ServerTransport of(SessionHolder<?> holder) {
        return (ServerTransport) Objects.requireNonNull(holder.getSession());
    }

    /** The same of a session itself. */
    public static ServerTransport of(Session session) {
        return (ServerTransport) session;
    }

    /** What holds for this connection, as far as is known who it is. */
    public ServerSettings settings() {
        return settings;
    }

    /** Match blocks have been applied for the user who wants in. */
    public void settle(ServerSettings now) {
        Log everybodys = server.log().of(id);
        boolean own =
                now.logLevel() != server.settings().logLevel()
                        && everybodys.level() != Log.Level.QUIET;
        boolean places = !now.logVerbose().equals(server.settings().logVerbose());
        Log mine = own || places ? everybodys.at(own ? now.logLevel() : everybodys.level()) : null;
        if (mine != null && places) {
            mine.verboseAt(now.logVerbose(), Patterns::isListed);
        }
        journal = mine == null ? everybodys : mine;
        settings = now;
        // RekeyLimit of a Match; whoever looks at these two next has heard of the login since.
        maxRekeyBytes = Server.rekeyBytes(now);
        maxRekeyInterval = Server.rekeyTime(now);
    }

    /** OpenSSH's client knows no new keys before the login is over. */
    @Override
    protected boolean isRekeyRequired() {
        return login != null && super.isRekeyRequired();
    }

    /** Notes what is to be said to the user in their first shell; empty: nothing. */
    public void toSay(String words) {
        firstWords.set(words);
    }

    /** What that was, once. */
    public String firstWords() {
        return firstWords.getAndSet("");
    }

    /** Notes what the client's machine is called, where that was looked up (UseDNS). */
    public void comesFrom(String name) {
        peerName = name;
    }

    /** The client's name for the system's records, or its address; empty where it has neither. */
    public String peerName() {
        String name = peerName;
        InetSocketAddress address = peer;
        return name != null
                ? name
                : address == null ? "" : NumericAddress.text(address.getAddress());
    }

    /** Notes whom the client wants to be. */
    public void wantsToBe(String user, boolean exists) {
        triedUser = user;
        validUser = exists;
    }

    /** Lets a user in; to be called once, before the client is told. */
    public void admit(Login who) {
        settings = who.settings();
        login = who;
        triedUser = who.account().name();
        validUser = true;
        unusedSince = server.deadlines().clock().now().nanos();
        if (!settings.channelTimeout().isEmpty()) {
            idle = new IdleChannels(settings.channelTimeout());
        }
        loginOver();
        // With a tether a silent client is looked after beneath, and its session held.
        boolean held = carried != null && server.gate().hold(carried, who);
        link.authenticated(
                held
                        ? LivenessPolicy.server(Duration.ZERO, 0, Duration.ZERO)
                        : LivenessPolicy.server(
                                settings.clientAliveInterval(),
                                settings.clientAliveCountMax(),
                                Duration.ZERO));
        watchChannels();
        server.admitted(this);
    }

    /** Who is in; null before that. */
    public @Nullable Login login() {
        return login;
    }

    /** The client's address; null where there is no TCP connection ({@code sshd -i}). */
    public @Nullable InetSocketAddress peer() {
        return peer;
    }

    /** Our own address on this connection; null where there is no TCP connection. */
    public @Nullable InetSocketAddress local() {
        return local;
    }

    /** The client's address in the log's form: {@code 192.0.2.1 port 5678}. */
    public String peerText() {
        return peer == null ? "UNKNOWN port 65535" : text(peer);
    }

    private static String address(@Nullable InetSocketAddress address) {
        return address == null ? "UNKNOWN" : NumericAddress.text(address.getAddress());
    }

    static String text(InetSocketAddress address) {
        return NumericAddress.text(address.getAddress()) + " port " + address.getPort();
    }

    /** Where lines about this connection go: to the server's log, at LogLevel of its Match. */
    public Log log() {
        return journal;
    }

    /** Blames the client's address for an offence (PerSourcePenalties). */
    void penalise(Doorkeeper.Offence offence) {
        tried = true;
        if (peer != null) {
            server.penalise(peer.getAddress(), offence, now());
        }
    }

    /** An authentication failed. */
    public void authenticationFailed() {
        penalise(validUser ? Doorkeeper.Offence.AUTH_FAIL : Doorkeeper.Offence.INVALID_USER);
    }

    /** Something was tried that is no failure, such as asking whether a key would do. */
    public void authenticationTried() {
        tried = true;
    }

    /**
     * Marks what is sent from now on for the network, by IPQoS: as a terminal's, or as anything
     * else. Some microseconds for each descriptor of the process, where that changes anything.
     */
    public void marks(boolean interactive) {
        ServerSettings.IpQos qos = settings.ipQos();
        mark(interactive ? qos.interactive() : qos.bulk());
    }

    private void mark(int service) {
        synchronized (marking) {
            if (service < 0 || service == marked || !isOpen()) {
                return;
            }
            IoSession io = carried == null ? getIoSession() : carried.carrying();
            InetSocketAddress from = resolved(io.getLocalAddress());
            InetSocketAddress to = resolved(io.getRemoteAddress());
            if (from != null && to != null) {
                log().debug3("ssh_packet_set_tos: set IP_TOS 0x%02x".formatted(service));
                if (!Sockets.mark(from, to, service)) {
                    log().debug2("setsockopt IP_TOS " + service + " failed"); // only a hint
                }
                marked = service;
            }
        }
    }

    /** Another connection carries this one: it has no mark yet. */
    private void markAnew() {
        synchronized (marking) {
            int service = marked;
            if (service > 0) {
                marked = 0;
                mark(service);
            }
        }
    }

    /** RefuseConnection: ends it without a word to the client, as OpenSSH's monitor does. */
    public void prohibited() {
        if (depart(Departure.REFUSED)) {
            log().info(
                            "administratively prohibited connection for "
                                    + (validUser ? "" : "invalid user ")
                                    + printable(String.valueOf(triedUser))
                                    + " from "
                                    + peerText());
            penalise(Doorkeeper.Offence.REFUSED);
        }
        cut();
    }

    /** hosts.deny: ends it without a word to the client. */
    public void refused(String client) {
        if (depart(Departure.REFUSED)) {
            log().info("refused connect from " + client);
        }
        cut();
    }

    /**
     * Ends it for a fault of the configuration that only this client's login has met, without a
     * word to the client, as OpenSSH's process for it ends.
     */
    public void giveUp(String why) {
        if (depart(Departure.EXPELLED)) {
            log().fatal(why);
        }
        server.apart(() -> close(false)); // what it was told before it is still to hear
    }

    /** Runs {@code work} while no packet of the client's is being taken apart. */
    public void between(Runnable work) {
        decodeLock.lock();
        try {
            work.run();
        } finally {
            decodeLock.unlock();
        }
    }

    /**
     * Ends the connection and says why, as OpenSSH does; MINA keeps the reason of a protocol error
     * to itself.
     */
    public void expel(String why) {
        if (depart(Departure.EXPELLED)) {
            log().info(
                            "Disconnecting "
                                    + whoTried()
                                    + peerText()
                                    + ": "
                                    + printable(why)
                                    + preauth());
        }
        Buffer buffer = createBuffer(SshConstants.SSH_MSG_DISCONNECT, why.length() + 16);
        buffer.putInt(SshConstants.SSH2_DISCONNECT_PROTOCOL_ERROR);
        buffer.putString(why);
        buffer.putString("");
        try {
            writePacket(buffer, Duration.ofSeconds(2)).addListener(written -> close(true));
        } catch (IOException e) {
            close(true);
        }
    }

    /** Answers a packet that means nothing now, on the thread that is taking it apart. */
    public void unimplemented(int command, Buffer buffer) throws Exception {
        notImplemented(command, buffer);
    }

    // --- what status shows

    /** Its number, which no process has: in the log, and in what status tells. */
    long id() {
        return id;
    }

    LinkState linkState() {
        return link.state();
    }

    Moment accepted() {
        return accepted;
    }

    Moment lastByte() {
        return link.lastByte();
    }

    @Nullable String triedUser() {
        return triedUser;
    }

    int channels() {
        AbstractConnectionService service = service();
        return service == null ? 0 : service.getChannels().size();
    }

    /** Whether any channel is there that is not about to close. */
    private boolean inUse() {
        AbstractConnectionService service = service();
        return service != null && service.getChannels().stream().anyMatch(Channel::isOpen);
    }

    List<String> channelKinds() {
        AbstractConnectionService service = service();
        List<String> kinds = new ArrayList<>();
        if (service != null) {
            for (Channel channel : service.getChannels()) {
                String kind = kind(channel);
                kinds.add(kind == null ? "session" : kind);
            }
        }
        return kinds;
    }

    ConnectionStatus.@Nullable Tethered standing() {
        return carried == null || !carried.tethered() ? null : carried.standing();
    }

    // --- the tether beneath

    @Override
    protected String resolveIdentificationString(String property) {
        String plain = super.resolveIdentificationString(property);
        return carried == null ? plain : carried.identification(plain);
    }

    /** The client did not want a connection of its own, but to come back to one that is there. */
    void superseded() {
        depart(Departure.RESUMED);
        loginOver();
        cut();
    }

    /** The connection is gone, and the client may come back. */
    void parked() {
        log().info("Connection lost from " + who() + peerText() + ": session held");
    }

    /**
     * The client is back, or has brought another connection before this end missed it.
     *
     * @param away for how long nobody was there; null: the older connection was not missed yet
     */
    void resumed(@Nullable InetSocketAddress from, @Nullable Duration away) {
        InetSocketAddress before = peer;
        peer = from;
        link.heardBytes();
        server.apart(this::markAnew);
        if (away != null) {
            log().info(
                            "Session of "
                                    + who()
                                    + "resumed from "
                                    + peerText()
                                    + " after "
                                    + seconds(away));
            return;
        }
        // A client that cannot know which of its attempts gets through makes several, and each of
        // them carries for a moment: that is no news, another address is.
        String line = "Session of " + who() + "goes on from " + peerText();
        if (before != null && from != null && before.getAddress().equals(from.getAddress())) {
            log().verbose(line);
        } else {
            log().info(line);
        }
    }

    /** The client did not come back in time. */
    void waitedInVain() {
        if (depart(Departure.HOLD_OVER)) {
            log().info("Session of " + who() + "ends: nobody came back from " + peerText());
        }
    }

    // --- what comes

    void begin() {
        if (peer != null && local != null) {
            log().verbose("Connection from " + peerText() + " on " + text(local) + " rdomain \"\"");
        }
        link.start();
    }

    @Override
    public void messageReceived(Readable bytes) throws Exception {
        link.heardBytes();
        received += bytes.available();
        super.messageReceived(bytes);
    }

    @Override
    protected void handleMessage(Buffer buffer) throws Exception {
        link.heardPacket();
        closedChannels.came(buffer);
        int command = buffer.array()[buffer.rpos()] & 0xff;
        if ((command == SshConstants.SSH_MSG_CHANNEL_SUCCESS
                        || command == SshConstants.SSH_MSG_CHANNEL_FAILURE)
                && answersProbe(buffer)) {
            return;
        }
        IdleChannels watched = idle;
        if (watched != null) {
            watched.came(buffer);
        }
        super.handleMessage(buffer);
    }

    private static long unsigned(byte[] bytes, int at) {
        return (bytes[at] & 0xffL) << 24
                | (bytes[at + 1] & 0xffL) << 16
                | (bytes[at + 2] & 0xffL) << 8
                | (bytes[at + 3] & 0xffL);
    }

    @Override
    public IoWriteFuture writePacket(Buffer buffer) throws IOException {
        IdleChannels watched = idle;
        if (watched != null) {
            watched.went(buffer);
        }
        return super.writePacket(buffer);
    }

    /** Called for every packet, also for those that a key exchange has held back. */
    @Override
    protected IoWriteFuture doWritePacket(Buffer buffer) throws IOException {
        encodeLock.lock();
        try {
            if (!closedChannels.permits(buffer)) {
                return ClosedChannels.dropped();
            }
            return super.doWritePacket(buffer);
        } finally {
            encodeLock.unlock();
        }
    }

    @Override
    protected Buffer encode(Buffer buffer) throws IOException {
        Buffer whole = super.encode(buffer);
        sent += whole.available();
        return whole;
    }

    /** What is no packet is refused at once while there is nothing to hide by going on reading. */
    @Override
    protected void decode() throws Exception {
        if (inCipher == null && decoderState == 0 && decoderBuffer.available() > Integer.BYTES) {
            long length = decoderBuffer.rawUInt(decoderBuffer.rpos());
            if (length < SshConstants.SSH_PACKET_HEADER_LEN || length > LONGEST_PACKET) {
                throw new SshException(
                        SshConstants.SSH2_DISCONNECT_PROTOCOL_ERROR, BAD_LENGTH + (int) length);
            }
        }
        super.decode();
    }

    // --- the lines of the debug log that scripts look for

    private void debug(String text) {
        if (log().shows(Log.Level.DEBUG1)) {
            log().debug(text + preauth());
        }
    }

    @Override
    protected byte[] sendKexInit() throws Exception {
        byte[] made = super.sendKexInit();
        debug("SSH2_MSG_KEXINIT sent");
        return made;
    }

    @Override
    protected void handleKexInit(Buffer buffer) throws Exception {
        debug("SSH2_MSG_KEXINIT received");
        super.handleKexInit(buffer);
    }

    @Override
    protected Map<KexProposalOption, String> negotiate() throws Exception {
        Map<KexProposalOption, String> agreed;
        try {
            agreed = super.negotiate();
        } catch (Exception e) {
            unmatched =
                    KeyExchangeWords.nothingInCommon(
                            getServerKexProposals(), getClientKexProposals());
            throw e;
        }
        if (log().shows(Log.Level.DEBUG1)) {
            List<String> lines = KeyExchangeWords.agreed(agreed);
            // A server tells first what it hears.
            List.of(lines.get(0), lines.get(1), lines.get(3), lines.get(2)).forEach(this::debug);
        }
        return agreed;
    }

    @Override
    protected IoWriteFuture sendNewKeys() throws Exception {
        IoWriteFuture written = super.sendNewKeys();
        debug("SSH2_MSG_NEWKEYS sent");
        debug("expecting SSH2_MSG_NEWKEYS");
        return written;
    }

    @Override
    protected void handleNewKeys(int command, Buffer buffer) throws Exception {
        debug("SSH2_MSG_NEWKEYS received");
        super.handleNewKeys(command, buffer);
        debug("KEX done");
    }

    /** Takes one line and not a byte more (RFC 4253 section 4.2). */
    @Override
    protected boolean readIdentification(Buffer buffer) throws Exception {
        return switch (Identification.of(buffer.array(), buffer.rpos(), buffer.available())) {
            case Identification.More _ -> {
                buffer.compact();
                yield false;
            }
            case Identification.Bad bad -> {
                tell(bad.answer() + "\r\n");
                throw misidentified(bad);
            }
            case Identification.Passing passing -> throw passed(passing);
            case Identification.Client client -> {
                buffer.rpos(buffer.rpos() + client.taken());
                identified(client);
                yield true;
            }
        };
    }

    private void identified(Identification.Client client) throws Exception {
        clientVersion = client.line();
        log().debug(
                        "Remote protocol version "
                                + client.protocol()
                                + ", remote software version "
                                + Printable.octal(client.software(), 100));
        link.post(new LinkEvent.Reached(Phase.KEY_EXCHANGE));
        signalPeerIdentificationReceived(client.line(), new ArrayList<>());
        kexState.set(KexState.INIT);
        sendKexInit();
    }

    private IOException misidentified(Identification.Bad bad) {
        if (depart(Departure.EXPELLED)) {
            log().write(
                            bad.detail().startsWith("kex_exchange_identification")
                                    ? Log.Level.VERBOSE
                                    : Log.Level.ERROR,
                            bad.detail());
            log().info("banner exchange: Connection from " + peerText() + ": " + bad.words());
        }
        return new IOException(bad.words());
    }

    private IOException passed(Identification.Passing passing) {
        if (depart(Departure.CLOSED)) {
            log().info(
                            passing.words()
                                    + " from "
                                    + peerText()
                                    + " with "
                                    + Printable.octal(passing.line(), LONGEST_WORDS)
                                    + ".  Don't panic.");
            log().info("Connection closed by " + peerText());
        }
        return new IOException(passing.words());
    }

    /** Whether the client has not said yet who it is. */
    private boolean nameless() {
        return clientVersion == null;
    }

    private void tell(String text) {
        try {
            getIoSession().writeBuffer(new ByteArrayBuffer(text.getBytes(StandardCharsets.UTF_8)));
        } catch (IOException e) {
            log().debug2("could not say why: " + e.getMessage());
        }
    }

    static String printable(String text) {
        return Printable.of(text, LONGEST_WORDS);
    }

    // --- liveness

    private void perform(LinkCommand command) {
        switch (command) {
            case LinkCommand.SendProbe probe -> probe(probe.sent());
            case LinkCommand.ShowDoubt _, LinkCommand.HideDoubt _ -> {
                // Nobody sits here; status shows it.
            }
            case LinkCommand.Condemn condemned -> condemn(condemned.cause());
        }
    }

    private void probe(Moment sent) {
        server.counts().probed();
        try {
            Channel channel = firstOpenChannel();
            if (channel == null) {
                Buffer request = createBuffer(SshConstants.SSH_MSG_GLOBAL_REQUEST, 48);
                request.putString(KEEPALIVE);
                request.putBoolean(true);
                request(
                        request,
                        KEEPALIVE,
                        (answer, reply) -> link.post(new LinkEvent.ProbeAnswered(sent)));
                return;
            }
            synchronized (channelProbes) {
                channelProbes.add(new ChannelProbe(channel.getChannelId(), sent));
            }
            Buffer request = createBuffer(SshConstants.SSH_MSG_CHANNEL_REQUEST, 48);
            request.putUInt(channel.getRecipient());
            request.putString(KEEPALIVE);
            request.putBoolean(true);
            writePacket(request);
        } catch (IOException e) {
            log().debug2("keepalive not sent: " + e.getMessage()); // closing: the link hears of it
        }
    }

    private @Nullable Channel firstOpenChannel() {
        AbstractConnectionService service = service();
        if (service == null) {
            return null;
        }
        for (Channel channel : service.getChannels()) {
            if (channel.isOpen() && !channel.isEofSignalled() && channel.getRecipient() >= 0) {
                return channel;
            }
        }
        return null;
    }

    private @Nullable AbstractConnectionService service() {
        for (Service service : getServices()) {
            if (service instanceof AbstractConnectionService connections) {
                return connections;
            }
        }
        return null; // still authenticating
    }

    private boolean answersProbe(Buffer buffer) {
        if (buffer.available() < 5) {
            return false;
        }
        long channel = unsigned(buffer.array(), buffer.rpos() + 1);
        ChannelProbe answered;
        synchronized (channelProbes) {
            ChannelProbe oldest = channelProbes.peek();
            if (oldest == null || oldest.channel() != channel) {
                return false;
            }
            answered = channelProbes.remove();
        }
        link.post(new LinkEvent.ProbeAnswered(answered.sent()));
        return true;
    }

    private void condemn(Cause cause) {
        switch (cause) {
            case Cause.Silent silent -> {
                if (depart(Departure.SILENT)) {
                    log().info(
                                    "Timeout, client not responding from "
                                            + who()
                                            + peerText()
                                            + ": nothing heard for "
                                            + seconds(silent.silence())
                                            + ", "
                                            + silent.probes()
                                            + (silent.probes() == 1 ? " keepalive" : " keepalives")
                                            + " unanswered");
                }
            }
            case Cause.NotOpened _ -> {
                if (depart(Departure.GRACE_EXCEEDED)) {
                    log().info(
                                    "Timeout before authentication for connection from "
                                            + address(peer)
                                            + " to "
                                            + address(local)
                                            + ", pid = "
                                            + id);
                    penalise(Doorkeeper.Offence.GRACE_EXCEEDED);
                }
            }
            case Cause.Ended _ -> {}
        }
        cut();
    }

    private static String seconds(Duration time) {
        return "%.1f s".formatted(time.toMillis() / 1000.0);
    }

    /** Closes without another word to a client that does not listen. Waits for nobody. */
    void cut() {
        server.apart(() -> close(true));
    }

    // --- channels' time limits

    void channelOpened(Channel channel) {
        IdleChannels watched = idle;
        if (watched != null) {
            watched.opened(channel);
        }
        watchChannels();
    }

    void channelClosed(Channel channel) {
        IdleChannels watched = idle;
        if (watched != null) {
            watched.closed(channel);
        }
        unusedSince = now().nanos();
        watchChannels();
    }

    /** A channel turns out to be of this kind, once it is open: its limit counts from now. */
    public void turnsOut(Channel channel, String kind) {
        channel.setAttribute(KIND, kind);
        IdleChannels watched = idle;
        if (watched != null) {
            watched.opened(channel);
        }
        watchChannels();
    }

    /** Has the channels' limits looked at anew, if there are any. */
    private void watchChannels() {
        if (idle != null
                || !settings.unusedConnectionTimeout().isZero()
                || !settings.rekeyLimit().time().isZero()) {
            server.deadlines().post(this::lookAtChannels);
        }
    }

    private void renewKeys() {
        try {
            checkRekey();
        } catch (Exception e) {
            log().debug("rekey refused: " + e.getMessage());
        }
    }

    /** On the deadlines' thread. */
    private void lookAtChannels() {
        if (login == null || !isOpen()) {
            return;
        }
        Moment next = Moment.NEVER;
        Duration unused = settings.unusedConnectionTimeout();
        if (!unused.isZero() && !inUse()) {
            next = new Moment(unusedSince).plus(unused);
            if (next.isBefore(now())) {
                if (depart(Departure.UNUSED)) {
                    log().info("terminating inactive connection from " + who() + peerText());
                }
                server.apart(() -> close(true));
                return;
            }
        }
        AbstractConnectionService service = service();
        IdleChannels watched = idle;
        if (watched != null && service != null) {
            for (Channel channel : service.getChannels()) {
                next = Moment.earlier(next, expiry(watched, channel));
            }
        }
        Duration interval = settings.rekeyLimit().time();
        if (!interval.isZero()) {
            Duration left = KeyAge.left(lastKeyTimeValue, interval);
            if (!left.isPositive()) {
                server.apart(this::renewKeys);
                left = interval;
            }
            next = Moment.earlier(next, now().plus(left));
        }
        if (next.equals(Moment.NEVER)) {
            server.deadlines().cancel(channelTimer);
        } else {
            // Just after: the limit is to be passed, not met.
            server.deadlines().set(channelTimer, next.plus(Duration.ofMillis(1)));
        }
    }

    /** When {@code channel} will have been idle for too long, having ended it if that is now. */
    private Moment expiry(IdleChannels watched, Channel channel) {
        String kind = kind(channel);
        Duration left = watched.left(channel, kind);
        if (left == null) {
            return Moment.NEVER;
        }
        if (left.isNegative()) {
            log().verbose(watched.words(channel, kind));
            server.apart(() -> channel.close(false));
            return Moment.NEVER;
        }
        return now().plus(left);
    }

    private static @Nullable String kind(Channel channel) {
        String kind = channel.getAttribute(KIND);
        return kind;
    }

    // --- the end

    @Override
    protected void handleDisconnect(int code, String text, String language, Buffer buffer)
            throws Exception {
        if (depart(Departure.DISCONNECTED)) {
            log().info(
                            "Received disconnect from "
                                    + peerText()
                                    + ":"
                                    + code
                                    + ": "
                                    + printable(text)
                                    + preauth());
            log().info("Disconnected from " + whoTried() + peerText() + preauth());
        }
        super.handleDisconnect(code, text, language, buffer);
    }

    @Override
    public void exceptionCaught(Throwable problem) {
        if (isOpen()) {
            if ((problem instanceof SshException ssh && ssh.getDisconnectCode() > 0)
                    || problem instanceof StreamCorruptedException
                    || !(problem instanceof IOException)) {
                if (depart(Departure.EXPELLED)) {
                    tellOffence(offence(problem));
                    // The client's doing costs it no more than leaving would; a fault of ours does.
                    if (login == null && !(problem instanceof IOException)) {
                        penalise(Doorkeeper.Offence.CRASH);
                    }
                }
            } else if (depart(Departure.BROKEN)) {
                String text = String.valueOf(problem.getMessage());
                if (nameless()) {
                    log().verbose(
                                    "kex_exchange_identification: read: "
                                            + (text.contains("reset")
                                                    ? "Connection reset by peer"
                                                    : printable(text)));
                }
                if (login != null) {
                    log().info(
                                    "Read error from remote host "
                                            + peerText()
                                            + ": "
                                            + (text.contains("reset")
                                                    ? "Connection reset by peer"
                                                    : printable(text)));
                } else {
                    log().info(
                                    (text.contains("reset")
                                                    ? "Connection reset by "
                                                    : "Connection closed by ")
                                            + whoTried()
                                            + peerText()
                                            + preauth());
                }
            }
        }
        // Without a code MINA would close without a word, and the client could not say why.
        super.exceptionCaught(
                problem instanceof StreamCorruptedException
                        ? new SshException(
                                SshConstants.SSH2_DISCONNECT_PROTOCOL_ERROR,
                                offence(problem),
                                problem)
                        : problem);
    }

    /** For what a client does wrong OpenSSH's server has a line of its own, or this one for all. */
    private void tellOffence(String offence) {
        String none = unmatched;
        if (none != null) {
            log().info(
                            "Unable to negotiate with "
                                    + whoTried()
                                    + peerText()
                                    + ": "
                                    + Printable.octal(none, LONGEST_OFFER)
                                    + preauth());
            return;
        }
        String words = offence;
        if (offence.startsWith(BAD_LENGTH)) {
            String length = offence.substring(BAD_LENGTH.length());
            log().info("Bad packet length " + length + "." + preauth());
            words = "message authentication code incorrect";
        } else if (offence.equals("MAC Error")) {
            log().info("Corrupted MAC on input." + preauth());
            words = "message authentication code incorrect";
        }
        log().info(
                        "ssh_dispatch_run_fatal: Connection from "
                                + whoTried()
                                + peerText()
                                + ": "
                                + printable(words)
                                + preauth());
    }

    /** What the client did wrong. MINA wraps it where it has no words but the code's own name. */
    private static String offence(Throwable problem) {
        Throwable cause = problem;
        while (cause.getCause() != null
                && (cause.getMessage() == null
                        || cause.getMessage().startsWith("SSH2_DISCONNECT_"))) {
            cause = cause.getCause();
        }
        String text = String.valueOf(cause.getMessage());
        // The only one that MINA reports without SSH's code: LocalWindow.consume.
        return cause instanceof StreamCorruptedException && text.startsWith("consume(")
                ? "rcvd too much data, beyond the channel's window"
                : text;
    }

    @Override
    public void disconnect(int reason, String text) throws IOException {
        if (depart(Departure.EXPELLED)) {
            log().info(
                            "Disconnecting "
                                    + whoTried()
                                    + peerText()
                                    + ": "
                                    + printable(text)
                                    + preauth());
        }
        super.disconnect(reason, text);
    }

    /** The server goes down, or its administrator wants this one to: says so, and closes. */
    void stopped(String why) {
        if (depart(Departure.STOPPED)) {
            if (carried != null) {
                carried.closing(CLOSE_STOPPED);
            }
            server.apart(() -> {
                try {
                    super.disconnect(SshConstants.SSH2_DISCONNECT_BY_APPLICATION, why);
                } catch (IOException e) {
                    close(true);
                }
            });
        }
    }

    @Override
    protected void preClose() {
        if (depart(Departure.CLOSED)) {
            if (nameless()) {
                log().verbose("kex_exchange_identification: Connection closed by remote host");
            }
            if (login == null) {
                log().info("Connection closed by " + whoTried() + peerText() + preauth());
            } else {
                log().info("Connection closed by " + peerText());
                log().verbose("Transferred: sent " + sent + ", received " + received + " bytes");
                log().verbose("Closing connection to " + peerText());
            }
        }
        link.post(new LinkEvent.Ended());
        server.deadlines().post(() -> server.deadlines().cancel(channelTimer));
        if (login == null
                && !tried
                && departure.get() != Departure.STOPPED
                && departure.get() != Departure.RESUMED) {
            penalise(Doorkeeper.Offence.NO_AUTH);
        }
        loginOver();
        server.gone(this, Objects.requireNonNull(departure.get()));
        super.preClose();
    }

    private void loginOver() {
        boolean over;
        synchronized (channelProbes) {
            over = starting;
            starting = false;
        }
        if (over && peer != null) {
            server.doorkeeper().leave(peer.getAddress());
        }
    }

    /** Remembers why it ends; false if that is known already. */
    private boolean depart(Departure why) {
        return departure.compareAndSet(null, why);
    }

    private String who() {
        return login == null ? "" : "user " + login.account().name() + " ";
    }

    private String whoTried() {
        String user = triedUser;
        if (login != null || user == null) {
            return who();
        }
        // Twice, as OpenSSH's: once by the process without privileges, once by the one with them.
        byte[] bytes = user.getBytes(StandardCharsets.UTF_8);
        String named =
                (validUser ? "authenticating user " : "invalid user ")
                        + new String(bytes, StandardCharsets.ISO_8859_1);
        return Printable.octal(Printable.octal(named, LONGEST_TRIED), Integer.MAX_VALUE) + " ";
    }

    /** Where OpenSSH's log has it: from the process without privileges, which reads no names. */
    private String preauth() {
        return login == null && !nameless() ? " [preauth]" : "";
    }

    private Moment now() {
        return server.deadlines().clock().now();
    }

    /** Tells the link of time that the machine slept. On the deadlines' thread. */
    void slept(Duration gap) {
        link.on(new LinkEvent.Slept(gap));
        if (carried != null) {
            carried.slept(gap);
        }
    }

    /** Only for the message of {@link #toString}. */
    @Override
    public SocketAddress getClientAddress() {
        return peer == null ? super.getClientAddress() : peer;
    }
}
