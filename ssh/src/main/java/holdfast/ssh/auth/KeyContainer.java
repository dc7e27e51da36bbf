package holdfast.ssh.auth;

import holdfast.ssh.auth.Wire.Malformed;
import holdfast.ssh.auth.Wire.Reader;
import holdfast.ssh.auth.Wire.Writer;
import holdfast.ssh.crypto.Algorithms;
import holdfast.ssh.octets.Octets;
import java.math.BigInteger;
import java.nio.charset.StandardCharsets;
import java.security.AlgorithmParameters;
import java.security.GeneralSecurityException;
import java.security.KeyFactory;
import java.security.MessageDigest;
import java.security.PrivateKey;
import java.security.interfaces.ECPrivateKey;
import java.security.interfaces.RSAPrivateCrtKey;
import java.security.spec.ECGenParameterSpec;
import java.security.spec.ECParameterSpec;
import java.security.spec.ECPrivateKeySpec;
import java.security.spec.PKCS8EncodedKeySpec;
import java.security.spec.RSAPrivateCrtKeySpec;
import java.util.Arrays;
import java.util.Base64;
import java.util.HexFormat;
import javax.crypto.BadPaddingException;
import javax.crypto.Cipher;
import javax.crypto.EncryptedPrivateKeyInfo;
import javax.crypto.SecretKeyFactory;
import javax.crypto.spec.GCMParameterSpec;
import javax.crypto.spec.IvParameterSpec;
import javax.crypto.spec.PBEKeySpec;
import javax.crypto.spec.SecretKeySpec;
import org.apache.sshd.common.NamedFactory;
import org.apache.sshd.common.config.keys.loader.openssh.kdf.BCrypt;
import org.apache.sshd.common.util.security.SecurityUtils;
import org.jspecify.annotations.Nullable;

/**
 * The text forms of a private key: OpenSSH's own (PROTOCOL.key), and PEM with PKCS#1, SEC 1 and
 * PKCS#8 inside, each plain or encrypted.
 *
 * <p>MINA can read most of these too, but loads some hundred classes before it does.
 */
final class KeyContainer {

    /** The file is well-formed, but of a kind this client cannot use. */
    static final class Unsupported extends Exception {
        private static final long serialVersionUID = 1;

        Unsupported(String message) {
            super(message);
        }

        /** OpenSSH's words, for the person. */
        String reason() {
            String message = getMessage();
            return message == null ? "unknown or unsupported key type" : message;
        }
    }

    private static final String MAGIC = "openssh-key-v1\0";
    private static final String BEGIN = "-----BEGIN ";
    private static final String DASHES = "-----";
    private static final String ED25519 = "ssh-ed25519";
    private static final String RSA = "ssh-rsa";
    private static final String UNKNOWN_TYPE = "unknown or unsupported key type";
    private static final String UNKNOWN_CIPHER = "unsupported cipher";

    /** 2^20 rounds take minutes; OpenSSH's default is 16. */
    private static final int MOST_ROUNDS = 1 << 20;

    /** The PKCS#8 wrapping of an Ed25519 seed (RFC 8410). */
    private static final byte[] ED25519_PKCS8 = {
        0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04,
        0x20
    };

    private KeyContainer() {}

    /** The public half of OpenSSH's format, which is never encrypted. */
    static @Nullable PublicIdentity publicHalf(String text) throws Malformed {
        Armour armour = Armour.of(text);
        if (!armour.label.equals("OPENSSH PRIVATE KEY")) {
            return null;
        }
        Sealed sealed = Sealed.of(armour.content);
        return PublicIdentity.of(sealed.publicBlob);
    }

