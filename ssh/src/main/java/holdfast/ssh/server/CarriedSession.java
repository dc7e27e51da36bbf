package holdfast.ssh.server;

import holdfast.core.tether.Bytes;
import holdfast.core.tether.CarrierCommand;
import holdfast.core.tether.CarrierEvent;
import holdfast.core.tether.CarrierPolicy;
import holdfast.core.tether.CarrierState;
import holdfast.core.tether.CarrierStep;
import holdfast.core.tether.Carriers;
import holdfast.core.tether.Greeting;
import holdfast.core.tether.Prover;
import holdfast.core.tether.Resumption;
import holdfast.core.tether.Tether;
import holdfast.core.tether.TetherLine;
import holdfast.core.tether.Traffic;
import holdfast.core.time.Moment;
import holdfast.core.time.TimingWheel.Timer;
import holdfast.ssh.link.Deadlines;
import holdfast.ssh.stream.CarryingThread;
import holdfast.ssh.tether.TetherKey;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.SocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.ClosedChannelException;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.apache.sshd.common.future.CloseFuture;
import org.apache.sshd.common.io.AbstractIoWriteFuture;
import org.apache.sshd.common.io.IoHandler;
import org.apache.sshd.common.io.IoService;
import org.apache.sshd.common.io.IoSession;
import org.apache.sshd.common.io.IoWriteFuture;
import org.apache.sshd.common.util.Readable;
import org.apache.sshd.common.util.buffer.Buffer;
import org.apache.sshd.common.util.closeable.AbstractCloseable;
import org.jspecify.annotations.Nullable;

/**
 * What a {@link ServerTransport} takes for its connection: one TCP connection and nothing more for
 * a client that knows of no tether, and for one that does whichever brings it now, or none for a
 * while (PROTOCOL.md).
 *
 * <p>It has no thread: MINA's read and write, and the deadlines' thread has the only timer. One
 * lock guards all of it, and nothing blocks under it, nor is anybody called who might want it.
 */
final class CarriedSession extends AbstractCloseable implements IoSession {

    /** Of one write: four full packets of a channel. More is gained by no system call. */
    private static final int MOST_OUT = 132 * 1024;

    /** A full packet, with all that is around it. */
    private static final int FULL_PACKET = 33 * 1024;

    /** How long the last bytes and CLOSE may take to be read by a client that still reads. */
    private static final Duration FAREWELL = Duration.ofSeconds(2);

    /** Without ClientAliveInterval: so much silence is asked after, */
    private static final Duration ASK_AFTER = Duration.ofSeconds(60);

    /** and if that is not answered either the connection is let go, at no harm to the session. */
    private static final Duration LET_GO_AFTER = Duration.ofSeconds(20);

    private enum Mode {
        /** The client's first line has not come. */
        GREETING,
        /** Every byte is SSH's. */
        PLAIN,
        TETHERED,
        /** The client wanted another's tether: the connection is no longer ours. */
        HANDED_OVER
    }

    /** A packet of SSH's that has not found room among what is kept, or is on its way. */
    private static final class Packet extends AbstractIoWriteFuture {
        private final ByteBuffer bytes;

        /** Where it ends in the stream, once all of it is kept. */
        private long end;

        Packet(Buffer buffer) {
            super("write", null);
            bytes = ByteBuffer.wrap(buffer.array(), buffer.rpos(), buffer.available());
        }
    }

    private final TetherGate gate;
    private final IoHandler above;
    private final Deadlines deadlines;
    private final long id;
    private final Object lock = new Object();
    private final Map<Object, Object> attributes = new HashMap<>(4);
    private final Timer<Runnable> timer = new Timer<>(this::alarm);

    private volatile Mode mode;
    private volatile IoSession io; // the newest; closed while none carries
    private @Nullable TetherKey key;
    private int buffer; // as the offer said, whatever is configured since
    private String serverLine = "";
    private @Nullable ServerTransport transport;

