package holdfast.ssh.system;

import java.nio.file.Path;
import java.util.List;
import java.util.Map;

/** How a child of root becomes a user. */
public final class Become {

    private Become() {}

    /**
     * A child that will run {@code program} as the user, through PAM's session modules or without.
     * When this process is not root, or the user is its own, just that program.
     *
     * <p>Status, argv[0], environment and signals are those of the program; see the class for what
     * each way costs.
     *
     * @param argv0 the first argument, as {@code -bash}
     */
    public static Spawn as(
            Account account,
            boolean pam,
            Path program,
            String argv0,
            List<String> arguments,
            Map<String, String> environment) {
        throw new UnsupportedOperationException();
    }
}
