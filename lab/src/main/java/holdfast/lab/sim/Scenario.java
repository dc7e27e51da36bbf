package holdfast.lab.sim;

import holdfast.core.liveness.LivenessPolicy;
import holdfast.core.time.Moment;
import holdfast.lab.middlebox.Event;
import holdfast.lab.middlebox.Middlebox;
import holdfast.lab.middlebox.Span;
import java.time.Duration;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * All that a simulated run depends on: two ends, the way between them, and what befalls them.
 *
 * @param seed what chance is left is drawn from this
 * @param length when the run is over at the latest
 * @param path the middleboxes, the one nearest to the client first
 * @param meddlings what somebody does to the path by hand, earliest first
 * @param roundTrip the longest that an exchange takes while nothing is lost: the invariants know by
 *     it what "in time" means
 * @param others further connections through the same path, earliest first
 * @param reconnects how long after its connection died a client connects anew; null: never
 */
public record Scenario(
        long seed,
        Duration length,
        Side client,
        Side server,
        List<? extends Middlebox<?>> path,
        List<Meddling> meddlings,
        Duration roundTrip,
        List<Visit> others,
        @Nullable Duration reconnects) {

    /**
     * One end.
     *
     * @param policy how it judges the link; null: it never does, as sshd by default
     * @param tcpKeepAlive whether its kernel probes after two hours of silence
     * @param asleep when its machine is suspended, earliest first: nothing runs and nothing arrives
     * @param stopped when its program does not run, earliest first, while its kernel does
     */
    public record Side(
            @Nullable LivenessPolicy policy,
            boolean tcpKeepAlive,
            Workload workload,
            List<Span> asleep,
            List<Span> stopped) {

        public Side {
            asleep = List.copyOf(asleep);
            stopped = List.copyOf(stopped);
        }

        /** An end that never sleeps. */
        public static Side awake(
                @Nullable LivenessPolicy policy, boolean tcpKeepAlive, Workload workload) {
            return new Side(policy, tcpKeepAlive, workload, List.of(), List.of());
        }
    }

    /** One connection, opened at {@code at}. */
    public record Visit(Moment at, Side client, Side server) {}

    /** Somebody does {@code event} to every box of the path. */
    public record Meddling(Moment at, Event event) {}

    public Scenario {
        path = List.copyOf(path);
        meddlings = List.copyOf(meddlings);
        others = List.copyOf(others);
    }

    /** One connection alone, opened once. */
    public Scenario(
            long seed,
            Duration length,
            Side client,
            Side server,
            List<? extends Middlebox<?>> path,
            List<Meddling> meddlings,
            Duration roundTrip) {
        this(seed, length, client, server, path, meddlings, roundTrip, List.of(), null);
    }
}
