package holdfast.ssh.link;

import java.time.Duration;
import java.time.Instant;
import java.util.concurrent.atomic.AtomicReference;

/** How old a connection's keys may become: RekeyLimit's second word, the same at both ends. */
public final class KeyAge {

    private KeyAge() {}

    /**
     * How long keys may still be used; not positive: no longer.
     *
     * @param made when they were agreed on, by the wall's clock, as MINA notes it
     */
    public static Duration left(AtomicReference<Instant> made, Duration limit) {
        return limit.minus(Duration.between(made.get(), Instant.now()));
    }
}
