package holdfast.ssh.auth;

import holdfast.ssh.auth.Wire.Malformed;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;
import java.nio.file.attribute.FileTime;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/** A file of public keys, or a {@link Krl}: what RevokedKeys and RevokedHostKeys name. */
public final class KeyList {

    /** A list of a million fingerprints takes 36 MB. */
    private static final int MOST_BYTES = 64 * 1024 * 1024;

    /** The last revocation list read: large ones take seconds to take apart. */
    private record Known(Path file, @Nullable Object key, FileTime changed, long size, Krl krl) {}

    private static volatile @Nullable Known last;

    private KeyList() {}

    /** Whether a file withdraws a key, the certificate it is in, or who signed that. */
    public static boolean isRevoked(Path file, PublicIdentity key) throws IOException, Malformed {
        BasicFileAttributes attributes = Files.readAttributes(file, BasicFileAttributes.class);
        Known known = last;
        if (known != null
                && known.file.equals(file)
                && Objects.equals(known.key, attributes.fileKey())
                && known.changed.equals(attributes.lastModifiedTime())
                && known.size == attributes.size()) {
            return known.krl.revokes(key);
        }
        byte[] content = content(file);
        if (Krl.looksLikeOne(content)) {
            Krl krl = Krl.of(content);
            last =
                    new Known(
                            file,
                            attributes.fileKey(),
                            attributes.lastModifiedTime(),
                            attributes.size(),
                            krl);
            return krl.revokes(key);
        }
        PublicIdentity authority = key.isCertificate() ? Certificate.of(key).authority() : null;
        for (PublicIdentity listed : keys(file, content)) {
            if (listed.sameKey(key) || (authority != null && listed.sameKey(authority))) {
                return true;
            }
        }
        return false;
    }

    /** Whether a file of keys lists this very one. */
    public static boolean lists(Path file, PublicIdentity key) throws IOException {
        return keys(file, content(file)).contains(key);
    }

    private static List<PublicIdentity> keys(Path file, byte[] content) throws IOException {
        List<PublicIdentity> keys = new ArrayList<>();
        int number = 0;
        for (String line : new String(content, StandardCharsets.UTF_8).split("\n", -1)) {
            number++;
            String text = line.strip();
            if (text.isEmpty() || text.startsWith("#")) {
                continue;
            }
            PublicIdentity key = PublicIdentity.ofLine(text);
            if (key == null) {
                throw new FileSystemException(
                        file.toString(), null, "line " + number + ": invalid format");
            }
            keys.add(key);
        }
        return keys;
    }

    private static byte[] content(Path file) throws IOException {
        try (InputStream in = Files.newInputStream(file)) {
            byte[] content = in.readNBytes(MOST_BYTES + 1);
            if (content.length > MOST_BYTES) {
                throw new FileSystemException(file.toString(), null, "file too large");
            }
            return content;
        }
    }
}
