package holdfast.ssh.server.session;

import holdfast.ssh.server.Login;
import holdfast.ssh.stream.SocketTap;
import holdfast.ssh.system.Account;
import java.io.IOException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.ServerSocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.security.SecureRandom;
import java.util.BitSet;
import java.util.concurrent.Callable;
import java.util.function.Consumer;
import org.apache.sshd.common.AttributeRepository.AttributeKey;
import org.apache.sshd.common.session.Session;
import org.jspecify.annotations.Nullable;

/**
 * What the sessions of one connection share: their number, the agent's socket, the file with the
 * proofs. All of it is gone when the connection is. Thread-safe.
 */
final class Sessions {

    private static final AttributeKey<Sessions> KEY = new AttributeKey<>();
    private static final SecureRandom RANDOM = new SecureRandom();
    private static final String LETTERS =
            "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

    private final BitSet taken = new BitSet();
    private int interactive;
    private boolean noMore;
    private boolean over;
    private @Nullable Path agent;
    private SocketTap.@Nullable Listening listening;
    private @Nullable Path proofs;

    /** Whose the agent's socket and the file are; null: there is neither. */
    private @Nullable Login owner;

    private Sessions() {}

    /** Those of this connection. */
    static Sessions of(Session session) {
        Sessions made = session.computeAttributeIfAbsent(KEY, key -> fresh(session));
        if (made == null) {
            throw new IllegalStateException("no attribute");
        }
        return made;
    }

    private static Sessions fresh(Session session) {
        Sessions sessions = new Sessions();
        session.addCloseFutureListener(closed -> sessions.end());
        return sessions;
    }

    /**
     * Takes a place.
     *
     * @return its number, as OpenSSH counts; -1: MaxSessions
     */
    synchronized int enter(int most) {
        int free = taken.nextClearBit(0);
        if (free >= most) {
            return -1;
        }
        taken.set(free);
        return free;
    }

    synchronized void leave(int place) {
        taken.clear(place);
    }

    /**
     * A program begins, or ends, that somebody sits at.
     *
     * @param more 1 or -1
     * @return whether anybody sits at one now
     */
    synchronized boolean interactive(int more) {
        interactive += more;
        return interactive > 0;
    }

    /** The client promised to open none any more (no-more-sessions@openssh.com). */
    synchronized void noMore() {
        noMore = true;
    }

    synchronized boolean closed() {
        return noMore;
    }

    /** The agent's socket; null: not asked for. */
    synchronized @Nullable Path agent() {
        return agent;
    }

    /**
     * Opens the agent's socket, {@code /tmp/ssh-XXXXXXXXXX/agent.PID} as seen in the user's root
     * directory, which belongs to the user and to nobody else.
     *
     * @return false: there is one already
     */
    synchronized boolean openAgent(Login login, Consumer<SocketTap> accepted) throws IOException {
        if (agent != null || over) {
            return false;
        }
        Path directory = Path.of("/tmp", "ssh-" + random(10));
        Path socket = directory.resolve("agent." + ProcessHandle.current().pid());
        ServerSocketChannel channel = ServerSocketChannel.open(StandardProtocolFamily.UNIX);
        try {
            within(
                    login,
                    () -> {
                        bind(channel, directory, socket, login.account());
                        return socket;
                    });
            listening = SocketTap.listen(channel, accepted);
            agent = socket;
            owner = login;
            return true;
        } catch (IOException e) {
            channel.close();
            throw e;
        }
    }

    private static void bind(
            ServerSocketChannel channel, Path directory, Path socket, Account account)
            throws IOException {
        Files.createDirectory(
                directory,
                PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------")));
        try {
            channel.bind(UnixDomainSocketAddress.of(socket));
            Files.setPosixFilePermissions(socket, PosixFilePermissions.fromString("rw-------"));
            give(socket, account);
            give(directory, account);
        } catch (IOException e) {
            Files.deleteIfExists(socket);
            Files.deleteIfExists(directory);
            throw e;
        }
    }

    /** The file ExposeAuthInfo speaks of, made when first asked for; null: could not be made. */
    synchronized @Nullable Path proofs(Login login) {
        if (proofs == null && !over) {
            Path file = Path.of("/tmp", "sshauth." + random(15));
            String text = String.join("\n", login.proofs()) + "\n";
            try {
                within(
                        login,
                        () -> {
                            write(file, text, login.account());
                            return file;
                        });
                proofs = file;
                owner = login;
            } catch (IOException e) {
                return null;
            }
        }
        return proofs;
    }

    private static void write(Path file, String text, Account account) throws IOException {
        Files.createFile(
                file,
                PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-------")));
        try {
            Files.writeString(file, text, StandardCharsets.UTF_8);
            give(file, account);
        } catch (IOException e) {
            Files.deleteIfExists(file);
            throw e;
        }
    }

    /** With our own rights, which are quicker; in another root directory with the user's. */
    private static <T> T within(Login login, Callable<T> task) throws IOException {
        if (login.root() != null) {
            return Found.own(login, task);
        }
        try {
            return task.call();
        } catch (IOException | RuntimeException e) {
            throw e;
        } catch (Exception e) {
            throw new IOException(e.getMessage(), e);
        }
    }

    /** A file of ours becomes the user's; only root may give, and need. */
    private static void give(Path file, Account account) throws IOException {
        Integer owner = (Integer) Files.getAttribute(file, "unix:uid");
        if (owner == null || owner != account.uid()) {
            Files.setAttribute(file, "unix:gid", account.gid());
            Files.setAttribute(file, "unix:uid", account.uid());
        }
    }

    private static String random(int length) {
        StringBuilder text = new StringBuilder();
        for (int i = 0; i < length; i++) {
            text.append(LETTERS.charAt(RANDOM.nextInt(LETTERS.length())));
        }
        return text.toString();
    }

    private synchronized void end() {
        over = true;
        if (listening != null) {
            listening.close();
            listening = null;
        }
        Path socket = agent;
        Path file = proofs;
        Login whose = owner;
        agent = null;
        proofs = null;
        if (whose != null && whose.root() != null) {
            Errands.once(() -> {
                try {
                    Found.own(whose, () -> remove(socket, file));
                } catch (IOException | RuntimeException e) {
                    // It lies where only its owner comes to.
                }
            });
        } else {
            remove(socket, file);
        }
    }

    /** Always true: what could not be removed stays. */
    private static boolean remove(@Nullable Path socket, @Nullable Path file) {
        try {
            if (socket != null) {
                Files.deleteIfExists(socket);
                Files.deleteIfExists(socket.resolve("..").normalize());
            }
        } catch (IOException e) {
            // The user may have put something beside it: then it is theirs to clean up.
        }
        try {
            if (file != null) {
                Files.deleteIfExists(file);
            }
        } catch (IOException e) {
            // /tmp went away
        }
        return true;
    }
}
