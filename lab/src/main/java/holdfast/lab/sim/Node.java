package holdfast.lab.sim;

import holdfast.core.liveness.Cause;
import holdfast.core.liveness.Link;
import holdfast.core.liveness.LinkCommand;
import holdfast.core.liveness.LinkEvent;
import holdfast.core.liveness.LinkState;
import holdfast.core.liveness.LivenessPolicy;
import holdfast.core.liveness.Phase;
import holdfast.core.liveness.Step;
import holdfast.core.time.Moment;
import holdfast.lab.middlebox.Direction;
import holdfast.lab.middlebox.End;
import holdfast.lab.middlebox.Flow;
import holdfast.lab.middlebox.Packet;
import holdfast.lab.sim.Run.How;
import holdfast.lab.sim.Run.Rule;
import holdfast.lab.sim.Sender.Segment;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.HashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * One end of the simulated connection: a machine that may sleep, a kernel with one TCP socket, and
 * a program that may be stopped, with the same loop around the decision as the client's.
 */
final class Node {

    /** The first connection of a run. */
    static final Flow FLOW = new Flow(1);

    /** No packet of the stream: an acknowledgement that is TCP's own keepalive. */
    private static final long KEEPALIVE = -1;

    /** net.ipv4.tcp_keepalive_time, _intvl and _probes. */
    private static final Duration KEEPALIVE_AFTER = Duration.ofHours(2);

    private static final Duration KEEPALIVE_EVERY = Duration.ofSeconds(75);
    private static final int KEEPALIVE_PROBES = 9;

    /** How many segments a stopped program's kernel takes before its window is shut. */
    private static final int RECEIVE_BUFFER = 40;

    /** How many segments may wait to be sent before the program has to wait. */
    private static final int SEND_BUFFER = 64;

    /** As the client's loop: how late a sleep, or bytes that nobody posts, are noticed at most. */
    private static final Duration LOOK_ROUND = Duration.ofSeconds(5);

    /** How long the reader of a program may need to run after the loop has, once it was stopped. */
    private static final long READER_LATE = 100_000_000L;

    private static final LinkEvent TIME_PASSED = new LinkEvent.TimePassed();

    private enum Tcp {
        NONE,
        OPENING,
        OPEN,
        /** The program is gone; the kernel still tries to say so. */
        CLOSING,
        GONE
    }

    private final World world;
    private final Tie tie;
    private final Flow flow;
    private final End end;
    private final Direction direction;
    private final Scenario.Side side;
    private final @Nullable LivenessPolicy policy;
    private final @Nullable Referee referee;

    // the kernel's
    private final Sender<Message> sender = new Sender<>();
    private final Receiver<Message> receiver = new Receiver<>();
    private final Map<Long, Segment<Message>> underWay = new HashMap<>();
    private final Deque<Message> unread = new ArrayDeque<>();
    private Tcp tcp = Tcp.NONE;
    private long acknowledged;
    private boolean shut;
    private boolean refused;
    private Moment keepaliveAt = Moment.NEVER;
    private int keepalives;

    // the machine's
    private int sleeps;
    private int stops;
    private @Nullable Moment asleepSince;
    private @Nullable Moment stoppedSince;
    private Moment readsFrom = Moment.ZERO;
    private boolean resuming;

    // the program's
    private boolean running;
    private @Nullable LinkState state;
    private Moment wakeAt = Moment.NEVER;
    private Moment lookAt = Moment.NEVER;
    private Moment lookedAt = Moment.ZERO;
    private Duration slept = Duration.ZERO;
    private Moment lastByte = Moment.ZERO;
    private Moment lastPacket = Moment.ZERO;
    private Moment toldByte = Moment.ZERO;
    private Moment toldPacket = Moment.ZERO;
    private boolean listeningForSpeech = true;
    private boolean session;
    private Moment saysAt = Moment.NEVER;
    private int scripted;

    // what became of it
    private @Nullable Moment up;
    private @Nullable Moment died;
    private @Nullable How how;
    private @Nullable How endsBy;
    private @Nullable Cause cause;
    private int keys;
    private int lines;
    private Moment sameMoment = Moment.ZERO;
    private int stepsAtOnce;

