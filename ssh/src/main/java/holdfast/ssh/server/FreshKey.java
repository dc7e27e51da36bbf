package holdfast.ssh.server;

import holdfast.ssh.crypto.JdkCrypto;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.security.GeneralSecurityException;
import java.security.KeyPair;
import java.security.KeyPairGenerator;
import org.apache.sshd.common.config.keys.PublicKeyEntry;
import org.apache.sshd.common.config.keys.writer.openssh.OpenSSHKeyPairResourceWriter;

/** A key pair made on first use: an Ed25519 key in OpenSSH's file format, without a passphrase. */
public final class FreshKey {

    private FreshKey() {}

    /**
     * The public key, {@code ssh-ed25519 AAAA...}, of the private key in {@code file}, which is
     * made if it is not there.
     */
    public static String at(Path file, String comment) throws IOException {
        Path open = file.resolveSibling(file.getFileName() + ".pub");
        if (Files.exists(file) && Files.exists(open)) {
            return Files.readString(open).strip();
        }
        JdkCrypto.install();
        try {
            KeyPair pair = KeyPairGenerator.getInstance("Ed25519").generateKeyPair();
            Files.deleteIfExists(file);
            Files.createFile(
                    file,
                    PosixFilePermissions.asFileAttribute(
                            PosixFilePermissions.fromString("rw-------")));
            try (OutputStream out = Files.newOutputStream(file, StandardOpenOption.WRITE)) {
                OpenSSHKeyPairResourceWriter.INSTANCE.writePrivateKey(pair, comment, null, out);
            }
            String line = PublicKeyEntry.toString(pair.getPublic());
            Files.writeString(open, line + " " + comment + "\n");
            return line;
        } catch (GeneralSecurityException e) {
            throw new IOException("cannot make a key: " + e.getMessage(), e);
        }
    }
}
