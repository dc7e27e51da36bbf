/** Log lines in OpenSSH's words and levels. */
@NullMarked
package holdfast.ssh.log;

import org.jspecify.annotations.NullMarked;
