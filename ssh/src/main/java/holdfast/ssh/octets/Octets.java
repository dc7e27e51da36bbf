package holdfast.ssh.octets;

import java.io.ByteArrayOutputStream;
import java.net.URI;
import java.nio.ByteBuffer;
import java.nio.CharBuffer;
import java.nio.charset.CharsetDecoder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.HexFormat;
import java.util.List;

/**
 * What a person gives - words of a command line, an environment, a configuration, names of files,
 * what is typed - as text and back: UTF-8, and bytes that are none as U+DC80 to U+DCFF, which no
 * text has. A file's name may be older than UTF-8, and is to arrive as it is, whatever the locale.
 */
public final class Octets {

    /** With a byte of 0x80 to 0xff, which is negative, added: U+DC80 to U+DCFF. */
    private static final int NOT_DECODED = 0xdd00;

    private static final char REPLACEMENT = '\ufffd';

    private Octets() {}

    /** Bytes as text. */
    public static String text(byte[] bytes) {
        return text(bytes, 0, bytes.length);
    }

    /** Some of these bytes as text. */
    public static String text(byte[] bytes, int from, int length) {
        String quick = new String(bytes, from, length, StandardCharsets.UTF_8);
        if (quick.indexOf(REPLACEMENT) < 0) {
            return quick;
        }
        CharsetDecoder decoder = StandardCharsets.UTF_8.newDecoder();
        ByteBuffer in = ByteBuffer.wrap(bytes, from, length);
        CharBuffer out = CharBuffer.allocate(length);
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

    /**
     * The path of that name. The VM's own way, {@link Path#of(String, String...)}, knows the
     * locale's characters only; an address has the bytes.
     *
     * @throws java.nio.file.InvalidPathException for a zero byte
     */
    public static Path path(String name) {
        if (isAscii(name) || name.indexOf('\0') >= 0) {
            return Path.of(name);
        }
        StringBuilder address = new StringBuilder("file://");
        boolean slash = false;
        for (byte b : bytes(name.startsWith("/") ? name : "/" + name)) {
            if (b != '/') {
                address.append('%').append(HexFormat.of().toHexDigits(b));
            } else if (!slash) {
                address.append('/');
            }
            slash = b == '/';
        }
        Path whole = Path.of(URI.create(address.toString()));
        return name.startsWith("/") ? whole : whole.subpath(0, whole.getNameCount());
    }

    /** The name of that path. */
    public static String text(Path path) {
        String name = path.toString();
        if (isAscii(name)) {
            return name;
        }
        String address = Path.of("/").resolve(path).toUri().getRawPath();
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        int end = address.endsWith("/") ? address.length() - 1 : address.length();
        for (int i = path.isAbsolute() ? 0 : 1; i < end; i++) {
            char c = address.charAt(i);
            if (c == '%') {
                bytes.write(HexFormat.fromHexDigits(address, i + 1, i + 3));
                i += 2;
            } else {
                bytes.write(c);
            }
        }
        return text(bytes.toByteArray());
    }

    /**
     * What starts a program with these words. The VM gives it the locale's characters only: where
     * there are others, a shell makes the words, and becomes the program.
     */
    public static List<String> words(List<String> words) {
        if (words.stream().allMatch(Octets::isAscii)) {
            return words;
        }
        StringBuilder script = new StringBuilder("set --");
        for (int i = 0; i < words.size(); i++) {
            // The letter at the end: a shell takes newlines there away.
            script.insert(0, "w" + i + "=$(printf %b '" + octal(words.get(i)) + "x'); ");
            script.append(" \"${w").append(i).append("%x}\"");
        }
        return List.of("/bin/sh", "-c", script.append("; exec \"$@\"").toString());
    }

    private static String octal(String word) {
        StringBuilder octal = new StringBuilder();
        for (byte b : bytes(word)) {
            octal.append("\\0").append((char) ('0' + (b >> 6 & 3)));
            octal.append((char) ('0' + (b >> 3 & 7))).append((char) ('0' + (b & 7)));
        }
        return octal.toString();
    }

    private static boolean isAscii(String text) {
        for (int i = 0; i < text.length(); i++) {
            if (text.charAt(i) >= 0x80) {
                return false;
            }
        }
        return true;
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
