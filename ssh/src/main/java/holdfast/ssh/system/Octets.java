package holdfast.ssh.system;

import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.CharBuffer;
import java.nio.charset.CharsetDecoder;
import java.nio.charset.StandardCharsets;

/**
 * Words of a command line or an environment as text and back: UTF-8, and bytes that are none as
 * U+DC80 to U+DCFF, which no text has. A file's name may be older than UTF-8, and is to arrive as
 * it is.
 */
public final class Octets {

    /** With a byte of 0x80 to 0xff, which is negative, added: U+DC80 to U+DCFF. */
    private static final int NOT_DECODED = 0xdd00;

    private static final char REPLACEMENT = '\ufffd';

    private Octets() {}

    /** Bytes as text. */
    public static String text(byte[] bytes) {
        CharsetDecoder decoder = StandardCharsets.UTF_8.newDecoder();
        ByteBuffer in = ByteBuffer.wrap(bytes);
        CharBuffer out = CharBuffer.allocate(bytes.length);
        while (decoder.decode(in, out, true).isMalformed()) {
            out.put((char) (NOT_DECODED + in.get()));
            decoder.reset();
        }
        return out.flip().toString();
    }

    /** Text as the bytes that it was. */
    public static byte[] bytes(String text) {
        if (!hasByte(text)) {
            return text.getBytes(StandardCharsets.UTF_8);
        }
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        for (int i = 0; i < text.length(); ) {
            int c = text.codePointAt(i);
            if (isByte(c)) {
                out.write(c);
            } else {
                out.writeBytes(Character.toString(c).getBytes(StandardCharsets.UTF_8));
            }
            i += Character.charCount(c);
        }
        return out.toByteArray();
    }

    /** Whether the VM has decoded it in a way that may have lost something. */
    public static boolean doubtful(String decoded) {
        for (int i = 0; i < decoded.length(); i++) {
            char c = decoded.charAt(i);
            if (c == REPLACEMENT || (c >= 0x80 && c <= 0xff) || isByte(c)) {
                return true;
            }
        }
        return false;
    }

    /** The second half of a pair has the same numbers: then it is only slower. */
    private static boolean hasByte(String text) {
        for (int i = 0; i < text.length(); i++) {
            if (isByte(text.charAt(i))) {
                return true;
            }
        }
        return false;
    }

    private static boolean isByte(int c) {
        return c >= 0xdc80 && c <= 0xdcff;
    }
}
