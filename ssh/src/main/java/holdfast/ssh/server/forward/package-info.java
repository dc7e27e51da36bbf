/** Forwarding for the clients of {@code holdfast sshd}: who may what, by configuration and key. */
@NullMarked
package holdfast.ssh.server.forward;

import org.jspecify.annotations.NullMarked;
