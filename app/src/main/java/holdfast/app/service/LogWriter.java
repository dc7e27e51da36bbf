package holdfast.app.service;

import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Consumer;

/**
 * Lines on their way to a log that may be slow: whoever logs never waits. When more are waiting
 * than it holds, new ones are lost, and the log says how many.
 */
public final class LogWriter implements Consumer<String>, AutoCloseable {

    private static final int MOST_WAITING = 16_384;

    private final BlockingQueue<String> waiting = new ArrayBlockingQueue<>(MOST_WAITING);
    private final AtomicLong lost = new AtomicLong();
    private final Consumer<String> sink;
    private final Thread thread;
    private volatile boolean over;

    /**
     * @param sink takes each line, on the writer's own thread
     */
    public LogWriter(Consumer<String> sink) {
        this.sink = sink;
        thread = Thread.ofPlatform().daemon().name("holdfast-log").start(this::write);
    }

    @Override
    public void accept(String line) {
        if (!waiting.offer(line)) {
            lost.incrementAndGet();
        }
    }

    private void write() {
        while (!over || !waiting.isEmpty()) {
            try {
                String line = waiting.poll(100, TimeUnit.MILLISECONDS);
                if (line != null) {
                    sink.accept(line);
                }
                long missing = lost.getAndSet(0);
                if (missing > 0) {
                    sink.accept(missing + " lines of this log were lost: it was too slow\r\n");
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
