package holdfast.ssh.auth;

import holdfast.ssh.octets.Octets;
import java.io.ByteArrayOutputStream;
import java.math.BigInteger;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/** The data types of RFC 4251, section 5, for key files, the agent and user authentication. */
public final class Wire {

    private Wire() {}

    /** Says that bytes end too early or contradict themselves. */
    public static final class Malformed extends Exception {
        private static final long serialVersionUID = 1;

        public Malformed(String message) {
            super(message);
        }
    }

    /** Reads from the front of a byte array; never beyond its end. */
    public static final class Reader {
        private final byte[] bytes;
        private int at;

        public Reader(byte[] bytes) {
            this.bytes = bytes;
        }

        public int remaining() {
            return bytes.length - at;
        }

        public byte[] raw(int length) throws Malformed {
            if (length < 0 || length > remaining()) {
                throw new Malformed("incomplete message");
            }
            byte[] taken = Arrays.copyOfRange(bytes, at, at + length);
            at += length;
            return taken;
        }

        public int u8() throws Malformed {
            return raw(1)[0] & 0xff;
        }

        /** A uint32; one of 2^31 or more is refused, since nothing here can be that long. */
        public int u32() throws Malformed {
            int value = bits32();
            if (value < 0) {
                throw new Malformed("number too large");
            }
            return value;
        }

        /** A uint32 of which every bit pattern is meaningful. */
        public int bits32() throws Malformed {
            byte[] b = raw(4);
            return (b[0] & 0xff) << 24 | (b[1] & 0xff) << 16 | (b[2] & 0xff) << 8 | (b[3] & 0xff);
        }

        public byte[] string() throws Malformed {
            return raw(u32());
        }

        public String text() throws Malformed {
            return new String(string(), StandardCharsets.UTF_8);
        }

        public BigInteger mpint() throws Malformed {
            byte[] value = string();
            return value.length == 0 ? BigInteger.ZERO : new BigInteger(value);
        }
    }

    /** Appends to a growing byte array. */
    public static final class Writer {
        private final ByteArrayOutputStream out = new ByteArrayOutputStream(256);

        public Writer() {}

        public Writer u8(int value) {
            out.write(value);
            return this;
        }

        public Writer u32(int value) {
            out.write(value >>> 24);
            out.write(value >>> 16);
            out.write(value >>> 8);
            out.write(value);
            return this;
        }

        public Writer raw(byte[] value) {
            out.write(value, 0, value.length);
            return this;
        }

        public Writer string(byte[] value) {
            return u32(value.length).raw(value);
        }

        public Writer text(String value) {
            return string(Octets.bytes(value));
        }

        public Writer mpint(BigInteger value) {
            return string(value.signum() == 0 ? new byte[0] : value.toByteArray());
        }

        public byte[] bytes() {
            return out.toByteArray();
        }
    }
}
