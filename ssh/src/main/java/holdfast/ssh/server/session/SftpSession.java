package holdfast.ssh.server.session;

import holdfast.ssh.config.ConfigException;
import holdfast.ssh.config.ServerTokens;
import holdfast.ssh.hostkeys.NumericAddress;
import holdfast.ssh.octets.Octets;
import holdfast.ssh.server.Login;
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
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.RejectedExecutionException;
import org.apache.sshd.common.SshConstants;
import org.apache.sshd.common.channel.RemoteWindow;
import org.apache.sshd.common.util.buffer.Buffer;
import org.apache.sshd.common.util.threads.ThreadUtils;
import org.jspecify.annotations.Nullable;

/**
 * A file server inside this process, between a channel and a thread that acts as the user.
 *
 * <p>The thread is there for turns only: one begins when a whole request has come and there is room
 * for its reply, and ends when neither is so any more. An idle session has no thread, and neither
 * has one whose client does not read.
 *
 * <p>That thread touches nothing of MINA's: a thread it made by doing so would have the user's
 * rights. It takes what arrived from {@code inbox}, which the channel's window bounds, and leaves
 * what it says in {@code outbox}, {@link #OUTBOX_BYTES} and one reply at most; an errand carries
 * that on. Fields are guarded by this.
 */
final class SftpSession {

    /** Replies that wait to be sent: with so many no turn goes on, with half of them one begins. */
    private static final int OUTBOX_BYTES = 512 * 1024;

    /** What arrives in smaller pieces is put together, so that a piece costs about its length. */
    private static final int PIECE_BYTES = 4096;

    /** Handed to the connection and not yet written by it. */
    private static final int IN_FLIGHT_BYTES = 512 * 1024;

    private final SessionChannel channel;
    private final ServerTransport peer;
    private final AsUser user;
    private final SftpServer server;
    private final ArrayDeque<byte[]> inbox = new ArrayDeque<>();
    private final ArrayDeque<byte[]> outbox = new ArrayDeque<>();

    /** Of the last of the inbox: how much of it is filled. */
    private int inboxTo;

    /** Of the first of each: what is done already. */
    private int inboxAt;

    private int outboxAt;
    private long inboxBytes;
    private long outboxBytes;
    private long toRelease;
    private long inFlight;
    private boolean finished;
    private boolean stopped;
    private boolean serving;
    private boolean ended;
    private boolean told;
    private int status;
    private boolean carrying;

    /**
     * One that {@link #start} is to begin.
     *
     * @param home where names begin that are not absolute, as seen in the user's root directory
     * @throws IOException in OpenSSH's words if the directory to begin in cannot be told
     */
    SftpSession(SessionChannel channel, ServerTransport peer, SftpOptions options, String home)
            throws IOException {
        this.channel = channel;
        this.peer = peer;
        String given = options.start();
        Login login = channel.login();
        Account account = login.account();
        String start = given == null ? "" : expand(given, account);
        String begin = start.startsWith("/") ? start : start.isEmpty() ? home : home + "/" + start;
        InetSocketAddress from = peer.peer();
        String client = from == null ? "UNKNOWN" : NumericAddress.text(from.getAddress());
        user = AsUser.of(account, login.root(), options.umask() < 0 ? null : options.umask());
        server =
                new SftpServer(
                        options, account, begin, client, peer.log(), new Inbox(), new Outbox());
    }

    /** The tokens of sftp-server's -d: %h or %d home, %u name, %U number. */
    private static String expand(String text, Account account) throws IOException {
        String home = Octets.text(account.home());
        Map<Character, String> tokens =
                new HashMap<>(
                        ServerTokens.ofUser(
                                account.name(), Integer.toUnsignedLong(account.uid()), home));
        tokens.put('d', home);
        try {
            return ServerTokens.expand(
                    text.equals("~") || text.startsWith("~/") ? home + text.substring(1) : text,
                    tokens);
        } catch (ConfigException e) {
            throw new IOException(e.text(), e);
        }
    }

    /** Has the first turn now: whether this can act as the user is then known. */
    void start() {
        synchronized (this) {
            if (serving || ended) {
                return;
            }
            serving = true;
        }
        turn();
    }

    /** Data of the client's; copied. */
    void data(byte[] bytes, int offset, int length) {
        synchronized (this) {
            if (ended || stopped) {
                return; // its window is never given back: whoever says more after the end waits
            }
            byte[] last = inbox.peekLast();
            if (last != null && last.length - inboxTo >= length) {
                System.arraycopy(bytes, offset, last, inboxTo, length);
                inboxTo += length;
            } else {
                trimLast();
                byte[] piece = new byte[Math.max(length, PIECE_BYTES)];
                System.arraycopy(bytes, offset, piece, 0, length);
                inbox.add(piece);
                inboxTo = length;
            }
            inboxBytes += length;
        }
        serve();
    }

    /** The client will say no more. */
    void finish() {
        synchronized (this) {
            finished = true;
        }
        serve();
    }

    void windowOpened() {
        carryOn();
    }

