package holdfast.ssh.crypto;

import java.security.GeneralSecurityException;
import java.util.Arrays;
import javax.crypto.AEADBadTagException;
import javax.crypto.spec.ChaCha20ParameterSpec;
import javax.crypto.spec.SecretKeySpec;
import org.apache.sshd.common.cipher.Cipher;
import org.jspecify.annotations.Nullable;

/**
 * {@code chacha20-poly1305@openssh.com} as OpenSSH's PROTOCOL.chacha20poly1305 states it, with the
 * JDK's ChaCha20, which is an intrinsic of the virtual machine, and with its Poly1305 where that is
 * one too.
 *
 * <p>One instance serves one direction between two key exchanges and belongs to the thread that
 * holds that direction's lock.
 */
final class ChaCha20Poly1305 implements Cipher {

    static final String NAME = "chacha20-poly1305@openssh.com";

    private static final int KEY_BYTES = 32;
    private static final int BLOCK = 64;
    private static final int HEAD_BYTES = 4;

    /** From this length on {@link BorrowedPoly1305} may be worth what it costs to begin. */
    private static final int LONG = 8 * 1024;

    private final javax.crypto.Cipher header;
    private final javax.crypto.Cipher body;
    private final Poly1305 poly = new Poly1305();
    private final byte[] nonce = new byte[12];
    private final byte[] firstBlock = new byte[BLOCK];
    private final byte[] tag = new byte[Poly1305.TAG_BYTES];
    private final byte[] head = new byte[HEAD_BYTES];
    private int headLength; // 0: there is none, as in a key file
    private @Nullable BorrowedPoly1305 borrowed;
    private int longOnes;
    private int firstSequence;
    private int sequence;
    private int operation;
    private SecretKeySpec headerKey = none();
    private SecretKeySpec bodyKey = none();

    ChaCha20Poly1305() {
        try {
            header = javax.crypto.Cipher.getInstance("ChaCha20");
            body = javax.crypto.Cipher.getInstance("ChaCha20");
        } catch (GeneralSecurityException e) {
            throw new IllegalStateException("This Java has no ChaCha20", e);
        }
    }

    private static SecretKeySpec none() {
        return new SecretKeySpec(new byte[KEY_BYTES], "ChaCha20");
    }

    @Override
    public void init(Mode mode, byte[] key, byte[] iv) throws GeneralSecurityException {
        operation =
                mode == Mode.Encrypt
                        ? javax.crypto.Cipher.ENCRYPT_MODE
                        : javax.crypto.Cipher.DECRYPT_MODE;
        // The nonce is the packet's sequence number; the transport hands the first one in the iv.
        System.arraycopy(iv, 0, nonce, 4, 8);
        firstSequence = sequence();
        sequence = firstSequence;
        bodyKey = new SecretKeySpec(key, 0, KEY_BYTES, "ChaCha20");
        headerKey = new SecretKeySpec(key, KEY_BYTES, KEY_BYTES, "ChaCha20");
        arm();
    }

    private int sequence() {
        return (nonce[8] & 0xff) << 24
                | (nonce[9] & 0xff) << 16
                | (nonce[10] & 0xff) << 8
                | (nonce[11] & 0xff);
    }

    /**
     * Makes ready for the packet of the present nonce. The JDK refuses a second init with an equal
     * key and nonce, so each packet gets exactly one, and the body's first block (the Poly1305 key)
     * is taken from the same stream as the body.
     */
    private void arm() throws GeneralSecurityException {
        ChaCha20ParameterSpec start = new ChaCha20ParameterSpec(nonce, 0);
        header.init(operation, headerKey, start);
        body.init(operation, bodyKey, start);
        Arrays.fill(firstBlock, (byte) 0);
        body.update(firstBlock, 0, BLOCK, firstBlock, 0);
        poly.init(firstBlock, 0);
    }

    @Override
    public void updateAAD(byte[] data, int offset, int length) throws GeneralSecurityException {
        if (length != HEAD_BYTES) {
            throw new IllegalArgumentException("a head of " + length + " bytes");
        }
        if (operation == javax.crypto.Cipher.DECRYPT_MODE) {
            System.arraycopy(data, offset, head, 0, HEAD_BYTES);
            header.doFinal(data, offset, HEAD_BYTES, data, offset);
        } else {
            header.doFinal(data, offset, HEAD_BYTES, data, offset);
            System.arraycopy(data, offset, head, 0, HEAD_BYTES);
        }
        headLength = HEAD_BYTES;
    }

    @Override
    public void update(byte[] data, int offset, int length) throws GeneralSecurityException {
        int tagAt = offset + length;
        if (operation == javax.crypto.Cipher.DECRYPT_MODE) {
            authenticate(data, offset, length, tag, 0);
            if (!equal(tag, data, tagAt)) {
                throw new AEADBadTagException("Corrupted MAC on input.");
            }
            body.doFinal(data, offset, length, data, offset);
        } else {
            body.doFinal(data, offset, length, data, offset);
            authenticate(data, offset, length, data, tagAt);
        }
        headLength = 0;
        next();
    }

    /** Writes the tag of the head and of what follows it, both encrypted. */
    private void authenticate(byte[] data, int offset, int length, byte[] out, int outOffset)
            throws GeneralSecurityException {
        boolean isLong = length >= LONG && headLength == HEAD_BYTES;
        if (isLong && BorrowedPoly1305.isQuicker()) {
            borrowed().tag(bodyKey, nonce, poly, head, data, offset, length, out, outOffset);
            return;
        }
        long began = System.nanoTime();
        poly.update(head, 0, headLength);
        poly.update(data, offset, length);
        poly.finish(out, outOffset);
        if (isLong && BorrowedPoly1305.isSampled(++longOnes)) {
            long took = System.nanoTime() - began;
            borrowed().sample(took, bodyKey, nonce, poly, head, data, offset, length);
        }
    }

    private BorrowedPoly1305 borrowed() {
        BorrowedPoly1305 it = borrowed;
        if (it == null) {
            it = new BorrowedPoly1305();
            borrowed = it;
        }
        return it;
    }

    /** Compares in a time that does not depend on where the tags differ. */
    private static boolean equal(byte[] tag, byte[] data, int offset) {
        int difference = 0;
        for (int i = 0; i < Poly1305.TAG_BYTES; i++) {
            difference |= tag[i] ^ data[offset + i];
        }
        return difference == 0;
    }

    private void next() throws GeneralSecurityException {
        sequence++;
        if (sequence == firstSequence) {
            throw new IllegalStateException(
                    "All packet sequence numbers of this key are used up without a key exchange");
        }
        nonce[8] = (byte) (sequence >>> 24);
        nonce[9] = (byte) (sequence >>> 16);
        nonce[10] = (byte) (sequence >>> 8);
        nonce[11] = (byte) sequence;
        arm();
    }

    /** The transport numbers our first packet by this prefix; see AbstractSession. */
    @Override
    public String getAlgorithm() {
        return "ChaCha20";
    }

    @Override
    public String getTransformation() {
        return "ChaCha20";
    }

    @Override
    public int getIVSize() {
        return 8;
    }

    @Override
    public int getAuthenticationTagSize() {
        return Poly1305.TAG_BYTES;
    }

    @Override
    public int getCipherBlockSize() {
        return 8;
    }

    @Override
    public int getKdfSize() {
        return 2 * KEY_BYTES;
    }

    @Override
    public int getKeySize() {
        return 2 * KEY_BYTES * Byte.SIZE;
    }

    @Override
    public String toString() {
        return NAME;
    }
}
