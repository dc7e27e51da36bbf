package holdfast.ssh.system;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.net.Inet4Address;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import org.jspecify.annotations.Nullable;

/** The system's resolver, where Java does not tell all that it says. */
public final class Resolver {

    private static final int AF_UNSPEC = 0;
    private static final int AI_CANONNAME = 2;
    private static final int NI_NAMEREQD = 8;

    /** sockaddr_in and sockaddr_in6. */
    private static final int IPV4_BYTES = 16;

    private static final int IPV6_BYTES = 28;

    /** struct addrinfo of 64-bit Linux. */
    private static final int ADDRINFO_BYTES = 48;

    private static final int CANONICAL_AT = 32;

    /** NI_MAXHOST. */
    private static final int LONGEST = 1025;

    private static final MemorySegment GETADDRINFO = Native.symbol("getaddrinfo");
    private static final MemorySegment FREEADDRINFO = Native.symbol("freeaddrinfo");

    private Resolver() {}

    /** Which addresses are asked for. */
    public enum Family {
        ANY,
        INET,
        INET6
    }

    /**
     * What a name stands for in the end: the last of its CNAMEs, or itself. May wait for the
     * network.
     *
     * @return null: there is no such name, or nobody who knows
     */
    public static @Nullable String canonicalName(String name, Family family) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment hints = arena.allocate(ADDRINFO_BYTES, Long.BYTES);
            hints.set(ValueLayout.JAVA_INT, 0, AI_CANONNAME);
            hints.set(
                    ValueLayout.JAVA_INT,
                    4,
                    switch (family) {
                        case ANY -> AF_UNSPEC;
                        case INET -> Native.AF_INET;
                        case INET6 -> Native.AF_INET6;
                    });
            hints.set(ValueLayout.JAVA_INT, 8, Native.SOCK_STREAM);
            MemorySegment result = arena.allocate(ValueLayout.JAVA_LONG);
            int failed =
                    (int)
                            Native.raw(
                                    GETADDRINFO,
                                    Native.string(arena, name).address(),
                                    0,
                                    hints.address(),
                                    result.address(),
                                    0,
                                    0);
            if (failed != 0) {
                return null;
            }
            long first = result.get(ValueLayout.JAVA_LONG, 0);
            try {
                String canonical =
                        Native.string(
                                Native.pointer(first, ADDRINFO_BYTES)
                                        .get(ValueLayout.JAVA_LONG, CANONICAL_AT),
                                LONGEST);
                return canonical.isEmpty() ? name : canonical;
            } finally {
                Native.raw(FREEADDRINFO, first, 0, 0);
            }
        } catch (IllegalArgumentException e) {
            return null; // a zero byte is in no name
        }
    }

    /**
     * What the system calls an address. May wait for the network.
     *
     * @return null: it has no name, or nobody knows
     */
    static @Nullable String nameOf(InetAddress address) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment name = arena.allocate(LONGEST);
            int failed =
                    Native.nameInfo(
                            TcpWrappers.socketAddress(arena, new InetSocketAddress(address, 0)),
                            address instanceof Inet4Address ? IPV4_BYTES : IPV6_BYTES,
                            name,
                            NI_NAMEREQD);
            return failed == 0 ? Native.string(name.address(), LONGEST) : null;
        }
    }
}
