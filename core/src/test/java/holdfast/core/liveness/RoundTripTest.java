package holdfast.core.liveness;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.Duration;
import org.junit.jupiter.api.Test;

final class RoundTripTest {

    private static RoundTrip after(long... millis) {
        RoundTrip estimate = RoundTrip.UNKNOWN;
        for (long sample : millis) {
            estimate = estimate.with(Duration.ofMillis(sample));
        }
        return estimate;
    }

    @Test
    void follows_rfc_6298() {
        assertThat(after(100))
                .isEqualTo(new RoundTrip(Duration.ofMillis(100), Duration.ofMillis(50)));
        assertThat(after(100, 200))
                .isEqualTo(
                        new RoundTrip(Duration.ofNanos(112_500_000), Duration.ofNanos(62_500_000)));
    }

    @Test
    void patience_is_clamped_between_two_and_five_seconds() {
        assertThat(RoundTrip.UNKNOWN.patience()).isEqualTo(Duration.ofSeconds(5));
        assertThat(after(1).patience()).isEqualTo(Duration.ofSeconds(2));
        assertThat(after(400).patience()).isEqualTo(Duration.ofSeconds(3));
        assertThat(after(9000).patience()).isEqualTo(Duration.ofSeconds(5));
    }
}
