package holdfast.ssh.auth;

import holdfast.ssh.auth.Wire.Malformed;
import java.math.BigInteger;
import java.security.GeneralSecurityException;
import java.security.PrivateKey;
import java.security.Signature;
import java.security.interfaces.ECPrivateKey;
import java.security.interfaces.EdECPrivateKey;
import java.security.interfaces.RSAKey;
import java.security.interfaces.RSAPrivateCrtKey;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/** A private key together with its public half, able to sign. */
public final class PrivateIdentity {

    private final PublicIdentity open;
    private final PrivateKey key;
    private final String comment;

    PrivateIdentity(PublicIdentity open, PrivateKey key) {
        this(open, key, "");
    }

    private PrivateIdentity(PublicIdentity open, PrivateKey key, String comment) {
        this.open = open;
        this.key = key;
        this.comment = comment;
    }

    /** The same with the comment that its file has. */
    PrivateIdentity called(String name) {
        return new PrivateIdentity(open, key, name);
    }

    /** What its file calls it; empty: nothing. */
    public String comment() {
        return comment;
    }

    /**
     * Both halves as an agent takes them (draft-ietf-sshm-ssh-agent, section 3.2).
     *
     * @throws GeneralSecurityException for a kind of key that has no such form here
     */
    Wire.Writer forAgent() throws GeneralSecurityException {
        if (key instanceof HardwareKey there) {
            return new Wire.Writer().raw(there.fields());
        }
        try {
            Wire.Reader in = new Wire.Reader(open.blob());
            String type = in.text();
            Wire.Writer out = new Wire.Writer().text(type);
            switch (key) {
                case EdECPrivateKey ed -> {
                    byte[] point = in.string();
                    byte[] seed =
                            ed.getBytes()
                                    .orElseThrow(
                                            () -> new GeneralSecurityException("no key bytes"));
                    out.string(point);
                    out.string(new Wire.Writer().raw(seed).raw(point).bytes());
                }
                case ECPrivateKey ec ->
                        out.string(in.string()).string(in.string()).mpint(ec.getS());
                case RSAPrivateCrtKey rsa ->
                        out.mpint(rsa.getModulus())
                                .mpint(rsa.getPublicExponent())
                                .mpint(rsa.getPrivateExponent())
                                .mpint(rsa.getCrtCoefficient())
                                .mpint(rsa.getPrimeP())
                                .mpint(rsa.getPrimeQ());
                default -> throw new GeneralSecurityException("unknown or unsupported key type");
            }
            return out;
        } catch (Malformed e) {
            throw new GeneralSecurityException("invalid format", e);
        }
    }

    public PublicIdentity open() {
        return open;
    }

    /** Null: the key is here. */
    @Nullable HardwareKey hardware() {
        return key instanceof HardwareKey there ? there : null;
    }

    /** Whether it is on hardware, so that nobody here can sign with it. */
    public boolean isElsewhere() {
        return key instanceof HardwareKey;
    }

    /** For whoever signs by other means than {@link #sign}. */
    public PrivateKey secret() {
        return key;
    }

    /** The modulus in bits for RSA, else -1. */
    public int rsaBits() {
        return key instanceof RSAKey rsa ? rsa.getModulus().bitLength() : -1;
    }

    /**
     * Signs {@code data}.
     *
     * @param algorithm the signature algorithm, such as {@code rsa-sha2-512}
     * @return the signature as it travels: the algorithm and its blob
     */
    public byte[] sign(String algorithm, byte[] data) throws GeneralSecurityException {
        byte[] signature =
                switch (algorithm) {
                    case "ssh-ed25519" -> sign("Ed25519", key, data);
                    case "rsa-sha2-512" -> sign("SHA512withRSA", key, data);
                    case "rsa-sha2-256" -> sign("SHA256withRSA", key, data);
                    case "ssh-rsa" -> sign("SHA1withRSA", key, data);
                    case "ecdsa-sha2-nistp256" ->
                            twoNumbers(sign("SHA256withECDSAinP1363Format", key, data));
                    case "ecdsa-sha2-nistp384" ->
                            twoNumbers(sign("SHA384withECDSAinP1363Format", key, data));
                    case "ecdsa-sha2-nistp521" ->
                            twoNumbers(sign("SHA512withECDSAinP1363Format", key, data));
                    default ->
                            throw new GeneralSecurityException(
                                    "signature algorithm not supported: " + algorithm);
                };
        return new Wire.Writer().text(algorithm).string(signature).bytes();
    }

    private static byte[] sign(String name, PrivateKey key, byte[] data)
            throws GeneralSecurityException {
        Signature signature = Signature.getInstance(name);
        signature.initSign(key);
        signature.update(data);
        return signature.sign();
    }

    /** r and s side by side, written as RFC 5656, section 3.1.2, wants them. */
    private static byte[] twoNumbers(byte[] both) {
        int half = both.length / 2;
        return new Wire.Writer()
                .mpint(new BigInteger(1, Arrays.copyOf(both, half)))
                .mpint(new BigInteger(1, Arrays.copyOfRange(both, half, both.length)))
                .bytes();
    }
}
