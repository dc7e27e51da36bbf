package holdfast.ssh.server.sftp;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.StructLayout;
import java.lang.foreign.SymbolLookup;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.nio.charset.StandardCharsets;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * The file calls of the C library, with names as bytes.
 *
 * <p>Not java.nio: a name on Unix is any bytes but zero and slash, and java.nio loses those that
 * are no text in the locale the server was started under; nor does it know statvfs(2), lutimes or a
 * mode at opening that the umask alone changes.
 *
 * <p>The kernel looks at the credentials and the root directory of the thread that calls, one at a
 * time, and between {@link #begin} and {@link #end}: at rest this holds no memory to speak of.
 * Every call returns what the C function returns; where that is -1, {@link #errno} says why. All go
 * through one shape of call, as {@code terminal.Libc} does and for its reason.
 */
final class Posix {

    static final int EPERM = 1;
    static final int ENOENT = 2;
    static final int EINTR = 4;
    static final int EBADF = 9;
    static final int EACCES = 13;
    static final int EFAULT = 14;
    static final int EXDEV = 18;
    static final int ENOTDIR = 20;
    static final int EINVAL = 22;
    static final int EMLINK = 31;
    static final int ENAMETOOLONG = 36;
    static final int ENOSYS = 38;
    static final int ELOOP = 40;
    static final int EOPNOTSUPP = 95;

    static final int O_RDONLY = 0;
    static final int O_WRONLY = 1;
    static final int O_RDWR = 2;
    static final int O_CREAT = 0x40;
    static final int O_EXCL = 0x80;
    static final int O_TRUNC = 0x200;
    static final int O_APPEND = 0x400;
    private static final int O_CLOEXEC = 0x80000;

    static final int S_IFMT = 0xF000;
    static final int S_IFDIR = 0x4000;
    static final int S_IFREG = 0x8000;
    static final int S_IFLNK = 0xA000;

    private static final int AT_FDCWD = -100;
    private static final int AT_SYMLINK_NOFOLLOW = 0x100;
    private static final int AT_EMPTY_PATH = 0x1000;

    /** STATX_BASIC_STATS. */
    private static final int BASIC = 0x7ff;

    private static final int STATX_BYTES = 256;
    private static final int STATVFS_BYTES = 256;
    private static final int PATH_BYTES = 4096;

    /** d_name of struct dirent (64-bit Linux). */
    private static final int DIRENT_NAME = 19;

    private static final int NAME_MAX = 255;

    /** One transfer; the largest packet of the protocol. */
    private static final int BUFFER_BYTES = 256 * 1024;

    private static final int NAME_BUFFER_BYTES = 16 * 1024;

    private static final MethodHandle CALL;
    private static final StructLayout STATE = Linker.Option.captureStateLayout();
    private static final long ERRNO =
            STATE.byteOffset(MemoryLayout.PathElement.groupElement("errno"));
    private static final Map<String, MemorySegment> FUNCTIONS = new HashMap<>();

    static {
        Linker linker = Linker.nativeLinker();
        CALL = link(linker);
        SymbolLookup libc = linker.defaultLookup();
        for (String name :
                List.of(
                        "open",
                        "close",
                        "pread",
                        "pwrite",
                        "statx",
                        "mkdir",
                        "rmdir",
                        "unlink",
                        "rename",
                        "link",
                        "symlink",
                        "readlink",
                        "opendir",
                        "readdir",
                        "closedir",
                        "fsync",
                        "chmod",
                        "fchmod",
                        "fchmodat",
                        "chown",
                        "fchown",
                        "lchown",
                        "truncate",
                        "ftruncate",
                        "utimensat",
                        "futimens",
                        "statvfs",
                        "fstatvfs",
                        "getpwuid_r",
                        "getpwnam_r",
                        "getgrgid_r")) {
            FUNCTIONS.put(name, libc.findOrThrow(name));
        }
    }

    private static final MemorySegment OPEN = function("open");
    private static final MemorySegment CLOSE = function("close");
    private static final MemorySegment PREAD = function("pread");
    private static final MemorySegment PWRITE = function("pwrite");
    private static final MemorySegment STATX = function("statx");
    private static final MemorySegment READDIR = function("readdir");

    /** Rooms that wait for whoever serves next; those beyond are the collector's. */
    private static final int SPARE_ROOMS = 8;

    private static final ArrayDeque<Room> SPARE = new ArrayDeque<>();

    /** What the calls of one turn need of native memory. */
    private record Room(
            MemorySegment state,
            MemorySegment first,
            MemorySegment second,
            MemorySegment stat,
            MemorySegment buffer) {

        static Room make() {
            Arena arena = Arena.ofAuto();
            return new Room(
                    arena.allocate(STATE),
                    arena.allocate(PATH_BYTES),
                    arena.allocate(PATH_BYTES),
                    arena.allocate(STATX_BYTES, Long.BYTES),
                    arena.allocate(BUFFER_BYTES, Long.BYTES));
        }
    }

    private @Nullable Room room;
    private MemorySegment state = MemorySegment.NULL;
    private MemorySegment first = MemorySegment.NULL;
    private MemorySegment second = MemorySegment.NULL;
    private MemorySegment stat = MemorySegment.NULL;
    private MemorySegment buffer = MemorySegment.NULL;
    private int errno;

    private static MemorySegment function(String name) {
        MemorySegment found = FUNCTIONS.get(name);
        if (found == null) {
            throw new IllegalStateException(name);
        }
        return found;
    }

    // Restricted because a wrong signature can crash the VM; the manifest of the program grants it.
    @SuppressWarnings("restricted")
    private static MethodHandle link(Linker linker) {
        return linker.downcallHandle(
                FunctionDescriptor.of(
                        ValueLayout.JAVA_LONG,
                        ValueLayout.JAVA_LONG,
                        ValueLayout.JAVA_LONG,
                        ValueLayout.JAVA_LONG,
                        ValueLayout.JAVA_LONG,
                        ValueLayout.JAVA_LONG),
                // open is variadic from here on; to the others it makes no difference
                Linker.Option.firstVariadicArg(2),
                Linker.Option.captureCallState("errno"));
    }

    /** Takes what memory the calls need. */
    void begin() {
        Room now;
        synchronized (SPARE) {
            now = SPARE.poll();
        }
        if (now == null) {
            now = Room.make();
        }
        room = now;
        state = now.state;
        first = now.first;
        second = now.second;
        stat = now.stat;
        buffer = now.buffer;
    }

    /** Gives it back: no call may be made until the next {@link #begin}. */
    void end() {
        Room now = room;
        room = null;
        state = MemorySegment.NULL;
        first = MemorySegment.NULL;
        second = MemorySegment.NULL;
        stat = MemorySegment.NULL;
        buffer = MemorySegment.NULL;
        synchronized (SPARE) {
            if (now != null && SPARE.size() < SPARE_ROOMS) {
                SPARE.push(now);
            }
        }
    }

    /** Why the last call failed. */
    int errno() {
        return errno;
    }

    /** One file's facts, of stat(2). */
    record Stat(int mode, long links, int uid, int gid, long size, long accessed, long modified) {

        boolean regular() {
            return (mode & S_IFMT) == S_IFREG;
        }

        boolean link() {
            return (mode & S_IFMT) == S_IFLNK;
        }
    }

    int open(byte[] path, int flags, int mode) {
        if (!fits(path)) {
            return -1;
        }
        return (int) call(OPEN, first(path), flags | O_CLOEXEC, mode, 0, 0);
    }

    int close(int fd) {
        return (int) call(CLOSE, fd, 0, 0, 0, 0);
    }

    /** Reads at most {@code length} bytes, and at most what one packet takes. */
    int read(int fd, long offset, byte[] into, int at, int length) {
        int count;
        do {
            long most = Math.min(Math.min(length, into.length - at), BUFFER_BYTES);
            count = (int) call(PREAD, fd, buffer.address(), most, offset, 0);
        } while (count < 0 && errno == EINTR);
        if (count > 0) {
            MemorySegment.copy(buffer, ValueLayout.JAVA_BYTE, 0, into, at, count);
        }
        return count;
    }

    /** Writes all of it, or says -1; of nothing it asks the system whether it might. */
    int write(int fd, long offset, byte[] from, int at, int length) {
        int done = 0;
        do {
            int most = Math.min(length - done, BUFFER_BYTES);
            MemorySegment.copy(from, at + done, buffer, ValueLayout.JAVA_BYTE, 0, most);
            int count = (int) call(PWRITE, fd, buffer.address(), most, offset + done, 0);
            if (count < 0) {
                if (errno == EINTR) {
                    continue;
                }
                return -1;
            }
            if (count == 0 && most > 0) {
                errno = 0;
                return -1;
            }
            done += count;
        } while (done < length);
        return done;
    }

    @Nullable Stat stat(byte[] path) {
        return fits(path) ? statx(AT_FDCWD, first(path), 0) : null;
    }

    @Nullable Stat lstat(byte[] path) {
        return fits(path) ? statx(AT_FDCWD, first(path), AT_SYMLINK_NOFOLLOW) : null;
    }

    @Nullable Stat fstat(int fd) {
        return statx(fd, first(new byte[0]), AT_EMPTY_PATH);
    }

    /** Whether both are the same file, whatever their names. */
    boolean same(int one, int other) {
        long[] first = identity(one);
        return first != null && Arrays.equals(first, identity(other));
    }

    private long @Nullable [] identity(int fd) {
        if (fstat(fd) == null) {
            return null;
        }
        return new long[] {
            stat.get(ValueLayout.JAVA_LONG, 32), stat.get(ValueLayout.JAVA_LONG, 136)
        };
    }

    private @Nullable Stat statx(int fd, long path, int flags) {
        if ((int) call(STATX, fd, path, flags, BASIC, stat.address()) != 0) {
            return null;
        }
        return new Stat(
                Short.toUnsignedInt(stat.get(ValueLayout.JAVA_SHORT, 28)),
                Integer.toUnsignedLong(stat.get(ValueLayout.JAVA_INT, 16)),
                stat.get(ValueLayout.JAVA_INT, 20),
                stat.get(ValueLayout.JAVA_INT, 24),
                stat.get(ValueLayout.JAVA_LONG, 40),
                stat.get(ValueLayout.JAVA_LONG, 64),
                stat.get(ValueLayout.JAVA_LONG, 112));
    }

    int mkdir(byte[] path, int mode) {
        return path("mkdir", path, mode, 0);
    }

    int rmdir(byte[] path) {
        return path("rmdir", path, 0, 0);
    }

    int unlink(byte[] path) {
        return path("unlink", path, 0, 0);
    }

    int chmod(byte[] path, int mode) {
        return path("chmod", path, mode, 0);
    }

    int fchmod(int fd, int mode) {
        return (int) call(function("fchmod"), fd, mode, 0, 0, 0);
    }

    /** Of the link itself; the kernel may not know how (EOPNOTSUPP). */
    int lchmod(byte[] path, int mode) {
        return fits(path)
                ? (int)
                        call(
                                function("fchmodat"),
                                AT_FDCWD,
                                first(path),
                                mode,
                                AT_SYMLINK_NOFOLLOW,
                                0)
                : -1;
    }

    int chown(byte[] path, int uid, int gid) {
        return path("chown", path, uid, gid);
    }

    int fchown(int fd, int uid, int gid) {
        return (int) call(function("fchown"), fd, uid, gid, 0, 0);
    }

    int lchown(byte[] path, int uid, int gid) {
        return path("lchown", path, uid, gid);
    }

    int truncate(byte[] path, long size) {
        return path("truncate", path, size, 0);
    }

    int ftruncate(int fd, long size) {
        return (int) call(function("ftruncate"), fd, size, 0, 0, 0);
    }

    int utimes(byte[] path, long accessed, long modified, boolean follow) {
        if (!fits(path)) {
            return -1;
        }
        times(accessed, modified);
        return (int)
                call(
                        function("utimensat"),
                        AT_FDCWD,
                        first(path),
                        buffer.address(),
                        follow ? 0 : AT_SYMLINK_NOFOLLOW,
                        0);
    }

    int futimes(int fd, long accessed, long modified) {
        times(accessed, modified);
        return (int) call(function("futimens"), fd, buffer.address(), 0, 0, 0);
    }

    private void times(long accessed, long modified) {
        buffer.set(ValueLayout.JAVA_LONG, 0, accessed);
        buffer.set(ValueLayout.JAVA_LONG, 8, 0);
        buffer.set(ValueLayout.JAVA_LONG, 16, modified);
        buffer.set(ValueLayout.JAVA_LONG, 24, 0);
    }

    int rename(byte[] from, byte[] to) {
        return paths("rename", from, to);
    }

    int link(byte[] from, byte[] to) {
        return paths("link", from, to);
    }

    int symlink(byte[] target, byte[] path) {
        return paths("symlink", target, path);
    }

    byte @Nullable [] readlink(byte[] path) {
        if (!fits(path)) {
            return null;
        }
        int count =
                (int)
                        call(
                                function("readlink"),
                                first(path),
                                buffer.address(),
                                PATH_BYTES - 1L,
                                0,
                                0);
        return count < 0 ? null : bytes(buffer, 0, count);
    }

    /** The directory's stream; 0: failed. */
    long opendir(byte[] path) {
        return fits(path) ? call(function("opendir"), first(path), 0, 0, 0, 0) : 0;
    }

    /** The next name; null at the end. */
    // Restricted because the size of the entry is ours to know: its name ends with a zero.
    @SuppressWarnings("restricted")
    byte @Nullable [] readdir(long directory) {
        long entry = call(READDIR, directory, 0, 0, 0, 0);
        if (entry == 0) {
            return null;
        }
        MemorySegment dirent =
                MemorySegment.ofAddress(entry + DIRENT_NAME).reinterpret(NAME_MAX + 1L);
        return terminated(dirent);
    }

    void closedir(long directory) {
        call(function("closedir"), directory, 0, 0, 0, 0);
    }

    int fsync(int fd) {
        return (int) call(function("fsync"), fd, 0, 0, 0, 0);
    }

    /** The eleven numbers of struct statvfs; null: failed. */
    long @Nullable [] statvfs(byte[] path) {
        return fits(path) ? statvfs("statvfs", first(path)) : null;
    }

    long @Nullable [] fstatvfs(int fd) {
        return statvfs("fstatvfs", fd);
    }

    private long @Nullable [] statvfs(String function, long which) {
        buffer.asSlice(0, STATVFS_BYTES).fill((byte) 0);
        if ((int) call(function(function), which, buffer.address(), 0, 0, 0) != 0) {
            return null;
        }
        long[] numbers = new long[11];
        for (int i = 0; i < numbers.length; i++) {
            numbers[i] = buffer.get(ValueLayout.JAVA_LONG, 8L * i);
        }
        return numbers;
    }

    /** The user's name; null where there is none. */
    @Nullable String user(int uid) {
        return text(lookup("getpwuid_r", Integer.toUnsignedLong(uid), 0));
    }

    @Nullable String group(int gid) {
        return text(lookup("getgrgid_r", Integer.toUnsignedLong(gid), 0));
    }

    /** A user's home directory; null where there is no such user. */
    byte @Nullable [] home(byte[] user) {
        return fits(user) ? lookup("getpwnam_r", first(user), 32) : null;
    }

    // Restricted because the text's length is ours to know: it ends with a zero.
    @SuppressWarnings("restricted")
    private byte @Nullable [] lookup(String function, long key, int field) {
        long found = buffer.address() + 64;
        buffer.set(ValueLayout.JAVA_LONG, 64, 0);
        call(
                function(function),
                key,
                buffer.address(),
                buffer.address() + 128,
                NAME_BUFFER_BYTES,
                found);
        if (buffer.get(ValueLayout.JAVA_LONG, 64) == 0) {
            return null;
        }
        long text = buffer.get(ValueLayout.JAVA_LONG, field);
        return text == 0
                ? null
                : terminated(MemorySegment.ofAddress(text).reinterpret(NAME_BUFFER_BYTES));
    }

    private static @Nullable String text(byte @Nullable [] bytes) {
        return bytes == null ? null : new String(bytes, StandardCharsets.UTF_8);
    }

    /**
     * The canonical name of {@code path}, all links followed; its last part need not exist, unless
     * a slash follows it.
     *
     * @param path absolute
     * @return null: failed
     */
    byte @Nullable [] realpath(byte[] path) {
        if (!fits(path)) {
            return null;
        }
        List<byte[]> done = new ArrayList<>();
        List<byte[]> left = parts(path);
        boolean whole = slashed(path);
        int links = 0;
        while (!left.isEmpty()) {
            byte[] part = left.removeFirst();
            if (part.length == 1 && part[0] == '.') {
                continue;
            }
            if (part.length == 2 && part[0] == '.' && part[1] == '.') {
                if (!done.isEmpty()) {
                    done.removeLast();
                }
                continue;
            }
            done.addLast(part);
            byte[] here = joined(done);
            Stat found = lstat(here);
            if (found == null) {
                return errno == ENOENT && left.isEmpty() && !whole ? here : null;
            }
            if (found.link()) {
                if (++links > 32) {
                    errno = ELOOP;
                    return null;
                }
                byte[] target = readlink(here);
                if (target == null) {
                    return null;
                }
                done.removeLast();
                if (target.length > 0 && target[0] == '/') {
                    done.clear();
                }
                whole |= left.isEmpty() && slashed(target);
                left.addAll(0, parts(target));
            }
        }
        return joined(done);
    }

    private static boolean slashed(byte[] path) {
        return path.length > 0 && path[path.length - 1] == '/';
    }

    private static List<byte[]> parts(byte[] path) {
        List<byte[]> parts = new ArrayList<>();
        int from = 0;
        for (int i = 0; i <= path.length; i++) {
            if (i == path.length || path[i] == '/') {
                if (i > from) {
                    byte[] part = new byte[i - from];
                    System.arraycopy(path, from, part, 0, part.length);
                    parts.add(part);
                }
                from = i + 1;
            }
        }
        return parts;
    }

    private static byte[] joined(List<byte[]> parts) {
        if (parts.isEmpty()) {
            return new byte[] {'/'};
        }
        int length = 0;
        for (byte[] part : parts) {
            length += 1 + part.length;
        }
        byte[] path = new byte[length];
        int at = 0;
        for (byte[] part : parts) {
            path[at++] = '/';
            System.arraycopy(part, 0, path, at, part.length);
            at += part.length;
        }
        return path;
    }

    private int path(String function, byte[] path, long second, long third) {
        return fits(path) ? (int) call(function(function), first(path), second, third, 0, 0) : -1;
    }

    private int paths(String function, byte[] one, byte[] two) {
        if (!fits(one) || !fits(two)) {
            return -1;
        }
        return (int) call(function(function), first(one), put(second, two), 0, 0, 0);
    }

    private boolean fits(byte[] path) {
        if (path.length < PATH_BYTES) {
            return true;
        }
        errno = ENAMETOOLONG;
        return false;
    }

    private long first(byte[] path) {
        return put(first, path);
    }

    private static long put(MemorySegment where, byte[] path) {
        MemorySegment.copy(path, 0, where, ValueLayout.JAVA_BYTE, 0, path.length);
        where.set(ValueLayout.JAVA_BYTE, path.length, (byte) 0);
        return where.address();
    }

    private static byte[] terminated(MemorySegment text) {
        int length = 0;
        while (text.get(ValueLayout.JAVA_BYTE, length) != 0) {
            length++;
        }
        return bytes(text, 0, length);
    }

    private static byte[] bytes(MemorySegment from, long at, int length) {
        byte[] bytes = new byte[length];
        MemorySegment.copy(from, ValueLayout.JAVA_BYTE, at, bytes, 0, length);
        return bytes;
    }

    private long call(
            MemorySegment function, long one, long two, long three, long four, long five) {
        try {
            long result = (long) CALL.invokeExact(function, state, one, two, three, four, five);
            errno = state.get(ValueLayout.JAVA_INT, ERRNO);
            return result;
        } catch (RuntimeException | Error e) {
            throw e;
        } catch (Throwable t) {
            throw new IllegalStateException(t);
        }
    }
}
