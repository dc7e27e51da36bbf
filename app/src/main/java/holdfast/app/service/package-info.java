/** A server seen from outside: its status over a Unix socket, its metrics over HTTP. */
@NullMarked
package holdfast.app.service;

import org.jspecify.annotations.NullMarked;
