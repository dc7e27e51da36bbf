package holdfast.ssh.forward;

import holdfast.ssh.link.DataPacket;
import holdfast.ssh.log.Log;
import holdfast.ssh.stream.Tap;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.List;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Consumer;
import java.util.function.Function;
import org.apache.sshd.client.channel.AbstractClientChannel;
import org.apache.sshd.client.future.DefaultOpenFuture;
import org.apache.sshd.client.future.OpenFuture;
import org.apache.sshd.common.FactoryManager;
import org.apache.sshd.common.SshConstants;
import org.apache.sshd.common.channel.Channel;
import org.apache.sshd.common.channel.ChannelFactory;
import org.apache.sshd.common.channel.LocalWindow;
import org.apache.sshd.common.channel.RemoteWindow;
import org.apache.sshd.common.channel.RequestHandler;
import org.apache.sshd.common.io.IoWriteFuture;
import org.apache.sshd.common.session.ConnectionService;
import org.apache.sshd.common.session.Session;
import org.apache.sshd.common.util.buffer.Buffer;
import org.apache.sshd.common.util.threads.ThreadUtils;
import org.apache.sshd.core.CoreModuleProperties;
import org.apache.sshd.server.session.ServerSession;
import org.jspecify.annotations.Nullable;

/**
 * A channel that carries one forwarded connection, between a {@link Tap} and the other end of the
 * SSH connection; opened by either side.
 *
 * <p>No thread of its own: the selector's thread reads the tap, MINA's threads write it. What the
 * tap does not take at once waits in a backlog that the channel's window bounds; what the peer does
 * not take is not read. Each direction ends by itself (nchan.c of OpenSSH): the tap's end becomes
 * CHANNEL_EOF, the peer's EOF ends the tap's output after what waits, and the channel closes when
 * both have. What came before the peer's CLOSE is still written.
 *
 * <p>It extends MINA's client channel whichever side opened it, because MINA takes an open failure
 * for no other.
 */
public final class ForwardChannel extends AbstractClientChannel {

    /** One packet: OpenSSH's own size, however much more the peer would take. */
    private static final int MOST = 32 * 1024;

    /**
     * The part of the window that is given back at once. MINA gives back every third packet: to
     * wake the writer for each of these cost the reader half of its time in a download.
     */
    private static final int GIVEN_BACK = 8;

    /** Read of one tap before the others have their turn. */
    private static final int TURN = 4 * MOST;

    /** A peer may announce any size of packet; nobody sends one that large. */
    private static final long LARGEST_PACKET = 1 << 20;

    /** The selector's thread reads all taps into this. */
    private static final ThreadLocal<ByteBuffer> SCRATCH =
            ThreadLocal.withInitial(() -> ByteBuffer.allocateDirect(TURN));

    /** And sends what it has read from this. */
    private static final ThreadLocal<DataPacket> PACKET = ThreadLocal.withInitial(DataPacket::new);

    /** What the peer's request to open this channel leads to. */
    interface Wanted {
        /** Reads the request and calls back the channel, at once or later, from any thread. */
        void open(ForwardChannel channel, Buffer request);
    }

    /** Says how a channel that we asked for came out: null, or a failure. */
    interface Outcome {
        void opened(ForwardChannel channel, @Nullable OpenFailure failure);
    }

    /** SSH_MSG_CHANNEL_OPEN_FAILURE. */
    record OpenFailure(int reason, String text) {
        /** The words of OpenSSH's client for a reason (channels.c reason2txt). */
        String words() {
            return switch (reason) {
                case 1 -> "administratively prohibited";
                case 2 -> "connect failed";
                case 3 -> "unknown channel type";
                case 4 -> "resource shortage";
                default -> "unknown reason";
            };
        }
    }

    private final Forwarding forwarding;
    private final @Nullable Wanted wanted;
    private final @Nullable Consumer<Buffer> request;
    private final @Nullable Outcome outcome;
    private final long windowSize;
    private final Turn reading = new Turn(true);
    private final Turn writing = new Turn(false);

    /** What the peer calls this channel, told to MINA only once it is confirmed. */
    private long sender = -1;

    /** Whether the log has been told of it. */
    private final AtomicBoolean told = new AtomicBoolean();

