package holdfast.core.liveness;

import static org.assertj.core.api.Assertions.assertThat;

import holdfast.core.time.Moment;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

/** The decision under literal time: every time below is seconds after authentication. */
final class LinkTest {

    private static Moment at(double seconds) {
        return new Moment(Math.round(seconds * 1e9));
    }

    private static Duration seconds(double amount) {
        return Duration.ofMillis(Math.round(amount * 1000));
    }

    private static LivenessPolicy policy(double interval, int countMax) {
        return new LivenessPolicy(seconds(interval), countMax, null, null, false);
    }

    private static LivenessPolicy attended(double interval, int countMax) {
        return new LivenessPolicy(seconds(interval), countMax, null, null, true);
    }

    /**
     * A link driven as its shell drives it: woken when it asked to be, never before, unless told.
     */
    private static final class Driven {
        final LivenessPolicy policy;
        final List<Double> probes = new ArrayList<>();
        final List<String> notices = new ArrayList<>();
        LinkState state;
        Moment wakeAt;

        Driven(LivenessPolicy policy) {
            this(policy, new LinkState.Up(Watch.from(Moment.ZERO)));
        }

        Driven(LivenessPolicy policy, LinkState state) {
            this.policy = policy;
            this.state = state;
            this.wakeAt = Link.wakeAt(state, policy);
        }

        Driven event(double when, LinkEvent event) {
            silenceUntil(when);
            step(event, at(when));
            return this;
        }

        Driven packet(double when) {
            return event(when, new LinkEvent.Heard(at(when), at(when)));
        }

        Driven silenceUntil(double end) {
            int steps = 0;
            while (!at(end).isBefore(wakeAt)) {
                Moment asked = wakeAt;
                step(new LinkEvent.TimePassed(), wakeAt);
                assertThat(wakeAt).as("a wake-up at %s makes progress", asked).isGreaterThan(asked);
                assertThat(++steps).isLessThan(1000);
            }
            return this;
        }

        void step(LinkEvent event, Moment when) {
            Step step = Link.on(state, event, when, policy);
            state = step.next();
            wakeAt = step.wakeAt();
            for (LinkCommand command : step.commands()) {
                switch (command) {
                    case LinkCommand.SendProbe probe -> probes.add(probe.sent().nanos() / 1e9);
                    case LinkCommand.ShowDoubt doubt ->
                            notices.add(
                                    "doubt@"
                                            + when.nanos() / 1e9
                                            + " heard "
                                            + doubt.lastByte().nanos() / 1e9
                                            + " until "
                                            + (doubt.givenUpAt() == null
                                                    ? "never"
                                                    : doubt.givenUpAt().nanos() / 1e9));
                    case LinkCommand.HideDoubt _ -> notices.add("hide@" + when.nanos() / 1e9);
                    case LinkCommand.Condemn condemned ->
                            notices.add("dead@" + when.nanos() / 1e9 + " " + condemned.cause());
                }
            }
        }

        double diedAt() {
            assertThat(state).isInstanceOf(LinkState.Dead.class);
            return ((LinkState.Dead) state).at().nanos() / 1e9;
        }
    }

    @Test
    void interval_60_count_1_probes_at_60_and_dies_at_120() {
        Driven link = new Driven(policy(60, 1)).silenceUntil(1000);
        assertThat(link.probes).containsExactly(60.0);
        assertThat(link.diedAt()).isEqualTo(120.0);
        assertThat(((LinkState.Dead) link.state).cause())
                .isEqualTo(new Cause.Silent(seconds(120), 1));
    }

    @Test
    void interval_15_count_3_probes_at_15_30_45_and_dies_at_60() {
        Driven link = new Driven(policy(15, 3)).silenceUntil(1000);
        assertThat(link.probes).containsExactly(15.0, 30.0, 45.0);
        assertThat(link.diedAt()).isEqualTo(60.0);
    }

    @Test
    void count_0_sends_no_probe_and_dies_after_one_interval() {
        Driven link = new Driven(policy(30, 0)).silenceUntil(1000);
        assertThat(link.probes).isEmpty();
        assertThat(link.diedAt()).isEqualTo(30.0);
    }

