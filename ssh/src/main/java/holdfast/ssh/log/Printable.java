package holdfast.ssh.log;

import holdfast.ssh.octets.Octets;
import java.nio.charset.StandardCharsets;

/** What a stranger sent, made fit for one line of a log. */
public final class Printable {

    /** Whether the person's terminal shows UTF-8, as the locale has it. */
    public static final boolean UTF_8 =
            StandardCharsets.UTF_8
                    .name()
                    .equalsIgnoreCase(System.getProperty("native.encoding", "UTF-8"));

    private Printable() {}

    /** The first {@code longest} characters, each control character among them a question mark. */
    public static String of(String text, int longest) {
        int end = Math.min(text.length(), longest);
        StringBuilder safe = new StringBuilder(end);
        for (int i = 0; i < end; i++) {
            char c = text.charAt(i);
            safe.append(c < ' ' || (c >= 0x7f && c < 0xa0) ? '?' : c);
        }
        return safe.toString();
    }

    /**
     * The first {@code longest} characters as OpenSSH's log has them (strnvis with VIS_OCTAL): what
     * is no printable character of ASCII as a backslash with three octal digits of each byte, which
     * in {@code text} are characters below 256; a backslash twice.
     */
    public static String octal(String text, int longest) {
        int end = Math.min(text.length(), longest);
        StringBuilder safe = new StringBuilder(end);
        for (int i = 0; i < end; i++) {
            char c = text.charAt(i);
            if (c == '\\') {
                safe.append("\\\\");
            } else if (c == '\t' || (c >= ' ' && c < 0x7f)) {
                safe.append(c);
            } else {
                safe.append('\\').append("%03o".formatted(c & 0xff));
            }
        }
        return safe.toString();
    }

    /**
     * A line for a terminal: what commands one, and bytes that are no text, as a backslash with
     * three octal digits of each byte (strnvis with VIS_SAFE and VIS_OCTAL).
     *
     * @param utf8 whether letters beyond ASCII are shown; OpenSSH shows none
     */
    static String line(String text, boolean utf8) {
        int at = 0;
        while (at < text.length() && isShown(text.charAt(at), utf8)) {
            at++;
        }
        if (at == text.length()) {
            return text;
        }
        StringBuilder safe = new StringBuilder(text.length() + 16);
        for (int c, i = 0; i < text.length(); i += Character.charCount(c)) {
            c = text.codePointAt(i);
            if (isShown(c, utf8)) {
                safe.appendCodePoint(c);
                continue;
            }
            for (byte b : Octets.bytes(Character.toString(c))) {
                safe.append('\\')
                        .append((char) ('0' + (b >> 6 & 3)))
                        .append((char) ('0' + (b >> 3 & 7)))
                        .append((char) ('0' + (b & 7)));
            }
        }
        return safe.toString();
    }

    private static boolean isShown(int c, boolean utf8) {
        return c < 0x7f
                ? c >= ' ' || (c >= 0x07 && c <= 0x0a) || c == '\r'
                : utf8 && c >= 0xa0 && (c < 0xd800 || c > 0xdfff);
    }
}
