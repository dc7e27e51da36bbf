/** What a person gives, as text and back. */
@NullMarked
package holdfast.ssh.octets;

import org.jspecify.annotations.NullMarked;
