/** Data shipped with the lab, and what reads it. */
@NullMarked
package holdfast.lab.data;

import org.jspecify.annotations.NullMarked;
