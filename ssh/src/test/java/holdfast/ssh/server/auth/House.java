package holdfast.ssh.server.auth;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import holdfast.ssh.config.ServerConfig;
import holdfast.ssh.log.Log;
import holdfast.ssh.server.Login;
import holdfast.ssh.server.Ports;
import holdfast.ssh.server.Server;
import holdfast.ssh.server.ServerTransport;
import holdfast.ssh.system.Account;
import holdfast.ssh.system.Pam;
import holdfast.ssh.system.Shadow;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.TimeUnit;
import java.util.function.Function;
import org.apache.sshd.server.Environment;
import org.apache.sshd.server.ExitCallback;
import org.apache.sshd.server.SshServer;
import org.apache.sshd.server.channel.ChannelSession;
import org.apache.sshd.server.channel.ChannelSessionFactory;
import org.apache.sshd.server.command.Command;
import org.jspecify.annotations.Nullable;

/** A server on a free loopback port, with users who live in a temporary directory. */
final class House implements AutoCloseable {

    final Path directory;
    final Path hostKey;
    final Path home;
    final List<String> said = new CopyOnWriteArrayList<>();

    /** What of it was an error. */
    final List<String> errors = new CopyOnWriteArrayList<>();

    final List<Login> logins = new CopyOnWriteArrayList<>();
    final Residents residents;
    final ServerAuth auth;
    final Server server;
    final int port;

    /** Tells the client its person's password. */
    @Nullable Path askpass;

    private House(Path directory, List<String> lines, Residents residents) throws Exception {
        this.directory = directory;
        this.residents = residents;
        this.home = directory.resolve("home");
        hostKey = directory.resolve("host");
        if (!Files.exists(hostKey)) {
            keygen("-t", "ed25519", "-f", hostKey.toString());
        }
        port = Ports.free();
        // What a test gives holds, and only what stands before a Match line is everybody's.
        int match = 0;
        while (match < lines.size() && !lines.get(match).startsWith("Match ")) {
            match++;
        }
        List<String> all = new ArrayList<>(lines.subList(0, match));
        all.add("ListenAddress 127.0.0.1:" + port);
        all.add("HostKey " + hostKey);
        all.add("PerSourcePenalties no"); // or a few refusals would keep the next client out
        all.add("UsePAM " + (residents.talks == null ? "no" : "yes"));
        all.addAll(lines.subList(match, lines.size()));
        Log log =
                Log.ofTerminal(
                        Log.Level.DEBUG2,
                        (at, line) -> {
                            said.add(line.strip());
                            if (at == Log.Level.ERROR) {
                                errors.add(line.strip());
                            }
                        });
        auth = new ServerAuth(residents);
        server =
                new Server(
                        ServerConfig.of(all),
                        List.of(auth, (mina, _) -> answerCommands(mina)),
                        "SSH-2.0-Test",
                        log);
        server.start();
    }

    static House open(Path directory, String... lines) throws Exception {
        return open(directory, new Residents(directory.resolve("home")), lines);
    }

    static House open(Path directory, Residents residents, String... lines) throws Exception {
        Files.createDirectories(directory.resolve("home/.ssh"));
        return new House(directory, List.of(lines), residents);
    }

    /** Whoever is in gets what the login says. */
    private void answerCommands(SshServer mina) {
        mina.setChannelFactories(List.of(ChannelSessionFactory.INSTANCE));
        mina.setCommandFactory((channel, command) -> new Telling());
    }

    private final class Telling implements Command {
        private @Nullable OutputStream out;
        private @Nullable ExitCallback exit;

        @Override
        public void setInputStream(InputStream in) {}

        @Override
        public void setOutputStream(OutputStream to) {
            out = to;
        }

        @Override
        public void setErrorStream(OutputStream err) {}

        @Override
        public void setExitCallback(ExitCallback callback) {
            exit = callback;
        }

        @Override
        public void start(ChannelSession channel, Environment environment) throws IOException {
            Login login = ServerTransport.of(channel.getSession()).login();
            if (login != null && out != null && exit != null) {
                logins.add(login);
                out.write(("in as " + login.account().name() + "\n").getBytes(UTF_8));
                out.flush();
                exit.onExit(0);
            }
        }

        @Override
        public void destroy(ChannelSession channel) {}
    }

    Path key(String name) throws Exception {
        Path file = directory.resolve(name);
        keygen("-t", "ed25519", "-f", file.toString());
        return file;
    }

    static String line(Path key) throws IOException {
        return Files.readString(Path.of(key + ".pub")).strip();
    }

    void authorize(String... lines) throws IOException {
        Path file = home.resolve(".ssh/authorized_keys");
        Files.writeString(file, String.join("\n", lines) + "\n");
    }

    /** What came of running the client. */
    record Run(int status, String out) {}

