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
}
