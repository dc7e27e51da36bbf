/** What the person sees, on a real terminal. */
@NullMarked
package holdfast.trials.terminal;

import org.jspecify.annotations.NullMarked;
