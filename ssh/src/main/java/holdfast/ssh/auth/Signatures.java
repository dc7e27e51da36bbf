package holdfast.ssh.auth;

import holdfast.ssh.auth.Wire.Malformed;
import java.math.BigInteger;
import java.security.AlgorithmParameters;
import java.security.GeneralSecurityException;
import java.security.KeyFactory;
import java.security.MessageDigest;
import java.security.PublicKey;
import java.security.Signature;
import java.security.spec.ECGenParameterSpec;
import java.security.spec.ECParameterSpec;
import java.security.spec.ECPoint;
import java.security.spec.ECPublicKeySpec;
import java.security.spec.RSAPublicKeySpec;
import java.security.spec.X509EncodedKeySpec;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/** Checks signatures by keys as they travel, security keys of FIDO included (PROTOCOL.u2f). */
public final class Signatures {

    /** The X.509 wrapping of an Ed25519 point (RFC 8410). */
    private static final byte[] ED25519_X509 = {
        0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00
    };

    private static final String CERTIFICATE = "-cert-v01@openssh.com";

    /**
     * OpenSSH's SSHBUF_MAX_BIGNUM: longer numbers are refused before anybody computes with them.
     */
    private static final int MOST_BITS = 16384;

    private Signatures() {}

    /**
     * A signature that holds.
     *
     * @param securityKey whether a FIDO token made it; only then do the rest mean something
     * @param touched whether the token saw its person, {@code verified} whether it knew them
     */
    public record Valid(boolean securityKey, boolean touched, boolean verified, long counter) {
        static final Valid PLAIN = new Valid(false, false, false, 0);
    }

    /**
     * Checks that an offered key has the shape its type asks for.
     *
     * @throws Malformed if it has not
     */
    public static void wellFormed(PublicIdentity key) throws Malformed {
        try {
            decode(key);
        } catch (GeneralSecurityException | RuntimeException e) {
            throw new Malformed("invalid format");
        }
    }

    /** Whether it is a certificate's algorithm, or the type of one. */
    public static boolean ofCertificate(String algorithm) {
        return algorithm.endsWith(CERTIFICATE);
    }

    /** What stands in a signature made under {@code algorithm}, which may be a certificate's. */
    public static String plain(String algorithm) {
        if (!ofCertificate(algorithm)) {
            return algorithm;
        }
        String plain = algorithm.substring(0, algorithm.length() - CERTIFICATE.length());
        return plain.startsWith("sk-") ? plain + "@openssh.com" : plain;
    }

    /** Whether {@code algorithm} is a way to sign with keys or certificates like {@code key}. */
    public static boolean isFor(String algorithm, PublicIdentity key) {
        if (algorithm.equals(key.algorithm())) {
            return true;
        }
        return key.isRsa()
                && (algorithm.startsWith("rsa-sha2-256") || algorithm.startsWith("rsa-sha2-512"))
                && (algorithm.length() == "rsa-sha2-256".length()
                        ? !key.isCertificate()
                        : ofCertificate(algorithm) && key.isCertificate());
    }

    /** Whether the name is one of a signature algorithm that can be checked here. */
    public static boolean isKnown(String algorithm) {
        return switch (plain(algorithm)) {
            case "ssh-ed25519",
                    "ecdsa-sha2-nistp256",
                    "ecdsa-sha2-nistp384",
                    "ecdsa-sha2-nistp521",
                    "sk-ssh-ed25519@openssh.com",
                    "sk-ecdsa-sha2-nistp256@openssh.com",
                    "rsa-sha2-512",
                    "rsa-sha2-256",
                    "ssh-rsa" ->
                    true;
            default -> false;
        };
    }

