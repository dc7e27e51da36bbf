package holdfast.ssh.stream;

import java.io.Closeable;
import java.io.IOException;
import java.nio.channels.CancelledKeyException;
import java.nio.channels.ClosedSelectorException;
import java.nio.channels.SelectableChannel;
import java.nio.channels.SelectionKey;
import java.nio.channels.Selector;
import java.util.PriorityQueue;
import java.util.concurrent.ConcurrentLinkedQueue;
import org.apache.sshd.common.util.threads.ThreadUtils;

/**
 * The one thread that watches all sockets of the process. Interest is one-shot.
 *
 * <p>Its thread is one of MINA's "internal" ones: what it sends during a key exchange is queued and
 * does not block it.
 */
final class SelectorLoop {

    static final int READ = SelectionKey.OP_READ;
    static final int WRITE = SelectionKey.OP_WRITE;
    static final int CONNECT = SelectionKey.OP_CONNECT;
    static final int ACCEPT = SelectionKey.OP_ACCEPT;

    interface Turn {
        void turn(int operations) throws IOException;
    }

    private record Later(long at, Runnable task) {}

    private static final class Shared {
        static final SelectorLoop LOOP = new SelectorLoop();
    }

    private final Selector selector;
    private final Thread thread;
    private final ConcurrentLinkedQueue<Runnable> tasks = new ConcurrentLinkedQueue<>();
    private final PriorityQueue<Later> later =
            new PriorityQueue<>((a, b) -> Long.compare(a.at - b.at, 0));

    private SelectorLoop() {
        try {
            selector = Selector.open();
        } catch (IOException e) {
            throw new IllegalStateException("no selector: " + e.getMessage(), e);
        }
        thread = Thread.ofPlatform().daemon().name("sockets").unstarted(this::loop);
        thread.start();
    }

    static SelectorLoop shared() {
        return Shared.LOOP;
    }

    static void closeQuietly(Closeable one) {
        try {
            one.close();
        } catch (IOException e) {
            // the descriptor is gone either way
        }
    }

    /** Runs {@code task} on the loop's thread, at once when called there. */
    void run(Runnable task) {
        if (Thread.currentThread().equals(thread)) {
            task.run();
        } else {
            tasks.add(task);
            selector.wakeup();
        }
    }

    void later(long nanos, Runnable task) {
        run(() -> later.add(new Later(System.nanoTime() + nanos, task)));
    }

    Watched watch(SelectableChannel channel, Turn turn) throws IOException {
        return new Watched(channel, turn);
    }

    private void loop() {
        try {
            ThreadUtils.runAsInternal(
                    () -> {
                        while (true) {
                            turn();
                        }
                    });
        } catch (Exception e) {
            throw new IllegalStateException("the selector broke: " + e.getMessage(), e);
        }
    }

    private void turn() throws IOException {
        for (Runnable task = tasks.poll(); task != null; task = tasks.poll()) {
            try {
                task.run();
            } catch (RuntimeException e) {
                report(e);
            }
        }
        long now = System.nanoTime();
        while (!later.isEmpty() && later.peek().at - now <= 0) {
            later.remove().task.run();
        }
        long wait = later.isEmpty() ? 0 : Math.max(1, (later.peek().at - now + 999_999) / 1_000_000);
        selector.select(this::ready, wait);
    }

    private void ready(SelectionKey key) {
        Watched watched = (Watched) key.attachment();
        try {
            int operations = key.readyOps() & key.interestOps();
            key.interestOpsAnd(~operations);
            watched.turn.turn(operations);
        } catch (CancelledKeyException e) {
            // closed since
        } catch (IOException | RuntimeException e) {
            watched.close();
            report(e);
        }
    }

    private void report(Exception e) {
        Thread.UncaughtExceptionHandler handler = Thread.getDefaultUncaughtExceptionHandler();
        if (handler != null) {
            handler.uncaughtException(thread, e);
        }
    }

    /** One channel that the loop watches. */
    final class Watched {
        private final SelectableChannel channel;
        private Turn turn;
        private final SelectionKey key;

        Watched(SelectableChannel channel, Turn turn) throws IOException {
            this.channel = channel;
            this.turn = turn;
            SelectionKey known = channel.keyFor(selector);
            if (known != null) {
                known.attach(this);
                key = known;
            } else {
                key = channel.register(selector, 0, this);
            }
        }

        void want(int operations) {
            try {
                int before = key.interestOpsOr(operations);
                if ((before & operations) != operations && !Thread.currentThread().equals(thread)) {
                    selector.wakeup();
                }
            } catch (CancelledKeyException | ClosedSelectorException e) {
                // closed since
            }
        }

        /** Before another watches the same channel. */
        void release() {
            turn = operations -> {};
        }

        void close() {
            closeQuietly(channel);
            // A descriptor that is watched is given back only when the selector next looks.
            selector.wakeup();
        }
    }
}
