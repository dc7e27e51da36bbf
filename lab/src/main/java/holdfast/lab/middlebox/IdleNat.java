package holdfast.lab.middlebox;

import holdfast.core.time.Moment;
import holdfast.lab.middlebox.Turn.Note;
import holdfast.lab.middlebox.Verdict.Whom;
import java.time.Duration;

/**
 * A NAT, load balancer or proxy that forgets a flow which has been idle for too long.
 *
 * <p>What differs between devices is not that they forget but what an end meets that speaks
 * afterwards: {@link Expiry} has the six ways found in the field.
 *
 * @param timeout how long a flow may be idle
 * @param granularity how often the table is searched for idle flows: the timer is exact where this
 *     is zero, and otherwise a flow lives until the next multiple of it (hash-wheel devices age in
 *     steps of 10 to 60 s)
 * @param refreshedBy which direction's packets count as activity
 * @param payloadOnly whether packets without payload (acknowledgements, TCP's own keepalives) do
 *     not count: true of everything that ends TCP and opens it anew
 * @param unsolicited what the server meets when it speaks first to a flow expired by {@link
 *     Expiry#REVIVE} or {@link Expiry#REMAP}; the other classes say it themselves
 * @param crowding when its timer is shorter because its table fills up
 */
public record IdleNat(
        Duration timeout,
        Expiry expiry,
        Duration granularity,
        Refresh refreshedBy,
        boolean payloadOnly,
        Unsolicited unsolicited,
        Crowding crowding)
        implements Middlebox<IdleNat.Entry> {

    /** What happens to a flow that was idle for too long. */
    public enum Expiry {
        /** D: packets of it vanish. Azure's load balancer, ASA, GCP Cloud NAT, EC2. */
        SILENT,
        /** R: whoever speaks gets a RST; the other end is not told. AWS NLB, IPVS. */
        RESET_SPEAKER,
        /** B: both ends get a RST the moment it expires. F5 FastL4, Azure with TCP Reset. */
        RESET_BOTH,
        /** C: both ends get a FIN the moment it expires. ALB, nginx, Envoy, HAProxy. */
        CLOSE,
        /** V: the client's next packet puts it back. Linux conntrack with tcp_loose=1. */
        REVIVE,
        /** X: the client's next packet opens another mapping. masquerade fully-random, CGN. */
        REMAP
    }

    /** Whose packets count as activity. */
    public enum Refresh {
        BOTH,
        /** Only what the client sends (RFC 4787 REQ-6 asks at least for this). */
        TO_SERVER
    }

    /** What a packet from outside meets that belongs to no flow in the table. */
    public enum Unsolicited {
        /** The NAT's own TCP answers: no such connection. Linux without a filter. */
        RESET,
        /** It vanishes. A router whose firewall drops what it does not know. */
        DROP
    }

    /**
     * What is remembered of one flow.
     *
     * @param known whether the flow is in the table
     * @param active when it was last refreshed
     * @param inside the mapping its packets have on the client's side
     * @param outside the mapping they have on the server's side
     * @param crowded since when the table is crowded by hand; {@link Moment#NEVER}: it is not
     */
    public record Entry(boolean known, Moment active, int inside, int outside, Moment crowded) {

        private Entry crowded(Moment since) {
            return new Entry(known, active, inside, outside, since);
        }
    }

    private static final Entry NEVER_SEEN = new Entry(false, Moment.ZERO, 0, 0, Moment.NEVER);

    public IdleNat {
        if (!timeout.isPositive() || granularity.isNegative()) {
            throw new IllegalArgumentException(
                    "an idle time is positive, its granularity not negative");
        }
    }

    /** The plain kind: exact timer, refreshed by any packet of either side, never crowded. */
    public static IdleNat of(Duration timeout, Expiry expiry) {
        return new IdleNat(
                timeout,
                expiry,
                Duration.ZERO,
                Refresh.BOTH,
                false,
                Unsolicited.RESET,
                Crowding.BY_HAND);
    }

    public IdleNat granularity(Duration step) {
        return new IdleNat(timeout, expiry, step, refreshedBy, payloadOnly, unsolicited, crowding);
    }

    public IdleNat refreshedBy(Refresh by) {
        return new IdleNat(timeout, expiry, granularity, by, payloadOnly, unsolicited, crowding);
    }

    public IdleNat refreshedByPayloadOnly() {
        return new IdleNat(timeout, expiry, granularity, refreshedBy, true, unsolicited, crowding);
    }

    public IdleNat unsolicited(Unsolicited meets) {
        return new IdleNat(timeout, expiry, granularity, refreshedBy, payloadOnly, meets, crowding);
    }

    public IdleNat crowded(Crowding when) {
        return new IdleNat(
                timeout, expiry, granularity, refreshedBy, payloadOnly, unsolicited, when);
    }

    @Override
    public String name() {
        return "NAT";
    }

    @Override
    public Scope scope() {
        return Scope.FLOW;
    }

    @Override
    public Entry start(Flow flow) {
        return NEVER_SEEN;
    }

    @Override
    public Moment wakeAt(Entry entry) {
        return entry.known
                ? crowding.expires(entry.active, timeout, entry.crowded, granularity)
                : Moment.NEVER;
    }

    @Override
    public Turn<Entry> on(Entry entry, Event event, Moment now) {
        return switch (event) {
            case Packet packet -> packet(entry, packet, now);
            case Event.TimePassed _ ->
                    now.isBefore(wakeAt(entry)) ? Turn.quiet(entry) : expire(entry);
            case Event.Forget _ ->
                    entry.known
                            ? new Turn<>(forgotten(entry), Verdict.QUIET, Note.FORGOTTEN)
                            : Turn.quiet(entry);
            case Event.Crowd _ -> Turn.quiet(entry.crowded(Moment.earlier(entry.crowded, now)));
            case Event.Heal _ -> Turn.quiet(entry.crowded(Moment.NEVER));
            case Event.ByHand _ -> Turn.quiet(entry);
        };
    }

    private Turn<Entry> expire(Entry entry) {
        Verdict verdict =
                switch (expiry) {
                    case SILENT, RESET_SPEAKER, REVIVE, REMAP -> Verdict.QUIET;
                    case RESET_BOTH -> new Verdict.Reset(Whom.BOTH, "idle for too long");
                    case CLOSE -> new Verdict.Close("idle for too long");
                };
        return new Turn<>(forgotten(entry), verdict, Note.FORGOTTEN);
    }

    private static Entry forgotten(Entry entry) {
        return new Entry(false, entry.active, entry.inside, entry.outside, entry.crowded);
    }

    private Turn<Entry> packet(Entry entry, Packet packet, Moment now) {
        boolean outward = packet.direction() == Direction.TO_SERVER;
        if (outward && packet.kind() == Packet.Kind.OPEN && !entry.known) {
            int mapping = packet.mapping();
            return Turn.pass(new Entry(true, now, mapping, mapping, entry.crowded));
        }
        int here = outward ? entry.inside : entry.outside;
        int beyond = outward ? entry.outside : entry.inside;
        boolean belongs = entry.known && packet.mapping() == here && now.isBefore(wakeAt(entry));
        if (belongs) {
            Verdict verdict = here == beyond ? Verdict.PASS : new Verdict.Remap(beyond);
            boolean counts =
                    (outward || refreshedBy == Refresh.BOTH)
                            && (!payloadOnly || packet.bytes() > 0);
            boolean ends = packet.kind() == Packet.Kind.RST;
            Entry next =
                    new Entry(
                            !ends,
                            counts ? now : entry.active,
                            entry.inside,
                            entry.outside,
                            entry.crowded);
            return new Turn<>(next, verdict);
        }
        if (packet.kind() == Packet.Kind.RST) {
            return new Turn<>(entry, new Verdict.Drop("belongs to no known flow"));
        }
        return outward ? clientFirst(entry, packet, now) : serverFirst(entry);
    }

    private Turn<Entry> clientFirst(Entry entry, Packet packet, Moment now) {
        return switch (expiry) {
            case SILENT -> new Turn<>(entry, new Verdict.Drop("flow forgotten"));
            case RESET_SPEAKER, RESET_BOTH, CLOSE ->
                    new Turn<>(entry, new Verdict.Reset(Whom.CLIENT, "flow forgotten"));
            case REVIVE -> {
                // The same port is asked for again and is free, unless the inner side changed.
                boolean same = packet.mapping() == entry.inside;
                yield adopt(
                        entry, packet, now, same ? entry.outside : entry.outside + 1, Note.REVIVED);
            }
            case REMAP -> adopt(entry, packet, now, entry.outside + 1, Note.REMAPPED);
        };
    }

    private static Turn<Entry> adopt(
            Entry entry, Packet packet, Moment now, int outside, Note note) {
        Entry next = new Entry(true, now, packet.mapping(), outside, entry.crowded);
        Verdict verdict = packet.mapping() == outside ? Verdict.PASS : new Verdict.Remap(outside);
        return new Turn<>(next, verdict, note);
    }

    private Turn<Entry> serverFirst(Entry entry) {
        boolean told =
                switch (expiry) {
                    case SILENT -> false;
                    case RESET_SPEAKER, RESET_BOTH, CLOSE -> true;
                    case REVIVE, REMAP -> unsolicited == Unsolicited.RESET;
                };
        return new Turn<>(
                entry,
                told
                        ? new Verdict.Reset(Whom.SERVER, "flow forgotten")
                        : new Verdict.Drop("flow forgotten"));
    }
}
