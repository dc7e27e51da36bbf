package holdfast.ssh.link;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.AsynchronousCloseException;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Semaphore;
import java.util.concurrent.atomic.AtomicReference;
import org.apache.sshd.common.io.IoHandler;
import org.apache.sshd.common.io.IoSession;
import org.apache.sshd.common.io.IoWriteFuture;
import org.apache.sshd.common.util.Readable;
import org.apache.sshd.common.util.buffer.ByteArrayBuffer;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(30)
class WireTest {

    /** A peer that says nothing and takes bytes only as it is allowed to. */
    private static class Peer implements InstantChannel {
        final ByteArrayOutputStream taken = new ByteArrayOutputStream();
        final Semaphore writes = new Semaphore(0);
        final CountDownLatch closed = new CountDownLatch(1);
        final AtomicReference<Thread> lastWriter = new AtomicReference<>();
        final AtomicReference<IOException> broken = new AtomicReference<>();

        @Override
        public int read(ByteBuffer bytes) throws IOException {
            try {
                closed.await();
            } catch (InterruptedException e) {
                throw new AssertionError(e);
            }
            throw new AsynchronousCloseException();
        }

        @Override
        public int write(ByteBuffer bytes) throws IOException {
            lastWriter.set(Thread.currentThread());
            writes.acquireUninterruptibly();
            return take(bytes);
        }

        @Override
        public int writeNow(ByteBuffer bytes) throws IOException {
            if (!writes.tryAcquire()) {
                return 0;
            }
            lastWriter.set(Thread.currentThread());
            return take(bytes);
        }

        private int take(ByteBuffer bytes) throws IOException {
            IOException failure = broken.get();
            if (failure != null) {
                throw failure;
            }
            byte[] some = new byte[Math.min(bytes.remaining(), 70_000)];
            bytes.get(some);
            synchronized (taken) {
                taken.writeBytes(some);
            }
            return some.length;
        }

        byte[] taken() {
            synchronized (taken) {
                return taken.toByteArray();
            }
        }

        @Override
        public boolean isOpen() {
            return closed.getCount() > 0;
        }

        @Override
        public void close() {
            closed.countDown();
            writes.release(1_000_000);
        }
    }

    /** One that keeps what it has room for, which is not always enough, and sends it when told. */
    private static final class Keeper extends Peer implements KeepingChannel {
        private final ByteArrayOutputStream kept = new ByteArrayOutputStream();
        private int asked;

        @Override
        public boolean keep(byte[] from, int offset, int length) {
            synchronized (taken) {
                if (++asked % 5 == 0) {
                    return false;
                }
                kept.write(from, offset, length);
                return true;
            }
        }

        @Override
        public void send(boolean waits) {
            synchronized (taken) {
                taken.writeBytes(kept.toByteArray());
                kept.reset();
            }
        }

        @Override
        public int write(ByteBuffer bytes) throws IOException {
            send(true);
            return super.write(bytes);
        }

        @Override
        public int writeNow(ByteBuffer bytes) throws IOException {
            send(false);
            return super.writeNow(bytes);
        }
    }

    private static final class Deaf implements IoHandler {
        @Override
        public void sessionCreated(IoSession session) {}

        @Override
        public void sessionClosed(IoSession session) {}

        @Override
        public void exceptionCaught(IoSession session, Throwable cause) {}

        @Override
        public void messageReceived(IoSession session, Readable message) {}
    }

    private final Peer peer = new Peer();
    private final AtomicReference<Wire.End> end = new AtomicReference<>();
    private final InetSocketAddress nowhere = new InetSocketAddress(0);
    private final Wire wire = wire(peer);

    private Wire wire(Peer stream) {
        return new Wire(
                stream,
                nowhere,
                nowhere,
                new Deaf(),
                new Wire.Listener() {
                    @Override
                    public void heardBytes() {}

                    @Override
                    public void ended(Wire.End how) {
                        end.set(how);
                    }
                });
    }

    @AfterEach
    void close() {
        wire.close(true);
    }

    private static ByteArrayBuffer packet(int value, int size) {
        byte[] bytes = new byte[size];
        java.util.Arrays.fill(bytes, (byte) value);
        return new ByteArrayBuffer(bytes);
    }

    /** Until the writer has looked at an empty queue, and waits to be told of more. */
    private void startAndSettle() throws InterruptedException {
        String name = "wire-" + System.identityHashCode(wire);
        wire.start(name);
        while (Thread.getAllStackTraces().keySet().stream()
                .noneMatch(one ->
                        one.getName().equals(name + "-writer")
                                && one.getState() == Thread.State.WAITING)) {
            Thread.sleep(1);
        }
    }

