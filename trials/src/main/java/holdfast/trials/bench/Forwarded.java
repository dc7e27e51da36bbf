package holdfast.trials.bench;

import holdfast.trials.harness.Client;
import holdfast.trials.harness.Command;
import holdfast.trials.harness.Running;
import holdfast.trials.harness.Sshd;
import java.io.EOFException;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.StandardSocketOptions;
import java.nio.ByteBuffer;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;

/**
 * One client with a forward of each kind to one target, which does what the first eight bytes of a
 * connection say: send so many bytes, or take so many and answer with one.
 */
final class Forwarded implements AutoCloseable {

    /** How a connection goes through the client. */
    enum Way {
        LOCAL("-L"),
        REMOTE("-R"),
        DYNAMIC("-D");

        private final String option;

        Way(String option) {
            this.option = option;
        }

        @Override
        public String toString() {
            return option;
        }
    }

    /** As an order to the target: say back all that comes. */
    static final long ECHO = 0;

    private static final int CHUNK = 128 * 1024;

    private static final InetAddress HERE = InetAddress.ofLiteral("127.0.0.1");

    private static final Duration SOON = Duration.ofSeconds(30);

    private final ServerSocketChannel target;
    private final Running client;
    private final Map<Way, Integer> ports = new EnumMap<>(Way.class);

    /** Starts it and waits until every forward is there. */
    Forwarded(Sshd sshd, Client program, String cipher) throws IOException, InterruptedException {
        target = ServerSocketChannel.open().bind(new InetSocketAddress(HERE, 0), 2048);
        Thread.ofPlatform().daemon().name("target").start(this::accept);
        String to = ":127.0.0.1:" + ((InetSocketAddress) target.getLocalAddress()).getPort();
        List<String> words = new ArrayList<>(List.of("-N", "-c", cipher));
        words.addAll(List.of("-o", "ExitOnForwardFailure=yes", "-o", "ServerAliveInterval=15"));
        for (Way way : Way.values()) {
            int port = Sshd.freePort();
            ports.put(way, port);
            words.add(way.option);
            words.add(port + (way == Way.DYNAMIC ? "" : to));
        }
        words.add("trial");
        client = sshd.client(program, words.toArray(String[]::new)).start();
        long deadline = System.nanoTime() + SOON.toNanos();
        for (Way way : Way.values()) {
            while (true) {
                try (SocketChannel one = connect(way)) {
                    ask(one, ECHO);
                    one.shutdownOutput();
                    break;
                } catch (IOException notYet) {
                    if (System.nanoTime() > deadline || !client.alive()) {
                        throw new AssertionError(client.report(), notYet);
                    }
                    Thread.sleep(20);
                }
            }
        }
    }

    /** The client's process. */
    long pid() {
        return client.pid();
    }

    // --- the target

    private void accept() {
        while (true) {
            SocketChannel socket;
            try {
                socket = target.accept();
            } catch (IOException closed) {
                return;
            }
            Thread.ofVirtual()
                    .start(() -> {
                        try (socket) {
                            serve(socket);
                        } catch (IOException gone) {
                            // Whoever measures sees it at the other end.
                        }
                    });
        }
    }

    private static void serve(SocketChannel socket) throws IOException {
        socket.setOption(StandardSocketOptions.TCP_NODELAY, true);
        ByteBuffer order = ByteBuffer.allocate(Long.BYTES);
        fill(socket, order);
        long count = order.getLong(0);
        if (count > 0) {
            send(socket, count);
        } else if (count < 0) {
            take(socket, -count);
            socket.write(ByteBuffer.wrap(new byte[1]));
        } else {
            ByteBuffer bytes = ByteBuffer.allocate(CHUNK);
            while (socket.read(bytes.clear()) >= 0) {
                bytes.flip();
                while (bytes.hasRemaining()) {
                    socket.write(bytes);
                }
            }
        }
    }

    private static void fill(SocketChannel socket, ByteBuffer all) throws IOException {
        while (all.hasRemaining()) {
            if (socket.read(all) < 0) {
                throw new EOFException("it ended early");
            }
        }
    }

