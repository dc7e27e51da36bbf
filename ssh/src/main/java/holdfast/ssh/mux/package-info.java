/**
 * Sharing a connection: OpenSSH's multiplexing protocol 4 (its PROTOCOL.mux), both ends of the
 * control socket; how a session is opened over SSH is none of its business.
 */
@NullMarked
package holdfast.ssh.mux;

import org.jspecify.annotations.NullMarked;
