package holdfast.trials.auth;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import holdfast.ssh.crypto.JdkCrypto;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.security.KeyPairGenerator;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.apache.sshd.common.keyprovider.KeyPairProvider;
import org.apache.sshd.core.CoreModuleProperties;
import org.apache.sshd.server.SshServer;
import org.apache.sshd.server.auth.keyboard.InteractiveChallenge;
import org.apache.sshd.server.auth.keyboard.KeyboardInteractiveAuthenticator;
import org.apache.sshd.server.auth.password.PasswordAuthenticator;
import org.apache.sshd.server.auth.password.PasswordChangeRequiredException;
import org.apache.sshd.server.session.ServerSession;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * Each case runs twice, with this client and with OpenSSH's, against the same server: both must ask
 * the same, say the same and end the same.
 */
class AuthenticationTrial {

    @TempDir Path directory;
    private final List<AutoCloseable> running = new ArrayList<>();
    private int agents;

    @BeforeAll
    static void install() {
        JdkCrypto.install();
        assumeTrue(Files.isExecutable(Path.of("/usr/sbin/sshd")), "no sshd on this machine");
        assumeTrue("root".equals(System.getProperty("user.name")), "sshd wants root");
    }

    @AfterEach
    void stop() throws Exception {
        for (AutoCloseable process : running) {
            process.close();
        }
    }

    // ---- a real sshd

    @Test
    void a_key_in_a_file_opens_the_door() throws Exception {
        for (String type : List.of("ed25519", "ecdsa", "rsa")) {
            Path key = Tools.keygen(directory, "good" + type, "", "-t", type);
            Login login = new Login(directory, sshd(List.of(key)));
            login.identities.add(Tools.keygen(directory, "other" + type, "", "-t", type));
            login.identities.add(directory.resolve("absent"));
            login.identities.add(key);
            same(login);
        }
    }

    @Test
    void an_old_pem_key_without_its_public_half_is_tried_by_signing() throws Exception {
        Path key = Tools.keygen(directory, "pem", "", "-t", "rsa", "-m", "PEM");
        Login login = new Login(directory, sshd(List.of(key)));
        Files.delete(Path.of(key + ".pub"));
        login.identities.add(key);
        Login.Outcome outcome = same(login);
        assertThat(outcome.lines()).contains("debug1: Trying private key: " + key);
    }

    @Test
    void the_pass_phrase_is_asked_for_only_when_the_server_wants_the_key() throws Exception {
        Path unwanted = Tools.keygen(directory, "unwanted", "secret", "-t", "ed25519");
        Path wanted = Tools.keygen(directory, "wanted", "secret", "-t", "ed25519");
        Login login = new Login(directory, sshd(List.of(wanted)));
        login.identities.addAll(List.of(unwanted, wanted));
        login.answers.addAll(List.of("wrong", "secret"));
        Login.Outcome outcome = same(login);
        assertThat(outcome.prompts())
                .containsExactly(
                        "Enter passphrase for key '" + wanted + "':",
                        "Enter passphrase for key '" + wanted + "':");
        assertThat(outcome.lines()).endsWith("in by publickey");
    }

    @Test
    void an_empty_pass_phrase_goes_on_to_the_next_key_and_three_wrong_ones_too() throws Exception {
        Path first = Tools.keygen(directory, "first", "secret", "-t", "ed25519");
        Path second = Tools.keygen(directory, "second", "secret", "-t", "ed25519", "-m", "PEM");
        Path third = Tools.keygen(directory, "third", "secret", "-t", "rsa", "-m", "PEM");
        Login login = new Login(directory, sshd(List.of(first, second, third)));
        login.preferred = List.of("publickey");
        login.identities.addAll(List.of(first, second, third));
        login.answers.addAll(List.of("", "a", "b", "c", "d", "e", "secret"));
        same(login);
    }

