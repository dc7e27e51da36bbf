package holdfast.lab.proxy;

import holdfast.core.time.Moment;
import holdfast.lab.middlebox.Flow;

/**
 * How one connection through the proxy stands.
 *
 * @param active when the last packet of either side set out
 * @param toServer bytes delivered to the server
 * @param toClient bytes delivered to the client
 * @param forgottenBy the name of the box that has forgotten it, the first if several have; empty:
 *     none has
 * @param forgets when a box will forget it unless a packet refreshes it; {@link Moment#NEVER} if
 *     none will
 * @param clientOpen whether the client's end still has the connection
 * @param serverOpen whether the server's end still has it
 */
public record FlowReport(
        Flow flow,
        Moment opened,
        Moment active,
        long toServer,
        long toClient,
        String forgottenBy,
        Moment forgets,
        boolean clientOpen,
        boolean serverOpen) {

    /** Whether no box has forgotten it. */
    public boolean known() {
        return forgottenBy.isEmpty();
    }
}
