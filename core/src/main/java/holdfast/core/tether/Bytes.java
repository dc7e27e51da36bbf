package holdfast.core.tether;

import java.util.Arrays;
import java.util.Base64;
import java.util.HexFormat;

/** Some bytes as a value: a key, a nonce, a proof, a name. Never longer than a line. */
public final class Bytes {

    private static final Base64.Encoder BASE64 = Base64.getUrlEncoder().withoutPadding();

    private final byte[] content;

    private Bytes(byte[] content) {
        this.content = content;
    }

    /** A copy of these bytes. */
    public static Bytes of(byte[] bytes) {
        return new Bytes(bytes.clone());
    }

    /** A copy of {@code length} of these bytes. */
    public static Bytes of(byte[] bytes, int offset, int length) {
        return new Bytes(Arrays.copyOfRange(bytes, offset, offset + length));
    }

    /** The bytes of a text all of whose characters are below 128. */
    static byte[] ascii(String text) {
        byte[] bytes = new byte[text.length()];
        for (int i = 0; i < bytes.length; i++) {
            bytes[i] = (byte) text.charAt(i);
        }
        return bytes;
    }

    /** The bytes in base64url without padding. */
    static String base64(byte[] bytes) {
        return BASE64.encodeToString(bytes);
    }

    /**
     * What {@code text} says in base64url without padding; empty unless it is the one way to write
     * {@code length} bytes.
     */
    static byte[] ofBase64(String text, int length) {
        try {
            byte[] bytes = Base64.getUrlDecoder().decode(text);
            return bytes.length == length && base64(bytes).equals(text) ? bytes : new byte[0];
        } catch (IllegalArgumentException e) {
            return new byte[0]; // not base64 at all: a line that is none of ours
        }
    }

    /** A copy, the caller's own. */
    public byte[] toArray() {
        return content.clone();
    }

    /** How many. */
    public int length() {
        return content.length;
    }

    /** Whether these are the same bytes, found in a time that depends only on their number. */
    public boolean matches(byte[] other) {
        int different = content.length ^ other.length;
        for (int i = 0; i < Math.min(content.length, other.length); i++) {
            different |= content[i] ^ other[i];
        }
        return different == 0;
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof Bytes bytes && matches(bytes.content);
    }

    @Override
    public int hashCode() {
        return Arrays.hashCode(content);
    }

    /** In hexadecimal. A secret is never one of these. */
    @Override
    public String toString() {
        return HexFormat.of().formatHex(content);
    }
}
