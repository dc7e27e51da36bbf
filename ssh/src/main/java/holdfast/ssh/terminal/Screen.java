package holdfast.ssh.terminal;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/**
 * What the remote side has done to the person's terminal, as far as its bytes tell: enough of a
 * terminal to know where something can be written and taken away again, and which modes would be
 * left behind if the remote side died now.
 *
 * <p>Of all cells it knows those of one row, the cursor's, and of these only which may hold
 * something. What it does not know it takes for occupied; sequences it does not know it passes over
 * by their form (ECMA-48). It assumes that the session began at the start of a row with nothing on
 * it or under it, which is where a shell leaves the cursor.
 *
 * <p>Pure. Its owner is {@link StatusLine}, under whose lock it lives.
 */
final class Screen {

    private enum Place {
        GROUND,
        ESCAPE,
        ESCAPE_MORE,
        SEQUENCE,
        STRING,
        STRING_ESCAPE
    }

    /** More parameters than any sequence that matters here has. */
    private static final int MOST_PARAMETERS = 16;

    /** As many rows under the cursor may hold something as there are. */
    private static final int UNKNOWN_ROWS = 1 << 20;

    /** Mouse, focus and paste reports, which would be typed at whoever reads the terminal next. */
    private static final int[] REPORTS = {
        9, 1000, 1001, 1002, 1003, 1004, 1005, 1006, 1015, 1016, 2004
    };

    private int columns;
    private int rows;

    // the parser
    private Place place = Place.GROUND;
    private int continuation;
    private int codePoint;
    private int marker;
    private int intermediate;
    private final int[] parameters = new int[MOST_PARAMETERS];
    private int parameterCount;

    // the cursor: its column (== columns: a full row waits to wrap; -1: unknown), whether its row
    // goes on from the one above, how many rows under it may hold something, what its row holds;
    // and whether nothing was printed since the whole screen was cleared
    private int column;
    private boolean continued;
    private int below;
    private boolean[] used;
    private boolean blank;

    // as saved by ESC 7, and on entering the alternate screen
    private boolean savedByRemote;
    private int savedColumn = -1;
    private int mainColumn = -1;
    private int mainBelow;
    private boolean mainContinued;
    private boolean[] mainUsed = {};

    // modes
    private int alternate;
    private boolean insert;
    private boolean origin;
    private boolean wrapOff;
    private boolean cursorHidden;
    private boolean cursorKeys;
    private boolean keypad;
    private boolean region;
    private boolean shifted;
    private boolean graphics;
    private boolean painted;
    private boolean background;
    private boolean modifiedKeys;
    private int kittyKeys;
    private final boolean[] reports = new boolean[REPORTS.length];

    Screen(int columns, int rows) {
        this.columns = Math.max(1, columns);
        this.rows = Math.max(1, rows);
        used = new boolean[this.columns];
    }

    /**
     * True if nothing is half sent and nothing is on loan: between two characters and two
     * sequences, no cursor saved that our own saving would overwrite, no character set or mode in
     * which our text would come out as something else.
     */
    boolean quiet() {
        return place == Place.GROUND
                && continuation == 0
                && !savedByRemote
                && !insert
                && !origin
                && !shifted
                && !graphics;
    }

    /** True while a full-screen program has the alternate screen. */
    boolean alternate() {
        return alternate != 0;
    }

    int rows() {
        return rows;
    }

    int columns() {
        return columns;
    }

    /** The cells to the right of the cursor in its row that surely hold nothing. */
    record Gap(int fromCursor, int length) {
        static final Gap NONE = new Gap(0, 0);
    }

    /** The longest one, one cell away from what is before it. */
    Gap gap() {
        if (column < 0 || column >= columns) {
            return Gap.NONE;
        }
        Gap best = Gap.NONE;
        int start = column;
        for (int i = column; i <= columns; i++) {
            if (i == columns || used[i]) {
                // The last column stays free: a character there makes some terminals wrap.
                int from = start + 1;
                int length = Math.min(i, columns - 1) - from;
                if (length > best.length) {
                    best = new Gap(from - column, length);
                }
                start = i + 1;
            }
        }
        return best;
    }

