package holdfast.ssh.crypto;

import java.security.GeneralSecurityException;
import java.security.SecureRandom;
import java.util.Arrays;
import javax.crypto.Cipher;
import javax.crypto.spec.IvParameterSpec;
import javax.crypto.spec.SecretKeySpec;
import org.apache.sshd.common.random.Random;
import org.apache.sshd.common.random.RandomFactory;
import org.jspecify.annotations.Nullable;

/**
 * The random bytes that every packet is padded with (RFC 4253 section 6), and the cookies of key
 * exchanges.
 *
 * <p>The system's generator gives the first ones. A connection that sends many packets gets them
 * from a key stream that the system's generator has seeded and that replaces its own key with each
 * refill, as OpenSSH's arc4random does: the JDK's generator costs more than the packet's
 * encryption.
 */
public final class PacketRandom implements RandomFactory, Random {

    /**
     * So many requests a connection makes that does nothing much; the key stream would be wasted.
     */
    private static final int FEW = 64;

    /** Large, because a new key costs as much as many kilobytes of the stream. */
    private static final int POOL_BYTES = 64 * 1024;

    private static final int KEY_BYTES = 32;

    private final SecureRandom system = new SecureRandom();

    // Guarded by this.
    private int requests;
    private byte[] pool = new byte[0];
    private int next;
    private @Nullable Cipher stream;

    @Override
    public synchronized void fill(byte[] bytes, int start, int length) {
        if (requests < FEW) {
            requests++;
            byte[] some = new byte[length];
            system.nextBytes(some);
            System.arraycopy(some, 0, bytes, start, length);
            return;
        }
        for (int done = 0; done < length; ) {
            if (next == pool.length) {
                refill();
            }
            int some = Math.min(length - done, pool.length - next);
            System.arraycopy(pool, next, bytes, start + done, some);
            Arrays.fill(pool, next, next + some, (byte) 0);
            next += some;
            done += some;
        }
    }

    private void refill() {
        try {
            Cipher cipher = stream;
            if (cipher == null) {
                cipher = Cipher.getInstance("AES/CTR/NoPadding");
                stream = cipher;
                pool = new byte[POOL_BYTES];
                byte[] seed = new byte[KEY_BYTES];
                system.nextBytes(seed);
                System.arraycopy(seed, 0, pool, 0, KEY_BYTES);
            }
            // The pool's beginning is never given out: it is the key of the pool to come.
            cipher.init(
                    Cipher.ENCRYPT_MODE,
                    new SecretKeySpec(pool, 0, KEY_BYTES, "AES"),
                    new IvParameterSpec(new byte[16]));
            Arrays.fill(pool, (byte) 0);
            cipher.doFinal(pool, 0, POOL_BYTES, pool, 0);
            next = KEY_BYTES;
        } catch (GeneralSecurityException e) {
            throw new IllegalStateException("This Java has no AES-CTR", e);
        }
    }

    @Override
    public int random(int bound) {
        return system.nextInt(bound);
    }

    @Override
    public Random create() {
        return this;
    }

    @Override
    public boolean isSupported() {
        return true;
    }

    @Override
    public String getName() {
        return "packets";
    }
}
