package holdfast.ssh.auth;

import holdfast.ssh.auth.Wire.Malformed;
import holdfast.ssh.log.Printable;
import java.time.Instant;
import java.time.LocalDateTime;
import java.time.ZoneId;
import java.time.format.DateTimeFormatter;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * A certificate (PROTOCOL.certkeys), its authority's signature checked.
 *
 * @param serial unsigned
 * @param validAfter seconds since 1970, unsigned, as is {@code validBefore}; the latter excluded
 * @param signatureAlgorithm what the authority signed with
 */
public record Certificate(
        PublicIdentity identity,
        Kind kind,
        long serial,
        String keyId,
        List<String> principals,
        long validAfter,
        long validBefore,
        List<Option> critical,
        List<Option> extensions,
        PublicIdentity authority,
        String signatureAlgorithm) {

    /** What it certifies. */
    public enum Kind {
        USER,
        HOST
    }

    /** A critical option or an extension, its value not unpacked yet. */
    @SuppressWarnings("ArrayRecordComponent") // read once, never compared
    public record Option(String name, byte[] data) {

        /** The one string inside. */
        public String text() throws Malformed {
            Wire.Reader in = new Wire.Reader(data);
            String text = in.text();
            if (in.remaining() != 0) {
                throw new Malformed("extra data");
            }
            return text;
        }
    }

    /** OpenSSH's SSHKEY_CERT_MAX_PRINCIPALS. */
    private static final int MOST_PRINCIPALS = 256;

    /** The end of the year 9999, in seconds since 1970. */
    private static final long LAST_SECOND = 253_402_300_799L;

    /**
     * Takes a certificate apart.
     *
     * @throws Malformed if it is none, or if its signature does not hold
     */
    public static Certificate of(PublicIdentity identity) throws Malformed {
        if (!identity.isCertificate()) {
            throw new Malformed("not a certificate");
        }
        byte[] blob = identity.blob();
        Wire.Reader in = new Wire.Reader(blob);
        in.string(); // the type
        in.string(); // the nonce
        int fields = fields(identity.keyAlgorithm());
        for (int i = 0; i < fields; i++) {
            in.string();
        }
        long serial = u64(in);
        int type = in.u32();
        if (type != 1 && type != 2) {
            throw new Malformed("unknown certificate type");
        }
        String keyId = in.text();
        List<String> principals = new ArrayList<>();
        Wire.Reader names = new Wire.Reader(in.string());
        while (names.remaining() > 0) {
            if (principals.size() == MOST_PRINCIPALS) {
                throw new Malformed("too many principals");
            }
            principals.add(names.text());
        }
        long after = u64(in);
        long before = u64(in);
        List<Option> critical = options(in.string());
        List<Option> extensions = options(in.string());
        in.string(); // reserved
        PublicIdentity authority = PublicIdentity.of(in.string());
        if (authority.isCertificate()) {
            throw new Malformed("certificate signed by a certificate");
        }
        byte[] signed = Arrays.copyOf(blob, blob.length - in.remaining());
        byte[] signature = in.string();
        if (in.remaining() != 0) {
            throw new Malformed("trailing bytes");
        }
        String algorithm = new Wire.Reader(signature).text();
        Signatures.wellFormed(identity);
        if (Signatures.check(authority, null, signature, signed) == null) {
            throw new Malformed("bad certificate signature");
        }
        return new Certificate(
                identity,
                type == 1 ? Kind.USER : Kind.HOST,
                serial,
                keyId,
                List.copyOf(principals),
                after,
                before,
                critical,
                extensions,
                authority,
                algorithm);
    }

    /**
     * Why the certificate does not certify {@code name}, in OpenSSH's words, or null.
     *
     * <p>One without any principal never does: OpenSSH up to 10.2 took that for any host, and for
     * any user where authorized_keys names its authority.
     *
     * @param wanted what it is to certify
     * @param name who must be among the principals; null: whoever called has seen to that
     * @param now seconds since 1970
     */
    public @Nullable String refusal(Kind wanted, @Nullable String name, long now) {
        if (kind != wanted) {
            return "Certificate invalid: not a "
                    + (wanted == Kind.USER ? "user" : "host")
                    + " certificate";
        }
        String outOfDate = outOfDate(now);
        if (outOfDate != null) {
            return outOfDate;
        }
        if (principals.isEmpty()) {
            return "Certificate lacks principal list";
        }
        if (name != null && !principals.contains(name)) {
            return "Certificate invalid: name is not a listed principal";
        }
        return null;
    }

    /**
     * Why it is of no use at that time, in OpenSSH's words, or null.
     *
     * @param now seconds since 1970
     */
    public @Nullable String outOfDate(long now) {
        if (Long.compareUnsigned(now, validAfter) < 0) {
            return "Certificate invalid: not yet valid";
        }
        return Long.compareUnsigned(now, validBefore) >= 0 ? "Certificate invalid: expired" : null;
    }

    /**
     * When it is valid, for people, in this machine's time: {@code from 2026-01-01T00:00:00 to}.
     */
    public String validity() {
        boolean always = validAfter == 0;
        boolean forever = validBefore == -1;
        if (always && forever) {
            return "forever";
        }
        if (always) {
            return "before " + time(validBefore);
        }
        return forever
                ? "after " + time(validAfter)
                : "from " + time(validAfter) + " to " + time(validBefore);
    }

    /** Which one it is, for people: its identifier, serial number and validity. */
    public String named() {
        return "ID \""
                + Printable.of(keyId, 100)
                + "\", serial "
                + Long.toUnsignedString(serial)
                + ", valid "
                + validity();
    }

    private static String time(long seconds) {
        // OpenSSH's format_absolute_time; what no calendar has is as good as its end.
        long most = LAST_SECOND;
        long shown = seconds < 0 || seconds > most ? most : seconds;
        return DateTimeFormatter.ISO_LOCAL_DATE_TIME.format(
                LocalDateTime.ofInstant(Instant.ofEpochSecond(shown), ZoneId.systemDefault()));
    }

    private static int fields(String keyAlgorithm) throws Malformed {
        return switch (keyAlgorithm) {
            case "ssh-ed25519" -> 1;
            case "ssh-rsa",
                    "ecdsa-sha2-nistp256",
                    "ecdsa-sha2-nistp384",
                    "ecdsa-sha2-nistp521",
                    "sk-ssh-ed25519@openssh.com" ->
                    2;
            case "sk-ecdsa-sha2-nistp256@openssh.com" -> 3;
            default -> throw new Malformed("unknown key type");
        };
    }

    private static List<Option> options(byte[] packed) throws Malformed {
        List<Option> options = new ArrayList<>();
        Wire.Reader in = new Wire.Reader(packed);
        while (in.remaining() > 0) {
            options.add(new Option(in.text(), in.string()));
        }
        return List.copyOf(options);
    }

    public static long u64(Wire.Reader in) throws Malformed {
        return (long) in.bits32() << 32 | Integer.toUnsignedLong(in.bits32());
    }
}
