/** The benchmarks: whole processes, always in alternating pairs with OpenSSH's own. */
@NullMarked
package holdfast.trials.bench;

import org.jspecify.annotations.NullMarked;