    /**
     * Opens a private key.
     *
     * @param passphrase empty: none
     * @return null when the key is encrypted with another pass phrase
     */
    static @Nullable PrivateIdentity open(String text, String passphrase)
            throws Malformed, Unsupported, GeneralSecurityException {
        Armour armour = Armour.of(text);
        byte[] secret = Octets.bytes(passphrase);
        return switch (armour.label) {
            case "OPENSSH PRIVATE KEY" -> openSsh(Sealed.of(armour.content), secret);
            case "RSA PRIVATE KEY" -> {
                byte[] der = traditional(armour, secret);
                yield der == null ? null : pkcs1(der);
            }
            case "EC PRIVATE KEY" -> {
                byte[] der = traditional(armour, secret);
                yield der == null ? null : sec1(der, null);
            }
            case "PRIVATE KEY" -> pkcs8(armour.content);
            case "ENCRYPTED PRIVATE KEY" -> {
                byte[] der = pbes(armour.content, passphrase);
                yield der == null ? null : pkcs8(der);
            }
            default -> throw new Unsupported(UNKNOWN_TYPE);
        };
    }

    // ---- the armour

    /** What stands between BEGIN and END. */
    @SuppressWarnings("ArrayRecordComponent") // read once, never compared
    private record Armour(String label, @Nullable String dekInfo, byte[] content) {

        static Armour of(String text) throws Malformed {
            int begin = text.indexOf(BEGIN);
            int labelEnd = begin < 0 ? -1 : text.indexOf(DASHES, begin + BEGIN.length());
            if (labelEnd < 0) {
                throw new Malformed("no start line");
            }
            String label = text.substring(begin + BEGIN.length(), labelEnd);
            int end = text.indexOf("-----END " + label + DASHES, labelEnd);
            if (end < 0) {
                throw new Malformed("no end line");
            }
            String body = text.substring(labelEnd + DASHES.length(), end);
            String dekInfo = null;
            StringBuilder base64 = new StringBuilder(body.length());
            for (String line : body.split("\n", -1)) {
                int colon = line.indexOf(':');
                if (colon < 0) {
                    base64.append(line.strip());
                } else if (line.startsWith("DEK-Info")) {
                    dekInfo = line.substring(colon + 1).strip();
                }
            }
            try {
                return new Armour(label, dekInfo, Base64.getDecoder().decode(base64.toString()));
            } catch (IllegalArgumentException e) {
                throw new Malformed("bad base64");
            }
        }
    }

    // ---- OpenSSH's format

    @SuppressWarnings("ArrayRecordComponent") // read once, never compared
    private record Sealed(
            String cipher,
            String kdf,
            byte[] kdfOptions,
            byte[] publicBlob,
            byte[] box,
            byte[] tag) {

        static Sealed of(byte[] content) throws Malformed {
            Reader in = new Reader(content);
            if (!new String(in.raw(MAGIC.length()), StandardCharsets.ISO_8859_1).equals(MAGIC)) {
                throw new Malformed("wrong magic");
            }
            String cipher = in.text();
            String kdf = in.text();
            byte[] kdfOptions = in.string();
            if (in.u32() != 1) {
                throw new Malformed("more than one key");
            }
            byte[] publicBlob = in.string();
            byte[] box = in.string();
            return new Sealed(cipher, kdf, kdfOptions, publicBlob, box, in.raw(in.remaining()));
        }
    }

    private static @Nullable PrivateIdentity openSsh(Sealed sealed, byte[] passphrase)
            throws Malformed, Unsupported, GeneralSecurityException {
        byte[] plain;
        if (sealed.cipher.equals("none")) {
            plain = sealed.box;
        } else if (passphrase.length == 0) {
            return null;
        } else {
            plain = decrypt(sealed, passphrase);
        }
        if (plain == null) {
            return null;
        }
        Reader in = new Reader(plain);
        int check = in.bits32();
        if (in.bits32() != check) {
            if (sealed.cipher.equals("none")) {
                throw new Malformed("check bytes differ");
            }
            return null;
        }
        PrivateIdentity read = privateFields(in);
        return read.called(in.remaining() >= Integer.BYTES ? in.text() : "");
    }

