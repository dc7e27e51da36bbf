package holdfast.ssh.config;

import holdfast.ssh.octets.Octets;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * One forwarding: the argument of {@code -L}, {@code -R}, {@code -D} or {@code -W}, or a line of
 * LocalForward, RemoteForward or DynamicForward (readconf.c parse_forward).
 */
public record ForwardSpec(Endpoint listen, Endpoint connect) {

    /** What a specification may be: whether it says where to go, and whether port 0 has a sense. */
    public enum Kind {
        LOCAL,
        REMOTE,
        DYNAMIC,
        STDIO
    }

    /** Longest host name (NI_MAXHOST) and socket path (sun_path) that OpenSSH takes, exclusive. */
    private static final int HOST_LIMIT = 1025;

    private static final int PATH_LIMIT = 108;

    private record Field(String text, boolean path) {}

    /** Reads {@code [address:]port:host:hostport} and its kin; null: it is not one. */
    public static @Nullable ForwardSpec parse(String text, Kind kind) {
        return switch (kind) {
            case LOCAL -> parse(text, false, false);
            case DYNAMIC, STDIO -> parse(text, true, false);
            case REMOTE -> {
                ForwardSpec fixed = parse(text, false, true);
                yield fixed == null ? parse(text, true, true) : fixed;
            }
        };
    }

    private static @Nullable ForwardSpec parse(String text, boolean dynamic, boolean remote) {
        List<Field> fields = fields(text);
        if (fields == null) {
            return null;
        }
        Field first = fields.get(0);
        Endpoint listen;
        Endpoint connect = new Endpoint.Socks();
        switch (fields.size()) {
            case 1 -> listen = first.path() ? unix(first) : tcp(null, first);
            case 2 -> {
                Field second = fields.get(1);
                if (first.path() && second.path()) {
                    listen = unix(first);
                    connect = unix(second);
                } else if (second.path()) {
                    listen = tcp(null, first);
                    connect = unix(second);
                } else {
                    listen = tcp(first, second);
                }
            }
            case 3 -> {
                if (first.path()) {
                    listen = unix(first);
                    connect = tcp(fields.get(1), fields.get(2));
                } else if (fields.get(2).path()) {
                    listen = tcp(first, fields.get(1));
                    connect = unix(fields.get(2));
                } else {
                    listen = tcp(null, first);
                    connect = tcp(fields.get(1), fields.get(2));
                }
            }
            default -> {
                listen = tcp(first, fields.get(1));
                connect = tcp(fields.get(2), fields.get(3));
            }
        }
        if (dynamic != connect instanceof Endpoint.Socks || !fits(listen) || !fits(connect)) {
            return null;
        }
        if (connect instanceof Endpoint.Tcp target && target.port() <= 0) {
            return null;
        }
        if (listen instanceof Endpoint.Tcp at && (at.port() < 0 || (at.port() == 0 && !remote))) {
            return null;
        }
        return new ForwardSpec(listen, connect);
    }

    private static Endpoint tcp(@Nullable Field host, Field port) {
        return new Endpoint.Tcp(host == null ? null : host.text(), portOf(port.text()));
    }

    /** Digits alone; -1 where they are none (OpenSSH also takes names of services). */
    private static int portOf(String text) {
        if (text.equals("0")) {
            return 0;
        }
        int port = Quantities.port(text);
        return port <= 0 ? -1 : port;
    }

    private static Endpoint unix(Field path) {
        return new Endpoint.Unix(path.text());
    }

    private static boolean fits(Endpoint endpoint) {
        return switch (endpoint) {
            case Endpoint.Tcp tcp -> tcp.host() == null || bytes(tcp.host()) < HOST_LIMIT;
            case Endpoint.Unix unix -> bytes(unix.path()) < PATH_LIMIT;
            case Endpoint.Socks _ -> true;
        };
    }

    private static int bytes(String text) {
        return Octets.bytes(text).length;
    }

    /** One to four fields; null: more, none, or a bracket or backslash that is not closed. */
    private static @Nullable List<Field> fields(String text) {
        String all = text.stripLeading();
        List<Field> fields = new ArrayList<>(4);
        int at = 0;
        while (at < all.length()) {
            if (fields.size() == 4) {
                return null;
            }
            if (all.charAt(at) == '[') {
                int close = all.indexOf(']', at);
                if (close < 0 || (close + 1 < all.length() && all.charAt(close + 1) != ':')) {
                    return null;
                }
                String literal = all.substring(at + 1, close);
                fields.add(new Field(literal, literal.indexOf('/') >= 0));
                at = close + 2;
                continue;
            }
            StringBuilder field = new StringBuilder();
            boolean path = false;
            while (at < all.length() && all.charAt(at) != ':') {
                char c = all.charAt(at++);
                if (c == '\\') {
                    if (at == all.length()) {
                        return null;
                    }
                    c = all.charAt(at++);
                } else if (c == '/') {
                    path = true;
                }
                field.append(c);
            }
            at++;
            fields.add(new Field(field.toString(), path));
        }
        return fields.isEmpty() ? null : fields;
    }

    /** As {@code ssh -G} prints where it listens. */
    String printedListen() {
        return printed(listen);
    }

    /** As {@code ssh -G} prints where it goes. */
    String printedConnect() {
        return printed(connect);
    }

    private static String printed(Endpoint endpoint) {
        return switch (endpoint) {
            case Endpoint.Tcp tcp ->
                    tcp.host() == null
                            ? String.valueOf(tcp.port())
                            : "[" + tcp.host() + "]:" + tcp.port();
            case Endpoint.Unix unix -> unix.path();
            case Endpoint.Socks _ -> "[socks]:0";
        };
    }
}
