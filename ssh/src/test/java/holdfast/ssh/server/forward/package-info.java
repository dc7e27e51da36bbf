@NullMarked
package holdfast.ssh.server.forward;

import org.jspecify.annotations.NullMarked;
