package holdfast.ssh.config;

import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What one run of the client does for the person beside the session itself: what runs here, what is
 * shown, and what is remembered of the server's keys. Immutable.
 *
 * @param permitLocalCommand PermitLocalCommand: LocalCommand, and {@code !} after {@code ~C}
 * @param localCommand its tokens expanded; null: none
 * @param shell runs local commands
 * @param visualHostKey VisualHostKey
 * @param updateHostKeys UpdateHostKeys, its default's conditions looked at
 * @param escapeCommandline EnableEscapeCommandline
 * @param logVerbose LogVerbose: lists of patterns; empty: "none"
 * @param syslogFacility with {@code -y}: where the log goes; null: standard error or a file
 */
public record ClientComfort(
        boolean permitLocalCommand,
        @Nullable String localCommand,
        String shell,
        boolean visualHostKey,
        UpdateHostKeys updateHostKeys,
        boolean escapeCommandline,
        List<String> logVerbose,
        @Nullable String syslogFacility) {

    /** UpdateHostKeys. */
    public enum UpdateHostKeys {
        NO,
        YES,
        ASK;

        /** As {@code -G} has it. */
        String spelled() {
            return switch (this) {
                case NO -> "false";
                case YES -> "true";
                case ASK -> "ask";
            };
        }
    }

    /** Of all this nothing. */
    public static final ClientComfort NONE =
            new ClientComfort(
                    false, null, "/bin/sh", false, UpdateHostKeys.NO, false, List.of(), null);

    public ClientComfort {
        logVerbose = List.copyOf(logVerbose);
    }
}
