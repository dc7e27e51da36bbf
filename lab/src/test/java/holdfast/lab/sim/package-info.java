@NullMarked
package holdfast.lab.sim;

import org.jspecify.annotations.NullMarked;