    private static PrivateIdentity privateFields(Reader in)
            throws Malformed, Unsupported, GeneralSecurityException {
        String type = in.text();
        return switch (type) {
            case ED25519 -> {
                byte[] open = in.string();
                byte[] both = in.string();
                if (open.length != 32 || both.length != 64) {
                    throw new Malformed("wrong length");
                }
                yield new PrivateIdentity(
                        PublicIdentity.of(new Writer().text(ED25519).string(open).bytes()),
                        ed25519(Arrays.copyOf(both, 32)));
            }
            case "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521" -> {
                String curve = in.text();
                byte[] point = in.string();
                yield ec(curve, in.mpint(), point);
            }
            case RSA -> {
                BigInteger n = in.mpint();
                BigInteger e = in.mpint();
                BigInteger d = in.mpint();
                BigInteger qInverse = in.mpint();
                BigInteger p = in.mpint();
                BigInteger q = in.mpint();
                yield rsa(n, e, d, p, q, qInverse);
            }
            case "sk-ssh-ed25519@openssh.com" ->
                    hardware(new Writer().text(type).string(in.string()), in);
            case "sk-ecdsa-sha2-nistp256@openssh.com" ->
                    hardware(new Writer().text(type).string(in.string()).string(in.string()), in);
            default -> throw new Unsupported(UNKNOWN_TYPE);
        };
    }

    /** The private half goes on where the public one ends, with the application's name. */
    private static PrivateIdentity hardware(Writer open, Reader in) throws Malformed {
        open.string(in.string());
        PublicIdentity key = PublicIdentity.of(open.bytes());
        int flags = in.u8();
        open.u8(flags).string(in.string()).string(in.string());
        return new PrivateIdentity(key, new HardwareKey(open.bytes(), flags));
    }

    private static byte @Nullable [] decrypt(Sealed sealed, byte[] passphrase)
            throws Malformed, Unsupported, GeneralSecurityException {
        if (!sealed.kdf.equals("bcrypt")) {
            throw new Unsupported("unknown or unsupported key derivation function");
        }
        Reader options = new Reader(sealed.kdfOptions);
        byte[] salt = options.string();
        int rounds = options.u32();
        if (salt.length == 0 || rounds < 1 || rounds > MOST_ROUNDS) {
            throw new Malformed("bad key derivation options");
        }
        String cipher = sealed.cipher;
        int keyLength =
                switch (cipher) {
                    case "aes128-ctr", "aes128-cbc", "aes128-gcm@openssh.com" -> 16;
                    case "aes192-ctr", "aes192-cbc", "3des-cbc" -> 24;
                    case "aes256-ctr", "aes256-cbc", "aes256-gcm@openssh.com" -> 32;
                    case "chacha20-poly1305@openssh.com" -> 64;
                    default -> throw new Unsupported(UNKNOWN_CIPHER);
                };
        int ivLength =
                cipher.startsWith("chacha")
                        ? 0
                        : cipher.contains("gcm") ? 12 : cipher.equals("3des-cbc") ? 8 : 16;
        byte[] derived = new byte[keyLength + ivLength];
        new BCrypt().pbkdf(passphrase, salt, rounds, derived);
        byte[] key = Arrays.copyOf(derived, keyLength);
        byte[] iv = Arrays.copyOfRange(derived, keyLength, derived.length);
        Arrays.fill(derived, (byte) 0);
        byte[] box = Arrays.copyOf(sealed.box, sealed.box.length + sealed.tag.length);
        System.arraycopy(sealed.tag, 0, box, sealed.box.length, sealed.tag.length);
        try {
            if (cipher.startsWith("chacha")) {
                return chacha(cipher, key, box, sealed.box.length);
            }
            if (cipher.contains("gcm")) {
                Cipher gcm = Cipher.getInstance("AES/GCM/NoPadding");
                gcm.init(
                        Cipher.DECRYPT_MODE,
                        new SecretKeySpec(key, "AES"),
                        new GCMParameterSpec(128, iv));
                return gcm.doFinal(box);
            }
            boolean des = cipher.equals("3des-cbc");
            String mode = cipher.endsWith("-ctr") ? "/CTR/NoPadding" : "/CBC/NoPadding";
            Cipher block = Cipher.getInstance((des ? "DESede" : "AES") + mode);
            block.init(
                    Cipher.DECRYPT_MODE,
                    new SecretKeySpec(key, des ? "DESede" : "AES"),
                    new IvParameterSpec(iv));
            return block.doFinal(box);
        } catch (BadPaddingException wrong) {
            return null; // a tag that does not fit: another pass phrase
        } finally {
            Arrays.fill(key, (byte) 0);
        }
    }

