@NullMarked
package holdfast.ssh.tether;

import org.jspecify.annotations.NullMarked;
