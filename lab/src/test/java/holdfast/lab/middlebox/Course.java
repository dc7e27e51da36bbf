package holdfast.lab.middlebox;

import holdfast.core.time.Moment;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/** A path under test, its moments in seconds and its happenings as words. */
final class Course {

    static final Flow ONE = new Flow(1);
    static final Flow TWO = new Flow(2);

    private final Path path;

    Course(Middlebox<?>... boxes) {
        path = Path.of(boxes);
    }

    static Moment at(double seconds) {
        return Moment.ZERO.plus(Duration.ofNanos(Math.round(seconds * 1e9)));
    }

    static Span span(double from, double to) {
        return new Span(at(from), at(to));
    }

    /** Opens flow one at once. */
    Course opened() {
        send(0, Packet.open(ONE, Direction.TO_SERVER));
        send(0, Packet.open(ONE, Direction.TO_CLIENT));
        return this;
    }

    List<String> send(double seconds, Packet packet) {
        return words(path.send(packet, at(seconds)));
    }

    List<String> client(double seconds) {
        return send(seconds, Packet.data(ONE, Direction.TO_SERVER, 100));
    }

    List<String> server(double seconds) {
        return send(seconds, Packet.data(ONE, Direction.TO_CLIENT, 100));
    }

    List<String> until(double seconds) {
        return words(path.advance(at(seconds)));
    }

    List<String> meddle(double seconds, Event event) {
        return words(path.meddle(event, at(seconds)));
    }

    Path path() {
        return path;
    }

    private static List<String> words(List<Happening> happenings) {
        List<String> words = new ArrayList<>();
        for (Happening happening : happenings) {
            String what =
                    switch (happening) {
                        case Happening.Delivered d -> packet(d.packet()) + " delivered";
                        case Happening.Lost l ->
                                packet(l.packet())
                                        + (l.acknowledged() ? " absorbed: " : " lost: ")
                                        + l.reason();
                        case Happening.Noted n ->
                                n.box() + " " + n.note().name().toLowerCase(Locale.ROOT);
                    };
            words.add(String.format(Locale.ROOT, "%.3f %s", happening.at().nanos() / 1e9, what));
        }
        return words;
    }

    private static String packet(Packet packet) {
        return packet.kind()
                + (packet.direction() == Direction.TO_SERVER ? " > server" : " > client")
                + (packet.mapping() == 0 ? "" : " as " + packet.mapping());
    }
}
