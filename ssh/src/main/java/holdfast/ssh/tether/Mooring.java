package holdfast.ssh.tether;

import holdfast.core.tether.Bytes;
import holdfast.core.tether.CarrierCommand;
import holdfast.core.tether.CarrierEvent;
import holdfast.core.tether.CarrierPolicy;
import holdfast.core.tether.CarrierState;
import holdfast.core.tether.CarrierStep;
import holdfast.core.tether.Carriers;
import holdfast.core.tether.Prover;
import holdfast.core.tether.Resumption;
import holdfast.core.tether.Tether;
import holdfast.core.tether.TetherLine;
import holdfast.core.tether.Traffic;
import holdfast.core.time.Moment;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.time.Duration;
import java.util.concurrent.ScheduledFuture;
import java.util.concurrent.ScheduledThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/**
 * One tether of a {@link TetherListener}: what holds a connection to the target while the client's
 * connections come and go.
 *
 * <p>Its monitor guards everything; nothing blocks under it. One thread reads the target for as
 * long as it lives; one reads and one writes the carrier; one gives the target what has come, and
 * ends when there is nothing.
 */
final class Mooring {

    private static final CarrierPolicy POLICY =
            CarrierPolicy.server(Duration.ofSeconds(60), Duration.ofSeconds(20));

    /** How long the last bytes may take to be read by those they are for. */
    private static final Duration FAREWELL = Duration.ofSeconds(5);

    private static final int CHUNK = 32 * 1024;

    private final TetherListener listener;
    private final Tether tether;
    private final Prover prover;
    private final SocketChannel target;
    private final ScheduledThreadPoolExecutor timer;
    private final TetherListener.Watcher watcher;
    private String from;

    private Tether.@Nullable Carrier carrier;
    private @Nullable SocketChannel channel;
    private final Traffic traffic = new Traffic();
    private CarrierState state = Carriers.begin(now());
    private @Nullable ScheduledFuture<?> alarm;
    private @Nullable ScheduledFuture<?> ripening;
    private @Nullable ScheduledFuture<?> farewell;
    private Moment alarmAt = Moment.NEVER;
    private boolean young = true;
    private boolean parkedYoung;
    private boolean delivering;
    private boolean targetEnded;
    private @Nullable Moment parkedAt;
    private boolean closeSaid;
    private boolean over;

    Mooring(
            TetherListener listener,
            String from,
            Tether tether,
            Prover prover,
            SocketChannel target,
            ScheduledThreadPoolExecutor timer,
            TetherListener.Watcher watcher) {
        this.listener = listener;
        this.from = from;
        this.tether = tether;
        this.prover = prover;
        this.target = target;
        this.timer = timer;
        this.watcher = watcher;
    }

    private static Moment now() {
        return new Moment(System.nanoTime());
    }

    synchronized boolean parked() {
        return parkedAt != null && !over;
    }

    synchronized Tether.Carrier first() {
        Tether.Carrier current = carrier;
        if (current == null) {
            throw new IllegalStateException("not begun");
        }
        return current;
    }

    /**
     * Lets it be resumed: for a short time while it may not have logged in, which the listener
     * cannot see; for the whole hold when it has outlived every login.
     */
    synchronized void hold(Bytes id, Duration whole) {
        boolean sooner = whole.compareTo(TetherListener.YOUNG_HOLD) > 0;
        tether.hold(id, (sooner ? TetherListener.YOUNG_HOLD : whole).toSeconds());
        ripening =
                timer.schedule(
                        () -> ripe(id, whole),
                        TetherListener.YOUNG.toMillis(),
                        TimeUnit.MILLISECONDS);
    }

    private synchronized void ripe(Bytes id, Duration whole) {
        if (!over) {
            young = false;
            unparkYoung();
            tether.hold(id, whole.toSeconds());
            if (tether.resumable()) {
                step(new CarrierEvent.Held(tether.hold()));
            }
            notifyAll();
        }
    }

    /** The first carrier, and what the target has said behind its identification. */
    void begin(SocketChannel client, byte[] said) {
        synchronized (this) {
            carrier = tether.begin();
            channel = client;
        }
        watcher.said(from + ": tether begins");
        Thread.ofVirtual().start(() -> readTarget(said));
        startWriter(client, new byte[0]);
    }

