package holdfast.ssh.tether;

import holdfast.core.tether.CarrierCommand;
import holdfast.core.tether.CarrierEvent;
import holdfast.core.tether.CarrierPolicy;
import holdfast.core.tether.CarrierState;
import holdfast.core.tether.CarrierStep;
import holdfast.core.tether.Carriers;
import holdfast.core.tether.Greeting;
import holdfast.core.tether.Prover;
import holdfast.core.tether.Resuming;
import holdfast.core.tether.Tether;
import holdfast.core.tether.TetherLine;
import holdfast.core.tether.Traffic;
import holdfast.core.time.Moment;
import holdfast.ssh.link.InstantChannel;
import holdfast.ssh.link.KeepingChannel;
import holdfast.ssh.link.LinkClock;
import holdfast.ssh.link.TcpStream;
import java.io.IOException;
import java.net.ConnectException;
import java.nio.ByteBuffer;
import java.nio.channels.AsynchronousCloseException;
import java.nio.channels.ByteChannel;
import java.nio.channels.ClosedChannelException;
import java.nio.channels.GatheringByteChannel;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.locks.LockSupport;
import org.jspecify.annotations.Nullable;

/**
 * A client's end of a tether as one blocking stream: SSH above it reads and writes bytes, whatever
 * becomes of the connections below. To a server that offers no tether it is the connection itself,
 * byte for byte.
 *
 * <p>Whoever reads the stream reads the carrier; whoever writes it writes the carrier, and waits
 * while there is none and the buffer is full. Two threads of its own: "tether" decides, and must
 * not wait for anybody; "tether-writer" sends what nobody else is sending. Each attempt to bring a
 * carrier has a thread while it lasts. The stream must be read, else PINGs go unanswered; one that
 * carries for another program, which may be stopped, reads its carriers on a thread of its own.
 *
 * <p>One lock guards the tether, its carriers and the decision's state; nothing blocks under it.
 */
public final class TetherStream implements KeepingChannel {

    /** A connection to the server that can carry the tether. */
    public interface Passage {

        /** What goes over it. */
        ByteChannel stream();

        /** Ends all of it; waits for nobody. */
        void leave();

        /** A TCP connection and nothing more. */
        static Passage of(TcpStream stream) {
            return new Passage() {
                @Override
                public ByteChannel stream() {
                    return stream;
                }

                @Override
                public void leave() {
                    try {
                        stream.close();
                    } catch (IOException e) {
                        // the descriptor is gone either way
                    }
                }
            };
        }
    }

    /** Makes one more connection to the server. */
    @FunctionalInterface
    public interface Dial {

        /**
         * Looks the name up anew and connects; never asks the person anything. The thread is
         * interrupted when the attempt is abandoned.
         *
         * @throws ConnectException when the server's machine refused
         * @throws IOException when nobody answered
         */
        Passage connect() throws IOException;
    }

    /** Told of what happens; called on the tether's own threads, and must not block. */
    public interface Watcher {

        /** It can be resumed from now on, and for so long is looked for another connection. */
        void held(Duration hold);

        /** The stream has stood still for a second. */
        void standsStill(Moment since, Moment heldUntil);

        /** It goes on, or has ended. */
        void goesOn();

        /** Another connection carries it now. */
        void moved(Passage passage);

        /** A line for {@code -v}. */
        void said(String line);
    }

    /** One read of the lines. */
    private static final int CHUNK = 64 * 1024;

    /** One write of a carrier at most: a PING waits for no more than this. */
    private static final int MOST_OUT = 256 * 1024;

    /** What is due and cannot be said yet is not looked at more often. */
    private static final Duration LEAST_WAIT = Duration.ofMillis(5);

    /** How long at most until a sleep of the machine is noticed. */
    private static final Duration LOOK_ROUND = Duration.ofSeconds(2);

    /** So long whoever has just written looks out for more before it sleeps. */
    private static final Duration LINGER = Duration.ofMillis(300);

    /** How long closing waits for CLOSE to be sent. */
    private static final Duration FAREWELL = Duration.ofMillis(200);

    /** How long a server may take to say its first line before what we hold for it is sent. */
    private static final Duration SILENT_SERVER = Duration.ofSeconds(10);

    /** How long an ssh above, which speaks first, may take to say its line. */
    private static final Duration FIRST_WORD = Duration.ofMillis(500);

