package holdfast.ssh.server.session;

import holdfast.ssh.config.Patterns;
import holdfast.ssh.config.ServerSettings;
import holdfast.ssh.config.Surroundings;
import holdfast.ssh.forward.ServerSide;
import holdfast.ssh.forward.X11Display;
import holdfast.ssh.log.Log;
import holdfast.ssh.log.Printable;
import holdfast.ssh.log.Reason;
import holdfast.ssh.octets.Octets;
import holdfast.ssh.server.Login;
import holdfast.ssh.server.ServerTransport;
import holdfast.ssh.server.sftp.SftpOptions;
import holdfast.ssh.stream.Inflow;
import holdfast.ssh.stream.Outflow;
import holdfast.ssh.stream.Tap;
import holdfast.ssh.system.Account;
import holdfast.ssh.system.Accounts;
import holdfast.ssh.system.Become;
import holdfast.ssh.system.Child;
import holdfast.ssh.system.Exit;
import holdfast.ssh.system.Logins;
import holdfast.ssh.system.Pty;
import holdfast.ssh.system.Signal;
import holdfast.ssh.system.Spawn;
import holdfast.ssh.system.SystemException;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.Consumer;
import org.apache.sshd.client.future.DefaultOpenFuture;
import org.apache.sshd.client.future.OpenFuture;
import org.apache.sshd.common.SshConstants;
import org.apache.sshd.common.channel.ChannelAsyncOutputStream;
import org.apache.sshd.common.session.Session;
import org.apache.sshd.common.util.buffer.Buffer;
import org.apache.sshd.common.util.buffer.ByteArrayBuffer;
import org.apache.sshd.core.CoreModuleProperties;
import org.apache.sshd.server.channel.AbstractServerChannel;
import org.jspecify.annotations.Nullable;

/**
 * One session: a shell, a command or a subsystem, and what the client asks for it.
 *
 * <p>Not MINA's ChannelSession, which costs threads and timers and buffers without a bound. Here a
 * program's bytes go through {@link Inflow} and {@link Outflow}; requests that take time go through
 * {@link Errands}, so that the thread that reads the network never waits. The window is opened only
 * when there is something to take the data, as OpenSSH does.
 *
 * <p>The end, in this order: the program has exited and its output is at an end; EOF, exit-status,
 * CLOSE; then what the channel held is given back by {@link #hangUp}, which also runs when the
 * client closes first or the connection dies. Fields are guarded by {@link #lock}.
 */
final class SessionChannel extends AbstractServerChannel {

    /** CHAN_SES_WINDOW_DEFAULT and CHAN_SES_PACKET_DEFAULT of OpenSSH. */
    static final long WINDOW_BYTES = 64 * 32 * 1024;

    static final long PACKET_BYTES = 32 * 1024;

    /** More of a command goes into no line of the log. */
    private static final int LONGEST_WORDS = 900;

    /** OpenSSH's bound on variables a client may set. */
    private static final int MOST_VARIABLES = 128;

    /** What OpenSSH's monitor could take of one request, and more than any terminal's. */
    private static final int LONGEST_NAME = 4096;

    private static final Path PASSWD = Path.of("/usr/bin/passwd");

    private static final String CHANGE_NOW =
            """
            WARNING: Your password has expired.
            You must change your password now and login again!
            """;
    private static final String EXPIRED =
            """
            WARNING: Your password has expired.
            Password change required but no TTY available.
            """;

    private static final String NOT_SFTP = "This service allows sftp connections only.\n";

    /** Where the line for xauth or for ~/.ssh/rc waits, until the shell that runs them takes it. */
    private static final String X11_LINES = "HOLDFAST_X11";

    /**
     * X11 forwarded for this session.
     *
     * @param name DISPLAY
     * @param entry the display as xauth(1) is to know it
     * @param protocol how programs prove that they may use it; {@code cookie} is the proof
     */
    private record Shown(
            X11Display display,
            String name,
            String entry,
            String protocol,
            String cookie,
            Path xauth) {

        /** The proof is nobody else's. */
        @Override
        public String toString() {
            return name;
        }
    }

    private final Object lock = new Object();
    private final ServerTransport peer;
    private final Sessions sessions;
    private final Errands errands = new Errands();
    private final AtomicBoolean hungUp = new AtomicBoolean();
    private final Map<String, String> variables = new LinkedHashMap<>();
    private int place = -1;
    private boolean started;
    private boolean forced;
    private boolean subsystem;
    private String term = "";
    private volatile @Nullable Shown x11;
    private boolean atTerminal;
    private volatile @Nullable Pty pty;
    private volatile @Nullable Child child;
    private volatile @Nullable Inflow input;
    private volatile @Nullable Outflow output;
    private volatile @Nullable Outflow errors;
    private volatile @Nullable ChannelAsyncOutputStream out;
    private volatile @Nullable ChannelAsyncOutputStream err;
    private volatile @Nullable SftpSession sftp;
    private @Nullable Exit exit;

    /** Set by an errand: what begins, and has it answered. */
    private @Nullable Runnable afterwards;