    private @Nullable OpenFuture promised;
    private boolean answered;
    private volatile @Nullable ByteBuffer ahead;

    /** Set by the reader when the peer's window is full, cleared by whoever sees it grow. */
    private final AtomicBoolean starved = new AtomicBoolean();

    /** What has been taken and not given back; less than a part of the window, so nobody waits. */
    private final AtomicLong owed = new AtomicLong();

    // Guarded by the backlog's monitor.
    private final Backlog backlog = new Backlog();
    private @Nullable Tap tap;
    private @Nullable ChannelReader reader;
    private @Nullable Connecting attempt;
    private boolean inputOver;
    private boolean eofCame;
    private boolean outputOver;
    private boolean leaving;
    private boolean gone;
    private boolean unregistered;
    private boolean counted;

    /** Takes what arrives while there is no tap yet: a SOCKS client at the far end. */
    interface ChannelReader {
        /** Takes of {@code bytes} what is meant for it; the rest waits for the connection. */
        void take(ByteBuffer bytes);

        /** The far end will say no more, or the channel is over; may come more than once. */
        void ended();
    }

    private ForwardChannel(
            Forwarding forwarding,
            String type,
            @Nullable Wanted wanted,
            @Nullable Consumer<Buffer> request,
            @Nullable Outcome outcome) {
        super(type, List.<RequestHandler<Channel>>of());
        this.forwarding = forwarding;
        this.wanted = wanted;
        this.request = request;
        this.outcome = outcome;
        windowSize = forwarding.grantWindow();
        CoreModuleProperties.WINDOW_SIZE.set(this, windowSize);
        CoreModuleProperties.MAX_PACKET_SIZE.set(this, (long) MOST);
        CoreModuleProperties.CHANNEL_CLOSE_TIMEOUT.set(this, Forwarding.FOREVER);
    }

    /** For a channel that the peer asks for. */
    static ForwardChannel wanted(Forwarding forwarding, String type, Wanted wanted) {
        return new ForwardChannel(forwarding, type, wanted, null, null);
    }

    /** For MINA: makes the channels of one type that the peer asks for. */
    static ChannelFactory factory(String type, Function<Session, ForwardChannel> made) {
        return new ChannelFactory() {
            @Override
            public String getName() {
                return type;
            }

            @Override
            public Channel createChannel(Session session) {
                return made.apply(session);
            }
        };
    }

    /** A channel to be asked for; {@code request} adds what its type needs. */
    static ForwardChannel ours(
            Forwarding forwarding,
            String type,
            Tap tap,
            Consumer<Buffer> request,
            Outcome outcome) {
        ForwardChannel channel = new ForwardChannel(forwarding, type, null, request, outcome);
        channel.tap = tap;
        return channel;
    }

    /**
     * In the form of OpenSSH's channel_open_message; descriptors and buffers are not what ours are
     * made of.
     */
    String describe() {
        return "  #"
                + getChannelId()
                + " "
                + getChannelType()
                + " ("
                + (isOpen() ? "t4" : "t3")
                + " ["
                + getChannelType()
                + "] "
                + (isOpen() ? "r" : "nr")
                + getRecipient()
                + " i0/0 o0/"
                + waiting()
                + " e[closed]/0 fd -1/-1/-1 sock -1 cc -1 io 0x01/0x00)";
    }

    /** Its type as ChannelTimeout names it. */
    public String kind() {
        String type = getChannelType();
        return switch (type) {
            case "auth-agent@openssh.com" -> "agent-connection";
            case "x11" -> "x11-connection";
            default -> type;
        };
    }

    private long waiting() {
        synchronized (backlog) {
            return backlog.held();
        }
    }

    @Override
    protected void addChannelSignalRequestHandlers(
            org.apache.sshd.common.util.EventNotifier<String> notifier) {
        // A forwarded connection has no exit status.
    }

    // --- the peer asks

