@NullMarked
package holdfast.app.command;

import org.jspecify.annotations.NullMarked;
