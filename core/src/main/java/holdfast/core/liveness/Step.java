package holdfast.core.liveness;

import holdfast.core.time.Moment;
import java.util.List;

/**
 * One decision: the state that follows, what to do, and when to be asked again at the latest.
 *
 * @param wakeAt {@link Moment#NEVER} when only an event can change anything
 */
public record Step(LinkState next, List<LinkCommand> commands, Moment wakeAt) {}
