package holdfast.ssh.server;

import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * Ports for what a test is about to start.
 *
 * <p>None that the system gave out just now: it gives that one out again, to the next that asks for
 * any or connects somewhere, and with many tests at once it did so before its test had it.
 */
public final class Ports {

    /** Below Linux's range for whoever does not ask for one (ip_local_port_range). */
    private static final int FIRST = 10_000;

    private static final int COUNT = 22_000;

    /** Two processes that test begin at two places. */
    private static final AtomicInteger NEXT =
            new AtomicInteger(ThreadLocalRandom.current().nextInt(COUNT));

    private Ports() {}

    /** A port that is free on every address, and that this process is told of once. */
    public static int free() {
        for (int i = 0; i < COUNT; i++) {
            int port = FIRST + NEXT.getAndIncrement() % COUNT;
            try (ServerSocket probe = new ServerSocket()) {
                probe.bind(new InetSocketAddress(port));
                return port;
            } catch (IOException taken) {
                // the next, then
            }
        }
        throw new AssertionError("no port is free");
    }
}
