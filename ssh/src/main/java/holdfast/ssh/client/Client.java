package holdfast.ssh.client;

import holdfast.core.liveness.LinkCommand.ShowDoubt;
import holdfast.core.time.Moment;
import holdfast.ssh.config.ClientProtocol;
import holdfast.ssh.config.ClientSettings;
import holdfast.ssh.config.ClientSettings.SessionType;
import holdfast.ssh.config.ClientSharing;
import holdfast.ssh.config.Endpoint;
import holdfast.ssh.config.ForwardSpec;
import holdfast.ssh.forward.ClientSide;
import holdfast.ssh.forward.X11;
import holdfast.ssh.link.Deadlines;
import holdfast.ssh.link.LinkClock;
import holdfast.ssh.link.LinkLoop;
import holdfast.ssh.log.Log;
import holdfast.ssh.octets.Octets;
import holdfast.ssh.terminal.Escapes;
import holdfast.ssh.terminal.Prompter;
import holdfast.ssh.terminal.Signals;
import holdfast.ssh.terminal.Terminal;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.ByteChannel;
import java.nio.channels.ReadableByteChannel;
import java.nio.channels.WritableByteChannel;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;
import org.apache.sshd.common.util.buffer.Buffer;
import org.jspecify.annotations.Nullable;

/**
 * One run of {@code ssh}: connect, run a shell, a command or a subsystem, and leave with the right
 * status.
 *
 * <p>What belongs to the process comes from outside, so that the demo can run several in one: the
 * streams, the terminal, the log, the environment.
 */
public final class Client {

    /** The exit status of everything that went wrong before or beside the remote command. */
    public static final int FAILED = 255;

    /** One read of our input: all that a pipe holds, several packets of a file. */
    private static final int CHUNK = 128 * 1024;

    /** Between two sizes told to a full-screen program: two at once are one signal to it. */
    private static final Duration REDRAW_PAUSE = Duration.ofMillis(100);

    /** Where a session's bytes come from and go to. */
    public record Streams(
            ReadableByteChannel in, WritableByteChannel out, WritableByteChannel err) {}

    /**
     * Where no person waits at a screen: a line when the connection is lost, one when it is back.
     */
    private final class Unattended implements Connection.Doubts {
        private @Nullable Moment lost;
        private final Supplier<Moment> clock;

        Unattended(Supplier<Moment> clock) {
            this.clock = clock;
        }

        @Override
        public void show(ShowDoubt doubt) {}

        @Override
        public synchronized void adrift(Moment since, Moment heldUntil) {
            lost = since;
            log.info("Connection to " + settings.host() + " lost; reconnecting.");
        }

        @Override
        public synchronized void hide() {
            Moment since = lost;
            lost = null;
            if (since != null) {
                long seconds = Math.max(1, clock.get().since(since).toSeconds());
                log.info("Connection to " + settings.host() + " is back after " + seconds + " s.");
            }
        }
    }

    /** How a jump host comes to a master that outlives us, as its ControlPersist says. */
    public interface JumpService {

        /**
         * Has another of us become that and go to the background; returns when it has, or has
         * ended.
         *
         * @param number which jump host, counted from the server: 1, 2, …
         * @return 0, though somebody else may have been quicker; else it has failed, and has said
         *     why
         */
        int start(int number);
    }

    private final ClientSettings settings;
    private final Map<String, String> environment;
    private final Streams streams;
    private final @Nullable Terminal terminal;
    private final Prompter prompter;
    private final Log log;
    private final LinkLoop.Watcher watcher;

    /** How a client leaves the terminal when it has logged in and its forwards are up. */
    public interface Background {

        /**
         * Leaves, and lets go whoever waits for that.
         *
         * @param session whether there is a remote program, whose output is still wanted
         * @return whether anybody still reads what the client itself has to say
         */
        boolean leave(boolean session);
    }

    /** ^D. */
    private static final byte END_OF_INPUT = 4;