    Run ssh(String user, List<Path> keys, String... options) throws Exception {
        List<String> command =
                new ArrayList<>(
                        List.of(
                                "ssh",
                                "-F",
                                "none",
                                "-T",
                                "-p",
                                String.valueOf(port),
                                "-o",
                                "IdentitiesOnly=yes",
                                "-o",
                                "IdentityAgent=none"));
        for (Path key : keys) {
            command.addAll(List.of("-i", key.toString()));
        }
        if (List.of(options).stream().noneMatch(option -> option.startsWith("BatchMode"))) {
            command.addAll(List.of("-o", "BatchMode=yes"));
        }
        for (String option : options) {
            command.addAll(option.startsWith("-") ? List.of(option) : List.of("-o", option));
        }
        // What was given first holds.
        command.addAll(
                List.of(
                        "-o",
                        "StrictHostKeyChecking=no",
                        "-o",
                        "LogLevel=ERROR",
                        "-o",
                        "UserKnownHostsFile=/dev/null",
                        user + "@127.0.0.1",
                        "true"));
        return run(command, askpass);
    }

    /** Where it must be known that the server has dealt with the end of a connection. */
    void untilSaid(String text) throws InterruptedException {
        long limit = System.nanoTime() + TimeUnit.SECONDS.toNanos(10);
        while (said.stream().noneMatch(line -> line.contains(text)) && System.nanoTime() < limit) {
            Thread.sleep(5);
        }
        assertThat(String.join("\n", said)).contains(text);
    }

    String log() {
        return String.join("\n", said);
    }

    static void keygen(String... arguments) throws Exception {
        List<String> command = new ArrayList<>(List.of("ssh-keygen", "-q"));
        if (List.of(arguments).contains("-t")) {
            command.addAll(List.of("-N", "", "-C", "comment"));
        }
        command.addAll(List.of(arguments));
        Run run = run(command, null);
        assertThat(run.status()).as(run.out()).isZero();
    }

    static Run run(List<String> command, @Nullable Path askpass) throws Exception {
        ProcessBuilder builder = new ProcessBuilder(command).redirectErrorStream(true);
        builder.environment().remove("SSH_AUTH_SOCK");
        if (askpass != null) {
            builder.environment().put("SSH_ASKPASS", askpass.toString());
            builder.environment().put("SSH_ASKPASS_REQUIRE", "force");
        }
        Process process = builder.start();
        process.getOutputStream().close();
        String out = new String(process.getInputStream().readAllBytes(), UTF_8);
        assertThat(process.waitFor(30, TimeUnit.SECONDS)).isTrue();
        return new Run(process.exitValue(), out);
    }

    @Override
    public void close() throws IOException {
        server.close();
        auth.close();
    }

    /** The users of the house: guest, who lives there, and root. */
    static class Residents implements Machine {
        final ConcurrentHashMap<String, Account> accounts = new ConcurrentHashMap<>();
        final ConcurrentHashMap<String, Shadow.Entry> shadows = new ConcurrentHashMap<>();
        final Account own;

        /** What PAM would say; null: there is no PAM. */
        @Nullable Function<Pam.Conversation, Pam.Verdict> talks;

        Pam.Verdict.Result mayEnter = Pam.Verdict.Result.ACCEPTED;

        Residents(Path home) {
            try {
                int uid = (int) Files.getAttribute(Path.of("/proc/self"), "unix:uid");
                own = account("me", uid, home);
                add(own);
                add(account("guest", uid == 0 ? 1000 : uid, home));
                add(account("boss", 0, home));
            } catch (IOException e) {
                throw new java.io.UncheckedIOException(e);
            }
        }

        static Account account(String name, int uid, Path home) {
            return new Account(
                    name,
                    uid,
                    uid,
                    name,
                    List.of(uid, 50),
                    List.of(name, "staff"),
                    "",
                    home,
                    Path.of("/bin/sh"));
        }

        void add(Account account) {
            accounts.put(account.name(), account);
        }

        @Override
        public @Nullable Account account(String name) {
            return accounts.get(name);
        }

        @Override
        public Account own() {
            return own;
        }

        @Override
        public boolean privileged() {
            return true;
        }

        @Override
        public <T> T as(Account account, Callable<T> task) throws Exception {
            return task.call();
        }

        @Override
        public boolean pam() {
            return talks != null;
        }

        @Override
        public Pam.Verdict authenticate(
                String service,
                String user,
                String host,
                boolean allowEmpty,
                Pam.Conversation talk) {
            if (talks == null) {
                throw new IllegalStateException("no PAM");
            }
            return talks.apply(talk);
        }

        @Override
        public Pam.Verdict mayEnter(String service, String user, String host) {
            return new Pam.Verdict(mayEnter, 0, "words");
        }

        @Override
        public boolean shadow() {
            return talks == null;
        }

        @Override
        public Shadow.@Nullable Entry shadowOf(Account account) {
            return shadows.get(account.name());
        }

        @Override
        public boolean isPassword(@Nullable Account account, String password) {
            return password.equals("open sesame");
        }
    }
}
