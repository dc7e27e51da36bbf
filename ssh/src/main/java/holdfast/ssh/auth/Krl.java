package holdfast.ssh.auth;

import holdfast.ssh.auth.Wire.Malformed;
import holdfast.ssh.log.Printable;
import java.math.BigInteger;
import java.nio.ByteBuffer;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** A key revocation list as {@code ssh-keygen -k} makes it (PROTOCOL.krl). Immutable once read. */
public final class Krl {

    /** {@code SSHKRL\n\0}. */
    private static final long MAGIC = 0x5353484b524c0a00L;

    private static final int CERTIFICATES = 1;
    private static final int EXPLICIT_KEY = 2;
    private static final int FINGERPRINT_SHA1 = 3;
    private static final int SIGNATURE = 4;
    private static final int FINGERPRINT_SHA256 = 5;
    private static final int EXTENSION = 255;
    private static final int SERIAL_LIST = 0x20;
    private static final int SERIAL_RANGE = 0x21;
    private static final int SERIAL_BITMAP = 0x22;
    private static final int KEY_ID = 0x23;
    private static final int CERTIFICATE_EXTENSION = 0x39;

    private final Set<ByteBuffer> keys = new HashSet<>();
    private final Set<ByteBuffer> sha1 = new HashSet<>();
    private final Set<ByteBuffer> sha256 = new HashSet<>();

    /** By the authority's blob; the empty one stands for all authorities. */
    private final Map<ByteBuffer, Revoked> byAuthority = new HashMap<>();

    private Krl() {}

    /** Certificates of one authority. */
    private static final class Revoked {
        final Set<Long> serials = new HashSet<>();
        final List<Range> ranges = new ArrayList<>();
        final List<Bits> bitmaps = new ArrayList<>();
        final Set<String> keyIds = new HashSet<>();

        boolean has(Certificate certificate) {
            if (keyIds.contains(certificate.keyId())) {
                return true;
            }
            long serial = certificate.serial();
            if (serial == 0) {
                return false; // certificates without a serial are only revoked by key or id
            }
            return serials.contains(serial)
                    || ranges.stream().anyMatch(range -> range.has(serial))
                    || bitmaps.stream().anyMatch(bits -> bits.has(serial));
        }
    }

    private record Range(long least, long most) {
        boolean has(long serial) {
            return Long.compareUnsigned(serial, least) >= 0
                    && Long.compareUnsigned(serial, most) <= 0;
        }
    }

    private record Bits(long offset, BigInteger bitmap) {
        boolean has(long serial) {
            long bit = serial - offset;
            return Long.compareUnsigned(serial, offset) >= 0
                    && Long.compareUnsigned(bit, bitmap.bitLength()) < 0
                    && bitmap.testBit((int) bit);
        }
    }

    /** Whether bytes begin as a revocation list does. */
    public static boolean looksLikeOne(byte[] bytes) {
        return bytes.length >= 8 && ByteBuffer.wrap(bytes).getLong() == MAGIC;
    }

    /** Reads a list. What it does not know of it refuses, but for extensions that allow it. */
    public static Krl of(byte[] bytes) throws Malformed {
        Wire.Reader in = new Wire.Reader(bytes);
        if (Certificate.u64(in) != MAGIC) {
            throw new Malformed("not a KRL");
        }
        if (in.u32() != 1) {
            throw new Malformed("unsupported KRL format");
        }
        in.raw(24); // its version, when it was made, flags
        in.string(); // reserved
        in.string(); // comment
        Krl krl = new Krl();
        boolean signed = false;
        while (in.remaining() > 0) {
            int type = in.u8();
            byte[] section = in.string();
            if (signed && type != SIGNATURE) {
                throw new Malformed("KRL contains non-signature section after signature");
            }
            Wire.Reader content = new Wire.Reader(section);
            switch (type) {
                case CERTIFICATES -> krl.certificates(content);
                case EXPLICIT_KEY -> blobs(content, krl.keys, -1);
                case FINGERPRINT_SHA1 -> blobs(content, krl.sha1, 20);
                case FINGERPRINT_SHA256 -> blobs(content, krl.sha256, 32);
                case EXTENSION -> extension(content);
                case SIGNATURE -> {
                    in.string();
                    signed = true; // as OpenSSH since 9.4: of no meaning here
                }
                default -> throw new Malformed("Unsupported KRL section " + type);
            }
        }
        return krl;
    }

    private void certificates(Wire.Reader in) throws Malformed {
        byte[] authority = in.string();
        if (authority.length > 0) {
            PublicIdentity.of(authority);
        }
        in.string(); // reserved
        Revoked revoked =
                byAuthority.computeIfAbsent(ByteBuffer.wrap(authority), none -> new Revoked());
        while (in.remaining() > 0) {
            int type = in.u8();
            Wire.Reader content = new Wire.Reader(in.string());
            switch (type) {
                case SERIAL_LIST -> {
                    while (content.remaining() > 0) {
                        revoked.serials.add(Certificate.u64(content));
                    }
                }
                case SERIAL_RANGE -> {
                    revoked.ranges.add(
                            new Range(Certificate.u64(content), Certificate.u64(content)));
                }
                case SERIAL_BITMAP -> {
                    long offset = Certificate.u64(content);
                    revoked.bitmaps.add(new Bits(offset, new BigInteger(1, content.string())));
                }
                case KEY_ID -> {
                    while (content.remaining() > 0) {
                        revoked.keyIds.add(content.text());
                    }
                }
                case CERTIFICATE_EXTENSION -> extension(content);
                default -> throw new Malformed("Unsupported KRL certificate section " + type);
            }
            if (content.remaining() > 0) {
                throw new Malformed("KRL certificate section contains unparsed data");
            }
        }
    }

    private static void extension(Wire.Reader in) throws Malformed {
        String name = in.text();
        boolean critical = in.u8() != 0;
        in.string();
        if (critical) {
            throw new Malformed("critical extension " + Printable.of(name, 100) + " not supported");
        }
    }

    private static void blobs(Wire.Reader in, Set<ByteBuffer> into, int length) throws Malformed {
        while (in.remaining() > 0) {
            byte[] blob = in.string();
            if (length >= 0 && blob.length != length) {
                throw new Malformed("wrong length of a fingerprint");
            }
            into.add(ByteBuffer.wrap(blob));
        }
    }

    /** Whether a key, or the certificate it is in, is revoked. */
    public boolean revokes(PublicIdentity identity) throws Malformed {
        if (revokesKey(identity.keyBlob())) {
            return true;
        }
        if (!identity.isCertificate()) {
            return false;
        }
        Certificate certificate = Certificate.of(identity);
        byte[] authority = certificate.authority().blob();
        if (revokesKey(authority)) {
            return true;
        }
        Revoked ofAuthority = byAuthority.get(ByteBuffer.wrap(authority));
        Revoked ofAny = byAuthority.get(ByteBuffer.wrap(new byte[0]));
        return (ofAuthority != null && ofAuthority.has(certificate))
                || (ofAny != null && ofAny.has(certificate));
    }

    private boolean revokesKey(byte[] blob) {
        return keys.contains(ByteBuffer.wrap(blob))
                || (!sha1.isEmpty() && sha1.contains(digest("SHA-1", blob)))
                || (!sha256.isEmpty() && sha256.contains(digest("SHA-256", blob)));
    }

    private static ByteBuffer digest(String name, byte[] bytes) {
        try {
            return ByteBuffer.wrap(MessageDigest.getInstance(name).digest(bytes));
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("every Java runtime has " + name, e);
        }
    }
}
