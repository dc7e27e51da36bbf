@org.jspecify.annotations.NullMarked
package holdfast.ssh.system;
