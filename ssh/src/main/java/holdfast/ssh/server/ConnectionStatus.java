package holdfast.ssh.server;

import java.time.Duration;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * One connection as it stands.
 *
 * @param id counts connections since the server started
 * @param user who is in, or wants in; null: not said yet
 * @param peer the client's address and port; null: no TCP connection
 * @param age since it was accepted
 * @param idle since anything was received
 * @param roundTrip smoothed; null: nothing measured yet
 * @param unanswered keepalives sent since the last packet came
 * @param channels their kinds
 * @param tether null: the connection is all there is
 */
public record ConnectionStatus(
        long id,
        @Nullable String user,
        @Nullable String peer,
        Duration age,
        Duration idle,
        @Nullable Duration roundTrip,
        int unanswered,
        State state,
        List<String> channels,
        @Nullable Tethered tether) {

    /**
     * A session that outlives its connections.
     *
     * @param parked how long it has been without one; null: it has one
     * @param holdLeft how long it is still held; null: it has one
     * @param waiting bytes that the client has not acknowledged
     */
    public record Tethered(@Nullable Duration parked, @Nullable Duration holdLeft, long waiting) {}

    /** What is thought of it. */
    public enum State {
        /** Not authenticated yet. */
        OPENING,
        /** Nothing speaks against it. */
        UP,
        /** It has lost its connection, and is held until the client brings another. */
        PARKED,
        /** A keepalive is late. */
        SUSPECT,
        /** Given up, and being closed. */
        DEAD
    }

    public ConnectionStatus {
        channels = List.copyOf(channels);
    }
}
