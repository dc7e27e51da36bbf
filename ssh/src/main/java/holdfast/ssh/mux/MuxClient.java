package holdfast.ssh.mux;

import holdfast.ssh.config.ClientSettings;
import holdfast.ssh.config.ClientSettings.SessionType;
import holdfast.ssh.config.ClientSharing;
import holdfast.ssh.config.Endpoint;
import holdfast.ssh.config.ForwardSpec;
import holdfast.ssh.log.Log;
import holdfast.ssh.mux.MuxMessage.Ask;
import holdfast.ssh.mux.MuxMessage.ExtInfo;
import holdfast.ssh.mux.MuxMessage.Forward;
import holdfast.ssh.octets.Octets;
import holdfast.ssh.system.LocalSocket;
import holdfast.ssh.system.Processes;
import holdfast.ssh.system.SystemException;
import holdfast.ssh.terminal.Signals;
import holdfast.ssh.terminal.Terminal;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.ByteChannel;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * One run of {@code ssh} as a client of a master that runs already: a session on its connection, or
 * a word to the master itself ({@code -O}); after OpenSSH's mux.c.
 *
 * <p>The session's bytes do not come by here: the master has our standard input, output and error.
 */
public final class MuxClient {

    /** What came of it. */
    public sealed interface Outcome {

        /** All is done; the exit status. */
        record Done(int status) implements Outcome {}

        /** There is no master: whoever wants a connection makes one. */
        record NoMaster() implements Outcome {}

        /** There is one, and it is of no use: make a connection, and leave its socket alone. */
        record Bypass() implements Outcome {}

        /**
         * It takes the packets of SSH's connection protocol from us: {@code -O proxy}.
         *
         * @param ours whether it is a master of ours, which passes on what OpenSSH's does not
         */
        record Proxied(LocalSocket socket, boolean ours) implements Outcome {}
    }

    private static final int FAILED = 255;
    private static final int HUP = 1;
    private static final int INT = 2;
    private static final int TERM = 15;

    /** A master's answer takes no time, unless its process stands; where no ConnectTimeout is. */
    private static final Duration ANSWER = Duration.ofSeconds(10);

    /** More than a master of ours waits for the server. */
    private static final Duration WIRE_ANSWER = Duration.ofSeconds(10);

    /** A word of the master's that ends us. */
    private static final class Fatal extends Exception {
        private static final long serialVersionUID = 1;

        Fatal(String text) {
            super(text, null, false, false);
        }

        String text() {
            return String.valueOf(getMessage());
        }
    }

    /** The master is of no use for a session; it has been said why. */
    private static final class Useless extends Exception {
        private static final long serialVersionUID = 1;

        Useless() {
            super(null, null, false, false);
        }
    }

    private final ClientSettings settings;
    private final ClientSharing sharing;
    private final Map<String, String> environment;
    private final Terminal terminal;
    private final Consumer<String> out;
    private final Consumer<String> err;
    private final Log log;
    private int nextRequest;
    private boolean askable;

    /** Whether the master says what it is (OpenSSH 10.3). */
    private boolean informing;

    private boolean sure;
    private @Nullable Runnable background;
    private volatile int terminatedBy;

    /**
     * @param out takes what a program may want to read
     * @param err takes what is said at any log level but QUIET
     */
    public MuxClient(
            ClientSettings settings,
            Map<String, String> environment,
            Terminal terminal,
            Consumer<String> out,
            Consumer<String> err,
            Log log) {
        this.settings = settings;
        this.sharing = settings.sharing();
        this.environment = environment;
        this.terminal = terminal;
        this.out = out;
        this.err = err;
        this.log = log;
    }

    /** Has {@code leave} run once the session is there, as ForkAfterAuthentication says. */
    public MuxClient inBackground(Runnable leave) {
        background = leave;
        return this;
    }

    /** There is a master, whatever ControlMaster says: another of us has just become one. */
    public MuxClient ofOurOwn() {
        sure = true;
        return this;
    }