    @Test
    void interval_0_never_probes_and_never_dies() {
        Driven link = new Driven(policy(0, 3)).silenceUntil(1e6);
        assertThat(link.probes).isEmpty();
        assertThat(link.state).isInstanceOf(LinkState.Up.class);
        assertThat(link.wakeAt).isEqualTo(Moment.NEVER);
    }

    @Test
    void the_largest_settings_do_not_overflow() {
        Driven link = new Driven(policy(Integer.MAX_VALUE, Integer.MAX_VALUE)).silenceUntil(1e8);
        assertThat(link.state).isInstanceOf(LinkState.Up.class);
        assertThat(link.policy.deathAfter()).isPositive();
    }

    @Test
    void an_answered_probe_begins_everything_anew() {
        Driven link = new Driven(policy(10, 1)).silenceUntil(10);
        link.event(10.1, new LinkEvent.Heard(at(10.1), at(10.1))).silenceUntil(1000);
        assertThat(link.probes).containsExactly(10.0, 20.1);
        assertThat(link.diedAt()).isEqualTo(30.1);
    }

    @Test
    void part_of_a_packet_puts_the_probe_off_but_leaves_the_count() {
        Driven link = new Driven(policy(10, 1)).silenceUntil(15);
        assertThat(link.probes).containsExactly(10.0);
        link.event(15, new LinkEvent.Heard(at(15), Moment.ZERO)).silenceUntil(1000);
        assertThat(link.probes).as("the one probe is still unanswered").containsExactly(10.0);
        assertThat(link.diedAt()).isEqualTo(25.0);
    }

    @Test
    void our_own_sending_puts_nothing_off() {
        Driven link = new Driven(attended(10, 1));
        for (double t = 0.5; t < 30; t += 0.5) {
            if (!(link.state instanceof LinkState.Dead)) {
                link.event(t, new LinkEvent.Spoke(at(t)));
            }
        }
        assertThat(link.diedAt()).isEqualTo(20.0);
        assertThat(link.probes).as("counted at 10; the other out of doubt").contains(10.0);
    }

    @Test
    void a_byte_in_the_last_moment_saves_the_link() {
        Driven link = new Driven(policy(10, 1)).silenceUntil(19.9);
        link.step(new LinkEvent.Heard(at(19.99), at(19.99)), at(20.05));
        assertThat(link.state).isInstanceOf(LinkState.Up.class);
        assertThat(link.wakeAt).isEqualTo(at(29.99));
    }

    @Test
    void the_interval_counts_from_the_byte_and_not_from_when_the_loop_saw_it() {
        Driven link = new Driven(policy(60, 1));
        link.step(new LinkEvent.Heard(at(30), at(30)), at(60));
        assertThat(link.probes).isEmpty();
        assertThat(link.wakeAt).isEqualTo(at(90));
    }

    @Test
    void steady_packets_mean_no_probe_at_all() {
        Driven link = new Driven(policy(10, 0));
        for (int t = 9; t < 900; t += 9) {
            link.packet(t);
        }
        assertThat(link.probes).isEmpty();
        assertThat(link.state).isInstanceOf(LinkState.Up.class);
    }

    @Test
    void a_woken_laptop_probes_before_it_condemns() {
        Driven link = new Driven(policy(15, 3)).silenceUntil(10);
        link.step(new LinkEvent.Slept(Duration.ofHours(8)), at(8 * 3600 + 10));
        assertThat(link.probes).containsExactly(8 * 3600 + 10.0);
        assertThat(link.state).isInstanceOf(LinkState.Up.class);
        link.silenceUntil(9 * 3600);
        assertThat(link.diedAt())
                .as("absence is not silence: (3 + 1) × 15 s after waking")
                .isEqualTo(8 * 3600 + 10.0 + 60);
    }

