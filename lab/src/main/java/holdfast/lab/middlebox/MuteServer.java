package holdfast.lab.middlebox;

import holdfast.core.time.Moment;
import java.util.List;

/**
 * A server whose kernel acknowledges and whose program never answers, in the given spans and while
 * it is muted by hand: stopped, swapping, or a proxy in between that lost its other leg. Stands at
 * the server's end of a path.
 */
public record MuteServer(List<Span> spans) implements Middlebox<MuteServer.Program> {

    /** Whether somebody muted it by hand. */
    public record Program(boolean muted) {}

    public MuteServer {
        spans = List.copyOf(spans);
    }

    public static MuteServer during(Span... spans) {
        return new MuteServer(List.of(spans));
    }

    /** Only when muted by hand. */
    public static MuteServer byHand() {
        return new MuteServer(List.of());
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
    public Program start(Flow flow) {
        return new Program(false);
    }

    @Override
    public Turn<Program> on(Program state, Event event, Moment now) {
        return switch (event) {
            case Packet packet ->
                    state.muted || Outage.dark(spans, now) ? mute(state, packet) : Turn.pass(state);
            case Event.Mute _ -> Turn.quiet(new Program(true));
            case Event.Heal _ -> Turn.quiet(new Program(false));
            case Event.TimePassed _, Event.ByHand _ -> Turn.quiet(state);
        };
    }

    private static Turn<Program> mute(Program state, Packet packet) {
        return switch (packet.kind()) {
            // The kernel's own work goes on: it opens, acknowledges and resets.
            case OPEN, ACK, RST -> Turn.pass(state);
            case DATA, FIN -> new Turn<>(state, new Verdict.Absorb("server is mute"));
        };
    }
}