    private static final int INT = 2;
    private static final int TERM = 15;

    /** For a person to answer. */
    private static final Duration FOREVER = Duration.ofDays(365_000);

    /** For a server to prove the keys that it said it has, at the end of a short session. */
    private static final Duration LAST_NEWS = Duration.ofSeconds(2);

    private volatile int killedBy;

    private volatile @Nullable String fatal;
    private volatile @Nullable CountDownLatch over;
    private volatile @Nullable SessionChannel session;
    private volatile boolean leftByEscape;
    private volatile @Nullable Background background;
    private volatile @Nullable Background service;
    private boolean nothingElse;
    private @Nullable Duration opensWithin;
    private @Nullable JumpService jumps;
    private int jumpHost;
    private volatile @Nullable SharedConnection shared;
    private boolean mayShare = true;
    private Connection.@Nullable Upstream upstream;
    private volatile boolean unheard;

    /** While {@code ~C} asks, an interrupt is for the line that is being typed. */
    private volatile boolean askingForLine;

    private @Nullable HostKeyNews hostKeys;

    /**
     * @param terminal the process's own; null when this run has none, whatever descriptors are open
     * @param watcher sees every decision over the link
     */
    public Client(
            ClientSettings settings,
            Map<String, String> environment,
            Streams streams,
            @Nullable Terminal terminal,
            Prompter prompter,
            Log log,
            LinkLoop.Watcher watcher) {
        this.settings = settings;
        this.environment = environment;
        this.streams = streams;
        this.terminal = terminal;
        this.prompter = prompter;
        this.log = log;
        this.watcher = watcher;
    }

    /**
     * Has the client go to the background, as ForkAfterAuthentication says; before {@link #run}.
     */
    public Client inBackground(Background how) {
        background = how;
        return this;
    }

    /**
     * Has the client, once it is a master, go to the background and be nothing else, as
     * ControlPersist says; before {@link #run}. If it cannot be one it runs the session itself.
     */
    public Client asService(Background how) {
        service = how;
        return this;
    }

    /**
     * The same of a client that is for a jump host of another: if it cannot be a master it ends.
     *
     * @param number which jump host, counted from the server: 1, 2, …
     * @param limit the ConnectTimeout of the other; null: none
     */
    public Client asJumpService(Background how, int number, @Nullable Duration limit) {
        nothingElse = true;
        jumpHost = number;
        opensWithin = limit;
        return asService(how);
    }

    /** Has connections to jump hosts shared with others, as their ControlMaster says. */
    public Client sharingJumps(JumpService how) {
        jumps = how;
        return this;
    }

    /** Has the client make a connection of its own and share it with nobody. */
    public Client alone() {
        mayShare = false;
        return this;
    }

    /**
     * Has the client take part in a master's connection, as {@code -O proxy} says, and share it
     * with nobody.
     *
     * @param socket takes packets of SSH's connection protocol by now
     * @param ours whether the master is one of ours
     */
    public Client proxied(ByteChannel socket, boolean ours) {
        upstream = new Connection.Upstream(socket, ours);
        return alone();
    }

