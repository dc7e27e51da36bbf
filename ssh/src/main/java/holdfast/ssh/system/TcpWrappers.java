package holdfast.ssh.system;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.foreign.ValueLayout;
import java.net.Inet4Address;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.UnknownHostException;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.NoSuchElementException;
import java.util.Set;
import java.util.function.Function;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * Asks libwrap whether hosts.allow and hosts.deny (hosts_access(5)) let a client in, as Debian's
 * sshd does.
 *
 * <p>The library keeps what it works on in variables of its own: one question at a time. So it
 * looks up no name, for which everybody would wait; it is asked without names first, and where a
 * rule wanted one, again with what was found meanwhile, on a thread that may wait. Where it is not
 * installed nobody is refused.
 *
 * <p>It expects a process of the connection's own, which it changes (user, umask, setenv) and which
 * has no other children than those that it waits for (spawn, aclexec). It is shown the rules
 * without what is only done, and refuses whomever a rule would hand to another program or user, or
 * would have a program judge. A dry run alone spawns nothing, but passes what aclexec would refuse,
 * and changes the user all the same.
 */
public final class TcpWrappers {

    private static final Path ALLOW = Path.of("/etc/hosts.allow");
    private static final Path DENY = Path.of("/etc/hosts.deny");

    /** What a rule has done, whoever is let in; hosts_options(5). */
    private static final Set<String> DONE =
            Set.of("banners", "linger", "nice", "rfc931", "setenv", "spawn", "umask");

    /** What is no answer without its being done. */
    private static final Set<String> DECIDES = Set.of("aclexec", "group", "twist", "user");

    /** The name of whom nobody knows a name, and of who has one that is not theirs. */
    private static final String UNKNOWN = "unknown";

    private static final String PARANOID = "paranoid";

    /** What would be read as an address. */
    private static final Pattern NUMERIC = Pattern.compile("[0-9.]+|.*:.*|0[xX].*");

    /** Asks for nothing that a dry run does. */
    private static final String NOTHING = " keepalive ";

    // tcpd.h
    private static final int RQ_DAEMON = 2;
    private static final int RQ_USER = 3;
    private static final int RQ_CLIENT_NAME = 4;
    private static final int RQ_CLIENT_SIN = 6;
    private static final int RQ_SERVER_NAME = 7;
    private static final int RQ_SERVER_SIN = 9;

    /** More than struct request_info. */
    private static final int REQUEST_BYTES = 4096;

    /**
     * Where it has its client's and its server's struct host_info, which begin with a name that is
     * empty until a rule asks for it, and its function for addresses.
     */
    private static final int CLIENT_AT = 272;

    private static final int SERVER_AT = 552;
    private static final int HOSTADDR_AT = 848;

    /** STRING_LENGTH. */
    private static final int TEXT_BYTES = 128;

    /** sockaddr_storage. */
    private static final int ADDRESS_BYTES = 128;

    private TcpWrappers() {}

    /** libwrap, loaded on first use. */
    private record Library(
            MemorySegment init,
            MemorySegment set,
            MemorySegment access,
            MemorySegment client,
            MemorySegment address,
            MemorySegment allowTable,
            MemorySegment denyTable,
            MemorySegment hostAddress,
            MemorySegment dryRun) {

        static final @Nullable Library ONE = load();

        // Restricted because a library could do anything; this one is the system's own.
        @SuppressWarnings("restricted")
        private static @Nullable Library load() {
            try {
                SymbolLookup wrap = SymbolLookup.libraryLookup("libwrap.so.0", Arena.global());
                return new Library(
                        wrap.findOrThrow("request_init"),
                        wrap.findOrThrow("request_set"),
                        wrap.findOrThrow("hosts_access"),
                        wrap.findOrThrow("eval_client"),
                        wrap.findOrThrow("eval_hostaddr"),
                        wrap.findOrThrow("hosts_allow_table").reinterpret(Long.BYTES),
                        wrap.findOrThrow("hosts_deny_table").reinterpret(Long.BYTES),
                        wrap.findOrThrow("sock_hostaddr"),
                        wrap.findOrThrow("dry_run").reinterpret(Integer.BYTES));
            } catch (IllegalArgumentException | NoSuchElementException e) {
                return null;
            }
        }
    }

    /**
     * Who is refused, as libwrap names them in its log: {@code name (address)}; null: nobody is.
     *
     * @param daemon the name that the rules have for the server
     */
    public static @Nullable String refused(
            String daemon, InetSocketAddress client, InetSocketAddress server) {
        return refused(ALLOW, DENY, daemon, client, server, TcpWrappers::name);
    }

