package holdfast.app.service;

import holdfast.ssh.server.Server;
import java.io.IOException;
import java.io.InputStream;
import java.io.InterruptedIOException;
import java.io.OutputStream;
import java.net.ConnectException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.Channels;
import java.nio.channels.ClosedChannelException;
import java.nio.channels.FileChannel;
import java.nio.channels.OverlappingFileLockException;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.jspecify.annotations.Nullable;

/**
 * Where a running server answers its owner: a Unix socket that only they can open.
 *
 * <p>One line asks, {@code status}, {@code drop ID}, or {@code end} of a server that was stopped
 * and only serves on; the answer is all there is until the end: a {@link StatusReport} as JSON, or
 * a line of text.
 */
public final class StatusSocket implements AutoCloseable {

    private static final int LONGEST_QUESTION = 256;
    private static final Duration PATIENCE = Duration.ofSeconds(5);

    private final Server server;
    private final Runnable end;
    private final ServerSocketChannel listener;
    private final Path path;

    private StatusSocket(Server server, Runnable end, ServerSocketChannel listener, Path path) {
        this.server = server;
        this.end = end;
        this.listener = listener;
        this.path = path;
    }

    /** The directory of this user's sockets. */
    public static Path directory(Map<String, String> environment, boolean root) {
        if (root) {
            return Path.of("/run/holdfast");
        }
        String runtime = environment.get("XDG_RUNTIME_DIR");
        if (runtime != null && runtime.startsWith("/")) {
            return Path.of(runtime, "holdfast");
        }
        return Path.of(
                environment.getOrDefault("HOME", System.getProperty("user.home", "/")),
                ".cache",
                "holdfast");
    }

    /**
     * Answers in {@code directory} under a name made of the server's process id.
     *
     * @param end what a server that only serves on does when it is to end
     * @throws IOException if the directory is not, or cannot be made, the user's alone
     */
    public static StatusSocket open(Path directory, Server server, Runnable end)
            throws IOException {
        return open(directory, ProcessHandle.current().pid(), server, end);
    }

    /** The same of a server that never only serves on. */
    public static StatusSocket open(Path directory, Server server) throws IOException {
        return open(directory, server, () -> {});
    }

    /** The same under any number. */
    static StatusSocket open(Path directory, long pid, Server server) throws IOException {
        return open(directory, pid, server, () -> {});
    }