    /**
     * Runs to the end.
     *
     * @return the exit status: the remote command's own, or {@link #FAILED}; what went wrong has
     *     been said
     */
    public int run() {
        boolean atTerminal = terminal != null && Terminal.isTerminal(0);
        boolean pty = settings.wantsPty(atTerminal, log);
        LinkClock clock = new LinkClock();
        Screen screen =
                pty && atTerminal && terminal != null
                        ? new Screen(
                                streams.out(),
                                environment.get("TERM"),
                                terminal.size(),
                                clock::now,
                                settings.escapeChar(),
                                log)
                        : null;
        ClientSide forwards =
                new ClientSide(
                        settings.forwards(),
                        settings.credentials().forwardAgent(),
                        log,
                        this::giveUp);
        JumpService ours = jumps;
        ClientParts parts =
                new ClientParts(
                        settings,
                        prompter,
                        log,
                        this::toStderr,
                        forwards,
                        ours == null ? null : new JumpSharing(environment, ours, jumpHost + 1));
        Connection.Doubts doubts = screen == null ? new Unattended(clock::now) : screen;
        Connection.Upstream master = upstream;
        boolean attended = screen != null;
        try (Connection connection =
                master != null
                        ? Connection.of(master, settings, parts, clock, watcher, doubts, attended)
                        : Connection.open(
                                settings,
                                parts,
                                clock,
                                watcher,
                                doubts,
                                attended,
                                nothingElse ? Connection.allowance(clock, opensWithin) : null)) {
            hostKeys = parts.hostKeyNews();
            keepTime(connection);
            if (!forwarding(connection, forwards) || !sharing(connection, forwards)) {
                return FAILED;
            }
            return serve(connection, forwards, pty ? terminal : null, screen);
        } catch (ClientFailure failure) {
            failure.lines().forEach(line -> log.write(level(line), line));
            return FAILED;
        }
    }

    private int serve(
            Connection connection,
            ClientSide forwards,
            @Nullable Terminal tty,
            @Nullable Screen screen) {
        try {
            learnHostKeysFirst(connection);
            localCommand();
            if (nothingElse && shared == null) {
                connection.leave();
                connection.awaitGoodbye();
                return 0;
            }
            Background asService = shared == null ? null : service;
            boolean session =
                    asService == null
                            && (settings.sessionType() != SessionType.NONE
                                    || settings.forwards().stdio() != null);
            if (!wentToBackground(
                    connection, forwards, session, asService == null ? background : asService)) {
                return farewell(connection, null, false);
            }
            return session
                    ? session(connection, forwards, tty, screen)
                    : idle(connection, forwards);
        } finally {
            SharedConnection sharing = shared;
            if (sharing != null) {
                sharing.close();
            }
        }
    }

    /** Becomes a master, if that is wanted; false: it cannot be, and that is the end. */
    private boolean sharing(Connection connection, ClientSide forwards) {
        if (!mayShare || settings.sharing().master() == ClientSharing.Master.NO) {
            return true;
        }
        try {
            shared =
                    SharedConnection.begin(
                            settings,
                            connection,
                            forwards,
                            prompter,
                            log,
                            () -> display(settings, forwards, environment, log),
                            this::quit);
            return true;
        } catch (IOException e) {
            log.fatal("unix_listener: " + e.getMessage());
            return false;
        }
    }

    /** A client of ours as a master has asked for the end. */
    private void quit() {
        leftByEscape = true;
        CountDownLatch waiting = over;
        if (waiting != null) {
            waiting.countDown();
        }
    }

    /** What goes by the clock besides the link: ChannelTimeout, and RekeyLimit's second word. */
    private void keepTime(Connection connection) {
        Map<String, Duration> limits = settings.protocol().channelTimeouts();
        Duration interval = settings.rekeyLimitTime();
        if (limits.isEmpty() && interval.isZero()) {
            return;
        }
        Deadlines deadlines =
                new Deadlines(
                        "deadlines",
                        gap -> {},
                        problem -> log.debug("ChannelTimeout, RekeyLimit: " + problem));
        connection.transport().keepTime(limits, interval, deadlines);
    }

    /** What OpenSSH says by fatal() is said at every level but QUIET. */
    private static Log.Level level(String failure) {
        return failure.contains(": Permission denied (")
                        || failure.startsWith("Unable to negotiate with ")
                ? Log.Level.FATAL
                : Log.Level.ERROR;
    }