    /**
     * Checks {@code signature} over {@code data}.
     *
     * @param key a key or certificate
     * @param algorithm the algorithm it must be made with; null: whichever the signature names
     * @return null if it does not hold
     */
    public static @Nullable Valid check(
            PublicIdentity key, @Nullable String algorithm, byte[] signature, byte[] data) {
        try {
            Wire.Reader in = new Wire.Reader(signature);
            String made = in.text();
            byte[] value = in.string();
            if (algorithm != null && !plain(algorithm).equals(made)) {
                return null;
            }
            PublicIdentity bare = PublicIdentity.of(key.keyBlob());
            if (!isFor(made, bare)) {
                return null;
            }
            PublicKey decoded = decode(bare);
            if (!made.startsWith("sk-")) {
                return in.remaining() == 0 && holds(made, decoded, value, data)
                        ? Valid.PLAIN
                        : null;
            }
            int flags = in.u8();
            int counter = in.bits32();
            if (in.remaining() != 0) {
                return null;
            }
            byte[] signed =
                    new Wire.Writer()
                            .raw(sha256(application(bare)))
                            .u8(flags)
                            .u32(counter)
                            .raw(sha256(data))
                            .bytes();
            String plain =
                    made.startsWith("sk-ssh-ed25519") ? "ssh-ed25519" : "ecdsa-sha2-nistp256";
            return holds(plain, decoded, value, signed)
                    ? new Valid(
                            true,
                            (flags & 0x01) != 0,
                            (flags & 0x04) != 0,
                            Integer.toUnsignedLong(counter))
                    : null;
        } catch (Malformed | GeneralSecurityException | RuntimeException malformed) {
            return null; // whatever is wrong with it, it is no proof
        }
    }

    private static boolean holds(String algorithm, PublicKey key, byte[] value, byte[] data)
            throws GeneralSecurityException, Malformed {
        String name =
                switch (algorithm) {
                    case "ssh-ed25519" -> "Ed25519";
                    case "rsa-sha2-512" -> "SHA512withRSA";
                    case "rsa-sha2-256" -> "SHA256withRSA";
                    case "ssh-rsa" -> "SHA1withRSA";
                    case "ecdsa-sha2-nistp256" -> "SHA256withECDSAinP1363Format";
                    case "ecdsa-sha2-nistp384" -> "SHA384withECDSAinP1363Format";
                    case "ecdsa-sha2-nistp521" -> "SHA512withECDSAinP1363Format";
                    default -> throw new GeneralSecurityException("unknown algorithm");
                };
        byte[] bare =
                switch (algorithm) {
                    case "ecdsa-sha2-nistp256" -> sideBySide(value, 32);
                    case "ecdsa-sha2-nistp384" -> sideBySide(value, 48);
                    case "ecdsa-sha2-nistp521" -> sideBySide(value, 66);
                    case "ssh-ed25519" -> value;
                    default -> padded(value, (java.security.interfaces.RSAKey) key);
                };
        Signature signature = Signature.getInstance(name);
        signature.initVerify(key);
        signature.update(data);
        return signature.verify(bare);
    }

    /** Zeros that a signer left out in front (OpenSSH puts them back, too). */
    private static byte[] padded(byte[] value, java.security.interfaces.RSAKey key)
            throws Malformed {
        int length = (key.getModulus().bitLength() + 7) / 8;
        if (value.length > length) {
            throw new Malformed("signature too long");
        }
        byte[] all = new byte[length];
        System.arraycopy(value, 0, all, length - value.length, value.length);
        return all;
    }

    private static byte[] sideBySide(byte[] value, int width) throws Malformed {
        Wire.Reader in = new Wire.Reader(value);
        byte[] both = new byte[2 * width];
        put(in.mpint(), both, width);
        put(in.mpint(), both, 2 * width);
        if (in.remaining() != 0) {
            throw new Malformed("trailing bytes");
        }
        return both;
    }

