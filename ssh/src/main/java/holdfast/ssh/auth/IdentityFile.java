package holdfast.ssh.auth;

import holdfast.ssh.auth.Wire.Malformed;
import holdfast.ssh.log.Log;
import holdfast.ssh.log.Reason;
import holdfast.ssh.octets.Octets;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import org.jspecify.annotations.Nullable;

/**
 * A file with a private key, read as OpenSSH's authfile.c reads it: only when nobody else may, its
 * public half first so that a pass phrase is asked for no earlier than needed.
 */
public final class IdentityFile {

    /** What came of an attempt to load the private half. */
    public sealed interface Outcome {}

    /** The key. */
    public record Loaded(PrivateIdentity identity) implements Outcome {}

    /** The key is encrypted, and not with this pass phrase. */
    public record WrongPassphrase() implements Outcome {}

    /** There is no such file. */
    public record Missing() implements Outcome {}

    /**
     * The key cannot be used.
     *
     * @param reason OpenSSH's words for it
     */
    public record Unusable(String reason) implements Outcome {}

    /** OpenSSH's MAX_KEY_FILE_SIZE. */
    private static final int LONGEST = 1024 * 1024;

    private static final int OTHERS_MAY = 077;
    private static final String FRAME = "@".repeat(59);

    private IdentityFile() {}

    /**
     * The public half, from the file itself if that is a public key, else from the file beside it
     * with {@code .pub} added, else from the unencrypted part of OpenSSH's private key format; null
     * where none of these has it.
     */
    public static @Nullable PublicIdentity publicHalf(Path file) {
        byte[] content = contentOrNull(file);
        if (content != null) {
            PublicIdentity itself = PublicIdentity.ofText(text(content));
            if (itself != null) {
                return itself;
            }
        }
        byte[] beside = contentOrNull(Octets.path(Octets.text(file) + ".pub"));
        if (beside != null) {
            PublicIdentity read = PublicIdentity.ofText(text(beside));
            if (read != null) {
                return read;
            }
        }
        if (content != null) {
            try {
                return KeyContainer.publicHalf(text(content));
            } catch (Malformed notOpenSsh) {
                return null;
            }
        }
        return null;
    }

    /** The certificate beside the key, {@code FILE-cert.pub} or {@code FILE-cert}, or null. */
    static @Nullable PublicIdentity certificate(Path file) {
        for (String suffix : new String[] {"-cert", "-cert.pub"}) {
            byte[] content = contentOrNull(Octets.path(Octets.text(file) + suffix));
            if (content != null) {
                PublicIdentity read = PublicIdentity.ofText(text(content));
                if (read != null) {
                    return read.isCertificate() ? read : null;
                }
            }
        }
        return null;
    }

    /**
     * Loads the private key.
     *
     * @param passphrase empty: none
     * @param log takes the warning about a file that others may read
     */
    public static Outcome load(Path file, String passphrase, Log log) {
        byte[] content;
        try {
            if (!onlyMineToRead(file, log)) {
                return new Unusable("bad permissions");
            }
            content = content(file);
        } catch (NoSuchFileException e) {
            return new Missing();
        } catch (IOException e) {
            return new Unusable(Reason.of(e));
        }
        try {
            PrivateIdentity identity = KeyContainer.open(text(content), passphrase);
            return identity == null ? new WrongPassphrase() : new Loaded(identity);
        } catch (KeyContainer.Unsupported e) {
            return new Unusable(e.reason());
        } catch (Malformed | GeneralSecurityException e) {
            // OpenSSH hands to libcrypto whatever it cannot read itself, and that cannot either.
            return new Unusable("error in libcrypto");
        }
    }

    static boolean exists(Path file) {
        return Files.exists(file);
    }

    /** As OpenSSH's sshkey_perm_ok: what belongs to somebody else is that person's concern. */
    private static boolean onlyMineToRead(Path file, Log log) throws IOException {
        int mode;
        try {
            Object me = Files.getAttribute(Path.of("/proc/self"), "unix:uid");
            if (!Files.getAttribute(file, "unix:uid").equals(me)) {
                return true;
            }
            mode = (int) Files.getAttribute(file, "unix:mode");
        } catch (UnsupportedOperationException noUnix) {
            return true;
        }
        if ((mode & OTHERS_MAY) == 0) {
            return true;
        }
        String octal = Integer.toOctalString(mode & 0777);
        log.error(FRAME);
        log.error("@         WARNING: UNPROTECTED PRIVATE KEY FILE!          @");
        log.error(FRAME);
        log.error(
                "Permissions 0"
                        + "0".repeat(3 - octal.length())
                        + octal
                        + " for '"
                        + Octets.text(file)
                        + "' are too open.");
        log.error("It is required that your private key files are NOT accessible by others.");
        log.error("This private key will be ignored.");
        return false;
    }

    private static byte @Nullable [] contentOrNull(Path file) {
        try {
            return content(file);
        } catch (IOException absentOrUnreadable) {
            return null; // the attempt to load the private half says why
        }
    }

    private static byte[] content(Path file) throws IOException {
        try (InputStream in = Files.newInputStream(file)) {
            byte[] content = in.readNBytes(LONGEST + 1);
            if (content.length > LONGEST) {
                throw new FileSystemException(file.toString(), null, "invalid format");
            }
            return content;
        }
    }

    private static String text(byte[] content) {
        return new String(content, StandardCharsets.ISO_8859_1);
    }
}
