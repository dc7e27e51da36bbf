package holdfast.core.tether;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import holdfast.core.tether.CarrierEvent.Failure;
import holdfast.core.tether.CarrierState.Ending;
import holdfast.core.time.Moment;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

/** The decision under literal time: every time below is seconds after the tether began. */
final class CarriersTest {

    private static Moment at(double seconds) {
        return new Moment(Math.round(seconds * 1e9));
    }

    private static final CarrierPolicy CLIENT =
            new CarrierPolicy(
                    true, Duration.ofSeconds(30), Duration.ofSeconds(30), Duration.ZERO, 1);
    private static final CarrierPolicy SERVER =
            CarrierPolicy.server(Duration.ofSeconds(60), Duration.ofSeconds(20));

    /** An end driven as its shell drives it; what it did, with when. */
    private static final class Driven {
        final CarrierPolicy policy;
        final List<String> did = new ArrayList<>();
        CarrierState state = Carriers.begin(Moment.ZERO);

        Driven(CarrierPolicy policy) {
            this.policy = policy;
        }

        /** Held for an hour, over a path whose round trip is known: 0.1 s. */
        static Driven held(CarrierPolicy policy) {
            Driven end = new Driven(policy);
            end.event(0, new CarrierEvent.Held(Duration.ofHours(1)));
            end.event(0.1, new CarrierEvent.PingAnswered(Moment.ZERO, at(0.1)));
            end.did.clear();
            return end;
        }

        Driven event(double when, CarrierEvent event) {
            until(when);
            step(event, at(when));
            return this;
        }

        Driven until(double end) {
            int steps = 0;
            while (!at(end).isBefore(Carriers.wakeAt(state, policy))) {
                Moment asked = Carriers.wakeAt(state, policy);
                step(new CarrierEvent.TimePassed(), asked);
                assertThat(Carriers.wakeAt(state, policy)).as("progress").isGreaterThan(asked);
                assertThat(++steps).isLessThan(100_000);
            }
            return this;
        }

        private void step(CarrierEvent event, Moment now) {
            CarrierStep step = Carriers.on(state, event, now, policy);
            state = step.next();
            for (CarrierCommand command : step.commands()) {
                String what =
                        switch (command) {
                            case CarrierCommand.Ping _ -> "ping";
                            case CarrierCommand.Dial dial -> "dial " + dial.generation();
                            case CarrierCommand.Abandon one -> "abandon " + one.generation();
                            case CarrierCommand.Drop drop -> "drop " + drop.generation();
                            case CarrierCommand.Show _ -> "show";
                            case CarrierCommand.Hide _ -> "hide";
                            case CarrierCommand.End end -> "end " + end.why();
                        };
                did.add(what + "@" + Math.round(now.nanos() / 1e7) / 100.0);
            }
        }

        Driven heard(double when) {
            return event(when, new CarrierEvent.Heard(at(when), true));
        }

        Driven spoke(double when) {
            return event(when, new CarrierEvent.Spoke(at(when)));
        }

        Driven lost(double when, long generation) {
            return event(when, new CarrierEvent.Lost(generation, false));
        }
    }

    @Test
    void what_is_answered_raises_no_doubt() {
        Driven end = Driven.held(CLIENT).spoke(10).heard(10.1).spoke(20).heard(20.4).until(29);
        assertThat(end.did).isEmpty();
    }

    @Test
    void a_silent_carrier_is_asked_then_doubted_and_another_is_brought_beside_it() {
        Driven end = Driven.held(CLIENT).spoke(10).until(13.1);
        assertThat(end.did)
                .startsWith("ping@10.5", "dial 1@12.0")
                .anySatisfy(one -> assertThat(one).startsWith("show@13.0"))
                .noneSatisfy(one -> assertThat(one).startsWith("drop"));
        assertThat(end.state).isInstanceOf(CarrierState.Carried.class);
        end.did.clear();
        end.event(13.2, new CarrierEvent.Connected(1)).event(13.3, new CarrierEvent.Resumed(1));
        assertThat(end.did).contains("drop 0@13.3", "hide@13.3");
    }

    @Test
    void the_longer_nothing_goes_on_the_later_a_silence_is_asked_after() {
        Driven end = Driven.held(CarrierPolicy.client(Duration.ZERO, 1)).heard(0.2);
        List<Double> asked = new ArrayList<>();
        while (asked.isEmpty() || asked.getLast() < 1000) {
            double when = Carriers.wakeAt(end.state, end.policy).nanos() / 1e9;
            end.until(when);
            asked.add(when);
            end.event(when, new CarrierEvent.PingAnswered(at(when), at(when)));
        }
        assertThat(end.did).allMatch(one -> one.startsWith("ping@"));
        assertThat(asked.subList(0, 4)).containsExactly(0.95, 1.7, 2.45, 3.2);
        for (int i = 1; i < asked.size(); i++) {
            double still = asked.get(i - 1) - 0.2;
            assertThat(asked.get(i) - asked.get(i - 1))
                    .isCloseTo(Math.clamp(still / 4, 0.75, 50), within(1e-6));
        }
        assertThat(asked.size()).isLessThan(50);
    }

