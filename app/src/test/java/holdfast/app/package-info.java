/** The house's rules as tests. */
@NullMarked
package holdfast.app;

import org.jspecify.annotations.NullMarked;