    /** Runs to the end, if there is a master. */
    public Outcome run() {
        String path = sharing.path();
        boolean session = sharing.control() == null;
        if (path == null || (session && !sure && !sharing.master().joins())) {
            return new Outcome.NoMaster();
        }
        if (session && !sure && sharing.master() != ClientSharing.Master.NO) {
            log.debug("auto-mux: Trying existing master at '" + path + "'");
        }
        if (!LocalSocket.fits(path)) {
            log.fatal(
                    "ControlPath too long ('"
                            + path
                            + "' >= "
                            + LocalSocket.PATH_BYTES
                            + " bytes)");
            return new Outcome.Done(FAILED);
        }
        LocalSocket socket;
        try {
            socket = LocalSocket.connect(path);
        } catch (SystemException e) {
            return notConnected(path, e, session);
        }
        MuxWire wire = new MuxWire(socket);
        Outcome outcome;
        try {
            outcome = speak(wire, path);
        } catch (Fatal e) {
            log.fatal(e.text());
            outcome = new Outcome.Done(FAILED);
        } catch (Useless e) {
            outcome = new Outcome.Bypass();
        }
        if (!(outcome instanceof Outcome.Proxied)) {
            wire.close();
        }
        return outcome;
    }

    /**
     * Has a master of the connection to a jump host, if there is one, connect us to where that is
     * to lead (its {@code -W}): as OpenSSH's ProxyJump does, which runs {@code ssh -W}.
     *
     * @param sure there is a master, whatever ControlMaster says: another of us has become one
     * @param limit for the master's answer
     * @return nowhere: there is no master of use
     * @throws IOException in OpenSSH's words when the master, or the jump host, refuses
     */
    public static Through through(ClientSettings hop, boolean sure, Duration limit, Log log)
            throws IOException {
        Endpoint to = hop.forwards().stdio();
        String path = hop.sharing().path();
        if (to == null
                || path == null
                || !(sure || hop.sharing().master().joins())
                || !LocalSocket.fits(path)) {
            return new Through(null, false);
        }
        MuxClient client =
                new MuxClient(hop, Map.of(), Terminal.ofProcess(), text -> {}, text -> {}, log);
        MuxWire wire;
        try {
            wire = new MuxWire(LocalSocket.connect(path));
        } catch (SystemException e) {
            client.notConnected(path, e, true);
            return new Through(null, false);
        }
        LocalSocket ours = null;
        ByteChannel carried = null;
        try {
            client.meet(wire, path);
            wire.patience(limit);
            client.alive(wire, path);
            LocalSocket.Pair pair = LocalSocket.pair();
            ours = pair.near();
            try {
                client.stdio(
                        wire,
                        to,
                        () -> {
                            wire.socket().pass(pair.far());
                            wire.socket().pass(pair.far());
                        });
            } finally {
                pair.far().letGo();
            }
            wire.patience(Duration.ZERO);
            log.debug("Connecting through the master at '" + path + "'");
            carried = new Carried(ours, wire);
        } catch (Fatal e) {
            throw new IOException(e.text(), e);
        } catch (Useless e) {
            // it has been said why
        } finally {
            if (carried == null) {
                wire.close();
                if (ours != null) {
                    ours.close();
                }
            }
        }
        return new Through(carried, carried == null);
    }

    /**
     * What came of {@link #through}.
     *
     * @param channel null: there is no master of use
     * @param bypassed there is one, of none: it is to be left alone
     */
    public record Through(@Nullable ByteChannel channel, boolean bypassed) {}

    /** Bytes by way of a master, which carries them for as long as we hold on to it. */
    private record Carried(LocalSocket bytes, MuxWire master) implements ByteChannel {

        @Override
        public int read(ByteBuffer into) throws IOException {
            return bytes.read(into);
        }

        @Override
        public int write(ByteBuffer from) throws IOException {
            return bytes.write(from);
        }

        @Override
        public boolean isOpen() {
            return bytes.isOpen();
        }

        @Override
        public void close() {
            bytes.close();
            master.close();
        }
    }

    private Outcome notConnected(String path, SystemException why, boolean session) {
        String text = "Control socket connect(" + path + "): " + why.words();
        if (!session) {
            log.fatal(text);
            return new Outcome.Done(FAILED);
        }
        if (why.refused() && sharing.master() != ClientSharing.Master.NO) {
            log.debug("Stale control socket " + path + ", unlinking");
            LocalSocket.unlink(Octets.path(path));
        } else if (why.noSuchFile()) {
            log.debug("Control socket \"" + path + "\" does not exist");
        } else {
            log.error(text);
        }
        return new Outcome.NoMaster();
    }

