package holdfast.core.tether;

import holdfast.core.time.Moment;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * One end of a tether: two streams of bytes, whatever carries them.
 *
 * <p>The program above writes and takes; the current {@link Carrier} is filled and read. A carrier
 * that is no longer the current one brings nothing and is given nothing: the highest generation
 * wins, at both ends. Not safe for threads: its owner's lock guards it and its carriers.
 */
public final class Tether {

    /** Which end. */
    public enum Role {
        CLIENT,
        SERVER
    }

    /** An acknowledgement waits for this share of the window, */
    private static final int ACK_SHARE = 8;

    /**
     * or so long, or for something to travel with. Shorter than the least patience by a round trip,
     * so that a peer who only sends hears of us in time.
     */
    private static final Duration ACK_DELAY = Duration.ofMillis(300);

    /** A year: whatever else a server says. In seconds. */
    private static final long MOST_HOLD = 366L * 24 * 3600;

    private final Role role;
    private final Outbox outbox;
    private final Inbox inbox;
    private @Nullable Carrier current;
    private long generation = -1;
    private @Nullable Bytes id;
    private long holdSeconds;
    private boolean held;
    private @Nullable Moment ackDue;
    private long closing = -1;
    private boolean closeSent;
    private long peerClosed = -1;

    /**
     * @param buffer how many bytes this end keeps for sending again at most; rounded down to a
     *     power of two
     * @param window what this end announced, in bytes; a power of two
     * @param peerWindow what the other end announced, in bytes
     */
    public Tether(Role role, int buffer, int window, int peerWindow) {
        this.role = role;
        this.outbox = new Outbox(Integer.highestOneBit(Math.min(buffer, peerWindow)));
        this.inbox = new Inbox(window);
    }

    // --- the program's side

    /** Takes as many bytes as there is room for; how many. None after {@link #finish}. */
    public int write(ByteBuffer from) {
        return closing >= 0 || peerClosed >= 0 ? 0 : outbox.write(from);
    }

    /** The same of an array. */
    public int write(byte[] from, int offset, int length) {
        return write(ByteBuffer.wrap(from, offset, length));
    }

    /** How many bytes {@link #write} would take. */
    public int room() {
        return outbox.room();
    }

    /**
     * Gives the program what has come.
     *
     * @return how many bytes; 0: none now; -1: the other end has closed and all was given
     */
    public int take(byte[] into, int offset, int length, Moment now) {
        if (peerClosed >= 0 && inbox.waiting() == 0) {
            return -1;
        }
        int count = inbox.take(into, offset, length);
        if (count > 0) {
            acknowledgeSoon(now);
        }
        return count;
    }

    /**
     * Something is owed an acknowledgement from now on, if it was not before. Without a carrier, or
     * on one that has yet to bring what was taken before, nothing is: what is never due must not be
     * waited for.
     */
    private void acknowledgeSoon(Moment now) {
        if (ackDue == null && current != null && current.owed() > 0) {
            ackDue = now.plus(ACK_DELAY);
        }
    }

    /** How many bytes {@link #take} could give. */
    public int waiting() {
        return inbox.waiting();
    }

    /**
     * The program writes no more: what is written is still sent, and CLOSE after it. Reasons are in
     * PROTOCOL.md section 4.
     */
    public void finish(long reason) {
        if (closing < 0) {
            closing = reason;
        }
    }

    /** Whether CLOSE was put on the current carrier, after everything else. */
    public boolean finished() {
        return closeSent;
    }

    /** Whether the other end has everything that was written. */
    public boolean acknowledged() {
        return outbox.acknowledged() == outbox.written();
    }

    /** How many written bytes the other end has not acknowledged. */
    public long unacknowledged() {
        return outbox.written() - outbox.acknowledged();
    }

    /** How many of them the current carrier has not been given. */
    public long unsent() {
        return current == null ? 0 : outbox.written() - current.sendAt;
    }

    /** The reason of the other end's CLOSE; -1: none has come. */
    public long peerClosed() {
        return peerClosed;
    }

    // --- resumption

    /** The server lets the tether be resumed from now on: HELD is sent, or sent anew. */
    public void hold(Bytes name, long seconds) {
        id = name;
        holdSeconds = seconds;
        held &= seconds > 0;
        if (current != null) {
            current.heldDue = true;
        }
    }

    /** Whether both ends know that the tether may be resumed. */
    public boolean resumable() {
        return held;
    }

