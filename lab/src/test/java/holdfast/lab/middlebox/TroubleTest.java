package holdfast.lab.middlebox;

import static holdfast.lab.middlebox.Course.ONE;
import static holdfast.lab.middlebox.Course.TWO;
import static holdfast.lab.middlebox.Course.at;
import static holdfast.lab.middlebox.Course.span;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

/** Every trouble but the idle NAT, which has a test of its own. */
class TroubleTest {

    @Test
    void an_outage_swallows_both_directions_for_its_span_and_no_longer() {
        Course course = new Course(Outage.during(span(2, 3), span(5, 6))).opened();
        assertThat(course.client(1.999)).containsExactly("1.999 DATA > server delivered");
        assertThat(course.client(2)).containsExactly("2.000 DATA > server lost: path is down");
        assertThat(course.server(2.999)).containsExactly("2.999 DATA > client lost: path is down");
        assertThat(course.server(3)).containsExactly("3.000 DATA > client delivered");
        assertThat(course.client(5.5)).containsExactly("5.500 DATA > server lost: path is down");
        assertThat(course.client(6)).containsExactly("6.000 DATA > server delivered");
    }

    @Test
    void a_cable_pulled_by_hand_stays_out_until_it_is_put_back() {
        Course course = new Course(Outage.byHand()).opened();
        course.meddle(1, new Event.Cut());
        assertThat(course.client(99)).containsExactly("99.000 DATA > server lost: path is down");
        course.meddle(100, new Event.Heal());
        assertThat(course.client(100)).containsExactly("100.000 DATA > server delivered");
    }

    @Test
    void an_outage_does_not_stop_a_nat_behind_it_from_forgetting() {
        Course course =
                new Course(
                                Outage.during(span(1, 60)),
                                IdleNat.of(Duration.ofSeconds(5), IdleNat.Expiry.RESET_BOTH))
                        .opened();
        assertThat(course.until(60))
                .containsExactly(
                        "5.000 NAT forgotten",
                        "5.000 RST > client lost: path is down",
                        "5.000 RST > server delivered");
    }

    @Test
    void the_death_of_one_flow_leaves_the_others_alone() {
        Course course = new Course(FlowDeath.of(ONE, at(2))).opened();
        assertThat(course.client(1.999)).containsExactly("1.999 DATA > server delivered");
        assertThat(course.client(2)).containsExactly("2.000 DATA > server lost: flow is dead");
        assertThat(course.server(2)).containsExactly("2.000 DATA > client lost: flow is dead");
        assertThat(course.send(3, Packet.data(TWO, Direction.TO_SERVER, 1)))
                .containsExactly("3.000 DATA > server delivered");
    }

    @Test
    void a_flow_killed_by_hand_stays_dead_when_the_path_heals() {
        Course course = new Course(FlowDeath.byHand()).opened();
        course.path().meddle(ONE, new Event.Kill(), at(1));
        course.meddle(2, new Event.Heal());
        assertThat(course.client(3)).containsExactly("3.000 DATA > server lost: flow is dead");
        assertThat(course.send(3, Packet.data(TWO, Direction.TO_SERVER, 1)))
                .containsExactly("3.000 DATA > server delivered");
    }

    @Test
    void one_way_loss_lets_the_other_direction_through() {
        Course course = new Course(OneWayLoss.during(Direction.TO_CLIENT, span(1, 9))).opened();
        assertThat(course.client(2)).containsExactly("2.000 DATA > server delivered");
        assertThat(course.server(2))
                .containsExactly("2.000 DATA > client lost: path is down in this direction");
        assertThat(course.server(9)).containsExactly("9.000 DATA > client delivered");
    }

    @Test
    void one_direction_cut_by_hand_stays_dark_until_it_is_healed() {
        Course course =
                new Course(
                                Outage.byHand(),
                                OneWayLoss.byHand(Direction.TO_SERVER),
                                OneWayLoss.byHand(Direction.TO_CLIENT))
                        .opened();
        course.meddle(1, new Event.CutOneWay(Direction.TO_SERVER));
        assertThat(course.client(2))
                .containsExactly("2.000 DATA > server lost: path is down in this direction");
        assertThat(course.server(2)).containsExactly("2.000 DATA > client delivered");
        course.meddle(3, new Event.Heal());
        assertThat(course.client(3)).containsExactly("3.000 DATA > server delivered");
    }

