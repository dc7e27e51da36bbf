package holdfast.ssh.forward;

import holdfast.ssh.auth.HostProof;
import holdfast.ssh.config.ClientForwards;
import holdfast.ssh.config.Endpoint;
import holdfast.ssh.config.ForwardSpec;
import holdfast.ssh.config.ServerSettings.Permit;
import holdfast.ssh.log.Log;
import holdfast.ssh.octets.Octets;
import holdfast.ssh.stream.SocketTap;
import holdfast.ssh.stream.Tap;
import java.io.IOException;
import java.net.InetAddress;
import java.net.SocketAddress;
import java.nio.ByteBuffer;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Consumer;
import org.apache.sshd.common.SshConstants;
import org.apache.sshd.common.channel.ChannelFactory;
import org.apache.sshd.common.session.Session;
import org.apache.sshd.common.util.buffer.Buffer;
import org.jspecify.annotations.Nullable;

/**
 * The client's half of forwarding: listens for {@code -L} and {@code -D}, has the server listen for
 * {@code -R}, and connects what comes from there; in OpenSSH's words.
 */
public final class ClientSide {

    private static final int ADMINISTRATIVELY_PROHIBITED = 1;

    private final ClientForwards wanted;
    private final @Nullable String agent;
    private final Log log;
    private final Consumer<String> fatal;

    private volatile boolean forbidden;
    private volatile @Nullable X11 display;

    /** Where what arrives at the server's listeners goes, by the name it arrives under. */
    private final Map<String, Endpoint> remote = new ConcurrentHashMap<>();

    private int unanswered;
    private @Nullable Runnable whenAnswered;

    /** Those that listen here: as many as the person asked for. */
    private final Map<Listening, Listener> listeners = new ConcurrentHashMap<>();

    /**
     * The half of one client.
     *
     * @param agent the socket of the agent that programs at the server may use; null: none
     * @param fatal told in one line what makes the client give up (ExitOnForwardFailure), once the
     *     server has answered; on a thread that must not block
     */
    public ClientSide(
            ClientForwards wanted, @Nullable String agent, Log log, Consumer<String> fatal) {
        this.wanted = wanted;
        this.agent = agent;
        this.log = log;
        this.fatal = fatal;
    }

    /** Nothing is forwarded: the host key is not the one that was known. */
    public void forbid() {
        forbidden = true;
        display = null;
    }

    /** Whether anything may be: the host key is the one that was known. */
    public boolean mayForward() {
        return !forbidden;
    }

    private Forwarding forwarding(Session session) {
        return Forwarding.of(session, log);
    }

    /**
     * Begins all forwards of an authenticated connection.
     *
     * @return why the client cannot go on; null: it can
     */
    public @Nullable String start(Session session) {
        if (forbidden) {
            return null;
        }
        int listening = 0;
        for (ForwardSpec spec : wanted.local()) {
            log.debug(
                    "Local connections to "
                            + spec.listen()
                            + " forwarded to remote address "
                            + spec.connect());
            if (listen(session, spec)) {
                listening++;
            }
        }
        if (listening < wanted.local().size()) {
            if (wanted.exitOnFailure()) {
                return "Could not request local forwarding.";
            }
            if (listening == 0) {
                log.error("Could not request local forwarding.");
            }
        }
        for (ForwardSpec spec : wanted.remote()) {
            log.debug(
                    "Remote connections from "
                            + spec.listen()
                            + " forwarded to local address "
                            + spec.connect());
            if (!ask(session, spec, wanted.exitOnFailure())) {
                if (wanted.exitOnFailure()) {
                    return "Could not request remote forwarding.";
                }
                log.info("Warning: Could not request remote forwarding.");
            }
        }
        return null;
    }

    /**
     * Runs {@code action} once no connection is being forwarded: now, or when the last has ended.
     */
    public void whenNone(Session session, Runnable action) {
        forwarding(session).whenNone(action);
    }

    /** Whether a connection is being forwarded. */
    public boolean busy(Session session) {
        return forwarding(session).busy();
    }

    /** When the last forwarded connection ended, as {@link System#nanoTime}; 0: there was none. */
    public long lastEnd(Session session) {
        return forwarding(session).lastEnd();
    }

