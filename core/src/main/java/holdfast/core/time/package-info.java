/** Time as the decisions see it: a {@link holdfast.core.time.Moment} handed in, never asked for. */
@NullMarked
package holdfast.core.time;

import org.jspecify.annotations.NullMarked;
