package holdfast.ssh.system;

import holdfast.ssh.octets.Octets;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;

/**
 * Calls into the C library, all in one shape: six machine words in, one out, errno kept.
 *
 * <p>The two calling conventions of Linux that we serve pass the first six integers and pointers in
 * registers, variadic or not, and a callee looks only at what it declared. {@code terminal.Libc} is
 * the client's smaller sister: its start-up must not pay for this one.
 */
final class Native {

    // errno.h of asm-generic, which both architectures use
    static final int EPERM = 1;
    static final int ENOENT = 2;
    static final int ESRCH = 3;
    static final int EINTR = 4;
    static final int EIO = 5;
    static final int EBADF = 9;
    static final int EAGAIN = 11;
    static final int ENOMEM = 12;
    static final int EEXIST = 17;
    static final int EINVAL = 22;
    static final int EPIPE = 32;
    static final int ERANGE = 34;
    static final int ENAMETOOLONG = 36;
    static final int ENOSYS = 38;
    static final int EAFNOSUPPORT = 97;
    static final int ECONNABORTED = 103;
    static final int ECONNRESET = 104;
    static final int ECONNREFUSED = 111;

    static final int O_RDWR = 2;
    static final int O_NOCTTY = 0x100;
    static final int O_NONBLOCK = 0x800;
    static final int O_CLOEXEC = 0x80000;

    static final int AF_UNIX = 1;
    static final int AF_INET = 2;
    static final int AF_INET6 = 10;
    static final int SOCK_STREAM = 1;
    static final int SOCK_STREAM_CLOEXEC = SOCK_STREAM | O_CLOEXEC;
    static final int SOL_SOCKET = 1;
    static final int MSG_DONTWAIT = 0x40;
    static final int MSG_NOSIGNAL = 0x4000;

    /** Enough for a whole SSH packet, so that one call moves what one packet carries. */
    static final int SCRATCH_BYTES = 64 * 1024;

    private static final boolean X86 = System.getProperty("os.arch", "").equals("amd64");

    /** Numbers of system calls that glibc has no function for, or one that does too much. */
    static final long SYS_PIDFD_OPEN = 434;

    static final long SYS_PIDFD_SEND_SIGNAL = 424;

    static final long SYS_SETGROUPS = X86 ? 116 : 159;
    static final long SYS_SETRESUID = X86 ? 117 : 147;
    static final long SYS_SETRESGID = X86 ? 119 : 149;

    /** struct epoll_event: packed on x86-64, and there only. */
    static final int EPOLL_EVENT_BYTES = X86 ? 12 : 16;

    static final int EPOLL_DATA_AT = X86 ? 4 : 8;

    private static final Linker LINKER = Linker.nativeLinker();
    private static final SymbolLookup LIBC = LINKER.defaultLookup();
    private static final MethodHandle CALL = link();

    private static final MemorySegment CLOSE = symbol("close");
    private static final MemorySegment READ = symbol("read");
    private static final MemorySegment FCNTL = symbol("fcntl");
    private static final MemorySegment WORDS = symbol("strerrordesc_np");
    private static final MemorySegment SYSCALL = symbol("syscall");

    static final int F_GETFL = 3;
    static final int F_SETFL = 4;
    private static final int F_DUPFD_CLOEXEC = 1030;
    static final int F_GETPIPE_SZ = 1032;

    /** What each thread that calls has: where errno is kept, and room for bytes. */
    private static final class Own {
        final MemorySegment state = Arena.ofAuto().allocate(Linker.Option.captureStateLayout());
        @org.jspecify.annotations.Nullable MemorySegment scratch;
    }

    private static final ThreadLocal<Own> OWN = ThreadLocal.withInitial(Own::new);

    private Native() {}

    // Restricted because a wrong signature can crash the VM; the manifest of the program grants it.
    @SuppressWarnings("restricted")
    private static MethodHandle link() {
        return LINKER.downcallHandle(
                FunctionDescriptor.of(
                        ValueLayout.JAVA_LONG,
                        ValueLayout.JAVA_LONG,
                        ValueLayout.JAVA_LONG,
                        ValueLayout.JAVA_LONG,
                        ValueLayout.JAVA_LONG,
                        ValueLayout.JAVA_LONG,
                        ValueLayout.JAVA_LONG),
                Linker.Option.firstVariadicArg(2),
                Linker.Option.captureCallState("errno"));
    }

    /** Linked when it is first called: hardly anything has as many arguments. */
    private static final class Names {
        static final MethodHandle OF = names();

        @SuppressWarnings("restricted")
        private static MethodHandle names() {
            return LINKER.downcallHandle(
                    symbol("getnameinfo"),
                    FunctionDescriptor.of(
                            ValueLayout.JAVA_INT,
                            ValueLayout.ADDRESS,
                            ValueLayout.JAVA_INT,
                            ValueLayout.ADDRESS,
                            ValueLayout.JAVA_INT,
                            ValueLayout.ADDRESS,
                            ValueLayout.JAVA_INT,
                            ValueLayout.JAVA_INT));
        }
    }

