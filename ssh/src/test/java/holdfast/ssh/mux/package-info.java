@NullMarked
package holdfast.ssh.mux;

import org.jspecify.annotations.NullMarked;