    private static void send(SocketChannel socket, long count) throws IOException {
        ByteBuffer zeros = ByteBuffer.allocateDirect(CHUNK);
        for (long left = count; left > 0; ) {
            zeros.clear().limit((int) Math.min(CHUNK, left));
            left -= socket.write(zeros);
        }
    }

    private static void take(SocketChannel socket, long count) throws IOException {
        ByteBuffer into = ByteBuffer.allocateDirect(CHUNK);
        for (long left = count; left > 0; ) {
            int some = socket.read(into.clear());
            if (some < 0) {
                throw new EOFException(left + " bytes are missing");
            }
            left -= some;
        }
    }

    // --- going there

    /** A connection to the target. */
    SocketChannel connect(Way way) throws IOException {
        SocketChannel socket =
                SocketChannel.open(new InetSocketAddress(HERE, ports.getOrDefault(way, -1)));
        try {
            socket.setOption(StandardSocketOptions.TCP_NODELAY, true);
            if (way == Way.DYNAMIC) {
                int port = ((InetSocketAddress) target.getLocalAddress()).getPort();
                byte[] request = {
                    5, 1, 0, 5, 1, 0, 1, 127, 0, 0, 1, (byte) (port >> 8), (byte) port
                };
                socket.write(ByteBuffer.wrap(request));
                ByteBuffer answer = ByteBuffer.allocate(12);
                fill(socket, answer);
                if (answer.get(3) != 0) {
                    throw new IOException("SOCKS says " + answer.get(3));
                }
            }
            return socket;
        } catch (IOException | RuntimeException e) {
            socket.close();
            throw e;
        }
    }

    /** Gives the target its order. */
    static void ask(SocketChannel socket, long order) throws IOException {
        socket.write(ByteBuffer.allocate(Long.BYTES).putLong(0, order));
    }

    /** Says it and hears it back. */
    static void echo(SocketChannel socket, byte[] bytes) throws IOException {
        ByteBuffer all = ByteBuffer.wrap(bytes);
        while (all.hasRemaining()) {
            socket.write(all);
        }
        ByteBuffer back = ByteBuffer.allocate(bytes.length);
        fill(socket, back);
        if (!Arrays.equals(back.array(), bytes)) {
            throw new IOException("other bytes came back");
        }
    }

    /** Moves so many bytes over so many connections at once; the speed in MB/s. */
    double move(Way way, boolean down, int connections, long bytes)
            throws IOException, InterruptedException {
        long each = bytes / connections;
        List<Throwable> failures = Collections.synchronizedList(new ArrayList<>());
        List<Thread> threads = new ArrayList<>();
        long from = System.nanoTime();
        for (int i = 0; i < connections; i++) {
            threads.add(
                    Thread.ofVirtual()
                            .start(() -> {
                                try (SocketChannel socket = connect(way)) {
                                    ask(socket, down ? each : -each);
                                    if (down) {
                                        take(socket, each);
                                    } else {
                                        send(socket, each);
                                        take(socket, 1);
                                    }
                                } catch (IOException e) {
                                    failures.add(e);
                                }
                            }));
        }
        for (Thread thread : threads) {
            thread.join();
        }
        if (!failures.isEmpty()) {
            throw new AssertionError(
                    failures.size() + " connections failed: " + client.report(),
                    failures.getFirst());
        }
        return each * connections * 1e3 / (System.nanoTime() - from);
    }

    @Override
    public void close() throws IOException {
        client.signal("TERM");
        try {
            client.end(SOON);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
        target.close();
    }

    /** What a VM says of its objects of this class; "": none is held by anybody. */
    static String objects(long pid, String name) throws InterruptedException {
        StringBuilder found = new StringBuilder();
        jcmd(pid, "GC.class_histogram")
                .lines()
                .filter(line -> (line.strip() + " ").contains(" " + name + " "))
                .forEach(line -> found.append(line.strip()).append('\n'));
        return found.toString();
    }

    /** What a VM answers to a command of its own. */
    static String jcmd(long pid, String command) throws InterruptedException {
        String jcmd = Path.of(System.getProperty("java.home"), "bin", "jcmd").toString();
        return Command.of(jcmd, Long.toString(pid), command).end(Duration.ofSeconds(30)).out();
    }

    static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.US_ASCII);
    }
}
