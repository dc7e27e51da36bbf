package holdfast.ssh.hostkeys;

import holdfast.ssh.system.Scope;
import java.net.Inet6Address;
import java.net.InetAddress;
import java.net.NetworkInterface;

/** An address as OpenSSH writes it in messages and known_hosts (getnameinfo, NI_NUMERICHOST). */
public final class NumericAddress {

    private NumericAddress() {}

    /** {@code 192.0.2.1}, {@code 2001:db8::1}, {@code fe80::1%eth0}. */
    public static String text(InetAddress address) {
        return address instanceof Inet6Address six
                ? colons(six.getAddress()) + scope(six)
                : address.getHostAddress();
    }

    private static String scope(Inet6Address address) {
        if (!address.isLinkLocalAddress() && !address.isMCLinkLocal()) {
            return "";
        }
        NetworkInterface named = address.getScopedInterface();
        if (named != null) {
            return "%" + named.getName();
        }
        return address.getScopeId() == 0 ? "" : "%" + Scope.name(address.getScopeId());
    }

    /** RFC 5952: the longest run of two or more zero groups, the first of equals, becomes "::". */
    private static String colons(byte[] bytes) {
        int[] groups = new int[8];
        for (int i = 0; i < 8; i++) {
            groups[i] = (bytes[2 * i] & 0xff) << 8 | (bytes[2 * i + 1] & 0xff);
        }
        int runAt = -1;
        int runLength = 1;
        for (int i = 0; i < 8; i++) {
            int end = i;
            while (end < 8 && groups[end] == 0) {
                end++;
            }
            if (end - i > runLength) {
                runAt = i;
                runLength = end - i;
            }
        }
        StringBuilder text = new StringBuilder(39);
        for (int i = 0; i < 8; ) {
            if (i == runAt) {
                text.append("::");
                i += runLength;
                continue;
            }
            if (i != 0 && i != runAt + runLength) {
                text.append(':');
            }
            text.append(Integer.toHexString(groups[i]));
            i++;
        }
        return text.toString();
    }
}
