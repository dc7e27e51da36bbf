package holdfast.ssh.server;

import holdfast.core.tether.Bytes;
import holdfast.core.tether.Frame;
import holdfast.core.tether.Prover;
import holdfast.core.tether.Resumption;
import holdfast.core.tether.TetherLine;
import holdfast.ssh.config.ServerSettings;
import holdfast.ssh.link.Wire;
import holdfast.ssh.tether.OfferKeys;
import holdfast.ssh.tether.Refusals;
import holdfast.ssh.tether.TetherKey;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.channels.SocketChannel;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Supplier;
import org.apache.sshd.common.io.IoHandler;
import org.apache.sshd.common.io.IoSession;
import org.apache.sshd.common.util.Readable;
import org.apache.sshd.common.util.buffer.ByteArrayBuffer;
import org.jspecify.annotations.Nullable;

/**
 * Between MINA's network and the server's connections: every TCP connection becomes a {@link
 * CarriedSession}, or the next carrier of one that is there.
 */
final class TetherGate implements IoHandler {

    private static final Object CARRIED = new Object();
    private static final Object RELAYED = new Object();

    private final Server server;
    private final IoHandler above;
    private final Supplier<ServerSettings> settings;
    private final Map<Bytes, CarriedSession> held = new ConcurrentHashMap<>();
    private final Map<String, Integer> heldBy = new HashMap<>(); // guarded by itself
    private final OfferKeys keys = new OfferKeys();
    private final Refusals refusals = new Refusals();
    private final Prover nobodys = TetherKey.nobodys();

    TetherGate(Server server, IoHandler above) {
        this.server = server;
        this.above = above;
        this.settings = server::settings;
    }

    // --- MINA's network

    @Override
    public void sessionCreated(IoSession io) throws Exception {
        CarriedSession session =
                new CarriedSession(this, above, io, server.deadlines(), settings.get().tether());
        carries(io, session);
        above.sessionCreated(session);
    }

    @Override
    public void messageReceived(IoSession io, Readable message) throws Exception {
        if (io.getAttribute(RELAYED) instanceof Predecessors.Relay relay) {
            relay.received(message);
            return;
        }
        CarriedSession session = carried(io);
        if (session != null) {
            session.received(io, message);
        }
    }

    @Override
    public void exceptionCaught(IoSession io, Throwable why) {
        CarriedSession session = carried(io);
        if (session != null) {
            session.failed(io, why);
        }
    }

    @Override
    public void sessionClosed(IoSession io) {
        if (io.getAttribute(RELAYED) instanceof Predecessors.Relay relay) {
            relay.end();
            return;
        }
        CarriedSession session = carried(io);
        if (session != null) {
            session.ended(io);
        }
    }

    private static @Nullable CarriedSession carried(IoSession io) {
        return (CarriedSession) io.getAttribute(CARRIED);
    }

    /** From now on what comes on {@code io} is {@code session}'s. */
    void carries(IoSession io, CarriedSession session) {
        io.setAttribute(CARRIED, session);
    }

    // --- offers and what is held

    TetherKey key() {
        return keys.current();
    }

    /** TetherBuffer, as a power of two. */
    int buffer() {
        return Integer.highestOneBit((int) settings.get().tetherBuffer());
    }

    void apart(Runnable work) {
        server.apart(work);
    }

    /**
     * A user is in: lets the client come back, if there may be one more.
     *
     * @return whether it may
     */
    boolean hold(CarriedSession session, Login login) {
        ServerSettings of = login.settings();
        String user = login.account().name();
        if (!session.tethered() || !of.tether()) {
            return false;
        }
        synchronized (heldBy) {
            int there = heldBy.getOrDefault(user, 0);
            if (held.size() >= of.tetherMax() || there >= of.tetherMaxPerUser()) {
                return false;
            }
            heldBy.put(user, there + 1);
        }
        Bytes id = TetherKey.random(Resumption.ID);
        held.put(id, session);
        boolean alive =
                session.hold(
                        id, of.tetherHold(), of.clientAliveInterval(), of.clientAliveCountMax());
        if (!alive) {
            forget(id, login); // its end did not know the name yet
        }
        return alive;
    }

    void forget(@Nullable Bytes id, @Nullable Login whose) {
        if (id != null && held.remove(id) != null && whose != null) {
            synchronized (heldBy) {
                heldBy.computeIfPresent(
                        whose.account().name(), (user, count) -> count > 1 ? count - 1 : null);
            }
        }
    }

    // --- resuming

