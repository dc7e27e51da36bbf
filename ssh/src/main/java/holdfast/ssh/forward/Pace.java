package holdfast.ssh.forward;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;

/**
 * How much of all forwarded connections' data may wait in one connection's queue for the network:
 * whoever has more to send waits with reading it, and goes on in the order of arrival. So thousands
 * of connections cost no more memory here than one, and a keepalive never queues behind more than
 * this.
 */
final class Pace {

    /** Several full packets, so that the network never waits for the reader: 256 KiB. */
    private static final long HIGH = 256 * 1024;

    private static final long LOW = HIGH / 2;

    private final ArrayDeque<Runnable> waiting = new ArrayDeque<>(0);
    private long underWay;

    /** Whether a packet may be queued now; if not, {@code again} is called when one may. */
    synchronized boolean admits(Runnable again) {
        if (underWay < HIGH) {
            return true;
        }
        waiting.add(again);
        return false;
    }

    synchronized void queued(int bytes) {
        underWay += bytes;
    }

    /** A packet has left, or never will. */
    void gone(int bytes) {
        List<Runnable> next;
        synchronized (this) {
            underWay -= bytes;
            if (underWay > LOW || waiting.isEmpty()) {
                return;
            }
            next = new ArrayList<>(waiting);
            waiting.clear();
        }
        next.forEach(Runnable::run);
    }

    synchronized long underWay() {
        return underWay;
    }
}
