package holdfast.ssh.tether;

import holdfast.core.tether.Bytes;
import holdfast.core.tether.Frame;
import holdfast.core.tether.Greeting;
import holdfast.core.tether.Prover;
import holdfast.core.tether.Resumption;
import holdfast.core.tether.Tether;
import holdfast.core.tether.TetherLine;
import java.io.IOException;
import java.io.InputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.SocketTimeoutException;
import java.net.StandardSocketOptions;
import java.net.UnknownHostException;
import java.nio.ByteBuffer;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ScheduledThreadPoolExecutor;
import java.util.concurrent.Semaphore;
import java.util.concurrent.ThreadPoolExecutor;
import org.jspecify.annotations.Nullable;

/**
 * The server's end of tethers in front of any other SSH server (PROTOCOL.md section 2): it offers a
 * tether to whoever connects, and carries the bytes to one fixed target. Whoever does not take the
 * offer gets the target itself, byte for byte.
 *
 * <p>Each connection is a virtual thread or two. A tether without a carrier keeps the thread that
 * reads its target, and a timer.
 */
public final class TetherListener implements AutoCloseable {

    /**
     * What it may do.
     *
     * @param target where every connection is carried to; a name is looked up for each
     * @param hold how long a tether is held without a carrier
     * @param buffer TetherBuffer, in bytes, for each direction of each tether
     * @param most how many tethers are held at once; what comes beyond ends with its connection
     */
    public record Rules(InetSocketAddress target, Duration hold, int buffer, int most) {

        public Rules {
            if (buffer < TetherLine.LEAST_WINDOW * TetherLine.WINDOW_UNIT || most < 1) {
                throw new IllegalArgumentException("a buffer or a number too small");
            }
        }
    }

    /** Told of what happens, from any thread. */
    public interface Watcher {

        /** A line for the log. */
        void said(String line);

        /** A line for {@code -v}. */
        void detail(String line);
    }

    /**
     * How long the client's line is waited for before the target is connected: a client that
     * resumes needs none, and those that speak first are not kept waiting.
     */
    private static final Duration FIRST_LINE = Duration.ofMillis(500);

    /** And how long at all: longer than the LoginGraceTime of any sensible sshd behind. */
    static final Duration YOUNG = Duration.ofSeconds(150);

    /** For so long a tether is held that may not have logged in yet. */
    static final Duration YOUNG_HOLD = Duration.ofSeconds(60);

    /** How long all clients together may take to be told that it stops; who reads takes none. */
    private static final Duration LAST_WORDS = Duration.ofSeconds(2);

    /** Connecting to the target. */
    private static final int CONNECTING_MILLIS = 10_000;

    private static final int CHUNK = 32 * 1024;

    private final Rules rules;
    private final Watcher watcher;
    private final List<ServerSocketChannel> listeners;
    private final Semaphore connections;
    private final Semaphore young;
    private final ScheduledThreadPoolExecutor timer;
    private final Map<Bytes, Mooring> moorings = new HashMap<>(); // guarded by itself
    private final Set<Meeting> meetings = ConcurrentHashMap.newKeySet(); // as many as connections
    private final Refusals refusals = new Refusals();
    private final Prover nobodys = TetherKey.nobodys();
    private final OfferKeys keys = new OfferKeys();
    private volatile boolean closed;

    /** One that listens on these addresses already, but serves nobody before {@link #serve}. */
    public TetherListener(List<InetSocketAddress> addresses, Rules rules, Watcher watcher)
            throws IOException {
        this.rules = rules;
        this.watcher = watcher;
        this.connections = new Semaphore(2 * rules.most() + 64);
        this.young = new Semaphore(Math.max(1, rules.most() / 10));
        this.timer =
                new ScheduledThreadPoolExecutor(
                        1,
                        Thread.ofPlatform().daemon().name("tether-timer").factory(),
                        new ThreadPoolExecutor.DiscardPolicy()); // when all is over, nothing is due
        timer.setRemoveOnCancelPolicy(true);
        ServerSocketChannel[] made = new ServerSocketChannel[addresses.size()];
        for (int i = 0; i < made.length; i++) {
            made[i] = ServerSocketChannel.open();
            made[i].setOption(StandardSocketOptions.SO_REUSEADDR, true);
            made[i].bind(addresses.get(i), 256);
        }
        this.listeners = List.of(made);
    }

