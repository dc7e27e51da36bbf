package holdfast.ssh.forward;

import holdfast.ssh.config.ClientSettings.AddressFamily;
import holdfast.ssh.hostkeys.NumericAddress;
import holdfast.ssh.link.Reclaim;
import holdfast.ssh.link.Wire;
import holdfast.ssh.log.Log;
import holdfast.ssh.octets.Octets;
import holdfast.ssh.stream.SocketTap;
import holdfast.ssh.stream.Tap;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.SocketAddress;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.SocketChannel;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.Callable;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Consumer;
import org.apache.sshd.common.AttributeRepository.AttributeKey;
import org.apache.sshd.common.SshConstants;
import org.apache.sshd.common.channel.Channel;
import org.apache.sshd.common.session.ConnectionService;
import org.apache.sshd.common.session.Session;
import org.apache.sshd.common.session.SessionListener;
import org.apache.sshd.common.util.buffer.Buffer;
import org.jspecify.annotations.Nullable;

/**
 * All that is forwarded over one SSH connection: its channels and listeners, with their limits, and
 * their end when it ends.
 */
public final class Forwarding {

    /** MINA knows no "for ever"; longer than any connection. */
    static final Duration FOREVER = Duration.ofDays(365);

    /**
     * Forwarded connections of one SSH connection at a time; more are refused with "resource
     * shortage". OpenSSH ends at 10,000 descriptors, or at its process's limit.
     */
    public static final int MOST_CHANNELS = 4096;

    /** Listeners of one SSH connection; more are refused. */
    public static final int MOST_LISTENERS = 256;

    /**
     * What peers may send before it is taken, over all channels of a connection: each gets an
     * eighth of what is left of it, at most {@link #WINDOW} and at least {@link #LEAST_WINDOW}. So
     * a connection costs at most this and {@link #MOST_CHANNELS} times the least, 192 MiB, while
     * the first thirty or so have a full window.
     */
    private static final long WINDOWS = 64L << 20;

    /** OpenSSH's own window for forwarded connections. */
    private static final long WINDOW = 2L << 20;

    private static final long LEAST_WINDOW = 32 * 1024;

    /** Of a name that has addresses, and none of the family that is wanted: getaddrinfo's words. */
    static final String NONE = "Address family for hostname not supported";

    private static final AttributeKey<Forwarding> OF = new AttributeKey<>();

    private final Session session;
    private final Log log;
    private final @Nullable Wire wire;
    private final Pace pace = new Pace();
    private final Names names = new Names();
    private final Set<ForwardChannel> channels = ConcurrentHashMap.newKeySet();
    private final Set<AutoCloseable> closeables = new HashSet<>();
    private long granted;
    private volatile AddressFamily family = AddressFamily.ANY;
    private int open;
    private int agents; // of those
    private long lastEnd;
    private boolean over;
    private @Nullable Runnable atNone;

    private Forwarding(Session session, Log log) {
        this.session = session;
        this.log = log;
        this.wire = session.getIoSession() instanceof Wire one ? one : null;
    }

    /** The one of {@code session}, made on first use. */
    public static Forwarding of(Session session, Log log) {
        return session.computeAttributeIfAbsent(
                OF,
                key -> {
                    Forwarding made = new Forwarding(session, log);
                    session.addSessionListener(
                            new SessionListener() {
                                @Override
                                public void sessionClosed(Session closed) {
                                    made.close();
                                }
                            });
                    return made;
                });
    }

    Session session() {
        return session;
    }

    Log log() {
        return log;
    }

    /** What of a name's addresses is connected to; all of them unless told. */
    void family(AddressFamily only) {
        family = only;
    }

    Pace pace() {
        return pace;
    }

    /** What is sent from now on goes out at {@link #pass}, if that is cheaper. */
    void hold() {
        if (wire != null) {
            wire.hold();
        }
    }

    /** Sends what is held as far as it goes without waiting. */
    void pass() {
        if (wire != null) {
            wire.pass();
        }
    }

    Names names() {
        return names;
    }

    /** How many forwarded connections there are. */
    public int channels() {
        return channels.size();
    }

