/** The tether's hands: keys, sockets and threads for what {@code core.tether} decides. */
@NullMarked
package holdfast.ssh.tether;

import org.jspecify.annotations.NullMarked;
