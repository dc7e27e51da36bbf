package holdfast.ssh.crypto;

import java.util.ArrayList;
import java.util.List;
import org.apache.sshd.client.kex.DHGClient;
import org.apache.sshd.client.kex.DHGEXClient;
import org.apache.sshd.common.NamedFactory;
import org.apache.sshd.common.SshConstants;
import org.apache.sshd.common.SshException;
import org.apache.sshd.common.cipher.BaseCBCCipher;
import org.apache.sshd.common.cipher.Cipher;
import org.apache.sshd.common.helpers.AbstractFactoryManager;
import org.apache.sshd.common.kex.AbstractDH;
import org.apache.sshd.common.kex.BuiltinDHFactories;
import org.apache.sshd.common.kex.DHFactory;
import org.apache.sshd.common.kex.DHG;
import org.apache.sshd.common.kex.KexProposalOption;
import org.apache.sshd.common.kex.KeyExchange;
import org.apache.sshd.common.kex.KeyExchangeFactory;
import org.apache.sshd.common.mac.BaseMac;
import org.apache.sshd.common.mac.Mac;
import org.apache.sshd.common.session.Session;
import org.apache.sshd.common.signature.Signature;
import org.apache.sshd.common.signature.SignatureECDSA;
import org.apache.sshd.common.signature.SignatureRSASHA1;
import org.apache.sshd.common.signature.SignatureRSASHA256;
import org.apache.sshd.common.signature.SignatureRSASHA512;
import org.apache.sshd.common.signature.SignatureSkECDSA;
import org.apache.sshd.common.signature.SignatureSkED25519;
import org.apache.sshd.common.util.security.eddsa.generic.GenericSignatureEd25519;
import org.apache.sshd.server.kex.DHGEXServer;
import org.apache.sshd.server.kex.DHGServer;
import org.jspecify.annotations.Nullable;

/**
 * The algorithms of the transport, from their names to what does them, in the order given.
 *
 * <p>A name that is not known here is left out: the configuration has already said so. MINA's own
 * tables are not used, because touching one of their entries initialises all of them, which a
 * client that lives for a fifth of a second notices.
 */
public final class Algorithms {

    /** Bits of the prime of a group exchange: what OpenSSH's client takes at least and at most. */
    private static final int SMALLEST_GROUP = 2048;

    private static final int LARGEST_GROUP = 8192;

    private Algorithms() {}

    /** Which end of the connection speaks. */
    public enum Side {
        CLIENT,
        SERVER
    }

    /**
     * Gives {@code manager} (an SshClient or an SshServer that has not been started) its key
     * exchanges, ciphers, MACs and signatures.
     *
     * @throws IllegalArgumentException with one line for the person when a list has no known name
     */
    public static void install(
            AbstractFactoryManager manager,
            Side side,
            List<String> kexAlgorithms,
            List<String> ciphers,
            List<String> macs,
            List<String> signatureAlgorithms) {
        install(manager, side, kexAlgorithms, ciphers, macs, signatureAlgorithms, null);
    }

    /** The same for a server that takes the groups of a group exchange from {@code moduli}. */
    public static void install(
            AbstractFactoryManager manager,
            Side side,
            List<String> kexAlgorithms,
            List<String> ciphers,
            List<String> macs,
            List<String> signatureAlgorithms,
            @Nullable Moduli moduli) {
        List<KeyExchangeFactory> exchanges = new ArrayList<>(kexAlgorithms.size());
        for (String name : kexAlgorithms) {
            if (isKex(name)) {
                exchanges.add(new Exchange(name, side, moduli));
            }
        }
        List<NamedFactory<Cipher>> encryptions = new ArrayList<>(ciphers.size());
        for (String name : ciphers) {
            NamedFactory<Cipher> factory = cipher(name);
            if (factory != null) {
                encryptions.add(factory);
            }
        }
        List<NamedFactory<Mac>> authenticators = new ArrayList<>(macs.size());
        for (String name : macs) {
            if (newMac(name) != null) {
                authenticators.add(new MacFactory(name));
            }
        }
        manager.setKeyExchangeFactories(given("KexAlgorithms", exchanges, kexAlgorithms));
        manager.setCipherFactories(given("Ciphers", encryptions, ciphers));
        manager.setMacFactories(given("MACs", authenticators, macs));
        manager.setSignatureFactories(signatures(signatureAlgorithms));
    }

