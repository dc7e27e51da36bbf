package holdfast.core.tether;

import holdfast.core.time.Moment;
import java.time.Duration;

/** What can happen to a tether's carriers. */
public sealed interface CarrierEvent {

    /** Nothing happened; a wake-up that was asked for came. */
    record TimePassed() implements CarrierEvent {}

    /** The tether can be resumed from now on, and is held for so long. */
    record Held(Duration hold) implements CarrierEvent {}

    /**
     * Something was received on the current carrier, the newest byte at {@code at}; {@code data}:
     * bytes for the program were among it.
     */
    record Heard(Moment at, boolean data) implements CarrierEvent {}

    /** Something that must be acknowledged was put on the current carrier at {@code at}. */
    record Spoke(Moment at) implements CarrierEvent {}

    /** The PING sent at {@code sent} was answered at {@code at}. */
    record PingAnswered(Moment sent, Moment at) implements CarrierEvent {}

    /** This carrier's connection ended; {@code fault}: because the peer broke the protocol. */
    record Lost(long generation, boolean fault) implements CarrierEvent {}

    /** An attempt's connection was accepted; the lines follow. */
    record Connected(long generation) implements CarrierEvent {}

    /** The new carrier is proved at both ends. At a server: a client has brought it. */
    record Resumed(long generation) implements CarrierEvent {}

    /** An attempt came to nothing. */
    record Failed(long generation, Failure why) implements CarrierEvent {}

    /** An address or a route of this machine has changed. */
    record NetworkChanged() implements CarrierEvent {}

    /** The machine slept for so long. */
    record Slept(Duration gap) implements CarrierEvent {}

    /** The stream above ended and CLOSE was sent, or CLOSE came. */
    record Finished() implements CarrierEvent {}

    /** How an attempt failed. */
    enum Failure {
        /** Nobody answered, there is no way there, or the connection broke. */
        UNANSWERED,
        /** Somebody answered and will not talk now: connection refused, REFUSED with BUSY. */
        TURNED_AWAY,
        /** REFUSED: no such tether. */
        GONE,
        /** The server's identification offers no tether. */
        FOREIGN
    }
}