    private enum Mode {
        /** The lines are being exchanged. */
        GREETING,
        /** The other end knows no tether. */
        PLAIN,
        TETHERED
    }

    /** What a thread that could not wait has left of a write. */
    private record Unfinished(
            Tether.Carrier on, ByteChannel to, ByteBuffer[] pieces, Moment spoke) {}

    private final ByteChannel first;
    private final TetherKey key;
    private final Dial dial;
    private final Watcher watcher;
    private final LinkClock clock;
    private final CarrierPolicy policy;
    private final int buffer;
    private final String software;
    private final TetherLine.Offer offer;
    private final boolean carries;
    private final Duration hold;

    private final Object lock = new Object();
    // All of these are guarded by the lock.
    private Mode mode = Mode.GREETING;
    private final Greeting greeting = Greeting.ofServer();
    private final StringBuilder ourLine = new StringBuilder();
    private boolean ourLineSent;
    private boolean heldBack;
    private boolean required;
    private @Nullable Tether tether;
    private @Nullable Prover prover;
    private Tether.@Nullable Carrier carrier;
    private @Nullable Passage passage;
    private final ArrayDeque<CarrierEvent> mailbox = new ArrayDeque<>();
    private @Nullable CarrierState state;
    private final Map<Long, Thread> attempts = new HashMap<>();
    private final Map<Long, Passage> attemptPassages = new HashMap<>();
    private @Nullable IOException lastTrouble;
    private @Nullable IOException broken;
    private boolean eof;
    private boolean writing;
    private @Nullable Unfinished unfinished; // a write that could not wait; `writing` stays set
    private boolean closed;
    private long dataSent;
    private final Traffic traffic = new Traffic();
    private @Nullable Thread decider;
    private Moment decidesAt = Moment.ZERO; // unless it is told to look before
    private @Nullable Thread scribe;
    private Moment writesAt = Moment.ZERO; // likewise

    // The reader's own.
    private final ByteBuffer incoming = ByteBuffer.allocate(CHUNK);
    private final byte[] readable = new byte[CHUNK];

    /**
     * @param first on which nothing has been said yet
     * @param software what our lines say after {@code SSH-2.0-}
     * @param buffer TetherBuffer, in bytes: the bound of what is kept, and the window
     * @param hold how long it looks for another connection at most, whatever the server says
     */
    public TetherStream(
            Passage first,
            String software,
            int buffer,
            CarrierPolicy policy,
            LinkClock clock,
            Dial dial,
            Watcher watcher,
            Duration hold) {
        this(first, software, buffer, policy, clock, dial, watcher, false, hold);
    }

    private TetherStream(
            Passage first,
            String software,
            int buffer,
            CarrierPolicy policy,
            LinkClock clock,
            Dial dial,
            Watcher watcher,
            boolean carries,
            Duration hold) {
        this.carries = carries;
        this.hold = hold;
        this.first = first.stream();
        this.software = software;
        this.buffer = Integer.highestOneBit(buffer);
        this.policy = policy;
        this.clock = clock;
        this.dial = dial;
        this.watcher = watcher;
        this.key = TetherKey.generate();
        this.offer = key.offer(this.buffer);
        this.passage = first;
    }

    /**
     * One for an SSH client that sends an identification of its own, which is held until the server
     * has offered a tether or has not.
     *
     * @param hold how long it looks for another connection at most, whatever the server says
     */
    public static TetherStream carrying(
            Passage first,
            String software,
            int buffer,
            CarrierPolicy policy,
            LinkClock clock,
            Dial dial,
            Watcher watcher,
            Duration hold) {
        return new TetherStream(first, software, buffer, policy, clock, dial, watcher, true, hold);
    }

    /** A server that offers no tether is none for us. To be said before anything is read. */
    public void require() {
        required = true;
    }

    /** The identification line that SSH above must send, without its end: V_C. */
    public String identification() {
        return "SSH-2.0-" + software + " " + offer.word();
    }

    /** Whether a tether was agreed. */
    public boolean tethered() {
        synchronized (lock) {
            return mode == Mode.TETHERED;
        }
    }

    /** What is known of the carriers; null: there is no tether. */
    public @Nullable CarrierState state() {
        synchronized (lock) {
            return state;
        }
    }

    /** An address or a route of this machine has changed. */
    public void networkChanged() {
        post(new CarrierEvent.NetworkChanged());
    }

