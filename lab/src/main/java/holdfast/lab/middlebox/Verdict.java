package holdfast.lab.middlebox;

import java.time.Duration;

/** What becomes of a packet, or of a flow when time passes. */
public sealed interface Verdict {

    /**
     * Nothing becomes of it; the only answer besides Reset and Close to an event without packet.
     */
    record Quiet() implements Verdict {}

    /** The packet goes on, {@code after} from now. */
    record Pass(Duration after) implements Verdict {}

    /** The packet goes on at once, under another public address or port. */
    record Remap(int mapping) implements Verdict {}

    /** The packet is gone and nobody is told: its sender will send it again. */
    record Drop(String reason) implements Verdict {}

    /** The packet is gone, but its sender is told that it arrived. */
    record Absorb(String reason) implements Verdict {}

    /** The packet, if there was one, is gone, and a RST sets out from here. */
    record Reset(Whom whom, String reason) implements Verdict {}

    /** The packet, if there was one, is gone, and a FIN sets out from here to both ends. */
    record Close(String reason) implements Verdict {}

    /** Whom a RST is sent to. */
    enum Whom {
        CLIENT,
        SERVER,
        BOTH;

        /** The end that sent a packet going {@code direction}. */
        public static Whom speaker(Direction direction) {
            return direction == Direction.TO_SERVER ? CLIENT : SERVER;
        }
    }

    Verdict QUIET = new Quiet();
    Verdict PASS = new Pass(Duration.ZERO);
}