    /** Of errands: what has begun waits for its answer. */
    private boolean unanswered;

    private int flowing;
    private boolean eofCame;
    private boolean eofGone;
    private boolean closeGone;
    private volatile boolean closeCame;

    SessionChannel(ServerTransport peer, Sessions sessions) {
        super(null);
        this.peer = peer;
        this.sessions = sessions;
    }

    // --- opening

    @Override
    protected void configureWindow() {
        // Nothing takes data yet.
        CoreModuleProperties.WINDOW_SIZE.set(this, 0L);
        CoreModuleProperties.MAX_PACKET_SIZE.set(this, PACKET_BYTES);
        super.configureWindow();
    }

    @Override
    public OpenFuture open(long recipient, long windowSize, long packetSize, Buffer buffer) {
        setRecipient(recipient);
        if (sessions.closed()) {
            refuse(() ->
                    getSession()
                            .disconnect(
                                    SshConstants.SSH2_DISCONNECT_PROTOCOL_ERROR,
                                    "Possible attack: attempt to open a session after"
                                            + " additional sessions disabled"));
            return new DefaultOpenFuture(this, null);
        }
        place = sessions.enter(login().settings().maxSessions());
        if (place < 0) {
            peer.log().error("no more sessions");
            peer.log().debug("session open failed, free channel " + getChannelId());
            refuse(() -> {
                Buffer failure = packet(SshConstants.SSH_MSG_CHANNEL_OPEN_FAILURE, 32);
                failure.putUInt(SshConstants.SSH_OPEN_CONNECT_FAILED);
                failure.putString("open failed");
                failure.putString("");
                getSession().writePacket(failure);
            });
            return new DefaultOpenFuture(this, null);
        }
        return super.open(recipient, windowSize, Math.clamp(packetSize, 1, PACKET_BYTES), buffer);
    }

    private interface Sending {
        void send() throws IOException;
    }

    /** Ends a channel that was never open, having told the client; MINA would keep it. */
    private void refuse(Sending telling) {
        hungUp.set(true);
        try {
            telling.send();
        } catch (IOException e) {
            peer.log().debug2("open not refused: " + e.getMessage()); // the connection is gone
        }
        close(true);
    }

    private void openWindow() throws IOException {
        CoreModuleProperties.WINDOW_SIZE.set(this, WINDOW_BYTES);
        getLocalWindow().init(this);
        sendWindowAdjust(WINDOW_BYTES);
    }

    // --- requests

    @Override
    public void handleRequest(Buffer buffer) throws IOException {
        String request = buffer.getString();
        boolean wantReply = buffer.getBoolean();
        byte[] rest = new byte[buffer.available()];
        buffer.getRawBytes(rest);
        if (!ServerSide.inTurn(getSession(), () -> ask(request, wantReply, rest))) {
            tooMany();
        }
    }

    private void ask(String request, boolean wantReply, byte[] rest) {
        boolean queued =
                errands.add(() -> {
                    boolean done = false;
                    try {
                        done = request(request, new ByteArrayBuffer(rest));
                    } catch (IOException | RuntimeException e) {
                        peer.log().error("session request " + request + ": " + e.getMessage());
                    }
                    Runnable next = afterwards;
                    afterwards = null;
                    if (next == null) {
                        answer(wantReply, done);
                    } else {
                        unanswered = wantReply;
                        after(next, request);
                        answered();
                    }
                });
        if (!queued) {
            tooMany();
        }
    }

    private void tooMany() {
        try {
            getSession()
                    .disconnect(
                            SshConstants.SSH2_DISCONNECT_PROTOCOL_ERROR,
                            "too many requests for a session");
        } catch (IOException e) {
            close(true); // it could not even be told
        }
    }

    private void after(Runnable next, String request) {
        try {
            next.run();
        } catch (RuntimeException e) {
            peer.log().error("session request " + request + ": " + e);
            only("", true, 255);
        }
    }

    /**
     * Says once that it has begun: when the window is open, and before the first output. A client
     * may take the answer for leave to write, and what it then has no room for may be lost (sshj).
     */
    private void answered() {
        boolean wanted = unanswered;
        unanswered = false;
        answer(wanted && !hungUp.get(), true);
    }

    private void answer(boolean wanted, boolean done) {
        if (!wanted) {
            return;
        }
        try {
            getSession()
                    .writePacket(
                            packet(
                                    done
                                            ? SshConstants.SSH_MSG_CHANNEL_SUCCESS
                                            : SshConstants.SSH_MSG_CHANNEL_FAILURE,
                                    0));
        } catch (IOException e) {
            peer.log().debug2("request not answered: " + e.getMessage()); // the connection is gone
        }
    }

