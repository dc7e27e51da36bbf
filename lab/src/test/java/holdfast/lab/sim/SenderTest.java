package holdfast.lab.sim;

import static org.assertj.core.api.Assertions.assertThat;

import holdfast.core.time.Moment;
import holdfast.lab.middlebox.Packet.Kind;
import holdfast.lab.sim.Sender.Segment;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;

class SenderTest {

    private static Moment at(double seconds) {
        return Moment.ZERO.plus(Duration.ofNanos(Math.round(seconds * 1e9)));
    }

    /** A sender whose connection was opened at zero, in no time. */
    private static Sender<Integer> opened() {
        Sender<Integer> sender = new Sender<>();
        sender.offer(Kind.OPEN, 0, 0);
        assertThat(sender.due(at(0))).hasSize(1);
        sender.acknowledged(1, at(0));
        return sender;
    }

    /** When the sender repeats what is never acknowledged, in seconds, until it gives up. */
    private static List<Double> ladder(Sender<Integer> sender) {
        List<Double> repeats = new ArrayList<>();
        while (!sender.givenUp()) {
            Moment now = sender.wakeAt();
            int sent = sender.due(now).size();
            repeats.add((sender.givenUp() ? -1 : 1) * now.nanos() / 1e9);
            assertThat(sent).isEqualTo(sender.givenUp() ? 0 : 1);
        }
        return repeats;
    }

    @Test
    void unacknowledged_data_is_repeated_on_linuxs_ladder_and_given_up_after_924_seconds() {
        Sender<Integer> sender = opened();
        sender.offer(Kind.DATA, 1, 1);
        sender.due(at(0));
        List<Double> ladder = ladder(sender);
        assertThat(ladder.subList(0, 11))
                .containsExactly(0.2, 0.6, 1.4, 3.0, 6.2, 12.6, 25.4, 51.0, 102.2, 204.6, 324.6);
        assertThat(ladder).hasSize(16);
        assertThat(ladder.getLast()).isEqualTo(-924.6);
    }

    @Test
    void a_connection_that_nobody_answers_is_given_up_after_127_seconds() {
        Sender<Integer> sender = new Sender<>();
        sender.offer(Kind.OPEN, 0, 0);
        sender.offer(Kind.DATA, 1, 1);
        assertThat(sender.due(at(0))).extracting(Segment::kind).containsExactly(Kind.OPEN);
        assertThat(ladder(sender)).containsExactly(1.0, 3.0, 7.0, 15.0, 31.0, 63.0, -127.0);
    }

    @Test
    void an_outage_of_a_minute_costs_until_the_next_rung() {
        Sender<Integer> sender = opened();
        sender.offer(Kind.DATA, 1, 1);
        sender.due(at(0));
        Moment through = Moment.ZERO;
        while (through.isBefore(at(60))) {
            through = sender.wakeAt();
            sender.due(through);
        }
        assertThat(through).isEqualTo(at(102.2));
        sender.acknowledged(2, through);
        assertThat(sender.settled()).isTrue();
        assertThat(sender.wakeAt()).isEqualTo(Moment.NEVER);
    }

    @Test
    void an_acknowledgement_starts_the_ladder_anew() {
        Sender<Integer> sender = opened();
        sender.offer(Kind.DATA, 1, 1);
        sender.due(at(0));
        sender.due(at(0.2));
        sender.due(at(0.6));
        sender.acknowledged(2, at(0.7));
        sender.offer(Kind.DATA, 1, 2);
        sender.due(at(10));
        assertThat(sender.wakeAt()).isEqualTo(at(10.2));
    }

    @Test
    void the_first_rung_lies_beyond_the_measured_round_trip() {
        Sender<Integer> sender = new Sender<>();
        sender.offer(Kind.OPEN, 0, 0);
        sender.due(at(0));
        sender.acknowledged(1, at(0.6));
        sender.offer(Kind.DATA, 1, 1);
        sender.due(at(1));
        // RFC 6298: 0.6 s, and four times half of it.
        assertThat(sender.wakeAt()).isEqualTo(at(1 + 0.6 + 4 * 0.3));
    }

    @Test
    void ten_segments_may_be_under_way_at_first_and_one_more_for_each_acknowledged() {
        Sender<Integer> sender = opened();
        for (int i = 0; i < 100; i++) {
            sender.offer(Kind.DATA, 1, i);
        }
        assertThat(sender.due(at(0))).hasSize(10);
        assertThat(sender.due(at(0))).isEmpty();
        sender.acknowledged(1 + 4, at(0.01));
        assertThat(sender.due(at(0.01))).hasSize(8);
    }

