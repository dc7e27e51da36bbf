package holdfast.ssh.hostkeys;

import holdfast.ssh.auth.Signatures;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Base64;
import org.jspecify.annotations.Nullable;

/**
 * A host's public key as the wire and known_hosts carry it (RFC 4253 section 6.6): the name of its
 * type and the blob that begins with that name. Two keys are equal when every byte is.
 */
public final class HostKey {

    /** sshkey.h: a shorter RSA modulus is no key at all. */
    private static final int RSA_LEAST_BITS = 1024;

    /** sshbuf.h: a longer number is refused before anything is computed with it. */
    private static final int BIGNUM_MOST_BYTES = 16384 / 8;

    private final String type;
    private final byte[] blob;

    private HostKey(String type, byte[] blob) {
        this.type = type;
        this.blob = blob;
    }

    /**
     * Reads a key from its blob.
     *
     * @return null where the blob is of no type that OpenSSH knows, is cut short or has bytes after
     *     its end
     */
    public static @Nullable HostKey of(byte[] blob) {
        Fields fields = new Fields(blob);
        byte[] name = fields.next();
        if (name == null || name.length > 64) {
            return null;
        }
        String type = new String(name, StandardCharsets.ISO_8859_1);
        return wellFormed(type, fields) ? new HostKey(type, blob.clone()) : null;
    }

    /**
     * Reads a key from the two words of a known_hosts line.
     *
     * @return null where OpenSSH would call the line a parse error
     */
    static @Nullable HostKey of(String type, String base64) {
        if (!knownType(type)) {
            return null;
        }
        byte[] blob = strictBase64(base64);
        if (blob == null) {
            return null;
        }
        HostKey key = of(blob);
        return key != null && key.type.equals(keyType(type)) ? key : null;
    }

    /** The type's name inside the blob, {@code ssh-ed25519}; for RSA always {@code ssh-rsa}. */
    public String type() {
        return type;
    }

    public byte[] blob() {
        return blob.clone();
    }

    /** The type's name for people: {@code ED25519}, {@code RSA}, {@code ECDSA}. */
    public String kind() {
        return switch (plainType(type)) {
                    case "ssh-ed25519" -> "ED25519";
                    case "ssh-rsa" -> "RSA";
                    case "ssh-dss" -> "DSA";
                    case "sk-ssh-ed25519@openssh.com" -> "ED25519-SK";
                    case "sk-ecdsa-sha2-nistp256@openssh.com" -> "ECDSA-SK";
                    default -> "ECDSA";
                }
                + (isCertificate() ? "-CERT" : "");
    }

    /** The two words of a known_hosts line or a {@code .pub} file. */
    public String text() {
        return type + ' ' + Base64.getEncoder().encodeToString(blob);
    }

    boolean isCertificate() {
        return isCertificate(type);
    }

    /** Bits of the modulus of an RSA key; -1 for other keys. */
    public int rsaBits() {
        if (!type.equals("ssh-rsa")) {
            return -1;
        }
        Fields fields = new Fields(blob);
        fields.next();
        fields.next();
        return bits(fields.next());
    }

    /** What people call its size: of the modulus, the curve or the field. */
    int bits() {
        return switch (plainType(type)) {
            case "ssh-rsa", "ssh-dss" -> {
                Fields fields = new Fields(blob);
                fields.next();
                if (type.equals("ssh-rsa")) {
                    fields.next();
                }
                yield bits(fields.next());
            }
            case "ecdsa-sha2-nistp384" -> 384;
            case "ecdsa-sha2-nistp521" -> 521;
            default -> 256;
        };
    }

    @Override
    public boolean equals(@Nullable Object other) {
        return other instanceof HostKey key && Arrays.equals(blob, key.blob);
    }

    @Override
    public int hashCode() {
        return Arrays.hashCode(blob);
    }

    @Override
    public String toString() {
        return kind() + ' ' + Fingerprint.sha256(this);
    }

    static boolean isCertificate(String algorithm) {
        return Signatures.ofCertificate(algorithm);
    }

    /** The type of the keys that a signature or certificate algorithm is used with. */
    static String plainType(String algorithm) {
        String plain = Signatures.plain(algorithm);
        return plain.equals("webauthn-sk-ecdsa-sha2-nistp256@openssh.com")
                ? "sk-ecdsa-sha2-nistp256@openssh.com"
                : keyType(plain);
    }

    private static String keyType(String algorithm) {
        return algorithm.equals("rsa-sha2-256") || algorithm.equals("rsa-sha2-512")
                ? "ssh-rsa"
                : algorithm;
    }

