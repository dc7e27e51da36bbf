package holdfast.core.liveness;

import holdfast.core.time.Moment;
import org.jspecify.annotations.Nullable;

/**
 * The clocks of an authenticated link. OpenSSH's client loop (clientloop.c) keeps the first four;
 * the rest is what doubt is made of.
 *
 * @param lastByte when anything was last received
 * @param lastPacket when a whole packet was last received
 * @param silentFrom what the interval is counted from: the last byte or the last counted probe, the
 *     later
 * @param unanswered counted probes since the last whole packet; OpenSSH's server_alive count
 * @param probe when the oldest probe was sent to which nothing at all has been heard; null: none is
 *     out
 * @param spoke when we sent the first data that nothing has been heard since; null: none, or a
 *     probe asks already
 * @param secondLook when the link is condemned if a late wake-up made us look once more; null: no
 *     such look is under way
 * @param roundTrip what the answers have taught about the path
 */
public record Watch(
        Moment lastByte,
        Moment lastPacket,
        Moment silentFrom,
        int unanswered,
        @Nullable Moment probe,
        @Nullable Moment spoke,
        @Nullable Moment secondLook,
        RoundTrip roundTrip) {

    /** The watch over a link whose session loop begins at {@code now}. */
    static Watch from(Moment now) {
        return new Watch(now, now, now, 0, null, null, null, RoundTrip.UNKNOWN);
    }

    Watch heard(Moment newestByte, Moment newestPacket) {
        boolean packet = lastPacket.isBefore(newestPacket);
        Moment seen = Moment.later(lastByte, newestByte);
        return new Watch(
                seen,
                Moment.later(lastPacket, newestPacket),
                Moment.later(silentFrom, newestByte),
                packet ? 0 : unanswered,
                probe != null && seen.isBefore(probe) ? probe : null,
                spoke != null && seen.isBefore(spoke) ? spoke : null,
                null,
                roundTrip);
    }

    Watch spoke(Moment at) {
        return probe != null || spoke != null
                ? this
                : new Watch(
                        lastByte,
                        lastPacket,
                        silentFrom,
                        unanswered,
                        null,
                        at,
                        secondLook,
                        roundTrip);
    }

    /** A keepalive of the interval: it is counted and starts the next interval. */
    Watch countedProbe(Moment now) {
        return new Watch(
                lastByte,
                lastPacket,
                now,
                unanswered + 1,
                probe == null ? now : probe,
                null,
                null,
                roundTrip);
    }

    /** A probe out of doubt: neither counted nor a reason to put a counted one off. */
    Watch doubtProbe(Moment now) {
        return new Watch(
                lastByte,
                lastPacket,
                silentFrom,
                unanswered,
                probe == null ? now : probe,
                null,
                secondLook,
                roundTrip);
    }

    /** Time before {@code now} was our absence: it says nothing about the peer. */
    Watch present(Moment now) {
        return new Watch(lastByte, lastPacket, now, 0, null, null, null, roundTrip);
    }

    Watch lookAgain(Moment at) {
        return new Watch(lastByte, lastPacket, silentFrom, unanswered, probe, spoke, at, roundTrip);
    }

    Watch learned(RoundTrip better) {
        return new Watch(
                lastByte, lastPacket, silentFrom, unanswered, probe, spoke, secondLook, better);
    }
}