    @Test
    void an_answer_that_is_told_late_does_not_hide_what_was_said_after_it() {
        Driven end = Driven.held(CLIENT).spoke(10);
        end.event(10.01, new CarrierEvent.PingAnswered(at(9.8), at(9.9))).until(12.5);
        assertThat(end.did).containsExactly("ping@10.5", "dial 1@12.0");
    }

    @Test
    void one_answer_that_a_gap_held_up_does_not_make_the_next_loss_show_later_two_do() {
        Driven end = Driven.held(CLIENT);
        end.event(13, new CarrierEvent.PingAnswered(at(10.1), at(13)));
        end.did.clear();
        end.spoke(20).until(22.5);
        assertThat(end.did).containsExactly("ping@20.5", "dial 1@22.0");
        end.event(23.5, new CarrierEvent.PingAnswered(at(20.5), at(23.5))).until(29);
        end.did.clear();
        end.spoke(30).until(34.9);
        assertThat(end.did).containsExactly("ping@30.5");
        end.until(35);
        assertThat(end.did).hasSize(2).last().asString().startsWith("dial ");
    }

    @Test
    void a_carrier_that_speaks_again_is_kept() {
        Driven end = Driven.held(CLIENT).spoke(10).until(12).heard(12.3).until(18);
        assertThat(end.did).containsExactly("ping@10.5", "dial 1@12.0", "abandon 1@17.0");
    }

    @Test
    void a_lost_carrier_is_replaced_at_once_and_the_person_hears_nothing_of_it() {
        Driven end = Driven.held(CLIENT).lost(10, 0);
        assertThat(end.did).containsExactly("dial 1@10.0");
        end.event(10.4, new CarrierEvent.Connected(1)).event(10.6, new CarrierEvent.Resumed(1));
        assertThat(end.did).containsExactly("dial 1@10.0", "ping@10.6");
    }

    @Test
    void attempts_overlap_and_none_waits_for_the_kernels_back_off() {
        Driven end = Driven.held(CLIENT).lost(10, 0).until(70);
        List<Double> dials = dials(end);
        assertThat(dials).hasSizeGreaterThan(45);
        assertThat(longestPause(dials)).isLessThan(1.21);
        assertThat(lives(end)).containsSubsequence(20.0, 5.0, 5.0);
        assertThat(end.did.stream().filter(one -> one.startsWith("show")).toList())
                .containsExactly("show@11.0");
    }

    @Test
    void one_attempt_at_a_time_is_left_to_a_way_that_needs_long() {
        Driven end = Driven.held(CLIENT).lost(10, 0).until(300);
        // Each was made when the one before it had a few seconds left.
        List<Double> patient = lives(end).stream().filter(one -> one > 5.01).toList();
        assertThat(patient).hasSize(5).isSorted().startsWith(20.0, 20.0);
        assertThat(patient.get(2)).isBetween(30.0, 40.0);
        assertThat(patient.get(3)).isBetween(55.0, 80.0);
        assertThat(patient.get(4)).isBetween(105.0, 120.0);
        end.until(3000);
        assertThat(lives(end)).allMatch(one -> one <= 120).contains(120.0);
    }

    @Test
    void a_way_that_needs_twelve_seconds_to_connect_comes_back() {
        Driven end = Driven.held(CLIENT).lost(10, 0).event(22, new CarrierEvent.Connected(1));
        assertThat(end.did).doesNotContain("abandon 1@15.0");
        end.until(26.9);
        assertThat(end.did).noneMatch(one -> one.startsWith("abandon 1@"));
        end.event(26.95, new CarrierEvent.Resumed(1));
        assertThat(end.state).isInstanceOf(CarrierState.Carried.class);
    }

    @Test
    void a_proxy_that_answers_late_is_waited_for() {
        // What starts a command has connected at once, and hears nothing for long.
        Driven end = Driven.held(CLIENT).lost(10, 0);
        for (int one = 1; one <= 6; one++) {
            end.event(dials(end).getLast() + 0.1, new CarrierEvent.Connected(one));
            end.until(dials(end).getLast() + 3.1);
        }
        assertThat(end.did).contains("abandon 2@23.0").doesNotContain("abandon 1@20.0");
        end.until(31);
        assertThat(end.did).contains("abandon 1@30.0");
    }

