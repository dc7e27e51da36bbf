package holdfast.core.tether;

import static org.assertj.core.api.Assertions.assertThat;

import holdfast.core.time.Moment;
import java.time.Duration;
import org.junit.jupiter.api.Test;

final class TrafficTest {

    private final Traffic traffic = new Traffic();

    private static Moment at(long millis) {
        return Moment.ZERO.plus(Duration.ofMillis(millis));
    }

    @Test
    void nothing_is_told_of_nothing() {
        assertThat(traffic.take()).isEmpty();
        assertThat(traffic.presses(Moment.NEVER)).isFalse();
    }

    @Test
    void the_first_word_presses_who_would_wake_too_late_to_ask_after_it() {
        traffic.spoke(at(1000));
        assertThat(traffic.presses(at(1500))).isFalse();
        assertThat(traffic.presses(at(1501))).isTrue();
        traffic.spoke(at(1400));
        assertThat(traffic.presses(at(1501))).as("what waits longest counts").isTrue();
        assertThat(traffic.take()).containsExactly(new CarrierEvent.Spoke(at(1000)));
        assertThat(traffic.take()).isEmpty();
    }

    @Test
    void what_was_answered_presses_nobody() {
        traffic.spoke(at(1000));
        traffic.heard(at(1010), false);
        assertThat(traffic.presses(Moment.NEVER)).isFalse();
        assertThat(traffic.take())
                .as("somebody was at work")
                .containsExactly(new CarrierEvent.Heard(at(1010), true));
    }

    @Test
    void a_word_after_the_last_sign_of_life_is_told_behind_it() {
        traffic.heard(at(1000), false);
        traffic.heard(at(1010), true);
        traffic.heard(at(1020), false);
        traffic.spoke(at(1030));
        assertThat(traffic.take())
                .containsExactly(
                        new CarrierEvent.Heard(at(1020), true), new CarrierEvent.Spoke(at(1030)));
    }
}
