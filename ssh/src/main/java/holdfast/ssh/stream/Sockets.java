package holdfast.ssh.stream;

import java.io.IOException;
import java.nio.channels.CancelledKeyException;
import java.nio.channels.ClosedSelectorException;
import java.nio.channels.SelectableChannel;
import java.nio.channels.SelectionKey;
import java.nio.channels.Selector;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import org.jspecify.annotations.Nullable;

/** The one thread that watches sockets, by a selector. */
final class Sockets {

    /** How long a listener rests that could not accept for want of descriptors. */
    private static final long REST_MILLIS = 500;

    /** Somebody whose socket is watched; attached to its key. */
    interface Watched {
        /** On the selector's thread. */
        void fired(int operations);
    }

    private static @Nullable Sockets one;

    private final Selector selector;
    private final Queue<Runnable> tasks = new ConcurrentLinkedQueue<>();
    private final Queue<SelectionKey> resting = new ConcurrentLinkedQueue<>();
    private final Thread thread;

    private Sockets() throws IOException {
        selector = Selector.open();
        thread = new CarryingThread("sockets", this::run);
        thread.start();
    }

    /** The process's one, made on first use. */
    static synchronized Sockets sockets() throws IOException {
        Sockets now = one;
        if (now == null) {
            now = new Sockets();
            one = now;
        }
        return now;
    }

    SelectionKey watch(SelectableChannel channel, int operations, Watched who) throws IOException {
        SelectionKey key = channel.register(selector, operations, who);
        wake();
        return key;
    }

    /** Runs something soon on the selector's thread. */
    void run(Runnable task) {
        tasks.add(task);
        wake();
    }

    /** After a change of interest, and after a close: only the selector lets a closed socket go. */
    void wake() {
        if (Thread.currentThread() != thread) {
            selector.wakeup();
        }
    }

    /** Lets a listener be for a moment. On the selector's thread. */
    void rest(SelectableChannel listener) {
        SelectionKey key = listener.keyFor(selector);
        if (key != null && key.isValid()) {
            key.interestOps(0);
            resting.add(key);
        }
    }

    private void run() {
        while (true) {
            try {
                if (resting.isEmpty()) {
                    selector.select(Sockets::fire);
                } else {
                    selector.select(Sockets::fire, REST_MILLIS);
                    for (SelectionKey key = resting.poll(); key != null; key = resting.poll()) {
                        SelectionKey rested = key;
                        guarded(() -> {
                            if (rested.isValid()) {
                                rested.interestOps(SelectionKey.OP_ACCEPT);
                            }
                        });
                    }
                }
            } catch (IOException | ClosedSelectorException e) {
                throw new IllegalStateException("the selector is broken", e);
            }
            for (int left = tasks.size(); left > 0; left--) {
                Runnable task = tasks.poll();
                if (task == null) {
                    break;
                }
                guarded(task);
            }
        }
    }

    private static void fire(SelectionKey key) {
        int ready;
        try {
            ready = key.readyOps();
            // One-shot: whoever wants more says so.
            if ((ready & SelectionKey.OP_ACCEPT) == 0) {
                key.interestOpsAnd(~ready);
            }
        } catch (CancelledKeyException e) {
            return;
        }
        guarded(() -> ((Watched) key.attachment()).fired(ready));
    }

    private static void guarded(Runnable callback) {
        try {
            callback.run();
        } catch (Throwable t) {
            // The thread serves everybody: see Tap for who is told. What is left is a fault of
            // ours, and goes where the VM sends uncaught exceptions.
            Thread now = Thread.currentThread();
            now.getUncaughtExceptionHandler().uncaughtException(now, t);
        }
    }
}
