package holdfast.ssh.server.session;

import holdfast.ssh.server.ServerTransport;
import holdfast.ssh.server.sftp.SftpOptions;
import holdfast.ssh.server.sftp.SftpServer;
import holdfast.ssh.system.Account;
import holdfast.ssh.system.AsUser;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetSocketAddress;
import java.util.ArrayDeque;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import org.apache.sshd.common.SshConstants;
import org.apache.sshd.common.channel.RemoteWindow;
import org.apache.sshd.common.util.buffer.Buffer;
import org.apache.sshd.common.util.threads.ThreadUtils;

/**
 * A file server inside this process, between a channel and a thread that acts as the user.
 *
 * <p>That thread touches nothing of MINA's: a thread it made by doing so would have the user's
 * rights. It takes what arrived from {@code inbox}, which the channel's window bounds, and leaves
 * what it says in {@code outbox}, {@link #OUTBOX_BYTES} at most; an errand carries that on. Fields
 * are guarded by {@link #lock}.
 */
final class SftpSession {

    /** Replies that wait to be sent. */
    private static final int OUTBOX_BYTES = 512 * 1024;

    /** Handed to the connection and not yet written by it. */
    private static final int IN_FLIGHT_BYTES = 512 * 1024;

    private final SessionChannel channel;
    private final ServerTransport peer;
    private final SftpOptions options;
    private final Chroot chroot;
    private final String begin;
    private final ReentrantLock lock = new ReentrantLock();
    private final Condition arrived = lock.newCondition();
    private final Condition room = lock.newCondition();
    private final ArrayDeque<byte[]> inbox = new ArrayDeque<>();
    private final ArrayDeque<byte[]> outbox = new ArrayDeque<>();

    /** Of the first of each: what is done already. */
    private int inboxAt;

    private int outboxAt;
    private long inboxBytes;
    private long outboxBytes;
    private long toRelease;
    private long inFlight;
    private boolean finished;
    private boolean stopped;
    private boolean ended;
    private boolean told;
    private int status;
    private boolean carrying;

    /**
     * One that {@link #start} is to begin.
     *
     * @throws IOException in OpenSSH's words if the directory to begin in cannot be told
     */
    SftpSession(SessionChannel channel, ServerTransport peer, SftpOptions options, Chroot chroot)
            throws IOException {
        this.channel = channel;
        this.peer = peer;
        this.options = options;
        this.chroot = chroot;
        String given = options.start();
        String start = given == null ? "" : Chroot.expand(given, channel.login().account());
        String home = chroot.home();
        begin = start.startsWith("/") ? start : start.isEmpty() ? home : home + "/" + start;
    }

    void start() {
        Account account = channel.login().account();
        InetSocketAddress from = peer.peer();
        String client = from == null ? "UNKNOWN" : from.getAddress().getHostAddress();
        AsUser user =
                AsUser.of(account, chroot.root(), options.umask() < 0 ? null : options.umask());
        CompletionStage<Integer> run =
                user.submit(() ->
                        new SftpServer(
                                        options,
                                        account,
                                        begin,
                                        client,
                                        peer.log(),
                                        new Inbox(),
                                        new Outbox())
                                .run());
        run.whenComplete((result, failure) -> {
            if (failure != null) {
                peer.log().error("internal-sftp: " + failure.getMessage());
            }
            lock.lock();
            try {
                ended = true;
                status = failure != null || result == null ? 255 : result;
            } finally {
                lock.unlock();
            }
            carryOn();
        });
        user.close();
    }

    /** Data of the client's; copied. */
    void data(byte[] bytes, int offset, int length) {
        byte[] copy = new byte[length];
        System.arraycopy(bytes, offset, copy, 0, length);
        lock.lock();
        try {
            inbox.add(copy);
            inboxBytes += length;
            arrived.signal();
        } finally {
            lock.unlock();
        }
    }

    /** The client will say no more. */
    void finish() {
        lock.lock();
        try {
            finished = true;
            arrived.signal();
        } finally {
            lock.unlock();
        }
    }

    void windowOpened() {
        carryOn();
    }

    /** The channel is gone. */
    void stop() {
        lock.lock();
        try {
            stopped = true;
            finished = true;
            inbox.clear();
            inboxBytes = 0;
            inboxAt = 0;
            outbox.clear();
            outboxBytes = 0;
            arrived.signal();
            room.signal();
        } finally {
            lock.unlock();
        }
    }

    private final class Inbox extends InputStream {

        @Override
        public int read() throws IOException {
            byte[] one = new byte[1];
            return read(one, 0, 1) < 0 ? -1 : Byte.toUnsignedInt(one[0]);
        }