    private boolean request(String request, Buffer buffer) throws IOException {
        if (isClosing()) {
            return false;
        }
        switch (request) {
            case "window-change" -> {
                return windowChange(buffer);
            }
            case "signal" -> {
                return signal(buffer.getString());
            }
            case "break" -> {
                return pty != null;
            }
            case "eow@openssh.com" -> {
                unread();
                return true;
            }
            default -> {
                // Only before a program runs.
            }
        }
        if (started) {
            return false;
        }
        return switch (request) {
            case "pty-req" -> terminal(buffer);
            case "env" -> variable(Octets.text(buffer.getBytes()), Octets.text(buffer.getBytes()));
            case "auth-agent-req@openssh.com" -> agent();
            case "shell" -> begin(null, Subsystem.NONE, "");
            case "exec" -> begin(buffer.getBytes(), Subsystem.NONE, "");
            case "subsystem" -> subsystem(buffer.getString());
            case "x11-req" -> x11(buffer);
            default -> false;
        };
    }

    private boolean terminal(Buffer buffer) throws IOException {
        Login login = login();
        if (!login.permissions().pty() || !login.settings().permitTty()) {
            peer.log().debug("Allocating a pty not permitted for this connection.");
            return false;
        }
        if (pty != null) {
            getSession()
                    .disconnect(
                            SshConstants.SSH2_DISCONNECT_PROTOCOL_ERROR,
                            "Protocol error: you already have a pty.");
            return false;
        }
        String kind = buffer.getString();
        int columns = buffer.getInt();
        int rows = buffer.getInt();
        int width = buffer.getInt();
        int height = buffer.getInt();
        byte[] modes = buffer.getBytes();
        Pty opened;
        try {
            opened = Pty.open(login.account());
        } catch (SystemException e) {
            peer.log()
                    .error(
                            "session_pty_req: session "
                                    + place
                                    + " alloc failed: "
                                    + e.getMessage());
            return false;
        }
        peer.log().debug("session_pty_req: session " + place + " alloc " + opened.name());
        opened.modes(modes);
        opened.resize(columns, rows, width, height);
        term = kind;
        synchronized (lock) {
            if (hungUp.get()) {
                opened.close();
                return false;
            }
            pty = opened;
        }
        return true;
    }

    private boolean windowChange(Buffer buffer) {
        Pty terminal = pty;
        int columns = buffer.getInt();
        int rows = buffer.getInt();
        int width = buffer.getInt();
        int height = buffer.getInt();
        if (terminal != null) {
            terminal.resize(columns, rows, width, height);
        }
        return true;
    }

    private boolean variable(String name, String value) {
        if (variables.size() >= MOST_VARIABLES
                || name.length() > LONGEST_NAME
                || name.indexOf('=') >= 0
                || name.indexOf('\0') >= 0
                || value.indexOf('\0') >= 0) {
            return false;
        }
        for (String pattern : login().settings().acceptEnv()) {
            if (Patterns.matches(name, pattern)) {
                peer.log().debug2("Setting env " + variables.size() + ": " + name + "=" + value);
                variables.put(name, value);
                return true;
            }
        }
        peer.log().debug2("Ignoring env request " + name + ": disallowed name");
        return false;
    }

    private boolean signal(String name) {
        Signal signal = Signal.named(name);
        Child running = child;
        if (signal == null || signal == Signal.CONT || signal == Signal.STOP) {
            peer.log().error("unsupported signal \"" + printable(name) + "\"");
            return false;
        }
        if (running == null) {
            peer.log().error("no pid for session " + place);
            return false;
        }
        if (forced || subsystem) {
            peer.log()
                    .error(
                            "refusing to send signal "
                                    + name
                                    + " to "
                                    + (forced ? "forced-command" : "subsystem")
                                    + " session");
            return false;
        }
        running.signalProgram(signal);
        return true;
    }

    private boolean agent() throws IOException {
        Login login = login();
        ServerSettings settings = login.settings();
        if (!login.permissions().agentForwarding()
                || !settings.allowAgentForwarding()
                || settings.disableForwarding()) {
            peer.log().debug("agent forwarding disabled");
            return false;
        }
        Session session = getSession();
        try {
            return sessions.openAgent(
                    login, tap -> AgentChannel.open(session, service, tap, peer.log()));
        } catch (IOException e) {
            peer.log().error("agent forwarding: " + e);
            debugToClient("Agent forwarding disabled: mkdtemp() failed: " + Reason.of(e));
            return false;
        }
    }

