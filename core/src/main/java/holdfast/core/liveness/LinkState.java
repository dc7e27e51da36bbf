package holdfast.core.liveness;

import holdfast.core.time.Moment;
import java.time.Duration;
import org.jspecify.annotations.Nullable;

/** All that is known about a link, and since when. */
public sealed interface LinkState {

    /**
     * Not authenticated yet.
     *
     * @param started when this attempt began
     * @param lastByte when something was last heard, or when waiting for it began
     * @param asking since when the person is being asked; null: nobody is
     * @param asked how long the person has taken so far, which is charged to nobody
     */
    record Opening(
            Phase phase, Moment started, Moment lastByte, @Nullable Moment asking, Duration asked)
            implements LinkState {}

    /** Authenticated, and nothing speaks against the link. */
    record Up(Watch watch) implements LinkState {}

    /**
     * A probe is late; shown to the person, not acted on. {@code since} is when the doubt began.
     */
    record Suspect(Watch watch, Moment since) implements LinkState {}

    /** Over. The end of the loop. */
    record Dead(Cause cause, Moment at) implements LinkState {}
}
