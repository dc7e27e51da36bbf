package holdfast.ssh.client;

import holdfast.ssh.crypto.PacketCipher;
import java.time.Instant;
import org.apache.sshd.client.ClientFactoryManager;
import org.apache.sshd.client.session.ClientSessionImpl;
import org.apache.sshd.common.SshConstants;
import org.apache.sshd.common.SshException;
import org.apache.sshd.common.cipher.Cipher;
import org.apache.sshd.common.compression.Compression;
import org.apache.sshd.common.io.IoSession;
import org.apache.sshd.common.kex.KexProposalOption;
import org.apache.sshd.common.util.Readable;
import org.apache.sshd.common.util.buffer.Buffer;
import org.apache.sshd.common.util.buffer.ByteArrayBuffer;
import org.jspecify.annotations.Nullable;

/**
 * MINA's client session with the taking apart of packets (RFC 4253 section 6) done anew: MINA moves
 * all that waits forward after each packet and decrypts in place, which costs more than the
 * decryption.
 */
class PacketSession extends ClientSessionImpl {

    /** A packet that cannot have been sent so, with OpenSSH's words for it. */
    static final class Corrupt extends SshException {
        private static final long serialVersionUID = 1;

        static final String BAD_MAC = "message authentication code incorrect";
        static final String CONNECTION = "Connection corrupted";
        static final String PACKET = "Packet corrupt";

        private final @Nullable String finding;
        private final String verdict;

        /**
         * @param finding for the log; null: nothing
         * @param verdict why the connection ends
         * @param farewell what the peer is told
         */
        Corrupt(@Nullable String finding, String verdict, String farewell) {
            super(SshConstants.SSH2_DISCONNECT_PROTOCOL_ERROR, farewell);
            this.finding = finding;
            this.verdict = verdict;
        }

        @Nullable String finding() {
            return finding;
        }

        String verdict() {
            return verdict;
        }
    }

    /** What the length field takes. */
    private static final int LENGTH_BYTES = Integer.BYTES;

    /** OpenSSH's PACKET_MAX_SIZE. */
    private static final int LONGEST = 256 * 1024;

    /** RFC 4253 section 6. */
    private static final int LEAST_PADDING = 4;

    private static final int FIRST_ROOM = 64 * 1024;

    // Guarded by the decodeLock. What came and is not yet handled is inbox[from, to).
    private byte[] inbox = new byte[FIRST_ROOM];
    private int from;
    private int to;
    private byte[] plain = new byte[0];
    private @Nullable Buffer packet;

    PacketSession(ClientFactoryManager manager, IoSession io) throws Exception {
        super(manager, io);
    }

    @Override
    public void messageReceived(Readable bytes) throws Exception {
        decodeLock.lock();
        try {
            take(bytes);
            if (clientVersion == null || serverVersion == null) {
                Buffer lines = new ByteArrayBuffer(inbox, from, to - from);
                boolean identified = readIdentification(lines);
                from = lines.rpos();
                to = lines.wpos();
                if (!identified) {
                    return;
                }
            }
            decode();
        } finally {
            decodeLock.unlock();
        }
    }

    private void take(Readable bytes) {
        int count = bytes.available();
        int left = to - from;
        if (left == 0) {
            from = 0;
            to = 0;
        }
        if (inbox.length - to < count) {
            byte[] room = inbox;
            if (room.length < left + count) {
                room = new byte[Math.max(left + count, 2 * room.length)];
            }
            System.arraycopy(inbox, from, room, 0, left);
            inbox = room;
            from = 0;
            to = left;
        }
        bytes.getRawBytes(inbox, to, count);
        to += count;
    }

    /** Takes apart and handles every packet that is there as a whole. */
    @Override
    protected void decode() throws Exception {
        while (decoderState == 1 || lengthKnown()) {
            Cipher cipher = inCipher;
            int tag = cipher == null ? 0 : cipher.getAuthenticationTagSize();
            int mac = inMac == null ? 0 : inMacSize;
            int length = decoderLength;
            decoderState = 1;
            if (to - from < LENGTH_BYTES + length + mac + tag) {
                return;
            }
            byte[] clear = inbox;
            int body = from + LENGTH_BYTES;
            if (tag > 0 || etm()) {
                if (tag == 0) {
                    validateIncomingMac(inbox, from, LENGTH_BYTES + length);
                }
                if (cipher instanceof PacketCipher apart) {
                    clear = roomFor(length);
                    apart.decrypt(inbox, body, length, clear);
                    body = 0;
                } else if (cipher != null) {
                    cipher.update(inbox, body, length);
                }
                count(length);
            } else {
                // The first block is plain already: the length stands in it.
                if (cipher != null) {
                    int rest = LENGTH_BYTES + length - inCipherSize;
                    cipher.update(inbox, from + inCipherSize, rest);
                    count(rest);
                }
                validateIncomingMac(inbox, from, LENGTH_BYTES + length);
            }
            SshException bad = discarding;
            if (bad != null) {
                throw bad;
            }
            seqi = (seqi + 1L) & 0xffffffffL;
            int padding = clear[body] & 0xff;
            int size = length - 1 - padding;
            if (padding < LEAST_PADDING) {
                throw new Corrupt(
                        null, Corrupt.CONNECTION, "Corrupted padlen " + padding + " on input.");
            }
            if (size < 1) {
                throw new Corrupt(null, "incomplete message", Corrupt.PACKET);
            }
            inPacketsCount.incrementAndGet();
            inBytesCount.addAndGet(size);
            Buffer whole = unpacked(new ByteArrayBuffer(clear, body + 1, size));
            packet = whole;
            handleMessage(whole);
            from += LENGTH_BYTES + length + mac + tag;
            decoderState = 0;
        }
    }

