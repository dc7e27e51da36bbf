package holdfast.lab.proxy;

import holdfast.core.time.Moment;
import holdfast.lab.middlebox.Direction;
import holdfast.lab.middlebox.End;
import holdfast.lab.middlebox.Event;
import holdfast.lab.middlebox.Flow;
import holdfast.lab.middlebox.FlowDeath;
import holdfast.lab.middlebox.Happening;
import holdfast.lab.middlebox.Middlebox;
import holdfast.lab.middlebox.Outage;
import holdfast.lab.middlebox.Packet;
import holdfast.lab.middlebox.Packet.Kind;
import holdfast.lab.middlebox.Path;
import holdfast.lab.sim.Sender.Segment;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.locks.LockSupport;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * A TCP proxy with weather in it: connections to a local port are carried to a target, and every
 * segment of them has to get through a path of middleboxes.
 *
 * <p>A proxy in user space sees streams, not packets: the kernels at both ends acknowledge at once
 * to the proxy what the weather then loses. So the proxy plays their TCP between its two sockets,
 * with {@link holdfast.lab.sim.Sender} and {@link holdfast.lab.sim.Receiver}: it cuts each stream
 * into segments of 1,448 bytes, sends what gets lost again on Linux's ladder, and delivers a stream
 * in order and without holes, or not at all. What remains different from a path of real packets:
 *
 * <ul>
 *   <li>the ends' own TCP notices nothing: their socket options (TCP_USER_TIMEOUT, TCP_INFO) see a
 *       healthy loopback connection, and TCP's own keepalives are answered by the proxy's kernel
 *       and never travel;
 *   <li>an end whose TCP would give up ({@code Connection timed out}, 924.6 s) gets a RST instead;
 *   <li>a client is accepted before the target has been reached, so a target that refuses shows as
 *       a reset;
 *   <li>an end that closes altogether cannot be told from one that only stops speaking until
 *       something is written to it;
 *   <li>an end that does not read stops the other after {@value #ROOM_BYTES} bytes without the
 *       window probes that would refresh a NAT;
 *   <li>what a mute server absorbed is gone, and that direction stays withheld for good.
 * </ul>
 *
 * <p>One engine thread owns the path and all connections; each connection has four more threads for
 * its two sockets. All are virtual. The listener is called on the engine thread and must not block.
 */
public final class WeatherProxy implements AutoCloseable {

    /** How much of each direction of a connection may be in memory. */
    public static final int ROOM_BYTES = 256 * 1024;

    /** Ethernet's 1,500 less IPv4, TCP and time stamps. */
    static final int SEGMENT_BYTES = 1448;

    private static final int BACKLOG = 128;
    private static final int BATCH = 256;
    private static final Duration ACCEPT_PAUSE = Duration.ofMillis(10);

    private final ServerSocket listening;
    private final InetSocketAddress target;
    private final Path path;
    private final int mostFlows;
    private final Consumer<WeatherEvent> listener;
    private final LinkedBlockingQueue<Runnable> mailbox = new LinkedBlockingQueue<>();
    private final Map<Flow, Connection> connections = new LinkedHashMap<>();
    private final LinkedHashSet<Connection> ready = new LinkedHashSet<>();
    private final ArrayDeque<Happening> untold = new ArrayDeque<>();
    private boolean telling;
    private final Set<Thread> connecting = ConcurrentHashMap.newKeySet();
    private final Thread engine;
    private final Thread acceptor;
    private final long zero = System.nanoTime();
    private int lastFlow;
    private boolean stopped;

    private WeatherProxy(
            ServerSocket listening,
            InetSocketAddress target,
            List<Middlebox<?>> boxes,
            int mostFlows,
            Consumer<WeatherEvent> listener) {
        this.listening = listening;
        this.target = target;
        this.mostFlows = mostFlows;
        this.listener = listener;
        // So that cut() and kill() work on every path; nearest to the client, as a pulled cable is.
        List<Middlebox<?>> all = new ArrayList<>();
        all.add(Outage.byHand());
        all.add(FlowDeath.byHand());
        all.addAll(boxes);
        path = Path.of(all);
        engine = Thread.ofVirtual().name("weather engine").unstarted(this::run);
        acceptor = Thread.ofVirtual().name("weather acceptor").unstarted(this::accept);
    }

    /**
     * Starts a proxy on a free port of the loopback address.
     *
     * @param boxes the one nearest to the client first
     */
    public static WeatherProxy open(
            InetSocketAddress target, List<Middlebox<?>> boxes, Consumer<WeatherEvent> listener)
            throws IOException {
        InetSocketAddress anyPort = new InetSocketAddress(InetAddress.getLoopbackAddress(), 0);
        return open(anyPort, target, boxes, 1024, listener);
    }

    /**
     * Starts a proxy.
     *
     * @param boxes the one nearest to the client first
     * @param mostFlows how many connections there may be at once; the next is reset
     */
    public static WeatherProxy open(
            InetSocketAddress listen,
            InetSocketAddress target,
            List<Middlebox<?>> boxes,
            int mostFlows,
            Consumer<WeatherEvent> listener)
            throws IOException {
        ServerSocket socket = new ServerSocket();
        try {
            socket.setReuseAddress(true);
            socket.bind(listen, BACKLOG);
        } catch (IOException e) {
            socket.close();
            throw e;
        }
        WeatherProxy proxy = new WeatherProxy(socket, target, boxes, mostFlows, listener);
        proxy.engine.start();
        proxy.acceptor.start();
        return proxy;
    }

    /** Where clients connect to. */
    public InetSocketAddress address() {
        return (InetSocketAddress) listening.getLocalSocketAddress();
    }

    /** The path's time: zero when the proxy was started. */
    public Moment now() {
        return new Moment(System.nanoTime() - zero);
    }

    /** Somebody meddles with every box and every flow. */
    public void meddle(Event.ByHand event) {
        mailbox.add(() -> handle(path.meddle(event, now())));
    }

    /** Somebody meddles with one flow. */
    public void meddle(Flow flow, Event.ByHand event) {
        mailbox.add(() -> {
            // A box would begin to remember a flow that is no more.
            if (connections.containsKey(flow)) {
                handle(path.meddle(flow, event, now()));
            }
        });
    }

    /** Nothing gets through in either direction until {@link #heal}. */
    public void cut() {
        meddle(new Event.Cut());
    }

    public void heal() {
        meddle(new Event.Heal());
    }

    /** Every box loses its table. */
    public void forget() {
        meddle(new Event.Forget());
    }

    /** Every box loses what it knows of this flow. */
    public void forget(Flow flow) {
        meddle(flow, new Event.Forget());
    }

    /** This flow alone gets nothing through any more. */
    public void kill(Flow flow) {
        meddle(flow, new Event.Kill());
    }

    /** Both ends of this flow get a RST at once. */
    public void reset(Flow flow) {
        mailbox.add(() -> {
            Connection connection = connections.get(flow);
            if (connection != null) {
                reset(connection, End.CLIENT);
                reset(connection, End.SERVER);
                finishIfDone(connection);
            }
        });
    }

    /** How every connection stands; empty when the proxy is closed. */
    public List<FlowReport> flows() {
        CompletableFuture<List<FlowReport>> answer = new CompletableFuture<>();
        mailbox.add(() -> {
            List<FlowReport> reports = new ArrayList<>();
            for (Connection connection : connections.values()) {
                reports.add(connection.report(path.wakeAt(connection.flow)));
            }
            answer.complete(reports);
        });
        try {
            while (engine.isAlive()) {
                try {
                    return answer.get(50, TimeUnit.MILLISECONDS);
                } catch (TimeoutException busy) {
                    // Asked again, so that a proxy closed meanwhile is not waited for.
                }
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        } catch (ExecutionException e) {
            throw new IllegalStateException(e);
        }
        return answer.getNow(List.of());
    }

    /** Resets what is still open and ends every thread. */
    @Override
    public void close() {
        try {
            listening.close();
        } catch (IOException ignored) {
            // A socket that cannot be closed is closed.
        }
        mailbox.add(() -> stopped = true);
        try {
            acceptor.join();
            engine.join();
            for (Thread thread : connecting) {
                thread.join();
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
        // Whoever was accepted, or reached, while the engine came to its end.
        for (Runnable late = mailbox.poll(); late != null; late = mailbox.poll()) {
            late.run();
        }
    }

    private void accept() {
        while (!listening.isClosed()) {
            try {
                Socket socket = listening.accept();
                mailbox.add(() -> opened(socket));
            } catch (IOException e) {
                // Closed; or out of descriptors, of which there may be more a moment later.
                LockSupport.parkNanos(ACCEPT_PAUSE.toNanos());
            }
        }
    }

    private void run() {
        try {
            while (!stopped) {
                Runnable first = mailbox.poll(untilWake(), TimeUnit.NANOSECONDS);
                for (int i = 0; first != null; i++) {
                    first.run();
                    first = i < BATCH ? mailbox.poll() : null;
                }
                tick();
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        } finally {
            for (Connection connection : connections.values()) {
                connection.closeLegs();
            }
            for (Connection connection : List.copyOf(connections.values())) {
                connection.joinLegs();
            }
            connections.clear();
            Runnable late;
            // A client accepted in the last moment, or a target reached in it.
            while ((late = mailbox.poll()) != null) {
                late.run();
            }
        }
    }

    private long untilWake() {
        Moment wake = path.wakeAt();
        for (Connection connection : connections.values()) {
            wake = Moment.earlier(wake, connection.wakeAt());
        }
        return Math.max(0, now().until(wake).toNanos());
    }

    /** Lets time pass, then sends for as long as acknowledgements make room for more. */
    private void tick() {
        Moment now = now();
        handle(path.advance(now));
        for (Connection connection : connections.values()) {
            if (connection.wakeAt().compareTo(now) <= 0) {
                ready.add(connection);
            }
        }
        while (!ready.isEmpty()) {
            Connection connection = ready.removeFirst();
            if (connections.containsKey(connection.flow)) {
                pump(connection, connection.toServer);
                pump(connection, connection.toClient);
                finishIfDone(connection);
            }
        }
    }

    private void opened(Socket socket) {
        Flow flow = new Flow(++lastFlow);
        if (stopped || connections.size() >= mostFlows) {
            listener.accept(new WeatherEvent.Refused(flow, "too many connections", now()));
            new Leg("refused", socket, Connection.room(), Connection.room(), news -> {}).reset();
            return;
        }
        Connection connection = new Connection(flow, now());
        connections.put(flow, connection);
        connection.client = leg(connection, End.CLIENT, socket);
        listener.accept(new WeatherEvent.Opened(flow, now()));
        connection.toServer.sender.offer(Kind.OPEN, 0, Connection.NO_BYTES);
        ready.add(connection);
    }

    private Leg leg(Connection connection, End end, Socket socket) {
        try {
            socket.setTcpNoDelay(true);
        } catch (IOException ignored) {
            // The first read or write will say that the socket is gone.
        }
        boolean client = end == End.CLIENT;
        Leg leg =
                new Leg(
                        "weather " + connection.flow + (client ? " client" : " server"),
                        socket,
                        client ? connection.toServer.room : connection.toClient.room,
                        client ? connection.toClient.room : connection.toServer.room,
                        news -> mailbox.add(() -> heard(connection, end, news)));
        leg.start();
        return leg;
    }

    private void connect(Connection connection) {
        Thread thread =
                Thread.ofVirtual()
                        .name("weather " + connection.flow + " connect")
                        .unstarted(() -> {
                            dial(connection);
                            connecting.remove(Thread.currentThread());
                        });
        connecting.add(thread);
        thread.start();
    }

    private void dial(Connection connection) {
        Socket socket = new Socket();
        connection.dialling = socket;
        try {
            socket.connect(target);
            mailbox.add(() -> connected(connection, socket));
        } catch (IOException e) {
            String reason = String.valueOf(e.getMessage());
            mailbox.add(() -> refused(connection, reason));
        }
    }

    private void connected(Connection connection, Socket socket) {
        if (stopped || !connections.containsKey(connection.flow)) {
            new Leg("late", socket, Connection.room(), Connection.room(), news -> {}).reset();
            return;
        }
        connection.server = leg(connection, End.SERVER, socket);
        connection.toClient.sender.offer(Kind.OPEN, 0, Connection.NO_BYTES);
        acknowledge(connection, connection.toServer);
        ready.add(connection);
    }

    private void refused(Connection connection, String reason) {
        if (!connections.containsKey(connection.flow)) {
            return;
        }
        listener.accept(new WeatherEvent.Refused(connection.flow, reason, now()));
        connection.serverGone = true;
        send(connection, Packet.rst(connection.flow, Direction.TO_CLIENT));
        finishIfDone(connection);
    }

    /** A leg has news. */
    private void heard(Connection connection, End end, Leg.News news) {
        if (!connections.containsKey(connection.flow) || connection.gone(end)) {
            return;
        }
        Half half = connection.half(end.speaks());
        switch (news) {
            case Leg.News.Read(ByteBuffer bytes) -> {
                Direction direction = end.speaks();
                listener.accept(
                        new WeatherEvent.Spoke(
                                connection.flow, direction, bytes.remaining(), now()));
                half.offer(bytes);
                ready.add(connection);
            }
            case Leg.News.Ended _ -> {
                half.sender.offer(Kind.FIN, 0, Connection.NO_BYTES);
                half.finOffered = true;
                ready.add(connection);
            }
            case Leg.News.Flushed _ -> {
                connection.half(end.other().speaks()).flushed = true;
                finishIfDone(connection);
            }
            case Leg.News.Broken _ -> {
                // The end's kernel says so to the other one, if the path lets it.
                vanish(connection, end);
                send(connection, fromEnd(connection, Packet.rst(connection.flow, end.speaks())));
                finishIfDone(connection);
            }
        }
    }

    /** Sends what this half of the connection has to send now. */
    private void pump(Connection connection, Half half) {
        boolean before = half.sender.givenUp();
        List<Segment<byte[]>> due = half.sender.due(now());
        // Asked before anything is sent: a RST that answers it ends the sender too.
        boolean gaveUp = half.sender.givenUp() && !before;
        transmit(connection, half, due);
        if (gaveUp) {
            End end = End.speaker(half.direction);
            listener.accept(new WeatherEvent.GaveUp(connection.flow, end, now()));
            vanish(connection, end);
        }
    }

    private void transmit(Connection connection, Half half, List<Segment<byte[]>> segments) {
        for (Segment<byte[]> segment : segments) {
            half.underWay(segment);
            Packet packet =
                    new Packet(
                            connection.flow,
                            half.direction,
                            segment.kind(),
                            segment.sequence(),
                            segment.bytes(),
                            0);
            send(connection, fromEnd(connection, packet));
        }
    }

    private static Packet fromEnd(Connection connection, Packet packet) {
        return packet.direction() == Direction.TO_CLIENT
                ? packet.mappedTo(connection.serverMapping)
                : packet;
    }

    private void send(Connection connection, Packet packet) {
        Moment now = now();
        connection.idle = now.since(connection.active);
        List<Happening> happenings = path.send(packet, now);
        connection.active = now;
        handle(happenings);
    }

    /** One after the other, also those that the handling of the first brings about. */
    private void handle(List<Happening> happenings) {
        untold.addAll(happenings);
        if (telling) {
            return;
        }
        telling = true;
        Happening happening;
        while ((happening = untold.poll()) != null) {
            switch (happening) {
                case Happening.Delivered delivered -> delivered(delivered.packet());
                case Happening.Lost lost -> lost(lost);
                case Happening.Noted noted -> noted(noted);
            }
        }
        telling = false;
    }

    private void delivered(Packet packet) {
        Connection connection = connections.get(packet.flow());
        if (connection == null) {
            return;
        }
        End end = End.speaker(packet.direction()).other();
        boolean opens = end == End.SERVER && packet.kind() == Kind.OPEN;
        if (opens && connection.toServer.receiver.expected() == 0) {
            connection.serverMapping = packet.mapping();
        }
        boolean stranger = end == End.SERVER && packet.mapping() != connection.serverMapping;
        if (stranger || connection.gone(end)) {
            if (packet.kind() != Kind.RST) {
                // No such connection here, says this end's kernel.
                Packet rst = Packet.rst(packet.flow(), packet.direction().opposite());
                send(connection, rst.mappedTo(packet.mapping()));
            }
            return;
        }
        switch (packet.kind()) {
            case OPEN, DATA -> arrived(connection, packet);
            case FIN -> {
                if (packet.sequence() == 0) {
                    // Not an end's FIN, which comes after its OPEN, but a box's.
                    ended(connection, connection.half(packet.direction()));
                } else {
                    arrived(connection, packet);
                }
            }
            case ACK -> {
                Half half = connection.half(packet.direction().opposite());
                transmit(connection, half, half.sender.acknowledged(packet.sequence(), now()));
                ready.add(connection);
            }
            case RST -> {
                reset(connection, end);
                finishIfDone(connection);
            }
        }
    }

    /** A segment of the stream has come out at its end. */
    private void arrived(Connection connection, Packet packet) {
        Half half = connection.half(packet.direction());
        if (half.withheld) {
            acknowledge(connection, half, packet.sequence() + 1);
            return;
        }
        Segment<byte[]> segment = half.arrived(packet.sequence());
        if (segment != null) {
            int bytes = 0;
            for (Segment<byte[]> ready : half.receiver.received(segment)) {
                bytes += ready.bytes();
                deliver(connection, half, ready);
            }
            if (bytes > 0) {
                half.delivered += bytes;
                listener.accept(
                        new WeatherEvent.Heard(connection.flow, half.direction, bytes, now()));
            }
        }
        boolean answered = half.direction == Direction.TO_CLIENT || connection.server != null;
        if (answered) {
            acknowledge(connection, half);
        }
    }

    private void deliver(Connection connection, Half half, Segment<byte[]> segment) {
        switch (segment.kind()) {
            case OPEN -> {
                if (half.direction == Direction.TO_SERVER) {
                    connect(connection);
                }
            }
            case DATA -> {
                Leg leg = connection.leg(End.speaker(half.direction).other());
                if (leg != null) {
                    leg.send(segment.payload());
                }
            }
            case FIN -> ended(connection, half);
            case ACK, RST -> throw new IllegalStateException("not part of a stream: " + segment);
        }
    }

    /** The end that this half leads to hears that nothing more will come. */
    private void ended(Connection connection, Half half) {
        if (half.endSent) {
            return;
        }
        half.endSent = true;
        half.withheld = true;
        End end = End.speaker(half.direction).other();
        listener.accept(new WeatherEvent.Ended(connection.flow, end, now()));
        Leg leg = connection.leg(end);
        if (leg != null) {
            leg.sendEnd();
        }
    }

    private void acknowledge(Connection connection, Half half) {
        acknowledge(connection, half, half.receiver.expected());
    }

    private void acknowledge(Connection connection, Half half, long expected) {
        Packet ack =
                new Packet(connection.flow, half.direction.opposite(), Kind.ACK, expected, 0, 0);
        send(connection, fromEnd(connection, ack));
    }

    private void lost(Happening.Lost lost) {
        Packet packet = lost.packet();
        Connection connection = connections.get(packet.flow());
        if (connection == null || packet.kind() == Kind.ACK || packet.kind() == Kind.RST) {
            return;
        }
        Half half = connection.half(packet.direction());
        boolean box = packet.kind() == Kind.FIN && packet.sequence() == 0;
        if (box) {
            return;
        }
        if (half.firstLoss(packet.sequence())) {
            listener.accept(
                    new WeatherEvent.Swallowed(
                            packet.flow(),
                            packet.direction(),
                            packet.bytes(),
                            lost.box(),
                            lost.reason(),
                            lost.acknowledged(),
                            lost.at()));
        }
        if (lost.acknowledged()) {
            half.withheld = true;
            half.arrived(packet.sequence());
            half.sender.acknowledged(packet.sequence() + 1, now());
        }
    }

    private void noted(Happening.Noted noted) {
        Connection connection = connections.get(noted.flow());
        if (connection == null) {
            return;
        }
        switch (noted.note()) {
            case NOTHING -> {}
            case FORGOTTEN -> {
                connection.forgottenBy.add(noted.box());
                Duration idle = noted.at().since(connection.active);
                listener.accept(
                        new WeatherEvent.Forgotten(
                                noted.flow(),
                                noted.box(),
                                idle.isZero() ? connection.idle : idle,
                                noted.at()));
            }
            case REVIVED -> {
                connection.forgottenBy.remove(noted.box());
                listener.accept(new WeatherEvent.Revived(noted.flow(), noted.box(), noted.at()));
            }
            case REMAPPED -> {
                connection.forgottenBy.remove(noted.box());
                listener.accept(new WeatherEvent.Remapped(noted.flow(), noted.box(), noted.at()));
            }
        }
    }

    /** This end is told by a RST. */
    private void reset(Connection connection, End end) {
        if (!connection.gone(end)) {
            listener.accept(new WeatherEvent.Reset(connection.flow, end, now()));
            vanish(connection, end);
        }
    }

    /** This end no longer has the connection. */
    private static void vanish(Connection connection, End end) {
        connection.gone(end, true);
        connection.half(end.speaks()).forget();
        Leg leg = connection.leg(end);
        if (leg != null) {
            leg.reset();
        }
    }

    private void finishIfDone(Connection connection) {
        if (!connection.done() || connections.remove(connection.flow) == null) {
            return;
        }
        connection.closeLegs();
        path.ended(connection.flow);
        listener.accept(
                new WeatherEvent.Closed(
                        connection.flow,
                        connection.toServer.delivered,
                        connection.toClient.delivered,
                        now()));
    }

    /** Both legs, both halves and what is known of one connection; owned by the engine. */
    private static final class Connection {

        static final byte[] NO_BYTES = new byte[0];

        final Flow flow;
        final Moment opened;
        final Half toServer = new Half(Direction.TO_SERVER);
        final Half toClient = new Half(Direction.TO_CLIENT);
        @Nullable Leg client;
        @Nullable Leg server;
        volatile @Nullable Socket dialling;
        boolean clientGone;
        boolean serverGone;
        final LinkedHashSet<String> forgottenBy = new LinkedHashSet<>();
        int serverMapping;
        Moment active;
        Duration idle = Duration.ZERO;

        Connection(Flow flow, Moment opened) {
            this.flow = flow;
            this.opened = opened;
            active = opened;
        }

        static Semaphore room() {
            return new Semaphore(ROOM_BYTES);
        }

        Half half(Direction direction) {
            return direction == Direction.TO_SERVER ? toServer : toClient;
        }

        @Nullable Leg leg(End end) {
            return end == End.CLIENT ? client : server;
        }

        boolean gone(End end) {
            return end == End.CLIENT ? clientGone : serverGone;
        }

        void gone(End end, boolean now) {
            if (end == End.CLIENT) {
                clientGone = now;
            } else {
                serverGone = now;
            }
        }

        /** Whether neither end has the connection any more. */
        boolean done() {
            boolean finished =
                    toServer.finOffered
                            && toClient.finOffered
                            && toServer.sender.settled()
                            && toClient.sender.settled();
            boolean client = clientGone || (finished && toClient.flushed);
            boolean server = serverGone || (finished && toServer.flushed);
            // A server that was never reached has nothing to lose.
            return client && (server || (this.server == null && dialling == null));
        }

        Moment wakeAt() {
            return Moment.earlier(toServer.sender.wakeAt(), toClient.sender.wakeAt());
        }

        void closeLegs() {
            Socket socket = dialling;
            if (server == null && socket != null) {
                try {
                    socket.setSoLinger(true, 0); // a target reached in this moment hears a reset
                    socket.close();
                } catch (IOException ignored) {
                    // A socket that cannot be closed is closed.
                }
            }
            if (client != null) {
                client.close();
            }
            if (server != null) {
                server.close();
            }
        }

        void joinLegs() {
            try {
                if (client != null) {
                    client.join();
                }
                if (server != null) {
                    server.join();
                }
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
        }

        FlowReport report(Moment forgets) {
            return new FlowReport(
                    flow,
                    opened,
                    active,
                    toServer.delivered,
                    toClient.delivered,
                    forgottenBy.isEmpty() ? "" : forgottenBy.getFirst(),
                    forgets,
                    !clientGone,
                    server != null && !serverGone);
        }
    }
}
