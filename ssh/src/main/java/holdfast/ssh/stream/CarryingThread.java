package holdfast.ssh.stream;

/**
 * A thread that carries bytes for many channels and waits for nobody. The end of a write that was
 * over at once is told on it, and not on one of the network's threads, which would have to be woken
 * for each packet.
 */
public final class CarryingThread extends Thread {

    private boolean writes;
    private boolean tells;

    /** A daemon that is to be started. */
    public CarryingThread(String name, Runnable work) {
        super(work, name);
        setDaemon(true);
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
