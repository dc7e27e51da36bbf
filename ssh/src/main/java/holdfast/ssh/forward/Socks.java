package holdfast.ssh.forward;

import holdfast.ssh.hostkeys.NumericAddress;
import java.net.Inet4Address;
import java.net.Inet6Address;
import java.net.InetAddress;
import java.net.UnknownHostException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import org.jspecify.annotations.Nullable;

/**
 * Our side of a SOCKS dialogue, up to the request: versions 4, 4a and 5 (RFC 1928), CONNECT only,
 * no authentication. It reads no byte beyond the request: what follows is the client's own data.
 *
 * <p>Owned by whoever feeds it. What it holds of an unfinished request is bounded by {@link
 * #LONGEST}.
 */
final class Socks {

    /** More than the longest request: version 4a with two names of 255 bytes, OpenSSH's bound. */
    static final int LONGEST = 8 + 256 + 256;

    /** What is to be done after some bytes. */
    sealed interface Step {

        /** More bytes are needed. */
        record More() implements Step {}

        /** Send {@code bytes}; then there may be more to take of what came. */
        record Say(byte[] bytes) implements Step {}

        /** The client asks for {@code host}:{@code port}. */
        record Connect(String host, int port) implements Step {}

        /** It speaks something else, or asks for what there is not: send and close. */
        record Refuse(String why, byte[] bytes) implements Step {}
    }

    private static final byte[] NOTHING = {};
    private static final int CONNECT = 1;
    private static final int NO_AUTHENTICATION = 0;
    private static final int NONE_ACCEPTABLE = 0xff;
    private static final int IPV4 = 1;
    private static final int NAME = 3;
    private static final int IPV6 = 4;

    private static final int GENERAL_FAILURE = 1;
    private static final int COMMAND_NOT_SUPPORTED = 7;
    private static final int ADDRESS_NOT_SUPPORTED = 8;

    private final byte[] held = new byte[LONGEST];
    private int length;
    private int version;
    private boolean greeted;

    /** Takes bytes as far as they belong to the request; the rest stays in {@code bytes}. */
    Step take(ByteBuffer bytes) {
        while (true) {
            Step step = next();
            if (!(step instanceof Step.More) || !bytes.hasRemaining()) {
                return step;
            }
            if (length == held.length) {
                return new Step.Refuse("request too long", failed(GENERAL_FAILURE));
            }
            held[length++] = bytes.get();
        }
    }

    private Step next() {
        if (length == 0) {
            return new Step.More();
        }
        if (version == 0) {
            version = held[0] & 0xff;
        }
        return switch (version) {
            case 4 -> four();
            case 5 -> greeted ? five() : greeting();
            default -> new Step.Refuse("unknown version " + version, NOTHING);
        };
    }

    private Step four() {
        if (length < 9) {
            return new Step.More();
        }
        int user = end(8);
        if (user < 0) {
            return tooLong(8);
        }
        int port = port(2);
        boolean named = held[4] == 0 && held[5] == 0 && held[6] == 0 && held[7] != 0;
        String host;
        if (named) {
            int name = end(user + 1);
            if (name < 0) {
                return tooLong(user + 1);
            }
            if (name == user + 1) {
                return new Step.Refuse("empty host", failed(GENERAL_FAILURE));
            }
            host = text(user + 1, name);
        } else {
            host = address(4, 4);
        }
        if (held[1] != CONNECT) {
            return new Step.Refuse(
                    "command " + (held[1] & 0xff) + " not supported",
                    failed(COMMAND_NOT_SUPPORTED));
        }
        return new Step.Connect(host, port);
    }

    private Step tooLong(int from) {
        return length - from > 255
                ? new Step.Refuse("name too long", failed(GENERAL_FAILURE))
                : new Step.More();
    }

    /** Where the text that begins at {@code from} has its NUL; -1: it has not come. */
    private int end(int from) {
        for (int i = from; i < length && i - from <= 255; i++) {
            if (held[i] == 0) {
                return i;
            }
        }
        return -1;
    }

    private Step greeting() {
        if (length < 2 || length < 2 + (held[1] & 0xff)) {
            return new Step.More();
        }
        int methods = held[1] & 0xff;
        for (int i = 2; i < 2 + methods; i++) {
            if (held[i] == NO_AUTHENTICATION) {
                greeted = true;
                length = 0;
                return new Step.Say(new byte[] {5, NO_AUTHENTICATION});
            }
        }
        return new Step.Refuse("method 0 not offered", new byte[] {5, (byte) NONE_ACCEPTABLE});
    }

    private Step five() {
        if (length < 5) {
            return new Step.More();
        }
        int kind = held[3] & 0xff;
        int from = kind == NAME ? 5 : 4;
        int size =
                switch (kind) {
                    case IPV4 -> 4;
                    case IPV6 -> 16;
                    case NAME -> held[4] & 0xff;
                    default -> -1;
                };
        if (held[0] != 5) {
            return new Step.Refuse("only socks5 supported", failed(GENERAL_FAILURE));
        }
        if (held[1] != CONNECT) {
            return new Step.Refuse(
                    "command " + (held[1] & 0xff) + " not supported",
                    failed(COMMAND_NOT_SUPPORTED));
        }
        if (size <= 0) {
            return new Step.Refuse("bad address type " + kind, failed(ADDRESS_NOT_SUPPORTED));
        }
        if (length < from + size + 2) {
            return new Step.More();
        }
        String host = kind == NAME ? text(from, from + size) : address(from, size);
        if (host.indexOf('\0') >= 0) {
            return new Step.Refuse("bad host name", failed(GENERAL_FAILURE));
        }
        return new Step.Connect(host, port(from + size));
    }

    private int port(int at) {
        return (held[at] & 0xff) << 8 | (held[at + 1] & 0xff);
    }

    private String text(int from, int to) {
        return new String(held, from, to - from, StandardCharsets.ISO_8859_1);
    }

    private String address(int from, int size) {
        byte[] bytes = new byte[size];
        System.arraycopy(held, from, bytes, 0, size);
        try {
            return NumericAddress.text(InetAddress.getByAddress(bytes));
        } catch (UnknownHostException e) {
            throw new IllegalStateException(e); // four or sixteen bytes are always an address
        }
    }

    /** What tells the client that it is connected; address and port say nothing, as OpenSSH's. */
    byte[] connected() {
        return version == 4
                ? new byte[] {0, 90, 0, 0, 0, 0, 0, 0}
                : new byte[] {5, 0, 0, IPV4, 0, 0, 0, 0, 0, 0};
    }

    /** What tells the client that it could not be connected: version 5's number says why. */
    byte[] failed(int why) {
        return version == 4
                ? new byte[] {0, 91, 0, 0, 0, 0, 0, 0}
                : new byte[] {5, (byte) why, 0, IPV4, 0, 0, 0, 0, 0, 0};
    }

    /** The number of RFC 1928 for an SSH_MSG_CHANNEL_OPEN_FAILURE's. */
    static int failure(int openFailure) {
        return switch (openFailure) {
            case 1 -> 2; // not allowed by the rules
            case 2 -> 5; // refused
            default -> GENERAL_FAILURE;
        };
    }

    /** Where a host is an address: that, and null else. */
    static @Nullable InetAddress literal(String host) {
        String bare = host.indexOf('%') >= 0 || host.indexOf(':') >= 0 ? "[" + host + "]" : host;
        try {
            InetAddress address = InetAddress.ofLiteral(bare.startsWith("[") ? host : bare);
            return address instanceof Inet4Address || address instanceof Inet6Address
                    ? address
                    : null;
        } catch (IllegalArgumentException e) {
            return null;
        }
    }
}
