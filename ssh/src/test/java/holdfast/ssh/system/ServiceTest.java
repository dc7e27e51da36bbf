package holdfast.ssh.system;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** What a server says to the rest of the system, and asks of it. */
@Timeout(60)
final class ServiceTest {

    @TempDir Path directory;

    @Test
    void a_wrong_password_is_refused_and_wiped() {
        assumeTrue(Pam.available(), "needs libpam");
        List<Pam.Prompt> asked = new ArrayList<>();
        char[] wrong = "wrong".toCharArray();
        Pam.Verdict verdict =
                Pam.authenticate(
                        "other",
                        "root",
                        "192.0.2.1",
                        false,
                        prompts -> {
                            asked.addAll(prompts);
                            return new char[][] {wrong};
                        });

        assertThat(verdict.result()).isEqualTo(Pam.Verdict.Result.REFUSED);
        assertThat(verdict.words()).isEqualTo("Authentication failure");
        assertThat(asked).containsExactly(new Pam.Prompt(Pam.Prompt.Kind.SECRET, "Password: "));
        assertThat(wrong).containsOnly('\0');
    }

    @Test
    void a_conversation_that_fails_or_gives_nonsense_is_refused_and_crashes_nothing() {
        assumeTrue(Pam.available(), "needs libpam");
        List<Pam.Conversation> bad =
                List.of(
                        prompts -> null,
                        prompts -> new char[0][],
                        prompts -> new char[7][3],
                        prompts -> new char[][] {null},
                        prompts -> new char[][] {new char[100_000]},
                        prompts -> new char[][] {{'a', 0, 'b'}},
                        prompts -> {
                            throw new IllegalStateException("on purpose");
                        });
        for (Pam.Conversation one : bad) {
            assertThat(Pam.authenticate("other", "root", "h", false, one).result())
                    .isIn(Pam.Verdict.Result.REFUSED, Pam.Verdict.Result.BROKEN);
        }
        assertThat(Pam.authenticate("other", "a\0b", "h", false, prompts -> null).result())
                .isEqualTo(Pam.Verdict.Result.REFUSED);
    }

    @Test
    void an_account_is_asked_about_without_a_password() {
        assumeTrue(Pam.available() && Accounts.privileged(), "needs libpam and root");
        assertThat(Pam.account("other", "root", "192.0.2.1").result())
                .isEqualTo(Pam.Verdict.Result.ACCEPTED);
        assertThat(Pam.account("other", "no-such-user", "192.0.2.1").result())
                .isNotEqualTo(Pam.Verdict.Result.ACCEPTED);
    }

    @Test
    void the_last_login_is_remembered_for_each_user() throws Exception {
        Path file = Files.createFile(directory.resolve("lastlog"));
        Instant when = Instant.ofEpochSecond(1_790_000_000);
        Logins.remember(file, 1000, "/dev/pts/7", "host.example", when);

        assertThat(Logins.last(file, 1000))
                .isEqualTo(new Logins.Last(when, "pts/7", "host.example"));
        assertThat(Logins.last(file, 999)).isNull();
        assertThat(Logins.last(file, -2)).isNull();
        assertThat(Logins.last(directory.resolve("none"), 1000)).isNull();
        Logins.remember(directory.resolve("none"), 1000, "t", "h", when);
        assertThat(directory.resolve("none")).doesNotExist();
    }

    @Test
    void systemd_is_told_by_either_kind_of_name() throws Exception {
        for (String name :
                List.of(
                        directory.resolve("n").toString(),
                        "@holdfast-test-" + ProcessHandle.current().pid())) {
            Child listener =
                    Spawn.of(Path.of("/usr/bin/python3"))
                            .argument("-c")
                            .argument(
                                    """
                                    import socket, sys
                                    s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
                                    n = sys.argv[1]
                                    s.bind('\\0' + n[1:] if n[0] == '@' else n)
                                    s.settimeout(10)
                                    print(s.recv(100).decode())
                                    """)
                            .argument(name)
                            .environment(Map.of())
                            .stdio(Spawn.Stdio.PIPES)
                            .start();
            var heard = Run.drink(listener.output());
            long end = System.nanoTime() + 10_000_000_000L;
            while (!Daemon.notify(name, "READY=1") && System.nanoTime() < end) {
                Thread.sleep(20);
            }
            assertThat(heard.get(10, TimeUnit.SECONDS)).isEqualTo("READY=1\n");
        }
        assertThat(Daemon.notify("", "READY=1")).isFalse();
        assertThat(Daemon.notify("/" + "x".repeat(200), "READY=1")).isFalse();
    }

    @Test
    void a_daemon_is_waited_for_until_it_is_ready_or_ends() throws Exception {
        Path pid = directory.resolve("pid");
        int ready =
                Daemon.start(
                        Run.SHELL,
                        List.of(
                                "-c",
                                "echo $$ > " + pid + "; printf x >&3; exec 3>&-; exec sleep 60"),
                        Map.of("PATH", "/usr/bin:/bin"));
        assertThat(ready).isZero();
        ProcessHandle.of(Long.parseLong(Files.readString(pid).trim()))
                .orElseThrow()
                .destroyForcibly();

        assertThat(Daemon.start(Run.SHELL, List.of("-c", "exit 3"), Map.of())).isEqualTo(3);
        assertThat(Daemon.start(Run.SHELL, List.of("-c", "exit 0"), Map.of())).isEqualTo(1);
        assertThat(Daemon.start(Run.SHELL, List.of("-c", "kill -9 $$"), Map.of())).isEqualTo(137);
    }

    @Test
    void a_peer_on_a_unix_socket_is_known_by_number() throws Exception {
        Path name = directory.resolve("socket");
        try (ServerSocketChannel listener =
                        ServerSocketChannel.open(StandardProtocolFamily.UNIX)
                                .bind(UnixDomainSocketAddress.of(name));
                SocketChannel near = SocketChannel.open(UnixDomainSocketAddress.of(name));
                SocketChannel far = listener.accept()) {
            Account own = Accounts.own();
            assertThat(Sockets.peer(far)).contains(new Sockets.Peer(own.uid(), own.gid()));
            assertThat(Sockets.info(near)).isEmpty();
            assertThat(Sockets.userTimeout(near, Duration.ofSeconds(1))).isFalse();
        }
    }

    @Test
    void the_kernel_s_limit_is_inherited_from_a_listener_and_its_knowledge_told() throws Exception {
        try (ServerSocketChannel listener =
                ServerSocketChannel.open()
                        .bind(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0))) {
            assertThat(Sockets.userTimeout(listener, Duration.ofSeconds(5))).isTrue();
            try (SocketChannel near = SocketChannel.open(listener.getLocalAddress());
                    SocketChannel far = listener.accept()) {
                assertThat(Sockets.userTimeout(far)).isEqualTo(Duration.ofSeconds(5));
                assertThat(Sockets.userTimeout(near)).isEqualTo(Duration.ZERO);
                assertThat(Sockets.userTimeout(near, Duration.ofSeconds(7))).isTrue();
                Sockets.Tcp tcp = Sockets.info(far).orElseThrow();
                assertThat(tcp.roundTrip()).isPositive().isLessThan(Duration.ofSeconds(2));
                assertThat(tcp.unacknowledged()).isZero();
                assertThat(Sockets.infos())
                        .containsKey(
                                new Sockets.Ends(
                                        (InetSocketAddress) near.getLocalAddress(),
                                        (InetSocketAddress) near.getRemoteAddress()));
            }
        }
    }
}
