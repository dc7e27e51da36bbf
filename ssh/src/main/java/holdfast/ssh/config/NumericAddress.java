package holdfast.ssh.config;

import holdfast.ssh.config.ClientSettings.AddressFamily;
import holdfast.ssh.system.Scope;
import org.jspecify.annotations.Nullable;

/** Addresses written as numbers, brought into the form the resolver prints them in. */
final class NumericAddress {

    private NumericAddress() {}

    /** Whether OpenSSH takes the name for an address without asking anybody (ssh.c is_addr). */
    static boolean looksLikeOne(String name, AddressFamily family) {
        boolean digits = true;
        for (int i = 0; i < name.length(); i++) {
            char c = name.charAt(i);
            if (c == ':' || c == '%') {
                return true;
            }
            digits &= c == '.' || (c >= '0' && c <= '9');
        }
        return digits || canonical(name, family) != null;
    }

    /**
     * The usual form of an address ({@code 127.1} is {@code 127.0.0.1}), or null if it is none of
     * this family. An IPv4 address in IPv6 clothes is itself where IPv4 is wanted.
     */
    static @Nullable String canonical(String name, AddressFamily family) {
        String usual = canonical(name);
        if (usual == null) {
            return null;
        }
        boolean four = usual.indexOf(':') < 0;
        return switch (family) {
            case ANY -> usual;
            case INET6 -> four ? null : usual;
            case INET -> {
                if (!four && usual.startsWith("::ffff:") && usual.indexOf('.') > 0) {
                    yield usual.substring("::ffff:".length());
                }
                yield four ? usual : null;
            }
        };
    }

    private static @Nullable String canonical(String name) {
        if (name.indexOf(':') >= 0) {
            return canonical6(name);
        }
        return !name.isEmpty() && name.charAt(0) >= '0' && name.charAt(0) <= '9'
                ? canonical4(name)
                : null;
    }

    /** inet_aton: one to four parts, decimal, octal or hexadecimal, the last filling the rest. */
    private static @Nullable String canonical4(String name) {
        String[] parts = name.split("\\.", -1);
        if (parts.length > 4) {
            return null;
        }
        long address = 0;
        for (int i = 0; i < parts.length; i++) {
            long part = number(parts[i]);
            boolean last = i == parts.length - 1;
            long limit = last ? 1L << (8 * (5 - parts.length)) : 256;
            if (part < 0 || part >= limit) {
                return null;
            }
            address |= last ? part : part << (24 - 8 * i);
        }
        return (address >> 24)
                + "."
                + (address >> 16 & 255)
                + "."
                + (address >> 8 & 255)
                + "."
                + (address & 255);
    }

    private static long number(String text) {
        int radix = 10;
        int from = 0;
        if (text.length() > 1 && text.charAt(0) == '0') {
            boolean hex = text.charAt(1) == 'x' || text.charAt(1) == 'X';
            radix = hex ? 16 : 8;
            from = hex ? 2 : 1;
        }
        if (from == text.length() || text.length() > 20) {
            return -1;
        }
        long value = 0;
        for (int i = from; i < text.length(); i++) {
            int digit = Character.digit(text.charAt(i), radix);
            if (digit < 0 || text.charAt(i) > 127) {
                return -1;
            }
            value = Math.min(value * radix + digit, 1L << 40);
        }
        return value;
    }

    private static @Nullable String canonical6(String name) {
        int percent = name.indexOf('%');
        String text = percent < 0 ? name : name.substring(0, percent);
        int[] groups = new int[8];
        int count = 0;
        int gap = -1;
        int at = 0;
        if (text.startsWith("::")) {
            gap = 0;
            at = 2;
        } else if (text.startsWith(":")) {
            return null;
        }
        while (at < text.length()) {
            int colon = text.indexOf(':', at);
            int end = colon < 0 ? text.length() : colon;
            String group = text.substring(at, end);
            if (colon < 0 && group.indexOf('.') >= 0) {
                String four = group.split("\\.", -1).length == 4 ? canonical4(group) : null;
                if (four == null || count > 6) {
                    return null;
                }
                String[] bytes = four.split("\\.", -1);
                groups[count++] = Integer.parseInt(bytes[0]) << 8 | Integer.parseInt(bytes[1]);
                groups[count++] = Integer.parseInt(bytes[2]) << 8 | Integer.parseInt(bytes[3]);
                break;
            }
            int value = hexGroup(group);
            if (value < 0 || count == 8) {
                return null;
            }
            groups[count++] = value;
            if (colon < 0) {
                break;
            }
            at = colon + 1;
            if (at < text.length() && text.charAt(at) == ':') {
                if (gap >= 0) {
                    return null;
                }
                gap = count;
                at++;
            } else if (at == text.length()) {
                return null;
            }
        }
        if (gap < 0 ? count != 8 : count > 7) {
            return null;
        }
        if (gap >= 0) {
            int shift = 8 - count;
            for (int i = 7; i >= gap + shift; i--) {
                groups[i] = groups[i - shift];
            }
            for (int i = gap; i < gap + shift; i++) {
                groups[i] = 0;
            }
        }
        return print6(groups) + (percent < 0 ? "" : scope(groups[0], name.substring(percent)));
    }

    /** Behind the address of a link, the number of an interface is its name. */
    private static String scope(int first, String scope) {
        boolean link = (first & 0xffc0) == 0xfe80 || (first & 0xff0f) == 0xff02;
        long number = link ? number10(scope.substring(1)) : -1;
        return number < 0 ? scope : number == 0 ? "" : "%" + Scope.name((int) number);
    }

    /** A number below a billion in decimal digits; negative: it is none. */
    private static long number10(String text) {
        return !text.isEmpty()
                        && text.length() < 10
                        && text.chars().allMatch(c -> c >= '0' && c <= '9')
                ? Long.parseLong(text)
                : -1;
    }

    private static int hexGroup(String group) {
        if (group.isEmpty() || group.length() > 4) {
            return -1;
        }
        int value = 0;
        for (int i = 0; i < group.length(); i++) {
            int digit = Character.digit(group.charAt(i), 16);
            if (digit < 0 || group.charAt(i) > 127) {
                return -1;
            }
            value = value << 4 | digit;
        }
        return value;
    }

    /** inet_ntop: the first longest run of two or more zero groups is left out. */
    private static String print6(int[] groups) {
        int best = -1;
        int bestLength = 1;
        for (int i = 0; i < 8; i++) {
            int end = i;
            while (end < 8 && groups[end] == 0) {
                end++;
            }
            if (end - i > bestLength) {
                best = i;
                bestLength = end - i;
            }
            i = Math.max(i, end - 1);
        }
        boolean mapped = best == 0 && (bestLength == 6 || (bestLength == 5 && groups[5] == 0xffff));
        StringBuilder out = new StringBuilder(40);
        for (int i = 0; i < 8; i++) {
            if (i == best) {
                out.append(i == 0 ? "::" : ":");
                i += bestLength - 1;
                continue;
            }
            if (mapped && i == 6) {
                return out.append(groups[6] >> 8)
                        .append('.')
                        .append(groups[6] & 255)
                        .append('.')
                        .append(groups[7] >> 8)
                        .append('.')
                        .append(groups[7] & 255)
                        .toString();
            }
            out.append(Integer.toHexString(groups[i]));
            if (i < 7) {
                out.append(':');
            }
        }
        return out.toString();
    }
}
