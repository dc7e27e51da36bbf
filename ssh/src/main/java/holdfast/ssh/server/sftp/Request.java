package holdfast.ssh.server.sftp;

import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/** One request, taken from the stream and read field by field. */
final class Request {

    /** SFTP_MAX_MSG_LENGTH of OpenSSH. */
    static final int MAX_BYTES = 256 * 1024;

    private static final byte[] NONE = {};
    private static final int LEAST_BYTES = 4096;

    private final byte[] head = new byte[4];
    private byte[] bytes = NONE;
    private int length;
    private int at;

    /** A request that is not what the protocol says; the session ends. */
    static final class Malformed extends IOException {
        private static final long serialVersionUID = 1L;

        /** What OpenSSH's server exits with. */
        private final int status;

        Malformed(String what) {
            this(what, 255);
        }

        Malformed(String what, int status) {
            super(what);
            this.status = status;
        }

        int status() {
            return status;
        }
    }

    /**
     * Reads the next.
     *
     * @return false at the end
     */
    boolean next(InputStream in) throws IOException {
        if (in.readNBytes(head, 0, 4) < 4) {
            return false;
        }
        int announced = number(head, 0);
        if (announced < 1 || announced > MAX_BYTES) {
            throw new Malformed("bad message length " + Integer.toUnsignedString(announced), 11);
        }
        if (bytes.length < announced) {
            int roomy = Math.max(LEAST_BYTES, 2 * bytes.length);
            bytes = new byte[Math.min(MAX_BYTES, Math.max(announced, roomy))];
        }
        length = in.readNBytes(bytes, 0, announced);
        if (length < announced) {
            throw new EOFException();
        }
        at = 0;
        return true;
    }

    /** Lets go of what was read. */
    void rest() {
        bytes = NONE;
        length = 0;
        at = 0;
    }

    int type() throws Malformed {
        need(1);
        return Byte.toUnsignedInt(bytes[at++]);
    }

    int number() throws Malformed {
        need(4);
        at += 4;
        return number(bytes, at - 4);
    }

    long large() throws Malformed {
        return (long) number() << 32 | Integer.toUnsignedLong(number());
    }

    byte[] string() throws Malformed {
        int count = span();
        return Arrays.copyOfRange(bytes, at - count, at);
    }

    /** Passes over a string; it ends at {@link #at}. */
    int span() throws Malformed {
        int count = number();
        if (count < 0) {
            throw new Malformed("string too long");
        }
        need(count);
        at += count;
        return count;
    }

    /** A name, which has no zero in it. */
    byte[] name() throws Malformed {
        byte[] name = string();
        for (byte b : name) {
            if (b == 0) {
                throw new Malformed("name with a NUL");
            }
        }
        return name;
    }

    String text() throws Malformed {
        return new String(string(), StandardCharsets.UTF_8);
    }

    byte[] bytes() {
        return bytes;
    }

    int at() {
        return at;
    }

    int left() {
        return length - at;
    }

    /** ATTRS of the protocol; of what was not given the number says nothing. */
    record Attributes(
            @Nullable Long size,
            boolean owned,
            int uid,
            int gid,
            int permissions,
            int flags,
            long accessed,
            long modified) {

        boolean moded() {
            return (flags & 4) != 0;
        }

        boolean timed() {
            return (flags & 8) != 0;
        }
    }

    Attributes attributes() throws Malformed {
        int flags = number();
        Long size = (flags & 1) != 0 ? large() : null;
        int uid = -1;
        int gid = -1;
        boolean owned = (flags & 2) != 0;
        if (owned) {
            uid = number();
            gid = number();
        }
        int permissions = (flags & 4) != 0 ? number() : -1;
        long accessed = 0;
        long modified = 0;
        if ((flags & 8) != 0) {
            accessed = Integer.toUnsignedLong(number());
            modified = Integer.toUnsignedLong(number());
        }
        if ((flags & 0x8000_0000) != 0) {
            int count = number();
            for (int i = 0; i < count && left() > 0; i++) {
                span();
                span();
            }
        }
        return new Attributes(size, owned, uid, gid, permissions, flags, accessed, modified);
    }

    private void need(int count) throws Malformed {
        if (length - at < count) {
            throw new Malformed("message incomplete");
        }
    }

    private static int number(byte[] from, int at) {
        return Byte.toUnsignedInt(from[at]) << 24
                | Byte.toUnsignedInt(from[at + 1]) << 16
                | Byte.toUnsignedInt(from[at + 2]) << 8
                | Byte.toUnsignedInt(from[at + 3]);
    }
}
