@NullMarked
package holdfast.ssh.server.sftp;

import org.jspecify.annotations.NullMarked;