    /** Where it listens; a port 0 that was asked for is the one it got. */
    public List<InetSocketAddress> addresses() throws IOException {
        InetSocketAddress[] all = new InetSocketAddress[listeners.size()];
        for (int i = 0; i < all.length; i++) {
            all[i] = (InetSocketAddress) listeners.get(i).getLocalAddress();
        }
        return List.of(all);
    }

    /** How many tethers there are. */
    public int tethers() {
        synchronized (moorings) {
            return moorings.size();
        }
    }

    /** How many of them have no carrier. */
    public int parked() {
        synchronized (moorings) {
            return (int) moorings.values().stream().filter(Mooring::parked).count();
        }
    }

    /** Serves until it is closed. */
    public void serve() {
        for (ServerSocketChannel listener : listeners) {
            Thread.ofPlatform().daemon().name("tether-accept").start(() -> accept(listener));
        }
    }

    private void accept(ServerSocketChannel listener) {
        while (!closed) {
            try {
                SocketChannel client = listener.accept();
                if (connections.tryAcquire()) {
                    Thread.ofVirtual().start(() -> serve(client));
                } else {
                    watcher.detail("too many connections: " + from(client) + " turned away");
                    close(client);
                }
            } catch (IOException e) {
                if (!closed) {
                    watcher.said("accept: " + e.getMessage());
                    pause();
                }
            }
        }
    }

