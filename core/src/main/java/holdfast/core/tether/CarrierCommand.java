package holdfast.core.tether;

import holdfast.core.time.Moment;

/** What the decision over the carriers wants done. */
public sealed interface CarrierCommand {

    /** Send a PING on the current carrier. */
    record Ping(Moment sent) implements CarrierCommand {}

    /** Look up the name anew, connect, and ask to resume as this generation. */
    record Dial(long generation) implements CarrierCommand {}

    /** Close this attempt's connection. */
    record Abandon(long generation) implements CarrierCommand {}

    /** Close this carrier's connection: another has taken its place, or it is given up. */
    record Drop(long generation) implements CarrierCommand {}

    /** Tell the person that the stream stands still. */
    record Show(Moment since, Moment heldUntil) implements CarrierCommand {}

    /** It goes on, or it is over: take the notice away. */
    record Hide() implements CarrierCommand {}

    /** The tether is over. */
    record End(CarrierState.Ending why) implements CarrierCommand {}
}
