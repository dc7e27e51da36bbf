/** Host keys beside OpenSSH: the same files, the same decisions, the same words. */
@NullMarked
package holdfast.trials.hostkeys;

import org.jspecify.annotations.NullMarked;