    @Test
    void what_a_thread_holds_leaves_by_the_writer_once_it_is_released() throws Exception {
        startAndSettle();
        peer.writes.release(1_000_000);
        wire.hold();
        IoWriteFuture future = wire.writeBuffer(packet(1, 5));
        Thread.sleep(50);
        assertThat(peer.taken()).isEmpty();
        wire.release();
        assertThat(future.await(10_000)).isTrue();
        assertThat(future.isWritten()).isTrue();
        assertThat(peer.taken()).hasSize(5);
        assertThat(peer.lastWriter.get()).isNotSameAs(Thread.currentThread());
        // and nothing is held any more
        assertThat(wire.writeBuffer(packet(2, 5)).await(10_000)).isTrue();
    }

    @Test
    void packets_leave_in_the_order_they_were_queued_by_whichever_thread_writes() throws Exception {
        orderly(peer, wire);
    }

    @Test
    void a_stream_that_keeps_them_has_them_in_the_same_order_whether_or_not_it_had_room()
            throws Exception {
        Keeper keeper = new Keeper();
        Wire keeping = wire(keeper);
        orderly(keeper, keeping);
        assertThat(keeper.asked).isGreaterThan(1000);
        keeper.asked = 0; // the next has room
        keeping.hold();
        assertThat(keeping.writeBuffer(packet(1, 10)).isWritten())
                .as("as good as written")
                .isTrue();
        keeping.close(true);
    }

    private static void orderly(Peer peer, Wire wire) throws Exception {
        wire.start("wire");
        peer.writes.release(1_000_000);
        ByteArrayOutputStream expected = new ByteArrayOutputStream();
        List<IoWriteFuture> futures = new ArrayList<>();
        Object order = new Object();
        List<Thread> threads = new ArrayList<>();
        for (int t = 0; t < 4; t++) {
            boolean holds = t % 2 == 0;
            boolean waits = t == 0;
            threads.add(
                    Thread.ofPlatform()
                            .start(() -> {
                                for (int i = 0; i < 3000; i++) {
                                    if (holds) {
                                        wire.hold();
                                    }
                                    synchronized (order) {
                                        byte[] bytes = new byte[1 + i % 900];
                                        bytes[0] = (byte) i;
                                        expected.writeBytes(bytes);
                                        ByteArrayBuffer packet = new ByteArrayBuffer(bytes);
                                        futures.add(wire.writeBuffer(packet));
                                        bytes[0] = 77; // the buffer is ours again at once
                                    }
                                    if (waits) {
                                        wire.flush();
                                    } else if (holds) {
                                        wire.pass();
                                    }
                                }
                            }));
        }
        for (Thread thread : threads) {
            thread.join();
        }
        for (IoWriteFuture future : futures) {
            future.await();
            assertThat(future.isWritten()).isTrue();
        }
        assertThat(peer.taken()).isEqualTo(expected.toByteArray());
    }

    @Test
    void queueing_never_waits_for_a_peer_that_takes_nothing() throws Exception {
        wire.start("wire");
        List<IoWriteFuture> futures = new ArrayList<>();
        for (int i = 0; i < 100; i++) {
            futures.add(wire.writeBuffer(packet(i, 32 * 1024)));
        }
        assertThat(futures).noneMatch(IoWriteFuture::isDone);
        peer.writes.release(1_000_000);
        futures.getLast().await();
        assertThat(peer.taken()).hasSize(100 * 32 * 1024);
    }

    @Test
    void what_a_thread_holds_leaves_when_it_flushes_and_on_that_thread() throws Exception {
        startAndSettle();
        peer.writes.release(1_000_000);
        wire.hold();
        IoWriteFuture future = wire.writeBuffer(packet(1, 100));
        assertThat(future.isDone()).isFalse();
        wire.flush();
        assertThat(future.isWritten()).isTrue();
        assertThat(peer.lastWriter).hasValue(Thread.currentThread());
    }

    @Test
    void what_a_thread_passes_it_writes_itself_and_does_not_wait() throws Exception {
        startAndSettle();
        peer.writes.release(1);
        wire.hold();
        IoWriteFuture first = wire.writeBuffer(packet(1, 60_000));
        IoWriteFuture second = wire.writeBuffer(packet(2, 60_000));
        wire.pass();
        assertThat(first.isWritten()).isTrue();
        assertThat(second.isDone()).isFalse(); // the peer took 70,000 bytes of the two
        // the writer has the rest
        peer.writes.release(1_000_000);
        assertThat(second.await(10_000)).isTrue();
        assertThat(peer.taken()).hasSize(120_000).startsWith(1, 1).endsWith(2, 2);
        assertThat(peer.lastWriter.get()).isNotSameAs(Thread.currentThread());
        // and nothing is held any more
        assertThat(wire.writeBuffer(packet(3, 5)).await(10_000)).isTrue();
    }