    @Test
    void with_count_0_too_a_woken_laptop_probes_first() {
        Driven link = new Driven(policy(30, 0));
        link.step(new LinkEvent.Slept(Duration.ofHours(1)), at(3600));
        assertThat(link.probes).containsExactly(3600.0);
        assertThat(link.silenceUntil(4000).diedAt()).isEqualTo(3630.0);
    }

    @Test
    void a_woken_link_that_answers_goes_on() {
        Driven link = new Driven(policy(15, 1));
        link.step(new LinkEvent.Slept(Duration.ofHours(1)), at(3600));
        link.packet(3600.2).silenceUntil(3610);
        assertThat(link.state).isInstanceOf(LinkState.Up.class);
    }

    @Test
    void who_is_awake_again_only_just_before_the_end_looks_a_second_time() {
        Driven link = new Driven(policy(10, 1)).silenceUntil(11);
        // Doubt was due at 12 s, and we did not run until 50 ms before the end.
        link.step(new LinkEvent.TimePassed(), at(19.95));
        assertThat(link.silenceUntil(20.1).state).isNotInstanceOf(LinkState.Dead.class);
        assertThat(link.silenceUntil(30).diedAt()).isEqualTo(20.15);
    }

    @Test
    void a_sleep_while_connecting_is_charged_to_nobody_and_only_once() {
        LivenessPolicy policy =
                new LivenessPolicy(seconds(60), 3, seconds(120), seconds(1000), false);
        Driven link = new Driven(policy, Link.opening(Moment.ZERO, Moment.ZERO));
        // Woken long after the time at which it asked to be, and told why.
        link.step(new LinkEvent.Slept(seconds(300)), at(320));
        assertThat(link.silenceUntil(900).diedAt()).isEqualTo(420.0);
    }

    @Test
    void a_sleep_seen_late_while_connecting_leaves_the_peer_a_moment() {
        LivenessPolicy policy =
                new LivenessPolicy(seconds(60), 3, seconds(120), seconds(1000), false);
        Driven link = new Driven(policy, Link.opening(Moment.ZERO, Moment.ZERO));
        // Asleep from 119 to 127, and looked at the clock at 131.
        link.step(new LinkEvent.Slept(seconds(8)), at(131));
        assertThat(link.silenceUntil(900).diedAt()).isEqualTo(136.0);
    }

    @Test
    void a_sleep_while_a_person_is_asked_does_not_begin_to_count_their_time() {
        LivenessPolicy policy =
                new LivenessPolicy(seconds(60), 3, seconds(120), seconds(1000), false);
        Driven link = new Driven(policy, Link.opening(Moment.ZERO, Moment.ZERO));
        link.event(20, new LinkEvent.PersonAsked());
        link.event(320, new LinkEvent.Slept(seconds(200)));
        link.event(900, new LinkEvent.PersonAnswered());
        assertThat(link.silenceUntil(2000).diedAt()).isEqualTo(1000.0);
    }

    @Test
    void a_stopped_process_that_goes_on_is_absent_and_not_the_peer_silent() {
        Driven link = new Driven(policy(15, 0));
        link.step(new LinkEvent.TimePassed(), at(15 + 600));
        assertThat(link.state).isInstanceOf(LinkState.Up.class);
        assertThat(link.probes).containsExactly(615.0);
    }

    @Test
    void a_late_wake_up_looks_once_more_before_it_condemns() {
        Driven link = new Driven(policy(1, 0));
        link.step(new LinkEvent.TimePassed(), at(2.5));
        assertThat(link.state).isInstanceOf(LinkState.Up.class);
        assertThat(link.wakeAt).isEqualTo(at(2.7));
        assertThat(link.silenceUntil(5).diedAt()).isEqualTo(2.7);

        Driven stopped = new Driven(policy(1, 0));
        stopped.step(new LinkEvent.TimePassed(), at(1.013));
        assertThat(stopped.wakeAt).as("back just after the end").isEqualTo(at(1.213));

        Driven scheduled = new Driven(policy(1, 0));
        scheduled.step(new LinkEvent.TimePassed(), at(1.004));
        assertThat(scheduled.diedAt()).as("as late as any wake-up may be").isEqualTo(1.004);

        Driven lucky = new Driven(policy(1, 0));
        lucky.step(new LinkEvent.TimePassed(), at(2.5));
        lucky.step(new LinkEvent.Heard(at(2.6), at(2.6)), at(2.6));
        assertThat(lucky.wakeAt).isEqualTo(at(3.6));
    }

