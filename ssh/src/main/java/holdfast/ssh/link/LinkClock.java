package holdfast.ssh.link;

import holdfast.core.time.Moment;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;

/**
 * The clock that links are judged by: it never jumps, and it goes on while the machine sleeps.
 *
 * <p>{@link System#nanoTime} stands still during a suspend on Linux; the kernel's uptime does not.
 * {@link #look} compares the two and adds what was slept, so that a {@link Moment} means what
 * CLOCK_BOOTTIME means to OpenSSH. Where there is no uptime to read, sleep stays unnoticed.
 *
 * <p>Thread-safe; only the loop that owns the clock calls {@link #look}.
 */
public final class LinkClock {

    private static final Path UPTIME = Path.of("/proc/uptime");

    /** The uptime is told in hundredths of a second; a difference below this is reading noise. */
    private static final Duration LEAST_SLEEP = Duration.ofSeconds(1);

    private volatile long sleptNanos;
    private long sleptSoFar;
    private long offset;

    public LinkClock() {
        offset = ahead();
    }

    public Moment now() {
        return new Moment(System.nanoTime() + sleptNanos);
    }

    /**
     * How long the machine has slept since the last look; zero if it has not. From this call on
     * {@link #now} counts that time.
     */
    public Duration look() {
        long nowAhead = ahead();
        Duration slept = Duration.ofNanos(nowAhead - offset);
        if (slept.compareTo(LEAST_SLEEP) < 0) {
            return Duration.ZERO;
        }
        offset = nowAhead;
        sleptSoFar += slept.toNanos();
        sleptNanos = sleptSoFar;
        return slept;
    }

    /** Nanoseconds by which the uptime is ahead of nanoTime; only its changes mean anything. */
    private static long ahead() {
        try {
            byte[] text = Files.readAllBytes(UPTIME);
            int end = 0;
            while (end < text.length && text[end] != ' ') {
                end++;
            }
            String seconds = new String(text, 0, end, StandardCharsets.US_ASCII);
            return Math.round(Double.parseDouble(seconds) * 1e9) - System.nanoTime();
        } catch (IOException | NumberFormatException e) {
            return 0; // no such file here: sleep cannot be told from silence
        }
    }
}
