package holdfast.ssh.system;

import holdfast.ssh.octets.Octets;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * The user database, through the C library and so through everything nsswitch.conf names.
 *
 * <p>A look-up may wait for a network: call it on a thread that may, and on a platform thread,
 * since it would pin a virtual one. Nothing is kept: each call asks anew.
 */
public final class Accounts {

    /** As much as one entry may take; a group with more members counts as not found. */
    private static final int ENTRY_LIMIT = 4 << 20;

    /** The kernel's own limit: NGROUPS_MAX. */
    private static final int GROUPS_LIMIT = 65_536;

    /** Longer names are no names: LOGIN_NAME_MAX is 256. */
    private static final int NAME_LIMIT = 1024;

    private static final MemorySegment GETPWNAM = Native.symbol("getpwnam_r");
    private static final MemorySegment GETPWUID = Native.symbol("getpwuid_r");
    private static final MemorySegment GETGRNAM = Native.symbol("getgrnam_r");
    private static final MemorySegment GETGRGID = Native.symbol("getgrgid_r");
    private static final MemorySegment GETGROUPLIST = Native.symbol("getgrouplist");
    private static final MemorySegment GETEUID = Native.symbol("geteuid");
    private static final MemorySegment GETEGID = Native.symbol("getegid");

    private Accounts() {}

    /** What struct passwd has. */
    private record User(String name, int uid, int gid, String gecos, String home, String shell) {}

    /** Who this process is, and whose files the ones are that it makes. */
    public static int effectiveUid() {
        return (int) Native.raw(GETEUID, 0, 0, 0);
    }

    /** The user of this name, if there is one. */
    public static Optional<Account> named(String name) throws SystemException {
        if (!plausible(name)) {
            return Optional.empty();
        }
        User user;
        try (Arena arena = Arena.ofConfined()) {
            user = entry(GETPWNAM, Native.string(arena, name).address(), Accounts::user);
        }
        return user == null ? Optional.empty() : Optional.of(account(user));
    }

    /** The user of this number, if there is one. */
    public static Optional<Account> numbered(int uid) throws SystemException {
        User user = entry(GETPWUID, Integer.toUnsignedLong(uid), Accounts::user);
        return user == null ? Optional.empty() : Optional.of(account(user));
    }

    /** Whom this process runs as; made up from its numbers if the database does not know them. */
    public static Account own() throws SystemException {
        int uid = effectiveUid();
        Optional<Account> known = numbered(uid);
        if (known.isPresent()) {
            return known.get();
        }
        int gid = (int) Native.raw(GETEGID, 0, 0, 0);
        return account(
                new User(
                        Integer.toUnsignedString(uid),
                        uid,
                        gid,
                        "",
                        System.getProperty("user.home", "/"),
                        ""));
    }

    /** The number of the group of this name, if there is one. */
    public static Optional<Integer> group(String name) throws SystemException {
        if (!plausible(name)) {
            return Optional.empty();
        }
        try (Arena arena = Arena.ofConfined()) {
            return Optional.ofNullable(
                    entry(
                            GETGRNAM,
                            Native.string(arena, name).address(),
                            group -> group.get(ValueLayout.JAVA_INT, 16)));
        }
    }

    /** True if this process runs with effective user 0 and so may become others. */
    public static boolean privileged() {
        return effectiveUid() == 0;
    }

    private static boolean plausible(String name) {
        return !name.isEmpty() && name.length() <= NAME_LIMIT && name.indexOf('\0') < 0;
    }

    private static User user(MemorySegment passwd) {
        return new User(
                text(passwd, 0),
                passwd.get(ValueLayout.JAVA_INT, 16),
                passwd.get(ValueLayout.JAVA_INT, 20),
                text(passwd, 24),
                text(passwd, 32),
                text(passwd, 40));
    }

    private static String text(MemorySegment entry, long at) {
        return Native.string(entry.get(ValueLayout.JAVA_LONG, at), ENTRY_LIMIT);
    }

    private static Account account(User user) throws SystemException {
        List<Integer> groups = groups(user);
        List<String> names = new ArrayList<>();
        for (int gid : groups) {
            String name = groupName(gid);
            if (name != null) {
                names.add(name);
            }
        }
        String primary = groupName(user.gid);
        return new Account(
                user.name,
                user.uid,
                user.gid,
                primary == null ? Integer.toUnsignedString(user.gid) : primary,
                groups,
                names,
                user.gecos,
                path(user.home, "/"),
                path(user.shell, "/bin/sh"));
    }

    private static Path path(String text, String otherwise) throws SystemException {
        try {
            return Octets.path(text.isEmpty() ? otherwise : text);
        } catch (InvalidPathException e) {
            SystemException refused =
                    new SystemException("passwd: " + e.getReason(), Native.EINVAL);
            refused.initCause(e);
            throw refused;
        }
    }

    private static List<Integer> groups(User user) throws SystemException {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment name = Native.string(arena, user.name);
            MemorySegment count = arena.allocate(ValueLayout.JAVA_INT);
            for (int room = 256; ; room = GROUPS_LIMIT) {
                MemorySegment list = arena.allocate(ValueLayout.JAVA_INT, room);
                count.set(ValueLayout.JAVA_INT, 0, room);
                long result =
                        Native.raw(
                                GETGROUPLIST,
                                name.address(),
                                Integer.toUnsignedLong(user.gid),
                                list.address(),
                                count.address(),
                                0,
                                0);
                int found = count.get(ValueLayout.JAVA_INT, 0);
                if ((int) result >= 0 && found <= room) {
                    List<Integer> groups = new ArrayList<>(found);
                    for (int i = 0; i < found; i++) {
                        groups.add(list.getAtIndex(ValueLayout.JAVA_INT, i));
                    }
                    return groups;
                }
                if (room == GROUPS_LIMIT) {
                    throw new SystemException("getgrouplist " + user.name, Native.EINVAL);
                }
            }
        }
    }

    private static @Nullable String groupName(int gid) throws SystemException {
        return entry(GETGRGID, Integer.toUnsignedLong(gid), group -> text(group, 0));
    }

    /** Reads a struct of the database. */
    private interface Reader<T> {
        T read(MemorySegment entry);
    }

    /**
     * One look-up by a function of the {@code get…_r} family: (key, struct, buffer, size, result).
     */
    private static <T> @Nullable T entry(MemorySegment function, long key, Reader<T> reader)
            throws SystemException {
        for (int size = 4096; ; size *= 4) {
            try (Arena arena = Arena.ofConfined()) {
                MemorySegment struct = arena.allocate(64, 8);
                MemorySegment buffer = arena.allocate(size, 8);
                MemorySegment result = arena.allocate(ValueLayout.JAVA_LONG);
                int error =
                        (int)
                                Native.raw(
                                        function,
                                        key,
                                        struct.address(),
                                        buffer.address(),
                                        size,
                                        result.address(),
                                        0);
                switch (error) {
                    case 0 -> {
                        boolean found = result.get(ValueLayout.JAVA_LONG, 0) != 0;
                        return found ? reader.read(struct) : null;
                    }
                    // What the manual page says may be told instead of "not found".
                    case Native.ENOENT, Native.ESRCH, Native.EPERM -> {
                        return null;
                    }
                    case Native.ERANGE, Native.EINTR -> {
                        if (size >= ENTRY_LIMIT) {
                            return null;
                        }
                    }
                    default -> throw new SystemException("user database", error);
                }
            }
        }
    }
}
