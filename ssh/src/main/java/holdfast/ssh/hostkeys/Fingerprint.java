package holdfast.ssh.hostkeys;

import holdfast.ssh.config.ServerSettings.FingerprintHash;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Base64;
import java.util.HexFormat;

/** The short form of a key that people compare, as {@code ssh-keygen -l} prints it. */
public final class Fingerprint {

    private Fingerprint() {}

    /** As FingerprintHash says. */
    public static String of(FingerprintHash hash, byte[] blob) {
        return switch (hash) {
            case MD5 -> md5(blob);
            case SHA1, SHA256, SHA384, SHA512 -> base64(hash.name(), javaName(hash), blob);
        };
    }

    static byte[] digest(FingerprintHash hash, byte[] blob) {
        return digest(javaName(hash), blob);
    }

    private static String javaName(FingerprintHash hash) {
        return switch (hash) {
            case MD5 -> "MD5";
            case SHA1 -> "SHA-1";
            case SHA256 -> "SHA-256";
            case SHA384 -> "SHA-384";
            case SHA512 -> "SHA-512";
        };
    }

    /** {@code SHA256:} and 43 letters of Base64 without padding. */
    public static String sha256(HostKey key) {
        return sha256(key.blob());
    }

    /** {@link #sha256(HostKey)} of any public key's blob. */
    public static String sha256(byte[] blob) {
        return base64("SHA256", "SHA-256", blob);
    }

    /**
     * The same with another hash.
     *
     * @param label what stands before the colon
     * @param digest the name Java has for it
     */
    public static String base64(String label, String digest, byte[] blob) {
        return label
                + ":"
                + Base64.getEncoder().withoutPadding().encodeToString(digest(digest, blob));
    }

    /** {@code MD5:} and 16 hexadecimal pairs with colons between. */
    public static String md5(HostKey key) {
        return md5(key.blob());
    }

    /** {@link #md5(HostKey)} of any public key's blob. */
    public static String md5(byte[] blob) {
        return "MD5:" + HexFormat.ofDelimiter(":").formatHex(digest("MD5", blob));
    }

    private static byte[] digest(String name, byte[] bytes) {
        try {
            return MessageDigest.getInstance(name).digest(bytes);
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("every Java runtime has " + name, e);
        }
    }
}
