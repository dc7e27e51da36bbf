package holdfast.ssh.auth;

import java.nio.charset.StandardCharsets;

/** Text from the server, made harmless for a terminal as OpenSSH's utf8.c does it. */
final class Visible {

    private Visible() {}

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
                    out.append('\\')
                            .append((char) ('0' + (b >> 6 & 3)))
                            .append((char) ('0' + (b >> 3 & 7)))
                            .append((char) ('0' + (b & 7)));
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
