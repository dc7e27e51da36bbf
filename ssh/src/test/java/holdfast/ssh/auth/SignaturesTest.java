package holdfast.ssh.auth;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import java.security.KeyPair;
import java.security.KeyPairGenerator;
import java.security.MessageDigest;
import java.security.PrivateKey;
import java.security.Signature;
import java.security.interfaces.ECPublicKey;
import java.security.spec.ECGenParameterSpec;
import java.util.Arrays;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.Test;

/** What a FIDO token signs, made here by the token's own rules (PROTOCOL.u2f). */
class SignaturesTest {

    private static final byte[] DATA = "the request".getBytes(UTF_8);
    private static final String APPLICATION = "ssh:work";

    private static byte[] sha256(byte[] bytes) throws Exception {
        return MessageDigest.getInstance("SHA-256").digest(bytes);
    }

    private static byte[] sign(String name, PrivateKey key, int flags, int counter)
            throws Exception {
        Signature signature = Signature.getInstance(name);
        signature.initSign(key);
        signature.update(
                new Wire.Writer()
                        .raw(sha256(APPLICATION.getBytes(UTF_8)))
                        .u8(flags)
                        .u32(counter)
                        .raw(sha256(DATA))
                        .bytes());
        return signature.sign();
    }

    @Test
    void a_token_with_ed25519_tells_of_touch_and_count() throws Exception {
        KeyPair pair = KeyPairGenerator.getInstance("Ed25519").generateKeyPair();
        String type = "sk-ssh-ed25519@openssh.com";
        PublicIdentity key = PublicIdentity.of(token(type, pair));
        Signatures.wellFormed(key);
        byte[] raw = sign("Ed25519", pair.getPrivate(), 0x05, 7);
        byte[] signature = new Wire.Writer().text(type).string(raw).u8(0x05).u32(7).bytes();
        assertThat(Signatures.check(key, type, signature, DATA))
                .isEqualTo(new Signatures.Valid(true, true, true, 7));
        byte[] claimed = new Wire.Writer().text(type).string(raw).u8(0x01).u32(7).bytes();
        assertThat(Signatures.check(key, type, claimed, DATA)).isNull();
        byte[] untouched = sign("Ed25519", pair.getPrivate(), 0, -1);
        assertThat(
                        Signatures.check(
                                key,
                                type,
                                new Wire.Writer()
                                        .text(type)
                                        .string(untouched)
                                        .u8(0)
                                        .u32(-1)
                                        .bytes(),
                                DATA))
                .isEqualTo(new Signatures.Valid(true, false, false, 0xffffffffL));
    }

    @Test
    void a_token_with_ecdsa_does_too() throws Exception {
        KeyPairGenerator generator = KeyPairGenerator.getInstance("EC");
        generator.initialize(new ECGenParameterSpec("secp256r1"));
        KeyPair pair = generator.generateKeyPair();
        byte[] x509 = ((ECPublicKey) pair.getPublic()).getEncoded();
        String type = "sk-ecdsa-sha2-nistp256@openssh.com";
        PublicIdentity key =
                PublicIdentity.of(
                        new Wire.Writer()
                                .text(type)
                                .text("nistp256")
                                .string(Arrays.copyOfRange(x509, x509.length - 65, x509.length))
                                .text(APPLICATION)
                                .bytes());
        byte[] both = sign("SHA256withECDSAinP1363Format", pair.getPrivate(), 0x01, 9);
        byte[] numbers =
                new Wire.Writer()
                        .mpint(new java.math.BigInteger(1, Arrays.copyOf(both, 32)))
                        .mpint(new java.math.BigInteger(1, Arrays.copyOfRange(both, 32, 64)))
                        .bytes();
        byte[] signature = new Wire.Writer().text(type).string(numbers).u8(1).u32(9).bytes();
        assertThat(Signatures.check(key, type, signature, DATA))
                .isEqualTo(new Signatures.Valid(true, true, false, 9));
        assertThat(Signatures.check(key, type, signature, new byte[1])).isNull();
    }

    @Test
    void a_server_proves_the_key_that_it_showed_last_by_a_token_and_nothing_else()
            throws Exception {
        KeyPair pair = KeyPairGenerator.getInstance("Ed25519").generateKeyPair();
        KeyPair other = KeyPairGenerator.getInstance("Ed25519").generateKeyPair();
        String type = "sk-ssh-ed25519@openssh.com";
        AtomicReference<byte[]> shown = new AtomicReference<>(new byte[0]);
        HardwareSignature proof = new HardwareSignature(type, shown::get);
        byte[] raw = sign("Ed25519", pair.getPrivate(), 0, 7);
        byte[] signature = new Wire.Writer().text(type).string(raw).u8(0).u32(7).bytes();
        byte[] plain = new Wire.Writer().text("ssh-ed25519").string(raw).bytes();
        proof.initVerifier(null, pair.getPublic());
        proof.update(null, DATA, 0, 4);
        proof.update(null, DATA, 4, DATA.length - 4);
        assertThat(proof.verify(null, signature)).isFalse(); // nothing was shown
        shown.set(token(type, other));
        assertThat(proof.verify(null, signature)).isFalse();
        shown.set(token(type, pair));
        assertThat(proof.verify(null, signature)).isTrue();
        assertThat(proof.verify(null, plain)).isFalse();
        proof.initVerifier(null, pair.getPublic());
        assertThat(proof.verify(null, signature)).isFalse(); // of what came before
    }

    private static byte[] token(String type, KeyPair pair) {
        byte[] x509 = pair.getPublic().getEncoded();
        return new Wire.Writer()
                .text(type)
                .string(Arrays.copyOfRange(x509, x509.length - 32, x509.length))
                .text(APPLICATION)
                .bytes();
    }

    @Test
    void an_algorithm_is_for_one_type_of_key() throws Exception {
        PublicIdentity rsa = PublicIdentity.of(new Wire.Writer().text("ssh-rsa").bytes());
        PublicIdentity certified =
                PublicIdentity.of(new Wire.Writer().text("ssh-rsa-cert-v01@openssh.com").bytes());
        assertThat(Signatures.isFor("rsa-sha2-512", rsa)).isTrue();
        assertThat(Signatures.isFor("rsa-sha2-512", certified)).isFalse();
        assertThat(Signatures.isFor("rsa-sha2-256-cert-v01@openssh.com", certified)).isTrue();
        assertThat(Signatures.isFor("rsa-sha2-256-cert-v01@openssh.com", rsa)).isFalse();
        assertThat(Signatures.isFor("ssh-ed25519", rsa)).isFalse();
    }
}
