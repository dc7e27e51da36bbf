package holdfast.ssh.server.auth;

import holdfast.ssh.auth.KeyList;
import holdfast.ssh.auth.PublicIdentity;
import holdfast.ssh.auth.Wire.Malformed;
import holdfast.ssh.config.ServerSettings;
import holdfast.ssh.log.Log;
import holdfast.ssh.log.Reason;
import java.io.IOException;
import java.nio.file.Path;

/**
 * RevokedKeys: a list of keys or a revocation list.
 *
 * <p>A file that cannot be read or understood refuses every key: it is not known whom it meant.
 */
final class RevokedKeys {

    private RevokedKeys() {}

    /** Whether the key may not be used; says so in the log then. */
    static boolean refuses(ServerSettings settings, PublicIdentity key, Log log) {
        for (Path file : settings.revokedKeys()) {
            String named = key.typeName() + " " + KeyCheck.fingerprint(settings, key);
            try {
                if (KeyList.isRevoked(file, key)) {
                    log.error("Authentication key " + named + " revoked by file " + file);
                    return true;
                }
            } catch (IOException | Malformed e) {
                log.error(
                        "Error checking authentication key "
                                + named
                                + " in revoked keys file "
                                + file
                                + ": "
                                + Reason.of(e));
                return true;
            }
        }
        return false;
    }
}
