package holdfast.ssh.stream;

import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * A thread that carries bytes for many channels and waits for nobody. The end of a write that was
 * over at once is told on it, and not on one of the network's threads, which would have to be woken
 * for each packet. What it carries in one go may be sent in one write.
 */
public final class CarryingThread extends Thread {

    private boolean writes;
    private boolean tells;

    /** What waits for the end of the go; null outside of one. */
    private @Nullable List<Runnable> late;

    /** A daemon that is to be started. */
    public CarryingThread(String name, Runnable work) {
        super(work, name);
        setDaemon(true);
    }

    /** Runs {@code go}, and what it puts off: at once, if the calling thread is none of these. */
    public static void go(Runnable go) {
        if (!(currentThread() instanceof CarryingThread here) || here.late != null) {
            go.run();
            return;
        }
        List<Runnable> late = new ArrayList<>(1);
        here.late = late;
        try {
            go.run();
        } finally {
            here.late = null;
            late.forEach(Runnable::run); // of one session, since a go is one channel's
        }
    }

    /**
     * Has {@code what} run at the end of the go.
     *
     * @return false: the calling thread is in none
     */
    public static boolean putOff(Runnable what) {
        return currentThread() instanceof CarryingThread here
                && here.late != null
                && here.late.add(what);
    }

    /** Runs {@code write}, whose end may be told on the calling thread if that is one of these. */
    public static void write(Runnable write) {
        if (currentThread() instanceof CarryingThread here) {
            boolean outer = here.writes;
            here.writes = true;
            try {
                write.run();
            } finally {
                here.writes = outer;
            }
        } else {
            write.run();
        }
    }

    /**
     * Runs {@code told} now, if the calling thread is one of these and writes.
     *
     * @return false: another thread must, so that a chain of writes is no chain of calls
     */
    public static boolean tell(Runnable told) {
        if (!(currentThread() instanceof CarryingThread here) || !here.writes || here.tells) {
            return false;
        }
        here.tells = true;
        try {
            told.run();
        } finally {
            here.tells = false;
        }
        return true;
    }
}
