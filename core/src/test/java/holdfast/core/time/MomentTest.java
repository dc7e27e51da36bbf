package holdfast.core.time;

import static org.assertj.core.api.Assertions.assertThat;

import holdfast.core.liveness.LivenessPolicy;
import java.time.Duration;
import java.util.Objects;
import org.junit.jupiter.api.Test;

class MomentTest {

    @Test
    void what_is_longer_than_ever_is_never() {
        Moment now = new Moment(5);
        assertThat(now.plus(Duration.ofSeconds(1))).isEqualTo(new Moment(1_000_000_005));
        assertThat(now.plus(Duration.ofSeconds(-1))).isEqualTo(new Moment(-999_999_995));
        assertThat(now.plus(Duration.ofDays(36_500))).isNotEqualTo(Moment.NEVER);
        assertThat(now.plus(Duration.ofDays(55_000))).isEqualTo(Moment.NEVER);
        assertThat(now.plus(Duration.ofSeconds(Long.MAX_VALUE))).isEqualTo(Moment.NEVER);
        assertThat(Moment.NEVER.plus(Duration.ofSeconds(-1))).isEqualTo(Moment.NEVER);
    }

    @Test
    void the_largest_interval_and_count_give_no_time_that_nobody_can_count() {
        int most = Integer.MAX_VALUE;
        LivenessPolicy policy =
                LivenessPolicy.client(
                        Duration.ofSeconds(most, 999_999_999), most, Duration.ZERO, false);
        Duration silence = Objects.requireNonNull(policy.openingSilence());
        assertThat(silence).isEqualTo(Duration.ofSeconds(most, 999_999_999).multipliedBy(most));
        assertThat(policy.deathAfter())
                .isEqualTo(Duration.ofSeconds(most, 999_999_999).multipliedBy(most + 1L));
        assertThat(Moment.ZERO.plus(silence)).isEqualTo(Moment.NEVER);
    }
}
