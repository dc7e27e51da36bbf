package holdfast.lab.middlebox;

import holdfast.core.time.Moment;

/**
 * One trouble on the way between client and server.
 *
 * <p>The box itself is its settings, immutable and validated when made. What it remembers is a
 * state that is handed in and handed back, so that the same events at the same times always end the
 * same way, in the simulator as on real sockets.
 *
 * @param <S> what it remembers; immutable
 */
public interface Middlebox<S> {

    /** Whether a box remembers something of each flow, or one thing of the whole path. */
    enum Scope {
        FLOW,
        PATH
    }

    /** What a person calls it, in one or two words. */
    String name();

    Scope scope();

    /**
     * What is remembered of a flow never seen before.
     *
     * @param flow {@link Flow#EVERY} when the scope is the path
     */
    S start(Flow flow);

    Turn<S> on(S state, Event event, Moment now);

    /** When the box will do something by itself; {@link Moment#NEVER} if it only reacts. */
    default Moment wakeAt(S state) {
        return Moment.NEVER;
    }
}
