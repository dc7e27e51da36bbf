package holdfast.ssh.system;

import java.lang.foreign.MemorySegment;

/** Other processes, by their number. */
public final class Processes {

    /** The number of SIGWINCH. */
    public static final int WINCH = 28;

    private static final MemorySegment KILL = Native.symbol("kill");
    private static final MemorySegment GETUID = Native.symbol("getuid");

    private Processes() {}

    /** Sends a signal; that nobody is there is no fault. */
    public static void signal(int pid, int signal) {
        Native.call(KILL, pid, signal);
    }

    /** The user that this process runs as. */
    public static long user() {
        return Integer.toUnsignedLong((int) Native.raw(GETUID, 0, 0, 0));
    }
}