        @Override
        public int read(byte[] into, int at, int length) throws IOException {
            boolean release;
            int count;
            lock.lock();
            try {
                while (inbox.isEmpty()) {
                    if (finished) {
                        return -1;
                    }
                    arrived.awaitUninterruptibly();
                }
                byte[] first = inbox.getFirst();
                count = Math.min(length, first.length - inboxAt);
                System.arraycopy(first, inboxAt, into, at, count);
                inboxAt += count;
                if (inboxAt == first.length) {
                    inbox.removeFirst();
                    inboxAt = 0;
                }
                inboxBytes -= count;
                toRelease += count;
                release = toRelease >= SessionChannel.WINDOW_BYTES / 8;
            } finally {
                lock.unlock();
            }
            if (release) {
                carryOn();
            }
            return count;
        }

        @Override
        public int available() {
            lock.lock();
            try {
                return (int) Math.min(inboxBytes, Integer.MAX_VALUE);
            } finally {
                lock.unlock();
            }
        }
    }

    private final class Outbox extends OutputStream {

        @Override
        public void write(int b) throws IOException {
            write(new byte[] {(byte) b}, 0, 1);
        }

        @Override
        public void write(byte[] bytes, int at, int length) throws IOException {
            byte[] copy = new byte[length];
            System.arraycopy(bytes, at, copy, 0, length);
            lock.lock();
            try {
                while (outboxBytes >= OUTBOX_BYTES && !stopped) {
                    room.awaitUninterruptibly();
                }
                if (stopped) {
                    throw new IOException("the channel is closed");
                }
                outbox.add(copy);
                outboxBytes += length;
            } finally {
                lock.unlock();
            }
            carryOn();
        }
    }

    /** Has what waits sent, on one of the errands' threads; may be called from any. */
    private void carryOn() {
        lock.lock();
        try {
            if (carrying || stopped) {
                return;
            }
            carrying = true;
        } finally {
            lock.unlock();
        }
        Errands.once(this::carry);
    }

    private void carry() {
        try {
            // Marked as MINA's own, so that it queues in a key exchange and never waits for it.
            ThreadUtils.runAsInternal(() -> {
                while (step()) {
                    // more
                }
                return null;
            });
        } catch (Exception e) {
            channel.log().debug2("file transfer: " + e.getMessage()); // the connection is gone
            stop();
        }
    }

    /** Sends one thing. False: there is nothing to send now. */
    private boolean step() throws IOException {
        Buffer packet = null;
        int count = 0;
        long release = 0;
        boolean over = false;
        lock.lock();
        try {
            RemoteWindow window = channel.getRemoteWindow();
            if (stopped) {
                carrying = false;
                return false;
            }
            if (toRelease >= SessionChannel.WINDOW_BYTES / 8) {
                release = toRelease;
                toRelease = 0;
            } else if (!outbox.isEmpty()) {
                long most = Math.min(window.getPacketSize(), window.getSize());
                count = (int) Math.min(most, outboxBytes);
                if (count > 0 && inFlight < IN_FLIGHT_BYTES) {
                    packet = packet(count);
                    window.consume(count);
                    inFlight += count;
                    room.signal();
                }
            } else if (ended && !told) {
                told = true;
                over = true;
            }
            if (release == 0 && packet == null && !over) {
                carrying = false;
                return false;
            }
        } finally {
            lock.unlock();
        }
        if (release > 0) {
            channel.getLocalWindow().release(release);
        } else if (packet != null) {
            int sent = count;
            channel.getSession().writePacket(packet).addListener(written -> written(sent));
        } else {
            channel.transferred(status);
        }
        return true;
    }

    private void written(int count) {
        boolean full;
        lock.lock();
        try {
            full = inFlight >= IN_FLIGHT_BYTES;
            inFlight -= count;
        } finally {
            lock.unlock();
        }
        if (full) {
            carryOn();
        }
    }

    /** The next bytes of the outbox as a packet. Called with the lock. */
    private Buffer packet(int count) {
        Buffer packet = channel.packet(SshConstants.SSH_MSG_CHANNEL_DATA, count + Integer.BYTES);
        packet.putUInt(count);
        int left = count;
        while (left > 0) {
            byte[] first = outbox.getFirst();
            int some = Math.min(left, first.length - outboxAt);
            packet.putRawBytes(first, outboxAt, some);
            outboxAt += some;
            left -= some;
            if (outboxAt == first.length) {
                outbox.removeFirst();
                outboxAt = 0;
            }
        }
        outboxBytes -= count;
        return packet;
    }
}
