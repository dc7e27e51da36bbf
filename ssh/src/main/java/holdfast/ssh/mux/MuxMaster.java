package holdfast.ssh.mux;

import holdfast.ssh.log.Log;
import holdfast.ssh.mux.MuxMessage.Ask;
import holdfast.ssh.mux.MuxMessage.ExtInfo;
import holdfast.ssh.mux.MuxMessage.Forward;
import holdfast.ssh.octets.Octets;
import holdfast.ssh.system.LocalSocket;
import holdfast.ssh.system.PassedFile;
import holdfast.ssh.system.SystemException;
import java.io.IOException;
import java.nio.channels.ByteChannel;
import java.nio.file.Files;
import java.security.SecureRandom;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Executor;
import java.util.concurrent.Executors;
import org.jspecify.annotations.Nullable;

/**
 * The master's end of multiplexing, after OpenSSH's mux.c: listens at the control socket, and does
 * what clients ask, over a connection that {@link Host} has.
 *
 * <p>Each client has a thread that reads what it asks, so that none waits for another. What a
 * client is told it is told without waiting: one that does not read is dropped. What comes that is
 * not of the protocol ends that client and nothing else.
 */
public final class MuxMaster implements AutoCloseable {

    /** Clients at a time; more are turned away. */
    private static final int MOST_CLIENTS = 1024;

    /** When descriptors have run out. */
    private static final Duration REST = Duration.ofMillis(500);

    /** arc4random's part of mux.c's temporary names. */
    private static final int SUFFIX_LETTERS = 16;

    private static final String LETTERS =
            "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

    /** The connection that is shared. Called by many threads, which may wait in it. */
    public interface Host {

        /** Asks the person, if that is to be asked at all. */
        boolean permits(String question);

        /** The host's name, for questions. */
        String name();

        /**
         * Runs a session on these files, which are the host's from here on. Waits for the server.
         *
         * @return null: the server would not
         */
        @Nullable Session session(
                MuxMessage.NewSession wish,
                PassedFile in,
                PassedFile out,
                PassedFile err,
                Reports to);

        /** The same for a connection to beyond the server. */
        @Nullable Session stdio(
                MuxMessage.StdioForward wish, PassedFile in, PassedFile out, Reports to);

        /**
         * Carries the packets of a client that speaks SSH's connection protocol itself; returns
         * when it is gone.
         */
        void carry(ByteChannel client);

        /** Begins a forward; the answer may come later, on another thread. */
        void open(Forward forward, Answer answer);

        /**
         * Ends a forward.
         *
         * @return what is wrong; null: it has ended
         */
        @Nullable String close(Forward forward);

        /** Ends everything, soon. */
        void terminate();

        /** Nobody else will come. */
        void listeningEnded();

        /** Asks the server for a sign of life, and waits for it. */
        Liveness liveness(boolean recentWillDo);

        /** What is asked after, for a person. */
        String describe(String what);

        /** A client has come or gone. */
        void clientsChanged();
    }

    /**
     * What the connection is like.
     *
     * @param answered null: it was asked and did not answer
     * @param silent since the last byte, before it was asked
     */
    public record Liveness(@Nullable Duration answered, Duration silent) {}

    /** A session of a client. */
    public interface Session {
        int number();

        /** The client is gone. */
        void abandon();

        /** The size of its terminal may have changed. */
        void resized();
    }

    /** What befalls a session; never waits. */
    public interface Reports {
        void terminalRefused();

        void exited(int status);

        /** All is over, and what it had to say has been written. */
        void ended();
    }

    /** What came of a forward. */
    public interface Answer {
        /**
         * It works.
         *
         * @param port the server's choice; 0: there was none
         */
        void begun(int port);

        void failed(String why);
    }

    private final String path;
    private final LocalSocket listener;
    private final @Nullable Object file;
    private final Host host;
    private final long user;
    private final Log log;

    /** One for each client; used again, since many do not stay for long. */
    private final Executor threads =
            Executors.newCachedThreadPool(
                    Thread.ofPlatform().daemon().name("mux-client-", 1).factory());

    private final Set<Client> clients = ConcurrentHashMap.newKeySet();
    private boolean listening = true;
    private volatile boolean closed;

    private MuxMaster(String path, LocalSocket listener, Host host, long user, Log log) {
        this.path = path;
        this.listener = listener;
        this.file = fileAt(path);
        this.host = host;
        this.user = user;
        this.log = log;
    }

