package holdfast.lab.middlebox;

import holdfast.core.time.Moment;
import java.util.ArrayList;
import java.util.Comparator;
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
 */
public final class Path {

    private final List<Slot<?>> slots = new ArrayList<>();
    private final PriorityQueue<Due> dues =
            new PriorityQueue<>(
                    Comparator.comparing(Due::at)
                            // A box whose time has come acts before what arrives in that moment.
                            .thenComparing(due -> due.packet != null)
                            .thenComparingLong(Due::order));
    private long order;

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
            if (slots.get(i).box.scope() == Middlebox.Scope.FLOW) {
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
        dues.removeIf(due -> due.flow.equals(flow));
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
     * How many packets and timers are waiting; bounded by what is under way plus one for each box
     * and flow.
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
        Turn<?> turn = slot.on(flow, event, now);
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
        Slot<?> slot = slots.get(due.slot);
        if (slot.timerFired(due.flow, due.at)) {
            tell(due.slot, due.flow, new Event.TimePassed(), due.at, happenings);
        }
    }

    /**
     * One timer at most lies in the queue for each box and flow. It is left there when the box puts
     * its moment off, as it does with every packet, and asks again when it fires.
     */
    private void schedule(int i, Flow flow) {
        Moment wake = slots.get(i).schedule(flow);
        if (wake != null) {
            dues.add(new Due(wake, order++, i, slots.get(i).key(flow), null));
        }
    }

    /** Something that happens by itself: a packet arrives at a box, or a box's time has come. */
    private record Due(Moment at, long order, int slot, Flow flow, @Nullable Packet packet) {}

    /** One box and what it remembers. */
    private static final class Slot<S> {

        private final Middlebox<S> box;
        private final Map<Flow, Memory<S>> flows = new HashMap<>();
        // What was asked for last, which is what is asked for next: most paths carry one flow.
        private @Nullable Flow latestKey;
        private @Nullable Memory<S> latest;

        Slot(Middlebox<S> box) {
            this.box = box;
            if (box.scope() == Middlebox.Scope.PATH) {
                memory(Flow.EVERY);
            }
        }

        Flow key(Flow flow) {
            return box.scope() == Middlebox.Scope.PATH ? Flow.EVERY : flow;
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

        Turn<S> on(Flow flow, Event event, Moment now) {
            Memory<S> memory = memory(flow);
            Turn<S> turn = box.on(memory.state, event, now);
            memory.state = turn.next();
            return turn;
        }

        /** The moment to put into the queue, or null where an earlier one lies there already. */
        @Nullable Moment schedule(Flow flow) {
            Memory<S> memory = memory(flow);
            Moment wake = box.wakeAt(memory.state);
            if (wake.equals(Moment.NEVER) || !wake.isBefore(memory.queued)) {
                return null;
            }
            memory.queued = wake;
            return wake;
        }

        Moment wakeAt(Flow flow) {
            Memory<S> memory = flows.get(flow);
            return memory == null ? Moment.NEVER : box.wakeAt(memory.state);
        }

        /** Whether this is the timer that counts: an earlier one may have taken its place. */
        boolean timerFired(Flow flow, Moment at) {
            Memory<S> memory = flows.get(flow);
            if (memory == null || !memory.queued.equals(at)) {
                return false;
            }
            memory.queued = Moment.NEVER;
            return true;
        }
    }

    private static final class Memory<S> {
        private S state;
        private Moment queued = Moment.NEVER;

        Memory(S state) {
            this.state = state;
        }
    }
}
