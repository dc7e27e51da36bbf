/** The person's terminal: raw mode and back, size, modes, prompts. */
@NullMarked
package holdfast.ssh.terminal;

import org.jspecify.annotations.NullMarked;
