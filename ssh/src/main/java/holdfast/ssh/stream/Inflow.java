package holdfast.ssh.stream;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.ArrayDeque;
import java.util.Arrays;
import org.apache.sshd.common.channel.LocalWindow;
import org.apache.sshd.common.util.threads.ThreadUtils;
import org.jspecify.annotations.Nullable;

/**
 * Carries what arrives on an SSH channel to a tap.
 *
 * <p>What the tap does not take at once waits in a queue that the channel's window bounds: window
 * is given back only for what the tap has taken.
 */
public final class Inflow {

    /** Told once that an inflow is over. */
    public interface Ended {

        /**
         * Called on a thread that must not block.
         *
         * @param why null when all was written and the tap's output finished; else why the tap
         *     takes no more (EPIPE: its reader is gone). What still arrives is then thrown away and
         *     its window given back
         */
        void ended(@Nullable IOException why);
    }

    /** Written in one go before others have their turn. */
    private static final int TURN_BYTES = 256 * 1024;

    private final Tap to;
    private final LocalWindow window;
    private final Ended ended;

    // guarded by this; no call of MINA's is made under the lock
    private @Nullable ArrayDeque<ByteBuffer> queue;
    private long waiting;

    /** Window for what is written or thrown away and has not been given back yet. */
    private long owed;

    private boolean finishing;
    private boolean over;

    private final Tap.Ready ready =
            new Tap.Ready() {
                @Override
                public void ready() {
                    move(null);
                }

                @Override
                public void failed(Throwable why) {
                    end(why instanceof IOException io ? io : new IOException(why));
                }
            };

    /** The tap's only writer; an {@link Outflow} may be its only reader. */
    public Inflow(Tap to, LocalWindow window, Ended ended) {
        this.to = to;
        this.window = window;
        this.ended = ended;
    }

    /** From the channel's {@code doWriteData}: written at once, or copied. Never waits. */
    public void data(byte[] bytes, int offset, int length) {
        if (length > 0) {
            move(ByteBuffer.wrap(bytes, offset, length));
        }
    }

    /** From the channel's {@code handleEof}: finishes the tap's output after what waits. */
    public void finish() {
        synchronized (this) {
            finishing = true;
        }
        move(null);
    }

    /** Throws away what waits and what will come; nobody is told. */
    public void stop() {
        synchronized (this) {
            over = true;
            clear();
        }
        release();
    }

    /** Bytes that wait for the tap. */
    public synchronized long waiting() {
        return waiting;
    }

    /** Writes what waits, then {@code more}, as far as the tap takes it. */
    private void move(@Nullable ByteBuffer more) {
        IOException broken = null;
        boolean finished = false;
        synchronized (this) {
            if (over) {
                owed += more == null ? 0 : more.remaining();
            } else {
                try {
                    writeWaiting();
                    if (more != null) {
                        if (waiting == 0) {
                            write(more, false);
                        }
                        keep(more);
                    }
                    if (waiting > 0) {
                        to.wantWrite(ready);
                    } else if (finishing) {
                        to.finishOutput();
                        over = true;
                        finished = true;
                    }
                } catch (IOException e) {
                    broken = e;
                    over = true;
                    owed += more == null ? 0 : more.remaining();
                    clear();
                }
            }
        }
        release();
        if (finished || broken != null) {
            ended.ended(broken);
        }
    }

    private void writeWaiting() throws IOException {
        ArrayDeque<ByteBuffer> now = queue;
        long turn = 0;
        while (now != null && !now.isEmpty() && turn < TURN_BYTES) {
            ByteBuffer first = now.peek();
            turn += write(first, true);
            if (first.hasRemaining()) {
                return;
            }
            now.remove();
        }
        if (waiting == 0) {
            queue = null;
        }
    }

    private int write(ByteBuffer from, boolean queued) throws IOException {
        int all = 0;
        while (from.hasRemaining()) {
            int count = to.write(from);
            if (count == 0) {
                break;
            }
            all += count;
            owed += count;
            waiting -= queued ? count : 0;
        }
        return all;
    }

    private void keep(ByteBuffer more) {
        if (!more.hasRemaining()) {
            return;
        }
        ArrayDeque<ByteBuffer> now = queue;
        if (now == null) {
            now = new ArrayDeque<>();
            queue = now;
        }
        int at = more.arrayOffset() + more.position();
        now.add(ByteBuffer.wrap(Arrays.copyOfRange(more.array(), at, at + more.remaining())));
        waiting += more.remaining();
    }

    private void clear() {
        owed += waiting;
        waiting = 0;
        queue = null;
    }

    private void end(IOException why) {
        synchronized (this) {
            if (over) {
                return;
            }
            over = true;
            clear();
        }
        release();
        ended.ended(why);
    }

    private void release() {
        long count;
        synchronized (this) {
            count = owed;
            owed = 0;
        }
        if (count == 0) {
            return;
        }
        try {
            // Internal: an adjustment during a re-key must not block this thread.
            ThreadUtils.runAsInternal(() -> {
                window.release(count);
                return null;
            });
        } catch (Exception e) {
            // The channel is closing or its connection broken: nobody wants the window any more.
        }
    }
}
