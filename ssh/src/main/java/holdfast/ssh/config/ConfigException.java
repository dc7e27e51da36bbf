package holdfast.ssh.config;

/**
 * What was asked for cannot be done: a bad option, a bad line of a file, a value that means
 * nothing. The message is for a person, in OpenSSH's words where it has words; it may have several
 * lines, in the order OpenSSH prints them. The process ends with {@link #status}.
 *
 * <p>OpenSSH prints errors of the command line always, and those of the files unless {@code -q}.
 */
public final class ConfigException extends Exception {

    /** The status ssh ends with for every failure of its own, and sshd for most. */
    public static final int EXIT_STATUS = 255;

    private static final String USAGE = "usage: ";

    private static final long serialVersionUID = 1;

    private final boolean ofCommandLine;
    private final boolean plain;
    private final int status;

    private ConfigException(String message, boolean ofCommandLine, boolean plain, int status) {
        // A message to a person; the stack says nothing and costs time.
        super(message, null, false, false);
        this.ofCommandLine = ofCommandLine;
        this.plain = plain;
        this.status = status;
    }

    static ConfigException of(String message) {
        return new ConfigException(message, false, false, EXIT_STATUS);
    }

    /** One that OpenSSH prints without its log, so that lines end in LF alone. */
    static ConfigException plain(String message) {
        return new ConfigException(message, false, true, EXIT_STATUS);
    }

    /** The same, as an error of the command line. */
    ConfigException ofCommandLine() {
        return new ConfigException(text(), true, plain, status);
    }

    /** The same, for which the process ends with another status, as sshd does for some. */
    ConfigException withStatus(int other) {
        return new ConfigException(text(), ofCommandLine, plain, other);
    }

    /** What the process ends with. */
    public int status() {
        return status;
    }

    /** The text for the person: one or more lines, without the end of the last. */
    public String text() {
        return String.valueOf(getMessage());
    }

    /** The same as it is printed, with the ends of lines that OpenSSH gives them. */
    public String printed() {
        String text = text();
        int usage = text.indexOf(USAGE);
        int logged = plain || usage == 0 ? 0 : usage < 0 ? text.length() : usage;
        String lines = text.substring(0, logged).replace("\n", "\r\n");
        return logged == text.length() ? lines + "\r\n" : lines + text.substring(logged) + "\n";
    }

    /** Whether the text is printed at LogLevel QUIET too. */
    public boolean evenWhenQuiet() {
        return ofCommandLine;
    }
}
