package holdfast.ssh.auth;

import java.io.IOException;
import java.time.Duration;

/**
 * A key whose private half an agent has, which signs for whoever may ask it.
 *
 * @param socket where the agent listens
 */
public record AgentKey(String socket, PublicIdentity key) {

    /** A server's own agent is asked by nobody sitting there: it answers soon or not at all. */
    private static final Duration PATIENCE = Duration.ofSeconds(15);

    /**
     * Tries whether an agent listens at {@code socket}.
     *
     * @throws IOException in the system's words if there is none
     */
    public static void reach(String socket) throws IOException {
        Agent.connect(socket, PATIENCE).close();
    }

    /**
     * Has the agent sign {@code data}; waits for it, fifteen seconds at most.
     *
     * @param algorithm the signature algorithm
     * @return the signature as it travels
     * @throws IOException if there is no agent, or it does not want to
     */
    public byte[] sign(String algorithm, byte[] data) throws IOException {
        try (Agent agent = Agent.connect(socket, PATIENCE)) {
            return agent.sign(key, algorithm, data, PATIENCE);
        }
    }
}
