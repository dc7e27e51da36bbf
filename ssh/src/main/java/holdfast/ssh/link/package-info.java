/** The hands of {@code core.liveness}: one mailbox, one clock, one loop for each link. */
@NullMarked
package holdfast.ssh.link;

import org.jspecify.annotations.NullMarked;
