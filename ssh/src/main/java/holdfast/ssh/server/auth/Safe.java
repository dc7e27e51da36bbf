package holdfast.ssh.server.auth;

import holdfast.ssh.log.Printable;
import java.nio.charset.StandardCharsets;

/** What a stranger sent, made fit for one line of a log. */
final class Safe {

    /** OpenSSH cuts user names here. */
    private static final int LONGEST = 100;

    private Safe() {}

    /** As OpenSSH's strnvis writes it, byte for byte of UTF-8, and cut at a length. */
    static String text(String raw) {
        byte[] bytes = raw.getBytes(StandardCharsets.UTF_8);
        return Printable.octal(new String(bytes, StandardCharsets.ISO_8859_1), LONGEST);
    }
}