    /** The window has another size now. */
    void resized(int newColumns, int newRows) {
        int last = columns;
        while (last > 0 && !used[last - 1]) {
            last--;
        }
        boolean kept = !continued && column >= 0 && column < newColumns && last < newColumns;
        columns = Math.max(1, newColumns);
        rows = Math.max(1, newRows);
        used = Arrays.copyOf(used, columns);
        mainUsed = Arrays.copyOf(mainUsed, columns);
        if (!kept) {
            // Rows flow over into others; how, is the terminal's affair.
            lost();
            column = -1;
        }
        mainColumn = -1;
        savedColumn = -1;
    }

    /** Takes what is about to be written to the terminal. */
    void take(byte[] bytes, int from, int length) {
        for (int i = from; i < from + length; i++) {
            take(Byte.toUnsignedInt(bytes[i]));
        }
    }

    private void take(int b) {
        switch (place) {
            case GROUND -> ground(b);
            case ESCAPE -> escape(b);
            case ESCAPE_MORE -> {
                if (b >= 0x30 && b < 0x7f) {
                    place = Place.GROUND;
                    designate(b);
                } else if (!interrupts(b) && b >= 0x20) {
                    intermediate = 0;
                }
            }
            case SEQUENCE -> sequence(b);
            case STRING -> {
                if (b == 0x1b) {
                    place = Place.STRING_ESCAPE;
                } else if (b == 0x07 || b == 0x18 || b == 0x1a) {
                    place = Place.GROUND;
                }
            }
            case STRING_ESCAPE -> {
                if (b == '\\') {
                    place = Place.GROUND;
                } else {
                    place = Place.ESCAPE;
                    escape(b);
                }
            }
        }
    }

    /** CAN, SUB and ESC break off whatever is under way; other controls act in the middle of it. */
    private boolean interrupts(int b) {
        if (b == 0x18 || b == 0x1a) {
            place = Place.GROUND;
            return true;
        }
        if (b == 0x1b) {
            place = Place.ESCAPE;
            return true;
        }
        if (b < 0x20) {
            control(b);
            return true;
        }
        return false;
    }

    private void ground(int b) {
        if (b >= 0x20 && b < 0x7f) {
            continuation = 0;
            print(1);
        } else if (b < 0x20) {
            continuation = 0;
            if (b == 0x1b) {
                place = Place.ESCAPE;
            } else {
                control(b);
            }
        } else if (b >= 0xf0) {
            codePoint = b & 7;
            continuation = 3;
        } else if (b >= 0xe0) {
            codePoint = b & 15;
            continuation = 2;
        } else if (b >= 0xc0) {
            codePoint = b & 31;
            continuation = 1;
        } else if (b >= 0x80) {
            if (continuation > 0) {
                codePoint = (codePoint << 6) | (b & 63);
                if (--continuation == 0) {
                    print(width(codePoint));
                }
            } else {
                print(1);
            }
        }
    }

    private void control(int b) {
        switch (b) {
            case '\r' -> column = 0;
            case '\n', 0x0b, 0x0c -> down();
            case '\b' -> column = column > 0 ? Math.min(column, columns) - 1 : column;
            case '\t' -> {
                if (column >= 0) {
                    column = Math.min(columns - 1, (column / 8 + 1) * 8);
                }
            }
            case 0x0e -> shifted = true;
            case 0x0f -> shifted = false;
            default -> {
                // nothing that moves
            }
        }
    }

