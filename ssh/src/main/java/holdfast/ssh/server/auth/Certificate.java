package holdfast.ssh.server.auth;

import holdfast.ssh.auth.PublicIdentity;
import holdfast.ssh.auth.Signatures;
import holdfast.ssh.auth.Wire;
import holdfast.ssh.auth.Wire.Malformed;
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
record Certificate(
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
    enum Kind {
        USER,
        HOST
    }

    /** A critical option or an extension, its value not unpacked yet. */
    @SuppressWarnings("ArrayRecordComponent") // read once, never compared
    record Option(String name, byte[] data) {

        /** The one string inside. */
        String text() throws Malformed {
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

    /**
     * Takes a certificate apart.
     *
     * @throws Malformed if it is none, or if its signature does not hold
     */
    static Certificate of(PublicIdentity identity) throws Malformed {
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
     * Why the certificate does not let in, in OpenSSH's words, or null.
     *
     * <p>One without any principal never does: OpenSSH up to 10.2 let it in where authorized_keys
     * names its authority.
     *
     * @param name who must be among the principals; null: whoever called has seen to that
     * @param now seconds since 1970
     */
    @Nullable String refusal(@Nullable String name, long now) {
        if (kind != Kind.USER) {
            return "Certificate invalid: not a user certificate";
        }
        if (Long.compareUnsigned(now, validAfter) < 0) {
            return "Certificate invalid: not yet valid";
        }
        if (Long.compareUnsigned(now, validBefore) >= 0) {
            return "Certificate invalid: expired";
        }
        if (principals.isEmpty()) {
            return "Certificate lacks principal list";
        }
        if (name != null && !principals.contains(name)) {
            return "Certificate invalid: name is not a listed principal";
        }
        return null;
    }

    /** How OpenSSH's log tells of it: {@code ID x (serial 0) CA ED25519 SHA256:...}. */
    String told(String authorityFingerprint) {
        return "ID "
                + Safe.text(keyId)
                + " (serial "
                + Long.toUnsignedString(serial)
                + ") CA "
                + authority.typeName()
                + " "
                + authorityFingerprint;
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

    static long u64(Wire.Reader in) throws Malformed {
        return (long) in.bits32() << 32 | Integer.toUnsignedLong(in.bits32());
    }
}
