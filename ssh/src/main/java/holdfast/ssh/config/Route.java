package holdfast.ssh.config;

/**
 * How the client gets to its server: by itself, by a command's pipes, or through another server.
 */
public sealed interface Route {

    /** By a TCP connection of its own. */
    record Direct() implements Route {}

    /**
     * By the stdin and stdout of a command: ProxyCommand.
     *
     * @param shell the user's
     * @param line for the shell, its tokens expanded, {@code exec} before it
     */
    record Command(String shell, String line) implements Route {}

    /**
     * Through another server: ProxyJump.
     *
     * @param hop everything about the connection to that server, its own route included; its
     *     forwards' stdio is where it connects us to
     */
    record Jump(ClientSettings hop) implements Route {}
}
