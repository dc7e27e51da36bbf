/** The proof: the whole program against real OpenSSH, real terminals and a real kernel's NAT. */
@NullMarked
package holdfast.trials;

import org.jspecify.annotations.NullMarked;
