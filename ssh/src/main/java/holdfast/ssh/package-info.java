/** SSH: see ARCHITECTURE.md for its parts. */
@NullMarked
package holdfast.ssh;

import org.jspecify.annotations.NullMarked;
