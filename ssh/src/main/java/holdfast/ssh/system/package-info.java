/**
 * What a server asks of Linux by foreign functions: users, children, terminals, descriptors.
 *
 * <p>glibc 2.34 or newer, on x86-64 and aarch64 (the layouts are the same on both; run on x86-64
 * only so far). The client initialises it only for the background and for shared connections.
 */
@NullMarked
package holdfast.ssh.system;

import org.jspecify.annotations.NullMarked;
