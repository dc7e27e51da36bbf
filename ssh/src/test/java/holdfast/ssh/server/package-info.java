@NullMarked
package holdfast.ssh.server;

import org.jspecify.annotations.NullMarked;
