package holdfast.ssh.config;

import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** The words of ChannelTimeout: a pattern of channel types, an equals sign and a time. */
final class ChannelTimeouts {

    private ChannelTimeouts() {}

    static boolean isOne(String word) {
        int equals = word.indexOf('=');
        return equals > 0 && Quantities.seconds(word.substring(equals + 1)) >= 0;
    }

    /** Of words that {@link #isOne are} such; of one pattern the first counts. */
    static Map<String, Duration> of(List<String> words) {
        Map<String, Duration> timeouts = new LinkedHashMap<>();
        for (String word : words) {
            int equals = word.indexOf('=');
            int seconds = Quantities.seconds(word.substring(equals + 1));
            timeouts.putIfAbsent(word.substring(0, equals), Duration.ofSeconds(seconds));
        }
        return timeouts;
    }
}
