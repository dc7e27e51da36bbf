package holdfast.ssh.server;

import holdfast.core.tether.TetherLine;
import holdfast.ssh.link.Wire;
import holdfast.ssh.system.Accounts;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.net.ConnectException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.ClosedChannelException;
import java.nio.channels.NotYetConnectedException;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryIteratorException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import org.apache.sshd.common.io.IoSession;
import org.apache.sshd.common.util.Readable;
import org.apache.sshd.common.util.buffer.ByteArrayBuffer;
import org.jspecify.annotations.Nullable;

/**
 * Servers that were stopped and go on with their sessions, as the one that listens now finds them:
 * a client that comes back for such a session comes to us, and we carry its bytes there.
 *
 * <p>Each has a Unix socket in a directory that is its user's alone. We say what was said on the
 * connection, in three lines: the request, our own line, and the addresses. It answers with a byte
 * whether the session is its own; after that the stream is the carrier, and the request is judged
 * there as if it had come there. Whoever is relayed is served by a few virtual threads.
 */
final class Predecessors {

    private static final String PREFIX = "resume-";
    private static final String SUFFIX = ".sock";
    private static final int MINE = 'y';
    private static final int NOT_MINE = 'n';

    /** The longest of the three lines is an identification's 255 bytes. */
    private static final int LONGEST_LINE = 512;

    private static final Duration PATIENCE = Duration.ofSeconds(5);
    private static final int CHUNK = 32 * 1024;

    /** A client that takes nothing for so long is gone; it will come back on another connection. */
    private static final Duration STUCK = Duration.ofMinutes(2);

    /** Everybody may come back at once. */
    private static final int BACKLOG = 4096;

    private static final Duration REST = Duration.ofSeconds(1);

    private Predecessors() {}

    // --- at the server that listens

    /**
     * The sockets that are there: with nobody behind them, too. None in a directory where anybody
     * could be met.
     *
     * @throws IOException it cannot be told
     */
    static List<Path> in(Path directory) throws IOException {
        List<Path> all = new ArrayList<>();
        try (DirectoryStream<Path> found =
                Files.newDirectoryStream(directory, PREFIX + "*" + SUFFIX)) {
            found.forEach(all::add);
        } catch (NoSuchFileException e) {
            return List.of();
        } catch (DirectoryIteratorException e) {
            throw e.getCause();
        }
        if (!all.isEmpty() && !isPrivate(directory)) {
            return List.of();
        }
        all.removeIf(socket -> !isOurs(socket));
        return all;
    }

    /** Whose is not ours is not asked, and hears nothing of who comes. */
    private static boolean isOurs(Path file) {
        try {
            return Files.getAttribute(file, "unix:uid", LinkOption.NOFOLLOW_LINKS)
                            instanceof Integer uid
                    && uid == Accounts.effectiveUid();
        } catch (IOException e) {
            return false; // it has just gone
        }
    }

    private static boolean isPrivate(Path directory) throws IOException {
        return isOurs(directory)
                && PosixFilePermissions.toString(
                                Files.getPosixFilePermissions(directory, LinkOption.NOFOLLOW_LINKS))
                        .endsWith("------");
    }

    /**
     * Asks each of them for the session; waits for their answers.
     *
     * @return a stream to the one that has it; null: none has
     * @throws IOException one that may have it has not answered
     */
    static @Nullable SocketChannel whose(
            List<Path> sockets, TetherLine.Resume request, String serverLine, IoSession client)
            throws IOException {
        String said =
                request.word()
                        + "\n"
                        + serverLine
                        + "\n"
                        + text(CarriedSession.peer(client))
                        + " "
                        + text(CarriedSession.local(client))
                        + "\n";
        IOException silent = null;
        for (Path socket : sockets) {
            SocketChannel stream = SocketChannel.open(StandardProtocolFamily.UNIX);
            boolean theirs = false;
            try {
                stream.connect(UnixDomainSocketAddress.of(socket));
                Thread watch = endLater(stream);
                write(stream, ByteBuffer.wrap(said.getBytes(StandardCharsets.UTF_8)));
                ByteBuffer answer = ByteBuffer.allocate(1);
                if (stream.read(answer) < 1) {
                    throw new IOException("no answer");
                }
                theirs = answer.get(0) == MINE;
                watch.interrupt();
            } catch (ConnectException e) {
                forget(socket); // it was killed, or has just ended
            } catch (IOException | NotYetConnectedException e) {
                // It hangs, or has more to do than it can: the session may be there all the same.
                silent = new IOException(socket + ": " + e.getMessage(), e);
            } finally {
                if (!theirs) {
                    stream.close();
                }
            }
            if (theirs) {
                return stream;
            }
        }
        if (silent != null) {
            throw silent;
        }
        return null;
    }

