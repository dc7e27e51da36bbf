package holdfast.app.command;

import holdfast.core.time.Moment;
import holdfast.ssh.terminal.Terminal;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.Locale;
import java.util.Map;
import java.util.function.Supplier;

/**
 * Where the demo's timeline is printed: one row for each thing that happened, a column for each of
 * client, router and server, arrows where something travelled between them.
 *
 * <p>Fits into 80 columns. Colour only on a terminal and without NO_COLOR; plain ASCII where stdout
 * is not UTF-8. One thread.
 */
final class Stage {

    /** What happens between two columns. */
    enum Arrow {
        NONE("   ", "   "),
        TO("──▶", "-->"),
        BACK("◀──", "<--");

        private final String drawn;
        private final String ascii;

        Arrow(String drawn, String ascii) {
            this.drawn = drawn;
            this.ascii = ascii;
        }
    }

    static final Arrow NONE = Arrow.NONE;
    static final Arrow TO = Arrow.TO;
    static final Arrow BACK = Arrow.BACK;

    private static final int WIDTH = 80;
    private static final int CLIENT_WIDTH = 20;
    private static final int ROUTER_WIDTH = 14;

    private static final String ESCAPE = "\033[";
    private static final String BOLD = ESCAPE + "1m";
    private static final String DIM = ESCAPE + "2m";
    private static final String RED = ESCAPE + "31m";
    private static final String GREEN = ESCAPE + "32m";
    private static final String PLAIN = ESCAPE + "0m";

    private final PrintStream out;
    private final boolean colour;
    private final boolean ascii;
    private Supplier<Moment> clock = () -> Moment.ZERO;

    Stage(PrintStream out, boolean colour, boolean ascii) {
        this.out = out;
        this.colour = colour;
        this.ascii = ascii;
    }

    /** The stage that suits {@code stdout} and what the environment asks for. */
    static Stage of(PrintStream stdout, Map<String, String> environment) {
        boolean colour =
                environment.getOrDefault("NO_COLOR", "").isEmpty()
                        && !environment.getOrDefault("TERM", "dumb").equals("dumb")
                        && Terminal.isTerminal(1);
        return new Stage(stdout, colour, !stdout.charset().equals(StandardCharsets.UTF_8));
    }

    /** The timeline's time: zero when the play begins. */
    void clock(Supplier<Moment> of) {
        clock = of;
    }

    Moment now() {
        return clock.get();
    }

    void say(String... lines) {
        for (String line : lines) {
            out.println(line);
        }
        out.flush();
    }

    /** Prints {@code text} in lines that fit. */
    void paragraph(String text) {
        StringBuilder line = new StringBuilder();
        for (String word : text.split(" ", -1)) {
            if (!line.isEmpty() && seen(line.toString()) + 1 + seen(word) > WIDTH) {
                say(line.toString());
                line.setLength(0);
            }
            line.append(line.isEmpty() ? "" : " ").append(word);
        }
        say(line.toString());
    }

    void header() {
        say(dim(line("  time", "", "client", NONE, "router", NONE, "server")));
    }

    /** Something happened now on connection {@code who}. */
    void row(String who, String client, Arrow left, String router, Arrow right, String server) {
        String time = String.format(Locale.ROOT, "%4.1f s", now().nanos() / 1e9);
        say(line(time, who, client, left, router, right, server));
    }

    String bold(String text) {
        return in(BOLD, text);
    }

    String dim(String text) {
        return in(DIM, text);
    }

    String red(String text) {
        return in(RED, text);
    }

    String green(String text) {
        return in(GREEN, text);
    }

    private String line(
            String time,
            String who,
            String client,
            Arrow left,
            String router,
            Arrow right,
            String server) {
        String line =
                pad(time, 8)
                        + pad(who, 7)
                        + pad(client, CLIENT_WIDTH)
                        + drawn(left)
                        + "  "
                        + pad(router, ROUTER_WIDTH)
                        + "  "
                        + drawn(right)
                        + "  "
                        + server;
        return line.stripTrailing();
    }

    private String drawn(Arrow arrow) {
        return dim(ascii ? arrow.ascii : arrow.drawn);
    }

    private String in(String escape, String text) {
        return colour && !text.isBlank() ? escape + text + PLAIN : text;
    }

    private static String pad(String text, int width) {
        return text + " ".repeat(Math.max(0, width - seen(text)));
    }

    /** How many columns {@code text} takes: escapes take none. */
    private static int seen(String text) {
        int seen = 0;
        boolean escape = false;
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            escape |= c == '\033';
            seen += escape ? 0 : 1;
            escape &= c != 'm';
        }
        return seen;
    }
}
