/**
 * Whose key is it: known_hosts files, and what to do with a key that is new, changed or revoked. No
 * MINA here.
 */
@NullMarked
package holdfast.ssh.hostkeys;

import org.jspecify.annotations.NullMarked;
