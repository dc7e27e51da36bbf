package holdfast.core.liveness;

import holdfast.core.time.Moment;
import java.time.Duration;

/** What can happen to a link, as its shell tells the decision. */
public sealed interface LinkEvent {

    /** Nothing happened; a wake-up that was asked for came. */
    record TimePassed() implements LinkEvent {}

    /** The work of opening the link has come as far as {@code phase}. */
    record Reached(Phase phase) implements LinkEvent {}

    /**
     * Authentication is done and the session loop begins: from here the keepalive settings hold.
     */
    record Authenticated() implements LinkEvent {}

    /**
     * Something was received since the last event.
     *
     * @param lastByte when the newest byte came, part of a packet or not
     * @param lastPacket when the newest whole, decrypted packet came
     */
    record Heard(Moment lastByte, Moment lastPacket) implements LinkEvent {}

    /** We sent data, the first since {@code at}, and have heard nothing after it. */
    record Spoke(Moment at) implements LinkEvent {}

    /** A reply to the probe sent at {@code sent} came, success or failure alike. */
    record ProbeAnswered(Moment sent) implements LinkEvent {}

    /** A question was put to the person; the peer is not to blame for the time it takes. */
    record PersonAsked() implements LinkEvent {}

    /** The person answered, or turned away. */
    record PersonAnswered() implements LinkEvent {}

    /** The machine was asleep for {@code gap} just before now. */
    record Slept(Duration gap) implements LinkEvent {}

    /** The transport ended by itself: closed, reset, or disconnected by either side. */
    record Ended() implements LinkEvent {}
}