    /** Out of descriptors, as a rule: some will be given back. */
    private static void pause() {
        try {
            Thread.sleep(Duration.ofMillis(200));
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private void serve(SocketChannel client) {
        Meeting meeting = new Meeting(client);
        meetings.add(meeting);
        try {
            if (!closed) {
                meeting.run();
            }
        } catch (IOException e) {
            watcher.detail(meeting.from + ": " + e.getMessage());
        } finally {
            meeting.leave();
            meetings.remove(meeting);
            connections.release();
        }
    }

    /** One connection, from its first byte to its last. */
    private final class Meeting {
        private final SocketChannel client;
        private final String from;
        private final Greeting greeting = Greeting.ofClient();
        private final byte[] heard = new byte[CHUNK];
        private int count;
        private int used;
        private @Nullable SocketChannel target;
        private volatile @Nullable Mooring mooring;

        Meeting(SocketChannel client) {
            this.client = client;
            this.from = from(client);
        }

        /** Closes what is left. A target that a tether has taken over is no longer ours. */
        void leave() {
            close(client);
            close(target);
        }

        void run() throws IOException {
            client.setOption(StandardSocketOptions.TCP_NODELAY, true);
            TetherKey ours = keys.current();
            TetherLine.Offer offer = ours.offer(rules.buffer());
            String line = offer.word();
            write(client, (line + "\r\n").getBytes(StandardCharsets.US_ASCII));
            boolean spoke = firstLine(FIRST_LINE);
            if (greeting.outcome() instanceof Greeting.Outcome.Said said
                    && said.what() instanceof TetherLine.Resume request) {
                resume(request, line);
                return;
            }
            SocketChannel to = connect();
            target = to;
            if (greeting.outcome() instanceof Greeting.Outcome.Plain) {
                plain(to);
                return;
            }
            // The target's lines go to the client as they come; what is left of the last read is
            // the stream's.
            Greeting lines = Greeting.ofServer();
            byte[] bytes = new byte[CHUNK];
            int rest = 0;
            int at = 0;
            while (lines.outcome() == null) {
                int some = to.read(ByteBuffer.wrap(bytes));
                if (some < 0) {
                    plain(to);
                    return;
                }
                at = lines.read(bytes, 0, some);
                rest = some - at;
                write(client, Arrays.copyOf(bytes, at));
            }
            if (!spoke && !firstLine(YOUNG)) {
                return; // it has said nothing for longer than a login may take
            }
            switch (greeting.outcome()) {
                case Greeting.Outcome.Said said -> {
                    switch (said.what()) {
                        case TetherLine.Resume request -> resume(request, line);
                        case TetherLine.Offer theirs -> {
                            if (lines.outcome() instanceof Greeting.Outcome.Said) {
                                throw new IOException(
                                        "the server behind offers tethers itself:"
                                                + " connect to it directly");
                            }
                            write(to, Arrays.copyOf(heard, used));
                            begin(to, ours, theirs, said.line(), line, bytes, at, rest);
                        }
                        case TetherLine.Carry carry ->
                                begin(to, ours, carry.offer(), said.line(), line, bytes, at, rest);
                    }
                }
                case Greeting.Outcome.Plain _ -> {
                    write(client, Arrays.copyOfRange(bytes, at, at + rest));
                    plain(to);
                }
                case null -> throw new IllegalStateException("a line without an outcome");
            }
        }

        /** Reads the client's first line; whether it has come, or the client has closed. */
        private boolean firstLine(Duration patience) throws IOException {
            long end = System.nanoTime() + patience.toNanos();
            InputStream in = client.socket().getInputStream();
            while (greeting.outcome() == null && count < heard.length) {
                int left = (int) ((end - System.nanoTime()) / 1_000_000);
                if (left <= 0) {
                    return false;
                }
                client.socket().setSoTimeout(left);
                int some;
                try {
                    some = in.read(heard, count, heard.length - count);
                } catch (SocketTimeoutException e) {
                    return false;
                }
                if (some < 0) {
                    // A client that says nothing more: what it has said is the target's.
                    greeting.read(new byte[TetherLine.LONGEST + 1], 0, TetherLine.LONGEST + 1);
                    return true;
                }
                used += greeting.read(heard, count, some);
                count += some;
            }
            return true;
        }

        private SocketChannel connect() throws IOException {
            InetSocketAddress where = rules.target();
            InetAddress[] all =
                    where.isUnresolved()
                            ? InetAddress.getAllByName(where.getHostString())
                            : new InetAddress[] {where.getAddress()};
            IOException trouble = new UnknownHostException(where.getHostString());
            for (InetAddress one : all) {
                SocketChannel made = SocketChannel.open();
                try {
                    made.socket()
                            .connect(
                                    new InetSocketAddress(one, where.getPort()), CONNECTING_MILLIS);
                    made.setOption(StandardSocketOptions.TCP_NODELAY, true);
                    return made;
                } catch (IOException e) {
                    close(made);
                    trouble = e;
                }
            }
            watcher.said(from + ": cannot reach " + where + ": " + trouble.getMessage());
            throw trouble;
        }

        /** Plain SSH: copies bytes, and ends each direction when it ends. */
        private void plain(SocketChannel to) throws IOException {
            client.socket().setSoTimeout(0);
            watcher.detail(from + ": plain SSH");
            Thread back = Thread.ofVirtual().start(() -> copy(to, client));
            write(to, Arrays.copyOf(heard, count));
            copy(client, to);
            try {
                back.join();
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
        }

        private void begin(
                SocketChannel to,
                TetherKey ours,
                TetherLine.Offer theirs,
                String clientLine,
                String serverLine,
                byte[] first,
                int at,
                int rest)
                throws IOException {
            Prover prover = ours.agree(theirs.key(), clientLine, serverLine);
            if (prover == null) {
                throw new IOException("the client's tether key is no key");
            }
            client.socket().setSoTimeout(0);
            Tether tether =
                    new Tether(
                            Tether.Role.SERVER,
                            rules.buffer(),
                            rules.buffer(),
                            theirs.window() * TetherLine.WINDOW_UNIT);
            Mooring mooring =
                    new Mooring(TetherListener.this, from, tether, prover, to, timer, watcher);
            this.mooring = mooring;
            target = null; // the tether's own from here on
            if (!hold(mooring)) {
                watcher.said(from + ": too many tethers: this one ends with its connection");
            }
            mooring.begin(client, Arrays.copyOfRange(first, at, at + rest));
            mooring.carry(client, mooring.first(), Arrays.copyOfRange(heard, used, count));
        }

        private void resume(TetherLine.Resume request, String serverLine) throws IOException {
            client.socket().setSoTimeout(0);
            InetAddress source = client.socket().getInetAddress();
            if (refusals.tooMany(source)) {
                byte[] busy = new byte[Frame.LONGEST_CONTROL];
                int length = new Frame.Refused(Frame.Refused.BUSY).write(busy, 0);
                write(client, Arrays.copyOf(busy, length));
                return;
            }
            Mooring mooring;
            synchronized (moorings) {
                mooring = moorings.get(request.id());
            }
            Tether.Carrier carrier = null;
            byte[] answer;
            if (mooring == null) {
                answer = Resumption.serve(null, nobodys, request, serverLine, true).answer();
            } else {
                Resumption.Served served = mooring.resume(client, from, request, serverLine);
                answer = served.answer();
                carrier = served.carrier();
            }
            if (mooring == null || carrier == null) {
                String told = refusals.refused(source);
                if (!told.isEmpty()) {
                    watcher.said(told);
                }
                write(client, answer);
                return;
            }
            mooring.carry(client, carrier, Arrays.copyOfRange(heard, used, count));
        }
    }

    /** Holds a tether, if there may be one more; whether it is held. */
    private boolean hold(Mooring mooring) {
        synchronized (moorings) {
            if (closed || moorings.size() >= rules.most()) {
                return false;
            }
            Bytes id = TetherKey.random(Resumption.ID);
            moorings.put(id, mooring);
            mooring.hold(id, rules.hold());
            return true;
        }
    }

    /** Whether one more that may not have logged in may be parked: a tenth of all at most. */
    boolean parkYoung() {
        return young.tryAcquire();
    }

    void unparkYoung() {
        young.release();
    }

    void forget(Bytes id) {
        synchronized (moorings) {
            moorings.remove(id);
        }
    }

    /** Stops listening, says CLOSE on every tether and ends them all, and every connection. */
    @Override
    public void close() {
        closed = true;
        for (ServerSocketChannel listener : listeners) {
            try {
                listener.close();
            } catch (IOException e) {
                // nobody is accepted any more either way
            }
        }
        Set<Mooring> all = new HashSet<>();
        synchronized (moorings) {
            all.addAll(moorings.values());
        }
        for (Meeting meeting : meetings) {
            Mooring carried = meeting.mooring; // which may be one too many to be held
            if (carried != null) {
                all.add(carried);
            }
        }
        all.forEach(Mooring::finish);
        long end = System.nanoTime() + LAST_WORDS.toNanos();
        all.forEach(one -> one.stop(end));
        meetings.forEach(meeting -> close(meeting.client));
        timer.shutdownNow();
    }

    // --- bytes

    private static void copy(SocketChannel from, SocketChannel to) {
        byte[] bytes = new byte[CHUNK];
        try {
            int some;
            while ((some = from.read(ByteBuffer.wrap(bytes))) >= 0) {
                ByteBuffer out = ByteBuffer.wrap(bytes, 0, some);
                while (out.hasRemaining()) {
                    to.write(out);
                }
            }
            to.shutdownOutput();
        } catch (IOException e) {
            reset(from);
            reset(to);
        }
    }

    /** One end was reset: so is the other. */
    private static void reset(SocketChannel one) {
        try {
            one.setOption(StandardSocketOptions.SO_LINGER, 0);
        } catch (IOException e) {
            // closed already
        }
        close(one);
    }

    static void write(SocketChannel to, byte[] bytes) throws IOException {
        ByteBuffer out = ByteBuffer.wrap(bytes);
        while (out.hasRemaining()) {
            to.write(out);
        }
    }

    static void close(@Nullable SocketChannel one) {
        if (one != null) {
            try {
                one.close();
            } catch (IOException e) {
                // the descriptor is gone either way
            }
        }
    }

    private static String from(SocketChannel client) {
        InetSocketAddress peer = (InetSocketAddress) client.socket().getRemoteSocketAddress();
        return peer == null
                ? "unknown"
                : peer.getAddress().getHostAddress() + " port " + peer.getPort();
    }
}
