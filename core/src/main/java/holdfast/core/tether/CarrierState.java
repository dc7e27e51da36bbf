package holdfast.core.tether;

import holdfast.core.liveness.RoundTrip;
import holdfast.core.time.Moment;
import java.time.Duration;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** What one end knows of its carriers. */
public sealed interface CarrierState {

    /**
     * There is a carrier.
     *
     * @param heard when anything was last heard on it
     * @param busy when the program last sent or received
     * @param asked since when something is expected on it; null: nothing is
     * @param pinged whether a PING has asked for it
     * @param doubtAt when the carrier is in doubt if nothing is heard
     * @param search the search for another; null: none is under way
     */
    record Carried(
            Known known,
            long generation,
            Moment heard,
            Moment busy,
            @Nullable Moment asked,
            boolean pinged,
            Moment doubtAt,
            @Nullable Search search)
            implements CarrierState {}

    /**
     * There is none, and the tether is held.
     *
     * @param heard when anything was last heard
     * @param since when the carrier was lost
     * @param heldUntil when the tether ends if no other comes
     */
    record Adrift(Known known, Moment heard, Moment since, Moment heldUntil, Search search)
            implements CarrierState {}

    /** Over. */
    record Over(Ending why, Moment at) implements CarrierState {}

    /**
     * What outlives a carrier.
     *
     * @param hold how long the server holds the tether; zero: it does not
     * @param newest how long the newest answer to a PING took; zero: none has come
     * @param nextGeneration what the next attempt is called
     * @param newestAsked the highest generation whose attempt somebody has answered
     * @param attempts those under way, oldest first
     * @param faults carriers lost to a fault since the last answered PING
     */
    record Known(
            Duration hold,
            RoundTrip roundTrip,
            Duration newest,
            long nextGeneration,
            long newestAsked,
            List<Attempt> attempts,
            int faults) {

        public Known {
            attempts = List.copyOf(attempts);
        }
    }

    /**
     * An attempt to bring a carrier.
     *
     * @param until when it is given up
     * @param connected whether anything answered
     * @param patient whether it is the one that is left to its way for longer
     */
    record Attempt(
            long generation, Moment started, Moment until, boolean connected, boolean patient) {

        /** Somebody has answered it. */
        Attempt answered(Moment least) {
            return new Attempt(generation, started, Moment.later(until, least), true, patient);
        }

        /** It is given more time. */
        Attempt patient(Moment until) {
            return new Attempt(generation, started, until, connected, true);
        }
    }

    /**
     * The search for a carrier.
     *
     * @param since when it began
     * @param dials how many attempts it has made
     * @param nextDial when the next is made
     * @param refusals attempts in a row that were answered with no
     * @param denied when the server has said that it has no such tether; null: it has not
     * @param told whether the person knows
     */
    record Search(
            Moment since,
            int dials,
            Moment nextDial,
            int refusals,
            @Nullable Moment denied,
            boolean told) {

        /** A search that begins, with its first attempt at {@code dial}. */
        static Search from(Moment now, Moment dial) {
            return new Search(now, 0, dial, 0, null, false);
        }

        Search dialed(Moment next) {
            return new Search(since, dials + 1, next, refusals, denied, told);
        }

        Search dialAt(Moment next) {
            return new Search(since, dials, next, refusals, denied, told);
        }

        Search refused(Moment next) {
            return new Search(since, dials, next, refusals + 1, denied, told);
        }

        Search afresh(Moment next) {
            return new Search(since, dials, next, 0, denied, told);
        }

        Search denied(Moment now, Moment next) {
            return new Search(since, dials, next, refusals, now, told);
        }

        Search shown() {
            return new Search(since, dials, nextDial, refusals, denied, true);
        }
    }

    /** Why a tether ended. */
    enum Ending {
        /** The stream above ended, here or there; or the other end said why it closes. */
        FINISHED,
        /** The carrier was lost before the tether could be resumed. */
        NOT_RESUMABLE,
        /** The server is there and has no such tether, or does not let us have it. */
        GONE,
        /** What answers there now knows nothing of tethers. */
        FOREIGN,
        /** No carrier came in time. */
        HOLD_OVER,
        /** The other end keeps breaking the protocol. */
        PROTOCOL
    }
}
