package holdfast.ssh.system;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.net.InetAddress;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Instant;
import java.util.Arrays;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * The records of who is logged in, and of who failed to: utmp, wtmp, wtmpdb, lastlog, btmp. Best
 * effort: what fails is left out, and a file that is not there is not made.
 */
public final class Logins {

    private static final short LOGIN_PROCESS = 6;
    private static final short USER_PROCESS = 7;
    private static final short DEAD_PROCESS = 8;

    /** struct utmpx and struct lastlog keep 32-bit times on x86-64 and 64-bit ones on aarch64. */
    private static final boolean SMALL_TIME = System.getProperty("os.arch", "").equals("amd64");

    private static final int UTMP_BYTES = SMALL_TIME ? 384 : 400;
    private static final int LINE_AT = 8;
    private static final int LINE_BYTES = 32;
    private static final int ID_AT = 40;
    private static final int ID_BYTES = 4;
    private static final int USER_AT = 44;
    private static final int USER_BYTES = 32;
    private static final int HOST_AT = 76;
    private static final int HOST_BYTES = 256;
    private static final int SECONDS_AT = SMALL_TIME ? 340 : 344;
    private static final int MICROS_AT = SMALL_TIME ? 344 : 352;
    private static final int ADDRESS_AT = SMALL_TIME ? 348 : 360;

    /** Of a file's mode: a group may not run btmp, others may do nothing with it. */
    private static final int NOT_BTMPS = 0017;

    private static final int LAST_TIME_BYTES = SMALL_TIME ? 4 : 8;
    private static final int LAST_BYTES = LAST_TIME_BYTES + LINE_BYTES + HOST_BYTES;

    private static final Path WTMP = Path.of("/var/log/wtmp");
    private static final Path BTMP = Path.of("/var/log/btmp");
    private static final Path LASTLOG = Path.of("/var/log/lastlog");

    private static final MemorySegment SET = Native.symbol("setutxent");
    private static final MemorySegment PUT = Native.symbol("pututxline");
    private static final MemorySegment END = Native.symbol("endutxent");
    private static final MemorySegment UPDATE = Native.symbol("updwtmpx");

    private Logins() {}

    /** A line of lastlog. */
    public record Last(Instant when, String terminal, String host) {}

    /**
     * Enters a login whose program is about to start, so that it finds itself there: as this
     * process's until {@link #in} says which one it is, and not yet in wtmp, which keeps all.
     */
    public static void soon(
            Account account, String terminal, String host, @Nullable InetAddress from) {
        int pid = (int) ProcessHandle.current().pid();
        enter(USER_PROCESS, pid, terminal, account.name(), host, from, false);
        remember(LASTLOG, account.uid(), terminal, host, Instant.now());
    }

    /**
     * Enters a login with a terminal.
     *
     * @param pid the login shell's
     * @param terminal as {@code /dev/pts/7}
     * @param host the peer's name or address, as UseDNS has it
     */
    public static void in(
            Account account, int pid, String terminal, String host, @Nullable InetAddress from) {
        enter(USER_PROCESS, pid, terminal, account.name(), host, from, true);
        LoginDatabase.in(null, account.name(), line(terminal), host, Instant.now());
        remember(LASTLOG, account.uid(), terminal, host, Instant.now());
    }

    /** Enters its end. */
    public static void out(int pid, String terminal) {
        enter(DEAD_PROCESS, pid, terminal, "", "", null, true);
        LoginDatabase.out(null, line(terminal), Instant.now());
    }

    /**
     * Enters a password that was refused, for lastb(1).
     *
     * @param user as given: there may be no such user
     * @return what to log of a file that others may read or run: it has what people typed in place
     *     of their names; nothing is entered then. Null: nothing to log.
     */
    public static @Nullable String failed(String user, String host, @Nullable InetAddress from) {
        return failed(BTMP, user, host, from);
    }

    static @Nullable String failed(
            Path file, String user, String host, @Nullable InetAddress from) {
        try (Arena arena = Arena.ofConfined();
                FileChannel to = FileChannel.open(file, StandardOpenOption.APPEND)) {
            Map<String, Object> now = Files.readAttributes(file, "unix:mode,uid");
            boolean ours = now.get("uid") instanceof Integer uid && uid == Accounts.effectiveUid();
            boolean open = !(now.get("mode") instanceof Integer mode) || (mode & NOT_BTMPS) != 0;
            if (!ours || open) {
                return "Excess permission or bad ownership on file " + file;
            }
            int pid = (int) ProcessHandle.current().pid();
            MemorySegment entry =
                    entry(arena, LOGIN_PROCESS, pid, "ssh:notty", "", user, host, from);
            to.write(entry.asSlice(0, UTMP_BYTES).asByteBuffer());
        } catch (IOException e) {
            // No such file, or not ours to write.
        }
        return null;
    }

