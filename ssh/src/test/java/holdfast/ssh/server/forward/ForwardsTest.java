package holdfast.ssh.server.forward;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.SocketChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** The server's forwarding with Debian's ssh. */
@Timeout(120)
class ForwardsTest {

    @TempDir Path directory;

    private static byte[] random(int length, long seed) {
        byte[] bytes = new byte[length];
        new Random(seed).nextBytes(bytes);
        return bytes;
    }

    private static int awaitPort(int port) throws Exception {
        Rig.until("port " + port, () -> Rig.listens(port));
        return port;
    }

    @Test
    void a_hundred_megabytes_come_back_byte_for_byte_through_L() throws Exception {
        try (Rig rig = new Rig(directory);
                Echo echo = Echo.tcp()) {
            int port = Rig.freePort();
            rig.background("-L", port + ":127.0.0.1:" + echo.port());
            awaitPort(port);
            byte[] sent = random(100_000_000, 1);
            try (Socket socket = Echo.to(port)) {
                assertThat(Arrays.equals(Echo.through(socket, sent), sent)).isTrue();
            }
            Rig.until("the echo's socket is gone", () -> echo.open.get() == 0);
        }
    }

    @Test
    void a_hundred_megabytes_come_back_byte_for_byte_through_R() throws Exception {
        try (Rig rig = new Rig(directory);
                Echo echo = Echo.tcp()) {
            int port = Rig.freePort();
            rig.background("-R", port + ":127.0.0.1:" + echo.port());
            awaitPort(port);
            byte[] sent = random(100_000_000, 2);
            try (Socket socket = Echo.to(port)) {
                assertThat(Arrays.equals(Echo.through(socket, sent), sent)).isTrue();
            }
            Rig.until("the echo's socket is gone", () -> echo.open.get() == 0);
        }
    }
}
