package holdfast.lab.sim.tether;

import static org.assertj.core.api.Assertions.assertThat;

import holdfast.core.tether.CarrierCommand;
import holdfast.core.tether.CarrierEvent;
import holdfast.core.tether.CarrierPolicy;
import holdfast.core.tether.CarrierState;
import holdfast.core.tether.CarrierStep;
import holdfast.core.tether.Carriers;
import holdfast.core.time.Moment;
import holdfast.lab.sim.tether.TetherSimulation.Failure;
import holdfast.lab.sim.tether.TetherSimulation.Report;
import java.time.Duration;
import java.util.List;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.TreeSet;
import org.junit.jupiter.api.Test;

/** A few seeds of what {@code trials/bench tether} runs by the thousand; and that it can fail. */
final class TetherSimulationTest {

    @Test
    void whatever_happens_to_the_carriers_the_bytes_arrive_once_and_in_order() {
        long from = new SplittableRandom().nextLong(1_000_000_000);
        Report report = TetherSimulation.run(Twist.NONE, from, 150);
        System.out.println("tether: seeds from " + from + ": " + report);
        assertThat(report.failures()).isEmpty();
        assertThat(report.carriers()).as("connections").isGreaterThan(report.seeds());
        assertThat(report.whole()).as("runs to the end").isGreaterThan(report.seeds() / 2);
    }

    @Test
    void the_same_seed_gives_the_same_run() {
        assertThat(TetherSimulation.run(7, Twist.NONE))
                .isEqualTo(TetherSimulation.run(7, Twist.NONE));
    }

    @Test
    void a_server_that_lies_of_what_it_has_is_noticed() {
        noticed(
                new Twist() {
                    @Override
                    public long stated(long received) {
                        return Math.max(0, received - 1);
                    }
                },
                Run.Rule.BYTES);
    }

    @Test
    void a_server_that_believes_every_proof_is_noticed() {
        noticed(
                new Twist() {
                    @Override
                    public boolean proved(boolean really) {
                        return true;
                    }
                },
                Run.Rule.PROOF);
    }

    @Test
    void a_reader_that_drops_a_byte_is_noticed() {
        noticed(
                new Twist() {
                    @Override
                    public int given(int length) {
                        return length > 300 ? length - 1 : length;
                    }
                },
                Run.Rule.PROTOCOL);
    }

    @Test
    void a_decision_that_never_dials_is_noticed() {
        noticed(without(CarrierCommand.Dial.class), Run.Rule.LIVENESS);
    }

    @Test
    void a_decision_that_never_asks_after_a_silent_carrier_is_noticed() {
        noticed(
                new Twist() {
                    @Override
                    public CarrierStep decide(
                            CarrierState state,
                            CarrierEvent event,
                            Moment now,
                            CarrierPolicy policy) {
                        return event instanceof CarrierEvent.Spoke
                                ? Carriers.on(
                                        state, new CarrierEvent.TimePassed(), now, deaf(policy))
                                : Carriers.on(state, event, now, deaf(policy));
                    }
                },
                Run.Rule.LIVENESS);
    }

    private static CarrierPolicy deaf(CarrierPolicy policy) {
        return new CarrierPolicy(
                policy.dials(), Duration.ZERO, Duration.ZERO, Duration.ZERO, policy.seed());
    }

    private static Twist without(Class<? extends CarrierCommand> which) {
        return new Twist() {
            @Override
            public CarrierStep decide(
                    CarrierState state, CarrierEvent event, Moment now, CarrierPolicy policy) {
                CarrierStep step = Carriers.on(state, event, now, policy);
                List<CarrierCommand> rest =
                        step.commands().stream().filter(one -> !which.isInstance(one)).toList();
                return new CarrierStep(step.next(), rest, step.wakeAt());
            }
        };
    }

    private static void noticed(Twist wrong, Run.Rule by) {
        Report report = TetherSimulation.run(wrong, 1, 60);
        Set<Run.Rule> rules = new TreeSet<>();
        report.failures().forEach(failure -> rules.add(failure.rule()));
        assertThat(rules).as("seeds 1 to 60").contains(by);
        Failure first = report.failures().getFirst();
        System.out.println("wrong on purpose: " + first);
        // And that one seed alone shows it again.
        assertThat(TetherSimulation.run(wrong, first.seed(), 1).failures()).containsExactly(first);
    }
}
