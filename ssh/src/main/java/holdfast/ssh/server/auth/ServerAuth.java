package holdfast.ssh.server.auth;

import holdfast.ssh.auth.Signatures;
import holdfast.ssh.config.ServerConfig;
import holdfast.ssh.config.ServerSettings;
import holdfast.ssh.log.Log;
import holdfast.ssh.log.Reason;
import holdfast.ssh.server.Server;
import holdfast.ssh.server.ServerTransport;
import holdfast.ssh.system.Account;
import holdfast.ssh.system.Pam;
import holdfast.ssh.system.Shadow;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.security.SecureRandom;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Executor;
import java.util.concurrent.ScheduledThreadPoolExecutor;
import java.util.concurrent.SynchronousQueue;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.Consumer;
import java.util.function.Supplier;
import org.apache.sshd.common.Service;
import org.apache.sshd.common.ServiceFactory;
import org.apache.sshd.common.channel.RequestHandler;
import org.apache.sshd.common.kex.extension.DefaultServerKexExtensionHandler;
import org.apache.sshd.common.kex.extension.KexExtensionHandler.KexPhase;
import org.apache.sshd.common.session.ConnectionService;
import org.apache.sshd.common.session.Session;
import org.apache.sshd.common.util.buffer.Buffer;
import org.apache.sshd.server.SshServer;
import org.apache.sshd.server.auth.UserAuth;
import org.apache.sshd.server.auth.UserAuthFactory;
import org.apache.sshd.server.session.ServerConnectionServiceFactory;
import org.apache.sshd.server.session.ServerSession;
import org.jspecify.annotations.Nullable;

/**
 * Who may log in to a server: its host keys, and the user authentication of all its connections.
 *
 * <p>Its threads are few and end when there is nothing to do; each connection has at most one task
 * in their queue, so MaxStartups bounds it.
 */
public final class ServerAuth implements Server.Part, AutoCloseable {

    /** Says that a server has nothing to prove itself with. */
    public static final class NoHostKeys extends IOException {
        private static final long serialVersionUID = 1;

        NoHostKeys() {
            super("sshd: no hostkeys available -- exiting.");
        }
    }

    /** Its name in hosts.allow and hosts.deny. */
    static final String DAEMON = "sshd";

    /** Commands and PAM wait rather than compute, so there are more than the machine has cores. */
    private static final int WORKERS = 16;

    private static final long IDLE_SECONDS = 10;

    /** OpenSSH's MIN_FAIL_DELAY_SECONDS and MAX_FAIL_DELAY_SECONDS. */
    private static final long LEAST_DELAY_NANOS = 5_000_000;

    private static final long MOST_DELAY_NANOS = 5_000_000_000L;

    /** OpenSSH's MAX_PASSWORD_LEN. */
    private static final int LONGEST_PASSWORD = 1024;

    private final Machine machine;
    private final ScheduledThreadPoolExecutor workers;
    private final AtomicBoolean toldNoPasswords = new AtomicBoolean();

    /** Makes the delay of a failure depend on the user in a way nobody outside can compute. */
    private final byte[] secret = new byte[32];

    private volatile @Nullable ThreadPoolExecutor conversations;
    private volatile @Nullable Supplier<ServerConfig> config;
    private volatile @Nullable HostKeys hostKeys;
    private final RequestHandler<ConnectionService> proofs = this::prove;

    public ServerAuth(Machine machine) {
        this.machine = machine;
        new SecureRandom().nextBytes(secret);
        workers = new ScheduledThreadPoolExecutor(WORKERS, task -> thread(task, "holdfast-auth"));
        workers.setKeepAliveTime(IDLE_SECONDS, TimeUnit.SECONDS);
        workers.allowCoreThreadTimeOut(true);
        workers.setExecuteExistingDelayedTasksAfterShutdownPolicy(false);
    }

    private static Thread thread(Runnable task, String name) {
        Thread thread = new Thread(task, name);
        thread.setDaemon(true);
        return thread;
    }

    /**
     * Loads the host keys and takes over the authentication of connections to come.
     *
     * @throws NoHostKeys if none can be loaded
     */
    @Override
    public void fit(SshServer mina, Server server) throws NoHostKeys {
        install(mina, server::config, server.log());
    }

    /** {@link #fit} for a server whose configuration comes from elsewhere. */
    public void install(SshServer mina, Supplier<ServerConfig> configuration, Log log)
            throws NoHostKeys {
        ServerSettings settings = configuration.get().global();
        HostKeys loaded = HostKeys.load(settings, log);
        if (loaded.isEmpty()) {
            throw new NoHostKeys();
        }
        loaded.install(mina);
        hostKeys = loaded;
        mina.setGlobalRequestHandlers(
                Server.Part.joined(List.of(proofs), mina.getGlobalRequestHandlers()));
        config = configuration;
        int most = Math.max(1, settings.maxStartups().full());
        ThreadPoolExecutor before = conversations;
        if (before == null) {
            conversations =
                    new ThreadPoolExecutor(
                            0,
                            most,
                            IDLE_SECONDS,
                            TimeUnit.SECONDS,
                            new SynchronousQueue<>(),
                            task -> thread(task, "holdfast-pam"));
        } else {
            before.setMaximumPoolSize(most);
        }
        mina.setUserAuthFactories(List.of(new NoMethod()));
        mina.setServiceFactories(
                List.of(new Authenticating(), ServerConnectionServiceFactory.INSTANCE));
        mina.setKexExtensionHandler(new Extensions(configuration.get().pubkeyAcceptedFromAnyone()));
    }