    /** Whether a line of known_hosts may name its key so (sshkey.c, peek_type_nid). */
    private static boolean knownType(String type) {
        return switch (plainType(type)) {
            case "ssh-ed25519",
                    "ssh-rsa",
                    "ssh-dss",
                    "ecdsa-sha2-nistp256",
                    "ecdsa-sha2-nistp384",
                    "ecdsa-sha2-nistp521",
                    "sk-ssh-ed25519@openssh.com",
                    "sk-ecdsa-sha2-nistp256@openssh.com" ->
                    true;
            default -> false;
        };
    }

    /**
     * Whether the rest of a blob has the shape that its type asks for. A certificate is taken as it
     * is: Certificate looks into it, and one in known_hosts must still count as a key that differs.
     */
    private static boolean wellFormed(String type, Fields rest) {
        if (isCertificate(type)) {
            return knownType(type);
        }
        boolean shape =
                switch (type) {
                    case "ssh-ed25519" -> rest.hasNext(32);
                    case "ssh-rsa" -> mpints(rest, 1) && bits(rest.next()) >= RSA_LEAST_BITS;
                    case "ssh-dss" -> mpints(rest, 4);
                    case "ecdsa-sha2-nistp256" -> point(rest, "nistp256", 65);
                    case "ecdsa-sha2-nistp384" -> point(rest, "nistp384", 97);
                    case "ecdsa-sha2-nistp521" -> point(rest, "nistp521", 133);
                    case "sk-ssh-ed25519@openssh.com" -> rest.hasNext(32) && rest.next() != null;
                    case "sk-ecdsa-sha2-nistp256@openssh.com" ->
                            point(rest, "nistp256", 65) && rest.next() != null;
                    default -> false;
                };
        return shape && rest.atEnd();
    }

    private static boolean point(Fields fields, String curve, int length) {
        byte[] name = fields.next();
        byte[] point = fields.next();
        return name != null
                && curve.equals(new String(name, StandardCharsets.ISO_8859_1))
                && point != null
                && point.length == length
                && point[0] == 4;
    }

    private static boolean mpints(Fields fields, int count) {
        for (int i = 0; i < count; i++) {
            if (bits(fields.next()) < 0) {
                return false;
            }
        }
        return true;
    }

    /** Bits of an mpint (RFC 4251 section 5); -1 where it is missing, negative or absurd. */
    private static int bits(byte @Nullable [] mpint) {
        if (mpint == null || mpint.length > BIGNUM_MOST_BYTES + 1) {
            return -1;
        }
        if (mpint.length > 0 && mpint[0] < 0) {
            return -1;
        }
        int zeros = 0;
        while (zeros < mpint.length && mpint[zeros] == 0) {
            zeros++;
        }
        if (zeros == mpint.length) {
            return 0;
        }
        int top = Integer.SIZE - Integer.numberOfLeadingZeros(mpint[zeros] & 0xff);
        return (mpint.length - zeros - 1) * 8 + top;
    }

    /**
     * Base64 as b64_pton takes it: white space inside is skipped (a CR before the line's end is the
     * one that happens), padding must be there and unused bits must be zero.
     */
    static byte @Nullable [] strictBase64(String text) {
        StringBuilder letters = new StringBuilder(text.length());
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            boolean space = c == ' ' || (c >= '\t' && c <= '\r');
            if (!space) {
                letters.append(c);
            }
        }
        String encoded = letters.toString();
        try {
            byte[] bytes = Base64.getDecoder().decode(encoded);
            return Base64.getEncoder().encodeToString(bytes).equals(encoded) ? bytes : null;
        } catch (IllegalArgumentException notBase64) {
            return null;
        }
    }

    /** The length-prefixed fields of a blob, one after another. */
    private static final class Fields {
        private final byte[] blob;
        private int at;

        Fields(byte[] blob) {
            this.blob = blob;
        }

        byte @Nullable [] next() {
            if (blob.length - at < 4) {
                return null;
            }
            int length =
                    (blob[at] & 0xff) << 24
                            | (blob[at + 1] & 0xff) << 16
                            | (blob[at + 2] & 0xff) << 8
                            | (blob[at + 3] & 0xff);
            if (length < 0 || length > blob.length - at - 4) {
                return null;
            }
            byte[] field = Arrays.copyOfRange(blob, at + 4, at + 4 + length);
            at += 4 + length;
            return field;
        }

        boolean hasNext(int length) {
            byte[] field = next();
            return field != null && field.length == length;
        }

        boolean atEnd() {
            return at == blob.length;
        }
    }
}
