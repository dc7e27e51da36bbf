package holdfast.ssh.crypto;

import java.security.GeneralSecurityException;
import org.apache.sshd.common.cipher.Cipher;

/**
 * A cipher that puts the plain text of a packet elsewhere: the JDK's AES takes a copy of what it is
 * to change in place.
 */
public interface PacketCipher extends Cipher {

    /**
     * Decrypts {@code length} bytes of {@code from} at {@code offset}, after which an
     * authentication tag follows if the cipher has one, to the beginning of {@code to}.
     *
     * @throws GeneralSecurityException when they are not the peer's
     */
    void decrypt(byte[] from, int offset, int length, byte[] to) throws GeneralSecurityException;
}
