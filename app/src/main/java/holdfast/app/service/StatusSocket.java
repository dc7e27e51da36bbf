package holdfast.app.service;

import holdfast.ssh.server.Server;
import java.io.IOException;
import java.io.InputStream;
import java.io.InterruptedIOException;
import java.io.OutputStream;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.Channels;
import java.nio.channels.ClosedChannelException;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Where a running server answers its owner: a Unix socket that only they can open.
 *
 * <p>One line asks, {@code status} or {@code drop ID}; the answer is all there is until the end: a
 * {@link StatusReport} as JSON, or a line of text.
 */
public final class StatusSocket implements AutoCloseable {

    private static final int LONGEST_QUESTION = 256;
    private static final Duration PATIENCE = Duration.ofSeconds(5);

    private final Server server;
    private final ServerSocketChannel listener;
    private final Path path;

    private StatusSocket(Server server, ServerSocketChannel listener, Path path) {
        this.server = server;
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
     * @throws IOException if the directory is not, or cannot be made, the user's alone
     */
    public static StatusSocket open(Path directory, Server server) throws IOException {
        Files.createDirectories(
                directory,
                PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------")));
        if (!PosixFilePermissions.toString(
                        Files.getPosixFilePermissions(directory, LinkOption.NOFOLLOW_LINKS))
                .endsWith("------")) {
            throw new IOException(directory + " is open to others");
        }
        Path path = directory.resolve("sshd-" + ProcessHandle.current().pid() + ".sock");
        Files.deleteIfExists(path);
        ServerSocketChannel listener = ServerSocketChannel.open(StandardProtocolFamily.UNIX);
        try {
            listener.bind(UnixDomainSocketAddress.of(path));
            Files.setPosixFilePermissions(path, PosixFilePermissions.fromString("rw-------"));
        } catch (IOException | RuntimeException e) {
            listener.close();
            throw e;
        }
        StatusSocket socket = new StatusSocket(server, listener, path);
        Thread.ofPlatform().daemon().name("holdfast-status").start(socket::accept);
        return socket;
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

    private static boolean running(Path socket) {
        String name = String.valueOf(socket.getFileName());
        try {
            long pid = Long.parseLong(name.substring(5, name.length() - 5));
            return ProcessHandle.of(pid).isPresent();
        } catch (NumberFormatException e) {
            return false;
        }
    }

    /** Asks the server behind {@code socket}; the whole answer. */
    public static String ask(Path socket, String question) throws IOException {
        try (SocketChannel channel = SocketChannel.open(UnixDomainSocketAddress.of(socket))) {
            OutputStream out = Channels.newOutputStream(channel);
            out.write((question + "\n").getBytes(StandardCharsets.UTF_8));
            out.flush();
            return new String(
                    Channels.newInputStream(channel).readAllBytes(), StandardCharsets.UTF_8);
        }
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
