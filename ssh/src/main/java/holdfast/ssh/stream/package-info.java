/** Bytes between what the system gives and the channels of a connection, without a thread each. */
@NullMarked
package holdfast.ssh.stream;

import org.jspecify.annotations.NullMarked;
