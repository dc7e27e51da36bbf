/**
 * Every trouble that befalls a connection on its way, one file each, as pure functions: state,
 * event and time in, next state and verdict out. No sockets, no threads, no clocks. {@link
 * holdfast.lab.middlebox.Path} lines troubles up between a client and a server.
 */
@NullMarked
package holdfast.lab.middlebox;

import org.jspecify.annotations.NullMarked;
