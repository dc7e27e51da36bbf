package holdfast.ssh.system;

import java.net.Inet6Address;
import java.net.InetAddress;
import java.net.NetworkInterface;
import java.net.SocketException;
import java.net.UnknownHostException;

/** The interface behind an IPv6 address, as in {@code fe80::1%eth0} (RFC 4007). */
public final class Scope {

    private Scope() {}

    /**
     * The name of the interface of that number; the number where there is none (if_indextoname).
     */
    public static String name(int index) {
        try {
            NetworkInterface device = NetworkInterface.getByIndex(index);
            return device == null ? Integer.toString(index) : device.getName();
        } catch (SocketException e) {
            return Integer.toString(index);
        }
    }

    /**
     * All addresses of a name, or the one that it is; may wait for the network. For Java an
     * interface is none of an address's unless it has one of that kind itself.
     *
     * @throws UnknownHostException the name, a colon and the system's words
     */
    public static InetAddress[] addresses(String name) throws UnknownHostException {
        int percent = name.indexOf('%');
        if (percent < 0 || name.indexOf(':') < 0) {
            return InetAddress.getAllByName(name);
        }
        try {
            InetAddress bare = InetAddress.ofLiteral(name.substring(0, percent));
            int index = number(name.substring(percent + 1));
            if (index >= 0) {
                return new InetAddress[] {
                    Inet6Address.getByAddress(null, bare.getAddress(), index)
                };
            }
        } catch (IllegalArgumentException | SocketException e) {
            // It is no address.
        }
        throw new UnknownHostException(name + ": Name or service not known");
    }

    /** By its name, or the number itself; negative: there is none. */
    private static int number(String name) throws SocketException {
        if (name.isEmpty()) {
            return -1;
        }
        NetworkInterface device = NetworkInterface.getByName(name);
        if (device != null) {
            return device.getIndex();
        }
        boolean digits = name.length() < 10 && name.chars().allMatch(c -> c >= '0' && c <= '9');
        return digits ? Integer.parseInt(name) : -1;
    }
}