    /**
     * Listens at {@code path}.
     *
     * @param user whose clients are served, besides root's
     * @return null if something is there already: there is no multiplexing then; it has been said
     * @throws SystemException when nobody could listen there
     */
    public static @Nullable MuxMaster listen(String path, long user, Host host, Log log)
            throws SystemException {
        log.debug("setting up multiplex master socket");
        SecureRandom random = new SecureRandom();
        StringBuilder suffix = new StringBuilder(".");
        for (int i = 0; i < SUFFIX_LETTERS; i++) {
            suffix.append(LETTERS.charAt(random.nextInt(LETTERS.length())));
        }
        LocalSocket socket = LocalSocket.listen(path, suffix.toString());
        if (socket == null) {
            log.error("ControlSocket " + path + " already exists, disabling multiplexing");
            return null;
        }
        MuxMaster master = new MuxMaster(path, socket, host, user, log);
        Thread.ofPlatform().daemon().name("mux").start(master::accept);
        return master;
    }

    /** What distinguishes the file from others of its name. */
    private static @Nullable Object fileAt(String path) {
        try {
            return Files.getAttribute(Octets.path(path), "unix:ino");
        } catch (IOException | UnsupportedOperationException e) {
            return null;
        }
    }

    private void accept() {
        while (true) {
            LocalSocket socket;
            try {
                socket = listener.accept();
            } catch (SystemException e) {
                log.error("mux: " + e.getMessage());
                try {
                    Thread.sleep(REST);
                } catch (InterruptedException interrupted) {
                    return; // nobody does
                }
                continue;
            }
            if (socket == null) {
                return;
            }
            long peer = socket.peer();
            if (peer != 0 && peer != user) {
                log.error("multiplex uid mismatch: peer euid " + peer + " != uid " + user);
                socket.close();
            } else if (clients.size() >= MOST_CLIENTS) {
                log.error("mux: too many clients; one is turned away");
                socket.close();
            } else {
                Client client = new Client(new MuxWire(socket));
                clients.add(client);
                if (closed) {
                    client.wire.close(); // it came while we closed, and may have been passed over
                }
                host.clientsChanged();
                threads.execute(client);
            }
        }
    }

    /** How many clients there are. */
    public int clients() {
        return clients.size();
    }

    /** The size of terminals may have changed. */
    public void resized() {
        clients.forEach(Client::resized);
    }

    /** Takes no more clients; those that there are go on. */
    public synchronized void stopListening() {
        if (listening) {
            listening = false;
            listener.close();
            // Only what we put there: somebody may have removed it and begun anew.
            if (file == null || file.equals(fileAt(path))) {
                LocalSocket.unlink(Octets.path(path));
            }
        }
    }

    /** Ends it, and what its clients have. */
    @Override
    public void close() {
        closed = true;
        stopListening();
        clients.forEach(client -> client.wire.close());
    }

    /** One client, on its own thread. */
    private final class Client implements Runnable, Reports {
        private final MuxWire wire;
        private boolean greeted;

        // Guarded by this: what is told of a session waits until the client knows its number.
        private final List<MuxMessage> early = new ArrayList<>();
        private boolean opening;
        private boolean over;
        private @Nullable Session session;
        private int number;

        Client(MuxWire wire) {
            this.wire = wire;
        }

        @Override
        public void run() {
            try {
                tell(
                        new MuxMessage.Hello(
                                MuxMessage.VERSION,
                                Map.of(MuxMessage.INFO, "0", MuxMessage.ASKABLE, "0")));
                MuxMessage message = wire.read();
                while (message != null && handle(message)) {
                    message = wire.read();
                }
            } catch (MalformedMessage e) {
                log.error("mux_master_read_cb: malformed message: " + e.getMessage());
            } catch (IOException e) {
                log.debug2("mux client: " + e.getMessage()); // it is gone
            } finally {
                gone();
            }
        }

        private void gone() {
            wire.close();
            Session left;
            synchronized (this) {
                over = true;
                left = session;
            }
            if (left != null) {
                left.abandon();
            }
            clients.remove(this);
            host.clientsChanged();
        }

        void resized() {
            Session now;
            synchronized (this) {
                now = session;
            }
            if (now != null) {
                now.resized();
            }
        }

        private void tell(MuxMessage message) {
            try {
                if (!wire.offer(message)) {
                    log.debug("mux client does not read; dropped");
                    wire.close();
                }
            } catch (IOException e) {
                log.debug2("mux client: " + e.getMessage()); // its reader notices too
            }
        }