    private void post(CarrierEvent event) {
        synchronized (lock) {
            if (mode == Mode.TETHERED) {
                mailbox.add(event);
                lookNow(decider);
            }
        }
    }

    // --- reading

    @Override
    public int read(ByteBuffer into) throws IOException {
        while (true) {
            ByteChannel from;
            Tether.Carrier on;
            boolean plain;
            synchronized (lock) {
                if (mode == Mode.TETHERED) {
                    int count = taken(into);
                    if (count != 0) {
                        return count;
                    }
                }
                if (mode == Mode.TETHERED
                        && (carries || carrier == null)
                        && broken == null
                        && !closed) {
                    await();
                    continue; // what the next carrier's first words were is the program's first
                }
                if (closed) {
                    throw new AsynchronousCloseException();
                }
                if (mode == Mode.TETHERED && broken != null) {
                    if (eof) {
                        return -1;
                    }
                    throw broken;
                }
                from = passage == null ? null : passage.stream();
                on = carrier;
                plain = mode == Mode.PLAIN;
            }
            if (from == null) {
                continue;
            }
            if (plain) {
                return from.read(into);
            }
            if (on == null) {
                int lines = readLines(from, into);
                if (lines != 0) {
                    return lines;
                }
            } else {
                int before = into.position();
                readFrames(from, on, into.duplicate(), into);
                if (into.position() > before) {
                    return into.position() - before;
                }
            }
        }
    }

    /** Before it is known what this is: all of it may be SSH's. -1: the end; 0: go on. */
    private int readLines(ByteChannel from, ByteBuffer into) throws IOException {
        incoming.clear().limit(Math.min(CHUNK, into.remaining()));
        int count = from.read(incoming);
        if (count < 0) {
            return -1;
        }
        return greet(count, into);
    }

    /**
     * Reads into {@code raw} and takes the frames out of it.
     *
     * @param into the reader's own memory, which raw may be: what is left there is the program's;
     *     null: that waits
     */
    private void readFrames(
            ByteChannel from, Tether.Carrier on, ByteBuffer raw, @Nullable ByteBuffer into) {
        int before = raw.position();
        int count;
        try {
            count = from.read(raw);
        } catch (IOException e) {
            lost(on, e, false);
            return;
        }
        if (count < 0) {
            lost(on, null, false);
            return;
        }
        received(on, raw.flip().position(before), into);
        flush(false);
    }

    /** Reads whatever carrier there is: what the program does not take waits, up to the window. */
    private void readAlways() {
        ByteBuffer some = ByteBuffer.allocate(CHUNK);
        while (true) {
            ByteChannel from;
            Tether.Carrier on;
            synchronized (lock) {
                if (closed || broken != null) {
                    return;
                }
                from = passage == null ? null : passage.stream();
                on = carrier;
                if (from == null || on == null) {
                    await();
                    continue;
                }
            }
            readFrames(from, on, some.clear(), null);
            synchronized (lock) {
                lock.notifyAll(); // the program may be waiting for what came
            }
        }
    }

    /** Gives what has come, under the lock. */
    private int taken(ByteBuffer into) {
        Tether stream = tether;
        if (stream == null || !into.hasRemaining()) {
            return 0;
        }
        int count;
        if (into.hasArray()) {
            count =
                    stream.take(
                            into.array(),
                            into.arrayOffset() + into.position(),
                            into.remaining(),
                            clock.now());
            if (count > 0) {
                into.position(into.position() + count);
            }
        } else {
            count = stream.take(readable, 0, Math.min(into.remaining(), CHUNK), clock.now());
            if (count > 0) {
                into.put(readable, 0, count);
            }
        }
        if (count > 0) {
            writeInTime();
        }
        return count;
    }

    /**
     * Reads the server's lines; they are SSH's, too.
     *
     * @return how many bytes were given to it
     */
    private int greet(int count, ByteBuffer into) throws IOException {
        byte[] bytes = incoming.array();
        synchronized (lock) {
            int used = greeting.read(bytes, 0, count);
            into.put(bytes, 0, used);
            Greeting.Outcome.Said offered = greeting.offer();
            if (carries && offered != null && !ourLineSent && mode == Mode.GREETING) {
                accept();
            }
            switch (mode == Mode.GREETING ? greeting.outcome() : null) {
                case null -> {}
                case Greeting.Outcome.Plain _ -> {
                    if (required) {
                        throw new IOException("the server offers no tether, which is required");
                    }
                    mode = Mode.PLAIN;
                    watcher.said("tether: the server offers none: plain SSH");
                }
                case Greeting.Outcome.Said said -> {
                    awaitOurLine();
                    begin(said);
                }
            }
            int rest = count - used;
            if (rest > 0) {
                if (mode == Mode.TETHERED && carrier != null) {
                    received(carrier, ByteBuffer.wrap(bytes, used, rest), null);
                    writeInTime();
                } else {
                    into.put(bytes, used, rest);
                    used += rest;
                }
            }
            lock.notifyAll();
            return used;
        }
    }

