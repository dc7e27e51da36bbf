/**
 * Who may log in: host keys, keys and certificates of users, passwords, and the policy over them.
 */
@NullMarked
package holdfast.ssh.server.auth;

import org.jspecify.annotations.NullMarked;