    // All of these are guarded by the lock.
    private @Nullable Greeting greeting;
    private byte[] held = new byte[0];
    private @Nullable Tether tether;
    private @Nullable Prover prover;
    private Tether.@Nullable Carrier carrier;
    private @Nullable CarrierState carriers;
    private final Traffic traffic = new Traffic();
    private CarrierPolicy policy = CarrierPolicy.server(ASK_AFTER, LET_GO_AFTER);
    private final ArrayDeque<Packet> waiting = new ArrayDeque<>(0);
    private final ArrayDeque<Packet> going = new ArrayDeque<>(0); // kept, and not yet sent
    private boolean writing;
    private boolean putOff; // somebody will flush at the end of his go
    private boolean delivering;
    private @Nullable Moment parkedAt;
    private Moment alarmAt = Moment.NEVER;
    private @Nullable Farewell farewell;
    private long closeReason;
    private boolean over;

    /** Done when everything, and CLOSE behind it, is on its way. */
    private static final class Farewell extends AbstractIoWriteFuture {
        Farewell() {
            super("farewell", null);
        }
    }

    /**
     * @param io on which nothing has been said
     * @param offers whether the client may have a tether
     */
    CarriedSession(
            TetherGate gate, IoHandler above, IoSession io, Deadlines deadlines, boolean offers) {
        this.gate = gate;
        this.above = above;
        this.io = io;
        this.deadlines = deadlines;
        this.id = io.getId();
        mode = offers ? Mode.GREETING : Mode.PLAIN;
        greeting = offers ? Greeting.ofClient() : null;
    }

    /** The connection that carries it, or that did so last. */
    IoSession carrying() {
        return io;
    }

    void belongsTo(ServerTransport whose) {
        transport = whose;
    }

    private ServerTransport transport() {
        return Objects.requireNonNull(transport);
    }

    /** The server's identification line, with an offer if the client may have a tether. */
    String identification(String plain) {
        if (mode != Mode.GREETING) {
            return plain;
        }
        TetherKey ours = gate.key();
        int software = plain.indexOf(' ');
        int window = gate.buffer();
        String word = ours.offer(window).word();
        String line =
                software < 0
                        ? plain + " " + word
                        : plain.substring(0, software) + " " + word + plain.substring(software);
        if (line.length() > TetherLine.LONGEST - 2) {
            mode = Mode.PLAIN; // an addendum that leaves no room
            return plain;
        }
        key = ours;
        buffer = window;
        serverLine = line;
        return line;
    }

    /** Whether a tether was agreed. */
    boolean tethered() {
        return mode == Mode.TETHERED;
    }

    // --- what comes, on MINA's threads

    /** Bytes of a connection. */
    void received(IoSession from, Readable message) throws Exception {
        switch (mode) {
            case PLAIN -> above.messageReceived(this, message);
            case HANDED_OVER -> {} // it said more than it was asked for
            case GREETING -> greet(from, bytes(message));
            case TETHERED ->
                    carried(
                            from,
                            message instanceof NetworkSession.Arrived(ByteBuffer bytes)
                                    ? bytes
                                    : ByteBuffer.wrap(bytes(message)));
        }
    }

    private static byte[] bytes(Readable message) {
        byte[] bytes = new byte[message.available()];
        message.getRawBytes(bytes, 0, bytes.length);
        return bytes;
    }

    private void greet(IoSession from, byte[] bytes) throws Exception {
        Greeting reading = Objects.requireNonNull(greeting);
        int used = reading.read(bytes, 0, bytes.length);
        held = Arrays.copyOf(held, held.length + used);
        System.arraycopy(bytes, 0, held, held.length - used, used);
        byte[] rest = Arrays.copyOfRange(bytes, used, bytes.length);
        switch (reading.outcome()) {
            case null -> {}
            case Greeting.Outcome.Plain _ -> plain(rest);
            case Greeting.Outcome.Said(String line, TetherLine what) -> {
                switch (what) {
                    case TetherLine.Offer theirs -> {
                        if (begin(theirs, line)) {
                            above.messageReceived(this, Readable.readable(ByteBuffer.wrap(held)));
                            greeted();
                            carried(from, ByteBuffer.wrap(rest));
                        } else {
                            plain(rest);
                        }
                    }
                    case TetherLine.Carry carry -> {
                        if (begin(carry.offer(), line)) {
                            greeted();
                            carried(from, ByteBuffer.wrap(rest));
                        } else {
                            close(true);
                        }
                    }
                    case TetherLine.Resume request -> {
                        mode = Mode.HANDED_OVER;
                        greeted();
                        transport().superseded();
                        gate.resume(from, request, serverLine, rest);
                    }
                }
            }
        }
    }

