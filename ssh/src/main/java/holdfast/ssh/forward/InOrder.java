package holdfast.ssh.forward;

import java.util.ArrayDeque;
import java.util.Arrays;
import org.apache.sshd.common.util.buffer.Buffer;
import org.apache.sshd.common.util.buffer.ByteArrayBuffer;

/**
 * Keeps replies to global requests in the order of the requests (RFC 4254 section 4), where one
 * cannot be answered at once: those that come meanwhile wait. So does what sessions ask for, as it
 * would for an OpenSSH server: a program that ends before its client has heard that a forward was
 * refused would end the client well, whatever ExitOnForwardFailure says.
 */
final class InOrder {

    /** More than any client has under way; a peer that sends more does not wait for replies. */
    private static final int MOST = 256;

    /** Handles a global request. */
    @FunctionalInterface
    interface Serves {
        void process(Buffer request) throws Exception;
    }

    private final ArrayDeque<byte[]> waiting = new ArrayDeque<>(0);
    private final ArrayDeque<Runnable> next = new ArrayDeque<>(0);
    private boolean pending;

    /** Whether a request has to wait; it has been noted then. */
    synchronized boolean waits(String request, boolean wantReply, Buffer rest) {
        if (!pending) {
            return false;
        }
        if (waiting.size() >= MOST) {
            throw new IllegalStateException("too many requests at once");
        }
        Buffer copy = new ByteArrayBuffer();
        copy.putString(request);
        copy.putBoolean(wantReply);
        copy.putRawBytes(
                Arrays.copyOfRange(rest.array(), rest.rpos(), rest.rpos() + rest.available()));
        waiting.add(copy.getCompactData());
        return true;
    }

    /** The request that is being handled is answered later. */
    synchronized void later() {
        pending = true;
    }

    /**
     * Runs what came after the requests so far: now, or when they are all answered.
     *
     * @return false if too much waits already; then it is never run
     */
    boolean then(Runnable work) {
        synchronized (this) {
            if (pending || !next.isEmpty()) {
                return next.size() < MOST && next.add(work);
            }
        }
        work.run();
        return true;
    }

    private void goOn() {
        while (true) {
            Runnable work;
            synchronized (this) {
                work = pending ? null : next.peek();
            }
            if (work == null) {
                return;
            }
            work.run();
            synchronized (this) {
                next.poll(); // not before: what comes meanwhile is to wait behind it
            }
        }
    }

    /** It has been answered now: those that waited follow. */
    void answered(Serves service) throws Exception {
        while (true) {
            byte[] request;
            synchronized (this) {
                pending = false;
                request = waiting.poll();
            }
            if (request == null) {
                goOn();
                return;
            }
            service.process(new ByteArrayBuffer(request));
            synchronized (this) {
                if (pending) {
                    return;
                }
            }
        }
    }
}
