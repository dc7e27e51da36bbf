package holdfast.ssh.terminal;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;

/**
 * A terminal whose modes we changed and owe back, and the guarantee that it gets them.
 *
 * <p>Whatever is out on loan is given back by a shutdown hook: at a normal end, at System.exit, at
 * an uncaught exception, at SIGTERM, SIGHUP and SIGINT, since the VM turns these into a shutdown.
 * Runtime.halt and SIGKILL run no hooks: who halts gives back first ({@link Terminal#restore}).
 *
 * <p>A stop (SIGTSTP) gives everything back for as long as it lasts, and SIGCONT takes it again: a
 * shell need not repair after us, and one that does not (su, a debugger) leaves us usable all the
 * same.
 *
 * <p>Threads: any. The lock is held for single ioctls only; the shutdown hook waits for it a moment
 * and then goes ahead, since a late change is worse than a doubled one.
 */
final class Borrowed {

    /** How long a thread on its way out waits for another that is at work on the terminal. */
    private static final long PATIENCE_MILLIS = 200;

    private static final ReentrantLock LOCK = new ReentrantLock();

    /** What is out on loan, oldest first; under the lock. */
    private static final List<Borrowed> LOANS = new ArrayList<>(2);

    /** How long a signal may take from its arrival to {@link #end}. */
    private static final long ENDING_NANOS = 300_000_000;

    /** A descriptor that the kernel refuses. */
    private static final int NO_TERMINAL = -1;

    /** How often we try to stop before we hold that nothing can stop us. */
    private static final int UNHEEDED = 2;

    private static boolean guarded;
    private static volatile boolean ending;

    /** How often we went on from a stop. */
    private static final AtomicInteger RESUMED = new AtomicInteger();

    /** Told after the process went on from a stop, when the modes are set again. */
    private static volatile Runnable resumed = () -> {};

    final int fd;
    final Termios original;
    private final Termios ours;
    private final long how;
    private final Watcher watcher;

    /** Who wants to know what happened to the loan without his doing. */
    interface Watcher {
        /** The modes are set again after a stop. */
        void taken();

        /** The modes go back because the process ends. */
        void ending();

        Watcher NOBODY =
                new Watcher() {
                    @Override
                    public void taken() {}

                    @Override
                    public void ending() {}
                };
    }

    private Borrowed(int fd, Termios original, Termios ours, long how, Watcher watcher) {
        this.fd = fd;
        this.original = original;
        this.ours = ours;
        this.how = how;
        this.watcher = watcher;
    }

    /**
     * Stops while we are in the background, and waits a little each time we go on there: a signal
     * that is to end us brings SIGCONT with it, and the kernel, which would stop us again at once,
     * leaves its handler no time. Where the kernel would not stop us neither do we: at a terminal
     * that is not the one our session obeys, with SIGTTOU ignored. In a group that nobody could
     * continue no stop is heeded; then the kernel decides.
     */
    private static void awaitForeground(int fd) {
        int unheeded = 0;
        while (unheeded < UNHEEDED && !ending && Libc.background(fd) && !Libc.ignoresTtou()) {
            int before = RESUMED.get();
            Libc.stopForTerminal();
            if (Libc.background(fd)) {
                LockSupport.parkNanos(ENDING_NANOS);
            }
            unheeded = RESUMED.get() == before ? unheeded + 1 : 0;
        }
    }

    /**
     * Sets {@code ours} on the terminal. In the background we are stopped here (SIGTTOU) until we
     * are brought to the front, as OpenSSH is.
     *
     * @param how TCSETSW or TCSETSF
     * @return the loan, or null where the terminal does not take the modes
     */
    static @Nullable Borrowed take(
            int fd, Termios original, Termios ours, long how, Watcher watcher) {
        Borrowed loan = new Borrowed(fd, original, ours, how, watcher);
        guard();
        awaitForeground(fd);
        LOCK.lock();
        try {
            // Listed first: a signal between the two finds it.
            LOANS.add(loan);
            if (ending || !ours.to(fd, how)) {
                LOANS.remove(loan);
                return null;
            }
            return loan;
        } finally {
            LOCK.unlock();
        }
    }

