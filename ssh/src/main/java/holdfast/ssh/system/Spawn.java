package holdfast.ssh.system;

import java.nio.file.Path;
import java.util.Map;

/**
 * A child to be started: its own session, no signal ignored or held off, and none of our
 * descriptors but what is said here.
 *
 * <p>By posix_spawn: the VM is never forked. Not safe for several threads; {@link #start} waits for
 * the child's exec, some milliseconds, and so is not for a thread that must not wait.
 */
public final class Spawn {

    /** What a child without a terminal has for standard input, output and error. */
    public enum Stdio {
        /** /dev/null for all three. */
        NOTHING,
        /** A pipe each. */
        PIPES,
        /** As OpenSSH: one socket pair for input and output, another for errors. */
        SOCKETS
    }

    private Spawn() {}

    /** Runs the file at this path; there is no search along PATH. */
    public static Spawn of(Path program) {
        throw new UnsupportedOperationException();
    }

    /** What the program is told it is called, as {@code -bash}; its path unless said otherwise. */
    public Spawn name(String argv0) {
        throw new UnsupportedOperationException();
    }

    public Spawn argument(String argument) {
        throw new UnsupportedOperationException();
    }

    /** An argument whose bytes are no text, such as a command in a charset of the client's. */
    public Spawn argument(byte[] argument) {
        throw new UnsupportedOperationException();
    }

    /** Its whole environment, in this order: nothing of ours is passed on. */
    public Spawn environment(Map<String, String> environment) {
        throw new UnsupportedOperationException();
    }

    /** Where it starts; if that cannot be entered, in {@code otherwise}. Unsaid: in the root. */
    public Spawn directory(Path directory, Path otherwise) {
        throw new UnsupportedOperationException();
    }

    /** Input, output and errors are this terminal, which controls the child. */
    public Spawn terminal(Pty pty) {
        throw new UnsupportedOperationException();
    }

    public Spawn stdio(Stdio stdio) {
        throw new UnsupportedOperationException();
    }

    /**
     * Starts it.
     *
     * @throws SystemException when it cannot be run, in the words of execve(2); nothing is left
     */
    public Child start() throws SystemException {
        throw new UnsupportedOperationException();
    }
}
