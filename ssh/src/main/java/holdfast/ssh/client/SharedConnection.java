package holdfast.ssh.client;

import holdfast.core.time.Moment;
import holdfast.ssh.config.ClientSettings;
import holdfast.ssh.config.Endpoint;
import holdfast.ssh.config.ForwardSpec;
import holdfast.ssh.forward.ClientSide;
import holdfast.ssh.forward.X11;
import holdfast.ssh.log.Log;
import holdfast.ssh.mux.MuxMaster;
import holdfast.ssh.mux.MuxMessage;
import holdfast.ssh.mux.MuxMessage.Forward;
import holdfast.ssh.mux.SharedForwards;
import holdfast.ssh.octets.Octets;
import holdfast.ssh.system.PassedFile;
import holdfast.ssh.system.Processes;
import holdfast.ssh.system.SystemException;
import holdfast.ssh.terminal.Escapes;
import holdfast.ssh.terminal.Prompter;
import holdfast.ssh.terminal.Terminal;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.ByteChannel;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Executor;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * A connection as a master's clients have it: their sessions are {@link SessionChannel}s like our
 * own, on files that they have passed to us.
 *
 * <p>Called by the threads of {@link MuxMaster}; what is reported to it comes from the thread that
 * reads the network, and never waits.
 */
final class SharedConnection implements MuxMaster.Host, AutoCloseable {

    /** One read of a client's input: all that a pipe holds. */
    private static final int CHUNK = 64 * 1024;

    /** A server that takes longer to answer is of no use for something new. */
    private static final Duration PATIENCE = Duration.ofSeconds(3);

    /** A byte that came so lately is answer enough for a client that wants a session. */
    private static final Duration RECENT = Duration.ofSeconds(3);

    /** Forwards that clients may have asked for; more are refused. */
    private static final int MOST_FORWARDS = 1024;

    private final ClientSettings settings;
    private final Supplier<@Nullable X11> display;
    private final Connection connection;
    private final ClientSide forwards;
    private final Prompter prompter;
    private final Log log;
    private final Runnable quit;

    /** Two for each client at most, used again: to make one costs as much as half a session. */
    private final Executor threads =
            Executors.newCachedThreadPool(
                    Thread.ofPlatform().daemon().name("mux-session-", 1).factory());

    private final Set<Shared> sessions = ConcurrentHashMap.newKeySet();
    private final Downstreams downstreams;
    private volatile @Nullable MuxMaster master;
    private Runnable sizes = () -> {};

    // Guarded by this.
    private boolean stopped;
    private boolean interactive;
    private Moment lastChange;
    private Runnable onNews = () -> {};

    /**
     * Those of the configuration, and those that clients have asked for since; with their ports.
     */
    private final Map<Forward, Integer> asked = new LinkedHashMap<>();

    private SharedConnection(
            ClientSettings settings,
            Connection connection,
            ClientSide forwards,
            Prompter prompter,
            Log log,
            Supplier<@Nullable X11> display,
            Runnable quit) {
        this.settings = settings;
        this.display = display;
        this.connection = connection;
        this.forwards = forwards;
        this.prompter = prompter;
        this.log = log;
        this.quit = quit;
        downstreams = new Downstreams(connection.transport(), log);
        lastChange = connection.loop().clock().now();
        settings.forwards().local().forEach(spec -> asked.put(SharedForwards.local(spec), 0));
        settings.forwards().remote().forEach(spec -> asked.put(SharedForwards.remote(spec), 0));
    }

    /**
     * Begins to share.
     *
     * @param display what a session that asks for it is to show its windows on; null: nothing
     * @param quit ends this client, soon
     * @return null: there is another master already, or no ControlPath
     */
    static @Nullable SharedConnection begin(
            ClientSettings settings,
            Connection connection,
            ClientSide forwards,
            Prompter prompter,
            Log log,
            Supplier<@Nullable X11> display,
            Runnable quit)
            throws SystemException {
        String path = settings.sharing().path();
        if (path == null) {
            return null;
        }
        SharedConnection made =
                new SharedConnection(settings, connection, forwards, prompter, log, display, quit);
        MuxMaster listening = MuxMaster.listen(path, Processes.user(), made, log);
        if (listening == null) {
            return null;
        }
        made.master = listening;
        connection.transport().passOn(made.downstreams);
        made.sizes = Terminal.ofProcess().onResize(made::resized);
        return made;
    }

    // --- for our own client

    /** Calls {@code action} once, when clients have come or gone or have ended the listening. */
    synchronized void onNews(Runnable action) {
        onNews = action;
    }

    int clients() {
        MuxMaster listening = master;
        return listening == null ? 0 : listening.clients();
    }