    /** session.c session_x11_req and session_setup_x11fwd. */
    private boolean x11(Buffer buffer) throws IOException {
        boolean single = buffer.getBoolean();
        String protocol = buffer.getString();
        String cookie = buffer.getString();
        long screen = buffer.getUInt();
        Login login = login();
        ServerSettings settings = login.settings();
        Path xauth = settings.xAuthLocation();
        if (x11 != null) {
            peer.log().error("session " + place + ": x11 forwarding already active");
            return false;
        }
        if (!X11Display.isValid(protocol) || !X11Display.isValid(cookie)) {
            peer.log().error("Invalid X11 forwarding data");
            return false;
        }
        if (!login.permissions().x11Forwarding()) {
            debugToClient("X11 forwarding disabled by key options.");
            return false;
        }
        if (!settings.x11Forwarding() || settings.disableForwarding()) {
            peer.log().debug("X11 forwarding disabled in server configuration file.");
            return false;
        }
        if (xauth == null || !there(login, xauth)) {
            debugToClient("No xauth program; cannot forward X11.");
            return false;
        }
        X11Display display =
                X11Display.open(
                        getSession(),
                        new X11Display.Wanted(
                                settings.x11DisplayOffset(),
                                settings.x11UseLocalhost(),
                                settings.addressFamily(),
                                single),
                        peer.log(),
                        made -> made.setAttribute(ServerTransport.KIND, "x11-connection"));
        if (display == null) {
            peer.log().debug("x11_create_display_inet failed.");
            return false;
        }
        String end = ":" + display.number() + "." + screen;
        String host =
                settings.x11UseLocalhost()
                        ? "localhost"
                        : Surroundings.ofProcess().hostName().get();
        synchronized (lock) {
            if (hungUp.get()) {
                display.close();
                return false;
            }
            x11 =
                    new Shown(
                            display,
                            host + end,
                            (settings.x11UseLocalhost() ? "unix" : host) + end,
                            protocol,
                            cookie,
                            xauth);
        }
        return true;
    }

    private static boolean there(Login login, Path file) throws IOException {
        return Found.own(login, () -> Found.exists(file));
    }

    /** Tells the client, which shows it with -v. */
    private void debugToClient(String text) throws IOException {
        getSession().sendDebugMessage(false, text, "");
    }

    /** What a subsystem's errors are read by. */
    private static final int UNHEARD = 16 * 1024;

    private enum Subsystem {
        NONE,
        PROGRAM,
        SFTP
    }

    private boolean subsystem(String name) throws IOException {
        Account account = login().account();
        peer.log()
                .debug2("subsystem request for " + printable(name) + " by user " + account.name());
        String command = login().settings().subsystem().get(name);
        if (command == null) {
            peer.log()
                    .info(
                            "subsystem request for "
                                    + printable(name)
                                    + " by user "
                                    + account.name()
                                    + " failed, subsystem not found");
            return false;
        }
        return begin(
                Octets.bytes(command),
                internalSftp(command) ? Subsystem.SFTP : Subsystem.PROGRAM,
                name);
    }

    private static boolean internalSftp(String command) {
        return command.equals("internal-sftp")
                || command.startsWith("internal-sftp ")
                || command.startsWith("internal-sftp\t");
    }

    // --- running

    /**
     * Starts what was asked for, or what is forced in its place.
     *
     * @param asked the command; null: a shell
     */
    private boolean begin(byte @Nullable [] asked, Subsystem kind, String name) throws IOException {
        Login login = login();
        ServerSettings settings = login.settings();
        byte[] command = asked;
        String original = null;
        String why = null;
        String instead = settings.forceCommand();
        if (instead != null) {
            why = "(config)";
        } else {
            instead = login.permissions().command();
            if (instead != null) {
                why = "(key-option)";
            }
        }
        boolean wrongService = false;
        Subsystem runs = kind;
        if (instead != null) {
            original = asked == null ? null : Octets.text(asked);
            command = Octets.bytes(instead);
            forced = true;
            if (internalSftp(instead)) {
                wrongService = kind == Subsystem.NONE;
                runs = Subsystem.SFTP;
            } else if (kind != Subsystem.NONE) {
                runs = Subsystem.PROGRAM;
            }
        }
        started = true;
        subsystem = runs != Subsystem.NONE;
        Pty terminal = pty;
        tell(why, command, kind, name, terminal);
        peer.turnsOut(
                this,
                switch (kind) {
                    case NONE -> asked == null ? "session:shell" : "session:command";
                    case PROGRAM, SFTP -> "session:subsystem:" + name;
                });
        out = new ChannelAsyncOutputStream(this, SshConstants.SSH_MSG_CHANNEL_DATA);
        if (terminal == null && !subsystem) {
            err = new ChannelAsyncOutputStream(this, SshConstants.SSH_MSG_CHANNEL_EXTENDED_DATA);
        }
        if (login.mustChange()) {
            afterwards =
                    terminal == null
                            ? () -> only(EXPIRED, true, 1)
                            : () ->
                                    found(
                                            login,
                                            asked == null,
                                            found ->
                                                    newPassword(
                                                            login, found, terminal, asked != null));
            return true;
        }
        if (wrongService) {
            peer.log()
                    .info(
                            "Connection from user "
                                    + login.account().name()
                                    + " "
                                    + peer.peerText()
                                    + ": refusing non-sftp session");
            afterwards = () -> only(NOT_SFTP, false, 1);
            return true;
        }
        if (runs == Subsystem.SFTP && command != null) {
            return transfer(Octets.text(command));
        }
        byte[] runsCommand = command;
        String asWasAsked = original;
        afterwards =
                () ->
                        found(
                                login,
                                terminal != null && runsCommand == null,
                                found -> run(login, found, runsCommand, asWasAsked, terminal));
        return true;
    }

    private void found(Login login, boolean greeted, Consumer<Found> then) {
        Found found;
        try {
            found = Found.by(login, greeted);
        } catch (IOException e) {
            peer.log().error("session " + place + ": " + e.getMessage());
            only("", true, 255);
            return;
        }
        then.accept(found);
    }