    /** getnameinfo(3) without a service; its status. */
    static int nameInfo(MemorySegment address, int addressBytes, MemorySegment name, int flags) {
        try {
            return (int)
                    Names.OF.invokeExact(
                            address,
                            addressBytes,
                            name,
                            (int) name.byteSize(),
                            MemorySegment.NULL,
                            0,
                            flags);
        } catch (RuntimeException | Error t) {
            throw t;
        } catch (Throwable t) {
            throw new IllegalStateException(t);
        }
    }

    static MemorySegment symbol(String name) {
        return LIBC.findOrThrow(name);
    }

    /** The result as it is, for functions that do not use errno. */
    static long raw(MemorySegment function, long a, long b, long c, long d, long e, long f) {
        try {
            return (long) CALL.invokeExact(function, OWN.get().state, a, b, c, d, e, f);
        } catch (RuntimeException | Error t) {
            throw t;
        } catch (Throwable t) {
            throw new IllegalStateException(t);
        }
    }

    static long raw(MemorySegment function, long a, long b, long c) {
        return raw(function, a, b, c, 0, 0, 0);
    }

    static MemorySegment pointer(long address, long bytes) {
        return at(address, bytes);
    }

    // Restricted for its size, which every caller takes from what the C library promises.
    @SuppressWarnings("restricted")
    private static MemorySegment at(long address, long bytes) {
        return MemorySegment.ofAddress(address).reinterpret(bytes);
    }

    /** For functions that return an int, -1 for an error: what they return, or minus errno. */
    static int call(MemorySegment function, long a, long b, long c, long d, long e, long f) {
        int result = (int) raw(function, a, b, c, d, e, f);
        return result == -1 ? -errno() : result;
    }

    static int call(MemorySegment function, long a, long b, long c, long d) {
        return call(function, a, b, c, d, 0, 0);
    }

    static int call(MemorySegment function, long a, long b, long c) {
        return call(function, a, b, c, 0, 0, 0);
    }

    static int call(MemorySegment function, long a, long b) {
        return call(function, a, b, 0, 0, 0, 0);
    }

    static int call(MemorySegment function, long a) {
        return call(function, a, 0, 0, 0, 0, 0);
    }

    /** A system call by its number: this thread's alone where glibc would change them all. */
    static int syscall(long number, long a, long b, long c) {
        return call(SYSCALL, number, a, b, c, 0, 0);
    }

    /** Of this thread's last call. */
    static int errno() {
        return OWN.get().state.get(ValueLayout.JAVA_INT, 0);
    }

    /** The same, or the exception. */
    static int must(String what, int result) throws SystemException {
        if (result < 0) {
            throw new SystemException(what, -result);
        }
        return result;
    }

    /** This thread's room for bytes on their way. */
    static MemorySegment scratch() {
        Own own = OWN.get();
        MemorySegment scratch = own.scratch;
        if (scratch == null) {
            scratch = Arena.ofAuto().allocate(SCRATCH_BYTES);
            own.scratch = scratch;
        }
        return scratch;
    }

    static int close(int fd) {
        return call(CLOSE, fd);
    }

    /** Reads what is there into {@code bytes}, at most {@link #SCRATCH_BYTES}; minus errno. */
    static int read(int fd, byte[] bytes) {
        MemorySegment scratch = scratch();
        int length = call(READ, fd, scratch.address(), bytes.length);
        if (length > 0) {
            MemorySegment.copy(scratch, ValueLayout.JAVA_BYTE, 0, bytes, 0, length);
        }
        return length;
    }

    static int fcntl(int fd, int command, long argument) {
        return call(FCNTL, fd, command, argument);
    }

    /**
     * The descriptor itself, or a copy above those that a child may be given: if the VM was started
     * without the standard three, a new descriptor may get such a number and would be overwritten
     * on the way to a child.
     */
    static int aboveInherited(int fd) {
        if (fd < 0 || fd > 3) {
            return fd;
        }
        int copy = fcntl(fd, F_DUPFD_CLOEXEC, 4);
        close(fd);
        return copy;
    }

    /** What the C library says of an error, in English whatever the locale. */
    static String words(int errno) {
        long text = raw(WORDS, errno, 0, 0);
        return text == 0 ? "error " + errno : string(text, 256);
    }

    /** The C string at an address, cut at {@code limit} bytes; "" for null. */
    static String string(long address, int limit) {
        if (address == 0) {
            return "";
        }
        MemorySegment text = at(address, limit);
        int length = 0;
        while (length < limit && text.get(ValueLayout.JAVA_BYTE, length) != 0) {
            length++;
        }
        byte[] bytes = new byte[length];
        MemorySegment.copy(text, ValueLayout.JAVA_BYTE, 0, bytes, 0, length);
        return Octets.text(bytes);
    }

    /** A C string of these bytes; none of them may be 0. */
    static MemorySegment bytes(Arena arena, byte[] text) {
        for (byte b : text) {
            if (b == 0) {
                throw new IllegalArgumentException("a zero byte inside a C string");
            }
        }
        MemorySegment c = arena.allocate(text.length + 1L);
        MemorySegment.copy(text, 0, c, ValueLayout.JAVA_BYTE, 0, text.length);
        return c;
    }

    static MemorySegment string(Arena arena, String text) {
        return bytes(arena, Octets.bytes(text));
    }
}
