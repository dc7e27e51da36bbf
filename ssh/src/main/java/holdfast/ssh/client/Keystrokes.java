package holdfast.ssh.client;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.SplittableRandom;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;

/**
 * ObscureKeystrokeTiming: what a person types leaves at even intervals, and for a second or more
 * after the last key something that looks the same leaves at the intervals that have nothing
 * (OpenSSH's clientloop.c, obfuscate_keystroke_timing). Then nobody on the way can tell from the
 * times what was typed, or how long a password is.
 *
 * <p>The first key after a pause goes at once. What is more than typing, a paste, goes at once too.
 * The typing thread gives, a thread of our own sends; it ends when nothing was typed for a while.
 */
final class Keystrokes {

    /** A key or the few bytes that one makes; OpenSSH takes up to a packet of 256 for typing. */
    private static final int MOST_TYPED = 200;

    /** How long something goes on leaving after the last key: 1,024 to 3,071 ms, as OpenSSH. */
    private static final int LEAST_CHAFF_MILLIS = 1024;

    private static final int MORE_CHAFF_MILLIS = 2048;

    /** Sends for us. */
    interface Line {
        /** Sends what was typed; may block while the peer's window is full. */
        void send(ByteBuffer typed) throws IOException, InterruptedException;

        /** Sends what looks the same and means nothing; nothing where the peer knows no such. */
        void chaff() throws IOException;
    }

    private final Line line;
    private final long intervalNanos;
    private final SplittableRandom random = new SplittableRandom();
    private final ReentrantLock lock = new ReentrantLock();
    private final Condition given = lock.newCondition();
    private final Condition taken = lock.newCondition();

    // All guarded by the lock. Waiting is bounded by MOST_TYPED.
    private byte[] waiting = new byte[0];
    private boolean sending;
    private boolean active;
    private long lastKey;
    private long chaffNanos;
    private @Nullable IOException broken;

    /**
     * @param interval between two keystrokes; zero: everything goes at once
     */
    Keystrokes(Duration interval, Line line) {
        this.intervalNanos = interval.toNanos();
        this.line = line;
    }

    /** For what is typed into a session. */
    static Keystrokes into(Duration interval, SessionChannel session, Transport transport) {
        return new Keystrokes(
                interval,
                new Line() {
                    @Override
                    public void send(ByteBuffer typed) throws IOException, InterruptedException {
                        session.send(typed);
                    }

                    @Override
                    public void chaff() throws IOException {
                        transport.chaff();
                    }
                });
    }

    /**
     * Takes what was typed.
     *
     * @throws IOException it cannot be sent any more
     */
    void typed(byte[] bytes) throws IOException, InterruptedException {
        lock.lock();
        try {
            IOException why = broken;
            if (why != null) {
                throw why;
            }
            if (intervalNanos > 0 && bytes.length + waiting.length <= MOST_TYPED) {
                lastKey = System.nanoTime();
                chaffNanos =
                        TimeUnit.MILLISECONDS.toNanos(
                                LEAST_CHAFF_MILLIS + random.nextInt(MORE_CHAFF_MILLIS));
                byte[] all = new byte[waiting.length + bytes.length];
                System.arraycopy(waiting, 0, all, 0, waiting.length);
                System.arraycopy(bytes, 0, all, waiting.length, bytes.length);
                waiting = all;
                given.signal();
                if (!active) {
                    active = true;
                    Thread.ofPlatform().daemon().name("keystrokes").start(this::run);
                }
                return;
            }
        } finally {
            lock.unlock();
        }
        flush();
        line.send(ByteBuffer.wrap(bytes));
    }

    /** Sends what still waits, so that what is sent next comes after it. */
    void flush() throws IOException, InterruptedException {
        byte[] rest;
        lock.lock();
        try {
            while (sending) {
                taken.await();
            }
            rest = waiting;
            waiting = new byte[0];
        } finally {
            lock.unlock();
        }
        if (rest.length > 0) {
            line.send(ByteBuffer.wrap(rest));
        }
    }

    private void run() {
        long next = System.nanoTime();
        try {
            while (true) {
                byte[] now = turn(next);
                if (now == null) {
                    return;
                }
                try {
                    if (now.length > 0) {
                        line.send(ByteBuffer.wrap(now));
                    } else {
                        line.chaff();
                    }
                } finally {
                    sent();
                }
                // Ten per cent more or less, anew each time.
                long tenth = intervalNanos / 10;
                long step = intervalNanos + random.nextLong(-tenth, tenth + 1);
                next = Math.max(next + step, System.nanoTime());
            }
        } catch (IOException e) {
            fail(e);
        } catch (InterruptedException e) {
            fail(new IOException("interrupted", e));
        }
    }

    /** Waits until {@code next}; what to send then, maybe nothing; null: it is over. */
    private byte @Nullable [] turn(long next) throws InterruptedException {
        lock.lock();
        try {
            for (long left = next - System.nanoTime(); left > 0; ) {
                left = given.awaitNanos(left);
                left = Math.min(left, next - System.nanoTime());
            }
            if (waiting.length == 0 && System.nanoTime() - lastKey > chaffNanos) {
                active = false;
                return null;
            }
            byte[] now = waiting;
            waiting = new byte[0];
            sending = true;
            return now;
        } finally {
            lock.unlock();
        }
    }

    private void sent() {
        lock.lock();
        try {
            sending = false;
            taken.signalAll();
        } finally {
            lock.unlock();
        }
    }

    private void fail(IOException why) {
        lock.lock();
        try {
            broken = why;
            active = false;
        } finally {
            lock.unlock();
        }
    }
}
