package holdfast.lab.sim;

import holdfast.core.liveness.LinkEvent;
import holdfast.core.liveness.Step;
import holdfast.core.time.Moment;
import holdfast.lab.middlebox.End;
import holdfast.lab.middlebox.Flow;
import holdfast.lab.middlebox.Happening;
import holdfast.lab.middlebox.Packet;
import holdfast.lab.middlebox.Path;
import holdfast.lab.middlebox.Span;
import holdfast.lab.sim.Scenario.Visit;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.Deque;
import java.util.List;
import java.util.PriorityQueue;
import java.util.SplittableRandom;

/**
 * One simulated run: clients, servers and the path between them, from connecting until all programs
 * are gone or the scenario is over. Nothing here waits, and equal scenarios run equally.
 */
public final class World {

    /** Sees every decision as it is made, to tell the story of one seed. */
    @FunctionalInterface
    public interface Watcher {
        Watcher NOBODY = (at, end, event, step) -> {};

        void saw(Moment at, End end, LinkEvent event, Step step);
    }

    /** More violations of one run than this tell nothing new. */
    private static final int MOST_VIOLATIONS = 20;

    /** More connections of one run than this are not opened: who reconnects may do so for ever. */
    private static final int MOST_TIES = 8;

    /** More turns of the loop in one moment than this, and it will never end. */
    private static final int MOST_TURNS = 10_000;

    private final Scenario scenario;
    private final Decision decision;
    private final Watcher watcher;
    private final SplittableRandom random;
    private final Path path;
    private final List<Tie> ties = new ArrayList<>();
    // Those of which at least one end is there.
    private final List<Tie> alive = new ArrayList<>();
    private final PriorityQueue<Visit> visits =
            new PriorityQueue<>(Comparator.comparing(Visit::at));
    private final Deque<Packet> outbox = new ArrayDeque<>();
    private final List<Run.Violation> violations = new ArrayList<>();
    private int meddled;

    private World(Scenario scenario, Decision decision, Watcher watcher) {
        this.scenario = scenario;
        this.decision = decision;
        this.watcher = watcher;
        random = new SplittableRandom(scenario.seed());
        path = Path.of(scenario.path());
        visits.addAll(scenario.others());
    }

    /** What becomes of {@code scenario} when {@code decision} decides at both ends. */
    public static Run run(Scenario scenario, Decision decision, Watcher watcher) {
        return new World(scenario, decision, watcher).run();
    }

    /** What becomes of {@code scenario} with the product's own decision. */
    public static Run run(Scenario scenario) {
        return run(scenario, Decision.REAL, Watcher.NOBODY);
    }

    private Run run() {
        Moment last = Moment.ZERO.plus(scenario.length());
        Moment now = Moment.ZERO;
        int turns = 0;
        open(new Visit(now, scenario.client(), scenario.server()), now);
        post(now);
        while ((!alive.isEmpty() || !visits.isEmpty()) && violations.size() < MOST_VIOLATIONS) {
            Moment next = path.wakeAt();
            for (int i = 0; i < alive.size(); i++) {
                next = Moment.earlier(next, alive.get(i).wakeAt());
            }
            if (meddled < scenario.meddlings().size()) {
                next = Moment.earlier(next, scenario.meddlings().get(meddled).at());
            }
            Visit visit = visits.peek();
            if (visit != null) {
                next = Moment.earlier(next, visit.at());
            }
            next = Moment.later(now, next);
            turns = now.isBefore(next) ? 0 : turns + 1;
            if (turns > MOST_TURNS) {
                broken(
                        new Run.Violation(
                                Run.Rule.PROGRESS, End.CLIENT, now, "the time stands still"));
                break;
            }
            if (last.isBefore(next)) {
                now = last;
                break;
            }
            now = next;
            happened(path.advance(now));
            post(now);
            while (meddled < scenario.meddlings().size()
                    && !now.isBefore(scenario.meddlings().get(meddled).at())) {
                for (Tie tie : alive) {
                    tie.trouble(now);
                }
                happened(path.meddle(scenario.meddlings().get(meddled++).event(), now));
                post(now);
            }
            if (visit != null && !now.isBefore(visit.at())) {
                open(visits.remove(), now);
                post(now);
            }
            for (int i = 0; i < alive.size(); i++) {
                Tie tie = alive.get(i);
                if (!now.isBefore(tie.client.wakeAt())) {
                    tie.client.advance(now);
                    post(now);
                }
                if (!now.isBefore(tie.server.wakeAt())) {
                    tie.server.advance(now);
                    post(now);
                }
            }
            bury(now);
        }
        List<Run.Ends> ends = new ArrayList<>();
        for (Tie tie : ties) {
            tie.client.settle(now);
            tie.server.settle(now);
            ends.add(tie.outcome());
        }
        return new Run(
                scenario,
                now,
                ends.getFirst().client(),
                ends.getFirst().server(),
                ends.subList(1, ends.size()),
                violations);
    }

    /** A client connects, or will when its machine and its program are awake. */
    private void open(Visit visit, Moment now) {
        for (List<Span> away : List.of(visit.client().asleep(), visit.client().stopped())) {
            for (Span span : away) {
                if (span.contains(now)) {
                    visits.add(new Visit(span.to(), visit.client(), visit.server()));
                    return;
                }
            }
        }
        Tie tie = new Tie(this, new Flow(ties.size() + 1), visit, now);
        ties.add(tie);
        alive.add(tie);
        tie.client.connect(now);
    }

    /** Forgets the connections that neither end has, and lets clients connect anew. */
    private void bury(Moment now) {
        Duration pause = scenario.reconnects();
        for (int i = alive.size() - 1; i >= 0; i--) {
            Tie tie = alive.get(i);
            if (tie.client.over() && !tie.mourned) {
                tie.mourned = true;
                if (pause != null && ties.size() + visits.size() < MOST_TIES) {
                    visits.add(new Visit(now.plus(pause), tie.visit.client(), tie.visit.server()));
                }
            }
            if (tie.over()) {
                alive.remove(i);
                path.ended(tie.flow);
            }
        }
    }

    /** Sends what waits to set out, and what that brings about in the same moment. */
    private void post(Moment now) {
        Packet packet;
        while ((packet = outbox.poll()) != null) {
            happened(path.send(packet, now));
        }
    }

    private void happened(List<Happening> happenings) {
        for (int i = 0; i < happenings.size(); i++) {
            switch (happenings.get(i)) {
                case Happening.Delivered(Packet packet, Moment at) ->
                        tie(packet)
                                .node(End.speaker(packet.direction()).other())
                                .receive(packet, at);
                case Happening.Lost lost -> {
                    Packet packet = lost.packet();
                    tie(packet).trouble(lost.at());
                    if (lost.acknowledged()) {
                        tie(packet)
                                .node(End.speaker(packet.direction()))
                                .absorbed(packet, lost.at());
                    }
                }
                case Happening.Noted _ -> {}
            }
        }
    }

    private Tie tie(Packet packet) {
        return ties.get(packet.flow().number() - 1);
    }

    // --------------------------------------------------------------------------- for the nodes

    void send(Packet packet) {
        outbox.add(packet);
    }

    /** A number from 0, less than {@code bound}. */
    long chance(long bound) {
        return random.nextLong(bound);
    }

    Scenario scenario() {
        return scenario;
    }

    Decision decision() {
        return decision;
    }

    void tell(Moment now, End end, LinkEvent event, Step step) {
        watcher.saw(now, end, event, step);
    }

    void broken(Run.Violation violation) {
        if (violations.size() < MOST_VIOLATIONS) {
            violations.add(violation);
        }
    }
}
