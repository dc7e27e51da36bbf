package holdfast.app;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.CharBuffer;
import java.nio.charset.CharsetDecoder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * The arguments as they were typed. In a locale that is not UTF-8 the VM replaces what it cannot
 * decode, and a remote command with an umlaut would arrive broken under {@code LANG=C}.
 */
final class Arguments {

    private static final char REPLACEMENT = '\ufffd';

    /** With a byte of 0x80 to 0xff, which is negative, added: U+DC80 to U+DCFF. */
    private static final int NOT_DECODED = 0xdd00;

    private Arguments() {}

    /** {@code decoded}, or the same arguments read again as UTF-8 where decoding lost something. */
    static String[] exact(String[] decoded) {
        boolean lost = false;
        for (String argument : decoded) {
            for (int i = 0; i < argument.length() && !lost; i++) {
                char c = argument.charAt(i);
                lost = c == REPLACEMENT || (c >= 0x80 && c <= 0xff) || (c >= 0xdc80 && c <= 0xdcff);
            }
        }
        return lost ? reread(decoded) : decoded;
    }

    private static String[] reread(String[] decoded) {
        byte[] raw;
        try {
            raw = Files.readAllBytes(Path.of("/proc/self/cmdline"));
        } catch (IOException e) {
            return decoded; // no such file here: the VM's decoding is the best there is
        }
        String[] all = text(raw).split("\0", -1);
        int count = all.length - 1; // the last one is ended by a NUL too
        if (count < decoded.length) {
            return decoded;
        }
        String[] exact = new String[decoded.length];
        System.arraycopy(all, count - decoded.length, exact, 0, decoded.length);
        return exact;
    }

    /**
     * Bytes as UTF-8, and those that are none as U+DC80 to U+DCFF, which no text has: a file's name
     * may be older than UTF-8, and is to arrive as it is.
     */
    static String text(byte[] bytes) {
        CharsetDecoder decoder = StandardCharsets.UTF_8.newDecoder();
        ByteBuffer in = ByteBuffer.wrap(bytes);
        CharBuffer out = CharBuffer.allocate(bytes.length);
        while (decoder.decode(in, out, true).isMalformed()) {
            out.put((char) (NOT_DECODED + in.get()));
            decoder.reset();
        }
        return out.flip().toString();
    }
}