    /** Whether the ssh above wants the tether itself, and so needs none of ours. */
    private static boolean offersItself(ByteBuffer from) {
        StringBuilder line = new StringBuilder();
        for (int i = from.position(); i < from.limit(); i++) {
            char c = (char) (from.get(i) & 0xff);
            if (c == '\n' || line.length() > TetherLine.LONGEST) {
                break;
            }
            if (c != '\r') {
                line.append(c);
            }
        }
        return TetherLine.of(line.toString()) instanceof TetherLine.Offer;
    }

    /** Takes the offer: nothing was sent before, so the socket has room for the line. */
    private void accept() throws IOException {
        Moment until = clock.now().plus(FIRST_WORD);
        while (!heldBack && !closed && clock.now().isBefore(until)) {
            awaitUntil(until);
        }
        if (mode != Mode.GREETING) {
            return;
        }
        ourLine.append("SSH-2.0-").append(software).append(' ').append(offer.carryWord());
        ourLineSent = true;
        ByteBuffer line = ByteBuffer.wrap((ourLine + "\r\n").getBytes(StandardCharsets.US_ASCII));
        while (line.hasRemaining()) {
            first.write(line);
        }
    }

    /**
     * A server's line may be here first. What we are to each other depends on both, and no frame
     * may overtake ours: whoever writes the stream has it in hand, and waits for nobody.
     */
    private void awaitOurLine() throws IOException {
        while (!ourLineSent && !closed) {
            await();
        }
        if (closed) {
            throw new AsynchronousCloseException();
        }
    }

    private void begin(Greeting.Outcome.Said said) throws IOException {
        if (!(said.what() instanceof TetherLine.Offer theirs)
                || !agreed(TetherLine.of(ourLine.toString()))) {
            if (required) {
                throw new IOException("the server offers no tether, which is required");
            }
            mode = Mode.PLAIN; // we have not offered: SSH above sent a line of its own
            return;
        }
        prover = key.agree(theirs.key(), ourLine.toString(), said.line());
        if (prover == null) {
            throw new IOException("the server's tether key is no key");
        }
        Tether stream =
                new Tether(
                        Tether.Role.CLIENT,
                        buffer,
                        buffer,
                        theirs.window() * TetherLine.WINDOW_UNIT);
        tether = stream;
        carrier = stream.begin();
        state = Carriers.begin(clock.now());
        mode = Mode.TETHERED;
        watcher.said("tether: agreed");
        decider = own("tether", this::decide);
        scribe = own("tether-writer", this::writeWhatIsLeft);
        if (carries) {
            own("tether-reader", this::readAlways);
        }
    }

    private Thread own(String name, Runnable work) {
        return Thread.ofPlatform()
                .daemon()
                .name(name)
                .start(() -> {
                    try {
                        work.run();
                    } finally {
                        mistaken();
                    }
                });
    }

    /** One of our own threads is over. If that is a mistake, nobody is to wait for what it did. */
    private void mistaken() {
        synchronized (lock) {
            if (!closed && broken == null) {
                broken = new IOException("tether: internal error");
                drop();
                lookNow(decider);
                lookNow(scribe);
                lock.notifyAll();
            }
        }
    }

    private static boolean agreed(@Nullable TetherLine ours) {
        return switch (ours) {
            case TetherLine.Offer _, TetherLine.Carry _ -> true;
            case TetherLine.Resume _ -> false;
            case null -> false;
        };
    }

