package holdfast.ssh.config;

/**
 * What was asked for cannot be done: a bad option, a bad line of a file, a value that means
 * nothing. The message is for a person, in OpenSSH's words where it has words; it may have several
 * lines, in the order OpenSSH prints them. The process ends with {@link #EXIT_STATUS}.
 *
 * <p>OpenSSH prints errors of the command line always, and those of the files unless {@code -q}.
 */
public final class ConfigException extends Exception {

    /** The status ssh ends with for every failure of its own. */
    public static final int EXIT_STATUS = 255;

    private static final long serialVersionUID = 1;

    private final boolean ofCommandLine;

    private ConfigException(String message, boolean ofCommandLine) {
        // A message to a person; the stack says nothing and costs time.
        super(message, null, false, false);
        this.ofCommandLine = ofCommandLine;
    }

    static ConfigException of(String message) {
        return new ConfigException(message, false);
    }

    /** The same, as an error of the command line. */
    ConfigException ofCommandLine() {
        return new ConfigException(text(), true);
    }

    /** The text for the person: one or more lines, without the end of the last. */
    public String text() {
        return String.valueOf(getMessage());
    }

    /** Whether the text is printed at LogLevel QUIET too. */
    public boolean evenWhenQuiet() {
        return ofCommandLine;
    }
}