    private Outcome speak(MuxWire wire, String path) throws Fatal, Useless {
        ClientSharing.Control control = sharing.control();
        meet(wire, path);
        if (control == ClientSharing.Control.PROXY) {
            proxy(wire, path);
            return new Outcome.Proxied(wire.socket(), askable);
        }
        if (control != null) {
            return new Outcome.Done(control(wire, control));
        }
        if (settings.forwards().stdio() != null) {
            alive(wire, path);
            return new Outcome.Done(stdio(wire, settings.forwards().stdio()));
        }
        if (!forwards(wire, false)) {
            log.error("muxclient: master forward request failed");
            throw new Useless();
        }
        int master = alive(wire, path);
        return new Outcome.Done(
                settings.sessionType() == SessionType.NONE ? nothing(wire) : session(wire, master));
    }

    private void meet(MuxWire wire, String path) throws Fatal, Useless {
        try {
            Duration limit = settings.connectTimeout();
            wire.patience(limit == null ? ANSWER : limit);
            greet(wire);
            wire.patience(Duration.ZERO);
        } catch (IOException e) {
            String why =
                    "Resource temporarily unavailable".equals(words(e))
                            ? "does not answer"
                            : "failed: " + words(e);
            if (sharing.control() != null) {
                throw new Fatal("muxclient: master hello exchange failed");
            }
            log.info("Warning: the master at " + path + " " + why + "; making a new connection.");
            throw new Useless();
        }
    }

    private static String words(IOException e) {
        return e instanceof SystemException system
                ? system.words()
                : String.valueOf(e.getMessage());
    }

    // --- what every conversation begins with

    private void greet(MuxWire wire) throws IOException {
        wire.write(new MuxMessage.Hello(MuxMessage.VERSION, Map.of()));
        MuxMessage message = wire.read();
        if (message == null) {
            log.debug("mux_client_hello_exchange: read packet failed");
            throw new IOException("Broken pipe");
        }
        if (!(message instanceof MuxMessage.Hello hello)) {
            throw new IOException(
                    "mux_client_hello_exchange: expected HELLO (1) got "
                            + Integer.toUnsignedLong(message.type()));
        }
        if (hello.version() != MuxMessage.VERSION) {
            throw new IOException(
                    "Unsupported multiplexing protocol version "
                            + hello.version()
                            + " (expected "
                            + MuxMessage.VERSION
                            + ")");
        }
        log.debug2("mux_client_hello_exchange: master version " + hello.version());
        askable = hello.extensions().containsKey(MuxMessage.ASKABLE);
        informing = "0".equals(hello.extensions().get(MuxMessage.INFO));
    }

    private static void send(MuxWire wire, MuxMessage message) throws Fatal {
        try {
            wire.write(message);
        } catch (IOException e) {
            throw new Fatal("muxclient: write packet: " + words(e));
        }
    }

    /** The next message; null at the end. */
    private static @Nullable MuxMessage receive(MuxWire wire) throws Fatal {
        try {
            return wire.read();
        } catch (MalformedMessage e) {
            throw new Fatal("muxclient: malformed message from master: " + e.getMessage());
        } catch (IOException e) {
            return null; // by a signal of ours, or the master is gone
        }
    }

    /** The answer to {@code request}; null at the end. */
    private MuxMessage.@Nullable Reply answer(MuxWire wire, String who, int request) throws Fatal {
        MuxMessage message = receive(wire);
        if (message == null) {
            return null;
        }
        if (!(message instanceof MuxMessage.Reply reply)) {
            throw new Fatal(who + ": unexpected response from master " + hex(message));
        }
        if (reply.request() != request) {
            throw new Fatal(
                    who
                            + ": out of sequence reply: my id "
                            + request
                            + " theirs "
                            + Integer.toUnsignedLong(reply.request()));
        }
        nextRequest++;
        return reply;
    }

    private static String hex(MuxMessage message) {
        return String.format("0x%08x", message.type());
    }

