package holdfast.ssh.log;

/** What a stranger sent, made fit for one line of a log. */
public final class Printable {

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
}