    @Test
    void a_key_others_can_read_is_not_used() throws Exception {
        Path key = Tools.keygen(directory, "key", "", "-t", "ed25519");
        Files.setPosixFilePermissions(key, PosixFilePermissions.fromString("rw-r-----"));
        Login login = new Login(directory, sshd(List.of(key)));
        login.identities.add(key);
        login.batch = true;
        Login.Outcome outcome = same(login);
        assertThat(outcome.lines()).contains("Load key \"" + key + "\": bad permissions");
        assertThat(outcome.lines().getLast())
                .startsWith(login.user + "@127.0.0.1: Permission denied (publickey");
    }

    @Test
    void files_that_are_no_keys_are_said_to_be_none() throws Exception {
        Path good = Tools.keygen(directory, "good", "", "-t", "ed25519");
        String text = Tools.read(good);
        Login login = new Login(directory, sshd(List.of(good)));
        int number = 0;
        for (String broken : List.of("", "junk\n", text.substring(0, text.length() / 2) + "\n")) {
            Path file = directory.resolve("broken" + number++);
            Files.writeString(file, broken);
            Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rw-------"));
            login.identities.add(file);
        }
        login.identities.add(good);
        same(login);
    }

    @Test
    void the_agents_keys_come_in_opensshs_order() throws Exception {
        Path listed = Tools.keygen(directory, "listed", "", "-t", "ed25519");
        Path onlyAgent = Tools.keygen(directory, "only", "", "-t", "rsa");
        Path onlyFile = Tools.keygen(directory, "file", "", "-t", "ecdsa");
        String agent = agent(onlyAgent, listed);
        for (boolean identitiesOnly : List.of(false, true)) {
            Login login = new Login(directory, sshd(List.of(onlyFile)));
            login.agent = agent;
            login.identitiesOnly = identitiesOnly;
            login.identities.addAll(List.of(onlyFile, listed));
            same(login);
        }
        for (Path key : List.of(listed, onlyAgent)) {
            Login login = new Login(directory, sshd(List.of(key)));
            login.agent = agent;
            login.identities.add(listed);
            same(login);
        }
    }

    /** The server has long said what it takes when the agent answers. */
    @Test
    void keys_are_tried_when_the_agent_is_slower_than_the_server() throws Exception {
        Path key = Tools.keygen(directory, "slow", "", "-t", "ed25519");
        Login login = new Login(directory, sshd(List.of(key)));
        login.agent = slow(agent(key), Duration.ofSeconds(1));
        login.identities.add(key);
        // The server has accepted the service by then: who begins is not who reads.
        login.idle = Duration.ofSeconds(2);
        assertThat(login.ours().lines()).endsWith("in by publickey");
    }

    /** A socket on which {@code agent} answers later. */
    private String slow(String agent, Duration pause) throws IOException {
        Path path = directory.resolve("slow.sock");
        ServerSocketChannel listener = ServerSocketChannel.open(StandardProtocolFamily.UNIX);
        listener.bind(UnixDomainSocketAddress.of(path));
        running.add(listener);
        Thread.startVirtualThread(() -> {
            try {
                while (true) {
                    SocketChannel client = listener.accept();
                    SocketChannel real = SocketChannel.open(UnixDomainSocketAddress.of(agent));
                    carry(client, real, pause);
                    carry(real, client, Duration.ZERO);
                }
            } catch (IOException over) {
                // The trial has closed the listener.
            }
        });
        return path.toString();
    }

    private static void carry(SocketChannel from, SocketChannel to, Duration pause) {
        Thread.startVirtualThread(() -> {
            ByteBuffer buffer = ByteBuffer.allocate(65_536);
            try (from;
                    to) {
                while (from.read(buffer) >= 0) {
                    Thread.sleep(pause);
                    buffer.flip();
                    while (buffer.hasRemaining()) {
                        to.write(buffer);
                    }
                    buffer.clear();
                }
            } catch (IOException | InterruptedException over) {
                // The other direction is at its end.
            }
        });
    }

