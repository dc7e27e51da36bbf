package holdfast.lab.sim;

import holdfast.core.liveness.LinkEvent;
import holdfast.core.liveness.Step;
import holdfast.core.time.Moment;
import holdfast.lab.middlebox.End;
import holdfast.lab.middlebox.Happening;
import holdfast.lab.middlebox.Packet;
import holdfast.lab.middlebox.Path;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.SplittableRandom;

/**
 * One simulated run: two ends and the path between them, from connecting until both programs are
 * gone or the scenario is over. Nothing here waits, and equal scenarios run equally.
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

    /** More turns of the loop in one moment than this, and it will never end. */
    private static final int MOST_TURNS = 10_000;

    private final Scenario scenario;
    private final Decision decision;
    private final Watcher watcher;
    private final SplittableRandom random;
    private final Path path;
    private final Node client;
    private final Node server;
    private final Deque<Packet> outbox = new ArrayDeque<>();
    private final List<Run.Violation> violations = new ArrayList<>();
    private Moment lastTrouble = Moment.ZERO;
    private int meddled;

    private World(Scenario scenario, Decision decision, Watcher watcher) {
        this.scenario = scenario;
        this.decision = decision;
        this.watcher = watcher;
        random = new SplittableRandom(scenario.seed());
        path = Path.of(scenario.path());
        client = new Node(this, End.CLIENT, scenario.client());
        server = new Node(this, End.SERVER, scenario.server());
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
        client.connect(now);
        post(now);
        while (!(client.over() && server.over()) && violations.size() < MOST_VIOLATIONS) {
            Moment next =
                    Moment.earlier(path.wakeAt(), Moment.earlier(client.wakeAt(), server.wakeAt()));
            if (meddled < scenario.meddlings().size()) {
                next = Moment.earlier(next, scenario.meddlings().get(meddled).at());
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
                lastTrouble = now;
                happened(path.meddle(scenario.meddlings().get(meddled++).event(), now));
                post(now);
            }
            if (!now.isBefore(client.wakeAt())) {
                client.advance(now);
                post(now);
            }
            if (!now.isBefore(server.wakeAt())) {
                server.advance(now);
                post(now);
            }
        }
        client.settle(now);
        server.settle(now);
        return new Run(scenario, now, client.outcome(), server.outcome(), violations);
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
                case Happening.Delivered delivered ->
                        node(End.speaker(delivered.packet().direction()).other())
                                .receive(delivered.packet(), delivered.at());
                case Happening.Lost lost -> {
                    lastTrouble = lost.at();
                    if (lost.acknowledged()) {
                        node(End.speaker(lost.packet().direction()))
                                .absorbed(lost.packet(), lost.at());
                    }
                }
                case Happening.Noted _ -> {}
            }
        }
    }

    private Node node(End end) {
        return end == End.CLIENT ? client : server;
    }

    // --------------------------------------------------------------------------- for the nodes

    Node other(Node node) {
        return node == client ? server : client;
    }

    void send(Packet packet) {
        outbox.add(packet);
    }

    void trouble(Moment now) {
        lastTrouble = now;
    }

    Moment lastTrouble() {
        return lastTrouble;
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