    /**
     * Why the rules that there are refuse nobody; null: they are asked, or there are none.
     *
     * <p>For the log: who wrote them wants to know.
     */
    public static @Nullable String unasked() {
        return available() || (!saysSomething(ALLOW) && !saysSomething(DENY))
                ? null
                : ALLOW + " and " + DENY + " have no effect: libwrap.so.0 is not installed";
    }

    /**
     * @param names what an address is called; may wait
     */
    static @Nullable String refused(
            Path allow,
            Path deny,
            String daemon,
            InetSocketAddress client,
            InetSocketAddress server,
            Function<InetAddress, String> names) {
        if (!saysSomething(allow) && !saysSomething(deny)) {
            return null;
        }
        Library wrap = Library.ONE;
        if (wrap == null) {
            return null;
        }
        try (Rules allowing = Rules.of(allow);
                Rules denying = Rules.of(deny)) {
            Question question =
                    new Question(allowing.file, denying.file, daemon, client, server, null, null);
            Answer answer = ask(wrap, question);
            // The rules are for either end, and the second name may be asked for only now.
            while (answer.wantsClient() || answer.wantsServer()) {
                question =
                        question.with(
                                answer.wantsClient() ? names.apply(client.getAddress()) : null,
                                answer.wantsServer() ? names.apply(server.getAddress()) : null);
                answer = ask(wrap, question);
            }
            return answer.refused();
        } catch (IOException e) {
            // Rules that nobody could be asked about let nobody in.
            String address = client.getAddress().getHostAddress();
            return address + " (" + address + ")";
        }
    }

    /** A file of rules as the library may have it: itself, or a copy for as long as it is asked. */
    private record Rules(Path file, boolean copied) implements AutoCloseable {

        static Rules of(Path file) throws IOException {
            String text;
            try {
                text = Files.readString(file, StandardCharsets.ISO_8859_1);
            } catch (IOException e) {
                return new Rules(file, false); // the library knows what that means
            }
            String harmless = harmless(text);
            if (harmless.equals(text)) {
                return new Rules(file, false);
            }
            Path copy = Files.createTempFile("hosts", null);
            try {
                Files.writeString(copy, harmless, StandardCharsets.ISO_8859_1);
                return new Rules(copy, true);
            } catch (IOException e) {
                Files.deleteIfExists(copy);
                throw e;
            }
        }

        @Override
        public void close() throws IOException {
            if (copied) {
                Files.deleteIfExists(file);
            }
        }
    }

    /** The rules without what is done by them; an option that decides by doing is none it knows. */
    static String harmless(String rules) {
        StringBuilder all = new StringBuilder();
        for (String line : rules.replace("\\\n", "").splitWithDelimiters("\n", 0)) {
            List<String> fields = fields(line);
            for (int i = 2; i < fields.size() && !line.startsWith("#"); i++) {
                String option = fields.get(i).strip();
                String keyword = option.split("[\\s=]", 2)[0].toLowerCase(Locale.ROOT);
                if (DONE.contains(keyword)) {
                    fields.set(i, NOTHING);
                } else if (DECIDES.contains(keyword)) {
                    fields.set(i, " unsupported-" + keyword + " ");
                }
            }
            all.append(String.join(":", fields));
        }
        return all.toString();
    }

    /** What colons part, but for those in brackets (an address) and behind a backslash. */
    private static List<String> fields(String line) {
        List<String> all = new ArrayList<>();
        int from = 0;
        boolean bracketed = false;
        for (int i = 0; i < line.length(); i++) {
            switch (line.charAt(i)) {
                case '\\' -> i++;
                case '[' -> bracketed = true;
                case ']' -> bracketed = false;
                case ':' -> {
                    if (!bracketed) {
                        all.add(line.substring(from, i));
                        from = i + 1;
                    }
                }
                default -> {}
            }
        }
        all.add(line.substring(from));
        return all;
    }

    static boolean available() {
        return Library.ONE != null;
    }

    /** False of a file that is not there, or has comments only: the library need not be asked. */
    private static boolean saysSomething(Path file) {
        try {
            return Files.readString(file, StandardCharsets.ISO_8859_1)
                    .lines()
                    .anyMatch(line -> !line.isBlank() && !line.startsWith("#"));
        } catch (NoSuchFileException e) {
            return false;
        } catch (IOException e) {
            return true; // the library knows what that means
        }
    }

    /**
     * @param clientName what a rule that asks for it is told; null: nobody has looked it up
     */
    private record Question(
            Path allow,
            Path deny,
            String daemon,
            InetSocketAddress client,
            InetSocketAddress server,
            @Nullable String clientName,
            @Nullable String serverName) {

        /** Null leaves what was known. */
        Question with(@Nullable String client, @Nullable String server) {
            return new Question(
                    allow,
                    deny,
                    daemon,
                    this.client,
                    this.server,
                    client == null ? clientName : client,
                    server == null ? serverName : server);
        }
    }

