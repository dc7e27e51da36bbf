package holdfast.ssh.crypto;

import java.security.GeneralSecurityException;
import java.security.KeyFactory;
import java.security.KeyPair;
import java.security.KeyPairGenerator;
import java.security.spec.X509EncodedKeySpec;
import java.util.Arrays;
import javax.crypto.KeyAgreement;
import org.apache.sshd.common.digest.BaseDigest;
import org.apache.sshd.common.digest.Digest;
import org.apache.sshd.common.kex.AbstractDH;
import org.apache.sshd.common.kex.CurveSizeIndicator;
import org.apache.sshd.common.kex.KeyEncapsulationMethod;
import org.apache.sshd.common.util.buffer.Buffer;
import org.jspecify.annotations.Nullable;

/**
 * One side of one X25519 exchange, alone (RFC 8731) or beside what no quantum computer opens:
 * ML-KEM (draft-ietf-sshm-mlkem-hybrid-kex) or Streamlined NTRU Prime
 * (draft-ietf-sshm-ntruprime-ssh). The JDK refuses points of small order.
 *
 * <p>Its own class because MINA's prepares X448 too when it is first touched.
 */
final class X25519 extends AbstractDH implements CurveSizeIndicator {

    private static final int KEY_BYTES = 32;

    /** The X.509 wrapping of a raw X25519 key (RFC 8410). */
    private static final byte[] X509_PREFIX = {
        0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x6e, 0x03, 0x21, 0x00
    };

    private final KeyAgreement agreement;
    private final Beside beside;
    private byte @Nullable [] theirs;

    /** What goes beside it. */
    enum Beside {
        NOTHING,
        ML_KEM_768,
        SNTRUP_761
    }

    X25519(Beside beside) throws GeneralSecurityException {
        this.agreement = KeyAgreement.getInstance("X25519");
        this.beside = beside;
    }

    @Override
    public int getByteLength() {
        return KEY_BYTES;
    }

    @Override
    protected byte[] calculateE() throws GeneralSecurityException {
        KeyPair pair = KeyPairGenerator.getInstance("X25519").generateKeyPair();
        agreement.init(pair.getPrivate());
        byte[] x509 = pair.getPublic().getEncoded();
        return Arrays.copyOfRange(x509, x509.length - KEY_BYTES, x509.length);
    }

    @Override
    public void setF(byte[] f) {
        if (f.length != KEY_BYTES) {
            throw new IllegalArgumentException("wrong X25519 key length");
        }
        theirs = f.clone();
    }

    @Override
    protected byte[] calculateK() throws GeneralSecurityException {
        if (theirs == null) {
            throw new IllegalStateException("the other side's key is missing");
        }
        byte[] x509 = Arrays.copyOf(X509_PREFIX, X509_PREFIX.length + KEY_BYTES);
        System.arraycopy(theirs, 0, x509, X509_PREFIX.length, KEY_BYTES);
        agreement.doPhase(
                KeyFactory.getInstance("X25519").generatePublic(new X509EncodedKeySpec(x509)),
                true);
        byte[] secret = agreement.generateSecret();
        // Alone the secret becomes an mpint; beside another its 32 bytes are hashed as they are.
        return beside == Beside.NOTHING ? stripLeadingZeroes(secret) : secret;
    }

    @Override
    public void putE(Buffer buffer, byte[] e) {
        buffer.putBytes(e);
    }

    @Override
    public void putF(Buffer buffer, byte[] f) {
        buffer.putBytes(f);
    }

    @Override
    public Digest getHash() {
        return switch (beside) {
            case NOTHING, ML_KEM_768 -> new BaseDigest("SHA-256", 32);
            case SNTRUP_761 -> new BaseDigest("SHA-512", 64);
        };
    }

    @Override
    public @Nullable KeyEncapsulationMethod getKeyEncapsulation() {
        return switch (beside) {
            case NOTHING -> null;
            case ML_KEM_768 -> new MlKem768();
            case SNTRUP_761 -> new Sntrup761();
        };
    }
}
