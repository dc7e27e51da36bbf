/** What runs on a session channel of the server, as OpenSSH's session.c does it. */
@NullMarked
package holdfast.ssh.server.session;

import org.jspecify.annotations.NullMarked;
