package holdfast.app.command;

import holdfast.core.time.Moment;
import holdfast.lab.middlebox.Direction;
import holdfast.lab.middlebox.End;
import holdfast.lab.middlebox.Flow;
import holdfast.lab.proxy.WeatherEvent;
import java.util.EnumSet;
import java.util.HashMap;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import org.jspecify.annotations.Nullable;

/**
 * Puts what happened on the path into words, one line each, and leaves out what would flood: of
 * what gets lost in one direction only the first is told until something gets through again, and
 * losses by chance are counted.
 *
 * <p>{@link #line} belongs to the proxy's engine thread; {@link #spoke} may be asked from any.
 */
final class LabEvents {

    private final Map<Flow, Told> told = new HashMap<>();
    private final ConcurrentHashMap<Flow, Moment> spoke = new ConcurrentHashMap<>();

    /** What has been said of one connection. */
    private static final class Told {
        final Set<Direction> dark = EnumSet.noneOf(Direction.class);
        int lost;
    }

    /** When either end of {@code flow} last said something; null before it did. */
    @Nullable Moment spoke(Flow flow) {
        return spoke.get(flow);
    }

    /** The line to print, or null: not worth one. */
    @Nullable String line(WeatherEvent event) {
        String text = text(event);
        return text == null ? null : line(event.at(), "#" + event.flow().number(), text);
    }

    /** One line of the log. */
    static String line(Moment at, String who, String text) {
        return String.format(Locale.ROOT, "%9.1fs  %-5s %s", at.nanos() / 1e9, who, text);
    }

    private @Nullable String text(WeatherEvent event) {
        Flow flow = event.flow();
        return switch (event) {
            case WeatherEvent.Opened opened -> {
                told.put(flow, new Told());
                spoke.put(flow, opened.at());
                yield "client connects";
            }
            case WeatherEvent.Refused refused ->
                    "target cannot be reached: " + printable(refused.reason());
            case WeatherEvent.Spoke said -> {
                spoke.put(flow, said.at());
                yield null;
            }
            case WeatherEvent.Heard heard -> {
                Told of = told.get(flow);
                yield of != null && of.dark.remove(heard.direction())
                        ? speaker(heard.direction()) + " gets through again"
                        : null;
            }
            case WeatherEvent.Swallowed lost -> swallowed(lost);
            case WeatherEvent.Forgotten forgotten ->
                    "the "
                            + forgotten.box()
                            + " forgets it, idle for "
                            + Units.show(forgotten.idle());
            case WeatherEvent.Revived revived ->
                    "the " + revived.box() + " knows it again, as if nothing had been";
            case WeatherEvent.Remapped remapped ->
                    "the " + remapped.box() + " gives it another port";
            case WeatherEvent.Reset reset -> name(reset.end()) + " gets a RST";
            case WeatherEvent.Ended ended -> name(ended.end()) + " gets a FIN";
            case WeatherEvent.GaveUp gaveUp -> name(gaveUp.end()) + "'s TCP gives up";
            case WeatherEvent.Closed closed -> {
                Told of = told.remove(flow);
                spoke.remove(flow);
                yield "closed: "
                        + Units.bytes(closed.toServer())
                        + " to server, "
                        + Units.bytes(closed.toClient())
                        + " to client"
                        + (of == null || of.lost == 0
                                ? ""
                                : ", " + of.lost + (of.lost == 1 ? " loss" : " losses"));
            }
        };
    }

    private @Nullable String swallowed(WeatherEvent.Swallowed lost) {
        Told of = told.get(lost.flow());
        if (of == null) {
            return null;
        }
        of.lost++;
        boolean byChance = lost.box().equals("loss") || lost.box().equals("rate limit");
        if (byChance || !of.dark.add(lost.direction())) {
            return null;
        }
        return "lost: what the "
                + speaker(lost.direction())
                + " says ("
                + lost.box()
                + ": "
                + lost.reason()
                + ")";
    }

    private static String speaker(Direction direction) {
        return name(End.speaker(direction));
    }

    private static String name(End end) {
        return switch (end) {
            case CLIENT -> "client";
            case SERVER -> "server";
        };
    }

    /** A reason comes from the system and goes to a terminal. */
    private static String printable(String reason) {
        return reason.replaceAll("\\p{Cntrl}", " ");
    }
}
