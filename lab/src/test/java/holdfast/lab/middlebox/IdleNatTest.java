package holdfast.lab.middlebox;

import static holdfast.lab.middlebox.Course.ONE;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import holdfast.lab.middlebox.IdleNat.Expiry;
import holdfast.lab.middlebox.IdleNat.Refresh;
import holdfast.lab.middlebox.IdleNat.Unsolicited;
import java.time.Duration;
import org.junit.jupiter.api.Test;

class IdleNatTest {

    private static IdleNat nat(Expiry expiry) {
        return IdleNat.of(Duration.ofSeconds(5), expiry);
    }

    private static Course course(Expiry expiry) {
        return new Course(nat(expiry)).opened();
    }

    @Test
    void a_flow_in_use_is_never_forgotten() {
        Course course = course(Expiry.SILENT);
        for (int i = 1; i < 100; i++) {
            assertThat(course.client(i * 4.999))
                    .containsExactly("%.3f DATA > server delivered".formatted(i * 4.999));
        }
    }

    @Test
    void an_idle_flow_is_forgotten_when_its_time_has_come_and_not_before() {
        Course course = course(Expiry.SILENT);
        course.client(1);
        assertThat(course.until(5.999)).isEmpty();
        assertThat(course.path().wakeAt()).isEqualTo(Course.at(6));
        assertThat(course.until(60)).containsExactly("6.000 NAT forgotten");
    }

    @Test
    void silent_drop_tells_neither_end_whoever_speaks() {
        Course course = course(Expiry.SILENT);
        course.until(5);
        assertThat(course.client(9)).containsExactly("9.000 DATA > server lost: flow forgotten");
        assertThat(course.server(9)).containsExactly("9.000 DATA > client lost: flow forgotten");
    }

    @Test
    void reset_tells_the_speaker_and_leaves_the_other_end_half_open() {
        Course course = course(Expiry.RESET_SPEAKER);
        course.until(5);
        assertThat(course.client(9))
                .containsExactly(
                        "9.000 RST > client delivered", "9.000 DATA > server lost: flow forgotten");
        assertThat(course.server(9))
                .containsExactly(
                        "9.000 RST > server delivered", "9.000 DATA > client lost: flow forgotten");
    }

    @Test
    void reset_both_tells_both_ends_at_the_moment_of_expiry() {
        assertThat(course(Expiry.RESET_BOTH).until(60))
                .containsExactly(
                        "5.000 NAT forgotten",
                        "5.000 RST > client delivered",
                        "5.000 RST > server delivered");
    }

    @Test
    void close_ends_both_legs_in_good_order_at_the_moment_of_expiry() {
        assertThat(course(Expiry.CLOSE).until(60))
                .containsExactly(
                        "5.000 NAT forgotten",
                        "5.000 FIN > client delivered",
                        "5.000 FIN > server delivered");
    }

    @Test
    void revive_takes_the_clients_next_packet_as_if_nothing_had_happened() {
        Course course = course(Expiry.REVIVE);
        course.until(5);
        assertThat(course.client(9))
                .containsExactly("9.000 NAT revived", "9.000 DATA > server delivered");
        assertThat(course.server(10)).containsExactly("10.000 DATA > client delivered");
        assertThat(course.until(60)).containsExactly("15.000 NAT forgotten");
    }

    @Test
    void revive_resets_the_server_that_speaks_first_and_the_client_is_not_told() {
        Course course = course(Expiry.REVIVE);
        course.until(5);
        assertThat(course.server(9))
                .containsExactly(
                        "9.000 RST > server delivered", "9.000 DATA > client lost: flow forgotten");
    }

    @Test
    void revive_behind_a_filter_lets_the_server_wait_until_the_client_speaks() {
        Course course = new Course(nat(Expiry.REVIVE).unsolicited(Unsolicited.DROP)).opened();
        course.until(5);
        assertThat(course.server(9)).containsExactly("9.000 DATA > client lost: flow forgotten");
        course.client(10);
        assertThat(course.server(11)).containsExactly("11.000 DATA > client delivered");
    }

    @Test
    void remap_gives_the_clients_next_packet_another_port_and_the_way_back_leads_there() {
        Course course = course(Expiry.REMAP);
        course.until(5);
        assertThat(course.client(9))
                .containsExactly("9.000 NAT remapped", "9.000 DATA > server as 1 delivered");
        Packet answer = Packet.rst(ONE, Direction.TO_CLIENT).mappedTo(1);
        assertThat(course.send(9.1, answer)).containsExactly("9.100 RST > client delivered");
    }

