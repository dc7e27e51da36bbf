package holdfast.ssh.server.auth;

import holdfast.ssh.config.Patterns;
import java.net.InetAddress;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/** Lists of addresses, CIDR ranges and patterns of hosts (OpenSSH's addrmatch.c, match.c). */
final class Addresses {

    private Addresses() {}

    /** What a list says of an address. */
    enum Answer {
        YES,
        NO,
        /** A negated entry fits, which beats all others. */
        NEGATED,
        /** The list cannot be understood. */
        INVALID
    }

    /** Whether {@code address}, or {@code host}, may come, as {@code from=} says it. */
    static Answer hostAndAddress(String host, String address, String patterns) {
        Answer byAddress = list(address, patterns);
        if (byAddress == Answer.INVALID) {
            return Answer.INVALID;
        }
        if (byAddress == Answer.NEGATED) {
            return Answer.NO;
        }
        int byName = Patterns.list(host.toLowerCase(Locale.ROOT), patterns, true);
        if (byName < 0) {
            return Answer.NO;
        }
        return byName == 1 || byAddress == Answer.YES ? Answer.YES : Answer.NO;
    }

    /** OpenSSH's addr_match_list: ranges, and patterns over the address's text. */
    static Answer list(String address, String list) {
        byte[] peer = bytes(address);
        Answer answer = Answer.NO;
        for (String entry : list.split(",", -1)) {
            boolean negated = entry.startsWith("!");
            String text = negated ? entry.substring(1) : entry;
            if (text.isEmpty()) {
                return Answer.INVALID;
            }
            boolean fits;
            Range range;
            try {
                range = Range.of(text);
            } catch (IllegalArgumentException inconsistent) {
                return Answer.INVALID;
            }
            if (range != null) {
                fits = peer != null && range.contains(peer);
            } else {
                fits = Patterns.matches(address, text);
            }
            if (fits && negated) {
                return Answer.NEGATED;
            }
            if (fits) {
                answer = Answer.YES;
            }
        }
        return answer;
    }

    /**
     * OpenSSH's addr_match_cidr_list: ranges only, no negation, as certificates carry them.
     *
     * @param address null: only whether the list is well-formed
     */
    static Answer ranges(@Nullable String address, String list) {
        byte[] peer = address == null ? null : bytes(address);
        Answer answer = Answer.NO;
        for (String entry : list.split(",", -1)) {
            Range range;
            try {
                range = entry.length() > 64 ? null : Range.of(entry);
            } catch (IllegalArgumentException inconsistent) {
                return Answer.INVALID;
            }
            if (range == null) {
                return Answer.INVALID;
            }
            if (peer != null && range.contains(peer)) {
                answer = Answer.YES;
            }
        }
        return answer;
    }

    /** The bytes of an address written in numbers, or null. */
    static byte @Nullable [] bytes(String text) {
        int percent = text.indexOf('%');
        String bare = percent < 0 ? text : text.substring(0, percent);
        boolean colon = false;
        int dots = 0;
        for (int i = 0; i < bare.length(); i++) {
            char c = bare.charAt(i);
            colon |= c == ':';
            dots += c == '.' ? 1 : 0;
            if ((Character.digit(c, 16) < 0 && c != ':' && c != '.') || c > 127) {
                return null;
            }
        }
        if (!colon && dots != 3) {
            return null; // 127.1 is no address to OpenSSH's getaddrinfo(AI_NUMERICHOST) here
        }
        try {
            return InetAddress.ofLiteral(bare).getAddress();
        } catch (IllegalArgumentException e) {
            return null;
        }
    }

    /** An address and how many of its leading bits count. */
    @SuppressWarnings("ArrayRecordComponent") // never compared
    private record Range(byte[] network, int bits) {

        /**
         * @return null if the text is no address
         * @throws IllegalArgumentException if bits are set behind the mask, as OpenSSH refuses it
         */
        static @Nullable Range of(String text) {
            int slash = text.indexOf('/');
            byte[] network = bytes(slash < 0 ? text : text.substring(0, slash));
            if (network == null) {
                return null;
            }
            int bits = network.length * 8;
            if (slash >= 0) {
                String length = text.substring(slash + 1);
                if (length.isEmpty() || length.length() > 3) {
                    return null;
                }
                int given = 0;
                for (int i = 0; i < length.length(); i++) {
                    char c = length.charAt(i);
                    if (c < '0' || c > '9') {
                        return null;
                    }
                    given = given * 10 + (c - '0');
                }
                if (given > bits) {
                    throw new IllegalArgumentException("mask too long");
                }
                bits = given;
            }
            for (int bit = bits; bit < network.length * 8; bit++) {
                if ((network[bit / 8] & 0x80 >> bit % 8) != 0) {
                    throw new IllegalArgumentException("bits behind the mask");
                }
            }
            return new Range(network, bits);
        }

        boolean contains(byte[] address) {
            if (address.length != network.length) {
                return false;
            }
            for (int bit = 0; bit < bits; bit++) {
                int mask = 0x80 >> bit % 8;
                if ((address[bit / 8] & mask) != (network[bit / 8] & mask)) {
                    return false;
                }
            }
            return true;
        }
    }
}
