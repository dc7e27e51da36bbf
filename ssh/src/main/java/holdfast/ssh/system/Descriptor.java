package holdfast.ssh.system;

import java.util.concurrent.atomic.AtomicInteger;

/**
 * A file descriptor that is closed when the last call that uses it is over.
 *
 * <p>Else a number could be closed by one thread and given to another file while a third writes to
 * it.
 */
final class Descriptor {

    private static final int CLOSED = 1 << 31;

    private final int fd;

    /** How many calls use it now, and whether it is closed to new ones. */
    private final AtomicInteger use = new AtomicInteger();

    Descriptor(int fd) {
        this.fd = fd;
    }

    /** Its number until {@link #leave}, or -1 if it is closed. */
    int enter() {
        while (true) {
            int now = use.get();
            if (now < 0) {
                return -1;
            }
            if (use.compareAndSet(now, now + 1)) {
                return fd;
            }
        }
    }

    void leave() {
        if (use.decrementAndGet() == CLOSED) {
            Native.close(fd);
        }
    }

    boolean isOpen() {
        return use.get() >= 0;
    }

    /** False if it was closed before. */
    boolean close() {
        while (true) {
            int now = use.get();
            if (now < 0) {
                return false;
            }
            if (use.compareAndSet(now, now | CLOSED)) {
                if (now == 0) {
                    Native.close(fd);
                }
                return true;
            }
        }
    }
}