    @Override
    public OpenFuture open(long recipient, long window, long packet, Buffer buffer) {
        // MINA's own field is set only when the channel is open: closing it before would make MINA
        // answer the peer a second time.
        OpenFuture future = new DefaultOpenFuture(this, futureLock);
        promised = future;
        sender = recipient;
        FactoryManager manager = getSession().getFactoryManager();
        Wanted wants = wanted;
        if (forwarding.log().shows(Log.Level.DEBUG1)) {
            forwarding
                    .log()
                    .debug(
                            side()
                                    + "_input_channel_open: ctype "
                                    + getChannelType()
                                    + " rchan "
                                    + recipient
                                    + " win "
                                    + window
                                    + " max "
                                    + packet);
        }
        if (packet <= 0 || wants == null) {
            refuse(SshConstants.SSH_OPEN_CONNECT_FAILED, "open failed");
            return future;
        }
        getRemoteWindow().init(window, Math.min(packet, LARGEST_PACKET), manager);
        configureWindow();
        if (!forwarding.enter(this)) {
            refuse(SshConstants.SSH_OPEN_RESOURCE_SHORTAGE, "too many forwarded connections");
            return future;
        }
        try {
            wants.open(this, buffer);
        } catch (RuntimeException e) {
            forwarding.log().debug("channel open refused: " + e.getMessage()); // a broken request
            refuse(SshConstants.SSH_OPEN_CONNECT_FAILED, "open failed");
        }
        return future;
    }

    private boolean answer() {
        synchronized (backlog) {
            boolean first = !answered;
            answered = true;
            return first;
        }
    }

    /** Says no. The future that MINA has is left open: it would say it again, in its own words. */
    void refuse(int reason, String text) {
        if (!answer()) {
            return;
        }
        Session session = getSession();
        Buffer packet =
                session.createBuffer(SshConstants.SSH_MSG_CHANNEL_OPEN_FAILURE, text.length() + 64);
        packet.putUInt(sender);
        packet.putUInt(reason);
        packet.putString(text);
        packet.putString("");
        try {
            session.writePacket(packet);
        } catch (IOException e) {
            forwarding.log().debug2("open failure not sent: " + e.getMessage()); // it is closing
        }
        close(true);
    }

    /** Says yes: {@code to} is the other end of the connection. */
    void accept(Tap to) {
        synchronized (backlog) {
            if (gone || isClosing()) {
                to.close();
                return;
            }
            tap = to;
            attempt = null;
        }
        forwarding.hold();
        try {
            confirm();
            flush();
        } finally {
            forwarding.pass();
        }
        to.wantRead(reading);
    }

    /** Says yes before it is known where to: {@code from} takes what comes until {@link #join}. */
    void accept(ChannelReader from) {
        boolean late;
        synchronized (backlog) {
            late = gone || isClosing();
            if (!late) {
                reader = from;
                attempt = null;
            }
        }
        if (late) {
            from.ended();
        } else {
            confirm();
        }
    }

    /**
     * What is to make the other end: given up if the channel ends before.
     *
     * @return false: it has ended
     */
    boolean awaits(Connecting one) {
        synchronized (backlog) {
            if (!gone) {
                attempt = one;
            }
            return !gone;
        }
    }

    /** Who of the two we are, in the debug log. */
    private String side() {
        return getSession() instanceof ServerSession ? "server" : "client";
    }

    private void tell(String what) {
        if (forwarding.log().shows(Log.Level.DEBUG1)) {
            forwarding.log().debug("channel " + getChannelId() + ": " + what);
        }
    }

    /** What the peer asks for is permitted, and being tried: says so, once. */
    void granted() {
        if (!told.compareAndSet(false, true)) {
            return;
        }
        tell("new " + getChannelType() + " [" + getChannelType() + "] (inactive timeout: 0)");
        if (forwarding.log().shows(Log.Level.DEBUG1)) {
            forwarding
                    .log()
                    .debug(
                            (side().equals("server") ? "server_input_channel_open: " : "")
                                    + "confirm "
                                    + getChannelType());
        }
    }

    private void confirm() {
        if (!answer()) {
            return;
        }
        granted();
        synchronized (backlog) {
            // Only when the confirmation is on its way may anybody address the peer's channel.
            signalChannelOpenSuccess();
            setRecipient(sender);
        }
        opened.set(true);
        OpenFuture future = promised;
        if (future != null) {
            openFuture = future;
            future.setOpened();
        }
    }

    /** The reader has read enough: what comes now waits for {@link #join}. */
    void readerDone() {
        synchronized (backlog) {
            reader = null;
        }
    }

