package holdfast.ssh.system;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import holdfast.ssh.stream.SocketTap;
import holdfast.ssh.stream.Tap;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.net.ConnectException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.SocketAddress;
import java.net.StandardProtocolFamily;
import java.net.StandardSocketOptions;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.ClosedChannelException;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Both kinds of tap, by the same promises. */
@Timeout(60)
final class TapTest {

    @TempDir Path directory;

    /** Our end, and what echoes at the other. */
    private interface Scene {
        void with(Tap near, Tap far) throws Exception;
    }

    /** TCP and Unix sockets; a child's socket pair has its other end in the child, and so none. */
    private void onSockets(Scene scene) throws Exception {
        try (ServerSocketChannel tcp =
                        ServerSocketChannel.open()
                                .bind(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0));
                ServerSocketChannel unix =
                        ServerSocketChannel.open(StandardProtocolFamily.UNIX)
                                .bind(UnixDomainSocketAddress.of(directory.resolve("s")))) {
            for (ServerSocketChannel bound : List.of(tcp, unix)) {
                LinkedBlockingQueue<SocketTap> accepted = new LinkedBlockingQueue<>();
                try (SocketTap.Listening listening = SocketTap.listen(bound, accepted::add);
                        Tap near = connect(listening.address())) {
                    Tap far = accepted.poll(10, TimeUnit.SECONDS);
                    assertThat(far).isNotNull();
                    scene.with(near, far);
                    far.close();
                }
            }
        }
    }

    private static SocketTap connect(SocketAddress to) throws Exception {
        CompletableFuture<SocketTap> made = new CompletableFuture<>();
        SocketTap.connect(
                to,
                (tap, failure) -> {
                    if (tap == null) {
                        made.completeExceptionally(failure);
                    } else {
                        made.complete(tap);
                    }
                });
        return made.get(10, TimeUnit.SECONDS);
    }

    /** Writes all, as the tap takes it, then finishes. */
    private static void pour(Tap tap, byte[] all) {
        ByteBuffer from = ByteBuffer.wrap(all);
        tap.wantWrite(
                new Tap.Ready() {
                    @Override
                    public void ready() throws IOException {
                        while (from.hasRemaining() && tap.write(from) > 0) {
                            // until it takes no more
                        }
                        if (from.hasRemaining()) {
                            tap.wantWrite(this);
                        } else {
                            tap.finishOutput();
                        }
                    }
                });
    }

    private static CompletableFuture<byte[]> drink(Tap tap) {
        CompletableFuture<byte[]> all = new CompletableFuture<>();
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        tap.wantRead(
                new Tap.Ready() {
                    @Override
                    public void ready() throws IOException {
                        ByteBuffer room = ByteBuffer.allocate(10_000);
                        int count = tap.read(room);
                        if (count < 0) {
                            all.complete(bytes.toByteArray());
                        } else {
                            bytes.write(room.array(), 0, count);
                            tap.wantRead(this);
                        }
                    }
                });
        return all;
    }

    private static byte[] noise(int length) {
        long seed = System.nanoTime();
        byte[] bytes = new byte[length];
        new Random(seed).nextBytes(bytes);
        return bytes;
    }

    @Test
    void a_socket_carries_both_ways_at_once_and_each_way_ends_for_itself() throws Exception {
        onSockets((near, far) -> {
            byte[] there = noise(3_000_000);
            byte[] back = noise(2_000_001);
            CompletableFuture<byte[]> atFar = drink(far);
            pour(near, there);
            assertThat(atFar.get(20, TimeUnit.SECONDS)).isEqualTo(there);
            // The first way has ended; the other begins only now.
            CompletableFuture<byte[]> atNear = drink(near);
            pour(far, back);
            assertThat(atNear.get(20, TimeUnit.SECONDS)).isEqualTo(back);
        });
    }

    @Test
    void a_child_echoes_megabytes_byte_for_byte() throws Exception {
        for (Spawn.Stdio stdio : List.of(Spawn.Stdio.PIPES, Spawn.Stdio.SOCKETS)) {
            byte[] noise = noise(4_000_000);
            Child child = Run.shell("cat").stdio(stdio).start();
            CompletableFuture<byte[]> echoed = drink(child.output());
            pour(child.input(), noise);

            assertThat(echoed.get(20, TimeUnit.SECONDS)).isEqualTo(noise);
            assertThat(Run.exit(child).status()).isZero();
            child.input().close();
            child.output().close();
        }
    }

    @Test
    void a_tap_takes_no_more_when_nobody_reads_and_the_others_go_on() throws Exception {
        Child stuck = Run.shell("exec sleep 60").start();
        ByteBuffer endless = ByteBuffer.allocate(16 << 20);
        AtomicInteger calls = new AtomicInteger();
        stuck.input()
                .wantWrite(
                        new Tap.Ready() {
                            @Override
                            public void ready() throws IOException {
                                calls.incrementAndGet();
                                while (stuck.input().write(endless) > 0) {
                                    // until the pipe is full
                                }
                                stuck.input().wantWrite(this);
                            }
                        });
        Run other = Run.of(Run.shell("cat"), "hello");
        Thread.sleep(200);

        assertThat(other.output()).isEqualTo("hello");
        assertThat(endless.position()).isBetween(4096, 2 << 20);
        // It waits, it does not spin.
        assertThat(calls).hasValueLessThan(5);
        stuck.signal(Signal.KILL);
        stuck.input().close();
        stuck.output().close();
    }

    @Test
    void interest_is_told_once() throws Exception {
        onSockets((near, far) -> {
            AtomicInteger told = new AtomicInteger();
            far.wantRead(told::incrementAndGet);
            near.write(ByteBuffer.wrap(new byte[10]));
            Thread.sleep(100);
            near.write(ByteBuffer.wrap(new byte[10]));
            Thread.sleep(100);
            assertThat(told).hasValue(1);
        });
        Child child = Run.shell("echo a; sleep 0.2; echo b; sleep 60").start();
        AtomicInteger told = new AtomicInteger();
        child.output().wantRead(told::incrementAndGet);
        Thread.sleep(500);
        assertThat(told).hasValue(1);
        // What was there before it is asked for again counts.
        child.output().wantRead(told::incrementAndGet);
        Thread.sleep(100);
        assertThat(told).hasValue(2);
        child.signal(Signal.KILL);
        child.output().close();
    }

    @Test
    void a_callback_that_throws_loses_its_own_tap_only() throws Exception {
        onSockets((near, far) -> {
            CompletableFuture<Throwable> told = throwing(far);
            near.write(ByteBuffer.wrap(new byte[1]));
            // The far one is closed by that, which the near one reads as the end.
            assertThat(drink(near).get(10, TimeUnit.SECONDS)).isEmpty();
            assertThat(told.get(10, TimeUnit.SECONDS)).hasMessage("on purpose");
        });
        Child child = Run.shell("echo a; cat").stdio(Spawn.Stdio.SOCKETS).start();
        Throwable why = throwing(child.output()).get(10, TimeUnit.SECONDS);
        assertThat(why).hasMessage("on purpose");
        assertThatThrownBy(() -> child.output().read(ByteBuffer.allocate(1)))
                .isInstanceOf(ClosedChannelException.class);
        assertThat(Run.of(Run.shell("echo still")).output()).isEqualTo("still\n");
        child.signal(Signal.KILL);
    }

    private static CompletableFuture<Throwable> throwing(Tap tap) {
        CompletableFuture<Throwable> told = new CompletableFuture<>();
        tap.wantRead(
                new Tap.Ready() {
                    @Override
                    public void ready() {
                        throw new IllegalStateException("on purpose");
                    }

                    @Override
                    public void failed(Throwable why) {
                        told.complete(why);
                    }
                });
        return told;
    }

    @Test
    void writing_to_whom_nobody_reads_any_more_is_an_error_in_the_system_s_words()
            throws Exception {
        Child child = Run.shell("exit 0").start();
        Run.exit(child);
        assertThatThrownBy(() -> child.input().write(ByteBuffer.allocate(1)))
                .isInstanceOf(SystemException.class)
                .hasMessage("write: Broken pipe");
        child.input().close();
        child.output().close();
    }

    @Test
    void a_connection_reset_is_an_end() throws Exception {
        onSockets((near, far) -> {
            SocketTap socket = (SocketTap) far;
            near.write(ByteBuffer.allocate(1000));
            if (socket.channel().getLocalAddress() instanceof InetSocketAddress) {
                socket.channel().setOption(StandardSocketOptions.SO_LINGER, 0);
            }
            Thread.sleep(50);
            far.close();
            assertThat(drink(near).get(10, TimeUnit.SECONDS)).isEmpty();
        });
    }

    @Test
    void a_refused_connection_is_told_in_the_system_s_words() throws Exception {
        int port;
        try (ServerSocketChannel gone =
                ServerSocketChannel.open()
                        .bind(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0))) {
            port = gone.socket().getLocalPort();
        }
        assertThatThrownBy(() ->
                        connect(new InetSocketAddress(InetAddress.getLoopbackAddress(), port)))
                .hasRootCauseInstanceOf(ConnectException.class)
                .hasRootCauseMessage("Connection refused");
        assertThatThrownBy(() -> connect(UnixDomainSocketAddress.of(directory.resolve("nobody"))))
                .rootCause()
                .hasMessageContaining("No such file or directory");
        assertThatThrownBy(() -> connect(InetSocketAddress.createUnresolved("nowhere.invalid", 1)))
                .hasMessageContaining("UnresolvedAddress");
    }

    @Test
    void closing_an_attempt_tells_nobody() throws Exception {
        CountDownLatch told = new CountDownLatch(1);
        List<SocketChannel> queued = new ArrayList<>();
        // A listener whose queue is full lets a connection wait.
        try (ServerSocketChannel busy =
                ServerSocketChannel.open()
                        .bind(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 1)) {
            for (int i = 0; i < 5; i++) {
                SocketChannel one = SocketChannel.open();
                queued.add(one);
                one.configureBlocking(false);
                one.connect(busy.getLocalAddress());
            }
            SocketTap.Attempt attempt =
                    SocketTap.connect(busy.getLocalAddress(), (tap, failure) -> told.countDown());
            assertThat(told.await(100, TimeUnit.MILLISECONDS)).isFalse();
            attempt.close();
            attempt.close();
        } finally {
            for (SocketChannel one : queued) {
                one.close();
            }
        }
        assertThat(told.await(200, TimeUnit.MILLISECONDS)).isFalse();
    }

    @Test
    void closed_taps_are_quiet_and_say_that_they_are_closed() throws Exception {
        onSockets((near, far) -> {
            AtomicInteger told = new AtomicInteger();
            far.wantRead(told::incrementAndGet);
            far.close();
            far.close();
            far.wantRead(told::incrementAndGet);
            far.wantWrite(told::incrementAndGet);
            Thread.sleep(50);
            assertThat(told).hasValue(0);
            assertThatThrownBy(() -> far.read(ByteBuffer.allocate(1)))
                    .isInstanceOf(ClosedChannelException.class);
        });
    }

    @Test
    void thousands_of_idle_taps_cost_no_thread_and_no_time() throws Exception {
        List<Tap> idle = new ArrayList<>();
        try (ServerSocketChannel bound =
                ServerSocketChannel.open()
                        .bind(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 1000)) {
            LinkedBlockingQueue<SocketTap> accepted = new LinkedBlockingQueue<>();
            SocketTap.Listening listening = SocketTap.listen(bound, accepted::add);
            int threads = Thread.activeCount();
            for (int i = 0; i < 1000; i++) {
                SocketTap near = connect(listening.address());
                near.wantRead(() -> {});
                idle.add(near);
                SocketTap far = accepted.poll(10, TimeUnit.SECONDS);
                far.wantRead(() -> {});
                idle.add(far);
                Pty pty = Pty.open(Accounts.own());
                Tap terminal = pty.take();
                terminal.wantWrite(() -> {});
                terminal.wantRead(() -> {});
                idle.add(terminal);
            }
            assertThat(Thread.activeCount()).isLessThanOrEqualTo(threads + 1);
            long before = cpu();
            Thread.sleep(500);
            assertThat(cpu() - before).isLessThan(50_000_000);
            long start = System.nanoTime();
            assertThat(Run.of(Run.shell("cat"), "x").output()).isEqualTo("x");
            assertThat(System.nanoTime() - start).isLessThan(2_000_000_000L);
            listening.close();
        } finally {
            idle.forEach(Tap::close);
        }
    }

    /** Of the two threads that watch, in nanoseconds. */
    private static long cpu() {
        long all = 0;
        var threads = ManagementFactory.getThreadMXBean();
        for (long id : threads.getAllThreadIds()) {
            var info = threads.getThreadInfo(id);
            if (info != null
                    && (info.getThreadName().equals("sockets")
                            || info.getThreadName().equals("descriptors"))) {
                all += threads.getThreadCpuTime(id);
            }
        }
        return all;
    }
}