    private void greeted() {
        held = new byte[0];
        greeting = null;
    }

    private void plain(byte[] rest) throws Exception {
        mode = Mode.PLAIN;
        byte[] all = Arrays.copyOf(held, held.length + rest.length);
        System.arraycopy(rest, 0, all, held.length, rest.length);
        greeted();
        above.messageReceived(this, Readable.readable(ByteBuffer.wrap(all)));
    }

    private boolean begin(TetherLine.Offer theirs, String clientLine) {
        TetherKey ours = Objects.requireNonNull(key);
        Prover agreed = ours.agree(theirs.key(), clientLine, serverLine);
        if (agreed == null) {
            return false;
        }
        synchronized (lock) {
            Tether made =
                    new Tether(
                            Tether.Role.SERVER,
                            buffer,
                            buffer,
                            theirs.window() * TetherLine.WINDOW_UNIT);
            tether = made;
            prover = agreed;
            carrier = made.begin();
            carriers = Carriers.begin(now());
            mode = Mode.TETHERED;
        }
        return true;
    }

    /** Takes frames, in the memory they came in. */
    private void carried(IoSession from, ByteBuffer bytes) {
        boolean fault;
        // What is next in the stream stays where it is, freed of its frames.
        int start = bytes.position();
        ByteBuffer straight = bytes.duplicate();
        synchronized (lock) {
            Tether stream = tether;
            Tether.Carrier on = carrier;
            if (stream == null || on == null || !from.equals(io) || over || !bytes.hasRemaining()) {
                return;
            }
            Moment now = now();
            Tether.News news = on.received(bytes, delivering ? null : straight, now);
            delivering |= straight.position() > start;
            traffic.heard(now, news.bytes() > 0);
            if (news.pong() != null) {
                step(new CarrierEvent.PingAnswered(news.pong(), now));
            }
            if (news.held()) {
                step(new CarrierEvent.Held(stream.hold()));
            }
            fault = news.fault() != null;
        }
        if (straight.position() > start) {
            give(straight.limit(straight.position()).position(start));
        }
        deliver();
        if (fault) {
            lost(from, true);
        } else {
            flush();
        }
    }

    /** Gives SSH what has come, in order, whoever brought it. */
    private void deliver() {
        byte[] some = new byte[0];
        while (true) {
            int count;
            synchronized (lock) {
                Tether stream = tether;
                if (delivering || over || stream == null) {
                    return;
                }
                int there = stream.waiting();
                if (there > some.length) {
                    some = new byte[Math.min(there, MOST_OUT)];
                }
                count = there == 0 && stream.peerClosed() < 0 ? 0 : take(stream, some);
                if (count == 0) {
                    return;
                }
                delivering = count > 0;
            }
            if (count < 0) {
                close(true); // the client has said good-bye
                return;
            }
            give(ByteBuffer.wrap(some, 0, count));
        }
    }

    /** On the one thread that has set {@code delivering}. */
    private void give(ByteBuffer bytes) {
        try {
            above.messageReceived(this, Readable.readable(bytes));
        } catch (Exception e) {
            failedAbove(e);
            close(false); // what it said of it is still to go out
        } finally {
            synchronized (lock) {
                delivering = false;
            }
        }
    }

    private int take(Tether stream, byte[] into) {
        return stream.take(into, 0, into.length, now());
    }

    /** A connection of ours failed; or, before a tether is agreed, SSH did on what it brought. */
    void failed(IoSession which, Throwable why) {
        switch (mode) {
            case GREETING, PLAIN -> failedAbove(why);
            case HANDED_OVER -> {}
            case TETHERED -> lost(which, false);
        }
    }

