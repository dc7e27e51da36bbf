package holdfast.ssh.client;

import holdfast.ssh.log.Log;
import holdfast.ssh.terminal.Escapes;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.ReadableByteChannel;
import org.jspecify.annotations.Nullable;

/**
 * What a person or a program has to say to a session: read from wherever it comes, the escapes
 * taken out, and sent. It has a thread to itself.
 */
final class SessionInput implements Runnable {

    /** Does what an escape says; on the input's thread. */
    interface Obeying {
        /** Whether anything more is to be read. */
        boolean obey(Escapes.Command command) throws IOException, InterruptedException;
    }

    private final @Nullable ReadableByteChannel in;
    private final ByteBuffer bytes;
    private final SessionChannel channel;
    private final @Nullable Escapes escapes;
    private final Obeying obeying;
    private final Runnable spoke;
    private final Keystrokes keys;
    private final Log log;

    /**
     * @param in null: there is nothing to be said
     * @param bytes for what is read
     * @param escapes null: nothing is one
     * @param spoke told before what was typed is sent
     * @param keys takes what was typed, to send it
     */
    SessionInput(
            @Nullable ReadableByteChannel in,
            ByteBuffer bytes,
            SessionChannel channel,
            @Nullable Escapes escapes,
            Obeying obeying,
            Runnable spoke,
            Keystrokes keys,
            Log log) {
        this.in = in;
        this.bytes = bytes;
        this.channel = channel;
        this.escapes = escapes;
        this.obeying = obeying;
        this.spoke = spoke;
        this.keys = keys;
        this.log = log;
    }

    @Override
    public void run() {
        try {
            ReadableByteChannel from = in;
            while (from != null && Patient.read(from, bytes.clear()) >= 0) {
                bytes.flip();
                if (escapes == null) {
                    channel.send(bytes);
                    continue;
                }
                byte[] typed = new byte[bytes.remaining()];
                bytes.get(typed);
                for (Escapes.Piece piece : escapes.typed(typed, 0, typed.length)) {
                    switch (piece) {
                        case Escapes.Typed plain -> {
                            spoke.run();
                            keys.typed(plain.bytes());
                        }
                        case Escapes.Command command -> {
                            keys.flush();
                            if (!obeying.obey(command)) {
                                return;
                            }
                        }
                    }
                }
            }
            keys.flush();
            channel.sendEnd();
        } catch (IOException e) {
            log.debug2(
                    "input ends: " + e.getMessage()); // the channel is over, or nothing can be read
            channel.sendEnd();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }
}