    private void print(int width) {
        if (width == 0) {
            return;
        }
        if (column < 0) {
            blank = false;
            lost();
            return;
        }
        if (column + width > columns) {
            if (wrapOff) {
                column = Math.max(0, columns - width);
            } else {
                down();
                continued = true;
                column = 0;
            }
        }
        blank = false;
        if (insert) {
            shift(column, width);
        }
        for (int i = 0; i < width && column < columns; i++) {
            used[column++] = true;
        }
        if (wrapOff && column == columns) {
            column = columns - 1;
        }
    }

    /** One row down; a row where nothing was yet is empty. */
    private void down() {
        continued = false;
        if (below > 0) {
            below--;
            lost();
        } else {
            Arrays.fill(used, background);
        }
    }

    /** Onto a row of which nothing is known, unless nothing is on any. */
    private void lost() {
        Arrays.fill(used, !blank);
    }

    private void anywhere(int at) {
        column = at;
        continued = false;
        below = blank ? 0 : UNKNOWN_ROWS;
        lost();
    }

    private void escape(int b) {
        if (interrupts(b)) {
            return;
        }
        place = Place.GROUND;
        switch (b) {
            case '[' -> {
                place = Place.SEQUENCE;
                marker = 0;
                intermediate = 0;
                parameterCount = 0;
                Arrays.fill(parameters, 0);
            }
            case ']', 'P', 'X', '^', '_' -> place = Place.STRING;
            case '7' -> {
                savedByRemote = true;
                savedColumn = column;
            }
            case '8' -> {
                savedByRemote = false;
                anywhere(savedColumn);
            }
            case 'D' -> down();
            case 'E' -> {
                down();
                column = 0;
            }
            case 'M' -> up(1);
            case '=' -> keypad = true;
            case '>' -> keypad = false;
            case 'c' -> reset();
            default -> {
                if (b >= 0x20 && b <= 0x2f) {
                    intermediate = b;
                    place = Place.ESCAPE_MORE;
                }
            }
        }
    }

    private void designate(int b) {
        if (intermediate == '(') {
            graphics = b != 'B' && b != 'A' && b != '@';
        } else if (intermediate == '#' && b == '8') {
            anywhere(0);
        }
    }

    private void reset() {
        softReset();
        alternate = 0;
        cursorKeys = false;
        Arrays.fill(reports, false);
        Arrays.fill(used, false);
        modifiedKeys = false;
        kittyKeys = 0;
        column = 0;
        below = 0;
        continued = false;
    }

    private void softReset() {
        savedByRemote = false;
        insert = false;
        origin = false;
        wrapOff = false;
        cursorHidden = false;
        cursorKeys = false;
        keypad = false;
        region = false;
        shifted = false;
        graphics = false;
        painted = false;
        background = false;
    }

    private void sequence(int b) {
        if (interrupts(b)) {
            return;
        }
        if (b >= '0' && b <= '9') {
            int at = Math.max(0, parameterCount - 1);
            parameterCount = Math.max(1, parameterCount);
            if (at < MOST_PARAMETERS) {
                parameters[at] = Math.min(100_000, parameters[at] * 10 + b - '0');
            }
        } else if (b == ';' || b == ':') {
            parameterCount = Math.min(MOST_PARAMETERS + 1, Math.max(1, parameterCount) + 1);
        } else if (b >= 0x3c && b <= 0x3f) {
            marker = b;
        } else if (b <= 0x2f) {
            intermediate = b;
        } else if (b < 0x7f) {
            place = Place.GROUND;
            if (marker == 0 && intermediate == 0) {
                perform(b);
            } else if (marker == '?' && intermediate == 0 && (b == 'h' || b == 'l')) {
                for (int i = 0; i < Math.min(parameterCount, MOST_PARAMETERS); i++) {
                    mode(parameters[i], b == 'h');
                }
            } else if (marker == '>' && b == 'u') {
                kittyKeys++;
            } else if (marker == '<' && b == 'u') {
                kittyKeys = Math.max(0, kittyKeys - Math.max(1, parameters[0]));
            } else if (marker == '>' && b == 'm' && parameters[0] == 4) {
                modifiedKeys = parameters[1] != 0;
            } else if (intermediate == '!' && b == 'p') {
                softReset();
            }
        }
    }