    /**
     * @param wantsClient whether a rule asked for the client's name, which it was not told: the
     *     answer is none
     */
    private record Answer(@Nullable String refused, boolean wantsClient, boolean wantsServer) {}

    private static synchronized Answer ask(Library wrap, Question question) {
        try (Arena arena = Arena.ofConfined()) {
            // Its function for names is none: a name asked for is set to "unknown".
            MemorySegment request = arena.allocate(REQUEST_BYTES, 16);
            long at = request.address();
            MemorySegment daemon = Native.string(arena, question.daemon());
            Native.raw(wrap.init(), at, RQ_DAEMON, daemon.address(), 0, 0, 0);
            Native.raw(
                    wrap.set(),
                    at,
                    RQ_CLIENT_SIN,
                    socketAddress(arena, question.client()).address(),
                    RQ_SERVER_SIN,
                    socketAddress(arena, question.server()).address(),
                    0);
            // Known to be unknown: or the client's machine would be asked (rfc931) under an alarm
            // clock.
            text(wrap, arena, at, RQ_USER, UNKNOWN);
            String client = question.clientName();
            String server = question.serverName();
            if (client != null) {
                text(wrap, arena, at, RQ_CLIENT_NAME, client);
            }
            if (server != null) {
                text(wrap, arena, at, RQ_SERVER_NAME, server);
            }
            request.set(ValueLayout.JAVA_LONG, HOSTADDR_AT, wrap.hostAddress().address());
            table(arena, wrap.allowTable(), question.allow());
            table(arena, wrap.denyTable(), question.deny());
            wrap.dryRun().set(ValueLayout.JAVA_INT, 0, 1);
            boolean allowed = Native.raw(wrap.access(), at, 0, 0) != 0;
            boolean twisted = wrap.dryRun().get(ValueLayout.JAVA_INT, 0) == 0;
            boolean wantsClient =
                    client == null && request.get(ValueLayout.JAVA_BYTE, CLIENT_AT) != 0;
            boolean wantsServer =
                    server == null && request.get(ValueLayout.JAVA_BYTE, SERVER_AT) != 0;
            if ((allowed && !twisted) || wantsClient || wantsServer) {
                return new Answer(null, wantsClient, wantsServer);
            }
            // The name only where a rule asked for it: nobody waits for names of those sent away.
            String address =
                    Native.string(Native.raw(wrap.address(), at + CLIENT_AT, 0, 0), TEXT_BYTES);
            String name =
                    client == null
                            ? address
                            : Native.string(Native.raw(wrap.client(), at, 0, 0), TEXT_BYTES);
            return new Answer(name + " (" + address + ")", false, false);
        }
    }

    private static void text(Library wrap, Arena arena, long request, int what, String text) {
        Native.raw(wrap.set(), request, what, Native.string(arena, text).address(), 0, 0, 0);
    }

    private static void table(Arena arena, MemorySegment variable, Path file) {
        variable.set(ValueLayout.JAVA_LONG, 0, Native.string(arena, file.toString()).address());
    }

    /**
     * What libwrap's own sock_hostname would find: a name that leads back to its address, {@code
     * unknown} or {@code paranoid}. May wait.
     */
    static String name(InetAddress address) {
        String name = Resolver.nameOf(address);
        if (name == null) {
            return UNKNOWN;
        }
        if (name.length() >= TEXT_BYTES || NUMERIC.matcher(name).matches()) {
            return PARANOID;
        }
        String canonical =
                Resolver.canonicalName(
                        name,
                        address instanceof Inet4Address
                                ? Resolver.Family.INET
                                : Resolver.Family.INET6);
        if (canonical == null
                || !(name.equalsIgnoreCase(canonical) || name.equalsIgnoreCase("localhost"))) {
            return PARANOID;
        }
        try {
            return List.of(InetAddress.getAllByName(name)).contains(address) ? name : PARANOID;
        } catch (UnknownHostException e) {
            return PARANOID;
        }
    }

    static MemorySegment socketAddress(Arena arena, InetSocketAddress end) {
        MemorySegment to = arena.allocate(ADDRESS_BYTES, 8);
        boolean four = end.getAddress() instanceof Inet4Address;
        to.set(ValueLayout.JAVA_SHORT, 0, (short) (four ? Native.AF_INET : Native.AF_INET6));
        to.set(ValueLayout.JAVA_SHORT.withOrder(ByteOrder.BIG_ENDIAN), 2, (short) end.getPort());
        byte[] bytes = end.getAddress().getAddress();
        MemorySegment.copy(bytes, 0, to, ValueLayout.JAVA_BYTE, four ? 4 : 8, bytes.length);
        return to;
    }
}
