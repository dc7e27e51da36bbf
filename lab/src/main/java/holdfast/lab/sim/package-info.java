/** Linux's TCP as far as it matters to liveness, in simulated or handed-in time. */
@NullMarked
package holdfast.lab.sim;

import org.jspecify.annotations.NullMarked;