    private void failedAbove(Throwable why) {
        try {
            above.exceptionCaught(this, why);
        } catch (Exception e) {
            close(true);
        }
    }

    /** A connection of ours has ended. */
    void ended(IoSession which) {
        switch (mode) {
            case GREETING, PLAIN -> close(true);
            case HANDED_OVER -> {}
            case TETHERED -> lost(which, false);
        }
    }

    private void lost(IoSession which, boolean fault) {
        boolean parked;
        synchronized (lock) {
            Tether stream = tether;
            Tether.Carrier last = carrier;
            if (!which.equals(io) || last == null || stream == null || over) {
                return;
            }
            drop();
            if (stream.peerClosed() >= 0 || stream.finished() || farewell != null) {
                parked = false; // good-bye was said
                finish();
            } else {
                step(new CarrierEvent.Lost(last.generation(), fault));
                parked = !over;
            }
        }
        which.close(true);
        if (parked) {
            transport().parked();
        } else {
            close(true);
        }
    }

    /** Under the lock: there is no carrier any more. */
    private void drop() {
        carrier = null;
        writing = false;
        settle();
        parkedAt = now();
        Objects.requireNonNull(tether).park();
    }

    /** Under the lock: what was on its way is kept, whoever brings it. */
    private void settle() {
        if (!going.isEmpty()) {
            List<Packet> kept = new ArrayList<>(going);
            going.clear();
            gate.apart(() -> kept.forEach(packet -> packet.setValue(true)));
        }
    }

    // --- resuming

    /** Whether whoever asks holds the key. Costs the same whatever is wrong with it. */
    boolean proves(TetherLine.Resume request, String line) {
        Prover ours;
        synchronized (lock) {
            ours = prover;
        }
        return ours != null && Resumption.proved(ours, request, line);
    }

    /**
     * Takes a new connection, if the request is right; false: it is refused and was answered.
     *
     * @param allowed whether the user may come from there
     * @param rest what the client said behind its line
     */
    boolean resume(
            IoSession next, TetherLine.Resume request, String line, boolean allowed, byte[] rest) {
        Resumption.Served served;
        IoSession older;
        Duration away = null;
        boolean taken;
        synchronized (lock) {
            served =
                    Resumption.serve(
                            tether,
                            Objects.requireNonNull(prover),
                            request,
                            line,
                            allowed && !over);
            Tether.Carrier carried = served.carrier();
            older = io;
            taken = carried != null;
            if (carried != null) {
                io = next;
                carrier = carried;
                settle();
                writing = true; // until the answer is on its way
                away = parkedAt == null ? null : now().since(parkedAt);
                parkedAt = null;
                step(new CarrierEvent.Held(Objects.requireNonNull(tether).hold()));
                step(new CarrierEvent.Resumed(carried.generation()));
            }
        }
        if (!taken) {
            gate.answer(next, served.answer());
            return false;
        }
        gate.carries(next, this);
        older.close(true);
        transport().resumed(peer(next), away);
        send(next, ByteBuffer.wrap(served.answer()));
        carried(next, ByteBuffer.wrap(rest));
        return true;
    }

    /**
     * Lets the client come back from now on.
     *
     * @param interval ClientAliveInterval; zero: our own
     * @param countMax ClientAliveCountMax; zero: a silent connection is never let go
     * @return false: it has ended meanwhile, and nobody is to keep it
     */
    boolean hold(Bytes name, Duration hold, Duration interval, int countMax) {
        synchronized (lock) {
            if (over) {
                return false;
            }
            Tether stream = Objects.requireNonNull(tether);
            if (!interval.isZero()) {
                policy = CarrierPolicy.server(interval, interval.multipliedBy(countMax));
            }
            stream.hold(name, Math.max(1, hold.toSeconds()));
        }
        flush();
        return true;
    }

    /** How it stands, for those outside. */
    ConnectionStatus.Tethered standing() {
        synchronized (lock) {
            Tether stream = tether;
            Moment now = now();
            return stream == null
                    ? new ConnectionStatus.Tethered(null, null, 0)
                    : new ConnectionStatus.Tethered(
                            parkedAt == null ? null : now.since(parkedAt),
                            carriers instanceof CarrierState.Adrift adrift
                                    ? now.until(adrift.heldUntil())
                                    : null,
                            stream.unacknowledged());
        }
    }