    @Test
    void a_certificate_is_offered_before_its_key() throws Exception {
        Path authority = Tools.keygen(directory, "ca", "", "-t", "ed25519");
        for (String type : List.of("ed25519", "rsa")) {
            Path key = Tools.keygen(directory, "certified" + type, "", "-t", type);
            Tools.run(
                    List.of(
                            "ssh-keygen",
                            "-q",
                            "-s",
                            authority.toString(),
                            "-I",
                            "id",
                            "-n",
                            System.getProperty("user.name"),
                            key + ".pub"));
            Login login =
                    new Login(
                            directory, sshd(List.of(), "TrustedUserCAKeys " + authority + ".pub"));
            login.identities.add(key);
            same(login);
        }
    }

    @Test
    void named_certificates_come_first_and_those_beside_keys_no_more() throws Exception {
        Path authority = Tools.keygen(directory, "ca", "", "-t", "ed25519");
        Path key = Tools.keygen(directory, "key", "", "-t", "ed25519");
        certify(authority, key, "-I", "beside", "-n", "nobody");
        Path other = Files.createDirectory(directory.resolve("certificates"));
        Path good = Tools.keygen(other, "good", "", "-t", "ed25519");
        Files.copy(
                Path.of(key + ".pub"), Path.of(good + ".pub"), StandardCopyOption.REPLACE_EXISTING);
        certify(authority, good, "-I", "good", "-n", System.getProperty("user.name"));
        Path host = Tools.keygen(other, "host", "", "-t", "ed25519");
        certify(authority, host, "-I", "host", "-h");
        Path third = Tools.keygen(directory, "third", "", "-t", "ecdsa");
        String agent = agent(third);
        for (boolean known : List.of(true, false)) {
            Login login =
                    new Login(
                            directory, sshd(List.of(), "TrustedUserCAKeys " + authority + ".pub"));
            login.agent = agent;
            login.accepted = List.of("ssh-ed25519-cert-v01@openssh.com", "ssh-ed25519");
            login.identities.add(key);
            login.certificates.addAll(
                    List.of(
                            directory.resolve("absent"),
                            Path.of(host + "-cert.pub"),
                            Path.of(third + ".pub")));
            if (known) {
                login.certificates.add(Path.of(good + "-cert.pub"));
            }
            assertThat(same(login).lines().getLast())
                    .isEqualTo(
                            known
                                    ? "in by publickey"
                                    : login.user
                                            + "@127.0.0.1: Permission denied"
                                            + " (publickey).");
        }
    }

    @Test
    void a_certificate_in_the_agent_is_used_with_the_key_there() throws Exception {
        Path authority = Tools.keygen(directory, "ca", "", "-t", "ed25519");
        for (String type : List.of("ed25519", "rsa", "ecdsa")) {
            Path key = Tools.keygen(directory, "held" + type, "", "-t", type);
            certify(authority, key, "-I", "held", "-n", System.getProperty("user.name"));
            Login login =
                    new Login(
                            directory, sshd(List.of(), "TrustedUserCAKeys " + authority + ".pub"));
            login.agent = agent(key);
            login.accepted =
                    List.of(
                            "ssh-ed25519-cert-v01@openssh.com",
                            "ecdsa-sha2-nistp256-cert-v01@openssh.com",
                            "rsa-sha2-256-cert-v01@openssh.com");
            Files.delete(key);
            for (boolean listed : List.of(false, true)) {
                if (listed) {
                    login.identitiesOnly = true;
                    login.identities.add(key);
                }
                assertThat(same(login).lines()).endsWith("in by publickey");
            }
        }
    }

