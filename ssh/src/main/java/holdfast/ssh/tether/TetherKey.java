package holdfast.ssh.tether;

import holdfast.core.tether.Bytes;
import holdfast.core.tether.Prover;
import holdfast.core.tether.Resumption;
import holdfast.core.tether.TetherLine;
import java.security.GeneralSecurityException;
import java.security.InvalidKeyException;
import java.security.KeyFactory;
import java.security.KeyPair;
import java.security.KeyPairGenerator;
import java.security.SecureRandom;
import java.security.spec.X509EncodedKeySpec;
import java.util.Arrays;
import java.util.HexFormat;
import javax.crypto.KDF;
import javax.crypto.KeyAgreement;
import javax.crypto.Mac;
import javax.crypto.SecretKey;
import javax.crypto.spec.HKDFParameterSpec;
import javax.crypto.spec.SecretKeySpec;
import org.jspecify.annotations.Nullable;

/**
 * One end's ephemeral X25519 key, and the tether's key that comes of it (PROTOCOL.md section 3).
 *
 * <p>A server may use one for many connections for up to a minute: every offer has its own nonce.
 */
public final class TetherKey {

    private static final SecureRandom RANDOM = new SecureRandom();

    /** The X.509 wrapping of a raw X25519 key (RFC 8410). */
    private static final byte[] X509_PREFIX = HexFormat.of().parseHex("302a300506032b656e032100");

    private final KeyPair pair;

    private TetherKey(KeyPair pair) {
        this.pair = pair;
    }

    /** A fresh one. */
    public static TetherKey generate() {
        try {
            return new TetherKey(KeyPairGenerator.getInstance("X25519").generateKeyPair());
        } catch (GeneralSecurityException e) {
            throw new IllegalStateException("this JDK has no X25519", e);
        }
    }

    /** A fresh offer of this key. */
    public TetherLine.Offer offer(int windowBytes) {
        byte[] x509 = pair.getPublic().getEncoded();
        return new TetherLine.Offer(
                Math.min(windowBytes / TetherLine.WINDOW_UNIT, TetherLine.MOST_WINDOW),
                Bytes.of(x509, X509_PREFIX.length, TetherLine.KEY),
                random(TetherLine.NONCE));
    }

    /** So many fresh random bytes: a nonce, or a tether's name. */
    public static Bytes random(int count) {
        byte[] bytes = new byte[count];
        RANDOM.nextBytes(bytes);
        return Bytes.of(bytes);
    }

    /**
     * The tether's key.
     *
     * @param theirs the other end's public key
     * @return null if theirs is none that one may use (a point of small order)
     */
    public @Nullable Prover agree(Bytes theirs, String clientLine, String serverLine) {
        try {
            byte[] x509 = Arrays.copyOf(X509_PREFIX, X509_PREFIX.length + TetherLine.KEY);
            System.arraycopy(theirs.toArray(), 0, x509, X509_PREFIX.length, TetherLine.KEY);
            KeyAgreement agreement = KeyAgreement.getInstance("X25519");
            agreement.init(pair.getPrivate());
            agreement.doPhase(
                    KeyFactory.getInstance("X25519").generatePublic(new X509EncodedKeySpec(x509)),
                    true);
            byte[] shared = agreement.generateSecret();
            SecretKey key =
                    KDF.getInstance("HKDF-SHA256")
                            .deriveKey(
                                    "HmacSHA256",
                                    HKDFParameterSpec.ofExtract()
                                            .addIKM(shared)
                                            .addSalt(new byte[32])
                                            .thenExpand(
                                                    Resumption.context(clientLine, serverLine),
                                                    Resumption.PROOF));
            Arrays.fill(shared, (byte) 0);
            return prover(key);
        } catch (InvalidKeyException e) {
            return null;
        } catch (GeneralSecurityException e) {
            throw new IllegalStateException("this JDK lacks X25519, HKDF or HMAC", e);
        }
    }

    /** A key that nobody has: what a server checks a request for an unknown tether under. */
    public static Prover nobodys() {
        return prover(new SecretKeySpec(random(Resumption.PROOF).toArray(), "HmacSHA256"));
    }

    private static Prover prover(SecretKey key) {
        return message -> {
            try {
                Mac mac = Mac.getInstance("HmacSHA256");
                mac.init(key);
                return mac.doFinal(message);
            } catch (GeneralSecurityException e) {
                throw new IllegalStateException("HMAC refused its own key", e);
            }
        };
    }
}
