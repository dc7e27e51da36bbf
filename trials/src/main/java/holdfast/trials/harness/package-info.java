/**
 * What a trial stands on: real processes, real sshds, a real terminal, a real NAT, and servers with
 * bad manners. Nothing here outlives the trial that made it.
 */
@NullMarked
package holdfast.trials.harness;

import org.jspecify.annotations.NullMarked;
