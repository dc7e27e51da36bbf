package holdfast.ssh.client;

import holdfast.ssh.forward.X11;
import holdfast.ssh.link.DataPacket;
import holdfast.ssh.link.Wire;
import holdfast.ssh.log.Log;
import holdfast.ssh.octets.Octets;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.WritableByteChannel;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.function.Consumer;
import org.apache.sshd.client.channel.AbstractClientChannel;
import org.apache.sshd.client.future.DefaultOpenFuture;
import org.apache.sshd.client.future.OpenFuture;
import org.apache.sshd.common.SshConstants;
import org.apache.sshd.common.channel.RemoteWindow;
import org.apache.sshd.common.channel.RequestHandler;
import org.apache.sshd.common.util.buffer.Buffer;
import org.jspecify.annotations.Nullable;

/**
 * A "session" channel (RFC 4254 section 6): a shell, a command or a subsystem, with or without a
 * terminal.
 *
 * <p>What comes from the peer goes into two {@link Drain}s; what goes to it is sent by the thread
 * that calls {@link #send}, which blocks while the peer's window is full.
 */
final class SessionChannel extends AbstractClientChannel {

    /**
     * What is asked of the server once the channel is open.
     *
     * @param agent whether its programs are to have our agent
     * @param x11 the display that they are to have; null: none
     */
    record Wish(
            Kind kind,
            byte[] command,
            Map<String, byte[]> environment,
            @Nullable Pty pty,
            boolean agent,
            @Nullable X11 x11) {
        enum Kind {
            SHELL("shell"),
            EXEC("exec"),
            SUBSYSTEM("subsystem");

            final String request;

            Kind(String request) {
                this.request = request;
            }
        }
    }

    /**
     * A terminal for the other end (RFC 4254 section 6.2).
     *
     * @param modes encoded as in RFC 4254 section 8, its TTY_OP_END included
     */
    record Pty(String term, int columns, int rows, int width, int height, byte[] modes) {}

    /** Told of what befalls a session that is not our own; on the thread that reads the network. */
    interface Reports {

        /** It runs without a terminal. */
        void terminalRefused();

        /**
         * The server would not run it.
         *
         * @param what in OpenSSH's words: "exec request failed"
         */
        void requestRefused(String what);

        void exited(int status);

        /** Nothing more will come of it: closed, refused or lost. */
        void over();
    }

    /** For as long as the session may live: a full window is not a fault. */
    private static final Duration FOREVER = Duration.ofDays(365_000);

    /**
     * The window is given back in such parts of itself: each costs a packet, and the peer has the
     * rest of it meanwhile.
     */
    private static final int GIVE_BACK = 4;

    /**
     * The first packets of data are small: until the virtual machine has compiled the cipher, a
     * full one takes many milliseconds. Not smaller than what the JDK gives to AES-GCM's
     * instructions at least.
     */
    private static final int FIRST_PACKET = 8 * 1024;

    private static final int FIRST_PACKETS = 48;

    private static final String X11_REQUEST = "x11-req";

    private static final int BREAK_MILLIS = 1000;

    private final @Nullable Wish wish;
    private final @Nullable Consumer<Buffer> opening;
    private final WritableByteChannel output;
    private final Log sshLog;
    private final Drain stdout;
    private final Drain stderr;
    private final ArrayDeque<String> unanswered = new ArrayDeque<>();
    private final CountDownLatch over = new CountDownLatch(1);

    /** Belongs to the thread that sends. */
    private final DataPacket packet = new DataPacket();

    private int firstPackets;

    private volatile @Nullable String refusal;
    private volatile @Nullable String exitSignal;
    private volatile boolean agreed;
    private volatile boolean running;
    private volatile boolean forsaken;
    private boolean jump;
    private @Nullable Reports reports;

    SessionChannel(Wish wish, WritableByteChannel out, WritableByteChannel err, Log log) {
        this("session", wish, null, out, err, log);
    }

    /**
     * Not a session but a connection to somewhere beyond the server, on our stdin and stdout
     * ({@code -W}).
     *
     * @param opening adds to the request what a channel of this type needs
     */
    static SessionChannel stdio(
            String type,
            Consumer<Buffer> opening,
            WritableByteChannel out,
            WritableByteChannel err,
            Log log) {
        return new SessionChannel(type, null, opening, out, err, log);
    }

