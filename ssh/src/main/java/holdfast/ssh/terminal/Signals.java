package holdfast.ssh.terminal;

import sun.misc.Signal;
import sun.misc.SignalHandler;

/**
 * The signals of this process, as far as Java can take them.
 *
 * <p>{@code sun.misc.Signal} (module jdk.unsupported) is the only door: a handler written in C
 * cannot be had without native code of our own, and a handler in Java must not run in signal
 * context. The VM's own handler only notes the signal; ours runs on a thread made for it, so it may
 * block, and must expect company. Taken and tried on JDK 25: HUP INT TERM WINCH TSTP CONT TTIN TTOU
 * PIPE. QUIT belongs to the VM (thread dump), as do SEGV, FPE, ILL and USR1; KILL and STOP are
 * nobody's. Under {@code -Xrs} (ReduceSignalUsage) the VM gives up HUP, INT and TERM, and shutdown
 * hooks with them: never start Holdfast with it.
 *
 * <p>javac warns of this import and takes no annotation against it, so the pom compiles this one
 * file in a pass of its own; that is also why it is the only one that knows these classes.
 */
public final class Signals {

    private Signals() {}

    /**
     * Runs {@code action} at each arrival of the signal from now on, in place of what was done till
     * now. A signal that our parent told us to ignore (nohup) stays ignored.
     *
     * @param name without SIG: {@code WINCH}
     * @return false where the signal cannot be had or stays ignored
     */
    public static boolean on(String name, Runnable action) {
        try {
            Signal signal = new Signal(name);
            SignalHandler before = Signal.handle(signal, caught -> action.run());
            if (before.equals(SignalHandler.SIG_IGN)) {
                Signal.handle(signal, before);
                return false;
            }
            return true;
        } catch (IllegalArgumentException notOurs) {
            // unknown on this system, or used by the VM
            return false;
        }
    }

    /**
     * As {@link #on}, for a while.
     *
     * @return puts back what was done till now
     */
    public static Runnable during(String name, Runnable action) {
        try {
            Signal signal = new Signal(name);
            SignalHandler before = Signal.handle(signal, caught -> action.run());
            Runnable back = () -> Signal.handle(signal, before);
            if (before.equals(SignalHandler.SIG_IGN)) {
                back.run();
            }
            return back;
        } catch (IllegalArgumentException notOurs) {
            // as above
            return () -> {};
        }
    }

    /** Back to what the system does with the signal if nobody handles it. */
    public static void standard(String name) {
        try {
            Signal.handle(new Signal(name), SignalHandler.SIG_DFL);
        } catch (IllegalArgumentException notOurs) {
            // then it never was ours either
        }
    }
}