    /**
     * The same for packets as a master passes them (OpenSSH's ssh_packet_read_poll2_mux): a length,
     * how much padding there is, and the payload.
     */
    final void decodeBare() throws Exception {
        while (to - from >= LENGTH_BYTES) {
            int length = length();
            if (length < 2 || length > LONGEST) {
                throw new Corrupt(null, "incomplete message", Corrupt.PACKET);
            }
            int body = from + LENGTH_BYTES;
            if (to - body < length) {
                return;
            }
            int padding = inbox[body] & 0xff;
            int size = padding < length - 1 ? length - 1 - padding : length - 1;
            Buffer whole = new ByteArrayBuffer(inbox, body + 1, size);
            packet = whole;
            handleMessage(whole);
            from = body + length;
        }
    }

    private int length() {
        return ((inbox[from] & 0xff) << 24)
                | ((inbox[from + 1] & 0xff) << 16)
                | ((inbox[from + 2] & 0xff) << 8)
                | (inbox[from + 3] & 0xff);
    }

    private Buffer unpacked(Buffer payload) throws Exception {
        Compression compression = inCompression;
        if (compression == null
                || !compression.isCompressionExecuted()
                || (compression.isDelayed() && !isAuthenticated())) {
            return payload;
        }
        Buffer larger = new ByteArrayBuffer();
        compression.uncompress(payload, larger);
        return larger;
    }

    private boolean etm() {
        return inMac != null && inMac.isEncryptThenMac();
    }

    private void count(int bytes) {
        if (inCipher != null) {
            inBlocksCount.addAndGet(Math.max(1, bytes / inCipherSize));
        }
    }

    private byte[] roomFor(int length) {
        if (plain.length < length) {
            plain = new byte[Math.max(length, FIRST_ROOM)];
        }
        return plain;
    }

    /** Reads the length of the next packet into decoderLength, if so much of it is there. */
    private boolean lengthKnown() throws Exception {
        Cipher cipher = inCipher;
        boolean aead = cipher != null && cipher.getAuthenticationTagSize() > 0;
        boolean apart = aead || etm();
        if (to - from <= (apart ? LENGTH_BYTES : inCipherSize)) {
            return false;
        }
        if (aead) {
            cipher.updateAAD(inbox, from, LENGTH_BYTES);
        } else if (cipher != null && !apart) {
            cipher.update(inbox, from, inCipherSize);
            inBlocksCount.incrementAndGet();
        }
        int length = length();
        boolean aligned =
                cipher == null || (length + (apart ? 0 : LENGTH_BYTES)) % inCipherSize == 0;
        if (length < SshConstants.SSH_PACKET_HEADER_LEN || length > LONGEST || !aligned) {
            length = refused(length, apart, aligned);
        }
        decoderLength = length;
        return true;
    }

    /**
     * Refuses a packet of that length. With a cipher in CBC mode it must look like a bad MAC from
     * outside (CVE-2008-5161): then it is refused only after some more bytes, whose number says
     * nothing.
     *
     * @return how long the packet is to be taken for
     */
    private int refused(int length, boolean apart, boolean aligned) throws Corrupt {
        boolean inBounds = length >= SshConstants.SSH_PACKET_HEADER_LEN && length <= LONGEST;
        int need = apart ? length : length + LENGTH_BYTES - inCipherSize;
        Corrupt corrupt =
                inBounds && !aligned
                        ? new Corrupt(
                                "padding error: need "
                                        + need
                                        + " block "
                                        + inCipherSize
                                        + " mod "
                                        + need % inCipherSize,
                                Corrupt.BAD_MAC,
                                Corrupt.PACKET)
                        : new Corrupt(
                                "Bad packet length " + Integer.toUnsignedString(length) + ".",
                                apart ? Corrupt.CONNECTION : Corrupt.BAD_MAC,
                                Corrupt.PACKET);
        String cipher = getNegotiatedKexParameter(KexProposalOption.S2CENC);
        if (apart || inCipher == null || cipher == null || !cipher.endsWith("-cbc")) {
            throw corrupt;
        }
        discarding = corrupt;
        int more = to - from + (2 + random.random(20)) * inCipherSize;
        int blocks = (more + inCipherSize - 1) / inCipherSize * inCipherSize;
        return blocks - LENGTH_BYTES;
    }

    /** There is no idle timeout: no packet needs to know what time it is. */
    @Override
    public Instant resetIdleTimeout() {
        return getIdleTimeoutStart();
    }

    /** Nobody may put an answer where the packet that is being handled stands. */
    @Override
    @SuppressWarnings("ReferenceEquality") // the same memory is meant, not the same bytes
    protected <B extends Buffer> B validateTargetBuffer(int cmd, B buffer) {
        if (packet != null && buffer.array() == packet.array()) {
            throw new IllegalArgumentException("an answer in the packet it answers: " + cmd);
        }
        return super.validateTargetBuffer(cmd, buffer);
    }
}
