package holdfast.lab.sim;

import holdfast.core.time.Moment;
import holdfast.lab.middlebox.End;
import holdfast.lab.middlebox.Flow;

/** One connection of a simulated run: its two ends, and when something last went wrong with it. */
final class Tie {

    final Flow flow;
    final Scenario.Visit visit;
    final Node client;
    final Node server;
    Moment lastTrouble;

    /** Whether what its client does after its death has been seen to. */
    boolean mourned;

    Tie(World world, Flow flow, Scenario.Visit visit, Moment now) {
        this.flow = flow;
        this.visit = visit;
        lastTrouble = now;
        client = new Node(world, this, End.CLIENT, visit.client(), now);
        server = new Node(world, this, End.SERVER, visit.server(), now);
    }

    Node node(End end) {
        return end == End.CLIENT ? client : server;
    }

    Node other(Node node) {
        return node == client ? server : client;
    }

    void trouble(Moment now) {
        lastTrouble = now;
    }

    boolean over() {
        return client.over() && server.over();
    }

    Moment wakeAt() {
        return Moment.earlier(client.wakeAt(), server.wakeAt());
    }

    Run.Ends outcome() {
        return new Run.Ends(client.outcome(), server.outcome());
    }
}