    /** What PAM has to say to one who gets a shell. */
    private String wordsOfPam(Login login, Found found, boolean command) {
        ServerSettings settings = login.settings();
        return settings.usePam() && !command && !found.hushed() && Accounts.privileged()
                ? ended(peer.firstWords())
                        + PamWords.of(settings.pamServiceName(), login.account(), peer.log())
                : "";
    }

    /** Has packets marked for what they are now: IPQoS. On an errand's thread. */
    private void interactive(boolean yes) {
        synchronized (lock) {
            if (hungUp.get()) {
                return;
            }
            atTerminal = yes;
        }
        peer.marks(sessions.interactive(yes ? 1 : 0));
    }

    /** passwd(1) in place of whatever was asked for. */
    private void newPassword(Login login, Found found, Pty terminal, boolean command) {
        Account account = login.account();
        try {
            Spawn spawn =
                    Become.as(
                                    account,
                                    login.settings().usePam(),
                                    found.cage(login),
                                    null,
                                    PASSWD,
                                    PASSWD.toString(),
                                    List.of(),
                                    Map.of("PATH", "/usr/bin:/bin", "HOME", "/"))
                            .terminal(terminal);
            String greeting =
                    wordsOfPam(login, found, command) + Greeting.of(login, command, found);
            attach(spawn.start(), terminal, greeting, CHANGE_NOW);
        } catch (SystemException e) {
            only(PASSWD + ": " + e.words() + "\n", true, 1);
        }
    }

    private void tell(
            @Nullable String why,
            byte @Nullable [] command,
            Subsystem kind,
            String name,
            @Nullable Pty terminal) {
        String what;
        if (why != null && command != null) {
            what = "forced-command " + why + " '" + printable(Octets.text(command)) + "'";
        } else if (kind != Subsystem.NONE) {
            what = "subsystem '" + printable(name) + "'";
        } else {
            what = command == null ? "shell" : "command";
        }
        String tty = terminal == null ? "" : " on " + terminal.name().replaceFirst("^/dev/", "");
        peer.log()
                .verbose(
                        "Starting session: "
                                + what
                                + tty
                                + " for "
                                + login().account().name()
                                + " from "
                                + peer.peerText()
                                + " id "
                                + place);
    }

    /** Starts a program as the user. On an errand's thread, which has not answered yet. */
    private void run(
            Login login,
            Found found,
            byte @Nullable [] command,
            @Nullable String original,
            @Nullable Pty terminal) {
        Account account = login.account();
        ServerSettings settings = login.settings();
        if (found.nologin() != null) {
            peer.log().info("User " + account.name() + " not allowed because /etc/nologin exists");
            only(found.nologin(), true, 254);
            return;
        }
        interactive(terminal != null || x11 != null);
        Path agent = sessions.agent();
        Shown display = x11;
        Path proofs = settings.exposeAuthInfo() ? sessions.proofs(login) : null;
        ChildEnvironment environment =
                ChildEnvironment.of(
                        login,
                        new ChildEnvironment.Circumstances(
                                variables,
                                term.isEmpty() ? null : term,
                                terminal == null ? null : terminal.name(),
                                agent == null ? null : agent.toString(),
                                proofs == null ? null : proofs.toString(),
                                display == null ? null : display.name(),
                                original,
                                peer.peer(),
                                peer.local(),
                                found.environment(),
                                System.getenv("TZ")));
        String said = wordsOfPam(login, found, command != null);
        StringBuilder greeting = new StringBuilder();
        if (terminal != null) {
            greeting.append(said).append(Greeting.of(login, command != null, found));
            said = "";
        }
        environment.complaints().forEach(line -> greeting.append(line).append('\n'));
        Path shell = account.shell();
        if (!found.shell()) {
            only(greeting + "" + shell + ": No such file or directory\n", true, 1);
            return;
        }
        String shellName = String.valueOf(shell.getFileName());
        Child running;
        try {
            String name = command == null ? "-" + shellName : shellName;
            List<String> arguments = command == null ? List.of() : List.of("-c");
            Path rc = rc(login, found);
            Spawn spawn =
                    rc == null && display == null
                            ? Become.as(
                                    account,
                                    settings.usePam(),
                                    found.cage(login),
                                    account.home(),
                                    shell,
                                    name,
                                    arguments,
                                    environment.map())
                            : afterRc(
                                    login, found, rc, display, name, arguments, environment.map());
            if (command != null) {
                spawn.argument(command);
            }
            if (terminal == null) {
                spawn.stdio(Spawn.Stdio.PIPES);
            } else {
                spawn.terminal(terminal);
                Logins.soon(account, terminal.name(), peer.peerName(), address());
            }
            running = spawn.start();
        } catch (SystemException e) {
            if (terminal != null) {
                Logins.out((int) ProcessHandle.current().pid(), terminal.name());
            }
            only(shell + ": " + e.words() + "\n", true, 1);
            return;
        }
        SystemException refused = running.directoryRefused();
        if (refused != null) {
            greeting.append("Could not chdir to home directory ")
                    .append(account.home())
                    .append(": ")
                    .append(refused.words())
                    .append('\n');
        }
        if (terminal != null) {
            Logins.in(account, running.pid(), terminal.name(), peer.peerName(), address());
            running.onExit(ended -> Errands.once(() -> Logins.out(running.pid(), terminal.name())));
        }
        attach(running, terminal, said, greeting.toString());
    }

