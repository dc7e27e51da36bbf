package holdfast.lab.sim;

import holdfast.core.liveness.Link;
import holdfast.core.liveness.LinkEvent;
import holdfast.core.liveness.LinkState;
import holdfast.core.liveness.LivenessPolicy;
import holdfast.core.liveness.Step;
import holdfast.core.time.Moment;

/**
 * The decision under trial: {@link Link#on}, or one that is wrong on purpose to see whether the
 * simulation notices.
 */
@FunctionalInterface
public interface Decision {

    /** The one that the product runs. */
    Decision REAL = Link::on;

    Step on(LinkState state, LinkEvent event, Moment now, LivenessPolicy policy);
}
