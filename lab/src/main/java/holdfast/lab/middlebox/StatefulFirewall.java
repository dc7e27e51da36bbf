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
 */
public record StatefulFirewall(
        Duration opening, Duration established, Duration closing, Stranger stranger)
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

    /** What is remembered of one flow. */
    public record Entry(Stage stage, Moment active) {}

    private static final Entry NEVER_SEEN = new Entry(Stage.UNKNOWN, Moment.ZERO);

    public StatefulFirewall {
        if (!opening.isPositive() || !established.isPositive() || !closing.isPositive()) {
            throw new IllegalArgumentException("a firewall's idle times are positive");
        }
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
            case OPENING -> entry.active.plus(opening);
            case ESTABLISHED -> entry.active.plus(established);
            case CLOSING -> entry.active.plus(closing);
        };
    }

    @Override
    public Turn<Entry> on(Entry entry, Event event, Moment now) {
        return switch (event) {
            case Packet packet ->
                    packet(now.isBefore(wakeAt(entry)) ? entry : NEVER_SEEN, packet, now);
            case Event.TimePassed _ ->
                    now.isBefore(wakeAt(entry)) ? Turn.quiet(entry) : forget(entry);
            case Event.Forget _ -> forget(entry);
            case Event.Cut _, Event.Heal _, Event.Kill _ -> Turn.quiet(entry);
        };
    }

    private static Turn<Entry> forget(Entry entry) {
        return entry.stage == Stage.UNKNOWN
                ? Turn.quiet(entry)
                : new Turn<>(NEVER_SEEN, Verdict.QUIET, Note.FORGOTTEN);
    }

    private Turn<Entry> packet(Entry entry, Packet packet, Moment now) {
        boolean outward = packet.direction() == Direction.TO_SERVER;
        if (entry.stage == Stage.UNKNOWN) {
            boolean opens = outward && packet.kind() == Packet.Kind.OPEN;
            return opens
                    ? Turn.pass(new Entry(Stage.OPENING, now))
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
        return Turn.pass(new Entry(stage, now));
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
                                    new Entry(Stage.ESTABLISHED, now), Verdict.PASS, Note.REVIVED)
                            : new Turn<>(entry, drop);
        };
    }
}
