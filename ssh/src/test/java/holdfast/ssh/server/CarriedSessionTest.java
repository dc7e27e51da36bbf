package holdfast.ssh.server;

import static org.assertj.core.api.Assertions.assertThat;

import holdfast.core.tether.CarrierPolicy;
import holdfast.core.tether.CarrierState;
import holdfast.ssh.config.ServerConfig;
import holdfast.ssh.link.LinkClock;
import holdfast.ssh.link.TcpStream;
import holdfast.ssh.log.Log;
import holdfast.ssh.server.session.SessionChannels;
import holdfast.ssh.system.Accounts;
import holdfast.ssh.tether.TetherStream;
import holdfast.ssh.tether.Unwatched;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.security.KeyPairGenerator;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.apache.sshd.common.keyprovider.KeyPairProvider;
import org.apache.sshd.common.session.Session;
import org.apache.sshd.common.session.SessionListener;
import org.apache.sshd.server.SshServer;
import org.apache.sshd.server.auth.pubkey.UserAuthPublicKeyFactory;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** A server's end of tethers over real sockets, its logins decided by hand. */
@Timeout(60)
final class CarriedSessionTest {

    private final LinkedBlockingQueue<ServerTransport> came = new LinkedBlockingQueue<>();
    private ServerConfig config;
    private Server server;

    @BeforeEach
    void start() throws Exception {
        int port = Ports.free();
        config =
                ServerConfig.of(
                        List.of(
                                "ListenAddress 127.0.0.1:" + port,
                                "UsePAM no",
                                "TetherMaxPerUser 1"));
        KeyPairProvider keys =
                KeyPairProvider.wrap(KeyPairGenerator.getInstance("Ed25519").generateKeyPair());
        server =
                new Server(
                        config,
                        List.of((mina, of) -> fit(mina, keys), new SessionChannels()),
                        "Holdfast_test",
                        new Log(Log.Level.QUIET, line -> {}));
        server.start();
    }

    private void fit(SshServer mina, KeyPairProvider keys) {
        mina.setKeyPairProvider(keys);
        mina.setUserAuthFactories(List.of(UserAuthPublicKeyFactory.INSTANCE));
        mina.setPublickeyAuthenticator((user, key, session) -> false);
        mina.addSessionListener(
                new SessionListener() {
                    @Override
                    public void sessionCreated(Session session) {
                        came.add(ServerTransport.of(session));
                    }
                });
    }

    @AfterEach
    void end() throws IOException {
        server.close();
    }

    private TetherStream.Passage passage() throws IOException {
        return TetherStream.Passage.of(
                new TcpStream(SocketChannel.open(server.addresses().iterator().next())));
    }

    private TetherStream connect() throws IOException {
        TetherStream stream =
                new TetherStream(
                        passage(),
                        "Test_1",
                        1 << 20,
                        CarrierPolicy.client(Duration.ofSeconds(30), 1),
                        new LinkClock(),
                        this::passage,
                        new Unwatched(),
                        Duration.ofDays(1));
        stream.write(
                ByteBuffer.wrap(
                        (stream.identification() + "\r\n").getBytes(StandardCharsets.US_ASCII)));
        Thread.ofVirtual()
                .start(() -> {
                    try {
                        while (stream.read(ByteBuffer.allocate(4096)) >= 0) {
                            // what the server says to log in is no matter here
                        }
                    } catch (IOException e) {
                        // the test is over
                    }
                });
        return stream;
    }

    private ServerTransport tethered() throws InterruptedException {
        ServerTransport there = came.poll(30, TimeUnit.SECONDS);
        assertThat(there).isNotNull();
        while (there.standing() == null) {
            Thread.sleep(1);
        }
        return there;
    }

    private Login login() throws IOException {
        return new Login(
                Accounts.named(System.getProperty("user.name")).orElseThrow(),
                null,
                Permissions.ALL,
                config.global(),
                List.of(),
                false,
                (from, at) -> true);
    }

    @Test
    void whoever_left_while_the_login_was_decided_takes_nobody_s_place() throws Exception {
        TetherStream gone = connect();
        ServerTransport left = tethered();
        CountDownLatch closed = new CountDownLatch(1);
        left.addCloseFutureListener(future -> closed.countDown());
        gone.close();
        closed.await();
        left.admit(login());
        try (TetherStream stays = connect()) {
            tethered().admit(login());
            while (!(stays.state() instanceof CarrierState.Carried carried)
                    || carried.known().hold().isZero()) {
                Thread.sleep(1);
            }
        }
    }
}
