package holdfast.trials.harness;

import java.io.ByteArrayOutputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;

/** A server on loopback with bad manners. Each connection has a virtual thread. */
public final class Hostile implements AutoCloseable {

    /** What it does with a connection; the socket is closed when this returns. */
    @FunctionalInterface
    public interface Manners {
        void meet(Socket socket) throws IOException, InterruptedException;
    }

    private final ServerSocket listener;
    private final Set<Socket> open = ConcurrentHashMap.newKeySet();

    private Hostile(ServerSocket listener) {
        this.listener = listener;
    }

    public static Hostile serving(Manners manners) {
        try {
            Hostile hostile =
                    new Hostile(new ServerSocket(0, 50, InetAddress.getLoopbackAddress()));
            Thread.ofVirtual().start(() -> hostile.accept(manners));
            return hostile;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    public int port() {
        return listener.getLocalPort();
    }

    /** For as long as the peer stays. */
    public static void silence(Socket socket) throws IOException {
        InputStream in = socket.getInputStream();
        while (in.read() >= 0) {
            // Read, so that what comes is no reason for the peer's kernel to complain.
        }
    }

    public static void say(Socket socket, String text) throws IOException {
        socket.getOutputStream().write(text.getBytes(StandardCharsets.UTF_8));
        socket.getOutputStream().flush();
    }

    public static void say(Socket socket, byte[] bytes) throws IOException {
        socket.getOutputStream().write(bytes);
        socket.getOutputStream().flush();
    }

    /** Reads the peer's identification line. */
    public static String hear(Socket socket) throws IOException {
        StringBuilder line = new StringBuilder();
        InputStream in = socket.getInputStream();
        for (int octet = in.read(); octet >= 0 && octet != '\n'; octet = in.read()) {
            line.append((char) octet);
        }
        return line.toString().strip();
    }

    /** An SSH packet in clear, RFC 4253 section 6. */
    public static byte[] packet(byte[] payload) throws IOException {
        int padding = 8 - (payload.length + 5) % 8;
        padding = padding < 4 ? padding + 8 : padding;
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        DataOutputStream out = new DataOutputStream(bytes);
        out.writeInt(payload.length + padding + 1);
        out.writeByte(padding);
        out.write(payload);
        out.write(new byte[padding]);
        return bytes.toByteArray();
    }

    /** SSH_MSG_DISCONNECT, RFC 4253 section 11.1. */
    public static byte[] disconnect(int reason, String text) throws IOException {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        DataOutputStream out = new DataOutputStream(bytes);
        out.writeByte(1);
        out.writeInt(reason);
        string(out, text);
        string(out, "");
        return packet(bytes.toByteArray());
    }

    /** A SSH_MSG_KEXINIT that any present client can agree with, RFC 4253 section 7.1. */
    public static byte[] kexInit() throws IOException {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        DataOutputStream out = new DataOutputStream(bytes);
        out.writeByte(20);
        out.write(new byte[16]);
        String ciphers = "aes256-gcm@openssh.com,aes128-ctr";
        String macs = "hmac-sha2-256-etm@openssh.com,hmac-sha2-256";
        for (String list :
                List.of(
                        "curve25519-sha256,ecdh-sha2-nistp256",
                        "ssh-ed25519",
                        ciphers,
                        ciphers,
                        macs,
                        macs,
                        "none",
                        "none",
                        "",
                        "")) {
            string(out, list);
        }
        out.writeByte(0);
        out.writeInt(0);
        return packet(bytes.toByteArray());
    }

    @Override
    public void close() {
        try {
            listener.close();
            for (Socket socket : open) {
                socket.close();
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private void accept(Manners manners) {
        while (!listener.isClosed()) {
            try {
                Socket socket = listener.accept();
                open.add(socket);
                Thread.ofVirtual().start(() -> meet(socket, manners));
            } catch (IOException closed) {
                return;
            }
        }
    }

    private void meet(Socket socket, Manners manners) {
        try (socket) {
            manners.meet(socket);
        } catch (IOException gone) {
            // The client left, which is what these trials are about.
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        } finally {
            open.remove(socket);
        }
    }

    private static void string(DataOutputStream out, String text) throws IOException {
        byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
        out.writeInt(bytes.length);
        out.write(bytes);
    }
}
