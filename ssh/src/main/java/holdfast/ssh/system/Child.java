package holdfast.ssh.system;

import holdfast.ssh.stream.Tap;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryIteratorException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * A running child, its ends of bytes, and the news of its end.
 *
 * <p>Its end is waited for through a descriptor of its own (pidfd) on the thread that watches the
 * taps, so that neither a child of java.lang.Process is ever taken, nor a number that the kernel
 * has given to another.
 */
public final class Child {

    private static final int P_PIDFD = 3;
    private static final int P_PID = 1;
    private static final int WEXITED = 4;
    private static final int WNOWAIT = 0x01000000;
    private static final int CLD_EXITED = 1;
    private static final int CLD_DUMPED = 3;

    private static final int HIGHEST_SIGNAL = 64;

    /** More is never said. */
    private static final int REPORT_BYTES = 4096;

    private static final MemorySegment WAITID = Native.symbol("waitid");
    private static final MemorySegment KILL = Native.symbol("kill");

    private final int pid;
    private final List<Tap> taps;
    private final @Nullable SystemException directoryRefused;

    /** What the program that runs the program says of its end; -1 where there is only one. */
    private final int report;

    private volatile int pidfd = -1;
    private volatile long ticket;

    // guarded by this
    private @Nullable Exit exit;
    private @Nullable List<Consumer<Exit>> waiting = new ArrayList<>(1);

    private Child(int pid, List<Tap> taps, @Nullable SystemException directoryRefused, int report) {
        this.pid = pid;
        this.taps = List.copyOf(taps);
        this.directoryRefused = directoryRefused;
        this.report = report;
    }

    static Child of(
            int pid, List<Tap> taps, @Nullable SystemException directoryRefused, int report) {
        Child child = new Child(pid, taps, directoryRefused, report);
        child.watch();
        return child;
    }

    private void watch() {
        int fd = Native.syscall(Native.SYS_PIDFD_OPEN, pid, 0, 0);
        try {
            Poller poller = Poller.poller();
            Native.must("pidfd_open", fd);
            pidfd = fd;
            ticket = poller.ticket(events -> ended());
            Native.must("epoll_ctl", poller.add(fd, Poller.IN, ticket));
        } catch (SystemException e) {
            // Out of descriptors: rather a thread for this one than a child nobody waits for.
            if (pidfd >= 0) {
                forget();
                pidfd = -1;
            }
            Thread.ofPlatform().daemon().name("reaper-" + pid).start(this::ended);
        }
    }

    public int pid() {
        return pid;
    }

    /**
     * Its standard input; the same tap as {@link #output} for a terminal or Stdio.SOCKETS. Whoever
     * has the child closes its taps.
     *
     * @throws IllegalStateException for Stdio.NOTHING
     */
    public Tap input() {
        return tap(0);
    }

    /** Its standard output, and its errors too if it has a terminal. */
    public Tap output() {
        return tap(taps.size() == 3 ? 1 : 0);
    }

    /** Its standard error where that is apart: not with a terminal. */
    public @Nullable Tap errors() {
        return taps.size() > 1 ? taps.getLast() : null;
    }

    private Tap tap(int which) {
        if (taps.isEmpty()) {
            throw new IllegalStateException("the child has no ends");
        }
        return taps.get(which);
    }

    /**
     * Told of the end on the thread that watches, which must not be blocked; at once on the calling
     * thread if the child has ended already. Output may still wait in its taps then.
     */
    public void onExit(Consumer<Exit> told) {
        Exit already;
        synchronized (this) {
            already = exit;
            if (already == null && waiting != null) {
                waiting.add(told);
                return;
            }
        }
        if (already != null) {
            told.accept(already);
        }
    }

    /** How it ended, null while it runs. */
    public synchronized @Nullable Exit exit() {
        return exit;
    }

    /** Why it did not start in the directory asked for, but in the other; null if it did. */
    public @Nullable SystemException directoryRefused() {
        return directoryRefused;
    }

    /**
     * Sends a signal to its process group, as OpenSSH does; nothing once it has ended, so that
     * another's group of the same number is never hit. What runs in the foreground of a terminal is
     * a group of its own: {@link Pty#signalForeground}, and closing the terminal tells all.
     */
    public synchronized void signal(Signal signal) {
        if (exit == null) {
            Native.call(KILL, -pid, signal.number());
        }
    }