    Node(World world, Tie tie, End end, Scenario.Side side, Moment now) {
        this.world = world;
        this.tie = tie;
        flow = tie.flow;
        this.end = end;
        this.side = side;
        direction = end.speaks();
        policy = side.policy();
        referee = policy == null ? null : new Referee(this, policy);
        // What was over before this connection began does not concern it.
        while (sleeps < side.asleep().size() && !now.isBefore(side.asleep().get(sleeps).to())) {
            sleeps++;
        }
        while (stops < side.stopped().size() && !now.isBefore(side.stopped().get(stops).to())) {
            stops++;
        }
    }

    // ------------------------------------------------------------------ what the world does to it

    /** The client's program asks for a connection. */
    void connect(Moment now) {
        tcp = Tcp.OPENING;
        sender.offer(Packet.Kind.OPEN, 0, Message.NOTHING);
        flush(now);
    }

    /** When this end has something to do by itself. */
    Moment wakeAt() {
        if (asleepSince != null) {
            return side.asleep().get(sleeps).to();
        }
        Moment next = Moment.earlier(sender.wakeAt(), keepaliveAt);
        if (sleeps < side.asleep().size()) {
            next = Moment.earlier(next, side.asleep().get(sleeps).from());
        }
        if (!running) {
            return next;
        }
        if (stoppedSince != null) {
            return Moment.earlier(next, side.stopped().get(stops).to());
        }
        if (stops < side.stopped().size()) {
            next = Moment.earlier(next, side.stopped().get(stops).from());
        }
        if (!unread.isEmpty()) {
            next = Moment.earlier(next, readsFrom);
        }
        return Moment.earlier(next, Moment.earlier(loopAt(), saysAt));
    }

    private Moment loopAt() {
        return slept.isZero() ? Moment.earlier(wakeAt, lookAt) : lookAt;
    }

    /** Whatever has come due by {@code now}. */
    void advance(Moment now) {
        if (asleepSince != null) {
            if (now.isBefore(side.asleep().get(sleeps).to())) {
                return;
            }
            wake(now);
        } else if (sleeps < side.asleep().size()
                && !now.isBefore(side.asleep().get(sleeps).from())) {
            asleepSince = now;
            tie.trouble(now);
            return;
        }
        kernel(now);
        if (running) {
            program(now);
        }
        flush(now);
    }

    private void wake(Moment now) {
        Duration gap = now.since(asleepSince == null ? now : asleepSince);
        asleepSince = null;
        sleeps++;
        tie.trouble(now);
        sender.slept(gap);
        keepaliveAt = keepaliveAt.plus(gap);
        if (running && state != null) {
            slept = slept.plus(gap);
            lookAt = now.plus(Duration.ofNanos(world.chance(LOOK_ROUND.toNanos())));
            saysAt = Moment.later(saysAt, lookAt);
        }
    }

    private void kernel(Moment now) {
        if (!now.isBefore(keepaliveAt) && tcp == Tcp.OPEN) {
            if (!sender.settled()) {
                keepaliveAt = now.plus(KEEPALIVE_AFTER);
            } else if (keepalives == KEEPALIVE_PROBES) {
                gone(How.TCP_KEEPALIVE, now);
            } else {
                keepalives++;
                keepaliveAt = now.plus(KEEPALIVE_EVERY);
                emit(Packet.Kind.ACK, KEEPALIVE, 0);
            }
        }
    }

    private void program(Moment now) {
        if (stoppedSince != null) {
            if (now.isBefore(side.stopped().get(stops).to())) {
                return;
            }
            resume(now);
            if (!running) {
                return;
            }
        } else if (stops < side.stopped().size()
                && !now.isBefore(side.stopped().get(stops).from())) {
            stoppedSince = now;
            tie.trouble(now);
            return;
        }
        if (!unread.isEmpty() && !now.isBefore(readsFrom)) {
            read(now);
        }
        if (running && !now.isBefore(loopAt())) {
            look(null, now);
        }
        if (running && !now.isBefore(saysAt)) {
            speak(now);
        }
        if (referee != null && slept.isZero()) {
            referee.overdue(now.nanos());
        }
    }

    private void resume(Moment now) {
        Duration length = now.since(stoppedSince == null ? now : stoppedSince);
        tie.trouble(now);
        stops++;
        boolean loopFirst = world.chance(2) == 0;
        readsFrom = loopFirst ? now.plus(Duration.ofNanos(world.chance(READER_LATE))) : now;
        if (referee != null) {
            referee.resumed(length.toNanos(), now.nanos());
        }
        resuming = true;
        stoppedSince = null;
        if (endsBy != null) {
            leave(endsBy, now);
        }
    }

