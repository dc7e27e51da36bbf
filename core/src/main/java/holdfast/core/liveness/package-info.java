/**
 * When to speak, when to doubt and when to give up on one link: pure decisions over time and
 * events.
 *
 * <p>{@link holdfast.core.liveness.Link#on} is the whole of it. The same function runs in the
 * client, in the server and in the simulator.
 */
@NullMarked
package holdfast.core.liveness;

import org.jspecify.annotations.NullMarked;