    /** Runs {@code action} once the server has answered for every remote forward: now, or then. */
    public void whenAnswered(Runnable action) {
        synchronized (this) {
            if (unanswered > 0) {
                whenAnswered = action;
                return;
            }
        }
        action.run();
    }

    private void oneAnswered() {
        Runnable told;
        synchronized (this) {
            unanswered--;
            if (unanswered > 0) {
                return;
            }
            told = whenAnswered;
            whenAnswered = null;
        }
        if (told != null) {
            told.run();
        }
    }

    // --- listening here

    private boolean listen(Session session, ForwardSpec spec) {
        Forwarding forwarding = forwarding(session);
        Listening name = listening(spec);
        Consumer<SocketTap> accepted = tap -> accepted(forwarding, spec, tap);
        Listener listener =
                switch (spec.listen()) {
                    case Endpoint.Tcp tcp -> {
                        List<InetAddress> addresses = addresses(tcp.host());
                        yield addresses.isEmpty()
                                ? null
                                : Listener.tcp(addresses, tcp.port(), log, accepted);
                    }
                    case Endpoint.Unix unix -> unix(unix.path(), accepted);
                    case Endpoint.Socks _ -> null; // nothing listens there
                };
        if (listener == null || !forwarding.keep(listener)) {
            return false;
        }
        listeners.put(name, listener);
        return true;
    }

    /** A listener of ours as it is cancelled by: where it listens, and whether for SOCKS. */
    private record Listening(String at, boolean dynamic) {}

    private Listening listening(ForwardSpec spec) {
        return new Listening(
                switch (spec.listen()) {
                    case Endpoint.Tcp(String host, int port) ->
                            "tcp " + bindHost(host, wanted.gatewayPorts()) + " " + port;
                    case Endpoint.Unix(String path) -> "unix " + path;
                    case Endpoint.Socks _ -> "";
                },
                spec.connect() instanceof Endpoint.Socks);
    }

    // --- changed while it runs (~C)

    /**
     * Begins one forward more.
     *
     * @return false: nobody listens, the log says why
     */
    public boolean open(Session session, ForwardSpec spec, boolean there) {
        return there ? ask(session, spec, false) : listen(session, spec);
    }

    /** Told once what the server said to a forward that it was asked for. */
    public interface Answered {
        /**
         * Told what it said.
         *
         * @param port of the server's choice; 0: there was none to choose, or it is nonsense
         */
        void answered(boolean success, int port);
    }

    /**
     * Begins one forward more at the server, and says what came of it; on a thread that must not
     * block.
     *
     * @return false: it could not be asked
     */
    public boolean openThere(Session session, ForwardSpec spec, Answered answered) {
        return ask(session, spec, false, answered);
    }

    /**
     * Ends a forward here; connections that go over it go on.
     *
     * @param at where it listens, the rest means nothing
     * @param dynamic whether it is one for SOCKS
     * @return false: there is none
     */
    public boolean cancel(Session session, ForwardSpec at, boolean dynamic) {
        Listener listener = listeners.remove(new Listening(listening(at).at(), dynamic));
        if (listener == null) {
            return false;
        }
        forwarding(session).forget(listener);
        listener.close();
        return true;
    }

    /** Listens nowhere any more; connections that are being forwarded go on. */
    public void stopListening(Session session) {
        for (Listening name : Set.copyOf(listeners.keySet())) {
            Listener listener = listeners.remove(name);
            if (listener != null) {
                forwarding(session).forget(listener);
                listener.close();
            }
        }
    }

    /** Ends a forward at the server; connections that go over it go on. False: there is none. */
    public boolean cancelThere(Session session, ForwardSpec at) {
        Buffer request = session.createBuffer(SshConstants.SSH_MSG_GLOBAL_REQUEST, 512);
        String known;
        switch (at.listen()) {
            case Endpoint.Tcp(String host, int port) -> {
                String bind = bindHost(host);
                known = "tcp " + bind + " " + port;
                request.putString("cancel-tcpip-forward");
                request.putBoolean(false);
                request.putBytes(Octets.bytes(bind));
                request.putUInt(port);
            }
            case Endpoint.Unix(String path) -> {
                known = "unix " + path;
                request.putString("cancel-streamlocal-forward@openssh.com");
                request.putBoolean(false);
                request.putBytes(Octets.bytes(path));
            }
            case Endpoint.Socks _ -> {
                return false; // nothing listens there
            }
        }
        if (remote.remove(known) == null) {
            return false;
        }
        try {
            session.writePacket(request);
        } catch (IOException e) {
            log.debug("request not sent: " + e.getMessage()); // it is closing
        }
        return true;
    }