    /** The tether's name; null while there is none. */
    public @Nullable Bytes id() {
        return id;
    }

    /** For how long it is held without a carrier; zero: it is not. */
    public Duration hold() {
        return held ? Duration.ofSeconds(Math.min(holdSeconds, MOST_HOLD)) : Duration.ZERO;
    }

    /** The newest carrier's generation; -1: none was ever begun. */
    public long generation() {
        return generation;
    }

    /** The carrier on which the tether was agreed. */
    public Carrier begin() {
        if (generation >= 0) {
            throw new IllegalStateException("a tether begins once");
        }
        return adopt(new Carrier(0, 0, 0, 0, 0));
    }

    /** How many bytes have come: what a client states in its request. */
    public long received() {
        return inbox.received();
    }

    /** How many of them the program has taken. */
    public long taken() {
        return inbox.taken();
    }

    /**
     * The server's check of a proved request's numbers, and where it goes on from.
     *
     * @param proved what {@link Resumption#proved} said of it
     * @return the answer's received, taken and from; null: refused, and nothing has changed
     */
    public @Nullable Offsets accept(TetherLine.Resume request, boolean proved) {
        if (!proved
                || id == null
                || holdSeconds == 0
                || peerClosed >= 0
                || request.generation() <= generation
                || request.received() > outbox.sent()) {
            return null;
        }
        // What the client had acknowledged on the older carrier since it wrote its line is gone.
        long from = Math.max(request.received(), outbox.acknowledged());
        outbox.acknowledge(request.taken());
        return new Offsets(inbox.received(), inbox.taken(), from);
    }

    /** Where a resumed tether goes on: see {@link Frame.Resumed}. */
    public record Offsets(long received, long taken, long from) {}

    /** The server's new carrier, after {@link #accept}: the older is no longer read or filled. */
    public Carrier resume(TetherLine.Resume request, Offsets offsets) {
        held = true; // who asks for it by its name has had HELD
        return adopt(
                new Carrier(
                        request.generation(),
                        offsets.from,
                        offsets.received,
                        request.taken(),
                        offsets.taken));
    }

    /**
     * The client's check of a proved answer's numbers; null: they are right. What was stated in the
     * request may have been overtaken since.
     */
    public @Nullable Fault check(TetherLine.Resume request, Frame.Resumed answer) {
        if (answer.received() > outbox.sent()
                || answer.taken() > answer.received()
                || answer.taken() < outbox.acknowledged()) {
            return Fault.BAD_ACKNOWLEDGEMENT;
        }
        return answer.from() < request.received() || answer.from() > inbox.received()
                ? Fault.GAP
                : null;
    }

    /** The client's new carrier, after {@link #check}. */
    public Carrier resume(TetherLine.Resume request, Frame.Resumed answer) {
        outbox.acknowledge(answer.taken());
        return adopt(
                new Carrier(
                        request.generation(),
                        answer.received(),
                        answer.from(),
                        answer.taken(),
                        request.taken()));
    }

    private Carrier adopt(Carrier next) {
        generation = next.generation;
        current = next;
        closeSent = false;
        ackDue = null; // what it owes already is said at once
        if (role == Role.SERVER && id != null) {
            next.heldDue = true;
        }
        return next;
    }

    /** How many bytes {@link #write} has taken in all. */
    public long written() {
        return outbox.written();
    }

    /** How many of this end's bytes were ever put on a carrier. */
    public long sent() {
        return outbox.sent();
    }

    /** The current carrier; null: there is none. */
    public @Nullable Carrier current() {
        return current;
    }

    /** The current carrier is lost: until the next one nothing comes or goes. */
    public void park() {
        current = null;
        ackDue = null;
        outbox.trim();
        inbox.trim();
    }

    /**
     * When {@link Carrier#fill} has something to do though nothing happens before; by then {@link
     * Carrier#wants} says so.
     */
    public Moment wakeAt() {
        return current == null || ackDue == null || closeSent ? Moment.NEVER : ackDue;
    }

    /** What it occupies, in bytes. */
    public int memory() {
        return outbox.memory() + inbox.memory();
    }

    /** Gives memory back that an idle tether does not need. */
    public void trim() {
        outbox.trim();
        inbox.trim();
    }

    /**
     * What reading a carrier brought, beside bytes.
     *
     * @param bytes how many bytes were new
     * @param pong when the PING was sent that was answered; null: none was
     * @param fault what the peer did wrong; null: nothing. The carrier is then of no more use
     * @param held whether the tether has just become resumable, or its hold has changed
     */
    public record News(long bytes, @Nullable Moment pong, @Nullable Fault fault, boolean held) {}

