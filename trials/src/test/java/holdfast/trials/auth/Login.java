package holdfast.trials.auth;

import static org.assertj.core.api.Assertions.assertThat;

import holdfast.ssh.auth.Authentication;
import holdfast.ssh.auth.AuthenticationFailed;
import holdfast.ssh.config.ClientConfig;
import holdfast.ssh.config.ClientSettings;
import holdfast.ssh.config.CommandLine;
import holdfast.ssh.config.Surroundings;
import holdfast.ssh.crypto.Algorithms;
import holdfast.ssh.crypto.JdkCrypto;
import holdfast.ssh.log.Log;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Deque;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.apache.sshd.client.SshClient;
import org.apache.sshd.client.future.AuthFuture;
import org.apache.sshd.client.session.ClientSession;
import org.jspecify.annotations.Nullable;

/** One attempt to log in, made by this client or by OpenSSH's, for comparison. */
final class Login {

    /**
     * What came of it.
     *
     * @param lines what was said about authentication
     * @param prompts what the person was asked
     */
    record Outcome(List<String> lines, List<String> prompts) {}

    private static final Duration SOON = Duration.ofSeconds(30);
    private static final List<String> SHARED =
            List.of(
                    "debug1: Will attempt key: ",
                    "debug1: Skipping ",
                    "debug1: identity file ",
                    "debug1: certificate file ",
                    "debug1: get_agent_identities: agent returned ",
                    "debug1: Authentications that can continue: ",
                    "debug1: Next authentication method: ",
                    "debug1: No more authentication methods to try.",
                    "debug1: Offering public key: ",
                    "debug1: Server accepts key: ",
                    "debug1: Trying private key: ",
                    "debug1: SSH2_MSG_SERVICE_ACCEPT received",
                    "debug1: send_pubkey_test: ",
                    "debug2: we ",
                    "debug2: no passphrase given",
                    "debug2: bad passphrase given",
                    "debug2: userauth_kbdint",
                    "debug2: input_userauth_",
                    "debug2: pubkey_prepare: done",
                    "debug2: service_accept",
                    "debug3: start over",
                    "debug3: authmethod_",
                    "debug3: sign_and_send_pubkey: ",
                    "debug3: userauth_kbdint: ");

    private static final List<String> OTHER_PLAIN_LINES =
            List.of(
                    "Warning: Permanently added ",
                    "Authenticated to ",
                    "OpenSSH_",
                    "Connection to ");

    private final Path directory;
    final int port;
    final List<Path> identities = new ArrayList<>();
    final List<Path> certificates = new ArrayList<>();
    final List<String> answers = new ArrayList<>();
    boolean identitiesOnly;
    boolean batch;

    /** How long the session is left alone before our authentication begins. */
    Duration idle = Duration.ZERO;

    @Nullable String agent;
    String user = System.getProperty("user.name");
    List<String> preferred = List.of("publickey", "keyboard-interactive", "password");
    List<String> accepted =
            List.of(
                    "ssh-ed25519-cert-v01@openssh.com",
                    "rsa-sha2-512-cert-v01@openssh.com",
                    "ssh-ed25519",
                    "ecdsa-sha2-nistp256",
                    "ecdsa-sha2-nistp384",
                    "ecdsa-sha2-nistp521",
                    "rsa-sha2-512",
                    "rsa-sha2-256");

    /**
     * @param directory for the configuration and the answers
     */
    Login(Path directory, int port) {
        this.directory = directory;
        this.port = port;
    }

    /** With this client. */
    Outcome ours() throws Exception {
        JdkCrypto.install();
        List<String> lines = Collections.synchronizedList(new ArrayList<>());
        List<String> prompts = Collections.synchronizedList(new ArrayList<>());
        Deque<String> left = new ArrayDeque<>(answers);
        Log log = new Log(Log.Level.DEBUG3, line -> lines.add(line.stripTrailing()));
        Surroundings surroundings = Surroundings.ofProcess();
        ClientSettings settings =
                ClientConfig.resolve(
                                CommandLine.parse(arguments(), surroundings),
                                surroundings,
                                Log.silent())
                        .settings();
        SshClient client = SshClient.setUpDefaultClient();
        try {
            client.setServerKeyVerifier((session, address, key) -> true);
            Algorithms.install(
                    client,
                    Algorithms.Side.CLIENT,
                    settings.kexAlgorithms(),
                    settings.ciphers(),
                    settings.macs(),
                    settings.hostKeyAlgorithms());
            Authentication authentication =
                    Authentication.install(
                            client,
                            settings,
                            (prompt, echo) -> {
                                prompts.add(prompt.strip());
                                return left.poll();
                            },
                            log,
                            banner -> lines.addAll(banner.lines().toList()));
            client.start();
            ClientSession session =
                    client.connect(user, "127.0.0.1", port).verify(SOON).getSession();
            Thread.sleep(idle);
            AuthFuture future = session.auth();
            assertThat(future.await(SOON)).isTrue();
            if (future.isSuccess()) {
                lines.add("in by " + authentication.methodUsed());
            } else {
                lines.add(String.valueOf(AuthenticationFailed.lineIn(future.getException())));
            }
            session.close(true);
        } finally {
            client.stop();
        }
        return new Outcome(shared(lines), prompts);
    }

