@NullMarked
package holdfast.ssh.server.session;

import org.jspecify.annotations.NullMarked;