    /** What goes over the connection now, a line for each, by its number, for {@code ~#}. */
    public Map<Long, String> connections(Session session) {
        return forwarding(session).describe();
    }

    private @Nullable Listener unix(String path, Consumer<SocketTap> accepted) {
        try {
            Listener.BoundPath bound = Listener.bind(path, wanted.bindMask(), wanted.bindUnlink());
            return Listener.unix(bound, () -> remove(bound), log, accepted);
        } catch (IOException e) {
            log.error(Connecting.reason(e));
            return null;
        }
    }

    private void remove(Listener.BoundPath bound) {
        try {
            bound.remove();
        } catch (IOException e) {
            log.debug("unlink(" + bound.path() + "): " + e.getMessage()); // somebody removed it
        }
    }

    /** channels.c channel_fwd_bind_addr, the client's case. */
    private List<InetAddress> addresses(@Nullable String host) {
        if (host == null ? wanted.gatewayPorts() : host.isEmpty() || host.equals("*")) {
            return Listener.everywhere();
        }
        if (host == null || host.equals("localhost")) {
            return Listener.loopback();
        }
        return switch (Names.lookUp(host)) {
            case Names.Found.Addresses all -> all.addresses();
            case Names.Found.Unknown unknown -> {
                log.error(
                        "channel_setup_fwd_listener_tcpip: getaddrinfo("
                                + host
                                + "): "
                                + unknown.why());
                yield List.of();
            }
        };
    }

    private void accepted(Forwarding forwarding, ForwardSpec spec, SocketTap tap) {
        log.debug(
                "Connection to "
                        + spec.listen()
                        + " forwarding to "
                        + spec.connect()
                        + " requested.");
        SocketAddress from = ServerSide.remote(tap);
        switch (spec.connect()) {
            case Endpoint.Tcp(String host, int port) ->
                    direct(forwarding, tap, from, String.valueOf(host), port, NOBODY);
            case Endpoint.Unix(String path) ->
                    open(
                            forwarding,
                            "direct-streamlocal@openssh.com",
                            tap,
                            buffer -> {
                                buffer.putBytes(Octets.bytes(path));
                                Forwarding.putOriginator(buffer, from);
                            },
                            NOBODY);
            case Endpoint.Socks _ ->
                    new SocksFront(
                                    forwarding,
                                    tap,
                                    (asking, host, port, outcome) ->
                                            direct(forwarding, asking, from, host, port, outcome))
                            .start();
        }
    }

    private static final ForwardChannel.Outcome NOBODY =
            (channel, failure) -> {
                // the log has it
            };

    private static void direct(
            Forwarding forwarding,
            Tap tap,
            @Nullable SocketAddress from,
            String host,
            int port,
            ForwardChannel.Outcome outcome) {
        open(
                forwarding,
                "direct-tcpip",
                tap,
                buffer -> {
                    buffer.putBytes(Octets.bytes(host));
                    buffer.putUInt(port);
                    Forwarding.putOriginator(buffer, from);
                },
                outcome);
    }

    private static void open(
            Forwarding forwarding,
            String type,
            Tap tap,
            Consumer<Buffer> request,
            ForwardChannel.Outcome outcome) {
        forwarding.open(type, tap, request, outcome, channel -> {});
    }

    // --- listening there

    /**
     * @param dear whether we end when the server will not
     */
    private boolean ask(Session session, ForwardSpec spec, boolean dear) {
        return ask(session, spec, dear, (success, port) -> {});
    }