    /** The signature algorithms of a list of names, also for one session's HostKeyAlgorithms. */
    public static List<NamedFactory<Signature>> signatures(List<String> names) {
        List<NamedFactory<Signature>> known = new ArrayList<>(names.size());
        for (String name : names) {
            NamedFactory<Signature> factory = signature(name);
            if (factory != null) {
                known.add(factory);
            }
        }
        return given("HostKeyAlgorithms", known, names);
    }

    private static <T> List<T> given(String keyword, List<T> known, List<String> asked) {
        if (known.isEmpty()) {
            throw new IllegalArgumentException(
                    "Bad " + keyword + " \"" + String.join(",", asked) + "\": none is available");
        }
        return known;
    }

    /** The cipher of this name, or null. */
    public static @Nullable NamedFactory<Cipher> cipher(String name) {
        return switch (name) {
            case "aes128-gcm@openssh.com",
                    "aes256-gcm@openssh.com",
                    "aes128-ctr",
                    "aes192-ctr",
                    "aes256-ctr",
                    "aes128-cbc",
                    "aes192-cbc",
                    "aes256-cbc",
                    "3des-cbc",
                    ChaCha20Poly1305.NAME ->
                    new CipherFactory(name);
            default -> null;
        };
    }

    private static Cipher newCipher(String name) {
        return switch (name) {
            case ChaCha20Poly1305.NAME -> new ChaCha20Poly1305();
            case "aes128-gcm@openssh.com" -> new AesGcm(16);
            case "aes256-gcm@openssh.com" -> new AesGcm(32);
            case "aes128-ctr" -> new AesCtr(16);
            case "aes192-ctr" -> new AesCtr(24);
            case "aes256-ctr" -> new AesCtr(32);
            case "aes128-cbc" -> cbc(16);
            case "aes192-cbc" -> cbc(24);
            case "aes256-cbc" -> cbc(32);
            case "3des-cbc" ->
                    new BaseCBCCipher(8, 0, 24, "DESede", 192, "DESede/CBC/NoPadding", 8);
            default -> throw new IllegalArgumentException("Unknown cipher type '" + name + "'");
        };
    }

    private static Cipher cbc(int key) {
        return new BaseCBCCipher(16, 0, key, "AES", key * 8, "AES/CBC/NoPadding", 16);
    }

    private static @Nullable Mac newMac(String name) {
        return switch (name) {
            case "umac-64-etm@openssh.com" -> new PacketUmac(8, true);
            case "umac-128-etm@openssh.com" -> new PacketUmac(16, true);
            case "umac-64@openssh.com" -> new PacketUmac(8, false);
            case "umac-128@openssh.com" -> new PacketUmac(16, false);
            case "hmac-sha2-256-etm@openssh.com" -> new BaseMac("HmacSHA256", 32, 32, true);
            case "hmac-sha2-512-etm@openssh.com" -> new BaseMac("HmacSHA512", 64, 64, true);
            case "hmac-sha1-etm@openssh.com" -> new BaseMac("HmacSHA1", 20, 20, true);
            case "hmac-sha1-96-etm@openssh.com" -> new BaseMac("HmacSHA1", 12, 20, true);
            case "hmac-md5-etm@openssh.com" -> new BaseMac("HmacMD5", 16, 16, true);
            case "hmac-md5-96-etm@openssh.com" -> new BaseMac("HmacMD5", 12, 16, true);
            case "hmac-sha2-256" -> new BaseMac("HmacSHA256", 32, 32, false);
            case "hmac-sha2-512" -> new BaseMac("HmacSHA512", 64, 64, false);
            case "hmac-sha1" -> new BaseMac("HmacSHA1", 20, 20, false);
            case "hmac-sha1-96" -> new BaseMac("HmacSHA1", 12, 20, false);
            case "hmac-md5" -> new BaseMac("HmacMD5", 16, 16, false);
            case "hmac-md5-96" -> new BaseMac("HmacMD5", 12, 16, false);
            default -> null;
        };
    }

