package holdfast.ssh.system;

import org.jspecify.annotations.Nullable;

/**
 * How a child ended.
 *
 * @param status what it returned, 0 to 255; -1 if a signal ended it
 * @param signal the number of the signal that ended it, 0 if none did
 * @param core a core was dumped
 */
public record Exit(int status, int signal, boolean core) {

    /** The signal, where RFC 4254 section 6.10 has a name for it: without SIG. */
    public @Nullable Signal named() {
        return Signal.numbered(signal);
    }
}
