package holdfast.lab.middlebox;

/** What a middlebox is told: a packet came, time passed, or somebody meddled with it by hand. */
public sealed interface Event permits Packet, Event.TimePassed, Event.ByHand {

    /** The moment that the box itself named has come, and nothing else. */
    record TimePassed() implements Event {}

    /** Something that somebody does; a box that is not meant by it takes no notice. */
    sealed interface ByHand extends Event
            permits Forget, Cut, CutOneWay, Mute, Crowd, Heal, Roam, Kill {}

    /** The box loses its table, as one that restarts or is flushed. */
    record Forget() implements ByHand {}

    /** Somebody pulls the cable. */
    record Cut() implements ByHand {}

    /** Nothing gets through in this direction any more. */
    record CutOneWay(Direction direction) implements ByHand {}

    /** The server's program is stopped; its kernel is not. */
    record Mute() implements ByHand {}

    /** Other people's connections fill the table: idle times are short from now on. */
    record Crowd() implements ByHand {}

    /** Whatever was cut, muted or crowded by hand is well again. */
    record Heal() implements ByHand {}

    /** The client gets another address. */
    record Roam(AddressChange.Whose whose) implements ByHand {}

    /** This flow is dead from now on, all others are well. */
    record Kill() implements ByHand {}
}
