package holdfast.ssh.server.auth;

import holdfast.ssh.hostkeys.NumericAddress;
import holdfast.ssh.log.Log;
import java.net.InetAddress;
import java.net.UnknownHostException;
import java.util.Arrays;
import java.util.Locale;

/** The name of a client under UseDNS. */
final class ClientName {

    private ClientName() {}

    /** Its name, if the name and the address name each other; else the address. Waits. */
    static String of(InetAddress bare, Log log) {
        String address = NumericAddress.text(bare);
        try {
            String name = InetAddress.getByAddress(bare.getAddress()).getCanonicalHostName();
            if (Addresses.bytes(name) != null) {
                return address;
            }
            for (InetAddress each : InetAddress.getAllByName(name)) {
                if (Arrays.equals(each.getAddress(), bare.getAddress())) {
                    return name.toLowerCase(Locale.ROOT);
                }
            }
            log.info(
                    "Address "
                            + address
                            + " maps to "
                            + Safe.text(name)
                            + ", but this does not map back to the address.");
        } catch (UnknownHostException e) {
            log.debug("reverse mapping of " + address + " failed");
        }
        return address;
    }
}
