package holdfast.ssh.system;

import java.io.IOException;

/** What the system refused, in its own words: {@code open /dev/ptmx: Permission denied}. */
public final class SystemException extends IOException {

    private static final long serialVersionUID = 1;

    private final int errno;

    SystemException(String what, int errno) {
        super(what + ": " + Native.words(errno));
        this.errno = errno;
    }

    /** The number of errno.h, asm-generic's: 2 is ENOENT. */
    public int errno() {
        return errno;
    }

    public boolean noSuchFile() {
        return errno == Native.ENOENT;
    }

    /** Nobody listens there. */
    public boolean refused() {
        return errno == Native.ECONNREFUSED;
    }

    /** The system knows no such addresses: it was built or started without IPv6. */
    public boolean noSuchFamily() {
        return errno == Native.EAFNOSUPPORT;
    }

    /** The system's words alone: {@code Permission denied}. */
    public String words() {
        return Native.words(errno);
    }
}
