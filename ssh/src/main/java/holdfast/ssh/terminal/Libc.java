package holdfast.ssh.terminal;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;

/**
 * The few functions of the C library that a terminal needs, all through one handle.
 *
 * <p>Each further shape of call costs the linker some ten milliseconds at start-up, so all of them
 * are called in one shape: three machine words in, an int out. The two calling conventions of Linux
 * that we serve (System V x86-64, AAPCS64) pass the first three integers and pointers in registers
 * whatever their declared width, variadic or not, and a callee looks only at what it declared.
 */
final class Libc {

    /** Numbers of asm-generic/ioctls.h, which both architectures use. */
    static final long TCGETS = 0x5401;

    static final long TCSETS = 0x5402;

    /** Set when all output is sent: TCSADRAIN. */
    static final long TCSETSW = 0x5403;

    /** The same, and typed-ahead input is thrown away: TCSAFLUSH. */
    static final long TCSETSF = 0x5404;

    static final long TIOCGPGRP = 0x540F;
    static final long TIOCGWINSZ = 0x5413;

    static final long O_RDWR_CLOEXEC = 2 | 0x80000;

    /** Numbers of Linux's fcntl. */
    private static final int F_SETPIPE_SZ = 1031;

    private static final int F_GETPIPE_SZ = 1032;

    private static final int SIG_BLOCK = 0;
    private static final int SIG_SETMASK = 2;
    static final int SIGTSTP = 20;
    private static final int SIGTTOU = 22;

    /** sigset_t of glibc and musl: 1024 bits. */
    private static final int SIGSET_BYTES = 128;

    /** Room for struct sigaction, which begins with the handler. */
    private static final int SIGACTION_BYTES = 2 * SIGSET_BYTES;

    private static final long SIG_IGN = 1;

    /** struct pollfd: an int, two shorts. */
    private static final int POLLFD_BYTES = 8;

    private static final short POLLIN = 1;
    private static final int FOREVER = -1;

    /** How often signals may come before somebody just reads. */
    private static final int INTERRUPTED = 1000;

    private static final MethodHandle CALL;
    private static final MemorySegment IOCTL;
    private static final MemorySegment OPEN;
    private static final MemorySegment CLOSE;
    private static final MemorySegment READ;
    private static final MemorySegment POLL;
    private static final MemorySegment WRITE;
    private static final MemorySegment FCNTL;
    private static final MemorySegment RAISE;
    private static final MemorySegment KILL;
    private static final MemorySegment GETPGRP;
    private static final MemorySegment SIGACTION;
    private static final MemorySegment SIGMASK;
    private static final MemorySegment EXIT;

    static {
        Linker linker = Linker.nativeLinker();
        CALL = link(linker);
        SymbolLookup libc = linker.defaultLookup();
        IOCTL = libc.findOrThrow("ioctl");
        OPEN = libc.findOrThrow("open");
        CLOSE = libc.findOrThrow("close");
        READ = libc.findOrThrow("read");
        POLL = libc.findOrThrow("poll");
        WRITE = libc.findOrThrow("write");
        FCNTL = libc.findOrThrow("fcntl");
        RAISE = libc.findOrThrow("raise");
        KILL = libc.findOrThrow("kill");
        GETPGRP = libc.findOrThrow("getpgrp");
        SIGACTION = libc.findOrThrow("sigaction");
        SIGMASK = libc.findOrThrow("pthread_sigmask");
        EXIT = libc.findOrThrow("_exit");
    }

    private Libc() {}

    // Restricted because a wrong signature can crash the VM; the manifest of the program grants it.
    @SuppressWarnings("restricted")
    private static MethodHandle link(Linker linker) {
        return linker.downcallHandle(
                FunctionDescriptor.of(
                        ValueLayout.JAVA_INT,
                        ValueLayout.JAVA_LONG,
                        ValueLayout.JAVA_LONG,
                        ValueLayout.JAVA_LONG),
                // ioctl and open are variadic from here on; to the others it makes no difference
                Linker.Option.firstVariadicArg(2));
    }

    /** Does not return. */
    static void exit(int status) {
        call(EXIT, status, 0, 0);
    }