    /** The connection that a reader asked for is made. */
    void join(Tap to) {
        boolean late;
        synchronized (backlog) {
            late = gone;
            if (!late) {
                tap = to;
                attempt = null;
            }
        }
        if (late) {
            to.close();
            return;
        }
        flush();
        to.wantRead(reading);
    }

    /** There will be no connection. */
    void abandon() {
        discard();
        close(false);
    }

    /** For a reader: sends {@code bytes} to the peer, few enough for any window. */
    void say(byte[] bytes) {
        RemoteWindow window = getRemoteWindow();
        if (bytes.length == 0 || window.getSize() < bytes.length) {
            return;
        }
        window.consume(bytes.length);
        try {
            IoWriteFuture _ = write(ByteBuffer.wrap(bytes), bytes.length);
        } catch (IOException e) {
            forwarding.log().debug2("channel data not sent: " + e.getMessage()); // it is closing
        }
    }

    // --- we ask

    @Override
    public synchronized OpenFuture open() throws IOException {
        Consumer<Buffer> adds = request;
        if (adds == null) {
            throw new IllegalStateException("the peer's to open");
        }
        OpenFuture future = new DefaultOpenFuture(this, futureLock);
        openFuture = future;
        String type = getChannelType();
        LocalWindow window = getLocalWindow();
        Buffer buffer = getSession().createBuffer(SshConstants.SSH_MSG_CHANNEL_OPEN, 512);
        buffer.putString(type);
        buffer.putUInt(getChannelId());
        buffer.putUInt(window.getSize());
        buffer.putUInt(window.getPacketSize());
        adds.accept(buffer);
        tell("new " + getChannelType() + " [" + getChannelType() + "] (inactive timeout: 0)");
        getSession().writePacket(buffer);
        return future;
    }

    @Override
    public void handleOpenSuccess(long recipient, long window, long packet, Buffer buffer) {
        super.handleOpenSuccess(
                recipient, window, Math.max(1, Math.min(packet, LARGEST_PACKET)), buffer);
    }

    @Override
    protected void doOpen() {
        Outcome told = outcome;
        if (told != null) {
            told.opened(this, null);
        }
        Tap from = tap;
        if (from != null) {
            flush();
            try {
                pump(); // it is here already, as a rule: to ask the selector takes a thread more
            } catch (RuntimeException e) {
                reading.failed(e); // it is this channel's end, and not the connection's
            }
        }
    }

    @Override
    public void handleOpenFailure(Buffer buffer) {
        int at = buffer.rpos();
        int reason = buffer.getInt();
        String text = buffer.getString();
        buffer.rpos(at);
        OpenFailure failure = new OpenFailure(reason, text);
        forwarding
                .log()
                .info(
                        "channel "
                                + getChannelId()
                                + ": open failed: "
                                + failure.words()
                                + ": "
                                + ServerSide.printable(text));
        Outcome told = outcome;
        if (told != null) {
            told.opened(this, failure);
        }
        super.handleOpenFailure(buffer);
        discard();
        unregistered();
    }

    /** For whoever spoke with the tap before: its last word there, before all that comes. */
    void toTap(byte[] bytes) {
        synchronized (backlog) {
            backlog.add(bytes, 0, bytes.length);
        }
        flush();
    }

    /** Bytes that the tap gave before the channel was there, to be sent before all others. */
    void toPeer(ByteBuffer bytes) {
        ahead = bytes;
    }

    // --- from the tap to the peer, on the selector's thread

    /** What the tap calls when there is something to read, or room to write. */
    private final class Turn implements Tap.Ready {
        private final boolean reads;

        Turn(boolean reads) {
            this.reads = reads;
        }

        @Override
        public void ready() {
            if (reads) {
                pump();
            } else {
                flush();
            }
        }

        @Override
        public void failed(Throwable why) {
            forwarding.log().debug("channel " + getChannelId() + ": " + why);
            discard();
            close(false);
        }
    }

    private void pump() {
        Tap from = tap;
        if (from == null) {
            return;
        }
        forwarding.hold();
        boolean more = false;
        try {
            more = pump(from);
        } catch (IOException e) {
            forwarding.log().debug2("channel " + getChannelId() + ": " + e); // it is closing
            discard();
        } finally {
            forwarding.pass();
        }
        if (more) {
            from.wantRead(reading);
        }
    }