    /** A line for each forwarded connection, by its number, as OpenSSH's {@code ~#} has it. */
    Map<Long, String> describe() {
        Map<Long, String> lines = new TreeMap<>();
        channels.forEach(channel -> lines.put(channel.getChannelId(), channel.describe()));
        return lines;
    }

    // --- limits

    synchronized long grantWindow() {
        long size = Math.max(LEAST_WINDOW, Math.min(WINDOW, (WINDOWS - granted) / 8));
        granted += size;
        return size;
    }

    /** Counts a channel in; false: there are too many, or the connection is over. */
    boolean enter(ForwardChannel channel) {
        synchronized (this) {
            if (over || open >= MOST_CHANNELS) {
                return false;
            }
            open++;
            agents += isAgent(channel) ? 1 : 0;
        }
        channels.add(channel);
        return true;
    }

    void left(ForwardChannel channel, long window) {
        boolean counted = channels.remove(channel);
        Runnable told = null;
        synchronized (this) {
            granted -= window;
            if (counted) {
                open--;
                agents -= isAgent(channel) ? 1 : 0;
                lastEnd = System.nanoTime();
                if (open == agents) {
                    told = atNone;
                    atNone = null;
                }
            }
        }
        if (counted) {
            Reclaim.of(session.getFactoryManager()).gone(channels.size());
        }
        if (told != null) {
            told.run();
        }
    }

    private static boolean isAgent(ForwardChannel channel) {
        return channel.getChannelType().startsWith("auth-agent");
    }

    /**
     * Runs {@code action}, which must not block, once nothing is being forwarded: now, or then. An
     * agent that says nothing any more to a program that has ended is nothing to wait for.
     */
    void whenNone(Runnable action) {
        synchronized (this) {
            if (open > agents && !over) {
                atNone = action;
                return;
            }
        }
        action.run();
    }

    /** Whether {@link #whenNone} would wait. */
    synchronized boolean busy() {
        return open > agents && !over;
    }

    synchronized long lastEnd() {
        return lastEnd;
    }

    /** Closes {@code one} when the connection ends, at once if it has. */
    boolean keep(AutoCloseable one) {
        synchronized (this) {
            if (!over) {
                closeables.add(one);
                return true;
            }
        }
        closeQuietly(one);
        return false;
    }

    synchronized void forget(AutoCloseable one) {
        closeables.remove(one);
    }

    private void closeQuietly(AutoCloseable one) {
        try {
            one.close();
        } catch (Exception e) {
            log.debug2("closing: " + e.getMessage()); // it is gone either way
        }
    }

    private void close() {
        List<AutoCloseable> all;
        synchronized (this) {
            over = true;
            all = new ArrayList<>(closeables);
            closeables.clear();
        }
        all.forEach(this::closeQuietly);
        channels.forEach(ForwardChannel::discard);
        Runnable told;
        synchronized (this) {
            told = atNone;
            atNone = null;
        }
        if (told != null) {
            told.run();
        }
    }

    // --- connecting

    /** Connects {@code channel}, which the peer asked for, to a TCP port. */
    void connect(ForwardChannel channel, String host, int port) {
        reach(channel, host, port, answering(channel, host, port));
    }

    private Reached answering(ForwardChannel channel, String host, int port) {
        channel.granted();
        return new Reached() {
            @Override
            public void reached(Tap tap) {
                log.debug(
                        "channel "
                                + channel.getChannelId()
                                + ": connected to "
                                + host
                                + " port "
                                + port);
                channel.accept(tap);
            }

            @Override
            public void failed(String why) {
                log.debug("channel " + channel.getChannelId() + ": connection failed: " + why);
                channel.refuse(SshConstants.SSH_OPEN_CONNECT_FAILED, why);
            }
        };
    }

    /** Connects {@code channel}, which the peer asked for, to a Unix-domain socket. */
    void connect(ForwardChannel channel, String path, Callable<SocketChannel> opening) {
        names.run(() -> {
            try {
                channel.accept(SocketTap.of(opening.call()));
            } catch (Exception e) {
                log.error(
                        "connect to "
                                + ServerSide.printable(path)
                                + " port -2 failed: "
                                + e.getMessage());
                channel.refuse(SshConstants.SSH_OPEN_CONNECT_FAILED, "open failed");
            }
        });
    }

