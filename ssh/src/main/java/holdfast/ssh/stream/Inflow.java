package holdfast.ssh.stream;

import java.io.IOException;
import org.apache.sshd.common.channel.LocalWindow;
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
         * @param why null when all was written and the tap's output finished; else why the tap takes
         *     no more (EPIPE: its reader is gone). What still arrives is then thrown away and its
         *     window given back. Called on a thread that must not block.
         */
        void ended(@Nullable IOException why);
    }

    /** The tap's only writer; an {@link Outflow} may be its only reader. */
    public Inflow(Tap to, LocalWindow window, Ended ended) {
        throw new UnsupportedOperationException();
    }

    /** From the channel's {@code doWriteData}: written at once, or copied. Never waits. */
    public void data(byte[] bytes, int offset, int length) throws IOException {
        throw new UnsupportedOperationException();
    }

    /** From the channel's {@code handleEof}: finishes the tap's output after what waits. */
    public void finish() {
        throw new UnsupportedOperationException();
    }

    /** Throws away what waits and what will come. */
    public void stop() {
        throw new UnsupportedOperationException();
    }

    /** Bytes that wait for the tap. */
    public long waiting() {
        throw new UnsupportedOperationException();
    }
}
