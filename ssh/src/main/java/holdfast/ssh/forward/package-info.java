/**
 * Forwarding of connections, the same for both ends: listeners on our side whose connections become
 * channels, and channels of the other side's that become connections.
 */
@NullMarked
package holdfast.ssh.forward;

import org.jspecify.annotations.NullMarked;
