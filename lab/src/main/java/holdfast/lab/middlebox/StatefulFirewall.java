package holdfast.lab.middlebox;

import holdfast.core.time.Moment;
import holdfast.lab.middlebox.Turn.Note;
import holdfast.lab.middlebox.Verdict.Whom;
import java.time.Duration;

/**
 * A firewall that lets through what belongs to a connection it saw being opened from the client's
 * side, and nothing else.
 *
 * <p>It differs from a NAT in knowing the stage a connection is in, with a timer for each, and in
 * never changing an address.
 *
 * @param opening how long a connection may go unanswered
 * @param established how long an answered one may be idle
 * @param closing how long one may be idle after the first FIN
 * @param stranger what a packet meets that belongs to no known connection
 * @param crowding when its timers are shorter because its table fills up
 */
public record StatefulFirewall(
        Duration opening,
        Duration established,
        Duration closing,
        Stranger stranger,
        Crowding crowding)
        implements Middlebox<StatefulFirewall.Entry> {

    /** What is done with a packet of a connection that was not seen being opened. */
    public enum Stranger {
        DROP,
        /** Its sender gets a RST. */
        REJECT,
        /**
         * A client's packet is taken for that of a connection known of old; a server's is dropped.
         */
        ADOPT
    }

    /** How far a connection has come. */
    public enum Stage {
        UNKNOWN,
        OPENING,
        ESTABLISHED,
        CLOSING
    }

    /**
     * What is remembered of one flow.
     *
     * @param crowded since when the table is crowded by hand; {@link Moment#NEVER}: it is not
     */
    public record Entry(Stage stage, Moment active, Moment crowded) {

        private Entry forgotten() {
            return new Entry(Stage.UNKNOWN, Moment.ZERO, crowded);
        }

        private Entry crowded(Moment since) {
            return new Entry(stage, active, since);
        }
    }

    private static final Entry NEVER_SEEN = new Entry(Stage.UNKNOWN, Moment.ZERO, Moment.NEVER);

    public StatefulFirewall {
        if (!opening.isPositive() || !established.isPositive() || !closing.isPositive()) {
            throw new IllegalArgumentException("a firewall's idle times are positive");
        }
    }

    /** Crowded by hand only. */
    public StatefulFirewall(
            Duration opening, Duration established, Duration closing, Stranger stranger) {
        this(opening, established, closing, stranger, Crowding.BY_HAND);
    }

    public StatefulFirewall crowded(Crowding when) {
        return new StatefulFirewall(opening, established, closing, stranger, when);
    }

    /** Timers of a usual office firewall: 30 s to open, an hour idle, two minutes to close. */
    public static StatefulFirewall usual() {
        return new StatefulFirewall(
                Duration.ofSeconds(30), Duration.ofHours(1), Duration.ofMinutes(2), Stranger.DROP);
    }

    @Override
    public String name() {
        return "firewall";
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
        return switch (entry.stage) {
            case UNKNOWN -> Moment.NEVER;
            case OPENING -> expires(entry, opening);
            case ESTABLISHED -> expires(entry, established);
            case CLOSING -> expires(entry, closing);
        };
    }

    private Moment expires(Entry entry, Duration timeout) {
        return crowding.expires(entry.active, timeout, entry.crowded, Duration.ZERO);
    }

    @Override
    public Turn<Entry> on(Entry entry, Event event, Moment now) {
        return switch (event) {
            case Packet packet ->
                    packet(now.isBefore(wakeAt(entry)) ? entry : entry.forgotten(), packet, now);
            case Event.TimePassed _ ->
                    now.isBefore(wakeAt(entry)) ? Turn.quiet(entry) : forget(entry);
            case Event.Forget _ -> forget(entry);
            case Event.Crowd _ -> Turn.quiet(entry.crowded(Moment.earlier(entry.crowded, now)));
            case Event.Heal _ -> Turn.quiet(entry.crowded(Moment.NEVER));
            case Event.ByHand _ -> Turn.quiet(entry);
        };
    }

    private static Turn<Entry> forget(Entry entry) {
        return entry.stage == Stage.UNKNOWN
                ? Turn.quiet(entry)
                : new Turn<>(entry.forgotten(), Verdict.QUIET, Note.FORGOTTEN);
    }

    private Turn<Entry> packet(Entry entry, Packet packet, Moment now) {
        boolean outward = packet.direction() == Direction.TO_SERVER;
        if (entry.stage == Stage.UNKNOWN) {
            boolean opens = outward && packet.kind() == Packet.Kind.OPEN;
            return opens
                    ? Turn.pass(new Entry(Stage.OPENING, now, entry.crowded))
                    : stranger(entry, packet, now, outward);
        }
        Stage stage =
                switch (packet.kind()) {
                    case RST -> Stage.UNKNOWN;
                    case FIN -> Stage.CLOSING;
                    case OPEN, DATA, ACK ->
                            entry.stage == Stage.OPENING && !outward
                                    ? Stage.ESTABLISHED
                                    : entry.stage;
                };
        return Turn.pass(new Entry(stage, now, entry.crowded));
    }

    private Turn<Entry> stranger(Entry entry, Packet packet, Moment now, boolean outward) {
        Verdict drop = new Verdict.Drop("belongs to no known flow");
        boolean ends = packet.kind() == Packet.Kind.RST;
        return switch (stranger) {
            case DROP -> new Turn<>(entry, drop);
            case REJECT ->
                    new Turn<>(
                            entry,
                            ends
                                    ? drop
                                    : new Verdict.Reset(
                                            Whom.speaker(packet.direction()),
                                            "belongs to no known flow"));
            case ADOPT ->
                    outward && !ends
                            ? new Turn<>(
                                    new Entry(Stage.ESTABLISHED, now, entry.crowded),
                                    Verdict.PASS,
                                    Note.REVIVED)
                            : new Turn<>(entry, drop);
        };
    }
}