    private static @Nullable NamedFactory<Signature> signature(String name) {
        return newSignature(name) == null ? null : new SignatureFactory(name);
    }

    /** A signature algorithm by its name on the wire; that of a certificate signs as its key. */
    static @Nullable Signature newSignature(String name) {
        return switch (name) {
            case "ssh-ed25519", "ssh-ed25519-cert-v01@openssh.com" ->
                    new GenericSignatureEd25519("Ed25519");
            case "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp256-cert-v01@openssh.com" ->
                    new SignatureECDSA.SignatureECDSA256();
            case "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp384-cert-v01@openssh.com" ->
                    new SignatureECDSA.SignatureECDSA384();
            case "ecdsa-sha2-nistp521", "ecdsa-sha2-nistp521-cert-v01@openssh.com" ->
                    new SignatureECDSA.SignatureECDSA521();
            case "rsa-sha2-512", "rsa-sha2-512-cert-v01@openssh.com" -> new SignatureRSASHA512();
            case "rsa-sha2-256", "rsa-sha2-256-cert-v01@openssh.com" -> new SignatureRSASHA256();
            case "ssh-rsa", "ssh-rsa-cert-v01@openssh.com" -> new SignatureRSASHA1();
            case "sk-ssh-ed25519@openssh.com", "sk-ssh-ed25519-cert-v01@openssh.com" ->
                    new SignatureSkED25519();
            case "sk-ecdsa-sha2-nistp256@openssh.com",
                    "sk-ecdsa-sha2-nistp256-cert-v01@openssh.com" ->
                    new SignatureSkECDSA();
            default -> null;
        };
    }

    private static boolean isKex(String name) {
        return switch (name) {
            case "mlkem768x25519-sha256",
                    "sntrup761x25519-sha512",
                    "sntrup761x25519-sha512@openssh.com",
                    "curve25519-sha256",
                    "curve25519-sha256@libssh.org",
                    "ecdh-sha2-nistp256",
                    "ecdh-sha2-nistp384",
                    "ecdh-sha2-nistp521",
                    "diffie-hellman-group-exchange-sha256",
                    "diffie-hellman-group-exchange-sha1",
                    "diffie-hellman-group14-sha256",
                    "diffie-hellman-group16-sha512",
                    "diffie-hellman-group18-sha512",
                    "diffie-hellman-group14-sha1",
                    "diffie-hellman-group1-sha1" ->
                    true;
            default -> false;
        };
    }

    private static DHFactory agreement(String name) {
        return switch (name) {
            case "mlkem768x25519-sha256" -> new X25519Factory(name, X25519.Beside.ML_KEM_768);
            case "sntrup761x25519-sha512", "sntrup761x25519-sha512@openssh.com" ->
                    new X25519Factory(name, X25519.Beside.SNTRUP_761);
            case "curve25519-sha256", "curve25519-sha256@libssh.org" ->
                    new X25519Factory(name, X25519.Beside.NOTHING);
            default -> BuiltinDHFactories.fromFactoryName(name);
        };
    }

    // The names of the accessors below are MINA's.

    private record CipherFactory(String getName) implements NamedFactory<Cipher> {
        @Override
        public Cipher create() {
            return newCipher(getName);
        }
    }

    private record MacFactory(String getName) implements NamedFactory<Mac> {
        @Override
        public @Nullable Mac create() {
            return newMac(getName);
        }
    }

    private record SignatureFactory(String getName) implements NamedFactory<Signature> {
        @Override
        public @Nullable Signature create() {
            return newSignature(getName);
        }
    }