    /** Checks a request; if it is right, this is the carrier now, and its writer runs. */
    Resumption.Served resume(
            SocketChannel client, String source, TetherLine.Resume request, String serverLine) {
        Resumption.Served served;
        Moment lost;
        synchronized (this) {
            served = Resumption.serve(tether, prover, request, serverLine, !over);
            Tether.Carrier next = served.carrier();
            if (next == null) {
                return served;
            }
            SocketChannel older = channel;
            carrier = next;
            channel = client;
            from = source;
            closeSaid = false;
            lost = parkedAt;
            parkedAt = null;
            unparkYoung();
            step(new CarrierEvent.Held(tether.hold()));
            step(new CarrierEvent.Resumed(next.generation()));
            if (targetEnded && tether.acknowledged()) {
                tether.finish(0);
            }
            TetherListener.close(older);
            notifyAll();
        }
        watcher.said(
                source
                        + ": tether resumed"
                        + (lost == null ? "" : " after " + seconds(now().since(lost)) + " s"));
        startWriter(client, served.answer());
        return served;
    }

    private static String seconds(Duration time) {
        return "%d.%d".formatted(time.toSeconds(), time.toMillisPart() / 100);
    }

    // --- the carrier

    /** Reads a carrier until it ends. */
    void carry(SocketChannel client, Tether.Carrier on, byte[] first) {
        byte[] bytes = new byte[CHUNK];
        try {
            if (!received(on, first, first.length)) {
                return;
            }
            while (true) {
                int count = client.read(ByteBuffer.wrap(bytes));
                if (count < 0 || !received(on, bytes, count)) {
                    break;
                }
            }
            lost(on, false);
        } catch (IOException e) {
            watcher.detail(from + ": " + e);
            lost(on, false);
        }
    }

    /** Whether the carrier is still of use. */
    private boolean received(Tether.Carrier on, byte[] bytes, int count) {
        synchronized (this) {
            if (over) {
                return false;
            }
            if (!on.equals(carrier)) {
                return false;
            }
            if (count == 0) {
                return true;
            }
            int room = tether.room();
            Tether.News news = on.received(bytes, 0, count, now());
            traffic.heard(now(), news.bytes() > 0);
            if (news.pong() != null) {
                step(new CarrierEvent.PingAnswered(news.pong(), now()));
            }
            if (news.held()) {
                step(new CarrierEvent.Held(tether.hold()));
            }
            if (news.fault() != null) {
                watcher.detail(from + ": the client broke the protocol: " + news.fault());
            }
            if (targetEnded && tether.acknowledged()) {
                tether.finish(0);
            }
            if (!delivering && (tether.waiting() > 0 || tether.peerClosed() >= 0)) {
                delivering = true;
                Thread.ofVirtual().start(this::deliver);
            }
            if (tether.room() > room || on.wants(now())) {
                notifyAll();
            }
            if (news.fault() == null) {
                return true;
            }
        }
        lost(on, true);
        return false;
    }

    private void lost(Tether.Carrier which, boolean fault) {
        boolean held;
        synchronized (this) {
            if (!which.equals(carrier) || over) {
                return;
            }
            TetherListener.close(channel);
            channel = null;
            carrier = null;
            if (tether.finished() || tether.peerClosed() >= 0) {
                // Good-bye was said: this is the end and no loss. The target has its last bytes.
                if (tether.finished()) {
                    end();
                }
                return;
            }
            held = park(new CarrierEvent.Lost(which.generation(), fault));
        }
        watcher.said(from + (held ? ": connection lost, tether held" : ": connection lost"));
    }

    /** Lets the tether wait for another carrier; whether it may. */
    private boolean park(CarrierEvent why) {
        tether.park();
        parkedAt = now();
        step(why);
        notifyAll();
        return !over;
    }

    private void startWriter(SocketChannel client, byte[] first) {
        Tether.Carrier on;
        synchronized (this) {
            on = carrier;
            if (on == null || !client.equals(channel)) {
                return;
            }
        }
        Thread.ofVirtual().start(() -> write(client, on, first));
    }

