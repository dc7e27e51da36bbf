package holdfast.lab.middlebox;

import holdfast.core.time.Moment;
import java.util.List;

/**
 * A server whose kernel acknowledges and whose program never answers, in the given spans: stopped,
 * swapping, or a proxy in between that lost its other leg. Stands at the server's end of a path.
 */
public record MuteServer(List<Span> spans) implements Middlebox<MuteServer.Nothing> {

    /** There is nothing to remember. */
    public record Nothing() {}

    private static final Nothing NOTHING = new Nothing();

    public MuteServer {
        spans = List.copyOf(spans);
    }

    public static MuteServer during(Span... spans) {
        return new MuteServer(List.of(spans));
    }

    @Override
    public String name() {
        return "mute server";
    }

    @Override
    public Scope scope() {
        return Scope.PATH;
    }

    @Override
    public Nothing start(Flow flow) {
        return NOTHING;
    }

    @Override
    public Turn<Nothing> on(Nothing state, Event event, Moment now) {
        return switch (event) {
            case Packet packet -> Outage.dark(spans, now) ? mute(state, packet) : Turn.pass(state);
            case Event.TimePassed _, Event.Forget _, Event.Cut _, Event.Heal _, Event.Kill _ ->
                    Turn.quiet(state);
        };
    }

    private static Turn<Nothing> mute(Nothing state, Packet packet) {
        return switch (packet.kind()) {
            // The kernel's own work goes on: it opens, acknowledges and resets.
            case OPEN, ACK, RST -> Turn.pass(state);
            case DATA, FIN -> new Turn<>(state, new Verdict.Absorb("server is mute"));
        };
    }
}
