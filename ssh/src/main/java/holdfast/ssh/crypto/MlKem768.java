package holdfast.ssh.crypto;

import java.security.GeneralSecurityException;
import java.security.KeyFactory;
import java.security.KeyPair;
import java.security.KeyPairGenerator;
import java.security.PublicKey;
import java.security.spec.X509EncodedKeySpec;
import java.util.Arrays;
import javax.crypto.KEM;
import org.apache.sshd.common.kex.KeyEncapsulationMethod;
import org.jspecify.annotations.Nullable;

/** ML-KEM-768 (FIPS 203) of the JDK, in the raw encodings of draft-ietf-sshm-mlkem-hybrid-kex. */
final class MlKem768 implements KeyEncapsulationMethod {

    private static final int PUBLIC_BYTES = 1184;
    private static final int ENCAPSULATED_BYTES = 1088;

    /** The X.509 wrapping of a raw ML-KEM-768 public key: AlgorithmIdentifier and BIT STRING. */
    private static final byte[] X509_PREFIX = {
        0x30,
        (byte) 0x82,
        0x04,
        (byte) 0xb2,
        0x30,
        0x0b,
        0x06,
        0x09,
        0x60,
        (byte) 0x86,
        0x48,
        0x01,
        0x65,
        0x03,
        0x04,
        0x04,
        0x02,
        0x03,
        (byte) 0x82,
        0x04,
        (byte) 0xa1,
        0x00
    };

    @Override
    public Client getClient() {
        return new Asking();
    }

    @Override
    public Server getServer() {
        return new Answering();
    }

    /** Makes the key pair and opens what comes back. */
    private static final class Asking implements Client {

        private @Nullable KeyPair pair;

        @Override
        public void init() {
            try {
                pair = KeyPairGenerator.getInstance("ML-KEM-768").generateKeyPair();
            } catch (GeneralSecurityException e) {
                throw new IllegalStateException("This Java has no ML-KEM-768", e);
            }
        }

        private KeyPair pair() {
            if (pair == null) {
                throw new IllegalStateException("init was not called");
            }
            return pair;
        }

        @Override
        public byte[] getPublicKey() {
            byte[] encoded = pair().getPublic().getEncoded();
            return Arrays.copyOfRange(encoded, encoded.length - PUBLIC_BYTES, encoded.length);
        }

        @Override
        public byte[] extractSecret(byte[] encapsulated) {
            if (encapsulated.length != ENCAPSULATED_BYTES) {
                throw new IllegalArgumentException("wrong ML-KEM-768 ciphertext length");
            }
            try {
                return KEM.getInstance("ML-KEM")
                        .newDecapsulator(pair().getPrivate())
                        .decapsulate(encapsulated)
                        .getEncoded();
            } catch (GeneralSecurityException e) {
                throw new IllegalArgumentException("bad ML-KEM-768 ciphertext", e);
            }
        }

        @Override
        public int getEncapsulationLength() {
            return ENCAPSULATED_BYTES;
        }
    }

    /** Encapsulates a secret under the other side's key. */
    private static final class Answering implements Server {

        private KEM.@Nullable Encapsulated made;

        @Override
        public int getPublicKeyLength() {
            return PUBLIC_BYTES;
        }

        @Override
        public byte[] init(byte[] publicKeys) {
            byte[] x509 = Arrays.copyOf(X509_PREFIX, X509_PREFIX.length + PUBLIC_BYTES);
            System.arraycopy(publicKeys, 0, x509, X509_PREFIX.length, PUBLIC_BYTES);
            try {
                PublicKey key =
                        KeyFactory.getInstance("ML-KEM")
                                .generatePublic(new X509EncodedKeySpec(x509));
                made = KEM.getInstance("ML-KEM").newEncapsulator(key).encapsulate();
            } catch (GeneralSecurityException e) {
                throw new IllegalArgumentException("bad ML-KEM-768 public key", e);
            }
            return Arrays.copyOfRange(publicKeys, PUBLIC_BYTES, publicKeys.length);
        }

        private KEM.Encapsulated made() {
            if (made == null) {
                throw new IllegalStateException("init was not called");
            }
            return made;
        }

        @Override
        public byte[] getSecret() {
            return made().key().getEncoded();
        }

        @Override
        public byte[] getEncapsulation() {
            return made().encapsulation();
        }
    }
}
