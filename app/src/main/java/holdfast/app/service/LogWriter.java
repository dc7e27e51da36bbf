package holdfast.app.service;

import holdfast.ssh.log.Log;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Consumer;

/**
 * Lines on their way to a log that may be slow: whoever logs never waits. When more are waiting
 * than it holds, new ones are lost, and the log says how many.
 */
public final class LogWriter implements Consumer<String>, Log.Sink, AutoCloseable {

    private static final int MOST_WAITING = 16_384;

    private record Line(Log.Level level, String text, long speaker) {}

    private final BlockingQueue<Line> waiting = new ArrayBlockingQueue<>(MOST_WAITING);
    private final AtomicLong lost = new AtomicLong();
    private final Log.Sink sink;
    private final Thread thread;
    private volatile boolean over;

    /**
     * @param sink takes each line, on the writer's own thread
     */
    public LogWriter(Log.Sink sink) {
        this.sink = sink;
        thread = Thread.ofPlatform().daemon().name("holdfast-log").start(this::write);
    }

    /** For a log whose lines have their levels in them, and their ends. */
    @Override
    public void accept(String line) {
        take(Log.Level.INFO, line);
    }

    @Override
    public void take(Log.Level level, String line) {
        take(level, line, 0);
    }

    @Override
    public void take(Log.Level level, String line, long speaker) {
        if (!waiting.offer(new Line(level, line, speaker))) {
            lost.incrementAndGet();
        }
    }

    private void write() {
        while (!over || !waiting.isEmpty()) {
            try {
                Line line = waiting.poll(100, TimeUnit.MILLISECONDS);
                if (line != null) {
                    sink.take(line.level(), line.text(), line.speaker());
                }
                long missing = lost.getAndSet(0);
                if (missing > 0) {
                    sink.take(
                            Log.Level.ERROR,
                            missing + " lines of this log were lost: it was too slow\r\n");
                }
            } catch (InterruptedException e) {
                return;
            }
        }
    }

    /** Waits, for a short while, until everything is written. */
    @Override
    public void close() {
        over = true;
        try {
            thread.join(1000);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }
}