    /** Has somebody told of it; before it is opened. */
    SessionChannel reportTo(Reports somebody) {
        reports = somebody;
        return this;
    }

    /** A connection to the next host of a way, whose failure the caller reports. */
    static SessionChannel jump(String host, int port, WritableByteChannel out, Log log) {
        SessionChannel channel =
                stdio(
                        "direct-tcpip",
                        buffer -> {
                            buffer.putBytes(bytes(host));
                            buffer.putUInt(port);
                            // Our end has no address; OpenSSH names this one.
                            buffer.putString("127.0.0.1");
                            buffer.putUInt(65535);
                        },
                        out,
                        out,
                        log);
        channel.jump = true;
        return channel;
    }

    private SessionChannel(
            String type,
            @Nullable Wish wish,
            @Nullable Consumer<Buffer> opening,
            WritableByteChannel out,
            WritableByteChannel err,
            Log log) {
        super(type, List.<RequestHandler<org.apache.sshd.common.channel.Channel>>of());
        this.wish = wish;
        this.opening = opening;
        output = out;
        this.sshLog = log;
        this.stdout = new Drain(out, new Give(true));
        this.stderr = new Drain(err, new Give(false));
    }

    /**
     * Gives the window back for what was written, and tells the peer when nobody reads any more.
     */
    private final class Give implements Drain.Owner {
        private final boolean tellsPeer;
        private long owed;

        Give(boolean tellsPeer) {
            this.tellsPeer = tellsPeer;
        }

        @Override
        public void drained(int count) {
            try {
                owed += count;
                if (owed >= getLocalWindow().getMaxSize() / GIVE_BACK && isOpen()) {
                    getLocalWindow().release(owed);
                    owed = 0;
                }
            } catch (IOException e) {
                sshLog.debug2("channel " + getChannelId() + ": " + e.getMessage()); // it is closing
            }
        }

        @Override
        public void broken(IOException error) {
            sshLog.debug2("channel " + getChannelId() + ": write failed: " + error.getMessage());
            if ("File too large".equals(error.getMessage())) {
                // OpenSSH dies of SIGXFSZ, which the VM ignores: at least not in silence.
                sshLog.error("write failed: " + error.getMessage());
            }
            if (tellsPeer) {
                request("eow@openssh.com", false, buffer -> {});
            }
        }
    }

    // --- opening

    @Override
    public synchronized OpenFuture open() throws IOException {
        Consumer<Buffer> adds = opening;
        if (adds == null) {
            sshLog.debug(
                    "channel "
                            + getChannelId()
                            + ": new session [client-session] (inactive timeout: 0)");
            sshLog.debug2("channel " + getChannelId() + ": send open");
            return super.open();
        }
        if (!jump) {
            sshLog.debug(
                    "channel "
                            + getChannelId()
                            + ": new stdio-forward [stdio-forward] (inactive timeout: 0)");
        }
        sshLog.debug2("channel " + getChannelId() + ": send open");
        OpenFuture future = new DefaultOpenFuture(this, futureLock);
        openFuture = future;
        Buffer buffer = getSession().createBuffer(SshConstants.SSH_MSG_CHANNEL_OPEN, 512);
        buffer.putString(getChannelType());
        buffer.putUInt(getChannelId());
        buffer.putUInt(getLocalWindow().getSize());
        buffer.putUInt(getLocalWindow().getPacketSize());
        adds.accept(buffer);
        writePacket(buffer);
        return future;
    }

    @Override
    protected void doOpen() {
        if (forsaken) {
            return;
        }
        agreed = true;
        sshLog.debug2(
                "channel "
                        + getChannelId()
                        + ": open confirm rwindow "
                        + getRemoteWindow().getSize()
                        + " rmax "
                        + getRemoteWindow().getPacketSize());
        if (!jump) {
            sshLog.debug("Entering interactive session.");
        }
        Wish wanted = wish;
        if (wanted != null) {
            ask(wanted);
        }
    }