    private record Exchange(String getName, Side side, @Nullable Moduli moduli)
            implements KeyExchangeFactory {
        @Override
        public KeyExchange createKeyExchange(Session session) throws Exception {
            DHFactory agreement = agreement(getName);
            KeyExchangeFactory factory =
                    switch (side) {
                        case CLIENT ->
                                agreement.isGroupExchange()
                                        ? new AskingFactory(agreement)
                                        : DHGClient.newFactory(agreement);
                        case SERVER ->
                                agreement.isGroupExchange()
                                        ? moduli == null
                                                ? DHGEXServer.newFactory(agreement)
                                                : new OfferingFactory(agreement, moduli)
                                        : DHGServer.newFactory(agreement);
                    };
            return factory.createKeyExchange(session);
        }
    }

    /**
     * How many bits of a group are as strong as the keys made with it (dh.c, dh_estimate; NIST SP
     * 800-57).
     *
     * @param cipher its name
     * @param mac its name; of no matter where the cipher proves its packets itself
     */
    static int groupFor(String cipher, String mac) {
        Cipher encryption = newCipher(cipher);
        // 3DES is worth 112 bits, however long its key is.
        int secret = cipher.equals("3des-cbc") ? 14 : encryption.getKdfSize();
        int bytes =
                Math.max(secret, Math.max(encryption.getCipherBlockSize(), encryption.getIVSize()));
        Mac authenticator = encryption.getAuthenticationTagSize() > 0 ? null : newMac(mac);
        if (authenticator != null) {
            bytes = Math.max(bytes, authenticator.getDefaultBlockSize());
        }
        int bits = 8 * bytes;
        return bits <= 112
                ? SMALLEST_GROUP
                : bits <= 128 ? 3072 : bits <= 192 ? 7680 : LARGEST_GROUP;
    }

    private record AskingFactory(DHFactory agreement) implements KeyExchangeFactory {
        @Override
        public String getName() {
            return agreement.getName();
        }

        @Override
        public KeyExchange createKeyExchange(Session session) {
            return new Asking(agreement, session);
        }
    }

    /** A client's group exchange, which asks for what OpenSSH's would. */
    private static final class Asking extends DHGEXClient {

        Asking(DHFactory agreement, Session session) {
            super(agreement, session);
        }

        @Override
        public void init(byte[] ours, byte[] theirs, byte[] ourOffer, byte[] theirOffer)
                throws Exception {
            Session session = getSession();
            min = SMALLEST_GROUP;
            max = LARGEST_GROUP;
            prf =
                    Math.max(
                            groupFor(
                                    session.getNegotiatedKexParameter(KexProposalOption.C2SENC),
                                    session.getNegotiatedKexParameter(KexProposalOption.C2SMAC)),
                            groupFor(
                                    session.getNegotiatedKexParameter(KexProposalOption.S2CENC),
                                    session.getNegotiatedKexParameter(KexProposalOption.S2CMAC)));
            super.init(ours, theirs, ourOffer, theirOffer);
        }
    }

    private record OfferingFactory(DHFactory agreement, Moduli moduli)
            implements KeyExchangeFactory {
        @Override
        public String getName() {
            return agreement.getName();
        }

        @Override
        public KeyExchange createKeyExchange(Session session) {
            return new Offering(agreement, session, moduli);
        }
    }

    /** A server's group exchange, with a group that OpenSSH would have chosen. */
    private static final class Offering extends DHGEXServer {

        private final Moduli moduli;

        Offering(DHFactory agreement, Session session, Moduli moduli) {
            super(agreement, session);
            this.moduli = moduli;
        }

        @Override
        protected DHG chooseDH(int min, int wanted, int max) throws Exception {
            Moduli.Group group = moduli.choose(min, wanted, max);
            if (group == null) {
                throw new SshException(
                        SshConstants.SSH2_DISCONNECT_KEY_EXCHANGE_FAILED,
                        "DH GEX group out of range");
            }
            return getDH(group.prime(), group.generator());
        }
    }

    private record X25519Factory(String getName, X25519.Beside beside) implements DHFactory {
        @Override
        public boolean isSupported() {
            return true;
        }

        @Override
        public boolean isGroupExchange() {
            return false;
        }

        @Override
        public AbstractDH create(Object... none) throws Exception {
            return new X25519(beside);
        }
    }
}
