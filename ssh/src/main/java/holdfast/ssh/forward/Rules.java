package holdfast.ssh.forward;

import holdfast.ssh.config.ClientSettings.AddressFamily;
import holdfast.ssh.config.Patterns;
import holdfast.ssh.config.ServerSettings;
import holdfast.ssh.config.ServerSettings.GatewayPorts;
import holdfast.ssh.config.ServerSettings.Permit;
import holdfast.ssh.config.ServerSettings.Permits;
import java.net.Inet4Address;
import java.net.Inet6Address;
import java.net.InetAddress;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/**
 * What one user of a server may forward: the configuration and the limits of their key together.
 *
 * @param localTcp whether the server connects to TCP ports for them ({@code ssh -L}); so the others
 * @param keyOpen permitopen of their key; null: no limit
 * @param keyListen permitlisten of their key; null: no limit
 * @param family what of a name's addresses, and of this machine's own, counts (AddressFamily)
 * @param privileged whether ports below 1024 may be listened on
 */
public record Rules(
        boolean localTcp,
        boolean remoteTcp,
        boolean localUnix,
        boolean remoteUnix,
        Permits open,
        Permits listen,
        @Nullable List<Permit> keyOpen,
        @Nullable List<Permit> keyListen,
        GatewayPorts gatewayPorts,
        boolean privileged,
        AddressFamily family,
        int bindMask,
        boolean bindUnlink) {

    /** PORT_STREAMLOCAL: what stands for a Unix socket's port. */
    private static final int UNIX = -2;

    /**
     * Those of one user.
     *
     * @param allowed whether the key allows any forwarding of ports
     * @param permitOpen texts of the key's permitopen options, {@code host:port}
     * @param permitListen texts of its permitlisten options, {@code [host:]port}
     */
    public static Rules of(
            ServerSettings settings,
            boolean allowed,
            @Nullable List<String> permitOpen,
            @Nullable List<String> permitListen,
            boolean root) {
        boolean any = allowed && !settings.disableForwarding();
        return new Rules(
                any && settings.allowTcpForwarding().local(),
                any && settings.allowTcpForwarding().remote(),
                any && settings.allowStreamLocalForwarding().local(),
                any && settings.allowStreamLocalForwarding().remote(),
                settings.permitOpen(),
                settings.permitListen(),
                permitOpen == null ? null : permits(permitOpen),
                permitListen == null ? null : permits(permitListen),
                settings.gatewayPorts(),
                root,
                settings.addressFamily(),
                settings.streamLocalBindMask(),
                settings.streamLocalBindUnlink());
    }

    /** What cannot be read permits nothing. */
    private static List<Permit> permits(List<String> texts) {
        List<Permit> permits = new ArrayList<>(texts.size());
        for (String text : texts) {
            String host = null;
            String port = text;
            if (text.startsWith("[")) {
                int close = text.indexOf("]:");
                if (close < 0) {
                    continue;
                }
                host = text.substring(1, close);
                port = text.substring(close + 2);
            } else if (text.indexOf(':') >= 0) {
                host = text.substring(0, text.indexOf(':'));
                port = text.substring(text.indexOf(':') + 1);
            }
            try {
                int number = port.equals("*") ? 0 : Integer.parseInt(port);
                if (port.equals("*") || (number > 0 && number <= 65535)) {
                    permits.add(new Permit(host, number));
                }
            } catch (NumberFormatException e) {
                // not a port: permits nothing
            }
        }
        return permits;
    }

    /**
     * Whether Unix sockets are among what may be connected to. OpenSSH keeps one list for ports and
     * sockets, and what AllowTcpForwarding takes away is taken from both.
     */
    boolean mayConnect(String path) {
        return localTcp && mayConnect(path, UNIX);
    }

    /** Whether they are among what may be listened on; PermitListen says nothing about them. */
    boolean mayListen() {
        return remoteTcp;
    }

    /** Whether a connection may go there; for a Unix socket {@code port} is -2, as in OpenSSH. */
    boolean mayConnect(String host, int port) {
        return (open.any() || opens(open.list(), host, port))
                && (keyOpen == null || opens(keyOpen, host, port));
    }

    static boolean opens(List<Permit> permits, String host, int port) {
        for (Permit permit : permits) {
            if ((permit.port() == 0 || permit.port() == port)
                    && ("*".equals(permit.host()) || host.equals(permit.host()))) {
                return true;
            }
        }
        return false;
    }

    /** Whether a TCP listener may be had there; {@code host} as the client wrote it. */
    boolean mayListen(String host, int port) {
        return (listen.any() || listens(listen.list(), host, port))
                && (keyListen == null || listens(keyListen, host, port));
    }

    private static boolean listens(List<Permit> permits, String host, int port) {
        String lower = host.toLowerCase(Locale.ROOT);
        for (Permit permit : permits) {
            String pattern = permit.host() == null ? "*" : permit.host();
            if ((permit.port() == 0 || permit.port() == port) && Patterns.matches(lower, pattern)) {
                return true;
            }
        }
        return false;
    }

    /** Whether the user may have that port at all (misc.c bind_permitted). */
    boolean mayBind(int port) {
        return privileged || port == 0 || port >= 1024;
    }

    /** Those of {@code addresses} that count. */
    static List<InetAddress> of(AddressFamily family, List<InetAddress> addresses) {
        return switch (family) {
            case ANY -> addresses;
            case INET -> addresses.stream().filter(Inet4Address.class::isInstance).toList();
            case INET6 -> addresses.stream().filter(Inet6Address.class::isInstance).toList();
        };
    }

    /** Where a listener that was asked for is to be (channels.c channel_fwd_bind_addr). */
    sealed interface Where {
        record Everywhere() implements Where {}

        record Loopback() implements Where {}

        record Host(String name) implements Where {}
    }

    /** Whether "Forwarding listen address overridden" is to be told. */
    boolean overrides(String host) {
        return gatewayPorts == GatewayPorts.YES
                && !host.isEmpty()
                && !host.equals("0.0.0.0")
                && !host.equals("*");
    }

    Where where(String host) {
        return switch (gatewayPorts) {
            case YES -> new Where.Everywhere();
            case CLIENT_SPECIFIED ->
                    host.isEmpty() || host.equals("*")
                            ? new Where.Everywhere()
                            : host.equals("localhost")
                                    ? new Where.Loopback()
                                    : new Where.Host(host);
            case NO ->
                    host.equals("127.0.0.1") || host.equals("::1")
                            ? new Where.Host(host)
                            : new Where.Loopback();
        };
    }
}
