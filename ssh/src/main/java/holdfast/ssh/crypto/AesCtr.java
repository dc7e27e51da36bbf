package holdfast.ssh.crypto;

import java.security.GeneralSecurityException;
import javax.crypto.spec.IvParameterSpec;
import javax.crypto.spec.SecretKeySpec;

/**
 * {@code aes128-ctr}, {@code aes192-ctr} and {@code aes256-ctr} (RFC 4344 section 4).
 *
 * <p>One instance serves one direction between two key exchanges and belongs to the thread that
 * holds that direction's lock.
 */
final class AesCtr implements PacketCipher {

    private static final int BLOCK = 16;

    /**
     * What is changed in place passes through a piece that stays in the processor's first cache.
     */
    private static final int PIECE = 8 * 1024;

    private final int keyBytes;
    private final javax.crypto.Cipher jdk;
    private final byte[] piece = new byte[PIECE];

    AesCtr(int keyBytes) {
        this.keyBytes = keyBytes;
        try {
            jdk = javax.crypto.Cipher.getInstance("AES/CTR/NoPadding");
        } catch (GeneralSecurityException e) {
            throw new IllegalStateException("This Java has no AES-CTR", e);
        }
    }

    @Override
    public void init(Mode mode, byte[] key, byte[] iv) throws GeneralSecurityException {
        jdk.init(
                mode == Mode.Encrypt
                        ? javax.crypto.Cipher.ENCRYPT_MODE
                        : javax.crypto.Cipher.DECRYPT_MODE,
                new SecretKeySpec(key, 0, keyBytes, "AES"),
                new IvParameterSpec(iv, 0, BLOCK));
    }

    @Override
    public void update(byte[] data, int offset, int length) throws GeneralSecurityException {
        for (int done = 0; done < length; done += PIECE) {
            int some = Math.min(PIECE, length - done);
            whole(some, jdk.update(data, offset + done, some, piece, 0));
            System.arraycopy(piece, 0, data, offset + done, some);
        }
    }

    @Override
    public void decrypt(byte[] from, int offset, int length, byte[] to)
            throws GeneralSecurityException {
        whole(length, jdk.update(from, offset, length, to, 0));
    }

    /** The key stream has no blocks to wait for: what goes in comes out. */
    private static void whole(int in, int out) {
        if (in != out) {
            throw new IllegalStateException("AES-CTR gave " + out + " bytes for " + in);
        }
    }

    @Override
    public void updateAAD(byte[] data, int offset, int length) {
        throw new UnsupportedOperationException("AES-CTR authenticates nothing");
    }

    @Override
    public String getAlgorithm() {
        return "AES";
    }

    @Override
    public String getTransformation() {
        return "AES/CTR/NoPadding";
    }

    @Override
    public int getIVSize() {
        return BLOCK;
    }

    @Override
    public int getAuthenticationTagSize() {
        return 0;
    }

    @Override
    public int getCipherBlockSize() {
        return BLOCK;
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
        return "aes" + getKeySize() + "-ctr";
    }
}