    /** The master's process, if its connection is of any use. */
    private int alive(MuxWire wire, String path) throws Fatal, Useless {
        int pid = pid(wire);
        if (pid == 0) {
            log.error("mux_client_request_session: master alive request failed");
            throw new Useless();
        }
        if (askable) {
            MuxMessage.Told told = ask(wire, Ask.RECENT);
            if (told == null || told.roundTripMillis() < 0) {
                log.info(
                        "Warning: the shared connection at "
                                + path
                                + " is stalled"
                                + (told == null ? "" : ", " + silence(told))
                                + "; making a new one.");
                throw new Useless();
            }
        }
        return pid;
    }

    private int pid(MuxWire wire) throws Fatal {
        int request = nextRequest;
        send(wire, new MuxMessage.AliveCheck(request));
        return switch (answer(wire, "mux_client_request_alive", request)) {
            case null -> 0;
            case MuxMessage.Alive alive -> alive.pid();
            case MuxMessage.Failure failure ->
                    throw new Fatal(
                            "mux_client_request_alive: master returned error: " + failure.reason());
            case MuxMessage.Reply other ->
                    throw new Fatal(
                            "mux_client_request_alive: unexpected response from master "
                                    + hex(other));
        };
    }

    /** What a master of ours knows; null: it does not say. */
    private MuxMessage.@Nullable Told ask(MuxWire wire, String what) throws Fatal {
        int request = nextRequest;
        wire.patience(WIRE_ANSWER);
        send(wire, new Ask(request, what));
        MuxMessage.Reply reply = answer(wire, "mux_client_ask", request);
        wire.patience(Duration.ZERO);
        return reply instanceof MuxMessage.Told told ? told : null;
    }

    private static String silence(MuxMessage.Told told) {
        return "nothing heard for " + (told.silentMillis() + 500) / 1000 + " s";
    }

    // --- -O

    private int control(MuxWire wire, ClientSharing.Control control) throws Fatal {
        switch (control) {
            case CHECK -> {
                return check(wire);
            }
            case CONNINFO -> {
                return describe(wire, ExtInfo.CONNECTION);
            }
            case CHANNELS -> {
                return describe(wire, ExtInfo.CHANNELS);
            }
            case FORWARD -> {
                if (!forwards(wire, false)) {
                    throw new Fatal("muxclient: master forward request failed");
                }
            }
            case CANCEL -> {
                if (!forwards(wire, true)) {
                    log.error("muxclient: master cancel forward request failed");
                }
            }
            case EXIT -> {
                order(
                        wire,
                        new MuxMessage.Terminate(nextRequest),
                        "mux_client_request_terminate",
                        "termination request",
                        true);
                sayUnlessQuiet("Exit request sent.\r\n");
            }
            case STOP -> {
                order(
                        wire,
                        new MuxMessage.StopListening(nextRequest),
                        "mux_client_request_stop_listening",
                        "stop listening request",
                        false);
                sayUnlessQuiet("Stop listening request sent.\r\n");
            }
            case PROXY -> throw new IllegalStateException("it is not the master's to do");
        }
        return 0;
    }

    /** From here on the socket carries packets of SSH, if this does not throw. */
    private void proxy(MuxWire wire, String path) throws Fatal {
        String who = "mux_client_proxy";
        if (askable) {
            MuxMessage.Told told = ask(wire, Ask.RECENT);
            if (told == null || told.roundTripMillis() < 0) {
                throw new Fatal(
                        "The shared connection at "
                                + path
                                + " is stalled"
                                + (told == null ? "" : ", " + silence(told)));
            }
        }
        int request = nextRequest;
        send(wire, new MuxMessage.Proxy(request));
        switch (answer(wire, who, request)) {
            case null -> throw new Fatal(who + ": read from master failed: Broken pipe");
            case MuxMessage.ProxyGranted _ -> log.debug3(who + ": done: " + request);
            case MuxMessage.PermissionDenied denied ->
                    throw new Fatal("Master refused session request: " + denied.reason());
            case MuxMessage.Failure failure ->
                    throw new Fatal(who + ": master returned error: " + failure.reason());
            case MuxMessage.Reply other ->
                    throw new Fatal(who + ": unexpected response from master " + hex(other));
        }
    }

