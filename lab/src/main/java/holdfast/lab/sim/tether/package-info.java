/**
 * The tether in simulated time: two ends under the real core.tether, carriers that die at any byte,
 * and what must hold all the same.
 */
@NullMarked
package holdfast.lab.sim.tether;

import org.jspecify.annotations.NullMarked;
