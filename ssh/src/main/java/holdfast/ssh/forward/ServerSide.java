package holdfast.ssh.forward;

import holdfast.ssh.log.Log;
import holdfast.ssh.log.Printable;
import holdfast.ssh.stream.SocketTap;
import holdfast.ssh.stream.Tap;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.SocketAddress;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Executor;
import java.util.function.Consumer;
import java.util.function.Function;
import org.apache.sshd.common.AttributeRepository.AttributeKey;
import org.apache.sshd.common.SshConstants;
import org.apache.sshd.common.channel.Channel;
import org.apache.sshd.common.channel.ChannelFactory;
import org.apache.sshd.common.channel.RequestHandler;
import org.apache.sshd.common.session.ConnectionService;
import org.apache.sshd.common.session.Session;
import org.apache.sshd.common.util.buffer.Buffer;
import org.jspecify.annotations.Nullable;

/**
 * The server's half of forwarding: connects where clients ask for ({@code ssh -L}, {@code -D},
 * {@code -W}) and listens where they ask for ({@code -R}), as {@link Rules} allow, in OpenSSH's
 * words.
 */
public final class ServerSide {

    /** More of what a client asks for goes into no line of the log. */
    private static final int LONGEST_WORDS = 100;

    private static final int ADMINISTRATIVELY_PROHIBITED = 1;
    private static final int CONNECT_FAILED = 2;

    /** The client's user and what holds for them. */
    public interface User {

        Rules rules();

        Log log();

        /** {@code 192.0.2.1 port 5678}. */
        String peer();

        /**
         * Does something with the user's own rights to files; may block. It starts no thread, which
         * would have these rights, too.
         *
         * @param mask the file creation mask meanwhile; null: the process's
         */
        <T> T own(@Nullable Integer mask, Callable<T> task) throws Exception;

        /** A channel has been made, and is not open yet. */
        void made(Channel channel);
    }

    private static final class Listeners {
        /** What {@code cancel} names: {@code tcp HOST PORT} or {@code unix PATH}. */
        final Map<String, Listener> byName = new ConcurrentHashMap<>();

        final InOrder order = new InOrder();
    }

    private static final AttributeKey<Listeners> LISTENERS = new AttributeKey<>();

    private final Function<Session, User> users;

    /** The half of all sessions of a server, whose users it asks for. */
    public ServerSide(Function<Session, User> users) {
        this.users = users;
    }

    private Forwarding forwarding(Session session) {
        User user = users.apply(session);
        Forwarding forwarding = Forwarding.of(session, user.log());
        forwarding.family(user.rules().family());
        return forwarding;
    }

    private static Listeners listeners(Session session) {
        return session.computeAttributeIfAbsent(LISTENERS, key -> new Listeners());
    }

    /**
     * Runs {@code work} when all that the client has asked for so far is answered: now, or then.
     *
     * @return false if too much waits already; then it is never run
     */
    public static boolean inTurn(Session session, Runnable work) {
        Listeners listeners = session.getAttribute(LISTENERS);
        if (listeners == null) {
            work.run(); // nothing was ever asked for
            return true;
        }
        return listeners.order.then(work);
    }

    // --- connecting for the client

    /** For MINA: the channels that a client may open. */
    public List<ChannelFactory> channels() {
        return List.of(
                channels("direct-tcpip", this::directTcp),
                channels("direct-streamlocal@openssh.com", this::directUnix));
    }

    private ChannelFactory channels(String type, ForwardChannel.Wanted wanted) {
        return ForwardChannel.factory(
                type,
                session -> {
                    ForwardChannel channel =
                            ForwardChannel.wanted(forwarding(session), type, wanted);
                    users.apply(session).made(channel);
                    return channel;
                });
    }

