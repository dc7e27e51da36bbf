package holdfast.ssh.system;

/**
 * A pseudo-terminal: our side of it, and the name of the other.
 *
 * <p>It belongs to the child that is started with it ({@link Spawn#terminal}): from then on the
 * child's tap is its master side, and closing that hangs the terminal up. Closing this before then
 * gives it back; afterwards only the slave's owner is restored.
 */
public final class Pty implements AutoCloseable {

    private Pty() {}

    /** A new one; the other side belongs to this user (as root: user and group tty, mode 0620). */
    public static Pty open(Account owner) throws SystemException {
        throw new UnsupportedOperationException();
    }

    /** As SSH_TTY has it: {@code /dev/pts/7}. */
    public String name() {
        throw new UnsupportedOperationException();
    }

    /** Sets its size; programs in the foreground get SIGWINCH. Numbers out of range count as 0. */
    public void resize(int columns, int rows, int widthPixels, int heightPixels) {
        throw new UnsupportedOperationException();
    }

    /** Sets encoded terminal modes of RFC 4254 section 8; what is malformed ends the list. */
    public void modes(byte[] encoded) {
        throw new UnsupportedOperationException();
    }

    /** Sends a signal to whatever is in its foreground; false if nothing is. */
    public boolean signalForeground(Signal signal) {
        throw new UnsupportedOperationException();
    }

    /** Root has the name again (owner root, mode 0666), as OpenSSH leaves it. */
    @Override
    public void close() {
        throw new UnsupportedOperationException();
    }
}
