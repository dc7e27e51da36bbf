package holdfast.ssh.config;

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
}
