package holdfast.ssh.terminal;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import org.jspecify.annotations.Nullable;

/**
 * The terminal this process was started on, by its standard input: raw mode and back, size, modes,
 * stop and go.
 *
 * <p>After OpenSSH's sshtty.c and ttymodes.c. There is one for the process, because there is one
 * standard input. Once raw, the modes are given back on every way out of the VM but {@link
 * Runtime#halt} and SIGKILL; whoever halts calls {@link #restore} first. A VM that crashes can be
 * followed up by its launcher: {@code -XX:OnError="stty sane </dev/tty"}.
 *
 * <p>Threads: every method may be called from any, {@link #restore} also from shutdown hooks and
 * signal handlers. Nothing here calls foreign functions, or loads what can, unless a terminal may
 * really be there.
 */
public final class Terminal {

    /** The name of a thread that computes and never waits in the kernel. */
    public static final String COMPUTES = "prepare";

    /** How often, and for how many milliseconds, the end of other threads is waited for. */
    private static final int LOOKS = 3;

    private static final int STDIN = 0;
    private static final Terminal OF_PROCESS = new Terminal();

    /**
     * The size of the window.
     *
     * @param width in pixels, 0 where the terminal does not say
     * @param height in pixels, 0 where the terminal does not say
     */
    public record Size(int columns, int rows, int width, int height) {
        /** What is told of a terminal that is not there. */
        public static final Size UNKNOWN = new Size(0, 0, 0, 0);
    }

    private volatile @Nullable Borrowed raw;
    private final List<Runnable> resized = new CopyOnWriteArrayList<>();
    private volatile boolean watching;

    private Terminal() {}

    public static Terminal ofProcess() {
        return OF_PROCESS;
    }

    /**
     * True where the layouts and numbers of this package hold. Asked here and not in Libc, whose
     * mere loading links the foreign functions.
     */
    static boolean known() {
        if (!System.getProperty("os.name", "").equals("Linux")) {
            return false;
        }
        String arch = System.getProperty("os.arch", "");
        return arch.equals("amd64") || arch.equals("aarch64");
    }

    /**
     * True if the descriptor of this process is a terminal.
     *
     * <p>The name of what is open answers nearly always: pipes, sockets, files and /dev/null are
     * none, /dev/pts/N is one. Only what is left is asked by a foreign function, which costs some
     * fifty milliseconds the first time.
     */
    public static boolean isTerminal(int fd) {
        if (!known()) {
            return false;
        }
        String name;
        try {
            name =
                    Files.readSymbolicLink(Path.of("/proc/self/fd", Integer.toString(fd)))
                            .toString();
        } catch (IOException closedOrNoProc) {
            return false;
        }
        return switch (Kind.of(name)) {
            case TERMINAL -> true;
            case OTHER -> false;
            case UNCLEAR -> Termios.of(fd) != null;
        };
    }

    /** What the name of an open file says. */
    enum Kind {
        TERMINAL,
        OTHER,
        UNCLEAR;

        static Kind of(String name) {
            if (name.startsWith("/dev/pts/")) {
                return digits(name, "/dev/pts/".length()) ? TERMINAL : UNCLEAR;
            }
            // In a container the pty of the host can show under the root of its own mount: "/3".
            if (digits(name, 1)) {
                return UNCLEAR;
            }
            if (!name.startsWith("/dev/")) {
                return OTHER;
            }
            return switch (name) {
                case "/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom" -> OTHER;
                default -> name.startsWith("/dev/shm/") ? OTHER : UNCLEAR;
            };
        }

        private static boolean digits(String name, int from) {
            for (int i = from; i < name.length(); i++) {
                if (name.charAt(i) < '0' || name.charAt(i) > '9') {
                    return false;
                }
            }
            return name.length() > from;
        }
    }

    /**
     * Puts the terminal into the raw mode of a session. Does nothing where it is in it already.
     *
     * @return false where standard input is no terminal or does not take the mode; OpenSSH then
     *     says {@code tcgetattr: Inappropriate ioctl for device} unless a terminal was forced, and
     *     goes on
     */
    public synchronized boolean enterRaw() {
        if (raw != null) {
            return true;
        }
        if (!isTerminal(STDIN)) {
            return false;
        }
        Termios now = Termios.of(STDIN);
        if (now == null) {
            return false;
        }
        raw = Borrowed.take(STDIN, now, now.raw(), Libc.TCSETSW, Borrowed.Watcher.NOBODY);
        return raw != null;
    }

    /**
     * Does what takes {@link #enterRaw} tens of milliseconds the first time in a process, and
     * changes nothing: for who must be quick then, with a far program's first words on their way.
     */
    public void prepareRaw() {
        if (isTerminal(STDIN)) {
            Termios now = Termios.of(STDIN);
            if (now != null) {
                Borrowed.prepare(STDIN, now.raw());
            }
        }
    }

    /** Undoes {@link #enterRaw}. Does nothing where there is nothing to undo. */
    public void restore() {
        Borrowed loan = raw;
        if (loan != null) {
            loan.giveBack();
            raw = null;
        }
    }

