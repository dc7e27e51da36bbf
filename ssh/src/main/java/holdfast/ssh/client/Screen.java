package holdfast.ssh.client;

import holdfast.core.liveness.LinkCommand.ShowDoubt;
import holdfast.core.time.Moment;
import holdfast.ssh.log.Log;
import holdfast.ssh.terminal.StatusLine;
import holdfast.ssh.terminal.Terminal;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.Channels;
import java.nio.channels.WritableByteChannel;
import java.time.Duration;
import java.util.function.Function;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * The person's screen while a session with a terminal runs: the remote side's output, and the one
 * line that says when the link is in doubt.
 */
final class Screen implements Connection.Doubts, WritableByteChannel {

    /** How often the line's times are told anew. */
    private static final Duration TICK = Duration.ofSeconds(1);

    private final WritableByteChannel out;
    private final StatusLine line;
    private final Supplier<Moment> clock;
    private final int escapeChar;
    private volatile boolean quiet;
    private final Log log;
    private volatile Runnable redraw = () -> {};
    private @Nullable Thread teller;
    private boolean doubtful;

    Screen(
            WritableByteChannel out,
            @Nullable String term,
            Terminal.Size size,
            Supplier<Moment> clock,
            int escapeChar,
            Log log) {
        this.out = out;
        this.clock = clock;
        this.escapeChar = escapeChar;
        this.log = log;
        this.quiet = !log.shows(Log.Level.INFO);
        this.line = new StatusLine(Channels.newOutputStream(out), term, size, () -> redraw.run());
    }

    /** How to have a full-screen program paint anew once the line has been over it. */
    void onRedraw(Runnable action) {
        redraw = action;
    }

    void resized(Terminal.Size size) {
        try {
            line.resized(size);
        } catch (IOException e) {
            log.debug2("terminal: " + e.getMessage()); // it is gone, and its output notices too
        }
    }

    /** The remote side is gone without a good-bye: undoes what its programs left set. */
    void abandon() {
        try {
            line.abandon();
        } catch (IOException e) {
            log.debug2("terminal: " + e.getMessage());
        }
    }

    /**
     * The terminal is somebody else's from here: nothing but the remote side's output goes there.
     */
    void leave() {
        hide();
        quiet = true;
    }

    // --- doubt

    // The teller is never interrupted: an interrupt that meets a write closes the person's own
    // output.

    @Override
    public void show(ShowDoubt doubt) {
        tell(now -> words(doubt, now, escapeChar));
    }

    @Override
    public void adrift(Moment since, Moment heldUntil) {
        tell(now -> words(since, heldUntil, now, escapeChar));
    }

    private synchronized void tell(Function<Moment, String> words) {
        if (quiet || teller != null) {
            return;
        }
        doubtful = true;
        teller = Thread.ofPlatform().daemon().name("doubt").start(() -> keepTelling(words));
    }

    @Override
    public void hide() {
        Thread telling;
        synchronized (this) {
            telling = teller;
            teller = null;
            doubtful = false;
            notifyAll();
        }
        if (telling != null) {
            try {
                telling.join(TICK);
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
        }
    }

    private void keepTelling(Function<Moment, String> words) {
        try {
            do {
                Moment now = clock.get();
                line.show(words.apply(now), now);
            } while (stillAfterATick());
            line.clear();
        } catch (IOException e) {
            log.debug2("terminal: " + e.getMessage()); // it is gone, and its output notices too
        }
    }

    private synchronized boolean stillAfterATick() {
        long end = System.nanoTime() + TICK.toNanos();
        for (long left = TICK.toMillis(); doubtful && left > 0; ) {
            try {
                wait(left);
            } catch (InterruptedException e) {
                return false; // nobody interrupts it; if somebody does, it is over
            }
            left = (end - System.nanoTime()) / 1_000_000;
        }
        return doubtful;
    }

    /** The line itself: since when, what happens next, the way out; most important first. */
    static String words(ShowDoubt doubt, Moment now, int escapeChar) {
        String silence = "[holdfast: nothing heard for " + brief(now.since(doubt.lastByte()));
        Moment end = doubt.givenUpAt();
        String next =
                end == null
                        ? "; waiting, ServerAliveInterval is off"
                        : "; giving up in " + brief(now.until(end));
        String leave = escapeChar < 0 ? "]" : "; " + (char) escapeChar + ". leaves now]";
        return silence + next + leave;
    }

    /** The same where the connection is being replaced. */
    static String words(Moment since, Moment heldUntil, Moment now, int escapeChar) {
        String leave = escapeChar < 0 ? "]" : "; " + (char) escapeChar + ". leaves now]";
        return "[holdfast: cut off for "
                + brief(now.since(since))
                + "; reconnecting, what you type is kept"
                + "; session held for "
                + brief(now.until(heldUntil))
                + leave;
    }

    private static String brief(Duration time) {
        long seconds = Math.max(0, Math.round(time.toMillis() / 1000.0));
        if (seconds < 120) {
            return seconds + " s";
        }
        long minutes = Math.round(seconds / 60.0);
        return minutes < 120 ? minutes + " min" : Math.round(minutes / 60.0) + " h";
    }

    // --- the remote side's output

    @Override
    public int write(ByteBuffer bytes) throws IOException {
        byte[] copy = new byte[bytes.remaining()];
        bytes.get(copy);
        line.write(copy, 0, copy.length);
        return copy.length;
    }

    @Override
    public boolean isOpen() {
        return out.isOpen();
    }

    @Override
    public void close() throws IOException {
        out.close();
    }
}