    @Test
    void latency_delays_each_direction_by_its_base() {
        Course course = new Course(Latency.of(Duration.ofMillis(80)));
        assertThat(course.client(1)).isEmpty();
        assertThat(course.server(1.01)).isEmpty();
        assertThat(course.until(9))
                .containsExactly("1.080 DATA > server delivered", "1.090 DATA > client delivered");
    }

    @Test
    void what_latency_holds_back_meets_the_next_box_when_it_gets_there() {
        Course course = new Course(Latency.of(Duration.ofSeconds(1)), Outage.during(span(2, 3)));
        course.client(1.5);
        assertThat(course.client(2.5)).containsExactly("2.500 DATA > server lost: path is down");
        assertThat(course.until(9)).containsExactly("3.500 DATA > server delivered");
    }

    @Test
    void jitter_stays_within_its_bounds_keeps_the_order_and_is_the_same_for_the_same_seed() {
        List<List<String>> runs = new ArrayList<>();
        for (int run = 0; run < 2; run++) {
            Path path = Path.of(new Latency(Duration.ofMillis(50), Duration.ofMillis(100), 7));
            List<String> seen = new ArrayList<>();
            double last = 0;
            List<Happening> all = new ArrayList<>();
            for (int i = 0; i < 200; i++) {
                Packet packet = new Packet(ONE, Direction.TO_SERVER, Packet.Kind.DATA, i, 1, 0);
                all.addAll(path.send(packet, at(i * 0.01)));
            }
            all.addAll(path.advance(at(60)));
            for (int i = 0; i < 200; i++) {
                Happening.Delivered delivered = (Happening.Delivered) all.get(i);
                assertThat(delivered.packet().sequence()).isEqualTo(i);
                double took = delivered.at().nanos() / 1e9 - i * 0.01;
                assertThat(took).isBetween(0.0499, 0.1501);
                last = Math.max(last, took);
                seen.add(delivered.toString());
            }
            assertThat(last).as("the worst of 200").isGreaterThan(0.13);
            runs.add(seen);
        }
        assertThat(runs.get(0)).isEqualTo(runs.get(1));
    }

    @Test
    void loss_comes_as_often_as_it_says_and_differs_between_flows() {
        Path path = Path.of(new Loss(0.1, 42));
        int lost = 0;
        int differ = 0;
        for (int i = 0; i < 10_000; i++) {
            boolean one = isLost(path, ONE, i);
            boolean two = isLost(path, TWO, i);
            lost += one ? 1 : 0;
            differ += one == two ? 0 : 1;
        }
        assertThat(lost).isBetween(900, 1100);
        assertThat(differ).isBetween(1600, 2000);
    }

    private static boolean isLost(Path path, Flow flow, int second) {
        Packet packet = Packet.data(flow, Direction.TO_SERVER, 1);
        return path.send(packet, at(second)).getFirst() instanceof Happening.Lost;
    }

    @Test
    void no_loss_loses_nothing_and_all_loss_everything() {
        assertThat(new Course(new Loss(0, 1)).client(1))
                .containsExactly("1.000 DATA > server delivered");
        assertThat(new Course(new Loss(1, 1)).client(1))
                .containsExactly("1.000 DATA > server lost: lost by chance");
    }

    @Test
    void a_rate_limit_sends_one_packet_after_the_other_and_drops_what_does_not_fit() {
        // 1,000 B/s; a packet of 448 B costs 500 B on the wire: half a second.
        Course course = new Course(new RateLimit(1000, 1000));
        Packet packet = Packet.data(ONE, Direction.TO_SERVER, 448);
        assertThat(course.send(0, packet)).isEmpty();
        assertThat(course.send(0, packet)).isEmpty();
        assertThat(course.send(0, packet))
                .containsExactly("0.000 DATA > server lost: queue is full");
        assertThat(course.until(9))
                .containsExactly("0.500 DATA > server delivered", "1.000 DATA > server delivered");
        course.send(9, packet);
        assertThat(course.until(10)).containsExactly("9.500 DATA > server delivered");
    }

    @Test
    void a_rate_limit_keeps_the_directions_apart() {
        Course course = new Course(new RateLimit(1000, 1000));
        course.send(0, Packet.data(ONE, Direction.TO_SERVER, 448));
        course.send(0, Packet.data(ONE, Direction.TO_CLIENT, 448));
        assertThat(course.until(9))
                .containsExactly("0.500 DATA > server delivered", "0.500 DATA > client delivered");
    }

