package holdfast.lab.proxy;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.Socket;
import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.Semaphore;
import java.util.function.Consumer;

/**
 * One real socket of the proxy with a thread that reads it and one that writes it.
 *
 * <p>The reader takes room before it reads, and the room is given back when the bytes have been
 * written on the other leg: so much and no more of each direction is ever in memory, and a slow
 * reader at one end slows the writer at the other.
 */
final class Leg {

    private static final int READ_BYTES = 16 * 1024;
    private static final byte[] END = new byte[0];

    /** What a leg tells its proxy. */
    sealed interface News {

        record Read(ByteBuffer bytes) implements News {}

        /** The program at this end says nothing more. */
        record Ended() implements News {}

        /** All that was to be written is written, the end of the stream included. */
        record Flushed() implements News {}

        /** The program at this end has dropped the connection. */
        record Broken() implements News {}
    }

    private final Socket socket;
    private final Consumer<News> news;
    private final Semaphore roomToRead;
    private final Semaphore roomOfOther;
    // Unbounded as a type; its bytes are bounded by the other leg's room.
    private final LinkedBlockingQueue<byte[]> toWrite = new LinkedBlockingQueue<>();
    private final Thread reader;
    private final Thread writer;

    /**
     * @param roomToRead bytes that may still be read here
     * @param roomOfOther where room is given back for what has been written here
     */
    Leg(
            String name,
            Socket socket,
            Semaphore roomToRead,
            Semaphore roomOfOther,
            Consumer<News> news) {
        this.socket = socket;
        this.news = news;
        this.roomToRead = roomToRead;
        this.roomOfOther = roomOfOther;
        reader = Thread.ofVirtual().name(name + " reader").unstarted(this::read);
        writer = Thread.ofVirtual().name(name + " writer").unstarted(this::write);
    }

    void start() {
        reader.start();
        writer.start();
    }

    void send(byte[] bytes) {
        toWrite.add(bytes);
    }

    void sendEnd() {
        toWrite.add(END);
    }

    /** Ends the connection with a RST, whatever is still unwritten. */
    void reset() {
        try {
            socket.setSoLinger(true, 0);
        } catch (IOException ignored) {
            // Already closed by the other side: nothing to abort.
        }
        close();
    }

    /** Ends the connection and both threads. */
    void close() {
        try {
            socket.close();
        } catch (IOException ignored) {
            // A socket that cannot be closed is closed.
        }
        reader.interrupt();
        writer.interrupt();
    }

    void join() throws InterruptedException {
        reader.join();
        writer.join();
    }

    private void read() {
        byte[] buffer = new byte[READ_BYTES];
        try {
            InputStream in = socket.getInputStream();
            while (true) {
                roomToRead.acquire(READ_BYTES);
                int count = in.read(buffer);
                roomToRead.release(READ_BYTES - Math.max(count, 0));
                if (count < 0) {
                    news.accept(new News.Ended());
                    return;
                }
                news.accept(new News.Read(ByteBuffer.wrap(Arrays.copyOf(buffer, count))));
            }
        } catch (IOException broken) {
            news.accept(new News.Broken());
        } catch (InterruptedException stopped) {
            // The proxy closes this leg and needs no news of it.
        }
    }

    private void write() {
        try {
            OutputStream out = socket.getOutputStream();
            while (true) {
                byte[] bytes = toWrite.take();
                if (bytes.length == 0) {
                    socket.shutdownOutput();
                    news.accept(new News.Flushed());
                    return;
                }
                out.write(bytes);
                roomOfOther.release(bytes.length);
            }
        } catch (IOException broken) {
            news.accept(new News.Broken());
        } catch (InterruptedException stopped) {
            // The proxy closes this leg and needs no news of it.
        }
    }
}