    /**
     * The same to the program itself where another runs it, and to what else is in its group: that
     * one would not pass the signal on but end the program in its own way. Reads all of /proc then.
     */
    public void signalProgram(Signal signal) {
        if (report < 0) {
            signal(signal);
            return;
        }
        int told = 0;
        try (DirectoryStream<Path> processes =
                Files.newDirectoryStream(Path.of("/proc"), "[1-9]*")) {
            for (Path process : processes) {
                int other = Integer.parseInt(String.valueOf(process.getFileName()));
                if (other != pid && group(process) == pid && signalMember(process, other, signal)) {
                    told++;
                }
            }
        } catch (IOException | DirectoryIteratorException | NumberFormatException e) {
            // Those that were found have been told.
        }
        if (told == 0) {
            signal(signal); // the program has not begun
        }
    }

    /** Through a descriptor, looking again once it is held: a number may change its owner. */
    private boolean signalMember(Path process, int number, Signal signal) {
        synchronized (this) {
            // Until it is reaped, under this lock, its group's number is nobody else's.
            if (exit != null) {
                return true;
            }
            int fd = Native.syscall(Native.SYS_PIDFD_OPEN, number, 0, 0);
            if (fd < 0) {
                return false;
            }
            try {
                return group(process) == pid
                        && Native.syscall(Native.SYS_PIDFD_SEND_SIGNAL, fd, signal.number(), 0)
                                == 0;
            } finally {
                Native.close(fd);
            }
        }
    }

    /** A process's group, from its stat; -1 if it is gone. */
    private static int group(Path process) {
        try {
            String stat = Files.readString(process.resolve("stat"), StandardCharsets.ISO_8859_1);
            // PID (NAME) STATE PPID PGRP …, and a name may have any character in it.
            String[] fields = stat.substring(stat.lastIndexOf(')') + 2).split(" ", 4);
            return Integer.parseInt(fields[2]);
        } catch (IOException | RuntimeException e) {
            return -1;
        }
    }

    /** The same to it alone. */
    synchronized void signalOne(int number) {
        if (exit == null) {
            Native.call(KILL, pid, number);
        }
    }

    private void ended() {
        Exit how;
        List<Consumer<Exit>> told;
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment info = arena.allocate(128, 8);
            if (pidfd < 0) {
                // On a thread of its own: waits without reaping, so that signals may still go out.
                wait(P_PID, pid, info, WEXITED | WNOWAIT);
            }
            // A zombie keeps its number: until it is reaped, under this lock, signals are safe.
            synchronized (this) {
                if (exit != null) {
                    return;
                }
                int result =
                        pidfd < 0
                                ? wait(P_PID, pid, info, WEXITED)
                                : wait(P_PIDFD, pidfd, info, WEXITED);
                how = reported(result == 0 ? read(info) : new Exit(255, 0, false));
                exit = how;
                told = waiting == null ? List.of() : waiting;
                waiting = null;
            }
        }
        if (pidfd >= 0) {
            forget();
        }
        RuntimeException broken = null;
        for (Consumer<Exit> one : told) {
            try {
                one.accept(how);
            } catch (RuntimeException e) {
                broken = e;
            }
        }
        if (broken != null) {
            throw broken;
        }
    }

    private void forget() {
        try {
            Poller.poller().forget(ticket);
        } catch (SystemException e) {
            throw new IllegalStateException(e);
        }
        Native.close(pidfd);
    }

    private static int wait(int type, int id, MemorySegment info, int options) {
        int result;
        do {
            result = Native.call(WAITID, type, id, info.address(), options);
        } while (result == -Native.EINTR);
        return result;
    }

    /**
     * What became of the program where another ran it: util-linux makes 128 + n of a signal n, as a
     * shell does, and only in that case says so ("Killed", "Segmentation fault (core dumped)"). Its
     * other words are "runuser: …", and a shell's on the way there have a colon, too.
     */
    private Exit reported(Exit how) {
        if (report < 0) {
            return how;
        }
        byte[] words = new byte[REPORT_BYTES];
        int length = Native.read(report, words);
        Native.close(report);
        if (length <= 0 || how.status() <= 128 || how.status() > 128 + HIGHEST_SIGNAL) {
            return how;
        }
        String said = new String(words, 0, length, StandardCharsets.ISO_8859_1).strip();
        String last = said.substring(said.lastIndexOf('\n') + 1);
        return last.isEmpty() || last.indexOf(':') >= 0
                ? how
                : new Exit(-1, how.status() - 128, last.endsWith(")"));
    }

    /** From siginfo_t: si_code and si_status. */
    private static Exit read(MemorySegment info) {
        int code = info.get(ValueLayout.JAVA_INT, 8);
        int status = info.get(ValueLayout.JAVA_INT, 24);
        return code == CLD_EXITED
                ? new Exit(status & 0xFF, 0, false)
                : new Exit(-1, status, code == CLD_DUMPED);
    }
}