    private void received(Tether.Carrier on, ByteBuffer bytes, @Nullable ByteBuffer into) {
        Tether.News news;
        Duration resumable = null;
        synchronized (lock) {
            int room = tether == null ? 0 : tether.room();
            Moment now = clock.now();
            news = on.received(bytes, into, now);
            if (on.equals(carrier)) {
                traffic.heard(now, news.bytes() > 0);
            }
            if (tether != null && tether.room() > room) {
                lock.notifyAll(); // whoever writes may be waiting for it
            }
            if (news.pong() != null) {
                mailbox.add(new CarrierEvent.PingAnswered(news.pong(), now));
            }
            if (news.held() && tether != null) {
                Duration theirs = tether.hold();
                resumable = theirs.compareTo(hold) < 0 ? theirs : hold;
                mailbox.add(new CarrierEvent.Held(resumable));
            }
            if (tether != null && tether.peerClosed() >= 0) {
                mailbox.add(new CarrierEvent.Finished());
            }
            if (!mailbox.isEmpty()) {
                lookNow(decider);
            }
        }
        if (resumable != null) {
            watcher.held(resumable);
        }
        if (news.fault() != null) {
            lost(
                    on,
                    new IOException("tether: the server broke the protocol: " + news.fault()),
                    true);
        }
    }

    private void lost(Tether.Carrier which, @Nullable IOException why, boolean fault) {
        synchronized (lock) {
            if (!which.equals(carrier) || tether == null) {
                return; // another has taken its place
            }
            lastTrouble = why;
            drop();
            if (tether.peerClosed() >= 0) {
                lock.notifyAll();
                return; // it has said good-bye: this is the end of the connection, not its loss
            }
            tether.park();
            mailbox.add(new CarrierEvent.Lost(which.generation(), fault));
            lookNow(decider);
            lock.notifyAll();
        }
        watcher.said(
                "tether: carrier "
                        + which.generation()
                        + " lost: "
                        + (why == null ? "closed by the other side" : why.getMessage()));
    }

    // --- writing

    @Override
    public int write(ByteBuffer from) throws IOException {
        int before = from.remaining();
        while (from.hasRemaining()) {
            Mode now;
            synchronized (lock) {
                if (closed) {
                    throw new ClosedChannelException();
                }
                if (broken != null) {
                    throw broken;
                }
                now = mode;
                if (now == Mode.GREETING && carries) {
                    heldBack = true;
                    if (!ourLineSent && offersItself(from)) {
                        mode = Mode.PLAIN; // the ssh above has a tether of its own
                    }
                    lock.notifyAll();
                    Moment until = clock.now().plus(SILENT_SERVER);
                    while (mode == Mode.GREETING && !closed && clock.now().isBefore(until)) {
                        awaitUntil(until);
                    }
                    if (mode == Mode.GREETING && !ourLineSent) {
                        mode = Mode.PLAIN; // it may be waiting for us
                    }
                    continue;
                }
                if (now == Mode.GREETING && ourLineSent) {
                    await(); // what follows our line depends on theirs
                    continue;
                }
            }
            switch (now) {
                case GREETING -> writeOurLine(from);
                case PLAIN -> first.write(from);
                case TETHERED -> writeTethered(from);
            }
        }
        return before;
    }

    /** With a tether: takes what there is room for, and sends of it what goes without waiting. */
    @Override
    public int writeNow(ByteBuffer from) throws IOException {
        int took;
        synchronized (lock) {
            if (closed) {
                throw new ClosedChannelException();
            }
            if (broken != null) {
                throw broken;
            }
            if (mode == Mode.PLAIN) {
                return first instanceof InstantChannel instant ? instant.writeNow(from) : 0;
            }
            took = tether == null ? 0 : tether.write(from);
        }
        if (took > 0) {
            flush(false);
        }
        return took;
    }

    @Override
    public boolean keep(byte[] from, int offset, int length) {
        synchronized (lock) {
            Tether stream = tether;
            return stream != null
                    && broken == null
                    && !closed
                    && stream.room() >= length
                    && stream.write(from, offset, length) == length;
        }
    }

    @Override
    public void send(boolean waits) {
        flush(waits);
    }

    private void writeOurLine(ByteBuffer from) throws IOException {
        int end = from.position();
        while (end < from.limit() && from.get(end) != '\n') {
            ourLine.append((char) (from.get(end) & 0xff));
            end++;
        }
        boolean whole = end < from.limit();
        ByteBuffer line = from.slice(from.position(), (whole ? end + 1 : end) - from.position());
        from.position(from.position() + line.remaining());
        while (line.hasRemaining()) {
            first.write(line);
        }
        if (whole) {
            synchronized (lock) {
                if (ourLine.length() > 0 && ourLine.charAt(ourLine.length() - 1) == '\r') {
                    ourLine.setLength(ourLine.length() - 1);
                }
                ourLineSent = true;
                lock.notifyAll();
            }
        }
    }

