package holdfast.ssh.system;

import holdfast.ssh.terminal.Termios;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * A pseudo-terminal: our side of it, and the name of the other.
 *
 * <p>The child that is started with it ({@link Spawn#terminal}) has its other side; our side is
 * that child's tap, and closing the tap hangs the terminal up. Close this as well: that gives back
 * what no child took over, and the name's owner.
 */
public final class Pty implements AutoCloseable {

    private static final long TIOCSWINSZ = 0x5414;
    private static final long TIOCGPGRP = 0x540F;

    private static final MemorySegment OPENPT = Native.symbol("posix_openpt");
    private static final MemorySegment GRANTPT = Native.symbol("grantpt");
    private static final MemorySegment UNLOCKPT = Native.symbol("unlockpt");
    private static final MemorySegment PTSNAME = Native.symbol("ptsname_r");
    private static final MemorySegment CHOWN = Native.symbol("chown");
    private static final MemorySegment CHMOD = Native.symbol("chmod");
    private static final MemorySegment IOCTL = Native.symbol("ioctl");
    private static final MemorySegment KILL = Native.symbol("kill");

    /** The master side, closed with the tap. */
    private final DescriptorTap tap;

    private final String name;
    private final boolean owned;
    private boolean taken;
    private boolean closed;

    private Pty(DescriptorTap tap, String name, boolean owned) {
        this.tap = tap;
        this.name = name;
        this.owned = owned;
    }

    /** A new one; the other side belongs to this user (as root: user and group tty, mode 0620). */
    public static Pty open(Account owner) throws SystemException {
        int fd =
                Native.aboveInherited(
                        Native.must(
                                "open /dev/ptmx",
                                Native.call(
                                        OPENPT,
                                        Native.O_RDWR | Native.O_NOCTTY | Native.O_CLOEXEC)));
        DescriptorTap tap =
                new DescriptorTap(Native.must("fcntl", fd), DescriptorTap.Kind.TERMINAL);
        try (Arena arena = Arena.ofConfined()) {
            Native.must("grantpt", Native.call(GRANTPT, fd));
            Native.must("unlockpt", Native.call(UNLOCKPT, fd));
            MemorySegment name = arena.allocate(256);
            int error = (int) Native.raw(PTSNAME, fd, name.address(), 256);
            if (error != 0) {
                throw new SystemException("ptsname", error);
            }
            boolean root = Accounts.privileged();
            if (root) {
                // As OpenSSH: group tty may write (wall, mesg); where there is none, the user's
                // own group, and the mode allows the others nothing.
                int tty = Accounts.group("tty").orElse(-1);
                Native.must(
                        "chown",
                        Native.call(
                                CHOWN,
                                name.address(),
                                Integer.toUnsignedLong(owner.uid()),
                                Integer.toUnsignedLong(tty == -1 ? owner.gid() : tty)));
                Native.must("chmod", Native.call(CHMOD, name.address(), tty == -1 ? 0600 : 0620));
            }
            return new Pty(tap, Native.string(name.address(), 256), root);
        } catch (SystemException | RuntimeException e) {
            tap.close();
            throw e;
        }
    }

    /** As SSH_TTY has it: {@code /dev/pts/7}. */
    public String name() {
        return name;
    }

    /** Sets its size; programs in the foreground get SIGWINCH. Numbers out of range count as 0. */
    public void resize(int columns, int rows, int widthPixels, int heightPixels) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment size = arena.allocate(8, 8);
            size.set(ValueLayout.JAVA_SHORT, 0, cell(rows));
            size.set(ValueLayout.JAVA_SHORT, 2, cell(columns));
            size.set(ValueLayout.JAVA_SHORT, 4, cell(widthPixels));
            size.set(ValueLayout.JAVA_SHORT, 6, cell(heightPixels));
            with(fd -> Native.call(IOCTL, fd, TIOCSWINSZ, size.address()));
        }
    }

    private static short cell(int number) {
        return number < 0 || number > 0xFFFF ? 0 : (short) number;
    }

    /** Sets encoded terminal modes of RFC 4254 section 8; what is malformed ends the list. */
    public void modes(byte[] encoded) {
        with(fd -> {
            Termios now = Termios.of(fd);
            return now != null && now.with(encoded).set(fd) ? 0 : -1;
        });
    }

    /** Sends a signal to whatever is in its foreground; false if nothing is. */
    public boolean signalForeground(Signal signal) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment group = arena.allocate(8, 8);
            if (with(fd -> Native.call(IOCTL, fd, TIOCGPGRP, group.address())) != 0) {
                return false;
            }
            int pgid = group.get(ValueLayout.JAVA_INT, 0);
            return pgid > 1 && Native.call(KILL, -pgid, signal.number()) == 0;
        }
    }

    private interface Use {
        int with(int fd);
    }

    /** -1 when it is closed. */
    private int with(Use use) {
        int fd = tap.descriptor().enter();
        if (fd < 0) {
            return -1;
        }
        try {
            return use.with(fd);
        } finally {
            tap.descriptor().leave();
        }
    }

    /** Our side, for the child's start and its tap from then on. */
    DescriptorTap take() {
        synchronized (this) {
            if (taken || closed) {
                throw new IllegalStateException("the terminal has a child already, or is closed");
            }
            taken = true;
        }
        return tap;
    }

    /** The child did not start. */
    void giveBack() {
        synchronized (this) {
            taken = false;
        }
    }

    /** Root has the name again (owner root, mode 0666), as OpenSSH leaves it. */
    @Override
    public void close() {
        boolean hangUp;
        synchronized (this) {
            if (closed) {
                return;
            }
            closed = true;
            hangUp = !taken;
        }
        // While our side is open the name is ours; afterwards it may be another's.
        if (owned) {
            with(fd -> {
                try (Arena arena = Arena.ofConfined()) {
                    MemorySegment path = Native.string(arena, name);
                    Native.call(CHOWN, path.address(), 0, 0);
                    return Native.call(CHMOD, path.address(), 0666);
                }
            });
        }
        if (hangUp) {
            tap.close();
        }
    }
}