    /** One connection under the tether, from the byte after the last line or RESUMED on. */
    public final class Carrier {

        private final long generation;
        private final FrameReader reader = new FrameReader();
        // Offsets of this end's stream: sent on this carrier up to, acknowledged on it up to.
        private long sendAt;
        private long acknowledgedAt;
        // Offsets of the other end's: received on this carrier up to, acknowledged on it up to.
        private long receiveAt;
        private long toldAt;
        private boolean heldDue;
        private long heldToken = -1;
        private boolean pingDue;
        private long pings;
        private @Nullable Moment pinged;
        private long pongDue = -1;
        private Moment pingAsked = Moment.ZERO;

        private Carrier(
                long generation, long sendAt, long receiveAt, long acknowledgedAt, long toldAt) {
            this.generation = generation;
            this.sendAt = sendAt;
            this.receiveAt = receiveAt;
            this.acknowledgedAt = acknowledgedAt;
            this.toldAt = toldAt;
        }

        /** 0 for the first, then as the client counted. */
        public long generation() {
            return generation;
        }

        /** Asks the other end for a sign of life; {@code now} comes back with the answer. */
        public void ping(Moment now) {
            pingDue = true;
            pingAsked = now;
        }

        /** Whether {@link #fill} has anything to say; after CLOSE it has nothing. */
        public boolean wants(Moment now) {
            return this == current
                    && !closeSent
                    && (heldDue
                            || pingDue
                            || pongDue >= 0
                            || ackNow(now)
                            || sendAt < outbox.written()
                            || closing >= 0);
        }

        /**
         * Up to where this carrier may acknowledge. What an older one brought meanwhile the other
         * end sends again here, and must still have: it is acknowledged when that has come.
         */
        private long toTell() {
            return Math.min(inbox.taken(), receiveAt);
        }

        private long owed() {
            return toTell() - toldAt;
        }

        private boolean ackNow(Moment now) {
            long owed = owed();
            return owed > 0
                    && (owed >= inbox.window() / ACK_SHARE
                            || ackDue == null
                            || !now.isBefore(ackDue));
        }

        /**
         * What is to be sent next, as pieces to be written in this order: what is kept is among
         * them where it lies. From here on it counts as sent.
         *
         * @param most how many bytes in all; at least 128
         * @return none: nothing is to be said now
         */
        public ByteBuffer[] next(int most, Moment now) {
            if (this != current || closeSent) {
                return NOTHING;
            }
            List<ByteBuffer> pieces = new ArrayList<>(4);
            boolean data = sendAt < outbox.written();
            byte[] heads = new byte[Math.min(most, MOST_HEADS)];
            int end = heads.length;
            int at = 0;
            if (heldDue && id != null) {
                at = new Frame.Held(holdSeconds, id).write(heads, at);
                heldDue = false;
                heldToken = pings + 1;
                ping(now);
            }
            if (pingDue && fits(at, end)) {
                at = new Frame.Ping(++pings).write(heads, at);
                pinged = pingAsked;
                pingDue = false;
            }
            if (pongDue >= 0 && fits(at, end)) {
                at = new Frame.Pong(pongDue).write(heads, at);
                pongDue = -1;
            }
            long tell = toTell();
            if (tell > toldAt && (data || ackNow(now)) && fits(at, end)) {
                at = new Frame.Ack(tell - toldAt).write(heads, at);
                toldAt = tell;
                ackDue = null;
            }
            int told = 0;
            int left = most - at;
            while (sendAt < outbox.written()
                    && left > FRAME_OVERHEAD
                    && at + FRAME_OVERHEAD <= end) {
                ByteBuffer some =
                        outbox.kept(sendAt, Math.min(Frame.MOST_DATA, left - FRAME_OVERHEAD));
                int head = Frame.head(Frame.DATA, some.remaining(), heads, at) - at;
                at += head;
                left -= head + some.remaining();
                pieces.add(ByteBuffer.wrap(heads, told, at - told));
                pieces.add(some);
                told = at;
                sendAt += some.remaining();
            }
            outbox.sentTo(sendAt);
            if (closing >= 0
                    && sendAt == outbox.written()
                    && left >= Frame.LONGEST_CONTROL
                    && fits(at, end)) {
                at = new Frame.Close(closing).write(heads, at);
                closeSent = true;
            }
            if (at > told) {
                pieces.add(ByteBuffer.wrap(heads, told, at - told));
            }
            return pieces.toArray(ByteBuffer[]::new);
        }