    private static void forget(Path socket) {
        try {
            Files.deleteIfExists(socket);
        } catch (IOException e) {
            // it is asked again, and refuses again
        }
    }

    private static String text(@Nullable InetSocketAddress address) {
        return address == null
                ? "- 0"
                : address.getAddress().getHostAddress() + " " + address.getPort();
    }

    /** A client's connection whose bytes go to another server, and from there. */
    static final class Relay {
        private final IoSession client;
        private final SocketChannel server;
        private final BlockingQueue<byte[]> up = new LinkedBlockingQueue<>();

        /**
         * @param rest what the client has said already
         */
        Relay(IoSession client, SocketChannel server, byte[] rest) {
            this.client = client;
            this.server = server;
            if (rest.length > 0) {
                up.add(rest);
            }
        }

        void start() {
            Thread.ofVirtual().name("holdfast-relay-up").start(this::up);
            Thread.ofVirtual().name("holdfast-relay-down").start(this::down);
        }

        /** On a network thread: bounded, for no more is read until it has been passed on. */
        void received(Readable message) {
            byte[] bytes = new byte[message.available()];
            message.getRawBytes(bytes, 0, bytes.length);
            client.suspendRead();
            up.add(bytes);
        }

        private void up() {
            try {
                while (true) {
                    write(server, ByteBuffer.wrap(up.take()));
                    if (up.isEmpty()) {
                        client.resumeRead();
                    }
                }
            } catch (IOException e) {
                end();
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                end();
            }
        }

        private void down() {
            ByteBuffer some = ByteBuffer.allocate(CHUNK);
            try {
                while (server.read(some.clear()) >= 0) {
                    some.flip();
                    byte[] bytes = new byte[some.remaining()];
                    some.get(bytes);
                    // One at a time, so that a client that does not read holds up who sends.
                    if (!client.writeBuffer(new ByteArrayBuffer(bytes)).await(STUCK)) {
                        client.close(true);
                    }
                    if (!client.isOpen()) {
                        break;
                    }
                }
            } catch (IOException e) {
                // as at its end
            }
            client.close(false); // what is on its way is still to arrive
            end();
        }

        /** The client's connection has ended, or the other server has. */
        void end() {
            try {
                server.close();
            } catch (IOException e) {
                // it is closed all the same
            }
            up.add(new byte[0]); // whoever waits there learns it
            client.close(false);
        }
    }

    // --- at the server that was stopped

    /** Where a stopped server takes those who come back to its sessions. */
    static final class Door implements AutoCloseable {
        private final ServerSocketChannel listener;
        private final Path path;
        private final TetherGate gate;

        private Door(ServerSocketChannel listener, Path path, TetherGate gate) {
            this.listener = listener;
            this.path = path;
            this.gate = gate;
        }

        static Door open(Path directory, TetherGate gate) throws IOException {
            if (!isPrivate(directory)) {
                throw new IOException(directory + " is open to others");
            }
            String name = PREFIX + ProcessHandle.current().pid();
            Path path = directory.resolve(name + SUFFIX);
            Path early = directory.resolve(name + ".new");
            ServerSocketChannel listener = ServerSocketChannel.open(StandardProtocolFamily.UNIX);
            try {
                // Who finds it finds it listening: what refuses is taken for dead.
                Files.deleteIfExists(early);
                listener.bind(UnixDomainSocketAddress.of(early), BACKLOG);
                Files.setPosixFilePermissions(early, PosixFilePermissions.fromString("rw-------"));
                Files.move(early, path, StandardCopyOption.ATOMIC_MOVE);
            } catch (IOException | RuntimeException e) {
                listener.close();
                throw e;
            }
            Door door = new Door(listener, path, gate);
            Thread.ofPlatform().daemon().name("holdfast-resume").start(door::accept);
            return door;
        }