    private void write(SocketChannel to, Tether.Carrier on, byte[] first) {
        try {
            TetherListener.write(to, first);
            while (true) {
                ByteBuffer[] pieces;
                long before;
                boolean last;
                Moment spoke = now();
                synchronized (this) {
                    while (on.equals(carrier) && !over && !on.wants(now())) {
                        waitUntil(tether.wakeAt());
                    }
                    if (!on.equals(carrier) || over) {
                        return;
                    }
                    before = tether.sent();
                    pieces = on.next(CHUNK, now());
                    last = tether.finished();
                }
                while (pieces.length > 0 && pieces[pieces.length - 1].hasRemaining()) {
                    to.write(pieces);
                }
                synchronized (this) {
                    if (on.equals(carrier) && tether.sent() > before) {
                        traffic.spoke(spoke);
                        if (traffic.presses(alarmAt)) {
                            tell();
                        }
                    }
                }
                if (last) {
                    // The client closes when it has read it; a close of ours could overtake it.
                    to.shutdownOutput();
                    synchronized (this) {
                        closeSaid = true;
                        notifyAll();
                    }
                    endIn(FAREWELL);
                    return;
                }
            }
        } catch (IOException e) {
            watcher.detail(from + ": " + e);
            lost(on, false);
        }
    }

    // --- the target

    private void readTarget(byte[] first) {
        byte[] bytes = first;
        int count = first.length;
        boolean gone = false;
        try {
            while (count >= 0) {
                synchronized (this) {
                    int at = 0;
                    while (at < count && !over && tether.peerClosed() < 0) {
                        int took = tether.write(bytes, at, count - at);
                        at += took;
                        if (took > 0) {
                            notifyAll();
                        } else {
                            waitUntil(Moment.NEVER);
                        }
                    }
                    if (over) {
                        return;
                    }
                }
                bytes = bytes.length == CHUNK ? bytes : new byte[CHUNK];
                count = target.read(ByteBuffer.wrap(bytes));
            }
        } catch (IOException e) {
            watcher.detail(from + ": target: " + e);
            gone = true;
        }
        synchronized (this) {
            targetEnded = true;
            if (gone) {
                TetherListener.close(target);
            }
            if (tether.peerClosed() >= 0) {
                end();
            } else if (tether.acknowledged()) {
                tether.finish(0);
            }
            notifyAll();
        }
    }

    /** Gives the target what has come, until there is no more. */
    private void deliver() {
        byte[] bytes = new byte[CHUNK];
        try {
            while (true) {
                int count;
                synchronized (this) {
                    count = over ? 0 : tether.take(bytes, 0, bytes.length, now());
                    if (count == 0) {
                        delivering = false;
                        return;
                    }
                    notifyAll(); // an acknowledgement is due, or will be
                }
                if (count < 0) {
                    target.shutdownOutput();
                    synchronized (this) {
                        if (targetEnded) {
                            end();
                            return;
                        }
                        notifyAll();
                    }
                    endIn(FAREWELL);
                    return;
                }
                ByteBuffer some = ByteBuffer.wrap(bytes, 0, count);
                while (some.hasRemaining()) {
                    target.write(some);
                }
            }
        } catch (IOException e) {
            // The target is gone: whoever reads it finds the same, after what it said last.
            watcher.detail(from + ": target: " + e);
            discard();
        }
    }

    private void discard() {
        byte[] bytes = new byte[CHUNK];
        synchronized (this) {
            while (!over && tether.take(bytes, 0, bytes.length, now()) > 0) {
                // nobody is there to have it
            }
            delivering = false;
            if (tether.peerClosed() >= 0) {
                end();
            }
            notifyAll();
        }
    }

    // --- deciding, under the monitor

    private void step(CarrierEvent event) {
        tell();
        decide(event);
    }

    private void tell() {
        traffic.take().forEach(this::decide);
    }