    private void ask(Wish wish) {
        X11 x11 = wish.x11();
        if (x11 != null) {
            sshLog.debug("Requesting X11 forwarding with authentication spoofing.");
            request(
                    X11_REQUEST,
                    true,
                    buffer -> {
                        buffer.putBoolean(false); // more than one connection
                        buffer.putString(x11.protocol());
                        buffer.putString(x11.madeUp());
                        buffer.putUInt(x11.screen());
                    });
        }
        if (wish.agent()) {
            sshLog.debug("Requesting authentication agent forwarding.");
            request("auth-agent-req@openssh.com", false, buffer -> {});
        }
        Pty pty = wish.pty();
        if (pty != null) {
            request(
                    "pty-req",
                    true,
                    buffer -> {
                        buffer.putBytes(bytes(pty.term()));
                        buffer.putUInt(pty.columns());
                        buffer.putUInt(pty.rows());
                        buffer.putUInt(pty.width());
                        buffer.putUInt(pty.height());
                        buffer.putBytes(pty.modes());
                    });
        }
        wish.environment()
                .forEach((name, value) -> {
                    sshLog.debug("channel " + getChannelId() + ": setting env " + name);
                    request(
                            "env",
                            false,
                            buffer -> {
                                buffer.putBytes(bytes(name));
                                buffer.putBytes(value);
                            });
                });
        switch (wish.kind()) {
            case SHELL -> {}
            case EXEC -> sshLog.debug("Sending command: " + text(wish.command()));
            case SUBSYSTEM -> sshLog.debug("Sending subsystem: " + text(wish.command()));
        }
        request(
                wish.kind().request,
                true,
                buffer -> {
                    if (wish.kind() != Wish.Kind.SHELL) {
                        buffer.putBytes(wish.command());
                    }
                });
    }

    @Override
    public void handleSuccess() {
        String answered = answered();
        sshLog.debug2("channel_input_status_confirm: type 99 id " + getChannelId());
        if (!"pty-req".equals(answered) && !X11_REQUEST.equals(answered)) {
            running = true;
        }
        sshLog.debug2(told(answered) + " request accepted on channel " + getChannelId());
    }

    @Override
    public void handleFailure() {
        String answered = answered();
        sshLog.debug2("channel_input_status_confirm: type 100 id " + getChannelId());
        Reports told = reports;
        if (told != null) {
            boolean terminal = "pty-req".equals(answered);
            told.requestRefused((terminal ? "PTY allocation" : answered) + " request failed");
            if (terminal) {
                told.terminalRefused();
            } else {
                over.countDown();
                close(false);
            }
            return;
        }
        if ("pty-req".equals(answered)) {
            sshLog.info("PTY allocation request failed on channel " + getChannelId());
            return;
        }
        if (X11_REQUEST.equals(answered)) {
            sshLog.error("X11 forwarding request failed on channel " + getChannelId());
            return;
        }
        refusal = answered + " request failed on channel " + getChannelId();
        over.countDown();
        close(false);
    }

    /** What OpenSSH calls a request when it tells how it came out. */
    private static String told(@Nullable String request) {
        return switch (String.valueOf(request)) {
            case "pty-req" -> "PTY allocation";
            case X11_REQUEST -> "X11 forwarding";
            default -> String.valueOf(request);
        };
    }

    private @Nullable String answered() {
        synchronized (unanswered) {
            return unanswered.poll();
        }
    }

    @Override
    public void handleOpenFailure(Buffer buffer) {
        int at = buffer.rpos();
        int reason = buffer.getInt();
        String text = buffer.getString();
        buffer.rpos(at);
        String words =
                switch (reason) {
                    case 1 -> "administratively prohibited";
                    case 2 -> "connect failed";
                    case 3 -> "unknown channel type";
                    case 4 -> "resource shortage";
                    default -> "unknown reason";
                };
        String failure = "open failed: " + words + ": " + Transport.printable(text);
        if (jump) {
            refusal = failure;
        } else {
            sshLog.error("channel " + getChannelId() + ": " + failure);
            refusal = opening == null ? "" : "stdio forwarding failed";
        }
        super.handleOpenFailure(buffer);
        over.countDown();
    }

