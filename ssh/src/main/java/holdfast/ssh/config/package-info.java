/**
 * What ssh_config(5) and the command line say, resolved once into {@link
 * holdfast.ssh.config.ClientSettings}. No MINA here.
 */
@NullMarked
package holdfast.ssh.config;

import org.jspecify.annotations.NullMarked;