    @Test
    void a_client_that_moved_can_neither_send_nor_be_reached() {
        Course course = new Course(AddressChange.of(AddressChange.Whose.CLIENT, at(2))).opened();
        assertThat(course.client(1)).containsExactly("1.000 DATA > server delivered");
        assertThat(course.client(2)).containsExactly("2.000 DATA > server lost: address is gone");
        assertThat(course.server(2)).containsExactly("2.000 DATA > client lost: address is gone");
    }

    @Test
    void a_connection_opened_after_the_move_is_well() {
        Course course = new Course(AddressChange.of(AddressChange.Whose.CLIENT, at(2)));
        course.send(3, Packet.open(ONE, Direction.TO_SERVER));
        assertThat(course.client(4)).containsExactly("4.000 DATA > server delivered");
        assertThat(course.server(4)).containsExactly("4.000 DATA > client delivered");
    }

    @Test
    void a_router_that_dialled_in_anew_makes_the_client_a_stranger_who_can_still_be_answered() {
        Course course = new Course(AddressChange.of(AddressChange.Whose.ROUTER, at(2))).opened();
        assertThat(course.client(3)).containsExactly("3.000 DATA > server as 65536 delivered");
        assertThat(course.send(3, Packet.rst(ONE, Direction.TO_CLIENT).mappedTo(65536)))
                .containsExactly("3.000 RST > client delivered");
        assertThat(course.server(4)).containsExactly("4.000 DATA > client lost: address is gone");
    }

    @Test
    void an_address_changed_by_hand_is_another_for_every_connection_that_there_was() {
        Course course =
                new Course(
                                AddressChange.byHand(AddressChange.Whose.CLIENT),
                                AddressChange.byHand(AddressChange.Whose.ROUTER))
                        .opened();
        course.meddle(1, new Event.Roam(AddressChange.Whose.ROUTER));
        assertThat(course.client(2)).containsExactly("2.000 DATA > server as 65536 delivered");
        course.meddle(3, new Event.Roam(AddressChange.Whose.CLIENT));
        assertThat(course.client(4)).containsExactly("4.000 DATA > server lost: address is gone");
        course.send(5, Packet.open(TWO, Direction.TO_SERVER));
        assertThat(course.send(6, Packet.data(TWO, Direction.TO_SERVER, 1)))
                .containsExactly("6.000 DATA > server delivered");
    }

    @Test
    void a_server_muted_by_hand_speaks_again_when_it_is_healed() {
        Course course = new Course(MuteServer.byHand()).opened();
        course.meddle(1, new Event.Mute());
        assertThat(course.client(2))
                .containsExactly("2.000 DATA > server absorbed: server is mute");
        course.meddle(3, new Event.Heal());
        assertThat(course.client(4)).containsExactly("4.000 DATA > server delivered");
    }

    @Test
    void what_is_under_way_is_bounded() {
        Path path = Path.of(Latency.of(Duration.ofHours(1)));
        Packet packet = Packet.data(ONE, Direction.TO_SERVER, 1);
        for (int i = 0; i < Path.MOST_UNDER_WAY; i++) {
            assertThat(path.send(packet, at(1))).isEmpty();
        }
        assertThat(path.pending()).isEqualTo(Path.MOST_UNDER_WAY);
        assertThat(path.send(packet, at(2)))
                .containsExactly(
                        new Happening.Lost(
                                packet, "latency", "too much is under way", false, at(2)));
        assertThat(path.advance(at(3601))).hasSize(Path.MOST_UNDER_WAY);
        assertThat(path.send(packet, at(3602))).isEmpty();
        path.ended(ONE);
        assertThat(path.pending()).isZero();
    }

    @Test
    void a_mute_server_acknowledges_and_says_nothing() {
        Course course = new Course(MuteServer.during(span(2, 5))).opened();
        assertThat(course.client(3))
                .containsExactly("3.000 DATA > server absorbed: server is mute");
        assertThat(course.server(3))
                .containsExactly("3.000 DATA > client absorbed: server is mute");
        assertThat(course.send(3, Packet.ack(ONE, Direction.TO_CLIENT)))
                .containsExactly("3.000 ACK > client delivered");
        assertThat(course.client(5)).containsExactly("5.000 DATA > server delivered");
    }

