package holdfast.ssh.system;

import holdfast.ssh.stream.CarryingThread;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Map;
import java.util.Queue;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;
import org.jspecify.annotations.Nullable;

/**
 * The one thread that watches descriptors, by epoll: taps of children and of terminals, and
 * children's ends.
 *
 * <p>Everything is one-shot. Who is watched is known by a number of its own and not by the
 * descriptor's, which the kernel gives out again: a late event of something closed finds nobody.
 */
final class Poller {

    static final int IN = 0x1;
    static final int OUT = 0x4;
    static final int ERR = 0x8;
    static final int HUP = 0x10;
    static final int RDHUP = 0x2000;
    private static final int ONESHOT = 1 << 30;

    private static final int ADD = 1;
    private static final int MOD = 3;

    private static final int EFD_CLOEXEC_NONBLOCK = Native.O_CLOEXEC | Native.O_NONBLOCK;

    /** Looked at in one go; more wait for the next. */
    private static final int EVENTS = 256;

    private static final MemorySegment CREATE = Native.symbol("epoll_create1");
    private static final MemorySegment CTL = Native.symbol("epoll_ctl");
    private static final MemorySegment WAIT = Native.symbol("epoll_wait");
    private static final MemorySegment EVENTFD = Native.symbol("eventfd");
    private static final MemorySegment READ = Native.symbol("read");
    private static final MemorySegment WRITE = Native.symbol("write");

    /** Somebody whose descriptor is watched. */
    interface Watched {
        /** On the poller's thread. */
        void fired(int events);
    }

    private static @Nullable Poller one;

    private final int epoll;
    private final int wake;
    private final AtomicLong tickets = new AtomicLong();
    private final Map<Long, Watched> watched = new ConcurrentHashMap<>();
    private final Queue<Runnable> tasks = new ConcurrentLinkedQueue<>();
    private final AtomicBoolean awake = new AtomicBoolean();
    private final Thread thread;

    private Poller() throws SystemException {
        epoll = Native.must("epoll_create1", Native.call(CREATE, Native.O_CLOEXEC));
        wake = Native.must("eventfd", Native.call(EVENTFD, 0, EFD_CLOEXEC_NONBLOCK));
        Native.must("epoll_ctl", control(ADD, wake, IN, 0));
        thread = new CarryingThread("descriptors", this::run);
        thread.start();
    }

    /** The process's one, made on first use. */
    static synchronized Poller poller() throws SystemException {
        Poller now = one;
        if (now == null) {
            now = new Poller();
            one = now;
        }
        return now;
    }

    /** A number for {@link #add}. */
    long ticket(Watched who) {
        long ticket = tickets.incrementAndGet();
        watched.put(ticket, who);
        return ticket;
    }

    void forget(long ticket) {
        watched.remove(ticket);
    }

    /**
     * Watches for one event.
     *
     * @return 0, or minus errno: EPERM for a file that is always ready
     */
    int add(int fd, int events, long ticket) {
        return control(ADD, fd, events | ONESHOT, ticket);
    }

    int again(int fd, int events, long ticket) {
        return control(MOD, fd, events | ONESHOT, ticket);
    }

    private int control(int operation, int fd, int events, long ticket) {
        // The thread's scratch is free here: nobody holds bytes in it across a call of ours.
        MemorySegment event = Native.scratch();
        event.set(ValueLayout.JAVA_INT_UNALIGNED, 0, events);
        event.set(ValueLayout.JAVA_LONG_UNALIGNED, Native.EPOLL_DATA_AT, ticket);
        return Native.call(CTL, epoll, operation, fd, event.address());
    }

    /** Runs something soon on the poller's thread. */
    void run(Runnable task) {
        tasks.add(task);
        if (Thread.currentThread() != thread && awake.compareAndSet(false, true)) {
            try (Arena arena = Arena.ofConfined()) {
                MemorySegment count = arena.allocate(ValueLayout.JAVA_LONG);
                count.set(ValueLayout.JAVA_LONG, 0, 1);
                Native.call(WRITE, wake, count.address(), Long.BYTES);
            }
        }
    }

    private void run() {
        MemorySegment events = Arena.global().allocate((long) EVENTS * Native.EPOLL_EVENT_BYTES, 8);
        while (true) {
            int count =
                    Native.call(WAIT, epoll, events.address(), EVENTS, tasks.isEmpty() ? -1 : 0);
            // A failure can only be EINTR: the arguments are ours.
            for (int i = 0; i < count; i++) {
                long at = (long) i * Native.EPOLL_EVENT_BYTES;
                int what = events.get(ValueLayout.JAVA_INT_UNALIGNED, at);
                long ticket =
                        events.get(ValueLayout.JAVA_LONG_UNALIGNED, at + Native.EPOLL_DATA_AT);
                if (ticket == 0) {
                    woken();
                } else {
                    Watched who = watched.get(ticket);
                    if (who != null) {
                        guarded(() -> who.fired(what));
                    }
                }
            }
            // As many as there are now: what they add waits for the next round.
            for (int left = tasks.size(); left > 0; left--) {
                Runnable task = tasks.poll();
                if (task == null) {
                    break;
                }
                guarded(task);
            }
        }
    }

    private void woken() {
        awake.set(false);
        MemorySegment scratch = Native.scratch();
        Native.call(READ, wake, scratch.address(), Long.BYTES);
    }

    private static void guarded(Runnable callback) {
        try {
            callback.run();
        } catch (Throwable t) {
            // The thread serves everybody. Taps tell their own callbacks' failures; what is left
            // is a fault of ours, and goes where the VM sends uncaught exceptions.
            Thread now = Thread.currentThread();
            now.getUncaughtExceptionHandler().uncaughtException(now, t);
        }
    }
}
