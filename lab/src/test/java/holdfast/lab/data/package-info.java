@NullMarked
package holdfast.lab.data;

import org.jspecify.annotations.NullMarked;
