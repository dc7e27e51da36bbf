package holdfast.lab.middlebox;

import holdfast.core.time.Moment;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.PriorityQueue;
import org.jspecify.annotations.Nullable;

/**
 * A way from a client to a server: middleboxes in a row, the one nearest to the client first, and
 * what is under way between them.
 *
 * <p>Deterministic: the same calls with the same moments give the same answers. A packet that one
 * box delays meets the next box when it gets there, not before, and a RST or FIN that a box sends
 * has to pass the boxes on its own way (so that one may vanish in another's silence). Owned by one
 * thread; moments handed in never go back.
 *
 * <p>Bounded: one timer for each box and flow, {@value #MOST_UNDER_WAY} packets under way, and what
 * each box remembers of flows that have not {@link #ended}.
 */
public final class Path {

    /**
     * How many packets may be held back by boxes at once; what comes beyond is lost. A hundred
     * times what Linux lets wait on a device by default, so that no setting of a delay meets it
     * with a few connections.
     */
    public static final int MOST_UNDER_WAY = 100_000;

    private final List<Slot<?>> slots = new ArrayList<>();
    private final PriorityQueue<Due> dues = new PriorityQueue<>();
    private long order;
    private int underWay;
    // Boxes are told of a crowd for each flow, and those that come later find it there.
    private Event.@Nullable Crowd crowd;

    private Path(List<? extends Middlebox<?>> boxes) {
        for (Middlebox<?> box : boxes) {
            slots.add(new Slot<>(box));
        }
    }

    /** A path through {@code boxes}, the one nearest to the client first. */
    public static Path of(List<? extends Middlebox<?>> boxes) {
        return new Path(boxes);
    }

    /** A path through {@code boxes}, the one nearest to the client first. */
    public static Path of(Middlebox<?>... boxes) {
        return new Path(List.of(boxes));
    }

    /** A packet sets out from the end it comes from. */
    public List<Happening> send(Packet packet, Moment now) {
        List<Happening> happenings = advance(now);
        travel(packet, first(packet.direction()), now, happenings);
        return happenings;
    }

    /** Everything that happens up to {@code now} and has not been told. */
    public List<Happening> advance(Moment now) {
        List<Happening> happenings = new ArrayList<>();
        Due due;
        while ((due = dues.peek()) != null && due.at.compareTo(now) <= 0) {
            dues.remove();
            if (due.packet != null) {
                underWay--;
                travel(due.packet, due.slot, due.at, happenings);
            } else {
                wake(due, happenings);
            }
        }
        return happenings;
    }

    /** Somebody meddles with every box and every flow: {@link Event.Cut} and its like. */
    public List<Happening> meddle(Event event, Moment now) {
        List<Happening> happenings = advance(now);
        switch (event) {
            case Event.Crowd crowded -> crowd = crowded;
            case Event.Heal _ -> crowd = null;
            case Packet _, Event.TimePassed _, Event.ByHand _ -> {}
        }
        for (int i = 0; i < slots.size(); i++) {
            for (Flow flow : List.copyOf(slots.get(i).flows.keySet())) {
                tell(i, flow, event, now, happenings);
            }
        }
        return happenings;
    }

    /** Somebody meddles with one flow in every box. */
    public List<Happening> meddle(Flow flow, Event event, Moment now) {
        List<Happening> happenings = advance(now);
        for (int i = 0; i < slots.size(); i++) {
            if (!slots.get(i).shared) {
                tell(i, flow, event, now, happenings);
            }
        }
        return happenings;
    }

    /** Both ends of {@code flow} are gone: nothing of it need be remembered. */
    public void ended(Flow flow) {
        for (Slot<?> slot : slots) {
            slot.flows.remove(flow);
            slot.latest = null;
        }
        dues.removeIf(due -> {
            boolean gone = due.flow.equals(flow);
            underWay -= gone && due.packet != null ? 1 : 0;
            return gone;
        });
    }

    /** When {@link #advance} will next have something to tell, unless something sets out before. */
    public Moment wakeAt() {
        Due due = dues.peek();
        return due == null ? Moment.NEVER : due.at;
    }

