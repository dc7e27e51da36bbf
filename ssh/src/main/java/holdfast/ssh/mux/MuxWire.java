package holdfast.ssh.mux;

import holdfast.ssh.system.LocalSocket;
import holdfast.ssh.system.PassedFile;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.time.Duration;
import org.jspecify.annotations.Nullable;

/** One end of a control connection: whole messages, and the open files that follow some of them. */
final class MuxWire implements AutoCloseable {

    /** OpenSSH's own bound (CHANNEL_MUX_MAX_PACKET). */
    static final int MOST_BYTES = 256 * 1024;

    private final LocalSocket socket;

    MuxWire(LocalSocket socket) {
        this.socket = socket;
    }

    static byte[] framed(MuxMessage message) {
        byte[] packet = message.bytes();
        return ByteBuffer.allocate(Integer.BYTES + packet.length)
                .putInt(packet.length)
                .put(packet)
                .array();
    }

    /** How long a read waits at most; zero: for ever. */
    void patience(Duration limit) {
        socket.patience(limit);
    }

    /**
     * Waits for a message; null at the end.
     *
     * @throws MalformedMessage for one that is none, or too long
     */
    @Nullable MuxMessage read() throws IOException {
        byte[] head = new byte[Integer.BYTES];
        if (!socket.read(head)) {
            return null;
        }
        int length = ByteBuffer.wrap(head).getInt();
        if (length < 0 || length > MOST_BYTES) {
            throw new MalformedMessage(
                    "packet too big " + Integer.toUnsignedLong(length) + " > " + MOST_BYTES);
        }
        byte[] packet = new byte[length];
        return socket.read(packet) ? MuxMessage.read(packet) : null;
    }

    /** Waits while the other side does not read. */
    void write(MuxMessage message) throws IOException {
        socket.write(framed(message));
    }

    /** Never waits; false: the other side does not read, and can no longer be told anything. */
    boolean offer(MuxMessage message) throws IOException {
        return socket.offer(framed(message));
    }

    LocalSocket socket() {
        return socket;
    }

    @Nullable PassedFile receive(PassedFile.Use use) throws IOException {
        return socket.receive(use);
    }

    @Override
    public void close() {
        socket.close();
    }
}
