package holdfast.ssh.server.auth;

/** What a stranger sent, made fit for one line of a log. */
final class Safe {

    /** OpenSSH cuts user names here. */
    private static final int LONGEST = 100;

    private Safe() {}

    /** Control characters and backslashes as OpenSSH's strnvis writes them, and a length limit. */
    static String text(String raw) {
        StringBuilder out = new StringBuilder(Math.min(raw.length(), LONGEST) + 8);
        int end = Math.min(raw.length(), LONGEST);
        for (int i = 0; i < end; i++) {
            char c = raw.charAt(i);
            if (c == '\\') {
                out.append("\\\\");
            } else if (c < ' ' || (c >= 0x7f && c < 0xa0) || c == 0x2028 || c == 0x2029) {
                out.append('\\');
                String octal = Integer.toOctalString(c);
                out.append("0".repeat(Math.max(0, 3 - octal.length()))).append(octal);
            } else {
                out.append(c);
            }
        }
        return out.toString();
    }
}
