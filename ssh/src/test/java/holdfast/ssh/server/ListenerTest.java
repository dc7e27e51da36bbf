package holdfast.ssh.server;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.net.Inet6Address;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.nio.channels.AsynchronousChannelGroup;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.opentest4j.TestAbortedException;

/** One listening socket for one family of addresses. */
final class ListenerTest {

    private final AsynchronousChannelGroup group = group();

    private static AsynchronousChannelGroup group() {
        try {
            return AsynchronousChannelGroup.withFixedThreadPool(
                    1, Executors.defaultThreadFactory());
        } catch (IOException e) {
            throw new AssertionError(e);
        }
    }

    @AfterEach
    void shutDown() throws IOException {
        group.shutdownNow();
    }

    private Listener at(String host, int port) throws IOException {
        Listener listener = Listener.in(group);
        try {
            listener.bind(new InetSocketAddress(InetAddress.getByName(host), port), 50);
            return listener;
        } catch (IOException e) {
            listener.close();
            throw e;
        }
    }

    private static int port(Listener listener) {
        return listener.getLocalAddress() instanceof InetSocketAddress inet ? inet.getPort() : -1;
    }

    private static InetSocketAddress met(Listener listener, String host) throws Exception {
        try (Socket client = new Socket(InetAddress.getAllByName(host)[0], port(listener));
                var accepted = listener.accept().get(30, TimeUnit.SECONDS)) {
            assertThat(client.isConnected()).isTrue();
            return (InetSocketAddress) accepted.getRemoteAddress();
        }
    }

    @Test
    void a_socket_for_every_address_of_IPv6_leaves_IPv4_to_another() throws Exception {
        Listener six;
        try {
            six = at("::", 0);
        } catch (IOException e) {
            throw new TestAbortedException("no IPv6 here: " + e.getMessage());
        }
        try (six) {
            assertThatThrownBy(() ->
                            new Socket(InetAddress.getAllByName("127.0.0.1")[0], port(six)).close())
                    .isInstanceOf(IOException.class);
            assertThat(met(six, "::1").getAddress()).isInstanceOf(Inet6Address.class);
            try (Listener four = at("0.0.0.0", port(six))) {
                assertThat(met(four, "127.0.0.1").getAddress().getHostAddress())
                        .isEqualTo("127.0.0.1");
                assertThat(met(six, "::1").getAddress()).isInstanceOf(Inet6Address.class);
            }
        }
    }

    @Test
    void a_place_that_is_taken_is_refused_and_a_closed_one_is_free() throws Exception {
        int port;
        try (Listener first = at("127.0.0.1", 0)) {
            port = port(first);
            int taken = port;
            assertThat(met(first, "127.0.0.1").getPort()).isPositive();
            assertThatThrownBy(() -> at("127.0.0.1", taken).close())
                    .isInstanceOf(IOException.class)
                    .hasMessageContaining("Address already in use");
        }
        try (Listener again = at("127.0.0.1", port)) {
            assertThat(met(again, "127.0.0.1").getPort()).isPositive();
        }
    }
}