    @Test
    void remap_does_not_let_the_old_port_in_again() {
        Course course = course(Expiry.REMAP);
        course.until(5);
        course.client(9);
        assertThat(course.server(10))
                .containsExactly(
                        "10.000 RST > server delivered",
                        "10.000 DATA > client lost: flow forgotten");
    }

    @Test
    void a_rst_is_never_answered_with_a_rst() {
        for (Expiry expiry : Expiry.values()) {
            Course course = course(expiry);
            course.until(60);
            assertThat(course.send(61, Packet.rst(ONE, Direction.TO_SERVER)))
                    .as(expiry.name())
                    .containsExactly("61.000 RST > server lost: belongs to no known flow");
        }
    }

    @Test
    void a_coarse_timer_lets_a_flow_live_until_its_next_round() {
        Course course = new Course(nat(Expiry.SILENT).granularity(Duration.ofSeconds(10))).opened();
        course.client(4);
        assertThat(course.until(9.999)).isEmpty();
        assertThat(course.until(60)).containsExactly("10.000 NAT forgotten");
    }

    @Test
    void a_coarse_timer_is_put_off_by_activity_just_before_its_round() {
        Course course = new Course(nat(Expiry.SILENT).granularity(Duration.ofSeconds(10))).opened();
        course.client(6);
        assertThat(course.until(60)).containsExactly("20.000 NAT forgotten");
    }

    @Test
    void refresh_by_the_client_only_lets_a_flow_die_under_the_servers_words() {
        Course course = new Course(nat(Expiry.SILENT).refreshedBy(Refresh.TO_SERVER)).opened();
        assertThat(course.server(4)).containsExactly("4.000 DATA > client delivered");
        assertThat(course.server(5))
                .containsExactly("5.000 NAT forgotten", "5.000 DATA > client lost: flow forgotten");
    }

    @Test
    void payload_only_refresh_ignores_acknowledgements_and_tcp_keepalives() {
        Course course = new Course(nat(Expiry.SILENT).refreshedByPayloadOnly()).opened();
        course.client(1);
        course.send(4, Packet.ack(ONE, Direction.TO_SERVER));
        assertThat(course.until(60)).containsExactly("6.000 NAT forgotten");
    }

    @Test
    void a_flushed_table_forgets_flows_in_the_midst_of_use() {
        Course course = course(Expiry.SILENT);
        course.client(1);
        assertThat(course.meddle(1.5, new Event.Forget())).containsExactly("1.500 NAT forgotten");
        assertThat(course.client(2)).containsExactly("2.000 DATA > server lost: flow forgotten");
    }

    @Test
    void the_class_of_a_path_is_that_of_the_box_which_expires_first() {
        Course course =
                new Course(
                                IdleNat.of(Duration.ofSeconds(9), Expiry.REVIVE),
                                IdleNat.of(Duration.ofSeconds(5), Expiry.SILENT))
                        .opened();
        course.until(6);
        assertThat(course.client(6)).containsExactly("6.000 DATA > server lost: flow forgotten");
        course.until(30);
        assertThat(course.client(30))
                .containsExactly("30.000 NAT revived", "30.000 DATA > server lost: flow forgotten");
    }

    @Test
    void a_rst_may_vanish_in_the_silence_of_another_box() {
        Course course =
                new Course(nat(Expiry.SILENT), IdleNat.of(Duration.ofSeconds(9), Expiry.RESET_BOTH))
                        .opened();
        assertThat(course.until(60))
                .containsExactly(
                        "5.000 NAT forgotten",
                        "9.000 NAT forgotten",
                        "9.000 RST > client lost: belongs to no known flow",
                        "9.000 RST > server delivered");
    }

    @Test
    void two_remapping_nats_in_a_row_lead_back_to_the_client() {
        Course course = new Course(nat(Expiry.REMAP), nat(Expiry.REMAP)).opened();
        course.until(6);
        assertThat(course.client(6))
                .containsExactly(
                        "6.000 NAT remapped",
                        "6.000 NAT remapped",
                        "6.000 DATA > server as 1 delivered");
        assertThat(course.send(7, Packet.data(ONE, Direction.TO_CLIENT, 1).mappedTo(1)))
                .containsExactly("7.000 DATA > client delivered");
    }

    @Test
    void an_idle_time_of_zero_is_refused() {
        assertThatThrownBy(() -> IdleNat.of(Duration.ZERO, Expiry.SILENT))
                .isInstanceOf(IllegalArgumentException.class);
    }
}
