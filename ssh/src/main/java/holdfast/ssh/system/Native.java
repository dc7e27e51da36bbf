package holdfast.ssh.system;

/** Placeholder. */
final class Native {
    private Native() {}

    static String words(int errno) {
        return "error " + errno;
    }
}
