package holdfast.ssh.config;

import java.util.Locale;

/** OpenSSH's patterns: {@code *} and {@code ?}, and lists of them with negation (match.c). */
public final class Patterns {

    private Patterns() {}

    /** Whether all of {@code text} matches {@code pattern}; in time linear in their product. */
    public static boolean matches(String text, String pattern) {
        int t = 0;
        int p = 0;
        int star = -1;
        int resume = 0;
        while (t < text.length()) {
            char wanted = p < pattern.length() ? pattern.charAt(p) : 0;
            if (p < pattern.length() && wanted == '*') {
                star = p++;
                resume = t;
            } else if (p < pattern.length() && (wanted == '?' || wanted == text.charAt(t))) {
                t++;
                p++;
            } else if (star >= 0) {
                p = star + 1;
                t = ++resume;
            } else {
                return false;
            }
        }
        while (p < pattern.length() && pattern.charAt(p) == '*') {
            p++;
        }
        return p == pattern.length();
    }

    /**
     * Whether {@code text} matches a list of patterns separated by commas: 1 yes, 0 no, -1 a
     * negated pattern ({@code !x}) matched, which beats all others.
     */
    public static int list(String text, String patterns, boolean lowerCase) {
        int result = 0;
        int from = 0;
        while (from < patterns.length()) {
            int comma = patterns.indexOf(',', from);
            int end = comma < 0 ? patterns.length() : comma;
            boolean negated = from < end && patterns.charAt(from) == '!';
            String pattern = patterns.substring(negated ? from + 1 : from, end);
            if (lowerCase) {
                pattern = pattern.toLowerCase(Locale.ROOT);
            }
            if (matches(text, pattern)) {
                if (negated) {
                    return -1;
                }
                result = 1;
            }
            from = end + 1;
        }
        return result;
    }

    /** Whether {@code text} is in a list of patterns, and not taken out of it. */
    public static boolean isListed(String text, String patterns) {
        return list(text, patterns, false) == 1;
    }

    /** Whether a host name matches a list, upper and lower case being the same. */
    static boolean hostMatches(String host, String patterns) {
        return list(host.toLowerCase(Locale.ROOT), patterns, true) == 1;
    }
}