    private RequestHandler.Result prove(
            ConnectionService service, String request, boolean wantReply, Buffer buffer)
            throws Exception {
        return hostKeys().prove(service, request, wantReply, buffer);
    }

    /** The keys the server proves itself with. */
    public HostKeys hostKeys() {
        HostKeys loaded = hostKeys;
        if (loaded == null) {
            throw new IllegalStateException("not installed");
        }
        return loaded;
    }

    /** Ends what is under way. */
    @Override
    public void close() {
        workers.shutdownNow();
        ThreadPoolExecutor pool = conversations;
        if (pool != null) {
            pool.shutdownNow();
        }
    }

    // ---- what the conversations share

    Machine machine() {
        return machine;
    }

    ServerConfig config() {
        Supplier<ServerConfig> supplier = config;
        if (supplier == null) {
            throw new IllegalStateException("not installed");
        }
        return supplier.get();
    }

    ScheduledThreadPoolExecutor workers() {
        return workers;
    }

    Executor conversations() {
        ThreadPoolExecutor pool = conversations;
        if (pool == null) {
            throw new IllegalStateException("not installed");
        }
        return pool;
    }

    /**
     * How long a failed attempt is still to wait (auth2.c, ensure_minimum_time_since): a time that
     * depends on the user's name, doubled until it covers what the attempt took.
     */
    long delay(String user, long elapsedNanos) {
        if (elapsedNanos > MOST_DELAY_NANOS) {
            return 0;
        }
        long wanted = LEAST_DELAY_NANOS + ofUser(user);
        while (wanted < elapsedNanos) {
            wanted *= 2;
        }
        return wanted - elapsedNanos;
    }

    /** Up to 4.2 ms. */
    private long ofUser(String user) {
        try {
            MessageDigest digest = MessageDigest.getInstance("SHA-512");
            digest.update(secret);
            byte[] hash = digest.digest(user.getBytes(StandardCharsets.UTF_8));
            long number =
                    (hash[0] & 0xffL) << 24
                            | (hash[1] & 0xffL) << 16
                            | (hash[2] & 0xffL) << 8
                            | (hash[3] & 0xffL);
            return number / 1000;
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("every Java runtime has SHA-512", e);
        }
    }

    /** Whether passwords can be judged here; if they are asked for and cannot, says so once. */
    boolean passwords(ServerSettings settings, Log log) {
        boolean possible =
                machine.privileged() && (settings.usePam() ? machine.pam() : machine.shadow());
        if (!possible
                && (settings.passwordAuthentication() || settings.kbdInteractiveAuthentication())
                && toldNoPasswords.compareAndSet(false, true)) {
            log.info(
                    machine.privileged()
                            ? "No way to check passwords ("
                                    + (settings.usePam() ? "PAM" : "crypt(3)")
                                    + " is not there); only public keys let in"
                            : "Not root: passwords cannot be checked, only public keys let in");
        }
        return possible;
    }

    /**
     * Whether the password is right, whatever else speaks against the user. Waits.
     *
     * @param account null: there is no such user; the effort is the same
     * @param expired run if it is right, but must be changed before anything else
     * @param barred takes what PAM says if it is right, but the account may not come in
     * @param says takes what PAM says that is no question
     */
    boolean isPassword(
            ServerSettings settings,
            @Nullable Account account,
            String user,
            String address,
            String password,
            Log log,
            Runnable expired,
            Consumer<String> barred,
            Consumer<String> says) {
        if (password.length() > LONGEST_PASSWORD
                || (password.isEmpty() && !settings.permitEmptyPasswords())) {
            return false;
        }
        if (!settings.usePam()) {
            try {
                if (!machine.isPassword(account, password) || account == null) {
                    return false;
                }
                Shadow.Entry entry = machine.shadowOf(account);
                if (entry != null
                        && entry.passwordExpired(System.currentTimeMillis() / 86_400_000)) {
                    log.info("User " + Safe.text(user) + " password has expired (password aged)");
                    expired.run();
                }
                return true;
            } catch (IOException e) {
                log.error("password of " + Safe.text(user) + ": " + Reason.of(e));
                return false;
            }
        }
        StringBuilder said = new StringBuilder();
        boolean right =
                authenticated(
                        settings,
                        account,
                        user,
                        address,
                        prompts -> {
                            char[][] answers = new char[prompts.size()][];
                            for (int i = 0; i < answers.length; i++) {
                                switch (prompts.get(i).kind()) {
                                    case SECRET -> answers[i] = password.toCharArray();
                                    case SHOWN -> {
                                        return null;
                                    }
                                    case ERROR, INFO -> {
                                        answers[i] = new char[0];
                                        said.append(prompts.get(i).text()).append('\n');
                                    }
                                }
                            }
                            return answers;
                        },
                        log,
                        false,
                        expired,
                        () -> {
                            barred.accept(said.toString().stripTrailing());
                            said.setLength(0);
                        });
        if (right && !said.isEmpty()) {
            says.accept(said.toString().stripTrailing());
        }
        return right;
    }

