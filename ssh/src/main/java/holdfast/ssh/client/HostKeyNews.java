package holdfast.ssh.client;

import holdfast.ssh.auth.PublicIdentity;
import holdfast.ssh.auth.Signatures;
import holdfast.ssh.auth.Wire;
import holdfast.ssh.hostkeys.HostKey;
import holdfast.ssh.hostkeys.HostKeyUpdate;
import holdfast.ssh.log.Log;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;
import org.apache.sshd.common.SshConstants;
import org.apache.sshd.common.channel.RequestHandler;
import org.apache.sshd.common.kex.KexProposalOption;
import org.apache.sshd.common.session.ConnectionService;
import org.apache.sshd.common.session.Session;
import org.apache.sshd.common.session.SessionListener;
import org.apache.sshd.common.util.buffer.Buffer;
import org.apache.sshd.common.util.buffer.BufferException;
import org.jspecify.annotations.Nullable;

/**
 * Hears what keys the server says it has ({@code hostkeys-00@openssh.com}), has it prove the new
 * ones ({@code hostkeys-prove-00@openssh.com}), and has them remembered.
 *
 * <p>Files are read and written, and the person asked, on a thread of its own, which takes the
 * first announcement of a connection and no other.
 */
final class HostKeyNews implements RequestHandler<ConnectionService> {

    private static final String ANNOUNCED = "hostkeys-00@openssh.com";
    private static final String PROVE = "hostkeys-prove-00@openssh.com";

    /** A packet holds no more, and nobody has so many. */
    private static final int MOST_BLOBS = 256;

    private final Supplier<@Nullable HostKeyUpdate> updates;
    private final boolean mayAsk;
    private final Log log;
    private final CountDownLatch done = new CountDownLatch(1);
    private volatile boolean begun;

    /**
     * @param updates null where nothing is to be learned; asked once the host key is accepted
     * @param mayAsk whether nobody else reads the person's terminal
     */
    HostKeyNews(Supplier<@Nullable HostKeyUpdate> updates, boolean mayAsk, Log log) {
        this.updates = updates;
        this.mayAsk = mayAsk;
        this.log = log;
    }

    @Override
    public Result process(
            ConnectionService service, String request, boolean wantReply, Buffer buffer) {
        if (!request.equals(ANNOUNCED)) {
            return Result.Unsupported;
        }
        log.debug(
                "client_input_global_request: rtype "
                        + ANNOUNCED
                        + " want_reply "
                        + (wantReply ? 1 : 0));
        HostKeyUpdate update = updates.get();
        if (begun || update == null || (update.asks() && !mayAsk)) {
            return Result.ReplySuccess;
        }
        List<byte[]> blobs = strings(buffer);
        if (blobs == null) {
            log.error("client_input_hostkeys: parse key: incomplete message");
            return Result.ReplyFailure;
        }
        begun = true;
        Session session = service.getSession();
        Thread.ofPlatform()
                .daemon()
                .name("host-keys")
                .start(() -> {
                    try {
                        learn(session, update, blobs);
                    } finally {
                        done.countDown();
                    }
                });
        return Result.ReplySuccess;
    }

    private void learn(Session session, HostKeyUpdate update, List<byte[]> blobs) {
        List<HostKey> unproved = update.announced(blobs);
        if (unproved.isEmpty()) {
            return;
        }
        try {
            Answer answer = ask(session, unproved).get();
            if (answer.command != SshConstants.SSH_MSG_REQUEST_SUCCESS) {
                update.unproved();
                return;
            }
            String negotiated = session.getKexNegotiationResult().get(KexProposalOption.SERVERKEYS);
            update.proved(
                    session.getSessionId(),
                    negotiated == null ? "" : negotiated,
                    answer.signatures,
                    HostKeyNews::holds);
        } catch (IOException | ExecutionException e) {
            log.debug("hostkeys-prove: " + e.getMessage()); // the connection ends
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private record Answer(int command, List<byte[]> signatures) {}

    private CompletableFuture<Answer> ask(Session session, List<HostKey> keys) throws IOException {
        CompletableFuture<Answer> answer = new CompletableFuture<>();
        session.addSessionListener(
                new SessionListener() {
                    @Override
                    public void sessionClosed(Session closed) {
                        answer.completeExceptionally(new IOException("connection closed"));
                    }
                });
        Buffer request = session.createBuffer(SshConstants.SSH_MSG_GLOBAL_REQUEST, 1024);
        request.putString(PROVE);
        request.putBoolean(true);
        keys.forEach(key -> request.putBytes(key.blob()));
        session.request(
                request,
                PROVE,
                (command, reply) -> {
                    List<byte[]> signatures =
                            command == SshConstants.SSH_MSG_REQUEST_SUCCESS ? strings(reply) : null;
                    answer.complete(
                            new Answer(command, signatures == null ? List.of() : signatures));
                });
        if (!session.isOpen()) {
            answer.completeExceptionally(new IOException("connection closed"));
        }
        return answer;
    }

    /** All strings of the rest of a packet; null where it is cut short. */
    private static @Nullable List<byte[]> strings(Buffer buffer) {
        List<byte[]> strings = new ArrayList<>();
        try {
            while (buffer.available() > 0) {
                if (strings.size() == MOST_BLOBS) {
                    return null;
                }
                strings.add(buffer.getBytes());
            }
            return strings;
        } catch (BufferException e) {
            return null;
        }
    }

    private static boolean holds(HostKey key, byte[] signature, byte[] data) {
        try {
            return Signatures.check(PublicIdentity.of(key.blob()), null, signature, data) != null;
        } catch (Wire.Malformed e) {
            return false;
        }
    }

    /** Whether an announcement came that is looked into. */
    boolean begun() {
        return begun;
    }

    /** Waits until what was announced has been learned, if anything was. */
    void await(Duration longest) throws InterruptedException {
        if (begun) {
            done.await(longest.toMillis(), TimeUnit.MILLISECONDS);
        }
    }
}
