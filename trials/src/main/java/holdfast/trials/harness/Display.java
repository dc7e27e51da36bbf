package holdfast.trials.harness;

import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.HexFormat;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;

/** An X11 server of few words: it keeps what its visitors say first, and answers. */
public final class Display implements AutoCloseable {

    /** What opens it, in hexadecimal. */
    public static final String COOKIE = "0123456789abcdeffedcba9876543210";

    private final ServerSocket socket;
    private final BlockingQueue<byte[]> visitors = new LinkedBlockingQueue<>();

    public Display() throws IOException {
        socket = new ServerSocket(0, 10, InetAddress.getLoopbackAddress());
        Thread.ofPlatform().daemon().name("display").start(this::serve);
    }

    /** As in DISPLAY. */
    public String name() {
        return "127.0.0.1:" + (socket.getLocalPort() - 6000) + ".0";
    }

    /** What the next visitor came with, in hexadecimal. */
    public String cookieOfNext() throws InterruptedException {
        byte[] begun = visitors.poll(30, TimeUnit.SECONDS);
        if (begun == null) {
            throw new AssertionError("nobody came to the display");
        }
        return HexFormat.of().formatHex(begun, 32, 48);
    }

    /** Whether {@link #cookieOfNext} has told of everybody who came so far. */
    public boolean nobodyElseCame() {
        return visitors.isEmpty();
    }

    /** An xauth that knows this cookie and nothing else: nobody's real ~/.Xauthority is asked. */
    public static Path xauth(Path file) throws IOException {
        return Script.at(file, "[ \"$1\" = list ] && echo \"x MIT-MAGIC-COOKIE-1 " + COOKIE + "\"");
    }

    private void serve() {
        try {
            while (true) {
                try (Socket visitor = socket.accept()) {
                    byte[] begun = visitor.getInputStream().readNBytes(48);
                    if (begun.length > 0) {
                        visitors.add(begun);
                        visitor.getOutputStream()
                                .write("welcome".getBytes(StandardCharsets.US_ASCII));
                    }
                }
            }
        } catch (IOException e) {
            // the display is taken down
        }
    }

    @Override
    public void close() throws IOException {
        socket.close();
    }
}
