package holdfast.core.liveness;

import holdfast.core.time.Moment;
import org.jspecify.annotations.Nullable;

/** What the decision wants done. Carrying it out never changes the state by itself. */
public sealed interface LinkCommand {

    /**
     * Send {@code keepalive@openssh.com} with a reply wanted (OpenSSH PROTOCOL section 2; RFC 4254
     * section 4), and bring its reply back as {@link LinkEvent.ProbeAnswered} with the same {@code
     * sent}.
     */
    record SendProbe(Moment sent) implements LinkCommand {}

    /**
     * Tell the person that the link is in doubt.
     *
     * @param lastByte when something was last heard
     * @param givenUpAt when the link will be given up if nothing comes; null: not by itself
     */
    record ShowDoubt(Moment lastByte, @Nullable Moment givenUpAt) implements LinkCommand {}

    /** The doubt is over, one way or the other: take the notice away. */
    record HideDoubt() implements LinkCommand {}

    /** Tear the link down now: it is dead, for this reason. */
    record Condemn(Cause cause) implements LinkCommand {}
}
