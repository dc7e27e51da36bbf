package holdfast.ssh.stream;

import java.io.IOException;
import java.nio.ByteBuffer;

/**
 * One non-blocking end of bytes: a child's pipe, a terminal's master side, a socket.
 *
 * <p>Interest is one-shot: each {@link #wantRead} brings one {@link Ready#ready}, at once if there
 * is something (or the end, or an error) already, and then none until it is asked for again. To ask
 * again while it is asked for already only replaces who is told.
 *
 * <p>Every method may be called from any thread, and none of them waits. The callbacks of all
 * descriptors come on one thread of the process, those of all sockets on another: they must not
 * block. What a callback throws closes its own tap and is told to {@link Ready#failed}; nobody else
 * is troubled by it. Closing forgets what was asked for: nobody is told of that.
 */
public interface Tap extends AutoCloseable {

    /** Told that a tap is ready, on the thread that watches it. */
    interface Ready {

        /** A read or write will do something now: move bytes, or tell the end or an error. */
        void ready() throws IOException;

        /** {@link #ready} threw: the tap has been closed. */
        default void failed(Throwable why) {}
    }

    void wantRead(Ready ready);

    void wantWrite(Ready ready);

    /**
     * Reads what there is now.
     *
     * @return how many bytes came, 0 if there are none now, -1 at the end (a terminal whose last
     *     user is gone, a peer that reset the connection after all it sent was read)
     */
    int read(ByteBuffer into) throws IOException;

    /**
     * Writes as much as is taken now.
     *
     * @return how many bytes were taken, 0 if none now
     */
    int write(ByteBuffer from) throws IOException;

    /**
     * Says that nothing more will be written: the other side reads the end. A terminal has no such
     * thing, and nothing happens to it.
     */
    void finishOutput() throws IOException;

    /** Gives it back; callbacks end, though one may be under way. Never throws, may be repeated. */
    @Override
    void close();
}