    // --- to the peer

    private interface Filling {
        void into(Buffer buffer);
    }

    private void request(String type, boolean wantReply, Filling filling) {
        Buffer buffer = getSession().createBuffer(SshConstants.SSH_MSG_CHANNEL_REQUEST);
        buffer.putUInt(getRecipient());
        buffer.putString(type);
        buffer.putBoolean(wantReply);
        filling.into(buffer);
        if (sshLog.shows(Log.Level.DEBUG2)) {
            sshLog.debug2(
                    "channel "
                            + getChannelId()
                            + ": request "
                            + type
                            + " confirm "
                            + (wantReply ? 1 : 0));
        }
        try {
            synchronized (unanswered) {
                if (wantReply) {
                    unanswered.add(type);
                }
                writePacket(buffer);
            }
        } catch (IOException e) {
            sshLog.debug2(
                    "channel request " + type + " not sent: " + e.getMessage()); // it is closing
        }
    }

    /**
     * Sends bytes as channel data, blocking while the window is full. What fits in the window goes
     * to the socket in one write.
     *
     * @throws IOException when the channel has closed
     */
    void send(ByteBuffer bytes) throws IOException, InterruptedException {
        RemoteWindow window = getRemoteWindow();
        Wire wire = ((Transport) getSession()).wire();
        while (bytes.hasRemaining()) {
            if (window.getSize() == 0 || !window.isOpen()) {
                window.waitForSpace(FOREVER);
            }
            wire.hold();
            try {
                long room = window.getSize();
                while (bytes.hasRemaining() && room > 0) {
                    int some = (int) Math.min(bytes.remaining(), Math.min(room, most(window)));
                    window.consume(some);
                    packet.send(this, bytes, some, this::writePacket);
                    room -= some;
                }
            } finally {
                wire.flush();
            }
        }
    }

    /** How much the next packet may take. */
    private long most(RemoteWindow window) {
        if (firstPackets == FIRST_PACKETS) {
            return window.getPacketSize();
        }
        firstPackets++;
        return Math.min(FIRST_PACKET, window.getPacketSize());
    }

    /** Opens it like {@link #open}, but writes the request itself: for a thread that may wait. */
    OpenFuture openNow() throws IOException {
        Wire wire = ((Transport) getSession()).wire();
        wire.hold();
        try {
            return open();
        } finally {
            wire.flush();
        }
    }

    @Override
    public void handleClose() throws IOException {
        sshLog.debug2("channel " + getChannelId() + ": rcvd close");
        super.handleClose();
    }

    @Override
    public void handleWindowAdjust(Buffer buffer) throws IOException {
        if (sshLog.shows(Log.Level.DEBUG2)) {
            sshLog.debug2(
                    "channel " + getChannelId() + ": rcvd adjust " + buffer.rawUInt(buffer.rpos()));
        }
        super.handleWindowAdjust(buffer);
    }

    /** Our side has no more to send. */
    void sendEnd() {
        sshLog.debug2("channel " + getChannelId() + ": send eof");
        try {
            sendEof();
        } catch (IOException e) {
            sshLog.debug2("eof not sent: " + e.getMessage()); // it is closing
        }
    }

    /** Tells the other end's terminal its new size (RFC 4254 section 6.7). */
    void resized(int columns, int rows, int width, int height) {
        request(
                "window-change",
                false,
                buffer -> {
                    buffer.putUInt(columns);
                    buffer.putUInt(rows);
                    buffer.putUInt(width);
                    buffer.putUInt(height);
                });
    }

    /** A BREAK for the other end's line (RFC 4335), of OpenSSH's length. */
    void sendBreak() {
        request("break", false, buffer -> buffer.putUInt(BREAK_MILLIS));
    }

    /** Its type as ChannelTimeout names it. */
    String kind() {
        Wish wanted = wish;
        if (wanted == null) {
            return "stdio-forward";
        }
        return switch (wanted.kind()) {
            case SHELL -> "session:shell";
            case EXEC -> "session:command";
            case SUBSYSTEM -> "session:subsystem:" + text(wanted.command());
        };
    }