    private @Nullable InetAddress address() {
        InetSocketAddress from = peer.peer();
        return from == null ? null : from.getAddress();
    }

    private static String ended(String words) {
        return words.isEmpty() || words.endsWith("\n") ? words : words + "\n";
    }

    /** The script that runs before the user's program; null: none. */
    private @Nullable Path rc(Login login, Found found) {
        if (!subsystem
                && login.settings().forceCommand() == null
                && login.permissions().userRc()
                && login.settings().permitUserRc()
                && found.userRc() != null) {
            return found.userRc();
        }
        return found.systemRc();
    }

    /**
     * The program after {@code rc}, or where there is none after xauth(1), which learns how the
     * display is opened (session.c do_rc_files); in one process: bash alone can give it its name.
     *
     * <p>What opens the display is nothing for a list of processes: it comes in the environment,
     * which only the user can read, goes to a standard input, and is gone before the program runs.
     */
    private static Spawn afterRc(
            Login login,
            Found found,
            @Nullable Path rc,
            @Nullable Shown display,
            String name,
            List<String> arguments,
            Map<String, String> environment)
            throws SystemException {
        Path bash = found.bash();
        List<String> words =
                new ArrayList<>(bash != null ? List.of("--norc", "-p", "-c") : List.of("-c"));
        Map<String, String> with = new LinkedHashMap<>(environment);
        String first = rc == null ? "\"$1\" -q -" : "/bin/sh \"$1\"";
        if (display != null) {
            String proof = display.protocol() + " " + display.cookie() + "\n";
            String entry = display.entry();
            with.put(
                    X11_LINES,
                    rc == null ? "remove " + entry + "\nadd " + entry + " " + proof : proof);
            first = "x=$" + X11_LINES + "; unset " + X11_LINES + "; printf %s \"$x\" | " + first;
        } else {
            first = ": | " + first; // a root directory need not have a /dev/null
        }
        words.add(first + "; shift; exec " + (bash != null ? "-a \"$0\" -- " : "") + "\"$@\"");
        Path before = rc != null ? rc : Objects.requireNonNull(display).xauth();
        words.addAll(List.of(name, before.toString(), Octets.text(login.account().shell())));
        if (bash == null && arguments.isEmpty()) {
            // Every shell of /etc/shells takes it.
            words.add("-l");
        }
        words.addAll(arguments);
        Path program = bash != null ? bash : Path.of("/bin/sh");
        return Become.as(
                login.account(),
                login.settings().usePam(),
                found.cage(login),
                login.account().home(),
                program,
                program.toString(),
                words,
                with);
    }

    /**
     * Has the program's bytes flow, behind what is said before. The errors of a subsystem without a
     * terminal are for nobody, as in OpenSSH: a client speaks a protocol with it, and does not
     * expect what a ~/.bashrc complains of.
     *
     * @param said goes to the output, and {@code greeting} to the errors where there is no terminal
     */
    private void attach(Child running, @Nullable Pty terminal, String said, String greeting) {
        ChannelAsyncOutputStream toOut = out;
        ChannelAsyncOutputStream toErr = err;
        if (toOut == null) {
            throw new IllegalStateException("not begun");
        }
        Outflow first = new Outflow(running.output(), toOut, this::outputEnded);
        Tap second = running.errors();
        Outflow other =
                second == null || toErr == null
                        ? null
                        : new Outflow(second, toErr, this::outputEnded);
        Inflow in = new Inflow(running.input(), getLocalWindow(), this::inputEnded);
        boolean finish;
        synchronized (lock) {
            if (hungUp.get()) {
                // The client left while it was started.
                running.signal(Signal.HUP);
                running.signal(Signal.CONT);
                closeTaps(running);
                if (terminal != null) {
                    terminal.close();
                }
                return;
            }
            child = running;
            output = first;
            errors = other;
            input = in;
            flowing = other == null ? 1 : 2;
            finish = eofCame;
        }
        running.onExit(this::exited);
        if (finish) {
            in.finish();
        } else {
            try {
                openWindow();
            } catch (IOException e) {
                peer.log().debug2("window not opened: " + e.getMessage()); // connection is gone
            }
        }
        answered();
        Runnable flow =
                () -> {
                    first.start();
                    if (other != null) {
                        other.start();
                    } else if (second != null) {
                        unheard(second);
                    }
                };
        boolean tty = terminal != null;
        ChannelAsyncOutputStream to = tty ? toOut : toErr;
        before(toOut, said, tty, () -> before(to, greeting, tty, flow));
    }

