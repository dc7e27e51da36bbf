package holdfast.ssh;

/** What this program calls itself to its peers. */
public final class Software {

    public static final String VERSION = "0.1.0";

    /** In an identification line, behind {@code SSH-2.0-}. */
    public static final String NAME = "Holdfast_" + VERSION;

    /**
     * What a server calls itself: whose behaviour is meant, and our name. There are clients that do
     * for OpenSSH what they do for no other: its own ask the server to end a command of which
     * nobody reads any more ({@code ssh host yes | head -1}, compat.c SSH_NEW_OPENSSH) only where
     * the name begins so, and libssh and AsyncSSH know by it the order of the arguments of SFTP's
     * SYMLINK, which OpenSSH's server has in the other order than the draft, and so has ours. There
     * may be no minus sign in it (RFC 4253, 4.2).
     */
    public static final String SERVER = "OpenSSH_10.0_" + NAME;

    private Software() {}
}
