package holdfast.ssh.auth;

import holdfast.ssh.auth.Wire.Malformed;
import java.io.ByteArrayOutputStream;
import java.security.PrivateKey;
import java.security.PublicKey;
import java.util.function.Supplier;
import org.apache.sshd.common.session.SessionContext;
import org.apache.sshd.common.signature.Signature;
import org.jspecify.annotations.Nullable;

/**
 * A signature by a key on hardware (sk-…), as a client checks it of a server: over the bytes of the
 * key as they came, and whoever touched the hardware, which OpenSSH does not ask of a server.
 */
public final class HardwareSignature implements Signature {

    private final String algorithm;
    private final Supplier<byte[]> key;
    private final ByteArrayOutputStream data = new ByteArrayOutputStream();

    /**
     * @param key what the server showed, looked at when it comes to the check
     */
    public HardwareSignature(String algorithm, Supplier<byte[]> key) {
        this.algorithm = algorithm;
        this.key = key;
    }

    @Override
    public String getAlgorithm() {
        return algorithm;
    }

    @Override
    public String getSshAlgorithmName(String name) {
        return name;
    }

    @Override
    public void initVerifier(@Nullable SessionContext session, PublicKey decoded) {
        data.reset();
    }

    @Override
    public void update(@Nullable SessionContext session, byte[] bytes, int from, int length) {
        data.write(bytes, from, length);
    }

    @Override
    public boolean verify(@Nullable SessionContext session, byte[] signature) {
        try {
            PublicIdentity shown = PublicIdentity.of(key.get());
            return Signatures.check(shown, algorithm, signature, data.toByteArray()) != null;
        } catch (Malformed e) {
            return false; // no key, no proof
        }
    }

    @Override
    public void initSigner(SessionContext session, PrivateKey key) {
        throw new UnsupportedOperationException("the hardware signs");
    }

    @Override
    public byte[] sign(SessionContext session) {
        throw new UnsupportedOperationException("the hardware signs");
    }
}