    private void perform(int b) {
        int n = Math.max(1, parameters[0]);
        switch (b) {
            case 'A' -> up(n);
            case 'B', 'e' -> downBy(n);
            case 'C', 'a' -> column = column < 0 ? -1 : Math.min(columns - 1, column + n);
            case 'D' -> column = column < 0 ? -1 : Math.max(0, Math.min(column, columns - 1) - n);
            case 'E' -> {
                downBy(n);
                column = 0;
            }
            case 'F' -> {
                up(n);
                column = 0;
            }
            case 'G', '`' -> column = Math.min(columns - 1, n - 1);
            case 'H', 'f' -> anywhere(Math.min(columns - 1, Math.max(1, parameters[1]) - 1));
            case 'd' -> anywhere(column);
            case 'J' -> {
                if (parameters[0] == 0 || parameters[0] == 2) {
                    below = background ? UNKNOWN_ROWS : 0;
                    clear(parameters[0]);
                    blank = !background && (blank || parameters[0] == 2);
                }
            }
            case 'K' -> clear(parameters[0]);
            case 'L', 'M', 'S', 'T' -> anywhere(column);
            case 'P' -> shift(column, -n);
            case '@' -> shift(column, n);
            case 'X' -> {
                for (int i = Math.max(0, column); column >= 0 && i < column + n; i++) {
                    if (i < columns) {
                        used[i] = background;
                    }
                }
            }
            case 'm' -> paint();
            case 'r' -> {
                region = parameterCount > 0;
                anywhere(0);
            }
            case 's' -> {
                savedByRemote = true;
                savedColumn = column;
            }
            case 'u' -> {
                savedByRemote = false;
                anywhere(savedColumn);
            }
            case 'h', 'l' -> {
                for (int i = 0; i < Math.min(parameterCount, MOST_PARAMETERS); i++) {
                    if (parameters[i] == 4) {
                        insert = b == 'h';
                    }
                }
            }
            default -> {
                // nothing that moves
            }
        }
    }

    private void paint() {
        if (parameterCount > MOST_PARAMETERS) {
            painted = true;
            background = true;
            return;
        }
        for (int i = 0; i < Math.max(1, parameterCount); i++) {
            int p = parameters[i];
            if (p == 0) {
                painted = false;
                background = false;
            } else if (p == 38 || p == 48 || p == 58) {
                painted = true;
                background |= p == 48;
                // a colour follows: 5;N or 2;R;G;B
                i += i + 1 < parameterCount && parameters[i + 1] == 2 ? 4 : 2;
            } else if ((p >= 40 && p <= 47) || (p >= 100 && p <= 107)) {
                painted = true;
                background = true;
            } else if (p == 49) {
                background = false;
            } else if (p < 22 || (p >= 30 && p <= 37) || (p >= 90 && p <= 97)) {
                painted = true;
            }
        }
    }

    /** Terminals fill what they clear with the background of the moment: colour counts as text. */
    private void clear(int which) {
        if (which == 2) {
            Arrays.fill(used, background);
        } else if (column >= 0 && which == 0) {
            Arrays.fill(used, Math.min(column, columns), columns, background);
        } else if (column >= 0 && which == 1) {
            Arrays.fill(used, 0, Math.min(column + 1, columns), background);
        }
    }

    private void up(int n) {
        below = blank ? 0 : Math.min(UNKNOWN_ROWS, below + n);
        continued = false;
        lost();
    }

    private void downBy(int n) {
        below = Math.max(0, below - n);
        continued = false;
        lost();
    }

