package holdfast.core.time;

import static org.assertj.core.api.Assertions.assertThat;

import holdfast.core.time.TimingWheel.Timer;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;

class TimingWheelTest {

    private static final Duration TICK = Duration.ofMillis(50);

    private final List<String> told = new ArrayList<>();
    private final TimingWheel<String> wheel = new TimingWheel<>(Moment.ZERO, TICK, 16);

    private static Moment at(long millis) {
        return Moment.ZERO.plus(Duration.ofMillis(millis));
    }

    @Test
    void a_timer_comes_due_once_within_one_tick_and_never_early() {
        Timer<String> timer = new Timer<>("a");
        wheel.set(timer, at(120));
        wheel.advance(at(119), told::add);
        assertThat(told).isEmpty();
        assertThat(wheel.quietUntil()).isEqualTo(at(150));
        wheel.advance(at(150), told::add);
        assertThat(told).containsExactly("a");
        wheel.advance(at(10_000), told::add);
        assertThat(told).containsExactly("a");
        assertThat(wheel.quietUntil()).isEqualTo(Moment.NEVER);
    }

    @Test
    void a_timer_further_away_than_the_wheel_is_long_waits_for_its_turn() {
        Timer<String> timer = new Timer<>("far");
        wheel.set(timer, at(10 * 800 + 75));
        for (int millis = 0; millis <= 8050; millis += 25) {
            wheel.advance(at(millis), told::add);
        }
        assertThat(told).isEmpty();
        wheel.advance(at(8100), told::add);
        assertThat(told).containsExactly("far");
    }

    @Test
    void after_an_absence_longer_than_the_wheel_everything_due_is_told() {
        for (int i = 0; i < 40; i++) {
            wheel.set(new Timer<>("t" + i), at(100L * i));
        }
        wheel.advance(at(100_000), told::add);
        assertThat(told).hasSize(40);
    }

    @Test
    void whoever_is_told_may_cancel_a_timer_that_is_due_in_the_same_tick() {
        Timer<String> a = new Timer<>("a");
        Timer<String> b = new Timer<>("b");
        wheel.set(a, at(100));
        wheel.set(b, at(100));
        wheel.advance(
                at(100),
                name -> {
                    told.add(name);
                    wheel.cancel(name.equals("a") ? b : a);
                });
        assertThat(told).hasSize(1);
        assertThat(wheel.quietUntil()).isEqualTo(Moment.NEVER);
    }

    @Test
    void whoever_is_told_may_set_the_timer_anew_and_it_does_not_come_twice_in_one_advance() {
        Timer<String> timer = new Timer<>("a");
        wheel.set(timer, at(100));
        wheel.advance(
                at(1000),
                name -> {
                    told.add(name);
                    wheel.set(timer, at(200));
                });
        assertThat(told).hasSize(1);
        wheel.advance(at(1050), told::add);
        assertThat(told).hasSize(2);
    }

    @Test
    void many_timers_set_moved_and_cancelled_at_random_come_due_as_a_plain_list_says() {
        long seed = System.nanoTime();
        System.out.println("TimingWheelTest seed " + seed);
        Random random = new Random(seed);
        TimingWheel<Integer> many = new TimingWheel<>(Moment.ZERO, TICK, 16);
        List<Timer<Integer>> timers = new ArrayList<>();
        Map<Integer, Long> expected = new HashMap<>();
        for (int i = 0; i < 200; i++) {
            timers.add(new Timer<>(i));
        }
        long now = 0;
        for (int round = 0; round < 5_000; round++) {
            int which = random.nextInt(200);
            if (random.nextInt(4) == 0) {
                many.cancel(timers.get(which));
                expected.remove(which);
            } else {
                long due = now + random.nextInt(4_000);
                many.set(timers.get(which), at(due));
                expected.put(which, Math.max(Math.ceilDiv(due, 50), now / 50 + 1) * 50);
            }
            if (random.nextInt(3) == 0) {
                now += random.nextInt(random.nextInt(20) == 0 ? 3_000 : 120);
                long by = now / 50 * 50;
                List<Integer> came = new ArrayList<>();
                assertThat(expected.values()).allMatch(due -> !at(due).isBefore(many.quietUntil()));
                many.advance(at(now), came::add);
                List<Integer> should =
                        expected.entrySet().stream()
                                .filter(e -> e.getValue() <= by)
                                .map(Map.Entry::getKey)
                                .toList();
                assertThat(came).as("seed " + seed).containsExactlyInAnyOrderElementsOf(should);
                should.forEach(expected::remove);
            }
        }
    }
}