    private void directTcp(ForwardChannel channel, Buffer request) {
        String host = request.getString();
        long port = request.getUInt();
        String originator = request.getString();
        long originatorPort = request.getUInt();
        User user = users.apply(channel.getSession());
        if (!user.rules().localTcp()) {
            user.log()
                    .info(
                            "refused local port forward: originator "
                                    + printable(originator)
                                    + " port "
                                    + originatorPort
                                    + ", target "
                                    + printable(host)
                                    + " port "
                                    + port);
            channel.refuse(ADMINISTRATIVELY_PROHIBITED, "open failed");
        } else if (port > 65535 || !user.rules().mayConnect(host, (int) port)) {
            user.log()
                    .info(
                            "Received request from "
                                    + user.peer()
                                    + " to connect to host "
                                    + printable(host)
                                    + " port "
                                    + port
                                    + ", but the request was denied.");
            channel.refuse(ADMINISTRATIVELY_PROHIBITED, "open failed");
        } else {
            forwarding(channel.getSession()).connect(channel, host, (int) port);
        }
    }

    private void directUnix(ForwardChannel channel, Buffer request) {
        String path = request.getString();
        String originator = request.getString();
        long originatorPort = request.getUInt();
        User user = users.apply(channel.getSession());
        if (!user.rules().localUnix()) {
            user.log()
                    .info(
                            "refused streamlocal port forward: originator "
                                    + printable(originator)
                                    + " port "
                                    + originatorPort
                                    + ", target "
                                    + printable(path));
            channel.refuse(CONNECT_FAILED, "open failed");
        } else if (!user.rules().mayConnect(path)) {
            user.log()
                    .info(
                            "Received request to connect to path "
                                    + printable(path)
                                    + ", but the request was denied.");
            channel.refuse(CONNECT_FAILED, "open failed");
        } else {
            forwarding(channel.getSession())
                    .connect(channel, path, () -> user.own(null, () -> Forwarding.connect(path)));
        }
    }

    private static String reason(Exception e) {
        return e instanceof IOException io ? Connecting.reason(io) : String.valueOf(e.getMessage());
    }

    // --- listening for the client

    /** For MINA, before all other handlers: it also keeps replies in order. */
    public RequestHandler<ConnectionService> requests() {
        return this::request;
    }

    private RequestHandler.Result request(
            ConnectionService service, String request, boolean wantReply, Buffer buffer) {
        Session session = service.getSession();
        Listeners listeners = session.getAttribute(LISTENERS);
        if (listeners != null && listeners.order.waits(request, wantReply, buffer)) {
            return RequestHandler.Result.Replied;
        }
        return switch (request) {
            case "tcpip-forward" -> listenTcp(service, wantReply, buffer);
            case "streamlocal-forward@openssh.com" -> listenUnix(service, wantReply, buffer);
            case "cancel-tcpip-forward" -> {
                String host = buffer.getString();
                yield cancel(session, "tcp " + host + " " + buffer.getUInt());
            }
            case "cancel-streamlocal-forward@openssh.com" ->
                    cancel(session, "unix " + buffer.getString());
            default -> RequestHandler.Result.Unsupported;
        };
    }

    private RequestHandler.Result cancel(Session session, String name) {
        Listener listener = listeners(session).byName.remove(name);
        if (listener == null) {
            return RequestHandler.Result.ReplyFailure;
        }
        forwarding(session).forget(listener);
        listener.close();
        return RequestHandler.Result.ReplySuccess;
    }

    private RequestHandler.Result listenTcp(
            ConnectionService service, boolean wantReply, Buffer buffer) {
        Session session = service.getSession();
        String host = buffer.getString();
        long asked = buffer.getUInt();
        User user = users.apply(session);
        Rules rules = user.rules();
        if (asked > 65535
                || !rules.remoteTcp()
                || (asked == 0 && !wantReply)
                || !rules.mayBind((int) asked)) {
            tell(session, "Server has disabled port forwarding.");
            return RequestHandler.Result.ReplyFailure;
        }
        int port = (int) asked;
        if (!rules.mayListen(host, port)) {
            tell(session, "port forwarding refused");
            user.log()
                    .info(
                            "Received request from "
                                    + user.peer()
                                    + " to remote forward to host "
                                    + printable(host)
                                    + " port "
                                    + port
                                    + ", but the request was denied.");
            return RequestHandler.Result.ReplyFailure;
        }
        if (rules.overrides(host)) {
            tell(
                    session,
                    "Forwarding listen address \""
                            + printable(host)
                            + "\" overridden by server GatewayPorts");
        }
        List<InetAddress> addresses =
                switch (rules.where(host)) {
                    case Rules.Where.Everywhere _ ->
                            Rules.of(rules.family(), Listener.everywhere());
                    case Rules.Where.Loopback _ -> Rules.of(rules.family(), Listener.loopback());
                    case Rules.Where.Host(String name) -> {
                        InetAddress literal = Socks.literal(name);
                        yield literal == null
                                ? List.of()
                                : Rules.of(rules.family(), List.of(literal));
                    }
                };
        if (!addresses.isEmpty() && !Listener.mayWait(port)) {
            return result(service, port, listen(session, addresses, host, port));
        }
        later(
                service,
                wantReply,
                () ->
                        listen(
                                session,
                                addresses.isEmpty() ? lookUp(user, host) : addresses,
                                host,
                                port),
                port == 0);
        return RequestHandler.Result.Replied;
    }

