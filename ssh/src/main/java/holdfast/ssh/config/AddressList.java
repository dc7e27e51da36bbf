package holdfast.ssh.config;

import java.net.InetAddress;
import java.net.UnknownHostException;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * Lists of addresses, as Match Address, AllowUsers and {@code from=} write them: addresses, ranges
 * in CIDR form and patterns, with commas between and {@code !} before what is left out
 * (addrmatch.c).
 */
public final class AddressList {

    /** An entry longer than this is a pattern and no address, as in OpenSSH. */
    private static final int MAX_ENTRY = 63;

    private AddressList() {}

    /** What a list says of an address. */
    public enum Verdict {
        /** An entry matched, and none that is negated did before the end of the list. */
        LISTED,
        /** Nothing matched. */
        NOT_LISTED,
        /** A negated entry matched. */
        LEFT_OUT,
        /** The list is wrong: an empty entry, a mask too long, bits set behind the mask. */
        INVALID
    }

    /** An address, and how many of its leading bits count. */
    private record Range(byte[] address, int bits) {}

    /** Whether a list can be understood. */
    public static boolean isValid(String list) {
        return match(null, list) != Verdict.INVALID;
    }

    /**
     * Looks an address up.
     *
     * @param address numeric; null, or something else: matches nothing, and only mistakes in the
     *     list are found
     */
    public static Verdict match(@Nullable String address, String list) {
        byte[] wanted = address == null ? null : bytes(address);
        if (address != null && wanted == null) {
            return Verdict.NOT_LISTED;
        }
        Verdict verdict = Verdict.NOT_LISTED;
        for (String entry : list.split(",", -1)) {
            boolean negated = entry.startsWith("!");
            String plain = negated ? entry.substring(1) : entry;
            if (plain.isEmpty()) {
                return Verdict.INVALID;
            }
            int slash = plain.indexOf('/');
            Range range = range(plain, slash);
            boolean matches;
            if (range != null) {
                if (!isConsistent(range)) {
                    return Verdict.INVALID;
                }
                matches = wanted != null && isWithin(wanted, range);
            } else {
                matches = address != null && Patterns.matches(address, plain);
            }
            if (matches) {
                if (negated) {
                    return Verdict.LEFT_OUT;
                }
                verdict = Verdict.LISTED;
            }
        }
        return verdict;
    }

    /**
     * Whether a client is in a list of host names and addresses (match.c match_host_and_ip): in as
     * an address or as a name, and left out as neither.
     *
     * @return null if the list is wrong
     */
    public static @Nullable Boolean matchesHost(String host, String address, String list) {
        Verdict verdict = match(address, list);
        if (verdict == Verdict.INVALID) {
            return null;
        }
        if (verdict == Verdict.LEFT_OUT) {
            return false;
        }
        int byName = Patterns.list(host.toLowerCase(java.util.Locale.ROOT), list, true);
        return byName >= 0 && (byName == 1 || verdict == Verdict.LISTED);
    }

    private static @Nullable Range range(String entry, int slash) {
        if (entry.length() > MAX_ENTRY) {
            return null;
        }
        int bits = -1;
        if (slash >= 0) {
            String digits = entry.substring(slash + 1);
            if (digits.isEmpty() || !digits.chars().allMatch(c -> c >= '0' && c <= '9')) {
                return null;
            }
            bits = digits.length() > 9 ? 129 : Integer.parseInt(digits);
            if (bits > 128) {
                return null;
            }
        }
        byte[] address = bytes(slash < 0 ? entry : entry.substring(0, slash));
        return address == null ? null : new Range(address, bits < 0 ? address.length * 8 : bits);
    }

    private static boolean isConsistent(Range range) {
        if (range.bits() > range.address().length * 8) {
            return false;
        }
        byte[] masked = range.address().clone();
        mask(masked, range.bits());
        return Arrays.equals(masked, range.address());
    }

    private static boolean isWithin(byte[] address, Range range) {
        if (address.length != range.address().length) {
            return false;
        }
        byte[] masked = address.clone();
        mask(masked, range.bits());
        return Arrays.equals(masked, range.address());
    }

    private static void mask(byte[] address, int bits) {
        for (int i = 0; i < address.length; i++) {
            int kept = Math.clamp(bits - 8L * i, 0, 8);
            address[i] &= (byte) (0xff << (8 - kept));
        }
    }

    /** Four or sixteen bytes, or null if it is no numeric address. */
    private static byte @Nullable [] bytes(String text) {
        String usual = NumericAddress.canonical(text, ClientSettings.AddressFamily.ANY);
        if (usual == null) {
            return null;
        }
        int percent = usual.indexOf('%');
        String plain = percent < 0 ? usual : usual.substring(0, percent);
        boolean six = plain.indexOf(':') >= 0;
        try {
            byte[] address = InetAddress.getByName(plain).getAddress();
            if (six && address.length == 4) {
                // Java unwraps an IPv4 address in IPv6 clothes; OpenSSH does not.
                byte[] mapped = new byte[16];
                mapped[10] = (byte) 0xff;
                mapped[11] = (byte) 0xff;
                System.arraycopy(address, 0, mapped, 12, 4);
                return mapped;
            }
            return address;
        } catch (UnknownHostException e) {
            return null;
        }
    }
}
