/** The troubles of {@code lab.middlebox} between real sockets. */
@NullMarked
package holdfast.lab.proxy;

import org.jspecify.annotations.NullMarked;