    private static byte @Nullable [] chacha(String name, byte[] key, byte[] box, int length)
            throws Unsupported, GeneralSecurityException {
        NamedFactory<org.apache.sshd.common.cipher.Cipher> factory = Algorithms.cipher(name);
        if (factory == null || box.length != length + 16) {
            throw new Unsupported(UNKNOWN_CIPHER);
        }
        org.apache.sshd.common.cipher.Cipher cipher = factory.create();
        try {
            cipher.init(org.apache.sshd.common.cipher.Cipher.Mode.Decrypt, key, new byte[8]);
            cipher.update(box, 0, length);
            return Arrays.copyOf(box, length);
        } catch (BadPaddingException wrong) {
            return null;
        } catch (GeneralSecurityException e) {
            throw e;
        } catch (Exception e) {
            throw new GeneralSecurityException(e);
        }
    }

    // ---- PEM

    /** Undoes the encryption of traditional PEM (OpenSSL's EVP_BytesToKey with MD5). */
    private static byte @Nullable [] traditional(Armour armour, byte[] passphrase)
            throws Malformed, Unsupported, GeneralSecurityException {
        String dekInfo = armour.dekInfo;
        if (dekInfo == null) {
            return armour.content;
        }
        if (passphrase.length == 0) {
            return null;
        }
        int comma = dekInfo.indexOf(',');
        if (comma < 0) {
            throw new Malformed("bad DEK-Info");
        }
        String cipher = dekInfo.substring(0, comma);
        int keyLength =
                switch (cipher) {
                    case "AES-128-CBC" -> 16;
                    case "AES-192-CBC", "DES-EDE3-CBC" -> 24;
                    case "AES-256-CBC" -> 32;
                    default -> throw new Unsupported(UNKNOWN_CIPHER);
                };
        byte[] iv;
        try {
            iv = HexFormat.of().parseHex(dekInfo.substring(comma + 1).strip());
        } catch (IllegalArgumentException e) {
            throw new Malformed("bad DEK-Info");
        }
        if (iv.length < 8) {
            throw new Malformed("bad DEK-Info");
        }
        MessageDigest md5 = MessageDigest.getInstance("MD5");
        byte[] key = new byte[keyLength];
        byte[] block = new byte[0];
        for (int at = 0; at < keyLength; at += block.length) {
            md5.update(block);
            md5.update(passphrase);
            md5.update(iv, 0, 8);
            block = md5.digest();
            System.arraycopy(block, 0, key, at, Math.min(block.length, keyLength - at));
        }
        String algorithm = cipher.startsWith("DES") ? "DESede" : "AES";
        Cipher cbc = Cipher.getInstance(algorithm + "/CBC/PKCS5Padding");
        cbc.init(Cipher.DECRYPT_MODE, new SecretKeySpec(key, algorithm), new IvParameterSpec(iv));
        try {
            return orWrong(cbc.doFinal(armour.content));
        } catch (BadPaddingException wrong) {
            return null;
        } finally {
            Arrays.fill(key, (byte) 0);
        }
    }

