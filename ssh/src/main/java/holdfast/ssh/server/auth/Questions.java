package holdfast.ssh.server.auth;

import holdfast.ssh.auth.Wire;
import holdfast.ssh.auth.Wire.Malformed;
import holdfast.ssh.config.ServerSettings;
import holdfast.ssh.server.ServerTransport;
import holdfast.ssh.system.Account;
import holdfast.ssh.system.Pam;
import java.io.IOException;
import java.nio.CharBuffer;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.Consumer;
import org.apache.sshd.common.SshConstants;
import org.apache.sshd.common.util.buffer.Buffer;
import org.jspecify.annotations.Nullable;

/**
 * One keyboard-interactive attempt (RFC 4256): what PAM asks goes to the client, and the client's
 * answers to PAM.
 *
 * <p>PAM waits for its answers, so each attempt has a thread of its own while it lasts; as many as
 * MaxStartups lets log in at once.
 */
final class Questions {

    /** What happened; told on the thread of the attempt. */
    sealed interface Step {
        Questions questions();
    }

    /** There is something to ask: {@link #send}. */
    record Asked(Questions questions) implements Step {}

    /** It is over. */
    record Decided(Questions questions, boolean right) implements Step {}

    /** Where LoginGraceTime is off. */
    private static final Duration PATIENCE = Duration.ofMinutes(10);

    /** PAM_MAX_NUM_MSG. */
    private static final int MOST_ANSWERS = 32;

    private final ServerTransport transport;
    private final Consumer<Step> told;
    private volatile List<Pam.Prompt> prompts = List.of();
    private volatile @Nullable CompletableFuture<char @Nullable [] @Nullable []> reply;
    private volatile boolean closed;
    private volatile boolean sent;

    private Questions(ServerTransport transport, Consumer<Step> told) {
        this.transport = transport;
        this.told = told;
    }

    /** Begins, or returns null if too many others are at it. */
    static @Nullable Questions start(
            ServerAuth shared,
            ServerSettings settings,
            @Nullable Account account,
            String user,
            String address,
            ServerTransport transport,
            Runnable barred,
            Consumer<Step> told) {
        Questions questions = new Questions(transport, told);
        try {
            shared.conversations()
                    .execute(() -> {
                        boolean right =
                                shared.authenticated(
                                        settings,
                                        account,
                                        user,
                                        address,
                                        questions.new Talk(settings.loginGraceTime()),
                                        transport.log(),
                                        true,
                                        () -> {},
                                        barred);
                        told.accept(new Decided(questions, right));
                    });
            return questions;
        } catch (RejectedExecutionException busy) {
            transport.log().error("keyboard-interactive: too many at once");
            return null;
        }
    }

    /** What PAM talks to: the person at the client. */
    private final class Talk implements Pam.Conversation {

        private final Duration patience;

        Talk(Duration grace) {
            patience = grace.isZero() ? PATIENCE : grace;
        }

        @Override
        public char @Nullable [] @Nullable [] answer(List<Pam.Prompt> asked) {
            return ask(asked, patience);
        }

        @Override
        public boolean mayChange() {
            return true;
        }
    }

    /** On the thread of the attempt: has the client asked, and waits. */
    private char @Nullable [] @Nullable [] ask(List<Pam.Prompt> asked, Duration patience) {
        CompletableFuture<char @Nullable [] @Nullable []> answer = new CompletableFuture<>();
        prompts = List.copyOf(asked);
        reply = answer;
        if (closed) {
            return null;
        }
        told.accept(new Asked(this));
        try {
            return answer.get(patience.toMillis(), TimeUnit.MILLISECONDS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return null;
        } catch (ExecutionException | TimeoutException e) {
            return null;
        } finally {
            reply = null;
        }
    }

    /** Whether the client has been asked something in this attempt before. */
    boolean again() {
        return sent;
    }

    /** Sends what PAM wants to know. */
    void send() throws IOException {
        sent = true;
        StringBuilder instruction = new StringBuilder();
        List<Pam.Prompt> open = new ArrayList<>();
        for (Pam.Prompt prompt : prompts) {
            switch (prompt.kind()) {
                case SECRET, SHOWN -> open.add(prompt);
                case ERROR, INFO -> instruction.append(prompt.text()).append('\n');
            }
        }
        Buffer buffer = transport.createBuffer(SshConstants.SSH_MSG_USERAUTH_INFO_REQUEST, 256);
        buffer.putString("");
        buffer.putString(instruction.toString());
        buffer.putString("");
        buffer.putInt(open.size());
        for (Pam.Prompt prompt : open) {
            buffer.putString(prompt.text());
            buffer.putBoolean(prompt.kind() == Pam.Prompt.Kind.SHOWN);
        }
        transport.writePacket(buffer);
    }

    /** Takes the client's answers; false if none are wanted. */
    boolean answers(Wire.Reader in) throws Malformed {
        CompletableFuture<char @Nullable [] @Nullable []> waiting = reply;
        in.u8();
        int count = in.u32();
        if (count > MOST_ANSWERS) {
            throw new Malformed("too many answers");
        }
        List<Pam.Prompt> asked = prompts;
        char[][] answers = new char[asked.size()][];
        int given = 0;
        for (int i = 0; i < asked.size(); i++) {
            boolean wanted =
                    asked.get(i).kind() == Pam.Prompt.Kind.SECRET
                            || asked.get(i).kind() == Pam.Prompt.Kind.SHOWN;
            answers[i] = wanted && given++ < count ? chars(in.string()) : new char[0];
        }
        if (waiting == null) {
            return false;
        }
        // As many answers as questions, or the attempt has failed.
        waiting.complete(given == count && in.remaining() == 0 ? answers : null);
        return true;
    }

    private static char[] chars(byte[] utf8) {
        CharBuffer decoded = StandardCharsets.UTF_8.decode(java.nio.ByteBuffer.wrap(utf8));
        char[] chars = new char[decoded.remaining()];
        decoded.get(chars);
        Arrays.fill(utf8, (byte) 0);
        return chars;
    }

    boolean isClosed() {
        return closed;
    }

    /** Ends it: the client has gone, or tries something else. */
    void close() {
        closed = true;
        CompletableFuture<char @Nullable [] @Nullable []> waiting = reply;
        if (waiting != null) {
            waiting.complete(null);
        }
    }
}
