package holdfast.lab.sim;

import holdfast.lab.sim.Sender.Segment;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * The receiving half of one direction of a connection: gives out segments in order and once each,
 * whatever was lost, repeated or overtaken on the way. Owned by one thread; what it keeps is
 * bounded by what the sender may have under way.
 *
 * @param <P> what a segment carries
 */
public final class Receiver<P> {

    private final Map<Long, Segment<P>> early = new HashMap<>();
    private long expected;

    /** What can be given out now that {@code segment} has arrived, in order. */
    public List<Segment<P>> received(Segment<P> segment) {
        if (segment.sequence() < expected) {
            return List.of();
        }
        if (segment.sequence() > expected) {
            early.put(segment.sequence(), segment);
            return List.of();
        }
        List<Segment<P>> ready = new ArrayList<>();
        Segment<P> next = segment;
        while (next != null) {
            ready.add(next);
            expected++;
            next = early.remove(expected);
        }
        return ready;
    }

    /** The sequence number to acknowledge: everything before it has arrived. */
    public long expected() {
        return expected;
    }
}
