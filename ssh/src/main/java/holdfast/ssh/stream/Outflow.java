package holdfast.ssh.stream;

import java.io.IOException;
import org.apache.sshd.common.channel.ChannelAsyncOutputStream;
import org.jspecify.annotations.Nullable;

/**
 * Carries what a tap gives to an SSH channel, as data or as extended data.
 *
 * <p>One packet is under way at a time, and while it is, nothing is read: a peer that stops reading
 * stops the source, and costs one packet of memory. The channel must pass on window adjustments:
 * {@code handleWindowAdjust} calls super and then {@link ChannelAsyncOutputStream#onWindowExpanded}
 * on each stream.
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

    /** Call {@link #start} when the channel may send: after the open confirmation. */
    public Outflow(Tap from, ChannelAsyncOutputStream to, Ended ended) {
        throw new UnsupportedOperationException();
    }

    /** Begins to read, as the tap's only reader. */
    public void start() {
        throw new UnsupportedOperationException();
    }

    /**
     * Ends as soon as there is nothing to read now, instead of at the tap's end: for a child that
     * is gone while others still hold its terminal or pipe.
     */
    public void drain() {
        throw new UnsupportedOperationException();
    }

    /** Ends at once: what is under way may still be sent, nothing more is read. */
    public void stop() {
        throw new UnsupportedOperationException();
    }

    /** Bytes handed to the channel so far. */
    public long carried() {
        throw new UnsupportedOperationException();
    }
}