    /**
     * Asks PAM, for a user who is not there, too. Waits.
     *
     * @param barred run if who they are is proven, but the account may not come in
     */
    boolean authenticated(
            ServerSettings settings,
            @Nullable Account account,
            String user,
            String address,
            Pam.Conversation talk,
            Log log,
            boolean interactive,
            Runnable expired,
            Runnable barred) {
        Pam.Verdict verdict;
        try {
            verdict =
                    machine.authenticate(
                            settings.pamServiceName(),
                            user,
                            address,
                            settings.permitEmptyPasswords(),
                            talk);
        } catch (RuntimeException e) {
            log.error("PAM: " + e.getMessage());
            return false;
        }
        switch (verdict.result()) {
            case ACCEPTED -> {
                return account != null;
            }
            case REFUSED -> {
                if (interactive) {
                    log.error(
                            "PAM: "
                                    + verdict.words()
                                    + " for "
                                    + (account == null ? "illegal user " : "")
                                    + Safe.text(user)
                                    + " from "
                                    + address);
                }
            }
            case PASSWORD_EXPIRED -> {
                if (account != null) {
                    expired.run();
                    return true;
                }
            }
            case NOT_ALLOWED -> {
                if (account != null) {
                    barred.run();
                    return true;
                }
            }
            case BROKEN -> log.error("PAM: " + verdict.words());
        }
        return false;
    }

    /**
     * Why PAM's account modules keep a user out who has proven themselves with a key, or null;
     * empty: without a word for the user.
     *
     * @param says takes what they have to say to one who comes in all the same
     */
    @Nullable String accountRefusal(
            ServerSettings settings,
            Account account,
            String address,
            String method,
            Log log,
            Runnable expired,
            Consumer<String> says) {
        if (!settings.usePam() || !method.equals(Methods.PUBLICKEY) || !machine.privileged()) {
            return null;
        }
        if (!machine.pam()) {
            log.error("UsePAM is on, but PAM cannot be asked");
            return "";
        }
        Pam.Verdict verdict = machine.mayEnter(settings.pamServiceName(), account.name(), address);
        return switch (verdict.result()) {
            case ACCEPTED -> {
                says.accept(verdict.words());
                yield null;
            }
            case PASSWORD_EXPIRED -> {
                says.accept(verdict.words());
                expired.run();
                yield null;
            }
            case REFUSED, NOT_ALLOWED -> verdict.words();
            case BROKEN -> {
                log.error("PAM: " + verdict.words());
                yield "";
            }
        };
    }

    // ---- MINA's side

    /** The service ssh-userauth; the names of the methods are MINA's. */
    private final class Authenticating implements ServiceFactory {
        @Override
        public String getName() {
            return "ssh-userauth";
        }

        @Override
        public Service create(Session session) {
            return new UserAuthentication(ServerTransport.of(session), ServerAuth.this);
        }
    }

    /** MINA insists on one method in its own list; it is never asked for. */
    private record NoMethod() implements UserAuthFactory {
        @Override
        public String getName() {
            return "none";
        }

        @Override
        public UserAuth createUserAuth(ServerSession session) {
            throw new UnsupportedOperationException("UserAuthentication speaks for itself");
        }
    }

    /**
     * Tells the client which signatures will do (RFC 8308), and that requests may name our key.
     *
     * <p>Once, before it says who it is: all that would do for anybody. OpenSSH tells anew what its
     * user may sign with, which clients older than 9.6 do not listen to: they give up before.
     */
    private static final class Extensions extends DefaultServerKexExtensionHandler {

        private final Map<String, String> extensions = new LinkedHashMap<>();

        Extensions(List<String> accepted) {
            extensions.put(
                    "server-sig-algs",
                    String.join(
                            ",",
                            accepted.stream()
                                    .map(Signatures::plain)
                                    .filter(Signatures::isKnown)
                                    .distinct()
                                    .toList()));
            extensions.put("publickey-hostbound@openssh.com", "0");
        }

        @Override
        public void sendKexExtensions(Session session, KexPhase phase) throws Exception {
            if (phase != KexPhase.NEWKEYS
                    || !Boolean.TRUE.equals(session.getAttribute(CLIENT_REQUESTED_EXT_INFO))
                    || Boolean.TRUE.equals(session.getAttribute(EXT_INFO_SENT_AT_NEWKEYS))) {
                return;
            }
            session.setAttribute(EXT_INFO_SENT_AT_NEWKEYS, Boolean.TRUE);
            Buffer buffer = session.createBuffer((byte) 7, 256);
            buffer.putInt(extensions.size());
            for (Map.Entry<String, String> extension : extensions.entrySet()) {
                buffer.putString(extension.getKey());
                buffer.putString(extension.getValue());
            }
            session.writePacket(buffer);
        }
    }
}
