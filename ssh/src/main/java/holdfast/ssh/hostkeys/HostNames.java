package holdfast.ssh.hostkeys;

import holdfast.ssh.octets.Octets;
import java.nio.charset.StandardCharsets;
import java.security.DigestException;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.security.SecureRandom;
import java.util.Arrays;
import java.util.Base64;
import org.jspecify.annotations.Nullable;

/**
 * One name held against the first word of known_hosts lines: a list of patterns (OpenSSH's
 * match_hostname) or a hash (its host_hash). Made once for each name looked up; not thread-safe.
 */
final class HostNames {

    /** What a first word says about the name. */
    enum Match {
        NO,
        YES,
        /** A hash that cannot be one. */
        BROKEN
    }

    private static final int SHA1_LENGTH = 20;
    private static final int SHA1_BLOCK = 64;

    /** Letters of Base64, padding included, for as many bytes. */
    private static final int ENCODED_LENGTH = 28;

    /** RFC 2104. */
    private static final byte INNER_PAD = 0x36;

    private static final byte OUTER_PAD = 0x5c;

    /** match.c: a longer pattern makes its whole list match nothing. */
    private static final int LONGEST_PATTERN = 1022;

    /** hostfile.c: a longer salt is not even decoded. */
    private static final int LONGEST_SALT = 1024;

    private final byte[] name;
    private final byte[] salt = new byte[SHA1_LENGTH];
    private final byte[] inner = new byte[SHA1_BLOCK];
    private final byte[] outer = new byte[SHA1_BLOCK];
    private final byte[] hash = new byte[SHA1_LENGTH];
    private @Nullable MessageDigest sha1;

    /**
     * @param name is looked up in lower case
     */
    HostNames(String name) {
        this.name = Octets.bytes(lower(name));
    }