    private void sayUnlessQuiet(String text) {
        if (log.level() != Log.Level.QUIET) {
            err.accept(text);
        }
    }

    /** OpenSSH asks the master alone; where the master is ours the server is asked as well. */
    private int check(MuxWire wire) throws Fatal {
        int pid = pid(wire);
        if (pid == 0) {
            throw new Fatal("muxclient: master alive check failed");
        }
        String running = "Master running (pid=" + Integer.toUnsignedLong(pid) + ")";
        if (!askable) {
            err.accept(running + "\r\n");
            return 0;
        }
        MuxMessage.Told told = ask(wire, Ask.WIRE);
        if (told == null || told.roundTripMillis() < 0) {
            err.accept(running + ", stalled" + (told == null ? "" : ": " + silence(told)) + "\r\n");
            return FAILED;
        }
        err.accept(
                running
                        + "\r\nServer answered in "
                        + told.roundTripMillis()
                        + " ms; last heard of "
                        + (told.silentMillis() + 500) / 1000
                        + " s before that.\r\n");
        return 0;
    }

    private int describe(MuxWire wire, String what) throws Fatal {
        if (!informing) {
            throw new Fatal("mux server does not support info request");
        }
        send(wire, new ExtInfo(nextRequest, what));
        return switch (answer(wire, "mux_client_request_info", nextRequest)) {
            case MuxMessage.ExtInfoText(int _, boolean known, String text) -> {
                if (!known) {
                    throw new Fatal("mux_client_request_info: " + text);
                }
                out.accept(text);
                yield 0;
            }
            case null ->
                    throw new Fatal(
                            "mux_client_request_info: read from master failed: Broken pipe");
            case MuxMessage.Reply other ->
                    throw new Fatal(
                            "mux_client_request_info: unexpected response from master "
                                    + hex(other));
        };
    }

    /**
     * @param mayEnd whether the master may be gone before it has answered
     */
    private void order(
            MuxWire wire, MuxMessage.Request request, String who, String what, boolean mayEnd)
            throws Fatal {
        send(wire, request);
        switch (answer(wire, who, request.request())) {
            case null -> {
                if (!mayEnd) {
                    throw new Fatal(who + ": read from master failed: Broken pipe");
                }
            }
            case MuxMessage.Ok _ -> {}
            case MuxMessage.PermissionDenied denied ->
                    throw new Fatal("Master refused " + what + ": " + denied.reason());
            case MuxMessage.Failure failure ->
                    throw new Fatal(who + ": " + what + " failed: " + failure.reason());
            case MuxMessage.Reply other ->
                    throw new Fatal(who + ": unexpected response from master " + hex(other));
        }
    }

    // --- forwards

    /** False: one of them at least could not be had, and it has been said. */
    private boolean forwards(MuxWire wire, boolean cancel) throws Fatal {
        boolean all = true;
        for (ForwardSpec spec : settings.forwards().local()) {
            all &= forward(wire, cancel, SharedForwards.local(spec));
        }
        for (ForwardSpec spec : settings.forwards().remote()) {
            all &= forward(wire, cancel, SharedForwards.remote(spec));
        }
        return all;
    }

    private boolean forward(MuxWire wire, boolean cancel, Forward forward) throws Fatal {
        String who = "mux_client_forward";
        log.debug(
                "Requesting "
                        + (cancel ? "cancellation of " : "forwarding of ")
                        + SharedForwards.describe(forward, settings.forwards().gatewayPorts()));
        int request = nextRequest;
        send(
                wire,
                cancel
                        ? new MuxMessage.CloseForward(request, forward)
                        : new MuxMessage.OpenForward(request, forward));
        return switch (answer(wire, who, request)) {
            case null -> false;
            case MuxMessage.Ok _ -> true;
            case MuxMessage.RemotePort port -> {
                if (cancel) {
                    throw new Fatal(who + ": got MUX_S_REMOTE_PORT for cancel");
                }
                log.verbose(
                        "Allocated port "
                                + port.port()
                                + " for remote forward to "
                                + forward.connectHost()
                                + ":"
                                + forward.connectPort());
                if (sharing.control() == ClientSharing.Control.FORWARD) {
                    out.accept(port.port() + "\n");
                }
                yield true;
            }
            case MuxMessage.PermissionDenied denied -> {
                log.error("Master refused forwarding request: " + denied.reason());
                yield false;
            }
            case MuxMessage.Failure failure -> {
                log.error(who + ": forwarding request failed: " + failure.reason());
                yield false;
            }
            case MuxMessage.Reply other ->
                    throw new Fatal(who + ": unexpected response from master " + hex(other));
        };
    }

