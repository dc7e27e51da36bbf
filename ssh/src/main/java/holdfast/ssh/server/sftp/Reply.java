package holdfast.ssh.server.sftp;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/**
 * Replies on their way out: several are put into one packet of the transport while requests wait.
 * Bounded by {@link #FLUSH_BYTES} and one reply.
 */
final class Reply {

    /** What one packet of OpenSSH's transport takes. */
    static final int FLUSH_BYTES = 32 * 1024;

    private static final int LEAST_BYTES = 4096;

    private static final byte[] NONE = {};

    private final OutputStream out;
    private byte[] bytes = NONE;
    private int length;
    private int start;

    Reply(OutputStream out) {
        this.out = out;
    }

    /** Begins one. */
    Reply begin(int type) {
        start = length;
        need(5);
        length += 4;
        bytes[length++] = (byte) type;
        return this;
    }

    Reply number(int value) {
        need(4);
        set(length, value);
        length += 4;
        return this;
    }

    Reply large(long value) {
        return number((int) (value >>> 32)).number((int) value);
    }

    Reply text(String text) {
        return string(text.getBytes(StandardCharsets.UTF_8));
    }

    Reply string(byte[] text) {
        number(text.length);
        need(text.length);
        System.arraycopy(text, 0, bytes, length, text.length);
        length += text.length;
        return this;
    }

    /** The array with room for {@code count} bytes at {@link #at}. */
    byte[] room(int count) {
        need(count);
        return bytes;
    }

    int at() {
        return length;
    }

    Reply took(int count) {
        length += count;
        return this;
    }

    /** Takes back what was put since {@link #begin}. */
    void drop() {
        length = start;
    }

    /** Where a number stands that is not yet known. */
    int reserve() {
        number(0);
        return length - 4;
    }

    void set(int at, int value) {
        bytes[at] = (byte) (value >>> 24);
        bytes[at + 1] = (byte) (value >>> 16);
        bytes[at + 2] = (byte) (value >>> 8);
        bytes[at + 3] = (byte) value;
    }

    void end() throws IOException {
        set(start, length - start - 4);
        if (length >= FLUSH_BYTES) {
            flush();
        }
    }

    void flush() throws IOException {
        if (length > 0) {
            out.write(bytes, 0, length);
            length = 0;
            start = 0;
        }
    }

    /** Sends what is there and keeps no room for more. */
    void rest() throws IOException {
        try {
            flush();
        } finally {
            bytes = NONE;
        }
    }

    private void need(int more) {
        if (bytes.length - length < more) {
            int roomy = bytes.length == 0 ? LEAST_BYTES : 2 * bytes.length;
            bytes = Arrays.copyOf(bytes, Math.max(length + more, roomy));
        }
    }
}