    /** Blocks; none where there is no such name. */
    private static List<InetAddress> lookUp(User user, String name) {
        return switch (Names.lookUp(name)) {
            case Names.Found.Addresses all -> {
                List<InetAddress> addresses = Rules.of(user.rules().family(), all.addresses());
                if (addresses.isEmpty()) {
                    nowhere(user, name, Forwarding.NONE);
                }
                yield addresses;
            }
            case Names.Found.Unknown unknown -> {
                nowhere(user, name, unknown.why());
                yield List.of();
            }
        };
    }

    private static void nowhere(User user, String name, String why) {
        user.log()
                .error(
                        "channel_setup_fwd_listener_tcpip: getaddrinfo("
                                + printable(name)
                                + "): "
                                + why);
    }

    /** Answers at once. */
    private RequestHandler.Result result(
            ConnectionService service, int port, @Nullable Listener listener) {
        if (listener == null) {
            return RequestHandler.Result.ReplyFailure;
        }
        if (port != 0) {
            return RequestHandler.Result.ReplySuccess;
        }
        reply(service.getSession(), listener, true);
        return RequestHandler.Result.Replied;
    }

    private static void reply(Session session, @Nullable Listener listener, boolean withPort) {
        Buffer reply =
                session.createBuffer(
                        listener == null
                                ? SshConstants.SSH_MSG_REQUEST_FAILURE
                                : SshConstants.SSH_MSG_REQUEST_SUCCESS,
                        16);
        if (listener != null && withPort) {
            reply.putUInt(listener.port());
        }
        try {
            session.writePacket(reply);
        } catch (IOException e) {
            session.exceptionCaught(e);
        }
    }

    /** Answers when {@code bind}, which may block, has come to an end. */
    private void later(
            ConnectionService service,
            boolean wantReply,
            Callable<@Nullable Listener> bind,
            boolean withPort) {
        Session session = service.getSession();
        later(
                service,
                forwarding(session).names()::run,
                () -> {
                    Listener listener = null;
                    try {
                        listener = bind.call();
                    } catch (Exception e) {
                        forwarding(session).log().error(reason(e));
                    }
                    if (wantReply) {
                        reply(session, listener, withPort);
                    }
                });
    }

    /**
     * Runs {@code answer}, which answers a request of the client's and may block, on a thread of
     * {@code threads}; what the client asks for meanwhile waits, for answers come in order.
     */
    public static void later(ConnectionService service, Executor threads, Runnable answer) {
        Session session = service.getSession();
        Listeners listeners = listeners(session);
        listeners.order.later();
        threads.execute(() -> {
            answer.run();
            try {
                listeners.order.answered(
                        request -> service.process(SshConstants.SSH_MSG_GLOBAL_REQUEST, request));
            } catch (Exception e) {
                session.exceptionCaught(e);
            }
        });
    }

    private @Nullable Listener listen(
            Session session, List<InetAddress> addresses, String host, int port) {
        Forwarding forwarding = forwarding(session);
        Listeners listeners = listeners(session);
        if (addresses.isEmpty() || full(forwarding, listeners)) {
            return null;
        }
        int[] actual = {port};
        Listener listener =
                Listener.tcp(
                        addresses,
                        port,
                        forwarding.log(),
                        tap -> forwarded(forwarding, tap, host, actual));
        if (listener == null) {
            return null;
        }
        actual[0] = listener.port();
        String name = "tcp " + host + " " + listener.port();
        return keep(forwarding, listeners, name, listener);
    }