    private static void put(BigInteger number, byte[] into, int end) throws Malformed {
        byte[] bytes = number.toByteArray();
        int from = bytes[0] == 0 ? 1 : 0;
        int width = into.length / 2;
        if (number.signum() < 0 || bytes.length - from > width) {
            throw new Malformed("number out of range");
        }
        System.arraycopy(bytes, from, into, end - (bytes.length - from), bytes.length - from);
    }

    private static PublicKey decode(PublicIdentity key) throws Malformed, GeneralSecurityException {
        Wire.Reader in = new Wire.Reader(key.keyBlob());
        String type = in.text();
        PublicKey decoded =
                switch (type) {
                    case "ssh-ed25519" -> ed25519(in.string());
                    case "sk-ssh-ed25519@openssh.com" -> {
                        PublicKey inner = ed25519(in.string());
                        in.string();
                        yield inner;
                    }
                    case "ssh-rsa" -> {
                        BigInteger e = in.mpint();
                        BigInteger n = in.mpint();
                        if (n.signum() <= 0 || n.bitLength() > MOST_BITS || e.signum() <= 0) {
                            throw new Malformed("invalid format");
                        }
                        yield KeyFactory.getInstance("RSA")
                                .generatePublic(new RSAPublicKeySpec(n, e));
                    }
                    case "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521" -> {
                        String curve = in.text();
                        if (!type.endsWith(curve)) {
                            throw new Malformed("curve mismatch");
                        }
                        yield point(curve, in.string());
                    }
                    case "sk-ecdsa-sha2-nistp256@openssh.com" -> {
                        String curve = in.text();
                        PublicKey inner = point(curve, in.string());
                        in.string();
                        if (!curve.equals("nistp256")) {
                            throw new Malformed("curve mismatch");
                        }
                        yield inner;
                    }
                    default -> throw new Malformed("unknown key type");
                };
        if (in.remaining() != 0) {
            throw new Malformed("trailing bytes");
        }
        return decoded;
    }

    private static PublicKey ed25519(byte[] raw) throws Malformed, GeneralSecurityException {
        if (raw.length != 32) {
            throw new Malformed("wrong length");
        }
        byte[] x509 = Arrays.copyOf(ED25519_X509, ED25519_X509.length + 32);
        System.arraycopy(raw, 0, x509, ED25519_X509.length, 32);
        return KeyFactory.getInstance("Ed25519").generatePublic(new X509EncodedKeySpec(x509));
    }

    private static PublicKey point(String curve, byte[] point)
            throws Malformed, GeneralSecurityException {
        String standard;
        int width;
        switch (curve) {
            case "nistp256" -> {
                standard = "secp256r1";
                width = 32;
            }
            case "nistp384" -> {
                standard = "secp384r1";
                width = 48;
            }
            case "nistp521" -> {
                standard = "secp521r1";
                width = 66;
            }
            default -> throw new Malformed("unknown curve");
        }
        if (point.length != 1 + 2 * width || point[0] != 4) {
            throw new Malformed("wrong length");
        }
        AlgorithmParameters parameters = AlgorithmParameters.getInstance("EC");
        parameters.init(new ECGenParameterSpec(standard));
        ECPoint w =
                new ECPoint(
                        new BigInteger(1, Arrays.copyOfRange(point, 1, 1 + width)),
                        new BigInteger(1, Arrays.copyOfRange(point, 1 + width, point.length)));
        return KeyFactory.getInstance("EC")
                .generatePublic(
                        new ECPublicKeySpec(w, parameters.getParameterSpec(ECParameterSpec.class)));
    }

    /** The last field of a security key: {@code ssh:} and whatever its owner added. */
    private static byte[] application(PublicIdentity key) throws Malformed {
        Wire.Reader in = new Wire.Reader(key.keyBlob());
        byte[] last = in.string();
        while (in.remaining() > 0) {
            last = in.string();
        }
        return last;
    }

    private static byte[] sha256(byte[] bytes) throws GeneralSecurityException {
        return MessageDigest.getInstance("SHA-256").digest(bytes);
    }
}
