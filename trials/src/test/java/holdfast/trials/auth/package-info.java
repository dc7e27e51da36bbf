/** Logging in: this client and OpenSSH's, side by side against the same servers. */
@NullMarked
package holdfast.trials.auth;

import org.jspecify.annotations.NullMarked;