    private void writeTethered(ByteBuffer from) throws IOException {
        synchronized (lock) {
            Tether stream = tether;
            if (stream == null) {
                return;
            }
            if (stream.write(from) == 0) {
                if (stream.peerClosed() >= 0) {
                    throw new IOException("Broken pipe");
                }
                await();
                return;
            }
        }
        flush(true);
    }

    /**
     * Sends until there is nothing to send, unless another thread is at it.
     *
     * @param waits whether this thread may wait for the carrier; else another has the rest
     */
    private void flush(boolean waits) {
        while (true) {
            Tether.Carrier on;
            ByteChannel to;
            ByteBuffer[] pieces;
            Moment spoke = clock.now();
            synchronized (lock) {
                on = carrier;
                to = passage == null ? null : passage.stream();
                if (writing || on == null || to == null || !on.wants(spoke)) {
                    writeInTime();
                    return;
                }
                if (!waits && !(to instanceof TcpStream)) {
                    lookNow(scribe);
                    return;
                }
                pieces = on.next(MOST_OUT, spoke);
                if (pieces.length == 0) {
                    return;
                }
                writing = true;
            }
            if (!send(on, to, pieces, spoke, waits)) {
                return;
            }
        }
    }

    /** Writes these pieces, for which {@code writing} is set; false: there is some left. */
    private boolean send(
            Tether.Carrier on, ByteChannel to, ByteBuffer[] pieces, Moment spoke, boolean waits) {
        IOException failed = null;
        try {
            ByteBuffer last = pieces[pieces.length - 1];
            if (!waits && to instanceof TcpStream instant) {
                while (last.hasRemaining() && instant.writeNow(pieces) > 0) {
                    // as much as goes
                }
                if (last.hasRemaining()) {
                    synchronized (lock) {
                        unfinished = new Unfinished(on, to, pieces, spoke);
                        lookNow(scribe);
                    }
                    return false;
                }
            } else if (to instanceof GatheringByteChannel gathering) {
                while (last.hasRemaining()) {
                    gathering.write(pieces);
                }
            } else {
                ByteBuffer all = together(pieces);
                while (all.hasRemaining()) {
                    to.write(all);
                }
            }
        } catch (IOException e) {
            failed = e;
        } catch (RuntimeException e) {
            failed = new IOException(e); // else nobody would write any more
        }
        written(on, spoke, failed);
        return true;
    }

    private static ByteBuffer together(ByteBuffer[] pieces) {
        int length = 0;
        for (ByteBuffer piece : pieces) {
            length += piece.remaining();
        }
        ByteBuffer all = ByteBuffer.allocate(length);
        for (ByteBuffer piece : pieces) {
            all.put(piece);
        }
        return all.flip();
    }

    /** A write is over, which {@code writing} was set for; what came meanwhile is the caller's. */
    private void written(Tether.Carrier on, Moment spoke, @Nullable IOException failed) {
        synchronized (lock) {
            writing = false;
            long sent = tether == null ? 0 : tether.sent();
            if (sent > dataSent) {
                traffic.spoke(spoke);
                if (traffic.presses(decidesAt)) {
                    lookNow(decider);
                }
            }
            dataSent = sent;
            if (closed || (tether != null && tether.finished())) {
                lock.notifyAll();
            }
        }
        if (failed != null) {
            lost(on, failed, false);
        }
    }

    private void writeWhatIsLeft() {
        Moment lingers = Moment.ZERO;
        while (true) {
            Moment next = Moment.ZERO;
            Unfinished left;
            synchronized (lock) {
                left = unfinished;
                unfinished = null;
                if (left == null && !toWrite()) {
                    if (closed || broken != null) {
                        return;
                    }
                    Moment now = clock.now();
                    Moment due = tether == null ? Moment.NEVER : tether.wakeAt();
                    next =
                            due.equals(Moment.NEVER) && now.isBefore(lingers)
                                    ? lingers
                                    : Moment.later(due, now.plus(LEAST_WAIT));
                    writesAt = next;
                }
            }
            if (next.equals(Moment.ZERO)) {
                if (left != null) {
                    send(left.on, left.to, left.pieces, left.spoke, true);
                }
                flush(true);
                lingers = clock.now().plus(LINGER);
            } else {
                sleepUntil(next);
            }
        }
    }