    /** With OpenSSH's client, the answers given by an askpass script. */
    Outcome reference() throws Exception {
        Path asked = Files.createTempFile(directory, "asked", "");
        Path said = Files.createTempFile(directory, "said", "");
        Files.write(said, answers);
        Path askpass = Files.createTempFile(directory, "askpass", "");
        Files.writeString(
                askpass,
                "#!/bin/sh\necho \"$1\" >> "
                        + asked
                        + "\nsed -n \"$(wc -l < "
                        + asked
                        + ")p\" "
                        + said
                        + "\n");
        Files.setPosixFilePermissions(askpass, PosixFilePermissions.fromString("rwx------"));
        List<String> command = new ArrayList<>(List.of("ssh"));
        command.addAll(arguments());
        ProcessBuilder builder =
                new ProcessBuilder(command)
                        .redirectErrorStream(true)
                        .redirectInput(ProcessBuilder.Redirect.from(Path.of("/dev/null").toFile()));
        Map<String, String> environment = new LinkedHashMap<>();
        environment.put("SSH_ASKPASS", askpass.toString());
        environment.put("SSH_ASKPASS_REQUIRE", "force");
        environment.put("DISPLAY", ":0");
        builder.environment().putAll(environment);
        Process process = builder.start();
        String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        assertThat(process.waitFor(60, TimeUnit.SECONDS)).isTrue();
        List<String> lines = new ArrayList<>();
        for (String line : output.split("\r?\n", -1)) {
            if (line.startsWith("Authenticated to ")) {
                int from = line.indexOf("using \"") + 7;
                lines.add("in by " + line.substring(from, line.indexOf('"', from)));
                break; // what follows is the session
            }
            lines.add(line);
        }
        List<String> prompts = new ArrayList<>();
        for (String prompt : Files.readAllLines(asked)) {
            prompts.add(prompt.strip());
        }
        return new Outcome(shared(lines), prompts);
    }

    private static List<String> shared(List<String> lines) {
        List<String> kept = new ArrayList<>();
        for (String line : lines) {
            boolean plain = !line.startsWith("debug") && !line.isEmpty();
            for (String other : OTHER_PLAIN_LINES) {
                plain &= !line.startsWith(other);
            }
            boolean both = false;
            for (String start : SHARED) {
                both |= line.startsWith(start);
            }
            if (plain || both) {
                kept.add(line.stripTrailing());
            }
        }
        return kept;
    }

    /** The words both clients are given. */
    private List<String> arguments() throws IOException {
        List<String> settings = new ArrayList<>();
        settings.add("UserKnownHostsFile /dev/null");
        settings.add("StrictHostKeyChecking no");
        settings.add("PreferredAuthentications " + String.join(",", preferred));
        settings.add("PubkeyAcceptedAlgorithms " + String.join(",", accepted));
        settings.add("IdentitiesOnly " + (identitiesOnly ? "yes" : "no"));
        settings.add("BatchMode " + (batch ? "yes" : "no"));
        settings.add("IdentityAgent " + (agent == null ? "none" : agent));
        if (identities.isEmpty()) {
            settings.add("IdentityFile none");
        }
        for (Path identity : identities) {
            settings.add("IdentityFile " + identity);
        }
        for (Path certificate : certificates) {
            settings.add("CertificateFile " + certificate);
        }
        Path config = Files.createTempFile(directory, "config", "");
        Files.write(config, settings);
        return List.of(
                "-vvv",
                "-F",
                config.toString(),
                "-p",
                Integer.toString(port),
                "-l",
                user,
                "127.0.0.1",
                "true");
    }

    @Override
    public String toString() {
        return String.format(Locale.ROOT, "%s@127.0.0.1:%d", user, port);
    }
}