    /**
     * Reads once, as much as the peer's window takes, and sends it.
     *
     * @return whether the tap is to tell when there is more; false: it is over, or somebody else
     *     has been asked to tell when it goes on
     */
    private boolean pump(Tap from) throws IOException {
        while (!inputOver && !isClosing()) {
            long room = getRemoteWindow().getSize();
            if (room == 0) {
                starved.set(true);
                if (getRemoteWindow().getSize() == 0 || !starved.compareAndSet(true, false)) {
                    break; // whoever sees the window grow asks for more
                }
                continue;
            }
            if (!forwarding.pace().admits(() -> from.wantRead(reading))) {
                break;
            }
            ByteBuffer first = ahead;
            if (first != null) {
                if (first.hasRemaining()) {
                    send(first, (int) Math.min(first.remaining(), room));
                } else {
                    ahead = null;
                }
                continue;
            }
            ByteBuffer some = SCRATCH.get().clear();
            some.limit((int) Math.min(some.capacity(), room));
            int count;
            try {
                count = from.read(some);
            } catch (IOException e) {
                forwarding.log().debug2("channel " + getChannelId() + ": read: " + e);
                count = -1;
            }
            if (count < 0) {
                inputEnded();
                break;
            }
            send(some.flip(), count);
            return true;
        }
        return false;
    }

    /** Sends the next {@code count} bytes, which the window has room for. */
    private void send(ByteBuffer bytes, int count) throws IOException {
        RemoteWindow window = getRemoteWindow();
        for (int left = count; left > 0; ) {
            int some = (int) Math.min(left, Math.min(MOST, window.getPacketSize()));
            window.consume(some);
            sendPacket(bytes, some);
            left -= some;
        }
    }

    private void sendPacket(ByteBuffer bytes, int some) throws IOException {
        Pace pace = forwarding.pace();
        pace.queued(some);
        IoWriteFuture future;
        try {
            future = write(bytes, some);
        } catch (IOException | RuntimeException e) {
            pace.gone(some);
            throw e;
        }
        future.addListener(written -> pace.gone(some));
    }

    /** An internal thread of MINA's is not made to wait for the end of a key exchange. */
    private IoWriteFuture write(ByteBuffer bytes, int some) throws IOException {
        return PACKET.get()
                .send(
                        this,
                        bytes,
                        some,
                        packet -> ThreadUtils.runAsInternal(packet, this::writePacket));
    }

    private void inputEnded() throws IOException {
        synchronized (backlog) {
            if (inputOver) {
                return;
            }
            inputOver = true;
        }
        sendEof();
        closeIfOver();
    }

    @Override
    public void handleWindowAdjust(Buffer buffer) throws IOException {
        super.handleWindowAdjust(buffer);
        Tap from = tap;
        if (from != null && starved.compareAndSet(true, false)) {
            from.wantRead(reading);
        }
    }

    // --- from the peer to the tap

    @Override
    protected void doWriteData(byte[] data, int offset, long length) throws IOException {
        int count = (int) length;
        int done = 0;
        ChannelReader taker;
        synchronized (backlog) {
            taker = reader;
            Tap to = tap;
            if (outputOver || eofCame) {
                done = count;
            } else if (taker == null) {
                if (to != null && backlog.isEmpty()) {
                    try {
                        done = to.write(ByteBuffer.wrap(data, offset, count));
                    } catch (IOException e) {
                        broken(e);
                        done = count;
                    }
                }
                if (done < count) {
                    backlog.add(data, offset + done, count - done);
                    if (to != null) {
                        to.wantWrite(writing);
                    }
                }
            }
        }
        if (taker != null) {
            ByteBuffer bytes = ByteBuffer.wrap(data, offset, count);
            taker.take(bytes);
            done = count - bytes.remaining();
            if (bytes.hasRemaining()) {
                synchronized (backlog) {
                    backlog.add(data, bytes.position(), bytes.remaining());
                }
                flush();
            }
        }
        giveBack(done);
        closeIfOver();
    }

    @Override
    protected void doWriteExtendedData(byte[] data, int offset, long length) {
        giveBack((int) length); // a forwarded connection has no stderr
    }

