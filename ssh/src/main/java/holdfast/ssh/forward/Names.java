package holdfast.ssh.forward;

import holdfast.ssh.system.Scope;
import java.net.Inet4Address;
import java.net.InetAddress;
import java.net.UnknownHostException;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.ScheduledThreadPoolExecutor;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;

/**
 * What may make a thread wait, done elsewhere: names looked up, sockets opened as another user. One
 * per connection, so that one that asks for many slow names keeps no other waiting.
 */
final class Names {

    /** Threads for all connections of the process; they end when there is nothing to do. */
    private static final int THREADS = 16;

    /** Of these, how many one connection may have busy. */
    private static final int AT_ONCE = 4;

    private static final ThreadPoolExecutor WORKERS = workers();

    private static final ScheduledThreadPoolExecutor TIMER = timer();

    private final ArrayDeque<Runnable> queue = new ArrayDeque<>(0);
    private int running;

    private static ThreadPoolExecutor workers() {
        ThreadPoolExecutor workers =
                new ThreadPoolExecutor(
                        THREADS,
                        THREADS,
                        10,
                        TimeUnit.SECONDS,
                        // Bounded by AT_ONCE for each connection.
                        new LinkedBlockingQueue<>(),
                        Thread.ofPlatform().daemon().name("names-", 1).factory());
        workers.allowCoreThreadTimeOut(true);
        return workers;
    }

    private static ScheduledThreadPoolExecutor timer() {
        ScheduledThreadPoolExecutor timer =
                new ScheduledThreadPoolExecutor(
                        1, Thread.ofPlatform().daemon().name("forward-timer").factory());
        timer.setKeepAliveTime(10, TimeUnit.SECONDS);
        timer.allowCoreThreadTimeOut(true);
        return timer;
    }

    /** Runs {@code task}, which must not block, after a while. */
    static void later(Runnable task, long millis) {
        var _ = TIMER.schedule(task, millis, TimeUnit.MILLISECONDS);
    }

    /** What a lookup gave. */
    sealed interface Found {
        record Addresses(List<InetAddress> addresses) implements Found {}

        record Unknown(String why) implements Found {}
    }

    /** Runs {@code task} when its turn comes; the caller bounds how many it asks for. */
    synchronized void run(Runnable task) {
        if (running == AT_ONCE) {
            queue.add(task);
            return;
        }
        running++;
        start(task);
    }

    private void start(Runnable task) {
        WORKERS.execute(() -> {
            try {
                task.run();
            } finally {
                done();
            }
        });
    }

    private synchronized void done() {
        Runnable next = queue.poll();
        if (next == null) {
            running--;
        } else {
            start(next);
        }
    }

    /** Looks up {@code host}; calls back here and now where it is an address. */
    void find(String host, Consumer<Found> then) {
        InetAddress literal = Socks.literal(host);
        if (literal != null) {
            then.accept(new Found.Addresses(List.of(literal)));
            return;
        }
        run(() -> then.accept(lookUp(host)));
    }

    /** Blocks. */
    static Found lookUp(String host) {
        if (host.isEmpty()) {
            return new Found.Unknown("Name or service not known");
        }
        try {
            return new Found.Addresses(alternating(List.of(Scope.addresses(host))));
        } catch (UnknownHostException e) {
            // The name is before it, as far as the locale has its characters.
            String text = String.valueOf(e.getMessage());
            return new Found.Unknown(text.substring(text.lastIndexOf(": ") + 1).strip());
        } catch (SecurityException | IllegalArgumentException e) {
            return new Found.Unknown("Name or service not known");
        }
    }

    /** The system's order, but the families by turns: where one does not work the other may. */
    static List<InetAddress> alternating(List<InetAddress> all) {
        List<InetAddress> same = new ArrayList<>();
        List<InetAddress> other = new ArrayList<>();
        boolean four = !all.isEmpty() && all.get(0) instanceof Inet4Address;
        for (InetAddress one : all) {
            (one instanceof Inet4Address == four ? same : other).add(one);
        }
        List<InetAddress> ordered = new ArrayList<>(all.size());
        for (int i = 0; i < Math.max(same.size(), other.size()); i++) {
            if (i < same.size()) {
                ordered.add(same.get(i));
            }
            if (i < other.size()) {
                ordered.add(other.get(i));
            }
        }
        return ordered;
    }
}
