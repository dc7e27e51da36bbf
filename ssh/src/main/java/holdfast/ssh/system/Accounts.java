package holdfast.ssh.system;

import java.util.Optional;

/**
 * The user database, through the C library and so through everything nsswitch.conf names.
 *
 * <p>A look-up may wait for a network: call it on a thread that may, and on a platform thread,
 * since it would pin a virtual one. Nothing is kept: each call asks anew.
 */
public final class Accounts {

    private Accounts() {}

    /** The user of this name, if there is one. */
    public static Optional<Account> named(String name) throws SystemException {
        throw new UnsupportedOperationException();
    }

    /** The user of this number, if there is one. */
    public static Optional<Account> numbered(int uid) throws SystemException {
        throw new UnsupportedOperationException();
    }

    /** Whom this process runs as; made up from its numbers if the database does not know them. */
    public static Account own() throws SystemException {
        throw new UnsupportedOperationException();
    }

    /** The number of the group of this name, if there is one. */
    public static Optional<Integer> group(String name) throws SystemException {
        throw new UnsupportedOperationException();
    }

    /** True if this process runs with effective user 0 and so may become others. */
    public static boolean privileged() {
        throw new UnsupportedOperationException();
    }
}
