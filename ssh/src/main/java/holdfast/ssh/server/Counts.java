package holdfast.ssh.server;

import java.util.EnumMap;
import java.util.Map;
import java.util.concurrent.atomic.LongAdder;

/** What a server has seen since it started. Thread-safe. */
public final class Counts {

    private final LongAdder accepted = new LongAdder();
    private final LongAdder admitted = new LongAdder();
    private final LongAdder probes = new LongAdder();
    private final Map<Departure, LongAdder> departures = new EnumMap<>(Departure.class);

    Counts() {
        for (Departure departure : Departure.values()) {
            departures.put(departure, new LongAdder());
        }
    }

    void accepted() {
        accepted.increment();
    }

    void admitted() {
        admitted.increment();
    }

    void probed() {
        probes.increment();
    }

    void departed(Departure why) {
        departures.computeIfAbsent(why, w -> new LongAdder()).increment();
    }

    /** Connections that were let as far as the key exchange. */
    public long connections() {
        return accepted.sum();
    }

    /** Users let in. */
    public long logins() {
        return admitted.sum();
    }

    /** Keepalives sent. */
    public long probes() {
        return probes.sum();
    }

    /** How many connections ended for {@code why}. */
    public long departures(Departure why) {
        LongAdder count = departures.get(why);
        return count == null ? 0 : count.sum();
    }
}
