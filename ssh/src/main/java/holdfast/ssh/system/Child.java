package holdfast.ssh.system;

import holdfast.ssh.stream.Tap;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/** A running child, its ends of bytes, and the news of its end. */
public final class Child {

    Child() {}

    public int pid() {
        throw new UnsupportedOperationException();
    }

    /**
     * Its standard input; the same tap as {@link #output} for a terminal or Stdio.SOCKETS. Whoever
     * has the child closes its taps.
     *
     * @throws IllegalStateException for Stdio.NOTHING
     */
    public Tap input() {
        throw new UnsupportedOperationException();
    }

    /** Its standard output, and its errors too if it has a terminal. */
    public Tap output() {
        throw new UnsupportedOperationException();
    }

    /** Its standard error where that is apart: not with a terminal. */
    public @Nullable Tap errors() {
        throw new UnsupportedOperationException();
    }

    /**
     * Told of the end on the reaper's thread, which must not be blocked; at once on the calling
     * thread if the child has ended already. Output may still wait in its taps then.
     */
    public void onExit(Consumer<Exit> told) {
        throw new UnsupportedOperationException();
    }

    /** How it ended, null while it runs. */
    public @Nullable Exit exit() {
        throw new UnsupportedOperationException();
    }

    /** Why it did not start in the directory asked for, but in the other; null if it did. */
    public @Nullable SystemException directoryRefused() {
        throw new UnsupportedOperationException();
    }

    /**
     * Sends a signal to its process group, and to the terminal's foreground group where it has one.
     * A child that has ended is never confused with another process of the same number.
     */
    public void signal(Signal signal) {
        throw new UnsupportedOperationException();
    }
}
