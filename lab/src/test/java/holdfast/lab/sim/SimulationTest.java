package holdfast.lab.sim;

import static org.assertj.core.api.Assertions.assertThat;

import holdfast.core.liveness.Link;
import holdfast.core.liveness.LinkCommand;
import holdfast.core.liveness.LivenessPolicy;
import holdfast.core.liveness.Step;
import holdfast.core.time.Moment;
import holdfast.lab.data.Population;
import holdfast.lab.sim.Run.Rule;
import holdfast.lab.sim.Run.Violation;
import holdfast.lab.sim.Simulation.Failure;
import holdfast.lab.sim.Simulation.Report;
import java.time.Duration;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import org.junit.jupiter.api.Test;

class SimulationTest {

    private static final long SEEDS = 1000;

    private static final Climate CLIMATE = new Climate(Population.shipped());

    @Test
    void no_invariant_breaks_in_a_thousand_seeds() {
        long start = System.nanoTime();
        Report report = Simulation.run(CLIMATE, Decision.REAL, 1, SEEDS);
        System.out.printf(
                "simulated seeds 1 to %d: %.0f days, %d opened, %d condemned, %d probes, %.1f s%n",
                SEEDS,
                report.days(),
                report.opened(),
                report.condemned(),
                report.probes(),
                (System.nanoTime() - start) / 1e9);
        assertThat(report.failures()).isEmpty();
        // Else the rules would hold for links that never lived, or never died.
        assertThat(report.opened()).isGreaterThan(SEEDS / 2);
        assertThat(report.condemned()).isGreaterThan(SEEDS / 10);
    }

    @Test
    void a_seed_repeats_itself_exactly() {
        for (long seed = 1; seed <= 50; seed++) {
            Run once = World.run(CLIMATE.of(seed));
            Run again = World.run(CLIMATE.of(seed));
            assertThat(again).as("seed %d", seed).isEqualTo(once);
        }
    }

    @Test
    void a_count_one_too_high_is_noticed() {
        noticed(
                (state, event, now, policy) -> Link.on(state, event, now, counted(policy, 1)),
                Rule.DEATH_IN_TIME);
    }

    @Test
    void a_count_one_too_low_is_noticed() {
        noticed(
                (state, event, now, policy) ->
                        policy.countMax() == 0
                                ? Link.on(state, event, now, policy)
                                : Link.on(state, event, now, counted(policy, -1)),
                Rule.NO_FALSE_DEATH);
    }

    @Test
    void a_decision_that_never_probes_is_noticed() {
        noticed(
                (state, event, now, policy) -> {
                    Step step = Link.on(state, event, now, policy);
                    List<LinkCommand> rest =
                            step.commands().stream()
                                    .filter(c -> !(c instanceof LinkCommand.SendProbe))
                                    .toList();
                    return new Step(step.next(), rest, step.wakeAt());
                },
                Rule.NO_FALSE_DEATH);
    }

    @Test
    void a_decision_that_probes_twice_as_often_is_noticed() {
        noticed(
                (state, event, now, policy) ->
                        Link.on(
                                state,
                                event,
                                now,
                                new LivenessPolicy(
                                        policy.interval().dividedBy(2),
                                        policy.countMax() * 2 + 1,
                                        policy.openingLimit(),
                                        policy.openingSilence(),
                                        policy.attended())),
                Rule.PROBES_WITHIN_BUDGET);
    }

    @Test
    void a_decision_that_never_asks_to_be_woken_is_noticed() {
        noticed(
                (state, event, now, policy) -> {
                    Step step = Link.on(state, event, now, policy);
                    return new Step(step.next(), step.commands(), Moment.NEVER);
                },
                Rule.DEATH_IN_TIME);
    }

    @Test
    void a_decision_that_always_wants_to_be_woken_at_once_is_noticed() {
        noticed(
                (state, event, now, policy) -> {
                    Step step = Link.on(state, event, now, policy);
                    return new Step(step.next(), step.commands(), now);
                },
                Rule.PROGRESS);
    }

    private static void noticed(Decision wrong, Rule by) {
        Report report = Simulation.run(CLIMATE, wrong, 1, 200);
        Set<Rule> rules = new TreeSet<>();
        for (Failure failure : report.failures()) {
            failure.violations().stream().map(Violation::rule).forEach(rules::add);
        }
        assertThat(rules).as("seeds 1 to 200").contains(by);
        Failure first = report.failures().getFirst();
        System.out.println("wrong on purpose: " + first);
        assertThat(first.command()).isEqualTo("trials/bench simulate 1 " + first.seed());
        // And that one seed alone shows it again.
        assertThat(Simulation.run(CLIMATE, wrong, first.seed(), 1).failures())
                .containsExactly(first);
    }

    private static LivenessPolicy counted(LivenessPolicy policy, int more) {
        Duration interval = policy.interval();
        return new LivenessPolicy(
                interval,
                policy.countMax() + more,
                policy.openingLimit(),
                policy.openingSilence(),
                policy.attended());
    }
}
