package holdfast.ssh.tether;

import holdfast.core.tether.Bytes;
import holdfast.core.tether.Greeting;
import holdfast.core.tether.Prover;
import holdfast.core.tether.Resumption;
import holdfast.core.tether.Tether;
import holdfast.core.tether.TetherLine;
import holdfast.core.time.Moment;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.StandardSocketOptions;
import java.nio.ByteBuffer;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.concurrent.atomic.AtomicInteger;
import org.jspecify.annotations.Nullable;

/** A server of one tether at a time that gives back what it gets: blocking, and in clear. */
final class EchoServer implements AutoCloseable {

    private static final int WINDOW = 1 << 20;

    private final ServerSocketChannel listener;
    private final boolean offers;
    private final TetherKey key = TetherKey.generate();
    private final Bytes id = TetherKey.random(Resumption.ID);
    private final Object lock = new Object();
    private final AtomicInteger connections = new AtomicInteger();
    private @Nullable Tether tether;
    private @Nullable Prover prover;
    private @Nullable SocketChannel current;
    private volatile boolean forgotten;
    private volatile boolean deaf;
    private volatile boolean mute;
    private volatile @Nullable String lastWord;
    private boolean stalled; // guarded by the lock

    EchoServer(boolean offers) throws IOException {
        this.offers = offers;
        listener = ServerSocketChannel.open();
        listener.bind(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0));
        Thread.ofPlatform().daemon().name("echo-accept").start(this::accept);
    }

    SocketChannel connect() throws IOException {
        return SocketChannel.open(listener.getLocalAddress());
    }

    int connections() {
        return connections.get();
    }

    /** The connection breaks, as a RST from the middle does. */
    void cut() throws IOException {
        synchronized (lock) {
            if (current != null && current.isOpen()) {
                current.setOption(StandardSocketOptions.SO_LINGER, 0);
                current.close();
            }
        }
    }

    /** What the current connection brings is no longer heard, and nothing is said on it. */
    void blackhole() {
        deaf = true;
    }

    /** Reads no connection until told to: what comes fills the kernel's buffers. */
    void stall(boolean on) {
        synchronized (lock) {
            stalled = on;
            lock.notifyAll();
        }
    }

    /** From now on it takes what comes and gives nothing back. */
    void mute() {
        mute = true;
    }

    /** Whoever comes back is told this in one breath with the answer, and that it is all. */
    void endWith(String word) {
        lastWord = word;
    }

    /** The server has been restarted. */
    void forget() {
        forgotten = true;
    }

    private static Moment now() {
        return new Moment(System.nanoTime());
    }

    private void accept() {
        try {
            while (true) {
                SocketChannel one = listener.accept();
                connections.incrementAndGet();
                Thread.ofPlatform().daemon().name("echo").start(() -> serve(one));
            }
        } catch (IOException e) {
            // closed: the test is over
        }
    }

    private void serve(SocketChannel one) {
        try (one) {
            TetherLine.Offer offer = key.offer(WINDOW);
            String line = "SSH-2.0-Echo_1" + (offers ? " " + offer.word() : "");
            one.write(ByteBuffer.wrap((line + "\r\n").getBytes(StandardCharsets.US_ASCII)));
            Greeting greeting = Greeting.ofClient();
            byte[] bytes = new byte[65_536];
            int count = 0;
            int used = 0;
            while (greeting.outcome() == null) {
                count = one.read(ByteBuffer.wrap(bytes));
                if (count < 0) {
                    return;
                }
                used = greeting.read(bytes, 0, count);
            }
            if (!offers || !(greeting.outcome() instanceof Greeting.Outcome.Said said)) {
                one.write(ByteBuffer.wrap(bytes, used, count - used));
                while ((count = one.read(ByteBuffer.wrap(bytes))) >= 0) {
                    one.write(ByteBuffer.wrap(bytes, 0, count));
                }
                return;
            }
            Tether.Carrier carrier = begin(one, said, line);
            if (carrier != null) {
                carry(one, carrier, bytes, used, count - used);
            }
        } catch (IOException | InterruptedException e) {
            // cut, or the test is over
        }
    }

    private Tether.@Nullable Carrier begin(
            SocketChannel one, Greeting.Outcome.Said said, String line) throws IOException {
        synchronized (lock) {
            if (said.what() instanceof TetherLine.Resume request) {
                Prover known = prover;
                Resumption.Served served =
                        Resumption.serve(
                                forgotten ? null : tether,
                                known == null ? TetherKey.nobodys() : known,
                                request,
                                line,
                                true);
                one.write(ByteBuffer.wrap(answer(served)));
                if (served.carrier() != null) {
                    if (current != null) {
                        current.close();
                    }
                    current = one;
                    deaf = false;
                }
                return served.carrier();
            }
            TetherLine.Offer offer = (TetherLine.Offer) said.what();
            prover = key.agree(offer.key(), said.line(), line);
            Tether made =
                    new Tether(
                            Tether.Role.SERVER,
                            WINDOW,
                            WINDOW,
                            offer.window() * TetherLine.WINDOW_UNIT);
            tether = made;
            current = one;
            Tether.Carrier carrier = made.begin();
            made.hold(id, 60);
            return carrier;
        }
    }

    private byte[] answer(Resumption.Served served) {
        String word = lastWord;
        Tether end = tether;
        Tether.Carrier carrier = served.carrier();
        if (word == null || end == null || carrier == null) {
            return served.answer();
        }
        end.write(word.getBytes(StandardCharsets.US_ASCII), 0, word.length());
        end.finish(0);
        byte[] all = Arrays.copyOf(served.answer(), 65_536);
        int said = served.answer().length;
        return Arrays.copyOf(all, said + carrier.fill(all, said, all.length - said, now()));
    }

    private void carry(SocketChannel one, Tether.Carrier carrier, byte[] bytes, int at, int rest)
            throws IOException, InterruptedException {
        Thread writer =
                Thread.ofPlatform().daemon().name("echo-writer").start(() -> write(one, carrier));
        int offset = at;
        int count = rest;
        byte[] echo = new byte[8192];
        while (count >= 0) {
            synchronized (lock) {
                Tether end = tether;
                if (end == null
                        || (!deaf
                                && carrier.received(
                                                        bytes,
                                                        offset,
                                                        count,
                                                        new Moment(System.nanoTime()))
                                                .fault()
                                        != null)) {
                    return;
                }
                int took = 0;
                while (end.room() >= echo.length
                        && (took = end.take(echo, 0, echo.length, now())) > 0) {
                    answer(end, echo, took);
                }
                if (took < 0) {
                    return;
                }
                lock.notifyAll();
                while (stalled) {
                    lock.wait();
                }
            }
            offset = 0;
            count = one.read(ByteBuffer.wrap(bytes));
        }
        writer.interrupt();
    }

    private void answer(Tether end, byte[] echo, int count) {
        if (!mute) {
            end.write(Arrays.copyOf(echo, count), 0, count);
        }
    }

    private void write(SocketChannel one, Tether.Carrier carrier) {
        byte[] out = new byte[65_536];
        byte[] echo = new byte[8192];
        try {
            while (one.isOpen()) {
                int count;
                synchronized (lock) {
                    Tether end = tether;
                    if (end == null) {
                        return;
                    }
                    int took;
                    while (end.room() >= echo.length
                            && (took = end.take(echo, 0, echo.length, now())) > 0) {
                        answer(end, echo, took);
                    }
                    count = deaf ? 0 : carrier.fill(out, 0, out.length, now());
                    if (count == 0) {
                        lock.wait(20);
                    }
                }
                one.write(ByteBuffer.wrap(out, 0, count));
            }
        } catch (IOException | InterruptedException e) {
            // another carrier has taken over, or the test is over
        }
    }

    @Override
    public void close() throws IOException {
        listener.close();
        synchronized (lock) {
            if (current != null) {
                current.close();
            }
        }
    }
}
