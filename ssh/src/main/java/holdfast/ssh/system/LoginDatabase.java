package holdfast.ssh.system;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.nio.file.Path;
import java.time.Instant;
import java.util.NoSuchElementException;
import org.jspecify.annotations.Nullable;

/**
 * The database of logins that has come in wtmp's place, for last(1): that of wtmpdb(8), which the
 * OpenSSH of Debian 13 writes. Where its library is not there, nothing is done; what fails is left
 * out. The library opens the file anew in each call, and waits seconds for whoever has it locked:
 * threads call it side by side.
 */
final class LoginDatabase {

    /** What wtmpdb.h calls so; not the number that utmp.h has for it. */
    private static final int USER_PROCESS = 3;

    private static final MemoryLayout TEXT = ValueLayout.ADDRESS;

    /** libwtmpdb, loaded on first use. */
    private record Library(MethodHandle login, MethodHandle logout, MethodHandle id) {

        static final @Nullable Library ONE = load();

        // Restricted because a library could do anything; this one is the system's own.
        @SuppressWarnings("restricted")
        private static @Nullable Library load() {
            try {
                SymbolLookup library = SymbolLookup.libraryLookup("libwtmpdb.so.0", Arena.global());
                Linker linker = Linker.nativeLinker();
                return new Library(
                        linker.downcallHandle(
                                library.findOrThrow("wtmpdb_login"),
                                FunctionDescriptor.of(
                                        ValueLayout.JAVA_LONG,
                                        TEXT,
                                        ValueLayout.JAVA_INT,
                                        TEXT,
                                        ValueLayout.JAVA_LONG,
                                        TEXT,
                                        TEXT,
                                        TEXT,
                                        ValueLayout.ADDRESS)),
                        linker.downcallHandle(
                                library.findOrThrow("wtmpdb_logout"),
                                FunctionDescriptor.of(
                                        ValueLayout.JAVA_INT,
                                        TEXT,
                                        ValueLayout.JAVA_LONG,
                                        ValueLayout.JAVA_LONG,
                                        ValueLayout.ADDRESS)),
                        linker.downcallHandle(
                                library.findOrThrow("wtmpdb_get_id"),
                                FunctionDescriptor.of(
                                        ValueLayout.JAVA_LONG, TEXT, TEXT, ValueLayout.ADDRESS)));
            } catch (IllegalArgumentException | NoSuchElementException e) {
                return null;
            }
        }
    }

    private LoginDatabase() {}

    /** True if the library can be loaded. */
    static boolean available() {
        return Library.ONE != null;
    }

    /**
     * Enters a login.
     *
     * @param file null: the system's own
     * @param line the terminal, without {@code /dev/}
     */
    static void in(@Nullable Path file, String user, String line, String host, Instant when) {
        Library library = Library.ONE;
        if (library == null) {
            return;
        }
        try (Arena arena = Arena.ofConfined()) {
            long _ =
                    (long)
                            library.login()
                                    .invokeExact(
                                            place(arena, file),
                                            USER_PROCESS,
                                            Native.string(arena, user),
                                            micros(when),
                                            Native.string(arena, line),
                                            Native.string(arena, host),
                                            MemorySegment.NULL,
                                            MemorySegment.NULL);
        } catch (RuntimeException | Error e) {
            throw e;
        } catch (Throwable e) {
            throw new IllegalStateException(e);
        }
    }

    /** Enters the end of the login that this terminal has. */
    static void out(@Nullable Path file, String line, Instant when) {
        Library library = Library.ONE;
        long id = open(file, line);
        if (library == null || id < 0) {
            return;
        }
        try (Arena arena = Arena.ofConfined()) {
            int _ =
                    (int)
                            library.logout()
                                    .invokeExact(
                                            place(arena, file),
                                            id,
                                            micros(when),
                                            MemorySegment.NULL);
        } catch (RuntimeException | Error e) {
            throw e;
        } catch (Throwable e) {
            throw new IllegalStateException(e);
        }
    }

    /** The number of the login that this terminal has; negative: none. */
    static long open(@Nullable Path file, String line) {
        Library library = Library.ONE;
        if (library == null) {
            return -1;
        }
        try (Arena arena = Arena.ofConfined()) {
            return (long)
                    library.id()
                            .invokeExact(
                                    place(arena, file),
                                    Native.string(arena, line),
                                    MemorySegment.NULL);
        } catch (RuntimeException | Error e) {
            throw e;
        } catch (Throwable e) {
            throw new IllegalStateException(e);
        }
    }

    private static MemorySegment place(Arena arena, @Nullable Path file) {
        return file == null ? MemorySegment.NULL : Native.string(arena, file.toString());
    }

    private static long micros(Instant when) {
        return when.getEpochSecond() * 1_000_000 + when.getNano() / 1000;
    }
}
