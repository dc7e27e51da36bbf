package holdfast.ssh.auth;

import holdfast.ssh.auth.Wire.Malformed;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Arrays;
import java.util.Base64;
import org.jspecify.annotations.Nullable;

/**
 * The public half of an identity as it travels: a key or a certificate, its bytes unparsed beyond
 * what is needed to name it.
 */
public final class PublicIdentity {

    private final String algorithm;
    private final byte[] blob;

    private PublicIdentity(String algorithm, byte[] blob) {
        this.algorithm = algorithm;
        this.blob = blob;
    }

    public static PublicIdentity of(byte[] blob) throws Malformed {
        String algorithm = new Wire.Reader(blob).text();
        if (algorithm.isEmpty() || algorithm.length() > 64) {
            throw new Malformed("invalid format");
        }
        return new PublicIdentity(algorithm, blob);
    }

    /** Reads the first key of a {@code .pub} file, or null where there is none. */
    public static @Nullable PublicIdentity ofText(String text) {
        for (String line : text.split("\n", -1)) {
            String trimmed = line.strip();
            if (trimmed.isEmpty() || trimmed.startsWith("#")) {
                continue;
            }
            int space = trimmed.indexOf(' ');
            if (space < 0) {
                return null;
            }
            String rest = trimmed.substring(space + 1).strip();
            int end = rest.indexOf(' ');
            try {
                PublicIdentity read =
                        of(Base64.getDecoder().decode(end < 0 ? rest : rest.substring(0, end)));
                return read.algorithm.equals(trimmed.substring(0, space)) ? read : null;
            } catch (IllegalArgumentException | Malformed notAKey) {
                return null;
            }
        }
        return null;
    }

    /** A key in the form of a .pub file at the start of {@code text}, or null. */
    public static @Nullable PublicIdentity ofLine(String text) {
        int space = 0;
        while (space < text.length() && text.charAt(space) != ' ' && text.charAt(space) != '\t') {
            space++;
        }
        if (space == text.length()) {
            return null;
        }
        String rest = text.substring(space).strip();
        int end = 0;
        while (end < rest.length() && rest.charAt(end) != ' ' && rest.charAt(end) != '\t') {
            end++;
        }
        try {
            PublicIdentity key = of(Base64.getDecoder().decode(rest.substring(0, end)));
            return key.algorithm().equals(text.substring(0, space)) ? key : null;
        } catch (IllegalArgumentException | Malformed notAKey) {
            return null;
        }
    }

    /** The first string of the blob, such as {@code ssh-ed25519}. */
    public String algorithm() {
        return algorithm;
    }

    /** The bytes themselves, not a copy. */
    public byte[] blob() {
        return blob;
    }

    public boolean isCertificate() {
        return Signatures.ofCertificate(algorithm);
    }

    /** The algorithm of the key itself: {@code ssh-rsa} for a certificate of an RSA key. */
    public String keyAlgorithm() {
        return Signatures.plain(algorithm);
    }

    public boolean isRsa() {
        return keyAlgorithm().equals("ssh-rsa");
    }

    /** The modulus in bits for RSA, else -1. */
    public int rsaBits() {
        if (!isRsa()) {
            return -1;
        }
        try {
            Wire.Reader reader = new Wire.Reader(keyBlob());
            reader.string();
            reader.string();
            return reader.mpint().bitLength();
        } catch (Malformed e) {
            return 0;
        }
    }

    /** What OpenSSH calls it in its log: {@code ED25519}, {@code RSA-CERT}. */
    public String typeName() {
        String name =
                switch (keyAlgorithm()) {
                    case "ssh-ed25519" -> "ED25519";
                    case "ssh-rsa" -> "RSA";
                    case "ssh-dss" -> "DSA";
                    case "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521" ->
                            "ECDSA";
                    case "sk-ssh-ed25519@openssh.com" -> "ED25519-SK";
                    case "sk-ecdsa-sha2-nistp256@openssh.com" -> "ECDSA-SK";
                    default -> keyAlgorithm();
                };
        return isCertificate() ? name + "-CERT" : name;
    }

    /** The number OpenSSH's {@code identity file … type} line gives it. */
    int typeNumber() {
        return switch (typeName()) {
            case "RSA" -> 0;
            case "DSA" -> 1;
            case "ECDSA" -> 2;
            case "ED25519" -> 3;
            case "RSA-CERT" -> 4;
            case "DSA-CERT" -> 5;
            case "ECDSA-CERT" -> 6;
            case "ED25519-CERT" -> 7;
            case "ECDSA-SK" -> 10;
            case "ECDSA-SK-CERT" -> 11;
            case "ED25519-SK" -> 12;
            case "ED25519-SK-CERT" -> 13;
            default -> -1;
        };
    }

    /** The blob of the key itself, taken out of the certificate if this is one. */
    public byte[] keyBlob() {
        if (!isCertificate()) {
            return blob;
        }
        try {
            Wire.Reader reader = new Wire.Reader(blob);
            reader.string();
            reader.string(); // the nonce
            Wire.Writer key = new Wire.Writer().text(keyAlgorithm());
            int fields =
                    switch (keyAlgorithm()) {
                        case "ssh-ed25519" -> 1;
                        case "sk-ecdsa-sha2-nistp256@openssh.com" -> 3;
                        default -> 2;
                    };
            for (int i = 0; i < fields; i++) {
                key.string(reader.string());
            }
            return key.bytes();
        } catch (Malformed e) {
            return blob;
        }
    }

    /** Whether this is the public half of the same key, certified or not. */
    public boolean sameKey(PublicIdentity other) {
        return Arrays.equals(keyBlob(), other.keyBlob());
    }

    public String fingerprint() {
        try {
            byte[] hash = MessageDigest.getInstance("SHA-256").digest(keyBlob());
            return "SHA256:" + Base64.getEncoder().withoutPadding().encodeToString(hash);
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("This Java has no SHA-256", e);
        }
    }

    @Override
    public boolean equals(@Nullable Object other) {
        return other instanceof PublicIdentity that && Arrays.equals(blob, that.blob);
    }

    @Override
    public int hashCode() {
        return Arrays.hashCode(blob);
    }

    @Override
    public String toString() {
        return typeName() + " " + fingerprint();
    }
}