    /**
     * When a box will do something to {@code flow} by itself, unless a packet puts it off: expire
     * it, for one. {@link Moment#NEVER} if none will.
     */
    public Moment wakeAt(Flow flow) {
        Moment wake = Moment.NEVER;
        for (Slot<?> slot : slots) {
            wake = Moment.earlier(wake, slot.wakeAt(flow));
        }
        return wake;
    }

    /**
     * How many packets and timers are waiting: at most {@link #MOST_UNDER_WAY}, and one for each
     * box and flow.
     */
    int pending() {
        return dues.size();
    }

    private int first(Direction direction) {
        return direction == Direction.TO_SERVER ? 0 : slots.size() - 1;
    }

    private void travel(Packet sent, int from, Moment now, List<Happening> happenings) {
        Packet packet = sent;
        int step = packet.direction() == Direction.TO_SERVER ? 1 : -1;
        for (int i = from; i >= 0 && i < slots.size(); i += step) {
            switch (tell(i, packet.flow(), packet, now, happenings)) {
                case Verdict.Pass pass when pass.after().isZero() -> {}
                case Verdict.Pass pass -> {
                    if (underWay == MOST_UNDER_WAY) {
                        happenings.add(lost(packet, i, "too much is under way", false, now));
                        return;
                    }
                    underWay++;
                    Moment arrives = now.plus(pass.after());
                    dues.add(new Due(arrives, order++, i + step, packet.flow(), packet));
                    return;
                }
                case Verdict.Remap remap -> packet = packet.mappedTo(remap.mapping());
                case Verdict.Drop drop -> {
                    happenings.add(lost(packet, i, drop.reason(), false, now));
                    return;
                }
                case Verdict.Absorb absorb -> {
                    happenings.add(lost(packet, i, absorb.reason(), true, now));
                    return;
                }
                case Verdict.Reset reset -> {
                    happenings.add(lost(packet, i, reset.reason(), false, now));
                    return;
                }
                case Verdict.Close close -> {
                    happenings.add(lost(packet, i, close.reason(), false, now));
                    return;
                }
                case Verdict.Quiet _ ->
                        throw new IllegalStateException(
                                slots.get(i).box.name() + " has no verdict on " + packet);
            }
        }
        happenings.add(new Happening.Delivered(packet, now));
    }

    private Happening lost(Packet packet, int i, String reason, boolean acknowledged, Moment now) {
        return new Happening.Lost(packet, slots.get(i).box.name(), reason, acknowledged, now);
    }

    /** Tells box {@code i} of an event, notes what changed and sends off what it sends. */
    private Verdict tell(int i, Flow flow, Event event, Moment now, List<Happening> happenings) {
        Slot<?> slot = slots.get(i);
        Turn<?> turn = slot.on(flow, event, crowd, now);
        if (turn.note() != Turn.Note.NOTHING) {
            happenings.add(new Happening.Noted(flow, slot.box.name(), turn.note(), now));
        }
        schedule(i, flow);
        int mapping = event instanceof Packet packet ? packet.mapping() : 0;
        switch (turn.verdict()) {
            case Verdict.Reset(Verdict.Whom whom, _) -> {
                if (whom != Verdict.Whom.SERVER) {
                    sendFrom(
                            i,
                            Packet.rst(flow, Direction.TO_CLIENT).mappedTo(mapping),
                            now,
                            happenings);
                }
                if (whom != Verdict.Whom.CLIENT) {
                    sendFrom(
                            i,
                            Packet.rst(flow, Direction.TO_SERVER).mappedTo(mapping),
                            now,
                            happenings);
                }
            }
            case Verdict.Close _ -> {
                sendFrom(
                        i,
                        Packet.fin(flow, Direction.TO_CLIENT).mappedTo(mapping),
                        now,
                        happenings);
                sendFrom(
                        i,
                        Packet.fin(flow, Direction.TO_SERVER).mappedTo(mapping),
                        now,
                        happenings);
            }
            case Verdict.Quiet _,
                    Verdict.Pass _,
                    Verdict.Remap _,
                    Verdict.Drop _,
                    Verdict.Absorb _ -> {}
        }
        return turn.verdict();
    }