    // --- sessions

    private void passInput(MuxWire wire) throws IOException {
        if (settings.stdinNull()) {
            wire.socket().passNothing();
        } else {
            wire.socket().pass(0);
        }
    }

    private List<byte[]> sentEnvironment() {
        List<byte[]> sent = new ArrayList<>();
        settings.environmentToSend(environment)
                .forEach((name, value) -> sent.add(Octets.bytes(name + "=" + value)));
        return sent;
    }

    private int session(MuxWire wire, int master) throws Fatal, Useless {
        String who = "mux_client_request_session";
        boolean tty = settings.wantsPty(Terminal.isTerminal(0), log);
        String command = settings.command();
        int request = nextRequest;
        Runnable leave = background;
        if (tty && leave == null) {
            // The answer is soon followed by what the far program says, for a terminal that is raw.
            terminal.prepareRaw();
        }
        send(
                wire,
                new MuxMessage.NewSession(
                        request,
                        tty,
                        settings.protocol().x11() != null,
                        settings.credentials().forwardAgent() != null,
                        settings.sessionType() == SessionType.SUBSYSTEM,
                        settings.escapeChar() < 0 ? MuxMessage.NO_ESCAPE : settings.escapeChar(),
                        settings.terminalKind(environment),
                        Octets.bytes(command == null ? "" : command),
                        sentEnvironment()));
        try {
            passInput(wire);
            wire.socket().pass(1);
            wire.socket().pass(2);
        } catch (IOException e) {
            throw new Fatal(who + ": send fds failed");
        }
        log.debug3(who + ": session request sent");
        MuxMessage.Reply answer = answer(wire, who, request);
        // The master writes to the terminal from now on, which is to leave it as it is: before
        // anything else, since the next steps take a VM that has just begun milliseconds.
        boolean raw =
                tty
                        && leave == null
                        && answer instanceof MuxMessage.SessionOpened
                        && terminal.enterRaw();
        try {
            int session = opened(answer, who);
            log.debug(who + ": master session id: " + session);
            onSignals(wire, master);
            if (leave != null) {
                leave.run();
            }
            return stay(wire, session, tty);
        } finally {
            if (raw) {
                terminal.restore();
            }
        }
    }

    /** The number of the session that was opened. */
    private int opened(MuxMessage.@Nullable Reply answer, String who) throws Useless {
        return switch (answer) {
            case null -> {
                log.error(who + ": read from master failed: Broken pipe");
                throw new Useless();
            }
            case MuxMessage.SessionOpened opened -> opened.session();
            case MuxMessage.PermissionDenied denied -> {
                log.error("Master refused session request: " + denied.reason());
                throw new Useless();
            }
            case MuxMessage.Failure failure -> {
                log.error(who + ": session request failed: " + failure.reason());
                throw new Useless();
            }
            case MuxMessage.Reply other -> {
                log.error(who + ": unexpected response from master " + hex(other));
                throw new Useless();
            }
        };
    }