    private static boolean full(Forwarding forwarding, Listeners listeners) {
        boolean full = listeners.byName.size() >= Forwarding.MOST_LISTENERS;
        if (full) {
            forwarding
                    .log()
                    .info(
                            "refused remote forward: "
                                    + Forwarding.MOST_LISTENERS
                                    + " listeners are the most one connection may have");
        }
        return full;
    }

    private static @Nullable Listener keep(
            Forwarding forwarding, Listeners listeners, String name, Listener listener) {
        if (!forwarding.keep(listener)) {
            return null;
        }
        listeners.byName.put(name, listener);
        return listener;
    }

    private void forwarded(Forwarding forwarding, SocketTap tap, String host, int[] port) {
        SocketAddress from = remote(tap);
        forwarding
                .log()
                .debug(
                        "Connection to port "
                                + port[0]
                                + " forwarding to "
                                + printable(host)
                                + " port 0 requested.");
        open(
                forwarding,
                "forwarded-tcpip",
                tap,
                buffer -> {
                    buffer.putString(host);
                    buffer.putUInt(port[0]);
                    Forwarding.putOriginator(buffer, from);
                });
    }

    private void open(Forwarding forwarding, String type, Tap tap, Consumer<Buffer> request) {
        forwarding.open(
                type,
                tap,
                request,
                (channel, failure) -> {
                    // the log has it
                },
                users.apply(forwarding.session())::made);
    }

    static @Nullable SocketAddress remote(SocketTap tap) {
        try {
            SocketAddress address = tap.channel().getRemoteAddress();
            return address instanceof InetSocketAddress ? address : null;
        } catch (IOException e) {
            return null; // it is gone already: the first read says so
        }
    }

    private RequestHandler.Result listenUnix(
            ConnectionService service, boolean wantReply, Buffer buffer) {
        Session session = service.getSession();
        String path = buffer.getString();
        User user = users.apply(session);
        Rules rules = user.rules();
        if (!rules.remoteUnix()) {
            tell(session, "Server has disabled streamlocal forwarding.");
            return RequestHandler.Result.ReplyFailure;
        }
        if (!rules.mayListen()) {
            tell(session, "port forwarding refused");
            user.log()
                    .info(
                            "Received request from "
                                    + user.peer()
                                    + " to remote forward to path \""
                                    + printable(path)
                                    + "\", but the request was denied.");
            return RequestHandler.Result.ReplyFailure;
        }
        Forwarding forwarding = forwarding(session);
        Listeners listeners = listeners(session);
        if (full(forwarding, listeners)) {
            return RequestHandler.Result.ReplyFailure;
        }
        later(
                service,
                wantReply,
                () -> {
                    Listener.BoundPath bound =
                            user.own(
                                    rules.bindMask(),
                                    () ->
                                            Listener.bind(
                                                    path, rules.bindMask(), rules.bindUnlink()));
                    Listener listener =
                            Listener.unix(
                                    bound,
                                    () -> forwarding.names().run(() -> remove(user, bound)),
                                    forwarding.log(),
                                    tap -> forwarded(forwarding, tap, path));
                    return listener == null
                            ? null
                            : keep(forwarding, listeners, "unix " + path, listener);
                },
                false);
        return RequestHandler.Result.Replied;
    }

    private static void remove(User user, Listener.BoundPath bound) {
        try {
            user.own(
                    null,
                    () -> {
                        bound.remove();
                        return bound;
                    });
        } catch (Exception e) {
            // It stays, as OpenSSH's always does, or somebody else removed it.
            user.log().debug("unlink(" + printable(bound.path().toString()) + "): " + reason(e));
        }
    }

    private void forwarded(Forwarding forwarding, SocketTap tap, String path) {
        open(
                forwarding,
                "forwarded-streamlocal@openssh.com",
                tap,
                buffer -> {
                    buffer.putString(path);
                    buffer.putString(""); // reserved
                });
    }

    private static void tell(Session session, String text) {
        try {
            session.sendDebugMessage(false, text, "");
        } catch (IOException e) {
            session.exceptionCaught(e);
        }
    }

    /** What a peer said, fit for a log. */
    static String printable(String text) {
        return Printable.of(text, LONGEST_WORDS);
    }
}