    @Test
    void the_second_look_is_the_last_however_late_it_comes() {
        Driven link = new Driven(policy(1, 0));
        link.step(new LinkEvent.TimePassed(), at(2.5));
        link.step(new LinkEvent.TimePassed(), at(3.5));
        assertThat(link.diedAt()).isEqualTo(3.5);
    }

    @Test
    void doubt_begins_when_a_probe_is_late_and_ends_with_the_first_byte() {
        Driven link = new Driven(policy(20, 3)).silenceUntil(20);
        assertThat(link.silenceUntil(24.9).state).isInstanceOf(LinkState.Up.class);
        assertThat(link.silenceUntil(25).state).isInstanceOf(LinkState.Suspect.class);
        assertThat(link.notices).containsExactly("doubt@25.0 heard 0.0 until 80.0");
        link.packet(31);
        assertThat(link.state).isInstanceOf(LinkState.Up.class);
        assertThat(link.notices).last().isEqualTo("hide@31.0");
    }

    @Test
    void doubt_does_not_move_death_and_is_hidden_before_it() {
        Driven link = new Driven(policy(10, 1)).silenceUntil(1000);
        assertThat(link.diedAt()).isEqualTo(20.0);
        assertThat(link.notices)
                .hasSize(3)
                .startsWith("doubt@15.0 heard 0.0 until 20.0", "hide@20.0");
    }

    @Test
    void a_path_known_to_be_quick_is_doubted_sooner() {
        Driven link = new Driven(policy(20, 3)).silenceUntil(20);
        link.event(20.03, new LinkEvent.ProbeAnswered(at(20)));
        link.packet(20.03).silenceUntil(40.03);
        assertThat(link.silenceUntil(42.1).state).isInstanceOf(LinkState.Suspect.class);
    }

    @Test
    void typing_without_an_echo_is_asked_after_with_a_probe_that_is_not_counted() {
        Driven link = new Driven(attended(60, 1));
        link.event(10, new LinkEvent.Spoke(at(10))).silenceUntil(59);
        assertThat(link.probes).containsExactly(11.0);
        assertThat(link.notices).containsExactly("doubt@16.0 heard 0.0 until 120.0");
        link.silenceUntil(1000);
        assertThat(link.probes).containsExactly(11.0, 60.0);
        assertThat(link.diedAt()).isEqualTo(120.0);
    }

    @Test
    void a_password_typed_at_the_other_end_raises_no_doubt() {
        Driven link = new Driven(attended(0, 3));
        link.event(10, new LinkEvent.Spoke(at(10))).silenceUntil(11);
        link.packet(11.05).silenceUntil(1000);
        assertThat(link.probes).containsExactly(11.0);
        assertThat(link.notices).isEmpty();
    }

    @Test
    void without_an_interval_doubt_says_that_nothing_gives_the_link_up() {
        Driven link = new Driven(attended(0, 3));
        link.event(10, new LinkEvent.Spoke(at(10))).silenceUntil(1000);
        assertThat(link.notices).containsExactly("doubt@16.0 heard 0.0 until never");
        assertThat(link.state).isInstanceOf(LinkState.Suspect.class);
    }

    @Test
    void nobody_at_a_terminal_means_no_probe_but_the_intervals() {
        Driven link = new Driven(policy(60, 1));
        link.event(10, new LinkEvent.Spoke(at(10))).silenceUntil(59);
        assertThat(link.probes).isEmpty();
    }

