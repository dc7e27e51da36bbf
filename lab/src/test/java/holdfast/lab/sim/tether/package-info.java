@NullMarked
package holdfast.lab.sim.tether;

import org.jspecify.annotations.NullMarked;
