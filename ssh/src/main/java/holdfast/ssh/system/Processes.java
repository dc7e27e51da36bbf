package holdfast.ssh.system;

import java.io.ByteArrayOutputStream;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;

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

    /**
     * A word as what it was on a command line: UTF-8, and for what stands for a byte that is none
     * (U+DC80 to U+DCFF alone) that byte.
     */
    public static byte[] bytes(String word) {
        if (word.chars().noneMatch(Processes::isByte)) {
            return word.getBytes(StandardCharsets.UTF_8);
        }
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        word.codePoints()
                .forEach(c -> {
                    if (isByte(c)) {
                        out.write(c);
                    } else {
                        out.writeBytes(Character.toString(c).getBytes(StandardCharsets.UTF_8));
                    }
                });
        return out.toByteArray();
    }

    private static boolean isByte(int c) {
        return c >= 0xdc80 && c <= 0xdcff;
    }

    /** The user that this process runs as. */
    public static long user() {
        return Integer.toUnsignedLong((int) Native.raw(GETUID, 0, 0, 0));
    }
}