    /** Lower case as C's tolower in every locale: ASCII only. */
    static String lower(String text) {
        StringBuilder lower = new StringBuilder(text.length());
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            lower.append(c >= 'A' && c <= 'Z' ? (char) (c + 32) : c);
        }
        return lower.toString();
    }

    /** A new hashed form of a name, {@code |1|SALT|HASH}. */
    static String hashed(String name) {
        HostNames names = new HostNames(name);
        new SecureRandom().nextBytes(names.salt);
        names.hmac();
        Base64.Encoder base64 = Base64.getEncoder();
        return "|1|" + base64.encodeToString(names.salt) + '|' + base64.encodeToString(names.hash);
    }

    /** Whether the word between two offsets names the host. */
    Match match(byte[] line, int from, int to) {
        if (from < to && line[from] == '|') {
            return matchHash(line, from, to);
        }
        return matchList(line, from, to) ? Match.YES : Match.NO;
    }

    private Match matchHash(byte[] line, int from, int to) {
        if (to - from < 3 || line[from + 1] != '1' || line[from + 2] != '|') {
            return Match.BROKEN;
        }
        int saltAt = from + 3;
        int bar = saltAt;
        while (bar < to && line[bar] != '|') {
            bar++;
        }
        if (bar == to || bar == saltAt || bar - saltAt > LONGEST_SALT) {
            return Match.BROKEN;
        }
        if (bar - saltAt != ENCODED_LENGTH || !decodeSalt(line, saltAt)) {
            byte[] odd =
                    HostKey.strictBase64(
                            new String(line, saltAt, bar - saltAt, StandardCharsets.ISO_8859_1));
            // A salt spelled otherwise is no match even if it is one: OpenSSH compares the text.
            return odd == null || odd.length != SHA1_LENGTH ? Match.BROKEN : Match.NO;
        }
        if (to - bar - 1 != ENCODED_LENGTH) {
            return Match.NO;
        }
        hmac();
        return sameHash(line, bar + 1) ? Match.YES : Match.NO;
    }

    /**
     * Reads 28 letters into the salt; false where they are not the one spelling of 20 bytes. By
     * hand because it is done for every line of a hashed file, while nothing is compiled yet.
     */
    private boolean decodeSalt(byte[] line, int from) {
        int bits = 0;
        int out = 0;
        for (int i = 0; i < ENCODED_LENGTH - 1; i++) {
            int value = value(line[from + i]);
            if (value < 0) {
                return false;
            }
            bits = bits << 6 | value;
            if ((i & 3) == 3) {
                salt[out++] = (byte) (bits >> 16);
                salt[out++] = (byte) (bits >> 8);
                salt[out++] = (byte) bits;
            }
        }
        // Of the last three letters' 18 bits two are over.
        salt[out++] = (byte) (bits >> 10);
        salt[out] = (byte) (bits >> 2);
        return (bits & 3) == 0 && line[from + ENCODED_LENGTH - 1] == '=';
    }

    private boolean sameHash(byte[] line, int from) {
        // The first letter tells nearly every other hash.
        if (value(line[from]) != (hash[0] & 0xff) >> 2) {
            return false;
        }
        byte[] encoded = Base64.getEncoder().encode(hash);
        return Arrays.equals(line, from, from + ENCODED_LENGTH, encoded, 0, ENCODED_LENGTH);
    }

    private static int value(byte letter) {
        if (letter >= 'a') {
            return letter <= 'z' ? letter - 'a' + 26 : -1;
        } else if (letter >= 'A') {
            return letter <= 'Z' ? letter - 'A' : -1;
        } else if (letter >= '0') {
            return letter <= '9' ? letter - '0' + 52 : -1;
        }
        return letter == '+' ? 62 : letter == '/' ? 63 : -1;
    }

    /** HMAC-SHA1 by hand: the provider framework around Mac costs more than the hash. */
    private void hmac() {
        try {
            MessageDigest digest = sha1;
            if (digest == null) {
                digest = MessageDigest.getInstance("SHA-1");
                sha1 = digest;
                Arrays.fill(inner, INNER_PAD);
                Arrays.fill(outer, OUTER_PAD);
            }
            for (int i = 0; i < SHA1_LENGTH; i++) {
                inner[i] = (byte) (salt[i] ^ INNER_PAD);
                outer[i] = (byte) (salt[i] ^ OUTER_PAD);
            }
            digest.update(inner);
            digest.update(name);
            digest.digest(hash, 0, SHA1_LENGTH);
            digest.update(outer);
            digest.update(hash);
            digest.digest(hash, 0, SHA1_LENGTH);
        } catch (NoSuchAlgorithmException | DigestException e) {
            throw new IllegalStateException("every Java runtime has SHA-1", e);
        }
    }

    private boolean matchList(byte[] line, int from, int to) {
        boolean found = false;
        for (int at = from; at < to; ) {
            boolean negated = line[at] == '!';
            if (negated) {
                at++;
            }
            int end = at;
            while (end < to && line[end] != ',') {
                end++;
            }
            if (end - at > LONGEST_PATTERN) {
                return false;
            }
            if (matchPattern(line, at, end)) {
                if (negated) {
                    return false;
                }
                found = true;
            }
            at = end + 1;
        }
        return found;
    }

    /** {@code *} and {@code ?}, without recursion: a hostile pattern costs its length, no more. */
    private boolean matchPattern(byte[] line, int from, int to) {
        int at = from;
        int in = 0;
        int star = -1;
        int starIn = 0;
        while (in < name.length) {
            if (at < to && line[at] == '*') {
                star = at++;
                starIn = in;
            } else if (at < to && (line[at] == '?' || lower(line[at]) == name[in])) {
                at++;
                in++;
            } else if (star >= 0) {
                at = star + 1;
                in = ++starIn;
            } else {
                return false;
            }
        }
        while (at < to && line[at] == '*') {
            at++;
        }
        return at == to;
    }

    private static byte lower(byte c) {
        return c >= 'A' && c <= 'Z' ? (byte) (c + 32) : c;
    }
}