    /** Whether nobody else can come. */
    synchronized boolean stopped() {
        return stopped;
    }

    /**
     * How much is left of {@code limit} since nothing has been open.
     *
     * @param lastForward when a forwarded connection ended, as {@link System#nanoTime}; 0: none did
     */
    synchronized Duration left(@Nullable Duration limit, long lastForward) {
        Duration unused = connection.loop().clock().now().since(lastChange);
        if (lastForward != 0) {
            Duration since = Duration.ofNanos(System.nanoTime() - lastForward);
            unused = since.compareTo(unused) < 0 ? since : unused;
        }
        return limit == null ? Duration.ZERO : limit.minus(unused);
    }

    /** The size of terminals may have changed: we are told of all of them. */
    private void resized() {
        MuxMaster listening = master;
        if (listening != null) {
            listening.resized();
        }
    }

    /** Takes no more clients. */
    void stopListening() {
        MuxMaster listening = master;
        if (listening != null) {
            listening.stopListening();
        }
    }

    @Override
    public void close() {
        sizes.run();
        MuxMaster listening = master;
        if (listening != null) {
            listening.close();
        }
    }

    // --- for the master

    @Override
    public void clientsChanged() {
        Runnable told;
        synchronized (this) {
            lastChange = connection.loop().clock().now();
            told = onNews;
        }
        told.run();
    }

    @Override
    public void listeningEnded() {
        Runnable told;
        synchronized (this) {
            stopped = true;
            told = onNews;
        }
        told.run();
    }

    @Override
    public String name() {
        return settings.host();
    }

    @Override
    public boolean permits(String question) {
        if (!settings.sharing().master().asks()) {
            return true;
        }
        try {
            return prompter.permits(question);
        } catch (IOException e) {
            log.debug("ask_permission: " + e.getMessage());
            return false;
        }
    }

    @Override
    public void terminate() {
        quit.run();
    }

    // --- sessions

    /** A client's session, or connection to beyond the server. */
    private final class Shared implements MuxMaster.Session, SessionChannel.Reports {
        private final List<PassedFile> files;
        private final MuxMaster.Reports to;
        private final boolean tty;
        private final AtomicBoolean abandoned = new AtomicBoolean();
        private final AtomicBoolean ended = new AtomicBoolean();
        private @Nullable SessionChannel channel;
        private volatile @Nullable Thread saying;

        // Guarded by this: it may be over before it has begun.
        private boolean begun;
        private boolean over;

        Shared(List<PassedFile> files, boolean tty, MuxMaster.Reports to) {
            this.files = files;
            this.tty = tty;
            this.to = to;
        }

        private SessionChannel channel() {
            SessionChannel made = channel;
            if (made == null) {
                throw new IllegalStateException("not opened");
            }
            return made;
        }

        /** Waits for the server's answer; false: it would not, and all is put away. */
        boolean open(SessionChannel made) {
            channel = made;
            boolean open = false;
            try {
                connection.transport().register(made);
                made.openNow().await();
                open = made.opened();
            } catch (IOException e) {
                log.debug("session: " + e.getMessage()); // the connection is ending
            } finally {
                if (open) {
                    sessions.add(this);
                } else {
                    files.forEach(PassedFile::close);
                }
            }
            return open;
        }

        void begin(@Nullable Escapes escapes) {
            threads.execute(
                    new SessionInput(
                            files.getFirst(),
                            ByteBuffer.allocate(CHUNK),
                            channel(),
                            escapes,
                            command -> {
                                obey(command, escapes);
                                return true;
                            },
                            connection.loop()::spoke,
                            Keystrokes.into(
                                    settings.protocol().keystrokes(),
                                    channel(),
                                    connection.transport()),
                            log));
            synchronized (this) {
                begun = true;
                if (!over) {
                    return;
                }
            }
            threads.execute(this::awaitEnd);
        }

        @Override
        public void over() {
            synchronized (this) {
                over = true;
                if (!begun) {
                    return;
                }
            }
            // Most have nothing left to write: then there is nothing to wait for.
            if (saying == null && channel().dry()) {
                end();
            } else {
                threads.execute(this::awaitEnd);
            }
        }

