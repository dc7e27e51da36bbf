package holdfast.ssh.server.session;

import holdfast.ssh.Software;
import holdfast.ssh.config.ServerConfig;
import holdfast.ssh.config.ServerSettings;
import holdfast.ssh.log.Log;
import holdfast.ssh.server.Login;
import holdfast.ssh.server.Permissions;
import holdfast.ssh.server.Ports;
import holdfast.ssh.server.Server;
import holdfast.ssh.server.ServerTransport;
import holdfast.ssh.system.Account;
import holdfast.ssh.system.Accounts;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyPairGenerator;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.TimeUnit;
import org.apache.sshd.common.keyprovider.KeyPairProvider;
import org.apache.sshd.server.SshServer;
import org.apache.sshd.server.auth.pubkey.UserAuthPublicKeyFactory;

/**
 * A server that lets anybody with a key in as whom they say, and Debian's programs pointed at it.
 */
final class SessionServer implements AutoCloseable {

    /** How a program ended, and what it said. */
    record Ran(int status, byte[] out, String err) {
        String text() {
            return new String(out, StandardCharsets.UTF_8);
        }
    }

    final int port;
    final List<String> log = new CopyOnWriteArrayList<>();
    private final Server server;
    private final Path directory;
    private final List<Process> running = new CopyOnWriteArrayList<>();
    private volatile Permissions permissions = Permissions.ALL;

    SessionServer(Path directory, String... lines) throws Exception {
        this.directory = directory;
        port = Ports.free();
        List<String> all = new ArrayList<>(List.of("ListenAddress 127.0.0.1:" + port));
        all.addAll(List.of("UsePAM no", "LogLevel DEBUG3", "PrintMotd no", "PrintLastLog no"));
        all.addAll(List.of(lines));
        // A bash that sshd runs at the outermost level reads the machine's own ~/.bashrc.
        all.add("SetEnv SHLVL=2");
        ServerSettings settings = ServerConfig.of(all).global();
        var hostKey = KeyPairGenerator.getInstance("Ed25519").generateKeyPair();
        Path key = directory.resolve("key");
        if (!Files.exists(key)) {
            Process made =
                    new ProcessBuilder(
                                    "ssh-keygen",
                                    "-q",
                                    "-t",
                                    "ed25519",
                                    "-N",
                                    "",
                                    "-f",
                                    key.toString())
                            .start();
            made.waitFor();
        }
        server =
                new Server(
                        ServerConfig.of(all),
                        List.of((mina, of) -> fit(mina, hostKey, settings), new SessionChannels()),
                        Software.SERVER,
                        new Log(Log.Level.DEBUG3, log::add));
        server.start();
    }

    private void fit(SshServer mina, java.security.KeyPair hostKey, ServerSettings settings) {
        mina.setKeyPairProvider(KeyPairProvider.wrap(hostKey));
        mina.setUserAuthFactories(List.of(UserAuthPublicKeyFactory.INSTANCE));
        mina.setPublickeyAuthenticator((user, key, session) -> {
            try {
                Account account = Accounts.named(user).orElseThrow();
                ServerTransport transport = ServerTransport.of(session);
                if (transport.login() == null) {
                    transport.admit(
                            new Login(
                                    account,
                                    null,
                                    permissions,
                                    settings,
                                    List.of("publickey test"),
                                    false,
                                    (from, at) -> true));
                }
                return true;
            } catch (IOException e) {
                throw new IllegalStateException(e);
            }
        });
    }

    /** What the next logins may do. */
    void permit(Permissions now) {
        permissions = now;
    }

    /** Options that every client needs, for ssh, scp and sftp alike. */
    List<String> options() {
        return List.of(
                "-F", "none",
                "-o", "IdentityFile=" + directory.resolve("key"),
                "-o", "IdentityAgent=none",
                "-o", "IdentitiesOnly=yes",
                "-o", "BatchMode=yes",
                "-o", "StrictHostKeyChecking=no",
                "-o", "UserKnownHostsFile=/dev/null",
                "-o", "LogLevel=ERROR");
    }

    List<String> ssh(String... arguments) {
        List<String> words = new ArrayList<>(List.of("ssh"));
        words.addAll(options());
        words.addAll(List.of("-p", String.valueOf(port)));
        words.addAll(Arrays.asList(arguments));
        return words;
    }

    Process start(List<String> words) throws IOException {
        ProcessBuilder builder = new ProcessBuilder(words);
        builder.environment().remove("SSH_AUTH_SOCK");
        Process process = builder.start();
        running.add(process);
        return process;
    }

    Ran run(byte[] input, List<String> words) throws Exception {
        Process process = start(words);
        Thread feeding =
                Thread.ofPlatform()
                        .start(() -> {
                            try (var to = process.getOutputStream()) {
                                to.write(input);
                            } catch (IOException e) {
                                // it stopped reading
                            }
                        });
        ByteArrayOutputStream err = new ByteArrayOutputStream();
        Thread errors =
                Thread.ofPlatform()
                        .start(() -> {
                            try (InputStream from = process.getErrorStream()) {
                                from.transferTo(err);
                            } catch (IOException e) {
                                // it ended
                            }
                        });
        byte[] out = process.getInputStream().readAllBytes();
        if (!process.waitFor(50, TimeUnit.SECONDS)) {
            process.destroyForcibly();
            throw new AssertionError("does not end: " + words);
        }
        feeding.join(1000);
        errors.join(1000);
        running.remove(process);
        return new Ran(process.exitValue(), out, err.toString(StandardCharsets.UTF_8));
    }

    Ran command(String command, String... options) throws Exception {
        return command(new byte[0], command, options);
    }

    Ran command(byte[] input, String command, String... options) throws Exception {
        List<String> words = new ArrayList<>(List.of(options));
        words.addAll(List.of(System.getProperty("user.name") + "@127.0.0.1", command));
        return run(input, ssh(words.toArray(String[]::new)));
    }

    boolean logged(String text) {
        return log.stream().anyMatch(line -> line.contains(text));
    }

    @Override
    public void close() throws IOException {
        running.forEach(Process::destroyForcibly);
        server.close();
    }
}