        private void accept() {
            while (listener.isOpen()) {
                try {
                    SocketChannel relay = listener.accept();
                    Thread.ofVirtual().name("holdfast-resume-take").start(() -> take(relay));
                } catch (ClosedChannelException e) {
                    return;
                } catch (IOException e) {
                    rest(); // out of descriptors, which others will give back
                }
            }
        }

        private static void rest() {
            try {
                Thread.sleep(REST);
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
        }

        private void take(SocketChannel relay) {
            boolean given = false;
            try {
                Thread watch = endLater(relay);
                TetherLine asked = TetherLine.of("SSH-2.0-relayed " + line(relay));
                String serverLine = line(relay);
                String[] ends = line(relay).split(" ", -1);
                watch.interrupt();
                if (asked instanceof TetherLine.Resume request && ends.length == 4) {
                    InetSocketAddress local = address(ends, 2);
                    InetSocketAddress peer = address(ends, 0);
                    boolean ours = gate.has(request.id());
                    write(relay, ByteBuffer.wrap(new byte[] {(byte) (ours ? MINE : NOT_MINE)}));
                    if (ours) {
                        gate.relayed(relay, local, peer, request, serverLine);
                        given = true;
                    }
                }
            } catch (IOException e) {
                // whoever asked has gone
            } finally {
                if (!given) {
                    close(relay);
                }
            }
        }

        private static void close(SocketChannel relay) {
            try {
                relay.close();
            } catch (IOException e) {
                // it is closed all the same
            }
        }

        /** The addresses are numbers, which are looked up nowhere. */
        private static InetSocketAddress address(String[] ends, int at) throws IOException {
            try {
                int port = Integer.parseInt(ends[at + 1]);
                return ends[at].equals("-")
                        ? InetSocketAddress.createUnresolved("UNKNOWN", 65535)
                        : new InetSocketAddress(InetAddress.ofLiteral(ends[at]), port);
            } catch (IllegalArgumentException e) {
                throw new IOException("no address", e);
            }
        }

        @Override
        public void close() throws IOException {
            listener.close();
            Files.deleteIfExists(path);
        }
    }

    // --- both

    private static String line(SocketChannel from) throws IOException {
        ByteArrayOutputStream line = new ByteArrayOutputStream();
        ByteBuffer one = ByteBuffer.allocate(1);
        while (from.read(one.clear()) == 1 && line.size() < LONGEST_LINE) {
            if (one.get(0) == '\n') {
                return line.toString(StandardCharsets.UTF_8);
            }
            line.write(one.get(0));
        }
        throw new IOException("no line");
    }

    private static void write(SocketChannel to, ByteBuffer bytes) throws IOException {
        do {
            to.write(bytes);
        } while (bytes.hasRemaining());
    }

    /** Closes a stream on which nothing is said in time, unless it is interrupted before. */
    private static Thread endLater(SocketChannel stream) {
        return Thread.ofVirtual()
                .start(() -> {
                    try {
                        Thread.sleep(PATIENCE);
                        stream.close();
                    } catch (IOException | InterruptedException e) {
                        // in time, or closed
                    }
                });
    }

    /** A carrier that another server relays, under MINA's name for one. */
    static Wire wire(
            SocketChannel relay, InetSocketAddress local, InetSocketAddress peer, TetherGate gate) {
        return new Wire(
                relay,
                local,
                peer,
                gate,
                new Wire.Listener() {
                    @Override
                    public void heardBytes() {
                        // the session sees them itself
                    }

                    @Override
                    public void ended(Wire.End end) {
                        // the wire closes, and the carrier with it
                    }
                });
    }
}