    /** A packet came out of the path at this end. */
    void receive(Packet packet, Moment now) {
        if (asleepSince != null) {
            tie.trouble(now);
            return;
        }
        if (packet.mapping() != 0) {
            if (end == End.SERVER && packet.kind() != Packet.Kind.RST) {
                world.send(Packet.rst(flow, direction).mappedTo(packet.mapping()));
            }
            return;
        }
        if (tcp == Tcp.GONE || (tcp == Tcp.NONE && packet.kind() != Packet.Kind.OPEN)) {
            if (packet.kind() != Packet.Kind.RST) {
                world.send(Packet.rst(flow, direction));
            }
            return;
        }
        if (tcp == Tcp.OPEN) {
            keepalives = 0;
            keepaliveAt = side.tcpKeepAlive() ? now.plus(KEEPALIVE_AFTER) : Moment.NEVER;
        }
        switch (packet.kind()) {
            case RST -> gone(How.RESET, now);
            case ACK -> acknowledgement(packet.sequence(), now);
            case OPEN, DATA, FIN -> segment(packet, now);
        }
        flush(now);
    }

    private void segment(Packet packet, Moment now) {
        if (packet.kind() == Packet.Kind.FIN && packet.sequence() == 0) {
            // From a box: it ends the stream wherever it is.
            finished(How.CLOSED, now);
            return;
        }
        if (packet.kind() == Packet.Kind.DATA && tcp == Tcp.CLOSING) {
            world.send(Packet.rst(flow, direction));
            gone(How.CLOSED, now);
            return;
        }
        if (tcp == Tcp.NONE) {
            tcp = Tcp.OPENING;
            sender.offer(Packet.Kind.OPEN, 0, Message.NOTHING);
        }
        Segment<Message> segment = tie.other(this).underWay.get(packet.sequence());
        if (segment != null
                && packet.kind() == Packet.Kind.DATA
                && unread.size() >= RECEIVE_BUFFER) {
            shut = true;
        } else if (segment != null) {
            for (Segment<Message> ready : receiver.received(segment)) {
                switch (ready.kind()) {
                    case OPEN -> {
                        if (end == End.CLIENT) {
                            opened(now);
                        }
                    }
                    case DATA -> unread.add(ready.payload());
                    case FIN -> finished(How.CLOSED, now);
                    case ACK, RST -> throw new IllegalStateException("not of a stream: " + ready);
                }
            }
        }
        if (tcp != Tcp.GONE) {
            emit(Packet.Kind.ACK, receiver.expected(), 0);
        }
        if (running && stoppedSince == null && !now.isBefore(readsFrom)) {
            read(now);
        }
    }

    private void acknowledgement(long upTo, Moment now) {
        if (upTo == KEEPALIVE) {
            emit(Packet.Kind.ACK, receiver.expected(), 0);
            return;
        }
        if (tie.other(this).shut) {
            refused = true;
            sender.refused();
        } else if (refused) {
            refused = false;
            sender.roomAgain(now);
        }
        for (Segment<Message> again : sender.acknowledged(upTo, now)) {
            emit(again.kind(), again.sequence(), again.bytes());
        }
        while (acknowledged < upTo) {
            underWay.remove(acknowledged++);
        }
        if (tcp == Tcp.OPENING && end == End.SERVER && upTo > 0) {
            opened(now);
        }
    }

    /** A box made the sender believe that this segment arrived. */
    void absorbed(Packet packet, Moment now) {
        if (packet.kind() == Packet.Kind.DATA || packet.kind() == Packet.Kind.FIN) {
            acknowledgement(packet.sequence() + 1, now);
            flush(now);
        }
    }

    private void flush(Moment now) {
        if (tcp == Tcp.GONE || tcp == Tcp.NONE) {
            return;
        }
        for (Segment<Message> segment : sender.due(now)) {
            underWay.put(segment.sequence(), segment);
            emit(segment.kind(), segment.sequence(), segment.bytes());
        }
        if (sender.givenUp()) {
            gone(How.RETRANSMISSION_GIVEN_UP, now);
        }
        if (underWay.size() > 2 * SEND_BUFFER || unread.size() > 2 * RECEIVE_BUFFER) {
            broken(
                    Rule.BOUNDED_MEMORY,
                    now,
                    underWay.size() + " segments under way, " + unread.size() + " unread");
        }
    }