    @Test
    void a_certificate_out_of_date_is_named_where_nothing_else_lets_in() throws Exception {
        Path authority = Tools.keygen(directory, "ca", "", "-t", "ed25519");
        Path key = Tools.keygen(directory, "old", "", "-t", "ed25519");
        certify(
                authority,
                key,
                "-I",
                "last year",
                "-z",
                "7",
                "-n",
                System.getProperty("user.name"),
                "-V",
                "20240101:20250101");
        int port = sshd(List.of(), "TrustedUserCAKeys " + authority + ".pub");
        Login login = new Login(directory, port);
        login.identities.add(key);
        List<String> lines = login.ours().lines();
        assertThat(lines.subList(lines.size() - 2, lines.size()))
                .containsExactly(
                        "Certificate invalid: expired: "
                                + key
                                + ", ID \"last year\", serial 7,"
                                + " valid from 2024-01-01T00:00:00 to 2025-01-01T00:00:00",
                        login.user + "@127.0.0.1: Permission denied (publickey).");
        Login fallsBack =
                new Login(directory, sshd(List.of(key), "TrustedUserCAKeys " + authority + ".pub"));
        fallsBack.identities.add(key);
        assertThat(same(fallsBack).lines()).endsWith("in by publickey");
    }

    private static void certify(Path authority, Path key, String... options) throws Exception {
        List<String> command =
                new ArrayList<>(List.of("ssh-keygen", "-q", "-s", authority.toString()));
        command.addAll(List.of(options));
        command.add(key + ".pub");
        Tools.run(command);
    }

    @Test
    void rsa_is_signed_with_what_both_sides_take() throws Exception {
        Path key = Tools.keygen(directory, "rsa", "", "-t", "rsa");
        Login login =
                new Login(directory, sshd(List.of(key), "PubkeyAcceptedAlgorithms rsa-sha2-256"));
        login.identities.add(key);
        same(login);
        login.accepted = List.of("ssh-ed25519");
        login.batch = true;
        same(login);
        login.accepted = List.of("rsa-sha2-512");
        same(login);
    }

    @Test
    void the_banner_cannot_command_the_terminal() throws Exception {
        Path banner = directory.resolve("banner");
        Files.writeString(banner, "Hello \033[1m you\nsecond\tline ü\n");
        Path key = Tools.keygen(directory, "key", "", "-t", "ed25519");
        Login login = new Login(directory, sshd(List.of(key), "Banner " + banner));
        login.identities.add(key);
        Login.Outcome ours = login.ours();
        assertThat(ours.lines()).contains("Hello \\033[1m you", "second\tline ü");
    }

    @Test
    void a_banner_as_long_as_a_packet_can_carry_is_shown_whole() throws Exception {
        String line = "Welcome, and mind the gap.\n";
        Path banner = Files.writeString(directory.resolve("banner"), line.repeat(5000));
        Path key = Tools.keygen(directory, "key", "", "-t", "ed25519");
        Login login = new Login(directory, sshd(List.of(key), "Banner " + banner));
        login.identities.add(key);
        assertThat(same(login).lines()).filteredOn(line.strip()::equals).hasSize(5000);
    }

    @Test
    void two_methods_in_a_row_are_partial_success() throws Exception {
        Path first = Tools.keygen(directory, "first", "", "-t", "ed25519");
        Path second = Tools.keygen(directory, "second", "", "-t", "ecdsa");
        Login login =
                new Login(
                        directory,
                        sshd(List.of(first, second), "AuthenticationMethods publickey,publickey"));
        login.identities.addAll(List.of(first, second));
        Login.Outcome outcome = same(login);
        assertThat(outcome.lines())
                .contains("Authenticated using \"publickey\" with partial success.")
                .endsWith("in by publickey");
    }

    // ---- a server that asks questions

    @Test
    void a_password_is_asked_for_three_times() throws Exception {
        Login login =
                new Login(directory, server((user, password, session) -> password.equals("right")));
        login.user = "someone";
        login.preferred = List.of("publickey", "password");
        login.answers.addAll(List.of("wrong", "worse", "right"));
        Login.Outcome outcome = same(login);
        assertThat(outcome.prompts()).containsOnly("someone@127.0.0.1's password:").hasSize(3);
        assertThat(outcome.lines()).endsWith("in by password");
        login.answers.set(2, "worst");
        assertThat(same(login).lines())
                .endsWith(
                        "someone@127.0.0.1: Permission denied"
                                + " (password,keyboard-interactive,publickey).");
    }

