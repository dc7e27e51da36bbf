@NullMarked
package holdfast.lab.proxy;

import org.jspecify.annotations.NullMarked;