        private void awaitEnd() {
            try {
                if (!abandoned.get()) {
                    channel().awaitDry();
                    Thread last = saying;
                    if (last != null) {
                        last.join();
                    }
                }
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
            end();
        }

        private void end() {
            if (ended.compareAndSet(false, true)) {
                sessions.remove(this);
                files.forEach(PassedFile::close);
                to.ended();
            }
        }

        private void obey(Escapes.Command command, @Nullable Escapes escapes)
                throws IOException, InterruptedException {
            if (escapes != null) {
                say(escapes.says(command, null));
                if (!escapes.has(command)) {
                    return;
                }
            }
            switch (command) {
                case Escapes.Command.Close _ -> abandon();
                case Escapes.Command.Rekey _ -> connection.transport().rekey();
                case Escapes.Command.Break _ -> channel().sendBreak();
                case Escapes.Command.Connections _ -> say(SessionChannel.bytes(list()));
                case Escapes.Command.Information _ ->
                        say(SessionChannel.bytes(connection.information()));
                case Escapes.Command.Help _,
                        Escapes.Command.Suspend _,
                        Escapes.Command.Background _,
                        Escapes.Command.CommandLine _,
                        Escapes.Command.Louder _,
                        Escapes.Command.Quieter _ -> {}
            }
        }

        private void say(byte[] text) throws IOException, InterruptedException {
            ByteBuffer bytes = ByteBuffer.wrap(text);
            while (bytes.hasRemaining()) {
                Patient.write(files.getLast(), bytes);
            }
        }

        @Override
        public int number() {
            return (int) channel().getChannelId();
        }

        @Override
        public void abandon() {
            if (abandoned.compareAndSet(false, true)) {
                files.forEach(PassedFile::close);
                channel().close(false);
                end();
            }
        }

        @Override
        public void resized() {
            if (tty) {
                Terminal.Size size = files.getFirst().size();
                if (!size.equals(Terminal.Size.UNKNOWN)) {
                    channel().resized(size.columns(), size.rows(), size.width(), size.height());
                }
            }
        }

        @Override
        public void terminalRefused() {
            to.terminalRefused();
        }

        @Override
        public void requestRefused(String what) {
            // Whoever reads it may take his time, and we read the network.
            saying =
                    Thread.ofVirtual()
                            .start(() -> {
                                try {
                                    say(SessionChannel.bytes(what + "\r\n"));
                                } catch (IOException e) {
                                    log.debug2("mux: " + e.getMessage()); // the client is gone
                                } catch (InterruptedException e) {
                                    Thread.currentThread().interrupt();
                                }
                            });
        }

        @Override
        public void exited(int status) {
            to.exited(status);
        }
    }

    @Override
    public MuxMaster.@Nullable Session session(
            MuxMessage.NewSession wish,
            PassedFile in,
            PassedFile out,
            PassedFile err,
            MuxMaster.Reports to) {
        SessionChannel.Pty pty = null;
        if (wish.tty()) {
            // Before the client makes it raw, which it does when it has our answer.
            Terminal.Size size = in.size();
            pty =
                    new SessionChannel.Pty(
                            wish.term(),
                            size.columns(),
                            size.rows(),
                            size.width(),
                            size.height(),
                            in.modes());
        }
        SessionChannel.Wish.Kind kind =
                wish.command().length == 0
                        ? SessionChannel.Wish.Kind.SHELL
                        : wish.subsystem()
                                ? SessionChannel.Wish.Kind.SUBSYSTEM
                                : SessionChannel.Wish.Kind.EXEC;
        Shared session = new Shared(List.of(in, out, err), wish.tty(), to);
        interactive(wish.tty());
        SessionChannel channel =
                new SessionChannel(
                                new SessionChannel.Wish(
                                        kind,
                                        wish.command(),
                                        environment(wish.environment()),
                                        pty,
                                        wish.agent() && forwards.offersAgent(),
                                        wish.x11() ? display.get() : null),
                                out,
                                err,
                                log)
                        .reportTo(session);
        if (!session.open(channel)) {
            return null;
        }
        boolean escapes = wish.tty() && wish.escape() != MuxMessage.NO_ESCAPE;
        session.begin(escapes ? Escapes.multiplexed(wish.escape() & 0xff) : null);
        return session;
    }

    /** As OpenSSH: the session that came last decides. */
    private synchronized void interactive(boolean now) {
        if (now != interactive) {
            interactive = now;
            connection.interactive(now);
        }
    }

    /** What a client has of ours to send; only what we would send ourselves (SendEnv). */
    private Map<String, byte[]> environment(List<byte[]> given) {
        Map<String, byte[]> sent = new LinkedHashMap<>();
        for (byte[] variable : given) {
            int equals = 0;
            while (equals < variable.length && variable[equals] != '=') {
                equals++;
            }
            String name = Octets.text(variable, 0, equals);
            if (equals > 0 && equals < variable.length && settings.mayBeSent(name)) {
                byte[] value = new byte[variable.length - equals - 1];
                System.arraycopy(variable, equals + 1, value, 0, value.length);
                sent.put(name, value);
            }
        }
        settings.setEnv().forEach((name, value) -> sent.put(name, SessionChannel.bytes(value)));
        return sent;
    }

