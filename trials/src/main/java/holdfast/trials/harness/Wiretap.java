package holdfast.trials.harness;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicBoolean;

/**
 * Somebody on the path: carries every byte, keeps a copy of each, and can spoil and cut what he
 * carries.
 */
public final class Wiretap implements AutoCloseable {

    /** One connection: what went each way so far. */
    public static final class Tapped {
        private final Socket near;
        private final Socket far;
        private final ByteArrayOutputStream up = new ByteArrayOutputStream();
        private final ByteArrayOutputStream down = new ByteArrayOutputStream();
        private final AtomicBoolean spoilUp = new AtomicBoolean();
        private final AtomicBoolean spoilDown = new AtomicBoolean();

        private Tapped(Socket near, Socket far) {
            this.near = near;
            this.far = far;
        }

        /** From the client to the server. */
        public byte[] up() {
            return up.toByteArray();
        }

        /** From the server to the client. */
        public byte[] down() {
            return down.toByteArray();
        }

        /** Changes the last byte of what the client says next: of a packet by itself, its tag's. */
        public void spoilUp() {
            spoilUp.set(true);
        }

        /** The same of what the server says next. */
        public void spoilDown() {
            spoilDown.set(true);
        }

        /** Resets both sides. */
        public void cut() throws IOException {
            for (Socket one : List.of(near, far)) {
                if (!one.isClosed()) {
                    one.setSoLinger(true, 0);
                    one.close();
                }
            }
        }

        private void carry(
                Socket from, Socket to, ByteArrayOutputStream copy, AtomicBoolean spoil) {
            byte[] bytes = new byte[16 * 1024];
            try (InputStream in = from.getInputStream();
                    OutputStream out = to.getOutputStream()) {
                int count;
                while ((count = in.read(bytes)) >= 0) {
                    copy.write(bytes, 0, count);
                    if (spoil.getAndSet(false)) {
                        bytes[count - 1] ^= 1;
                    }
                    out.write(bytes, 0, count);
                }
            } catch (IOException e) {
                // cut, by us or by one of them
            }
        }
    }

    private final ServerSocket listener;
    private final InetSocketAddress target;
    private final List<Tapped> tapped = new CopyOnWriteArrayList<>();

    /** On a free port of loopback, before {@code server}. */
    public Wiretap(Sshd server) throws IOException {
        target = new InetSocketAddress(server.address(), server.port());
        listener = new ServerSocket(0, 50, InetAddress.getLoopbackAddress());
        Thread.ofVirtual().start(this::accept);
    }

    private void accept() {
        while (!listener.isClosed()) {
            try {
                Socket near = listener.accept();
                Socket far = new Socket(target.getAddress(), target.getPort());
                near.setTcpNoDelay(true);
                far.setTcpNoDelay(true);
                Tapped one = new Tapped(near, far);
                tapped.add(one);
                Thread.ofVirtual().start(() -> one.carry(near, far, one.up, one.spoilUp));
                Thread.ofVirtual().start(() -> one.carry(far, near, one.down, one.spoilDown));
            } catch (IOException e) {
                // closed, or the server is not there: whoever came finds out
            }
        }
    }

    public int port() {
        return listener.getLocalPort();
    }

    /** The connections so far, oldest first. */
    public List<Tapped> connections() {
        return tapped;
    }

    @Override
    public void close() throws IOException {
        listener.close();
        for (Tapped one : tapped) {
            one.cut();
        }
    }
}