    private static StatusSocket open(Path directory, long pid, Server server, Runnable end)
            throws IOException {
        Files.createDirectories(
                directory,
                PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------")));
        if (!PosixFilePermissions.toString(
                        Files.getPosixFilePermissions(directory, LinkOption.NOFOLLOW_LINKS))
                .endsWith("------")) {
            throw new IOException(directory + " is open to others");
        }
        Path path = directory.resolve("sshd-" + pid + ".sock");
        ServerSocketChannel listener = ServerSocketChannel.open(StandardProtocolFamily.UNIX);
        try (Turn turn = Turn.take(directory)) {
            if (turn != null) {
                sweep(directory);
            }
            Files.deleteIfExists(path);
            listener.bind(UnixDomainSocketAddress.of(path));
            Files.setPosixFilePermissions(path, PosixFilePermissions.fromString("rw-------"));
        } catch (IOException | RuntimeException e) {
            listener.close();
            throw e;
        }
        StatusSocket socket = new StatusSocket(server, end, listener, path);
        Thread.ofPlatform().daemon().name("holdfast-status").start(socket::accept);
        return socket;
    }

    /**
     * One server at a time makes its socket and sweeps: else a socket that is bound and does not
     * yet listen would look like a dead server's, and a name found dead could be a new server's by
     * the time it is removed. The kernel gives the lock back when a server is killed.
     */
    private record Turn(FileChannel file) implements AutoCloseable {

        private static final Duration PATIENCE = Duration.ofSeconds(2);

        /** Null when somebody keeps it for long: whoever starts then starts without sweeping. */
        static @Nullable Turn take(Path directory) throws IOException {
            FileChannel file =
                    FileChannel.open(
                            directory.resolve("lock"),
                            Set.of(StandardOpenOption.CREATE, StandardOpenOption.WRITE),
                            PosixFilePermissions.asFileAttribute(
                                    PosixFilePermissions.fromString("rw-------")));
            long until = System.nanoTime() + PATIENCE.toNanos();
            while (true) {
                try {
                    if (file.tryLock() != null) {
                        return new Turn(file);
                    }
                } catch (OverlappingFileLockException e) {
                    // Another server of this process is at it.
                } catch (IOException e) {
                    file.close(); // a file system without locks
                    return null;
                }
                if (System.nanoTime() >= until) {
                    file.close();
                    return null;
                }
                try {
                    Thread.sleep(10);
                } catch (InterruptedException e) {
                    Thread.currentThread().interrupt();
                    file.close();
                    return null;
                }
            }
        }

        @Override
        public void close() throws IOException {
            file.close();
        }
    }

    /** Removes the sockets that servers left behind which were killed. */
    private static void sweep(Path directory) throws IOException {
        try (DirectoryStream<Path> sockets = Files.newDirectoryStream(directory, "sshd-*.sock")) {
            for (Path socket : sockets) {
                if (!running(socket)) {
                    Files.deleteIfExists(socket);
                }
            }
        }
    }

    /** The sockets of servers that run, of those in {@code directory}. */
    public static List<Path> all(Path directory) throws IOException {
        List<Path> live = new ArrayList<>();
        if (!Files.isDirectory(directory)) {
            return live;
        }
        try (DirectoryStream<Path> sockets = Files.newDirectoryStream(directory, "sshd-*.sock")) {
            for (Path socket : sockets) {
                if (running(socket)) {
                    live.add(socket);
                }
            }
        }
        live.sort(null);
        return live;
    }

    /** Whether anybody listens there. A number alone could be another process's by now. */
    private static boolean running(Path socket) {
        try (SocketChannel channel = SocketChannel.open(StandardProtocolFamily.UNIX)) {
            // Not waiting: a server that hangs, its backlog full, is a server too.
            channel.configureBlocking(false);
            channel.connect(UnixDomainSocketAddress.of(socket));
            return true;
        } catch (ConnectException e) {
            return false;
        } catch (IOException e) {
            // Gone meanwhile; or we may not ask, and it is not ours to judge.
            return Files.exists(socket, LinkOption.NOFOLLOW_LINKS);
        }
    }

    /**
     * Asks the server behind {@code socket}.
     *
     * @return the whole answer
     * @throws IOException also if it takes longer than a server takes
     */
    public static String ask(Path socket, String question) throws IOException {
        FutureTask<String> asking = new FutureTask<>(() -> asked(socket, question));
        Thread.ofPlatform().daemon().name("holdfast-status-ask").start(asking);
        try {
            return asking.get(PATIENCE.toMillis(), TimeUnit.MILLISECONDS);
        } catch (TimeoutException e) {
            throw new InterruptedIOException(socket + " does not answer");
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new InterruptedIOException("interrupted");
        } catch (ExecutionException e) {
            String why = e.getCause() instanceof IOException cause ? cause.getMessage() : null;
            throw new IOException(why == null ? socket + ": no answer" : why, e);
        } finally {
            asking.cancel(true); // which closes what still waits
        }
    }

    private static String asked(Path socket, String question) throws IOException {
        try (SocketChannel channel = SocketChannel.open(UnixDomainSocketAddress.of(socket))) {
            OutputStream out = Channels.newOutputStream(channel);
            out.write((question + "\n").getBytes(StandardCharsets.UTF_8));
            out.flush();
            return new String(
                    Channels.newInputStream(channel).readAllBytes(), StandardCharsets.UTF_8);
        }
    }

    /**
     * Has those that only serve on end, for the machine goes down. Waits for none of them.
     *
     * @return who tells them; they are told when these have ended
     */
    public static List<Thread> endOthers(Path directory) {
        List<Thread> telling = new ArrayList<>();
        try {
            for (Path socket : all(directory)) {
                telling.add(
                        Thread.ofPlatform()
                                .daemon()
                                .start(() -> {
                                    try {
                                        String _ = ask(socket, "end");
                                    } catch (IOException e) {
                                        // then it ends when the machine does
                                    }
                                }));
            }
        } catch (IOException e) {
            // there are none that could be found
        }
        return telling;
    }

    private void accept() {
        while (listener.isOpen()) {
            try {
                SocketChannel asker = listener.accept();
                Thread.ofVirtual().name("holdfast-status-answer").start(() -> answer(asker));
            } catch (ClosedChannelException e) {
                return;
            } catch (IOException e) {
                server.log().error("status socket: " + e.getMessage());
                return;
            }
        }
    }

    private void answer(SocketChannel asker) {
        Thread.ofVirtual()
                .start(() -> {
                    try {
                        Thread.sleep(PATIENCE);
                        asker.close(); // who asks slowly keeps nothing
                    } catch (IOException | InterruptedException e) {
                        // it is closed, or we go down
                    }
                });
        try (asker) {
            String question = question(Channels.newInputStream(asker));
            OutputStream out = Channels.newOutputStream(asker);
            out.write(answer(question).getBytes(StandardCharsets.UTF_8));
            out.flush();
        } catch (IOException e) {
            server.log().debug("status: " + e.getMessage());
        }
    }

    private static @Nullable String question(InputStream in) throws IOException {
        StringBuilder line = new StringBuilder();
        while (line.length() < LONGEST_QUESTION) {
            int c = in.read();
            if (c < 0 || c == '\n') {
                return line.toString();
            }
            line.append((char) c);
        }
        throw new InterruptedIOException("too long a question");
    }

    private String answer(@Nullable String question) {
        if ("status".equals(question)) {
            return StatusReport.of(server).json();
        }
        if ("end".equals(question)) {
            if (!server.leaving()) {
                return "it has not been stopped\n";
            }
            end.run();
            return "ending\n";
        }
        if (question != null && question.startsWith("drop ")) {
            try {
                long id = Long.parseLong(question.substring(5).strip());
                return server.drop(id) ? "dropped\n" : "no connection " + id + "\n";
            } catch (NumberFormatException e) {
                return "drop: expected a connection's number\n";
            }
        }
        return "unknown question\n";
    }

    @Override
    public void close() throws IOException {
        listener.close();
        Files.deleteIfExists(path);
    }
}