    /**
     * UpdateHostKeys ask: the question comes before the session takes the terminal. What the server
     * has to say of its keys it says right after the login, so before the reply to a question.
     */
    private void learnHostKeysFirst(Connection connection) {
        HostKeyNews news = hostKeys;
        if (news == null || !ClientParts.asksBefore(settings)) {
            return;
        }
        CountDownLatch heard = new CountDownLatch(1);
        connection.whenEnded(heard::countDown);
        connection.transport().roundTrip(heard::countDown);
        try {
            heard.await();
            news.await(FOREVER);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private void localCommand() {
        String command = settings.comfort().localCommand();
        if (command == null || !settings.comfort().permitLocalCommand()) {
            return;
        }
        try {
            LocalCommand.run(settings.comfort().shell(), command, log);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    /** What makes us give up comes from the server, when something else is being done. */
    private void giveUp(String why) {
        fatal = why;
        forsake();
        CountDownLatch waiting = over;
        if (waiting != null) {
            waiting.countDown();
        }
    }

    /** As OpenSSH, which is gone by then: no program is begun, and nothing is heard of one. */
    private void forsake() {
        SessionChannel ours = session;
        if (ours != null && fatal != null) {
            ours.forsake();
        }
    }

    private boolean forwarding(Connection connection, ClientSide forwards) {
        String why = forwards.start(connection.transport());
        if (why != null) {
            log.fatal(why);
        }
        return why == null;
    }

    /**
     * Goes to the background if that is asked for, once the server has answered for every forward;
     * false: something came between.
     */
    private boolean wentToBackground(
            Connection connection, ClientSide forwards, boolean session, @Nullable Background how) {
        if (how == null) {
            return true;
        }
        CountDownLatch answered = new CountDownLatch(1);
        until(connection, answered);
        forwards.whenAnswered(answered::countDown);
        try {
            answered.await();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
        if (fatal != null || killedBy != 0 || !connection.open()) {
            return false;
        }
        log.debug("forking to background");
        if (!how.leave(session)) {
            unheard = true;
            log.level(Log.Level.QUIET);
        }
        return true;
    }

    /** Until {@code end}: by the connection, by a signal, or because we gave up. */
    private void until(Connection connection, CountDownLatch end) {
        over = end;
        if (fatal != null || leftByEscape) {
            end.countDown();
        }
        connection.whenEnded(end::countDown);
        onSignals(end);
    }

    /** No session at all ({@code -N}): the forwards and the clients are what we are for. */
    private int idle(Connection connection, ClientSide forwards) {
        connection.interactive(false);
        noMoreSessions(connection);
        SharedConnection sharing = shared;
        if (sharing != null) {
            persist(connection, forwards, sharing);
        } else {
            CountDownLatch end = new CountDownLatch(1);
            until(connection, end);
            await(end);
        }
        return farewell(connection, null, false);
    }

    private static void await(CountDownLatch end) {
        try {
            end.await();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private void noMoreSessions(Connection connection) {
        if (shared == null) {
            connection.transport().noMoreSessions();
        }
    }

    /** A master without a session of its own: until it is told to end, or is needed no more. */
    private void persist(Connection connection, ClientSide forwards, SharedConnection sharing) {
        Duration limit = settings.sharing().persist();
        boolean timed = limit != null && !limit.isZero();
        try {
            while (going(connection)) {
                CountDownLatch news = new CountDownLatch(1);
                until(connection, news);
                sharing.onNews(news::countDown);
                if (!timed && !sharing.stopped()) {
                    news.await();
                    continue;
                }
                forwards.whenNone(connection.transport(), news::countDown);
                if (sharing.clients() > 0 || forwards.busy(connection.transport())) {
                    news.await();
                    continue;
                }
                if (sharing.stopped()) {
                    return;
                }
                // Nothing has been open since then.
                Duration left = sharing.left(limit, forwards.lastEnd(connection.transport()));
                if (left.isNegative() || left.isZero()) {
                    log.debug("ControlPersist timeout expired");
                    return;
                }
                CountDownLatch change = new CountDownLatch(1);
                until(connection, change);
                sharing.onNews(change::countDown);
                change.await(left.toMillis() + 1, TimeUnit.MILLISECONDS);
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private boolean going(Connection connection) {
        return !leftByEscape && killedBy == 0 && fatal == null && connection.open();
    }

    /** A connection to somewhere beyond the server. */
    static SessionChannel stdio(
            Endpoint to, WritableByteChannel out, WritableByteChannel err, Log log) {
        return switch (to) {
            case Endpoint.Tcp(String host, int port) ->
                    SessionChannel.stdio(
                            "direct-tcpip",
                            buffer -> {
                                buffer.putBytes(Octets.bytes(host == null ? "localhost" : host));
                                buffer.putUInt(port);
                                nowhere(buffer);
                            },
                            out,
                            err,
                            log);
            case Endpoint.Unix(String path) ->
                    SessionChannel.stdio(
                            "direct-streamlocal@openssh.com",
                            buffer -> {
                                buffer.putBytes(Octets.bytes(path));
                                nowhere(buffer);
                            },
                            out,
                            err,
                            log);
            case Endpoint.Socks _ -> throw new IllegalStateException("-W goes somewhere");
        };
    }

    /** Our stdin has no address; OpenSSH names this one. */
    private static void nowhere(Buffer buffer) {
        buffer.putString("127.0.0.1");
        buffer.putUInt(65535);
    }

    private int session(
            Connection connection,
            ClientSide forwards,
            @Nullable Terminal tty,
            @Nullable Screen screen) {
        Endpoint beyond = settings.forwards().stdio();
        X11 x11 = beyond == null ? display(forwards) : null;
        SessionChannel channel =
                beyond != null
                        ? stdio(beyond, streams.out(), streams.err(), log)
                        : new SessionChannel(
                                wish(tty, forwards.offersAgent(), x11),
                                screen == null ? streams.out() : screen,
                                streams.err(),
                                log);
        session = channel;
        forsake();
        until(connection, channel.over());
        if (tty != null && screen != null) {
            tty.enterRaw();
            screen.onRedraw(() -> redraw(tty, channel));
        }
        try {
            connection.interactive(tty != null || x11 != null);
            connection.transport().register(channel);
            channel.open()
                    .addListener(answered -> {
                        if (answered.isOpened()) {
                            begun(connection, forwards, channel, tty, screen);
                        }
                    });
            channel.over().await();
            if (!connection.condemned()) {
                channel.awaitDry();
            } else if (screen != null) {
                screen.abandon();
            }
        } catch (IOException e) {
            log.debug("session: " + e.getMessage()); // the connection's own end says it better
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        } finally {
            if (tty != null) {
                tty.restore();
            }
        }
        awaitOthers(connection, forwards);
        return farewell(connection, channel, tty != null);
    }

    /** The server has opened the channel; on the thread that reads the network. */
    private void begun(
            Connection connection,
            ClientSide forwards,
            SessionChannel channel,
            @Nullable Terminal tty,
            @Nullable Screen screen) {
        noMoreSessions(connection);
        if (tty != null) {
            tty.onResize(() -> resized(tty, screen, channel));
        }
        Thread.ofPlatform()
                .daemon()
                .name("input")
                .start(input(connection, forwards, channel, tty, screen));
    }

    /**
     * As OpenSSH: what is being forwarded when the session has ended is not cut off, nor are a
     * master's clients, and as long as there is one others may come.
     */
    private void awaitOthers(Connection connection, ClientSide forwards) {
        SharedConnection sharing = shared;
        if (sharing != null && settings.sharing().persist() != null && !sharing.stopped()) {
            persist(connection, forwards, sharing); // from -f: its own session was not all
            return;
        }
        while (going(connection)) {
            boolean busy = forwards.busy(connection.transport());
            if (!busy && (sharing == null || sharing.clients() == 0)) {
                return;
            }
            CountDownLatch news = new CountDownLatch(1);
            until(connection, news);
            if (busy) {
                forwards.whenNone(connection.transport(), news::countDown);
            } else if (sharing != null) {
                sharing.onNews(news::countDown);
                if (sharing.clients() == 0) {
                    continue;
                }
            }
            if (going(connection)) { // else between the look at it and the new handler
                await(news);
            }
        }
    }

    /** The display to forward; null: none. */
    private @Nullable X11 display(ClientSide forwards) {
        Connection.Upstream master = upstream;
        if (master != null && !master.ours() && settings.protocol().x11() != null) {
            log.info("Warning: X11 is not forwarded over -O proxy: windows come to the master");
            return null;
        }
        return display(settings, forwards, environment, log);
    }

    static @Nullable X11 display(
            ClientSettings settings,
            ClientSide forwards,
            Map<String, String> environment,
            Log log) {
        ClientProtocol.X11 wanted = settings.protocol().x11();
        if (wanted == null || !forwards.mayForward()) {
            return null;
        }
        X11 known = forwards.display();
        if (known != null) {
            return known; // one for all sessions: the cookie of the first is the server's to keep
        }
        X11 x11 = X11.of(wanted, environment.get("DISPLAY"), log);
        forwards.display(x11);
        return x11;
    }

    private SessionChannel.Wish wish(@Nullable Terminal tty, boolean agent, @Nullable X11 x11) {
        String command = settings.command();
        SessionChannel.Wish.Kind kind =
                settings.sessionType() == SessionType.SUBSYSTEM
                        ? SessionChannel.Wish.Kind.SUBSYSTEM
                        : command == null
                                ? SessionChannel.Wish.Kind.SHELL
                                : SessionChannel.Wish.Kind.EXEC;
        byte[] bytes = command == null ? new byte[0] : SessionChannel.bytes(command);
        SessionChannel.Pty pty = null;
        if (tty != null) {
            Terminal.Size size = tty.size();
            String term = settings.terminalKind(environment);
            pty =
                    new SessionChannel.Pty(
                            term,
                            size.columns(),
                            size.rows(),
                            size.width(),
                            size.height(),
                            tty.modes());
        }
        Map<String, byte[]> sent = new LinkedHashMap<>();
        settings.environmentToSend(environment)
                .forEach((name, value) -> sent.put(name, SessionChannel.bytes(value)));
        return new SessionChannel.Wish(kind, bytes, sent, pty, agent, x11);
    }

    private static void resized(Terminal tty, @Nullable Screen screen, SessionChannel channel) {
        Terminal.Size size = tty.size();
        if (screen != null) {
            screen.resized(size);
        }
        channel.resized(size.columns(), size.rows(), size.width(), size.height());
    }

    /** A row less and, when the program has had time to see it, back: it paints anew. */
    private static void redraw(Terminal tty, SessionChannel channel) {
        Thread.ofPlatform()
                .daemon()
                .name("redraw")
                .start(() -> {
                    Terminal.Size size = tty.size();
                    int less = Math.max(1, size.rows() - 1);
                    channel.resized(size.columns(), less, size.width(), size.height());
                    try {
                        Thread.sleep(REDRAW_PAUSE);
                    } catch (InterruptedException e) {
                        Thread.currentThread().interrupt();
                    }
                    resized(tty, null, channel);
                });
    }

    private void toStderr(String text) {
        if (unheard) {
            return;
        }
        try {
            Patient.write(streams.err(), ByteBuffer.wrap(Octets.bytes(text)));
        } catch (IOException e) {
            log.debug2("stderr: " + e.getMessage()); // nobody reads what would be said there
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    // --- the input's thread

    private SessionInput input(
            Connection connection,
            ClientSide forwards,
            SessionChannel channel,
            @Nullable Terminal tty,
            @Nullable Screen screen) {
        Escapes escapes =
                new Escapes(settings.escapeChar(), settings.comfort().escapeCommandline());
        return new SessionInput(
                settings.stdinNull() ? null : streams.in(),
                ByteBuffer.allocateDirect(settings.stdinNull() ? 0 : CHUNK),
                channel,
                tty == null ? null : escapes,
                command -> {
                    obey(command, escapes, connection, forwards, channel, tty, screen);
                    if (command instanceof Escapes.Command.Background) {
                        background(connection, forwards, channel, tty, screen);
                        return false;
                    }
                    return true;
                },
                connection.loop()::spoke,
                Keystrokes.into(settings.protocol().keystrokes(), channel, connection.transport()),
                log);
    }

    private void obey(
            Escapes.Command command,
            Escapes escapes,
            Connection connection,
            ClientSide forwards,
            SessionChannel channel,
            @Nullable Terminal tty,
            @Nullable Screen screen)
            throws IOException, InterruptedException {
        boolean here = settings.logFile() == null && settings.comfort().syslogFacility() == null;
        if (here && command instanceof Escapes.Command.Louder) {
            log.level(log.level().louder());
        } else if (here && command instanceof Escapes.Command.Quieter) {
            log.level(log.level().quieter());
        }
        byte[] says = escapes.says(command, here ? log.level() : null);
        if (says.length > 0) {
            Patient.write(streams.err(), ByteBuffer.wrap(says));
        }
        switch (command) {
            case Escapes.Command.Close _ -> {
                leftByEscape = true;
                channel.over().countDown();
            }
            case Escapes.Command.Suspend _ -> {
                if (tty != null) {
                    if (screen != null) {
                        screen.hide();
                    }
                    tty.suspend();
                }
            }
            case Escapes.Command.Rekey _ -> connection.transport().rekey();
            case Escapes.Command.Break _ -> channel.sendBreak();
            case Escapes.Command.Connections _ -> list(connection, forwards, channel);
            case Escapes.Command.Information _ -> toStderr(connection.information());
            case Escapes.Command.CommandLine _ -> {
                if (settings.comfort().escapeCommandline()) {
                    commandLine(connection, forwards, tty);
                }
            }
            case Escapes.Command.Background _,
                    Escapes.Command.Help _,
                    Escapes.Command.Louder _,
                    Escapes.Command.Quieter _ -> {}
        }
    }

    /** {@code ~&}, as OpenSSH: no new connections, ^D for whoever reads our input, and its end. */
    private void background(
            Connection connection,
            ClientSide forwards,
            SessionChannel channel,
            @Nullable Terminal tty,
            @Nullable Screen screen)
            throws IOException, InterruptedException {
        forwards.stopListening(connection.transport());
        if (screen != null) {
            screen.leave();
        }
        if (tty != null) {
            tty.background();
        }
        channel.send(ByteBuffer.wrap(new byte[] {END_OF_INPUT}));
        channel.sendEnd();
    }

    private void list(Connection connection, ClientSide forwards, SessionChannel channel) {
        TreeMap<Long, String> all = new TreeMap<>(forwards.connections(connection.transport()));
        all.put(channel.getChannelId(), channel.describe());
        StringBuilder text = new StringBuilder("The following connections are open:\r\n");
        all.values().forEach(line -> text.append(line).append("\r\n"));
        toStderr(text.toString());
    }

    /** {@code ~C}. The terminal is ours for as long as it takes; what the server sends goes on. */
    private void commandLine(Connection connection, ClientSide forwards, @Nullable Terminal tty)
            throws InterruptedException {
        boolean permitted = settings.comfort().permitLocalCommand();
        askingForLine = true;
        if (tty != null) {
            tty.restore();
        }
        try {
            String typed = prompter.ask("\r\nssh> ", Prompter.Echo.ON);
            switch (LineCommand.read(typed, permitted)) {
                case LineCommand.Nothing _ -> {}
                case LineCommand.Help _ -> LineCommand.help(permitted).forEach(log::info);
                case LineCommand.Run(String command) ->
                        LocalCommand.run(settings.comfort().shell(), command, log);
                case LineCommand.Bad(String words) -> log.info(words);
                case LineCommand.Open(ForwardSpec.Kind kind, ForwardSpec spec) -> {
                    boolean there = kind == ForwardSpec.Kind.REMOTE;
                    boolean begun = forwards.open(connection.transport(), spec, there);
                    log.info(begun ? "Forwarding port." : "Port forwarding failed.");
                }
                case LineCommand.Cancel(ForwardSpec.Kind kind, ForwardSpec at) -> {
                    Transport transport = connection.transport();
                    boolean ended =
                            kind == ForwardSpec.Kind.REMOTE
                                    ? forwards.cancelThere(transport, at)
                                    : forwards.cancel(
                                            transport, at, kind == ForwardSpec.Kind.DYNAMIC);
                    log.info(ended ? "Canceled forwarding." : "Unknown port forwarding.");
                }
            }
        } catch (IOException e) {
            log.debug("read_passphrase: " + e.getMessage()); // nobody can be asked
        } finally {
            if (tty != null) {
                tty.enterRaw();
            }
            askingForLine = false;
        }
    }

    // --- the end

    private void onSignals(CountDownLatch end) {
        if (terminal == null) {
            return; // the process is not ours alone
        }
        killedOn("HUP", 1, end);
        killedOn("INT", INT, end);
        killedOn("TERM", TERM, end);
    }

    private void killedOn(String name, int number, CountDownLatch end) {
        Signals.on(
                name,
                () -> {
                    if (number == INT && askingForLine) {
                        return;
                    }
                    killedBy = number;
                    end.countDown();
                });
    }

    /** A command may have ended before what came with the login has been looked into. */
    private void awaitHostKeys() {
        HostKeyNews news = hostKeys;
        if (news == null || leftByEscape || killedBy != 0) {
            return;
        }
        try {
            news.await(LAST_NEWS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private int farewell(Connection connection, @Nullable SessionChannel channel, boolean tty) {
        Integer status = channel == null ? null : channel.status();
        boolean lost = !connection.open();
        if (!lost) {
            awaitHostKeys();
            connection.leave();
            connection.awaitGoodbye();
        }
        String given = fatal;
        if (given != null) {
            log.fatal(given);
            return FAILED;
        }
        String refusal = channel == null ? null : channel.refusal();
        if (refusal != null) {
            if (!refusal.isEmpty()) {
                log.error(refusal);
            }
            return FAILED;
        }
        // As OpenSSH: there was no status to come, and we were asked to end.
        boolean asked = killedBy == TERM && settings.sessionType() == SessionType.NONE;
        if (killedBy != 0 && !asked) {
            log.verbose("Killed by signal " + killedBy + ".");
            return FAILED;
        }
        if (lost && status == null && !leftByEscape) {
            boolean last = false;
            for (Connection.LastWord word : connection.lastWords()) {
                if (word.level() == null) {
                    toStderr(word.line() + "\r\n");
                } else {
                    log.write(word.level(), word.line());
                    last = true;
                }
            }
            if (last) {
                return FAILED; // in OpenSSH nothing can follow: it has exited where it said that
            }
        }
        boolean told = log.level().compareTo(Log.Level.INFO) >= 0;
        if (tty && told && !connection.condemned() && !connection.disconnected()) {
            // For the person at the terminal, wherever the log goes.
            toStderr("Connection to " + settings.host() + " closed.\r\n");
        }
        if (log.shows(Log.Level.VERBOSE)) {
            connection.traffic().forEach(log::verbose);
        }
        if (asked || (!lost && settings.forwards().stdio() != null)) {
            log.debug("Exit status 0");
            return 0;
        }
        log.debug("Exit status " + (status == null ? -1 : status));
        return leftByEscape || status == null ? FAILED : status & 0xff;
    }
}
