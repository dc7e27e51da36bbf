package holdfast.ssh.stream;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;
import org.apache.sshd.common.channel.Channel;
import org.apache.sshd.common.channel.ChannelAsyncOutputStream;
import org.apache.sshd.common.io.IoWriteFuture;
import org.apache.sshd.common.util.buffer.ByteArrayBuffer;
import org.apache.sshd.common.util.threads.ThreadUtils;
import org.jspecify.annotations.Nullable;

/**
 * Carries what a tap gives to an SSH channel, as data or as extended data.
 *
 * <p>One packet is under way at a time, and while it is, nothing is read: a peer that stops reading
 * stops the source, and costs one packet of memory. The channel must pass on window adjustments:
 * {@code handleWindowAdjust} calls super and then {@link ChannelAsyncOutputStream#onWindowExpanded}
 * on each stream.
 *
 * <p>Whoever moves the state to PUMPING owns the flow until it moves it on, so that no lock is held
 * while MINA is called.
 */
public final class Outflow {

    /** Told once that an outflow is over. */
    public interface Ended {

        /**
         * The last byte has been handed to the transport, so that whatever the channel sends next
         * (EOF, exit-status) comes after it. Called on a thread that must not block.
         *
         * @param why null at the tap's end; else what went wrong with the channel or the tap
         */
        void ended(@Nullable IOException why);
    }

    /** Read at once; OpenSSH takes packets of this size, and some take less. */
    private static final int LARGEST = 32 * 1024;

    /** Packets in one go when the transport takes them at once, before others have their turn. */
    private static final int ROUNDS = 8;

    private enum State {
        IDLE,
        /** The tap will tell. */
        WAITING,
        /** A thread reads and writes. */
        PUMPING,
        /** The transport will tell. */
        SENDING,
        OVER
    }

    /** Room for what one thread reads: MINA copies what it keeps. */
    private static final ThreadLocal<byte[]> ROOM =
            ThreadLocal.withInitial(() -> new byte[LARGEST]);

    private final Tap from;
    private final ChannelAsyncOutputStream to;
    private final Ended ended;
    private final AtomicReference<State> state = new AtomicReference<>(State.IDLE);
    private final AtomicLong carried = new AtomicLong();
    private volatile boolean draining;

    private final Tap.Ready ready =
            new Tap.Ready() {
                @Override
                public void ready() {
                    if (state.compareAndSet(State.WAITING, State.PUMPING)) {
                        pump();
                    }
                }

                @Override
                public void failed(Throwable why) {
                    over(why instanceof IOException io ? io : new IOException(why));
                }
            };

    /** Call {@link #start} when the channel may send: after the open confirmation. */
    public Outflow(Tap from, ChannelAsyncOutputStream to, Ended ended) {
        this.from = from;
        this.to = to;
        this.ended = ended;
    }

    /** Begins to read, as the tap's only reader. */
    public void start() {
        if (state.compareAndSet(State.IDLE, State.PUMPING)) {
            await();
        }
    }

    /**
     * Ends as soon as there is nothing to read now, instead of at the tap's end: for a child that
     * is gone while others still hold its terminal or pipe.
     */
    public void drain() {
        draining = true;
        if (state.compareAndSet(State.WAITING, State.PUMPING)) {
            pump();
        }
    }

    /** Ends at once, as at the tap's end: what is under way may still be sent. */
    public void end() {
        over(null);
    }

    /** Ends at once, and nobody is told: what is under way may still be sent. */
    public void stop() {
        state.set(State.OVER);
    }

    /** Bytes handed to the channel so far. */
    public long carried() {
        return carried.get();
    }

    /** As the owner of the flow: waits for the tap, or goes on if it is being drained. */
    private void await() {
        if (!state.compareAndSet(State.PUMPING, State.WAITING)) {
            return;
        }
        from.wantRead(ready);
        if (draining && state.compareAndSet(State.WAITING, State.PUMPING)) {
            pump();
        }
    }

    /** As the owner of the flow. */
    private void pump() {
        CarryingThread.go(this::rounds);
    }

    private void rounds() {
        Channel channel = to.getChannel();
        for (int round = 0; round < ROUNDS; round++) {
            if (state.get() == State.OVER) {
                return;
            }
            byte[] room = ROOM.get();
            int limit = (int) Math.min(room.length, channel.getRemoteWindow().getPacketSize());
            int count;
            try {
                count = from.read(ByteBuffer.wrap(room, 0, Math.max(1, limit)));
            } catch (IOException e) {
                over(e);
                return;
            }
            if (count < 0 || (count == 0 && draining)) {
                over(null);
                return;
            }
            if (count == 0) {
                await();
                return;
            }
            if (!send(room, count)) {
                return;
            }
        }
        await();
    }

    /** True if it is sent already and the flow still ours. */
    private boolean send(byte[] room, int count) {
        IoWriteFuture future;
        try {
            // Else a write during a re-key would block this thread, which serves everybody.
            future =
                    ThreadUtils.runAsInternal(
                            () -> to.writeBuffer(new ByteArrayBuffer(room, 0, count)));
        } catch (Exception e) {
            over(e instanceof IOException io ? io : new IOException(e));
            return false;
        }
        carried.addAndGet(count);
        if (future.isDone()) {
            return sent(future);
        }
        if (!state.compareAndSet(State.PUMPING, State.SENDING)) {
            return false;
        }
        future.addListener(done -> {
            if (sent(done) && state.compareAndSet(State.SENDING, State.PUMPING)) {
                // Not read here: the transport's threads have more to do, and a chain of
                // writes that are done at once would be a chain of calls.
                await();
            }
        });
        return false;
    }

    private boolean sent(IoWriteFuture done) {
        Throwable failure = done.getException();
        if (failure == null) {
            return true;
        }
        over(failure instanceof IOException io ? io : new IOException(failure));
        return false;
    }

    private void over(@Nullable IOException why) {
        if (state.getAndSet(State.OVER) != State.OVER) {
            ended.ended(why);
        }
    }
}
