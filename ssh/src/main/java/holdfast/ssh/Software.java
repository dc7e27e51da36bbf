package holdfast.ssh;

/** What this program calls itself to its peers. */
public final class Software {

    public static final String VERSION = "0.1.0";

    /** In an identification line, behind {@code SSH-2.0-}. */
    public static final String NAME = "Holdfast_" + VERSION;

    /**
     * What a server calls itself: our name, and whose behaviour is meant. There are clients that
     * look for that word to know the order of the arguments of SFTP's SYMLINK, which OpenSSH's
     * server has in the other order than the draft, and so has ours (libssh, AsyncSSH).
     */
    public static final String SERVER = NAME + " OpenSSH_10.0-compatible";

    private Software() {}
}