    @Test
    void batch_mode_asks_nothing() throws Exception {
        Login login = new Login(directory, server((user, password, session) -> true));
        login.batch = true;
        assertThat(same(login).prompts()).isEmpty();
    }

    @Test
    void an_expired_password_is_changed() throws Exception {
        PasswordAuthenticator changing =
                new PasswordAuthenticator() {
                    @Override
                    public boolean authenticate(
                            String user, String password, ServerSession session) {
                        if (password.equals("old")) {
                            throw new PasswordChangeRequiredException("x", "Expired!", "en");
                        }
                        return false;
                    }

                    @Override
                    public boolean handleClientPasswordChangeRequest(
                            ServerSession session, String user, String old, String fresh) {
                        return old.equals("old") && fresh.equals("new");
                    }
                };
        Login login = new Login(directory, server(changing));
        login.preferred = List.of("password");
        login.answers.addAll(List.of("old", "old", "new", "nwe", "new", "new"));
        Login.Outcome outcome = same(login);
        assertThat(outcome.lines())
                .contains("Expired!", "Mismatch; try again, EOF to quit.")
                .endsWith("in by password");
    }

    @Test
    void questions_are_asked_as_the_server_puts_them() throws Exception {
        SshServer server = unstarted();
        server.setKeyboardInteractiveAuthenticator(
                new KeyboardInteractiveAuthenticator() {
                    @Override
                    public InteractiveChallenge generateChallenge(
                            ServerSession session, String user, String lang, String sub) {
                        InteractiveChallenge challenge = new InteractiveChallenge();
                        challenge.setInteractionName("Two questions");
                        challenge.setInteractionInstruction("Answer them.");
                        challenge.addPrompt("Colour? ", true);
                        challenge.addPrompt("Number? ", false);
                        return challenge;
                    }

                    @Override
                    public boolean authenticate(
                            ServerSession session, String user, List<String> answers) {
                        return answers.equals(List.of("blue", "7"));
                    }
                });
        Login login = new Login(directory, started(server));
        login.user = "someone";
        login.answers.addAll(List.of("red", "7", "blue", "7"));
        Login.Outcome outcome = same(login);
        assertThat(outcome.prompts())
                .containsExactly(
                        "(someone@127.0.0.1) Colour?",
                        "(someone@127.0.0.1) Number?",
                        "(someone@127.0.0.1) Colour?",
                        "(someone@127.0.0.1) Number?");
        assertThat(outcome.lines())
                .contains("Two questions", "Answer them.")
                .endsWith("in by keyboard-interactive");
    }

    @Test
    void a_question_cannot_command_the_terminal() throws Exception {
        SshServer server = unstarted();
        server.setKeyboardInteractiveAuthenticator(
                new KeyboardInteractiveAuthenticator() {
                    @Override
                    public InteractiveChallenge generateChallenge(
                            ServerSession session, String user, String lang, String sub) {
                        InteractiveChallenge challenge = new InteractiveChallenge();
                        challenge.setInteractionName("\033]0;title\007");
                        challenge.addPrompt("\033[2JPassword: ", false);
                        return challenge;
                    }

                    @Override
                    public boolean authenticate(
                            ServerSession session, String user, List<String> answers) {
                        return true;
                    }
                });
        Login login = new Login(directory, started(server));
        login.user = "someone";
        login.answers.add("x");
        Login.Outcome ours = login.ours();
        assertThat(ours.prompts()).containsExactly("(someone@127.0.0.1) \\033[2JPassword:");
        assertThat(ours.lines()).contains("\\033]0;title\\007");
    }