    /** When and from where this user last came in, for PrintLastLog; null if never or unknown. */
    public static @Nullable Last last(int uid) {
        return last(LASTLOG, uid);
    }

    /** One at a time: the C library keeps one place in the file for the whole process. */
    private static synchronized void enter(
            short type,
            int pid,
            String terminal,
            String user,
            String host,
            @Nullable InetAddress from,
            boolean kept) {
        String line = line(terminal);
        // As OpenSSH: the last four characters tell one terminal from another.
        String id = line.substring(Math.max(0, line.length() - ID_BYTES));
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment entry = entry(arena, type, pid, line, id, user, host, from);
            Native.raw(SET, 0, 0, 0);
            Native.raw(PUT, entry.address(), 0, 0);
            Native.raw(END, 0, 0, 0);
            if (kept && Files.exists(WTMP)) {
                Native.raw(
                        UPDATE,
                        Native.string(arena, WTMP.toString()).address(),
                        entry.address(),
                        0);
            }
        }
    }

    /** A struct utmpx of now. */
    private static MemorySegment entry(
            Arena arena,
            short type,
            int pid,
            String line,
            String id,
            String user,
            String host,
            @Nullable InetAddress from) {
        Instant now = Instant.now();
        MemorySegment entry = arena.allocate(UTMP_BYTES + 64, 8);
        entry.set(ValueLayout.JAVA_SHORT, 0, type);
        entry.set(ValueLayout.JAVA_INT, 4, pid);
        put(entry, LINE_AT, LINE_BYTES, line);
        put(entry, ID_AT, ID_BYTES, id);
        put(entry, USER_AT, USER_BYTES, user);
        put(entry, HOST_AT, HOST_BYTES, host);
        int micros = now.getNano() / 1000;
        if (SMALL_TIME) {
            entry.set(ValueLayout.JAVA_INT, SECONDS_AT, (int) now.getEpochSecond());
            entry.set(ValueLayout.JAVA_INT, MICROS_AT, micros);
        } else {
            entry.set(ValueLayout.JAVA_LONG, SECONDS_AT, now.getEpochSecond());
            entry.set(ValueLayout.JAVA_LONG, MICROS_AT, micros);
        }
        if (from != null) {
            byte[] address = from.getAddress();
            MemorySegment.copy(
                    address, 0, entry, ValueLayout.JAVA_BYTE, ADDRESS_AT, address.length);
        }
        return entry;
    }

    /** Cut to its place, without a zero at its end if it fills it, as the format has it. */
    private static void put(MemorySegment entry, int at, int room, String text) {
        byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
        MemorySegment.copy(
                bytes, 0, entry, ValueLayout.JAVA_BYTE, at, Math.min(room, bytes.length));
    }

    private static String line(String terminal) {
        return terminal.startsWith("/dev/") ? terminal.substring("/dev/".length()) : terminal;
    }

    static void remember(Path file, int uid, String terminal, String host, Instant when) {
        ByteBuffer entry = ByteBuffer.allocate(LAST_BYTES).order(ByteOrder.nativeOrder());
        if (SMALL_TIME) {
            entry.putInt((int) when.getEpochSecond());
        } else {
            entry.putLong(when.getEpochSecond());
        }
        entry.put(Arrays.copyOf(line(terminal).getBytes(StandardCharsets.UTF_8), LINE_BYTES));
        entry.put(Arrays.copyOf(host.getBytes(StandardCharsets.UTF_8), HOST_BYTES));
        try (FileChannel to = FileChannel.open(file, StandardOpenOption.WRITE)) {
            to.write(entry.flip(), Integer.toUnsignedLong(uid) * LAST_BYTES);
        } catch (IOException e) {
            // No such file, or not ours to write.
        }
    }

    static @Nullable Last last(Path file, int uid) {
        ByteBuffer entry = ByteBuffer.allocate(LAST_BYTES).order(ByteOrder.nativeOrder());
        try (FileChannel from = FileChannel.open(file, StandardOpenOption.READ)) {
            if (from.read(entry, Integer.toUnsignedLong(uid) * LAST_BYTES) != LAST_BYTES) {
                return null;
            }
        } catch (IOException e) {
            return null;
        }
        entry.flip();
        long seconds = SMALL_TIME ? Integer.toUnsignedLong(entry.getInt()) : entry.getLong();
        if (seconds == 0) {
            return null;
        }
        return new Last(
                Instant.ofEpochSecond(seconds), text(entry, LINE_BYTES), text(entry, HOST_BYTES));
    }

    private static String text(ByteBuffer entry, int room) {
        byte[] bytes = new byte[room];
        entry.get(bytes);
        int length = 0;
        while (length < room && bytes[length] != 0) {
            length++;
        }
        return new String(bytes, 0, length, StandardCharsets.UTF_8);
    }
}
