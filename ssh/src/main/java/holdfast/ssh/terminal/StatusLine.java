package holdfast.ssh.terminal;

import holdfast.core.time.Moment;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;

/**
 * The one line that a person sees on the terminal while a link is suspect, and the way of all
 * remote output to the terminal, which has to pass here so that both keep out of each other's way.
 *
 * <p>Where it goes is chosen for least harm:
 *
 * <ul>
 *   <li>At a shell prompt, and in anything else that writes line by line: into cells right of the
 *       cursor, in its row, which surely hold nothing. {@link Screen} knows them from the bytes
 *       that went by; a half-typed command, a prompt on the right margin and a progress bar are
 *       thereby left alone. Erasing these cells leaves no trace.
 *   <li>In a full-screen program, on the alternate screen: over the bottom row, and afterwards the
 *       program is asked to paint anew ({@code redraw}: the client sends a window-change to one row
 *       less and back), since what was there is known to it only.
 *   <li>Nowhere, for as long as neither is safe: in the middle of a sequence or a character, while
 *       the remote side has saved a cursor of its own, where too few free cells are left.
 *   <li>Where TERM says that the terminal can do nothing: one plain line for each time of doubt.
 * </ul>
 *
 * <p>Not chosen: the alternate screen (it hides what the person is reading, and nested in a
 * full-screen program leaving it destroys that one's screen), the window title (not everywhere to
 * be seen or to be put back), asking the terminal where the cursor is (the answer comes as input).
 *
 * <p>Threads: any. The writer may block in the terminal; {@link #show} and {@link #clear} never
 * wait for it: where output is flowing there is nothing to tell.
 */
public final class StatusLine {

    /** Between two changes of the text. */
    private static final Duration PACE = Duration.ofSeconds(1);

    /** Fewer cells than this say nothing to anybody. */
    private static final int FEWEST_CELLS = 12;

    private final OutputStream terminal;
    private final boolean capable;
    private final Runnable redraw;
    private final Screen screen;
    private final ReentrantLock lock = new ReentrantLock();

    // What is on the terminal now, under the lock.
    private boolean shown;
    private boolean told;
    private boolean overFullScreen;
    private Screen.Gap gap = Screen.Gap.NONE;
    private String text = "";
    private @Nullable Moment changed;

    /**
     * @param terminal where remote output goes; flushed after each line of ours
     * @param term the value of TERM, or null
     * @param size of the window
     * @param redraw asks the remote side to paint anew; called on the thread that clears, must only
     *     post
     */
    public StatusLine(
            OutputStream terminal, @Nullable String term, Terminal.Size size, Runnable redraw) {
        this.terminal = terminal;
        this.capable = capable(term) && size.columns() > 0 && size.rows() > 0;
        this.redraw = redraw;
        this.screen = new Screen(size.columns(), size.rows());
    }

    /** Terminals that know saving of the cursor, CUF, ECH and SGR; nearly all do. */
    private static boolean capable(@Nullable String term) {
        return switch (term) {
            case null -> false;
            case "", "dumb", "unknown", "emacs", "vt52", "network", "dialup" -> false;
            default -> true;
        };
    }

    /** Writes remote output to the terminal and flushes it; a line of ours goes away before it. */
    public void write(byte[] bytes, int from, int length) throws IOException {
        lock.lock();
        try {
            erase();
            told = false;
            screen.take(bytes, from, length);
            terminal.write(bytes, from, length);
            terminal.flush();
        } finally {
            lock.unlock();
        }
    }

    /**
     * Shows {@code what}, or changes the line to it, at most once a second.
     *
     * @param what printable ASCII, the most important words first: it is cut where room ends
     */
    public void show(String what, Moment now) throws IOException {
        if (!lock.tryLock()) {
            return;
        }
        try {
            if (shown && (text.equals(what) || now.since(last(now)).compareTo(PACE) < 0)) {
                return;
            }
            if (!capable) {
                tellOnce(what);
                return;
            }
            if (!screen.quiet()) {
                return;
            }
            if (screen.alternate()) {
                text = what;
                overFullScreen = true;
                int room = screen.columns() - 1;
                send(bottom("\033[0;7m" + pad(" " + what, room, room)));
            } else {
                Screen.Gap room = screen.gap();
                if (room.length() < FEWEST_CELLS) {
                    return;
                }
                int before = shown && !overFullScreen ? gap.length() : 0;
                int cells = Math.min(what.length(), room.length());
                text = what;
                overFullScreen = false;
                gap = new Screen.Gap(room.fromCursor(), Math.max(before, cells));
                String rest = before > cells ? "\033[" + (before - cells) + "X" : "";
                send(beside(gap, "\033[0;7m" + pad(what, 0, cells) + "\033[m" + rest));
            }
            shown = true;
            changed = now;
        } finally {
            lock.unlock();
        }
    }

    private Moment last(Moment now) {
        return changed == null ? now : changed;
    }

    /** Takes the line away. Does nothing where there is none. One thread shows and clears. */
    public void clear() throws IOException {
        if (!lock.tryLock()) {
            // Output is being written, and took it away before.
            return;
        }
        try {
            told = false;
            erase();
        } finally {
            lock.unlock();
        }
    }

    /** The window has this size now. The line goes, and comes back in its new place. */
    public void resized(Terminal.Size size) throws IOException {
        lock.lock();
        try {
            if (shown && !overFullScreen) {
                // The row may have been broken into two by now: all that follows the cursor goes.
                send("\0337\033[m\033[J\0338");
                shown = false;
            }
            erase();
            if (size.columns() > 0 && size.rows() > 0) {
                screen.resized(size.columns(), size.rows());
            }
        } finally {
            lock.unlock();
        }
    }

    /**
     * For when the remote side is gone without a good-bye: takes the line away and undoes what a
     * program left set (the alternate screen, mouse reports, a hidden cursor, …), so that the
     * person's own shell finds its terminal usable. OpenSSH leaves this to {@code reset}.
     */
    public void abandon() throws IOException {
        lock.lock();
        try {
            boolean hadLine = shown && overFullScreen;
            if (!hadLine) {
                erase();
            }
            shown = false;
            if (capable) {
                byte[] undo = screen.undo();
                if (undo.length > 0) {
                    screen.take(undo, 0, undo.length);
                    terminal.write(undo);
                    terminal.flush();
                }
            }
        } finally {
            lock.unlock();
        }
    }

    private void tellOnce(String what) throws IOException {
        if (!told) {
            told = true;
            send("\r\n" + what + "\r\n");
        }
    }

    private void erase() throws IOException {
        if (!shown) {
            return;
        }
        shown = false;
        changed = null;
        if (overFullScreen) {
            send(bottom("\033[m\033[2K"));
            redraw.run();
        } else {
            send(beside(gap, "\033[m\033[" + gap.length() + "X"));
        }
    }

    private static String beside(Screen.Gap place, String what) {
        return "\0337\033[" + place.fromCursor() + "C" + what + "\0338";
    }

    private String bottom(String what) {
        return "\0337\033[" + screen.rows() + ";1H" + what + "\033[m\0338";
    }

    /** Cut to {@code most} and filled up to {@code least} cells. */
    private static String pad(String what, int least, int most) {
        String cut = what.length() <= most ? what : what.substring(0, Math.max(0, most));
        return cut + " ".repeat(Math.max(0, least - cut.length()));
    }

    private void send(String what) throws IOException {
        terminal.write(what.getBytes(StandardCharsets.US_ASCII));
        terminal.flush();
    }
}