    /** Under the lock: what is to be said now or soon is, if nobody else says it. */
    private void writeInTime() {
        if (toWrite() || (tether != null && tether.wakeAt().isBefore(writesAt))) {
            lookNow(scribe);
        }
    }

    private boolean toWrite() {
        Tether.Carrier on = carrier;
        return !writing && on != null && passage != null && on.wants(clock.now());
    }

    // --- deciding

    private void decide() {
        while (true) {
            Moment next;
            synchronized (lock) {
                if (state == null || closed) {
                    return;
                }
                Duration slept = clock.look();
                if (!slept.isZero()) {
                    step(new CarrierEvent.Slept(slept));
                }
                traffic.take().forEach(this::step);
                CarrierEvent event;
                while ((event = mailbox.poll()) != null) {
                    step(event);
                }
                if (!clock.now().isBefore(Carriers.wakeAt(state, policy))) {
                    step(new CarrierEvent.TimePassed());
                }
                if (state instanceof CarrierState.Over) {
                    lock.notifyAll();
                    return;
                }
                next = Moment.earlier(Carriers.wakeAt(state, policy), clock.now().plus(LOOK_ROUND));
                decidesAt = next;
            }
            sleepUntil(next);
        }
    }

    private void step(CarrierEvent event) {
        CarrierState was = state;
        if (was == null) {
            return;
        }
        CarrierStep step = Carriers.on(was, event, clock.now(), policy);
        state = step.next();
        for (CarrierCommand command : step.commands()) {
            perform(command);
        }
    }

    private void perform(CarrierCommand command) {
        switch (command) {
            case CarrierCommand.Ping ping -> {
                if (carrier != null) {
                    carrier.ping(ping.sent());
                    writeInTime();
                }
            }
            case CarrierCommand.Dial one -> {
                watcher.said("tether: attempt " + one.generation() + " to bring another carrier");
                attempt(one.generation());
            }
            case CarrierCommand.Abandon one -> abandon(one.generation());
            case CarrierCommand.Drop _ -> {} // the older was closed when the newer took its place
            case CarrierCommand.Show show -> watcher.standsStill(show.since(), show.heldUntil());
            case CarrierCommand.Hide _ -> watcher.goesOn();
            case CarrierCommand.End end -> ended(end.why());
        }
    }

    private void ended(CarrierState.Ending why) {
        IOException trouble = lastTrouble;
        eof = why == CarrierState.Ending.NOT_RESUMABLE && trouble == null;
        broken =
                switch (why) {
                    case FINISHED -> new IOException("Broken pipe");
                    case NOT_RESUMABLE ->
                            trouble == null ? new IOException("Broken pipe") : trouble;
                    case GONE -> new IOException("the server no longer has this session");
                    case FOREIGN -> new IOException("the server no longer knows of tethers");
                    case HOLD_OVER ->
                            new IOException(
                                    "no way to the server for as long as it holds a session");
                    case PROTOCOL -> new IOException("the server keeps breaking the protocol");
                };
        watcher.said("tether: ended: " + why);
        // The carrier may live and be silent for ever: nobody is to wait for it any more.
        drop();
        lookNow(scribe);
        lock.notifyAll();
    }

    /** Under the lock: there is no carrier any more. */
    private void drop() {
        leave(passage);
        passage = null;
        carrier = null;
    }

    // --- attempts

    private void attempt(long generation) {
        Thread thread =
                Thread.ofPlatform()
                        .daemon()
                        .name("tether-dial-" + generation)
                        .unstarted(() -> bring(generation));
        attempts.put(generation, thread);
        thread.start();
    }

    private void abandon(long generation) {
        Thread thread = attempts.remove(generation);
        if (thread != null) {
            thread.interrupt();
        }
        leave(attemptPassages.remove(generation));
    }

    private void bring(long generation) {
        Passage to;
        try {
            to = dial.connect();
        } catch (IOException e) {
            watcher.said("tether: attempt " + generation + ": " + e.getMessage());
            over(
                    generation,
                    e instanceof ConnectException
                                    && String.valueOf(e.getMessage()).contains("refused")
                            ? CarrierEvent.Failure.TURNED_AWAY
                            : CarrierEvent.Failure.UNANSWERED);
            return;
        }
        Resuming resuming;
        synchronized (lock) {
            if (!attempts.containsKey(generation) || tether == null || prover == null || closed) {
                to.leave();
                return;
            }
            attemptPassages.put(generation, to);
            mailbox.add(new CarrierEvent.Connected(generation));
            lookNow(decider);
            resuming =
                    new Resuming(
                            tether,
                            prover,
                            generation,
                            software,
                            TetherKey.random(TetherLine.NONCE));
        }
        boolean adopted = false;
        try {
            adopted = resume(generation, resuming, to);
        } catch (IOException e) {
            over(generation, CarrierEvent.Failure.UNANSWERED);
        } finally {
            if (!adopted) {
                to.leave();
            }
        }
    }

