/** One class for each command of {@code holdfast}. */
@NullMarked
package holdfast.app.command;

import org.jspecify.annotations.NullMarked;