    /** The machine slept, or so it seems. On the deadlines' thread. */
    void slept(Duration gap) {
        synchronized (lock) {
            step(new CarrierEvent.Slept(gap));
        }
        flush();
    }

    // --- what goes

    @Override
    public IoWriteFuture writeBuffer(Buffer buffer) throws IOException {
        if (mode != Mode.TETHERED) {
            return io.writeBuffer(buffer);
        }
        Packet packet = new Packet(buffer);
        boolean gone;
        synchronized (lock) {
            gone = over || farewell != null;
            if (!gone) {
                waiting.add(packet);
            }
        }
        if (gone) {
            packet.setValue(new ClosedChannelException());
        } else if (!keptForLater()) {
            flush();
        }
        return packet;
    }

    /**
     * Keeps what waits, which is as good as sent then: it is sent in one write with what else the
     * calling thread carries in this go. False where one more packet would be more than one write
     * takes, or where one is under way, so that whoever writes learns how fast it goes.
     */
    private boolean keptForLater() {
        List<Packet> whole;
        synchronized (lock) {
            Tether stream = tether;
            if (stream == null || over || writing || farewell != null) {
                return false;
            }
            keep(stream);
            if (!waiting.isEmpty() || stream.written() - stream.sent() > MOST_OUT - FULL_PACKET) {
                return false;
            }
            if (!putOff && !CarryingThread.putOff(this::flush)) {
                return false;
            }
            putOff = true;
            whole = List.copyOf(going);
            going.clear();
        }
        for (Packet packet : whole) {
            packet.setValue(true);
        }
        return true;
    }

    /** Takes into the tether what there is room for; under the lock. */
    private void keep(Tether stream) {
        Packet first;
        while ((first = waiting.peek()) != null) {
            stream.write(first.bytes);
            if (first.bytes.hasRemaining()) {
                return;
            }
            first.end = stream.written();
            going.add(waiting.remove());
        }
    }

    /** What is kept is as good as sent while nobody carries; under the lock. */
    private List<Packet> done(Tether stream) {
        List<Packet> whole = List.of();
        long sent = carrier == null ? stream.written() : writing ? 0 : stream.sent();
        Packet first;
        while ((first = going.peek()) != null && first.end <= sent) {
            if (whole.isEmpty()) {
                whole = new ArrayList<>(2);
            }
            whole.add(going.remove());
        }
        return whole;
    }

    /** Sends what there is to send, unless a write is under way, whose end comes back here. */
    private void flush() {
        List<Packet> whole;
        IoSession to;
        ByteBuffer[] pieces = {};
        synchronized (lock) {
            putOff = false;
            Tether stream = tether;
            if (stream == null || over) {
                return;
            }
            keep(stream);
            whole = done(stream);
            if (farewell != null && waiting.isEmpty()) {
                stream.finish(closeReason);
            }
            Tether.Carrier on = carrier;
            to = io;
            Moment now = now();
            if (on != null && !writing && on.wants(now)) {
                long before = stream.sent();
                pieces = on.next(MOST_OUT, now);
                writing = pieces.length > 0;
                if (stream.sent() > before) {
                    spoke(now);
                }
            }
            armFor(acknowledgement());
        }
        for (Packet packet : whole) {
            packet.setValue(true);
        }
        if (pieces.length > 0) {
            send(to, pieces);
        }
    }

    private void send(IoSession to, ByteBuffer... pieces) {
        try {
            NetworkSession.write(to, pieces).addListener(done -> written(to, done.isWritten()));
        } catch (IOException e) {
            lost(to, false);
        }
    }

