/** The file transfer subsystem, SFTP version 3 as OpenSSH's sftp-server(8) speaks it. */
@NullMarked
package holdfast.ssh.server.sftp;

import org.jspecify.annotations.NullMarked;
