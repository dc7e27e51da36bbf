package holdfast.lab.middlebox;

import holdfast.core.time.Moment;

/** What became of something on a path, and when. */
public sealed interface Happening {

    Moment at();

    /** The packet came out at the end it was bound for. */
    record Delivered(Packet packet, Moment at) implements Happening {}

    /**
     * The packet will not come out.
     *
     * @param box the name of the box that kept it
     * @param acknowledged whether its sender is made to believe that it arrived
     */
    record Lost(Packet packet, String box, String reason, boolean acknowledged, Moment at)
            implements Happening {}

    /** The box {@code box} has changed what it knows of a flow. */
    record Noted(Flow flow, String box, Turn.Note note, Moment at) implements Happening {}
}