    @Test
    void who_is_connected_late_has_the_time_to_resume() {
        Driven end = Driven.held(CLIENT).lost(10, 0).event(29, new CarrierEvent.Connected(1));
        end.until(40);
        assertThat(end.did).contains("abandon 1@34.0");
    }

    @Test
    void when_the_search_is_over_nothing_is_patient() {
        Driven end = Driven.held(CLIENT).spoke(10).until(12).heard(12.5).until(30);
        assertThat(end.did).contains("dial 1@12.0", "abandon 1@17.0");
    }

    @Test
    void after_a_quarter_of_an_hour_it_dials_each_ten_seconds() {
        Driven end = Driven.held(CLIENT).lost(0.2, 0).until(1500);
        List<Double> dials = dials(end);
        assertThat(longestPause(dials.stream().filter(one -> one < 890).toList())).isLessThan(2.5);
        assertThat(dials.stream().filter(one -> one > 920 && one < 1500).count())
                .isBetween(45L, 75L);
    }

    @Test
    void a_change_of_the_network_is_tried_at_once() {
        Driven end = Driven.held(CLIENT).lost(0.2, 0).until(1500);
        end.did.clear();
        end.event(1503, new CarrierEvent.NetworkChanged());
        assertThat(dials(end)).contains(1503.0);
        // The changes come in bursts.
        int before = dials(end).size();
        end.event(1503.01, new CarrierEvent.NetworkChanged());
        assertThat(dials(end)).hasSize(before);
    }

    @Test
    void a_carrier_that_survives_a_change_of_the_network_is_kept() {
        Driven end = Driven.held(CLIENT).event(10, new CarrierEvent.NetworkChanged()).heard(10.1);
        end.until(20);
        assertThat(end.did).containsExactly("ping@10.0");
    }

    @Test
    void a_carrier_that_does_not_is_replaced_within_half_a_second() {
        Driven end = Driven.held(CLIENT).event(10, new CarrierEvent.NetworkChanged()).until(10.6);
        assertThat(end.did).containsExactly("ping@10.0", "dial 1@10.5");
    }

    @Test
    void a_woken_laptop_asks_at_once() {
        Driven end =
                Driven.held(CLIENT)
                        .event(10, new CarrierEvent.Slept(Duration.ofHours(2)))
                        .until(10.6);
        assertThat(end.did).containsExactly("ping@10.0", "dial 1@10.5");
    }

    @Test
    void who_slept_longer_than_the_hold_may_ask_once_more() {
        Driven end = Driven.held(CLIENT).lost(10, 0).until(11);
        end.did.clear();
        end.step(new CarrierEvent.Slept(Duration.ofHours(30)), at(30 * 3600));
        assertThat(dials(end)).contains(30 * 3600.0);
        assertThat(end.state).isInstanceOf(CarrierState.Adrift.class);
        end.until(30 * 3600 + 16);
        assertThat(end.state)
                .isEqualTo(new CarrierState.Over(Ending.HOLD_OVER, at(30 * 3600 + 15)));
    }

    @Test
    void whoever_says_no_is_asked_more_and_more_seldom() {
        Driven end = Driven.held(CLIENT).lost(10, 0);
        double wait = 0.25;
        for (int refusals = 1; refusals <= 6; refusals++) {
            double refused = dials(end).getLast() + 0.01;
            end.event(refused, new CarrierEvent.Failed(refusals, Failure.TURNED_AWAY));
            end.until(refused + wait * 1.25);
            assertThat(dials(end)).hasSize(refusals + 1);
            assertThat(dials(end).getLast() - refused).isBetween(wait * 0.75, wait * 1.25);
            wait = Math.min(10, wait * 2);
        }
    }

    @Test
    void a_server_that_does_not_know_the_tether_is_the_end() {
        Driven end = Driven.held(CLIENT).lost(10, 0);
        end.event(10.1, new CarrierEvent.Connected(1));
        end.event(10.2, new CarrierEvent.Failed(1, Failure.GONE));
        assertThat(end.did).containsExactly("dial 1@10.0", "end GONE@10.2");
    }

    @Test
    void an_attempt_that_was_overtaken_is_refused_and_that_is_no_end() {
        Driven end = Driven.held(CLIENT).lost(10, 0).until(11.3);
        end.event(11.4, new CarrierEvent.Connected(2));
        end.event(11.5, new CarrierEvent.Connected(1));
        end.event(11.6, new CarrierEvent.Failed(1, Failure.GONE));
        assertThat(end.state).isInstanceOf(CarrierState.Adrift.class);
        end.event(11.7, new CarrierEvent.Resumed(2));
        assertThat(end.state).isInstanceOf(CarrierState.Carried.class);
    }

