package holdfast.lab.sim;

import holdfast.core.time.Moment;
import holdfast.lab.middlebox.Packet;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;

/**
 * The sending half of one direction of a connection, as Linux's TCP does it where that shows: a
 * stream is delivered whole and in order or not at all, what is not acknowledged is sent again on a
 * doubling ladder (0.2 s to 120 s), and after fifteen repeats, 924.6 s of silence on an unmeasured
 * path, the connection is given up.
 *
 * <p>Sequence numbers count segments, not bytes. Not modelled: selective acknowledgement (after a
 * time-out everything is sent again), pacing. Owned by one thread.
 *
 * @param <P> what a segment carries
 */
public final class Sender<P> {

    /** Linux's TCP_RTO_MIN. */
    static final Duration FIRST_RTO = Duration.ofMillis(200);

    /** Linux's TCP_RTO_MAX. */
    static final Duration LAST_RTO = Duration.ofMinutes(2);

    /** RFC 6298: what a connection is opened with, before any round trip was seen. */
    static final Duration OPEN_RTO = Duration.ofSeconds(1);

    /** RFC 6298 section 5.7: for data, where opening had to be repeated and measured nothing. */
    static final Duration UNMEASURED_RTO = Duration.ofSeconds(3);

    /** net.ipv4.tcp_retries2 */
    static final int DATA_RETRIES = 15;

    /** net.ipv4.tcp_syn_retries */
    static final int OPEN_RETRIES = 6;

    /** RFC 6928: how many segments may be under way at first. */
    private static final int FIRST_WINDOW = 10;

    /** One segment of the stream. */
    public record Segment<P>(long sequence, Packet.Kind kind, int bytes, P payload) {}

    private final Deque<Flight<P>> unacknowledged = new ArrayDeque<>();
    private long nextSequence;
    private long nextToSend;
    private int retries;
    private Moment retryAt = Moment.NEVER;
    private Duration rto = OPEN_RTO;
    private Duration shortest = LAST_RTO;
    private double smoothedRtt = -1;
    private double rttVariation;
    private double window = 1;
    private double slowStartUntil = Double.MAX_VALUE;
    private int repeatedAcks;
    private boolean givenUp;

    private static final class Flight<P> {
        final Segment<P> segment;
        Moment firstSentAt = Moment.NEVER;
        Moment sentAt = Moment.NEVER;
        boolean resent;

        Flight(Segment<P> segment) {
            this.segment = segment;
        }
    }

    /** Adds to the end of the stream; {@link #due} sends it when it may be sent. */
    public void offer(Packet.Kind kind, int bytes, P payload) {
        unacknowledged.add(new Flight<>(new Segment<>(nextSequence++, kind, bytes, payload)));
    }

    /** What has to be sent now: new segments as far as the window lets them, or one again. */
    public List<Segment<P>> due(Moment now) {
        if (givenUp || unacknowledged.isEmpty()) {
            return List.of();
        }
        List<Segment<P>> segments = new ArrayList<>();
        if (!now.isBefore(retryAt)) {
            if (retries >= mostRetries()) {
                giveUp();
                return List.of();
            }
            retries++;
            rto = rto.multipliedBy(2).compareTo(LAST_RTO) < 0 ? rto.multipliedBy(2) : LAST_RTO;
            slowStartUntil = Math.max(underWay() / 2.0, 2);
            window = 1;
            nextToSend = first();
            retryAt = Moment.NEVER;
        }
        if (nextToSend >= nextSequence || underWay() >= (long) window) {
            return segments;
        }
        for (Flight<P> flight : unacknowledged) {
            if (flight.segment.sequence() < nextToSend) {
                continue;
            }
            if (underWay() >= (long) window) {
                break;
            }
            flight.resent = !flight.sentAt.equals(Moment.NEVER);
            flight.sentAt = now;
            if (!flight.resent) {
                flight.firstSentAt = now;
            }
            segments.add(flight.segment);
            nextToSend++;
        }
        if (retryAt.equals(Moment.NEVER)) {
            retryAt = now.plus(rto);
        }
        return segments;
    }