    // ---- the stage

    private Login.Outcome same(Login login) throws Exception {
        Login.Outcome ours = login.ours();
        Login.Outcome reference = login.reference();
        assertThat(String.join("\n", ours.lines())).isEqualTo(String.join("\n", reference.lines()));
        assertThat(ours.prompts()).isEqualTo(reference.prompts());
        return ours;
    }

    private int server(PasswordAuthenticator authenticator) throws Exception {
        SshServer server = unstarted();
        server.setPasswordAuthenticator(authenticator);
        return started(server);
    }

    private static SshServer unstarted() throws Exception {
        SshServer server = SshServer.setUpDefaultServer();
        server.setHost("127.0.0.1");
        server.setKeyPairProvider(
                KeyPairProvider.wrap(KeyPairGenerator.getInstance("Ed25519").generateKeyPair()));
        server.setPublickeyAuthenticator((user, key, session) -> false);
        CoreModuleProperties.WELCOME_BANNER.set(server, "");
        server.setCommandFactory((channel, command) -> {
            throw new IOException("none");
        });
        return server;
    }

    private int started(SshServer server) throws IOException {
        server.start();
        running.add(() -> server.stop(true));
        return server.getPort();
    }

    private int sshd(List<Path> keys, String... settings) throws Exception {
        Path home = Files.createTempDirectory(directory, "sshd");
        Path hostKey = Tools.keygen(home, "host", "", "-t", "ed25519");
        List<String> authorized = new ArrayList<>();
        for (Path key : keys) {
            authorized.add(Files.readString(Path.of(key + ".pub")).strip());
        }
        Files.write(home.resolve("authorized"), authorized);
        Files.createDirectories(Path.of("/run/sshd"));
        for (int attempt = 0; ; attempt++) {
            int port;
            try (ServerSocket free = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
                port = free.getLocalPort();
            }
            List<String> config = new ArrayList<>(List.of(settings));
            config.add("Port " + port);
            config.add("ListenAddress 127.0.0.1");
            config.add("HostKey " + hostKey);
            config.add("AuthorizedKeysFile " + home.resolve("authorized"));
            config.add("PidFile none");
            config.add("StrictModes no");
            config.add("UsePAM no");
            config.add("PasswordAuthentication no");
            config.add("KbdInteractiveAuthentication no");
            Files.write(home.resolve("config"), config);
            Process process =
                    new ProcessBuilder(
                                    "/usr/sbin/sshd",
                                    "-D",
                                    "-f",
                                    home.resolve("config").toString(),
                                    "-E",
                                    home.resolve("log").toString())
                            .start();
            running.add(() -> {
                process.destroy();
                process.waitFor();
            });
            for (int i = 0; i < 500 && process.isAlive(); i++) {
                try (Socket probe = new Socket(InetAddress.getLoopbackAddress(), port)) {
                    return probe.getPort();
                } catch (IOException notYet) {
                    Thread.sleep(10);
                }
            }
            assertThat(attempt).as(Tools.read(home.resolve("log"))).isLessThan(5);
        }
    }

    private String agent(Path... keys) throws Exception {
        Path socket = directory.resolve("agent" + agents++);
        Process process = new ProcessBuilder("ssh-agent", "-D", "-a", socket.toString()).start();
        running.add(() -> {
            process.destroy();
            process.waitFor();
        });
        for (int i = 0; i < 500; i++) {
            try (SocketChannel _ = SocketChannel.open(UnixDomainSocketAddress.of(socket))) {
                break; // the socket is there before anybody listens
            } catch (IOException notYet) {
                Thread.sleep(10);
            }
        }
        for (Path key : keys) {
            ProcessBuilder add = new ProcessBuilder("ssh-add", "-q", key.toString());
            add.environment().putAll(Map.of("SSH_AUTH_SOCK", socket.toString()));
            assertThat(add.start().waitFor()).isZero();
        }
        return socket.toString();
    }
}
