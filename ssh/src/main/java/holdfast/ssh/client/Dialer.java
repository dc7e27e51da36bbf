package holdfast.ssh.client;

import holdfast.core.time.Moment;
import holdfast.ssh.config.ClientSettings;
import holdfast.ssh.hostkeys.NumericAddress;
import holdfast.ssh.link.LinkClock;
import holdfast.ssh.log.Log;
import holdfast.ssh.system.FreshNames;
import holdfast.ssh.system.Scope;
import java.io.IOException;
import java.net.Inet4Address;
import java.net.Inet6Address;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.NetworkInterface;
import java.net.SocketTimeoutException;
import java.net.StandardSocketOptions;
import java.net.UnknownHostException;
import java.nio.channels.SocketChannel;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.UnaryOperator;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * From a name to a connected socket, as OpenSSH's sshconnect.c goes about it: every address of the
 * name in turn, ConnectionAttempts times, a second apart.
 */
final class Dialer {

    /** A connected socket, and from when its opening is to be counted. */
    record Dialed(SocketChannel channel, InetSocketAddress address, Moment started) {}

    /** What an address in numbers does not have. */
    private static final Pattern NAME = Pattern.compile("[^0-9.:]");

    private final ClientSettings settings;
    private final @Nullable Duration limit;
    private final LinkClock clock;
    private final Log log;

    /**
     * @param limit how long an attempt may take; null: as long as the system tries
     */
    Dialer(ClientSettings settings, @Nullable Duration limit, LinkClock clock, Log log) {
        this.settings = settings;
        this.limit = limit;
        this.clock = clock;
        this.log = log;
    }

    /**
     * Connects.
     *
     * @throws ClientFailure in OpenSSH's words for what failed last
     */
    Dialed dial() throws ClientFailure {
        return dial(found -> found);
    }

    /** The same, trying the name's addresses in another order. */
    Dialed dial(UnaryOperator<List<InetAddress>> order) throws ClientFailure {
        Moment started = clock.now();
        List<InetAddress> addresses = order.apply(resolve());
        IOException last = null;
        for (int attempt = 0; attempt < settings.connectionAttempts(); attempt++) {
            if (attempt > 0) {
                pause(Duration.ofSeconds(1));
                log.debug("Trying again...");
                started = clock.now();
            }
            for (InetAddress address : addresses) {
                try {
                    return connect(address, started);
                } catch (IOException e) {
                    log.debug(
                            "connect to address "
                                    + NumericAddress.text(address)
                                    + " port "
                                    + settings.port()
                                    + ": "
                                    + reason(e));
                    last = e;
                    started = clock.now();
                }
            }
        }
        throw new ClientFailure(
                "ssh: connect to host "
                        + settings.host()
                        + " port "
                        + settings.port()
                        + ": "
                        + (last == null ? "no address to try" : reason(last)));
    }

    private Dialed connect(InetAddress address, Moment started) throws IOException, ClientFailure {
        InetSocketAddress target = new InetSocketAddress(address, settings.port());
        log.debug(
                "Connecting to "
                        + settings.host()
                        + " ["
                        + NumericAddress.text(address)
                        + "] port "
                        + settings.port()
                        + ".");
        SocketChannel channel = SocketChannel.open();
        boolean connected = false;
        try {
            InetAddress from = bindTo(address);
            if (from != null) {
                channel.bind(new InetSocketAddress(from, 0));
            }
            channel.setOption(StandardSocketOptions.SO_KEEPALIVE, settings.tcpKeepAlive());
            channel.setOption(StandardSocketOptions.TCP_NODELAY, true);
            if (limit == null) {
                channel.connect(target);
            } else {
                Duration left = limit.minus(clock.now().since(started));
                channel.socket().connect(target, (int) Math.max(1, left.toMillis()));
            }
            log.debug("Connection established.");
            connected = true;
            // Without ConnectTimeout the system bounds the connecting, and our own limit what
            // follows.
            return new Dialed(channel, target, limit == null ? clock.now() : started);
        } finally {
            if (!connected) {
                channel.close();
            }
        }
    }

