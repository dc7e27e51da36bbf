package holdfast.ssh.config;

/**
 * What was asked for cannot be done: a bad option, a bad line of a file, a value that means
 * nothing. The message is for a person, in OpenSSH's words where it has words; it may have several
 * lines, in the order OpenSSH prints them. The process ends with {@link #EXIT_STATUS}.
 */
public final class ConfigException extends Exception {

    /** The status ssh ends with for every failure of its own. */
    public static final int EXIT_STATUS = 255;

    private static final long serialVersionUID = 1;

    private final boolean usage;

    private ConfigException(String message, boolean usage) {
        // A message to a person; the stack says nothing and costs time.
        super(message, null, false, false);
        this.usage = usage;
    }

    /** An error that {@code -q} silences, as OpenSSH's {@code fatal} does. */
    static ConfigException of(String message) {
        return new ConfigException(message, false);
    }

    /** An error of the command line that is printed even with {@code -q}. */
    static ConfigException usage(String message) {
        return new ConfigException(message, true);
    }

    /** The text for the person, never null. */
    public String text() {
        return String.valueOf(getMessage());
    }

    /** Whether the text is printed even at LogLevel QUIET. */
    public boolean evenWhenQuiet() {
        return usage;
    }
}
