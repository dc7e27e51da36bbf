package holdfast.ssh;

/** What this program calls itself to its peers. */
public final class Software {

    public static final String VERSION = "0.1.0";

    /** In an identification line, behind {@code SSH-2.0-}. */
    public static final String NAME = "Holdfast_" + VERSION;

    private Software() {}
}