    /** Until the master closes the socket; it says before how the session has ended. */
    private int stay(MuxWire wire, int session, boolean tty) throws Fatal {
        String who = "mux_client_request_session";
        Integer status = null;
        MuxMessage message = receive(wire);
        while (message != null) {
            switch (message) {
                case MuxMessage.TtyAllocFail failed -> {
                    ofOurs(failed.session(), session, "tty alloc fail");
                    terminal.restore();
                }
                case MuxMessage.ExitMessage exit -> {
                    ofOurs(exit.session(), session, "exit");
                    if (status != null) {
                        throw new Fatal(who + ": exitval sent twice");
                    }
                    status = exit.status();
                }
                case MuxMessage.Failure failure ->
                        throw new Fatal(who + ": master returned error: " + failure.reason());
                case MuxMessage other ->
                        throw new Fatal(who + ": unexpected response from master " + hex(other));
            }
            message = receive(wire);
        }
        wire.close();
        terminal.restore();
        if (terminatedBy != 0) {
            log.debug2("Exiting on signal: " + terminatedBy);
        } else if (status == null) {
            log.debug2("Control master terminated unexpectedly");
        } else {
            log.debug2("Received exit status from master " + status);
        }
        if (tty && log.level().compareTo(Log.Level.INFO) >= 0) {
            err.accept("Shared connection to " + settings.host() + " closed.\r\n");
        }
        return status == null || terminatedBy != 0 ? FAILED : status & 0xff;
    }

    private static void ofOurs(int theirs, int ours, String what) throws Fatal {
        if (theirs != ours) {
            throw new Fatal(
                    "mux_client_request_session: "
                            + what
                            + " on unknown session: my id "
                            + ours
                            + " theirs "
                            + theirs);
        }
    }

    /** Passes what the master is to read, and what it is to write. */
    private interface Passing {
        void pass() throws IOException;
    }

    private int stdio(MuxWire wire, Endpoint to) throws Fatal, Useless {
        stdio(
                wire,
                to,
                () -> {
                    passInput(wire);
                    wire.socket().pass(1);
                });
        onSignals(wire, 0);
        Runnable leave = background;
        if (leave != null) {
            leave.run();
        }
        MuxMessage message = receive(wire);
        if (message != null) {
            throw new Fatal(
                    "mux_client_request_stdio_fwd: master returned unexpected message "
                            + message.type());
        }
        return 0;
    }

    private void stdio(MuxWire wire, Endpoint to, Passing files) throws Fatal, Useless {
        String who = "mux_client_request_stdio_fwd";
        int request = nextRequest;
        send(
                wire,
                switch (to) {
                    case Endpoint.Tcp(String host, int port) ->
                            new MuxMessage.StdioForward(request, host == null ? "" : host, port);
                    case Endpoint.Unix(String path) ->
                            new MuxMessage.StdioForward(request, path, MuxMessage.UNIX_PATH);
                    case Endpoint.Socks _ -> throw new IllegalStateException("-W goes somewhere");
                });
        try {
            files.pass();
        } catch (IOException e) {
            throw new Fatal(who + ": send fds failed");
        }
        log.debug3(who + ": stdio forward request sent");
        switch (answer(wire, who, request)) {
            case null -> {
                log.error(who + ": read from master failed: Broken pipe");
                throw new Useless();
            }
            case MuxMessage.SessionOpened opened ->
                    log.debug(who + ": master session id: " + opened.session());
            case MuxMessage.PermissionDenied denied ->
                    throw new Fatal("Master refused stdio forwarding request: " + denied.reason());
            case MuxMessage.Failure failure ->
                    throw new Fatal("Stdio forwarding request failed: " + failure.reason());
            case MuxMessage.Reply other -> {
                log.error(who + ": unexpected response from master " + hex(other));
                throw new Useless();
            }
        }
    }

    /**
     * {@code -N}: the forwards are what we are for. OpenSSH has the master run a shell all the same
     * and stays as long as that.
     */
    private int nothing(MuxWire wire) throws Fatal {
        onSignals(wire, 0);
        Runnable leave = background;
        if (leave != null) {
            leave.run();
        }
        MuxMessage message = receive(wire);
        if (message != null) {
            throw new Fatal("muxclient: unexpected message from master " + hex(message));
        }
        return terminatedBy == TERM ? 0 : FAILED;
    }

    private void onSignals(MuxWire wire, int master) {
        terminatedOn("HUP", HUP, wire);
        terminatedOn("INT", INT, wire);
        terminatedOn("TERM", TERM, wire);
        if (master > 1) {
            // It has the terminal's descriptor and can ask it, but only we are told.
            terminal.onResize(() -> Processes.signal(master, Processes.WINCH));
        }
    }

    private void terminatedOn(String name, int number, MuxWire wire) {
        Signals.on(
                name,
                () -> {
                    terminatedBy = number;
                    wire.close();
                });
    }
}