    private void decide(CarrierEvent event) {
        if (over) {
            return;
        }
        CarrierStep step = Carriers.on(state, event, now(), POLICY);
        state = step.next();
        for (CarrierCommand command : step.commands()) {
            switch (command) {
                case CarrierCommand.Ping ping -> {
                    Tether.Carrier on = carrier;
                    if (on != null) {
                        on.ping(ping.sent());
                        notifyAll();
                    }
                }
                case CarrierCommand.Drop drop -> {
                    Tether.Carrier on = carrier;
                    if (on != null && on.generation() == drop.generation()) {
                        watcher.said(from + ": nothing heard, tether held");
                        TetherListener.close(channel);
                        channel = null;
                        carrier = null;
                        tether.park();
                        parkedAt = now();
                        notifyAll();
                    }
                }
                case CarrierCommand.End end -> {
                    if (end.why() != CarrierState.Ending.FINISHED) {
                        watcher.said(from + ": tether ends: " + words(end.why()));
                    }
                    end();
                }
                case CarrierCommand.Dial _,
                        CarrierCommand.Abandon _,
                        CarrierCommand.Show _,
                        CarrierCommand.Hide _ -> {} // a client's
            }
        }
        if (!over && parkedAt != null && young && !parkedYoung) {
            parkedYoung = listener.parkYoung();
            if (!parkedYoung) {
                watcher.said(from + ": too many lost before they can have logged in: not held");
                end();
            }
        }
        arm();
    }

    /** Back, grown up or over. */
    private void unparkYoung() {
        if (parkedYoung) {
            parkedYoung = false;
            listener.unparkYoung();
        }
    }

    private static String words(CarrierState.Ending why) {
        return switch (why) {
            case FINISHED -> "finished";
            case NOT_RESUMABLE -> "the connection was lost before it could be resumed";
            case GONE, FOREIGN -> "gone";
            case HOLD_OVER -> "nobody came back in time";
            case PROTOCOL -> "the client keeps breaking the protocol";
        };
    }

    /** One alarm at a time; one that comes too early arms the next. */
    private void arm() {
        Moment wakeAt = over ? Moment.NEVER : Carriers.wakeAt(state, POLICY);
        if (!wakeAt.isBefore(alarmAt) || wakeAt.equals(Moment.NEVER)) {
            return;
        }
        cancel(alarm);
        alarmAt = wakeAt;
        alarm =
                timer.schedule(
                        this::alarm,
                        Math.max(0, now().until(wakeAt).toNanos()),
                        TimeUnit.NANOSECONDS);
    }

    private synchronized void alarm() {
        alarmAt = Moment.NEVER;
        tell();
        if (over) {
            return;
        }
        if (tether.acknowledged()) {
            tether.trim();
        }
        if (now().isBefore(Carriers.wakeAt(state, POLICY))) {
            arm();
        } else {
            decide(new CarrierEvent.TimePassed());
        }
    }

    // --- the end

    private synchronized void endIn(Duration time) {
        if (over) {
            return;
        }
        farewell = timer.schedule(this::endNow, time.toMillis(), TimeUnit.MILLISECONDS);
    }

    private synchronized void endNow() {
        end();
    }

    /** The listener stops: the client is to be told. */
    synchronized void finish() {
        if (!over) {
            tether.finish(1);
            notifyAll();
        }
    }

    /**
     * Ends it once the client has been told.
     *
     * @param latest in nanoseconds of System.nanoTime, when it ends whether or not
     */
    synchronized void stop(long latest) {
        while (!over && carrier != null && !closeSaid && System.nanoTime() - latest < 0) {
            waitUntil(new Moment(latest));
        }
        end();
    }

    private void end() {
        if (over) {
            return;
        }
        over = true;
        unparkYoung();
        TetherListener.close(channel);
        TetherListener.close(target);
        cancel(alarm);
        cancel(ripening);
        cancel(farewell);
        Bytes id = tether.id();
        if (id != null) {
            // Not under our monitor: the listener asks its tethers under its own.
            Thread.ofVirtual().start(() -> listener.forget(id));
        }
        notifyAll();
    }

    private static void cancel(@Nullable ScheduledFuture<?> due) {
        if (due != null) {
            due.cancel(false);
        }
    }

    @SuppressWarnings("WaitNotInLoop") // every caller looks again at what it waits for
    private void waitUntil(Moment when) {
        try {
            if (when.equals(Moment.NEVER)) {
                wait();
                return;
            }
            // At least for a moment: whoever looks again and again keeps the others out for ever.
            wait(Math.max(0, now().until(when).toMillis()) + 1);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            end();
        }
    }
}