    private boolean ask(Session session, ForwardSpec spec, boolean dear, Answered told) {
        Buffer request = session.createBuffer(SshConstants.SSH_MSG_GLOBAL_REQUEST, 512);
        String type;
        switch (spec.listen()) {
            case Endpoint.Tcp(String host, int port) -> {
                type = "tcpip-forward";
                String bind = bindHost(host);
                request.putString(type);
                request.putBoolean(true);
                request.putBytes(Octets.bytes(bind));
                request.putUInt(port);
                if (port != 0) {
                    remote.put("tcp " + bind + " " + port, spec.connect());
                }
            }
            case Endpoint.Unix(String path) -> {
                type = "streamlocal-forward@openssh.com";
                request.putString(type);
                request.putBoolean(true);
                request.putBytes(Octets.bytes(path));
                remote.put("unix " + path, spec.connect());
            }
            case Endpoint.Socks _ -> {
                return false; // nothing listens there
            }
        }
        synchronized (this) {
            unanswered++;
        }
        try {
            session.request(
                    request,
                    type,
                    (command, reply) -> {
                        int port = answered(spec, dear, command, reply);
                        told.answered(command == SshConstants.SSH_MSG_REQUEST_SUCCESS, port);
                        oneAnswered();
                    });
            return true;
        } catch (IOException e) {
            log.debug("request not sent: " + e.getMessage()); // it is closing
            oneAnswered();
            return false;
        }
    }

    /** The same address for every way to write it, here. */
    private static String bindHost(@Nullable String host, boolean gatewayPorts) {
        return host == null ? (gatewayPorts ? "" : "localhost") : host.equals("*") ? "" : host;
    }

    /** channels.c channel_rfwd_bind_host. */
    private static String bindHost(@Nullable String host) {
        return host == null ? "localhost" : host.equals("*") ? "" : host;
    }

    private int answered(ForwardSpec spec, boolean dear, int command, Buffer reply) {
        int chosen = 0;
        boolean success = command == SshConstants.SSH_MSG_REQUEST_SUCCESS;
        log.debug(
                "remote forward "
                        + (success ? "success" : "failure")
                        + " for: listen "
                        + (spec.listen() instanceof Endpoint.Tcp(String host, int port)
                                        && host == null
                                ? Integer.toString(port)
                                : spec.listen())
                        + ", connect "
                        + spec.connect());
        String name =
                switch (spec.listen()) {
                    case Endpoint.Tcp(String host, int port) -> {
                        if (success && port == 0) {
                            chosen = allocated(spec, bindHost(host), reply);
                        }
                        yield "port " + port;
                    }
                    case Endpoint.Unix(String path) -> "path " + path;
                    case Endpoint.Socks _ -> "";
                };
        if (!success) {
            String text = "remote port forwarding failed for listen " + name;
            if (dear) {
                fatal.accept("Error: " + text);
            } else {
                log.info("Warning: " + text);
            }
        }
        return chosen;
    }

    private int allocated(ForwardSpec spec, String bind, Buffer reply) {
        long port = reply.available() >= 4 ? reply.getUInt() : 0;
        String to =
                switch (spec.connect()) {
                    case Endpoint.Tcp(String host, int number) -> host + ":" + number;
                    case Endpoint.Unix(String path) -> path + ":-2";
                    case Endpoint.Socks _ -> "socks:0";
                };
        if (port <= 0 || port > 65535) {
            log.error("Invalid allocated port " + port + " for remote forward to " + to);
            return 0;
        }
        remote.put("tcp " + bind + " " + port, spec.connect());
        log.info("Allocated port " + port + " for remote forward to " + to);
        return (int) port;
    }

    /** Whether the server is to be asked to forward the agent: there is one, and it is allowed. */
    public boolean offersAgent() {
        String socket = agent;
        if (socket == null || forbidden) {
            return false;
        }
        try {
            Forwarding.connect(socket).close();
            return true;
        } catch (IOException e) {
            log.debug("check_agent_present: ssh_get_authentication_socket: " + e.getMessage());
            return false;
        }
    }

