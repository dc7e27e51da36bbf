package holdfast.ssh.crypto;

import java.security.GeneralSecurityException;
import org.apache.sshd.common.mac.Mac;
import org.jspecify.annotations.Nullable;

/**
 * {@code umac-64@openssh.com}, {@code umac-128@openssh.com} and their {@code -etm}: {@link Umac}
 * with the packet's sequence number for the nonce, as OpenSSH's PROTOCOL and mac.c have it.
 *
 * <p>One instance serves one direction between two key exchanges and belongs to the thread that
 * holds that direction's lock.
 */
final class PacketUmac implements Mac {

    private final int tagBytes;
    private final boolean encryptThenMac;
    private @Nullable Umac umac;
    private long sequence;

    PacketUmac(int tagBytes, boolean encryptThenMac) {
        this.tagBytes = tagBytes;
        this.encryptThenMac = encryptThenMac;
    }

    @Override
    public void init(byte[] key) throws GeneralSecurityException {
        umac = new Umac(key, tagBytes);
    }

    /** The sequence number, which the transport says before the packet. */
    @Override
    public void updateUInt(long number) {
        sequence = number;
    }

    @Override
    public void update(byte[] packet, int offset, int length) {
        keyed().update(packet, offset, length);
    }

    @Override
    public void doFinal(byte[] out, int offset) {
        keyed().finish(sequence, out, offset);
    }

    private Umac keyed() {
        Umac it = umac;
        if (it == null) {
            throw new IllegalStateException("UMAC without a key");
        }
        return it;
    }

    @Override
    public String getAlgorithm() {
        return "UMAC";
    }

    @Override
    public int getBlockSize() {
        return tagBytes;
    }

    /** How long the key is. */
    @Override
    public int getDefaultBlockSize() {
        return Umac.KEY_BYTES;
    }

    @Override
    public boolean isEncryptThenMac() {
        return encryptThenMac;
    }

    @Override
    public String toString() {
        return "umac-" + tagBytes * Byte.SIZE + (encryptThenMac ? "-etm" : "") + "@openssh.com";
    }
}