    @Override
    public MuxMaster.@Nullable Session stdio(
            MuxMessage.StdioForward wish, PassedFile in, PassedFile out, MuxMaster.Reports to) {
        Shared session = new Shared(List.of(in, out), false, to);
        Endpoint beyond =
                wish.port() == MuxMessage.UNIX_PATH
                        ? new Endpoint.Unix(wish.host())
                        : new Endpoint.Tcp(wish.host(), wish.port());
        if (!session.open(Client.stdio(beyond, out, out, log).reportTo(session))) {
            return null;
        }
        session.begin(null);
        return session;
    }

    @Override
    public void carry(ByteChannel client) {
        downstreams.carry(client);
    }

    // --- forwards

    @Override
    public void open(Forward forward, MuxMaster.Answer answer) {
        ForwardSpec spec = SharedForwards.decode(forward);
        if (spec == null) {
            answer.failed("Invalid forwarding request");
            return;
        }
        String words = SharedForwards.describe(forward, settings.forwards().gatewayPorts());
        Integer port;
        int many;
        synchronized (asked) {
            port = asked.get(forward);
            many = asked.size();
        }
        if (port != null) {
            log.debug2("mux_master_process_open_fwd: found existing forwarding");
            answer.begun(port);
            return;
        }
        if (!permits("Open " + words + " on " + settings.host() + "?")) {
            answer.failed("Permission denied");
            return;
        }
        boolean begun =
                many < MOST_FORWARDS
                        && (forward.kind() == Forward.REMOTE
                                ? forwards.openThere(
                                        connection.transport(),
                                        spec,
                                        (success, chosen) ->
                                                answered(forward, success, chosen, answer))
                                : forwards.open(connection.transport(), spec, false));
        if (!begun) {
            log.info("requested " + words + " failed");
            answer.failed("Port forwarding failed");
        } else if (forward.kind() != Forward.REMOTE) {
            synchronized (asked) {
                asked.put(forward, 0);
            }
            answer.begun(0);
        }
    }

    private void answered(Forward forward, boolean success, int port, MuxMaster.Answer answer) {
        if (success) {
            synchronized (asked) {
                asked.put(forward, port);
            }
            answer.begun(port);
            return;
        }
        String text =
                "remote port forwarding failed for listen "
                        + (forward.listenPort() == MuxMessage.UNIX_PATH
                                ? "path " + forward.listenHost()
                                : "port " + forward.listenPort());
        log.error("mux_confirm_remote_forward: " + text);
        answer.failed(text);
    }

    @Override
    public @Nullable String close(Forward forward) {
        ForwardSpec spec = SharedForwards.decode(forward);
        Integer port;
        synchronized (asked) {
            port = asked.remove(forward);
        }
        if (port == null || spec == null) {
            return "port not forwarded";
        }
        if (forward.kind() != Forward.REMOTE) {
            boolean dynamic = spec.connect() instanceof Endpoint.Socks;
            return forwards.cancel(connection.transport(), spec, dynamic) ? null : "port not found";
        }
        ForwardSpec at =
                port != 0 && spec.listen() instanceof Endpoint.Tcp tcp
                        ? new ForwardSpec(new Endpoint.Tcp(tcp.host(), port), spec.connect())
                        : spec;
        return forwards.cancelThere(connection.transport(), at)
                ? null
                : "port not in permitted opens";
    }

    // --- what is known

    @Override
    public MuxMaster.Liveness liveness(boolean recentWillDo) {
        Moment asked = connection.loop().clock().now();
        Duration silent = asked.since(connection.loop().lastHeard());
        if (recentWillDo && silent.compareTo(RECENT) < 0) {
            return new MuxMaster.Liveness(Duration.ZERO, silent);
        }
        CountDownLatch answered = new CountDownLatch(1);
        connection.transport().roundTrip(answered::countDown);
        try {
            if (answered.await(PATIENCE.toMillis(), TimeUnit.MILLISECONDS) && connection.open()) {
                return new MuxMaster.Liveness(connection.loop().clock().now().since(asked), silent);
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
        return new MuxMaster.Liveness(
                null, connection.loop().clock().now().since(connection.loop().lastHeard()));
    }

    @Override
    public String describe(String what) {
        return what.equals(MuxMessage.ExtInfo.CHANNELS) ? list() : connection.information();
    }

    private String list() {
        TreeMap<Long, String> all = new TreeMap<>(forwards.connections(connection.transport()));
        for (Shared session : sessions) {
            all.put(session.channel().getChannelId(), session.channel().describe());
        }
        all.putAll(downstreams.describe());
        StringBuilder text = new StringBuilder("The following connections are open:\r\n");
        all.values().forEach(line -> text.append(line).append("\r\n"));
        return text.toString();
    }
}
