package holdfast.ssh.config;

/** OpenSSH's patterns, for those outside who match names against what a keyword lists. */
public final class Wildcards {

    private Wildcards() {}

    /** Whether all of {@code text} matches {@code pattern} ({@code *} and {@code ?}). */
    public static boolean matches(String text, String pattern) {
        return Patterns.matches(text, pattern);
    }

    /** Whether {@code text} matches a list of patterns with commas, {@code !} negating. */
    public static boolean list(String text, String patterns) {
        return Patterns.list(text, patterns, false) == 1;
    }
}