    /**
     * Gives back what is owed to any terminal, and ends the process at once if another thread waits
     * in the kernel, as one that reads what is typed always does: the VM's own end would wait for
     * it for 0.3 s. Else it returns, since the VM ends quicker than a first foreign call takes. No
     * hook is to be left to run.
     */
    public static void leave(int status) {
        Borrowed.end();
        if (known() && someoneWaits()) {
            Libc.exit(status);
        }
    }

    /**
     * Whether another thread of ours waits in the kernel, which the VM cannot tell from running.
     */
    private static boolean someoneWaits() {
        try {
            for (int look = 0; look < LOOKS; look++) {
                if (!someoneRuns()) {
                    return false;
                }
                Thread.sleep(1); // he who is about to end has ended, then
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
        return someoneRuns();
    }

    private static boolean someoneRuns() {
        Thread here = Thread.currentThread();
        Thread[] all = new Thread[64];
        int count = Thread.enumerate(all);
        for (int i = 0; i < count; i++) {
            if (!all[i].equals(here)
                    && all[i].getState() == Thread.State.RUNNABLE
                    && !all[i].getName().equals(COMPUTES)) {
                return true;
            }
        }
        return false;
    }

    public boolean raw() {
        return raw != null;
    }

    /** The size now; {@link Size#UNKNOWN} where standard input is no terminal. */
    public Size size() {
        return sizeOf(STDIN);
    }

    /** The size of any terminal of this process; {@link Size#UNKNOWN} of what is none. */
    public static Size sizeOf(int fd) {
        if (!isTerminal(fd)) {
            return Size.UNKNOWN;
        }
        try (Arena arena = Arena.ofConfined()) {
            // struct winsize: four unsigned shorts, rows before columns
            MemorySegment c = arena.allocate(8, Long.BYTES);
            if (Libc.ioctl(fd, Libc.TIOCGWINSZ, c) != 0) {
                return Size.UNKNOWN;
            }
            return new Size(word(c, 2), word(c, 0), word(c, 4), word(c, 6));
        }
    }

    private static int word(MemorySegment c, long at) {
        return Short.toUnsignedInt(c.get(ValueLayout.JAVA_SHORT, at));
    }

    /**
     * The modes for pty-req, encoded as in RFC 4254 section 8: those from before raw mode; only the
     * end mark where standard input is no terminal, as OpenSSH.
     */
    public byte[] modes() {
        Borrowed loan = raw;
        if (loan != null) {
            return loan.original.modes();
        }
        return modesOf(STDIN);
    }

    /** The modes of any terminal of this process as they are now, encoded in the same way. */
    public static byte[] modesOf(int fd) {
        Termios now = isTerminal(fd) ? Termios.of(fd) : null;
        return now == null ? Termios.noModes() : now.modes();
    }

    /**
     * Calls {@code action} whenever the size may have changed: at SIGWINCH, and when the process
     * goes on after a stop. It is called on a thread of the VM's and should only post the news.
     *
     * @return has it called no more
     */
    public Runnable onResize(Runnable action) {
        resized.add(action);
        synchronized (this) {
            if (!watching) {
                watching = true;
                Signals.on("WINCH", this::tellOfSize);
                Borrowed.onResume(this::tellOfSize);
            }
        }
        return () -> resized.remove(action);
    }

    private void tellOfSize() {
        resized.forEach(Runnable::run);
    }

    /**
     * What {@code ~^Z} does: gives the terminal back, stops the process, and takes the terminal
     * again when somebody continues it. Returns after that.
     */
    public void suspend() {
        if (known()) {
            Borrowed.suspend();
        }
    }

    /**
     * What {@code ~&} does: gives the terminal back for good and lets the shell have it, while the
     * process goes on as a job in the background. A VM cannot fork, so it is stopped, which the
     * shell notices, and continued a moment later by a helper: {@code ~^Z} and {@code bg} in one.
     * Where no shell minds jobs nothing stops.
     *
     * @throws IOException there is no helper, so that nothing was stopped
     */
    public void background() throws IOException {
        restore();
        long self = ProcessHandle.current().pid();
        String wait =
                "i=0; while [ $i -lt 100 ]; do"
                        + " if grep -q '^State:.T' /proc/"
                        + self
                        + "/status; then sleep 0.1; kill -CONT "
                        + self
                        + "; exit; fi; i=$((i+1)); sleep 0.05; done";
        new ProcessBuilder("/bin/sh", "-c", wait)
                .redirectInput(Path.of("/dev/null").toFile())
                .redirectOutput(ProcessBuilder.Redirect.DISCARD)
                .redirectError(ProcessBuilder.Redirect.DISCARD)
                .start();
        suspend();
    }

    /**
     * Opens the terminal of the person in front of us, wherever standard input comes from.
     *
     * @return null where the process has none
     */
    static @Nullable Tty openTty() {
        return Tty.open();
    }
}