    /** The channel is gone. */
    void stop() {
        synchronized (this) {
            stopped = true;
            finished = true;
            inbox.clear();
            inboxBytes = 0;
            inboxAt = 0;
            outbox.clear();
            outboxBytes = 0;
        }
        serve();
    }

    /** Begins a turn, if there is something to do and none is under way. */
    private void serve() {
        synchronized (this) {
            if (serving || ended || !more(OUTBOX_BYTES / 2)) {
                return;
            }
            serving = true;
        }
        turn();
    }

    /** As the one who set {@link #serving}. */
    private void turn() {
        CompletionStage<@Nullable Integer> run;
        try {
            run = user.submit(this::asUser);
        } catch (RejectedExecutionException e) {
            over(null, e);
            return;
        }
        run.whenComplete((result, failure) -> {
            if (result != null || failure != null) {
                over(result, failure);
            }
        });
    }

    /** Serves, as the user, until there is nothing to do; not null: the session is over. */
    private @Nullable Integer asUser() {
        Integer result = null;
        boolean over = true;
        try {
            do {
                result = server.turn(this::more);
            } while (result == null && !rested());
            over = result != null;
        } finally {
            if (over) {
                server.close();
            }
        }
        return result;
    }

    private synchronized boolean more() {
        return more(OUTBOX_BYTES);
    }

    /** Something came after the last look, and nobody began a turn for it: it is this one's. */
    private synchronized boolean rested() {
        serving = more(OUTBOX_BYTES);
        return !serving;
    }

    private void over(@Nullable Integer result, @Nullable Throwable failure) {
        if (failure != null) {
            peer.log().error("internal-sftp: " + failure.getMessage());
        }
        user.close();
        synchronized (this) {
            ended = true;
            status = failure != null || result == null ? 255 : result;
        }
        carryOn();
    }

    /** Whether a turn has something to do with so many replies waiting. Under the lock. */
    private boolean more(int most) {
        return stopped || (outboxBytes < most && (finished || whole()));
    }

    /** Whether a whole request has come, or one that is none. Under the lock. */
    private boolean whole() {
        if (inboxBytes < Integer.BYTES) {
            return false;
        }
        int announced = 0;
        int count = 0;
        int behind = inbox.size();
        for (byte[] piece : inbox) {
            int to = --behind == 0 ? inboxTo : piece.length;
            for (int at = count == 0 ? inboxAt : 0; at < to && count < Integer.BYTES; at++) {
                announced = announced << 8 | Byte.toUnsignedInt(piece[at]);
                count++;
            }
            if (count == Integer.BYTES) {
                break;
            }
        }
        return announced < 1
                || announced > SftpServer.MAX_REQUEST_BYTES
                || inboxBytes >= Integer.BYTES + announced;
    }

    /** Cuts the last piece to what is in it: another comes behind it. Under the lock. */
    private void trimLast() {
        byte[] last = inbox.peekLast();
        if (last != null && last.length > inboxTo) {
            inbox.removeLast();
            inbox.addLast(Arrays.copyOf(last, inboxTo));
        }
    }

    /** What {@link #whole} has seen; it never waits. */
    private final class Inbox extends InputStream {

        @Override
        public int read() throws IOException {
            byte[] one = new byte[1];
            return read(one, 0, 1) < 0 ? -1 : Byte.toUnsignedInt(one[0]);
        }

        @Override
        public int read(byte[] into, int at, int length) throws IOException {
            int count = take(into, at, length);
            if (count < 0) {
                carryOn();
                return -count;
            }
            return count == 0 ? -1 : count;
        }
    }

    /** How much was taken; less than zero: so much, and the window wants to be given back. */
    private synchronized int take(byte[] into, int at, int length) {
        byte[] first = inbox.peekFirst();
        if (first == null) {
            return 0;
        }
        int to = inbox.size() == 1 ? inboxTo : first.length;
        int count = Math.min(length, to - inboxAt);
        System.arraycopy(first, inboxAt, into, at, count);
        inboxAt += count;
        if (inboxAt == to) {
            inbox.removeFirst();
            inboxAt = 0;
        }
        inboxBytes -= count;
        toRelease += count;
        return toRelease >= SessionChannel.WINDOW_BYTES / 8 ? -count : count;
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
            put(copy);
            carryOn();
        }
    }

    private synchronized void put(byte[] reply) throws IOException {
        if (stopped) {
            throw new IOException("the channel is closed");
        }
        outbox.add(reply);
        outboxBytes += reply.length;
    }

    /** Has what waits sent, on one of the errands' threads; may be called from any. */
    private void carryOn() {
        synchronized (this) {
            if (carrying || stopped) {
                return;
            }
            carrying = true;
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
        boolean resume = false;
        synchronized (this) {
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
                    resume = outboxBytes < OUTBOX_BYTES / 2;
                }
            } else if (ended && !told) {
                told = true;
                over = true;
            }
            if (release == 0 && packet == null && !over) {
                carrying = false;
                return false;
            }
        }
        if (resume) {
            serve();
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
        synchronized (this) {
            full = inFlight >= IN_FLIGHT_BYTES;
            inFlight -= count;
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
