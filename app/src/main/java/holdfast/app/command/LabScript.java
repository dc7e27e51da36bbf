package holdfast.app.command;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** What is to happen when in a lab: the lines of {@code --script FILE}. */
final class LabScript {

    /** What somebody does to the path or to its connections. */
    enum Act {
        CUT("cut", false),
        CUT_TO_SERVER("cut to-server", false),
        CUT_TO_CLIENT("cut to-client", false),
        MUTE("mute", false),
        CROWD("crowd", false),
        HEAL("heal", false),
        ROAM("roam", false),
        WAN_CHANGE("wan-change", false),
        FORGET("forget", true),
        RESET("reset", true),
        KILL("kill", true),
        QUIT("quit", false);

        /** As a script has it. */
        final String spelled;

        /** Whether the number of a connection may follow. */
        final boolean ofOne;

        Act(String spelled, boolean ofOne) {
            this.spelled = spelled;
            this.ofOne = ofOne;
        }
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

    private static final String ACTS =
            "cut, mute, crowd, heal, roam, wan-change, forget, reset, kill or quit";

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
        @Nullable Act act = null;
        for (Act one : Act.values()) {
            act = one.spelled.equals(words[1]) ? one : act;
        }
        if (act == null) {
            throw new IllegalArgumentException("expected " + ACTS + ", got \"" + words[1] + "\"");
        }
        if (words.length == 2) {
            return new Step(after, act, ALL);
        }
        if (act == Act.CUT) {
            act =
                    switch (words[2]) {
                        case "to-server" -> Act.CUT_TO_SERVER;
                        case "to-client" -> Act.CUT_TO_CLIENT;
                        default ->
                                throw new IllegalArgumentException(
                                        "expected to-server, to-client or nothing, got \""
                                                + words[2]
                                                + "\"");
                    };
        } else if (!act.ofOne) {
            throw new IllegalArgumentException("nothing can follow here, got \"" + words[2] + "\"");
        }
        if (words.length > 3) {
            throw new IllegalArgumentException("nothing can follow here, got \"" + words[3] + "\"");
        }
        return new Step(after, act, act.ofOne ? connection(words[2]) : ALL);
    }

    private static int connection(String word) {
        int connection;
        try {
            connection = Integer.parseInt(word);
        } catch (NumberFormatException e) {
            connection = 0;
        }
        if (connection < 1) {
            throw new IllegalArgumentException(
                    "expected the number of a connection, got \"" + word + "\"");
        }
        return connection;
    }
}
