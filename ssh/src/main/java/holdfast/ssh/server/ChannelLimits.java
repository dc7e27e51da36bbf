package holdfast.ssh.server;

import holdfast.ssh.config.Patterns;
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
            if (Patterns.matches(kind, pattern)
                    || (kind.startsWith("session:") && pattern.equals("session"))) {
                return limit.getValue();
            }
        }
        return null;
    }
}
