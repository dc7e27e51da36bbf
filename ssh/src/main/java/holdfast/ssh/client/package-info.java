/** The SSH client: connect, verify, authenticate, run, and leave with the right status. */
@NullMarked
package holdfast.ssh.client;

import org.jspecify.annotations.NullMarked;
