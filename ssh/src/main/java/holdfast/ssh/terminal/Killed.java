package holdfast.ssh.terminal;

import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.locks.LockSupport;

/**
 * The end by a signal as a program without a VM has it: who waits for the process hears of the
 * signal, where the VM's own end is an exit with 128 and the signal's number. A shell that sees a
 * program die of SIGINT leaves its loop; one that sees an exit goes on.
 *
 * <p>Threads: any. No shutdown hooks run: what is to be done before is told to {@link #before}.
 */
public final class Killed {

    /** As a shell has it; also the VM. */
    private static final int BY_SIGNAL = 128;

    /** How long the kernel may take to deliver a signal that nothing holds up. */
    private static final long DELIVERY_NANOS = 100_000_000;

    private static final List<Runnable> BEFORE = new CopyOnWriteArrayList<>();

    private Killed() {}

    /** Has SIGHUP, SIGINT and SIGTERM end us so until somebody else wants to hear of them. */
    public static void bySignals() {
        if (Terminal.known()) {
            on("HUP", 1);
            on("INT", 2);
            on("TERM", 15);
        }
    }

    private static void on(String name, int number) {
        Signals.on(name, () -> by(name, number));
    }

    /**
     * Has something done before such an end, which must not take long.
     *
     * @return has it done no more
     */
    public static Runnable before(Runnable action) {
        BEFORE.add(action);
        return () -> BEFORE.remove(action);
    }

    /** Ends as another program did of this signal. Does not return. */
    public static void by(int number) {
        String name =
                switch (number) {
                    case 1 -> "HUP";
                    case 2 -> "INT";
                    case 15 -> "TERM";
                    default -> "";
                };
        by(name, number);
    }

    private static void by(String name, int number) {
        BEFORE.forEach(Runnable::run);
        Borrowed.end();
        if (!name.isEmpty()) {
            Signals.standard(name);
            Libc.kill(ProcessHandle.current().pid(), number);
            LockSupport.parkNanos(DELIVERY_NANOS);
        }
        // The first process of a container does not die of what it does not handle.
        Libc.exit(BY_SIGNAL + number);
    }
}