    private void written(IoSession to, boolean well) {
        Farewell last = null;
        List<Packet> whole;
        boolean more;
        if (!well) {
            lost(to, false);
            return;
        }
        synchronized (lock) {
            Tether stream = tether;
            Tether.Carrier on = carrier;
            if (!to.equals(io) || on == null || stream == null) {
                return;
            }
            writing = false;
            whole = done(stream);
            if (stream.finished()) {
                last = farewell;
            }
            more = !waiting.isEmpty() || farewell != null || on.wants(now());
            if (!more) {
                armFor(acknowledgement());
            }
        }
        for (Packet packet : whole) {
            packet.setValue(true);
        }
        if (last != null) {
            last.setValue(true);
        } else if (more) {
            flush();
        }
    }

    // --- deciding, under the lock

    private void spoke(Moment now) {
        traffic.spoke(now);
        if (traffic.presses(alarmAt)) {
            tell();
        }
    }

    private void step(CarrierEvent event) {
        tell();
        decide(event);
    }

    private void tell() {
        traffic.take().forEach(this::decide);
    }

    private void decide(CarrierEvent event) {
        CarrierState was = carriers;
        if (was == null || over) {
            return;
        }
        CarrierStep step = Carriers.on(was, event, now(), policy);
        carriers = step.next();
        for (CarrierCommand command : step.commands()) {
            switch (command) {
                case CarrierCommand.Ping ping -> {
                    if (carrier != null) {
                        carrier.ping(ping.sent());
                    }
                }
                case CarrierCommand.Drop drop -> {
                    Tether.Carrier on = carrier;
                    if (on != null && on.generation() == drop.generation()) {
                        IoSession silent = io;
                        drop();
                        gate.apart(() -> {
                            silent.close(true);
                            transport().parked();
                        });
                    }
                }
                case CarrierCommand.End end -> {
                    finish();
                    gate.apart(() -> {
                        if (end.why() == CarrierState.Ending.HOLD_OVER) {
                            transport().waitedInVain();
                        }
                        close(true);
                    });
                }
                case CarrierCommand.Dial _,
                        CarrierCommand.Abandon _,
                        CarrierCommand.Show _,
                        CarrierCommand.Hide _ -> {} // a client's
            }
        }
        arm();
    }

    /** Sets the one timer for whatever comes first. */
    private void arm() {
        CarrierState now = carriers;
        if (now != null) {
            armFor(Moment.earlier(Carriers.wakeAt(now, policy), acknowledgement()));
        }
    }

    /** When one is due though nothing happens; while something is written, its end looks. */
    private Moment acknowledgement() {
        Tether stream = tether;
        return stream == null || writing ? Moment.NEVER : stream.wakeAt();
    }

    /** Has the one timer go off by then; too early is no harm. */
    private void armFor(Moment due) {
        if (!over && due.isBefore(alarmAt)) {
            alarmAt = due;
            deadlines.post(() -> deadlines.set(timer, due));
        }
    }

    /** On the deadlines' thread. */
    private void alarm() {
        synchronized (lock) {
            alarmAt = Moment.NEVER;
            CarrierState was = carriers;
            Tether stream = tether;
            if (was == null || stream == null || over) {
                return;
            }
            tell();
            if (carriers != null && !now().isBefore(Carriers.wakeAt(carriers, policy))) {
                decide(new CarrierEvent.TimePassed());
            }
            if (stream.acknowledged()) {
                stream.trim();
            }
            arm();
        }
        flush();
    }

    private Moment now() {
        return deadlines.clock().now();
    }

    // --- the end

    /** Why CLOSE is going to be said: PROTOCOL.md section 4. */
    void closing(long reason) {
        synchronized (lock) {
            closeReason = reason;
        }
    }

    /** Under the lock: nothing comes or goes any more. */
    private void finish() {
        over = true;
        settle();
    }

    @Override
    protected CloseFuture doCloseGracefully() {
        if (mode == Mode.TETHERED) {
            Farewell last = new Farewell();
            boolean nobody;
            synchronized (lock) {
                farewell = last;
                nobody = over || carrier == null;
            }
            if (nobody) {
                last.setValue(true);
            } else {
                afterFarewell(() -> close(true));
                flush();
            }
            return builder().when(last).close(io).build().close(false);
        }
        return mode == Mode.HANDED_OVER
                ? builder().build().close(false)
                : builder().close(io).build().close(false);
    }