    /** Writes what waits, and then the end if it has come. */
    private void flush() {
        int done = 0;
        synchronized (backlog) {
            Tap to = tap;
            if (to == null || outputOver) {
                return;
            }
            if (!backlog.isEmpty()) {
                try {
                    done = backlog.writeTo(to);
                } catch (IOException e) {
                    done = backlog.held();
                    broken(e);
                }
            }
            if (!backlog.isEmpty()) {
                to.wantWrite(writing);
            } else if (eofCame) {
                finishOutput(to);
            }
        }
        giveBack(done);
        closeIfOver();
    }

    /**
     * Nobody takes what we write: that direction is over, whatever the peer still has to say (its
     * end may never come). The other one is over when reading says so.
     */
    private void broken(IOException why) {
        forwarding.log().debug2("channel " + getChannelId() + ": write: " + why.getMessage());
        outputOver = true;
        backlog.clear();
    }

    private void finishOutput(Tap to) {
        outputOver = true;
        try {
            to.finishOutput();
        } catch (IOException e) {
            forwarding.log().debug2("channel " + getChannelId() + ": shutdown: " + e); // it is gone
        }
    }

    private void giveBack(int count) {
        if (count == 0 || isClosing() || owed.addAndGet(count) < windowSize / GIVEN_BACK) {
            return;
        }
        try {
            getLocalWindow().release(owed.getAndSet(0));
        } catch (IOException e) {
            forwarding.log().debug2("window not given back: " + e.getMessage()); // it is closing
        }
    }

    @Override
    public void handleEof() throws IOException {
        super.handleEof();
        ChannelReader taker;
        synchronized (backlog) {
            eofCame = true;
            taker = reader;
            Tap to = tap;
            if (to != null && backlog.isEmpty() && !outputOver) {
                finishOutput(to);
            }
        }
        if (taker != null) {
            taker.ended();
        }
        closeIfOver();
    }

    // --- the end

    /** Both directions are over, or the peer has left and all of its bytes are written. */
    private void closeIfOver() {
        Tap finished;
        synchronized (backlog) {
            boolean output = outputOver || (leaving && backlog.isEmpty());
            if (gone || tap == null || !output || !(inputOver || leaving)) {
                return;
            }
            gone = true;
            finished = tap;
        }
        finished.close();
        close(false);
        leaveIfOver();
    }

    /** The peer's CLOSE: it wants nothing more, but what it has sent is still to be written. */
    @Override
    public void handleClose() throws IOException {
        synchronized (backlog) {
            leaving = true;
            inputOver = true;
            eofCame = true;
            Tap to = tap;
            if (to != null && backlog.isEmpty() && !outputOver) {
                finishOutput(to);
            }
        }
        super.handleClose();
        closeIfOver();
    }

    @Override
    protected void preClose() {
        boolean lingers;
        synchronized (backlog) {
            lingers = leaving && tap != null && !backlog.isEmpty();
        }
        super.preClose();
        if (!lingers) {
            discard();
        }
    }

    /** Gives the tap back at once, whatever is left, and whatever was to become one. */
    void discard() {
        Tap lost;
        ChannelReader taker;
        Connecting begun;
        synchronized (backlog) {
            if (gone) {
                return;
            }
            gone = true;
            outputOver = true;
            inputOver = true;
            backlog.clear();
            lost = tap;
            taker = reader;
            reader = null;
            begun = attempt;
            attempt = null;
        }
        if (lost != null) {
            lost.close();
        }
        if (taker != null) {
            taker.ended();
        }
        if (begun != null) {
            begun.close();
            forwarding.forget(begun);
        }
        leaveIfOver();
    }

    /** It counts until neither its connection nor its number is in use any more. */
    private void leaveIfOver() {
        synchronized (backlog) {
            if (!gone || !unregistered || counted) {
                return;
            }
            counted = true;
        }
        tell("free: " + getChannelType());
        forwarding.left(this, windowSize);
    }

    /** MINA knows this channel no longer, or never did. */
    void unregistered() {
        synchronized (backlog) {
            unregistered = true;
        }
        leaveIfOver();
    }

    @Override
    public void handleChannelUnregistration(ConnectionService service) {
        super.handleChannelUnregistration(service);
        unregistered();
    }
}