        /** False: nothing more can be had from it. */
        private boolean handle(MuxMessage message) throws IOException {
            if (!greeted && !(message instanceof MuxMessage.Hello)) {
                log.error(
                        String.format(
                                "mux_master_read_cb: expected MUX_MSG_HELLO(0x%08x),"
                                        + " received 0x%08x",
                                MuxMessage.HELLO, message.type()));
                return false;
            }
            return switch (message) {
                case MuxMessage.Hello hello -> hello(hello);
                case MuxMessage.NewSession wish -> session(wish);
                case MuxMessage.AliveCheck check -> {
                    int pid = (int) ProcessHandle.current().pid();
                    tell(new MuxMessage.Alive(check.request(), pid));
                    yield true;
                }
                case MuxMessage.Terminate terminate -> {
                    if (permitted(
                            terminate.request(),
                            "Terminate shared connection to " + host.name() + "? ")) {
                        tell(new MuxMessage.Ok(terminate.request()));
                        host.terminate();
                    }
                    yield true;
                }
                case MuxMessage.OpenForward open -> {
                    open(open.request(), open.forward());
                    yield true;
                }
                case MuxMessage.CloseForward close -> {
                    String wrong = host.close(close.forward());
                    tell(
                            wrong == null
                                    ? new MuxMessage.Ok(close.request())
                                    : new MuxMessage.Failure(close.request(), wrong));
                    yield true;
                }
                case MuxMessage.StdioForward wish -> stdio(wish);
                case MuxMessage.StopListening stop -> {
                    if (permitted(
                            stop.request(),
                            "Disable further multiplexing on shared connection to "
                                    + host.name()
                                    + "? ")) {
                        stopListening();
                        tell(new MuxMessage.Ok(stop.request()));
                        host.listeningEnded();
                    }
                    yield true;
                }
                case Ask ask -> {
                    ask(ask);
                    yield true;
                }
                case ExtInfo info -> {
                    boolean known =
                            info.what().equals(ExtInfo.CONNECTION)
                                    || info.what().equals(ExtInfo.CHANNELS);
                    tell(
                            new MuxMessage.ExtInfoText(
                                    info.request(),
                                    known,
                                    known
                                            ? host.describe(info.what())
                                            : "info request type not supported"));
                    yield true;
                }
                case MuxMessage.Proxy proxy -> {
                    // OpenSSH's master asks nobody here; a session it would ask about.
                    if (!permitted(
                            proxy.request(), "Allow shared connection to " + host.name() + "? ")) {
                        yield true;
                    }
                    tell(new MuxMessage.ProxyGranted(proxy.request()));
                    host.carry(wire.socket());
                    yield false;
                }
                case MuxMessage.Request other -> unsupported(other.type(), other.request());
                case MuxMessage.Reply other -> unsupported(other.type(), other.request());
                case MuxMessage.ExitMessage other -> unsupported(other.type(), other.session());
                case MuxMessage.TtyAllocFail other -> unsupported(other.type(), other.session());
            };
        }

        private boolean unsupported(int type, int request) {
            log.error(String.format("mux_master_read_cb: unsupported mux message 0x%08x", type));
            tell(new MuxMessage.Failure(request, "unsupported request"));
            return true;
        }

        private boolean hello(MuxMessage.Hello hello) {
            if (greeted) {
                log.error("mux_master_process_hello: HELLO received twice");
                return false;
            }
            if (hello.version() != MuxMessage.VERSION) {
                log.error(
                        "mux_master_process_hello: unsupported multiplexing protocol version "
                                + Integer.toUnsignedLong(hello.version())
                                + " (expected "
                                + MuxMessage.VERSION
                                + ")");
                return false;
            }
            hello.extensions()
                    .forEach(
                            (name, value) -> log.debug2("Unrecognised extension \"" + name + "\""));
            greeted = true;
            return true;
        }

        private boolean permitted(int request, String question) {
            if (host.permits(question)) {
                return true;
            }
            tell(new MuxMessage.PermissionDenied(request, "Permission denied"));
            return false;
        }

        private void ask(Ask ask) {
            switch (ask.what()) {
                case Ask.WIRE, Ask.RECENT -> {
                    Liveness now = host.liveness(ask.what().equals(Ask.RECENT));
                    Duration answered = now.answered();
                    tell(
                            new MuxMessage.Told(
                                    ask.request(),
                                    answered == null ? -1 : millis(answered),
                                    millis(now.silent())));
                }
                default -> tell(new MuxMessage.Failure(ask.request(), "unsupported request"));
            }
        }