    @Test
    void before_authentication_silence_may_last_interval_times_count() {
        LivenessPolicy policy = LivenessPolicy.client(seconds(60), 1, seconds(600), false);
        Driven link = new Driven(policy, Link.opening(Moment.ZERO, Moment.ZERO));
        link.event(5, new LinkEvent.Reached(Phase.KEY_EXCHANGE)).silenceUntil(1000);
        assertThat(link.probes).as("no probing before authentication").isEmpty();
        assertThat(link.diedAt()).isEqualTo(65.0);
        assertThat(((LinkState.Dead) link.state).cause())
                .isEqualTo(new Cause.NotOpened(Phase.KEY_EXCHANGE, seconds(65)));
    }

    @Test
    void one_deadline_bounds_a_peer_that_drips_bytes_for_ever() {
        LivenessPolicy policy = LivenessPolicy.client(seconds(0), 3, seconds(120), false);
        Driven link = new Driven(policy, Link.opening(at(-10), Moment.ZERO));
        for (int t = 1; t < 110; t++) {
            link.event(t, new LinkEvent.Heard(at(t), Moment.ZERO));
        }
        assertThat(link.silenceUntil(1000).diedAt())
                .as("counted from the start of the attempt")
                .isEqualTo(110.0);
    }

    @Test
    void the_persons_time_is_charged_to_nobody() {
        LivenessPolicy policy = LivenessPolicy.client(seconds(10), 1, seconds(60), false);
        Driven link = new Driven(policy, Link.opening(Moment.ZERO, Moment.ZERO));
        link.event(5, new LinkEvent.Reached(Phase.AUTHENTICATION))
                .event(6, new LinkEvent.PersonAsked())
                .silenceUntil(1000);
        assertThat(link.state).isInstanceOf(LinkState.Opening.class);
        link.event(1000, new LinkEvent.PersonAnswered()).silenceUntil(2000);
        assertThat(link.diedAt()).isEqualTo(1010.0);
    }

    @Test
    void a_program_stopped_while_it_connects_gives_the_peer_a_moment_when_it_goes_on() {
        LivenessPolicy silent = LivenessPolicy.client(seconds(5), 3, seconds(600), false);
        Driven link = new Driven(silent, Link.opening(Moment.ZERO, Moment.ZERO));
        link.step(new LinkEvent.TimePassed(), at(60));
        assertThat(link.state).isInstanceOf(LinkState.Opening.class);
        assertThat(link.silenceUntil(1000).diedAt()).isEqualTo(75.0);

        LivenessPolicy limited = LivenessPolicy.client(seconds(0), 3, seconds(10), false);
        Driven late = new Driven(limited, Link.opening(Moment.ZERO, Moment.ZERO));
        late.step(new LinkEvent.TimePassed(), at(3600));
        assertThat(late.state).isInstanceOf(LinkState.Opening.class);
        assertThat(late.silenceUntil(9000).diedAt()).isEqualTo(3605.0);
    }

    @Test
    void authentication_starts_the_session_clocks() {
        LivenessPolicy policy = LivenessPolicy.client(seconds(10), 0, seconds(60), false);
        Driven link = new Driven(policy, Link.opening(Moment.ZERO, Moment.ZERO));
        link.event(7, new LinkEvent.Authenticated()).silenceUntil(1000);
        assertThat(link.diedAt()).isEqualTo(17.0);
    }

    @Test
    void an_ended_transport_ends_the_link_in_every_state() {
        Driven opening =
                new Driven(policy(10, 1), Link.opening(Moment.ZERO, Moment.ZERO))
                        .event(1, new LinkEvent.Ended());
        assertThat(opening.diedAt()).isEqualTo(1.0);
        Driven suspect = new Driven(policy(20, 3)).silenceUntil(26);
        suspect.event(27, new LinkEvent.Ended());
        assertThat(suspect.diedAt()).isEqualTo(27.0);
        assertThat(suspect.notices).last().isEqualTo("hide@27.0");
    }

    @Test
    void the_dead_stay_dead() {
        Driven link = new Driven(policy(10, 0)).silenceUntil(10);
        link.packet(11);
        assertThat(link.diedAt()).isEqualTo(10.0);
        assertThat(link.wakeAt).isEqualTo(Moment.NEVER);
    }
}
