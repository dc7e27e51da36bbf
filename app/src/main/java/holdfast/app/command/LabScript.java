package holdfast.app.command;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;

/** What is to happen when in a lab: the lines of {@code --script FILE}. */
final class LabScript {

    /** What somebody does to the path or to its connections. */
    enum Act {
        CUT,
        HEAL,
        FORGET,
        RESET,
        KILL,
        QUIT
    }

    /** Stands for every connection, where one could be named. */
    static final int ALL = 0;

    /**
     * One line.
     *
     * @param after how long after the lab began
     * @param connection its number, or {@link #ALL}
     */
    record Step(Duration after, Act act, int connection) {}

    private static final String ACTS = "cut, heal, forget, reset, kill or quit";

    private LabScript() {}

    /**
     * Reads a whole script, or refuses its first bad line.
     *
     * @param name of the file, for the text of the refusal
     */
    static List<Step> parse(String name, List<String> lines) throws LabRefusal {
        List<Step> steps = new ArrayList<>();
        Duration before = Duration.ZERO;
        for (int i = 0; i < lines.size(); i++) {
            String line = lines.get(i);
            int comment = line.indexOf('#');
            String said = (comment < 0 ? line : line.substring(0, comment)).strip();
            if (said.isEmpty()) {
                continue;
            }
            try {
                Step step = step(said.split("\\s+", -1));
                if (step.after.compareTo(before) < 0) {
                    throw new IllegalArgumentException(
                            Units.show(step.after)
                                    + " stands after "
                                    + Units.show(before)
                                    + ": a script goes forward");
                }
                before = step.after;
                steps.add(step);
            } catch (IllegalArgumentException e) {
                throw LabRefusal.usage(name + " line " + (i + 1) + ": " + e.getMessage());
            }
        }
        return List.copyOf(steps);
    }

    private static Step step(String[] words) {
        Duration after = Units.time(words[0]);
        if (words.length < 2) {
            throw new IllegalArgumentException("expected a time and one of " + ACTS);
        }
        Act act =
                switch (words[1]) {
                    case "cut" -> Act.CUT;
                    case "heal" -> Act.HEAL;
                    case "forget" -> Act.FORGET;
                    case "reset" -> Act.RESET;
                    case "kill" -> Act.KILL;
                    case "quit" -> Act.QUIT;
                    default ->
                            throw new IllegalArgumentException(
                                    "expected " + ACTS + ", got \"" + words[1] + "\"");
                };
        if (words.length == 2) {
            return new Step(after, act, ALL);
        }
        boolean ofOne = act == Act.RESET || act == Act.KILL;
        if (!ofOne || words.length > 3) {
            throw new IllegalArgumentException(
                    "nothing can follow here, got \"" + words[ofOne ? 3 : 2] + "\"");
        }
        int connection;
        try {
            connection = Integer.parseInt(words[2]);
        } catch (NumberFormatException e) {
            connection = 0;
        }
        if (connection < 1) {
            throw new IllegalArgumentException(
                    "expected the number of a connection, got \"" + words[2] + "\"");
        }
        return new Step(after, act, connection);
    }
}
