package holdfast.ssh.crypto;

import java.security.NoSuchAlgorithmException;
import java.security.SecureRandom;
import java.util.Arrays;
import org.apache.sshd.common.kex.KeyEncapsulationMethod;
import org.jspecify.annotations.Nullable;

/** Streamlined NTRU Prime 761 as a part of draft-ietf-sshm-ntruprime-ssh. */
final class Sntrup761 implements KeyEncapsulationMethod {

    /** Made before it was asked for, and for one exchange only. Guarded by this class. */
    private static NtruPrime.@Nullable Pair ahead;

    private static boolean wanted;

    /**
     * Makes the key pair that the first exchange of this process may want, unless that is over; an
     * exchange that begins meanwhile waits for it.
     */
    static synchronized void makeAhead() {
        if (!wanted) {
            ahead = NtruPrime.generate(chance());
        }
    }

    private static synchronized NtruPrime.@Nullable Pair ahead() {
        NtruPrime.Pair pair = ahead;
        ahead = null;
        wanted = true;
        return pair;
    }

    /** Both ends' part in one exchange. */
    static void roundTrip() {
        Client asking = new Asking();
        asking.init();
        Server answering = new Answering();
        answering.init(asking.getPublicKey());
        asking.extractSecret(answering.getEncapsulation());
    }

    /**
     * The system's generator itself: what the JDK makes of it by default takes longer, in a VM that
     * has just begun, than all of an encapsulation.
     */
    private static SecureRandom chance() {
        try {
            return SecureRandom.getInstance("NativePRNGNonBlocking");
        } catch (NoSuchAlgorithmException e) {
            return new SecureRandom();
        }
    }

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

        private NtruPrime.@Nullable Pair pair;

        @Override
        public void init() {
            NtruPrime.Pair made = ahead();
            pair = made == null ? NtruPrime.generate(chance()) : made;
        }

        private NtruPrime.Pair pair() {
            if (pair == null) {
                throw new IllegalStateException("init was not called");
            }
            return pair;
        }

        @Override
        public byte[] getPublicKey() {
            return pair().publicKey();
        }

        @Override
        public byte[] extractSecret(byte[] encapsulated) {
            if (encapsulated.length != NtruPrime.CIPHERTEXT_BYTES) {
                throw new IllegalArgumentException("wrong sntrup761 ciphertext length");
            }
            return NtruPrime.decapsulate(encapsulated, pair().secretKey());
        }

        @Override
        public int getEncapsulationLength() {
            return NtruPrime.CIPHERTEXT_BYTES;
        }
    }

    /** Encapsulates a secret under the other side's key. */
    private static final class Answering implements Server {

        private NtruPrime.@Nullable Encapsulated made;

        @Override
        public int getPublicKeyLength() {
            return NtruPrime.PUBLIC_BYTES;
        }

        @Override
        public byte[] init(byte[] publicKeys) {
            made =
                    NtruPrime.encapsulate(
                            Arrays.copyOf(publicKeys, NtruPrime.PUBLIC_BYTES), chance());
            return Arrays.copyOfRange(publicKeys, NtruPrime.PUBLIC_BYTES, publicKeys.length);
        }

        private NtruPrime.Encapsulated made() {
            if (made == null) {
                throw new IllegalStateException("init was not called");
            }
            return made;
        }

        @Override
        public byte[] getSecret() {
            return made().secret();
        }

        @Override
        public byte[] getEncapsulation() {
            return made().ciphertext();
        }
    }
}
