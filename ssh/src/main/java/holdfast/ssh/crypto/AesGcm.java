package holdfast.ssh.crypto;

import java.security.GeneralSecurityException;
import java.util.Arrays;
import javax.crypto.spec.GCMParameterSpec;
import javax.crypto.spec.SecretKeySpec;

/**
 * {@code aes128-gcm@openssh.com} and {@code aes256-gcm@openssh.com} (RFC 5647, OpenSSH PROTOCOL
 * section 1.6).
 *
 * <p>One instance serves one direction between two key exchanges and belongs to the thread that
 * holds that direction's lock.
 */
final class AesGcm implements PacketCipher {

    private static final int IV_BYTES = 12;
    private static final int COUNTER_AT = 4;
    private static final int TAG_BYTES = 16;

    private final int keyBytes;
    private final javax.crypto.Cipher jdk;
    private final byte[] iv = new byte[IV_BYTES];
    private byte[] firstIv = iv;
    private SecretKeySpec key;
    private int operation;
    private boolean armed;

    AesGcm(int keyBytes) {
        this.keyBytes = keyBytes;
        this.key = new SecretKeySpec(new byte[keyBytes], "AES");
        try {
            jdk = javax.crypto.Cipher.getInstance("AES/GCM/NoPadding");
        } catch (GeneralSecurityException e) {
            throw new IllegalStateException("This Java has no AES-GCM", e);
        }
    }

    @Override
    public void init(Mode mode, byte[] key, byte[] iv) {
        operation =
                mode == Mode.Encrypt
                        ? javax.crypto.Cipher.ENCRYPT_MODE
                        : javax.crypto.Cipher.DECRYPT_MODE;
        this.key = new SecretKeySpec(key, 0, keyBytes, "AES");
        System.arraycopy(iv, 0, this.iv, 0, IV_BYTES);
        firstIv = this.iv.clone();
        armed = false;
    }

    /** Makes ready for the packet of the present counter, once. */
    private javax.crypto.Cipher armed() throws GeneralSecurityException {
        if (!armed) {
            jdk.init(operation, key, new GCMParameterSpec(TAG_BYTES * Byte.SIZE, iv));
            armed = true;
        }
        return jdk;
    }

    @Override
    public void updateAAD(byte[] data, int offset, int length) throws GeneralSecurityException {
        armed().updateAAD(data, offset, length);
    }

    @Override
    public void update(byte[] data, int offset, int length) throws GeneralSecurityException {
        int whole = operation == javax.crypto.Cipher.DECRYPT_MODE ? length + TAG_BYTES : length;
        armed().doFinal(data, offset, whole, data, offset);
        next();
    }

    @Override
    public void decrypt(byte[] from, int offset, int length, byte[] to)
            throws GeneralSecurityException {
        armed().doFinal(from, offset, length + TAG_BYTES, to, 0);
        next();
    }

    /** The counter is a number of eight bytes and may run over its end (RFC 5647 section 7.1). */
    private void next() {
        armed = false;
        int at = IV_BYTES - 1;
        while (++iv[at] == 0 && at > COUNTER_AT) {
            at--;
        }
        if (Arrays.equals(iv, firstIv)) {
            throw new IllegalStateException("GCM IV would be reused");
        }
    }

    @Override
    public String getAlgorithm() {
        return "AES";
    }

    @Override
    public String getTransformation() {
        return "AES/GCM/NoPadding";
    }

    @Override
    public int getIVSize() {
        return IV_BYTES;
    }

    @Override
    public int getAuthenticationTagSize() {
        return TAG_BYTES;
    }

    @Override
    public int getCipherBlockSize() {
        return 16;
    }

    @Override
    public int getKdfSize() {
        return keyBytes;
    }

    @Override
    public int getKeySize() {
        return keyBytes * Byte.SIZE;
    }

    @Override
    public String toString() {
        return "aes" + getKeySize() + "-gcm@openssh.com";
    }
}
