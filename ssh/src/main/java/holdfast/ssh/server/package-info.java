/** The SSH server; at present what the demo needs. */
@NullMarked
package holdfast.ssh.server;

import org.jspecify.annotations.NullMarked;