        private static int millis(Duration time) {
            return Math.clamp(time.toMillis(), 0, Integer.MAX_VALUE);
        }

        // --- sessions

        /** The files that follow a request; null, and said: they did not come. */
        private @Nullable List<PassedFile> files(int request, int count) throws IOException {
            List<PassedFile> files = new ArrayList<>(count);
            for (int i = 0; i < count; i++) {
                PassedFile file = null;
                try {
                    file = wire.receive(i == 0 ? PassedFile.Use.INPUT : PassedFile.Use.OUTPUT);
                } finally {
                    if (file == null) {
                        files.forEach(PassedFile::close);
                    }
                }
                if (file == null) {
                    log.error("mux_master: failed to receive fd " + i + " from client");
                    tell(new MuxMessage.Failure(request, "did not receive file descriptors"));
                    return null;
                }
                files.add(file);
            }
            return files;
        }

        private boolean session(MuxMessage.NewSession wish) throws IOException {
            List<PassedFile> files = files(wish.request(), 3);
            if (files == null) {
                return false;
            }
            if (mayOpen(
                    wish.request(), files, "Allow shared connection to " + host.name() + "? ")) {
                opened(
                        wish.request(),
                        host.session(wish, files.get(0), files.get(1), files.get(2), this));
            }
            return true;
        }

        private boolean stdio(MuxMessage.StdioForward wish) throws IOException {
            if (wish.port() < 0 && wish.port() != MuxMessage.UNIX_PATH) {
                log.error(
                        String.format(
                                "mux_master_process_stdio_fwd: invalid port 0x%x", wish.port()));
                return false;
            }
            List<PassedFile> files = files(wish.request(), 2);
            if (files == null) {
                return false;
            }
            String question =
                    wish.port() == MuxMessage.UNIX_PATH
                            ? "Allow forward to path " + wish.host()
                            : "Allow forward to [" + wish.host() + "]:" + wish.port() + "? ";
            if (mayOpen(wish.request(), files, question)) {
                opened(wish.request(), host.stdio(wish, files.get(0), files.get(1), this));
            }
            return true;
        }

        private boolean mayOpen(int request, List<PassedFile> files, String question) {
            boolean second;
            synchronized (this) {
                second = session != null;
            }
            if (second) {
                tell(new MuxMessage.Failure(request, "Multiple sessions not supported"));
            } else if (permitted(request, question)) {
                synchronized (this) {
                    opening = true;
                }
                return true;
            }
            files.forEach(PassedFile::close);
            return false;
        }

        private synchronized void opened(int request, @Nullable Session made) {
            opening = false;
            if (made == null) {
                early.clear();
                tell(new MuxMessage.Failure(request, "Session open refused by peer"));
                return;
            }
            session = made;
            number = made.number();
            tell(new MuxMessage.SessionOpened(request, number));
            for (MuxMessage message : early) {
                told(message);
            }
            early.clear();
        }

        /** What came before the number was known has the wrong one. */
        private void told(MuxMessage message) {
            switch (message) {
                case MuxMessage.ExitMessage exit ->
                        tell(new MuxMessage.ExitMessage(number, exit.status()));
                case MuxMessage.TtyAllocFail _ -> tell(new MuxMessage.TtyAllocFail(number));
                case MuxMessage.Hello _, MuxMessage.Request _, MuxMessage.Reply _ ->
                        wire.close(); // stands for the end
            }
        }

        private synchronized void report(MuxMessage message) {
            if (over) {
                return;
            }
            if (opening) {
                early.add(message);
            } else {
                told(message);
            }
        }

        @Override
        public void terminalRefused() {
            report(new MuxMessage.TtyAllocFail(0));
        }

        @Override
        public void exited(int status) {
            report(new MuxMessage.ExitMessage(0, status));
        }

        @Override
        public void ended() {
            report(new MuxMessage.Ok(0));
        }

        // --- forwards

        private void open(int request, Forward forward) {
            host.open(
                    forward,
                    new Answer() {
                        @Override
                        public void begun(int port) {
                            tell(
                                    port == 0
                                            ? new MuxMessage.Ok(request)
                                            : new MuxMessage.RemotePort(request, port));
                        }

                        @Override
                        public void failed(String why) {
                            tell(
                                    why.equals("Permission denied")
                                            ? new MuxMessage.PermissionDenied(request, why)
                                            : new MuxMessage.Failure(request, why));
                        }
                    });
        }
    }
}
