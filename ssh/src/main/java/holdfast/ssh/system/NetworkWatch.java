package holdfast.ssh.system;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.time.Duration;
import java.util.concurrent.locks.LockSupport;

/**
 * Tells when an address, a route or a link of this machine changes: the kernel's own word
 * (rtnetlink(7)), so that nobody has to ask again and again.
 */
public final class NetworkWatch {

    private static final int AF_NETLINK = 16;
    private static final int SOCK_RAW = 3;
    private static final int SOCK_CLOEXEC = 0x80000;

    private static final int RTMGRP_LINK = 1;
    private static final int RTMGRP_IPV4_IFADDR = 0x10;
    private static final int RTMGRP_IPV4_ROUTE = 0x40;
    private static final int RTMGRP_IPV6_IFADDR = 0x100;
    private static final int RTMGRP_IPV6_ROUTE = 0x400;

    private static final int RTM_NEWLINK = 16;
    private static final int RTM_DELLINK = 17;
    private static final int RTM_NEWADDR = 20;
    private static final int RTM_DELADDR = 21;
    private static final int RTM_NEWROUTE = 24;
    private static final int RTM_DELROUTE = 25;

    /** Bits of ifi_change that say whether a link carries: up, running, a carrier. */
    private static final int IFF_CARRIES = 1 | 0x40 | 0x10000;

    /** struct nlmsghdr, and ifi_change in the struct ifinfomsg behind it. */
    private static final int HEADER_BYTES = 16;

    private static final int CHANGE_AT = HEADER_BYTES + 12;

    /** Changes come in bursts; the last of one matters as much as the first. */
    private static final Duration BURST = Duration.ofMillis(200);

    private NetworkWatch() {}

    /**
     * Watches on a thread of its own until the process ends. Where the kernel does not let us,
     * nothing is ever told.
     *
     * @param changed told of the first change of a burst and again after it; must not block
     */
    public static Thread start(Runnable changed) {
        return Thread.ofPlatform().daemon().name("network").start(() -> watch(changed));
    }

    private static void watch(Runnable changed) {
        int fd =
                Native.call(
                        Native.symbol("socket"),
                        AF_NETLINK,
                        SOCK_RAW | SOCK_CLOEXEC,
                        0 /* ROUTE */);
        if (fd < 0) {
            return;
        }
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment address = arena.allocate(12, 4);
            address.set(ValueLayout.JAVA_SHORT, 0, (short) AF_NETLINK);
            address.set(
                    ValueLayout.JAVA_INT,
                    8,
                    RTMGRP_LINK
                            | RTMGRP_IPV4_IFADDR
                            | RTMGRP_IPV4_ROUTE
                            | RTMGRP_IPV6_IFADDR
                            | RTMGRP_IPV6_ROUTE);
            if (Native.call(Native.symbol("bind"), fd, address.address(), address.byteSize()) < 0) {
                return;
            }
            MemorySegment recv = Native.symbol("recv");
            MemorySegment bytes = arena.allocate(Native.SCRATCH_BYTES, 8);
            while (true) {
                int count = Native.call(recv, fd, bytes.address(), bytes.byteSize(), 0 /* flags */);
                if (count < 0 && count != -Native.EINTR && count != -ENOBUFS) {
                    return;
                }
                // So many that some were lost: something has changed.
                if (count < 0 ? count == -ENOBUFS : matters(bytes, count)) {
                    changed.run();
                    LockSupport.parkNanos(BURST.toNanos());
                    while (Native.call(
                                    recv,
                                    fd,
                                    bytes.address(),
                                    bytes.byteSize(),
                                    Native.MSG_DONTWAIT)
                            > 0) {
                        // of the same burst
                    }
                    changed.run();
                }
            }
        } finally {
            Native.close(fd);
        }
    }

    private static final int ENOBUFS = 105;

    private static boolean matters(MemorySegment bytes, int count) {
        for (int at = 0; at + HEADER_BYTES <= count; ) {
            int length = bytes.get(ValueLayout.JAVA_INT, at);
            int type = bytes.get(ValueLayout.JAVA_SHORT, at + 4) & 0xffff;
            if (length < HEADER_BYTES || at + length > count) {
                return false;
            }
            switch (type) {
                case RTM_DELLINK, RTM_NEWADDR, RTM_DELADDR, RTM_NEWROUTE, RTM_DELROUTE -> {
                    return true;
                }
                case RTM_NEWLINK -> {
                    // Also sent for what concerns nobody, such as a wireless card's statistics.
                    if (length >= CHANGE_AT + 4
                            && (bytes.get(ValueLayout.JAVA_INT, at + CHANGE_AT) & IFF_CARRIES)
                                    != 0) {
                        return true;
                    }
                }
                default -> {}
            }
            at += (length + 3) & ~3;
        }
        return false;
    }
}