    @Test
    void two_threads_may_hold_at_once() throws Exception {
        startAndSettle();
        peer.writes.release(1_000_000);
        wire.hold();
        IoWriteFuture ours = wire.writeBuffer(packet(1, 5));
        Thread.ofPlatform()
                .start(() -> {
                    wire.hold();
                    wire.writeBuffer(packet(2, 5));
                    wire.pass();
                })
                .join();
        // the other's pass wrote ours as well, and ours is still held
        assertThat(ours.isWritten()).isTrue();
        assertThat(peer.taken()).hasSize(10);
        wire.writeBuffer(packet(3, 5));
        Thread.sleep(50);
        assertThat(peer.taken()).hasSize(10);
        wire.pass();
        assertThat(peer.taken()).hasSize(15);
        assertThat(peer.lastWriter).hasValue(Thread.currentThread());
    }

    @Test
    void what_a_thread_holds_leaves_before_the_packet_of_a_thread_that_does_not() throws Exception {
        wire.start("wire");
        peer.writes.release(1_000_000);
        wire.hold();
        wire.writeBuffer(packet(1, 100));
        List<IoWriteFuture> others = new ArrayList<>();
        Thread.ofPlatform().start(() -> others.add(wire.writeBuffer(packet(2, 1)))).join();
        others.getFirst().await();
        assertThat(peer.taken()).hasSize(101).startsWith(1, 1).endsWith(1, 2);
        wire.flush();
    }

    @Test
    void a_thread_stuck_in_its_flush_stops_nobody_else_from_queueing() throws Exception {
        startAndSettle();
        Thread stuck =
                Thread.ofPlatform()
                        .start(() -> {
                            wire.hold();
                            wire.writeBuffer(packet(1, 1000));
                            wire.flush();
                        });
        while (peer.lastWriter.get() == null) {
            Thread.sleep(1);
        }
        assertThat(peer.lastWriter).hasValue(stuck);
        IoWriteFuture probe = wire.writeBuffer(packet(2, 10));
        wire.flush(); // somebody is at it: this does not wait
        assertThat(probe.isDone()).isFalse();
        peer.writes.release(1_000_000);
        probe.await();
        assertThat(peer.taken()).hasSize(1010).endsWith(2, 2);
        stuck.join();
    }

    @Test
    void a_write_that_fails_ends_the_stream_and_every_packet_that_waits() throws Exception {
        wire.start("wire");
        peer.broken.set(new IOException("Broken pipe"));
        List<IoWriteFuture> futures = new ArrayList<>();
        for (int i = 0; i < 5; i++) {
            futures.add(wire.writeBuffer(packet(i, 32 * 1024)));
        }
        peer.writes.release(1_000_000);
        for (IoWriteFuture future : futures) {
            future.await();
            assertThat(future.isWritten()).isFalse();
        }
        assertThat(end.get())
                .isInstanceOfSatisfying(
                        Wire.End.WriteFailed.class,
                        failed -> assertThat(failed.error()).hasMessage("Broken pipe"));
        assertThat(wire.writeBuffer(packet(9, 1)).isWritten()).isFalse();
    }

    @Test
    void a_stream_that_was_closed_by_somebody_else_is_a_failed_one_to_who_writes()
            throws Exception {
        wire.start("wire");
        peer.broken.set(new AsynchronousCloseException());
        peer.writes.release(1_000_000);
        IoWriteFuture future = wire.writeBuffer(packet(1, 10));
        future.await();
        assertThat(future.isWritten()).isFalse();
        assertThat(end.get()).isInstanceOf(Wire.End.WriteFailed.class);
        assertThat(wire.isOpen()).isFalse();
    }

    @Test
    void a_stream_that_was_closed_by_somebody_else_is_a_failed_one_to_who_reads() throws Exception {
        CountDownLatch ended = new CountDownLatch(1);
        wire.addCloseFutureListener(future -> ended.countDown());
        wire.start("wire");
        peer.close();
        ended.await();
        assertThat(end.get()).isInstanceOf(Wire.End.ReadFailed.class);
    }

    @Test
    void a_stream_that_we_close_is_none() throws Exception {
        startAndSettle();
        wire.close(true).await();
        assertThat(end.get()).isNull();
    }

    @Test
    void closing_in_order_writes_what_is_queued_first() throws Exception {
        wire.start("wire");
        for (int i = 0; i < 20; i++) {
            wire.writeBuffer(packet(i, 32 * 1024));
        }
        var closing = wire.close(false);
        peer.writes.release(1_000_000);
        closing.await();
        assertThat(peer.taken()).hasSize(20 * 32 * 1024);
    }
}