    @Test
    void a_living_carrier_is_not_given_up_for_what_another_machine_says() {
        Driven end = Driven.held(CLIENT).spoke(10).until(12);
        end.event(12.1, new CarrierEvent.Connected(1));
        end.event(12.2, new CarrierEvent.Failed(1, Failure.FOREIGN)).until(21);
        assertThat(dials(end)).containsExactly(12.0);
        end.heard(21.5).until(40);
        assertThat(end.state).isInstanceOf(CarrierState.Carried.class);
        assertThat(end.did).contains("hide@21.5");
    }

    @Test
    void two_attempts_under_way_that_hear_no_are_one_no_while_a_carrier_may_live() {
        Driven end = Driven.held(CLIENT).spoke(10).until(14);
        List<Double> before = dials(end);
        assertThat(before).hasSizeGreaterThanOrEqualTo(2);
        end.event(14.1, new CarrierEvent.Connected(1));
        end.event(14.2, new CarrierEvent.Failed(1, Failure.GONE));
        end.event(14.3, new CarrierEvent.Connected(2));
        end.event(14.4, new CarrierEvent.Failed(2, Failure.GONE)).until(24.1);
        assertThat(end.state).isInstanceOf(CarrierState.Carried.class);
        assertThat(dials(end)).hasSize(before.size());
        end.until(24.3);
        long third = before.size() + 1L;
        assertThat(dials(end).getLast()).isEqualTo(24.2);
        end.event(24.4, new CarrierEvent.Connected(third));
        end.event(24.5, new CarrierEvent.Failed(third, Failure.GONE));
        assertThat(end.did.getLast()).isEqualTo("end GONE@24.5");
    }

    @Test
    void a_carrier_lost_before_it_may_be_resumed_is_the_end() {
        Driven end = new Driven(CLIENT).lost(3, 0);
        assertThat(end.did).containsExactly("end NOT_RESUMABLE@3.0");
    }

    @Test
    void a_peer_that_keeps_breaking_the_protocol_is_left() {
        Driven end = Driven.held(CLIENT);
        double now = 10;
        for (int i = 0; i < 5; i++) {
            long generation = ((CarrierState.Carried) end.state).generation();
            end.event(now, new CarrierEvent.Lost(generation, true));
            if (i < 4) {
                end.until(now + 10);
                end.event(now + 10.1, new CarrierEvent.Resumed(i + 1));
            }
            now += 11;
        }
        assertThat(end.did.getLast()).startsWith("end PROTOCOL");
    }

    @Test
    void a_server_lets_a_silent_carrier_go_and_holds_the_tether_without_waking() {
        Driven end = Driven.held(SERVER).until(200);
        assertThat(end.did).containsExactly("ping@60.1", "drop 0@80.1");
        assertThat(Carriers.wakeAt(end.state, SERVER)).isEqualTo(at(80.1 + 3600));
        end.until(4000);
        assertThat(end.did.getLast()).isEqualTo("end HOLD_OVER@3680.1");
    }

    @Test
    void a_server_closes_the_older_carrier_when_a_newer_comes() {
        Driven end = Driven.held(SERVER).event(10, new CarrierEvent.Resumed(3));
        assertThat(end.did).containsExactly("drop 0@10.0", "ping@10.0");
    }

    @Test
    void there_are_never_more_attempts_than_the_bound() {
        Driven end = Driven.held(CLIENT).lost(10, 0);
        for (double now = 10; now < 60; now += 0.35) {
            end.event(now, new CarrierEvent.NetworkChanged());
            int attempts = ((CarrierState.Adrift) end.state).known().attempts().size();
            assertThat(attempts).isLessThanOrEqualTo(Carriers.MOST_ATTEMPTS + 1);
        }
    }

    /** How long each attempt lasted that was given up, by when it was made. */
    private static List<Double> lives(Driven end) {
        List<Double> lives = new ArrayList<>();
        for (String dial : end.did) {
            String[] made = dial.split("[ @]", -1);
            for (String one : made[0].equals("dial") ? end.did : List.<String>of()) {
                if (one.startsWith("abandon " + made[1] + "@")) {
                    double until = Double.parseDouble(one.substring(one.indexOf('@') + 1));
                    double lived = until - Double.parseDouble(made[2]);
                    lives.add(Math.round(lived * 100) / 100.0);
                }
            }
        }
        return lives;
    }

    private static List<Double> dials(Driven end) {
        return end.did.stream()
                .filter(one -> one.startsWith("dial"))
                .map(one -> Double.parseDouble(one.substring(one.indexOf('@') + 1)))
                .toList();
    }

    private static double longestPause(List<Double> times) {
        double longest = 0;
        for (int i = 1; i < times.size(); i++) {
            longest = Math.max(longest, times.get(i) - times.get(i - 1));
        }
        return longest;
    }
}
