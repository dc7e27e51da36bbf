@NullMarked
package holdfast.ssh.server.auth;

import org.jspecify.annotations.NullMarked;