    /**
     * The receiver has everything before {@code upTo}.
     *
     * @return a segment to send again at once, as three equal acknowledgements say it is missing;
     *     or nothing
     */
    public List<Segment<P>> acknowledged(long upTo, Moment now) {
        if (givenUp || unacknowledged.isEmpty() || upTo > nextSequence || upTo < first()) {
            return List.of();
        }
        if (upTo == first()) {
            return ++repeatedAcks == 3 ? resendFirst(now) : List.of();
        }
        repeatedAcks = 0;
        Flight<P> last = unacknowledged.element();
        boolean opened = false;
        while (!unacknowledged.isEmpty() && first() < upTo) {
            last = unacknowledged.remove();
            opened |= last.segment.kind() == Packet.Kind.OPEN;
            window += window < slowStartUntil ? 1 : 1 / window;
        }
        if (opened) {
            window = Math.max(window, FIRST_WINDOW);
        }
        nextToSend = Math.max(nextToSend, upTo);
        Duration sample = now.since(last.sentAt);
        if (!last.resent) {
            shortest = shortest.compareTo(sample) < 0 ? shortest : sample;
            measure(sample);
        } else if (smoothedRtt >= 0 && sample.compareTo(shortest) < 0) {
            // Too soon for the copy: the first was only slow. Linux sees that by its time stamps,
            // learns from it and takes back what the time-out did to the window.
            measure(now.since(last.firstSentAt));
            window = Math.max(window, slowStartUntil);
        }
        retries = 0;
        rto = settledRto();
        retryAt = nextToSend > upTo ? now.plus(rto) : Moment.NEVER;
        return List.of();
    }

    /** When {@link #due} has something to send again, or to give up. */
    public Moment wakeAt() {
        return retryAt;
    }

    /** Whether the connection was given up: what is not acknowledged never will be. */
    public boolean givenUp() {
        return givenUp;
    }

    /** Whether all that was offered has been acknowledged. */
    public boolean settled() {
        return unacknowledged.isEmpty();
    }

    /** How often the oldest unacknowledged segment has been sent again. */
    public int retries() {
        return retries;
    }

    /** How many segments wait to be sent or acknowledged. */
    int waiting() {
        return unacknowledged.size();
    }

    /** The machine was suspended for {@code gap}: its timers did not run. */
    void slept(Duration gap) {
        retryAt = retryAt.plus(gap);
    }

    /**
     * The receiver is alive and has no room. What is sent again is now a window probe: on the same
     * ladder, and never given up as long as it is answered.
     */
    void refused() {
        retries = 0;
        repeatedAcks = 0;
    }

    /** The receiver has room again: what it refused is sent at once. */
    void roomAgain(Moment now) {
        if (!unacknowledged.isEmpty() && !givenUp) {
            nextToSend = first();
            retryAt = now.plus(rto);
        }
    }

    /** No more is sent, and nothing is kept. */
    public void giveUp() {
        givenUp = true;
        unacknowledged.clear();
        retryAt = Moment.NEVER;
    }

    private long first() {
        return unacknowledged.element().segment.sequence();
    }

    private long underWay() {
        return nextToSend - first();
    }

    private int mostRetries() {
        return unacknowledged.element().segment.kind() == Packet.Kind.OPEN
                ? OPEN_RETRIES
                : DATA_RETRIES;
    }

    private List<Segment<P>> resendFirst(Moment now) {
        slowStartUntil = Math.max(underWay() / 2.0, 2);
        window = slowStartUntil;
        Flight<P> flight = unacknowledged.element();
        flight.resent = true;
        flight.sentAt = now;
        retryAt = now.plus(rto);
        return List.of(flight.segment);
    }

    /** RFC 6298 sections 2.2 and 2.3, with Linux's floor under the variation. */
    private void measure(Duration roundTrip) {
        double r = roundTrip.toNanos();
        if (smoothedRtt < 0) {
            smoothedRtt = r;
            rttVariation = r / 2;
        } else {
            rttVariation = 0.75 * rttVariation + 0.25 * Math.abs(smoothedRtt - r);
            smoothedRtt = 0.875 * smoothedRtt + 0.125 * r;
        }
    }

    private Duration settledRto() {
        if (smoothedRtt < 0) {
            return UNMEASURED_RTO;
        }
        double margin = Math.max(4 * rttVariation, (double) FIRST_RTO.toNanos());
        Duration measured = Duration.ofNanos((long) (smoothedRtt + margin));
        return measured.compareTo(LAST_RTO) < 0 ? measured : LAST_RTO;
    }
}