    /** Cells from {@code at} on move to the right, or to the left where {@code by} is negative. */
    private void shift(int at, int by) {
        if (at < 0 || at >= columns) {
            return;
        }
        int n = Math.min(columns - at, Math.abs(by));
        if (by > 0) {
            System.arraycopy(used, at, used, at + n, columns - at - n);
            Arrays.fill(used, at, at + n, background);
        } else {
            System.arraycopy(used, at + n, used, at, columns - at - n);
            Arrays.fill(used, columns - n, columns, background);
        }
    }

    private void mode(int number, boolean on) {
        switch (number) {
            case 1 -> cursorKeys = on;
            case 6 -> {
                origin = on;
                anywhere(0);
            }
            case 7 -> wrapOff = !on;
            case 25 -> cursorHidden = !on;
            case 66 -> keypad = on;
            case 47, 1047, 1049 -> alternate(number, on);
            default -> {
                for (int i = 0; i < REPORTS.length; i++) {
                    if (REPORTS[i] == number) {
                        reports[i] = on;
                    }
                }
            }
        }
    }

    private void alternate(int number, boolean on) {
        if (on == alternate()) {
            return;
        }
        if (on) {
            mainColumn = column;
            mainBelow = below;
            mainContinued = continued;
            mainUsed = used.clone();
            anywhere(column);
            alternate = number;
        } else {
            boolean back = alternate == 1049;
            alternate = 0;
            blank = false;
            if (back && mainColumn >= 0) {
                column = mainColumn;
                below = mainBelow;
                continued = mainContinued;
                used = mainUsed.clone();
            } else {
                anywhere(-1);
            }
        }
        // Each screen saves its own cursor; entering may save one too (ESC 7 before ?47h).
        savedByRemote = false;
    }

    /**
     * What undoes the modes that a remote side leaves behind if it ends here: empty when it left
     * none. Only modes it has set itself are undone.
     */
    byte[] undo() {
        StringBuilder undo = new StringBuilder();
        if (place != Place.GROUND) {
            // CAN
            undo.append('\030');
        }
        for (int i = 0; i < REPORTS.length; i++) {
            if (reports[i]) {
                undo.append("\033[?").append(REPORTS[i]).append('l');
            }
        }
        undo.append(kittyKeys > 0 ? "\033[<" + kittyKeys + "u" : "")
                .append(modifiedKeys ? "\033[>4m" : "")
                .append(cursorKeys ? "\033[?1l" : "")
                .append(keypad ? "\033>" : "")
                .append(shifted ? "\017" : "")
                .append(graphics ? "\033(B" : "")
                .append(insert ? "\033[4l" : "")
                .append(wrapOff ? "\033[?7h" : "")
                .append(origin ? "\033[?6l" : "")
                // sends the cursor home, hence saved around it
                .append(region ? "\0337\033[r\0338" : "")
                .append(alternate != 0 ? "\033[?" + alternate + "l" : "")
                .append(cursorHidden ? "\033[?25h" : "")
                .append(painted ? "\033[m" : "");
        return undo.toString().getBytes(StandardCharsets.US_ASCII);
    }

    /** Cells a character takes; good enough to know what may be occupied. */
    private static int width(int c) {
        if ((c >= 0x300 && c <= 0x36f)
                || (c >= 0x200b && c <= 0x200f)
                || (c >= 0x20d0 && c <= 0x20ff)
                || (c >= 0xfe00 && c <= 0xfe0f)) {
            return 0;
        }
        boolean wide =
                (c >= 0x1100 && c <= 0x115f)
                        || (c >= 0x2e80 && c <= 0xa4cf)
                        || (c >= 0xac00 && c <= 0xd7a3)
                        || (c >= 0xf900 && c <= 0xfaff)
                        || (c >= 0xfe30 && c <= 0xfe6f)
                        || (c >= 0xff00 && c <= 0xff60)
                        || (c >= 0x1f300 && c <= 0x1faff)
                        || (c >= 0x20000 && c <= 0x3fffd);
        return wide ? 2 : 1;
    }
}