    /** Told once how a connection came out. */
    interface Reached {
        void reached(Tap tap);

        void failed(String why);
    }

    /**
     * Connects to a TCP port by name or address, for a channel; nobody is told once that is over.
     */
    void reach(ForwardChannel channel, String host, int port, Reached then) {
        names.find(
                host,
                found -> {
                    switch (found) {
                        case Names.Found.Unknown unknown -> {
                            log.error(
                                    "connect_to "
                                            + host
                                            + ": unknown host ("
                                            + unknown.why()
                                            + ")");
                            then.failed(unknown.why());
                        }
                        case Names.Found.Addresses all -> {
                            List<InetAddress> addresses = Rules.of(family, all.addresses());
                            if (addresses.isEmpty()) {
                                log.error("connect_to " + host + ": unknown host (" + NONE + ")");
                                then.failed(NONE);
                            } else {
                                connect(channel, addresses, host, port, then);
                            }
                        }
                    }
                });
    }

    private void connect(
            ForwardChannel channel,
            List<InetAddress> addresses,
            String host,
            int port,
            Reached then) {
        Connecting[] own = new Connecting[1];
        Connecting attempt =
                new Connecting(
                        addresses,
                        port,
                        (tap, why) -> {
                            forget(own[0]);
                            if (tap != null) {
                                then.reached(tap);
                            } else {
                                log.error("connect_to " + host + " port " + port + ": failed.");
                                then.failed(why);
                            }
                        });
        own[0] = attempt;
        if (!keep(attempt)) {
            then.failed("connection closed");
        } else if (channel.awaits(attempt)) {
            attempt.start();
        } else {
            forget(attempt);
        }
    }

    /**
     * Connects to a Unix-domain socket, with the rights of the thread that calls.
     *
     * @throws IOException in the system's words; also where its listener's queue is full
     */
    static SocketChannel connect(String path) throws IOException {
        SocketChannel channel = SocketChannel.open(StandardProtocolFamily.UNIX);
        try {
            channel.configureBlocking(false);
            if (!channel.connect(UnixDomainSocketAddress.of(Octets.path(path)))) {
                throw new IOException("Resource temporarily unavailable");
            }
            return channel;
        } catch (IOException | RuntimeException e) {
            channel.close();
            throw e instanceof IOException io ? io : new IOException(e.getMessage(), e);
        }
    }

    // --- asking the peer

    /** Asks the peer for a channel of {@code type} for what {@code tap} brings. */
    @Nullable ForwardChannel open(
            String type,
            Tap tap,
            Consumer<Buffer> request,
            ForwardChannel.Outcome outcome,
            Consumer<Channel> made) {
        ForwardChannel channel = ForwardChannel.ours(this, type, tap, request, outcome);
        made.accept(channel);
        if (!enter(channel)) {
            log.error("too many forwarded connections; one is refused");
            channel.discard();
            channel.unregistered();
            return null;
        }
        hold();
        try {
            ConnectionService service = session.getService(ConnectionService.class);
            service.registerChannel(channel);
            channel.open();
            return channel;
        } catch (IOException | RuntimeException e) {
            log.debug("channel not opened: " + e.getMessage()); // the connection is closing
            channel.discard();
            channel.unregistered();
            return null;
        } finally {
            pass();
        }
    }

    /** An address as a channel request names it: host and port, or a stand-in for a Unix socket. */
    static void putOriginator(Buffer buffer, @Nullable SocketAddress address) {
        if (address instanceof InetSocketAddress inet) {
            buffer.putString(host(inet.getAddress()));
            buffer.putUInt(inet.getPort());
        } else {
            buffer.putString("127.0.0.1");
            buffer.putUInt(65535);
        }
    }

    static String host(InetAddress address) {
        String text = NumericAddress.text(address);
        int zone = text.indexOf('%');
        return zone < 0 ? text : text.substring(0, zone);
    }
}
