@NullMarked
package holdfast.lab.middlebox;

import org.jspecify.annotations.NullMarked;