    static int ioctl(int fd, long request, MemorySegment argument) {
        return call(IOCTL, fd, request, argument.address());
    }

    /** Opens for reading and writing; the descriptor, or -1. */
    static int open(MemorySegment path) {
        return call(OPEN, path.address(), O_RDWR_CLOEXEC, 0);
    }

    static int close(int fd) {
        return call(CLOSE, fd, 0, 0);
    }

    static int read(int fd, MemorySegment into) {
        return call(READ, fd, into.address(), into.byteSize());
    }

    /** Waits until a read would have something to say, be it the end or an error. */
    static void awaitInput(int fd) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment one = arena.allocate(POLLFD_BYTES, Integer.BYTES);
            one.set(ValueLayout.JAVA_INT, 0, fd);
            one.set(ValueLayout.JAVA_SHORT, Integer.BYTES, POLLIN);
            int tries = 0;
            // -1: a signal came between; that it never is anything else nobody promises.
            while (call(POLL, one.address(), 1, FOREVER) <= 0 && ++tries < INTERRUPTED) {
                Thread.onSpinWait();
            }
        }
    }

    static int write(int fd, MemorySegment from) {
        return call(WRITE, fd, from.address(), from.byteSize());
    }

    /**
     * Makes a pipe hold so many bytes, unless it holds more or may not; nothing else is touched.
     */
    static void widenPipe(int fd, int capacity) {
        int now = pipeCapacity(fd);
        if (now > 0 && now < capacity) {
            call(FCNTL, fd, F_SETPIPE_SZ, capacity);
        }
    }

    /** How many bytes a pipe holds; -1 for what is none. */
    static int pipeCapacity(int fd) {
        return call(FCNTL, fd, F_GETPIPE_SZ, 0);
    }

    /**
     * Sends the signal to the calling thread. For a stop this is better than kill(getpid()), which
     * may pick another thread and let the caller run on for a moment before the process stands.
     */
    static int raise(int signal) {
        return call(RAISE, signal, 0, 0);
    }

    static int kill(long process, int signal) {
        return call(KILL, process, signal, 0);
    }

    /**
     * True if the terminal is that of our session and obeys another process group now. One that is
     * not our session's tells no group (ENOTTY), and stops nobody.
     */
    static boolean background(int fd) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment group = arena.allocate(ValueLayout.JAVA_INT);
            if (ioctl(fd, TIOCGPGRP, group) != 0) {
                return false;
            }
            int obeyed = group.get(ValueLayout.JAVA_INT, 0);
            return obeyed != 0 && obeyed != call(GETPGRP, 0, 0, 0);
        }
    }

    /** Whether SIGTTOU would do nothing, as where a parent has it ignored. */
    static boolean ignoresTtou() {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment action = arena.allocate(SIGACTION_BYTES, Long.BYTES);
            return call(SIGACTION, SIGTTOU, 0, action.address()) == 0
                    && action.get(ValueLayout.JAVA_LONG, 0) == SIG_IGN;
        }
    }

    /** Stops our process group, as the kernel does with one that sets modes from the background. */
    static void stopForTerminal() {
        call(KILL, 0, SIGTTOU, 0);
    }

    /**
     * Runs {@code change} with SIGTTOU held off from this thread, so that the kernel neither stops
     * the process nor refuses (EIO, when orphaned) a change of the terminal from the background.
     */
    static void despiteTtou(Runnable change) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment ttou = arena.allocate(SIGSET_BYTES, Long.BYTES);
            MemorySegment before = arena.allocate(SIGSET_BYTES, Long.BYTES);
            ttou.set(ValueLayout.JAVA_LONG, 0, 1L << (SIGTTOU - 1));
            call(SIGMASK, SIG_BLOCK, ttou.address(), before.address());
            try {
                change.run();
            } finally {
                call(SIGMASK, SIG_SETMASK, before.address(), 0);
            }
        }
    }

    private static int call(MemorySegment function, long first, long second, long third) {
        try {
            return (int) CALL.invokeExact(function, first, second, third);
        } catch (RuntimeException | Error e) {
            throw e;
        } catch (Throwable t) {
            throw new IllegalStateException(t);
        }
    }
}