    @Test
    void a_firewall_lets_in_only_what_was_opened_from_inside() {
        Course course = new Course(StatefulFirewall.usual());
        assertThat(course.server(1))
                .containsExactly("1.000 DATA > client lost: belongs to no known flow");
        assertThat(course.send(1, Packet.open(ONE, Direction.TO_CLIENT)))
                .containsExactly("1.000 OPEN > client lost: belongs to no known flow");
        course.send(2, Packet.open(ONE, Direction.TO_SERVER));
        assertThat(course.send(2, Packet.open(ONE, Direction.TO_CLIENT)))
                .containsExactly("2.000 OPEN > client delivered");
        assertThat(course.server(3)).containsExactly("3.000 DATA > client delivered");
    }

    @Test
    void a_firewall_has_a_timer_for_each_stage_of_a_connection() {
        Course unanswered = new Course(StatefulFirewall.usual());
        unanswered.send(0, Packet.open(ONE, Direction.TO_SERVER));
        assertThat(unanswered.until(9999)).containsExactly("30.000 firewall forgotten");

        assertThat(new Course(StatefulFirewall.usual()).opened().until(9999))
                .containsExactly("3600.000 firewall forgotten");

        Course closing = new Course(StatefulFirewall.usual()).opened();
        closing.send(10, Packet.fin(ONE, Direction.TO_SERVER));
        assertThat(closing.until(9999)).containsExactly("130.000 firewall forgotten");
    }

    @Test
    void a_restarted_firewall_treats_strangers_as_it_was_told() {
        assertThat(afterRestart(StatefulFirewall.Stranger.DROP))
                .containsExactly("2.000 DATA > server lost: belongs to no known flow");
        assertThat(afterRestart(StatefulFirewall.Stranger.REJECT))
                .containsExactly(
                        "2.000 RST > client delivered",
                        "2.000 DATA > server lost: belongs to no known flow");
        assertThat(afterRestart(StatefulFirewall.Stranger.ADOPT))
                .containsExactly("2.000 firewall revived", "2.000 DATA > server delivered");
    }

    private static List<String> afterRestart(StatefulFirewall.Stranger stranger) {
        Duration minute = Duration.ofMinutes(1);
        Course course = new Course(new StatefulFirewall(minute, minute, minute, stranger)).opened();
        course.meddle(1, new Event.Forget());
        return course.client(2);
    }

    @Test
    void an_ended_flow_leaves_nothing_behind() {
        Course course =
                new Course(
                        IdleNat.of(Duration.ofSeconds(5), IdleNat.Expiry.SILENT),
                        StatefulFirewall.usual(),
                        Latency.of(Duration.ofSeconds(1)));
        for (int i = 1; i <= 1000; i++) {
            Flow flow = new Flow(i);
            course.send(i * 0.001, Packet.open(flow, Direction.TO_SERVER));
            course.path().ended(flow);
        }
        assertThat(course.path().pending()).isZero();
        assertThat(course.path().wakeAt()).isEqualTo(holdfast.core.time.Moment.NEVER);
    }

    @Test
    void activity_does_not_pile_up_timers() {
        Course course =
                new Course(
                                IdleNat.of(Duration.ofSeconds(5), IdleNat.Expiry.SILENT),
                                StatefulFirewall.usual())
                        .opened();
        for (int i = 0; i < 10_000; i++) {
            course.client(i);
        }
        assertThat(course.path().pending()).isLessThanOrEqualTo(2);
    }

    @Test
    void settings_that_make_no_sense_are_refused() {
        assertThatThrownBy(() -> new Loss(1.5, 0)).isInstanceOf(IllegalArgumentException.class);
        assertThatThrownBy(() -> new Loss(Double.NaN, 0))
                .isInstanceOf(IllegalArgumentException.class);
        assertThatThrownBy(() -> new RateLimit(0, 1)).isInstanceOf(IllegalArgumentException.class);
        assertThatThrownBy(() -> Latency.of(Duration.ofMillis(-1)))
                .isInstanceOf(IllegalArgumentException.class);
        assertThatThrownBy(() -> new Span(at(2), at(2)))
                .isInstanceOf(IllegalArgumentException.class);
    }
}