    private boolean resume(long generation, Resuming resuming, Passage to) throws IOException {
        ByteBuffer some = ByteBuffer.allocate(4096);
        while (true) {
            some.clear();
            int count = to.stream().read(some);
            if (count < 0) {
                over(generation, CarrierEvent.Failure.TURNED_AWAY);
                return false;
            }
            byte[] say;
            synchronized (lock) {
                if (!attempts.containsKey(generation)) {
                    return false;
                }
                int used = resuming.read(some.array(), 0, count);
                say = resuming.toSend();
                switch (resuming.outcome()) {
                    case null -> {}
                    case Resuming.Outcome.Failed failed -> {
                        over(generation, failed.why());
                        return false;
                    }
                    case Resuming.Outcome.Resumed resumed -> {
                        attempts.remove(generation);
                        attemptPassages.remove(generation);
                        leave(passage);
                        carrier = resumed.carrier();
                        passage = to;
                        mailbox.add(new CarrierEvent.Resumed(generation));
                        lookNow(decider);
                        watcher.said("tether: carrier " + generation + " has taken over");
                        watcher.moved(to);
                        received(
                                resumed.carrier(),
                                ByteBuffer.wrap(some.array(), used, count - used),
                                null);
                        writeInTime();
                        lock.notifyAll();
                        return true;
                    }
                }
            }
            ByteBuffer line = ByteBuffer.wrap(say);
            while (line.hasRemaining()) {
                to.stream().write(line);
            }
        }
    }

    private void over(long generation, CarrierEvent.Failure why) {
        synchronized (lock) {
            attempts.remove(generation);
            attemptPassages.remove(generation);
            mailbox.add(new CarrierEvent.Failed(generation, why));
            lookNow(decider);
        }
    }

    // --- the end

    @Override
    public boolean isOpen() {
        synchronized (lock) {
            return !closed;
        }
    }

    /** Says CLOSE, if there is a carrier to say it on, and ends all of it. */
    @Override
    public void close() {
        synchronized (lock) {
            if (closed) {
                return;
            }
            Tether stream = tether;
            if (stream != null && carrier != null) {
                stream.finish(0);
                writeInTime();
                long end = System.nanoTime() + FAREWELL.toNanos();
                while (!(stream.finished() && !writing)
                        && carrier != null
                        && System.nanoTime() < end) {
                    awaitNanos(end - System.nanoTime());
                }
            }
            shut();
        }
    }

    /** Under the lock: ends all of it, and tells everybody who waits. */
    private void shut() {
        closed = true;
        for (long generation : Map.copyOf(attempts).keySet()) {
            abandon(generation);
        }
        drop();
        lookNow(decider);
        lookNow(scribe);
        lock.notifyAll();
    }

    private static void leave(@Nullable Passage one) {
        if (one != null) {
            one.leave();
        }
    }

    // --- the two threads sleep outside the lock, so that each can be woken alone

    private void sleepUntil(Moment when) {
        if (when.equals(Moment.NEVER)) {
            LockSupport.park(this);
        } else {
            LockSupport.parkNanos(this, clock.now().until(when).toNanos());
        }
    }

    private static void lookNow(@Nullable Thread one) {
        LockSupport.unpark(one);
    }

    // --- waiting, under the lock

    private void awaitUntil(Moment when) {
        if (when.equals(Moment.NEVER)) {
            await();
        } else {
            awaitNanos(clock.now().until(when).toNanos());
        }
    }

    private void await() {
        awaitNanos(Long.MAX_VALUE);
    }

    @SuppressWarnings("WaitNotInLoop") // every caller looks again at what it waits for
    private void awaitNanos(long nanos) {
        if (nanos <= 0) {
            return;
        }
        try {
            lock.wait(Math.max(1, Math.min(nanos / 1_000_000, 3_600_000)));
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            shut(); // whoever waits here is told to stop, and nobody else could go on
        }
    }
}
