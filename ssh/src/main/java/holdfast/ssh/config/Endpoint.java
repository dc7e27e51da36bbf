package holdfast.ssh.config;

import org.jspecify.annotations.Nullable;

/** Where a forwarding listens, or where what it accepts goes. */
public sealed interface Endpoint {

    /**
     * A TCP port.
     *
     * @param host as written; null where none was (the default of the side that listens), "" and
     *     {@code *} for all addresses
     * @param port 0 only to listen: any free one
     */
    record Tcp(@Nullable String host, int port) implements Endpoint {
        @Override
        public String toString() {
            return (host == null ? "LOCALHOST" : host) + ":" + port;
        }
    }

    /** A Unix-domain socket. */
    record Unix(String path) implements Endpoint {
        @Override
        public String toString() {
            return path + ":-2"; // OpenSSH prints its mark for "no port" (PORT_STREAMLOCAL)
        }
    }

    /** Wherever each connection asks to go, by SOCKS (version 4, 4a or 5). */
    record Socks() implements Endpoint {
        @Override
        public String toString() {
            return "socks:0";
        }
    }
}