        /**
         * The same, copied into one array.
         *
         * @param length at least 128
         * @return how many bytes were written; 0: nothing is to be said now
         */
        public int fill(byte[] into, int offset, int length, Moment now) {
            int at = offset;
            for (ByteBuffer piece : next(length, now)) {
                int some = piece.remaining();
                piece.get(into, at, some);
                at += some;
            }
            return at - offset;
        }

        /** Reads what the carrier brought; nothing if it is no longer the current one. */
        public News received(byte[] bytes, int offset, int length, Moment now) {
            return received(ByteBuffer.wrap(bytes, offset, length), null, now);
        }

        /**
         * The same, and what is the next that the program is to have goes straight to it.
         *
         * @param into the program's; may be the memory of {@code bytes}, before them. Null: {@link
         *     Tether#take} gives it all
         */
        public News received(ByteBuffer bytes, @Nullable ByteBuffer into, Moment now) {
            if (this != current) {
                return new News(0, null, null, false);
            }
            Reading reading = new Reading(into, now);
            reader.read(bytes, reading);
            return new News(reading.bytes, reading.pong, reader.fault(), reading.held);
        }

        private final class Reading implements FrameReader.Sink {
            private final @Nullable ByteBuffer into;
            private final Moment now;
            private long bytes;
            private @Nullable Moment pong;
            private boolean held;

            Reading(@Nullable ByteBuffer into, Moment now) {
                this.into = into;
                this.now = now;
            }

            @Override
            public @Nullable Fault data(ByteBuffer data) {
                if (peerClosed >= 0) {
                    return Fault.AFTER_CLOSE;
                }
                int length = data.remaining();
                Fault fault = null;
                if (into != null && into.remaining() >= length && inbox.nextAt(receiveAt)) {
                    into.put(data);
                    inbox.pass(length);
                } else {
                    fault = inbox.receive(receiveAt, data);
                }
                if (fault == null) {
                    receiveAt += length;
                    bytes += length;
                    acknowledgeSoon(now);
                }
                return fault;
            }

            @Override
            public @Nullable Fault frame(Frame frame) {
                if (peerClosed >= 0) {
                    return Fault.AFTER_CLOSE;
                }
                return switch (frame) {
                    case Frame.Ack ack -> acknowledge(ack.delta());
                    case Frame.Ping ping -> {
                        pongDue = ping.token();
                        yield null;
                    }
                    case Frame.Pong answer -> answered(answer.token());
                    case Frame.Held name -> name(name);
                    case Frame.Close close -> {
                        peerClosed = close.reason();
                        yield null;
                    }
                    case Frame.Resumed _, Frame.Refused _ -> Fault.UNKNOWN_FRAME;
                };
            }

            private @Nullable Fault acknowledge(long delta) {
                if (delta == 0 || delta > sendAt - acknowledgedAt) {
                    return Fault.BAD_ACKNOWLEDGEMENT;
                }
                acknowledgedAt += delta;
                outbox.acknowledge(acknowledgedAt);
                return null;
            }

            private @Nullable Fault answered(long token) {
                if (token < 1 || token > pings) {
                    return Fault.BAD_PONG;
                }
                if (token == pings && pinged != null) {
                    pong = pinged;
                    pinged = null;
                }
                if (heldToken >= 0 && token >= heldToken) {
                    heldToken = -1;
                    held = Tether.this.held != (holdSeconds > 0);
                    Tether.this.held = holdSeconds > 0;
                }
                return null;
            }

            private @Nullable Fault name(Frame.Held name) {
                if (role == Role.SERVER || (id != null && !id.equals(name.id()))) {
                    return Fault.UNKNOWN_FRAME;
                }
                id = name.id();
                holdSeconds = name.seconds();
                Tether.this.held = name.seconds() > 0;
                held = true;
                return null;
            }
        }
    }

    /** The head of a DATA frame, at most. */
    private static final int FRAME_OVERHEAD = 1 + 3;

    /** What is not data in one sending: some frames of other kinds, and the heads of sixteen. */
    private static final int MOST_HEADS = 3 * Frame.LONGEST_CONTROL + 16 * FRAME_OVERHEAD;

    private static final ByteBuffer[] NOTHING = {};

    private static boolean fits(int at, int end) {
        return end - at >= Frame.LONGEST_CONTROL;
    }
}
