package holdfast.trials.harness;

import java.io.ByteArrayOutputStream;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;

/**
 * What a process has written to one of its streams so far, and when it wrote last.
 *
 * <p>One pump thread writes, any thread reads.
 */
public final class Captured extends OutputStream {

    private final ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    private long lastByteAt = System.nanoTime();
    private boolean ended;

    @Override
    public synchronized void write(int octet) {
        bytes.write(octet);
        lastByteAt = System.nanoTime();
        notifyAll();
    }

    @Override
    public synchronized void write(byte[] source, int offset, int length) {
        bytes.write(source, offset, length);
        lastByteAt = System.nanoTime();
        notifyAll();
    }

    @Override
    public synchronized void close() {
        ended = true;
        notifyAll();
    }

    public synchronized String text() {
        return bytes.toString(StandardCharsets.UTF_8);
    }

    public synchronized int size() {
        return bytes.size();
    }

    /** {@link System#nanoTime} of the newest byte, or of the start if there was none. */
    public synchronized long lastByteAt() {
        return lastByteAt;
    }

    /**
     * Waits until the text has been written.
     *
     * @throws AssertionError when the stream ends, or the time, without it
     */
    public synchronized void await(String wanted, Duration patience) throws InterruptedException {
        long deadline = System.nanoTime() + patience.toNanos();
        while (!text().contains(wanted)) {
            long left = (deadline - System.nanoTime()) / 1_000_000;
            if (ended || left <= 0) {
                throw new AssertionError(
                        (ended ? "the stream ended" : "nothing for " + patience)
                                + " without ‹"
                                + wanted
                                + "›; it held ‹"
                                + text()
                                + "›");
            }
            wait(left);
        }
    }

    /** Waits for the end of the stream; false if the time ran out first. */
    synchronized boolean awaitEnd(Duration patience) throws InterruptedException {
        long deadline = System.nanoTime() + patience.toNanos();
        while (!ended) {
            long left = (deadline - System.nanoTime()) / 1_000_000;
            if (left <= 0) {
                return false;
            }
            wait(left);
        }
        return true;
    }
}
