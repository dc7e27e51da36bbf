@NullMarked
package holdfast.ssh.forward;

import org.jspecify.annotations.NullMarked;