    /** Reads to the end, so that whoever writes never waits. */
    private static void unheard(Tap errors) {
        errors.wantRead(() -> {
            ByteBuffer room = ByteBuffer.allocate(UNHEARD);
            if (errors.read(room) >= 0) {
                unheard(errors);
            }
        });
    }

    /** Says something, if it is anything, and then goes on. */
    private static void before(
            @Nullable ChannelAsyncOutputStream to, String text, boolean tty, Runnable then) {
        if (to == null || text.isEmpty()) {
            then.run();
            return;
        }
        byte[] bytes = Octets.bytes(tty ? text.replace("\n", "\r\n") : text);
        try {
            to.writeBuffer(new ByteArrayBuffer(bytes)).addListener(written -> then.run());
        } catch (IOException e) {
            then.run();
        }
    }

    /** A session that says one thing and is over. */
    private void only(String text, boolean error, int status) {
        answered();
        ChannelAsyncOutputStream to = error && pty == null ? err : out;
        byte[] bytes = Octets.bytes(pty != null ? text.replace("\n", "\r\n") : text);
        Runnable over =
                () -> {
                    synchronized (lock) {
                        exit = new Exit(status, 0, false);
                        flowing = 0;
                    }
                    settle();
                };
        try {
            if (to == null || bytes.length == 0) {
                over.run();
            } else {
                to.writeBuffer(new ByteArrayBuffer(bytes)).addListener(written -> over.run());
            }
        } catch (IOException e) {
            over.run();
        }
    }

    private boolean transfer(String command) {
        Login login = login();
        SftpSession made;
        try {
            made = new SftpSession(this, peer, SftpOptions.parse(command), Found.home(login));
        } catch (IllegalArgumentException | IOException e) {
            peer.log().error(String.valueOf(e.getMessage()));
            afterwards = () -> only("", true, 255);
            return true;
        }
        afterwards =
                () -> {
                    synchronized (lock) {
                        if (hungUp.get()) {
                            return;
                        }
                        sftp = made;
                        flowing = 1;
                        if (eofCame) {
                            made.finish();
                        }
                    }
                    try {
                        openWindow();
                    } catch (IOException e) {
                        peer.log().debug2("window not opened: " + e.getMessage());
                    }
                    answered();
                    made.start();
                };
        return true;
    }

    /** The file server is done, and all it said has been sent. */
    void transferred(int status) {
        synchronized (lock) {
            exit = new Exit(status, 0, false);
            flowing = 0;
        }
        settle();
    }

    // --- the program's bytes

    /** Not after our CLOSE: the client knows the channel no more. */
    @Override
    protected void sendWindowAdjust(long bytes) throws IOException {
        if (!hungUp.get()) {
            super.sendWindowAdjust(bytes);
        }
    }

    @Override
    protected void doWriteData(byte[] data, int offset, long length) throws IOException {
        Inflow in = input;
        SftpSession files = sftp;
        if (hungUp.get()) {
            return;
        }
        if (files != null) {
            files.data(data, offset, (int) length);
        } else if (in != null) {
            in.data(data, offset, (int) length);
        }
        // else: the window was never opened, and MINA has refused it
    }

    @Override
    protected void doWriteExtendedData(byte[] data, int offset, long length) throws IOException {
        // Nothing reads a second stream from a client; the window is given back.
        getLocalWindow().release(length);
    }

    @Override
    public void handleEof() throws IOException {
        super.handleEof();
        Inflow in;
        SftpSession files;
        synchronized (lock) {
            eofCame = true;
            in = input;
            files = sftp;
        }
        if (in != null) {
            in.finish();
        }
        if (files != null) {
            files.finish();
        }
    }

    @Override
    public void handleWindowAdjust(Buffer buffer) throws IOException {
        super.handleWindowAdjust(buffer);
        ChannelAsyncOutputStream first = out;
        ChannelAsyncOutputStream second = err;
        SftpSession files = sftp;
        if (files != null) {
            files.windowOpened();
            return;
        }
        if (first != null) {
            first.onWindowExpanded();
        }
        if (second != null) {
            second.onWindowExpanded();
        }
    }

    private void inputEnded(@Nullable IOException why) {
        String client = getSession().getClientVersion();
        if (why == null || client == null || !client.contains("OpenSSH")) {
            return;
        }
        // Nobody reads what the client sends: it may stop (PROTOCOL of OpenSSH, 2.1).
        synchronized (lock) {
            if (closeGone || hungUp.get()) {
                return;
            }
            Buffer request = packet(SshConstants.SSH_MSG_CHANNEL_REQUEST, 32);
            request.putString("eow@openssh.com");
            request.putBoolean(false);
            write(request);
        }
    }

    /**
     * Nobody reads what the client is sent any more (PROTOCOL of OpenSSH, 2.1): the program's pipe
     * is closed, so that it ends by SIGPIPE ({@code ssh host yes | head -1}) and does not write for
     * ever what is thrown away. A terminal is read on: closing it would be a hang-up.
     */
    private void unread() {
        Outflow flow = output;
        Child running = child;
        if (flow != null && running != null && pty == null) {
            flow.end();
            running.output().close();
        }
    }