    private void agentAsked(ForwardChannel channel, Buffer request) {
        String socket = agent;
        if (socket == null || forbidden) {
            log.error("Warning: ssh server tried agent forwarding.");
            log.error("Warning: this is probably a break-in attempt by a malicious server.");
            channel.refuse(ADMINISTRATIVELY_PROHIBITED, "open failed");
            return;
        }
        Session session = channel.getSession();
        try {
            channel.accept(
                    AgentTap.open(
                            socket,
                            session.getAttribute(HostProof.OF),
                            session.getSessionId(),
                            bound ->
                                    log.debug(
                                            "client_request_agent: "
                                                    + (bound
                                                            ? "bound agent to hostkey"
                                                            : "agent does not know hostkeys"))));
        } catch (IOException e) {
            log.debug("client_request_agent: ssh_get_authentication_socket: " + e.getMessage());
            channel.refuse(SshConstants.SSH_OPEN_CONNECT_FAILED, "open failed");
        }
    }

    // --- X11

    /** The display that the server's programs may use; null: none. */
    public @Nullable X11 display() {
        return display;
    }

    /** From here the server's programs may use the display; null: they may not. */
    public void display(@Nullable X11 shown) {
        display = forbidden ? null : shown;
    }

    private void x11Asked(ForwardChannel channel, Buffer request) {
        X11 shown = display;
        if (shown == null) {
            log.error("Warning: ssh server tried X11 forwarding.");
            log.error("Warning: this is probably a break-in attempt by a malicious server.");
            channel.refuse(ADMINISTRATIVELY_PROHIBITED, "open failed");
            return;
        }
        if (shown.expired()) {
            log.verbose("Rejected X11 connection after ForwardX11Timeout expired");
            channel.refuse(ADMINISTRATIVELY_PROHIBITED, "open failed");
            return;
        }
        String originator = request.getString();
        log.debug(
                "client_request_x11: request from "
                        + ServerSide.printable(originator)
                        + " "
                        + request.getUInt());
        Forwarding forwarding = forwarding(channel.getSession());
        switch (shown.place()) {
            case X11.Place.Local(String path) ->
                    forwarding
                            .names()
                            .run(() -> {
                                try {
                                    Tap tap = SocketTap.of(Forwarding.connect(path));
                                    channel.accept(new X11Front(shown, channel, tap));
                                } catch (IOException e) {
                                    log.error("connect " + path + ": " + e.getMessage());
                                    channel.refuse(
                                            SshConstants.SSH_OPEN_CONNECT_FAILED, "open failed");
                                }
                            });
            case X11.Place.Remote(String host, int port) ->
                    forwarding.reach(
                            channel,
                            host,
                            port,
                            new Forwarding.Reached() {
                                @Override
                                public void reached(Tap tap) {
                                    channel.accept(new X11Front(shown, channel, tap));
                                }

                                @Override
                                public void failed(String why) {
                                    channel.refuse(
                                            SshConstants.SSH_OPEN_CONNECT_FAILED, "open failed");
                                }
                            });
        }
    }

    /** A program at the server that wants to the display: it has to show the cookie first. */
    private final class X11Front implements ForwardChannel.ChannelReader {
        private final X11 shown;
        private final ForwardChannel channel;
        private final Tap tap;
        private final byte[] begun;
        private int length;

        X11Front(X11 shown, ForwardChannel channel, Tap tap) {
            this.shown = shown;
            this.channel = channel;
            this.tap = tap;
            begun = new byte[shown.longest()];
        }

        @Override
        public void take(ByteBuffer bytes) {
            while (bytes.hasRemaining() && length < begun.length) {
                begun[length++] = bytes.get();
                switch (shown.opening(begun, length)) {
                    case X11.Opening.More _ -> {}
                    case X11.Opening.Bad(String why) -> {
                        log.debug(why);
                        log.info("X11 connection rejected because of wrong authentication.");
                        bytes.position(bytes.limit());
                        ended();
                        return;
                    }
                    case X11.Opening.Good(byte[] good, int _) -> {
                        begin(good);
                        return;
                    }
                }
            }
        }

        private void begin(byte[] good) {
            try {
                // A new connection has room for these few bytes.
                if (tap.write(ByteBuffer.wrap(good)) != good.length) {
                    throw new IOException("no room");
                }
                channel.readerDone();
                channel.join(tap);
            } catch (IOException e) {
                log.debug("X11 server: " + e.getMessage());
                ended();
            }
        }

        @Override
        public void ended() {
            tap.close();
            channel.abandon();
        }
    }

