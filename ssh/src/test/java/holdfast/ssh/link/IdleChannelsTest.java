package holdfast.ssh.link;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.Map;
import org.junit.jupiter.api.Test;

class IdleChannelsTest {

    @Test
    void the_first_pattern_that_matches_counts_and_global_is_no_pattern() {
        Map<String, Duration> limits = new LinkedHashMap<>();
        limits.put("global", Duration.ofSeconds(9));
        limits.put("session:shell", Duration.ZERO);
        limits.put("session", Duration.ofSeconds(2));
        limits.put("direct-*", Duration.ofSeconds(3));
        assertThat(IdleChannels.limit(limits, "session:shell")).isZero();
        assertThat(IdleChannels.limit(limits, "session:command")).isEqualTo(Duration.ofSeconds(2));
        assertThat(IdleChannels.limit(limits, "direct-tcpip")).isEqualTo(Duration.ofSeconds(3));
        assertThat(IdleChannels.limit(limits, "forwarded-tcpip")).isNull();
        assertThat(IdleChannels.limit(limits, "global")).isNull();
    }
}
