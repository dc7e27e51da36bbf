package holdfast.ssh.config;

import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * What one run of the client goes by when it is shown a host key, beside the known_hosts files.
 * Immutable.
 *
 * @param revoked RevokedHostKeys: no key that one of these files withdraws is ever accepted
 * @param command KnownHostsCommand; null: none
 * @param fingerprints how keys are named to a person
 */
public record HostTrust(
        List<Path> revoked,
        @Nullable KeysCommand command,
        ServerSettings.FingerprintHash fingerprints) {

    /** Nothing beside the files. */
    public static final HostTrust FILES =
            new HostTrust(List.of(), null, ServerSettings.FingerprintHash.SHA256);

    public HostTrust {
        revoked = List.copyOf(revoked);
    }

    /**
     * KnownHostsCommand.
     *
     * @param words the program and its arguments, tokens not yet replaced
     * @param tokens what is known of them; those of the key that is asked about come on top
     */
    public record KeysCommand(List<String> words, Map<Character, String> tokens) {

        /** The tokens that only whoever runs it knows. */
        public static final String OWN_TOKENS = "HIKft";

        public KeysCommand {
            words = List.copyOf(words);
            tokens = Map.copyOf(tokens);
        }
    }
}