    /** Has the VM learn what {@link #take} calls. */
    static void prepare(int fd, Termios ours) {
        guard();
        Libc.background(fd);
        ours.to(NO_TERMINAL, Libc.TCSETSW);
    }

    /** Sets the terminal back to what it was. Does nothing the second time. */
    void giveBack() {
        boolean locked = patientLock();
        try {
            if (LOANS.remove(this)) {
                putBack();
            }
        } finally {
            if (locked) {
                LOCK.unlock();
            }
        }
    }

    /** Everything back, newest first, and nothing more is lent: the process ends. */
    static void end() {
        ending = true;
        boolean locked = patientLock();
        try {
            for (int i = LOANS.size() - 1; i >= 0; i--) {
                Borrowed loan = LOANS.remove(i);
                loan.watcher.ending();
                loan.putBack();
            }
        } finally {
            if (locked) {
                LOCK.unlock();
            }
        }
    }

    static void onResume(Runnable action) {
        resumed = action;
    }

    /**
     * Gives all terminals back, stops the process as SIGTSTP does, and takes them again once it
     * goes on. In an orphaned process group there is nobody to continue us: the kernel ignores the
     * stop and this returns at once.
     */
    static void suspend() {
        LOCK.lock();
        try {
            for (int i = LOANS.size() - 1; i >= 0; i--) {
                LOANS.get(i).putBack();
            }
            Signals.standard("TSTP");
            Libc.raise(Libc.SIGTSTP);
            // Standing here until SIGCONT.
            Signals.on("TSTP", Borrowed::suspend);
        } finally {
            LOCK.unlock();
        }
        resume();
    }

    /**
     * After a stop. In the background nothing is touched: setting modes there would stop us again,
     * also while we are being terminated. Whoever reads the terminal there is stopped by the kernel
     * (SIGTTIN), and coming to the front is another SIGCONT.
     */
    private static void resume() {
        RESUMED.incrementAndGet();
        LOCK.lock();
        try {
            if (ending) {
                return;
            }
            for (Borrowed loan : LOANS) {
                if (!Libc.background(loan.fd)) {
                    Termios now = Termios.of(loan.fd);
                    if (now != null && !now.sameAs(loan.ours)) {
                        loan.ours.to(loan.fd, loan.how);
                        loan.watcher.taken();
                    }
                }
            }
        } finally {
            LOCK.unlock();
        }
        resumed.run();
    }

    /**
     * The modes as they were, if they are still ours to change. In the background somebody else
     * (the shell) owns the terminal by now: when it has set modes of its own we leave those alone,
     * and when ours are still there we clear them away, SIGTTOU or not.
     */
    private void putBack() {
        Libc.despiteTtou(() -> {
            Termios now = Termios.of(fd);
            if (now != null && (now.sameAs(ours) || !Libc.background(fd))) {
                original.to(fd, Libc.TCSETSW);
            }
        });
    }

    private static void guard() {
        LOCK.lock();
        try {
            if (guarded) {
                return;
            }
            guarded = true;
        } finally {
            LOCK.unlock();
        }
        try {
            Runtime.getRuntime()
                    .addShutdownHook(
                            Thread.ofPlatform().name("terminal-restore").unstarted(Borrowed::end));
        } catch (IllegalStateException shuttingDown) {
            // nothing may be borrowed any more
            ending = true;
        }
        Signals.on("TSTP", Borrowed::suspend);
        Signals.on("CONT", Borrowed::resume);
    }

    private static boolean patientLock() {
        try {
            return LOCK.tryLock(PATIENCE_MILLIS, TimeUnit.MILLISECONDS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return LOCK.tryLock();
        }
    }
}