    @Override
    protected void doCloseImmediately() {
        List<Packet> unsent;
        List<ByteBuffer> last = List.of();
        Farewell waits;
        synchronized (lock) {
            Tether stream = tether;
            if (stream != null) {
                gate.forget(stream.id(), transport().login());
                last = lastWords(stream);
            }
            finish();
            unsent = new ArrayList<>(waiting);
            waiting.clear();
            waits = farewell;
        }
        deadlines.post(() -> deadlines.cancel(timer));
        unsent.forEach(packet -> packet.setValue(new ClosedChannelException()));
        if (waits != null) {
            waits.setValue(true);
        }
        if (mode != Mode.HANDED_OVER) {
            leave(last);
        }
        super.doCloseImmediately();
        try {
            above.sessionClosed(this);
        } catch (Exception e) {
            // it is closed all the same, and there is nobody left to tell
        }
    }

    /** Ends what has had its time; nothing, if it is closed by then. */
    private void afterFarewell(Runnable end) {
        Timer<Runnable> due = new Timer<>(() -> gate.apart(end));
        deadlines.post(() -> deadlines.set(due, now().plus(FAREWELL)));
    }

    /** Under the lock: what is still to be sent, and CLOSE, without which the client comes back. */
    private List<ByteBuffer> lastWords(Tether stream) {
        List<ByteBuffer> all = new ArrayList<>();
        Tether.Carrier on = carrier;
        if (on != null && !over && !stream.finished() && stream.peerClosed() < 0) {
            stream.finish(closeReason);
            boolean more = true;
            while (more && on.wants(now())) {
                more = Collections.addAll(all, on.next(MOST_OUT, now()));
            }
        }
        return all;
    }

    /** Gives the last connection back, having said what is left to be said, if it can be. */
    private void leave(List<ByteBuffer> last) {
        IoSession old = io;
        if (last.isEmpty()) {
            old.close(true);
            return;
        }
        try {
            NetworkSession.write(old, last.toArray(ByteBuffer[]::new));
            afterFarewell(() -> old.close(true));
            old.close(false);
        } catch (IOException e) {
            old.close(true);
        }
    }

    // --- the rest of IoSession

    @Override
    public long getId() {
        return id;
    }

    @Override
    public SocketAddress getLocalAddress() {
        return io.getLocalAddress();
    }

    @Override
    public SocketAddress getRemoteAddress() {
        return io.getRemoteAddress();
    }

    @Override
    public @Nullable SocketAddress getAcceptanceAddress() {
        return io.getAcceptanceAddress();
    }

    @Override
    public @Nullable Object getAttribute(Object name) {
        synchronized (attributes) {
            return attributes.get(name);
        }
    }

    @Override
    public @Nullable Object setAttribute(Object name, Object value) {
        synchronized (attributes) {
            return attributes.put(name, value);
        }
    }

    @Override
    public @Nullable Object setAttributeIfAbsent(Object name, Object value) {
        synchronized (attributes) {
            return attributes.putIfAbsent(name, value);
        }
    }

    @Override
    public @Nullable Object removeAttribute(Object name) {
        synchronized (attributes) {
            return attributes.remove(name);
        }
    }

    @Override
    public @Nullable IoService getService() {
        return io.getService();
    }

    @Override
    public void shutdownOutputStream() {
        // SSH ends a connection as a whole; the two directions never end apart
    }

    @Override
    public void suspendRead() {
        io.suspendRead();
    }

    @Override
    public void resumeRead() {
        io.resumeRead();
    }

    /** Whether the user would be let in from there, too. */
    boolean mayReturn(InetSocketAddress from, @Nullable InetSocketAddress at) throws IOException {
        Login login = transport().login();
        return login != null && login.readmission().allows(from, at);
    }

    /** Our own address on a connection. */
    static @Nullable InetSocketAddress local(IoSession of) {
        return of.getLocalAddress() instanceof InetSocketAddress inet ? inet : null;
    }

    /** The client's address on a connection. */
    static @Nullable InetSocketAddress peer(IoSession of) {
        return of.getRemoteAddress() instanceof InetSocketAddress inet && !inet.isUnresolved()
                ? inet
                : null;
    }
}