    /**
     * What was decrypted, or null where it is no DER sequence: one wrong pass phrase in 256 leaves
     * a padding that looks right.
     */
    private static byte @Nullable [] orWrong(byte[] der) {
        return der.length > 0 && der[0] == 0x30 ? der : null;
    }

    /** Undoes the encryption of PKCS#8. */
    private static byte @Nullable [] pbes(byte[] content, String passphrase)
            throws Malformed, GeneralSecurityException {
        if (passphrase.isEmpty()) {
            return null;
        }
        EncryptedPrivateKeyInfo info;
        try {
            info = new EncryptedPrivateKeyInfo(content);
        } catch (java.io.IOException e) {
            throw new Malformed("bad PKCS#8");
        }
        AlgorithmParameters parameters = info.getAlgParameters();
        String algorithm = parameters == null ? info.getAlgName() : parameters.toString();
        PBEKeySpec spec = new PBEKeySpec(passphrase.toCharArray());
        try {
            Cipher cipher = Cipher.getInstance(algorithm);
            cipher.init(
                    Cipher.DECRYPT_MODE,
                    SecretKeyFactory.getInstance(algorithm).generateSecret(spec),
                    parameters);
            return orWrong(cipher.doFinal(info.getEncryptedData()));
        } catch (BadPaddingException wrong) {
            return null;
        } finally {
            spec.clearPassword();
        }
    }

    private static PrivateIdentity pkcs1(byte[] content)
            throws Malformed, GeneralSecurityException {
        Der in = new Der(content).sequence();
        in.integer();
        BigInteger n = in.integer();
        BigInteger e = in.integer();
        BigInteger d = in.integer();
        BigInteger p = in.integer();
        BigInteger q = in.integer();
        in.integer();
        in.integer();
        return rsa(n, e, d, p, q, in.integer());
    }

    /**
     * @param curve from outside, when PKCS#8 states it there
     */
    private static PrivateIdentity sec1(byte[] content, byte @Nullable [] curve)
            throws Malformed, Unsupported, GeneralSecurityException {
        Der in = new Der(content).sequence();
        in.integer();
        BigInteger d = new BigInteger(1, in.value(0x04));
        byte[] oid = curve;
        byte[] point = null;
        while (in.hasMore()) {
            int tag = in.peek();
            byte[] value = in.value(tag);
            if (tag == 0xa0) {
                oid = new Der(value).value(0x06);
            } else if (tag == 0xa1) {
                byte[] bits = new Der(value).value(0x03);
                point = Arrays.copyOfRange(bits, 1, bits.length);
            }
        }
        if (oid == null || point == null) {
            throw new Unsupported("invalid format");
        }
        return ec(curveOf(oid), d, point);
    }

    private static PrivateIdentity pkcs8(byte[] content)
            throws Malformed, Unsupported, GeneralSecurityException {
        Der in = new Der(content).sequence();
        in.integer();
        Der algorithm = new Der(in.value(0x30));
        byte[] oid = algorithm.value(0x06);
        byte[] inner = in.value(0x04);
        return switch (HexFormat.of().formatHex(oid)) {
            case "2a864886f70d010101" -> pkcs1(inner);
            case "2a8648ce3d0201" -> sec1(inner, algorithm.value(0x06));
            case "2b6570" -> {
                PrivateKey key = ed25519(new Der(inner).value(0x04));
                byte[] x509 = SecurityUtils.recoverEDDSAPublicKey(key).getEncoded();
                byte[] raw = Arrays.copyOfRange(x509, x509.length - 32, x509.length);
                yield new PrivateIdentity(
                        PublicIdentity.of(new Writer().text(ED25519).string(raw).bytes()), key);
            }
            default -> throw new Unsupported(UNKNOWN_TYPE);
        };
    }