    @Test
    void three_equal_acknowledgements_bring_the_missing_segment_at_once() {
        Sender<Integer> sender = opened();
        for (int i = 0; i < 5; i++) {
            sender.offer(Kind.DATA, 1, i);
        }
        sender.due(at(0));
        assertThat(sender.acknowledged(1, at(0.01))).isEmpty();
        assertThat(sender.acknowledged(1, at(0.01))).isEmpty();
        assertThat(sender.acknowledged(1, at(0.01)))
                .extracting(Segment::sequence)
                .containsExactly(1L);
        assertThat(sender.acknowledged(1, at(0.01))).isEmpty();
    }

    @Test
    void an_acknowledgement_of_what_was_never_sent_is_ignored() {
        Sender<Integer> sender = opened();
        sender.offer(Kind.DATA, 1, 1);
        sender.due(at(0));
        sender.acknowledged(99, at(0.1));
        assertThat(sender.settled()).isFalse();
    }

    @Test
    void a_shut_window_is_probed_on_the_ladder_and_never_given_up_while_it_answers() {
        Sender<Integer> sender = opened();
        sender.offer(Kind.DATA, 1, 1);
        sender.due(at(0));
        Moment now = at(0);
        for (int probe = 0; probe < 40; probe++) {
            sender.refused();
            sender.acknowledged(1, now);
            now = sender.wakeAt();
            assertThat(sender.due(now)).hasSize(1);
        }
        assertThat(sender.givenUp()).isFalse();
        assertThat(now.until(sender.wakeAt())).isEqualTo(Sender.LAST_RTO);
        sender.roomAgain(now);
        assertThat(sender.due(now)).hasSize(1);
    }

    @Test
    void a_suspended_machines_timers_go_on_where_they_stopped() {
        Sender<Integer> sender = opened();
        sender.offer(Kind.DATA, 1, 1);
        sender.due(at(0));
        sender.slept(Duration.ofHours(8));
        assertThat(sender.wakeAt()).isEqualTo(at(8 * 3600 + 0.2));
    }

    @Test
    void a_repeat_that_was_needless_teaches_the_longer_round_trip() {
        Sender<Integer> sender = new Sender<>();
        sender.offer(Kind.OPEN, 0, 0);
        sender.due(at(0));
        sender.acknowledged(1, at(0.5));
        sender.offer(Kind.DATA, 1, 1);
        sender.due(at(1));
        Moment repeat = sender.wakeAt();
        assertThat(sender.due(repeat)).hasSize(1);
        sender.acknowledged(2, repeat.plus(Duration.ofMillis(100)));
        sender.offer(Kind.DATA, 1, 2);
        sender.due(at(10));
        assertThat(sender.wakeAt()).isGreaterThan(at(10 + 1.6));
    }

    @Test
    void whatever_is_lost_the_stream_comes_out_whole_and_in_order() {
        long seed = new Random().nextLong();
        Random random = new Random(seed);
        for (int run = 0; run < 200; run++) {
            Sender<Integer> sender = new Sender<>();
            Receiver<Integer> receiver = new Receiver<>();
            sender.offer(Kind.OPEN, 0, -1);
            for (int i = 0; i < 100; i++) {
                sender.offer(Kind.DATA, 1, i);
            }
            // Fifteen repeats in a row fail once in 10^9: giving up is not the question here.
            double loss = random.nextDouble() * 0.15;
            List<Integer> out = new ArrayList<>();
            Moment now = Moment.ZERO;
            while (!sender.settled()) {
                assertThat(sender.givenUp()).as("seed %d run %d", seed, run).isFalse();
                List<Segment<Integer>> segments = sender.due(now);
                if (segments.isEmpty()) {
                    now = sender.wakeAt();
                    assertThat(now).as("seed %d run %d", seed, run).isLessThan(Moment.NEVER);
                    continue;
                }
                for (int i = 0; i < segments.size(); i++) {
                    if (random.nextDouble() < loss) {
                        continue;
                    }
                    receiver.received(segments.get(i)).forEach(s -> out.add(s.payload()));
                    if (random.nextDouble() >= loss) {
                        List<Segment<Integer>> again =
                                sender.acknowledged(receiver.expected(), now);
                        if (random.nextDouble() >= loss) {
                            again.forEach(
                                    a -> receiver.received(a).forEach(s -> out.add(s.payload())));
                        }
                    }
                }
            }
            assertThat(out).as("seed %d run %d", seed, run).hasSize(101);
            for (int i = 0; i < out.size(); i++) {
                assertThat(out.get(i)).as("seed %d run %d", seed, run).isEqualTo(i - 1);
            }
        }
    }
}