    /** In the form of OpenSSH's channel_open_message, its descriptors ours; for {@code ~#}. */
    String describe() {
        return "  #"
                + getChannelId()
                + " client-session (t4 [session] r"
                + getRecipient()
                + " i0/0 o0/0 e[write]/0 fd 0/1/2 sock -1 cc -1 io 0x01/0x00)";
    }

    // --- from the peer

    @Override
    protected void doWriteData(byte[] data, int offset, long length) {
        if (!forsaken) {
            stdout.put(data, offset, (int) length);
        }
    }

    @Override
    protected void doWriteExtendedData(byte[] data, int offset, long length) {
        if (!forsaken) {
            stderr.put(data, offset, (int) length);
        }
    }

    @Override
    public void handleRequest(Buffer buffer) throws IOException {
        int at = buffer.rpos();
        String type = buffer.getString();
        boolean wantReply = buffer.getBoolean();
        sshLog.debug(
                "client_input_channel_req: channel "
                        + getChannelId()
                        + " rtype "
                        + Transport.printable(type)
                        + " reply "
                        + (wantReply ? 1 : 0));
        switch (type) {
            case "exit-status" -> {
                int status = buffer.getInt();
                exitStatusHolder.set(status);
                Reports told = reports;
                if (told != null) {
                    told.exited(status);
                }
            }
            case "exit-signal" -> {
                exitSignal = Transport.printable(buffer.getString());
                boolean core = buffer.getBoolean();
                String text = Transport.printable(buffer.getString());
                sshLog.debug(
                        "client_input_channel_req: exit-signal "
                                + exitSignal
                                + (core ? " (core dumped) " : " ")
                                + text);
            }
            case "eow@openssh.com", "xon-xoff" -> {}
            default -> {
                buffer.rpos(at);
                super.handleRequest(buffer);
            }
        }
        if (wantReply && type.startsWith("exit-")) {
            sendResponse(buffer, type, RequestHandler.Result.ReplySuccess, true);
        }
    }

    /** The far end of a connection has no more to say: whoever reads our stdout is told. */
    @Override
    public void handleEof() throws IOException {
        sshLog.debug2("channel " + getChannelId() + ": rcvd eof");
        super.handleEof();
        if (opening != null) {
            stdout.finish();
            Thread.ofPlatform().daemon().name("stdout-end").start(this::endOutput);
        }
    }

    private void endOutput() {
        try {
            stdout.awaitDry();
            output.close();
        } catch (IOException e) {
            sshLog.debug2("stdout: " + e.getMessage()); // nobody reads it any more
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    @Override
    protected void preClose() {
        if (opening == null) {
            sshLog.debug("channel " + getChannelId() + ": free: client-session, nchannels 1");
        }
        super.preClose();
        over.countDown();
        Reports told = reports;
        if (told != null) {
            told.over();
        }
    }

    // --- the end

    /**
     * Opened when the channel is over: closed by the peer, refused, or lost with the connection.
     */
    CountDownLatch over() {
        return over;
    }

    /** It is over for us, whatever the server makes of it: nothing is asked for or written. */
    void forsake() {
        forsaken = true;
        over.countDown();
    }

    /** Waits until all output has been written, or cannot be. */
    void awaitDry() throws InterruptedException {
        stdout.finish();
        stderr.finish();
        stdout.awaitDry();
        stderr.awaitDry();
    }

    /** Whether all output has been written, or cannot be; nothing more will come. */
    boolean dry() {
        stdout.finish();
        stderr.finish();
        return stdout.dry() && stderr.dry();
    }

    /** Why the server would not run it; empty: it has been said already; null: it did. */
    @Nullable String refusal() {
        return refusal;
    }

    /** The exit status the peer reported; null: none came. */
    @Nullable Integer status() {
        return getExitStatus();
    }

    /** Whether the server has agreed to it, be it over by now or not. */
    boolean opened() {
        return agreed;
    }

    boolean killed() {
        return exitSignal != null;
    }

    boolean running() {
        return running;
    }

    private static String text(byte[] bytes) {
        return Octets.text(bytes);
    }

    static byte[] bytes(String text) {
        return Octets.bytes(text);
    }
}
