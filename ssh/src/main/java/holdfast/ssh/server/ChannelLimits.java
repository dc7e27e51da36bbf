package holdfast.ssh.server;

import java.time.Duration;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** ChannelTimeout: which limit a channel has. */
final class ChannelLimits {

    private ChannelLimits() {}

    /**
     * The limit of the first pattern that matches.
     *
     * @param kind as ChannelTimeout names it: {@code direct-tcpip}, {@code session:shell}
     * @return null: none matches; zero: none
     */
    static @Nullable Duration of(Map<String, Duration> limits, String kind) {
        for (Map.Entry<String, Duration> limit : limits.entrySet()) {
            String pattern = limit.getKey();
            if (matches(pattern, 0, kind, 0)
                    || (kind.startsWith("session:") && pattern.equals("session"))) {
                return limit.getValue();
            }
        }
        return null;
    }

    /** As match_pattern of OpenSSH: {@code *} any text, {@code ?} any character. */
    private static boolean matches(String pattern, int p, String text, int t) {
        int star = -1;
        int resume = 0;
        int i = p;
        int j = t;
        while (j < text.length()) {
            if (i < pattern.length()
                    && (pattern.charAt(i) == '?' || pattern.charAt(i) == text.charAt(j))) {
                i++;
                j++;
            } else if (i < pattern.length() && pattern.charAt(i) == '*') {
                star = i++;
                resume = j;
            } else if (star >= 0) {
                i = star + 1;
                j = ++resume;
            } else {
                return false;
            }
        }
        while (i < pattern.length() && pattern.charAt(i) == '*') {
            i++;
        }
        return i == pattern.length();
    }
}
