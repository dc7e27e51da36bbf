package holdfast.ssh.crypto;

import java.security.GeneralSecurityException;
import java.security.KeyPair;
import java.security.KeyPairGenerator;
import javax.crypto.Cipher;
import javax.crypto.KeyAgreement;

/**
 * A login's arithmetic done once for nothing: its classes are ready then, and some of it compiled,
 * when the server speaks.
 */
public final class Rehearsal {

    private Rehearsal() {}

    /** Takes some 20 ms of processor time in a VM that has just begun. */
    public static void run() {
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
