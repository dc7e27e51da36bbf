package holdfast.ssh.server.sftp;

import holdfast.ssh.log.Log;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * The command line of {@code internal-sftp}: the options of sftp-server(8).
 *
 * @param level how much is logged; Log.Level.ERROR: next to nothing
 * @param start where relative names begin, with tokens; null: the home directory
 * @param denied requests that are refused, by name
 * @param allowed the only requests that are served; null: all
 * @param umask in place of the server's own; -1: that
 */
public record SftpOptions(
        Log.Level level,
        @Nullable String start,
        Set<String> denied,
        @Nullable Set<String> allowed,
        boolean readOnly,
        int umask) {

    public SftpOptions {
        denied = Set.copyOf(denied);
        allowed = allowed == null ? null : Set.copyOf(allowed);
    }

    /**
     * Reads the words after {@code internal-sftp}.
     *
     * @throws IllegalArgumentException saying what is wrong
     */
    public static SftpOptions parse(String command) {
        Log.Level level = Log.Level.ERROR;
        String start = null;
        Set<String> denied = new HashSet<>();
        Set<String> allowed = null;
        boolean readOnly = false;
        int umask = -1;
        List<String> words = new ArrayList<>(List.of(command.strip().split("[ \t]+")));
        words.removeFirst();
        while (!words.isEmpty()) {
            String word = words.removeFirst();
            if (word.equals("--")) {
                break;
            }
            if (word.length() < 2 || word.charAt(0) != '-') {
                break;
            }
            for (int i = 1; i < word.length(); i++) {
                char option = word.charAt(i);
                switch (option) {
                    case 'R' -> readOnly = true;
                    // The log goes where the server's goes.
                    case 'e' -> {}
                    case 'd', 'f', 'l', 'P', 'p', 'u' -> {
                        String value = word.substring(i + 1);
                        if (value.isEmpty()) {
                            if (words.isEmpty()) {
                                throw new IllegalArgumentException(
                                        "option requires an argument -- '" + option + "'");
                            }
                            value = words.removeFirst();
                        }
                        switch (option) {
                            case 'd' -> start = value;
                            case 'l' -> level = level(value);
                            case 'P' -> denied.addAll(List.of(value.split(",")));
                            case 'p' -> {
                                if (allowed == null) {
                                    allowed = new HashSet<>();
                                }
                                allowed.addAll(List.of(value.split(",")));
                            }
                            case 'u' -> umask = umask(value);
                            default -> {
                                // -f: one facility for the whole server.
                            }
                        }
                        i = word.length();
                    }
                    default ->
                            throw new IllegalArgumentException(
                                    "invalid option -- '" + option + "'");
                }
            }
        }
        return new SftpOptions(level, start, denied, allowed, readOnly, umask);
    }

    private static Log.Level level(String text) {
        String upper = text.toUpperCase(Locale.ROOT);
        try {
            return upper.equals("DEBUG") ? Log.Level.DEBUG1 : Log.Level.valueOf(upper);
        } catch (IllegalArgumentException e) {
            throw new IllegalArgumentException("Invalid log level \"" + text + "\"", e);
        }
    }

    private static int umask(String text) {
        try {
            int mask = Integer.parseInt(text, 8);
            if (mask >= 0 && mask <= 0777) {
                return mask;
            }
        } catch (NumberFormatException e) {
            // told below, as OpenSSH tells both
        }
        throw new IllegalArgumentException("Invalid umask \"" + text + "\"");
    }
}
