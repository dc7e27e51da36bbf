package holdfast.ssh.config;

import holdfast.ssh.log.Log;
import holdfast.ssh.octets.Octets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What one run of the client does with certificates and with agents beyond asking one to sign.
 * Immutable.
 *
 * @param certificateFiles CertificateFile, in order, tilde and tokens expanded
 * @param certificateFilesGiven whether any came from the person
 * @param hostBound whether signatures name the server's key where it takes that
 *     (PubkeyAuthentication other than unbound)
 * @param forwardAgent the socket of the agent that programs at the server may talk to; null: none
 * @param namedAgent what ForwardAgent calls that one, beyond yes; null: nothing
 * @param addKeys AddKeysToAgent
 * @param addedFor how long an agent keeps a key that was added; zero: for ever
 * @param securityKeyProvider what reaches keys on hardware, a library or {@code internal}; null:
 *     they are not used
 */
public record ClientCredentials(
        List<Path> certificateFiles,
        boolean certificateFilesGiven,
        boolean hostBound,
        @Nullable String forwardAgent,
        @Nullable String namedAgent,
        AddKeys addKeys,
        Duration addedFor,
        @Nullable String securityKeyProvider) {

    /** AddKeysToAgent. */
    public enum AddKeys {
        NO,
        YES,
        /** After the person has agreed. */
        ASK,
        /** The agent is to ask before each use. */
        CONFIRM
    }

    public ClientCredentials {
        certificateFiles = List.copyOf(certificateFiles);
    }

    /** Whether the agent that is named, if any is, is there to be forwarded; says if it is not. */
    public boolean agentIsThere(Log log) {
        if (namedAgent == null
                || (forwardAgent != null && Files.exists(Octets.path(forwardAgent)))) {
            return true;
        }
        log.error(
                "Cannot forward agent socket path \""
                        + namedAgent
                        + "\": No such file or directory");
        return false;
    }
}