    private void emit(Packet.Kind kind, long sequence, int bytes) {
        world.send(new Packet(flow, direction, kind, sequence, bytes, 0));
    }

    // --------------------------------------------------------------------------- its program

    private void opened(Moment now) {
        if (tcp != Tcp.OPENING) {
            return;
        }
        tcp = Tcp.OPEN;
        running = true;
        keepaliveAt = side.tcpKeepAlive() ? now.plus(KEEPALIVE_AFTER) : Moment.NEVER;
        lastByte = now;
        lastPacket = now;
        toldByte = now;
        toldPacket = now;
        lookedAt = now;
        if (policy != null && referee != null) {
            state = Link.opening(now, now);
            wakeAt = Link.wakeAt(state, policy);
            referee.opened(now.nanos());
        }
        say(Message.hello(1));
    }

    /** The reader: takes all that the kernel has. */
    private void read(Moment now) {
        Message message;
        while (running && (message = unread.poll()) != null) {
            lastByte = now;
            boolean packet = message.kind() != Message.Kind.PIECE;
            if (packet) {
                lastPacket = now;
            }
            if (referee != null) {
                referee.heard(now.nanos(), packet);
            }
            if (lookAt.equals(Moment.NEVER) && policy != null) {
                long round = LOOK_ROUND.toNanos();
                long rounds = (now.nanos() - lookedAt.nanos()) / round + 1;
                lookAt = new Moment(lookedAt.nanos() + rounds * round);
            }
            took(message, now);
        }
        if (shut) {
            shut = false;
            emit(Packet.Kind.ACK, receiver.expected(), 0);
        }
        flush(now);
    }

    private void took(Message message, Moment now) {
        switch (message.kind()) {
            case HELLO -> hello(message.step(), now);
            case PROBE -> say(message.answered());
            case REPLY -> look(new LinkEvent.ProbeAnswered(message.sent()), now);
            case KEY -> {
                keys++;
                say(Message.LINE);
            }
            case LINE -> lines++;
            case PIECE, NOTHING -> {}
        }
    }

    private void hello(int step, Moment now) {
        if (end == End.SERVER) {
            if (step > 1) {
                say(Message.hello(step));
            }
        } else if (step < 3) {
            say(Message.hello(step + 1));
        }
        switch (step) {
            case 1 -> look(new LinkEvent.Reached(Phase.KEY_EXCHANGE), now);
            case 2 -> look(new LinkEvent.Reached(Phase.AUTHENTICATION), now);
            default -> {
                up = now;
                session = true;
                look(new LinkEvent.Authenticated(), now);
                planSpeech(now);
            }
        }
    }

    private void planSpeech(Moment now) {
        Workload workload = side.workload();
        Moment next = Moment.NEVER;
        if (!workload.pause().isZero()) {
            // From a tenth to twice the pause, now and then ten times as much.
            long pause = workload.pause().toNanos();
            long drawn = pause / 10 + world.chance(2 * pause);
            next = now.plus(Duration.ofNanos(world.chance(10) == 0 ? 10 * drawn : drawn));
        }
        if (scripted < workload.script().size()) {
            next = Moment.earlier(next, workload.script().get(scripted));
        }
        saysAt = next;
    }

    private void speak(Moment now) {
        Workload workload = side.workload();
        while (scripted < workload.script().size()
                && !now.isBefore(workload.script().get(scripted))) {
            scripted++;
        }
        Message message = end == End.CLIENT ? Message.KEY : Message.LINE;
        int most = Math.max(1, workload.burst());
        int burst = most == 1 ? 1 : 1 + (int) world.chance(most);
        for (int i = 1; i < burst; i++) {
            say(end == End.SERVER ? Message.PIECE : Message.KEY);
        }
        say(message);
        if (session && listeningForSpeech && policy != null && referee != null) {
            listeningForSpeech = false;
            referee.spoke(now.nanos());
            look(new LinkEvent.Spoke(now), now);
        }
        if (running) {
            planSpeech(now);
        }
    }