    /** For MINA: the channels that the server may open. */
    public List<ChannelFactory> channels() {
        return List.of(
                channels("auth-agent@openssh.com", this::agentAsked),
                channels("x11", this::x11Asked),
                channels("forwarded-tcpip", this::forwardedTcp),
                channels("forwarded-streamlocal@openssh.com", this::forwardedUnix));
    }

    private ChannelFactory channels(String type, ForwardChannel.Wanted wanted) {
        return ForwardChannel.factory(
                type, session -> ForwardChannel.wanted(forwarding(session), type, wanted));
    }

    private void forwardedTcp(ForwardChannel channel, Buffer request) {
        String host = request.getString();
        long port = request.getUInt();
        String originator = request.getString();
        long originatorPort = request.getUInt();
        log.debug(
                "client_request_forwarded_tcpip: listen "
                        + ServerSide.printable(host)
                        + " port "
                        + port
                        + ", originator "
                        + ServerSide.printable(originator)
                        + " port "
                        + originatorPort);
        Endpoint to = remote.get("tcp " + host + " " + port);
        if (to == null) {
            log.error("WARNING: Server requests forwarding for unknown listen_port " + port);
            channel.refuse(ADMINISTRATIVELY_PROHIBITED, "open failed");
        } else {
            connect(channel, to);
        }
    }

    private void forwardedUnix(ForwardChannel channel, Buffer request) {
        String path = request.getString();
        Endpoint to = remote.get("unix " + path);
        if (to == null) {
            log.error(
                    "WARNING: Server requests forwarding for unknown path "
                            + ServerSide.printable(path));
            channel.refuse(ADMINISTRATIVELY_PROHIBITED, "open failed");
        } else {
            connect(channel, to);
        }
    }

    private void connect(ForwardChannel channel, Endpoint to) {
        Forwarding forwarding = forwarding(channel.getSession());
        switch (to) {
            case Endpoint.Tcp(String host, int port) ->
                    forwarding.connect(channel, host == null ? "localhost" : host, port);
            case Endpoint.Unix(String path) ->
                    forwarding.connect(channel, path, () -> Forwarding.connect(path));
            case Endpoint.Socks _ -> channel.accept(new FarSocks(forwarding, channel));
        }
    }

    /** A SOCKS client at the server's end ({@code -R} with a port alone). */
    private final class FarSocks implements ForwardChannel.ChannelReader, Forwarding.Reached {
        private final Forwarding forwarding;
        private final ForwardChannel channel;
        private final Socks socks = new Socks();

        FarSocks(Forwarding forwarding, ForwardChannel channel) {
            this.forwarding = forwarding;
            this.channel = channel;
        }

        @Override
        public void take(ByteBuffer bytes) {
            while (true) {
                switch (socks.take(bytes)) {
                    case Socks.Step.More _ -> {
                        return;
                    }
                    case Socks.Step.Say say -> channel.say(say.bytes());
                    case Socks.Step.Refuse refuse -> {
                        log.debug("dynamic request: " + refuse.why());
                        channel.say(refuse.bytes());
                        channel.abandon();
                        return;
                    }
                    case Socks.Step.Connect connect -> {
                        channel.readerDone();
                        reach(connect.host(), connect.port());
                        return;
                    }
                }
            }
        }

        private void reach(String host, int port) {
            if (!permitted(host, port)) {
                log.info(
                        "Received request to connect to host "
                                + ServerSide.printable(host)
                                + " port "
                                + port
                                + ", but the request was denied.");
                channel.say(socks.failed(Socks.failure(ADMINISTRATIVELY_PROHIBITED)));
                channel.abandon();
            } else {
                forwarding.reach(channel, host, port, this);
            }
        }

        @Override
        public void reached(Tap tap) {
            channel.say(socks.connected());
            channel.join(tap);
        }

        @Override
        public void failed(String why) {
            channel.say(socks.failed(Socks.failure(2)));
            channel.abandon();
        }

        @Override
        public void ended() {
            channel.abandon();
        }
    }

    private boolean permitted(String host, int port) {
        List<Permit> permits = wanted.permitRemoteOpen();
        return permits == null || Rules.opens(permits, host, port);
    }
}
