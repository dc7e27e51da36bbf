package holdfast.ssh.config;

import holdfast.ssh.octets.Octets;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * A server as it is written in one word: {@code user@host:port} or {@code ssh://user@host:port}.
 *
 * @param user null: not said
 * @param port -1: not said
 */
record Destination(@Nullable String user, String host, int port) {

    /** What a URI begins with. */
    static final String SCHEME = "ssh://";

    /**
     * The hosts of a ProxyJump in the order of the way, the one next to the server last (readconf.c
     * parse_jump); none for "none"; null: not well formed.
     */
    static @Nullable List<Destination> jumps(String list) {
        List<Destination> hops = new ArrayList<>(2);
        if (list.equalsIgnoreCase("none")) {
            return hops;
        }
        for (String word : list.split(",", -1)) {
            Destination hop = word.startsWith(SCHEME) ? ofUri(word) : ofWord(word);
            if (hop == null) {
                return null;
            }
            hops.add(hop);
        }
        return hops;
    }

    /**
     * Whether nothing in a ProxyJump of the command line is more to a shell than a word. A file may
     * say what it likes, as in OpenSSH; whether it can be gone to is seen when it is tried.
     */
    static boolean areHarmless(List<Destination> hops) {
        return hops.stream()
                .allMatch(hop ->
                        CommandLine.isValidHost(hop.host)
                                && (hop.user == null || CommandLine.isValidUser(hop.user)));
    }

    /** misc.c parse_user_host_port; null: not well formed. */
    private static @Nullable Destination ofWord(String word) {
        int at = word.lastIndexOf('@');
        if (at == 0) {
            return null;
        }
        String user = at < 0 ? null : word.substring(0, at);
        String rest = word.substring(at + 1);
        int end;
        String host;
        if (rest.startsWith("[")) {
            end = rest.indexOf(']') + 1;
            if (end == 0) {
                return null;
            }
            host = rest.substring(1, end - 1);
        } else {
            end = hostEnd(rest);
            host = rest.substring(0, end);
        }
        if (host.isEmpty() || (end < rest.length() && ":/".indexOf(rest.charAt(end)) < 0)) {
            return null;
        }
        int port = -1;
        if (end + 1 < rest.length()) {
            port = Quantities.port(rest.substring(end + 1));
            if (port <= 0) {
                return null;
            }
        }
        return new Destination(user, host, port);
    }

    /** Where a name ends that a port or a path may follow. */
    private static int hostEnd(String text) {
        int end = 0;
        while (end < text.length() && text.charAt(end) != ':' && text.charAt(end) != '/') {
            end++;
        }
        return end;
    }

    /**
     * misc.c parse_uri, and an IPv6 address in brackets, which OpenSSH does not take here; null:
     * not well formed.
     */
    static @Nullable Destination ofUri(String text) {
        String rest = text.substring(SCHEME.length());
        int at = rest.indexOf('@');
        String user = null;
        if (at >= 0) {
            user = rest.substring(0, at);
            int parameters = user.indexOf(';');
            if (parameters >= 0) {
                user = user.substring(0, parameters);
            }
            user = percentDecoded(user);
            if (user == null || user.isEmpty()) {
                return null;
            }
            rest = rest.substring(at + 1);
        }
        String name;
        if (rest.startsWith("[")) {
            int close = rest.indexOf(']');
            name = close < 0 ? "" : rest.substring(1, close);
            rest = close < 0 ? "" : rest.substring(close + 1);
            boolean address =
                    NumericAddress.canonical(name, ClientSettings.AddressFamily.ANY) != null;
            if (!(address || isDomain(name))
                    || !(rest.isEmpty() || ":/".indexOf(rest.charAt(0)) >= 0)) {
                return null;
            }
        } else {
            int end = hostEnd(rest);
            name = rest.substring(0, end);
            rest = rest.substring(end);
            if (!isDomain(name)) {
                return null;
            }
        }
        int port = -1;
        if (rest.length() > 1 && rest.charAt(0) == ':') {
            int slash = rest.indexOf('/');
            String digits = rest.substring(1, slash < 0 ? rest.length() : slash);
            rest = slash < 0 ? "" : rest.substring(slash);
            port = Quantities.port(digits);
            if (port <= 0) {
                return null;
            }
        }
        if (rest.length() > 1) {
            // A path means nothing here.
            return null;
        }
        return new Destination(user, name, port);
    }

    /** misc.c urldecode; + is a space. Null: a %xx that is none, or %00. */
    private static @Nullable String percentDecoded(String text) {
        if (text.indexOf('%') < 0 && text.indexOf('+') < 0) {
            return text;
        }
        byte[] in = Octets.bytes(text);
        byte[] out = new byte[in.length];
        int length = 0;
        for (int i = 0; i < in.length; i++) {
            byte b = in[i];
            if (b == '+') {
                b = ' ';
            } else if (b == '%') {
                int high = i + 2 < in.length ? Character.digit(in[i + 1], 16) : -1;
                int low = i + 2 < in.length ? Character.digit(in[i + 2], 16) : -1;
                if (high < 0 || low < 0 || high + low == 0) {
                    return null;
                }
                b = (byte) (high << 4 | low);
                i += 2;
            }
            out[length++] = b;
        }
        return Octets.text(out, 0, length);
    }

    /** misc.c valid_domain. */
    private static boolean isDomain(String name) {
        if (name.isEmpty() || name.charAt(0) == '.' || name.charAt(0) == '-') {
            return false;
        }
        char last = 0;
        for (int i = 0; i < name.length(); i++) {
            char c = name.charAt(i);
            boolean plain =
                    (c >= 'a' && c <= 'z')
                            || (c >= 'A' && c <= 'Z')
                            || (c >= '0' && c <= '9')
                            || c == '.'
                            || c == '-'
                            || c == '_';
            if (!plain || (c == '.' && last == '.')) {
                return false;
            }
            last = c;
        }
        return true;
    }
}
