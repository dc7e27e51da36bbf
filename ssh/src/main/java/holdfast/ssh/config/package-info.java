/**
 * What ssh_config(5) and the command line say, resolved once into {@link
 * holdfast.ssh.config.ClientSettings}; and what sshd_config(5) says, resolved for each connection
 * into {@link holdfast.ssh.config.ServerSettings}. No MINA here.
 */
@NullMarked
package holdfast.ssh.config;

import org.jspecify.annotations.NullMarked;
