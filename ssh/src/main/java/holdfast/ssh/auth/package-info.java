/** Proving who you are: the agent, key files, passwords and prompts, in OpenSSH's order. */
@NullMarked
package holdfast.ssh.auth;

import org.jspecify.annotations.NullMarked;
