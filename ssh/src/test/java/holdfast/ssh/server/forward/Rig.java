package holdfast.ssh.server.forward;

import holdfast.ssh.config.ServerConfig;
import holdfast.ssh.forward.Forwarding;
import holdfast.ssh.log.Log;
import holdfast.ssh.server.Login;
import holdfast.ssh.server.Permissions;
import holdfast.ssh.server.Ports;
import holdfast.ssh.server.Server;
import holdfast.ssh.server.ServerTransport;
import holdfast.ssh.system.Account;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyPair;
import java.security.KeyPairGenerator;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.TimeUnit;
import org.apache.sshd.common.keyprovider.KeyPairProvider;
import org.apache.sshd.common.session.Session;
import org.apache.sshd.server.auth.pubkey.UserAuthPublicKeyFactory;

/** The real server with the forwarding part, which lets anybody in, and Debian's ssh against it. */
final class Rig implements AutoCloseable {

    final List<String> log = new CopyOnWriteArrayList<>();
    final List<Session> sessions = new CopyOnWriteArrayList<>();
    private final List<Process> clients = new ArrayList<>();
    private final Path directory;
    private final Server server;
    private final int port;

    Rig(Path directory, Permissions permissions, int uid, String... settings) throws Exception {
        this.directory = directory;
        KeyPair hostKey = KeyPairGenerator.getInstance("Ed25519").generateKeyPair();
        List<String> lines = new ArrayList<>(List.of(settings));
        lines.add("ListenAddress 127.0.0.1:" + Ports.free());
        Account account =
                new Account(
                        "user",
                        uid,
                        uid,
                        "user",
                        List.of(uid),
                        List.of("user"),
                        "",
                        directory,
                        Path.of("/bin/sh"));
        Server.Part anybody =
                (mina, started) -> {
                    mina.setKeyPairProvider(KeyPairProvider.wrap(hostKey));
                    mina.setUserAuthFactories(List.of(UserAuthPublicKeyFactory.INSTANCE));
                    mina.setPublickeyAuthenticator((user, key, session) -> {
                        ServerTransport transport = ServerTransport.of(session);
                        if (transport.login() == null) {
                            sessions.add(session);
                            transport.admit(
                                    new Login(
                                            account,
                                            null,
                                            permissions,
                                            started.settings(),
                                            List.of(),
                                            false,
                                            (from, at) -> true));
                        }
                        return true;
                    });
                };
        server =
                new Server(
                        ServerConfig.of(lines),
                        List.of(anybody, new Forwards()),
                        "test",
                        new Log(Log.Level.DEBUG1, line -> log.add(line.strip())));
        server.start();
        port = server.addresses().iterator().next().getPort();
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key().toString());
    }

    Rig(Path directory, String... settings) throws Exception {
        this(directory, Permissions.ALL, 1000, settings);
    }

    private Path key() {
        return directory.resolve("key");
    }

    private static void run(String... command) throws Exception {
        Process process = new ProcessBuilder(command).inheritIO().start();
        if (process.waitFor() != 0) {
            throw new IOException(String.join(" ", command));
        }
    }

    /** Debian's ssh, its messages in a file. */
    Process ssh(String... arguments) throws IOException {
        Process process = builder(arguments).start();
        clients.add(process);
        return process;
    }

    ProcessBuilder builder(String... arguments) {
        List<String> command =
                new ArrayList<>(
                        List.of(
                                "ssh",
                                "-F",
                                "none",
                                "-i",
                                key().toString(),
                                "-o",
                                "IdentitiesOnly=yes",
                                "-o",
                                "IdentityAgent=none",
                                "-o",
                                "StrictHostKeyChecking=no",
                                "-o",
                                "UserKnownHostsFile=/dev/null",
                                "-o",
                                "LogLevel=INFO",
                                "-p",
                                String.valueOf(port)));
        command.addAll(List.of(arguments));
        command.add("user@127.0.0.1");
        return new ProcessBuilder(command)
                .redirectError(ProcessBuilder.Redirect.appendTo(said().toFile()))
                .redirectInput(ProcessBuilder.Redirect.from(new java.io.File("/dev/null")));
    }

    /** ssh with forwards only, once it is up: {@code -f} returns then. */
    void background(String... arguments) throws Exception {
        List<String> all = new ArrayList<>(List.of("-N"));
        all.addAll(List.of(arguments));
        int before = sessions.size();
        ssh(all.toArray(String[]::new));
        until("ssh is in", () -> sessions.size() > before);
    }

    /** Forwarded connections that the server knows of, over all clients. */
    int channels() {
        return sessions.stream()
                .mapToInt(session -> Forwarding.of(session, Log.silent()).channels())
                .sum();
    }

    private Path said() {
        return directory.resolve("ssh.log");
    }

    /** What ssh wrote to stderr. */
    String ssh() throws IOException {
        return Files.exists(said()) ? Files.readString(said()) : "";
    }

    interface Condition {
        boolean holds() throws Exception;
    }

    static void until(String what, Condition condition) throws Exception {
        long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(20);
        while (!condition.holds()) {
            if (System.nanoTime() > end) {
                throw new AssertionError("not within 20 s: " + what);
            }
            Thread.sleep(5);
        }
    }

    static boolean listens(int port) {
        try (java.net.Socket socket = new java.net.Socket()) {
            socket.connect(new InetSocketAddress(InetAddress.getLoopbackAddress(), port), 1000);
            return true;
        } catch (IOException e) {
            return false;
        }
    }

    void endClients() throws Exception {
        for (Process client : clients) {
            client.destroy();
        }
        for (Process client : clients) {
            // OpenSSH's before 9.3 can miss a signal that comes just before it waits.
            while (!client.waitFor(1, TimeUnit.SECONDS)) {
                client.destroy();
            }
        }
        clients.clear();
    }

    @Override
    public void close() throws IOException {
        for (Process client : clients) {
            client.destroyForcibly().onExit().join();
        }
        server.close();
    }
}
