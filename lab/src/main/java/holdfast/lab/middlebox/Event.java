package holdfast.lab.middlebox;

/** What a middlebox is told: a packet came, time passed, or somebody meddled with it by hand. */
public sealed interface Event
        permits Packet, Event.TimePassed, Event.Forget, Event.Cut, Event.Heal, Event.Kill {

    /** The moment that the box itself named has come, and nothing else. */
    record TimePassed() implements Event {}

    /** The box loses its table, as one that restarts or is flushed. */
    record Forget() implements Event {}

    /** Somebody pulls the cable. */
    record Cut() implements Event {}

    /** Somebody puts the cable back. */
    record Heal() implements Event {}

    /** This flow is dead from now on, all others are well. */
    record Kill() implements Event {}
}