    private static String curveOf(byte[] oid) throws Unsupported {
        return switch (HexFormat.of().formatHex(oid)) {
            case "2a8648ce3d030107" -> "nistp256";
            case "2b81040022" -> "nistp384";
            case "2b81040023" -> "nistp521";
            default -> throw new Unsupported("unsupported elliptic curve");
        };
    }

    // ---- from numbers to keys

    private static PrivateKey ed25519(byte[] seed) throws Malformed, GeneralSecurityException {
        if (seed.length != 32) {
            throw new Malformed("wrong length");
        }
        byte[] pkcs8 = Arrays.copyOf(ED25519_PKCS8, ED25519_PKCS8.length + 32);
        System.arraycopy(seed, 0, pkcs8, ED25519_PKCS8.length, 32);
        return KeyFactory.getInstance("Ed25519").generatePrivate(new PKCS8EncodedKeySpec(pkcs8));
    }

    private static PrivateIdentity ec(String curve, BigInteger d, byte[] point)
            throws Malformed, GeneralSecurityException {
        String standard =
                switch (curve) {
                    case "nistp256" -> "secp256r1";
                    case "nistp384" -> "secp384r1";
                    case "nistp521" -> "secp521r1";
                    default -> throw new Malformed("unknown curve");
                };
        AlgorithmParameters parameters = AlgorithmParameters.getInstance("EC");
        parameters.init(new ECGenParameterSpec(standard));
        ECPrivateKey key =
                (ECPrivateKey)
                        KeyFactory.getInstance("EC")
                                .generatePrivate(
                                        new ECPrivateKeySpec(
                                                d,
                                                parameters.getParameterSpec(
                                                        ECParameterSpec.class)));
        byte[] blob = new Writer().text("ecdsa-sha2-" + curve).text(curve).string(point).bytes();
        return new PrivateIdentity(PublicIdentity.of(blob), key);
    }

    private static PrivateIdentity rsa(
            BigInteger n,
            BigInteger e,
            BigInteger d,
            BigInteger p,
            BigInteger q,
            BigInteger qInverse)
            throws Malformed, GeneralSecurityException {
        if (p.signum() <= 0 || q.signum() <= 0) {
            throw new Malformed("bad RSA key");
        }
        RSAPrivateCrtKey key =
                (RSAPrivateCrtKey)
                        KeyFactory.getInstance("RSA")
                                .generatePrivate(
                                        new RSAPrivateCrtKeySpec(
                                                n,
                                                e,
                                                d,
                                                p,
                                                q,
                                                d.mod(p.subtract(BigInteger.ONE)),
                                                d.mod(q.subtract(BigInteger.ONE)),
                                                qInverse));
        byte[] blob = new Writer().text(RSA).mpint(e).mpint(n).bytes();
        return new PrivateIdentity(PublicIdentity.of(blob), key);
    }

    /** As much of DER as private keys need. */
    private static final class Der {
        private final Reader in;
        private final byte[] all;

        Der(byte[] bytes) {
            this.all = bytes;
            this.in = new Reader(bytes);
        }

        boolean hasMore() {
            return in.remaining() > 0;
        }

        int peek() {
            return all[all.length - in.remaining()] & 0xff;
        }

        Der sequence() throws Malformed {
            return new Der(value(0x30));
        }

        BigInteger integer() throws Malformed {
            byte[] value = value(0x02);
            if (value.length == 0) {
                throw new Malformed("empty integer");
            }
            return new BigInteger(value);
        }

        byte[] value(int tag) throws Malformed {
            if (in.u8() != tag) {
                throw new Malformed("unexpected element");
            }
            int length = in.u8();
            if (length > 0x80) {
                int octets = length & 0x7f;
                if (octets > 3) {
                    throw new Malformed("element too long");
                }
                length = 0;
                for (int i = 0; i < octets; i++) {
                    length = length << 8 | in.u8();
                }
            } else if (length == 0x80) {
                throw new Malformed("indefinite length");
            }
            return in.raw(length);
        }
    }
}