    /**
     * A client asks for a tether on a connection of its own.
     *
     * @param line the identification that was sent on it
     * @param rest what came behind the client's line
     */
    void resume(IoSession io, TetherLine.Resume request, String line, byte[] rest) {
        InetSocketAddress from = CarriedSession.peer(io);
        InetAddress source = from == null ? InetAddress.getLoopbackAddress() : from.getAddress();
        if (refusals.tooMany(source)) {
            busy(io);
            return;
        }
        CarriedSession session = held.get(request.id());
        // The same work, whoever's name it is.
        boolean proved =
                session == null
                        ? Resumption.proved(nobodys, request, line)
                        : session.proves(request, line);
        if (session == null) {
            elsewhere(io, request, line, rest, source);
            return;
        }
        if (from != null && proved) {
            // Asked again what was asked at the login, which may take a while.
            apart(() -> take(session, io, request, line, mayReturn(session, io, from), rest));
        } else {
            take(session, io, request, line, false, rest);
        }
    }

    /** Nobody of ours: may be one of a server that was stopped. */
    private void elsewhere(
            IoSession io, TetherLine.Resume request, String line, byte[] rest, InetAddress source) {
        try {
            List<Path> predecessors = server.predecessors();
            if (predecessors.isEmpty()) {
                refuse(io, request, line, source);
            } else {
                apart(() -> relay(predecessors, io, request, line, rest, source));
            }
        } catch (IOException e) {
            unknown(io, e);
        }
    }

    /** It cannot be told whether the session is there: a no would end it for good. */
    private void unknown(IoSession io, IOException why) {
        server.log().error("resume: " + why.getMessage());
        busy(io);
    }

    /** Another time. */
    private void busy(IoSession io) {
        byte[] busy = new byte[Frame.LONGEST_CONTROL];
        int length = new Frame.Refused(Frame.Refused.BUSY).write(busy, 0);
        answer(io, Arrays.copyOf(busy, length));
    }

    private void refuse(IoSession io, TetherLine.Resume request, String line, InetAddress source) {
        answer(io, Resumption.serve(null, nobodys, request, line, true).answer());
        refused(source);
    }

    /** To the server before us whose session it is, if there is one. */
    private void relay(
            List<Path> predecessors,
            IoSession io,
            TetherLine.Resume request,
            String line,
            byte[] rest,
            InetAddress source) {
        try {
            SocketChannel to = Predecessors.whose(predecessors, request, line, io);
            if (to == null) {
                refuse(io, request, line, source);
                return;
            }
            Predecessors.Relay relay = new Predecessors.Relay(io, to, rest);
            io.setAttribute(RELAYED, relay);
            relay.start();
            if (!io.isOpen()) {
                relay.end(); // before it was known there
            }
        } catch (IOException e) {
            unknown(io, e);
        }
    }

    /** Whether that tether is held here. */
    boolean has(Bytes id) {
        return held.containsKey(id);
    }

    /** Takes what another server relays, for a tether that is held here. */
    void relayed(
            SocketChannel stream,
            InetSocketAddress local,
            InetSocketAddress peer,
            TetherLine.Resume request,
            String line) {
        Wire wire = Predecessors.wire(stream, local, peer, this);
        boolean started = false;
        try {
            resume(wire, request, line, new byte[0]);
            // All may come back at once, and none has a thread of its own.
            wire.start("relayed", Thread.ofVirtual());
            started = true;
        } finally {
            if (!started) {
                wire.close(true);
            }
        }
    }

    private void take(
            CarriedSession session,
            IoSession io,
            TetherLine.Resume request,
            String line,
            boolean allowed,
            byte[] rest) {
        if (!session.resume(io, request, line, allowed, rest)) {
            InetSocketAddress from = CarriedSession.peer(io);
            if (from != null) {
                refused(from.getAddress());
            }
        }
    }

    private boolean mayReturn(CarriedSession session, IoSession io, InetSocketAddress from) {
        try {
            return session.mayReturn(from, CarriedSession.local(io));
        } catch (IOException e) {
            server.log().error("resume from " + ServerTransport.text(from) + ": " + e.getMessage());
            return false;
        }
    }

    private void refused(InetAddress source) {
        server.counts().departed(Departure.RESUME_REFUSED);
        String line = refusals.refused(source);
        if (!line.isEmpty()) {
            server.log().info(line);
        }
    }

    /** Answers on a connection that becomes nobody's. */
    void answer(IoSession io, byte[] bytes) {
        try {
            io.writeBuffer(new ByteArrayBuffer(bytes)).addListener(done -> io.close(false));
        } catch (IOException e) {
            io.close(true);
        }
    }
}
