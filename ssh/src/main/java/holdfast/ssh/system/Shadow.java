package holdfast.ssh.system;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * The file of passwords (shadow(5)), for servers without PAM. Only root can read it.
 *
 * <p>crypt(3) keeps its result in one place, so one password at a time is compared; with today's
 * hashes that takes some milliseconds to a second.
 */
public final class Shadow {

    private static final Path FILE = Path.of("/etc/shadow");

    /** Where no user has a password to go by: SHA-512, as long as most. */
    private static final String NOBODY = "$6$holdfastnobody$";

    private static final @Nullable MethodHandle CRYPT = crypt();

    private Shadow() {}

    /**
     * One user's line.
     *
     * @param hash what crypt(3) made of the password; with {@code !} in front: locked; empty: none
     *     is needed
     * @param expires the day since 1970 on which the account ends, -1: never
     * @param changed the day on which the password was changed, 0: it must be now, -1: not known
     * @param most for how many days it is good from then on, -1: for ever
     */
    public record Entry(String hash, long expires, long changed, long most) {

        /** With a password that does not age. */
        public Entry(String hash, long expires) {
            this(hash, expires, -1, -1);
        }

        public boolean locked() {
            return hash.startsWith("!");
        }

        /** Whether the account has ended by {@code day}, counted since 1970. */
        public boolean expired(long day) {
            return expires > 0 && expires < day;
        }

        /** Whether the password is to be changed before anything else. */
        public boolean passwordExpired(long day) {
            return changed == 0 || (changed > 0 && most >= 0 && day > changed + most);
        }

        /** Never shows the hash. */
        @Override
        public String toString() {
            return "Entry[expires=" + expires + "]";
        }
    }

    /** True if passwords can be compared: libcrypt is there, and the file can be read. */
    public static boolean available() {
        return CRYPT != null && Files.isReadable(FILE);
    }

    /** The line of a user, if there is one. */
    public static Optional<Entry> of(String user) throws IOException {
        return find(Files.readAllLines(FILE, StandardCharsets.ISO_8859_1), user);
    }

    static Optional<Entry> find(List<String> lines, String user) {
        for (String line : lines) {
            String[] fields = line.split(":", -1);
            if (fields.length > 1 && fields[0].equals(user)) {
                return Optional.of(
                        new Entry(
                                fields[1],
                                day(fields, 7, 1), // not understood: ended long ago
                                day(fields, 2, 0),
                                day(fields, 4, 0)));
            }
        }
        return Optional.empty();
    }

    private static long day(String[] fields, int which, long notUnderstood) {
        if (fields.length <= which || fields[which].isEmpty()) {
            return -1;
        }
        try {
            return Long.parseLong(fields[which]);
        } catch (NumberFormatException e) {
            return notUnderstood;
        }
    }

    /**
     * Whether it is the user's password. As much is computed for a user without one.
     *
     * @param user null: there is none, and the answer is no
     */
    public static boolean isPassword(@Nullable String user, String password) throws IOException {
        List<String> lines = Files.readAllLines(FILE, StandardCharsets.ISO_8859_1);
        Entry entry = user == null ? null : find(lines, user).orElse(null);
        if (entry != null && entry.hash().isEmpty()) {
            return password.isEmpty();
        }
        boolean real = entry != null && entry.hash().length() > 2 && !entry.locked();
        String hash = real && entry != null ? entry.hash() : usual(lines);
        return matches(hash, password) && real;
    }

    /**
     * A hash of the kind this machine has, so that nobody's password takes as long as anybody's.
     */
    private static String usual(List<String> lines) {
        for (String line : lines) {
            String[] fields = line.split(":", -1);
            if (fields.length > 1 && fields[1].startsWith("$")) {
                return fields[1];
            }
        }
        return NOBODY;
    }

    /** Whether crypt(3) makes {@code hash} of the password. */
    // Restricted because a wrong pointer can crash the VM: this one is crypt's own, ended by zero.
    @SuppressWarnings("restricted")
    static synchronized boolean matches(String hash, String password) {
        if (CRYPT == null || password.indexOf(0) >= 0) {
            return false;
        }
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment key = arena.allocateFrom(password);
            MemorySegment made =
                    (MemorySegment)
                            CRYPT.invokeExact(
                                    key, arena.allocateFrom(hash, StandardCharsets.ISO_8859_1));
            key.fill((byte) 0);
            if (made.address() == 0) {
                return false;
            }
            String said =
                    made.reinterpret(Integer.MAX_VALUE).getString(0, StandardCharsets.ISO_8859_1);
            return MessageDigest.isEqual(
                    said.getBytes(StandardCharsets.ISO_8859_1),
                    hash.getBytes(StandardCharsets.ISO_8859_1));
        } catch (Throwable e) {
            throw new IllegalStateException("crypt(3) failed", e);
        }
    }

    // Restricted because a wrong signature can crash the VM; this is that of crypt(3).
    @SuppressWarnings("restricted")
    private static @Nullable MethodHandle crypt() {
        for (String library : List.of("libcrypt.so.1", "libcrypt.so.2")) {
            try {
                return Linker.nativeLinker()
                        .downcallHandle(
                                SymbolLookup.libraryLookup(library, Arena.global())
                                        .findOrThrow("crypt"),
                                FunctionDescriptor.of(
                                        ValueLayout.ADDRESS,
                                        ValueLayout.ADDRESS,
                                        ValueLayout.ADDRESS));
            } catch (IllegalArgumentException | java.util.NoSuchElementException absent) {
                // the next one, or none
            }
        }
        return null;
    }
}
