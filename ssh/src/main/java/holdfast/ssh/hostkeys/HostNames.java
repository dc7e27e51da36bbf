package holdfast.ssh.hostkeys;

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

    /** match.c: a longer pattern makes its whole list match nothing. */
    private static final int LONGEST_PATTERN = 1022;

    /** hostfile.c: a longer salt is not even decoded. */
    private static final int LONGEST_SALT = 1024;

    private final byte[] name;
    private final byte[] block = new byte[SHA1_BLOCK];
    private final byte[] hash = new byte[SHA1_LENGTH];
    private @Nullable MessageDigest sha1;

    /**
     * @param name is looked up in lower case
     */
    HostNames(String name) {
        this.name = lower(name).getBytes(StandardCharsets.UTF_8);
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
        byte[] salt = new byte[SHA1_LENGTH];
        new SecureRandom().nextBytes(salt);
        HostNames names = new HostNames(name);
        names.hmac(salt);
        Base64.Encoder base64 = Base64.getEncoder();
        return "|1|" + base64.encodeToString(salt) + '|' + base64.encodeToString(names.hash);
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
        byte[] salt =
                HostKey.strictBase64(
                        new String(line, saltAt, bar - saltAt, StandardCharsets.ISO_8859_1));
        if (salt == null || salt.length != SHA1_LENGTH) {
            return Match.BROKEN;
        }
        // 28: Base64 of 20 bytes. Any other spelling of salt or hash is no match, as in OpenSSH,
        // which compares the text.
        if (bar - saltAt != 28 || to - bar - 1 != 28) {
            return Match.NO;
        }
        hmac(salt);
        byte[] encoded = Base64.getEncoder().encode(hash);
        return Arrays.equals(line, bar + 1, to, encoded, 0, 28) ? Match.YES : Match.NO;
    }

    /** HMAC-SHA1 by hand: the provider framework around Mac costs more than the hash. */
    private void hmac(byte[] salt) {
        try {
            MessageDigest digest = sha1;
            if (digest == null) {
                digest = MessageDigest.getInstance("SHA-1");
                sha1 = digest;
            }
            pad(salt, 0x36);
            digest.update(block);
            digest.update(name);
            digest.digest(hash, 0, SHA1_LENGTH);
            pad(salt, 0x5c);
            digest.update(block);
            digest.update(hash);
            digest.digest(hash, 0, SHA1_LENGTH);
        } catch (NoSuchAlgorithmException | DigestException e) {
            throw new IllegalStateException("every Java runtime has SHA-1", e);
        }
    }

    private void pad(byte[] salt, int with) {
        for (int i = 0; i < SHA1_BLOCK; i++) {
            block[i] = (byte) ((i < salt.length ? salt[i] : 0) ^ with);
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