    private void say(Message message) {
        boolean may =
                message.kind() == Message.Kind.PROBE
                        || message.kind() == Message.Kind.REPLY
                        || sender.waiting() < SEND_BUFFER;
        if (may && tcp == Tcp.OPEN) {
            sender.offer(Packet.Kind.DATA, message.bytes(), message);
        }
        if (sender.waiting() > 2 * SEND_BUFFER + RECEIVE_BUFFER) {
            broken(Rule.BOUNDED_MEMORY, lastByte, sender.waiting() + " segments waiting");
        }
    }

    /** One turn of the client's LinkLoop. */
    private void look(@Nullable LinkEvent event, Moment now) {
        if (state == null) {
            return;
        }
        lookedAt = now;
        lookAt = Moment.NEVER;
        if (!slept.isZero()) {
            Duration gap = slept;
            slept = Duration.ZERO;
            step(new LinkEvent.Slept(gap), now);
        }
        if (running && (!lastByte.equals(toldByte) || !lastPacket.equals(toldPacket))) {
            toldByte = lastByte;
            toldPacket = lastPacket;
            step(new LinkEvent.Heard(lastByte, lastPacket), now);
        }
        if (running && event != null) {
            step(event, now);
        } else if (running && !now.isBefore(wakeAt)) {
            step(TIME_PASSED, now);
        }
        listeningForSpeech = true;
        resuming = false;
    }

    private void step(LinkEvent event, Moment now) {
        LinkState before = state;
        if (before == null || policy == null || referee == null) {
            return;
        }
        Step step = world.decision().on(before, event, now, policy);
        world.tell(now, end, event, step);
        if (!now.equals(sameMoment)) {
            sameMoment = now;
            stepsAtOnce = 0;
        } else if (++stepsAtOnce == MOST_AT_ONCE) {
            broken(Rule.PROGRESS, now, "asks to be woken at once again and again");
            running = false;
        }
        Moment woken = wakeAt;
        state = step.next();
        wakeAt = step.wakeAt();
        referee.judged(before, event, step, now, woken, resuming);
        for (LinkCommand command : step.commands()) {
            switch (command) {
                case LinkCommand.SendProbe probe -> say(Message.probe(probe.sent()));
                case LinkCommand.Condemn condemn -> {
                    cause = condemn.cause();
                    finished(How.CONDEMNED, now);
                }
                case LinkCommand.ShowDoubt _, LinkCommand.HideDoubt _ -> {}
            }
        }
    }

    /** Many more than the events that one moment can bring. */
    private static final int MOST_AT_ONCE = 1000;

    /**
     * The program learns that the connection is over, and leaves; its kernel says so to the peer.
     */
    private void finished(How by, Moment now) {
        if (tcp == Tcp.OPEN || tcp == Tcp.OPENING) {
            tcp = Tcp.CLOSING;
            keepaliveAt = Moment.NEVER;
            sender.offer(Packet.Kind.FIN, 0, Message.NOTHING);
        }
        leave(by, now);
    }

    /** The connection is gone: nothing of it is kept. */
    private void gone(How by, Moment now) {
        tcp = Tcp.GONE;
        sender.giveUp();
        underWay.clear();
        keepaliveAt = Moment.NEVER;
        leave(by, now);
    }

    private void leave(How by, Moment now) {
        if (stoppedSince != null) {
            endsBy = by;
            return;
        }
        if (died == null) {
            died = now;
            how = by;
        }
        if (running && state != null && referee != null) {
            running = false;
            if (by != How.CONDEMNED) {
                step(new LinkEvent.Ended(), now);
            }
            referee.ended();
        }
        running = false;
        unread.clear();
        saysAt = Moment.NEVER;
        lookAt = Moment.NEVER;
        wakeAt = Moment.NEVER;
    }

    // ------------------------------------------------------------------------ what is asked of it

    boolean over() {
        return died != null;
    }

    int unread() {
        return unread.size();
    }

    long roundTrip() {
        return world.scenario().roundTrip().toNanos();
    }

    long lastTrouble() {
        return tie.lastTrouble.nanos();
    }

    void broken(Rule rule, Moment at, String what) {
        world.broken(new Run.Violation(rule, end, at, what));
    }

    /** The last look of the referee, when the run is over. */
    void settle(Moment now) {
        if (referee != null && running && asleepSince == null && stoppedSince == null) {
            if (slept.isZero()) {
                referee.overdue(now.nanos());
            }
        }
    }

    Run.Outcome outcome() {
        return new Run.Outcome(
                up, died, how, cause, keys, lines, referee == null ? 0 : referee.probes());
    }
}