    private @Nullable InetAddress bindTo(InetAddress target) throws IOException, ClientFailure {
        boolean six = target instanceof Inet6Address;
        if (settings.bindAddress() != null) {
            if (settings.bindAddress().isEmpty()) {
                throw new ClientFailure("getaddrinfo: : Name or service not known");
            }
            try {
                for (InetAddress address : Scope.addresses(settings.bindAddress())) {
                    if (address instanceof Inet6Address == six) {
                        return address;
                    }
                }
            } catch (UnknownHostException e) {
                throw new ClientFailure(
                        "getaddrinfo: " + settings.bindAddress() + ": " + unknown(e));
            }
            throw new ClientFailure(
                    "getaddrinfo: " + settings.bindAddress() + ": no address of this family");
        }
        if (settings.bindInterface() != null) {
            NetworkInterface device = NetworkInterface.getByName(settings.bindInterface());
            if (device != null) {
                for (InetAddress address : Collections.list(device.getInetAddresses())) {
                    if (address instanceof Inet6Address == six) {
                        return address;
                    }
                }
            }
            throw new ClientFailure("failed to bind to interface " + settings.bindInterface());
        }
        return null;
    }

    private List<InetAddress> resolve() throws ClientFailure {
        InetAddress[] all;
        try {
            // The JDK takes the one for this machine and the other for a form of URIs.
            if (settings.host().isEmpty() || settings.host().startsWith("[")) {
                throw new UnknownHostException();
            }
            all = lookUp(settings.host());
        } catch (UnknownHostException e) {
            throw new ClientFailure(
                    "ssh: Could not resolve hostname " + settings.host() + ": " + unknown(e));
        }
        List<InetAddress> wanted = new ArrayList<>();
        for (InetAddress address : all) {
            boolean fits =
                    switch (settings.addressFamily()) {
                        case ANY -> true;
                        case INET -> address instanceof Inet4Address;
                        case INET6 -> address instanceof Inet6Address;
                    };
            if (fits) {
                wanted.add(address);
            }
        }
        if (wanted.isEmpty()) {
            throw new ClientFailure(
                    "ssh: Could not resolve hostname "
                            + settings.host()
                            + ": Address family for hostname not supported");
        }
        return wanted;
    }

    /** A look-up under ConnectTimeout: the system's resolver has no limit that we could set. */
    private InetAddress[] lookUp(String host) throws UnknownHostException {
        if (NAME.matcher(host).find()) {
            FreshNames.only(); // not for an address: it costs 8 ms
        }
        if (limit == null) {
            return Scope.addresses(host);
        }
        FutureTask<InetAddress[]> task = new FutureTask<>(() -> Scope.addresses(host));
        Thread.ofPlatform().daemon().name("resolver").start(task);
        try {
            return task.get(limit.toMillis(), TimeUnit.MILLISECONDS);
        } catch (TimeoutException e) {
            throw new UnknownHostException(host + ": Connection timed out");
        } catch (ExecutionException e) {
            if (e.getCause() instanceof UnknownHostException unknown) {
                throw unknown;
            }
            throw new UnknownHostException(host + ": " + e.getCause());
        } catch (InterruptedException e) {
            throw new UnknownHostException(host + ": interrupted");
        }
    }

    /** The resolver's own words: the JDK puts the name and a colon before them. */
    private static String unknown(UnknownHostException e) {
        String text = e.getMessage();
        int colon = text == null ? -1 : text.lastIndexOf(": ");
        return text == null || colon < 0 ? "Name or service not known" : text.substring(colon + 2);
    }

    /** The system's words for a failed connect or transfer, freed of what the JDK adds. */
    static String reason(IOException e) {
        if (e instanceof SocketTimeoutException) {
            return "Connection timed out";
        }
        String text = e.getMessage();
        if (text == null) {
            return "Connection failed";
        }
        int colon = text.indexOf(": ");
        String words = colon > 0 && text.startsWith("Protocol") ? text.substring(colon + 2) : text;
        return words.endsWith(" (Bind failed)") ? words.substring(0, words.length() - 14) : words;
    }

    private static void pause(Duration time) {
        try {
            Thread.sleep(time);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }
}
