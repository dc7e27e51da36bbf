package holdfast.lab.middlebox;

import static holdfast.lab.middlebox.Course.ONE;
import static holdfast.lab.middlebox.Course.TWO;
import static holdfast.lab.middlebox.Course.span;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import holdfast.lab.middlebox.IdleNat.Expiry;
import java.time.Duration;
import org.junit.jupiter.api.Test;

/** Timers that shorten under load. */
class CrowdingTest {

    private static IdleNat nat(Crowding crowding) {
        return IdleNat.of(Duration.ofSeconds(100), Expiry.SILENT).crowded(crowding);
    }

    private static Crowding tenth(double from, double to) {
        return Crowding.during(0.1, span(from, to));
    }

    @Test
    void in_a_crowd_an_idle_flow_is_forgotten_sooner() {
        Course course = new Course(nat(tenth(0, 1000))).opened();
        assertThat(course.until(9.999)).isEmpty();
        assertThat(course.until(60)).containsExactly("10.000 NAT forgotten");
    }

    @Test
    void who_was_idle_for_longer_goes_the_moment_the_crowd_comes() {
        Course course = new Course(nat(tenth(50, 60))).opened();
        assertThat(course.until(999)).containsExactly("50.000 NAT forgotten");
    }

    @Test
    void who_was_not_idle_for_so_long_before_the_crowd_has_gone_keeps_the_full_time() {
        Course course = new Course(nat(tenth(50, 60))).opened();
        course.client(49);
        course.client(55);
        assertThat(course.until(999)).containsExactly("155.000 NAT forgotten");
    }

    @Test
    void a_keepalive_that_was_often_enough_is_not_in_a_crowd() {
        Course course = new Course(nat(tenth(200, 300))).opened();
        for (int second = 30; second < 200; second += 30) {
            assertThat(course.client(second))
                    .containsExactly("%d.000 DATA > server delivered".formatted(second));
        }
        assertThat(course.client(210))
                .containsExactly(
                        "200.000 NAT forgotten", "210.000 DATA > server lost: flow forgotten");
    }

    @Test
    void a_coarse_timer_sees_a_crowd_only_in_its_rounds() {
        Duration step = Duration.ofSeconds(40);
        assertThat(new Course(nat(tenth(50, 60)).granularity(step)).opened().until(999))
                .containsExactly("120.000 NAT forgotten");
        assertThat(new Course(nat(tenth(50, 90)).granularity(step)).opened().until(999))
                .containsExactly("80.000 NAT forgotten");
    }

    @Test
    void a_crowd_by_hand_counts_for_flows_old_and_new_until_it_is_healed() {
        Course course = new Course(nat(Crowding.BY_HAND)).opened();
        course.client(1);
        assertThat(course.meddle(5, new Event.Crowd())).isEmpty();
        course.send(6, Packet.open(TWO, Direction.TO_SERVER));
        assertThat(course.until(50))
                .containsExactly("11.000 NAT forgotten", "16.000 NAT forgotten");
        course.meddle(50, new Event.Heal());
        course.path().ended(ONE);
        course.send(60, Packet.open(ONE, Direction.TO_SERVER));
        assertThat(course.until(999)).containsExactly("160.000 NAT forgotten");
    }

    @Test
    void a_crowded_firewall_shortens_the_timer_of_every_stage() {
        Course course = new Course(StatefulFirewall.usual().crowded(tenth(0, 10_000))).opened();
        course.send(10, Packet.fin(ONE, Direction.TO_SERVER));
        assertThat(course.until(9999)).containsExactly("22.000 firewall forgotten");
        course = new Course(StatefulFirewall.usual()).opened();
        course.meddle(1000, new Event.Crowd());
        assertThat(course.until(9999)).containsExactly("1000.000 firewall forgotten");
    }

    @Test
    void crowds_that_come_and_go_do_not_pile_up_timers() {
        Course course = new Course(nat(Crowding.BY_HAND), StatefulFirewall.usual()).opened();
        for (int i = 1; i < 1000; i++) {
            course.meddle(i, i % 2 == 0 ? new Event.Crowd() : new Event.Heal());
            course.client(i);
        }
        assertThat(course.path().pending()).isLessThanOrEqualTo(2);
    }

    @Test
    void a_share_of_nothing_or_of_more_than_all_is_refused() {
        for (double share : new double[] {0, -1, 1.5, Double.NaN}) {
            assertThatThrownBy(() -> Crowding.during(share))
                    .isInstanceOf(IllegalArgumentException.class);
        }
    }
}
