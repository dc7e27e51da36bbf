package holdfast.ssh.auth;

import holdfast.ssh.log.Printable;
import java.nio.ByteBuffer;
import java.nio.CharBuffer;
import java.nio.charset.CharsetDecoder;
import java.nio.charset.CoderResult;
import java.nio.charset.StandardCharsets;

/** Text from the server, made harmless for a terminal as OpenSSH's utf8.c does it. */
final class Visible {

    private Visible() {}

    /** {@link #of(String)} of text that need not be any: bytes that are no UTF-8 are shown too. */
    static String of(byte[] text, int length) {
        // Else what is not ASCII is made harmless too, as OpenSSH does.
        return of(text, length, Printable.UTF_8);
    }

    static String of(byte[] text, int length, boolean utf8) {
        CharsetDecoder decoder = StandardCharsets.UTF_8.newDecoder();
        ByteBuffer in = ByteBuffer.wrap(text, 0, length);
        CharBuffer part = CharBuffer.allocate(length);
        StringBuilder out = new StringBuilder(length + 16);
        while (in.hasRemaining()) {
            CoderResult result = decoder.reset().decode(in, part.clear(), true);
            out.append(utf8 ? of(part.flip().toString()) : ascii(part.flip().toString()));
            for (int i = 0; result.isMalformed() && i < result.length(); i++) {
                octal(out, in.get());
            }
        }
        return out.toString();
    }

    private static String ascii(String text) {
        StringBuilder out = new StringBuilder(text.length() + 16);
        for (byte b : text.getBytes(StandardCharsets.UTF_8)) {
            if (b >= 0 && harmless(b)) {
                out.append((char) b);
            } else {
                octal(out, b);
            }
        }
        return out.toString();
    }

    private static void octal(StringBuilder out, byte b) {
        out.append('\\')
                .append((char) ('0' + (b >> 6 & 3)))
                .append((char) ('0' + (b >> 3 & 7)))
                .append((char) ('0' + (b & 7)));
    }

    /**
     * Leaves printable characters, tabs and line ends; whatever else could command a terminal or
     * reorder a line (control and format characters) becomes {@code \ooo}, byte by byte.
     */
    static String of(String text) {
        int length = text.length();
        for (int i = 0; i < length; i++) {
            char c = text.charAt(i);
            if (c < ' ' || c > '~') {
                return escaped(text);
            }
        }
        return text;
    }

    private static String escaped(String text) {
        StringBuilder out = new StringBuilder(text.length() + 16);
        int at = 0;
        while (at < text.length()) {
            int c = text.codePointAt(at);
            int next = at + Character.charCount(c);
            if (harmless(c)) {
                out.appendCodePoint(c);
            } else {
                for (byte b : text.substring(at, next).getBytes(StandardCharsets.UTF_8)) {
                    octal(out, b);
                }
            }
            at = next;
        }
        return out.toString();
    }

    private static boolean harmless(int c) {
        if (c == '\n' || c == '\r' || c == '\t') {
            return true;
        }
        return switch (Character.getType(c)) {
            case Character.CONTROL,
                    Character.FORMAT,
                    Character.SURROGATE,
                    Character.PRIVATE_USE,
                    Character.UNASSIGNED,
                    Character.LINE_SEPARATOR,
                    Character.PARAGRAPH_SEPARATOR ->
                    false;
            default -> true;
        };
    }
}