    private void sendFrom(int i, Packet packet, Moment now, List<Happening> happenings) {
        travel(packet, packet.direction() == Direction.TO_SERVER ? i + 1 : i - 1, now, happenings);
    }

    private void wake(Due due, List<Happening> happenings) {
        if (slots.get(due.slot).fired(due)) {
            tell(due.slot, due.flow, new Event.TimePassed(), due.at, happenings);
        }
    }

    /**
     * One timer at most lies in the queue for each box and flow. It is left there when the box puts
     * its moment off, as it does with every packet, and asks again when it fires; when the box
     * wants to be woken earlier, as seldom happens, it is replaced.
     */
    private void schedule(int i, Flow flow) {
        Slot<?> slot = slots.get(i);
        Moment wake = slot.earlier(flow);
        if (wake != null) {
            Due due = new Due(wake, order++, i, slot.key(flow), null);
            Due before = slot.queue(flow, due);
            if (before != null) {
                dues.remove(before);
            }
            dues.add(due);
        }
    }

    /** Something that happens by itself: a packet arrives at a box, or a box's time has come. */
    private record Due(Moment at, long order, int slot, Flow flow, @Nullable Packet packet)
            implements Comparable<Due> {

        @Override
        public int compareTo(Due other) {
            if (!at.equals(other.at)) {
                return at.compareTo(other.at);
            }
            // A box whose time has come acts before what arrives in that moment.
            return (packet == null) == (other.packet == null)
                    ? Long.compare(order, other.order)
                    : packet == null ? -1 : 1;
        }
    }

    /** One box and what it remembers. */
    private static final class Slot<S> {

        private final Middlebox<S> box;
        private final boolean shared;
        private final Map<Flow, Memory<S>> flows = new HashMap<>();
        // What was asked for last, which is what is asked for next: most paths carry one flow.
        private @Nullable Flow latestKey;
        private @Nullable Memory<S> latest;

        Slot(Middlebox<S> box) {
            this.box = box;
            shared = box.scope() == Middlebox.Scope.PATH;
            if (shared) {
                memory(Flow.EVERY);
            }
        }

        Flow key(Flow flow) {
            return shared ? Flow.EVERY : flow;
        }

        private Memory<S> memory(Flow flow) {
            Flow key = key(flow);
            Memory<S> known = latest;
            if (known != null && key.equals(latestKey)) {
                return known;
            }
            Memory<S> memory = flows.computeIfAbsent(key, k -> new Memory<>(box.start(k)));
            latestKey = key;
            latest = memory;
            return memory;
        }

        Turn<S> on(Flow flow, Event event, Event.@Nullable Crowd crowd, Moment now) {
            Memory<S> memory = memory(flow);
            if (memory.fresh && crowd != null) {
                memory.state = box.on(memory.state, crowd, now).next();
            }
            memory.fresh = false;
            Turn<S> turn = box.on(memory.state, event, now);
            memory.state = turn.next();
            return turn;
        }

        /** The moment to put into the queue, or null where an earlier one lies there already. */
        @Nullable Moment earlier(Flow flow) {
            Memory<S> memory = memory(flow);
            Moment wake = box.wakeAt(memory.state);
            Due queued = memory.queued;
            boolean early = queued == null || wake.isBefore(queued.at);
            return early && !wake.equals(Moment.NEVER) ? wake : null;
        }

        /** What lay in the queue before, if anything did. */
        @Nullable Due queue(Flow flow, Due due) {
            Memory<S> memory = memory(flow);
            Due before = memory.queued;
            memory.queued = due;
            return before;
        }

        Moment wakeAt(Flow flow) {
            Memory<S> memory = flows.get(flow);
            return memory == null ? Moment.NEVER : box.wakeAt(memory.state);
        }

        /** Takes note that this timer is no longer in the queue; false: nobody waits for it. */
        boolean fired(Due due) {
            Memory<S> memory = flows.get(due.flow);
            if (memory == null || !due.equals(memory.queued)) {
                return false;
            }
            memory.queued = null;
            return true;
        }
    }

    private static final class Memory<S> {
        private S state;
        private boolean fresh = true;
        private @Nullable Due queued;

        Memory(S state) {
            this.state = state;
        }
    }
}
