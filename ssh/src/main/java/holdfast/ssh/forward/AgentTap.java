package holdfast.ssh.forward;

import holdfast.ssh.auth.HostProof;
import holdfast.ssh.stream.SocketTap;
import holdfast.ssh.stream.Tap;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * A connection to the person's agent for a program at the server: bound to that server first, and
 * what the agent answers to that is not passed on.
 *
 * <p>The binding is written before all else and its answer awaited by nobody, so that an agent that
 * hangs holds up those who ask it and nothing else.
 */
final class AgentTap implements Tap {

    /** OpenSSH's bound on an agent's answer. */
    private static final int LONGEST = 256 * 1024;

    private static final int SUCCESS = 6;

    private final Tap agent;
    private final Consumer<Boolean> bound;

    // Of the answer to the binding; only whoever reads looks at them.
    private final ByteBuffer head = ByteBuffer.allocate(Integer.BYTES + 1);
    private int left;
    private boolean passing;

    private AgentTap(Tap agent, Consumer<Boolean> bound) {
        this.agent = agent;
        this.bound = bound;
    }

    /**
     * Connects to the agent that listens at {@code path}; never waits.
     *
     * @param proof of the server; null: it is not known, and nothing is bound
     * @param bound told whether the agent took the binding
     */
    static Tap open(
            String path, @Nullable HostProof proof, byte[] sessionId, Consumer<Boolean> bound)
            throws IOException {
        SocketChannel channel = Forwarding.connect(path);
        try {
            if (proof == null) {
                return SocketTap.of(channel);
            }
            byte[] message = proof.binding(sessionId, true);
            ByteBuffer framed = ByteBuffer.allocate(Integer.BYTES + message.length);
            framed.putInt(message.length).put(message).flip();
            channel.write(framed);
            if (framed.hasRemaining()) {
                throw new IOException("the agent's socket takes nothing");
            }
            return new AgentTap(SocketTap.of(channel), bound);
        } catch (IOException | RuntimeException e) {
            channel.close();
            throw e;
        }
    }

    @Override
    public int read(ByteBuffer into) throws IOException {
        while (!passing) {
            boolean inHead = head.hasRemaining();
            int count = inHead ? agent.read(head) : skip(into);
            if (count <= 0) {
                return count;
            }
            if (inHead && !head.hasRemaining()) {
                begun();
            }
        }
        return agent.read(into);
    }

    /** The head is there: the length, and the one byte that says what came of it. */
    private void begun() throws IOException {
        int length = head.getInt(0);
        if (length < 1 || length > LONGEST) {
            throw new IOException("invalid format");
        }
        left = length - 1;
        bound.accept(head.get(Integer.BYTES) == SUCCESS);
        passing = left == 0;
    }

    private int skip(ByteBuffer scratch) throws IOException {
        int at = scratch.position();
        int limit = scratch.limit();
        scratch.limit(Math.min(limit, at + left));
        int count = agent.read(scratch);
        scratch.position(at).limit(limit);
        left -= Math.max(0, count);
        passing = left == 0;
        return count;
    }

    @Override
    public int write(ByteBuffer from) throws IOException {
        return agent.write(from);
    }

    @Override
    public void wantRead(Ready ready) {
        agent.wantRead(ready);
    }

    @Override
    public void wantWrite(Ready ready) {
        agent.wantWrite(ready);
    }

    @Override
    public void finishOutput() throws IOException {
        agent.finishOutput();
    }

    @Override
    public void close() {
        agent.close();
    }
}
