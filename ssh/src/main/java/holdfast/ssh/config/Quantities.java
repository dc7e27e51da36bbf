package holdfast.ssh.config;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/** Numbers, times, sizes and ports as OpenSSH reads them. */
final class Quantities {

    private static final int[] SECONDS_IN = {1, 60, 3600, 86400, 604800};

    /** What a tether may announce (PROTOCOL.md section 8). */
    static final long LEAST_TETHER_BUFFER = 64 << 10;

    static final long MOST_TETHER_BUFFER = 64 << 20;

    private static final String ANY_DEVICE = "any";

    /** misc.h SSH_TUNID_MAX: the two above it have a meaning of their own. */
    private static final int HIGHEST_DEVICE = Integer.MAX_VALUE - 2;

    private Quantities() {}

    /**
     * The numbers of a tunnel's two devices as {@code -G} prints them, one alone being ours; null:
     * they are none.
     */
    static @Nullable String tunnelDevices(String text) {
        int colon = text.indexOf(':');
        String here = tunnelDevice(colon < 0 ? text : text.substring(0, colon));
        String there = colon < 0 ? ANY_DEVICE : tunnelDevice(text.substring(colon + 1));
        return here == null || there == null ? null : here + ":" + there;
    }

    private static @Nullable String tunnelDevice(String text) {
        if (text.equalsIgnoreCase(ANY_DEVICE)) {
            return ANY_DEVICE;
        }
        if (numberError(text) != null || number(text) > HIGHEST_DEVICE) {
            return null;
        }
        return Integer.toString(number(text));
    }

    /** Why {@code text} is not a number from 0 to 2^31-1, in OpenSSH's word; null if it is one. */
    static @Nullable String numberError(String text) {
        if (text.isEmpty()) {
            return "missing";
        }
        int at = Words.skipBlanks(text, 0);
        boolean negative = at < text.length() && text.charAt(at) == '-';
        if (negative || (at < text.length() && text.charAt(at) == '+')) {
            at++;
        }
        if (at == text.length()) {
            return "invalid";
        }
        boolean zero = true;
        for (int i = at; i < text.length(); i++) {
            char c = text.charAt(i);
            if (c < '0' || c > '9') {
                return "invalid";
            }
            zero &= c == '0';
        }
        if (negative && !zero) {
            return "too small";
        }
        return digits(text, at) > Integer.MAX_VALUE ? "too large" : null;
    }

    /** The number, once {@link #numberError} found nothing wrong with it. */
    static int number(String text) {
        int at = Words.skipBlanks(text, 0);
        if (at < text.length() && (text.charAt(at) == '+' || text.charAt(at) == '-')) {
            at++;
        }
        return (int) digits(text, at);
    }

    /** The digits from {@code at} to the end; too many of them: more than an int holds. */
    private static long digits(String text, int at) {
        long value = 0;
        for (int i = at; i < text.length(); i++) {
            value = Math.min(value * 10 + (text.charAt(i) - '0'), 1L << 40);
        }
        return value;
    }

    /** A port by number or by its name in /etc/services; -1 if it is neither. */
    static int port(String text) {
        if (numberError(text) == null) {
            int port = number(text);
            return port <= 65535 ? port : -1;
        }
        if (text.equals("ssh")) {
            return 22;
        }
        if (text.isEmpty() || text.charAt(0) < 'a' || text.charAt(0) > 'z') {
            return -1;
        }
        try {
            String services =
                    new String(
                            Files.readAllBytes(Path.of("/etc/services")),
                            StandardCharsets.ISO_8859_1);
            for (String line : services.split("\n", -1)) {
                int hash = line.indexOf('#');
                String[] fields =
                        (hash < 0 ? line : line.substring(0, hash)).trim().split("\\s+", -1);
                if (fields.length < 2 || !fields[1].endsWith("/tcp")) {
                    continue;
                }
                for (int i = 0; i < fields.length; i++) {
                    if (i != 1 && fields[i].equals(text)) {
                        return Integer.parseInt(fields[1].substring(0, fields[1].length() - 4));
                    }
                }
            }
        } catch (IOException | NumberFormatException e) {
            // No list of services, or a broken one: then no service has a name.
            return -1;
        }
        return -1;
    }

    /** Seconds of a time such as {@code 90}, {@code 1m30s} or {@code 1h}; -1 if it is none. */
    static int seconds(String text) {
        if (text.isEmpty()) {
            return -1;
        }
        long total = 0;
        int at = 0;
        while (at < text.length()) {
            int from = Words.skipBlanks(text, at);
            if (from < text.length() && text.charAt(from) == '+') {
                from++;
            }
            at = from;
            long value = 0;
            while (at < text.length() && text.charAt(at) >= '0' && text.charAt(at) <= '9') {
                value = Math.min(value * 10 + (text.charAt(at) - '0'), Integer.MAX_VALUE + 1L);
                at++;
            }
            if (at == from) {
                return -1;
            }
            int unit = 0;
            if (at < text.length()) {
                unit = "smhdw".indexOf(Character.toLowerCase(text.charAt(at)));
                at++;
            }
            if (unit < 0) {
                return -1;
            }
            total += value * SECONDS_IN[unit];
            if (total > Integer.MAX_VALUE) {
                return -1;
            }
        }
        return (int) total;
    }

    /** What {@link #bytes} gives for a text that is no size, and for one that is too large. */
    static final long NOT_A_SIZE = Long.MIN_VALUE;

    static final long SIZE_TOO_LARGE = Long.MIN_VALUE + 1;

    /** Bytes of a size such as {@code 500M} or {@code 1.5G} (units of 1024). */
    static long bytes(String text) {
        int at = Words.skipBlanks(text, 0);
        boolean negative = at < text.length() && text.charAt(at) == '-';
        if (negative || (at < text.length() && text.charAt(at) == '+')) {
            at++;
        }
        long whole = 0;
        int digits = 0;
        long fraction = 0;
        long fractionScale = 1;
        boolean afterPoint = false;
        for (; at < text.length(); at++) {
            char c = text.charAt(at);
            if (c == '.' && !afterPoint) {
                afterPoint = true;
            } else if (c >= '0' && c <= '9') {
                if (afterPoint) {
                    // More digits than this do not change a whole number of bytes.
                    if (fractionScale < 1_000_000_000L) {
                        fraction = fraction * 10 + (c - '0');
                        fractionScale *= 10;
                    }
                } else {
                    if (++digits > 18) {
                        return SIZE_TOO_LARGE;
                    }
                    whole = whole * 10 + (c - '0');
                }
            } else {
                break;
            }
        }
        int power = 0;
        if (at < text.length()) {
            power = "bkmgtpe".indexOf(Character.toLowerCase(text.charAt(at)));
            if (power < 0 || at + 1 < text.length()) {
                return NOT_A_SIZE;
            }
        }
        long scale = 1L << (10 * power);
        if (whole > Long.MAX_VALUE / scale - 1) {
            return SIZE_TOO_LARGE;
        }
        long part = (long) ((double) fraction / fractionScale * scale);
        long bytes = whole * scale + part;
        return negative ? -bytes : bytes;
    }
}
