package holdfast.ssh.client;

import java.util.List;

/**
 * The client cannot go on; its message is what the person is told, in OpenSSH's words where it has
 * words. The exit status is 255.
 */
public final class ClientFailure extends Exception {

    private static final long serialVersionUID = 1;

    private final transient List<String> lines;

    /**
     * @param lines one or two lines, without line ends; may be empty when everything has been said
     */
    public ClientFailure(List<String> lines) {
        super(String.join("; ", lines), null, false, false);
        this.lines = List.copyOf(lines);
    }

    public ClientFailure(String line) {
        this(List.of(line));
    }

    public List<String> lines() {
        return lines;
    }
}
