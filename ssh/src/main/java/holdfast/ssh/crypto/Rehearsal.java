package holdfast.ssh.crypto;

import java.security.GeneralSecurityException;
import java.security.KeyPair;
import java.security.KeyPairGenerator;
import java.util.List;
import javax.crypto.Cipher;
import javax.crypto.KeyAgreement;

/**
 * A login's arithmetic done once for nothing: its classes are ready then, and some of it compiled,
 * when the server speaks.
 */
public final class Rehearsal {

    private Rehearsal() {}

    /**
     * Takes some 20 ms of processor time in a VM that has just begun; and as much again where the
     * server may choose sntrup761, whose key pair is made, to be used.
     *
     * @param kexAlgorithms what will be offered
     */
    public static void run(List<String> kexAlgorithms) {
        exchange();
        if (mayChooseSntrup(kexAlgorithms)) {
            Sntrup761.makeAhead();
        }
    }

    /** What a start-up cache must have seen besides one login: the same with sntrup761. */
    public static void learn() {
        Sntrup761.roundTrip();
    }

    /** As a server with it will, unless it has ML-KEM too: the client's order counts. */
    private static boolean mayChooseSntrup(List<String> kexAlgorithms) {
        for (String name : kexAlgorithms) {
            if (name.startsWith("sntrup761")) {
                return true;
            }
            if (!name.startsWith("mlkem")) {
                return false;
            }
        }
        return false;
    }

    private static void exchange() {
        try {
            Cipher.getInstance("AES/GCM/NoPadding");
            KeyPair pair = KeyPairGenerator.getInstance("X25519").generateKeyPair();
            KeyAgreement agreement = KeyAgreement.getInstance("X25519");
            agreement.init(pair.getPrivate());
            agreement.doPhase(pair.getPublic(), true);
            agreement.generateSecret();
        } catch (GeneralSecurityException e) {
            // What is not there will be missed, with a reason, by whoever needs it.
        }
    }
}