    private void outputEnded(@Nullable IOException why) {
        synchronized (lock) {
            flowing--;
        }
        settle();
    }

    private void exited(Exit how) {
        synchronized (lock) {
            exit = how;
        }
        settle();
    }

    /** Sends what is due now that something ended. */
    private void settle() {
        boolean done;
        synchronized (lock) {
            if (flowing > 0 || hungUp.get()) {
                return;
            }
            if (!eofGone) {
                eofGone = true;
                try {
                    sendEof();
                } catch (IOException e) {
                    peer.log().debug2("EOF not sent: " + e.getMessage()); // the connection is gone
                }
            }
            Exit how = exit;
            done = how != null && !closeGone;
            if (how != null && done) {
                closeGone = true;
                write(exitRequest(how));
                write(packet(SshConstants.SSH_MSG_CHANNEL_CLOSE, 0));
            }
        }
        if (done) {
            hangUp();
            if (closeCame) {
                close(true);
            }
        }
    }

    private Buffer exitRequest(Exit how) {
        Buffer request = packet(SshConstants.SSH_MSG_CHANNEL_REQUEST, 64);
        if (how.signal() == 0) {
            request.putString("exit-status");
            request.putBoolean(false);
            request.putInt(how.status());
        } else {
            Signal signal = how.named();
            request.putString("exit-signal");
            request.putBoolean(false);
            request.putString(
                    signal == null || signal == Signal.CONT || signal == Signal.STOP
                            ? "SIG@openssh.com"
                            : signal.name());
            request.putBoolean(how.core());
            request.putString("");
            request.putString("");
        }
        return request;
    }

    /** A packet for this channel, begun. */
    Buffer packet(byte command, int more) {
        Buffer buffer = getSession().createBuffer(command, Integer.BYTES + more);
        buffer.putUInt(getRecipient());
        return buffer;
    }

    private void write(Buffer packet) {
        try {
            getSession().writePacket(packet);
        } catch (IOException e) {
            peer.log().debug2("not sent: " + e.getMessage()); // the connection is gone
        }
    }

    // --- the end

    /**
     * The client's CLOSE. It may come when both directions are at their end and the program has
     * still to exit: its status is waited for, as OpenSSH does. Else ours goes back at once.
     */
    @Override
    public void handleClose() throws IOException {
        boolean reply;
        synchronized (lock) {
            closeCame = true;
            if (!closeGone && eofGone && exit == null && !hungUp.get()) {
                return;
            }
            reply = !closeGone;
            closeGone = true;
        }
        hangUp();
        if (reply) {
            write(packet(SshConstants.SSH_MSG_CHANNEL_CLOSE, 0));
        }
        close(true);
    }

    /** Still open for the flows while MINA thinks that it closes. */
    @Override
    protected boolean mayWrite() {
        return !isClosed();
    }

    @Override
    protected void preClose() {
        hangUp();
        super.preClose();
    }

    /**
     * Gives back everything: the program, if it still runs, loses its terminal and is sent SIGHUP;
     * pipes, terminal and place are freed. Runs once, whatever ended the session.
     */
    private void hangUp() {
        Child running;
        Pty terminal;
        SftpSession files;
        Shown display;
        boolean alive;
        boolean sat;
        synchronized (lock) {
            if (hungUp.getAndSet(true)) {
                return;
            }
            running = child;
            terminal = pty;
            files = sftp;
            display = x11;
            sat = atTerminal;
            alive = exit == null;
        }
        if (display != null) {
            display.display().close();
        }
        if (sat && !sessions.interactive(-1)) {
            Errands.once(() -> peer.marks(false));
        }
        for (Outflow each : new Outflow[] {output, errors}) {
            if (each != null) {
                each.stop();
            }
        }
        if (input != null) {
            input.stop();
        }
        if (running != null) {
            if (alive) {
                running.signal(Signal.HUP);
                // A stopped one has to run to hear of it.
                running.signal(Signal.CONT);
            }
            closeTaps(running);
        }
        if (files != null) {
            files.stop();
        }
        for (ChannelAsyncOutputStream each : new ChannelAsyncOutputStream[] {out, err}) {
            if (each != null) {
                each.close(true);
            }
        }
        if (terminal != null) {
            Errands.once(terminal::close);
        }
        if (place >= 0) {
            sessions.leave(place);
            peer.log()
                    .verbose(
                            "Close session: user "
                                    + login().account().name()
                                    + " from "
                                    + peer.peerText()
                                    + " id "
                                    + place);
        }
    }

    private static void closeTaps(Child running) {
        running.input().close();
        running.output().close();
        Tap errors = running.errors();
        if (errors != null) {
            errors.close();
        }
    }

    /** For one line of the log. */
    static String printable(String text) {
        return Printable.of(text, LONGEST_WORDS);
    }

    Log log() {
        return peer.log();
    }

    /** Who is in: nobody opens a channel before that. */
    Login login() {
        return Objects.requireNonNull(peer.login(), "nobody is logged in");
    }
}
