/** The program: commands for people, and the only room that prints and exits. */
@NullMarked
package holdfast.app;

import org.jspecify.annotations.NullMarked;
