package holdfast.core.tether;

import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * What an identification line says of the tether (PROTOCOL.md section 2). It stands in the comment
 * of the line, where every other implementation of SSH overlooks it (RFC 4253 section 4.2), or on a
 * line of its own before the server's.
 */
public sealed interface TetherLine {

    /** The longest line that can say anything, its end included (RFC 4253 section 4.2). */
    int LONGEST = 255;

    /** A window is announced in units of this many bytes. */
    int WINDOW_UNIT = 1024;

    /** The smallest window that may be announced, in units. */
    int LEAST_WINDOW = 64;

    /** The largest. */
    int MOST_WINDOW = 0xffff;

    /**
     * The sender is ready for a tether, from the byte after its identification line on.
     *
     * @param window how many bytes it takes unacknowledged, in units
     * @param key its ephemeral X25519 key
     * @param nonce fresh for this connection
     */
    record Offer(int window, Bytes key, Bytes nonce) implements TetherLine {

        /** As a word of the comment. */
        public String word() {
            return OFFER + blob();
        }

        /** As the word by which a client accepts whose own identification is to follow in DATA. */
        public String carryWord() {
            return CARRY + blob();
        }

        private String blob() {
            byte[] bytes = new byte[OFFER_BYTES];
            bytes[0] = (byte) (window >>> 8);
            bytes[1] = (byte) window;
            System.arraycopy(key.toArray(), 0, bytes, 2, KEY);
            System.arraycopy(nonce.toArray(), 0, bytes, 2 + KEY, NONCE);
            return Bytes.base64(bytes);
        }
    }

    /** Accepts the server's offer, for an SSH client whose own lines follow in DATA. */
    record Carry(Offer offer) implements TetherLine {}

    /**
     * Asks for a tether that there is.
     *
     * @param id as the server named it
     * @param generation greater than that of any carrier before
     * @param received how many of the server's bytes the client has
     * @param taken how many of them its program has taken
     * @param proof that the client holds the tether's key, over all of this and the server's line
     */
    record Resume(Bytes id, long generation, long received, long taken, Bytes nonce, Bytes proof)
            implements TetherLine {

        /** As the word of the comment. */
        public String word() {
            byte[] bytes = Arrays.copyOf(unproved(), RESUME_BYTES);
            System.arraycopy(
                    proof.toArray(), 0, bytes, RESUME_BYTES - Resumption.PROOF, Resumption.PROOF);
            return RESUME + Bytes.base64(bytes);
        }

        /** All but the proof. */
        byte[] unproved() {
            byte[] bytes = new byte[RESUME_BYTES - Resumption.PROOF];
            System.arraycopy(id.toArray(), 0, bytes, 0, Resumption.ID);
            int at = Numbers.putLong(generation, bytes, Resumption.ID);
            at = Numbers.putLong(received, bytes, at);
            at = Numbers.putLong(taken, bytes, at);
            System.arraycopy(nonce.toArray(), 0, bytes, at, NONCE);
            return bytes;
        }
    }

    String OFFER = "tether-1=";
    String CARRY = "tether-1-carry=";
    String RESUME = "tether-1-resume=";
    int KEY = 32;
    int NONCE = 16;
    int OFFER_BYTES = 2 + KEY + NONCE;
    int RESUME_BYTES = Resumption.ID + 3 * 8 + NONCE + Resumption.PROOF;

    /**
     * What {@code line} says, its end taken off; null: nothing that tether-1 knows. A line in which
     * anything is amiss says nothing: it is somebody else's.
     */
    static @Nullable TetherLine of(String line) {
        if (line.length() > LONGEST - 2) {
            return null;
        }
        for (int i = 0; i < line.length(); i++) {
            if (line.charAt(i) < ' ' || line.charAt(i) > '~') {
                return null;
            }
        }
        if (line.startsWith(OFFER)) {
            return offer(line.substring(OFFER.length()));
        }
        if (!line.startsWith("SSH-2.0-")) {
            return null;
        }
        String[] words = line.split(" ", -1);
        for (int i = 1; i < words.length; i++) {
            String word = words[i];
            if (word.startsWith(OFFER)) {
                return offer(word.substring(OFFER.length()));
            }
            if (word.startsWith(CARRY)) {
                Offer offer = offer(word.substring(CARRY.length()));
                return offer == null ? null : new Carry(offer);
            }
            if (word.startsWith(RESUME)) {
                return resume(word.substring(RESUME.length()));
            }
        }
        return null;
    }

    private static @Nullable Offer offer(String blob) {
        byte[] bytes = Bytes.ofBase64(blob, OFFER_BYTES);
        if (bytes.length == 0) {
            return null;
        }
        int window = (bytes[0] & 0xff) << 8 | (bytes[1] & 0xff);
        return window < LEAST_WINDOW
                ? null
                : new Offer(window, Bytes.of(bytes, 2, KEY), Bytes.of(bytes, 2 + KEY, NONCE));
    }

    private static @Nullable Resume resume(String blob) {
        byte[] bytes = Bytes.ofBase64(blob, RESUME_BYTES);
        if (bytes.length == 0) {
            return null;
        }
        int at = Resumption.ID;
        long generation = Numbers.getLong(bytes, at);
        long received = Numbers.getLong(bytes, at + 8);
        long taken = Numbers.getLong(bytes, at + 16);
        if (generation <= 0 || taken < 0 || received < taken) {
            return null;
        }
        return new Resume(
                Bytes.of(bytes, 0, Resumption.ID),
                generation,
                received,
                taken,
                Bytes.of(bytes, at + 24, NONCE),
                Bytes.of(bytes, at + 24 + NONCE, Resumption.PROOF));
    }
}
