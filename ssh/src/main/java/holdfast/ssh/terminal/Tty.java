package holdfast.ssh.terminal;

import holdfast.ssh.octets.Octets;
import java.io.ByteArrayOutputStream;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/**
 * /dev/tty, opened: the terminal that controls this process.
 *
 * <p>By foreign functions, since its modes are set by its descriptor and Java does not tell one.
 * One thread at a time reads; any may write.
 */
final class Tty implements AutoCloseable {

    final int fd;

    private Tty(int fd) {
        this.fd = fd;
    }

    static @Nullable Tty open() {
        if (!Terminal.known() || !Files.exists(Path.of("/dev/tty"))) {
            return null;
        }
        try (Arena arena = Arena.ofConfined()) {
            int fd = Libc.open(arena.allocateFrom("/dev/tty"));
            return fd < 0 ? null : new Tty(fd);
        }
    }

    void print(String text) {
        byte[] bytes = Octets.bytes(text);
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment c = arena.allocate(Math.max(1, bytes.length));
            MemorySegment.copy(bytes, 0, c, ValueLayout.JAVA_BYTE, 0, bytes.length);
            long at = 0;
            while (at < bytes.length) {
                int written = Libc.write(fd, c.asSlice(at, bytes.length - at));
                if (written <= 0) {
                    return;
                }
                at += written;
            }
        }
    }

    /** One line without its end, null at the end of input. */
    @Nullable String line() {
        Line line = new Line();
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment c = arena.allocate(1);
            while (true) {
                // One byte at a time: what follows the line belongs to whoever reads next.
                if (Libc.read(fd, c) != 1) {
                    return line.size() == 0 ? null : line.text();
                }
                byte b = c.get(ValueLayout.JAVA_BYTE, 0);
                if (b == '\n' || b == '\r') {
                    return line.text();
                }
                line.write(b);
                c.fill((byte) 0);
            }
        } finally {
            line.wipe();
        }
    }

    @Override
    public void close() {
        Libc.close(fd);
    }

    /** The bytes of an answer, wiped after use. */
    private static final class Line extends ByteArrayOutputStream {

        /** As much as any answer needs, so that no half-full buffer is left behind by growing. */
        Line() {
            super(4096);
        }

        String text() {
            return Octets.text(buf, 0, count);
        }

        void wipe() {
            java.util.Arrays.fill(buf, (byte) 0);
        }
    }
}
